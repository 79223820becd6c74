package solvers_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// The fixed point of the sweeps is the serial path, with the same noise, after
// at most as many sweeps as steps; with a tolerance it is near, and soon.
func TestParaDiGMS_AgreesWith_DDIM(t *testing.T) {
	const rows, n = 12, 40
	mix, rf := models.GM2D(), schedules.RF{Shift: 1}
	// From all noise to none.
	grid := gridOf(t, schedules.UniformT{}, rf, n)
	if grid[0].Alpha != 0 || grid[n].Sigma != 0 {
		t.Fatalf("the grid goes from α = %g to σ = %g", grid[0].Alpha, grid[n].Sigma)
	}
	x := normals(2*rows, 1)
	keys := solvers.RowKeys(rng.New(1), 0, rows)
	brownian, err := solvers.NewBrownian(keys, 2, grid[:n])
	if err != nil {
		t.Fatal(err)
	}
	for _, eta := range []float64{0, 0.7} {
		for _, noise := range []solvers.Noise{solvers.NewIndependent(keys), brownian} {
			p := solvers.Problem{Denoiser: mix, Grid: grid, Noise: noise}
			want := run(t, solvers.DDIM{Eta: eta}, p, x)
			for _, window := range []int{1, 7, 100} {
				for _, lag := range []bool{false, true} {
					s := solvers.ParaDiGMS{Window: window, Eta: eta, Lag: lag}
					exact, sweeps := sweep(t, s, p, x)
					if sweeps > n || window == 1 && sweeps != n {
						t.Errorf("%s: %d sweeps for %d steps", s, sweeps, n)
					}
					for i, v := range exact {
						// The same operations, but for a sum in another order.
						if math.Abs(v-want[i]) > 1e-12 {
							t.Fatalf("%s: value %d is %.15g, on the serial path %.15g", s, i, v, want[i])
						}
					}
					s.Tol = 1e-4
					near, fewer := sweep(t, s, p, x)
					if fewer > sweeps || window == 100 && fewer > n/2 {
						t.Errorf("%s: %d sweeps for %d steps, %d with tol = 0", s, fewer, n, sweeps)
					}
					worst := 0.0
					for i, v := range near {
						worst = max(worst, math.Abs(v-want[i]))
					}
					// Rows near a separatrix amplify what a tolerance leaves.
					if worst > 100*s.Tol || window > 1 && worst == 0 {
						t.Errorf("%s is off by %.2g", s, worst)
					}
				}
			}
		}
	}
}

// sweep runs s and counts its steps.
func sweep(t *testing.T, s solvers.Solver, p solvers.Problem, x []float64) (end []float64, sweeps int) {
	t.Helper()
	counter := models.NewCounter(p.Denoiser)
	p.Denoiser = counter
	st, err := s.Start(p, x)
	if err != nil {
		t.Fatal(err)
	}
	last := solvers.Step{}
	for step, err := range solvers.Steps(context.Background(), st) {
		if err != nil {
			t.Fatal(err)
		}
		sweeps, last = sweeps+1, step
	}
	rows := len(x) / models.Dim(counter)
	if counter.Calls() != sweeps || math.Abs(last.EvalsMean*float64(rows)-float64(counter.Rows())) > 1e-6 || last.Evals > s.NFE(p.Grid) {
		t.Errorf("%s: %d calls and %d evaluations in %d sweeps, reported as %g a row, at most %d, bounded by %d", s, counter.Calls(), counter.Rows(), sweeps, last.EvalsMean, last.Evals, s.NFE(p.Grid))
	}
	return last.X, sweeps
}

// Evaluations in sequence fall as the window grows, those in all rise: on the
// mixture 100 steps take some tens of sweeps.
func TestParaDiGMS_Property_Window(t *testing.T) {
	const rows, n = 16, 100
	sch := schedules.EDM{SMin: 0.02, SMax: 80}
	p := solvers.Problem{Denoiser: models.GM2D(), Grid: gridOf(t, schedules.Karras{Rho: 7}, sch, n)}
	x := normals(2*rows, 80)
	before, evals := n+1, 0
	for _, window := range []int{1, 5, 20, 100} {
		s := solvers.ParaDiGMS{Window: window, Tol: 1e-3}
		st, err := s.Start(p, x)
		if err != nil {
			t.Fatal(err)
		}
		sweeps, total := 0, 0
		for step, err := range solvers.Steps(context.Background(), st) {
			if err != nil {
				t.Fatal(err)
			}
			sweeps, total = sweeps+1, step.Evals
		}
		t.Logf("window %d: %d sweeps, %d evaluations", window, sweeps, total)
		if sweeps >= before || total < evals {
			t.Errorf("window %d takes %d sweeps and %d evaluations, a smaller one %d and %d", window, sweeps, total, before, evals)
		}
		before, evals = sweeps, total
	}
	if before > n/5 {
		t.Errorf("%d sweeps with all %d steps in the window: expected a fraction", before, n)
	}
}

func TestParaDiGMS_Refuses(t *testing.T) {
	for name, want := range map[string]string{
		"paradigms(window=0)": "window = 0",
		"paradigms(tol=-1)":   "tol = -1",
		"paradigms(tol=Inf)":  "tol = +Inf",
		"paradigms(eta=1.5)":  "eta = 1.5",
	} {
		if _, err := solvers.Parse(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, expected an error with %q", name, err, want)
		}
	}
	sch := schedules.EDM{SMin: 0.05, SMax: 20}
	p := solvers.Problem{Denoiser: models.Gauss4(), Grid: gridOf(t, schedules.Karras{Rho: 7}, sch, 6)}
	s := solvers.ParaDiGMS{Window: 3}
	st, err := s.Start(p, normals(8, 20))
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(s *solvers.State){
		"rows":   func(s *solvers.State) { s.Rows = s.Rows[:1] },
		"clock":  func(s *solvers.State) { s.Rows[1].Clock = 6.5 },
		"carry":  func(s *solvers.State) { s.Carry = s.Carry[:2] },
		"finite": func(s *solvers.State) { s.Carry[0][1] = math.NaN() },
		"other":  func(s *solvers.State) { s.Solver = "ddim" },
	} {
		state := st.State()
		change(&state)
		if _, err := s.Start(p, normals(8, 20), solvers.Resume(state)); err == nil {
			t.Errorf("a state with wrong %s was resumed", what)
		}
	}
	if fmt.Sprint(s) != "paradigms(window=3,tol=0)" {
		t.Errorf("prints as %s", s)
	}
}
