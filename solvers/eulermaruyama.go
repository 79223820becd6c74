package solvers

import (
	"cmp"
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// EulerMaruyama is the explicit scheme for the reverse SDE of Song et al.
// [song2021, eq. 6 and appendix F], which in λ = log(α²/σ²) reads
//
//	dx = κ x dλ + (αD − x) dλ + σ dw,   κ = d log α/dλ
//
// The variable that a scheme is explicit in matters. With hats for division by
// α and v = ŝ² = σ²/α²:
//
//	variance  v:      x̂_b = x̂ + r (D − x̂) + ŝ_a √r z,          r = 1 − v_b/v_a
//	lambda    λ:      the same with                            r = λ_b − λ_a
//	time      t:      x_b = x + κ r x + r (αD − x) + σ_a √r z,  r = (t_b − t_a) dλ/dt
//
// The first two do not depend on the path. Time is the schedule's own, as the
// grid's levels hold it, and the paper's choice; lambda and time need steps of
// r below 2 to be stable. Weak and strong order 1, the noise being additive; one
// evaluation a step. The step out of α = 0 is the named one.
type EulerMaruyama struct {
	Variable Variable `json:"variable"` // what the steps of the SDE count
	Last     Last     `json:"last"`     // own adds noise in the step to σ = 0 too; lambda has no such step
}

// Variable is what a scheme is explicit in.
type Variable uint8

const (
	Variance Variable = iota // v = σ²/α². The default
	Lambda                   // λ = log(α²/σ²)
	Time                     // t of the schedule
)

var variableNames = []string{"variance", "lambda", "time"}

func (v Variable) String() string { return spec.EnumName(v, variableNames) }

// MarshalText writes the name.
func (v Variable) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a name.
func (v *Variable) UnmarshalText(b []byte) (err error) {
	*v, err = parseChoice[Variable](variableNames, string(b))
	return err
}

func (s EulerMaruyama) String() string { return Registry().Format("euler-maruyama", s) }

// Validate reports choices that are none, and a last step that does not exist.
func (s EulerMaruyama) Validate() error {
	if s.Variable == Lambda && s.Last == Own {
		return fmt.Errorf("last = own with variable = lambda: the step to σ = 0 is infinite in λ; use last = denoise, or another variable")
	}
	return cmp.Or(checkChoice("variable", variableNames, s.Variable), checkChoice("last", lastNames, s.Last))
}

// Properties implements [Solver].
func (s EulerMaruyama) Properties() Properties {
	p := Properties{
		Order: 1, Evals: 1, LastEvals: 1, Stochastic: true, PathFree: s.Variable != Time, Between: s.Variable == Time,
		Summary:    "Euler–Maruyama for the reverse SDE in σ²/α², λ or t",
		Equation:   "x̂_b = x̂ + r (D − x̂) + ŝ_a √r z,  r = 1 − ŝ_b²/ŝ_a²",
		Ends:       s.Last.noisyEnds(),
		References: []string{"song2021"},
	}
	switch s.Variable {
	case Lambda:
		p.Equation = "x̂_b = x̂ + r (D − x̂) + ŝ_a √r z,  r = λ_b − λ_a"
	case Time:
		p.Equation = "x_b = x + κ r x + r (αD − x) + σ_a √r z,  r = (t_b − t_a) dλ/dt,  κ = d log α/dλ"
	}
	return p
}

// noisyEnds is what [Properties] say of a method whose own last step draws noise.
func (l Last) noisyEnds() string {
	if l == Own {
		return "into σ = 0 its own formula, which leaves the noise of the last level in the result"
	}
	return ""
}

func (s EulerMaruyama) method() method {
	m := method{evals: 1, last: s.Last, step: s.step}
	if s.Variable == Time {
		m.check = func(p Problem) error { return timed(m, p.Grid) }
	}
	return m
}

// timed refuses a grid whose levels do not hold falling times.
func timed(m method, g schedules.Grid) error {
	for i := range g.Steps() {
		if a, b := g[i], g[i+1]; !m.named(a, b) && !(a.T > b.T && !math.IsInf(a.T, 0) && !math.IsInf(b.T, 0)) {
			return fmt.Errorf("grid levels %d and %d have t = %g and %g: expected finite times that fall; take the levels from a schedule, or another variable", i, i+1, a.T, b.T)
		}
	}
	return nil
}

func (s EulerMaruyama) step(w *walk) {
	a, b := w.from, w.to
	gain, r := b.Alpha/a.Alpha, 0.0 // x_b = gain (x + r (αD − x) + σ_a √r z)
	switch s.Variable {
	case Variance:
		r = -math.Expm1(float64(a.LogSNR() - b.LogSNR()))
	case Lambda:
		r = float64(b.LogSNR() - a.LogSNR())
	case Time:
		sch := w.problem.Schedule
		r = (b.T - a.T) * schedules.Rate(sch, a.T)
		z := w.normal(a, b)
		w.lin(w.next,
			term{1 + (schedules.ScaleRate(sch.Path(), a)-1)*r, w.x},
			term{r * a.Alpha, w.d}, term{a.Sigma * math.Sqrt(r), z})
		return
	}
	z := w.normal(a, b)
	w.lin(w.next, term{gain * (1 - r), w.x}, term{b.Alpha * r, w.d}, term{gain * a.Sigma * math.Sqrt(r), z})
}

// NFE implements [Solver].
func (s EulerMaruyama) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s EulerMaruyama) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
