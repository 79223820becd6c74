package f32

import (
	"runtime"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

// Filters of 3×3 with stride 1 go by the algorithm of Winograd, F(4×4, 3×3) of
// Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016): a
// tile of 4×4 output pixels y comes from 6×6 source pixels d and the filter g as
//
//	y = Aᵀ [Σ_c (G g Gᵀ) ⊙ (Bᵀ d B)] A
//
// with 36 products for what takes 144. It evaluates polynomials at the points 0,
// ±p, ±q and ∞. The usual points, ±1 and ±2, leave ten times the rounding error
// of the direct sum; of the pairs of small fractions p = 5/8 and q = 3/2 leave
// least, with the sums over channels cut into blocks of blockTerms: 2 to 2.5
// times the direct sum's. The matrices are, with P = p² and Q = q²,
//
//	     ⎡ PQ  0    −P−Q  0    1  0 ⎤      ⎡ 1/PQ  0     0    ⎤      ⎡ 1  1  1   1  1   0 ⎤
//	     ⎢ 0   −pQ  −Q    p    1  0 ⎥      ⎢ 1/n   p/n   P/n  ⎥ Aᵀ = ⎢ 0  p  −p  q  −q  0 ⎥
//	Bᵀ = ⎢ 0   pQ   −Q    −p   1  0 ⎥  G = ⎢ 1/n   −p/n  P/n  ⎥      ⎢ 0  P  P   Q  Q   0 ⎥
//	     ⎢ 0   −qP  −P    q    1  0 ⎥      ⎢ 1/m   q/m   Q/m  ⎥      ⎣ 0  p³ −p³ q³ −q³ 1 ⎦
//	     ⎢ 0   qP   −P    −q   1  0 ⎥      ⎢ 1/m   −q/m  Q/m  ⎥
//	     ⎣ 0   PQ   0     −P−Q 0  1 ⎦      ⎣ 0     0     1    ⎦    n = 2P(P−Q), m = 2Q(Q−P)
//
// A NaN or an infinity in a source pixel spreads over the tiles that see it.
const (
	pointP, pointQ = 0.625, 1.5
	blockTerms     = 32 // of a sum between two visits to its total
	side           = 4  // of a tile of output pixels
	sight          = 6  // of the source pixels it sees
	points         = sight * sight
)

// winogradPays reports whether the convolution of from into to goes by tiles:
// the channels fill vectors, and tiles that reach beyond the image leave at
// least half of the gain. It must not ask for the number of rows, lest a row's
// bits depend on it.
func (c Conv) winogradPays(from, to grid) bool {
	tiles := (to.height + side - 1) / side * ((to.width + side - 1) / side)
	return c.KernelHeight == 3 && c.KernelWidth == 3 && c.Stride == 1 &&
		from.channels%lanes == 0 && from.channels >= 2*lanes && to.channels%lanes == 0 &&
		2*points*tiles <= 9*to.height*to.width
}

const (
	lanes = 8
	// chunk is the number of channels whose transforms lie together: those of a
	// panel of the filter, 150 KB, stay in the second cache.
	chunk = 64
	// gap keeps the planes of a transform from the same sets of the first cache.
	gap = 16
	// A task has taskTiles tiles, for the sake of the filter that is read or
	// transformed for it, or more where seen transformed source values, a quarter
	// of the second cache, are more.
	taskTiles = 32
	seen      = 1 << 16
	// filterPlane and filterChunk are the sizes of a plane of a transformed
	// panel and of all of them.
	filterPlane = chunk*nr + gap
	filterChunk = points * filterPlane
)

// A tiling is a convolution by tiles.
type tiling struct {
	src, dst, w []float32
	from, to    grid
	top, left   int       // zeros around the source
	across      bool      // w is [taps, out, in], and is turned upside down
	bias        []float32 // of all rows or of each, biasStep values apart
	biasStep    int
	biasRoom    []float32
	add         []float32 // an image like dst, times beta
	beta        float32

	high, wide int // tiles of an image
	tiles      int // of all rows
	block      int // tiles in a task
	chunks     int // of the source channels
	cols       int // panels in a task
	colTasks   int
	filter     []float32 // transformed, panel by panel, chunk by chunk
	stored     bool      // the filter is: else each task transforms what it needs
	doTasks    func(lo, hi int)
	doFilter   func(lo, hi int)
}

var tilings = freelist.List[tiling]{New: func() *tiling {
	g := new(tiling)
	g.doTasks, g.doFilter = g.tasks, g.filters
	return g
}}

// release lets go of the caller's arrays and makes the tiling free for reuse.
func (g *tiling) release() {
	g.src, g.dst, g.w, g.bias, g.add = nil, nil, nil, nil, nil
	tilings.Put(g)
}

// transformRoom is the work space of a transform: a square of vectors, and of
// addresses.
type transformRoom = [points*lanes + points*2]float32

// tileScratch is the work space of a worker.
type tileScratch struct {
	room     transformRoom
	source   []float32 // transformed, chunk by chunk, plane by plane, tile by tile
	filter   []float32 // transformed, a chunk
	taps     []float32 // of the filter, a chunk
	products []float32 // plane by plane, tile by tile
}

var tileScratches = freelist.List[tileScratch]{New: func() *tileScratch { return new(tileScratch) }}

// setBias sets the bias, the sum of two.
func (g *tiling) setBias(rows int, bias, rowBias []float32) {
	out := g.to.channels
	switch {
	case rowBias == nil:
		g.bias, g.biasStep = bias, 0
	case bias == nil:
		g.bias, g.biasStep = rowBias, out
	default:
		g.biasRoom = grow(g.biasRoom, rows*out)
		for i := range g.biasRoom {
			g.biasRoom[i] = bias[i%out] + rowBias[i]
		}
		g.bias, g.biasStep = g.biasRoom, out
	}
}

// run computes the convolution of rows images.
func (g *tiling) run(rows int) {
	in, out := g.from.channels, g.to.channels
	g.high, g.wide = (g.to.height+side-1)/side, (g.to.width+side-1)/side
	g.tiles = rows * g.high * g.wide
	g.chunks = (in + chunk - 1) / chunk
	procs := runtime.GOMAXPROCS(0)
	most := max(taskTiles, seen/(points*in))
	blocks := (g.tiles + most - 1) / most
	g.colTasks = 1
	if blocks > 1 {
		blocks = (blocks + procs - 1) / procs * procs
	} else {
		g.colTasks = min(procs, panels(out))
	}
	g.block = (g.tiles + blocks - 1) / blocks
	blocks = (g.tiles + g.block - 1) / g.block
	g.cols = (panels(out) + g.colTasks - 1) / g.colTasks
	g.colTasks = (panels(out) + g.cols - 1) / g.cols
	if g.stored = blocks > 2*procs; g.stored { // transforming it anew would cost more
		g.filter = grow(g.filter, panels(out)*g.chunks*filterChunk)
		par.Rows(panels(out)*g.chunks, 1, g.doFilter)
	}
	flops := 2 * points * g.block * in * g.cols * nr
	par.Rows(blocks*g.colTasks, max(1, flopGrain/flops), g.doTasks)
}

// filters transforms the chunks of the filter from lo to hi.
func (g *tiling) filters(lo, hi int) {
	s := tileScratches.Get()
	defer tileScratches.Put(s)
	for i := lo; i < hi; i++ {
		g.transformFilter(s, g.filter[i*filterChunk:][:filterChunk], i/g.chunks, i%g.chunks)
	}
}

// transformFilter writes the transform of chunk c of panel j of the filter.
func (g *tiling) transformFilter(s *tileScratch, dst []float32, j, c int) {
	const taps = 9
	in, out := g.from.channels, g.to.channels
	first := c * chunk
	n, cols := min(chunk, in-first), min(nr, out-j*nr)
	if !g.across && cols == nr {
		winogradFilter(dst, filterPlane, g.w[first*out+j*nr:], in*out, nr, out, n*nr, &s.room)
		return
	}
	s.taps = grow(s.taps, taps*chunk*nr)
	for t := range taps {
		if g.across {
			packColumns(s.taps[(taps-1-t)*chunk*nr:], g.w[(t*out+j*nr)*in+first:], in, cols, n)
		} else {
			packRows(s.taps[t*chunk*nr:], g.w[(t*in+first)*out+j*nr:], out, cols, n)
		}
	}
	winogradFilter(dst, filterPlane, s.taps, chunk*nr, nr, nr, n*nr, &s.room)
}

// tasks does the tasks from lo to hi, those with the same tiles as one.
func (g *tiling) tasks(lo, hi int) {
	s := tileScratches.Get()
	defer tileScratches.Put(s)
	for t := lo; t < hi; {
		block := t / g.colTasks
		end := min(hi, (block+1)*g.colTasks)
		first := block * g.block
		g.task(s, first, min(first+g.block, g.tiles), t%g.colTasks*g.cols, min((end-block*g.colTasks)*g.cols, panels(g.to.channels)))
		t = end
	}
}

// task computes the tiles from first to last and the panels from lo to hi.
func (g *tiling) task(s *tileScratch, first, last, lo, hi int) {
	in, out := g.from.channels, g.to.channels
	tiles := last - first
	plane := g.block*chunk + gap
	s.source = grow(s.source, g.chunks*points*plane)
	for i, t := first, g.place(first); i < last; i++ {
		for c := range g.chunks {
			n := min(chunk, in-c*chunk)
			g.transformSource(s.source[c*points*plane+(i-first)*n:], plane, t, c*chunk, n, &s.room)
		}
		g.next(&t)
	}
	product := g.block*nr + gap
	s.products = grow(s.products, points*product)
	for j := lo; j < hi; j++ {
		for c := range g.chunks {
			n := min(chunk, in-c*chunk)
			var filter []float32
			if g.stored {
				filter = g.filter[(j*g.chunks+c)*filterChunk:]
			} else {
				s.filter = grow(s.filter, filterChunk)
				filter = s.filter
				g.transformFilter(s, filter, j, c)
			}
			for p := range points {
				winogradProduct(s.products[p*product:], s.source[(c*points+p)*plane:], n, 1, filter[p*filterPlane:], tiles, n, c > 0)
			}
		}
		for i, t := first, g.place(first); i < last; i++ {
			at := ((t.row*g.to.height+t.y)*g.to.width+t.x)*out + j*nr
			bias, add := zeros[:], []float32(nil)
			if g.bias != nil {
				bias = g.bias[t.row*g.biasStep+j*nr:]
			}
			if g.beta != 0 {
				add = g.add[at:]
			}
			winogradOutput(g.dst[at:], g.to.width*out, out, min(side, g.to.height-t.y), min(side, g.to.width-t.x),
				s.products[(i-first)*nr:], product, min(nr, out-j*nr), bias, add, g.beta, &s.room)
			g.next(&t)
		}
	}
}

// A corner is the first output pixel of a tile.
type corner struct{ row, y, x int }

// place returns the corner of tile i.
func (g *tiling) place(i int) corner {
	row, i := i/(g.high*g.wide), i%(g.high*g.wide)
	return corner{row, i / g.wide * side, i % g.wide * side}
}

// next moves t to that of the next tile.
func (g *tiling) next(t *corner) {
	if t.x += side; t.x >= g.to.width {
		t.x = 0
		if t.y += side; t.y >= g.to.height {
			t.y = 0
			t.row++
		}
	}
}

// transformSource writes the transform of n channels, from channel c on, of the
// source pixels that t sees into dst.
func (g *tiling) transformSource(dst []float32, plane int, t corner, c, n int, room *transformRoom) {
	y, x := t.y-g.top, t.x-g.left
	at := ((t.row*g.from.height+y)*g.from.width+x)*g.from.channels + c
	winogradInput(dst, plane, g.src, at, g.from.width*g.from.channels, g.from.channels, -y, g.from.height-y, -x, g.from.width-x, n, room)
}
