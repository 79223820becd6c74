package solvers

import (
	"fmt"
	"math"

	"snrlab/schedules"
)

// SDEAdaptive solves the reverse SDE with steps of its own, by error control by
// row [jolicoeur2021]. An attempt draws z and takes an Euler–Maruyama step, and
// another with drift and diffusion of where that one ended,
//
//	x' = x + f(x, a) + g(a) z,   x̃ = x + f(x', b) + g(b) z,   x_b = (x' + x̃)/2
//
// with f and g those of [EulerMaruyama] in its variable. The distance of the two
// in tolerances,
//
//	E = rms( (x' − x_b) / max(atol, rtol max(|x_a|, |x_b|)) ),   all as x/α,
//
// is accepted up to 1 and sets the size of the next step,
//
//	h ← h · min(5, max(1/5, 0.9 E^{−0.9}))
//
// The grid gives the ends: levels between them are not visited, but the
// neighbour of an end at α = 0 or σ = 0 is, from and to which the two named steps
// lead. Two evaluations an attempt, of which a repeated one saves the first.
// Strong order 1, which Properties promise, and weak order 2.
//
// An attempt that is refused makes the next one a step on the same path only if
// the source knows the path between any two levels: use [BrownianTree]. Of
// independent numbers those that lead to large errors are missing from the
// result, whose variance on a Gaussian is then 20 to 40 % off, at any tolerance.
//
// On the paper's variance exploding process λ is linear in t, and variable =
// lambda is its method; on others variable = time is. Differs from the paper in
// the bounds on the factor of h, in sizes that the tolerance is taken of (its are
// x' of this step and the one before), and in the step to σ = 0, which is the
// named one from the grid's last level before it.
type SDEAdaptive struct {
	Variable Variable `json:"variable"` // what step sizes count
	RTol     float64  `json:"rtol"`     // error of a step, relative to the state
	ATol     float64  `json:"atol"`     // and absolute
	First    float64  `json:"first"`    // size of the first attempt: in log(α/σ), σ/α or t
	MaxSteps int      `json:"maxsteps"` // attempts of a row
}

func (s SDEAdaptive) String() string { return Registry().Format("sde-adaptive", s) }

// Validate reports settings without meaning.
func (s SDEAdaptive) Validate() error {
	if err := checkChoice("variable", variableNames, s.Variable); err != nil {
		return err
	}
	switch {
	case !(s.First > 0) || math.IsInf(s.First, 1):
		return fmt.Errorf("first = %g: expected a positive finite step", s.First)
	case s.MaxSteps < 1:
		return fmt.Errorf("maxsteps = %d: expected at least 1", s.MaxSteps)
	}
	return s.tolerance().validate()
}

func (s SDEAdaptive) tolerance() tolerance {
	return tolerance{rtol: s.RTol, atol: s.ATol, greater: true}
}

// Properties implements [Solver].
func (s SDEAdaptive) Properties() Properties {
	return Properties{
		Order: 1, Evals: 2, LastEvals: 1, Adaptive: true, Stochastic: true, OnePath: true, PathFree: s.Variable != Time, Between: true,
		Summary:    "improved Euler for the reverse SDE with error control by row",
		Equation:   "x' = x + f(x, a) + g(a) z,  x_b = (x' + x + f(x', b) + g(b) z)/2,  h ← 0.9 h E^{−0.9},  E = rms((x' − x_b)/max(atol, rtol |x|))",
		References: []string{"jolicoeur2021", "li2020"},
	}
}

func (s SDEAdaptive) method() adaptive {
	return adaptive{
		in: s.in(), evals: 2, noises: 1, stage: s.predict, end: s.end,
		h0: s.First, tol: s.tolerance(), maxSteps: s.MaxSteps,
		control: control{q: 1 / 0.9, i: 1, safety: 0.9, shrink: 0.2, growth: 5, reach: 1},
	}
}

func (s SDEAdaptive) in() Coordinate {
	switch s.Variable {
	case Variance:
		return Sigma
	case Time:
		return InTime
	}
	return Log
}

// move is f and g of a step with the rates of one level: x, D and z enter x at
// the end of the step by these factors, and by gain the x that the step is from.
type move struct{ gain, x, d, z float64 }

// rates returns the step with the rates of level l, which is one of its ends.
func (s SDEAdaptive) rates(r *trial, l schedules.Level) move {
	a, b := r.from, r.to
	if s.Variable == Time {
		sch := r.m.problem.Schedule
		h := (r.v - r.u) * schedules.Rate(sch, InTime.of(l, sch))
		return move{1, (schedules.ScaleRate(sch.Path(), l) - 1) * h, l.Alpha * h, l.Sigma * math.Sqrt(h)}
	}
	h := float64(b.LogSNR() - a.LogSNR())
	if s.Variable == Variance { // (v_a − v_b)/v_l
		h = -math.Expm1(-h) * math.Exp(float64(l.LogSNR()-a.LogSNR()))
	}
	return move{b.Alpha / a.Alpha, -h * b.Alpha / l.Alpha, b.Alpha * h, b.Alpha * l.Noise() * math.Sqrt(h)}
}

// predict writes x'.
func (s SDEAdaptive) predict(r *trial, _ int) {
	m := s.rates(r, r.from)
	r.at[1] = r.to
	r.lin(r.y, term{m.gain + m.x, r.x}, term{m.d, r.k[0]}, term{m.z, r.z[0]})
}

// end writes x_b and its distance from x'.
func (s SDEAdaptive) end(r *trial) {
	m := s.rates(r, r.to)
	r.lin(r.next,
		term{m.gain / 2, r.x}, term{(1 + m.x) / 2, r.y},
		term{m.d / 2, r.k[1]}, term{m.z / 2, r.z[0]})
	r.lin(r.diff, term{1, r.y}, term{-1, r.next})
}

// NFE implements [Solver].
func (s SDEAdaptive) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s SDEAdaptive) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return startAdaptive(s, s.method(), p, x, opts)
}
