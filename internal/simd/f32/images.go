package f32

import (
	"runtime"

	"snrlab/internal/freelist"
)

// Images is the shape of channels-last images [Rows, Pixels, Channels] beside
// vectors [Rows, Channels], which are the same for all pixels of a row. One row,
// with the pixels of all images, is the shape beside one vector for all.
//
// A row of a result depends on that row alone, bit for bit: sums over pixels are
// in float64, in an order that is a function of Pixels and Channels.
type Images struct{ Rows, Pixels, Channels int }

// Add writes x + b into y. y may be x.
func (m Images) Add(y, x, b []float32) { m.broadcast(opAdd, y, x, b, nil, 0) }

// Mul writes x a into y. y may be x.
func (m Images) Mul(y, x, a []float32) { m.broadcast(opMul, y, x, a, nil, 0) }

// ScaleShift writes x (1 + s) + b into y. b may be nil for zeros. y may be x.
func (m Images) ScaleShift(y, x, s, b []float32) {
	if b == nil {
		m.broadcast(opMul, y, x, s, nil, 1)
		return
	}
	m.broadcast(opMulAdd, y, x, s, b, 1)
}

// ScaleShiftGrad writes the gradients of x, s and b for the gradient dy of
// ScaleShift's result: dx = dy (1 + s), ds = Σ dy x and db = Σ dy over the pixels.
// dx may be dy.
func (m Images) ScaleShiftGrad(dx, ds, db, dy, x, s []float32) {
	w := passes.Get()
	defer w.release()
	m.start(w, dx, x, s, nil)
	m.check("dy", dy)
	m.checkVectors("ds", ds)
	m.checkVectors("db", db)
	// The sums are of dy and x, and the product with 1 + s is of dy.
	w.op, w.number, w.src, w.second, w.mean, w.rstd = opMul, 1, dy, x, db, ds
	w.sweep(m, moveGrain, (*pass).blockSums, (*pass).storeSums, (*pass).broadcast)
}

// Sum writes Σ x over the pixels into sum, [Rows, Channels].
func (m Images) Sum(sum, x []float32) {
	m.check("x", x)
	m.checkVectors("sum", sum)
	w := passes.Get()
	defer w.release()
	w.images, w.src, w.second, w.mean = m, x, x, sum
	w.sweep(m, moveGrain, (*pass).blockSums, (*pass).storeSums, nil)
}

// Dot writes Σ x y over the pixels into dot, [Rows, Channels].
func (m Images) Dot(dot, x, y []float32) {
	m.check("x", x)
	m.check("y", y)
	m.checkVectors("dot", dot)
	w := passes.Get()
	defer w.release()
	w.images, w.src, w.second, w.rstd = m, x, y, dot
	w.sweep(m, moveGrain, (*pass).blockSums, (*pass).storeSums, nil)
}

func (m Images) check(name string, x []float32) {
	if m.Rows < 0 || m.Pixels < 0 || m.Channels < 1 {
		panic("f32: images need channels, and no negative number of rows or pixels")
	}
	checkLen(name, x, m.Rows, m.Pixels, m.Channels)
}

func (m Images) checkVectors(name string, x []float32) { checkLen(name, x, m.Rows, m.Channels) }

// broadcast writes f of x, of a vector plus a number, and of another vector,
// which may be nil, into y.
func (m Images) broadcast(f function, y, x, a, b []float32, plus float32) {
	w := passes.Get()
	defer w.release()
	m.start(w, y, x, a, b)
	w.op, w.number = f, plus
	w.sweep(m, moveGrain, nil, nil, (*pass).broadcast)
}

// start takes over the arrays of a broadcast. b may be nil.
func (m Images) start(w *pass, y, x, a, b []float32) {
	m.check("the result", y)
	m.check("x", x)
	m.checkVectors("the vectors", a)
	if b != nil {
		m.checkVectors("the second vectors", b)
	}
	w.images, w.dst, w.src, w.gamma, w.shift = m, y, x, a, b
}

// broadcast does one block.
func (w *pass) broadcast(r, b int) {
	m := &w.images
	p := patterns.Get()
	defer patterns.Put(p)
	vector := func(k int, x []float32, plus float32) []float32 {
		if x == nil {
			return nil
		}
		v := p.of(k, m)
		for c, x := range x[r*m.Channels : (r+1)*m.Channels] {
			v[c] = x + plus
		}
		repeat(v, m.Channels)
		return v
	}
	a, shift := vector(0, w.gamma, w.number), vector(1, w.shift, 0)
	m.chunks(r, b, len(a), func(lo, hi int) {
		if shift == nil {
			w.op.apply(w.dst[lo:hi], w.src[lo:hi], a, nil, numbers{})
		} else {
			w.op.apply(w.dst[lo:hi], w.src[lo:hi], a, shift, numbers{})
		}
	})
}

// Blocks are cut so that several processors have work when there is one row, and
// so that what one phase of a pass read is in the second cache for the next.
const (
	blockValues = 1 << 14
	leastPixels = 64 // the sums of a block take less room than the block
)

// blockPixels returns the number of pixels in a block.
func (m *Images) blockPixels() int { return max(leastPixels, blockValues/max(1, m.Channels)) }

// blocks returns the number of blocks in a row.
func (m *Images) blocks() int { return (m.Pixels + m.blockPixels() - 1) / m.blockPixels() }

// block returns where block b of row r begins and ends.
func (m *Images) block(r, b int) (lo, hi int) {
	n := m.blockPixels()
	return (r*m.Pixels + b*n) * m.Channels, (r*m.Pixels + min(m.Pixels, (b+1)*n)) * m.Channels
}

