package solvers

import (
	"fmt"

	"snrlab/schedules"
)

// AdamsBashforth is the explicit linear multistep method of order 2, 3 or 4 in
// (ŝ, x̂) = (σ/α, x/α), where dx̂/dŝ = e = (x − αD)/σ [hairer1993, section III.1]:
//
//	x̂_b = x̂_a + Σ_j e_j ∫_a^b L_j(ŝ) dŝ
//
// with L_j the Lagrange polynomials of the levels passed, integrated exactly,
// so that the order holds on any grid. One evaluation a step beside the start;
// the cheap start (orders 1, 2, …) caps the order at 2. last = own extrapolates
// to σ = 0 with the same formula. With last = own this is the LMS of
// k-diffusion and ρAB-DEIS [zhang2023].
type AdamsBashforth struct {
	Order   int     `json:"-"` // 2, 3 or 4; part of the name: ab2, ab3, ab4
	Opening Opening `json:"start"`
	Last    Last    `json:"last"`
}

func (s AdamsBashforth) String() string {
	name := fmt.Sprintf("ab%d", s.Order)
	if s.Validate() != nil {
		return name
	}
	return Registry().Format(name, s)
}

// Validate reports an order other than 2, 3 and 4.
func (s AdamsBashforth) Validate() error {
	if s.Order < 2 || s.Order > 4 {
		return fmt.Errorf("order = %d: expected 2, 3 or 4", s.Order)
	}
	if err := s.Opening.check(s.Order); err != nil {
		return err
	}
	return checkChoice("last", lastNames, s.Last)
}

// Properties implements [Solver].
func (s AdamsBashforth) Properties() Properties {
	order := s.Order
	if s.Opening == Cheap {
		order = min(order, 2)
	}
	p := Properties{
		Order: float64(order), Evals: 1, LastEvals: 1, History: s.Order - 1, PathFree: true, Rises: true,
		Summary:    fmt.Sprintf("Adams–Bashforth of order %d in σ/α, exact weights on any grid", s.Order),
		Equation:   "x̂_b = x̂_a + Σ_j e_j ∫_a^b L_j(ŝ) dŝ,  L_j the Lagrange polynomials of the levels passed",
		Ends:       s.Last.ends(),
		References: []string{"hairer1993", "zhang2023"},
	}
	s.Opening.promise(&p, s.Order)
	return p
}

func (s AdamsBashforth) method() method {
	m := method{evals: 1, history: s.Order - 1, keep: noise, last: s.Last, step: s.step}
	s.Opening.prepare(&m, s.Order)
	return m
}

func (s AdamsBashforth) step(w *walk) {
	if s.Opening.step(w, s.Order) {
		return
	}
	order := min(w.known+1, s.Order)
	var nodes, weights [4]float64
	nodes[0] = w.from.Noise()
	for k := 1; k < order; k++ {
		nodes[k] = w.pastLevel(k - 1).Noise()
	}
	abWeights(weights[:order], nodes[:order], w.to.Noise())
	w.multistep(weights[:order])
}

// multistep writes w.next for x̂_b = x̂_a + Σ weights_k e_k, newest first.
func (w *walk) multistep(weights []float64) {
	var terms [maxTerms]term
	b := w.to.Alpha
	terms[0] = term{b / w.from.Alpha, w.x}
	terms[1] = term{b * weights[0], w.e}
	for k, v := range weights[1:] {
		terms[2+k] = term{b * v, w.past[k]}
	}
	w.order = len(weights)
	w.lin(w.next, terms[:1+len(weights)]...)
}

// abWeights writes ∫_a^b L_j for the Lagrange polynomials of the nodes, of
// which nodes[0] = a is the newest. In z = (s − a)/(b − a) the nodes are 0 and
// negative, so that the products below add up without cancelling.
func abWeights(dst, nodes []float64, b float64) {
	a := nodes[0]
	h := b - a
	for j := range nodes {
		c, n := [4]float64{1}, 1 // Π (z − z_m), coefficients from the constant up
		scale := h
		for m := range nodes {
			if m == j {
				continue
			}
			z := (nodes[m] - a) / h
			scale *= h / (nodes[j] - nodes[m])
			for i := n; i > 0; i-- {
				c[i] = c[i-1] - z*c[i]
			}
			c[0] *= -z
			n++
		}
		sum := 0.0
		for i := range n {
			sum += c[i] / float64(i+1)
		}
		dst[j] = scale * sum
	}
}

// NFE implements [Solver].
func (s AdamsBashforth) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s AdamsBashforth) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
