package solvers

import (
	"fmt"
	"math"

	"snrlab/schedules"
)

// DDIM is the η family of denoising diffusion implicit models [song2021ddim,
// eq. 12]:
//
//	x_s = α_s D + √(σ_s² − g²) e + g z,   e = (x_t − α_t D)/σ_t,   z ~ N(0, I)
//	g   = η σ_s √(1 − e^{λ_t − λ_s}),     λ = log(α²/σ²)
//
// on any path. η = 0 is exactly Euler in (σ/α, x/α), η = 1 is DDPM's ancestral
// sampling on the grid's levels. Order 1, one evaluation a step. σ_s = 0 gives
// g = 0 and x = α D. At α_t = 0 the formula has the limit g = η σ_s, e = x_t/σ_t,
// which First selects: it draws a share η² of the noise anew, where the named
// start keeps it all. Both have the right law.
type DDIM struct {
	Eta   float64 `json:"eta"`   // 0 ≤ η ≤ 1
	First First   `json:"first"` // the step out of α = 0
}

func (s DDIM) String() string { return Registry().Format("ddim", s) }

// Validate reports an η outside [0, 1] and a rule without effect.
func (s DDIM) Validate() error {
	if err := checkEta(s.Eta); err != nil {
		return err
	}
	return checkFirst(s.First, s.Eta)
}

// checkFirst refuses a rule that is none, or that draws noise at η = 0.
func checkFirst(f First, eta float64) error {
	if f == OwnFirst && eta == 0 {
		return fmt.Errorf("first = own has no effect with eta = 0, which draws no noise: leave it out")
	}
	return checkChoice("first", firstNames, f)
}

func checkEta(eta float64) error {
	if !(eta >= 0 && eta <= 1) {
		return fmt.Errorf("eta = %g: expected 0 ≤ eta ≤ 1", eta)
	}
	return nil
}

// Properties implements [Solver].
func (s DDIM) Properties() Properties {
	return Properties{
		Order: 1, Evals: 1, LastEvals: 1, Stochastic: s.Eta > 0, Rises: s.Eta == 0, PathFree: true, OwnFirst: s.First == OwnFirst,
		Summary:    "the η family: deterministic at 0, DDPM ancestral at 1",
		Equation:   "x_b = α_b D + √(σ_b² − g²) e + g z,  g = η σ_b √(1 − e^{λ_a − λ_b})",
		Ends:       s.First.ends(),
		References: []string{"song2021ddim"},
	}
}

func (s DDIM) method() method {
	return method{evals: 1, first: s.First, step: s.step}
}

func (s DDIM) step(w *walk) {
	if s.Eta == 0 {
		w.euler(w.next, w.to)
		return
	}
	c, g := etaSplit(s.Eta, w.from, w.to)
	renoise(w, c, g)
}

// NFE implements [Solver].
func (s DDIM) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DDIM) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}

// etaSplit divides σ_b into the part c that keeps the old noise and the part g
// that is drawn: c² + g² = σ_b².
func etaSplit(eta float64, a, b schedules.Level) (c, g float64) {
	v := -eta * eta * math.Expm1(float64(a.LogSNR()-b.LogSNR()))
	return b.Sigma * math.Sqrt(1-v), b.Sigma * math.Sqrt(v)
}
