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

// linear returns Σ c[i]·x[i], the terms with c = 0 left out.
func linear(c []float64, x ...VecVirtual) VecVirtual {
	y := YMM()
	begun := false
	for i, v := range c {
		switch {
		case v == 0:
		case !begun && v == 1:
			VMOVAPS(x[i], y)
			begun = true
		case !begun:
			VMULPS(constant(v), x[i], y)
			begun = true
		case v == 1:
			VADDPS(x[i], y, y)
		default:
			VFMADD231PS(constant(v), x[i], y)
		}
	}
	return y
}

// plusMinus returns a ± c·b.
func plusMinus(a, b VecVirtual, c float64) (plus, minus VecVirtual) {
	plus, minus = YMM(), YMM()
	if c == 1 {
		VADDPS(b, a, plus)
		VSUBPS(b, a, minus)
		return plus, minus
	}
	VMOVAPS(a, plus)
	VFMADD231PS(constant(c), b, plus)
	VFNMADD231PS(constant(c), b, a)
	return plus, a
}

// inputTransform is one dimension of that of six pixels.
func inputTransform(d []VecVirtual) []VecVirtual {
	const p2, q2 = pointP * pointP, pointQ * pointQ
	r1, r2 := plusMinus(linear([]float64{1, -q2}, d[4], d[2]), linear([]float64{1, -q2}, d[3], d[1]), pointP)
	r3, r4 := plusMinus(linear([]float64{1, -p2}, d[4], d[2]), linear([]float64{1, -p2}, d[3], d[1]), pointQ)
	ends := []float64{1, -(p2 + q2), p2 * q2}
	return []VecVirtual{linear(ends, d[4], d[2], d[0]), r1, r2, r3, r4, linear(ends, d[5], d[3], d[1])}
}

// filterTransform is one dimension of that of three taps.
func filterTransform(g []VecVirtual) []VecVirtual {
	const (
		p2, q2 = pointP * pointP, pointQ * pointQ
		n, np  = p2 * q2, 2 * p2 * (p2 - q2)
		nq     = 2 * q2 * (q2 - p2)
	)
	r1, r2 := plusMinus(linear([]float64{1 / np, p2 / np}, g[0], g[2]), g[1], pointP/np)
	r3, r4 := plusMinus(linear([]float64{1 / nq, q2 / nq}, g[0], g[2]), g[1], pointQ/nq)
	return []VecVirtual{linear([]float64{1 / n}, g[0]), r1, r2, r3, r4, g[2]}
}

// outputTransform is one dimension of that of six products.
func outputTransform(m []VecVirtual) []VecVirtual {
	const p2, q2 = pointP * pointP, pointQ * pointQ
	sp, dp := plusMinus(m[1], m[2], 1)
	sq, dq := plusMinus(m[3], m[4], 1)
	return []VecVirtual{
		linear([]float64{1, 1, 1}, m[0], sp, sq),
		linear([]float64{pointP, pointQ}, dp, dq),
		linear([]float64{p2, q2}, sp, sq),
		linear([]float64{1, pointP * p2, pointQ * q2}, m[5], dp, dq),
	}
}

// outputGradTransform is the transposition of outputTransform.
func outputGradTransform(y []VecVirtual) []VecVirtual {
	const p2, q2 = pointP * pointP, pointQ * pointQ
	r1, r2 := plusMinus(linear([]float64{1, p2}, y[0], y[2]), linear([]float64{pointP, pointP * p2}, y[1], y[3]), 1)
	r3, r4 := plusMinus(linear([]float64{1, q2}, y[0], y[2]), linear([]float64{pointQ, pointQ * q2}, y[1], y[3]), 1)
	return []VecVirtual{y[0], r1, r2, r3, r4, y[3]}
}

