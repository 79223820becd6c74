package f32

import (
	"fmt"
	"runtime"
	"slices"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

// Conv is the shape of a convolution of images:
//
//	y[r, i, j, o] = bias[o] + Σ_{u, v, c} x[r, i·Stride + u − Top, j·Stride + v − Left, c] · w[u, v, c, o]
//
// where x is zero outside of the image. Images are channels-last, row by row and
// pixel by pixel: x is [Rows, Height, Width, In], y is [Rows, OutHeight, OutWidth,
// Out], and the filter w is [KernelHeight, KernelWidth, In, Out]. [ChannelsLast]
// and [FilterLast] bring images and filters from the order of torch into this
// one, [ChannelsFirst] and [FilterFirst] back.
//
// A row of y or of the gradient of x depends on that row of the input alone,
// bit for bit, and no result depends on the number of workers.
type Conv struct {
	Rows, Height, Width       int
	In, Out                   int // channels
	KernelHeight, KernelWidth int
	Stride                    int
	Top, Bottom, Left, Right  int // zeros around the image
}

// OutHeight returns the height of y.
func (c Conv) OutHeight() int { return (c.Height+c.Top+c.Bottom-c.KernelHeight)/c.Stride + 1 }

// OutWidth returns the width of y.
func (c Conv) OutWidth() int { return (c.Width+c.Left+c.Right-c.KernelWidth)/c.Stride + 1 }

// Validate returns an error unless the shape is one: no empty image, filter or
// output, a positive stride, padding smaller than the filter. Rows may be 0.
func (c Conv) Validate() error {
	switch {
	case c.Rows < 0:
		return fmt.Errorf("f32: a convolution needs Rows of at least 0, got %d", c.Rows)
	case c.Height < 1 || c.Width < 1 || c.In < 1 || c.Out < 1:
		return fmt.Errorf("f32: a convolution needs positive sizes, got images of %d×%d with %d channels in and %d out", c.Height, c.Width, c.In, c.Out)
	case c.KernelHeight < 1 || c.KernelWidth < 1 || c.Stride < 1:
		return fmt.Errorf("f32: a convolution needs a positive filter and stride, got %d×%d and %d", c.KernelHeight, c.KernelWidth, c.Stride)
	case min(c.Top, c.Bottom, c.Left, c.Right) < 0 || max(c.Top, c.Bottom) >= c.KernelHeight || max(c.Left, c.Right) >= c.KernelWidth:
		return fmt.Errorf("f32: a convolution needs padding from 0 to below the filter's %d×%d, got top %d, bottom %d, left %d, right %d",
			c.KernelHeight, c.KernelWidth, c.Top, c.Bottom, c.Left, c.Right)
	case c.Height+c.Top+c.Bottom < c.KernelHeight || c.Width+c.Left+c.Right < c.KernelWidth:
		return fmt.Errorf("f32: a filter of %d×%d does not fit into %d×%d with its padding, %d×%d",
			c.KernelHeight, c.KernelWidth, c.Height, c.Width, c.Height+c.Top+c.Bottom, c.Width+c.Left+c.Right)
	}
	return nil
}

// check panics unless the shape is valid and the arrays hold what it says.
func (c Conv) check(x, y, w []float32) {
	if err := c.Validate(); err != nil {
		panic(err.Error())
	}
	checkLen("x", x, c.Rows, c.Height, c.Width, c.In)
	checkLen("y", y, c.Rows, c.OutHeight(), c.OutWidth(), c.Out)
	checkLen("w", w, c.KernelHeight, c.KernelWidth, c.In, c.Out)
}

// checkLen panics unless x has a value for every index of an array of that
// shape, whose product may be beyond int.
func checkLen(name string, x []float32, shape ...int) {
	need, room := 1, len(x)
	for _, n := range shape {
		if n == 0 {
			return
		}
	}
	for _, n := range shape {
		if n < 0 || need > room/n {
			panic(fmt.Sprintf("f32: %s needs values for the shape %v, got %d", name, slices.Clone(shape), len(x))) // the clone keeps shape on the stack
		}
		need *= n
	}
}

// Forward writes the convolution of x with w into y. bias has Out values, or
// is nil for zeros. y must not overlap the others.
func (c Conv) Forward(y, x, w, bias []float32) { c.ForwardAdd(y, x, w, bias, nil, nil) }

// ForwardAdd is Forward plus a bias of each row, [Rows, Out], and plus an image
// like y, which may be y; either may be nil. Adding them here saves a pass over y.
func (c Conv) ForwardAdd(y, x, w, bias, rowBias, image []float32) {
	c.check(x, y, w)
	if bias != nil {
		checkLen("bias", bias, c.Out)
	}
	if rowBias != nil {
		checkLen("rowBias", rowBias, c.Rows, c.Out)
	}
	from, to := grid{c.Height, c.Width, c.In}, grid{c.OutHeight(), c.OutWidth(), c.Out}
	if image != nil {
		checkLen("image", image, c.Rows, to.height, to.width, c.Out)
	}
	if c.Rows == 0 {
		return
	}
	if c.winogradPays(from, to) {
		g := tilings.Get()
		defer g.release()
		g.src, g.dst, g.w, g.across = x, y, w, false
		g.from, g.to, g.top, g.left = from, to, c.Top, c.Left
		g.setBias(c.Rows, bias, rowBias)
		if g.add, g.beta = image, 0; image != nil {
			g.beta = 1
		}
		g.run(c.Rows)
		return
	}
	init, beta := bias, float32(0)
	if rowBias != nil || image != nil {
		c.fill(y, bias, rowBias, image)
		init = nil
	}
	if bias != nil || rowBias != nil || image != nil {
		beta = 1
	}
	if c.fewPays() {
		g := c.newFew(x, y, w, false)
		defer g.release()
		g.init, g.beta = init, beta
		g.run()
		return
	}
	g := gathers.Get()
	defer g.release()
	taps := c.KernelHeight * c.KernelWidth
	g.pack(w, taps, c.In, c.Out, false)
	g.src, g.dst = x, y
	g.from, g.to = from, to
	g.init, g.beta = init, beta
	g.taps = g.taps[:0]
	for t := range taps {
		g.taps = append(g.taps, tap{t/c.KernelWidth - c.Top, t%c.KernelWidth - c.Left, t})
	}
	g.phase = phase{height: g.to.height, width: g.to.width, step: 1, stride: c.Stride}
	g.run(c.Rows)
}

// A filling writes what ForwardAdd adds to a convolution into y, where it is not
// added on the way.
type filling struct {
	shape                   Conv
	y, bias, rowBias, image []float32
	doPixels                func(lo, hi int)
}

var fillings = freelist.List[filling]{New: func() *filling {
	f := new(filling)
	f.doPixels = f.pixels
	return f
}}

// fill writes bias plus rowBias plus image into y.
func (c Conv) fill(y, bias, rowBias, image []float32) {
	f := fillings.Get()
	f.shape, f.y, f.bias, f.rowBias, f.image = c, y, bias, rowBias, image
	par.Rows(c.Rows*c.OutHeight()*c.OutWidth(), max(1, moveGrain/c.Out), f.doPixels)
	f.y, f.bias, f.rowBias, f.image = nil, nil, nil, nil
	fillings.Put(f)
}

// pixels fills the pixels from lo to hi.
func (f *filling) pixels(lo, hi int) {
	out := f.shape.Out
	each := f.shape.OutHeight() * f.shape.OutWidth()
	for i := lo; i < hi; i++ {
		to := f.y[i*out:][:out]
		if f.image == nil {
			clear(to)
		} else {
			copy(to, f.image[i*out:])
		}
		if f.bias != nil {
			for o, v := range f.bias[:out] {
				to[o] += v
			}
		}
		if f.rowBias != nil {
			for o, v := range f.rowBias[i/each*out:][:out] {
				to[o] += v
			}
		}
	}
}

// InputGrad writes the gradient of x for the gradient dy of y, plus beta times
// what was there, into dx: dx = βdx + Σ dy · ∂y/∂x. β = 0 overwrites dx without
// reading it. dx must not overlap the others.
func (c Conv) InputGrad(dx, dy, w []float32, beta float32) {
	c.check(dx, dy, w)
	if c.Rows == 0 {
		return
	}
	if c.fewPays() {
		g := c.newFew(dx, dy, w, true)
		defer g.release()
		g.beta = beta
		g.run()
		return
	}
	from, to := grid{c.OutHeight(), c.OutWidth(), c.Out}, grid{c.Height, c.Width, c.In}
	if c.winogradPays(from, to) {
		g := tilings.Get()
		defer g.release()
		g.src, g.dst, g.w, g.across = dy, dx, w, true
		g.from, g.to, g.top, g.left = from, to, c.KernelHeight-1-c.Top, c.KernelWidth-1-c.Left
		g.setBias(c.Rows, nil, nil)
		g.add, g.beta = dx, beta
		g.run(c.Rows)
		return
	}
	g := gathers.Get()
	defer g.release()
	g.pack(w, c.KernelHeight*c.KernelWidth, c.Out, c.In, true)
	g.src, g.dst, g.beta = dy, dx, beta
	g.from, g.to = from, to
	// Pixels of x whose places agree modulo the stride see the same taps: tap u
	// is seen from i where i + Top − u is a multiple of the stride.
	for top := range min(c.Stride, c.Height) {
		for left := range min(c.Stride, c.Width) {
			g.taps = g.taps[:0]
			for t := range c.KernelHeight * c.KernelWidth {
				i, j := top+c.Top-t/c.KernelWidth, left+c.Left-t%c.KernelWidth
				if i%c.Stride == 0 && j%c.Stride == 0 {
					g.taps = append(g.taps, tap{i / c.Stride, j / c.Stride, t})
				}
			}
			g.phase = phase{
				top: top, left: left, step: c.Stride, stride: 1,
				height: (c.Height - top + c.Stride - 1) / c.Stride,
				width:  (c.Width - left + c.Stride - 1) / c.Stride,
			}
			g.run(c.Rows)
		}
	}
}

// A grid is the shape of a channels-last image.
type grid struct{ height, width, channels int }

// A tap reads a source pixel down and right of where the output pixel lies on
// the source, and multiplies it with filter matrix index.
type tap struct{ down, right, index int }

// A phase is the part of an output image at top + step·i, left + step·j for
// i < height, j < width; that pixel lies at stride·i, stride·j of the source.
type phase struct{ top, left, step, height, width, stride int }

// A gather computes output pixels from the source pixels that their taps name,
// by pointers to them: no array of patches is made.
type gather struct {
	src, dst []float32
	from, to grid
	phase    phase
	taps     []tap
	filter   []float32 // panel by panel, tap by tap
	init     []float32 // of every output pixel, or nil for what is in dst
	beta     float32

	line     int // output pixels that follow each other at equal distance
	lines    int
	tiles    int // in a line
	cols     int // panels in a task
	colTasks int
	doTasks  func(lo, hi int)

	packing struct {
		w             []float32
		taps, in, out int
		across        bool // w is [taps, out, in]
		doPack        func(lo, hi int)
	}
}

var gathers = freelist.List[gather]{New: func() *gather {
	g := new(gather)
	g.doTasks, g.packing.doPack = g.tasks, g.packPanels
	return g
}}

// release lets go of the caller's arrays and makes the gather free for reuse.
func (g *gather) release() {
	g.src, g.dst, g.init, g.beta = nil, nil, nil, 0
	gathers.Put(g)
}

// pack packs the filter, [taps, in, out], or [taps, out, in] if it lies across.
func (g *gather) pack(w []float32, taps, in, out int, across bool) {
	p := &g.packing
	p.w, p.taps, p.in, p.out, p.across = w, taps, in, out, across
	g.filter = grow(g.filter, panels(out)*taps*in*nr)
	par.Rows(panels(out)*taps, max(1, flopGrain/16/(in*nr)), p.doPack)
	p.w = nil
}

// packPanels packs the matrices from lo to hi, those of a panel after another.
func (g *gather) packPanels(lo, hi int) {
	p := &g.packing
	for i := lo; i < hi; i++ {
		j, t := i/p.taps*nr, i%p.taps
		dst, w := g.filter[i*p.in*nr:], p.w[t*p.in*p.out:]
		if p.across {
			packColumns(dst, w[j*p.in:], p.in, min(nr, p.out-j), p.in)
		} else {
			packRows(dst, w[j:], p.out, min(nr, p.out-j), p.in)
		}
	}
}

// run computes the phase.
func (g *gather) run(rows int) {
	p := &g.phase
	g.line, g.lines = p.width, rows*p.height
	if p.step == 1 { // lines join
		g.line, g.lines = g.line*g.lines, 1
	}
	g.tiles = (g.line + mr - 1) / mr
	tiles, count := g.lines*g.tiles, panels(g.to.channels)
	flops := 2 * min(tiles, maxTiles) * mr * g.to.channels * max(1, len(g.taps)*g.from.channels)
	rowTasks := (tiles + maxTiles - 1) / maxTiles
	g.colTasks = min((2*runtime.GOMAXPROCS(0)+rowTasks-1)/rowTasks, 1+flops/flopGrain, count)
	g.cols = (count + g.colTasks - 1) / g.colTasks
	g.colTasks = (count + g.cols - 1) / g.cols
	par.Rows(rowTasks*g.colTasks, max(1, flopGrain*g.colTasks/flops), g.doTasks)
}

// maxTiles is the number of tiles whose pointers are made at a time.
const maxTiles = 24

// tasks does the tasks from lo to hi.
func (g *gather) tasks(lo, hi int) {
	s := scratches.Get()
	defer s.release()
	for t := lo; t < hi; t++ {
		first, j := t/g.colTasks*maxTiles, t%g.colTasks*g.cols
		g.task(s, first, min(first+maxTiles, g.lines*g.tiles), j, min(j+g.cols, panels(g.to.channels)))
	}
}

// task computes the tiles from first to last and the panels from lo to hi. The
// sum over taps and channels is cut into blocks of whole taps, or taps into
// blocks of channels.
func (g *gather) task(s *scratch, first, last, lo, hi int) {
	in, out := g.from.channels, g.to.channels
	kc, taps := blockK(in), 1
	if kc == in && len(g.taps) > 0 {
		blocks := (len(g.taps)*in + maxK - 1) / maxK
		taps = (len(g.taps) + blocks - 1) / blocks
	}
	init, ldi, beta := g.init, 0, g.beta
	for t := 0; t < max(1, len(g.taps)); t += taps {
		block := g.taps[t:min(t+taps, len(g.taps))]
		for c := 0; c < in; c += kc {
			segs := s.segments((last - first) * len(block))
			for i := first; i < last; i++ {
				g.segments(segs[(i-first)*len(block):][:len(block)], i, block, c, min(kc, in-c))
			}
			for j := lo; j < hi; j++ {
				panel := g.filter[j*len(g.filter)/panels(out):]
				for i := first; i < last; i++ {
					at, rows := g.tile(i)
					dst, ld := g.dst[at*out+j*nr:], g.phase.step*out
					d, ldd := dst, ld
					if init != nil {
						d, ldd = init[j*nr:], ldi
					}
					edge(s.tile[:], rows, min(nr, out-j*nr), segs[(i-first)*len(block):][:len(block)], 0, 1, panel, nr, dst, ld, d, ldd, 1, beta)
				}
			}
			init, beta = nil, 1
			if len(block) == 0 {
				return
			}
		}
	}
}

// tile returns the first output pixel of tile i, counted over all rows, and the
// number of its pixels.
func (g *gather) tile(i int) (at, pixels int) {
	p := &g.phase
	line, j := i/g.tiles, i%g.tiles*mr
	pixels = min(mr, g.line-j)
	if p.step == 1 {
		return j, pixels
	}
	row, y := line/p.height, line%p.height
	return (row*g.to.height+p.top+p.step*y)*g.to.width + p.left + p.step*j, pixels
}

// zeros are the pixels beside the image.
var zeros [maxK]float32

// segments makes a segment for each tap of tile i: n channels from channel c on.
func (g *gather) segments(segs []segment, i int, taps []tap, c, n int) {
	p, from := &g.phase, &g.from
	pixel := i/g.tiles*g.line + i%g.tiles*mr // of the phase
	pixels := min(mr, g.line-i%g.tiles*mr)
	for t := range taps {
		segs[t].b, segs[t].n = (taps[t].index*from.channels+c)*nr, n
	}
	x, y := pixel%p.width, pixel/p.width
	row, y := y/p.height, y%p.height
	for r := range pixels {
		for t := range taps {
			down, right := y*p.stride+taps[t].down, x*p.stride+taps[t].right
			if uint(down) < uint(from.height) && uint(right) < uint(from.width) {
				segs[t].rows[r] = &g.src[((row*from.height+down)*from.width+right)*from.channels+c]
			} else {
				segs[t].rows[r] = &zeros[0]
			}
		}
		if x++; x == p.width {
			x = 0
			if y++; y == p.height {
				y = 0
				row++
			}
		}
	}
}
