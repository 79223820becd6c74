package solvers

import (
	"fmt"

	"snrlab/schedules"
)

// IPNDMV is the variable-step form of [IPNDM] [zhou2024]: Newton's form of the
// Adams–Bashforth weights. With h the step, h₁, h₂, h₃ those before it, in
// ŝ = σ/α, and ∇ the backward differences in units of the newest of their steps,
//
//	x̂_b = x̂_a + h [ e + h/(2h₁) ∇e + θ₂ ∇²e + θ₃ ∇³e ]
//	c  = 1 − h/(3(h+h₁)),   θ₂ = ½ c · h(h+h₁)/(h₁(h₁+h₂))
//	θ₃ = [½ c − (1 − h/(2(h+h₁))) h/(6(h+h₁+h₂))] · h(h+h₁)(h+h₁+h₂)/(h₁(h₁+h₂)(h₁+h₂+h₃))
//
// which are the weights of ab2, ab3 and ab4: the methods are one. One evaluation
// a step beside the start; the cheap start caps the order at 2.
//
// Differs from the program of [zhou2024] in three places. The bracket of θ₂ closes
// at its end, 1 − h/(3(h+h₁)) · h(h+h₁)/(h₁(h₁+h₂)), which is right on uniform grids
// and leaves order 3 on smooth families of others. The minus in θ₃ is a plus, wrong
// everywhere; and the last weight of ∇³e has h₁/h₂ in place of h₂/h₃, so that off
// uniform grids the weights do not add up to 1, which costs order 4 two orders on
// smooth families. Published selects theirs.
type IPNDMV struct {
	Order     int     `json:"order"`     // 2 to 4
	Opening   Opening `json:"start"`     // how the first steps are taken
	Last      Last    `json:"last"`      // rule of the step to σ = 0
	Published bool    `json:"published"` // the weights of the program; from order 3
}

func (s IPNDMV) String() string { return Registry().Format("ipndm-v", s) }

// Validate reports an order outside 2 to 4, or options without effect.
func (s IPNDMV) Validate() error {
	switch {
	case s.Order < 2 || s.Order > 4:
		return fmt.Errorf("order = %d: expected 2 to 4; order 1 is ddim", s.Order)
	case s.Order == 2 && s.Published:
		return fmt.Errorf("published = true has no effect with order = 2: leave it out")
	}
	if err := s.Opening.check(s.Order); err != nil {
		return err
	}
	return checkChoice("last", lastNames, s.Last)
}

// Properties implements [Solver].
func (s IPNDMV) Properties() Properties {
	p := AdamsBashforth{Order: s.Order, Opening: s.Opening, Last: s.Last}.Properties()
	p.Summary = "iPNDM with the weights of variable steps, which is Adams–Bashforth"
	p.Equation = "x̂_b = x̂_a + h [e + ½ (h/h₁) ∇e + θ₂ ∇²e + θ₃ ∇³e],  θ₂ = ½ (1 − h/(3(h+h₁))) h(h+h₁)/(h₁(h₁+h₂))"
	p.References = []string{"zhou2024"}
	if s.Published && s.Order == 4 {
		p.Order = min(p.Order, 2)
	}
	return p
}

func (s IPNDMV) method() method {
	m := method{evals: 1, history: s.Order - 1, keep: noise, last: s.Last, step: s.step}
	s.Opening.prepare(&m, s.Order)
	return m
}

func (s IPNDMV) step(w *walk) {
	if s.Opening.step(w, s.Order) {
		return
	}
	order := min(w.known+1, s.Order)
	h := w.to.Noise() - w.from.Noise()
	var before [3]float64 // h₁, h₂, h₃
	newer := w.from.Noise()
	for k := range order - 1 {
		older := w.pastLevel(k).Noise()
		before[k], newer = newer-older, older
	}
	weights := newtonWeights(h, before[:order-1], s.Published)
	for j := range order {
		weights[j] *= h
	}
	w.multistep(weights[:order])
}

// newtonWeights returns the weights of e, e₁, … in units of the step h, from the
// steps before it.
func newtonWeights(h float64, before []float64, published bool) (weights [4]float64) {
	weights[0] = 1
	if len(before) == 0 {
		return weights
	}
	// Differences in units of the newest step: ∇e = e − e₁ and
	// ∇ᵏ⁺¹ = ∇ᵏ − r_k (∇ᵏ one level back).
	h1 := before[0]
	first := h / (2 * h1)
	weights[0] += first
	weights[1] -= first
	if len(before) == 1 {
		return weights
	}
	h2 := before[1]
	one := h / (3 * (h + h1))
	ratio := h * (h + h1) / (h1 * (h1 + h2))
	theta := (1 - one) * ratio / 2
	if published {
		theta = (1 - one*ratio) / 2
	}
	r := h1 / h2
	weights[0] += theta
	weights[1] -= (1 + r) * theta
	weights[2] += r * theta
	if len(before) == 2 {
		return weights
	}
	h3 := before[2]
	rest, last := -(1-h/(2*(h+h1)))*h/(6*(h+h1+h2)), h2/h3
	if published {
		rest, last = -rest, h1/h2
	}
	theta = ((1-one)/2 + rest) * h * (h + h1) * (h + h1 + h2) / (h1 * (h1 + h2) * (h1 + h2 + h3))
	q := h1 * (h1 + h2) / (h2 * (h2 + h3))
	weights[0] += theta
	weights[1] -= (1 + r + q) * theta
	weights[2] += (r + q*(1+h2/h3)) * theta
	weights[3] -= q * last * theta
	return weights
}

// NFE implements [Solver].
func (s IPNDMV) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s IPNDMV) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
