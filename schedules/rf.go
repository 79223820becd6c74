package schedules

import (
	"fmt"
	"math"

	"snrlab/snr"
)

// RF is rectified flow on [0, 1] with the resolution shift of [esser2024]:
//
//	σ = t', α = 1 − t', t' = s t/(1 + (s − 1) t), λ = 2 log((1 − t)/(s t)).
//
// It reaches σ = 0 at t = 0 and α = 0 at t = 1.
type RF struct {
	Shift float64 `json:"shift"`
}

// Validate reports a shift that is not positive and finite.
func (s RF) Validate() error {
	if !(s.Shift > 0) || math.IsInf(s.Shift, 1) {
		return fmt.Errorf("schedules: rf has shift = %g: expected a finite number > 0 (1 is no shift)", s.Shift)
	}
	return nil
}

// At returns the level at t.
func (s RF) At(t float64) Level {
	d := (1 - t) + s.Shift*t
	return Level{T: t, Alpha: (1 - t) / d, Sigma: s.Shift * t / d}
}

// TimeOf inverts σ/α = s t/(1 − t).
func (s RF) TimeOf(l snr.LogSNR) float64 {
	_, t := (l + snr.LogSNR(2*math.Log(s.Shift))).RF()
	return pin(s, l, t)
}

// LogSNRRate returns dλ/dt = −2/(t (1 − t)), whatever the shift.
func (RF) LogSNRRate(t float64) float64 { return -2 / (t * (1 - t)) }

// Domain is [0, 1].
func (RF) Domain() (clean, noisy float64) { return 0, 1 }

// Path is RF.
func (RF) Path() Path { return RFPath{} }

func (s RF) String() string { return Registry().Format("rf", s) }
