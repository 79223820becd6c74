package schedules

import (
	"fmt"
	"math"

	"snrlab/snr"
)

// VPLinear is the continuous variance-preserving process with β linear in t
// on [0, 1] [song2021]:
//
//	α² = e^{−B}, σ² = 1 − e^{−B}, B(t) = β_min t + (β_max − β_min) t²/2.
//
// It starts at σ = 0 exactly and ends just short of α = 0.
type VPLinear struct {
	BetaMin float64 `json:"bmin"`
	BetaMax float64 `json:"bmax"`
}

// Validate reports rates that are negative, infinite or both zero.
func (s VPLinear) Validate() error { return ramp(s).validate("vp-linear") }

// At returns the level at t.
func (s VPLinear) At(t float64) Level {
	b := ramp(s).integral(t)
	return Level{T: t, Alpha: math.Exp(-b / 2), Sigma: math.Sqrt(-math.Expm1(-b))}
}

// TimeOf inverts B = log(1 + e^{−λ}).
func (s VPLinear) TimeOf(l snr.LogSNR) float64 {
	return pin(s, l, ramp(s).timeOf(-l.LogAlphaBar()))
}

// LogSNRRate returns dλ/dt = −β/(1 − e^{−B}); −Inf at t = 0.
func (s VPLinear) LogSNRRate(t float64) float64 {
	return ramp(s).rate(t) / math.Expm1(-ramp(s).integral(t))
}

// Domain is [0, 1].
func (VPLinear) Domain() (clean, noisy float64) { return 0, 1 }

// Path is VP.
func (VPLinear) Path() Path { return VPPath{} }

func (s VPLinear) String() string { return Registry().Format("vp-linear", s) }

// ramp is β(t) = β_min + (β_max − β_min) t and its integral B.
type ramp struct{ BetaMin, BetaMax float64 }

func (r ramp) validate(name string) error {
	if !(r.BetaMin >= 0 && r.BetaMax >= 0 && r.BetaMin+r.BetaMax > 0) || math.IsInf(r.BetaMin+r.BetaMax, 1) {
		return fmt.Errorf("schedules: %s has bmin = %g, bmax = %g: expected finite rates ≥ 0, not both 0", name, r.BetaMin, r.BetaMax)
	}
	return nil
}

func (r ramp) rate(t float64) float64 { return r.BetaMin + (r.BetaMax-r.BetaMin)*t }

func (r ramp) integral(t float64) float64 {
	return t * (r.BetaMin + (r.BetaMax-r.BetaMin)*t/2)
}

// timeOf solves B(t) = b by the form of the quadratic formula that does not
// cancel at small b.
func (r ramp) timeOf(b float64) float64 {
	if b == 0 {
		return 0
	}
	root := math.Sqrt(r.BetaMin*r.BetaMin + 2*(r.BetaMax-r.BetaMin)*b)
	return 2 * b / (r.BetaMin + root)
}
