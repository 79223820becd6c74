package schedules

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"snrlab/snr"
)

func TestPath_Property(t *testing.T) {
	edmInput := ScalePath{SD: 0.5, Power: 1, By: 1}
	for _, c := range []struct {
		p    Path
		law  func(a, s float64) float64 // zero on the path
		unit float64
	}{
		{VPPath{}, func(a, s float64) float64 { return a*a + s*s - 1 }, 1},
		{VEPath{}, func(a, s float64) float64 { return a - 1 }, 1},
		{RFPath{}, func(a, s float64) float64 { return a + s - 1 }, 1},
		{SubVPPath{}, func(a, s float64) float64 { return s + a*a - 1 }, 1},
		{edmInput, func(a, s float64) float64 { return 0.25*a*a + s*s - 1 }, 1},
		{ScalePath{SD: 1, Power: 1, By: 1}, func(a, s float64) float64 { return a*a + s*s - 1 }, 1},
		{ScalePath{SD: 1, Power: 0, By: 3}, func(a, s float64) float64 { return a - 3 }, 3},
		{ScalePath{SD: 1, Power: 0.5, By: 1}, func(a, s float64) float64 { return a*math.Sqrt(math.Hypot(1, s/a)) - 1 }, 1},
		{ScaleFunc("half", func(s float64) float64 { return 0.5 }), func(a, s float64) float64 { return a - 0.5 }, 1},
	} {
		rapid.Check(t, func(t *rapid.T) {
			l := snr.LogSNR(rapid.Float64Range(-200, 200).Draw(t, "λ"))
			a, s := c.p.Coeffs(l)
			// λ comes back to rounding, far beyond where 1 − α² would.
			if back := snr.FromAlphaSigma(a, s); math.Abs(float64(back-l)) > 4e-16*(4+math.Abs(float64(l))) {
				t.Fatalf("%s: λ = %.17g comes back as %.17g", c.p, float64(l), float64(back))
			}
			if miss := c.law(a, s); math.Abs(miss) > 8*eps*c.unit {
				t.Fatalf("%s: α = %g, σ = %g misses its law by %g", c.p, a, s, miss)
			}
			// From ŝ and from λ, the same level.
			if b, r := c.p.(noisePath).atNoise(l.Sigma()); math.Abs(a-b) > 1e-13*a || math.Abs(s-r) > 1e-13*s {
				t.Fatalf("%s: from ŝ %g, %g; from λ %g, %g", c.p, b, r, a, s)
			}
		})
	}
}

func TestPath_Limit(t *testing.T) {
	inf := snr.LogSNR(math.Inf(1))
	for _, p := range []Path{VPPath{}, RFPath{}, SubVPPath{}, ScalePath{0.5, 1, 1}} {
		if a, s := p.Coeffs(-inf); a != 0 || s != 1 {
			t.Errorf("%s at λ = −∞: α = %g, σ = %g, expected 0, 1", p, a, s)
		}
	}
	for _, p := range []Path{VPPath{}, RFPath{}, SubVPPath{}, VEPath{}} {
		if a, s := p.Coeffs(inf); a != 1 || s != 0 {
			t.Errorf("%s at λ = ∞: α = %g, σ = %g, expected 1, 0", p, a, s)
		}
	}
	if a, s := (ScalePath{0.5, 1, 1}).Coeffs(inf); a != 2 || s != 0 {
		t.Errorf("EDM input at λ = ∞: α = %g, σ = %g, expected 2, 0", a, s)
	}
	for _, p := range []Path{VEPath{}, ScalePath{1, 0.5, 1}, ScalePath{1, 2, 1}, ScaleFunc("one", func(float64) float64 { return 1 })} {
		if a, s := p.Coeffs(-inf); !math.IsNaN(a) || !math.IsNaN(s) {
			t.Errorf("%s at λ = −∞: α = %g, σ = %g, expected NaN", p, a, s)
		}
	}
	// Sub-VP at both ends, where 1 − α² or 1/α − α would cancel.
	for _, s := range []float64{1e-20, 1e-8} {
		if a, sigma := (SubVPPath{}).atNoise(s); math.Abs(sigma/s-1) > s || math.Abs(a-1) > s {
			t.Errorf("subvp at σ/α = %g: α = %g, σ = %g", s, a, sigma)
		}
		if a, sigma := (SubVPPath{}).atNoise(1 / s); math.Abs(a/s-1) > 4*eps || math.Abs(sigma-1) > s*s+eps {
			t.Errorf("subvp at σ/α = %g: α = %g, σ = %g", 1/s, a, sigma)
		}
	}
}

func TestScaleFunc_AgreesWith_Scale(t *testing.T) {
	f := ScaleFunc("edm-input", func(s float64) float64 { return 1 / math.Sqrt(0.25+s*s) })
	for _, l := range []snr.LogSNR{-8, 0, 8} {
		a, s := f.Coeffs(l)
		b, r := ScalePath{SD: 0.5, Power: 1, By: 1}.Coeffs(l)
		// Both are a root and a quotient.
		if math.Abs(a-b) > 4*eps*b || math.Abs(s-r) > 4*eps*r {
			t.Errorf("λ = %g: %g, %g and %g, %g", float64(l), a, s, b, r)
		}
	}
}
