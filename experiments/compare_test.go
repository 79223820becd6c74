package experiments

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/internal/runfile"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// runOf runs a recipe into a fresh folder.
func runOf(t *testing.T, text string) *RunInfo {
	t.Helper()
	info, err := Run(context.Background(), parse(t, text), Options{Out: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

const gauss = `
kind = "compare"
name = "gauss"
model = "gauss4"
schedule = "vp-linear"
spacing = "uniform-lambda(smin=0.01,last=zero)"
solvers = ["ddim", "dpmpp-2m"]
budgets = [6, 12]
rows = 32
key = 7
[reference]
rtol = 1e-11
[local]
rows = 3
rtol = 1e-11
[law]
floors = 2
[trace]
rows = 2
`

// On a Gaussian the trajectory has a closed form: every error in steps.csv
// agrees with one computed from it by hand.
func TestCompare_AgreesWithClosedForm(t *testing.T) {
	race.Measures(t)
	info := runOf(t, gauss)
	rows, err := runfile.ReadSteps(filepath.Join(info.Dir, runfile.StepsCSV))
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, gauss).Experiment.(*Compare)
	g := models.Gauss4()
	schedule, err := schedules.Parse(c.Schedule)
	if err != nil {
		t.Fatal(err)
	}
	spacing, err := schedules.ParseSpacing(c.Spacing)
	if err != nil {
		t.Fatal(err)
	}
	k := 0
	for _, name := range c.Solvers {
		for _, n := range c.Budgets {
			grid, err := spacing.Grid(schedule, n)
			if err != nil {
				t.Fatal(err)
			}
			x := startOf(t, c, grid[0])
			start := slices.Clone(x)
			solver, err := solvers.Parse(name)
			if err != nil {
				t.Fatal(err)
			}
			st, err := solver.Start(solvers.Problem{Denoiser: g, Grid: grid, Schedule: schedule}, x)
			if err != nil {
				t.Fatal(err)
			}
			k++ // step 0
			for s, err := range solvers.Steps(context.Background(), st) {
				if err != nil {
					t.Fatal(err)
				}
				row := rows[k]
				k++
				if row.Solver != name || row.Budget != n || row.Step != s.Index+1 || row.NFE != s.Evals {
					t.Fatalf("row %d is %+v: expected %s, %d, step %d", k, row, name, n, s.Index+1)
				}
				flow := func(x []float64, from, to schedules.Level) []float64 {
					y := make([]float64, len(x))
					if err := g.Flow(y, x, from, to); err != nil {
						t.Fatal(err)
					}
					return y
				}
				exact := flow(start, grid[0], s.To)
				before := flow(start, grid[0], s.From)
				estimate := make([]float64, len(before))
				if err := g.Denoise(context.Background(), estimate, models.Query{X: before, Rows: c.Rows, At: []schedules.Level{s.From}}); err != nil {
					t.Fatal(err)
				}
				near := c.Local.Rows * 4
				one := flow(x[:near], s.From, s.To)
				for what, v := range map[string][2]float64{
					"global":   {row.Global, rmsDistance(s.X, exact)},
					"denoised": {row.Denoised, rmsDistance(s.Denoised, estimate)},
					"local":    {row.Local, rmsDistance(s.X[:near], one)},
					"norm":     {row.Norm, rmsDistance(s.X, make([]float64, len(s.X)))},
				} {
					// The reference is good to about 1e-11 a step of numbers of order one.
					if math.Abs(v[0]-v[1]) > 1e-8*v[1]+1e-9 {
						t.Errorf("%s at %d, step %d: %s error %g, the closed form gives %g", name, n, row.Step, what, v[0], v[1])
					}
				}
				copy(x, s.X)
			}
		}
	}
	if k != len(rows) {
		t.Errorf("%d rows in steps.csv: expected %d", len(rows), k)
	}
}

// startOf draws σ z by the rule that the package promises.
func startOf(t *testing.T, c *Compare, at schedules.Level) []float64 {
	t.Helper()
	m, _, err := newComparison(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var x []float64
	for i := range c.Rows {
		row := make([]float64, 4)
		m.root.Split("sample", uint64(i)).Split("init", 0).Normal(row)
		for _, z := range row {
			x = append(x, at.Sigma*z)
		}
	}
	return x
}

// rmsDistance is the root mean square over rows of four of the Euclidean
// distance.
func rmsDistance(x, y []float64) float64 {
	s := 0.0
	for i := range x {
		s += (x[i] - y[i]) * (x[i] - y[i])
	}
	return math.Sqrt(s / float64(len(x)/4))
}

// From the exact marginal and at a fine grid, the law that a solver reaches
// cannot be told from the exact one, and halving the step quarters the error
// of a method of second order.
func TestCompare_Law(t *testing.T) {
	if testing.Short() {
		t.Skip("statistical")
	}
	info := runOf(t, `
kind = "compare"
name = "law"
model = "gm2d"
schedule = "edm"
spacing = "karras"
solvers = ["heun", "ddim(eta=1)"]
budgets = [80, 160]
rows = 1000
start = "exact"
[reference]
rtol = 1e-8
[local]
rows = 0
[stochastic]
fine_steps = 0
[trace]
rows = 0
`)
	for _, s := range info.Summary {
		if !s.Stochastic {
			// A few z-scores: 4.5 is passed once in 1e5. The floor is two deviations
			// above the mean of exact pairs; one and a half floors are far outside.
			if s.MeanZ > 4.5 || math.Abs(s.CovZ) > 4.5 || s.SW2 > 1.5*s.SW2Floor {
				t.Errorf("%s at %d: z of means %g, of variance %g, sliced W2 %g above the floor %g", s.Solver, s.Budget, s.MeanZ, s.CovZ, s.SW2, s.SW2Floor)
			}
			if s.Budget == 160 && math.Abs(s.Order-2) > 0.2 {
				t.Errorf("heun's observed order is %g, expected 2 within 0.2", s.Order)
			}
			continue
		}
		if !math.IsNaN(s.RMSE) || !math.IsNaN(s.Strong) {
			t.Errorf("%s has a trajectory error: %+v", s.Solver, s)
		}
	}
}

// A stochastic solver converges to its own fine run on the same path.
func TestCompare_Strong(t *testing.T) {
	info := runOf(t, `
kind = "compare"
name = "strong"
model = "gm2d"
schedule = "edm(smin=0.01,smax=20)"
spacing = "karras"
solvers = ["ddim(eta=1)", "heun(schurn=8)"]
budgets = [20, 160]
rows = 200
[reference]
rtol = 1e-6
[local]
rows = 0
[stochastic]
fine_steps = 1000
[trace]
rows = 0
`)
	by := map[string][]runfile.SummaryRow{}
	for _, s := range info.Summary {
		name, _, _ := strings.Cut(s.Solver, "(")
		by[name] = append(by[name], s)
	}
	a, b := by["ddim"][0].Strong, by["ddim"][1].Strong
	// Eight times the steps at a strong order of at least a half is a factor of
	// 2.8 in the limit; on other noise the error would not fall at all.
	if !(b < a/2) {
		t.Errorf("strong error %g at 20 and %g at 160 steps: expected it to fall by more than 2", a, b)
	}
	for _, s := range by["heun"] {
		if !math.IsNaN(s.Strong) {
			t.Errorf("a solver with churn has a strong error %g: its fine run sees other noise", s.Strong)
		}
	}
}

// The rows of a run do not depend on how many there are.
func TestCompare_Invariant(t *testing.T) {
	traceOf := func(rows string) *runfile.Trace {
		text := strings.Replace(gauss, "rows = 32", "rows = "+rows, 1)
		tr, err := runfile.ReadTrace(filepath.Join(runOf(t, text).Dir, runfile.TraceNPZ))
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	a, b := traceOf("32"), traceOf("5")
	for i, r := range a.Runs {
		if !slices.Equal(r.X, b.Runs[i].X) || !slices.Equal(r.D, b.Runs[i].D) {
			t.Errorf("%s at %d: rows of 32 differ from those of 5", r.Solver, r.Budget)
		}
	}
	for n, ref := range a.Refs {
		if !slices.Equal(ref.X, b.Refs[n].X) {
			t.Errorf("the reference on %d steps depends on the number of rows", n)
		}
	}
}

// A spacing that is written out has one number of steps, which a budget must
// reach.
func TestCompare_WrittenOutSpacing(t *testing.T) {
	c := DefaultCompare()
	c.Name, c.Model, c.Schedule, c.Solvers = "written", "gm2d", "edm(smin=0.002,smax=80)", []string{"ddim", "heun"}
	c.Spacing, c.Budgets, c.Rows = "list(sigmas=[80,5,0.5,0.002])", []int{6}, 2
	m, _, err := newComparison(&c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, nfe := range []int{3, 6} { // one evaluation a step, and two
		if r := m.entries[i].runs[0]; r.steps != 3 || r.nfe != nfe {
			t.Errorf("%s takes %d steps with %d evaluations, expected 3 and %d", m.entries[i].name, r.steps, r.nfe, nfe)
		}
	}
	c.Budgets = []int{2}
	if _, _, err := newComparison(&c, Options{}); err == nil || !strings.Contains(err.Error(), "cost ddim 3 evaluations") {
		t.Errorf("a budget below the list's cost gives %v", err)
	}
}
