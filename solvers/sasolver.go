package solvers

import (
	"fmt"
	"math"

	"snrlab/schedules"
)

// SASolver is the stochastic Adams method [xue2023, algorithm 1] for the family
// of reverse equations with noise τ, of which τ = 0 is the probability-flow ODE
// and τ = 1 the reverse SDE. With ℓ = log(α/σ), h = ℓ_b − ℓ_a and H = (1 + τ²) h,
//
//	data   x_b = (σ_b/σ_a) e^{−τ²h} x_a + α_b Σ_j w_j(H) D_j + σ_b √(1 − e^{−2τ²h}) z
//	noise  x_b = (α_b/α_a) x_a + (1 + τ²) σ_b Σ_j w_j(−h) e_j + τ σ_b √(e^{2h} − 1) z
//
// where w_j(h) are the weights of ∫₀¹ h e^{−h(1−u)} P(u) du for the polynomial
// through the answers. The predictor takes the last Predictor answers; the
// corrector takes Corrector of them, the one at b included, and the same z.
//
// D is evaluated once a step, at the predicted state, from which the next step
// corrects it; CorrectEnd spends one more evaluation on correcting the last
// state. With τ = 0 the order is min(Corrector, Predictor + 1), Predictor
// without a corrector; the cheap start caps it at 3, at 2 without a corrector.
// With τ > 0 it converges weakly with order 1 at least. τ is that of the level a
// step starts from: Tau where SMin ≤ σ/α ≤ SMax, 0 elsewhere. A step to σ = 0
// has no noise.
//
// Variant is what [UniPC] calls so, B(h) where two answers are combined: bh1 is
// what the program of [xue2023] uses for D, vary what it uses for e.
type SASolver struct {
	Predictor  int        `json:"predictor"`  // answers combined, 1 to 6
	Corrector  int        `json:"corrector"`  // answers combined, 1 to 7; 0 corrects nothing
	Tau        float64    `json:"tau"`        // τ ≥ 0
	SMin       float64    `json:"stmin"`      // least σ/α with noise
	SMax       float64    `json:"stmax"`      // greatest σ/α with noise
	Variant    Variant    `json:"variant"`    // weight of the slope in a step of two answers
	Predict    Prediction `json:"predict"`    // what is interpolated
	Opening    Opening    `json:"start"`      // how the first steps are taken, with tau = 0
	Final      Final      `json:"final"`      // order of the last steps
	CorrectEnd bool       `json:"correctend"` // evaluate and correct the last state too
}

func (s SASolver) String() string { return Registry().Format("sa-solver", s) }

