package schedules

import (
	"fmt"
	"math"

	"snrlab/snr"
)

// Cosine is the continuous cosine schedule with clipped ends on [0, 1]
// [hoogeboom2023]:
//
//	λ = −2 log tan θ, α = cos θ, σ = sin θ, θ = θ_clean + t (θ_noisy − θ_clean),
//
// where the ends of θ = atan(e^{−λ/2}) are those of λ = Max and λ = Min.
// Infinite bounds are legal and leave the cosine whole.
type Cosine struct {
	Min float64 `json:"min"` // λ at t = 1
	Max float64 `json:"max"` // λ at t = 0
}

// Validate reports bounds that are not Min < Max.
func (s Cosine) Validate() error {
	if !(s.Min < s.Max) {
		return fmt.Errorf("schedules: cosine has min = %g, max = %g: expected λ bounds with min < max", s.Min, s.Max)
	}
	return nil
}

// angle returns atan(e^{−λ/2}), the angle from the clean axis.
func angle(lambda float64) float64 { return math.Atan(math.Exp(-lambda / 2)) }

// width is θ_noisy − θ_clean, measured from the axis both ends are nearer to.
func (s Cosine) width() float64 {
	if s.Max < 0 {
		return angle(-s.Max) - angle(-s.Min)
	}
	return angle(s.Min) - angle(s.Max)
}

// At returns the level at t. Each half measures its angle from the axis it is
// near, so that neither coefficient cancels.
func (s Cosine) At(t float64) Level {
	theta := angle(s.Max) + t*s.width()
	if theta <= math.Pi/4 {
		return Level{T: t, Alpha: math.Cos(theta), Sigma: math.Sin(theta)}
	}
	phi := angle(-s.Min) + (1-t)*s.width()
	return Level{T: t, Alpha: math.Sin(phi), Sigma: math.Cos(phi)}
}

// TimeOf inverts θ = atan(e^{−λ/2}).
func (s Cosine) TimeOf(l snr.LogSNR) float64 {
	if l >= 0 {
		return pin(s, l, (angle(float64(l))-angle(s.Max))/s.width())
	}
	return pin(s, l, 1-(angle(-float64(l))-angle(-s.Min))/s.width())
}

// LogSNRRate returns dλ/dt = −2 (θ_noisy − θ_clean)/(α σ).
func (s Cosine) LogSNRRate(t float64) float64 {
	l := s.At(t)
	return -2 * s.width() / (l.Alpha * l.Sigma)
}

// Domain is [0, 1].
func (Cosine) Domain() (clean, noisy float64) { return 0, 1 }

// Path is VP.
func (Cosine) Path() Path { return VPPath{} }

func (s Cosine) String() string { return Registry().Format("cosine", s) }
