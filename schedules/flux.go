package schedules

import (
	"fmt"
	"math"

	"snrlab/snr"
)

// Flux is rectified flow with the shift by image size of the Flux sampler
// [flux2024], whose e^μ plays the part of Shift in [RF]:
//
//	σ = t', α = 1 − t', t' = e^μ/(e^μ + (1/t − 1)^p), λ = 2p log(1/t − 1) − 2μ
//	μ = MuLow + (MuHigh − MuLow) (Tokens − Low)/(High − Low)
//
// A token is a patch of 16×16 pixels. μ grows in proportion to the tokens, not to
// the logarithm of the side: it is an empirical rule, below the match of noise
// levels, which is [Aligned], in between and at the far end. Power 1 is Flux; other
// powers stretch λ.
type Flux struct {
	Tokens int     `json:"tokens"`
	Low    int     `json:"low"`    // tokens at which μ is MuLow
	High   int     `json:"high"`   // tokens at which μ is MuHigh
	MuLow  float64 `json:"mulow"`  // natural logarithm of a shift
	MuHigh float64 `json:"muhigh"` // natural logarithm of a shift
	Power  float64 `json:"power"`
}

// Validate reports numbers of tokens and powers that are not positive and shifts
// that are not finite.
func (s Flux) Validate() error {
	if s.Tokens < 1 || s.Low < 1 || s.High < 1 || s.Low == s.High {
		return fmt.Errorf("schedules: flux has tokens = %d, low = %d, high = %d: expected at least 1 each, and low and high to differ", s.Tokens, s.Low, s.High)
	}
	if !(s.Power > 0) || math.IsInf(s.Power, 1) || !(math.Abs(s.Mu()) <= 100) {
		return fmt.Errorf("schedules: flux has power = %g, mulow = %g, muhigh = %g, which is μ = %g: expected a power > 0 and |μ| ≤ 100", s.Power, s.MuLow, s.MuHigh, s.Mu())
	}
	return noRange(s)
}

// Mu returns μ.
func (s Flux) Mu() float64 {
	return s.MuLow + (s.MuHigh-s.MuLow)*float64(s.Tokens-s.Low)/float64(s.High-s.Low)
}

// At returns the level at t.
func (s Flux) At(t float64) Level {
	a, b := math.Pow(1-t, s.Power), math.Exp(s.Mu())*math.Pow(t, s.Power)
	return Level{T: t, Alpha: a / (a + b), Sigma: b / (a + b)}
}

// TimeOf inverts σ/α = e^μ (t/(1 − t))^p.
func (s Flux) TimeOf(l snr.LogSNR) float64 {
	_, t := ((l + snr.LogSNR(2*s.Mu())) / snr.LogSNR(s.Power)).RF()
	return pin(s, l, t)
}

// LogSNRRate returns dλ/dt = −2p/(t (1 − t)).
func (s Flux) LogSNRRate(t float64) float64 { return -2 * s.Power / (t * (1 - t)) }

// Domain is [0, 1].
func (Flux) Domain() (clean, noisy float64) { return 0, 1 }

// Path is RF.
func (Flux) Path() Path { return RFPath{} }

func (s Flux) String() string { return Registry().Format("flux", s) }
