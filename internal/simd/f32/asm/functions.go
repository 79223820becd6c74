package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"snrlab/internal/simd/emit"
)

// function emits the kernel of an elementwise function of up to three arrays x,
// y, z and three numbers: all have one signature, so that package f32 holds them
// in a table. f overwrites its inputs as it likes and returns the result.
func function(name, doc string, inputs, numbers int, f func(in [][]VecVirtual, k []VecVirtual) []VecVirtual) {
	k := make([]VecVirtual, numbers)
	elementwise(name+"AVX2", "func(dst, x, y, z *float32, n int, a, b, c float32)", name+"AVX2 writes "+doc+" into dst.",
		[]string{"x", "y", "z"}[:inputs], false,
		func() {
			for i := range k {
				k[i] = broadcast([]string{"a", "b", "c"}[i])
			}
		},
		func(in [][]VecVirtual) []VecVirtual { return f(in, k) })
}

// unary is function for a function of x alone that overwrites it.
func unary(name, doc string, f func(x []VecVirtual)) {
	function(name, doc, 1, 0, func(in [][]VecVirtual, _ []VecVirtual) []VecVirtual {
		f(in[0])
		return in[0]
	})
}

// gradient is function for x times the slope at y, which slope overwrites.
func gradient(name, doc string, slope func(x []VecVirtual)) {
	function(name, "x times "+doc, 2, 0, func(in [][]VecVirtual, _ []VecVirtual) []VecVirtual {
		slope(in[1])
		each(in[1], func(i int) { VMULPS(in[0][i], in[1][i], in[1][i]) })
		return in[1]
	})
}

