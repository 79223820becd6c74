package nn

import (
	"errors"
	"math"

	"snrlab/nn/internal/kernel"
)

// SGD is gradient descent, with the momentum of torch:
//
//	g ← g + Decay θ
//	b ← g in the first step, Momentum b + (1 − Dampening) g after
//	θ ← θ − η b, or with Nesterov θ ← θ − η (g + Momentum b).
//
// Without Momentum, b is g.
//
// Differs from [sutskever2013], where the rate is inside of b: there a change of
// rate reaches the steps already in b only slowly, here at once.
type SGD struct {
	Momentum  float64 `json:"momentum"`
	Dampening float64 `json:"dampening"`
	Nesterov  bool    `json:"nesterov"`
	Decay     float64 `json:"decay"` // the gradient of ½ Decay |θ|², 0 for none
}

// Validate reports numbers out of range, and Nesterov without momentum or with
// dampening.
func (s SGD) Validate() error {
	if s.Nesterov && (s.Momentum == 0 || s.Dampening != 0) {
		return errors.New("nn: sgd has nesterov: expected momentum > 0 and no dampening with it")
	}
	return firstError(
		within("sgd", "momentum", s.Momentum, 0, math.Inf(1), "≥ 0 and finite"),
		within("sgd", "dampening", s.Dampening, math.Inf(-1), math.Inf(1), "finite"),
		within("sgd", "decay", s.Decay, 0, math.Inf(1), "≥ 0 and finite"),
	)
}

// String prints the rule as ParseRule reads it.
func (s SGD) String() string { return Rules().Format("sgd", s) }

func (s SGD) moments() []string {
	if s.Momentum == 0 {
		return nil
	}
	return []string{"momentum_buffer"}
}

// numbers are those of step k.
func (s SGD) numbers(k int, rate, scale float64) kernel.Momentum {
	n := kernel.Momentum{Scale: scale, Decay: s.Decay, Momentum: s.Momentum, Damp: 1 - s.Dampening, OfMean: 1, Rate: rate}
	if k == 1 || s.Momentum == 0 {
		n.Momentum, n.Damp = 0, 1
	}
	if s.Nesterov {
		n.OfGrad, n.OfMean = 1, s.Momentum
	}
	return n
}
