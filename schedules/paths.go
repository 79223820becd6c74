package schedules

import (
	"fmt"
	"math"

	"snrlab/snr"
)

// VPPath preserves variance: α² + σ² = 1. It reaches both ends.
type VPPath struct{}

// Coeffs returns α = √sigmoid(λ), σ = √sigmoid(−λ).
func (VPPath) Coeffs(l snr.LogSNR) (alpha, sigma float64) { return l.VP() }

func (VPPath) String() string { return "vp" }

func (VPPath) atNoise(s float64) (alpha, sigma float64) {
	if math.IsInf(s, 1) {
		return 0, 1
	}
	r := math.Hypot(1, s)
	return 1 / r, s / r
}

// VEPath leaves the signal alone and explodes the noise: α = 1, σ = ŝ. It does
// not reach λ = −Inf.
type VEPath struct{}

// Coeffs returns α = 1, σ = e^{−λ/2}.
func (p VEPath) Coeffs(l snr.LogSNR) (alpha, sigma float64) { return p.atNoise(l.Sigma()) }

func (VEPath) String() string { return "ve" }

func (VEPath) atNoise(s float64) (alpha, sigma float64) {
	if math.IsInf(s, 1) {
		return math.NaN(), math.NaN()
	}
	return 1, s
}

// RFPath is the straight line of rectified flow: α + σ = 1. It reaches both
// ends.
type RFPath struct{}

// Coeffs returns α = 1/(1 + ŝ), σ = ŝ/(1 + ŝ) with ŝ = e^{−λ/2}.
func (RFPath) Coeffs(l snr.LogSNR) (alpha, sigma float64) { return l.RF() }

func (RFPath) String() string { return "rf" }

func (RFPath) atNoise(s float64) (alpha, sigma float64) {
	if math.IsInf(s, 1) {
		return 0, 1
	}
	return 1 / (1 + s), s / (1 + s)
}

// SubVPPath has σ = 1 − α², less noise than VP at the same α [song2021]. It
// reaches both ends.
type SubVPPath struct{}

// Coeffs solves 1/α − α = ŝ = e^{−λ/2} without cancellation.
func (p SubVPPath) Coeffs(l snr.LogSNR) (alpha, sigma float64) { return p.atNoise(l.Sigma()) }

func (SubVPPath) String() string { return "subvp" }

func (SubVPPath) atNoise(s float64) (alpha, sigma float64) {
	alpha = 2 / (s + math.Hypot(s, 2))
	if s < 1 {
		return alpha, s * alpha
	}
	return alpha, 1 - alpha*alpha
}

// ScalePath is x = s(ŝ)·(x₀ + ŝε) with s(ŝ) = By·(SD² + ŝ²)^{−Power/2}.
//
// Power 0 is VE times a constant, SD = Power = 1 is VP, and SD = σ_data with
// Power 1 gives states of unit variance, the network input c_in·x of EDM
// [karras2022]. λ = −Inf is reached at Power 1 alone.
type ScalePath struct {
	SD    float64 `json:"sd"`
	Power float64 `json:"power"`
	By    float64 `json:"by"`
}

// Validate reports a scale that is not positive and finite at every ŝ.
func (p ScalePath) Validate() error {
	if !(p.SD > 0 && p.By > 0) || math.IsInf(p.SD+p.By+math.Abs(p.Power), 1) || math.IsNaN(p.Power) {
		return fmt.Errorf("schedules: scale has sd = %g, power = %g, by = %g: expected sd > 0, by > 0, all finite", p.SD, p.Power, p.By)
	}
	return nil
}

// Coeffs returns α = s(ŝ), σ = ŝ·s(ŝ) with ŝ = e^{−λ/2}.
func (p ScalePath) Coeffs(l snr.LogSNR) (alpha, sigma float64) { return p.atNoise(l.Sigma()) }

func (p ScalePath) String() string { return Paths().Format("scale", p) }

func (p ScalePath) atNoise(s float64) (alpha, sigma float64) {
	if math.IsInf(s, 1) {
		if p.Power == 1 {
			return 0, p.By
		}
		return math.NaN(), math.NaN()
	}
	scale := p.By
	switch r := math.Hypot(p.SD, s); p.Power {
	case 0:
	case 1:
		scale /= r
	default:
		scale *= math.Pow(r, -p.Power)
	}
	return scale, s * scale
}

// ScaleFunc is the path x = s(ŝ)·(x₀ + ŝε) of a scale given in code. scale
// must be positive and finite for 0 ≤ ŝ < ∞; name is what the path prints as,
// which no parser reads back. Two such paths are equal if they are the same.
func ScaleFunc(name string, scale func(noise float64) float64) Path {
	return &scaleFunc{name, scale}
}

type scaleFunc struct {
	name  string
	scale func(float64) float64
}

func (p *scaleFunc) Coeffs(l snr.LogSNR) (alpha, sigma float64) { return p.atNoise(l.Sigma()) }

func (p *scaleFunc) String() string { return p.name }

func (p *scaleFunc) atNoise(s float64) (alpha, sigma float64) {
	if math.IsInf(s, 1) {
		return math.NaN(), math.NaN()
	}
	alpha = p.scale(s)
	return alpha, s * alpha
}

// noisePath is a path that knows its coefficients from ŝ itself, which spares
// the rounding of e^{−λ/2} to those who hold ŝ.
type noisePath interface {
	atNoise(noise float64) (alpha, sigma float64)
}

// coeffsAt returns the coefficients of p at σ/α = noise, whose λ is l.
func coeffsAt(p Path, noise float64, l snr.LogSNR) (alpha, sigma float64) {
	if p, ok := p.(noisePath); ok {
		return p.atNoise(noise)
	}
	return p.Coeffs(l)
}

// levelAtNoise returns the level of s whose σ/α is noise.
func levelAtNoise(s Schedule, noise float64) Level {
	l := snr.FromSigma(noise)
	alpha, sigma := coeffsAt(s.Path(), noise, l)
	return Level{T: s.TimeOf(l), Alpha: alpha, Sigma: sigma}
}
