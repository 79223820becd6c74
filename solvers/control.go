package solvers

import (
	"fmt"
	"math"
)

// control is the step-size controller of adaptive methods [soderlind2003;
// hairer1993, section II.4]. With E the error of an attempt in tolerances, E₁
// and E₂ those of the accepted attempts before, and q the order of E in h,
//
//	h ← h · limit( safety · E^{−(p+i+d)/q} E₁^{(p+2d)/q} E₂^{−d/q} )
//
// i alone is the elementary controller, p and i the PI controller, which is
// smoother where the tolerance and not the accuracy of the solution limits h.
type control struct {
	q              float64
	p, i, d        float64
	safety         float64
	shrink, growth float64 // limits of the factor
	reach          float64 // an attempt that leaves less than this part of h goes to the end

	// Habits of published programs; the zero values are ours.
	smooth    bool    // limit(f) = 1 + atan(f − 1) in place of the two limits
	accept    float64 // above 0: accept where the factor is at least this, and not where E ≤ 1
	floor     float64 // added to E
	eager     bool    // the same factor after a rejection, and growth at once after it
	unclamped bool    // h goes on from what was proposed, not from what the end left of it
}

// pi returns the PI controller with the gains that [hairer1993] recommends.
func pi(q float64) control {
	return control{q: q, p: 0.4, i: 0.3, safety: 0.9, shrink: 0.2, growth: 5, reach: 1.01}
}

// pace is what a controller knows of a row.
type pace struct {
	h        float64    // size of the next attempt, > 0
	inverse  [2]float64 // 1/E₁, 1/E₂; 0 before there are any
	rejected bool       // the last attempt was
}

// decide judges an attempt of size tried with error e and sets the size of the
// next.
func (c control) decide(e, tried float64, s *pace) (accepted bool) {
	e = max(e+c.floor, 1e-10) // an error of 0 asks for the greatest step, not for Inf
	now, before := 1/e, s.inverse
	if before[0] == 0 {
		before = [2]float64{now, now}
	}
	elementary := math.Pow(now, 1/c.q)
	factor := math.Pow(now, (c.p+c.i+c.d)/c.q) * math.Pow(before[0], -(c.p+2*c.d)/c.q) * math.Pow(before[1], c.d/c.q)
	if !c.eager && e > 1 {
		factor = elementary
	}
	factor *= c.safety
	if c.smooth {
		factor = 1 + math.Atan(factor-1)
	} else {
		factor = min(max(factor, c.shrink), c.growth)
	}
	accepted = e <= 1
	if c.accept > 0 {
		accepted = factor >= c.accept
	}
	if !c.eager && (s.rejected || !accepted) {
		factor = min(factor, 1)
	}
	if accepted {
		s.inverse = [2]float64{now, before[0]}
	}
	s.rejected = !accepted
	if !c.unclamped {
		s.h = tried
	}
	s.h *= factor
	return accepted
}

// tolerance is the size of an error that an attempt may make in a value x:
// atol + rtol |x|, or the greater of the two terms.
type tolerance struct {
	rtol, atol float64
	greater    bool // max in place of the sum
	raw        bool // x is the state; otherwise it is x/α, so that the path does not matter
}

// validate reports tolerances without meaning.
func (t tolerance) validate() error {
	switch {
	case !(t.rtol >= 1e-13 && t.rtol < 1):
		return fmt.Errorf("rtol = %g: expected a value from 1e-13 (rounding) to below 1", t.rtol)
	case !(t.atol > 0) || math.IsInf(t.atol, 1):
		return fmt.Errorf("atol = %g: expected a positive finite value", t.atol)
	}
	return nil
}

// rms returns the root mean square of diff in tolerances, between a state x
// with its own factor a and a state y with factor b: 1, or 1/α.
func (t tolerance) rms(diff, x, y []float64, a, b float64) float64 {
	sum := 0.0
	for j, d := range diff {
		size := t.rtol * max(a*math.Abs(x[j]), b*math.Abs(y[j]))
		if t.greater {
			size = max(t.atol, size)
		} else {
			size += t.atol
		}
		e := b * d / size
		sum += e * e
	}
	return math.Sqrt(sum / float64(len(diff)))
}

// coupling joins the errors of the rows of a batch into one, as some published
// programs do. All rows then share levels and steps, and none is independent of
// the others.
type coupling uint8

const (
	alone  coupling = iota // every row has its own step
	pooled                 // the root mean square over all rows
	worst                  // the greatest
)
