package schedules

import (
	"fmt"
	"math"

	"snrlab/snr"
)

// VE is the variance-exploding process on [0, 1], geometric in time
// [song2021]: α = 1, σ = σ_min (σ_max/σ_min)^t.
type VE struct {
	SMin float64 `json:"smin"`
	SMax float64 `json:"smax"`
}

// Validate reports ends that are not 0 < σ_min < σ_max < ∞.
func (s VE) Validate() error { return validateSigmas("ve", s.SMin, s.SMax) }

// At returns the level at t.
func (s VE) At(t float64) Level {
	sigma := s.SMin * math.Pow(s.SMax/s.SMin, t)
	if t == 1 {
		sigma = s.SMax // not to rounding but exactly
	}
	return Level{T: t, Alpha: 1, Sigma: sigma}
}

// TimeOf inverts t = log(σ/σ_min)/log(σ_max/σ_min).
func (s VE) TimeOf(l snr.LogSNR) float64 {
	return pin(s, l, (-l.Half()-math.Log(s.SMin))/math.Log(s.SMax/s.SMin))
}

// LogSNRRate returns dλ/dt = −2 log(σ_max/σ_min).
func (s VE) LogSNRRate(float64) float64 { return -2 * math.Log(s.SMax/s.SMin) }

// Domain is [0, 1].
func (VE) Domain() (clean, noisy float64) { return 0, 1 }

// Path is VE.
func (VE) Path() Path { return VEPath{} }

func (s VE) String() string { return Registry().Format("ve", s) }

func validateSigmas(name string, smin, smax float64) error {
	if !(smin > 0 && smax > smin) || math.IsInf(smax, 1) {
		return fmt.Errorf("schedules: %s has smin = %g, smax = %g: expected 0 < smin < smax < ∞", name, smin, smax)
	}
	return nil
}