func functions() {
	// Arithmetic.
	type step = func(x, y, z VecVirtual, k []VecVirtual) // overwrites x
	arithmetic := func(name, doc string, inputs, numbers int, f step) {
		function(name, doc, inputs, numbers, func(in [][]VecVirtual, k []VecVirtual) []VecVirtual {
			each(in[0], func(i int) {
				at := func(array int) VecVirtual { return in[min(array, inputs-1)][i] }
				f(at(0), at(1), at(2), k)
			})
			return in[0]
		})
	}
	arithmetic("add", "x + y", 2, 0, func(x, y, _ VecVirtual, _ []VecVirtual) { VADDPS(y, x, x) })
	arithmetic("sub", "x − y", 2, 0, func(x, y, _ VecVirtual, _ []VecVirtual) { VSUBPS(y, x, x) })
	arithmetic("mul", "x y", 2, 0, func(x, y, _ VecVirtual, _ []VecVirtual) { VMULPS(y, x, x) })
	arithmetic("addNumber", "x + a", 1, 1, func(x, _, _ VecVirtual, k []VecVirtual) { VADDPS(k[0], x, x) })
	arithmetic("scale", "a x", 1, 1, func(x, _, _ VecVirtual, k []VecVirtual) { VMULPS(k[0], x, x) })
	arithmetic("scaledAdd", "x + a y", 2, 1, func(x, y, _ VecVirtual, k []VecVirtual) { VFMADD231PS(k[0], y, x) })
	arithmetic("mulAdd", "x y + z", 3, 0, func(x, y, z VecVirtual, _ []VecVirtual) { VFMADD213PS(z, y, x) })
	arithmetic("shiftedMul", "(x − a) y", 2, 1, func(x, y, _ VecVirtual, k []VecVirtual) {
		VSUBPS(k[0], x, x)
		VMULPS(y, x, x)
	})
	arithmetic("normalize", "(x − a) b", 1, 2, func(x, _, _ VecVirtual, k []VecVirtual) {
		VSUBPS(k[0], x, x)
		VMULPS(k[1], x, x)
	})
	arithmetic("normalizeAffine", "(x − a) b y + z", 3, 2, func(x, y, z VecVirtual, k []VecVirtual) {
		VSUBPS(k[0], x, x)
		VMULPS(k[1], x, x)
		VFMADD213PS(z, y, x)
	})
	arithmetic("combine", "a x + (b y + c)", 2, 3, func(x, y, _ VecVirtual, k []VecVirtual) {
		VFMADD213PS(k[2], k[1], y)
		VFMADD213PS(y, k[0], x)
	})

	// Activations, and their gradients with x the gradient of the result.
	unary("relu", "max(x, 0), NaN for NaN", func(x []VecVirtual) {
		none := zero()
		each(x, func(i int) { VMAXPS(x[i], none, x[i]) })
	})
	function("reluGrad", "x where y is above 0 or NaN, 0 elsewhere", 2, 0, func(in [][]VecVirtual, _ []VecVirtual) []VecVirtual {
		const notLessEqual = 6
		none := zero()
		each(in[1], func(i int) {
			VCMPPS(U8(notLessEqual), none, in[1][i], in[1][i])
			VANDPS(in[0][i], in[1][i], in[1][i])
		})
		return in[1]
	})
	unary("sigmoid", "σ(x)", func(x []VecVirtual) { move(sigmoid(x), x) })
	gradient("sigmoidGrad", "the slope of σ at y, σ(y) σ(−y)", func(x []VecVirtual) {
		plus, minus := sigmoids(x)
		each(x, func(i int) { VMULPS(plus[i], minus[i], x[i]) })
	})
	unary("silu", "x σ(x)", silu)
	gradient("siluGrad", "the slope of SiLU at y, σ(y) (1 + y σ(−y))", siluSlope)
	unary("tanh", "tanh(x)", hyperbolicTangent)
	gradient("tanhGrad", "the slope of tanh at y, 4 σ(2y) σ(−2y)", func(x []VecVirtual) {
		each(x, func(i int) { VADDPS(x[i], x[i], x[i]) })
		plus, minus := sigmoids(x)
		each(x, func(i int) {
			VMULPS(plus[i], minus[i], x[i])
			VMULPS(constant(4), x[i], x[i])
		})
	})
	unary("gelu", "x Φ(x)", func(x []VecVirtual) {
		phi, _ := normal(x)
		each(x, func(i int) { VMULPS(phi[i], x[i], x[i]) })
	})
	gradient("geluGrad", "the slope of GELU at y, Φ(y) + y φ(y)", func(x []VecVirtual) {
		phi, density := normal(x)
		each(x, func(i int) {
			VMULPS(constant(1/math.Sqrt(2*math.Pi)), density[i], density[i])
			VFMADD213PS(phi[i], density[i], x[i])
		})
	})
	// tanh(u) of GELU's approximation is σ(2u) − σ(−2u), u = √(2/π) (x + 0.044715 x³).
	const (
		c1 = 2 * 0.797884560802865355879892119868763737 // 2 √(2/π)
		c3 = 0.044715 * c1
	)
	unary("geluTanh", "x σ(2u), u = √(2/π) (x + 0.044715 x³)", func(x []VecVirtual) {
		u := emit.Vectors(len(x))
		each(x, func(i int) {
			VMULPS(x[i], x[i], u[i])
			square := u[i]
			cube := YMM()
			VMOVUPS(constant(c1), cube)
			VFMADD132PS(constant(c3), cube, square) // c3 x² + c1
			VMULPS(x[i], square, square)
		})
		plus := sigmoid(u)
		each(x, func(i int) { VMULPS(plus[i], x[i], x[i]) })
	})
	gradient("geluTanhGrad", "the slope of that at y, σ(2u) (1 + y σ(−2u) 2u')", func(x []VecVirtual) {
		u, slope := emit.Vectors(len(x)), emit.Vectors(len(x))
		each(x, func(i int) {
			VMULPS(x[i], x[i], u[i])
			VMOVUPS(constant(c1), slope[i])
			VFMADD231PS(constant(3*c3), u[i], slope[i])
			VMULPS(x[i], slope[i], slope[i]) // x 2u'
			least := YMM()
			VMOVUPS(constant(c1), least)
			VFMADD132PS(constant(c3), least, u[i])
			VMULPS(x[i], u[i], u[i])
			VMOVAPS(slope[i], x[i])
		})
		plus, minus := sigmoids(u)
		each(x, func(i int) {
			VFMADD213PS(constant(1), minus[i], x[i])
			VMULPS(plus[i], x[i], x[i])
		})
	})
	unary("mish", "x tanh(log(1 + e^x))", func(x []VecVirtual) {
		_, above, below, _ := softplusTangent(x)
		each(x, func(i int) {
			VDIVPS(below[i], above[i], above[i])
			VMULPS(above[i], x[i], x[i])
		})
	})
	gradient("mishGrad", "the slope of mish at y", func(x []VecVirtual) {
		e, above, below, v := softplusTangent(x)
		each(x, func(i int) {
			VADDPS(constant(1), e[i], e[i])
			VMULPS(v[i], e[i], e[i])
			VMULPS(constant(4), x[i], x[i])
			VMULPS(e[i], x[i], x[i]) // 4 x (1 + e) v
			VDIVPS(below[i], x[i], x[i])
			VADDPS(above[i], x[i], x[i])
			VDIVPS(below[i], x[i], x[i])
		})
	})

	// Normalisations: SiLU of an affine function.
	function("affineSiLU", "SiLU of x y + z", 3, 0, func(in [][]VecVirtual, _ []VecVirtual) []VecVirtual {
		x := in[0]
		each(x, func(i int) { VFMADD213PS(in[2][i], in[1][i], x[i]) })
		silu(x)
		return x
	})
	elementwise("affineSiLUGradAVX2", "func(dst, dy, x, a, b *float32, n int)",
		"affineSiLUGradAVX2 writes dy times the slope of SiLU at a x + b into dst.",
		[]string{"dy", "x", "a", "b"}, false, func() {},
		func(in [][]VecVirtual) []VecVirtual {
			dy, x, a, b := in[0], in[1], in[2], in[3]
			each(x, func(i int) { VFMADD213PS(b[i], a[i], x[i]) })
			siluSlope(x)
			each(x, func(i int) { VMULPS(dy[i], x[i], x[i]) })
			return x
		})
	elementwise("affine2AVX2", "func(dst, x, y, a, b, c *float32, n int)",
		"affine2AVX2 writes a x + (b y + c) into dst.",
		[]string{"x", "y", "a", "b", "c"}, false, func() {},
		func(in [][]VecVirtual) []VecVirtual {
			x, y, a, b, c := in[0], in[1], in[2], in[3], in[4]
			each(x, func(i int) {
				VFMADD213PS(c[i], b[i], y[i])
				VFMADD213PS(y[i], a[i], x[i])
			})
			return x
		})
	// Exponentials of what lies below a shift, with their sum.
	exponentials := func(name, doc string, f func(x []VecVirtual)) {
		var shift VecVirtual
		elementwise(name+"AVX2", "func(dst, src *float32, n int, shift float32) (sum float32)",
			name+"AVX2 writes e^(src − shift) into dst and returns the sum over it"+doc+".",
			[]string{"src"}, true,
			func() { shift = broadcast("shift") },
			func(in [][]VecVirtual) []VecVirtual {
				each(in[0], func(i int) { VSUBPS(shift, in[0][i], in[0][i]) })
				f(in[0])
				return in[0]
			})
	}
	exponentials("exp", "", exponential)
	exponentials("decay", ", for src that is hardly above shift: what is below the normal range is 0", decay)
}
