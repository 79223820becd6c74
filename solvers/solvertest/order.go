package solvertest

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// order measures the order of convergence on a Gaussian with a full covariance,
// whose trajectories are known in closed form, and on a mixture, against the
// reference integrator. It must be at least the promised order less 0.2, and at
// most 0.3 more. Two kinds may measure higher: a multistep method that keeps
// more answers than its order needs, because a few steps at the ends cap it, so
// that its error is a sum of a high order and a small low one; and one of an
// order above 4, whose error sinks to rounding before it falls by its order.
func order(t *testing.T, s solvers.Solver) {
	props := s.Properties()
	higher := props.History >= int(props.Order) || props.Order > 4
	for _, p := range orderProblems {
		slope, err := p.slope(t, s, false)
		t.Logf("%s on the %s: order %.2f measured, %g promised, error %.1e at the end", s, p.name, slope, props.Order, err)
		if slope < props.Order-0.2 || slope > props.Order+0.3 && !higher {
			t.Errorf("%s: measured order %.3f, promised %g", p.name, slope, props.Order)
		}
	}
	if !props.Rises {
		return
	}
	// From data to noise the step sizes come in the other order, and with them
	// the constants: only a loss of order is an error.
	p := orderProblems[0]
	slope, err := p.slope(t, s, true)
	t.Logf("%s from data to noise on the %s: order %.2f measured, error %.1e at the end", s, p.name, slope, err)
	if slope < props.Order-0.2 {
		t.Errorf("%s from data to noise: measured order %.3f, promised %g", p.name, slope, props.Order)
	}
}

// orderProblem is a probability-flow ODE with known ends.
type orderProblem struct {
	name     string
	denoiser models.Denoiser
	schedule schedules.EDM
	floor    float64 // errors below it are not the solver's alone
	falling  func() (orderEnds, error)
	rising   func() (orderEnds, error)
}

// orderEnds are starts and where they lead.
type orderEnds struct{ from, to []float64 }

var orderProblems = []orderProblem{
	newOrderProblem("Gaussian", models.Gauss4(), schedules.EDM{SMin: 0.02, SMax: 20}, 1e-11, func(end []float64, p solvers.Problem, x []float64) error {
		return models.Gauss4().Flow(end, x, p.Grid[0], p.Grid[1])
	}),
	newOrderProblem("mixture", models.GM2D(), schedules.EDM{SMin: 0.1, SMax: 10}, 1e-10, func(end []float64, p solvers.Problem, x []float64) error {
		tr, err := solvers.Reference{RTol: 1e-13}.Solve(context.Background(), p, x)
		if err == nil {
			copy(end, tr.X[1])
		}
		return err
	}),
}

const orderRows = 8

func newOrderProblem(name string, d models.Denoiser, s schedules.EDM, floor float64, exact func(end []float64, p solvers.Problem, x []float64) error) orderProblem {
	ends := func(from, to schedules.Level, size float64) func() (orderEnds, error) {
		return sync.OnceValues(func() (orderEnds, error) {
			x := initial(schedules.Level{Sigma: size}, models.Dim(d), orderRows)
			e := orderEnds{x, make([]float64, len(x))}
			return e, exact(e.to, solvers.Problem{Denoiser: d, Schedule: s, Grid: schedules.Grid{from, to}}, x)
		})
	}
	noisy, clean := s.At(s.SMax), s.At(s.SMin)
	return orderProblem{
		name: name, denoiser: d, schedule: s, floor: floor,
		falling: ends(noisy, clean, s.SMax), rising: ends(clean, noisy, 1), // data of about unit variance
	}
}

// run returns the error of a solver over n steps of a spacing, walked from data to
// noise if rising.
func (p orderProblem) run(t testing.TB, s solvers.Solver, sp schedules.Spacing, n int, rising bool) float64 {
	t.Helper()
	g, known := grid(t, sp, p.schedule, n), p.falling
	if rising {
		slices.Reverse(g)
		known = p.rising
	}
	ends, err := known()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, v := range sample(t, s, solvers.Problem{Denoiser: p.denoiser, Schedule: p.schedule, Grid: g}, ends.from) {
		sum += (v - ends.to[i]) * (v - ends.to[i])
	}
	return math.Sqrt(sum / orderRows)
}

// slope returns the observed order of a deterministic solver over the last
// doubling of steps whose error is above the floor, and the error there, on
// grids of the spacing that EDM uses.
func (p orderProblem) slope(t testing.TB, s solvers.Solver, rising bool) (slope, last float64) {
	t.Helper()
	n := 64
	if s.Properties().Order > 4 {
		n = 16 // 64 steps meet the floor already
	}
	for ; n <= 1024; n *= 2 {
		e := p.run(t, s, schedules.Karras{Rho: 7}, n, rising)
		if e < p.floor {
			break
		}
		slope, last = math.Log2(last/e), e
	}
	return slope, last
}
