package metrics_test

import (
	"context"
	"math"
	"testing"

	"snrlab/internal/integral"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
)

func levels(lo, hi, step float64) []snr.LogSNR {
	var at []snr.LogSNR
	for l := lo; l <= hi+step/2; l += step {
		at = append(at, snr.LogSNR(l))
	}
	return at
}

// Of Gaussian data every number has a closed form.
func TestDifficulties_AgreesWith_ClosedForm(t *testing.T) {
	truth, err := models.IsotropicGaussian(3, 1.4)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := models.IsotropicGaussian(3, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	list, err := metrics.Difficulties(context.Background(), wrong, truth, levels(-6, 6, 2), 20_000, rng.New(4))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		s := d.Lambda.SNR()
		mse := 3 * (1.4 + s*0.25) / math.Pow(1+0.5*s, 2)
		exact := 3 * 1.4 / (1 + 1.4*s)
		// |x₀ − D|² is mse/3 times a χ² of three degrees: E of the square 15/9 mse².
		for _, c := range []struct {
			what string
			e    metrics.Estimate
			want float64
		}{{"mse", d.MSE, mse}, {"exact", d.Exact, exact}, {"excess", d.Excess, mse - exact}, {"second", d.Second, 15. / 9 * mse * mse}} {
			if math.Abs(c.e.Value-c.want) > 5*c.e.SE+1e-12*c.want || !(c.e.SE >= 0) || c.e.SE > 0.05*c.want {
				t.Errorf("λ = %g: %s %g ± %g, expected %g", float64(d.Lambda), c.what, c.e.Value, c.e.SE, c.want)
			}
		}
	}
	// Draws are common to the levels: a difference of two has less noise than its parts.
	if a, b := list[2].Loss[5], list[3].Loss[5]; a == b || len(list[2].Loss) != 20_000 {
		t.Errorf("losses %g and %g of one draw at two levels", a, b)
	}
}

// The entropy of the mixture in the plane from its mse curve, h = log 2πe −
// ∫[sigmoid(λ) − mse_ε] dλ with mse_ε by dimension, against the integral of −p log p.
func TestDifficulties_AgreesWith_Entropy(t *testing.T) {
	m := models.GM2D()
	const n = 141
	var x []float64
	const half, step = 2.5, 0.02
	for a := -half; a < half; a += step {
		for b := -half; b < half; b += step {
			x = append(x, a, b)
		}
	}
	log := make([]float64, len(x)/2)
	if err := m.LogDensity(log, models.Query{X: x, Rows: len(log), At: []schedules.Level{{Alpha: 1}}}); err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for _, v := range log {
		want -= math.Exp(v) * v * step * step
	}
	if math.Abs(want-0.383) > 5e-4 { // three printed digits
		t.Fatalf("entropy %.5f, published 0.383", want)
	}
	list, err := metrics.Difficulties(context.Background(), m, m, levels(-14, 14, 28./(n-1)), 20_000, rng.New(8))
	if err != nil {
		t.Fatal(err)
	}
	got := math.Log(2 * math.Pi * math.E)
	for i, d := range list {
		w := 28. / (n - 1)
		if i == 0 || i == n-1 {
			w /= 2
		}
		s := d.Lambda.SNR()
		got -= w * (s/(1+s) - s*d.Exact.Value/2)
	}
	// Beyond ±14 the integrand is below (1 + σ²/0.02)e^{−14}; 20,000 common draws leave about 0.003.
	if math.Abs(got-want) > 0.01 {
		t.Errorf("entropy from the denoiser %.5f nat, from the density %.5f", got, want)
	}
}

