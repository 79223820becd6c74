package solvers_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// dataOf draws rows of the data of m.
func dataOf(t testing.TB, m models.Exact, rows int) []float64 {
	t.Helper()
	x := make([]float64, models.Dim(m)*rows)
	if err := m.Sample(x, schedules.Level{Alpha: 1}, nil, solvers.RowKeys(rng.New(5), 0, rows)); err != nil {
		t.Fatal(err)
	}
	return x
}

// reversed returns p with its grid the other way round.
func reversed(p solvers.Problem) solvers.Problem {
	p.Grid = slices.Clone(p.Grid)
	slices.Reverse(p.Grid)
	return p
}

func rmse(a, b []float64, rows int) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum / float64(rows))
}

// Up by the usual inversion and down by DDIM loses what one first-order map loses:
// the error halves with each doubling. The slope of the level ahead loses less than
// that of the level behind.
func TestDDIMInversion_Order(t *testing.T) {
	const rows = 1000
	mix, sch := models.GM2D(), schedules.EDM{SMin: 0.002, SMax: 80}
	x := dataOf(t, mix, rows)
	lost := map[string][]float64{}
	for _, up := range []string{"euler", "ddim-inversion"} {
		for _, n := range []int{50, 100, 200} {
			p := solvers.Problem{Denoiser: mix, Grid: gridOf(t, schedules.Karras{Rho: 7}, sch, n)}
			lost[up] = append(lost[up], rmse(run(t, parse(t, "ddim"), p, run(t, parse(t, up), reversed(p), x)), x, rows))
		}
		for i, e := range lost[up][1:] {
			if r := lost[up][i] / e; math.Abs(r-2) > 0.2 {
				t.Errorf("%s up and ddim down lose %.4f in 50, 100, 200 steps: expected half with each doubling", up, lost[up])
			}
		}
	}
	t.Logf("round trip RMSE in 50, 100, 200 steps: %v", lost)
	for i, e := range lost["ddim-inversion"] {
		if behind := lost["euler"][i]; e > behind {
			t.Errorf("the slope ahead loses %.4f, that behind %.4f", e, behind)
		}
	}
}

// One iteration from data without noise, by hand on N(0, c) at ŝ_b = 1, where
// e = x̂/(c + 1). The first guess is x̂_b = √2.
func TestDDIMInversion_Limit(t *testing.T) {
	const c = 0.25
	gauss, err := models.IsotropicGaussian(1, c)
	if err != nil {
		t.Fatal(err)
	}
	g := schedules.Grid{{Alpha: 1}, {Alpha: 0.5, Sigma: 0.5}}
	once := 1 + math.Sqrt2/(c+1)
	for name, want := range map[string]float64{
		"ddim-inversion":               once,
		"ddim-inversion(iterations=2)": 1 + once/(c+1),
		"belm":                         once,
		// The fixed point x̂_b = 1 + x̂_b/(c + 1).
		"ddim-inversion(iterations=200,tol=1e-15)": (c + 1) / c,
	} {
		got := run(t, parse(t, name), solvers.Problem{Denoiser: gauss, Grid: g}, []float64{1})[0]
		if math.Abs(got-want/2) > 1e-14 { // rounding, five times that at the fixed point
			t.Errorf("%s: x = %.16g, expected %.16g", name, got, want/2)
		}
	}
}

// A fixed point is where DDIM comes from: sampling returns to the data, from σ = 0
// too, and no row depends on the others' number of iterations.
func TestDDIMInversion_Invariant(t *testing.T) {
	const rows = 200
	mix, sch := models.GM2D(), schedules.EDM{SMin: 0.002, SMax: 80}
	s := parse(t, "ddim-inversion(iterations=2000,tol=1e-14)")
	x := dataOf(t, mix, rows)
	for _, clean := range []bool{false, true} {
		p := solvers.Problem{Denoiser: mix, Grid: gridOf(t, schedules.Karras{Rho: 7}, sch, 50)}
		if clean {
			p.Grid = append(p.Grid, schedules.Level{Alpha: 1})
		}
		up := run(t, s, reversed(p), x)
		// The tolerance at σ = 80, carried to the data.
		if e := rmse(run(t, parse(t, "ddim"), p, up), x, rows); e > 1e-9 {
			t.Errorf("σ = 0 %t: the round trip loses %.2g", clean, e)
		}
		one := run(t, s, reversed(p), x[2*17:2*18])
		if !slices.Equal(one, up[2*17:2*18]) {
			t.Errorf("σ = 0 %t: row 17 alone ends at %v, in the batch at %v", clean, one, up[2*17:2*18])
		}
	}
}

