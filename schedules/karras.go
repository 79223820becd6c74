package schedules

import (
	"fmt"
	"math"
)

// Karras is uniform in the ρ-th root of ŝ = σ/α [karras2022] (eq. 5):
//
//	ŝ_i = (ŝ_max^{1/ρ} + i/N (ŝ_min^{1/ρ} − ŝ_max^{1/ρ}))^ρ.
//
// Rho = 1 is uniform in ŝ; the larger, the more levels at low noise.
type Karras struct {
	Rho  float64 `json:"rho"`
	SMin float64 `json:"smin"` // σ/α of the clean end; 0 for the schedule's own
	SMax float64 `json:"smax"` // σ/α of the noisy end; 0 for the schedule's own
	Last Last    `json:"last"`
}

// Validate reports an exponent that is not positive and finite.
func (k Karras) Validate() error {
	if !(k.Rho > 0) || math.IsInf(k.Rho, 1) {
		return fmt.Errorf("schedules: karras has rho = %g: expected a finite number > 0 (7 is usual)", k.Rho)
	}
	return nil
}

// Grid returns the levels of n steps.
func (k Karras) Grid(s Schedule, n int) (Grid, error) {
	if err := k.Validate(); err != nil {
		return nil, err
	}
	sp, err := newSpan(s, n, k.Last, k.SMin, k.SMax)
	if err != nil {
		return nil, err
	}
	if err := sp.finite("karras", false); err != nil {
		return nil, err
	}
	a, b := math.Pow(sp.noisy.Noise(), 1/k.Rho), math.Pow(sp.clean.Noise(), 1/k.Rho)
	return sp.grid(func(u float64) Level {
		return levelAtNoise(s, math.Pow(mix(a, b, u), k.Rho))
	})
}

func (k Karras) String() string { return Spacings().Format("karras", k) }
