package simd

import (
	"math"
	"math/big"
	"testing"
)

// bigExp returns e^x to 40 digits: e^x = (e^{x/2^s})^{2^s} with s such that the
// Taylor series of 30 terms is exact to 200 bits.
func bigExp(x float64) *big.Float {
	const prec, squarings = 300, 20
	r := new(big.Float).SetPrec(prec).SetFloat64(x)
	r.SetMantExp(r, -squarings)
	sum, term := big.NewFloat(1).SetPrec(prec), big.NewFloat(1).SetPrec(prec)
	for i := 1; i <= 30; i++ {
		term.Mul(term, r)
		term.Quo(term, new(big.Float).SetInt64(int64(i)))
		sum.Add(sum, term)
	}
	for range squarings {
		sum.Mul(sum, sum)
	}
	return sum
}

// ulps returns |got − want| in units of the last place of want, which below the
// normal range is 2⁻¹⁰⁷⁴.
func ulps(got float64, want *big.Float) float64 {
	exponent := max(want.MantExp(nil)-53, -1074)
	diff := new(big.Float).Sub(new(big.Float).SetFloat64(got), want)
	u, _ := diff.SetMantExp(diff, -exponent).Float64()
	return math.Abs(u)
}

func TestExp_AgreesWith_exact(t *testing.T) {
	var x []float64
	for i := -7450; i <= 7097; i += 7 { // the whole range, denormal results included
		x = append(x, float64(i)/10+1e-3*math.Sin(float64(i)))
	}
	for i := range 2000 {
		x = append(x, float64(i-1000)/1000*math.Ln2) // about one reduction
		x = append(x, (float64(i%200)-100+0.5)*math.Ln2*(1+1e-15*float64(i)))
	}
	eachKernel(t, func(t *testing.T) {
		got := make([]float64, len(x))
		Exp(got, x)
		worst, at := 0.0, 0.0
		for i := range x {
			if u := ulps(got[i], bigExp(x[i])); u > worst {
				worst, at = u, x[i]
			}
		}
		t.Logf("worst error %.3f ulp at %v", worst, at)
		if worst > 2 {
			t.Errorf("Exp(%v) is %.3f ulp off, at most 2 are promised", at, worst)
		}
	})
}

func TestExp_Limit(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	cases := [][2]float64{
		{0, 1},
		{math.Copysign(0, -1), 1},
		{-inf, 0},
		{inf, inf},
		{nan, nan},
		{-1e308, 0},
		{1e308, inf},
		{-746, 0},
		{710, inf},
		{709.782712893384, 1.7976931348622732e+308}, // the last below overflow: e^x = MaxFloat64·(1 − 2.4e-13)
		{709.7827128933841, inf},
		{-745.1332191019411, 5e-324}, // e^x = 0.5000000000000012·2⁻¹⁰⁷³, rounded to even otherwise
		{-745.1332191019412, 0},      // just under half of the least denormal
		{5e-324, 1},
		{-1e-17, 1},
		{0x1p-52, 1 + 0x1p-52},
	}
	eachKernel(t, func(t *testing.T) {
		for _, c := range cases {
			y := []float64{0}
			Exp(y, []float64{c[0]})
			tolerance := 1e-13 * c[1] // of the constants above, which are for the range and not for the last place
			if c[1] == 0 || c[1] == 1 || math.IsInf(c[1], 0) {
				tolerance = 0
			}
			if y[0] != c[1] && !(math.Abs(y[0]-c[1]) <= tolerance) && !(y[0] != y[0] && c[1] != c[1]) {
				t.Errorf("Exp(%v) = %v, want %v", c[0], y[0], c[1])
			}
		}
	})
}

// A value's exponential is the same bits wherever it lies, and in place.
func TestExp_Invariant(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		x := normals(41)
		want := make([]float64, len(x))
		Exp(want, x)
		for lo := range x {
			for hi := lo; hi <= len(x); hi++ {
				y := append([]float64{}, x...)
				Exp(y[lo:hi], y[lo:hi])
				if !sameBits(y[lo:hi], want[lo:hi]) || !sameBits(y[:lo], x[:lo]) || !sameBits(y[hi:], x[hi:]) {
					t.Fatalf("Exp of [%d:%d] differs from Exp of all", lo, hi)
				}
			}
		}
	})
}

func TestSoftmaxRow_Property(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for n := 1; n < 40; n++ {
			for _, shift := range []float64{0, 1e4, -1e4} {
				x := normals(n)
				sum := 0.0
				for i := range x {
					sum += math.Exp(x[i])
					x[i] += shift
				}
				y := make([]float64, n)
				lse := SoftmaxRow(y, x)
				// x + shift is rounded to 2⁻⁴⁰ at 1e4.
				const rounded = 0x1p-39
				if want := math.Log(sum) + shift; math.Abs(lse-want) > rounded {
					t.Errorf("n=%d shift=%g: lse is %v, want %v", n, shift, lse, want)
				}
				total := 0.0
				for i := range y {
					total += y[i]
					if want := math.Exp(x[i] - lse); math.Abs(y[i]-want) > rounded {
						t.Errorf("n=%d shift=%g: entry %d is %v, want %v", n, shift, i, y[i], want)
					}
				}
				if math.Abs(total-1) > 1e-14 { // n additions, n ≤ 40, each 2⁻⁵³ of at most 1
					t.Errorf("n=%d shift=%g: entries add up to %v", n, shift, total)
				}
			}
		}
	})
}

func TestSoftmaxRow_Limit(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	eachKernel(t, func(t *testing.T) {
		for n := 2; n < 20; n++ {
			for at := range n {
				x, y := make([]float64, n), make([]float64, n)
				for i := range x {
					x[i] = -inf
				}
				if lse := SoftmaxRow(y, x); lse != -inf || y[at] == y[at] {
					t.Errorf("all −Inf: lse %v and entry %v, want −Inf and NaN", lse, y[at])
				}
				x[at] = 3
				if lse := SoftmaxRow(y, x); lse != 3 || y[at] != 1 || y[(at+1)%n] != 0 {
					t.Errorf("one finite logit at %d of %d: lse %v, entries %v", at, n, lse, y)
				}
				for _, v := range []float64{inf, nan} {
					x[at] = v
					if lse := SoftmaxRow(y, x); lse == lse || Finite(y) != 0 {
						t.Errorf("%v at %d of %d: lse %v, entries %v, want NaN", v, at, n, lse, y)
					}
				}
			}
		}
		if lse := SoftmaxRow(nil, nil); lse != -inf {
			t.Errorf("no logits: lse is %v, want −Inf", lse)
		}
	})
}

func TestExp_Alloc(t *testing.T) {
	x := normals(1000)
	if a := testing.AllocsPerRun(100, func() { Exp(x, x); SoftmaxRow(x, x) }); a > 0 {
		t.Errorf("%g allocations a call", a)
	}
}
