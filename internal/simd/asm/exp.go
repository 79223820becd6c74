package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
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

	kernel("expAVX2", "func(dst, src *float64, n int, shift float64) (sum float64)",
		"expAVX2 writes e^(src − shift) into dst and returns the sum over it.")
	dst, src, n := pointer("dst"), pointer("src"), integer("n")
	shift := broadcast("shift")
	sum := zero()

	evaluate := func(x Op) VecVirtual {
		t, k, r, e := YMM(), YMM(), YMM(), YMM()
		VMOVUPD(x, t)
		VSUBPD(shift, t, t)
		VMOVUPD(most, r)
		VMINPD(t, r, t)
		VMOVUPD(least, r)
		VMAXPD(t, r, t)
		VMULPD(log2e, t, k)
		VROUNDPD(U8(8), k, k)
		VMOVAPD(t, r)
		VFNMADD231PD(ln2High, k, r)
		VFNMADD231PD(ln2Rest, k, r)
		VMOVUPD(taylor[degree], e)
		for i := degree - 1; i >= 0; i-- {
			VFMADD213PD(taylor[i], r, e)
		}
		whole, half := XMM(), XMM()
		VCVTPD2DQY(k, whole)
		VPSRAD(U8(1), whole, half)
		VPSUBD(half, whole, whole)
		for _, part := range []VecVirtual{whole, half} {
			VPMOVSXDQ(part, t)
			VPADDQ(bias, t, t)
			VPSLLQ(U8(52), t, t)
			VMULPD(t, e, e)
		}
		return e
	}

	SUBQ(U8(lanes), n)
	JL(LabelRef("tail"))
	Label("loop")
	e := evaluate(src)
	VMOVUPD(e, dst)
	VADDPD(e, sum, sum)
	ADDQ(U8(lanes*size), src.Base)
	ADDQ(U8(lanes*size), dst.Base)
	SUBQ(U8(lanes), n)
	JGE(LabelRef("loop"))

	Label("tail")
	ADDQ(U8(lanes), n)
	JZ(LabelRef("done"))
	mask := tailMask(n)
	x := YMM()
	VMASKMOVPD(src, mask, x)
	e = evaluate(x)
	VMASKMOVPD(e, mask, dst)
	VANDPD(mask, e, e)
	VADDPD(e, sum, sum)

	Label("done")
	Store(fold(sum, VADDPD, VADDSD), ReturnIndex(0))
	done()
}
