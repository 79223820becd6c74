package solvers

import (
	"snrlab/internal/spec"
	"snrlab/schedules"
)

// PNDM is the pseudo-numerical method [liu2022, algorithm 2]: the coefficients of
// a uniform grid, as [IPNDM] has them at order 4, in (ŝ, x̂) = (σ/α, x/α) with
// e = (x − αD)/σ, after a start of its own. With φ(e; b) = x̂_a + (ŝ_b − ŝ_a) e and
// m the level in the middle of the schedule's time, the paper's three first steps
// are (PRK, pseudo Runge–Kutta)
//
//	e₂ = e(φ(e₁; m)),   e₃ = e(φ(e₂; m)),   e₄ = e(φ(e₃; b))
//	x̂_b = φ((e₁ + 2e₂ + 2e₃ + e₄)/6; b)
//
// of four evaluations each. The form called PLMS has one step of Heun's method in
// their place, and then orders 2 and 3: one evaluation more than steps. Order 2,
// as iPNDM's off grids uniform in σ/α. last = own uses the formula in the step to
// σ = 0 too.
type PNDM struct {
	Opening PseudoOpening `json:"start"` // how the first steps are taken
	Last    Last          `json:"last"`  // rule of the step to σ = 0
}

// PseudoOpening is how [PNDM] takes its first steps.
type PseudoOpening uint8

const (
	PRK  PseudoOpening = iota // three pseudo Runge–Kutta steps. The default
	PLMS                      // one step of Heun's method, then lower orders
)

var pseudoNames = []string{"prk", "plms"}

func (o PseudoOpening) String() string { return spec.EnumName(o, pseudoNames) }

// MarshalText writes the name.
func (o PseudoOpening) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads a name.
func (o *PseudoOpening) UnmarshalText(b []byte) (err error) {
	*o, err = parseChoice[PseudoOpening](pseudoNames, string(b))
	return err
}

// steps is the number of steps of the start.
func (o PseudoOpening) steps() int {
	if o == PLMS {
		return 1
	}
	return 3
}

// evals is the number of evaluations of each.
func (o PseudoOpening) evals() int {
	if o == PLMS {
		return 2
	}
	return 4
}

func (s PNDM) String() string { return Registry().Format("pndm", s) }

// Validate reports a start or a last rule that is none.
func (s PNDM) Validate() error {
	if err := checkChoice("start", pseudoNames, s.Opening); err != nil {
		return err
	}
	return checkChoice("last", lastNames, s.Last)
}

// Properties implements [Solver].
func (s PNDM) Properties() Properties {
	return Properties{
		Order: 2, Evals: 1, LastEvals: 1, FirstEvals: s.Opening.steps() * (s.Opening.evals() - 1),
		History: 3, PathFree: true, Rises: true, Between: s.Opening == PRK,
		Summary:    "iPNDM of order 4 after pseudo Runge–Kutta steps in the schedule's time, or after one of Heun's",
		Equation:   "x̂_b = x̂_a + (ŝ_b − ŝ_a) (55 e − 59 e₁ + 37 e₂ − 9 e₃)/24",
		Ends:       s.Last.ends(),
		References: []string{"liu2022"},
	}
}

func (s PNDM) method() method {
	return method{
		evals: 1, history: 3, keep: noise, last: s.Last, scratch: 5, step: s.step,
		cost: func(at place) int {
			if s.opens(at) {
				return s.Opening.evals()
			}
			return 1
		},
	}
}

// opens reports a step of the start. A step to σ = 0 has no Runge–Kutta form.
func (s PNDM) opens(at place) bool { return at.known < s.Opening.steps() && at.to().Sigma > 0 }

func (s PNDM) step(w *walk) {
	if !s.opens(w.place()) {
		var weights [4]float64
		c := ipndm[w.known]
		h := w.to.Noise() - w.from.Noise()
		for j, v := range c {
			weights[j] = h * v
		}
		w.multistep(weights[:len(c)])
		return
	}
	h := w.to.Noise() - w.from.Noise()
	w.order = 2
	if s.Opening == PLMS {
		e := [2][]float64{w.e, w.tmp[0]}
		w.pseudo(e[1], e[:1], w.to)
		w.slopes(w.next, w.to, h, heun[:], e[:])
		return
	}
	on := w.problem.Schedule
	mid := on.At((on.TimeOf(w.from.LogSNR()) + on.TimeOf(w.to.LogSNR())) / 2)
	e := [4][]float64{w.e, w.tmp[0], w.tmp[1], w.tmp[2]}
	w.pseudo(e[1], e[:1], mid)
	w.pseudo(e[2], e[1:2], mid)
	w.pseudo(e[3], e[2:3], w.to)
	w.slopes(w.next, w.to, h, rungeKutta[:], e[:])
}

// The weights of the two starts.
var (
	heun       = [2]float64{1. / 2, 1. / 2}
	rungeKutta = [4]float64{1. / 6, 1. / 3, 1. / 3, 1. / 6}
	whole      = [1]float64{1}
)

// pseudo writes e at φ(slope; b), the state at b along one slope, into dst.
func (w *walk) pseudo(dst []float64, slope [][]float64, b schedules.Level) {
	y, d := w.tmp[3], w.tmp[4]
	w.slopes(y, b, b.Noise()-w.from.Noise(), whole[:], slope)
	w.eval(d, y, b)
	w.slope(dst, y, d, b)
}

// NFE implements [Solver].
func (s PNDM) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s PNDM) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
