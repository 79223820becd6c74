package solvers

import (
	"fmt"
	"math"
	"slices"

	"snrlab/schedules"
)

// DDIMInversion takes the slope of a step at its end: it is the implicit Euler
// method in (ŝ, x̂) = (σ/α, x/α), solved by Iterations evaluations,
//
//	x̂_b ← x̂_a + (ŝ_b − ŝ_a) e(x̂_b, b),   e = (x − αD)/σ
//
// from the state that keeps x where variance is preserved, x_b = x_a there and
// x̂_b = x̂_a √((1 + ŝ_b²)/(1 + ŝ_a²)) on every path.
//
// On a grid that rises from data to noise that is DDIM inversion: one iteration is
// the usual first-order form, which asks at the level ahead about the state it has,
// from σ = 0 too; more solve for the state from which [DDIM] steps
// back to where it came from, exact inversion by fixed point [pan2023]. On a
// falling grid it is backward Euler, with the named end steps. Order 1.
//
// With Tolerance > 0 a row is done when an iteration moves it by at most that, in
// units of √(α² + σ²), and the step fails if a row is not done after Iterations.
// The step ends with its last row, so that the evaluations of a batch are those of
// its slowest row; what becomes of a row is its own affair. The iteration
// contracts where |ŝ_b − ŝ_a| times the slope's Lipschitz constant is below 1:
// between the modes of the data that takes small steps.
type DDIMInversion struct {
	Iterations int     `json:"iterations"` // evaluations a step; with a tolerance, at most
	Tolerance  float64 `json:"tol"`        // of the fixed point; 0 takes all iterations
}

func (s DDIMInversion) String() string { return Registry().Format("ddim-inversion", s) }

// Validate reports settings without meaning.
func (s DDIMInversion) Validate() error {
	switch {
	case s.Iterations < 1:
		return fmt.Errorf("iterations = %d: expected at least 1", s.Iterations)
	case !(s.Tolerance >= 0 && s.Tolerance < 1):
		return fmt.Errorf("tol = %g: expected 0 ≤ tol < 1", s.Tolerance)
	case s.Tolerance > 0 && s.Iterations == 1:
		return fmt.Errorf("tol = %g cannot be judged after iterations = 1: allow more, 100 say", s.Tolerance)
	}
	return nil
}

// Properties implements [Solver].
func (s DDIMInversion) Properties() Properties {
	return Properties{
		Order: 1, Evals: s.Iterations, LastEvals: 1, PathFree: true, Rises: true, FromData: true, Adaptive: s.Tolerance > 0,
		Summary:    "DDIM inversion: the slope of the level ahead, once or to a fixed point",
		Equation:   "x̂_b ← x̂_a + (ŝ_b − ŝ_a) e(x̂_b, b), from x̂_b = x̂_a √((1 + ŝ_b²)/(1 + ŝ_a²))",
		Ends:       "on a rising grid out of σ = 0 its own formula",
		References: []string{"song2021ddim", "pan2023"},
	}
}

func (s DDIMInversion) method() method {
	return method{evals: s.Iterations, scratch: 3, lazy: true, step: s.step}
}

func (s DDIMInversion) step(w *walk) {
	a, b := w.from, w.to
	y, d, done := w.tmp[0], w.d, w.tmp[2][:w.rows] // done is 1 for a row that is
	w.lin(y, term{w.keepVariance(), w.x})
	clear(done)
	k := b.Alpha * (b.Noise() - a.Noise()) / b.Sigma
	for range s.Iterations {
		w.eval(d, y, b)
		w.lin(w.next, term{b.Alpha / a.Alpha, w.x}, term{k, y}, term{-k * b.Alpha, d})
		if w.err != nil || s.Tolerance > 0 && s.settle(w, y, done) {
			return
		}
		copy(y, w.next)
		d = w.tmp[1]
	}
	if s.Tolerance > 0 {
		w.err = fmt.Errorf("the fixed point of row %d moves by more than tol = %g after %d iterations: take smaller steps there, or allow more iterations", slices.Index(done, 0), s.Tolerance, s.Iterations)
	}
}

// keepVariance is what a state at w.from is multiplied by to be one at w.to of the
// same size in units of √(α² + σ²): the flow of data N(0, I).
func (w *walk) keepVariance() float64 {
	return math.Hypot(w.to.Alpha, w.to.Sigma) / math.Hypot(w.from.Alpha, w.from.Sigma)
}

// settle marks the rows that the iteration from y to w.next has moved little, keeps
// those that were done before where they were, and reports that all are done.
func (s DDIMInversion) settle(w *walk, y, done []float64) bool {
	bound := s.Tolerance * math.Hypot(w.to.Alpha, w.to.Sigma)
	all := true
	for r := range w.rows {
		old, now := y[r*w.dim:(r+1)*w.dim], w.next[r*w.dim:(r+1)*w.dim]
		if done[r] == 1 {
			copy(now, old)
			continue
		}
		moved := 0.0
		for i, v := range now {
			moved = max(moved, math.Abs(v-old[i]))
		}
		if moved <= bound {
			done[r] = 1
		} else {
			all = false
		}
	}
	return all
}

// NFE implements [Solver].
func (s DDIMInversion) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DDIMInversion) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
