package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"snrlab/internal/simd/emit"
)

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

// decay overwrites x, at most 1 or so, with e^x, or 0 where that is below the
// normal range.
// x/ln 2 is rounded by adding a number so large that its last digit counts ones;
// the low bits are then n plus the bias of an exponent.
func decay(x []VecVirtual) {
	const (
		degree = 6
		magic  = 1.5*(1<<23) + 127
	)
	ln2 := float64(float32(math.Ln2))
	n, e := emit.Vectors(len(x)), emit.Vectors(len(x))
	each(x, func(i int) { VMOVUPS(constant(-88), e[i]) }) // n is −127, whose bits are those of 0
	each(x, func(i int) { VMAXPS(x[i], e[i], x[i]) })     // NaN stays
	each(x, func(i int) { VMOVUPS(constant(magic), n[i]) })
	each(x, func(i int) { VFMADD231PS(constant(math.Log2E), x[i], n[i]) })
	each(x, func(i int) { VSUBPS(constant(magic), n[i], e[i]) })
	each(x, func(i int) { VFNMADD231PS(constant(ln2), e[i], x[i]) })
	each(x, func(i int) { VFNMADD231PS(constant(math.Ln2-ln2), e[i], x[i]) })
	polynomial(e, x, fit(degree, -math.Ln2/2, math.Ln2/2, math.Exp))
	each(x, func(i int) { VPSLLD(U8(23), n[i], n[i]) })
	each(x, func(i int) { VMULPS(n[i], e[i], x[i]) })
}