// chunks calls f for the parts of at most size values of a block.
func (m *Images) chunks(r, b, size int, f func(lo, hi int)) {
	lo, hi := m.block(r, b)
	for ; lo < hi; lo += size {
		f(lo, min(hi, lo+size))
	}
}

// sweep goes over the images in three phases, each of which may be nil: gather
// for every block, settle for every row, and spread for every block. Where there
// are rows enough for all processors, a row goes through all phases while it is
// in the cache. What is computed is the same.
func (w *pass) sweep(m Images, grain int, gather func(w *pass, r, b int), settle func(w *pass, r int), spread func(w *pass, r, b int)) {
	w.images, w.gather, w.settle, w.spread = m, gather, settle, spread
	if gather != nil {
		w.sums = grow64(w.sums, 2*m.Rows*max(1, m.blocks())*m.Channels)
	}
	if m.Rows >= 2*runtime.GOMAXPROCS(0) {
		w.split(m.Rows, grain/max(1, m.Pixels*m.Channels), (*pass).sweepRows)
		return
	}
	tasks := m.Rows * m.blocks()
	grain /= min(max(1, m.Pixels), m.blockPixels()) * m.Channels
	if gather != nil {
		w.split(tasks, grain, (*pass).gatherBlocks)
	}
	if settle != nil {
		for r := range m.Rows {
			settle(w, r)
		}
	}
	if spread != nil {
		w.split(tasks, grain, (*pass).spreadBlocks)
	}
}

func (w *pass) sweepRows(lo, hi int) {
	blocks := w.images.blocks()
	for r := lo; r < hi; r++ {
		if w.gather != nil {
			w.gatherBlocks(r*blocks, (r+1)*blocks)
		}
		if w.settle != nil {
			w.settle(w, r)
		}
		if w.spread != nil {
			w.spreadBlocks(r*blocks, (r+1)*blocks)
		}
	}
}

func (w *pass) gatherBlocks(lo, hi int) {
	blocks := w.images.blocks()
	for t := lo; t < hi; t++ {
		w.gather(w, t/blocks, t%blocks)
	}
}

func (w *pass) spreadBlocks(lo, hi int) {
	blocks := w.images.blocks()
	for t := lo; t < hi; t++ {
		w.spread(w, t/blocks, t%blocks)
	}
}

// blockSums sums a block of src, and of its product with second.
func (w *pass) blockSums(r, b int) {
	m := &w.images
	lo, hi := m.block(r, b)
	sum, product := w.channelSums(r, b)
	channelSums(sum, product, w.src[lo:hi], w.second[lo:hi])
}

// channelSums returns the room for the sums of a block; that of block 0 becomes
// that of the row.
func (w *pass) channelSums(r, b int) (sum, product []float64) {
	n := w.images.Channels
	at := w.sums[2*(r*max(1, w.images.blocks())+b)*n:]
	return at[:n:n], at[n : 2*n]
}

// rowSums adds the sums of the blocks of row r, in their order.
func (w *pass) rowSums(r int) (sum, product []float64) {
	sum, product = w.channelSums(r, 0)
	if w.images.Pixels == 0 {
		clear(sum)
		clear(product)
	}
	for b := 1; b < w.images.blocks(); b++ {
		s, p := w.channelSums(r, b)
		for c := range s {
			sum[c] += s[c]
			product[c] += p[c]
		}
	}
	return sum, product
}

// storeSums writes the sums of row r into mean and rstd, where they are not nil.
func (w *pass) storeSums(r int) {
	sum, product := w.rowSums(r)
	store := func(dst []float32, sums []float64) {
		if dst != nil {
			for c, v := range sums {
				dst[r*len(sums)+c] = float32(v)
			}
		}
	}
	store(w.mean, sum)
	store(w.rstd, product)
}

// channelSums writes the sums of the pixels of x and of x·y into sum and product,
// which have a value for every channel. x and y hold whole pixels.
func channelSums(sum, product []float64, x, y []float32) {
	channels := len(sum)
	pixels := len(x) / channels
	var s, q [momentWidth]float64
	if channels >= momentWidth && pixels > 0 {
		for c := 0; c < channels; c += momentWidth {
			from := min(c, channels-momentWidth) // the last ones overlap
			moments(&s, &q, momentWidth, x[from:], y[from:], channels, pixels)
			copy(sum[from:], s[:])
			copy(product[from:], q[:])
		}
		return
	}
	clear(sum)
	clear(product)
	// The values of momentWidth pixels are as many groups of momentWidth values as
	// there are channels.
	rounds := pixels / momentWidth
	for v := 0; v < channels && rounds > 0; v++ {
		moments(&s, &q, momentWidth, x[v*momentWidth:], y[v*momentWidth:], channels*momentWidth, rounds)
		for i := range s {
			c := (v*momentWidth + i) % channels
			sum[c] += s[i]
			product[c] += q[i]
		}
	}
	for i := rounds * momentWidth * channels; i < pixels*channels; i++ {
		sum[i%channels] += float64(x[i])
		product[i%channels] += float64(x[i]) * float64(y[i])
	}
}

// A pattern holds vectors of a value for every channel, repeated for some pixels,
// so that elementwise functions of a few channels see long arrays.
type pattern struct{ vectors [3][]float32 }

var patterns = freelist.List[pattern]{New: func() *pattern { return new(pattern) }}

// of returns vector k, for as many pixels as take some hundred values.
func (p *pattern) of(k int, m *Images) []float32 {
	const values = 512
	pixels := max(1, min(m.Pixels, values/m.Channels))
	p.vectors[k] = grow(p.vectors[k], pixels*m.Channels)
	return p.vectors[k]
}

// repeat fills x with copies of its first n values.
func repeat(x []float32, n int) {
	for n < len(x) {
		n += copy(x[n:], x[:n])
	}
}
