package solvers

import (
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
	"snrlab/snr"
)

// DPMSolver2 is the singlestep second-order exponential integrator for
// e = (x − αD)/σ [lu2022, algorithm 4]. With ℓ = log(α/σ), h = ℓ_b − ℓ_a, the
// intermediate level ℓ_m = ℓ_a + r h and hats for division by α,
//
//	ŷ   = x̂_a + (ŝ_m − ŝ_a) e_a
//	x̂_b = x̂_a + (ŝ_b − ŝ_a) [(1 − w) e_a + w e(ŷ, m)]
//
// where the form chooses w, and optional churn comes first (see the fields).
// Order 2 and two evaluations a step, one in the step to σ = 0. The level of m
// comes from the problem's schedule.
type DPMSolver2 struct {
	R      float64 `json:"r"`      // place of m, 0 < r ≤ 1
	Form   Form    `json:"form"`   // weight of the second slope
	SChurn float64 `json:"schurn"` // churn per run, shared by its steps; 0 is none
	SMin   float64 `json:"stmin"`  // least σ/α that is churned
	SMax   float64 `json:"stmax"`  // greatest σ/α that is churned
	SNoise float64 `json:"snoise"` // factor of the noise added
}

// Form is the weight w that [DPMSolver2] gives to its second slope. At r = 1/2
// the paper's and the simple form are one method.
type Form uint8

const (
	Paper  Form = iota // w = 1/(2r). The default
	Taylor             // w = φ₂(h)/(r φ₁(h)): a slope linear in ℓ is integrated exactly
	Simple             // w = 1: the midpoint rule of AMED; order 1 unless r = 1/2
)

var formNames = []string{"paper", "taylor", "simple"}

func (f Form) String() string { return spec.EnumName(f, formNames) }

// MarshalText writes the name.
func (f Form) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads a name.
func (f *Form) UnmarshalText(b []byte) (err error) {
	*f, err = parseChoice[Form](formNames, string(b))
	return err
}

func (s DPMSolver2) String() string { return Registry().Format("dpm-solver-2", s) }

// Validate reports settings without meaning.
func (s DPMSolver2) Validate() error {
	if err := checkR(s.R); err != nil {
		return err
	}
	if err := checkChoice("form", formNames, s.Form); err != nil {
		return err
	}
	return s.churn().validate()
}

func checkR(r float64) error {
	if !(r > 0 && r <= 1) {
		return fmt.Errorf("r = %g: expected 0 < r ≤ 1", r)
	}
	return nil
}

func (s DPMSolver2) churn() churn { return churn{s.SChurn, s.SMin, s.SMax, s.SNoise} }

// Properties implements [Solver].
func (s DPMSolver2) Properties() Properties {
	order := 2.0
	if s.Form == Simple && s.R != 0.5 {
		order = 1
	}
	return Properties{
		Order: order, Evals: 2, LastEvals: 1, PathFree: true, Between: true, Stochastic: s.SChurn > 0, OwnNoise: s.SChurn > 0, Rises: s.SChurn == 0,
		Summary:    "midpoint in log(α/σ), exponential weights for ε, with churn",
		Equation:   "x̂_b = x̂_a + (ŝ_b − ŝ_a) [(1 − w) e_a + w e(ŷ, m)],  ŷ = x̂_a + (ŝ_m − ŝ_a) e_a,  ℓ_m = ℓ_a + r h",
		References: []string{"lu2022", "zhou2024"},
	}
}

func (s DPMSolver2) method() method {
	return method{evals: 2, scratch: 2, churn: s.churn(), step: s.step}
}

func (s DPMSolver2) step(w *walk) {
	a, b, y, dy := w.from, w.to, w.tmp[0], w.tmp[1]
	h := halfStep(a, b)
	m := w.between(a.LogSNR() + snr.LogSNR(2*s.R*h))
	w.euler(y, m)
	w.eval(dy, y, m)
	k, weight := b.Alpha*(b.Noise()-a.Noise()), s.weight(h)
	ka, km := k*(1-weight), k*weight
	w.lin(w.next,
		term{b.Alpha/a.Alpha + ka/a.Sigma, w.x}, term{-ka * a.Alpha / a.Sigma, w.d},
		term{km / m.Sigma, y}, term{-km * m.Alpha / m.Sigma, dy})
}

func (s DPMSolver2) weight(h float64) float64 {
	switch s.Form {
	case Taylor:
		p1, p2, _ := phi(h)
		if math.IsInf(p1, 1) { // h > 709; the ratio tends to 1/h
			return 1 / (s.R * h)
		}
		return p2 / (s.R * p1)
	case Simple:
		return 1
	}
	return 1 / (2 * s.R)
}

// NFE implements [Solver].
func (s DPMSolver2) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPMSolver2) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
