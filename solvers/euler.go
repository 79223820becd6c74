package solvers

import "snrlab/schedules"

// Euler is the explicit Euler method in (ŝ, x̂) = (σ/α, x/α) [karras2022], in which
// the probability-flow ODE is dx̂/dŝ = e = (x − αD)/σ:
//
//	x̂_b = x̂_a + (ŝ_b − ŝ_a) e_a
//
// with optional churn (see the fields; the zero value has none). Order 1, one
// evaluation a step. Without churn it is DDIM with η = 0.
type Euler struct {
	SChurn float64 `json:"schurn"` // churn per run, shared by its steps; 0 is none
	SMin   float64 `json:"stmin"`  // least σ/α that is churned
	SMax   float64 `json:"stmax"`  // greatest σ/α that is churned
	SNoise float64 `json:"snoise"` // factor of the noise added
}

func (s Euler) String() string { return Registry().Format("euler", s) }

// Validate reports settings of the churn without meaning or without effect.
func (s Euler) Validate() error { return churn(s).validate() }

// Properties implements [Solver].
func (s Euler) Properties() Properties {
	return Properties{
		Order: 1, Evals: 1, LastEvals: 1, PathFree: true,
		Stochastic: s.SChurn > 0, OwnNoise: s.SChurn > 0, Between: s.SChurn > 0, Rises: s.SChurn == 0,
		Summary:    "explicit Euler in σ/α, with churn",
		Equation:   "x̂_b = x̂_a + (ŝ_b − ŝ_a) e_a",
		References: []string{"karras2022"},
	}
}

func (s Euler) method() method {
	return method{evals: 1, churn: churn(s), step: func(w *walk) { w.euler(w.next, w.to) }}
}

// NFE implements [Solver].
func (s Euler) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s Euler) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
