package solvers_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// toNoise is the grid from a level to α = 0.
func toNoise(alpha, sigma float64) schedules.Grid {
	return schedules.Grid{{T: math.NaN(), Alpha: alpha, Sigma: sigma}, {T: math.NaN(), Alpha: 0, Sigma: 1}}
}

// logDensities asks for the rows of x and fails the test if it cannot be had.
func logDensities(t *testing.T, l solvers.Likelihood, p solvers.Problem, x []float64, keys []rng.Key) *solvers.LogDensities {
	t.Helper()
	r, err := l.LogDensity(context.Background(), p, x, keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// exactRows are samples of the first level and their exact log-densities.
func exactRows(t *testing.T, m models.Exact, at schedules.Level, labels []int, rows int) (x, logp []float64) {
	t.Helper()
	x, logp = make([]float64, rows*models.Dim(m)), make([]float64, rows)
	if err := m.Sample(x, at, labels, solvers.RowKeys(rng.New(21), 0, rows)); err != nil {
		t.Fatal(err)
	}
	if err := m.LogDensity(logp, models.Query{X: x, Rows: rows, At: []schedules.Level{at}, Labels: labels}); err != nil {
		t.Fatal(err)
	}
	return x, logp
}

// covOnly hides the trace and leaves the products.
type covOnly struct {
	models.Denoiser
	models.PosteriorCov
}

// The change of volume along the flow is the exact log-density, with the trace
// in closed form and by unit vectors, on any path, for any class.
func TestLikelihood_AgreesWith_LogDensity(t *testing.T) {
	race.Measures(t)
	labelled, err := models.NewMixture(models.Components{
		Shape: []int{2}, Weights: []float64{1, 2, 1}, Means: []float64{0, 1, -1, 0, 1, -1}, Residual: []float64{0.1, 0.2, 0.05}, Labels: []int{0, 1, 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	classes := []int{0, 1, -1, 1, 0, -1}
	for _, c := range []struct {
		name   string
		model  models.Exact
		grid   schedules.Grid
		labels []int
	}{
		{"gm2d", models.GM2D(), toNoise(1, 0.01), nil},
		{"gm2d at σ = 0.5 on VP", models.GM2D(), toNoise(math.Sqrt(0.8), math.Sqrt(0.2)), nil},
		{"gm2d of α = 3", models.GM2D(), toNoise(3, 0.1), nil},
		{"gauss4", models.Gauss4(), toNoise(1, 0.01), nil},
		{"gmm16", models.GMM16(), toNoise(1, 0.01), nil},
		{"classes", labelled, toNoise(1, 0.02), classes},
	} {
		x, want := exactRows(t, c.model, c.grid[0], c.labels, len(classes))
		for how, d := range map[string]models.Denoiser{"closed form": c.model, "unit vectors": covOnly{c.model, c.model}} {
			r := logDensities(t, solvers.Likelihood{}, solvers.Problem{Denoiser: d, Grid: c.grid, Labels: c.labels}, x, nil)
			if wantProducts := map[string]int{"closed form": 0, "unit vectors": models.Dim(c.model)}[how]; r.Products != wantProducts {
				t.Errorf("%s, %s: %d products an evaluation, expected %d", c.name, how, r.Products, wantProducts)
			}
			worst := 0.0
			for i, v := range r.LogP {
				worst = max(worst, math.Abs(v-want[i]))
			}
			t.Logf("%s, %s: worst error %.1e nats, %d evaluations", c.name, how, worst, r.Cost[0].Evals)
			// Some tens of steps of 1e-10 each.
			if worst > 1e-8 {
				t.Errorf("%s, %s: log p %.12g, exactly %.12g", c.name, how, r.LogP, want)
			}
		}
	}
}

// A prior that is not the marginal shows: at σ = 80 the law of x is wider than
// N(0, σ²I) by the data's variance.
func TestLikelihood_Limit_Prior(t *testing.T) {
	m := models.GM2D()
	g := schedules.Grid{{Alpha: 1, Sigma: 0.1}, {Alpha: 1, Sigma: 80}}
	x, want := exactRows(t, m, g[0], nil, 5)
	r := logDensities(t, solvers.Likelihood{}, solvers.Problem{Denoiser: m, Grid: g}, x, nil)
	at := make([]float64, 5)
	if err := m.LogDensity(at, models.Query{X: r.End, Rows: 5, At: g[1:]}); err != nil {
		t.Fatal(err)
	}
	for i, v := range r.LogP {
		prior := -math.Log(2*math.Pi*80*80) - (r.End[2*i]*r.End[2*i]+r.End[2*i+1]*r.End[2*i+1])/(2*80*80)
		if miss := v - want[i]; math.Abs(miss-(prior-at[i])) > 1e-8 || miss == 0 {
			t.Errorf("row %d: log p is off by %g, the prior at the end by %g", i, miss, prior-at[i])
		}
	}
}

// On a grid the error falls with the order of the scheme.
func TestLikelihood_Order(t *testing.T) {
	m := models.GM2D()
	x, want := exactRows(t, m, toNoise(1, 0.05)[0], nil, 16)
	for method, order := range map[solvers.Scheme]float64{solvers.Euler1: 1, solvers.Heun2: 2, solvers.Kutta3: 3, solvers.RK4: 4} {
		var e [2]float64
		for k, n := range []int{80, 160} {
			// Uniform in w = asinh(α/σ), the variable that steps are taken in.
			g := schedules.Grid{}
			for i := range n + 1 {
				w := math.Asinh(20) * float64(n-i) / float64(n)
				g = append(g, schedules.Level{Alpha: math.Tanh(w), Sigma: 1 / math.Cosh(w)})
			}
			start := slices.Clone(x)
			for i := range start {
				start[i] *= g[0].Alpha
			}
			r := logDensities(t, solvers.Likelihood{OnGrid: true, Method: method}, solvers.Problem{Denoiser: m, Grid: g}, start, nil)
			for i, v := range r.LogP {
				d := v + 2*math.Log(g[0].Alpha) - want[i] // of x/α in two dimensions
				e[k] += d * d
			}
		}
		slope := math.Log2(e[0]/e[1]) / 2
		t.Logf("%s: order %.2f, error %.1e", method, slope, math.Sqrt(e[1]/16))
		if math.Abs(slope-order) > 0.3 {
			t.Errorf("%s: order %.2f, expected %g", method, slope, order)
		}
	}
}

// Hutchinson's estimate is unbiased, exact on the line, and has less variance
// with ±1 than with normal probes.
func TestLikelihood_Property_Hutchinson(t *testing.T) {
	race.Measures(t)
	line, at := models.GM1D(), toNoise(1, 0.1)
	keys := solvers.RowKeys(rng.New(4), 0, 4)
	x, want := exactRows(t, line, at[0], nil, 4)
	r := logDensities(t, solvers.Likelihood{Divergence: solvers.Hutchinson}, solvers.Problem{Denoiser: line, Grid: at}, x, keys)
	for i, v := range r.LogP {
		if math.Abs(v-want[i]) > 1e-8 || !math.IsNaN(r.StdErr[i]) {
			t.Errorf("row %d on the line: log p %.12g ± %g, exactly %.12g", i, v, r.StdErr[i], want[i])
		}
	}

	mix := models.GMM16()
	x, want = exactRows(t, mix, at[0], nil, 4)
	l := solvers.Likelihood{Reference: solvers.Reference{RTol: 1e-5}, Divergence: solvers.Hutchinson, Probes: 100}
	rademacher := logDensities(t, l, solvers.Problem{Denoiser: mix, Grid: at}, x, keys)
	l.Probe = solvers.GaussProbe
	normal := logDensities(t, l, solvers.Problem{Denoiser: mix, Grid: at}, x, keys)
	for i := range want {
		for name, r := range map[string]*solvers.LogDensities{"rademacher": rademacher, "normal": normal} {
			if z := math.Abs(r.LogP[i]-want[i]) / r.StdErr[i]; z > 5 || r.StdErr[i] > 5 {
				t.Errorf("row %d, %s: log p %.4g ± %.2g, exactly %.4g", i, name, r.LogP[i], r.StdErr[i], want[i])
			}
		}
		if rademacher.StdErr[i] >= normal.StdErr[i] {
			t.Errorf("row %d: standard errors %.3g of ±1 and %.3g of normal probes", i, rademacher.StdErr[i], normal.StdErr[i])
		}
	}
}

// A row's result is its own, bit for bit.
func TestLikelihood_Invariant_Rows(t *testing.T) {
	const rows = 5
	m, g := models.GMM16(), toNoise(1, 0.05)
	keys := solvers.RowKeys(rng.New(4), 0, rows)
	x, _ := exactRows(t, m, g[0], nil, rows)
	for _, l := range []solvers.Likelihood{
		{Reference: solvers.Reference{RTol: 1e-5}},
		{Reference: solvers.Reference{RTol: 1e-5}, Divergence: solvers.Hutchinson, Probes: 2},
		{OnGrid: true},
	} {
		k := keys
		if l.Divergence == solvers.ExactTrace {
			k = nil
		}
		all := logDensities(t, l, solvers.Problem{Denoiser: m, Grid: g}, x, k)
		if k != nil {
			k = k[3:4]
		}
		one := logDensities(t, l, solvers.Problem{Denoiser: m, Grid: g}, x[3*16:4*16], k)
		if one.LogP[0] != all.LogP[3] || one.Cost[0] != all.Cost[3] {
			t.Errorf("%+v: a row alone has log p %.17g, %.17g in its batch", l, one.LogP[0], all.LogP[3])
		}
	}
}

func TestLikelihood_Refuses(t *testing.T) {
	m, g := models.GM2D(), toNoise(1, 0.1)
	x := make([]float64, 4)
	keys := solvers.RowKeys(rng.New(1), 0, 2)
	hutchinson := solvers.Likelihood{Divergence: solvers.Hutchinson}
	for want, c := range map[string]struct {
		l    solvers.Likelihood
		p    solvers.Problem
		keys []rng.Key
	}{
		"rtol = 2":             {solvers.Likelihood{Reference: solvers.Reference{RTol: 2}}, solvers.Problem{Denoiser: m, Grid: g}, nil},
		"probes = -1":          {solvers.Likelihood{Divergence: solvers.Hutchinson, Probes: -1}, solvers.Problem{Denoiser: m, Grid: g}, keys},
		"probes have no":       {solvers.Likelihood{Probes: 3}, solvers.Problem{Denoiser: m, Grid: g}, nil},
		"method has no":        {solvers.Likelihood{Method: solvers.Heun2}, solvers.Problem{Denoiser: m, Grid: g}, nil},
		"second stage":         {solvers.Likelihood{OnGrid: true, Method: solvers.AlphaHeun}, solvers.Problem{Denoiser: m, Grid: g}, nil},
		"no denoiser":          {solvers.Likelihood{}, solvers.Problem{Grid: g}, nil},
		"the grid falls":       {solvers.Likelihood{}, solvers.Problem{Denoiser: m, Grid: schedules.Grid{g[1], g[0]}}, nil},
		"starts at σ = 0":      {solvers.Likelihood{}, solvers.Problem{Denoiser: m, Grid: toNoise(1, 0)}, nil},
		"1 labels for 2":       {solvers.Likelihood{}, solvers.Problem{Denoiser: m, Grid: g, Labels: []int{0}}, nil},
		"0 keys of probes":     {hutchinson, solvers.Problem{Denoiser: m, Grid: g}, nil},
		"keys of probes have":  {solvers.Likelihood{}, solvers.Problem{Denoiser: m, Grid: g}, keys},
		"models.PosteriorCov)": {solvers.Likelihood{}, solvers.Problem{Denoiser: inexact{m}, Grid: g}, nil},
	} {
		if _, err := c.l.LogDensity(context.Background(), c.p, x, c.keys); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
	bad := []float64{0, 1, math.NaN(), 1}
	for _, l := range []solvers.Likelihood{{}, {OnGrid: true}} {
		if _, err := l.LogDensity(context.Background(), solvers.Problem{Denoiser: m, Grid: g}, bad, nil); err == nil || !strings.Contains(err.Error(), "row 1") {
			t.Errorf("on_grid = %v: a NaN gives %v", l.OnGrid, err)
		}
	}
	if fmt.Sprint(solvers.Hutchinson, solvers.GaussProbe) != "hutchinson normal" {
		t.Error("names changed")
	}
}
