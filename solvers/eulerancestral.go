package solvers

import (
	"fmt"
	"math"

	"snrlab/schedules"
)

// EulerAncestral steps down past the target in σ/α and adds noise back up to
// it, the ancestral sampler of k-diffusion. With hats for division by α,
//
//	ŝ_up   = η ŝ_b √(1 − ŝ_b²/ŝ_a²),   ŝ_down = √(ŝ_b² − ŝ_up²)
//	x̂_b    = x̂_a + (ŝ_down − ŝ_a) e_a + SNoise ŝ_up z
//
// With SNoise = 1 it is [DDIM] with the same η, on every path. Order 1, one
// evaluation a step; the step to σ = 0 adds nothing.
type EulerAncestral struct {
	Eta    float64 `json:"eta"`    // 0 ≤ η ≤ 1
	SNoise float64 `json:"snoise"` // factor of the noise added
}

func (s EulerAncestral) String() string { return Registry().Format("euler-ancestral", s) }

// Validate reports settings without meaning or without effect.
func (s EulerAncestral) Validate() error {
	switch {
	case s.Eta == 0 && s.SNoise != 1:
		return fmt.Errorf("snoise = %g has no effect with eta = 0: set it to 1", s.SNoise)
	case !(s.SNoise > 0) || math.IsInf(s.SNoise, 1):
		return fmt.Errorf("snoise = %g: expected a positive finite factor", s.SNoise)
	}
	return checkEta(s.Eta)
}

// Properties implements [Solver].
func (s EulerAncestral) Properties() Properties {
	return Properties{
		Order: 1, Evals: 1, LastEvals: 1, Stochastic: s.Eta > 0, Rises: s.Eta == 0, PathFree: true,
		Summary:    "Euler past the target and noise back up to it",
		Equation:   "x̂_b = x̂_a + (ŝ_down − ŝ_a) e_a + ŝ_up z,  ŝ_up = η ŝ_b √(1 − ŝ_b²/ŝ_a²),  ŝ_down² = ŝ_b² − ŝ_up²",
		References: []string{"song2021ddim", "crowson2022"},
	}
}

func (s EulerAncestral) method() method {
	return method{evals: 1, step: func(w *walk) { ancestral(w, s.Eta, s.SNoise) }}
}

// NFE implements [Solver].
func (s EulerAncestral) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s EulerAncestral) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
