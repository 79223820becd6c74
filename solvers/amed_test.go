package solvers

import (
	"context"
	"math"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/models"
	"snrlab/schedules"
)

// The r of each step that brings the batch nearest to the exact states, searched
// over 197 values from where the run is, and the errors of the ends: computed by
// an independent program from the same starts.
func TestAMED_Golden(t *testing.T) {
	race.Measures(t)
	g, _, start, end := readGM2D(t)
	if len(g.AMED) == 0 {
		t.Fatal("no AMED in the file")
	}
	edm := schedules.EDM{SMin: 0.002, SMax: 80}
	for name, want := range g.AMED {
		kind, _, _ := strings.Cut(name, "-")
		sp, err := schedules.ParseSpacing(gm2dGrids[kind])
		if err != nil {
			t.Fatal(err)
		}
		grid, err := sp.Grid(edm, len(want.R))
		if err != nil {
			t.Fatal(err)
		}
		if testing.Short() && len(want.R) > 3 {
			continue
		}
		p := Problem{Denoiser: models.GM2D(), Grid: grid, Schedule: edm}
		exact, err := Reference{RTol: 1e-9}.Solve(context.Background(), p, start)
		if err != nil {
			t.Fatal(err)
		}
		x := start
		for i := range want.R {
			step := p
			step.Grid = grid[i : i+2]
			best, at, next := math.Inf(1), 0.0, []float64(nil)
			for k := range 197 {
				r := 0.01 + 0.98*float64(k)/196
				y, err := Sample(context.Background(), AMED{R: Numbers(r), C: "1", Kappa: "1"}, step, x)
				if err != nil {
					t.Fatal(err)
				}
				if e := rmse2(y, exact.X[i+1]); e < best {
					best, at, next = e, r, y
				}
			}
			// One place of the search apart: the grid's own distance.
			if math.Abs(at-want.R[i]) > 0.0051 {
				t.Errorf("%s: step %d has its best r at %g, expected %g", name, i, at, want.R[i])
			}
			x = next
		}
		if e := rmse2(x, end); math.Abs(e/want.RMSE-1) > 0.01 {
			t.Errorf("%s: RMSE %.6f, expected %.6f within 1 %%", name, e, want.RMSE)
		}
	}
}

// With r = ½ the step is DPM-Solver-2's simple one; with c = κ = 1 the plugin is
// its base on the finer grid.
func TestAMED_AgreesWith_Others(t *testing.T) {
	x := gm2dStarts(8, 1)
	p := Problem{Denoiser: models.GM2D(), Grid: veGrid(karras5), Schedule: schedules.EDM{SMin: 0.002, SMax: 80}}
	finer := p
	finer.Grid = nil
	for i, l := range p.Grid {
		if i > 0 {
			finer.Grid = append(finer.Grid, veGrid([]float64{math.Pow(l.Sigma, 0.3) * math.Pow(p.Grid[i-1].Sigma, 0.7)})[0])
		}
		finer.Grid = append(finer.Grid, l)
	}
	for _, c := range []struct {
		a, b string
		on   Problem
	}{
		{"amed", "dpm-solver-2(form=simple)", p},
		{"amed(blend=true)", "amed", p},
		{"amed-plugin(base=ipndm(order=3),r=0.3)", "ipndm(order=3)", finer},
		{"amed-plugin(base=dpmpp-2m,r=0.3)", "dpmpp-2m", finer},
	} {
		run := func(name string, p Problem) []float64 {
			s, err := Parse(name)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := Parse(s.String()); err != nil || back != s {
				t.Errorf("%s reads back as %v, %v", s, back, err)
			}
			y, err := Sample(context.Background(), s, p, x)
			if err != nil {
				t.Fatal(err)
			}
			return y
		}
		a, b := run(c.a, p), run(c.b, c.on)
		for i := range a {
			if math.Abs(a[i]-b[i]) > 1e-11 { // levels by way of λ, times 80
				t.Fatalf("%s: end[%d] = %.15g, %s %.15g", c.a, i, a[i], c.b, b[i])
			}
		}
	}
}

func TestAMED_Refuses(t *testing.T) {
	for want, name := range map[string]string{
		"0 < r ≤ 1":              "amed(r=0)",
		"kappa = 0":              "amed(kappa=0)",
		"is no finite number":    "amed(c=[1,x])",
		"expected a determinist": "amed-plugin(base=ddim(eta=1))",
	} {
		if _, err := Parse(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v: expected %q", name, err, want)
		}
	}
	p := Problem{Denoiser: models.GM2D(), Grid: veGrid(karras5), Schedule: schedules.EDM{SMin: 0.002, SMax: 80}}
	for _, name := range []string{"amed(r=[0.4,0.5])", "amed-plugin(c=[1,1])"} {
		s, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Start(p, []float64{1, 2}); err == nil || !strings.Contains(err.Error(), "expected one, or one for each of 5 steps") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
