package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"snrlab/internal/simd/emit"
)

// As in package f32: the points of the transforms and the terms of a sum that
// are added to it at a time.
const (
	pointP, pointQ = 0.625, 1.5
	blockTerms     = 32
)

func winograd() {
	winogradProduct()
	winogradInput()
	winogradFilter()
	winogradOutput()
	winogradOutputGrad()
	winogradFilterGrad()
}

// held are the constants that a kernel keeps in registers.
var held map[float64]VecVirtual

// hold loads constants for the rest of a kernel.
func hold(constants ...float64) {
	held = map[float64]VecVirtual{}
	for _, c := range constants {
		held[c] = YMM()
		VMOVUPS(constant(c), held[c])
	}
}

// factor returns a constant, in a register if it is held.
func factor(c float64) Op {
	if v, ok := held[c]; ok {
		return v
	}
	return constant(c)
}

// addTo adds c·x to y.
func addTo(y, x VecVirtual, c float64) {
	switch {
	case c == 1:
		VADDPS(x, y, y)
	case c < 0:
		VFNMADD231PS(factor(-c), x, y)
	default:
		VFMADD231PS(factor(c), x, y)
	}
}

// linear returns Σ c[i]·x[i].
func linear(c []float64, x ...VecVirtual) VecVirtual {
	y := YMM()
	if c[0] == 1 {
		VMOVAPS(x[0], y)
	} else {
		VMULPS(factor(c[0]), x[0], y)
	}
	for i, v := range x[1:] {
		addTo(y, v, c[1+i])
	}
	return y
}

// plusMinus returns a ± c·b, the second in place of a unless c is 1.
func plusMinus(a, b VecVirtual, c float64) (plus, minus VecVirtual) {
	plus = YMM()
	if c == 1 {
		minus = YMM()
		VADDPS(b, a, plus)
		VSUBPS(b, a, minus)
		return plus, minus
	}
	VMOVAPS(a, plus)
	addTo(plus, b, c)
	addTo(a, b, -c)
	return plus, a
}

// A transform is one dimension of a transform of tiles. It hands its results on
// as they come.
type transform func(x []VecVirtual, result func(i int, v VecVirtual))

// The matrices of package f32 in terms of these.
const (
	squareP, squareQ = pointP * pointP, pointQ * pointQ
	cubeP, cubeQ     = pointP * squareP, pointQ * squareQ
	product, total   = squareP * squareQ, squareP + squareQ
	normP            = 2 * squareP * (squareP - squareQ)
	normQ            = 2 * squareQ * (squareQ - squareP)
)

// pairs hands on e ± o for the points ±p and ±q.
func pairs(result func(i int, v VecVirtual), i int, e, o VecVirtual, c float64) {
	plus, minus := plusMinus(e, o, c)
	result(i, plus)
	result(i+1, minus)
}

// inputTransform is Bᵀ.
func inputTransform(d []VecVirtual, result func(i int, v VecVirtual)) {
	pairs(result, 1, linear([]float64{1, -squareQ}, d[4], d[2]), linear([]float64{1, -squareQ}, d[3], d[1]), pointP)
	pairs(result, 3, linear([]float64{1, -squareP}, d[4], d[2]), linear([]float64{1, -squareP}, d[3], d[1]), pointQ)
	for i := range 2 {
		addTo(d[4+i], d[2+i], -total)
		addTo(d[4+i], d[i], product)
		result(5*i, d[4+i])
	}
}

// filterTransform is G.
func filterTransform(g []VecVirtual, result func(i int, v VecVirtual)) {
	pairs(result, 1, linear([]float64{1 / normP, squareP / normP}, g[0], g[2]), g[1], pointP/normP)
	pairs(result, 3, linear([]float64{1 / normQ, squareQ / normQ}, g[0], g[2]), g[1], pointQ/normQ)
	result(0, linear([]float64{1 / product}, g[0]))
	result(5, g[2])
}

// outputTransform is Aᵀ.
func outputTransform(m []VecVirtual, result func(i int, v VecVirtual)) {
	sp, dp := plusMinus(m[1], m[2], 1)
	sq, dq := plusMinus(m[3], m[4], 1)
	result(0, linear([]float64{1, 1, 1}, m[0], sp, sq))
	result(1, linear([]float64{pointP, pointQ}, dp, dq))
	result(2, linear([]float64{squareP, squareQ}, sp, sq))
	result(3, linear([]float64{1, cubeP, cubeQ}, m[5], dp, dq))
}

