package solvers

import (
	"fmt"
	"math"

	"snrlab/schedules"
)

// GradientEstimation is the gradient-estimation sampler [permenter2023,
// algorithm 2], which takes denoising for gradient descent on the distance to
// the data and e for its noisy gradient:
//
//	x̂_b = x̂_a + (ŝ_b − ŝ_a) (γ e_a + (1 − γ) e₁)
//
// with e = (x − αD)/σ, e₁ that of the step before, and e₁ = e_a in the first
// step. γ = 2 is the paper's, γ = 1 is DDIM, γ = 3/2 is iPNDM(2) and of order 2;
// all others are of order 1. One evaluation a step.
type GradientEstimation struct {
	Gamma float64 `json:"gamma"` // weight of the newest e
}

func (s GradientEstimation) String() string { return Registry().Format("gradient-estimation", s) }

// Validate reports a γ that is no number.
func (s GradientEstimation) Validate() error {
	if math.IsNaN(s.Gamma) || math.IsInf(s.Gamma, 0) {
		return fmt.Errorf("gamma = %g: expected a finite number", s.Gamma)
	}
	return nil
}

// Properties implements [Solver].
func (s GradientEstimation) Properties() Properties {
	p := Properties{
		Order: 1, Evals: 1, LastEvals: 1, History: 1, PathFree: true, Rises: true,
		Summary:    "two-step method in σ/α that extrapolates ε by γ",
		Equation:   "x̂_b = x̂_a + (ŝ_b − ŝ_a) (γ e_a + (1 − γ) e₁)",
		References: []string{"permenter2023"},
	}
	if s.Gamma == 1.5 {
		p.Order = 2
	}
	return p
}

func (s GradientEstimation) method() method {
	return method{evals: 1, history: 1, keep: noise, step: s.step}
}

func (s GradientEstimation) step(w *walk) {
	h := w.to.Noise() - w.from.Noise()
	if w.known == 0 {
		w.multistep([]float64{h})
		return
	}
	w.multistep([]float64{s.Gamma * h, (1 - s.Gamma) * h})
	w.order = w.promised
}

// NFE implements [Solver].
func (s GradientEstimation) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s GradientEstimation) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
