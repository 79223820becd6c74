package f32

import (
	"runtime"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

// Convolutions with stride 1 from or into few channels, as at both ends of a
// U-Net, are bound by the memory of the image of many channels, which they pass
// over once. Lines of the image of few channels are copied with the zeros around
// them, so that all pixels see their patches at the same distances.
const (
	fewChannels = 6
	fewTerms    = maxK // of a patch
	fewParts    = 8    // of the sum over pixels
)

// few is a convolution between a small image, of few channels, and a large one,
// from either into the other, or the gradient of its filter.
type few struct {
	rows               int
	small, large       grid
	smallImages        []float32
	largeImages        []float32
	kernel             grid // without channels
	top, left          int  // zeros around the source
	w                  []float32
	fewFirst, turned   bool // w is [taps, few, many], else [taps, many, few]; its taps are in reverse
	init               []float32
	beta               float32
	terms              int       // of a patch: taps times few channels
	filter             []float32 // packed
	offsets            []int     // of the terms from the first
	lines, cuts        int       // lines in a task, tasks in an image
	part, parts        int       // tasks whose sums are one, and how many sums
	sums               []float32 // [parts, terms, panels of many channels]
	doExpand, doReduce func(lo, hi int)
	doOuter            func(lo, hi int)
}

var fews = freelist.List[few]{New: func() *few {
	g := new(few)
	g.doExpand, g.doReduce, g.doOuter = g.expand, g.reduce, g.outer
	return g
}}

// release lets go of the caller's arrays and makes the work free for reuse.
func (g *few) release() {
	g.smallImages, g.largeImages, g.w, g.init = nil, nil, nil, nil
	fews.Put(g)
}

// fewScratch is the work space of a worker.
type fewScratch struct {
	padded, room []float32
	segs         []segment
}

var fewScratches = freelist.List[fewScratch]{New: func() *fewScratch { return new(fewScratch) }}

func (s *fewScratch) release() {
	clear(s.segs[:cap(s.segs)])
	fewScratches.Put(s)
}

// fewPays reports whether the convolution has few channels in or out.
func (c Conv) fewPays() bool {
	least := min(c.In, c.Out)
	return c.Stride == 1 && least <= fewChannels && max(c.In, c.Out) >= nr && c.KernelHeight*c.KernelWidth*least <= fewTerms
}

// newFew returns the work of a convolution with w, or of its gradients if turned.
func (c Conv) newFew(x, y, w []float32, turned bool) *few {
	g := fews.Get()
	g.rows, g.w, g.turned, g.fewFirst = c.Rows, w, turned, c.In < c.Out
	in, out := grid{c.Height, c.Width, c.In}, grid{c.OutHeight(), c.OutWidth(), c.Out}
	g.small, g.large, g.smallImages, g.largeImages = in, out, x, y
	if !g.fewFirst {
		g.small, g.large, g.smallImages, g.largeImages = out, in, y, x
	}
	g.kernel = grid{height: c.KernelHeight, width: c.KernelWidth}
	g.top, g.left = c.Top, c.Left
	if turned {
		g.top, g.left = c.KernelHeight-1-c.Top, c.KernelWidth-1-c.Left
	}
	g.terms = c.KernelHeight * c.KernelWidth * g.small.channels
	g.init, g.beta = nil, 0
	return g
}

// run computes the convolution from small into large if the filter, as it is
// turned, has few channels in, else from large into small.
func (g *few) run() {
	if g.fewFirst != g.turned {
		g.pack(g.large.channels, false)
		g.setOffsets()
		g.cut(g.large, g.large.channels+g.small.channels)
		par.Rows(g.rows*g.cuts, 1, g.doExpand)
		return
	}
	g.pack(g.terms, true)
	g.cut(g.small, panels(g.terms)*nr)
	par.Rows(g.rows*g.cuts, 1, g.doReduce)
}

// place returns where w has the weight of a term of a patch and channel m.
func (g *few) place(term, m int) int {
	channels := g.small.channels
	t, c := term/channels, term%channels
	if g.turned {
		t = g.kernel.height*g.kernel.width - 1 - t
	}
	if g.fewFirst {
		return (t*channels+c)*g.large.channels + m
	}
	return (t*g.large.channels+m)*channels + c
}

// pack packs the filter in panels of its columns: the channels, or the terms of
// a patch.
func (g *few) pack(columns int, termColumns bool) {
	depth := g.terms
	if termColumns {
		depth = g.large.channels
	}
	g.filter = grow(g.filter, panels(columns)*depth*nr)
	clear(g.filter)
	for i := range depth {
		for j := range columns {
			from := 0
			if termColumns {
				from = g.place(j, i)
			} else {
				from = g.place(i, j)
			}
			g.filter[(j/nr*depth+i)*nr+j%nr] = g.w[from]
		}
	}
}

// setOffsets sets the offsets.
func (g *few) setOffsets() {
	channels := g.small.channels
	g.offsets = g.offsets[:0]
	for i := range g.terms {
		t, c := i/channels, i%channels
		g.offsets = append(g.offsets, (t/g.kernel.width*g.paddedWidth()+t%g.kernel.width)*channels+c)
	}
}

// cut cuts the lines of the result into tasks that need so many values a pixel.
func (g *few) cut(to grid, values int) {
	const most = 1 << 15
	lines := max(1, most/(to.width*values))
	g.cuts = min(to.height, max((to.height+lines-1)/lines, (2*runtime.GOMAXPROCS(0)+g.rows-1)/g.rows))
	g.lines = (to.height + g.cuts - 1) / g.cuts
	g.cuts = (to.height + g.lines - 1) / g.lines
}

// paddedWidth is the width of the small image with its zeros.
func (g *few) paddedWidth() int { return g.large.width + g.kernel.width - 1 }

// pad copies what count lines of the large image see, from line y on, with its
// zeros.
func (g *few) pad(s *fewScratch, row, y, count int) {
	channels, line := g.small.channels, g.small.width*g.small.channels
	width := g.paddedWidth() * channels
	count += g.kernel.height - 1
	s.padded = grow(s.padded, count*width)
	clear(s.padded)
	for i := range count {
		if from := y - g.top + i; from >= 0 && from < g.small.height {
			copy(s.padded[i*width+g.left*channels:], g.smallImages[(row*g.small.height+from)*line:][:line])
		}
	}
}

// expand does the tasks from lo to hi of a convolution into the large image.
func (g *few) expand(lo, hi int) {
	s := fewScratches.Get()
	defer s.release()
	channels, out, width := g.small.channels, g.large.channels, g.large.width
	s.room = grow(s.room, width*nr)
	for t := lo; t < hi; t++ {
		row, first := t/g.cuts, t%g.cuts*g.lines
		last := min(first+g.lines, g.large.height)
		g.pad(s, row, first, last-first)
		for y := first; y < last; y++ {
			pixels := s.padded[(y-first)*g.paddedWidth()*channels:]
			for j := range panels(out) {
				to := g.largeImages[(row*g.large.height+y)*width*out+j*nr:]
				from, ld := to, out
				if g.init != nil {
					from, ld = g.init[j*nr:], 0
				}
				cols, filter := min(nr, out-j*nr), g.filter[j*g.terms*nr:]
				if cols == nr {
					patches(to, out, pixels, channels, g.offsets, filter, width, from, ld, g.beta)
					continue
				}
				if g.beta != 0 {
					for i := range width {
						copy(s.room[i*nr:][:cols], from[i*ld:])
					}
				}
				patches(s.room, nr, pixels, channels, g.offsets, filter, width, s.room, nr, g.beta)
				for i := range width {
					copy(to[i*out:][:cols], s.room[i*nr:])
				}
			}
		}
	}
}

// reduce does the tasks from lo to hi of a convolution into the small image: a
// product of every large pixel with all terms of the patches that it is in, and
// the sums of those.
func (g *few) reduce(lo, hi int) {
	s := fewScratches.Get()
	defer s.release()
	in, width := g.large.channels, g.large.width
	channels, line := g.small.channels, g.small.width*g.small.channels
	for t := lo; t < hi; t++ {
		row, first := t/g.cuts, t%g.cuts*g.lines
		last := min(first+g.lines, g.small.height)
		// The lines that the results see.
		top, bottom := max(0, first-g.top), min(g.large.height, last-1-g.top+g.kernel.height)
		pixels := max(0, bottom-top) * width
		s.room = grow(s.room, panels(g.terms)*pixels*nr)
		for j := range panels(g.terms) {
			if pixels > 0 {
				winogradProduct(s.room[j*pixels*nr:], g.largeImages[(row*g.large.height+top)*width*in:], in, 1, g.filter[j*in*nr:], pixels, in, false)
			}
		}
		for y := first; y < last; y++ {
			to := g.smallImages[(row*g.small.height+y)*line:][:line]
			switch {
			case g.init != nil:
				for i := range to {
					to[i] = g.init[i%channels]
				}
			case g.beta == 0:
				clear(to)
			case g.beta != 1:
				scaled(to, to, g.beta)
			}
			for i := range g.terms {
				tap, c := i/channels, i%channels
				u, v := y-g.top+tap/g.kernel.width, tap%g.kernel.width-g.left
				if u < top || u >= bottom {
					continue
				}
				terms := s.room[(i/nr*pixels+(u-top)*width)*nr+i%nr:]
				for x := max(0, -v); x < min(g.small.width, width-v); x++ {
					to[x*channels+c] += terms[(x+v)*nr]
				}
			}
		}
	}
}

// filterGrad writes the gradient of the filter plus β dw into dw. It sums over
// the pixels of the large image, times their patches of the small one.
func (g *few) filterGrad(dw []float32, beta float32) {
	g.lines = max(1, maxK/g.large.width)
	g.cuts = (g.large.height + g.lines - 1) / g.lines
	g.parts = min(fewParts, g.rows*g.cuts)
	g.part = (g.rows*g.cuts + g.parts - 1) / g.parts
	g.parts = (g.rows*g.cuts + g.part - 1) / g.part
	width := panels(g.large.channels) * nr
	g.sums = grow(g.sums, g.parts*g.terms*width)
	g.setOffsets()
	par.Rows(g.parts, 1, g.doOuter)
	for i := range g.terms {
		for m := range g.large.channels {
			to, sum := &dw[g.place(i, m)], float32(0)
			if beta != 0 {
				sum = beta * *to
			}
			for part := range g.parts {
				sum += g.sums[(part*g.terms+i)*width+m]
			}
			*to = sum
		}
	}
}

// outer sums the parts from lo to hi.
func (g *few) outer(lo, hi int) {
	s := fewScratches.Get()
	defer s.release()
	width := panels(g.large.channels) * nr
	for part := lo; part < hi; part++ {
		sums := g.sums[part*g.terms*width:][:g.terms*width]
		clear(sums)
		for t := part * g.part; t < min((part+1)*g.part, g.rows*g.cuts); t++ {
			first := t % g.cuts * g.lines
			g.outerLines(s, sums, t/g.cuts, first, min(first+g.lines, g.large.height))
		}
	}
}

// outerLines adds the lines from first to last.
func (g *few) outerLines(s *fewScratch, sums []float32, row, first, last int) {
	channels, many, width := g.small.channels, g.large.channels, g.large.width
	lines, ld := last-first, panels(many)*nr
	g.pad(s, row, first, lines)
	groups := (g.terms + mr - 1) / mr
	if cap(s.segs) < groups*lines {
		s.segs = make([]segment, groups*lines)
	}
	segs := s.segs[:groups*lines]
	for i := range segs {
		group, y := i/lines*mr, i%lines
		for r := range min(mr, g.terms-group) {
			segs[i].rows[r] = &s.padded[y*g.paddedWidth()*channels+g.offsets[group+r]]
		}
		segs[i].n = width
	}
	for j := range panels(many) {
		from, stride := g.largeImages[(row*g.large.height+first)*width*many+j*nr:], many
		if cols := many - j*nr; cols < nr {
			s.room = grow(s.room, lines*width*nr)
			packRows(s.room, from, many, cols, lines*width)
			from, stride = s.room, nr
		}
		for group := range groups {
			part := segs[group*lines:][:lines]
			for y := range part {
				part[y].b = y * width * stride
			}
			to := sums[group*mr*ld+j*nr:]
			tile(min(mr, g.terms-group*mr), part, 0, channels, from, stride, to, ld, to, ld, 1, 1)
		}
	}
}
