package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"snrlab/internal/simd/emit"
)

// optimise emits the steps of the optimisers. Each value is read and written
// once, so memory is what they wait for.
func optimise() {
	inPlace("adamAVX2", "func(value, grad, mean, square *float32, n int, c *[10][8]float32)",
		"adamAVX2 does Adam.step.", []string{"value", "grad", "mean", "square"},
		func(x []VecVirtual, c func(i int) Mem) {
			p, g, m, v := x[0], x[1], x[2], x[3]
			const scale, decay, shrink, beta1, rest1, beta2, rest2, root, epsilon, rate = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
			VMULPS(c(scale), g, g)
			VFMADD231PS(c(decay), p, g)
			VMULPS(c(shrink), p, p)
			VMULPS(c(beta1), m, m)
			VFMADD231PS(c(rest1), g, m)
			VMULPS(c(beta2), v, v)
			weighted := YMM()
			VMULPS(c(rest2), g, weighted)
			VFMADD231PS(weighted, g, v)
			size := YMM()
			VSQRTPS(v, size)
			VDIVPS(c(root), size, size)
			VADDPS(c(epsilon), size, size)
			step := g
			VMULPS(c(rate), m, step)
			VDIVPS(size, step, step)
			VSUBPS(step, p, p)
		}, 0, 2, 3)
	inPlace("momentumAVX2", "func(value, grad, mean *float32, n int, c *[7][8]float32)",
		"momentumAVX2 does Momentum.step.", []string{"value", "grad", "mean"},
		func(x []VecVirtual, c func(i int) Mem) {
			p, g, m := x[0], x[1], x[2]
			const scale, decay, momentum, damp, ofGrad, ofMean, rate = 0, 1, 2, 3, 4, 5, 6
			VMULPS(c(scale), g, g)
			VFMADD231PS(c(decay), p, g)
			VMULPS(c(momentum), m, m)
			VFMADD231PS(c(damp), g, m)
			VMULPS(c(ofGrad), g, g)
			VFMADD231PS(c(ofMean), m, g)
			VFNMADD231PS(c(rate), g, p)
		}, 0, 2)
	toward()
}

// toward emits the update of an average in float64 of values in float32.
func toward() {
	const wide, double = 4, 8 // float64 lanes and bytes
	emit.Kernel("towardAVX2", "func(mean *float64, x *float32, n int, rest float64)",
		"towardAVX2 does towardGo for n > 0 values, a multiple of 8.")
	mean, x, n := emit.Pointer("mean"), emit.Pointer("x"), emit.Integer("n")
	arg, err := Param("rest").Resolve()
	if err != nil {
		panic(err)
	}
	rest := YMM()
	VBROADCASTSD(arg.Addr, rest)
	Label("loop")
	for u := range lanes / wide {
		m, d := YMM(), YMM()
		VMOVUPD(mean.Offset(u*wide*double), m)
		VCVTPS2PD(x.Offset(u*wide*size), d)
		VSUBPD(m, d, d)
		VFMADD231PD(d, rest, m)
		VMOVUPD(m, mean.Offset(u*wide*double))
	}
	ADDQ(U8(lanes*double), mean.Base)
	ADDQ(U8(lanes*size), x.Base)
	SUBQ(U8(lanes), n)
	JNZ(LabelRef("loop"))
	emit.Done()
}

// inPlace emits a kernel that computes new values of arrays from n values of
// each and from numbers c, and writes back those of the arrays listed last.
func inPlace(name, signature, doc string, arrays []string, f func(x []VecVirtual, c func(i int) Mem), written ...int) {
	emit.Kernel(name, signature, doc)
	at := make([]Mem, len(arrays))
	for i, a := range arrays {
		at[i] = emit.Pointer(a)
	}
	n, numbers := emit.Integer("n"), emit.Pointer("c")
	c := func(i int) Mem { return numbers.Offset(i * lanes * size) }
	SUBQ(U8(lanes), n)
	JL(LabelRef("tail"))
	Label("loop")
	x := emit.Vectors(len(arrays))
	for i, v := range x {
		VMOVUPS(at[i], v)
	}
	f(x, c)
	for _, i := range written {
		VMOVUPS(x[i], at[i])
	}
	for i := range at {
		ADDQ(U8(lanes*size), at[i].Base)
	}
	SUBQ(U8(lanes), n)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(U8(lanes), n)
	JZ(LabelRef("done"))
	mask := tailMask(n)
	x = emit.Vectors(len(arrays))
	for i, v := range x {
		VMASKMOVPS(at[i], mask, v)
	}
	f(x, c)
	for _, i := range written {
		VMASKMOVPS(x[i], mask, at[i])
	}
	Label("done")
	emit.Done()
}
