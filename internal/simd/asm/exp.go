package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"snrlab/internal/simd/emit"
)

// exp emits e^(x − shift): with x − shift = n ln 2 + r and |r| ≤ ln(2)/2, it is
// 2^n e^r. The Taylor polynomial of degree 13 leaves 5e-18 of e^r. 2^n is
// applied in two halves, so that the second rounds a denormal result once and
// overflows to +Inf.
func exp() {
	const degree = 13
	const ln2Low = 2.3190468138462996e-17 // ln 2 − math.Ln2
	table := GLOBL("expConstants", RODATA|NOPTR)
	entries := 0
	constant := func(v float64) Mem { // one vector of equal values
		at := table.Offset(entries * lanes * size)
		for i := range lanes {
			DATA((entries*lanes+i)*size, U64(math.Float64bits(v)))
		}
		entries++
		return at
	}
	log2e := constant(math.Log2E)
	ln2High := constant(math.Ln2)
	ln2Rest := constant(ln2Low)
	// Beyond these e^x is 0 and +Inf. NaN passes both comparisons.
	least, most := constant(-746), constant(710)
	bias := constant(math.Float64frombits(1023))
	taylor := make([]Mem, degree+1)
	factorial := 1.0
	for i := range taylor {
		factorial *= max(1, float64(i))
		taylor[i] = constant(1 / factorial)
	}

	emit.Kernel("expAVX2", "func(dst, src *float64, n int, shift float64) (sum float64)",
		"expAVX2 writes e^(src − shift) into dst and returns the sum over it.")
	dst, src, n := emit.Pointer("dst"), emit.Pointer("src"), emit.Integer("n")
	shift := broadcast("shift")
	sum := zero()

	// evaluate returns e^(x − shift) for several vectors, step by step side by
	// side, since each step waits for the one before.
	evaluate := func(x ...Op) []VecVirtual {
		t, k, r, e := emit.Vectors(len(x)), emit.Vectors(len(x)), emit.Vectors(len(x)), emit.Vectors(len(x))
		each := func(step func(i int)) {
			for i := range x {
				step(i)
			}
		}
		each(func(i int) {
			VMOVUPD(x[i], t[i])
			VSUBPD(shift, t[i], t[i])
			VMOVUPD(most, r[i])
			VMINPD(t[i], r[i], t[i])
			VMOVUPD(least, r[i])
			VMAXPD(t[i], r[i], t[i])
		})
		each(func(i int) { VMULPD(log2e, t[i], k[i]) })
		each(func(i int) { VROUNDPD(U8(8), k[i], k[i]) })
		each(func(i int) { VMOVAPD(t[i], r[i]) })
		each(func(i int) { VFNMADD231PD(ln2High, k[i], r[i]) })
		each(func(i int) { VFNMADD231PD(ln2Rest, k[i], r[i]) })
		each(func(i int) { VMOVUPD(taylor[degree], e[i]) })
		for d := degree - 1; d >= 0; d-- {
			each(func(i int) { VFMADD213PD(taylor[d], r[i], e[i]) })
		}
		each(func(i int) {
			whole, half := t[i].AsX(), r[i].AsX()
			VCVTPD2DQY(k[i], whole)
			VPSRAD(U8(1), whole, half)
			VPSUBD(half, whole, whole)
			for _, part := range []VecVirtual{t[i], r[i]} {
				VPMOVSXDQ(part.AsX(), part)
				VPADDQ(bias, part, part)
				VPSLLQ(U8(52), part, part)
				VMULPD(part, e[i], e[i])
			}
		})
		return e
	}
	loop := func(label string, count int) {
		Label(label)
		x := make([]Op, count)
		for i := range x {
			x[i] = src.Offset(i * lanes * size)
		}
		for i, e := range evaluate(x...) {
			VMOVUPD(e, dst.Offset(i*lanes*size))
			VADDPD(e, sum, sum)
		}
		ADDQ(U8(count*lanes*size), src.Base)
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
	x := YMM()
	VMASKMOVPD(src, mask, x)
	e := evaluate(x)[0]
	VMASKMOVPD(e, mask, dst)
	VANDPD(mask, e, e)
	VADDPD(e, sum, sum)

	Label("done")
	Store(fold(sum, VADDPD, VADDSD), ReturnIndex(0))
	emit.Done()
}
