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
	CMPQ(x.Base, y.Base)
	JEQ(LabelRef("square"))
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
	JMP(LabelRef("store"))
	Label("square")
	for i := range s {
		u := YMM()
		VCVTPS2PD(x.Offset(i*wide*size), u)
		VADDPD(u, s[i], s[i])
		VFMADD231PD(u, u, q[i])
	}
	ADDQ(ld, x.Base)
	DECQ(n)
	JNZ(LabelRef("square"))
	Label("store")
	sum, product := emit.Pointer("sum"), emit.Pointer("product")
	for i := range s {
		VMOVUPD(s[i], sum.Offset(i*wide*8))
		VMOVUPD(q[i], product.Offset(i*wide*8))
	}
	emit.Done()
}

// sums emits the sums of x and x·y over an array, in float64.
func sums() {
	const values, wide = 16, 4 // of a round, and of a vector of float64
	emit.Kernel("sumsAVX2", "func(x, y *float32, n int) (sum, product float64)",
		"sumsAVX2 returns Σ x and Σ x·y.")
	x, y, n := emit.Pointer("x"), emit.Pointer("y"), emit.Integer("n")
	s, q := emit.Vectors(values/wide), emit.Vectors(values/wide)
	for i := range s {
		VXORPD(s[i], s[i], s[i])
		VXORPD(q[i], q[i], q[i])
	}
	loop := func(label string, square bool) {
		SUBQ(U8(values), n)
		JL(LabelRef("fewer"))
		Label(label)
		for i := range s {
			u := YMM()
			v := u
			VCVTPS2PD(x.Offset(i*wide*size), u)
			if !square {
				v = YMM()
				VCVTPS2PD(y.Offset(i*wide*size), v)
			}
			VADDPD(u, s[i], s[i])
			VFMADD231PD(u, v, q[i])
		}
		ADDQ(U8(values*size), x.Base)
		ADDQ(U8(values*size), y.Base)
		SUBQ(U8(values), n)
		JGE(LabelRef(label))
	}
	CMPQ(x.Base, y.Base)
	JEQ(LabelRef("same"))
	loop("product", false)
	JMP(LabelRef("fewer"))
	Label("same")
	loop("square", true)
	Label("fewer")
	ADDQ(U8(values), n)
	JZ(LabelRef("fold"))
	Label("one")
	u, v := XMM(), XMM()
	VMOVSS(x, u)
	VMOVSS(y, v)
	VCVTSS2SD(u, u, u)
	VCVTSS2SD(v, v, v)
	wideSum := YMM() // the upper lanes are 0
	VXORPD(wideSum, wideSum, wideSum)
	VMOVSD(u, wideSum.AsX(), wideSum.AsX())
	VADDPD(wideSum, s[0], s[0])
	VMULSD(v, u, u)
	VMOVSD(u, wideSum.AsX(), wideSum.AsX())
	VADDPD(wideSum, q[0], q[0])
	ADDQ(U8(size), x.Base)
	ADDQ(U8(size), y.Base)
	DECQ(n)
	JNZ(LabelRef("one"))
	Label("fold")
	for i, v := range [][]VecVirtual{s, q} {
		VADDPD(v[1], v[0], v[0])
		VADDPD(v[3], v[2], v[2])
		VADDPD(v[2], v[0], v[0])
		half := XMM()
		VEXTRACTF128(U8(1), v[0], half)
		VADDPD(half, v[0].AsX(), half)
		other := XMM()
		VUNPCKHPD(half, half, other)
		VADDSD(other, half, half)
		Store(half, ReturnIndex(i))
	}
	emit.Done()
}
