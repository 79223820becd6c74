package solvers

import (
	"fmt"
	"math"

	"snrlab/schedules"
)

// EPD is the step along a weighted mean of K directions that are asked for in
// parallel [zhu2025]. With m_k = b^{r_k} a^{1−r_k} between ŝ_a = a and ŝ_b = b,
//
//	y_k = x̂_a + (m_k − a) e(x̂_a, a)
//	x̂_b = x̂_a + c (b − a) Σ_k w_k d_k,   d_k = (y_k − D(y_k, κ_k m_k))/m_k,   Σ_k w_k = 1
//
// for constants r_k, w_k, κ_k and c of each step, which "snrlab fit-solver" finds.
// No direction needs another, so that a step waits for two evaluations, one after
// the other, whatever K is. K = 1 is [AMED]. AFS is the analytic first step: there
// e = x̂/√(1 + ŝ²), and no evaluation.
//
// K + 1 evaluations a step, one in the step to σ = 0. Order 2 where c = κ = 1 and
// Σ_k w_k r_k = ½: the directions are those of Euler's states, so that more of them
// lower the error and not the order. Else the constants belong to one grid, and
// the method has order 1 with c = κ = 1 and none without.
//
// Differs from the paper in the letters alone: its o is c − 1, its shift of the
// level is (κ_k − 1) m_k.
type EPD struct {
	K     int     `json:"k"`     // directions of a step, 1 to 8
	R     PerStep `json:"r"`     // places of the intermediate levels, 0 < r ≤ 1: K numbers, or K for each step
	W     PerStep `json:"w"`     // weights of the directions, likewise
	Kappa PerStep `json:"kappa"` // scales of the levels told at m_k: one number, or as R
	C     PerStep `json:"c"`     // scale of the mean direction: one number, or one for each step
	AFS   bool    `json:"afs"`   // analytic first step
}

const maxDirections = 8

func (s EPD) String() string { return Registry().Format("epd", s) }

// epdNumbers are the constants as lists.
type epdNumbers struct {
	k              int
	r, w, kappa, c []float64
}

// direction returns the number of direction k of a step.
func (n epdNumbers) direction(v []float64, step, k int) float64 {
	if len(v) > n.k {
		k += step * n.k
	}
	return of(v, k)
}

// steps is the number of steps that the lists tell apart: 1 where all are alike.
func (n epdNumbers) steps() int { return max(len(n.r)/n.k, len(n.w)/n.k, 1) }

func (s EPD) numbers() (n epdNumbers, err error) {
	if n.k = s.K; n.k < 1 || n.k > maxDirections {
		return n, fmt.Errorf("k = %d: expected 1 to %d", n.k, maxDirections)
	}
	a, err := readAMED(s.R, s.C, s.Kappa)
	if err != nil {
		return n, err
	}
	n.r, n.c, n.kappa = a.r, a.c, a.kappa
	if n.w, err = s.W.read("w"); err != nil {
		return n, err
	}
	for _, l := range n.lists() {
		if l.each > 1 && len(l.v) > 1 && len(l.v)%n.k != 0 {
			return n, fmt.Errorf("%s has %d numbers: expected one, %d, or %d for each step", l.name, len(l.v), n.k, n.k)
		}
	}
	for step := range n.steps() {
		sum := 0.0
		for k := range n.k {
			w := n.direction(n.w, step, k)
			if !(w >= 0) {
				return n, fmt.Errorf("w = %g: expected a number ≥ 0", w)
			}
			sum += w
		}
		if d := sum - 1; !(d < 1e-12 && d > -1e-12) { // numbers below 1 are written with 16 digits and more
			return n, fmt.Errorf("the weights w of step %d sum to %.13g: expected 1", step, sum)
		}
	}
	return n, nil
}

// epdList is one list, of so many numbers a step.
type epdList struct {
	name string
	v    []float64
	each int
}

func (n epdNumbers) lists() [4]epdList {
	return [4]epdList{{"r", n.r, n.k}, {"w", n.w, n.k}, {"kappa", n.kappa, n.k}, {"c", n.c, 1}}
}

// fits reports lists of another length than the grid's steps.
func (n epdNumbers) fits(g schedules.Grid) error {
	for _, l := range n.lists() {
		if len(l.v) > l.each && len(l.v) != l.each*g.Steps() {
			return fmt.Errorf("%s has %d numbers: expected %d for all steps, or for each of %d", l.name, len(l.v), l.each, g.Steps())
		}
	}
	return nil
}

// centred reports directions whose mean place is the middle of every step.
func (n epdNumbers) centred() bool {
	for step := range n.steps() {
		mean := 0.0
		for k := range n.k {
			mean += n.direction(n.w, step, k) * n.direction(n.r, step, k)
		}
		if math.Abs(mean-0.5) > 1e-12 { // a sum of numbers below 1
			return false
		}
	}
	return true
}

// Validate reports numbers that are none or out of range.
func (s EPD) Validate() error {
	_, err := s.numbers()
	return err
}

// Properties implements [Solver].
func (s EPD) Properties() Properties {
	n, err := s.numbers()
	order := 0.0
	switch {
	case err != nil || s.AFS || !all(n.c, 1) || !all(n.kappa, 1):
	case n.centred():
		order = 2
	default:
		order = 1
	}
	return Properties{
		Order: order, Evals: s.K + 1, LastEvals: 1, PathFree: true, Between: true, Varies: s.AFS,
		Summary:    "along a weighted mean of directions that are asked for in parallel",
		Equation:   "x̂_b = x̂_a + c (b − a) Σ_k w_k (y_k − D(y_k, κ_k m_k))/m_k,  y_k = x̂_a + (m_k − a) e_a,  m_k = b^{r_k} a^{1−r_k}",
		References: []string{"zhu2025"},
	}
}

func (s EPD) method() method {
	n, _ := s.numbers() // Validate has seen an error
	m := method{evals: s.K + 1, scratch: 4 + n.k, lazy: true, fits: n.fits, step: func(w *walk) { s.step(w, n) }}
	if s.AFS {
		m.cost = func(p place) int {
			if p.index == 0 {
				return s.K
			}
			return s.K + 1
		}
	}
	return m
}

func (s EPD) step(w *walk, n epdNumbers) {
	a, b, i := w.from.Noise(), w.to.Noise(), w.index
	e, d := w.tmp[0], w.tmp[4:]
	w.firstSlope(e, s.AFS)
	h := w.to.Alpha * of(n.c, i) * (b - a)
	var terms [1 + maxDirections]term
	terms[0] = term{w.to.Alpha / w.from.Alpha, w.x}
	for k := range n.k {
		w.slopeAhead(d[k], e, n.direction(n.r, i, k), n.direction(n.kappa, i, k), w.tmp[1:4])
		terms[1+k] = term{h * n.direction(n.w, i, k), d[k]}
	}
	w.lin(w.next, terms[:1+n.k]...)
}

// NFE implements [Solver].
func (s EPD) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s EPD) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