// filterGradTransform is the transposition of filterTransform.
func filterGradTransform(u []VecVirtual) []VecVirtual {
	const (
		p2, q2 = pointP * pointP, pointQ * pointQ
		n, np  = p2 * q2, 2 * p2 * (p2 - q2)
		nq     = 2 * q2 * (q2 - p2)
	)
	sp, dp := plusMinus(u[1], u[2], 1)
	sq, dq := plusMinus(u[3], u[4], 1)
	return []VecVirtual{
		linear([]float64{1 / n, 1 / np, 1 / nq}, u[0], sp, sq),
		linear([]float64{pointP / np, pointQ / nq}, dp, dq),
		linear([]float64{1, p2 / np, q2 / nq}, u[5], sp, sq),
	}
}

// twice applies f to the columns of an in×in square that load reads, and then
// to the rows of what that gives; store gets the results row by row.
func twice(room Mem, in int, f func([]VecVirtual) []VecVirtual, load func(i, j int, v VecVirtual), store func(i, j int, v VecVirtual)) {
	const vector = lanes * size
	out := 0
	for j := range in {
		v := emit.Vectors(in)
		for i := range v {
			load(i, j, v[i])
		}
		v = f(v)
		out = len(v)
		for i := range v {
			VMOVUPS(v[i], room.Offset((i*in+j)*vector))
		}
	}
	for i := range out {
		v := emit.Vectors(in)
		for j := range v {
			VMOVUPS(room.Offset((i*in+j)*vector), v[j])
		}
		for j, v := range f(v) {
			store(i, j, v)
		}
	}
}

// strided returns a function that steps through planes stride bytes apart.
func strided(p Mem, stride Register) (next func() Mem) {
	at := Mem{Base: GP64()}
	begun := false
	return func() Mem {
		if !begun {
			MOVQ(p.Base, at.Base)
			begun = true
		} else {
			ADDQ(stride, at.Base)
		}
		return at
	}
}

// scatter emits a kernel that reads a square of pixels by pointers to them and
// writes the transform into planes.
func scatter(name, doc string, pixels int, f func([]VecVirtual) []VecVirtual) {
	emit.Kernel(name, fmt.Sprintf("func(dst *float32, stride int, src *[%d]*float32, at, n int, room *[288]float32)", pixels*pixels), doc)
	dst, stride, src := emit.Pointer("dst"), emit.Integer("stride"), emit.Pointer("src")
	at, n, room := emit.Integer("at"), emit.Integer("n"), emit.Pointer("room")
	SHLQ(U8(2), stride)
	SHLQ(U8(2), at)
	Label("channels")
	next := strided(dst, stride)
	p := Mem{Base: GP64()}
	twice(room, pixels, f,
		func(i, j int, v VecVirtual) {
			MOVQ(src.Offset(8*(i*pixels+j)), p.Base)
			VMOVUPS(p.Idx(at, 1), v)
		},
		func(_, _ int, v VecVirtual) { VMOVUPS(v, next()) })
	ADDQ(U8(lanes*size), dst.Base)
	ADDQ(U8(lanes*size), at)
	SUBQ(U8(lanes), n)
	JG(LabelRef("channels"))
	emit.Done()
}

func winogradInput() {
	scatter("winogradInputAVX2", "winogradInputAVX2 is winogradInput with AVX2 and FMA.", 6, inputTransform)
}

func winogradOutputGrad() {
	scatter("winogradOutputGradAVX2", "winogradOutputGradAVX2 is winogradOutputGrad with AVX2 and FMA.", 4, outputGradTransform)
}

