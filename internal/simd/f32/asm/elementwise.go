package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"snrlab/internal/simd/emit"
)

// elementwise emits a kernel that writes f of n values of each input into dst,
// two vectors side by side where steps wait for each other. prepare loads the
// arguments that are one number. With sum, the sum over dst is returned.
func elementwise(name, signature, doc string, inputs []string, sum bool, prepare func(), f func(in [][]VecVirtual) []VecVirtual) {
	emit.Kernel(name, signature, doc)
	dst, n := emit.Pointer("dst"), emit.Integer("n")
	src := make([]Mem, len(inputs))
	for i, in := range inputs {
		src[i] = emit.Pointer(in)
	}
	prepare()
	var total VecVirtual
	if sum {
		total = zero()
	}
	loop := func(label string, count int) {
		Label(label)
		in := make([][]VecVirtual, len(src))
		for i := range src {
			in[i] = emit.Vectors(count)
			for u, v := range in[i] {
				VMOVUPS(src[i].Offset(u*lanes*size), v)
			}
			ADDQ(U8(count*lanes*size), src[i].Base)
		}
		for u, v := range f(in) {
			VMOVUPS(v, dst.Offset(u*lanes*size))
			if sum {
				VADDPS(v, total, total)
			}
		}
		ADDQ(U8(count*lanes*size), dst.Base)
		SUBQ(U8(count*lanes), n)
		JGE(LabelRef(label))
	}
	const unroll = 2
	SUBQ(U8(unroll*lanes), n)
	JL(LabelRef("fewer"))
	loop("loop", unroll)
	Label("fewer")
	ADDQ(U8(unroll*lanes-lanes), n)
	JL(LabelRef("tail"))
	loop("vector", 1)
	Label("tail")
	ADDQ(U8(lanes), n)
	JZ(LabelRef("done"))
	mask := tailMask(n)
	in := make([][]VecVirtual, len(src))
	for i := range src {
		in[i] = emit.Vectors(1)
		VMASKMOVPS(src[i], mask, in[i][0])
	}
	v := f(in)[0]
	VMASKMOVPS(v, mask, dst)
	if sum {
		VANDPS(mask, v, v)
		VADDPS(v, total, total)
	}
	Label("done")
	if sum {
		Store(fold(total, VADDPS, VADDSS), ReturnIndex(0))
	}
	emit.Done()
}

// fold combines the lanes of v, halves first, and returns the result in the low
// lane. It overwrites v.
func fold(v VecVirtual, packed, scalar func(ops ...Op)) Register {
	x := XMM()
	VEXTRACTF128(U8(1), v, x)
	packed(x, v.AsX(), v.AsX())
	VUNPCKHPD(v.AsX(), v.AsX(), x)
	packed(x, v.AsX(), v.AsX())
	VMOVSHDUP(v.AsX(), x)
	scalar(x, v.AsX(), v.AsX())
	return v.AsX()
}

var (
	tailMasks Mem
	constants Mem
	places    = map[uint32]Mem{} // of the constants
)

// tables begins the tables of masks and of constants, the second last, for data
// goes to the table begun last.
func tables() {
	tailMasks = GLOBL("tailMasks", RODATA|NOPTR)
	for i := range 2 * lanes {
		mask := U32(0)
		if i < lanes {
			mask--
		}
		DATA(i*size, mask)
	}
	constants = GLOBL("constants", RODATA|NOPTR)
}

// tailMask returns a mask of the first n lanes, 0 ≤ n ≤ 8. It overwrites n.
func tailMask(n Register) VecVirtual {
	table, mask := Mem{Base: GP64()}, YMM()
	LEAQ(tailMasks, table.Base)
	NEGQ(n)
	VMOVUPS(table.Offset(lanes*size).Idx(n, size), mask)
	return mask
}

// constant returns a vector of equal values in memory.
func constant(v float64) Mem { return constantBits(math.Float32bits(float32(v))) }

func constantBits(bits uint32) Mem {
	at, ok := places[bits]
	if !ok {
		offset := len(places) * lanes * size
		for i := range lanes {
			DATA(offset+i*size, U32(bits))
		}
		at = constants.Offset(offset)
		places[bits] = at
	}
	return at
}

// each does step for every vector, so that steps of different vectors lie side
// by side.
func each(v []VecVirtual, step func(i int)) {
	for i := range v {
		step(i)
	}
}

