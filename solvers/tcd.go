package solvers

import (
	"fmt"
	"math"

	"snrlab/schedules"
)

// TCD is strategic stochastic sampling of trajectory consistency models
// [zheng2024, algorithm 4]: down along the trajectory past the target, to the level
// s at the share 1 − γ of the target's time on the problem's schedule, and noise
// back up,
//
//	x_b = α_b (D + ŝ_s e + √(ŝ_b² − ŝ_s²) z),   t_s = t_clean + (1 − γ)(t_b − t_clean)
//
// with e = (x − α D)/σ and ŝ = σ/α. γ = 0 is DDIM, γ = 1 with a schedule that
// begins at σ = 0 is [Consistency]. One evaluation a step. α = 0 is left by the
// formula with e = x/σ; the step to σ = 0 is x = α D. The path does not matter, the
// schedule's time does.
//
// D and e together stand for the trajectory function, a model's jump from a to s.
// An exact denoiser is none where γ > 0: the jump is one DDIM step, whose error
// does not vanish with more steps.
type TCD struct {
	Gamma float64 `json:"gamma"` // share of the target's time that is noise anew, 0 ≤ γ ≤ 1
}

func (s TCD) String() string { return Registry().Format("tcd", s) }

// Validate reports a γ outside [0, 1].
func (s TCD) Validate() error {
	if !(s.Gamma >= 0 && s.Gamma <= 1) {
		return fmt.Errorf("gamma = %g: expected 0 ≤ gamma ≤ 1", s.Gamma)
	}
	return nil
}

// Properties implements [Solver].
func (s TCD) Properties() Properties {
	order := 0.0
	if s.Gamma == 0 {
		order = 1
	}
	return Properties{
		Order: order, Evals: 1, LastEvals: 1, PathFree: true, OwnFirst: true,
		Stochastic: s.Gamma > 0, Between: s.Gamma > 0, Biased: s.Gamma > 0, Rises: s.Gamma == 0,
		Summary:    "strategic stochastic sampling of trajectory consistency models",
		Equation:   "x_b = α_b (D + ŝ_s e + √(ŝ_b² − ŝ_s²) z),  t_s = (1 − γ) t_b",
		Ends:       OwnFirst.ends(),
		References: []string{"zheng2024"},
	}
}

func (s TCD) method() method {
	return method{evals: 1, first: OwnFirst, step: s.step}
}

func (s TCD) step(w *walk) {
	b := w.to
	if s.Gamma == 0 {
		w.euler(w.next, b)
		return
	}
	sch := w.problem.Schedule
	clean, _ := sch.Domain()
	t := clean + (1-s.Gamma)*(sch.TimeOf(b.LogSNR())-clean)
	c := min(b.Alpha*sch.At(t).Noise(), b.Sigma) // α_b ŝ_s
	v := (b.Sigma - c) * (b.Sigma + c)
	if v == 0 {
		w.euler(w.next, b)
		return
	}
	renoise(w, c, math.Sqrt(v))
}

// NFE implements [Solver].
func (s TCD) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s TCD) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