// planes emits a kernel that transforms planes into planes.
func planes(name, doc string, in int, f func([]VecVirtual) []VecVirtual) {
	emit.Kernel(name, "func(dst *float32, stride int, src *float32, ld, n int, room *[288]float32)", doc)
	dst, stride, src := emit.Pointer("dst"), emit.Integer("stride"), emit.Pointer("src")
	ld, n, room := emit.Integer("ld"), emit.Integer("n"), emit.Pointer("room")
	SHLQ(U8(2), stride)
	SHLQ(U8(2), ld)
	row := GP64()
	IMUL3Q(U8(in), ld, row)
	Label("values")
	next := strided(dst, stride)
	at := Mem{Base: GP64()}
	twice(room, in, f,
		func(i, j int, v VecVirtual) {
			switch {
			case i == 0 && j == 0:
				MOVQ(src.Base, at.Base)
			case i == 0: // from the foot of a column to the head of the next
				for range in - 1 {
					SUBQ(row, at.Base)
				}
				ADDQ(ld, at.Base)
			default:
				ADDQ(row, at.Base)
			}
			VMOVUPS(at, v)
		},
		func(_, _ int, v VecVirtual) { VMOVUPS(v, next()) })
	ADDQ(U8(lanes*size), dst.Base)
	ADDQ(U8(lanes*size), src.Base)
	SUBQ(U8(lanes), n)
	JG(LabelRef("values"))
	emit.Done()
}

func winogradFilter() {
	planes("winogradFilterAVX2", "winogradFilterAVX2 is winogradFilter with AVX2 and FMA.", 3, filterTransform)
}

func winogradFilterGrad() {
	planes("winogradFilterGradAVX2", "winogradFilterGradAVX2 is winogradFilterGrad with AVX2 and FMA.", 6, filterGradTransform)
}

// winogradOutput emits the transform of products into at most 4×4 pixels.
func winogradOutput() {
	const in = 6
	emit.Kernel("winogradOutputAVX2", "func(c *float32, row, pixel, height, width int, m *float32, stride, n int, bias, d *float32, beta float32, room *[288]float32)",
		"winogradOutputAVX2 is winogradOutput with AVX2 and FMA.")
	c, d, bias, m, room := emit.Pointer("c"), emit.Pointer("d"), emit.Pointer("bias"), emit.Pointer("m"), emit.Pointer("room")
	stride, n := emit.Integer("stride"), emit.Integer("n")
	height, width := emit.Integer("height"), emit.Integer("width")
	SHLQ(U8(2), stride)
	SUBQ(c.Base, d.Base) // from here on the way from c
	Label("channels")
	planes := Mem{Base: GP64()}
	at := Mem{Base: GP64()}
	step := GP64()
	MOVQ(m.Base, planes.Base)
	MOVQ(c.Base, at.Base)
	twice(room, in, outputTransform,
		func(i, j int, v VecVirtual) {
			switch {
			case i == 0 && j == 0:
				IMUL3Q(U8(in), stride, step)
			case i == 0:
				for range in - 1 {
					SUBQ(step, planes.Base)
				}
				ADDQ(stride, planes.Base)
			default:
				ADDQ(step, planes.Base)
			}
			VMOVUPS(planes, v)
		},
		func(i, j int, v VecVirtual) {
			label := func(name string) string { return fmt.Sprintf("%s%d%d", name, i, j) }
			if j == 0 {
				CMPQ(height, U8(i))
				JLE(LabelRef("stored"))
				if i > 0 {
					Load(Param("row"), step)
					LEAQ(c.Idx(step, size), at.Base)
					for range i - 1 {
						LEAQ(at.Idx(step, size), at.Base)
					}
				}
			} else {
				CMPQ(width, U8(j))
				JLE(LabelRef(fmt.Sprintf("next%d", i)))
				Load(Param("pixel"), step)
				LEAQ(at.Idx(step, size), at.Base)
			}
			VADDPS(bias, v, v)
			b, zero := YMM(), YMM()
			arg, err := Param("beta").Resolve()
			if err != nil {
				panic(err)
			}
			VBROADCASTSS(arg.Addr, b)
			VXORPS(zero, zero, zero)
			VUCOMISS(zero.AsX(), b.AsX())
			JNE(LabelRef(label("add")))
			JNP(LabelRef(label("store")))
			Label(label("add"))
			VFMADD231PS(at.Idx(d.Base, 1), b, v)
			Label(label("store"))
			VMOVUPS(v, at)
			if j == 3 {
				Label(fmt.Sprintf("next%d", i))
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
	add := GP64()
	Label("tile")
	LEAQ(a.Idx(lda, 2), a3.Base)
	ADDQ(lda, a3.Base)
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