// The gradients of an affine denoiser of Gaussian data, in closed form.
func TestGradients_AgreesWith_ClosedForm(t *testing.T) {
	const sd, c = 0.5, 1.2
	truth, err := models.IsotropicGaussian(1, c)
	if err != nil {
		t.Fatal(err)
	}
	d, err := models.NewAffine([]int{1}, models.EDM{SigmaData: sd}, []float64{0.3}, []float64{-0.4})
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range []int{1, 8} {
		list, err := metrics.Gradients(context.Background(), d, truth, levels(-4, 4, 2), 40_000/each, each, rng.New(5))
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range list {
			a, s := g.Lambda.VP()
			n := math.Sqrt(s*s + a*a*sd*sd)
			skip, out, in := a*sd*sd/(n*n), s*sd/n, 1/n
			k := skip + out*0.3*in // D = k x − 0.4 out
			// g = −2 out (x₀ − D)(in x, 1), with x₀ − D = r + 0.4 out, r and x jointly normal.
			rx := a*c - k*(a*a*c+s*s)
			mean := []float64{-2 * out * in * rx, -2 * out * 0.4 * out}
			vr := c - 2*k*a*c + k*k*(a*a*c+s*s)
			vx, b := a*a*c+s*s, 0.4*out
			second := 4 * out * out * (in*in*(vr*vx+2*rx*rx+b*b*vx) + vr + b*b)
			// Means of 40,000 draws; second moments have heavy tails.
			se := math.Sqrt(second / 40_000)
			if math.Abs(g.Mean[0]-mean[0]) > 5*se || math.Abs(g.Mean[1]-mean[1]) > 5*se || math.Abs(g.Second/second-1) > 0.1 {
				t.Errorf("groups of %d, λ = %g: mean %v, second %g, expected %v, %g", each, float64(g.Lambda), g.Mean, g.Second, mean, second)
			}
			if v := metrics.Agreement(g, g); math.Abs(v-1) > 1e-12 {
				t.Errorf("a gradient agrees with itself by %g", v)
			}
		}
		m := metrics.GradientMoments(list)
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// Two levels whose best affine maps lie on opposite sides pull against each other.
func TestAgreement_Property(t *testing.T) {
	truth, err := models.IsotropicGaussian(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	at := []snr.LogSNR{-2, 4}
	// The best scale at λ solves skip + out·scale·in = α/(α² + σ²): set it between the two.
	best := func(l snr.LogSNR) float64 {
		a, s := l.VP()
		n := math.Sqrt(s*s + a*a*0.25)
		return (a - a*0.25/(n*n)) * n * n / (s * 0.5)
	}
	for _, c := range []struct{ scale, want float64 }{{(best(-2) + best(4)) / 2, -1}, {best(-2) + best(4) + 1, 1}} {
		d, err := models.NewAffine([]int{1}, models.EDM{SigmaData: 0.5}, []float64{c.scale}, []float64{0})
		if err != nil {
			t.Fatal(err)
		}
		list, err := metrics.Gradients(context.Background(), d, truth, at, 20_000, 1, rng.New(6))
		if err != nil {
			t.Fatal(err)
		}
		// The shift has no gradient; its noise is the rest.
		if got := metrics.Agreement(list[0], list[1]); math.Abs(got-c.want) > 0.05 {
			t.Errorf("scale %g, best %g and %g: agreement %g, expected %g", c.scale, best(-2), best(4), got, c.want)
		}
	}
}

func TestDifficulties_Refuses(t *testing.T) {
	ctx := context.Background()
	a, err := models.NewAffine([]int{3}, models.EDM{SigmaData: 1}, make([]float64, 3), make([]float64, 3))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := metrics.Difficulties(ctx, a, models.GM2D(), levels(0, 0, 1), 10, rng.New(1)); err == nil {
		t.Error("a denoiser of another shape was accepted")
	}
	if _, err := metrics.Difficulties(ctx, models.GM2D(), models.GM2D(), levels(0, 0, 1), 1, rng.New(1)); err == nil {
		t.Error("one draw was accepted")
	}
	if _, err := metrics.Gradients(ctx, a, models.GM2D(), levels(0, 0, 1), 1, 1, rng.New(1)); err == nil {
		t.Error("one group was accepted")
	}
}

// A loss of measured moments is the integral of what was measured.
func TestLossMoments_AgreesWith_Difficulty(t *testing.T) {
	truth, err := models.IsotropicGaussian(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	list, err := metrics.Difficulties(context.Background(), truth, truth, levels(-8, 8, 0.25), 20_000, rng.New(3))
	if err != nil {
		t.Fatal(err)
	}
	r := snr.Recipe{Weight: snr.Uniform{Unit: snr.Eps{}}, Density: snr.Truncated{Density: snr.Cosine{S: 1}, Min: -8, Max: 8}}
	e, err := metrics.LossMoments(list).Estimate(r)
	if err != nil {
		t.Fatal(err)
	}
	want := integral.Of(func(l float64) float64 { return 2 * snr.PDF(r.Density, snr.LogSNR(l)) / (1 + math.Exp(-l)) }, -8, 8, 1e-12)
	// One set of 20,000 draws for all levels: a standard error of about 1/√20,000.
	if math.Abs(e.Mean[0]/want-1) > 5/math.Sqrt(20_000) {
		t.Errorf("loss %g, expected %g", e.Mean[0], want)
	}
}
