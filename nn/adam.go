package nn

import (
	"fmt"
	"math"

	"snrlab/nn/internal/kernel"
)

// Adam divides the mean of the gradients by their root mean square, both over
// about the last 1/(1 − β) steps, in each number of a parameter [kingma2015]
// (algorithm 1). Step k = 1, 2, … of rate η is
//
//	g ← g + Decay θ
//	m ← β₁ m + (1 − β₁) g
//	v ← β₂ v + (1 − β₂) g²
//	θ ← θ − η/(1 − β₁^k) m / (√v/√(1 − β₂^k) + ε),
//
// in torch's order of operations. The usual numbers are those of
// ParseRule("adam"): β₁ = 0.9, β₂ = 0.999, ε = 1e-8, no decay.
type Adam struct {
	Beta1   float64 `json:"beta1"`
	Beta2   float64 `json:"beta2"`
	Epsilon float64 `json:"eps"`
	Decay   float64 `json:"decay"` // the gradient of ½ Decay |θ|², 0 for none
}

// Validate reports numbers out of range.
func (a Adam) Validate() error {
	return firstError(
		within("adam", "beta1", a.Beta1, 0, 1, "≥ 0 and < 1"),
		within("adam", "beta2", a.Beta2, 0, 1, "≥ 0 and < 1"),
		within("adam", "eps", a.Epsilon, 0, math.Inf(1), "≥ 0 and finite"),
		within("adam", "decay", a.Decay, 0, math.Inf(1), "≥ 0 and finite"),
	)
}

// String prints the rule as ParseRule reads it.
func (a Adam) String() string { return Rules().Format("adam", a) }

func (a Adam) moments() []string { return []string{"exp_avg", "exp_avg_sq"} }

// numbers are those of step k.
func (a Adam) numbers(k int, rate, scale float64) kernel.Adam {
	return kernel.Adam{
		Scale: scale, Decay: a.Decay, Shrink: 1,
		Beta1: a.Beta1, Beta2: a.Beta2,
		Root:    math.Sqrt(1 - math.Pow(a.Beta2, float64(k))),
		Epsilon: a.Epsilon,
		Rate:    rate / (1 - math.Pow(a.Beta1, float64(k))),
	}
}

// AdamW is [Adam] without decay in the gradient, where g²'s mean divides it; θ
// itself shrinks before the step [loshchilov2019] (algorithm 2), as in torch
//
//	θ ← (1 − η Decay) θ.
//
// The usual numbers are Adam's, with Decay = 0.01.
//
// Differs from the paper, whose decay is not multiplied by the base rate.
type AdamW struct {
	Beta1   float64 `json:"beta1"`
	Beta2   float64 `json:"beta2"`
	Epsilon float64 `json:"eps"`
	Decay   float64 `json:"decay"` // share of θ lost a step at rate 1
}

// Validate reports numbers out of range.
func (a AdamW) Validate() error {
	if err := Adam(a).Validate(); err != nil {
		return fmt.Errorf("nn: adamw is %w", err)
	}
	return nil
}

// String prints the rule as ParseRule reads it.
func (a AdamW) String() string { return Rules().Format("adamw", a) }

func (a AdamW) moments() []string { return Adam(a).moments() }

// numbers are those of step k.
func (a AdamW) numbers(k int, rate, scale float64) kernel.Adam {
	n := Adam(a).numbers(k, rate, scale)
	n.Decay, n.Shrink = 0, 1-rate*a.Decay
	return n
}