// outputGradTransform is A.
func outputGradTransform(y []VecVirtual, result func(i int, v VecVirtual)) {
	pairs(result, 1, linear([]float64{1, squareP}, y[0], y[2]), linear([]float64{pointP, cubeP}, y[1], y[3]), 1)
	pairs(result, 3, linear([]float64{1, squareQ}, y[0], y[2]), linear([]float64{pointQ, cubeQ}, y[1], y[3]), 1)
	result(0, y[0])
	result(5, y[3])
}

// filterGradTransform is Gᵀ.
func filterGradTransform(u []VecVirtual, result func(i int, v VecVirtual)) {
	sp, dp := plusMinus(u[1], u[2], 1)
	sq, dq := plusMinus(u[3], u[4], 1)
	result(0, linear([]float64{1 / product, 1 / normP, 1 / normQ}, u[0], sp, sq))
	result(1, linear([]float64{pointP / normP, pointQ / normQ}, dp, dq))
	result(2, linear([]float64{1, squareP / normP, squareQ / normQ}, u[5], sp, sq))
}

// Work space of a kernel: a square of vectors, and pointers to pixels.
const (
	roomPixels = points * lanes * size
	roomSize   = points*lanes + points*2
	sight      = 6
	points     = sight * sight
)

// twice applies f to the columns of an in×in square that load reads, and then
// to the out rows of what that gives; store gets the results.
func twice(room Mem, in, out int, f transform, load func(i, j int, v VecVirtual), store func(i, j int, v VecVirtual)) {
	const vector = lanes * size
	for j := range in {
		v := emit.Vectors(in)
		for i := range v {
			load(i, j, v[i])
		}
		f(v, func(i int, v VecVirtual) { VMOVUPS(v, room.Offset((i*in+j)*vector)) })
	}
	for i := range out {
		v := emit.Vectors(in)
		for j := range v {
			VMOVUPS(room.Offset((i*in+j)*vector), v[j])
		}
		f(v, func(j int, v VecVirtual) { store(i, j, v) })
	}
}

// A walk addresses places of a matrix, the columns of a row by column bytes.
type walk struct {
	low, high   Mem // the first and the fourth column
	column, row Register
}

// newWalk begins at the first row of p.
func newWalk(p Mem, columns int, column, row Register) walk {
	w := walk{low: Mem{Base: GP64()}, high: Mem{Base: GP64()}, column: column, row: row}
	MOVQ(p.Base, w.low.Base)
	if columns > 3 {
		LEAQ(w.low.Idx(column, 2), w.high.Base)
		ADDQ(column, w.high.Base)
	}
	return w
}

// next goes to the next row.
func (w walk) next(columns int) {
	ADDQ(w.row, w.low.Base)
	if columns > 3 {
		ADDQ(w.row, w.high.Base)
	}
}

func (w walk) at(j int) Mem {
	base := w.low
	if j >= 3 {
		base = w.high
	}
	if j%3 == 0 {
		return base
	}
	return base.Idx(w.column, uint8(j%3))
}

// times returns n·x.
func times(n int, x Register) Register {
	y := GP64()
	IMUL3Q(U8(n), x, y)
	return y
}