// exponential overwrites x with e^x: with x = n ln 2 + r and |r| ≤ ln(2)/2, it
// is 2^n e^r. The Taylor polynomial of degree 7 leaves 6e-9 of e^r. 2^n is
// applied in two halves, so that the second rounds a denormal result once and
// overflows to +Inf.
func exponential(x []VecVirtual) {
	const degree = 7
	ln2 := float64(float32(math.Ln2))
	k, e := emit.Vectors(len(x)), emit.Vectors(len(x))
	// Beyond these e^x is 0 and +Inf. NaN passes both comparisons.
	each(x, func(i int) { VMOVUPS(constant(89), k[i]) })
	each(x, func(i int) { VMINPS(x[i], k[i], x[i]) })
	each(x, func(i int) { VMOVUPS(constant(-105), k[i]) })
	each(x, func(i int) { VMAXPS(x[i], k[i], x[i]) })
	each(x, func(i int) { VMULPS(constant(math.Log2E), x[i], k[i]) })
	each(x, func(i int) { VROUNDPS(U8(8), k[i], k[i]) })
	each(x, func(i int) { VFNMADD231PS(constant(ln2), k[i], x[i]) })
	each(x, func(i int) { VFNMADD231PS(constant(math.Ln2-ln2), k[i], x[i]) })
	factorial := [degree + 1]float64{1}
	for d := 1; d <= degree; d++ {
		factorial[d] = factorial[d-1] * float64(d)
	}
	each(x, func(i int) { VMOVUPS(constant(1/factorial[degree]), e[i]) })
	for d := degree - 1; d >= 0; d-- {
		each(x, func(i int) { VFMADD213PS(constant(1/factorial[d]), x[i], e[i]) })
	}
	each(x, func(i int) {
		VCVTPS2DQ(k[i], k[i])
		VPSRAD(U8(1), k[i], x[i])
		VPSUBD(x[i], k[i], k[i])
		for _, part := range []VecVirtual{k[i], x[i]} {
			VPADDD(constantBits(127), part, part)
			VPSLLD(U8(23), part, part)
		}
		VMULPS(k[i], e[i], e[i])
		VMULPS(x[i], e[i], x[i])
	})
}

// sigmoids returns σ(x) and σ(−x): with e = e^(−|x|), which does not overflow,
// they are 1/(1+e) and e/(1+e), the smaller with the sign's own.
func sigmoids(x []VecVirtual) (plus, minus []VecVirtual) {
	e, plus, minus := emit.Vectors(len(x)), emit.Vectors(len(x)), emit.Vectors(len(x))
	each(x, func(i int) { VORPS(constantBits(1<<31), x[i], e[i]) }) // −|x|
	exponential(e)
	each(x, func(i int) { VADDPS(constant(1), e[i], minus[i]) })
	each(x, func(i int) {
		VMOVUPS(constant(1), plus[i])
		VDIVPS(minus[i], plus[i], plus[i])
		VDIVPS(minus[i], e[i], minus[i])
	})
	each(x, func(i int) {
		VBLENDVPS(x[i], minus[i], plus[i], e[i])
		VBLENDVPS(x[i], plus[i], minus[i], minus[i])
	})
	return e, minus
}

// silu overwrites x with x σ(x).
func silu(x []VecVirtual) {
	plus, _ := sigmoids(x)
	each(x, func(i int) { VMULPS(plus[i], x[i], x[i]) })
}

func elementwises() {
	none := func() {}
	var number VecVirtual
	elementwise("expAVX2", "func(dst, src *float32, n int, shift float32) (sum float32)",
		"expAVX2 writes e^(src − shift) into dst and returns the sum over it.",
		[]string{"src"}, true,
		func() { number = broadcast("shift") },
		func(in [][]VecVirtual) []VecVirtual {
			each(in[0], func(i int) { VSUBPS(number, in[0][i], in[0][i]) })
			exponential(in[0])
			return in[0]
		})
	elementwise("scaleAVX2", "func(dst, src *float32, n int, factor float32)",
		"scaleAVX2 writes factor·src into dst.",
		[]string{"src"}, false,
		func() { number = broadcast("factor") },
		func(in [][]VecVirtual) []VecVirtual {
			each(in[0], func(i int) { VMULPS(number, in[0][i], in[0][i]) })
			return in[0]
		})
	elementwise("shiftedProductAVX2", "func(dst, x, y *float32, n int, shift float32)",
		"shiftedProductAVX2 writes (x − shift) y into dst.",
		[]string{"x", "y"}, false,
		func() { number = broadcast("shift") },
		func(in [][]VecVirtual) []VecVirtual {
			x, y := in[0], in[1]
			each(x, func(i int) { VSUBPS(number, x[i], x[i]) })
			each(x, func(i int) { VMULPS(y[i], x[i], x[i]) })
			return x
		})
	elementwise("siluAVX2", "func(dst, x *float32, n int)",
		"siluAVX2 writes x σ(x) into dst.",
		[]string{"x"}, false, none,
		func(in [][]VecVirtual) []VecVirtual {
			silu(in[0])
			return in[0]
		})
	siluGrad := func(dy, x []VecVirtual) []VecVirtual {
		plus, minus := sigmoids(x)
		each(x, func(i int) {
			VFMADD213PS(constant(1), minus[i], x[i])
			VMULPS(plus[i], x[i], x[i])
			VMULPS(dy[i], x[i], x[i])
		})
		return x
	}
	elementwise("siluGradAVX2", "func(dst, dy, x *float32, n int)",
		"siluGradAVX2 writes dy σ(x) (1 + x σ(−x)) into dst.",
		[]string{"dy", "x"}, false, none,
		func(in [][]VecVirtual) []VecVirtual { return siluGrad(in[0], in[1]) })
	affine := func(in [][]VecVirtual) []VecVirtual {
		x, a, b := in[0], in[1], in[2]
		each(x, func(i int) { VFMADD213PS(b[i], a[i], x[i]) })
		return x
	}
	elementwise("affineAVX2", "func(dst, x, a, b *float32, n int)",
		"affineAVX2 writes a x + b into dst.",
		[]string{"x", "a", "b"}, false, none, affine)
	elementwise("affineSiLUAVX2", "func(dst, x, a, b *float32, n int)",
		"affineSiLUAVX2 writes SiLU of a x + b into dst.",
		[]string{"x", "a", "b"}, false, none,
		func(in [][]VecVirtual) []VecVirtual {
			x := affine(in)
			silu(x)
			return x
		})
	elementwise("affineSiLUGradAVX2", "func(dst, dy, x, a, b *float32, n int)",
		"affineSiLUGradAVX2 writes siluGrad of dy and a x + b into dst.",
		[]string{"dy", "x", "a", "b"}, false, none,
		func(in [][]VecVirtual) []VecVirtual { return siluGrad(in[0], affine(in[1:])) })
	elementwise("affine2AVX2", "func(dst, x, y, a, b, c *float32, n int)",
		"affine2AVX2 writes a x + (b y + c) into dst.",
		[]string{"x", "y", "a", "b", "c"}, false, none,
		func(in [][]VecVirtual) []VecVirtual {
			y := affine([][]VecVirtual{in[1], in[3], in[4]})
			return affine([][]VecVirtual{in[0], in[2], y})
		})
}

