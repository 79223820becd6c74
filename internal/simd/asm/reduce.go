package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"snrlab/internal/simd/emit"
)

// fold combines the lanes of v as (v0∘v2)∘(v1∘v3) and returns the result in
// the low lane. It overwrites v.
func fold(v VecVirtual, packed, scalar func(ops ...Op)) Register {
	high := XMM()
	VEXTRACTF128(U8(1), v, high)
	packed(high, v.AsX(), v.AsX())
	VUNPCKHPD(v.AsX(), v.AsX(), high)
	scalar(high, v.AsX(), v.AsX())
	return v.AsX()
}

func reductions() {
	reduction("maxAVX2", "func(x *float64, n int) float64",
		"maxAVX2 returns the largest value, −Inf if n = 0. NaN may be skipped.",
		[]string{"x"}, math.Inf(-1), VMAXPD, VMAXSD,
		func(acc VecVirtual, in []VecVirtual) { VMAXPD(acc, in[0], acc) })
	reduction("dotAVX2", "func(x, y *float64, n int) float64",
		"dotAVX2 returns Σ x_j y_j.",
		[]string{"x", "y"}, 0, VADDPD, VADDSD,
		func(acc VecVirtual, in []VecVirtual) { VFMADD231PD(in[0], in[1], acc) })
	reduction("weightedSumSqAVX2", "func(x, w *float64, n int) float64",
		"weightedSumSqAVX2 returns Σ w_j x_j².",
		[]string{"x", "w"}, 0, VADDPD, VADDSD,
		func(acc VecVirtual, in []VecVirtual) {
			VMULPD(in[0], in[1], in[1])
			VFMADD231PD(in[0], in[1], acc)
		})
}

// reduction emits a fold of vectors in an order that is a function of n alone:
// four accumulators, then their lanes.
func reduction(name, signature, doc string, args []string, start float64, packed, scalar func(ops ...Op), step func(acc VecVirtual, in []VecVirtual)) {
	const unroll = 4
	emit.Kernel(name, signature, doc)
	src := make([]Mem, len(args))
	for i, a := range args {
		src[i] = emit.Pointer(a)
	}
	n := emit.Integer("n")
	first := ConstData(name+"Start", U64(math.Float64bits(start)))
	acc := make([]VecVirtual, unroll)
	for i := range acc {
		acc[i] = YMM()
		VBROADCASTSD(first, acc[i])
	}
	vectors := func(count int) {
		for u := range count {
			in := make([]VecVirtual, len(src))
			for i := range in {
				in[i] = YMM()
				VMOVUPD(src[i].Offset(u*lanes*size), in[i])
			}
			step(acc[u], in)
		}
		for i := range src {
			ADDQ(U32(count*lanes*size), src[i].Base)
		}
	}

	SUBQ(U8(unroll*lanes), n)
	JL(LabelRef("fewer"))
	Label("loop")
	vectors(unroll)
	SUBQ(U8(unroll*lanes), n)
	JGE(LabelRef("loop"))
	Label("fewer")
	ADDQ(U8(unroll*lanes-lanes), n)
	JL(LabelRef("tail"))
	Label("vector")
	vectors(1)
	SUBQ(U8(lanes), n)
	JGE(LabelRef("vector"))
	Label("tail")
	ADDQ(U8(lanes), n)
	JZ(LabelRef("fold"))
	mask := tailMask(n)
	in := make([]VecVirtual, len(src))
	for i := range in {
		in[i] = YMM()
		VMASKMOVPD(src[i], mask, in[i])
	}
	kept := YMM()
	VMOVAPD(acc[0], kept)
	step(acc[0], in)
	VBLENDVPD(mask, acc[0], kept, acc[0])

	Label("fold")
	packed(acc[1], acc[0], acc[0])
	packed(acc[3], acc[2], acc[2])
	packed(acc[2], acc[0], acc[0])
	Store(fold(acc[0], packed, scalar), ReturnIndex(0))
	emit.Done()
}

// finite emits the search for a value that is not finite, in blocks: x − x is
// zero bits for finite x and NaN otherwise.
func finite() {
	const unroll = 4
	emit.Kernel("finiteAVX2", "func(x *float64, n int) int",
		"finiteAVX2 returns how many values, in whole blocks of 16, come before the first block with one that is not finite.")
	x, n := emit.Pointer("x"), emit.Integer("n")
	i := GP64()
	XORQ(i, i)
	Label("loop")
	SUBQ(U8(unroll*lanes), n)
	JL(LabelRef("done"))
	all := zero()
	for u := range unroll {
		v := YMM()
		VMOVUPD(x.Offset(u*lanes*size).Idx(i, size), v)
		VSUBPD(v, v, v)
		VORPD(v, all, all)
	}
	VPTEST(all, all)
	JNZ(LabelRef("done"))
	ADDQ(U8(unroll*lanes), i)
	JMP(LabelRef("loop"))
	Label("done")
	Store(i, ReturnIndex(0))
	emit.Done()
}
