package snr

import (
	"cmp"
	"fmt"
	"math"
)

// Flat is uniform in λ on [Min, Max].
type Flat struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

// interval reports bounds that are none.
func interval(name string, lo, hi float64) error {
	if !(lo < hi) {
		return fmt.Errorf("snr: %s has min = %g, max = %g: expected bounds of λ with min < max", name, lo, hi)
	}
	return nil
}

// Validate reports bounds that are reversed or not finite.
func (d Flat) Validate() error {
	return cmp.Or(finite("uniform", "min", d.Min), finite("uniform", "max", d.Max), interval("uniform", d.Min, d.Max))
}

// LogPDF returns −log(Max − Min).
func (d Flat) LogPDF(l LogSNR) float64 {
	if x := float64(l); x < d.Min || x > d.Max {
		return math.Inf(-1)
	}
	return -math.Log(d.Max - d.Min)
}

// CDF returns the shares of [Min, Max] on both sides of λ.
func (d Flat) CDF(l LogSNR) (below, above float64) {
	x := min(max(float64(l), d.Min), d.Max)
	return (x - d.Min) / (d.Max - d.Min), (d.Max - x) / (d.Max - d.Min)
}

// Quantile measures from the nearer end.
func (d Flat) Quantile(below, above float64) LogSNR {
	if below > above {
		return LogSNR(d.Max - above*(d.Max-d.Min))
	}
	return LogSNR(d.Min + below*(d.Max-d.Min))
}

func (d Flat) String() string { return Densities().Format("uniform", d) }

// Truncated is another density restricted to [Min, Max], either of which may be
// infinite: p/P(Min < λ ≤ Max) inside. The clipped cosine schedule is the truncated
// cosine. (Clipping levels instead heaps mass on the bounds, which is no density.)
type Truncated struct {
	Density Density `json:"density"`
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
}

func (d Truncated) mass() float64 { return between(d.Density, LogSNR(d.Min), LogSNR(d.Max)) }

// Validate reports bounds that are reversed or leave nothing of the density.
func (d Truncated) Validate() error {
	if err := cmp.Or(check("truncated", "density", d.Density), interval("truncated", d.Min, d.Max)); err != nil {
		return err
	}
	if m := d.mass(); !(m > 1e-300) {
		return fmt.Errorf("snr: truncated to min = %g, max = %g keeps %g of %s: expected bounds inside its support", d.Min, d.Max, m, d.Density)
	}
	return nil
}

// LogPDF returns log p − log P(Min < λ ≤ Max).
func (d Truncated) LogPDF(l LogSNR) float64 {
	if x := float64(l); x < d.Min || x > d.Max {
		return math.Inf(-1)
	}
	return d.Density.LogPDF(l) - math.Log(d.mass())
}

// CDF returns the shares of the mass between the bounds.
func (d Truncated) CDF(l LogSNR) (below, above float64) {
	lo, hi, m := LogSNR(d.Min), LogSNR(d.Max), d.mass()
	l = min(max(l, lo), hi)
	return between(d.Density, lo, l) / m, between(d.Density, l, hi) / m
}

// Quantile asks the density at the same share of the mass between the bounds.
func (d Truncated) Quantile(below, above float64) LogSNR {
	lo, hi, m := LogSNR(d.Min), LogSNR(d.Max), d.mass()
	switch {
	case below == 0:
		return max(lo, d.Density.Quantile(0, 1))
	case above == 0:
		return min(hi, d.Density.Quantile(1, 0))
	}
	under, _ := d.Density.CDF(lo)
	_, over := d.Density.CDF(hi)
	return min(max(d.Density.Quantile(under+below*m, over+above*m), lo), hi)
}

// Tails are those of the density where it is not cut.
func (d Truncated) Tails() (noisy, clean Tail) {
	noisy, clean = tailsOf(d.Density)
	by := Tail{0, -math.Log(d.mass())}
	noisy, clean = noisy.times(by), clean.times(by)
	if !math.IsInf(d.Min, -1) {
		noisy = Tail{math.Inf(1), 0}
	}
	if !math.IsInf(d.Max, 1) {
		clean = Tail{math.Inf(-1), 0}
	}
	return noisy, clean
}

func (d Truncated) String() string { return Densities().Format("truncated", d) }

// Mixture draws from A with probability Share, else from B. A wide B keeps the ends
// of the axis trained that a narrow A never shows.
type Mixture struct {
	A     Density `json:"a"`
	B     Density `json:"b"`
	Share float64 `json:"share"`
}

// Validate reports a part that is missing or not valid, or a share outside (0, 1).
func (d Mixture) Validate() error {
	if err := cmp.Or(check("mixture", "a", d.A), check("mixture", "b", d.B)); err != nil {
		return err
	}
	if !(d.Share > 0 && d.Share < 1) {
		return fmt.Errorf("snr: mixture has share = %g: expected a number between 0 and 1", d.Share)
	}
	return nil
}

// LogPDF returns log(Share p_a + (1 − Share) p_b).
func (d Mixture) LogPDF(l LogSNR) float64 {
	return addLogs(math.Log(d.Share)+d.A.LogPDF(l), math.Log1p(-d.Share)+d.B.LogPDF(l))
}

// CDF mixes those of the parts.
func (d Mixture) CDF(l LogSNR) (below, above float64) {
	a, b := d.A.CDF(l)
	c, e := d.B.CDF(l)
	return d.Share*a + (1-d.Share)*c, d.Share*b + (1-d.Share)*e
}

// Quantile solves for λ between the quantiles of the parts.
func (d Mixture) Quantile(below, above float64) LogSNR {
	a, b := d.A.Quantile(below, above), d.B.Quantile(below, above)
	switch {
	case below == 0:
		return min(a, b)
	case above == 0:
		return max(a, b)
	}
	return invert(d, below, above, min(a, b), max(a, b))
}

// Tails are those of the part with the heavier tail; NaN where one does not know its own.
func (d Mixture) Tails() (noisy, clean Tail) {
	an, ac := tailsOf(d.A)
	bn, bc := tailsOf(d.B)
	return mixTails(d.Share, an, bn, -1), mixTails(d.Share, ac, bc, 1)
}

// mixTails returns the tail of share·a + (1 − share)·b at sign·Inf.
func mixTails(share float64, a, b Tail, sign float64) Tail {
	a.Log += math.Log(share)
	b.Log += math.Log1p(-share)
	switch {
	case math.IsNaN(a.Slope) || math.IsNaN(b.Slope):
		return Tail{math.NaN(), math.NaN()}
	case a.Slope == b.Slope:
		return Tail{a.Slope, addLogs(a.Log, b.Log)}
	case sign*a.Slope > sign*b.Slope:
		return a
	}
	return b
}

func (d Mixture) String() string { return Densities().Format("mixture", d) }

// invert solves CDF(λ) = (below, above) between lo and hi, which enclose the answer,
// in the smaller of the two.
func invert(d Density, below, above float64, lo, hi LogSNR) LogSNR {
	if lo == hi {
		return lo
	}
	small := min(below, above)
	return LogSNR(root(func(x float64) (value, slope float64) {
		b, a := d.CDF(LogSNR(x))
		value = b - below
		if below > above {
			value = above - a
		}
		if math.Abs(value) <= 0x1p-51*small { // its rounding
			return 0, 0
		}
		return value, PDF(d, LogSNR(x))
	}, float64(lo), float64(hi)))
}
