package tune

import (
	"math"
	"testing"
)

// Of N(m, c I) both gaps have closed forms: KL(N(αm, α²c + σ²) ‖ N(0, 1)) and
// ½ log((c + e^{−λ})/c), for each value.
func TestEnds_AgreesWith_ClosedForm(t *testing.T) {
	for _, c := range []struct {
		dim     int
		m, c    float64
		gap     float64
		measure float64
	}{{1, 0, 0.3, 1e-3, 0.05}, {3, 0.7, 0.3, 1e-4, 0.05}, {2, 2, 1.5, 0.01, 0.1}} {
		var lambda, mse []float64
		for l := -20.0; l <= 20; l += c.measure {
			lambda = append(lambda, l)
			mse = append(mse, float64(c.dim)*c.c/(1+c.c*math.Exp(l)))
		}
		noisy, clean, err := Ends(lambda, mse, c.dim, float64(c.dim)*(c.c+c.m*c.m), c.gap)
		if err != nil {
			t.Fatal(err)
		}
		a2 := 1 / (1 + math.Exp(-noisy))
		v := a2*c.c + 1 - a2
		kl := float64(c.dim) * (v + a2*c.m*c.m - 1 - math.Log(v)) / 2
		h := float64(c.dim) * math.Log1p(math.Exp(-clean)/c.c) / 2
		// Trapezia of 0.05 and log-linear crossings; what cancels in the prior is 1e-3 of it.
		if math.Abs(kl/c.gap-1) > 0.02 || math.Abs(h/c.gap-1) > 0.02 {
			t.Errorf("%+v: λ from %g to %g, where the gaps are %g and %g", c, noisy, clean, kl, h)
		}
	}
}

func TestEnds_Refuses(t *testing.T) {
	lambda := []float64{-10, -5, 0, 5, 10}
	thin, gauss := make([]float64, 5), make([]float64, 5)
	for i, l := range lambda {
		thin[i] = math.Exp(-2*math.Abs(l)) * 0.1 // two points: mse dies out
		gauss[i] = 1 / (1 + math.Exp(l))
	}
	for what, f := range map[string]func() (float64, float64, error){
		"a thin set":    func() (float64, float64, error) { return Ends(lambda, thin, 1, 1, 0.01) },
		"no gap":        func() (float64, float64, error) { return Ends(lambda, gauss, 1, 1, 0) },
		"too few":       func() (float64, float64, error) { return Ends(lambda[:2], gauss[:2], 1, 1, 1) },
		"out of range":  func() (float64, float64, error) { return Ends(lambda, gauss, 1, 1, 1e-30) },
		"unequal lists": func() (float64, float64, error) { return Ends(lambda, gauss[:4], 1, 1, 1) },
	} {
		if noisy, clean, err := f(); err == nil {
			t.Errorf("%s: ends %g and %g", what, noisy, clean)
		}
	}
}
