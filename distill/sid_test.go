package distill

import (
	"context"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
)

func gaussian(t *testing.T, mean, variance float64) *models.Gaussian {
	t.Helper()
	g, err := models.NewGaussian([]int{1}, []float64{mean}, []float64{variance})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// The frozen-ψ gradients of E[L₂ − A L₁] for a Gaussian teacher N(m₀, c₀) and
// generator μ + s z at VE level σ, in ε units (times 1/σ²), have closed forms.
// The gradient of a sample is a polynomial in (z, ε), which Gauss–Hermite
// quadrature integrates exactly.
func TestSiD_Gradient(t *testing.T) {
	const m0, c0 = 0.4, 0.9
	const points = 8
	nodes, weights := make([]float64, points), make([]float64, points)
	quad.Hermite{}.FixedLocations(nodes, weights, math.Inf(-1), math.Inf(1))
	for _, c := range []struct{ a, mu, s, sigma float64 }{
		{0.5, 1, 0.3, 0.7}, {1, -0.6, 1.4, 0.2}, {1.2, 2, 0.8, 1.5}, {0, 0.1, 0.5, 3},
	} {
		teacher, fake := gaussian(t, m0, c0), gaussian(t, c.mu, c.s*c.s)
		var xg, eps, w, zs []float64
		for i, u := range nodes {
			for j, v := range nodes {
				z := math.Sqrt2 * u
				zs = append(zs, z)
				xg = append(xg, c.mu+c.s*z)
				eps = append(eps, math.Sqrt2*v)
				w = append(w, weights[i]*weights[j]/math.Pi)
			}
		}
		grad := make([]float64, len(xg))
		at := schedules.Level{T: c.sigma, Alpha: 1, Sigma: c.sigma}
		if err := (SiD{A: c.a}).Gradient(context.Background(), grad, teacher, fake, xg, eps, len(xg), at); err != nil {
			t.Fatal(err)
		}
		var dmu, ds float64
		for i, g := range grad {
			dmu += w[i] * g / (c.sigma * c.sigma)
			ds += w[i] * g * zs[i] / (c.sigma * c.sigma)
		}
		k, kf := c.sigma/(c0+c.sigma*c.sigma), c.sigma/(c.s*c.s+c.sigma*c.sigma)
		wantMu := k * (c.mu - m0) * (2*k*(1-c.a) + kf*(2*c.a-1))
		wantS := 2 * c.s * (k - kf) * (k*(1-c.a) + c.a*kf)
		// Sums of 64 terms of order one, divided by σ² ≥ 0.04.
		if math.Abs(dmu-wantMu) > 1e-12 || math.Abs(ds-wantS) > 1e-12 {
			t.Errorf("%+v: gradient (%.15g, %.15g), closed form (%.15g, %.15g)", c, dmu, ds, wantMu, wantS)
		}
	}
}

// The gradient is that of the loss, by central differences in each value.
func TestSiD_AgreesWith_Differences(t *testing.T) {
	ctx := context.Background()
	teacher, fake := models.GM2D(), models.GMM2()
	const rows, dim = 5, 2
	at := schedules.Level{Alpha: 0.8, Sigma: 0.6}
	xg, eps := make([]float64, rows*dim), make([]float64, rows*dim)
	rng.New(1).Split("x", 0).Normal(xg)
	rng.New(1).Split("eps", 0).Normal(eps)
	s := SiD{A: 1.2}
	loss := func(xg []float64, row int) float64 {
		x, phi, psi := make([]float64, len(xg)), make([]float64, len(xg)), make([]float64, len(xg))
		for i := range xg {
			x[i] = at.Alpha*xg[i] + at.Sigma*eps[i]
		}
		q := models.Query{X: x, Rows: rows, At: []schedules.Level{at}}
		if err := teacher.Denoise(ctx, phi, q); err != nil {
			t.Fatal(err)
		}
		if err := fake.Denoise(ctx, psi, q); err != nil {
			t.Fatal(err)
		}
		lo, hi := row*dim, (row+1)*dim
		return s.Loss(phi[lo:hi], psi[lo:hi], xg[lo:hi])
	}
	grad := make([]float64, len(xg))
	if err := s.Gradient(ctx, grad, teacher, fake, xg, eps, rows, at); err != nil {
		t.Fatal(err)
	}
	for i := range xg {
		const h = 1e-5
		x := xg[i]
		xg[i] = x + h
		up := loss(xg, i/dim)
		xg[i] = x - h
		down := loss(xg, i/dim)
		xg[i] = x
		// The difference errs by h² times a third derivative of about 10², and
		// by rounding over h.
		if want := (up - down) / (2 * h); math.Abs(grad[i]-want) > 1e-7*max(1, math.Abs(want)) {
			t.Errorf("value %d: gradient %.12g, difference quotient %.12g", i, grad[i], want)
		}
	}
}

func TestSiD_Weight(t *testing.T) {
	if got := (SiD{}).Weight([]float64{1, -1}, []float64{0, 1}); got != 1/1.5 {
		t.Errorf("ω = %g, expected 1/1.5", got)
	}
	if got := (SiD{}).Weight([]float64{1}, []float64{1}); math.Abs(got-1e5) > 1e-9 { // one rounding of the division
		t.Errorf("ω of equal samples = %g, expected the clipped 1e5", got)
	}
}

func TestSiD_Refuses(t *testing.T) {
	g := gaussian(t, 0, 1)
	one := []float64{0}
	for _, c := range []struct {
		dst  []float64
		at   schedules.Level
		want string
	}{
		{one, schedules.Level{Alpha: 1}, "σ = 0"},
		{[]float64{0, 0}, schedules.Level{Alpha: 1, Sigma: 1}, "as many"},
	} {
		err := SiD{A: 1}.Gradient(context.Background(), c.dst, g, g, one, one, 1, c.at)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, expected an error with %q", err, c.want)
		}
	}
}