// sigmoids returns σ(x) and σ(−x): with e = e^(−|x|), which does not overflow,
// they are 1/(1+e) and e/(1+e), the smaller with the sign's own.
func sigmoids(x []VecVirtual) (plus, minus []VecVirtual) {
	e, plus, minus := emit.Vectors(len(x)), emit.Vectors(len(x)), emit.Vectors(len(x))
	each(x, func(i int) { VORPS(constantBits(1<<31), x[i], e[i]) }) // −|x|
	decay(e)
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

// sigmoid returns σ(x): with e = e^(−|x|), 1/(1+e), or e/(1+e) where x < 0.
func sigmoid(x []VecVirtual) []VecVirtual {
	e, below := emit.Vectors(len(x)), emit.Vectors(len(x))
	each(x, func(i int) { VORPS(constantBits(1<<31), x[i], e[i]) }) // −|x|
	decay(e)
	each(x, func(i int) {
		one := YMM()
		VMOVUPS(constant(1), one)
		VADDPS(one, e[i], below[i])
		VBLENDVPS(x[i], e[i], one, e[i])
		VDIVPS(below[i], e[i], e[i])
	})
	return e
}

// silu overwrites x with x σ(x).
func silu(x []VecVirtual) {
	s := sigmoid(x)
	each(x, func(i int) { VMULPS(s[i], x[i], x[i]) })
}

// siluSlope overwrites x with σ(x) (1 + x σ(−x)).
func siluSlope(x []VecVirtual) {
	plus, minus := sigmoids(x)
	each(x, func(i int) {
		VFMADD213PS(constant(1), minus[i], x[i])
		VMULPS(plus[i], x[i], x[i])
	})
}

// hyperbolicTangent overwrites x with tanh x: with e = e^(−2|x|) it is
// (1−e)/(1+e) with the sign of x, and near 0, where that would lose digits, x
// times a polynomial in x².
func hyperbolicTangent(x []VecVirtual) {
	const near, degree = 0.5, 5
	e, small := emit.Vectors(len(x)), emit.Vectors(len(x))
	each(x, func(i int) {
		VORPS(constantBits(1<<31), x[i], e[i])
		VADDPS(e[i], e[i], e[i])
	})
	decay(e)
	each(x, func(i int) {
		below := YMM()
		VADDPS(constant(1), e[i], below)
		VMOVUPS(constant(1), small[i])
		VSUBPS(e[i], small[i], e[i])
		VDIVPS(below, e[i], e[i])
		VANDPS(constantBits(1<<31), x[i], small[i])
		VORPS(small[i], e[i], e[i])
	})
	square := emit.Vectors(len(x))
	each(x, func(i int) { VMULPS(x[i], x[i], square[i]) })
	polynomial(small, square, fit(degree, 0, near*near, func(u float64) float64 {
		if u == 0 {
			return 1
		}
		return math.Tanh(math.Sqrt(u)) / math.Sqrt(u)
	}))
	each(x, func(i int) {
		const less = 1
		VMULPS(x[i], small[i], small[i])
		VANDPS(constantBits(1<<31-1), x[i], square[i])
		VCMPPS(U8(less), constant(near), square[i], square[i])
		VBLENDVPS(square[i], small[i], e[i], x[i])
	})
}

// normal returns Φ(x) and e^(−x²/2). With s = |x|, Φ(−s) is e^(−s²/2) times a
// smooth function that falls like 1/s: over s+k, a polynomial in (s−k)/(s+k). What
// s² loses in rounding is put back, so that small probabilities keep their digits.
func normal(x []VecVirtual) (phi, density []VecVirtual) {
	const (
		k      = 3.0
		most   = 15 // beyond it, e^(−s²/2) is 0
		degree = 10
	)
	s, low, e := emit.Vectors(len(x)), emit.Vectors(len(x)), emit.Vectors(len(x))
	each(x, func(i int) {
		VANDPS(constantBits(1<<31-1), x[i], s[i])
		VMOVUPS(constant(most), e[i])
		VMINPS(s[i], e[i], s[i]) // NaN stays
		VMULPS(s[i], s[i], e[i])
		VMOVAPS(e[i], low[i])
		VFMSUB231PS(s[i], s[i], low[i])
		VMULPS(constant(-0.5), e[i], e[i])
	})
	decay(e)
	each(x, func(i int) {
		VMULPS(constant(-0.5), low[i], low[i])
		VFMADD231PS(low[i], e[i], e[i])
	})
	phi = emit.Vectors(len(x))
	each(x, func(i int) {
		one := YMM()
		VMOVUPS(constant(1), one)
		VADDPS(constant(k), s[i], low[i])
		VDIVPS(low[i], one, low[i]) // 1/(s+k)
		VSUBPS(constant(k), s[i], s[i])
		VMULPS(low[i], s[i], s[i])
	})
	polynomial(phi, s, fit(degree, -1, (most-k)/(most+k), func(q float64) float64 {
		s := k * (1 + q) / (1 - q)
		return math.Exp(s*s/2) * math.Erfc(s/math.Sqrt2) / 2 * (s + k)
	}))
	each(x, func(i int) {
		one := YMM()
		VMULPS(e[i], phi[i], phi[i])
		VMULPS(low[i], phi[i], phi[i]) // Φ(−s)
		VMOVUPS(constant(1), one)
		VSUBPS(phi[i], one, one)
		VBLENDVPS(x[i], phi[i], one, phi[i])
	})
	return phi, e
}

// softplusTangent returns e = e^(−|x|), a and b with a/b = tanh(log(1 + e^x)), and
// v with 4 (1 + e) v/b² = σ(x) (1 − (a/b)²): for x < 0, a = e (e + 2), b = a + 2 and
// v = e; else a = 1 + 2e, b = a + 2e² and v = e². Nothing cancels.
func softplusTangent(x []VecVirtual) (e, a, b, v []VecVirtual) {
	e, a, b, v = emit.Vectors(len(x)), emit.Vectors(len(x)), emit.Vectors(len(x)), emit.Vectors(len(x))
	each(x, func(i int) { VORPS(constantBits(1<<31), x[i], e[i]) })
	decay(e)
	each(x, func(i int) {
		VADDPS(constant(2), e[i], a[i])
		VMULPS(e[i], a[i], a[i]) // e (e + 2)
		VADDPS(e[i], e[i], b[i])
		VADDPS(constant(1), b[i], b[i]) // 1 + 2e
		VBLENDVPS(x[i], a[i], b[i], a[i])
		VMULPS(e[i], e[i], v[i])
		VMOVUPS(constant(1), b[i])
		VBLENDVPS(x[i], b[i], v[i], b[i])
		VADDPS(b[i], b[i], b[i])
		VADDPS(a[i], b[i], b[i])
		VBLENDVPS(x[i], e[i], v[i], v[i])
	})
	return e, a, b, v
}

// polynomial writes Σ c_d x^d into p, from the highest power down.
func polynomial(p, x []VecVirtual, c []float64) {
	top := len(c) - 1
	each(x, func(i int) { VMOVUPS(constant(c[top]), p[i]) })
	for d := top - 1; d >= 0; d-- {
		each(x, func(i int) { VFMADD213PS(constant(c[d]), x[i], p[i]) })
	}
}

// fit returns the coefficients of the polynomial that equals f at the Chebyshev
// points of [lo, hi]: nearly the best of its degree.
func fit(degree int, lo, hi float64, f func(float64) float64) []float64 {
	x, c := make([]float64, degree+1), make([]float64, degree+1)
	for i := range x {
		x[i] = (lo+hi)/2 + (hi-lo)/2*math.Cos(math.Pi*(float64(i)+0.5)/float64(degree+1))
		c[i] = f(x[i])
	}
	// Newton's divided differences, and then powers.
	for d := 1; d <= degree; d++ {
		for i := degree; i >= d; i-- {
			c[i] = (c[i] - c[i-1]) / (x[i] - x[i-d])
		}
	}
	for d := degree - 1; d >= 0; d-- {
		for i := d; i < degree; i++ {
			c[i] -= x[d] * c[i+1]
		}
	}
	return c
}

// move copies from into to.
func move(from, to []VecVirtual) {
	each(to, func(i int) { VMOVAPS(from[i], to[i]) })
}
