package solvers

import (
	"fmt"
	"slices"

	"snrlab/schedules"
)

// BELM is the optimal bidirectional explicit two-step method of [wang2024], which is
// inverted by algebra alone. In (ŝ, x̂) = (σ/α, x/α), with x̂_p the state before, at
// the level p, h = ŝ_b − ŝ_a and k = ŝ_a − ŝ_p,
//
//	x̂_b = (h²/k²) x̂_p + (1 − h²/k²) x̂_a + h (1 + h/k) e_a,   e = (x − αD)/σ
//
// the leapfrog rule on uneven steps. It is linear in x̂_p, and solved for x̂_p it is
// the same formula from b to p: a run over the reversed grid that starts with the
// last two states, see [BELM.Turn], comes back to the first ones to rounding.
//
// Order 2, one evaluation a step, on falling and on rising grids. The first step
// is Euler's; from data at σ = 0 it is that of [DDIMInversion]. Out of α = 0 it
// is the named start; σ = 0 is reached by the formula. A difference of two
// successive states is multiplied by −h²/k² in a step: steps that shrink damp it, and
// an inversion whose steps grow carries it along with them.
type BELM struct{}

func (s BELM) String() string { return Registry().Format("belm", s) }

// Properties implements [Solver].
func (s BELM) Properties() Properties {
	return Properties{
		Order: 2, Evals: 1, LastEvals: 1, PathFree: true, Rises: true, FromData: true,
		Summary:    "leapfrog in σ/α, exactly invertible by algebra",
		Equation:   "x̂_b = (h²/k²) x̂_p + (1 − h²/k²) x̂_a + h (1 + h/k) e_a,  h = ŝ_b − ŝ_a,  k = ŝ_a − ŝ_p",
		Ends:       Own.ends() + "; on a rising grid out of σ = 0 a step of ddim-inversion",
		References: []string{"wang2024"},
	}
}

func (s BELM) method() method {
	return method{evals: 1, carry: 1, scratch: 1, lazy: true, last: Own, step: s.step}
}

func (s BELM) step(w *walk) {
	a, b := w.from, w.to
	h := b.Noise() - a.Noise()
	copy(w.fresh[0], w.x)
	w.pass = renew
	if !w.carried {
		w.order = 1
		s.first(w, h)
		return
	}
	w.eval(w.d, w.x, a)
	p := w.problem.Grid[w.index-1]
	q := h / (a.Noise() - p.Noise())
	e := b.Alpha * h * (1 + q) / a.Sigma
	w.lin(w.next,
		term{b.Alpha * q * q / p.Alpha, w.carry[0]},
		term{b.Alpha*(1-q*q)/a.Alpha + e, w.x}, term{-e * a.Alpha, w.d})
}

// first is Euler's step, with the slope at b where that at a has no value.
func (s BELM) first(w *walk, h float64) {
	a, b := w.from, w.to
	if a.Sigma > 0 {
		w.eval(w.d, w.x, a)
		w.euler(w.next, b)
		return
	}
	y := w.tmp[0]
	w.lin(y, term{w.keepVariance(), w.x})
	w.eval(w.d, y, b)
	k := b.Alpha * h / b.Sigma
	w.lin(w.next, term{b.Alpha / a.Alpha, w.x}, term{k, y}, term{-k * b.Alpha, w.d})
}

// Turn makes of the state that a run over a grid ended in the one from which a run
// over the reversed grid comes back: hand it to [Resume]. The last two states
// change places, as after one step from the end.
func (s BELM) Turn(end State) (State, error) {
	if end.Solver != s.String() || len(end.Carry) != 1 {
		return State{}, fmt.Errorf("solvers: belm: turning a state of %s after %d steps that carries %d arrays: expected the end of a run of %s, which carries 1", end.Solver, end.Index, len(end.Carry), s)
	}
	return State{Solver: end.Solver, Index: 1, X: slices.Clone(end.Carry[0]), Carry: [][]float64{slices.Clone(end.X)}}, nil
}

// NFE implements [Solver].
func (s BELM) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s BELM) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
