package schedules

import (
	"math"

	"snrlab/snr"
)

// Scaled is a path that knows the slope of its scale in closed form.
type Scaled interface {
	// ScaleRate returns d log α/dλ at a level of the path.
	ScaleRate(l Level) float64
}

// ScaleRate returns d log α/dλ of a path at one of its levels, with which
// [Rate] gives the drift of a process, d log α/dt. Paths that are not [Scaled]
// are differenced, to about ten digits where they are smooth.
func ScaleRate(p Path, l Level) float64 {
	if p, ok := p.(Scaled); ok {
		return p.ScaleRate(l)
	}
	const h = 1.0 / 256
	log := func(d float64) float64 {
		a, _ := p.Coeffs(l.LogSNR() + snr.LogSNR(d))
		return math.Log(a)
	}
	central := func(h float64) float64 { return (log(h) - log(-h)) / (2 * h) }
	return (4*central(h) - central(2*h)) / 3
}

// ScaleRate returns σ²/2.
func (VPPath) ScaleRate(l Level) float64 { return l.Sigma * l.Sigma / 2 }

// ScaleRate returns 0.
func (VEPath) ScaleRate(Level) float64 { return 0 }

// ScaleRate returns σ/2.
func (RFPath) ScaleRate(l Level) float64 { return l.Sigma / 2 }

// ScaleRate returns σ/(2 (1 + α²)).
func (SubVPPath) ScaleRate(l Level) float64 { return l.Sigma / (2 * (1 + l.Alpha*l.Alpha)) }

// ScaleRate returns Power ŝ²/(2 (SD² + ŝ²)).
func (p ScalePath) ScaleRate(l Level) float64 {
	r := l.Noise() / p.SD
	if math.IsInf(r, 1) {
		return p.Power / 2
	}
	return p.Power * r * r / (2 * (1 + r*r))
}
