package snr

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

const eps = 0x1p-52

func TestLogSNR_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := LogSNR(rapid.Float64Range(-600, 600).Draw(t, "λ"))
		slack := 4 * eps * (2 + math.Abs(float64(l))) // each exp and log, relative to its argument
		for name, back := range map[string]LogSNR{
			"FromSigma": FromSigma(l.Sigma()),
			"VP":        FromAlphaSigma(l.VP()),
			"RF":        FromAlphaSigma(l.RF()),
			"SNR":       LogSNR(math.Log(l.SNR())),
			"Half":      LogSNR(2 * l.Half()),
		} {
			if math.Abs(float64(back-l)) > slack {
				t.Fatalf("%s: λ = %.17g comes back as %.17g", name, float64(l), float64(back))
			}
		}
		if a, s := l.VP(); math.Abs(a*a+s*s-1) > 4*eps {
			t.Fatalf("λ = %g: α² + σ² = %.17g", float64(l), a*a+s*s)
		}
		if a, s := l.RF(); math.Abs(a+s-1) > 2*eps {
			t.Fatalf("λ = %g: α + σ = %.17g", float64(l), a+s)
		}
		// The noise side is the mirror image of the signal side.
		a, s := l.VP()
		if b, r := (-l).VP(); l != 0 && (a != r || s != b) {
			t.Fatalf("VP at ±%g: %g, %g and %g, %g", float64(l), a, s, b, r)
		}
		if a, _ := l.VP(); math.Abs(l.LogAlphaBar()-2*math.Log(a)) > slack {
			t.Fatalf("λ = %g: log ᾱ = %.17g, 2 log α = %.17g", float64(l), l.LogAlphaBar(), 2*math.Log(a))
		}
	})
}

// exp returns e^x to 200 bits, by the series at x/2^20 squared twenty times.
func exp(x float64) *big.Float {
	f := func(v float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(v) }
	y := f(math.Ldexp(x, -20))
	sum, term := f(1), f(1)
	for i := 1; i < 60; i++ {
		term.Mul(term, y).Quo(term, f(float64(i)))
		sum.Add(sum, term)
	}
	for range 20 {
		sum.Mul(sum, sum)
	}
	return sum
}

// The coefficients keep their relative accuracy where 1 − α² has none left.
func TestVP_AgreesWith_Exact(t *testing.T) {
	for _, l := range []float64{-300, -80, -37, -4, -1e-9, 0, 0.3, 5, 36, 41, 90, 250} {
		one := new(big.Float).SetPrec(300).SetInt64(1)
		e := exp(l)
		sum := new(big.Float).Add(one, e)
		alpha, _ := new(big.Float).Sqrt(new(big.Float).Quo(e, sum)).Float64()
		sigma, _ := new(big.Float).Sqrt(new(big.Float).Quo(one, sum)).Float64()
		// exp(λ/2) rounds once, relative to its value.
		if a, s := LogSNR(l).VP(); math.Abs(a-alpha) > 4*eps*alpha || math.Abs(s-sigma) > 4*eps*sigma {
			t.Errorf("λ = %g: α = %.17g, σ = %.17g, expected %.17g, %.17g", l, a, s, alpha, sigma)
		}
		root := exp(l / 2)
		sum = new(big.Float).Add(one, root)
		alpha, _ = new(big.Float).Quo(root, sum).Float64()
		sigma, _ = new(big.Float).Quo(one, sum).Float64()
		if a, s := LogSNR(l).RF(); math.Abs(a-alpha) > 4*eps*alpha || math.Abs(s-sigma) > 4*eps*sigma {
			t.Errorf("λ = %g, RF: α = %.17g, σ = %.17g, expected %.17g, %.17g", l, a, s, alpha, sigma)
		}
	}
}

func TestFromLogAlphaBar_Limit(t *testing.T) {
	for _, c := range []struct{ in, want float64 }{
		{-1e-300, -math.Log(1e-300)},          // α² = 1 − 1e-300: SNR = 1e300
		{-1e-20, -math.Log(1e-20)},            // lost in 1 − α²
		{-500, -500},                          // σ = 1 to rounding
		{math.Log(0.5), 0},                    // equal parts
		{math.Inf(-1), math.Inf(-1)},          // α = 0
		{0, math.Inf(1)},                      // σ = 0
		{-math.Log(1 + math.Exp(-0.75)), .75}, // the definition
	} {
		got := FromLogAlphaBar(c.in)
		if float64(got) != c.want && !(math.Abs(float64(got)-c.want) <= 4*eps*(1+math.Abs(c.want))) {
			t.Errorf("FromLogAlphaBar(%g) = %.17g, expected %.17g", c.in, float64(got), c.want)
		}
		// Back: relative accuracy is that of e^{−λ}.
		if back := got.LogAlphaBar(); back != c.in && !(math.Abs(back-c.in) <= 4*eps*(1+math.Abs(float64(got)))*math.Abs(c.in)) {
			t.Errorf("LogAlphaBar(FromLogAlphaBar(%g)) = %.17g", c.in, back)
		}
	}
}

func TestLogSNR_Limit(t *testing.T) {
	inf := LogSNR(math.Inf(1))
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"σ = 0", float64(FromAlphaSigma(1, 0)), math.Inf(1)},
		{"α = 0", float64(FromAlphaSigma(0, 1)), math.Inf(-1)},
		{"ŝ = 0", float64(FromSigma(0)), math.Inf(1)},
		{"ŝ = ∞", float64(FromSigma(math.Inf(1))), math.Inf(-1)},
		{"SNR at ∞", inf.SNR(), math.Inf(1)},
		{"SNR at −∞", (-inf).SNR(), 0},
		{"ŝ at ∞", inf.Sigma(), 0},
		{"ŝ at −∞", (-inf).Sigma(), math.Inf(1)},
		{"log ᾱ at ∞", inf.LogAlphaBar(), 0},
		{"log ᾱ at −∞", (-inf).LogAlphaBar(), math.Inf(-1)},
		{"1e200 over 1e-200", float64(FromAlphaSigma(1e200, 1e-200)), 800 * math.Ln10},
	} {
		if c.got != c.want {
			t.Errorf("%s: %.17g, expected %.17g", c.what, c.got, c.want)
		}
	}
	for name, f := range map[string]func(LogSNR) (float64, float64){"VP": LogSNR.VP, "RF": LogSNR.RF} {
		if a, s := f(inf); a != 1 || s != 0 {
			t.Errorf("%s at ∞: %g, %g", name, a, s)
		}
		if a, s := f(-inf); a != 0 || s != 1 {
			t.Errorf("%s at −∞: %g, %g", name, a, s)
		}
		if a, s := f(LogSNR(math.NaN())); a == a || s == s {
			t.Errorf("%s at NaN: %g, %g, expected NaN", name, a, s)
		}
	}
	if l := FromAlphaSigma(0, 0); l == l {
		t.Errorf("no signal and no noise: λ = %g, expected NaN", float64(l))
	}
}

func ExampleLogSNR() {
	l := FromAlphaSigma(0.8, 0.6)
	fmt.Printf("λ = %.4f, SNR = %.4f, σ/α = %.2f\n", float64(l), l.SNR(), l.Sigma())
	alpha, sigma := LogSNR(-80).VP()
	fmt.Printf("α = %.4g, σ = %g\n", alpha, sigma)
	// Output:
	// λ = 0.5754, SNR = 1.7778, σ/α = 0.75
	// α = 4.248e-18, σ = 1
}
