package solvers

import (
	"math"

	"snrlab/schedules"
)

// ReverseDiffusion is the sampler that discretises the reverse SDE as the
// forward process is [song2021, appendix E, eq. 46]. A forward step from b to
// the noisier a is x_a = ρ x_b + G z with ρ = α_a/α_b, G² = σ_a² − ρ² σ_b²; its
// drift (ρ − 1) x and its G are taken back,
//
//	x_b = (2 − ρ) x + G² s + G z,   s = (αD − x)/σ_a²
//
// On a variance exploding path, ρ = 1, it is [EulerMaruyama] in σ²; on a
// variance preserving one ρ = √(1 − β) and G² = β. The factor 2 − ρ depends on
// the path. Weak and strong order 1; one evaluation a step. The step out of
// α = 0 is the named one.
type ReverseDiffusion struct {
	Last Last `json:"last"` // own adds noise in the step to σ = 0 too, as the paper's program does
}

func (s ReverseDiffusion) String() string { return Registry().Format("reverse-diffusion", s) }

// Validate reports a last step that is none.
func (s ReverseDiffusion) Validate() error { return checkChoice("last", lastNames, s.Last) }

// Properties implements [Solver].
func (s ReverseDiffusion) Properties() Properties {
	return Properties{
		Order: 1, Evals: 1, LastEvals: 1, Stochastic: true,
		Summary:    "the reverse SDE discretised as the forward process is",
		Equation:   "x_b = (2 − ρ) x + G² (αD − x)/σ_a² + G z,  ρ = α_a/α_b,  G² = σ_a² − ρ² σ_b²",
		Ends:       s.Last.noisyEnds(),
		References: []string{"song2021"},
	}
}

func (s ReverseDiffusion) method() method { return method{evals: 1, last: s.Last, step: s.step} }

func (s ReverseDiffusion) step(w *walk) {
	a, b := w.from, w.to
	r := -math.Expm1(float64(a.LogSNR() - b.LogSNR())) // G²/σ_a²
	z := w.normal(a, b)
	w.lin(w.next,
		term{2 - a.Alpha/b.Alpha - r, w.x},
		term{r * a.Alpha, w.d}, term{a.Sigma * math.Sqrt(r), z})
}

// NFE implements [Solver].
func (s ReverseDiffusion) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s ReverseDiffusion) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
