package solvers

import (
	"fmt"

	"snrlab/schedules"
)

// AdamsBashforth is the explicit linear multistep method of order 2, 3 or 4 in a
// chosen variable [hairer1993, section III.1]. With u, z and dz/du = f of
// [Coordinate],
//
//	z_b = z_a + Σ_j f_j ∫_a^b L_j(u) du
//
// with L_j the Lagrange polynomials of the levels passed, integrated exactly,
// so that the order holds on any grid. One evaluation a step beside the start;
// the cheap start (orders 1, 2, …) caps the order at 2. last = own extrapolates
// to σ = 0 with the same formula. In (ŝ, x̂) = (σ/α, x/α), the default, f is
// e = (x − αD)/σ and the method with last = own the LMS of k-diffusion and
// ρAB-DEIS [zhang2023].
type AdamsBashforth struct {
	Order   int        `json:"-"`     // 2, 3 or 4; part of the name: ab2, ab3, ab4
	In      Coordinate `json:"in"`    // the variable that it is a polynomial in
	Opening Opening    `json:"start"` // how the first steps are taken
	Last    Last       `json:"last"`  // rule of the step to σ = 0
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
	if err := checkChoice("in", coordinateNames, s.In); err != nil {
		return err
	}
	if s.Last == Own && !s.In.ends() {
		return fmt.Errorf("last = own with in = %s: the variable is infinite at σ = 0; leave it out", s.In)
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
		Order: float64(order), Evals: 1, LastEvals: 1, History: s.Order - 1, PathFree: s.In != InTime, Rises: true,
		Summary:    fmt.Sprintf("Adams–Bashforth of order %d in σ/α or another variable, exact weights on any grid", s.Order),
		Equation:   "z_b = z_a + Σ_j f_j ∫_a^b L_j(u) du,  L_j the Lagrange polynomials of the levels passed",
		Ends:       s.Last.ends(),
		References: []string{"hairer1993", "zhang2023"},
	}
	s.Opening.promise(&p, s.Order)
	p.Between = p.Between || s.In == InTime
	return p
}

func (s AdamsBashforth) method() method {
	m := method{evals: 1, history: s.Order - 1, keep: own, answer: s.answer, last: s.Last, step: s.step}
	if s.In == Sigma {
		m.keep = noise
	}
	s.Opening.prepare(&m, s.Order)
	return m
}

// answer keeps dz/du; at α = 0, where it may be infinite, nothing is kept.
func (s AdamsBashforth) answer(w *walk) {
	if w.from.Alpha == 0 {
		return
	}
	x, d := s.In.slope(w.from, w.problem.Schedule)
	w.lin(w.e, term{x, w.x}, term{d, w.d})
}

func (s AdamsBashforth) step(w *walk) {
	if s.Opening.step(w, s.Order) {
		return
	}
	order := min(w.known+1, s.Order)
	on := w.problem.Schedule
	var nodes, weights [4]float64
	nodes[0] = s.In.of(w.from, on)
	for k := 1; k < order; k++ {
		nodes[k] = s.In.of(w.pastLevel(k-1), on)
	}
	abWeights(weights[:order], nodes[:order], s.In.of(w.to, on))
	w.multistepIn(weights[:order], s.In.scale(w.from), s.In.scale(w.to))
}

// multistep writes w.next for x̂_b = x̂_a + Σ weights_k e_k, newest first.
func (w *walk) multistep(weights []float64) {
	w.multistepIn(weights, 1/w.from.Alpha, 1/w.to.Alpha)
}

// multistepIn writes w.next for z_b = z_a + Σ weights_k f_k, newest first, where
// z/x is a at the start of the step and b at its end.
func (w *walk) multistepIn(weights []float64, a, b float64) {
	var terms [maxTerms]term
	terms[0] = term{a / b, w.x}
	terms[1] = term{weights[0] / b, w.e}
	for k, v := range weights[1:] {
		terms[2+k] = term{v / b, w.past[k]}
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
