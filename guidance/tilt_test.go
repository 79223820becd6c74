package guidance

import (
	"math"
	"slices"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// The tilted law of Gaussians is a Gaussian, at every level: precision
// G/v_to + (1−G)/v_from with v = α²c + σ².
func TestTilt_Golden(t *testing.T) {
	tilt := tiltedGaussians(t)
	for _, at := range []schedules.Level{{Alpha: 1}, {Alpha: 0.6, Sigma: 0.8}, {Alpha: 1, Sigma: 3}} {
		for _, g := range []float64{-0.5, 0, 0.5, 1, 2, 4} {
			tilt.G = g
			line := must(tilt.Line(at))(t)
			mean, sd := line.Moments()
			a2, s2 := at.Alpha*at.Alpha, at.Sigma*at.Sigma
			to, from := a2*0.6+s2, a2*1+s2
			wantVar := 1 / (g/to + (1-g)/from)
			wantMean := wantVar * g * 0.8 * at.Alpha / to
			if math.Abs(mean-wantMean) > 1e-12 || math.Abs(sd-math.Sqrt(wantVar)) > 1e-12 {
				t.Errorf("G = %g at α = %g: mean %.15g, deviation %.15g, expected %.15g and %.15g", g, at.Alpha, mean, sd, wantMean, math.Sqrt(wantVar))
			}
			// The table of the mass is linear between points 1e-3 apart.
			if q := line.Quantile(0.975); math.Abs(q-(wantMean+1.959963984540054*sd)) > 1e-5 {
				t.Errorf("G = %g: 97.5 %% quantile %.9g, expected %.9g", g, q, wantMean+1.959963984540054*sd)
			}
		}
	}
}

// In the plane, of a Gaussian and a wider one with correlations.
func TestTilt_Golden_plane(t *testing.T) {
	tilt := Tilt{
		To:    must(models.NewGaussian([]int{2}, []float64{0.5, -0.3}, []float64{0.3, 0.1, 0.1, 0.2}))(t),
		From:  must(models.NewGaussian([]int{2}, []float64{0, 0}, []float64{1, 0, 0, 1}))(t),
		Class: -1, G: 2,
	}
	p := must(tilt.Plane(schedules.Level{Alpha: 1}))(t)
	// The precision is 2 C⁻¹ − I, C⁻¹ = (0.2, −0.1; −0.1, 0.3)/0.05.
	a, b, d := 2*0.2/0.05-1, -2*0.1/0.05, 2*0.3/0.05-1
	det := a*d - b*b
	hx, hy := 2*(0.2*0.5+0.1*0.3)/0.05, 2*(-0.1*0.5-0.3*0.3)/0.05
	mx, my := (d*hx-b*hy)/det, (a*hy-b*hx)/det
	for _, c := range []struct {
		name string
		f    func(x, y float64) float64
		want float64
	}{
		{"mass", func(x, y float64) float64 { return 1 }, 1},
		{"mean of x", func(x, y float64) float64 { return x }, mx},
		{"mean of y", func(x, y float64) float64 { return y }, my},
		{"variance of x", func(x, y float64) float64 { return (x - mx) * (x - mx) }, d / det},
		{"covariance", func(x, y float64) float64 { return (x - mx) * (y - my) }, -b / det},
	} {
		if got := p.Expect(c.f); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s is %.15g, expected %.15g", c.name, got, c.want)
		}
	}
}

// Draws by rejection have the moments of the tables, the share that is kept is
// E_c[p(c | x)^(G−1)], and a row depends on its key alone.
func TestTilt_Property_sample(t *testing.T) {
	m := twoClasses(t)
	const n = 10_000
	keys := solvers.RowKeys(rng.New(6), 0, n)
	x := make([]float64, n)
	for _, at := range []schedules.Level{{Alpha: 1}, {Alpha: 1, Sigma: 1}} {
		for _, g := range []float64{0.5, 2, 4} {
			tilt := Tilt{To: m, From: m, Class: 1, G: g}
			kept, err := tilt.Sample(x, at, keys)
			if err != nil {
				t.Fatal(err)
			}
			mean, sd := moments(x)
			wantMean, wantSD := must(tilt.Line(at))(t).Moments()
			se := wantSD / math.Sqrt(n) // four of it, and the law is close to normal
			if math.Abs(mean-wantMean) > 4*se || math.Abs(sd-wantSD) > 4*se {
				t.Errorf("G = %g, σ = %g: mean %.4f, deviation %.4f, expected %.4f and %.4f", g, at.Sigma, mean, sd, wantMean, wantSD)
			}
			if g > 1 {
				class := must(Tilt{To: m, From: m, Class: 1, G: 1}.Line(at))(t)
				want := class.Expect(func(v float64) float64 {
					v2 := at.Sigma*at.Sigma + 0.25
					return math.Pow(1+math.Exp(-2*v/v2), 1-g) // p(1 | x) is logistic
				})
				if math.Abs(kept-want) > 4*0.5/math.Sqrt(n) {
					t.Errorf("G = %g: kept %.4f, expected %.4f", g, kept, want)
				}
			}
			two := make([]float64, 2)
			if _, err := tilt.Sample(two, at, keys[5:7]); err != nil || !slices.Equal(two, x[5:7]) {
				t.Errorf("G = %g: rows 5 and 6 alone are %v, in their batch %v (%v)", g, two, x[5:7], err)
			}
		}
	}
	post := make([]float64, 3)
	at := []schedules.Level{{Alpha: 1}}
	if err := (Tilt{To: m, From: m, Class: 1, G: 2}).Posterior(post, models.Query{X: []float64{-0.3, 0, 0.4}, Rows: 3, At: at}); err != nil {
		t.Fatal(err)
	}
	for i, v := range []float64{-0.3, 0, 0.4} {
		if want := 1 / (1 + math.Exp(-8*v)); math.Abs(post[i]-want) > 1e-14 {
			t.Errorf("p(1 | %g) = %.15g, expected %.15g", v, post[i], want)
		}
	}
}
