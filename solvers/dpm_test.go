package solvers_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// The cheap start and the full end are the defaults because they win at equal
// evaluations where the starts are noise: from there the first steps err least, and a
// start that keeps order 3 costs a step. At fewer than 20 evaluations the signs of
// errors decide, and neither end is better throughout.
func TestDPMMultistep_Property_Defaults(t *testing.T) {
	const rows = 256
	sch := schedules.EDM{SMin: 0.002, SMax: 80}
	for name, d := range map[string]models.Denoiser{"gm2d": models.GM2D(), "gauss4": models.Gauss4()} {
		x := normals(rows*models.Dim(d), 80)
		p := solvers.Problem{Denoiser: d, Schedule: sch, Grid: schedules.Grid{sch.At(80), sch.At(0.002)}}
		truth, err := solvers.Reference{RTol: 1e-10}.Solve(context.Background(), p, x)
		if err != nil {
			t.Fatal(err)
		}
		for _, spacing := range []schedules.Spacing{schedules.Karras{Rho: 7}, schedules.UniformLambda{}} {
			grid := func(n int) (schedules.Grid, error) { return spacing.Grid(sch, n) }
			rmse := func(name string, nfe int) float64 {
				s := parse(t, name)
				n, exact, err := solvers.StepsFor(s, nfe, grid)
				if err != nil || !exact {
					t.Fatalf("%s in %d evaluations: %v", name, nfe, err)
				}
				p.Grid = gridOf(t, spacing, sch, n)
				sum := 0.0
				for i, v := range run(t, s, p, x) {
					sum += (v - truth.X[1][i]) * (v - truth.X[1][i])
				}
				return math.Sqrt(sum / rows)
			}
			for _, nfe := range []int{20, 32, 50} {
				best := rmse("dpmpp-3m", nfe)
				for _, other := range []string{"dpmpp-3m(start=lean)", "dpmpp-3m(start=rk)", "dpmpp-3m(final=lower)", "dpmpp-3m(start=lean,final=lower)"} {
					// A twentieth depends on the starts drawn.
					if e := rmse(other, nfe); best > 1.05*e {
						t.Errorf("%s, %s, %d evaluations: dpmpp-3m errs by %.3g, %s by %.3g", name, spacing, nfe, best, other, e)
					}
				}
			}
		}
	}
}

func TestDPM_Refuses(t *testing.T) {
	for name, want := range map[string]string{
		"dpmpp-1(form=taylor)":                   "no effect with order = 1",
		"dpmpp-2m(second=half)":                  "no effect with order = 2",
		"dpmpp-2m(start=lean)":                   "no effect with order = 2",
		"dpmpp-2m(form=simple)":                  "paper and taylor",
		"dpmpp-2m(snoise=1.1)":                   "no effect with eta = 0",
		"dpmpp-2m(eta=-1)":                       "eta = -1",
		"dpmpp-3m(start=rk,eta=1)":               "adds no noise",
		"dpm-solver-3m(second=flipped)":          "expected exact or half",
		"dpm-solver-2(r2=0.9)":                   "no effect with order = 2",
		"dpm-solver-2(short=2)":                  "expected 0 to 1",
		"dpm-solver-3(short=4)":                  "expected 0 to 3",
		"dpm-solver-3(r=0.7)":                    "r < r2",
		"dpm-solver-3(form=simple)":              "paper and taylor",
		"dpm-solver-2(eta=0.5,schurn=10)":        "one way to add noise",
		"dpm-solver-2(eta=0.5,stmax=3)":          "no effect",
		"dpm-solver-2(eta=2)":                    "0 ≤ eta ≤ 1",
		"dpmpp-2s-grid(draws=apart)":             "no effect with eta = 0",
		"dpmpp-2s-grid(form=simple)":             "paper or taylor",
		"dpmpp-sde(eta=0,draws=apart)":           "no effect with eta = 0",
		"dpmpp-sde(eta=1,snoise=0)":              "snoise = 0",
		"dpmpp-23(rule=dpm-solver,eta=1)":        "no effect with rule = dpm-solver",
		"dpmpp-23(first=0)":                      "first = 0",
		"dpmpp-23(i=0)":                          "i above 0",
		"dpmpp-23(rtol=0)":                       "rtol = 0",
		"dpmpp-23(maxsteps=0)":                   "maxsteps = 0",
		"dpmpp-23(form=simple)":                  "paper or taylor",
		"dpm-solver-12(rule=k-diffuson)":         `did you mean "k-diffusion"`,
		"dpm-solver-2m(final=euler,second=wild)": "unknown choice",
	} {
		if _, err := solvers.Parse(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected an error with %q", name, err, want)
		}
	}
}
