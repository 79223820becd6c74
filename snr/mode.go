package snr

import (
	"fmt"
	"math"
)

// Mode has the times t = 1 − u − S (cos²(πu/2) − 1 + u), u uniform, of rectified flow
// [esser2024]: S > 0 favours the middle, S < 0 the ends, 0 is uniform time. With
// g(u) = u + S (u − sin²(πu/2)) the signal is α = g(u) and the noise σ = g(1 − u), so
//
//	λ = 2 log(g(u)/g(1 − u)),    u = P(λ' ≤ λ).
//
// Its inverse has no closed form.
type Mode struct {
	S float64 `json:"s"`
}

// Validate reports an S with which time would run back.
func (d Mode) Validate() error {
	if limit := 2 / (math.Pi - 2); !(d.S > -1 && d.S < limit) {
		return fmt.Errorf("snr: mode has s = %g: expected -1 < s < %.4g, where times rise", d.S, limit)
	}
	return nil
}

func (d Mode) g(u float64) float64 {
	s := math.Sin(math.Pi / 2 * u)
	return u + d.S*(u-s*s)
}

func (d Mode) slope(u float64) float64 { return 1 + d.S - d.S*math.Pi/2*math.Sin(math.Pi*u) }

// rate returns dλ/du.
func (d Mode) rate(u, v float64) float64 {
	return 2*d.slope(u)/d.g(u) + 2*d.slope(v)/d.g(v)
}

// LogPDF returns −log dλ/du.
func (d Mode) LogPDF(l LogSNR) float64 {
	below, above := d.CDF(l)
	if below == 0 || above == 0 {
		return math.Inf(-1)
	}
	return -math.Log(d.rate(below, above))
}

// CDF solves λ = 2 log(g(u)/g(1 − u)) in the logarithm of the smaller probability.
func (d Mode) CDF(l LogSNR) (below, above float64) {
	if l > 0 {
		above, below = d.CDF(-l)
		return below, above
	}
	if math.IsInf(float64(l), -1) {
		return 0, 1
	}
	// g(u) lies between c u and C u with c, C the extremes of 1 + S and the mean slope.
	u := math.Exp(root(func(x float64) (value, slope float64) {
		u := math.Exp(x)
		return 2*math.Log(d.g(u)/d.g(1-u)) - float64(l), u * d.rate(u, 1-u)
	}, l.Half()-8-math.Abs(math.Log1p(d.S)), math.Log(0.5)))
	return u, 1 - u
}

// Quantile returns 2 log(g(below)/g(above)).
func (d Mode) Quantile(below, above float64) LogSNR {
	return LogSNR(2 * (math.Log(d.g(below)) - math.Log(d.g(above))))
}

// Tails are those of e^{±λ/2}/(2 (1 + S)).
func (d Mode) Tails() (noisy, clean Tail) {
	log := -math.Log(2 * (1 + d.S))
	return Tail{0.5, log}, Tail{-0.5, log}
}

func (d Mode) String() string { return Densities().Format("mode", d) }

// root returns where a rising f is 0 between lo and hi, by Newton's method inside a
// bracket that is halved where that leaves it; an end where f has no change of sign.
func root(f func(x float64) (value, slope float64), lo, hi float64) float64 {
	x, little := lo+(hi-lo)/2, 0x1p-54*(hi-lo)
	for range 200 {
		v, s := f(x)
		switch {
		case v == 0:
			return x
		case v < 0:
			lo = x
		default:
			hi = x
		}
		next := x - v/s
		if !(next > lo && next < hi) {
			next = lo + (hi-lo)/2
		}
		if math.Abs(next-x) <= 0x1p-51*math.Abs(x)+little || next == lo || next == hi {
			return next
		}
		x = next
	}
	return x
}