// scatter emits a kernel that reads a square of pixels, zeros beside the image,
// and writes the transform into planes.
func scatter(name, doc string, pixels int, f transform, constants ...float64) {
	emit.Kernel(name, fmt.Sprintf("func(dst *float32, stride int, src *float32, at, row, pixel, top, bottom, left, right, n int, none *float32, room *[%d]float32)", roomSize), doc)
	table := emit.Pointer("room").Offset(roomPixels)
	func() { // the addresses of the pixels
		line, at := emit.Pointer("src"), emit.Integer("at")
		LEAQ(line.Idx(at, size), line.Base)
		row, pixel := emit.Integer("row"), emit.Integer("pixel")
		SHLQ(U8(2), row)
		SHLQ(U8(2), pixel)
		none := emit.Pointer("none").Base
		beyond := GP64()
		MOVQ(U32(pixels), beyond)
		for u := range pixels {
			left, right := emit.Integer("left"), emit.Integer("right")
			bound := emit.Integer("top")
			CMPQ(bound, U8(u))
			CMOVQGT(beyond, left)
			Load(Param("bottom"), bound)
			CMPQ(bound, U8(u))
			CMOVQLE(beyond, left)
			p, to := GP64(), GP64()
			MOVQ(line.Base, p)
			for v := range pixels {
				MOVQ(p, to)
				CMPQ(left, U8(v))
				CMOVQGT(none, to)
				CMPQ(right, U8(v))
				CMOVQLE(none, to)
				MOVQ(to, table.Offset(8*(u*pixels+v)))
				ADDQ(pixel, p)
			}
			ADDQ(row, line.Base)
		}
	}()
	hold(constants...)
	dst, stride, n, room := emit.Pointer("dst"), emit.Integer("stride"), emit.Integer("n"), emit.Pointer("room")
	SHLQ(U8(2), stride)
	step, at := times(sight, stride), GP64()
	XORQ(at, at)
	// Tiles follow each other along a line: the pixels of the one after the next
	// come into the cache meanwhile.
	ahead := emit.Integer("pixel")
	SHLQ(U8(5), ahead)
	Label("channels")
	p := Mem{Base: GP64()}
	twice(room, pixels, sight, f,
		func(i, j int, v VecVirtual) {
			MOVQ(room.Offset(roomPixels+8*(i*pixels+j)), p.Base)
			VMOVUPS(p.Idx(at, 1), v)
			if j < 4 {
				ADDQ(ahead, p.Base)
				PREFETCHT0(p.Idx(at, 1))
			}
		},
		rows(dst, sight, stride, step))
	ADDQ(U8(lanes*size), dst.Base)
	ADDQ(U8(lanes*size), at)
	SUBQ(U8(lanes), n)
	JG(LabelRef("channels"))
	emit.Done()
}

func winogradInput() {
	scatter("winogradInputAVX2", "winogradInputAVX2 is winogradInput with AVX2 and FMA.", sight, inputTransform,
		pointP, pointQ, squareP, squareQ, product, total)
}

func winogradOutputGrad() {
	scatter("winogradOutputGradAVX2", "winogradOutputGradAVX2 is winogradOutputGrad with AVX2 and FMA.", 4, outputGradTransform,
		pointP, pointQ, squareP, squareQ, cubeP, cubeQ)
}

// columns returns a function that loads from planes stride bytes apart, column
// after column of an in×in square, and says from where.
func columns(p Mem, in int, stride Register) func(i, j int, v VecVirtual) Mem {
	step := times(in, stride)
	var from walk
	return func(i, j int, v VecVirtual) Mem {
		if i == 0 && j == 0 {
			from = newWalk(p, in, step, stride)
		} else if i == 0 {
			from.next(in)
		}
		VMOVUPS(from.at(i), v)
		return from.at(i)
	}
}

// rows returns a function that stores into planes stride bytes apart, row after
// row of a square of out columns; step is out times stride.
func rows(p Mem, out int, stride, step Register) func(i, j int, v VecVirtual) {
	var to walk
	row := -1
	return func(i, j int, v VecVirtual) {
		if row < 0 {
			to = newWalk(p, out, stride, step)
		} else if i > row {
			to.next(out)
		}
		row = i
		VMOVUPS(v, to.at(j))
	}
}

// winogradFilter emits the transform of taps, which lie in runs of values as
// rows of a matrix do. Those of the run after the next come into the cache
// meanwhile.
func winogradFilter() {
	const taps = 3
	emit.Kernel("winogradFilterAVX2", fmt.Sprintf("func(dst *float32, stride int, src *float32, ld, run, row, n int, room *[%d]float32)", roomSize),
		"winogradFilterAVX2 is winogradFilter with AVX2 and FMA.")
	dst, stride, src := emit.Pointer("dst"), emit.Integer("stride"), emit.Pointer("src")
	ld, n, room := emit.Integer("ld"), emit.Integer("n"), emit.Pointer("room")
	SHLQ(U8(2), stride)
	SHLQ(U8(2), ld)
	step := times(sight, stride)
	hold(-pointP/normP, pointQ/normQ, -squareP/normP, squareQ/normQ, 1/normP, 1/normQ, 1/product)
	load := columns(src, taps, ld)
	ahead := Mem{Base: GP64()}
	row, left := GP64(), GP64()
	Load(Param("run"), left)
	Label("values")
	Load(Param("row"), row)
	SHLQ(U8(3), row)
	twice(room, taps, sight, filterTransform, func(i, j int, v VecVirtual) {
		LEAQ(load(i, j, v), ahead.Base)
		PREFETCHT0(ahead.Idx(row, 1))
	}, rows(dst, sight, stride, step))
	ADDQ(U8(lanes*size), dst.Base)
	ADDQ(U8(lanes*size), src.Base)
	SUBQ(U8(lanes), left)
	JNZ(LabelRef("same"))
	// On to the next run.
	Load(Param("run"), left)
	SHRQ(U8(1), row)
	ADDQ(row, src.Base)
	MOVQ(left, row)
	SHLQ(U8(2), row)
	SUBQ(row, src.Base)
	Label("same")
	SUBQ(U8(lanes), n)
	JG(LabelRef("values"))
	emit.Done()
}