// largest emits the largest value, in two vectors that do not wait for each
// other. NaN may be skipped.
func largest() {
	emit.Kernel("maxAVX2", "func(x *float32, n int) float32",
		"maxAVX2 returns the largest value, −Inf if n = 0. NaN may be skipped.")
	x, n := emit.Pointer("x"), emit.Integer("n")
	acc := emit.Vectors(2)
	least := constant(math.Inf(-1))
	for _, v := range acc {
		VMOVUPS(least, v)
	}
	SUBQ(U8(2*lanes), n)
	JL(LabelRef("fewer"))
	Label("loop")
	for u, v := range acc {
		VMAXPS(x.Offset(u*lanes*size), v, v)
	}
	ADDQ(U8(2*lanes*size), x.Base)
	SUBQ(U8(2*lanes), n)
	JGE(LabelRef("loop"))
	Label("fewer")
	ADDQ(U8(lanes), n)
	JL(LabelRef("tail"))
	VMAXPS(x, acc[0], acc[0])
	ADDQ(U8(lanes*size), x.Base)
	SUBQ(U8(lanes), n)
	Label("tail")
	ADDQ(U8(lanes), n)
	JZ(LabelRef("fold"))
	mask, v := tailMask(n), YMM()
	VMASKMOVPS(x, mask, v)
	VMAXPS(v, acc[1], v)
	VBLENDVPS(mask, v, acc[1], acc[1])
	Label("fold")
	VMAXPS(acc[1], acc[0], acc[0])
	Store(fold(acc[0], VMAXPS, VMAXSS), ReturnIndex(0))
	emit.Done()
}

// moments emits the sums of x and x·y over pixels, for 16 channels, in float64,
// in which the products are exact.
func moments() {
	const channels, wide = 16, 4 // float64 lanes
	emit.Kernel("momentsAVX2", "func(sum, product *[16]float64, x, y *float32, ld, n int)",
		"momentsAVX2 writes Σ x and Σ x·y over n > 0 pixels into sum and product.")
	x, y, ld, n := emit.Pointer("x"), emit.Pointer("y"), emit.Integer("ld"), emit.Integer("n")
	SHLQ(U8(2), ld)
	s, q := emit.Vectors(channels/wide), emit.Vectors(channels/wide)
	for i := range s {
		VXORPD(s[i], s[i], s[i])
		VXORPD(q[i], q[i], q[i])
	}
	Label("pixel")
	for i := range s {
		u, v := YMM(), YMM()
		VCVTPS2PD(x.Offset(i*wide*size), u)
		VCVTPS2PD(y.Offset(i*wide*size), v)
		VADDPD(u, s[i], s[i])
		VFMADD231PD(u, v, q[i])
	}
	ADDQ(ld, x.Base)
	ADDQ(ld, y.Base)
	DECQ(n)
	JNZ(LabelRef("pixel"))
	sum, product := emit.Pointer("sum"), emit.Pointer("product")
	for i := range s {
		VMOVUPD(s[i], sum.Offset(i*wide*8))
		VMOVUPD(q[i], product.Offset(i*wide*8))
	}
	emit.Done()
}