func TestDDIMInversion_Refuses(t *testing.T) {
	mix := models.GM2D()
	p := solvers.Problem{Denoiser: mix, Grid: schedules.Grid{{Alpha: 1, Sigma: 0.01}, {Alpha: 1, Sigma: 80}}}
	_, err := solvers.Sample(context.Background(), parse(t, "ddim-inversion(iterations=3,tol=1e-9)"), p, dataOf(t, mix, 3))
	if err == nil || !strings.Contains(err.Error(), "fixed point of row 0") || !strings.Contains(err.Error(), "smaller steps") {
		t.Errorf("an iteration that does not settle gives %v", err)
	}
	for name, want := range map[string]string{
		"ddim-inversion(iterations=0)":      "iterations",
		"ddim-inversion(tol=1e-9)":          "iterations = 1",
		"ddim-inversion(tol=-1)":            "tol",
		"ddpm(v=0.5)":                       "variance",
		"ddpm(variance=learned,v=2)":        "v = 2",
		"analytic-ddpm(draws=10)":           "draws",
		"consistency(smin=-1)":              "smin",
		"tcd(gamma=2)":                      "gamma",
		"dpm2-ancestral-rf(eta=2)":          "eta",
		"ddim(first=own)":                   "first",
		"euler-ancestral(eta=0,process=rf)": "process",
	} {
		s, err := solvers.Parse(name)
		if err == nil {
			p := solvers.Problem{Denoiser: mix, Grid: schedules.Grid{{Alpha: 1, Sigma: 80}, {Alpha: 1, Sigma: 1}}, Noise: solvers.NewReplay(nil)}
			_, err = s.Start(p, []float64{1, 2})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, expected an error about %q", name, err, want)
		}
	}
	end := schedules.Grid{{Alpha: 1, Sigma: 80}, {Sigma: 1}}
	for _, name := range []string{"ddim-inversion", "belm"} {
		if _, err := parse(t, name).Start(solvers.Problem{Denoiser: mix, Grid: end}, []float64{1, 2}); err == nil {
			t.Errorf("%s to α = 0 was not refused", name)
		}
	}
	if _, err := (solvers.BELM{}).Turn(solvers.State{Solver: "euler"}); err == nil {
		t.Error("belm turns a state of another solver")
	}
}

// Turned around, the two-step method comes back by algebra, from data with and
// without noise. It loses rounding, divided by h²/k² < 1 in a step of the inversion.
func TestBELM_Invariant(t *testing.T) {
	const rows = 200
	mix, sch := models.GM2D(), schedules.EDM{SMin: 0.002, SMax: 80}
	s, x := solvers.BELM{}, dataOf(t, mix, rows)
	for _, n := range []int{5, 20, 100} {
		for _, clean := range []bool{false, true} {
			t.Run(fmt.Sprint(n, clean), func(t *testing.T) {
				p := solvers.Problem{Denoiser: mix, Grid: gridOf(t, schedules.Karras{Rho: 7}, sch, n)}
				if clean {
					p.Grid = append(p.Grid, schedules.Level{Alpha: 1})
				}
				up, err := s.Start(reversed(p), x)
				if err != nil {
					t.Fatal(err)
				}
				for _, err := range solvers.Steps(t.Context(), up) {
					if err != nil {
						t.Fatal(err)
					}
				}
				back, err := s.Turn(up.State())
				if err != nil {
					t.Fatal(err)
				}
				got, err := solvers.Sample(t.Context(), s, p, back.X, solvers.Resume(back))
				if err != nil {
					t.Fatal(err)
				}
				e := rmse(got, x, rows)
				t.Logf("the round trip loses %.2g", e)
				if e > 1e-9 {
					t.Errorf("the round trip loses %.2g", e)
				}
			})
		}
	}
}
