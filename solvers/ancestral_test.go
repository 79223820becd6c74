package solvers_test

import (
	"fmt"
	"math"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
	"snrlab/solvers/solvertest"
)

// The rectified-flow forms as their users write them: states and levels of the
// flow itself, α = 1 − σ, where a Euler step is (σ'/σ) x + (1 − σ'/σ) D. Then
// σ_down = σ_b (1 + (σ_b/σ_a − 1) η) and noise at √(σ_b² − σ_down² α_b²/α_down²) comes after a
// rescaling by α_b/α_down.
func TestAncestralRF_AgreesWith(t *testing.T) {
	const eta, snoise = 0.7, 0.9
	mix, sch := models.GM2D(), schedules.RF{Shift: 1}
	x, z := []float64{0.3, -0.8}, []float64{-1.1, 0.4}
	for _, l := range [][2]float64{{1, 0.9}, {0.9, 0.6}, {0.3, 0.29}} {
		sa, sb := l[0], l[1]
		denoise := func(x []float64, s float64) []float64 {
			d := make([]float64, 2)
			q := models.Query{X: x, Rows: 1, At: []schedules.Level{{Alpha: 1 - s, Sigma: s}}}
			if err := mix.Denoise(t.Context(), d, q); err != nil {
				t.Fatal(err)
			}
			return d
		}
		line := func(x, d []float64, from, to float64) []float64 {
			y := make([]float64, 2)
			for i := range y {
				y[i] = to/from*x[i] + (1-to/from)*d[i]
			}
			return y
		}
		down := sb * (1 + (sb/sa-1)*eta)
		d := denoise(x, sa)
		middle := func() []float64 { // in log σ, by the slope (x − D)/σ
			m := math.Sqrt(sa * down)
			y := line(x, d, sa, m)
			dm := denoise(y, m)
			end := make([]float64, 2)
			for i := range end {
				end[i] = x[i] + (down-sa)*(y[i]-dm[i])/m
			}
			return end
		}
		half := func() []float64 { // in log((1 − σ)/σ)
			logit := func(s float64) float64 { return math.Log((1 - s) / s) }
			if sa == 1 {
				return line(x, d, sa, down)
			}
			m := 1 / (1 + math.Exp((logit(sa)+logit(down))/2))
			return line(x, denoise(line(x, d, sa, m), m), sa, down)
		}
		for name, end := range map[string][]float64{
			"euler-ancestral(eta=%g,snoise=%g,process=rf)": line(x, d, sa, down),
			"dpm2-ancestral-rf(eta=%g,snoise=%g)":          middle(),
			"dpmpp-2s-ancestral-rf(eta=%g,snoise=%g)":      half(),
		} {
			scale := (1 - sb) / (1 - down)
			for i := range end {
				end[i] = scale*end[i] + snoise*math.Sqrt(sb*sb-down*down*scale*scale)*z[i]
			}
			p := solvers.Problem{
				Denoiser: mix, Schedule: sch, Noise: solvers.NewReplay([][]float64{z}),
				Grid: schedules.Grid{{Alpha: 1 - sa, Sigma: sa}, {Alpha: 1 - sb, Sigma: sb}},
			}
			s := parse(t, fmt.Sprintf(name, eta, snoise))
			got := run(t, s, p, x)
			for i := range end {
				// Rounding of λ and of the square root's difference.
				if math.Abs(got[i]-end[i]) > 1e-13 {
					t.Errorf("%s from %g to %g: %v, expected %v", s, sa, sb, got, end)
					break
				}
			}
		}
	}
}

