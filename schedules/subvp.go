package schedules

import (
	"math"

	"snrlab/snr"
)

// SubVP is the sub-variance-preserving process on [0, 1] [song2021], with the
// B(t) of [VPLinear]:
//
//	α² = e^{−B}, σ = 1 − e^{−B}, so that σ/α = 2 sinh(B/2).
type SubVP struct {
	BetaMin float64 `json:"bmin"`
	BetaMax float64 `json:"bmax"`
}

// Validate reports rates that are negative, infinite or both zero.
func (s SubVP) Validate() error { return ramp(s).validate("subvp") }

// At returns the level at t.
func (s SubVP) At(t float64) Level {
	b := ramp(s).integral(t)
	return Level{T: t, Alpha: math.Exp(-b / 2), Sigma: -math.Expm1(-b)}
}

// TimeOf inverts B = 2 asinh(ŝ/2).
func (s SubVP) TimeOf(l snr.LogSNR) float64 {
	return pin(s, l, ramp(s).timeOf(2*math.Asinh(l.Sigma()/2)))
}

// LogSNRRate returns dλ/dt = −β coth(B/2); −Inf at t = 0.
func (s SubVP) LogSNRRate(t float64) float64 {
	return -ramp(s).rate(t) / math.Tanh(ramp(s).integral(t)/2)
}

// Domain is [0, 1].
func (SubVP) Domain() (clean, noisy float64) { return 0, 1 }

// Path is sub-VP.
func (SubVP) Path() Path { return SubVPPath{} }

func (s SubVP) String() string { return Registry().Format("subvp", s) }
