package f32

import (
	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

// The gradient of the filter by tiles is the transposition of the convolution
// as a map of the filter:
//
//	dw = Gᵀ [Σ_tiles (A dy Aᵀ) ⊙ (Bᵀ d B)] G
//
// A task sums the tiles of one part of the rows for some channels in and out, so
// that its sums stay in the second cache, and adds blockTerms tiles to them at a
// time. The parts are a function of the shape, for they set the order of sums.
const (
	gradIn    = 32 // channels of a task
	gradOut   = 64
	gradTiles = blockTerms // at a time
	gradTasks = 8          // at least, where there are so many blocks of tiles
	// sourcePlane and gradPlane are the sizes of the planes of transformed pixels
	// of x and of a panel of dy, sumPlane of those of the sums of a panel.
	sourcePlane = gradTiles*gradIn + gap
	gradPlane   = gradTiles*nr + gap
	sumPlane    = gradIn*nr + gap
)

// A filterTiling is a call of FilterGrad by tiles; src is x and dst is dy.
type filterTiling struct {
	tiling
	dw                  []float32
	inBlocks, outBlocks int
	parts, part         int       // how many, and their tiles
	partial             []float32 // the gradients of the parts
	doUnits, doSum      func(lo, hi int)
}

var filterTilings = freelist.List[filterTiling]{New: func() *filterTiling {
	g := new(filterTiling)
	g.doUnits, g.doSum = g.units, g.sum
	return g
}}

// release lets go of the caller's arrays and makes the work free for reuse.
func (g *filterTiling) release() {
	g.src, g.dst, g.dw = nil, nil, nil
	filterTilings.Put(g)
}

// run computes the gradient.
func (g *filterTiling) run(rows int) {
	in, out := g.from.channels, g.to.channels
	g.high, g.wide = (g.to.height+side-1)/side, (g.to.width+side-1)/side
	g.tiles = rows * g.high * g.wide
	g.inBlocks, g.outBlocks = (in+gradIn-1)/gradIn, (out+gradOut-1)/gradOut
	blocks := (g.tiles + gradTiles - 1) / gradTiles
	g.parts = min((gradTasks+g.inBlocks*g.outBlocks-1)/(g.inBlocks*g.outBlocks), blocks)
	g.part = (blocks + g.parts - 1) / g.parts * gradTiles
	g.parts = (g.tiles + g.part - 1) / g.part
	if g.parts > 1 || g.beta != 0 {
		g.partial = grow(g.partial, g.parts*9*in*out)
	}
	par.Rows(g.inBlocks*g.outBlocks*g.parts, 1, g.doUnits)
	if g.parts > 1 || g.beta != 0 {
		par.Rows(9*in*out/lanes, moveGrain/lanes/g.parts, g.doSum)
	}
}

// gradScratch is the work space of a worker, all by planes.
type gradScratch struct {
	room   transformRoom
	source [points * sourcePlane]float32             // transformed x, tile by tile
	grad   [gradOut / nr][points * gradPlane]float32 // transformed dy, panel by panel, tile by tile
	sums   [gradOut / nr][points * sumPlane]float32  // panel by panel, channel by channel
}

var gradScratches = freelist.List[gradScratch]{New: func() *gradScratch { return new(gradScratch) }}

// units does the tasks from lo to hi.
func (g *filterTiling) units(lo, hi int) {
	s := gradScratches.Get()
	defer gradScratches.Put(s)
	for u := lo; u < hi; u++ {
		first, u := u%g.parts*g.part, u/g.parts
		g.unit(s, first, min(first+g.part, g.tiles), u/g.outBlocks*gradIn, u%g.outBlocks*gradOut)
	}
}

// unit sums the tiles from first to last for the channels from i and o on.
func (g *filterTiling) unit(s *gradScratch, first, last, i, o int) {
	in, out := g.from.channels, g.to.channels
	ins, outs := min(gradIn, in-i), min(gradOut, out-o)
	t := g.place(first)
	for at := first; at < last; at += gradTiles {
		tiles := min(gradTiles, last-at)
		for k := range tiles {
			g.transformSource(s.source[k*ins:], sourcePlane, t, i, ins, &s.room)
			for j := range panels(outs) {
				y := ((t.row*g.to.height+t.y)*g.to.width+t.x)*out + o + j*nr
				winogradOutputGrad(s.grad[j][k*nr:], gradPlane, g.dst, y, g.to.width*out, out, 0, g.to.height-t.y, 0, g.to.width-t.x, min(nr, outs-j*nr), &s.room)
			}
			g.next(&t)
		}
		for j := range panels(outs) {
			for p := range points {
				winogradProduct(s.sums[j][p*sumPlane:], s.source[p*sourcePlane:], 1, ins, s.grad[j][p*gradPlane:], ins, tiles, at > first)
			}
		}
	}
	dw := g.dw
	if g.parts > 1 || g.beta != 0 {
		dw = g.partial[first/g.part*9*in*out:]
	}
	for j := range panels(outs) {
		for c := range ins {
			winogradFilterGrad(dw[(i+c)*out+o+j*nr:], in*out, s.sums[j][c*nr:], sumPlane, min(nr, outs-j*nr), &s.room)
		}
	}
}

// sum adds the gradients of the parts, in their order, to β dw, for the vectors
// from lo to hi.
func (g *filterTiling) sum(lo, hi int) {
	size := 9 * g.from.channels * g.to.channels
	for i := lo * lanes; i < hi*lanes; i += lanes {
		var sum [lanes]float32
		if g.beta != 0 {
			for k, v := range g.dw[i:][:lanes] {
				sum[k] = g.beta * v
			}
		}
		for part := range g.parts {
			for k, v := range g.partial[part*size+i:][:lanes] {
				sum[k] += v
			}
		}
		*(*[lanes]float32)(g.dw[i:]) = sum
	}
}
