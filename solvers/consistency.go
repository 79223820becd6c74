package solvers

import (
	"fmt"
	"math"

	"snrlab/schedules"
)

// Consistency is the multistep sampler of consistency models [song2023,
// algorithm 1]: jump to the data, and noise that up to the next level,
//
//	x_b = α_b (D + SNoise √(ŝ_b² − SMin²) z),   ŝ = σ/α,   z ~ N(0, I)
//
// with SMin the level of the model's boundary condition, below which no level of
// the grid may lie but σ = 0. SMin = 0 on the variance-preserving path is the
// sampler of latent consistency models [luo2023], on rectified flows the stochastic
// Euler of flow matching, and with α = cos t, σ = σ_d sin t that of trigonometric
// ones [lu2025]. One evaluation a step; the path does not matter, and no end is
// special: α = 0 is left by the formula, and σ = 0 reached as x = α D.
//
// D stands for the consistency function, whose boundary scalings are the model's
// side. An exact denoiser is none: its samples have the variance of D, which is
// less than that of the data, whatever the number of steps.
type Consistency struct {
	SMin   float64 `json:"smin"`   // σ/α of the boundary condition
	SNoise float64 `json:"snoise"` // factor of the noise added
}

func (s Consistency) String() string { return Registry().Format("consistency", s) }

// Validate reports settings without meaning.
func (s Consistency) Validate() error {
	switch {
	case !(s.SMin >= 0) || math.IsInf(s.SMin, 1):
		return fmt.Errorf("smin = %g: expected a finite value ≥ 0", s.SMin)
	case !(s.SNoise > 0) || math.IsInf(s.SNoise, 1):
		return fmt.Errorf("snoise = %g: expected a positive finite factor", s.SNoise)
	}
	return nil
}

// Properties implements [Solver].
func (s Consistency) Properties() Properties {
	return Properties{
		Evals: 1, LastEvals: 1, Stochastic: true, PathFree: true, OwnFirst: true, Biased: true,
		Summary:    "multistep consistency sampling: CM, LCM, sCM, stochastic flow matching",
		Equation:   "x_b = α_b (D + √(ŝ_b² − ŝ_min²) z)",
		Ends:       OwnFirst.ends(),
		References: []string{"song2023", "luo2023", "lu2025"},
	}
}

func (s Consistency) method() method {
	return method{evals: 1, first: OwnFirst, fits: s.fits, step: s.step}
}

// fits refuses levels that noise cannot bring D up to.
func (s Consistency) fits(g schedules.Grid) error {
	for i, l := range g {
		// A level of the boundary itself may have rounded.
		if l.Sigma > 0 && l.Noise() < s.SMin*(1-1e-12) {
			return fmt.Errorf("grid level %d has σ/α = %g: expected at least smin = %g, or σ = 0", i, l.Noise(), s.SMin)
		}
	}
	return nil
}

func (s Consistency) step(w *walk) {
	b := w.to
	v := (b.Sigma - s.SMin*b.Alpha) * (b.Sigma + s.SMin*b.Alpha)
	if v <= 0 {
		w.lin(w.next, term{b.Alpha, w.d})
		return
	}
	w.lin(w.next, term{b.Alpha, w.d}, term{s.SNoise * math.Sqrt(v), w.normal(w.from, b)})
}

// NFE implements [Solver].
func (s Consistency) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s Consistency) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
