package schedules

import (
	"fmt"
	"math"

	"snrlab/snr"
)

// UniformLambda is uniform in λ, which is the same as uniform in log(σ/α): the
// "exponential" and "logSNR" grids of other programs.
type UniformLambda struct {
	SMin float64 `json:"smin"` // σ/α of the clean end; 0 for the schedule's own
	SMax float64 `json:"smax"` // σ/α of the noisy end; 0 for the schedule's own
	Last Last    `json:"last"`
}

// Grid returns the levels of n steps.
func (k UniformLambda) Grid(s Schedule, n int) (Grid, error) {
	return Polyexponential{Rho: 1, SMin: k.SMin, SMax: k.SMax, Last: k.Last}.Grid(s, n)
}

func (k UniformLambda) String() string { return Spacings().Format("uniform-lambda", k) }

// Polyexponential spaces log ŝ = log(σ/α) by a power of a uniform ramp, as
// k-diffusion does:
//
//	log ŝ_i = log ŝ_min + (1 − i/N)^ρ (log ŝ_max − log ŝ_min).
//
// Rho = 1 is [UniformLambda].
type Polyexponential struct {
	Rho  float64 `json:"rho"`
	SMin float64 `json:"smin"` // σ/α of the clean end; 0 for the schedule's own
	SMax float64 `json:"smax"` // σ/α of the noisy end; 0 for the schedule's own
	Last Last    `json:"last"`
}

// Validate reports an exponent that is not positive and finite.
func (k Polyexponential) Validate() error {
	if !(k.Rho > 0) || math.IsInf(k.Rho, 1) {
		return fmt.Errorf("schedules: polyexponential has rho = %g: expected a finite number > 0", k.Rho)
	}
	return nil
}

// Grid returns the levels of n steps.
func (k Polyexponential) Grid(s Schedule, n int) (Grid, error) {
	if err := k.Validate(); err != nil {
		return nil, err
	}
	sp, err := newSpan(s, n, k.Last, k.SMin, k.SMax)
	if err != nil {
		return nil, err
	}
	if err := sp.finite("a spacing in λ", true); err != nil {
		return nil, err
	}
	clean, noisy := float64(sp.clean.LogSNR()), float64(sp.noisy.LogSNR())
	return sp.grid(func(u float64) Level {
		return LevelAt(s, snr.LogSNR(mix(clean, noisy, math.Pow(1-u, k.Rho))))
	})
}

func (k Polyexponential) String() string { return Spacings().Format("polyexponential", k) }
