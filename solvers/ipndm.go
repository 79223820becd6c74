package solvers

import (
	"fmt"

	"snrlab/schedules"
)

// IPNDM is the improved pseudo-numerical method [liu2022; zhang2023, appendix]: the
// Adams–Bashforth coefficients of a uniform grid, on every grid, in
// (σ/α, x/α) with e = (x − αD)/σ:
//
//	x̂_b = x̂_a + (ŝ_b − ŝ_a) Σ_j c_j e_j
//	c: 1;  (3, −1)/2;  (23, −16, 5)/12;  (55, −59, 37, −9)/24
//
// One evaluation a step beside the start. The order is Order on grids uniform
// in σ/α and with start = rk or lean; on any other smooth family of grids, or with the
// cheap start (coefficients of order 1, 2, …), it is 2, which is what
// Properties promise. last = own uses the formula in the step to σ = 0 too.
type IPNDM struct {
	Order   int     `json:"order"` // 1 to 4
	Opening Opening `json:"start"` // how the first steps are taken
	Last    Last    `json:"last"`  // rule of the step to σ = 0
}

func (s IPNDM) String() string { return Registry().Format("ipndm", s) }

// Validate reports an order outside 1 to 4, or a start without effect.
func (s IPNDM) Validate() error {
	if s.Order < 1 || s.Order > 4 {
		return fmt.Errorf("order = %d: expected 1 to 4", s.Order)
	}
	if err := s.Opening.check(s.Order); err != nil {
		return err
	}
	return checkChoice("last", lastNames, s.Last)
}

// Properties implements [Solver].
func (s IPNDM) Properties() Properties {
	p := Properties{
		Order: float64(min(s.Order, 2)), Evals: 1, LastEvals: 1, History: s.Order - 1, PathFree: true, Rises: true,
		Summary:    "Adams–Bashforth in σ/α with the coefficients of a uniform grid",
		Equation:   "x̂_b = x̂_a + (ŝ_b − ŝ_a) Σ_j c_j e_j,  c the Adams–Bashforth coefficients of a uniform grid",
		Ends:       s.Last.ends(),
		References: []string{"liu2022", "zhang2023"},
	}
	s.Opening.promise(&p, s.Order)
	return p
}

var ipndm = [4][]float64{
	{1},
	{3. / 2, -1. / 2},
	{23. / 12, -16. / 12, 5. / 12},
	{55. / 24, -59. / 24, 37. / 24, -9. / 24},
}

func (s IPNDM) method() method {
	m := method{evals: 1, history: s.Order - 1, keep: noise, last: s.Last, step: s.step}
	s.Opening.prepare(&m, s.Order)
	return m
}

func (s IPNDM) step(w *walk) {
	if s.Opening.step(w, s.Order) {
		return
	}
	var weights [4]float64
	c := ipndm[min(w.known, s.Order-1)]
	h := w.to.Noise() - w.from.Noise()
	for j := range c {
		weights[j] = h * c[j]
	}
	w.multistep(weights[:len(c)])
}

// NFE implements [Solver].
func (s IPNDM) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s IPNDM) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
