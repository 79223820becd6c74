package schedules

import (
	"fmt"
	"math"
)

// ArctanLog is uniform in A(ŝ) with ŝ = σ/α:
//
//	A(ŝ) = arctan(ŝ/√c) + k log ŝ
//
// k = 0 is the grid that [sabour2024] derives for Gaussian data of variance c,
// which is also where it is the best for Euler's method in (ŝ, x̂); the
// logarithm adds levels at both ends, as multistep methods want, up to uniform
// in λ for k → ∞. The two numbers are found for a model and a solver by
// "snrlab optimize grid"; they do not carry over from one model to another.
type ArctanLog struct {
	C    float64 `json:"c"`    // variance, in units of x₀²
	K    float64 `json:"k"`    // weight of log ŝ
	SMin float64 `json:"smin"` // σ/α of the clean end; 0 for the schedule's own
	SMax float64 `json:"smax"` // σ/α of the noisy end; 0 for the schedule's own
	Last Last    `json:"last"`
}

// Validate reports a variance that is not positive, or a negative weight.
func (k ArctanLog) Validate() error {
	if !(k.C > 0) || math.IsInf(k.C, 1) {
		return fmt.Errorf("schedules: arctan-log has c = %g: expected a finite variance > 0", k.C)
	}
	if !(k.K >= 0) || math.IsInf(k.K, 1) {
		return fmt.Errorf("schedules: arctan-log has k = %g: expected a finite weight ≥ 0", k.K)
	}
	return nil
}

// Grid returns the levels of n steps. They hold A(ŝ) to its rounding.
func (k ArctanLog) Grid(s Schedule, n int) (Grid, error) {
	if err := k.Validate(); err != nil {
		return nil, err
	}
	sp, err := newSpan(s, n, k.Last, k.SMin, k.SMax)
	if err != nil {
		return nil, err
	}
	if err := sp.finite("arctan-log", k.K > 0); err != nil {
		return nil, err
	}
	noisy, clean := sp.noisy.Noise(), sp.clean.Noise()
	a, b := k.value(noisy), k.value(clean)
	return sp.grid(func(u float64) Level {
		return levelAtNoise(s, k.solve(mix(a, b, u), clean, noisy))
	})
}

func (k ArctanLog) value(noise float64) float64 {
	a := math.Atan2(noise, math.Sqrt(k.C))
	if k.K > 0 {
		a += k.K * math.Log(noise)
	}
	return a
}

// solve returns the ŝ in (lo, hi) with A(ŝ) = a, by Newton's method in log ŝ.
// A step that would leave the bracket, or not halve it soon enough, is replaced
// by bisection.
func (k ArctanLog) solve(a, lo, hi float64) float64 {
	root := math.Sqrt(k.C)
	if k.K == 0 {
		return root * math.Tan(a)
	}
	l, h := math.Log(lo), math.Log(hi)
	u := mix(l, h, 0.5)
	for range 200 {
		s := math.Exp(u)
		f := k.value(s) - a
		if f > 0 {
			h = u
		} else {
			l = u
		}
		next := u - f/(root*s/(k.C+s*s)+k.K)
		if !(next > l && next < h) {
			next = mix(l, h, 0.5)
		}
		if math.Abs(next-u) <= 1e-16*(1+math.Abs(u)) {
			break
		}
		u = next
	}
	return math.Exp(u)
}

func (k ArctanLog) String() string { return Spacings().Format("arctan-log", k) }
