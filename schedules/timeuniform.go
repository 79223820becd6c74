package schedules

import (
	"fmt"
	"math"
)

// TimeUniform is uniform in the time u of a linear-β process fitted to the
// ends, the "time_uniform" grid of few-step solvers [zhou2024]:
//
//	ŝ_i = √(e^{β_d u²/2 + β_m u} − 1), u_i = (1 + i/N (ε^{1/ρ} − 1))^ρ,
//	β_d = 2 (log(ŝ_min² + 1)/ε − log(ŝ_max² + 1))/(ε − 1),
//	β_m = log(ŝ_max² + 1) − β_d/2,
//
// so that u = 1 is ŝ_max and u = ε is ŝ_min. The schedule lends its ends alone.
// Noise must rise with u, which fails if ŝ_min is too large for ε.
type TimeUniform struct {
	Rho  float64 `json:"rho"`
	Eps  float64 `json:"eps"`
	SMin float64 `json:"smin"` // σ/α of the clean end; 0 for the schedule's own
	SMax float64 `json:"smax"` // σ/α of the noisy end; 0 for the schedule's own
	Last Last    `json:"last"`
}

// Validate reports an exponent that is not positive, or an ε outside (0, 1).
func (k TimeUniform) Validate() error {
	if !(k.Rho > 0 && k.Eps > 0 && k.Eps < 1) || math.IsInf(k.Rho, 1) {
		return fmt.Errorf("schedules: time-uniform has rho = %g, eps = %g: expected a finite rho > 0 and 0 < eps < 1", k.Rho, k.Eps)
	}
	return nil
}

// Grid returns the levels of n steps.
func (k TimeUniform) Grid(s Schedule, n int) (Grid, error) {
	if err := k.Validate(); err != nil {
		return nil, err
	}
	sp, err := newSpan(s, n, k.Last, k.SMin, k.SMax)
	if err != nil {
		return nil, err
	}
	if err := sp.finite("time-uniform", true); err != nil {
		return nil, err
	}
	noisy := math.Log1p(sp.noisy.Noise() * sp.noisy.Noise())
	clean := math.Log1p(sp.clean.Noise() * sp.clean.Noise())
	bd := 2 * (clean/k.Eps - noisy) / (k.Eps - 1)
	bm := noisy - bd/2
	if bd+bm <= 0 || k.Eps*bd+bm <= 0 {
		return nil, fmt.Errorf("schedules: time-uniform with eps = %g has no rising noise through σ/α = %g and %g: use a smaller smin or a larger eps", k.Eps, sp.clean.Noise(), sp.noisy.Noise())
	}
	root := math.Pow(k.Eps, 1/k.Rho)
	return sp.grid(func(i float64) Level {
		u := math.Pow(mix(1, root, i), k.Rho)
		return levelAtNoise(s, math.Sqrt(math.Expm1(u*(bd*u/2+bm))))
	})
}

func (k TimeUniform) String() string { return Spacings().Format("time-uniform", k) }
