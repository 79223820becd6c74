package solvers

import (
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// DDPM is ancestral sampling with a choice of the variance [ho2020, algorithm 2;
// nichol2021, eq. 15]. A step from a to b draws around the mean of the posterior
// q(x_b | x_a, x₀ = D), in the form of [DDIM]:
//
//	x_b = α_b D + √(σ_b² − β̃) e + √V z,   e = (x_a − α_a D)/σ_a,   z ~ N(0, I)
//	β̃  = σ_b² (1 − e^{λ_a − λ_b}),   β = σ_a² (1 − e^{λ_a − λ_b}),   λ = log(α²/σ²)
//
// β̃ is the posterior's variance, and β that of the forward transition from b to
// a, 1 − α_a²/α_b² where variance is preserved. V is β̃ (small, best for data that
// are one point), β (large, best for data N(0, I) there), or β^v β̃^{1−v} (learned),
// the interpolation whose v a network may predict. With small it is DDIM with
// η = 1 on every path; β depends on the path. Weak order 1, one evaluation a step.
//
// At α = 0 the formula has the limit x_b = α_b D + √V z, at σ = 0 x = α_b D + √V z with
// V = 0 unless it is large: First and Last select them in place of the named
// steps. Differs from common code, where the variance in the last step is 0 or
// 1e-20 by the index of the timestep.
type DDPM struct {
	Variance StepVariance `json:"variance"` // of the noise of a step
	Fraction float64      `json:"v"`        // of log β in log V, 0 ≤ v ≤ 1; with variance = learned
	First    First        `json:"first"`    // the step out of α = 0
	Last     Last         `json:"last"`     // the step into σ = 0
}

// StepVariance is the variance that [DDPM] draws with.
type StepVariance uint8

const (
	SmallVariance   StepVariance = iota // β̃, of the posterior. The default
	LargeVariance                       // β, of the forward transition
	LearnedVariance                     // β^v β̃^{1−v}
)

var varianceNames = []string{"small", "large", "learned"}

func (v StepVariance) String() string { return spec.EnumName(v, varianceNames) }

// MarshalText writes the name.
func (v StepVariance) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a name.
func (v *StepVariance) UnmarshalText(b []byte) (err error) {
	*v, err = parseChoice[StepVariance](varianceNames, string(b))
	return err
}

func (s DDPM) String() string { return Registry().Format("ddpm", s) }

// Validate reports settings without meaning or without effect.
func (s DDPM) Validate() error {
	if err := checkChoice("variance", varianceNames, s.Variance); err != nil {
		return err
	}
	switch {
	case s.Variance != LearnedVariance && s.Fraction != 0:
		return fmt.Errorf("v = %g has no effect with variance = %s: leave it out, or set variance = learned", s.Fraction, s.Variance)
	case !(s.Fraction >= 0 && s.Fraction <= 1):
		return fmt.Errorf("v = %g: expected 0 ≤ v ≤ 1", s.Fraction)
	}
	if err := checkChoice("first", firstNames, s.First); err != nil {
		return err
	}
	return checkChoice("last", lastNames, s.Last)
}

// Properties implements [Solver].
func (s DDPM) Properties() Properties {
	return Properties{
		Order: 1, Evals: 1, LastEvals: 1, Stochastic: true, PathFree: s.Variance == SmallVariance, OwnFirst: s.First == OwnFirst,
		Summary:    "ancestral sampling with small, large or interpolated variance",
		Equation:   "x_b = α_b D + √(σ_b² − β̃) e + √V z,  β̃ = σ_b² (1 − e^{λ_a − λ_b}),  V from β̃ to β = β̃ σ_a²/σ_b²",
		Ends:       bothEnds(s.First, s.Last),
		References: []string{"ho2020", "nichol2021"},
	}
}

func (s DDPM) method() method {
	return method{evals: 1, first: s.First, last: s.Last, step: s.step}
}

func (s DDPM) step(w *walk) {
	a, b := w.from, w.to
	c, small := etaSplit(1, a, b)
	large := a.Sigma * math.Sqrt(-math.Expm1(float64(a.LogSNR()-b.LogSNR())))
	sd := small
	switch s.Variance {
	case LargeVariance:
		sd = large
	case LearnedVariance:
		sd = math.Pow(large, s.Fraction) * math.Pow(small, 1-s.Fraction)
	}
	renoise(w, c, sd)
}

// NFE implements [Solver].
func (s DDPM) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DDPM) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