// winogradFilterGrad emits the transform of sums into taps.
func winogradFilterGrad() {
	const taps = 3
	emit.Kernel("winogradFilterGradAVX2", fmt.Sprintf("func(dst *float32, stride int, src *float32, ld, n int, room *[%d]float32)", roomSize),
		"winogradFilterGradAVX2 is winogradFilterGrad with AVX2 and FMA.")
	dst, stride, src := emit.Pointer("dst"), emit.Integer("stride"), emit.Pointer("src")
	ld, n, room := emit.Integer("ld"), emit.Integer("n"), emit.Pointer("room")
	SHLQ(U8(2), stride)
	SHLQ(U8(2), ld)
	step := times(taps, stride)
	hold(1/product, -1/normP, 1/normQ, pointP/normP, pointQ/normQ, -squareP/normP, squareQ/normQ)
	load := columns(src, sight, ld)
	Label("values")
	twice(room, sight, taps, filterGradTransform,
		func(i, j int, v VecVirtual) { load(i, j, v) }, rows(dst, taps, stride, step))
	ADDQ(U8(lanes*size), dst.Base)
	ADDQ(U8(lanes*size), src.Base)
	SUBQ(U8(lanes), n)
	JG(LabelRef("values"))
	emit.Done()
}

// winogradOutput emits the transform of products into at most 4×4 pixels.
func winogradOutput() {
	const side = 4
	emit.Kernel("winogradOutputAVX2", fmt.Sprintf("func(c *float32, row, pixel, height, width int, m *float32, stride, n int, bias, d *float32, beta float32, room *[%d]float32)", roomSize),
		"winogradOutputAVX2 is winogradOutput with AVX2 and FMA.")
	c, d, bias, m, room := emit.Pointer("c"), emit.Pointer("d"), emit.Pointer("bias"), emit.Pointer("m"), emit.Pointer("room")
	stride, n := emit.Integer("stride"), emit.Integer("n")
	height, width := emit.Integer("height"), emit.Integer("width")
	SHLQ(U8(2), stride)
	SUBQ(c.Base, d.Base) // from here on the way from c
	hold(pointP, pointQ, squareP, squareQ, cubeP, cubeQ)
	beta, update := broadcast("beta"), GP32()
	VMOVD(beta.AsX(), update)
	ADDL(update, update) // 0 for 0 and −0
	load := columns(m, sight, stride)
	at, step := Mem{Base: GP64()}, GP64()
	ahead := emit.Integer("pixel") // the next tile
	SHLQ(U8(4), ahead)
	Label("channels")
	twice(room, sight, side, outputTransform, func(i, j int, v VecVirtual) { load(i, j, v) },
		func(i, j int, v VecVirtual) {
			next := fmt.Sprintf("next%d", i)
			switch {
			case i == 0 && j == 0:
				MOVQ(c.Base, at.Base)
			case j == 0:
				CMPQ(height, U8(i))
				JLE(LabelRef("stored"))
				Load(Param("row"), step)
				IMUL3Q(U8(i), step, step)
				LEAQ(c.Idx(step, size), at.Base)
			default:
				CMPQ(width, U8(j))
				JLE(LabelRef(next))
				Load(Param("pixel"), step)
				LEAQ(at.Idx(step, size), at.Base)
			}
			PREFETCHT0(at.Idx(ahead, 1))
			VADDPS(bias, v, v)
			store := fmt.Sprintf("store%d%d", i, j)
			TESTL(update, update)
			JZ(LabelRef(store))
			VFMADD231PS(at.Idx(d.Base, 1), beta, v)
			Label(store)
			VMOVUPS(v, at)
			if j == side-1 {
				Label(next)
			}
		})
	Label("stored")
	for _, p := range []Mem{c, m, bias} {
		ADDQ(U8(lanes*size), p.Base)
	}
	SUBQ(U8(lanes), n)
	JG(LabelRef("channels"))
	emit.Done()
}

