package solvers

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/integrate/quad"

	"snrlab/schedules"
	"snrlab/snr"
)

// DEIS is the exponential multistep method for e = (x − αD)/σ whose polynomials
// are in a variable of choice [zhang2023, section 3.2]:
//
//	x̂_b = x̂_a + Σ_j e_j ∫_a^b L_j(u) dŝ,   ŝ = σ/α
//
// with L_j the Lagrange polynomials of the levels passed, in u = log ŝ (the
// default, and the form of diffusers), in the schedule's time (u = t: tAB-DEIS), or
// in the angle u = atan ŝ. In u = ŝ it is Adams–Bashforth: ab2, ab3 and ab4, the
// paper's ρAB. The integrals are taken over log ŝ by Gauss–Legendre quadrature of
// 32 points, which is exact to rounding. One evaluation a step beside the start;
// the cheap start caps the order at 2, as final = lower does.
//
// Differs from the programs of [zhang2023] and [zhou2024], which integrate in t
// by a rectangle rule of 10000 points, to about four digits, and stop at order 4.
type DEIS struct {
	Order   int        `json:"order"` // 2 to 6
	In      Coordinate `json:"in"`    // lambda, t or angle
	Opening Opening    `json:"start"` // how the first steps are taken
	Final   Final      `json:"final"` // order of the last steps
}

func (s DEIS) String() string { return Registry().Format("deis", s) }

// maxDEIS is the greatest order: that of the Runge–Kutta methods it can open with.
const maxDEIS = len(openings) - 1

// Validate reports an order outside 2 to 6 and variables that have no such form.
func (s DEIS) Validate() error {
	switch {
	case s.Order < 2 || s.Order > maxDEIS:
		return fmt.Errorf("order = %d: expected 2 to %d; order 1 is ddim", s.Order, maxDEIS)
	case s.In == Sigma:
		return fmt.Errorf("in = sigma is Adams–Bashforth: ab2, ab3 or ab4")
	case s.In != InTime && s.In != Log && s.In != Angle:
		return fmt.Errorf("in = %s: expected lambda, t or angle", s.In)
	}
	if err := s.Opening.check(s.Order); err != nil {
		return err
	}
	return checkChoice("final", finalNames, s.Final)
}

// Properties implements [Solver].
func (s DEIS) Properties() Properties {
	order := s.Order
	if s.Opening == Cheap || s.Final == FinalLower {
		order = min(order, 2)
	}
	p := Properties{
		Order: float64(order), Evals: 1, LastEvals: 1, History: s.Order - 1, PathFree: true, Rises: true,
		Summary:    "exponential multistep method for ε, polynomials in log σ/α, in t or in the angle",
		Equation:   "x̂_b = x̂_a + Σ_j e_j ∫_a^b L_j(u) dŝ,  u = log ŝ, t or atan ŝ",
		References: []string{"zhang2023"},
	}
	s.Opening.promise(&p, s.Order)
	p.Between = p.Between || s.In == InTime
	return p
}

func (s DEIS) method() method {
	m := method{evals: 1, history: s.Order - 1, keep: noise, step: s.step}
	s.Opening.prepare(&m, s.Order)
	return m
}

func (s DEIS) step(w *walk) {
	if s.Opening.step(w, s.Order) {
		return
	}
	order := s.Final.order(w.place(), s.Order)
	on := w.problem.Schedule
	var nodes, weights [maxDEIS]float64
	nodes[0] = s.In.of(w.from, on)
	for k := 1; k < order; k++ {
		nodes[k] = s.In.of(w.pastLevel(k-1), on)
	}
	s.In.lagrange(weights[:order], nodes[:order], w.from, w.to, on)
	w.multistep(weights[:order])
}

// legendre are the places and weights of Gauss–Legendre quadrature on [−1, 1].
var legendre = func() (rule struct{ at, weight [32]float64 }) {
	quad.Legendre{}.FixedLocations(rule.at[:], rule.weight[:], -1, 1)
	return rule
}()

// lagrange writes ∫_a^b L_j(u) dŝ for the Lagrange polynomials of nodes in u, by
// quadrature over log ŝ: dŝ = ŝ d log ŝ, and u is smooth in log ŝ also where ŝ is
// not smooth in t.
func (c Coordinate) lagrange(dst, nodes []float64, a, b schedules.Level, on schedules.Schedule) {
	from, to := -a.LogSNR().Half(), -b.LogSNR().Half()
	mid, half := (from+to)/2, (to-from)/2
	clear(dst)
	for q, at := range legendre.at {
		l := mid + half*at // log ŝ
		u := -l
		switch c {
		case InTime:
			u = on.TimeOf(snr.LogSNR(-2 * l))
		case Angle:
			u = math.Atan(math.Exp(l))
		}
		k := legendre.weight[q] * half * math.Exp(l)
		for j, node := range nodes {
			p := k
			for m, other := range nodes {
				if m != j {
					p *= (u - other) / (node - other)
				}
			}
			dst[j] += p
		}
	}
}

// NFE implements [Solver].
func (s DEIS) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DEIS) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
