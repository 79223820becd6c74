package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"snrlab/internal/simd/emit"
)

const maxTerms = 6

// lin emits dst = Σ c_i src_i, one FMA a term in order, with the check that
// what it writes is finite: y − y is zero bits for finite y and NaN otherwise.
func lin() {
	emit.Kernel("linAVX2", "func(dst *float64, n, terms int, coef *[6]float64, src *[6]*float64, stream bool) bool",
		"linAVX2 is linGo for 1 to 6 terms. With stream it stores past the caches, and dst must lie on a multiple of 32 bytes.")
	terms := emit.Integer("terms")
	for k := 1; k < maxTerms; k++ {
		CMPQ(terms, U8(k))
		JEQ(LabelRef(fmt.Sprintf("terms%d", k)))
	}
	for k := maxTerms; k > 0; k-- {
		Label(fmt.Sprintf("terms%d", k))
		linTerms(k)
	}
}

func linTerms(terms int) {
	const unroll = 2 // a line of the cache
	label := func(name string) string { return fmt.Sprintf("%s%d", name, terms) }
	dst, n := emit.Pointer("dst"), emit.Integer("n")
	coefs, sources := emit.Pointer("coef"), emit.Pointer("src")
	coef := make([]VecVirtual, terms)
	src := make([]Mem, terms)
	for i := range terms {
		coef[i], src[i] = YMM(), Mem{Base: GP64()}
		VBROADCASTSD(coefs.Offset(i*size), coef[i])
		MOVQ(sources.Offset(i*size), src[i].Base)
	}
	at := GP64() // index of the value
	XORQ(at, at)
	bad := zero()
	combine := func(load func(Mem, VecVirtual)) VecVirtual {
		y, x := YMM(), YMM()
		load(src[0], x)
		VMULPD(x, coef[0], y)
		for i := 1; i < terms; i++ {
			load(src[i], x)
			VFMADD231PD(x, coef[i], y)
		}
		return y
	}
	check := func(y VecVirtual) {
		VSUBPD(y, y, y)
		VORPD(y, bad, bad)
	}
	loop := func(name string, unroll int, store func(ops ...Op)) {
		Label(label(name))
		for u := range unroll {
			y := combine(func(m Mem, x VecVirtual) { VMOVUPD(m.Offset(u*lanes*size).Idx(at, size), x) })
			store(y, dst.Offset(u*lanes*size).Idx(at, size))
			check(y)
		}
		ADDQ(U8(unroll*lanes), at)
		SUBQ(U8(unroll*lanes), n)
		JGE(LabelRef(label(name)))
	}

	SUBQ(U8(unroll*lanes), n)
	JL(LabelRef(label("fewer")))
	stream := GP8()
	Load(Param("stream"), stream)
	TESTB(stream, stream)
	JZ(LabelRef(label("loop")))
	loop("stream", unroll, func(ops ...Op) { VMOVNTPD(ops[0], ops[1]) })
	SFENCE()
	JMP(LabelRef(label("fewer")))
	loop("loop", unroll, VMOVUPD)
	Label(label("fewer"))
	ADDQ(U8(unroll*lanes-lanes), n)
	JL(LabelRef(label("tail")))
	loop("vector", 1, VMOVUPD)
	Label(label("tail"))
	ADDQ(U8(lanes), n)
	JZ(LabelRef(label("done")))
	mask := tailMask(n)
	y := combine(func(m Mem, x VecVirtual) { VMASKMOVPD(m.Idx(at, size), mask, x) })
	VMASKMOVPD(y, mask, dst.Idx(at, size))
	VANDPD(mask, y, y) // c·0 may be NaN where c is not finite
	check(y)
	Label(label("done"))
	ok := GP8()
	VPTEST(bad, bad)
	SETEQ(ok)
	Store(ok, ReturnIndex(0))
	emit.Done()
}
