package solvers

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
)

// joined is an adaptive Runge–Kutta method whose rows share one error.
type joined struct {
	RKAdaptive
	how coupling
}

func (s joined) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	m := s.method()
	m.couple = s.how
	return startAdaptive(s, m, p, x, opts)
}

// Coupled rows share levels, and the error is the one that the coupling says of
// the errors that the rows have alone.
func TestAdaptive_Property_Coupled(t *testing.T) {
	sch := schedules.EDM{SMin: 0.1, SMax: 10}
	p := Problem{Denoiser: models.GM2D(), Schedule: sch, Grid: schedules.Grid{sch.At(10), sch.At(0.1)}}
	x := []float64{1, 2, -3, 1, 30, -40} // the last row has less to turn
	s := RKAdaptive{Method: BS23, RTol: 1e-3, ATol: 1e-3, First: 2, MaxSteps: 100}
	first := func(s Solver, x []float64) Step {
		t.Helper()
		st, err := s.Start(p, x)
		if err != nil {
			t.Fatal(err)
		}
		step, err := st.Step(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return step.Clone()
	}
	alone := first(s, x)
	sum, most := 0.0, 0.0
	for _, r := range alone.Rows {
		sum += r.ErrEst * r.ErrEst
		most = max(most, r.ErrEst)
	}
	if alone.Rows[0].ErrEst == alone.Rows[1].ErrEst {
		t.Fatalf("rows of the same error %v test nothing", alone.Rows)
	}
	for how, want := range map[coupling]float64{pooled: math.Sqrt(sum / 3), worst: most} {
		s := joined{s, how}
		for _, r := range first(s, x).Rows {
			if math.Abs(r.ErrEst-want) > 1e-15*want {
				t.Errorf("coupling %d: row %d has an error of %g, expected %g", how, r.Row, r.ErrEst, want)
			}
		}
		st, err := s.Start(p, x)
		if err != nil {
			t.Fatal(err)
		}
		for step, err := range Steps(context.Background(), st) {
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range step.Rows {
				if r.To != step.Rows[0].To || r.Rejected != step.Rows[0].Rejected || len(step.Rows) != 3 {
					t.Fatalf("coupling %d: step %d takes rows to %v", how, step.Index, step.Rows)
				}
			}
		}
	}
}

// A row's own numbers do not depend on which rows are asked for with it, and a
// recording of whole batches has none for single rows.
func TestNoise_Invariant_Rows(t *testing.T) {
	keys := RowKeys(rng.New(5), 0, 4)
	grid := lambdas(-2, 0, 3)
	brownian, err := NewBrownian(keys, 3, grid)
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]Noise{"independent": NewIndependent(keys), "brownian": brownian} {
		all := NoiseRequest{Step: 2, From: grid[0], To: grid[2], Z: make([]float64, 12), Integral: make([]float64, 12), Uniform: make([]float64, 4)}
		if err := src.Normal(all); err != nil {
			t.Fatal(err)
		}
		some := NoiseRequest{Step: 2, From: grid[0], To: grid[2], Rows: []int{3, 1}, Z: make([]float64, 6), Integral: make([]float64, 6), Uniform: make([]float64, 2)}
		if err := src.Normal(some); err != nil {
			t.Fatal(err)
		}
		for i, row := range some.Rows {
			if !slices.Equal(some.Z[3*i:3*i+3], all.Z[3*row:3*row+3]) || !slices.Equal(some.Integral[3*i:3*i+3], all.Integral[3*row:3*row+3]) || some.Uniform[i] != all.Uniform[row] {
				t.Errorf("%s: row %d alone has other numbers", name, row)
			}
		}
		for what, bad := range map[string]NoiseRequest{
			"row 4":  {From: grid[0], To: grid[2], Rows: []int{4}, Z: make([]float64, 3)},
			"whole":  {From: grid[0], To: grid[2], Rows: []int{1, 2}, Z: make([]float64, 3)},
			"row -1": {From: grid[0], To: grid[2], Rows: []int{-1}, Z: make([]float64, 3)},
		} {
			if err := src.Normal(bad); err == nil {
				t.Errorf("%s: a request for %s was answered", name, what)
			}
		}
	}
	replay := NewReplay([][]float64{make([]float64, 3)})
	if err := replay.Normal(NoiseRequest{Rows: []int{0}, Z: make([]float64, 3)}); err == nil || !strings.Contains(err.Error(), "single rows") {
		t.Errorf("a recording answers single rows: %v", err)
	}
}

func TestRKAdaptive_Refuses(t *testing.T) {
	good := RKAdaptive{Method: Dopri5, RTol: 1e-3, ATol: 1e-3, MaxSteps: 10}
	for want, change := range map[string]func(s *RKAdaptive){
		"no embedded":  func(s *RKAdaptive) { s.Method = RK4 },
		"rtol = 0":     func(s *RKAdaptive) { s.RTol = 0 },
		"atol = -1":    func(s *RKAdaptive) { s.ATol = -1 },
		"first = -1":   func(s *RKAdaptive) { s.First = -1 },
		"maxsteps = 0": func(s *RKAdaptive) { s.MaxSteps = 0 },
	} {
		s := good
		change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected %q", err, want)
		}
	}
	// Ten attempts are too few for a tight tolerance, which is an error that says so.
	sch := schedules.EDM{SMin: 0.1, SMax: 10}
	p := Problem{Denoiser: models.GM2D(), Schedule: sch, Grid: schedules.Grid{sch.At(10), sch.At(0.1)}}
	good.RTol, good.ATol = 1e-10, 1e-10
	if _, err := Sample(context.Background(), good, p, []float64{1, 2}); err == nil || !strings.Contains(err.Error(), "row 0 did not arrive in 10 attempts") {
		t.Errorf("a run of too many attempts gives %v", err)
	}
}
