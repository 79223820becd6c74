package solvers

import (
	"fmt"

	"snrlab/internal/gate"
	"snrlab/internal/par"
	"snrlab/schedules"
)

// Gated is a multistep method whose weights depend on the row, through scalar
// invariants of what the row has seen. With D_j the answer at step j and
// ŝ_0 > … > ŝ_n its own levels,
//
//	x̂_i = (ŝ_i/ŝ_0) x̂_0 + Σ_{j<i} q_ij D_j + Σ_k g_ik (D_{i−k} − D_{i−k−1}),   Σ_j q_ij = 1 − ŝ_i/ŝ_0
//
// so that every state holds the start's noise at exactly its level and a weighted
// mean of the answers, whatever g is, and the denoiser is told the level of the
// step. g_ik is a layer of a few units over inner products of x̂_{i−1} and the
// newest answers, see package internal/gate. With g = 0 it is the consistent
// part of the linear family, iPNDM among it.
//
// It has one grid and so no order of convergence; it does not start at α = 0.
type Gated struct {
	S     []float64    `json:"s"`              // ŝ of the n+1 levels, falling
	Q     [][]float64  `json:"q"`              // n rows, that of x̂_i with i weights, oldest first
	Mean  []float64    `json:"mean,omitempty"` // μ, one sample; needed where there are gates
	Gates []*gate.Gate `json:"gates"`          // n, that of x̂_1 first; null for none
}

// String names the solver by the content of its numbers, which are too many to
// print: it is read from a file, see [Fitted].
func (s *Gated) String() string { return contentName("gated", s) }

// Steps returns the number of steps.
func (s *Gated) Steps() int { return len(s.S) - 1 }

// Validate reports numbers that are no solver.
func (s *Gated) Validate() error {
	n := s.Steps()
	if n < 1 || n > maxTerms-1 {
		return fmt.Errorf("s has %d levels: expected 2 to %d", len(s.S), maxTerms)
	}
	if err := checkLevels(s.S); err != nil {
		return err
	}
	if len(s.Q) != n || len(s.Gates) != n {
		return fmt.Errorf("q has %d rows and gates %d entries: expected one for each of %d steps", len(s.Q), len(s.Gates), n)
	}
	for i, row := range s.Q {
		if len(row) != i+1 {
			return fmt.Errorf("q[%d] has %d weights: expected %d", i, len(row), i+1)
		}
		sum := s.S[i+1] / s.S[0]
		for _, v := range row {
			sum += v
		}
		// Weights of size 10 are written with 17 digits.
		if d := sum - 1; !(d < 1e-12 && d > -1e-12) {
			return fmt.Errorf("the weights q[%d] sum to %.13g: expected 1 − s[%d]/s[0] = %.13g", i, sum-s.S[i+1]/s.S[0], i+1, 1-s.S[i+1]/s.S[0])
		}
	}
	if i, bad := firstNonFinite(s.Mean); bad {
		return fmt.Errorf("mean[%d] = %g: expected a finite number", i, s.Mean[i])
	}
	for i, g := range s.Gates {
		if g == nil {
			continue
		}
		if err := g.Validate(i + 1); err != nil {
			return fmt.Errorf("gates[%d]: %w", i, err)
		}
		if g.Outputs() > i {
			return fmt.Errorf("gates[%d] makes %d factors: there are %d differences of answers", i, g.Outputs(), i)
		}
	}
	return nil
}

// Properties implements [Solver].
func (s *Gated) Properties() Properties {
	return Properties{
		Evals: 1, LastEvals: 1, History: max(s.Steps()-1, 0), PathFree: true,
		Summary:  "multistep with levels of its own and weights that depend on the row's invariants",
		Equation: "x̂_i = (ŝ_i/ŝ_0) x̂_0 + Σ_j q_ij D_j + Σ_k g_ik(row) (D_{i−k} − D_{i−k−1})",
		Ends:     "does not start at α = 0; into σ = 0 its own weights",
	}
}

func (s *Gated) method() method {
	run := &gatedRun{s: s}
	run.rows = run.correct
	return method{
		evals: 1, history: max(s.Steps()-1, 0), carry: 1, scratch: 2, free: true, step: run.step,
		fits: func(g schedules.Grid) error { return onlyGrid(s.S, g) },
		check: func(p Problem) error {
			dim := 1
			for _, n := range p.Denoiser.Shape() {
				dim *= n
			}
			for _, g := range s.Gates {
				if g != nil && len(s.Mean) != dim {
					return fmt.Errorf("mean has %d numbers and a sample %d: this solver was made for another model", len(s.Mean), dim)
				}
			}
			return nil
		},
	}
}

// gatedRun is one run, with what its rows share.
type gatedRun struct {
	s       *Gated
	rows    func(lo, hi int)
	gate    *gate.Gate
	dim     int
	x, y    []float64 // x̂ at w.from, and the state to correct
	answers [4][]float64
}

func (r *gatedRun) step(w *walk) {
	s, a, b, i := r.s, w.from, w.to, w.index
	start := w.carry[0] // x̂_0
	if w.carried {
		w.pass = stay
	} else {
		w.lin(w.fresh[0], term{1 / a.Alpha, w.x})
		start, w.pass = w.fresh[0], renew
	}
	q := s.Q[i]
	var terms [maxTerms]term
	terms[0] = term{s.S[i+1] / s.S[0], start}
	terms[1] = term{q[i], w.d}
	for k := range i {
		terms[2+k] = term{q[i-1-k], w.past[k]}
	}
	y := w.tmp[0]
	w.lin(y, terms[:2+i]...)
	if s.Gates[i] != nil && w.err == nil {
		w.lin(w.tmp[1], term{1 / a.Alpha, w.x})
		r.gate, r.dim, r.x, r.y = s.Gates[i], w.dim, w.tmp[1], y
		r.answers = [4][]float64{w.d}
		copy(r.answers[1:], w.past[:i])
		par.Rows(w.rows, 16, r.rows)
	}
	w.order = 0
	w.lin(w.next, term{b.Alpha, y})
}

// correct adds the gate's differences to rows of y.
func (r *gatedRun) correct(lo, hi int) {
	var g gate.Row
	for row := lo; row < hi; row++ {
		of := func(a []float64) []float64 {
			if a == nil {
				return nil
			}
			return a[row*r.dim : (row+1)*r.dim]
		}
		r.gate.See(&g, of(r.x), of(r.answers[0]), of(r.answers[1]), of(r.answers[2]), r.s.Mean)
		r.gate.Open(&g)
		y := of(r.y)
		for k := range r.gate.Outputs() {
			newer, older := of(r.answers[k]), of(r.answers[k+1])
			for j := range y {
				y[j] += g.G[k] * (newer[j] - older[j])
			}
		}
	}
}

// NFE implements [Solver].
func (s *Gated) NFE(g schedules.Grid) int { return g.Steps() }

// Start implements [Solver].
func (s *Gated) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
