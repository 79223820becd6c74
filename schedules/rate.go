package schedules

import (
	"math"

	"snrlab/snr"
)

// Rated is a schedule that knows its slope in closed form.
type Rated interface {
	// LogSNRRate returns dλ/dt ≤ 0 at t; −Inf where λ leaves an infinite end.
	LogSNRRate(t float64) float64
}

// Rate returns dλ/dt of s at t, from which the diffusion of a process follows,
// g² = −σ² dλ/dt. Schedules that are not [Rated] are differenced, to about
// seven digits where they are smooth.
func Rate(s Schedule, t float64) float64 {
	if r, ok := s.(Rated); ok {
		return r.LogSNRRate(t)
	}
	clean, noisy := s.Domain()
	lambda := func(t float64) float64 { return float64(s.At(t).LogSNR()) }
	if room := min(t-clean, noisy-t); room > 0 {
		// λ may be infinite at the ends, so steps are short beside the way there.
		h := min(1e-3*(noisy-clean), room/256)
		central := func(h float64) float64 { return (lambda(t+h) - lambda(t-h)) / (2 * h) }
		return (4*central(h) - central(2*h)) / 3
	}
	h := 1e-6 * (noisy - clean)
	if t >= noisy {
		h = -h
	}
	return (-25*lambda(t) + 48*lambda(t+h) - 36*lambda(t+2*h) + 16*lambda(t+3*h) - 3*lambda(t+4*h)) / (12 * h)
}

// alphaRated is a path that knows d log α/dλ in closed form.
type alphaRated interface{ alphaRate(l Level) float64 }

// AlphaRate returns κ = d log α/dλ of a path at one of its levels, from which
// the drift of a process follows: d log α/dt = κ dλ/dt. Paths that do not know
// it are differenced, to about ten digits where they are smooth.
func AlphaRate(p Path, at Level) float64 {
	if r, ok := p.(alphaRated); ok {
		return r.alphaRate(at)
	}
	log := func(by float64) float64 {
		alpha, _ := p.Coeffs(at.LogSNR() + snr.LogSNR(by))
		return math.Log(alpha)
	}
	const h = 1e-3
	return (8*(log(h)-log(-h)) - log(2*h) + log(-2*h)) / (12 * h)
}

func (VPPath) alphaRate(l Level) float64    { return l.Sigma * l.Sigma / 2 }
func (VEPath) alphaRate(Level) float64      { return 0 }
func (RFPath) alphaRate(l Level) float64    { return l.Sigma / 2 }
func (SubVPPath) alphaRate(l Level) float64 { return l.Sigma / (2 + 2*l.Alpha*l.Alpha) }

func (p ScalePath) alphaRate(l Level) float64 {
	r := math.Hypot(l.Sigma, p.SD*l.Alpha)
	return p.Power / 2 * (l.Sigma / r) * (l.Sigma / r)
}
