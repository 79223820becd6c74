package solvers

import (
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// EulerMaruyama is the explicit scheme for the reverse SDE of Song et al.
// [song2021, eq. 6 and appendix F]. The variable that it is explicit in matters,
// and both choices are written for x̂ = x/α, so that the path does not:
//
//	variance  v = σ²/α²:  x̂_b = x̂ + (1 − v_b/v_a) (D − x̂) + √(v_a − v_b) z
//	lambda    λ = −log v: x̂_b = x̂ + (λ_b − λ_a) (D − x̂) + √(v_a (λ_b − λ_a)) z
//
// The first is the paper's reverse diffusion sampler of the variance exploding
// SDE; the second needs λ steps below 2 to be stable. Weak and strong order 1,
// the noise being additive; one evaluation a step. The step to σ = 0 adds no
// noise. Differs from the paper: a variance preserving process is not stepped
// in its own time t, whose meaning changes with the schedule.
type EulerMaruyama struct {
	Variable Variable `json:"variable"`
}

// Variable is what a scheme is explicit in.
type Variable uint8

const (
	Variance Variable = iota // v = σ²/α². The default
	Lambda                   // λ = log(α²/σ²)
)

var variableNames = []string{"variance", "lambda"}

func (v Variable) String() string { return spec.EnumName(v, variableNames) }

// MarshalText writes the name.
func (v Variable) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a name.
func (v *Variable) UnmarshalText(b []byte) (err error) {
	*v, err = parseChoice[Variable](variableNames, string(b))
	return err
}

func (s EulerMaruyama) String() string { return Registry().Format("euler-maruyama", s) }

// Validate reports a variable that is none.
func (s EulerMaruyama) Validate() error { return checkChoice("variable", variableNames, s.Variable) }

// Properties implements [Solver].
func (s EulerMaruyama) Properties() Properties {
	equation := "x̂_b = x̂ + (1 − v_b/v_a) (D − x̂) + √(v_a − v_b) z,  v = σ²/α²"
	if s.Variable == Lambda {
		equation = "x̂_b = x̂ + (λ_b − λ_a) (D − x̂) + √(v_a (λ_b − λ_a)) z,  v = σ²/α²"
	}
	return Properties{
		Order: 1, Evals: 1, LastEvals: 1, Stochastic: true, PathFree: true,
		Summary:    "Euler–Maruyama for the reverse SDE in σ²/α² or λ",
		Equation:   equation,
		References: []string{"song2021"},
	}
}

func (s EulerMaruyama) method() method { return method{evals: 1, step: s.step} }

func (s EulerMaruyama) step(w *walk) {
	a, b := w.from, w.to
	step := float64(b.LogSNR() - a.LogSNR()) // λ_b − λ_a
	pull, sd := step, math.Sqrt(step)        // sd in units of σ_a/α_a
	if s.Variable == Variance {
		pull = -math.Expm1(-step)
		sd = math.Sqrt(pull)
	}
	z := w.normal(a, b)
	w.lin(w.next,
		term{b.Alpha / a.Alpha * (1 - pull), w.x},
		term{b.Alpha * pull, w.d}, term{b.Alpha * a.Noise() * sd, z})
}

// NFE implements [Solver].
func (s EulerMaruyama) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s EulerMaruyama) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