// winogradProduct emits the product of rows with a panel. A sum is cut into
// blocks that are added to C, for the sake of its rounding error.
func winogradProduct() {
	emit.Kernel("winogradProductAVX2", "func(c, a *float32, lda, sa int, b *float32, rows, k int, add bool)",
		"winogradProductAVX2 is winogradProduct with AVX2 and FMA.")
	c, a, b := emit.Pointer("c"), emit.Pointer("a"), Mem{Base: GP64()}
	lda, sa, rows := emit.Integer("lda"), emit.Integer("sa"), emit.Integer("rows")
	SHLQ(U8(2), lda)
	SHLQ(U8(2), sa)
	a3, k, n := Mem{Base: GP64()}, GP64(), GP64()
	add, ahead := GP64(), Mem{Base: GP64()}
	Label("tile")
	for i := range mr {
		PREFETCHT0(c.Offset(i * nr * size))
	}
	LEAQ(a.Idx(lda, 2), a3.Base)
	ADDQ(lda, a3.Base)
	LEAQ(a3.Idx(lda, 2), ahead.Base)
	ADDQ(lda, ahead.Base)
	Load(Param("b"), b.Base)
	Load(Param("k"), k)
	Load(Param("add"), add)
	for r := 1; r < mr; r++ {
		CMPQ(rows, U8(r))
		JEQ(LabelRef(fmt.Sprintf("block%d", r)))
	}
	for r := mr; r > 0; r-- {
		label := func(name string) string { return fmt.Sprintf("%s%d", name, r) }
		Label(label("block"))
		acc := emit.Vectors(2 * r)
		for _, v := range acc {
			VXORPS(v, v, v)
		}
		MOVQ(U32(blockTerms), n)
		CMPQ(k, n)
		CMOVQLT(k, n)
		SUBQ(n, k)
		Label(label("p"))
		if r == mr { // the next rows, which follow where rows are contiguous
			PREFETCHT0(ahead)
			ADDQ(U8(mr*size), ahead.Base)
		}
		bv, av := emit.Vectors(2), YMM()
		for j := range bv {
			VMOVUPS(b.Offset(j*lanes*size), bv[j])
		}
		for i := range r {
			base := a
			if i >= 3 {
				base = a3
			}
			if i%3 == 0 {
				VBROADCASTSS(base, av)
			} else {
				VBROADCASTSS(base.Idx(lda, uint8(i%3)), av)
			}
			for j := range bv {
				VFMADD231PS(av, bv[j], acc[2*i+j])
			}
		}
		ADDQ(sa, a.Base)
		ADDQ(sa, a3.Base)
		ADDQ(U8(nr*size), b.Base)
		DECQ(n)
		JNZ(LabelRef(label("p")))
		TESTQ(add, add)
		JZ(LabelRef(label("store")))
		for i, v := range acc {
			VADDPS(c.Offset(i*lanes*size), v, v)
		}
		Label(label("store"))
		for i, v := range acc {
			VMOVUPS(v, c.Offset(i*lanes*size))
		}
		MOVQ(U32(1), add)
		TESTQ(k, k)
		JNZ(LabelRef(label("block")))
		if r == mr {
			SUBQ(U8(mr), rows)
			JZ(LabelRef("done"))
			// From the end of the first row back to its head, and on to the seventh.
			Load(Param("k"), k)
			IMULQ(sa, k)
			SUBQ(k, a.Base)
			LEAQ(a.Idx(lda, 4), a.Base)
			LEAQ(a.Idx(lda, 2), a.Base)
			ADDQ(U32(mr*nr*size), c.Base)
			JMP(LabelRef("tile"))
			continue
		}
		emit.Done()
	}
	Label("done")
	emit.Done()
}
