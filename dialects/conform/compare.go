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
