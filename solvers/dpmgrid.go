package solvers

import (
	"fmt"

	"snrlab/schedules"
)

// DPMGrid is the singlestep form of DPM-Solver and DPM-Solver++ with the levels
// of the grid as intermediate ones [lu2022pp, as in the singlestep scheduler of
// common code]: steps come in blocks of Order, each with the one evaluation at
// its start. The k-th step of a block goes from the block's first level a to b by
// the method of order k through the evaluations of the block, with ℓ = log(α/σ),
// h = ℓ_b − ℓ_a, r and r₂ the places of the second and third in units of h,
//
//	x_b = (σ_b/σ_a) x_a + α_b h φ₁ D_a                                 k = 1
//	x_b = (σ_b/σ_a) x_a + α_b h [φ₁ D_a + φ₁ (D_m − D_a)/(2r)]         k = 2, form = paper
//	x_b = (σ_b/σ_a) x_a + α_b h [φ₁ D_a + φ₂ (D_n − D_a)/r₂]           k = 3, form = paper
//
// with φ at −h; form = taylor integrates the line and the parabola through the
// evaluations instead. For e the first term is (α_b/α_a) x_a, the factor −σ_b h,
// and φ is at +h. States inside a block are of lower order than those at its
// ends.
//
// With Eta > 0 each of these is a step of the SDE as [DPMMultistep] has it, with
// the noise of the whole way from a. It is one motion that all steps of the block
// see, which makes the law one of order 2; draws = apart draws anew for each.
//
// The step from α = 0 is no part of a block. Where the steps do not fill the
// blocks, final = full makes the noisiest one, or of order 3 two, a step shorter:
// their errors are local ones, and the order holds. final = lower leaves the rest
// for the end and takes the last step by itself where it would complete a block,
// as common code does; final = euler does so always. Both may end on a step of
// order 1, which caps the order at 2.
type DPMGrid struct {
	Order   int        `json:"-"`      // 2 or 3; part of the name
	Predict Prediction `json:"-"`      // part of the name: dpmpp-2s-grid, dpm-solver-2-grid
	Form    Form       `json:"form"`   // weights of the later evaluations
	Final   Final      `json:"final"`  // the order of the last step
	Eta     float64    `json:"eta"`    // noise: 0 is the ODE, 1 the reverse SDE
	SNoise  float64    `json:"snoise"` // factor of the noise
	Draws   Draws      `json:"draws"`  // how the steps of a block share their noise
}

func (s DPMGrid) String() string {
	name := s.Predict.name(fmt.Sprintf("dpmpp-%ds-grid", s.Order), fmt.Sprintf("dpm-solver-%d-grid", s.Order))
	if s.Order != 2 && s.Order != 3 {
		return name
	}
	return Registry().Format(name, s)
}

// Validate reports settings without meaning or without effect.
func (s DPMGrid) Validate() error {
	if s.Order != 2 && s.Order != 3 {
		return fmt.Errorf("order = %d: expected 2 or 3", s.Order)
	}
	if err := checkChoice("prediction", predictionNames, s.Predict); err != nil {
		return err
	}
	if err := checkChoice("form", formNames, s.Form); err != nil {
		return err
	}
	if err := checkChoice("final", finalNames, s.Final); err != nil {
		return err
	}
	if s.Form == Simple {
		return fmt.Errorf("form = simple: expected paper or taylor where the grid places the levels")
	}
	if err := s.Draws.check(s.Eta); err != nil {
		return err
	}
	return checkNoise(s.Eta, s.SNoise)
}

// Properties implements [Solver].
func (s DPMGrid) Properties() Properties {
	order := s.Order
	if s.Final != FinalFull {
		order = 2
	}
	return Properties{
		Order: float64(order), Evals: 1, LastEvals: 1, History: s.Order - 1, PathFree: true,
		Stochastic: s.Eta > 0, Rises: s.Eta == 0,
		Summary:    fmt.Sprintf("singlestep of order %d over blocks of grid levels, exponential weights for %s", s.Order, s.Predict.name("D", "ε")),
		Equation:   "the k-th step of a block from its first level a, with the order k of " + s.Predict.name("dpmpp", "dpm-solver") + " through the k evaluations since",
		References: []string{s.Predict.name("lu2022pp", "lu2022")},
	}
}

func (s DPMGrid) method() method {
	m := method{evals: 1, history: s.Order - 1, keep: s.Predict.answer(), carry: 1, step: s.step}
	if s.Eta > 0 && s.Draws == OnePath {
		m.carry = 2 // the block's first state, and its noise so far
	}
	return m
}

// inBlock is the number of steps of its block before a step.
func (s DPMGrid) inBlock(at place) int {
	first := 0
	if at.grid[0].Alpha == 0 {
		first = 1
	}
	i, n := at.index-first, at.grid.Steps()-first
	rest := n % s.Order
	switch {
	case s.Final == FinalEuler && at.left() == 0, s.Final == FinalLower && at.left() == 0 && rest == 0:
		return 0
	case s.Final != FinalFull:
		return i % s.Order
	}
	// Short blocks, of order − 1 steps, at the noisy end, where errors are least.
	short := rest
	if s.Order == 3 && rest == 1 && n > 1 {
		short = 4
	}
	switch rises := at.grid[0].LogSNR() > at.grid[1].LogSNR(); {
	case !rises && i < short:
		return i % (s.Order - 1)
	case !rises:
		return (i - short) % s.Order
	case i >= n-short:
		return (i - n + short) % (s.Order - 1)
	}
	return i % s.Order
}

func (s DPMGrid) step(w *walk) {
	k := s.inBlock(w.place())
	w.order = k + 1
	// The block's first level and state, and the predictions since.
	a, x, b := w.from, w.x, w.to
	if k > 0 {
		a, x = w.pastLevel(k-1), w.carry[0]
	}
	var p nodes
	h := halfStep(a, b)
	for i := k - 1; i >= 0; i-- {
		p.add(halfStep(a, w.pastLevel(i))/h, w.past[i])
	}
	p.add(halfStep(a, w.from)/h, w.answer(s.Predict))
	copy(w.fresh[0], x)
	w.pass = renew
	e := s.Predict.exponent(a, b, s.Eta)
	var z []float64
	if s.Eta > 0 {
		e.spread *= s.SNoise
		z = s.noise(w, a, k)
	}
	w.exponential(w.next, e, x, &p, s.Form.singlestep(&p, e), z)
}

// noise returns the unit normal of the motion from a block's first level a.
func (s DPMGrid) noise(w *walk, a schedules.Level, k int) []float64 {
	if s.Draws == Apart {
		return w.normal(a, w.to)
	}
	z := w.normal(w.from, w.to)
	if k == 0 {
		copy(w.fresh[1], z)
	} else {
		before, after := split(a, w.from, w.to)
		w.lin(w.fresh[1], term{before, w.carry[1]}, term{after, z})
	}
	return w.fresh[1]
}

// NFE implements [Solver].
func (s DPMGrid) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPMGrid) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