// One step of DDPM on VP levels in the words of its paper: β_t = 1 − α_a²/α_b² of
// the step, the posterior's mean, and the two variances.
func TestDDPM_Property(t *testing.T) {
	mix := models.GM2D()
	a, b := schedules.Level{Alpha: 0.6, Sigma: 0.8}, schedules.Level{Alpha: 0.8, Sigma: 0.6}
	x, z := []float64{0.3, -0.8}, []float64{-1.1, 0.4}
	d := make([]float64, 2)
	if err := mix.Denoise(t.Context(), d, models.Query{X: x, Rows: 1, At: []schedules.Level{a}}); err != nil {
		t.Fatal(err)
	}
	beta := 1 - 0.6*0.6/(0.8*0.8)
	small := beta * (1 - 0.8*0.8) / (1 - 0.6*0.6)
	for name, v := range map[string]float64{
		"ddpm": small, "ddpm(variance=large)": beta,
		"ddpm(variance=learned,v=0.3)": math.Exp(0.3*math.Log(beta) + 0.7*math.Log(small)),
	} {
		got := run(t, parse(t, name), solvers.Problem{Denoiser: mix, Grid: schedules.Grid{a, b}, Noise: solvers.NewReplay([][]float64{z})}, x)
		for i := range got {
			mean := 0.8*beta/(1-0.6*0.6)*d[i] + 0.6/0.8*(1-0.8*0.8)/(1-0.6*0.6)*x[i]
			if want := mean + math.Sqrt(v)*z[i]; math.Abs(got[i]-want) > 1e-14 { // rounding
				t.Errorf("%s: value %d is %.16g, expected %.16g", name, i, got[i], want)
			}
		}
	}
	// At the ends: nothing of x is left from α = 0, and β = σ_a² where σ_b = 0.
	ends := schedules.Grid{{Sigma: 1}, b, {Alpha: 1}}
	noise := solvers.NewReplay([][]float64{z, z})
	s := parse(t, "ddpm(variance=large,first=own,last=own)")
	got := run(t, s, solvers.Problem{Denoiser: mix, Grid: ends, Noise: noise}, []float64{7, 7})
	mean, err := mix.Moments(schedules.Level{Alpha: 1}, -1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x {
		x[i] = 0.8*mean.Mean[i] + z[i]
	}
	if err := mix.Denoise(t.Context(), d, models.Query{X: x, Rows: 1, At: []schedules.Level{b}}); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if want := d[i] + 0.6*z[i]; math.Abs(got[i]-want) > 1e-14 {
			t.Errorf("%s over both ends: value %d is %.16g, expected %.16g", s, i, got[i], want)
		}
	}
}

// With its best variance a step has the exact law on data N(0, c), whatever its
// size and η, from α = 0 to σ = 0 too; DDPM's small one loses variance.
func TestAnalyticDDPM_Property(t *testing.T) {
	const c = 0.25
	rf := schedules.RF{Shift: 1}
	var g schedules.Grid
	for _, at := range []float64{1, 0.6, 0.3, 0} {
		g = append(g, rf.At(at))
	}
	for _, name := range []string{"analytic-ddpm(first=own,last=own)", "analytic-ddpm(eta=0.4,estimate=value,first=own,last=own)"} {
		// The start is N(0, 1), the marginal at α = 0; no noise is invented.
		if v := solvertest.Variance(t, parse(t, name), rf, g, c); math.Abs(v-c) > 1e-14 {
			t.Errorf("%s: variance %.16g after three steps, exactly %g", name, v, c)
		}
	}
	v := solvertest.Variance(t, parse(t, "analytic-ddpm(estimate=marginal,draws=20000,first=own,last=own)"), rf, g, c)
	// The variance of a variance of 20000 numbers is 2/20000: three deviations.
	if math.Abs(v/c-1) > 0.03 {
		t.Errorf("with the marginal estimate the variance is %.4g, exactly %g", v, c)
	}
	if v := solvertest.Variance(t, parse(t, "ddpm"), rf, g, c); v > 0.6*c {
		t.Errorf("ddpm: variance %.4g after three steps: expected to lose most of %g", v, c)
	}
}

// The marginal estimate is the mean of the exact traces, and that of a class
// where rows have labels; every value of a diagonal Gaussian has its own variance.
func TestAnalyticDDPM_AgreesWith(t *testing.T) {
	const rows = 2
	mix := models.GM2D()
	sch := vp(0.02, 40)
	g := gridOf(t, schedules.Karras{Rho: 7}, sch, 4)
	p := func(d models.Denoiser) solvers.Problem {
		return solvers.Problem{Denoiser: d, Grid: g, Noise: solvers.NewIndependent(solvers.RowKeys(rng.New(1), 0, rows))}
	}
	// With one direction per value, and all alike, the estimates are one.
	gauss, err := models.IsotropicGaussian(3, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	x := normals(3*rows, 1)
	a, b := run(t, parse(t, "analytic-ddpm"), p(gauss), x), run(t, parse(t, "analytic-ddpm(estimate=value)"), p(gauss), x)
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-14 {
			t.Errorf("value %d: %.16g by rows, %.16g by values", i, a[i], b[i])
		}
	}
	// A denoiser that is no exact model is refused, counted or not.
	for _, name := range []string{"analytic-ddpm", "analytic-ddpm(estimate=value)", "analytic-ddpm(estimate=marginal,draws=10)"} {
		raw := models.FromRaw(models.V{}, models.ToRaw(models.V{}, mix))
		if _, err := parse(t, name).Start(p(models.NewCounter(raw)), normals(2*rows, 1)); err == nil {
			t.Errorf("%s takes a model that is not exact", name)
		}
		counter := models.NewCounter(mix)
		if _, err := parse(t, name).Start(p(counter), normals(2*rows, 1)); err != nil || counter.Calls() != 0 {
			t.Errorf("%s: %v, %d evaluations counted before the first step", name, err, counter.Calls())
		}
	}
}
