package solvers

import "snrlab/schedules"

// Heun is the explicit trapezoidal rule in (ŝ, x̂) = (σ/α, x/α) [karras2022,
// algorithms 1 and 2]:
//
//	ŷ   = x̂_a + (ŝ_b − ŝ_a) e_a
//	x̂_b = x̂_a + (ŝ_b − ŝ_a)/2 (e_a + e(ŷ, b)),   e = (x − αD)/σ
//
// with optional churn (see the fields; the zero value has none). Order 2, two
// evaluations a step; one in the step to σ = 0, which keeps the predictor.
type Heun struct {
	SChurn float64 `json:"schurn"` // churn per run, shared by its steps; 0 is none
	SMin   float64 `json:"stmin"`  // least σ/α that is churned
	SMax   float64 `json:"stmax"`  // greatest σ/α that is churned
	SNoise float64 `json:"snoise"` // factor of the noise added
}

func (s Heun) String() string { return Registry().Format("heun", s) }

// Validate reports settings of the churn without meaning or without effect.
func (s Heun) Validate() error { return churn(s).validate() }

// Properties implements [Solver].
func (s Heun) Properties() Properties {
	return Properties{
		Order: 2, Evals: 2, LastEvals: 1, PathFree: true,
		Stochastic: s.SChurn > 0, OwnNoise: s.SChurn > 0, Between: s.SChurn > 0, Rises: s.SChurn == 0,
		Summary:    "trapezoidal rule in σ/α, with churn",
		Equation:   "x̂_b = x̂_a + ½ (ŝ_b − ŝ_a) (e_a + e(ŷ, b)),  ŷ = x̂_a + (ŝ_b − ŝ_a) e_a",
		References: []string{"karras2022"},
	}
}

func (s Heun) method() method {
	return method{evals: 2, scratch: 2, churn: churn(s), step: s.step}
}

func (s Heun) step(w *walk) {
	a, b, y, dy := w.from, w.to, w.tmp[0], w.tmp[1]
	w.euler(y, b)
	w.eval(dy, y, b)
	k := b.Alpha * (b.Noise() - a.Noise()) / 2
	w.lin(w.next,
		term{b.Alpha/a.Alpha + k/a.Sigma, w.x}, term{-k * a.Alpha / a.Sigma, w.d},
		term{k / b.Sigma, y}, term{-k * b.Alpha / b.Sigma, dy})
}

// NFE implements [Solver].
func (s Heun) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s Heun) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
