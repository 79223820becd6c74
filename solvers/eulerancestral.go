package solvers

import (
	"fmt"

	"snrlab/schedules"
)

// EulerAncestral steps down past the target in σ/α and adds noise back up to
// it, the ancestral sampler of k-diffusion [crowson2022] and, with process = rf,
// that of programs for rectified flows [comfyui2023]. With hats for division by α,
//
//	x̂_b = x̂_a + (ŝ_down − ŝ_a) e_a + SNoise ŝ_up z,   ŝ_down² + ŝ_up² = ŝ_b²
//
// where η and the [Process] give ŝ_down. The path does not matter: adding noise on
// another path, its α_b/α_down included, is this. With process = ve and SNoise = 1
// it is [DDIM] with the same η. Order 1, one evaluation a step; the step to σ = 0
// adds nothing. Out of α = 0, process = rf takes its own step, ve the named one.
type EulerAncestral struct {
	Eta     float64 `json:"eta"`     // 0 ≤ η ≤ 1
	SNoise  float64 `json:"snoise"`  // factor of the noise added
	Process Process `json:"process"` // what divides the step into down and up
}

func (s EulerAncestral) String() string { return Registry().Format("euler-ancestral", s) }

func (s EulerAncestral) up() up { return up{s.Eta, s.SNoise} }

// Validate reports settings without meaning or without effect.
func (s EulerAncestral) Validate() error {
	if s.Eta == 0 && s.Process != Exploding {
		return fmt.Errorf("process = %s has no effect with eta = 0: leave it out", s.Process)
	}
	if err := checkChoice("process", processNames, s.Process); err != nil {
		return err
	}
	return s.up().validate()
}

// Properties implements [Solver].
func (s EulerAncestral) Properties() Properties {
	return Properties{
		Order: 1, Evals: 1, LastEvals: 1, Stochastic: s.Eta > 0, Rises: s.Eta == 0, PathFree: true, OwnFirst: s.Process == Straight,
		Summary:    "Euler past the target and noise back up to it",
		Equation:   "x̂_b = x̂_a + (ŝ_down − ŝ_a) e_a + ŝ_up z,  " + s.Process.equation(),
		Ends:       s.Process.first().ends(),
		References: s.Process.references("song2021ddim"),
	}
}

func (s EulerAncestral) method() method {
	return method{evals: 1, first: s.Process.first(), step: s.step}
}

func (s EulerAncestral) step(w *walk) {
	c, g := s.Process.split(s.Eta, w.from, w.to)
	s.up().step(w, w.d, c, g)
}

// NFE implements [Solver].
func (s EulerAncestral) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s EulerAncestral) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
