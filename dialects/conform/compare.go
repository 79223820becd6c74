package conform

import (
	"fmt"
	"math"
)

// worst keeps the comparison that used up the largest share of its tolerance.
type worst struct {
	Share float64 // of the tolerance; above 1 is a failure
	Error float64 // the difference itself
	Where string  // what was compared
}

// see takes note of a comparison: got against want, allowed to differ by tol.
// Infinities of one sign and NaN on both sides are equal.
func (w *worst) see(got, want, tol float64, where func() string) {
	d, share := 0.0, 0.0
	if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
		d = math.Abs(got - want)
		if share = d / tol; math.IsNaN(share) {
			share = math.Inf(1)
		}
	}
	if share > w.Share || w.Where == "" {
		*w = worst{share, d, where()}
	}
}

// seeAll compares lists of one length, element by element; dim > 0 tells rows
// of that many apart.
func (w *worst) seeAll(got, want []float64, dim int, tol float64, what string) {
	if len(got) != len(want) {
		w.fail(fmt.Sprintf("%s has %d numbers, the record %d", what, len(got), len(want)))
		return
	}
	for i := range want {
		w.see(got[i], want[i], tol, func() string {
			if dim > 0 {
				return fmt.Sprintf("%s, row %d, column %d", what, i/dim, i%dim)
			}
			return fmt.Sprintf("%s[%d]", what, i)
		})
	}
}

// fail is a difference that no tolerance covers.
func (w *worst) fail(where string) {
	if !math.IsInf(w.Share, 1) {
		*w = worst{math.Inf(1), math.Inf(1), where}
	}
}

// largest is the greatest absolute value of a list, infinities left out.
func largest(v []float64) float64 {
	m := 0.0
	for _, x := range v {
		if a := math.Abs(x); a > m && !math.IsInf(a, 1) {
			m = a
		}
	}
	return m
}

// unit is half the distance of 32-bit numbers at 1: the most that rounding changes.
const unit = 0x1p-24

// single is what a number v of a table in single precision may be off by, whose
// largest is most. The common tables are functions of ᾱ, a product of up to a
// thousand factors, which gathers some tens of roundings, and of 1 − ᾱ, rounded to
// 32 bit where ᾱ is near 1: what it takes from σ² it takes as 1/σ from σ. There the
// least tolerance of states is the limit. A number near 0 among large ones has the
// rounding of the largest.
func single(v, most float64) float64 {
	v = math.Abs(v)
	return max(32*unit*v+min(2*unit/v, 1e-5), 4*unit*most)
}

// singleLambda is the same for a table of λ = log(α/σ), 1/(1 − ᾱ) = 1 + e^{2λ} of
// which is the condition. Levels that are spaced in λ have the error of its end.
func singleLambda(lambda []float64) float64 {
	end := math.Inf(-1)
	for _, l := range lambda {
		if !math.IsInf(l, 1) {
			end = max(end, l)
		}
	}
	return unit * (16 + math.Exp(2*end))
}
