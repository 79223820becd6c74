package solvers

import (
	"fmt"
	"math"
	"slices"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// Linear is the general linear solver of one evaluation a step, whose grid,
// levels and weights are numbers of its own [shaul2024].
// With H_j = (x̂_j − D(x̂_j, τ_j))/ŝ_j,
//
//	x̂_{i+1} = (1 + a_i) x̂_i + (ŝ_{i+1} − ŝ_i) Σ_j w_ij H_j
//
// τ_j is the level that the denoiser is told for the state of step j. τ = ŝ,
// a = 0 and the weights of Adams and Bashforth are iPNDM; a learned grid with
// those weights is LD3 [tong2024], learned weights of a window are S4S
// [frankel2025] and, with τ free, DyWeight [zhao2026], and all of the
// triangle with a is BNS [shaul2024]: package tune fits them.
//
// It has one grid and so no order of convergence. Its last level may be σ = 0,
// with weights like any other; it does not start at α = 0. Where τ ≠ ŝ the
// problem needs a schedule, whose path says what α the denoiser is told.
type Linear struct {
	S   []float64   `json:"s"`             // ŝ = σ/α of the n+1 levels, falling
	Tau []float64   `json:"tau,omitempty"` // the n levels told, as σ/α; none for those of S
	A   []float64   `json:"a,omitempty"`   // the n factors a_i; none for 0
	W   [][]float64 `json:"w"`             // the weights of step i, oldest first, the last one of H_i; at most i+1
}

func (s *Linear) String() string { return spec.Full("linear", s) }

// Steps returns the number of steps.
func (s *Linear) Steps() int { return len(s.S) - 1 }

// Validate reports numbers that are no solver.
func (s *Linear) Validate() error {
	n := s.Steps()
	if n < 1 {
		return fmt.Errorf("s has %d levels: expected at least 2", len(s.S))
	}
	if n > maxTerms-1 {
		return fmt.Errorf("s has %d levels: expected at most %d", len(s.S), maxTerms)
	}
	if err := checkLevels(s.S); err != nil {
		return err
	}
	if len(s.Tau) != 0 && len(s.Tau) != n {
		return fmt.Errorf("tau has %d levels: expected none, or one for each of %d steps", len(s.Tau), n)
	}
	for i, v := range s.Tau {
		if !(v > 0) || math.IsInf(v, 1) {
			return fmt.Errorf("tau[%d] = %g: expected a finite σ/α > 0", i, v)
		}
	}
	if len(s.A) != 0 && len(s.A) != n {
		return fmt.Errorf("a has %d numbers: expected none, or one for each of %d steps", len(s.A), n)
	}
	if i, bad := firstNonFinite(s.A); bad {
		return fmt.Errorf("a[%d] = %g: expected a finite number", i, s.A[i])
	}
	if len(s.W) != n {
		return fmt.Errorf("w has %d rows: expected one for each of %d steps", len(s.W), n)
	}
	for i, row := range s.W {
		if len(row) < 1 || len(row) > i+1 {
			return fmt.Errorf("w[%d] has %d weights: expected 1 to %d, one for each earlier evaluation", i, len(row), i+1)
		}
		if j, bad := firstNonFinite(row); bad {
			return fmt.Errorf("w[%d][%d] = %g: expected a finite number", i, j, row[j])
		}
	}
	return nil
}

// checkLevels reports σ/α that are not a grid.
func checkLevels(s []float64) error {
	for i, v := range s {
		switch {
		case !(v >= 0) || math.IsInf(v, 1):
			return fmt.Errorf("s[%d] = %g: expected a finite σ/α ≥ 0", i, v)
		case i > 0 && !(v < s[i-1]):
			return fmt.Errorf("s[%d] = %g follows %g: expected falling levels", i, v, s[i-1])
		}
	}
	return nil
}

// told returns the level told at step i.
func (s *Linear) told(i int) float64 {
	if len(s.Tau) == 0 {
		return s.S[i]
	}
	return s.Tau[i]
}

// Properties implements [Solver].
func (s *Linear) Properties() Properties {
	window := 0
	for _, row := range s.W {
		window = max(window, len(row)-1)
	}
	return Properties{
		Evals: 1, LastEvals: 1, History: window, PathFree: true,
		Between:    len(s.Tau) > 0 && !slices.Equal(s.Tau, s.S[:len(s.S)-1]),
		Summary:    "linear multistep with levels and weights of its own",
		Equation:   "x̂_{i+1} = (1 + a_i) x̂_i + (ŝ_{i+1} − ŝ_i) Σ_j w_ij H_j,  H_j = (x̂_j − D(x̂_j, τ_j))/ŝ_j",
		Ends:       "does not start at α = 0; into σ = 0 its own weights",
		References: []string{"shaul2024", "tong2024", "frankel2025", "zhao2026"},
	}
}

func (s *Linear) method() method {
	return method{
		evals: 1, history: s.Properties().History, keep: noise, scratch: 1, lazy: true, free: true,
		fits: func(g schedules.Grid) error { return onlyGrid(s.S, g) },
		step: s.step,
	}
}

// onlyGrid refuses every grid but that of the levels, within what a schedule's
// inverse may cost.
func onlyGrid(s []float64, g schedules.Grid) error {
	fail := func(why string) error {
		return fmt.Errorf("%s: this solver was made for the σ/α of its own grid, spacing %s", why, &schedules.List{Sigmas: s})
	}
	if len(g) != len(s) {
		return fail(fmt.Sprintf("a grid of %d levels", len(g)))
	}
	for i, l := range g {
		if d := l.Noise() - s[i]; !(math.Abs(d) <= 1e-9*s[i]) {
			return fail(fmt.Sprintf("grid level %d has σ/α = %.10g, not %.10g", i, l.Noise(), s[i]))
		}
	}
	return nil
}

func (s *Linear) step(w *walk) {
	a, b, i := w.from, w.to, w.index
	w.toldAt(w.d, w.x, w.from, s.S[i], s.told(i), w.tmp[0])
	w.slope(w.e, w.x, w.d, a)
	var terms [maxTerms]term
	gain := 1.0
	if len(s.A) > 0 {
		gain += s.A[i]
	}
	terms[0] = term{gain * b.Alpha / a.Alpha, w.x}
	h := b.Alpha * (b.Noise() - a.Noise())
	row := s.W[i]
	newest := len(row) - 1
	terms[1] = term{h * row[newest], w.e}
	for k := range newest {
		terms[2+k] = term{h * row[newest-1-k], w.past[k]}
	}
	w.order = 0
	w.lin(w.next, terms[:2+newest]...)
}

// NFE implements [Solver].
func (s *Linear) NFE(g schedules.Grid) int { return g.Steps() }

// Start implements [Solver].
func (s *Linear) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
