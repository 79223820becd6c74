package f32

import (
	"runtime"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

// FilterGrad writes the gradient of w for the gradient dy of y, plus beta times
// what was there, into dw: dw = βdw + Σ dy · ∂y/∂w, the sum over all pixels of
// all rows in their order. β = 0 overwrites dw without reading it. dw must not
// overlap the others. The gradient of the bias is [SumRows] of dy.
func (c Conv) FilterGrad(dw, x, dy []float32, beta float32) {
	c.check(x, dy, dw)
	if c.Rows == 0 {
		dw = dw[:c.KernelHeight*c.KernelWidth*c.In*c.Out]
		if beta == 0 {
			clear(dw)
		} else {
			scaled(dw, dw, beta)
		}
		return
	}
	if c.fewPays() {
		g := c.newFew(x, dy, nil, c.In > c.Out)
		defer g.release()
		g.filterGrad(dw, beta)
		return
	}
	if from, to := (grid{c.Height, c.Width, c.In}), (grid{c.OutHeight(), c.OutWidth(), c.Out}); c.winogradPays(from, to) {
		g := filterTilings.Get()
		defer g.release()
		g.src, g.dst = x, dy
		g.from, g.to, g.top, g.left = from, to, c.Top, c.Left
		g.dw, g.beta = dw, beta
		g.run(c.Rows)
		return
	}
	g := filterGrads.Get()
	defer g.release()
	g.Conv, g.dw, g.x, g.dy, g.beta = c, dw, x, dy, beta
	g.height, g.width = c.OutHeight(), c.OutWidth()
	g.lines = max(1, maxK/g.width)
	g.cuts = (g.width + maxK - 1) / maxK
	g.inTiles, g.outPanels = (c.In+mr-1)/mr, panels(c.Out)
	units := c.KernelHeight * c.KernelWidth * g.inTiles
	// A task packs dy anew: no more of them than keep the processors busy.
	flops := 2 * c.Rows * g.height * g.width * c.Out * c.In * c.KernelHeight * c.KernelWidth
	tasks := min(2*runtime.GOMAXPROCS(0), 1+flops/flopGrain, units)
	g.units = (units + tasks - 1) / tasks
	par.Rows((units+g.units-1)/g.units, 1, g.doTasks)
}

// A filterGrad is one call of FilterGrad. Its sum over pixels runs in blocks of
// some lines of y, or of a part of a line, so that dy of a block stays in the
// first cache.
type filterGrad struct {
	Conv
	dw, x, dy     []float32
	beta          float32
	height, width int // of y
	lines         int // of y in a block
	cuts          int // of a line, where it is a longer sum than a block's
	inTiles       int // tiles of input channels
	outPanels     int // panels of output channels
	units         int // register tiles of dw, all panels, in a task
	doTasks       func(lo, hi int)
}

var filterGrads = freelist.List[filterGrad]{New: func() *filterGrad {
	g := new(filterGrad)
	g.doTasks = g.tasks
	return g
}}

// release lets go of the caller's arrays and makes the work free for reuse.
func (g *filterGrad) release() {
	g.dw, g.x, g.dy = nil, nil, nil
	filterGrads.Put(g)
}

// tasks does the tasks from lo to hi: unit i is tap i / inTiles and tile
// i mod inTiles of the input channels.
func (g *filterGrad) tasks(lo, hi int) {
	s := scratches.Get()
	defer s.release()
	last := min(hi*g.units, g.KernelHeight*g.KernelWidth*g.inTiles)
	beta := g.beta
	for line := 0; line < g.Rows*g.height; line += g.lines {
		for cut := range g.cuts {
			left, right := cut*g.width/g.cuts, (cut+1)*g.width/g.cuts
			g.block(s, lo*g.units, last, line, min(line+g.lines, g.Rows*g.height), left, right, beta)
			beta = 1
		}
	}
}

// block adds the pixels of the lines from top to bottom between left and right.
func (g *filterGrad) block(s *scratch, first, last, top, bottom, left, right int, beta float32) {
	pixels := (bottom - top) * (right - left)
	firstTap, lastTap := first/g.inTiles, (last-1)/g.inTiles
	segs := s.segments((lastTap - firstTap + 1) * (bottom - top))
	for j := range g.outPanels {
		cols := min(nr, g.Out-j*nr)
		panel := s.panel[:pixels*nr]
		// Lines follow each other where a block has more than one.
		packRows(panel, g.dy[(top*g.width+left)*g.Out+j*nr:], g.Out, cols, pixels)
		for i := first; i < last; {
			t := i / g.inTiles
			part := segs[(t-firstTap)*(bottom-top):][:bottom-top]
			if j == 0 {
				count := g.segments(part, t, top, bottom, left, right)
				clear(part[count:])
			}
			for len(part) > 0 && part[len(part)-1].n == 0 {
				part = part[:len(part)-1]
			}
			for ; i < min(last, (t+1)*g.inTiles); i++ {
				from := i % g.inTiles * mr
				c := g.dw[(t*g.In+from)*g.Out+j*nr:]
				edge(s.tile[:], min(mr, g.In-from), cols, part, from, g.Stride*g.In, panel, nr, c, g.Out, c, g.Out, 1, beta)
			}
		}
	}
}

// segments makes a segment of every line whose pixels tap t of the filter sees
// inside the image, and returns how many. Lines that follow each other without
// a gap, in x as in dy, join.
func (g *filterGrad) segments(segs []segment, t, top, bottom, left, right int) int {
	u, v := t/g.KernelWidth-g.Top, t%g.KernelWidth-g.Left
	// 0 ≤ Stride·j + v < Width
	from := max(left, (max(0, -v)+g.Stride-1)/g.Stride)
	to := min(right, (g.Width-1-v+g.Stride)/g.Stride)
	if from >= to {
		return 0
	}
	count, nextAt, nextPixel := 0, -1, -1
	for line := top; line < bottom; line++ {
		y := line%g.height*g.Stride + u
		if y < 0 || y >= g.Height {
			continue
		}
		at := (line/g.height*g.Height+y)*g.Width + from*g.Stride + v // in x
		pixel := (line-top)*(right-left) + from - left               // of the block
		if at == nextAt && pixel == nextPixel {
			segs[count-1].n += to - from
		} else {
			seg := &segs[count]
			seg.b, seg.n = pixel*nr, to-from
			for r := range seg.rows { // those past the channels are not read
				seg.rows[r] = &g.x[min(at*g.In+r, len(g.x)-1)]
			}
			count++
		}
		nextAt, nextPixel = at+(to-from)*g.Stride, pixel+to-from
	}
	return count
}