// Validate reports settings without meaning or without effect.
func (s SASolver) Validate() error {
	switch {
	case s.Predictor < 1 || s.Predictor > 6:
		return fmt.Errorf("predictor = %d: expected 1 to 6 answers", s.Predictor)
	case s.Corrector < 0 || s.Corrector > 7:
		return fmt.Errorf("corrector = %d: expected 1 to 7 answers, or 0 for none", s.Corrector)
	case !(s.Tau >= 0) || math.IsInf(s.Tau, 1):
		return fmt.Errorf("tau = %g: expected a finite value ≥ 0", s.Tau)
	case !(s.SMin >= 0 && s.SMin <= s.SMax):
		return fmt.Errorf("stmin = %g, stmax = %g: expected 0 ≤ stmin ≤ stmax", s.SMin, s.SMax)
	case s.Tau == 0 && (s.SMin != 0 || !math.IsInf(s.SMax, 1)):
		return fmt.Errorf("stmin and stmax have no effect with tau = 0: leave them out")
	case s.Tau > 0 && s.Opening != Cheap:
		return fmt.Errorf("start = %s with tau = %g: its steps draw no noise, use it with tau = 0", s.Opening, s.Tau)
	case s.CorrectEnd && s.Corrector == 0:
		return fmt.Errorf("correctend = true has no effect with corrector = 0: leave it out")
	case s.Final != FinalFull && s.most() == 1:
		return fmt.Errorf("final = %s has no effect with one answer: leave it out", s.Final)
	}
	for _, err := range []error{
		checkChoice("variant", variantNames, s.Variant), checkChoice("predict", predictionNames, s.Predict),
		s.Opening.check(s.most()), checkChoice("final", finalNames, s.Final),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// most is the greatest number of answers at levels that a step combines.
func (s SASolver) most() int { return max(s.Predictor, s.Corrector-1) }

// Properties implements [Solver].
func (s SASolver) Properties() Properties {
	order := s.Predictor
	if s.Corrector > 0 {
		order = min(s.Corrector, s.Predictor+1)
	}
	switch {
	case s.Final != FinalFull && !s.CorrectEnd: // whose last step is of order 1
		order = min(order, 2)
	case s.Final != FinalFull, s.Opening == Cheap && s.Corrector > 0: // corrected to order 2
		order = min(order, 3)
	case s.Opening == Cheap:
		order = min(order, 2)
	case s.Opening == Lean:
		order = min(order, s.most())
	}
	p := Properties{
		Order: float64(order), Evals: 1, LastEvals: 1, History: s.method().history, PathFree: true,
		Stochastic: s.Tau > 0, Rises: s.Tau == 0, Varies: s.CorrectEnd,
		Summary:    "stochastic Adams predictor and corrector, exponential in log(α/σ)",
		Equation:   "x_b = (σ_b/σ_a) e^{−τ²h} x_a + α_b Σ w_j((1+τ²)h) D_j + σ_b √(1 − e^{−2τ²h}) z",
		References: []string{"xue2023"},
	}
	if s.Predict == PredictNoise {
		p.Equation = "x_b = (α_b/α_a) x_a + (1+τ²) σ_b Σ w_j(−h) e_j + τ σ_b √(e^{2h} − 1) z"
	}
	s.Opening.promise(&p, s.most())
	return p
}

func (s SASolver) method() method {
	m := method{evals: 1, history: max(s.Predictor-1, s.Corrector-1), keep: s.Predict.answer(), step: s.step}
	if s.Corrector > 0 {
		m.carry = 2 // the corrected state, and the noise of the step from it
	}
	s.Opening.prepare(&m, s.most())
	if s.CorrectEnd {
		m.scratch = max(m.scratch, 2)
		opening := m.cost
		m.cost = func(at place) int {
			n := m.evals
			if opening != nil {
				n = opening(at)
			}
			if at.left() == 0 && n == m.evals && at.to().Sigma > 0 {
				n++
			}
			return n
		}
	}
	return m
}

func (s SASolver) step(w *walk) {
	if s.Opening.step(w, s.most()) {
		return
	}
	at := w.place()
	x := w.x
	if s.Corrector > 0 {
		x = w.fresh[0]
		w.pass = renew
		if w.carried {
			s.correct(w, x, at.before(), w.carry[0], w.carry[1], w.answer(s.Predict))
			w.fixed = x
		} else {
			copy(x, w.x)
		}
	}
	var z []float64
	if s.tau(w.from) > 0 {
		z = w.normal(w.from, w.to)
		if s.Corrector > 0 {
			copy(w.fresh[1], z)
		}
	}
	w.order = s.Final.order(at, s.Predictor)
	var p nodes
	w.answers(&p, s.Predict, at, w.order)
	s.move(w, w.next, &p, x, w.from, w.to, z)
	if s.CorrectEnd && at.left() == 0 {
		end, e := w.tmp[0], w.tmp[1]
		w.eval(end, w.next, w.to)
		if s.Predict == PredictNoise {
			w.slope(e, w.next, end, w.to)
			end = e
		}
		s.correct(w, w.next, at, x, z, end)
	}
}

// correct writes into dst the corrected end of the step at a place, which went
// from x with noise z, with the answer at its end.
func (s SASolver) correct(w *walk, dst []float64, at place, x, z, end []float64) {
	n := min(s.Corrector, at.known+2)
	if s.Final == FinalLower {
		n = min(n, at.left()+2)
	}
	var p nodes
	w.answers(&p, s.Predict, at, n-1)
	p.add(1, end)
	s.move(w, dst, &p, x, at.from(), at.to(), z)
}

// tau is τ of a step from a level.
func (s SASolver) tau(a schedules.Level) float64 {
	if n := a.Noise(); n < s.SMin || n > s.SMax {
		return 0
	}
	return s.Tau
}

// move writes into dst the step from x at a to b with the answers of p and noise
// z.
func (s SASolver) move(w *walk, dst []float64, p *nodes, x []float64, a, b schedules.Level, z []float64) {
	k := s.Predict.exponent(a, b, s.tau(a)*s.tau(a))
	w.exponential(dst, k, x, p, s.Variant.weights(p, k), z)
}

// NFE implements [Solver].
func (s SASolver) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s SASolver) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
