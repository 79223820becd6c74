package solvers

import (
	"fmt"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// DPMMultistep is the multistep form of DPM-Solver and DPM-Solver++ [lu2022pp,
// algorithm 2 and appendix], and their SDE forms. With ℓ = log(α/σ), h = ℓ_b − ℓ_a,
// q₁ and q₂ the two steps before in units of h, and φ at −h, it is for D
//
//	x_b = (σ_b/σ_a) x_a + α_b h [φ₁ D_a + ½ φ₁ δ]              order 2, form = paper
//	x_b = (σ_b/σ_a) x_a + α_b h [φ₁ D_a + φ₂ δ]                order 2, form = taylor
//	x_b = (σ_b/σ_a) x_a + α_b h [φ₁ D_a + φ₂ δ' + 2 φ₃ δ'']    order 3
//
//	δ = (D_a − D₁)/q₁,   δ'' = (δ − (D₁ − D₂)/q₂)/(q₁ + q₂),   δ' = δ + q₁ δ''
//
// so that order 3 integrates the parabola through D_a, D₁ and D₂ exactly. For e
// the first term is (α_b/α_a) x_a, the factor −σ_b h, and φ is at +h. Order 1,
// the first term of each, is DDIM with η = 0.
//
// Eta > 0 solves dx̂ = (1 + η) e dŝ + √(2η ŝ |dŝ|) dw, which has the same
// marginals, with the same polynomials: with H = (1 + η) h in place of h, a
// factor e^{−ηh} before x_a and SNoise σ_b √(1 − e^{−2ηh}) z added for D; a
// factor 1 + η and SNoise σ_b √(η (e^{2h} − 1)) z for e. η = 1 is
// SDE-DPM-Solver++ and SDE-DPM-Solver; of order 1 for D it is DDIM with η = 1.
//
// One evaluation a step beside the start. Order 3 is reached with start = lean,
// one evaluation more, or rk, four more; the cheap start is a step of order 1 and
// caps the order at 2, as a last step of order 1 does (final). From nearly pure
// noise the first steps err least, and at equal evaluations the cheap start wins.
//
// Differs from the programs of [lu2022pp] and k-diffusion, which have φ₃ in
// place of 2 φ₃ and so a method of order 2: second = half is theirs, see
// [Second]. Their lower orders at the end are final = lower.
type DPMMultistep struct {
	Order   int        `json:"-"`      // 1, 2 or 3; part of the name
	Predict Prediction `json:"-"`      // part of the name: dpmpp-2m, dpm-solver-2m
	Form    Form       `json:"form"`   // weight of the slope in a step of order 2
	Opening Opening    `json:"start"`  // how the first steps are taken
	Final   Final      `json:"final"`  // the order of the last steps
	Second  Second     `json:"second"` // weight of the second difference
	Eta     float64    `json:"eta"`    // noise: 0 is the ODE, 1 the reverse SDE
	SNoise  float64    `json:"snoise"` // factor of the noise
}

// Second is the weight that [DPMMultistep] of order 3 gives to the second
// difference of the prediction.
type Second uint8

const (
	ExactSecond   Second = iota // its second moment, 2 φ₃. The default
	HalfSecond                  // half of it, φ₃, of common code: order 2
	FlippedSecond               // H φ₃ − 1 in place of 2 H φ₃, of one SDE form for D: order 1
)

var secondNames = []string{"exact", "half", "flipped"}

func (s Second) String() string { return spec.EnumName(s, secondNames) }

// MarshalText writes the name.
func (s Second) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name.
func (s *Second) UnmarshalText(b []byte) (err error) {
	*s, err = parseChoice[Second](secondNames, string(b))
	return err
}

// weights returns the weights of three answers.
func (s Second) weights(p *nodes, k exponent) [maxNodes]float64 {
	var moments [maxNodes]float64
	k.moments(moments[:p.n])
	switch s {
	case HalfSecond:
		moments[2] /= 2
	case FlippedSecond:
		moments[2] = moments[2]/2 - 1
	}
	return p.values(p.newton(moments))
}

func (s DPMMultistep) String() string {
	name := s.Predict.name(fmt.Sprintf("dpmpp-%dm", s.Order), fmt.Sprintf("dpm-solver-%dm", s.Order))
	if s.Order == 1 {
		name = s.Predict.name("dpmpp-1", "dpm-solver-1")
	}
	if s.Order < 1 || s.Order > 3 {
		return name
	}
	return Registry().Format(name, s)
}

// Validate reports settings without meaning or without effect.
func (s DPMMultistep) Validate() error {
	if s.Order < 1 || s.Order > 3 {
		return fmt.Errorf("order = %d: expected 1, 2 or 3", s.Order)
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
	if err := checkChoice("second", secondNames, s.Second); err != nil {
		return err
	}
	if err := s.Opening.check(s.Order); err != nil {
		return err
	}
	switch {
	case s.Form == Simple:
		return fmt.Errorf("form = simple: a multistep method has paper and taylor")
	case s.Order == 1 && (s.Form != Paper || s.Final != FinalFull):
		return fmt.Errorf("form = %s, final = %s have no effect with order = 1: leave them out", s.Form, s.Final)
	case s.Order < 3 && s.Second != ExactSecond:
		return fmt.Errorf("second = %s has no effect with order = %d: leave it out", s.Second, s.Order)
	case s.Predict == PredictNoise && s.Second == FlippedSecond:
		return fmt.Errorf("second = flipped: expected exact or half for the prediction of noise")
	case s.Eta > 0 && s.Opening != Cheap:
		return fmt.Errorf("start = %s with eta = %g: a start by Runge–Kutta steps adds no noise; leave it out", s.Opening, s.Eta)
	}
	return checkNoise(s.Eta, s.SNoise)
}

// Properties implements [Solver].
func (s DPMMultistep) Properties() Properties {
	order := s.Order
	switch {
	case s.Second == FlippedSecond:
		order = 1
	case s.Opening == Cheap || s.Final != FinalFull || s.Second == HalfSecond:
		order = min(order, 2)
	}
	p := Properties{
		Order: float64(order), Evals: 1, LastEvals: 1, History: s.Order - 1, PathFree: true,
		Stochastic: s.Eta > 0, Rises: s.Eta == 0,
		Summary:    s.summary(),
		Equation:   s.equation(),
		References: []string{"lu2022pp"},
	}
	if s.Predict == PredictNoise {
		p.References = []string{"lu2022", "lu2022pp"}
	}
	s.Opening.promise(&p, s.Order)
	return p
}

func (s DPMMultistep) summary() string {
	of := s.Predict.name("D", "ε")
	switch {
	case s.Order == 1 && s.Eta == 0:
		return "the same method as ddim, under its " + s.Predict.name("DPM-Solver++", "DPM-Solver") + " name"
	case s.Order == 1:
		return "one-step exponential integrator of the reverse SDE for " + of
	}
	return map[int]string{2: "two", 3: "three"}[s.Order] + "-step exponential integrator for " + of + " in log(α/σ)"
}

func (s DPMMultistep) equation() string {
	inner := map[int]string{1: "φ₁ u_a", 2: "φ₁ u_a + ½ φ₁ δ", 3: "φ₁ u_a + φ₂ δ' + 2 φ₃ δ''"}[s.Order]
	switch {
	case s.Order == 2 && s.Form == Taylor:
		inner = "φ₁ u_a + φ₂ δ"
	case s.Second == HalfSecond:
		inner = "φ₁ u_a + φ₂ δ' + φ₃ δ''"
	case s.Second == FlippedSecond:
		inner = "φ₁ u_a + φ₂ δ' + (φ₃ − 1/H) δ''"
	}
	eq := "x_b = (σ_b/σ_a) x_a + α_b h [" + inner + "],  u = D, φ at −h"
	switch {
	case s.Predict == PredictNoise && s.Eta > 0:
		eq = "x_b = (α_b/α_a) x_a − (1 + η) σ_b h [" + inner + "] + σ_b √(η (e^{2h} − 1)) z,  u = e, φ at h"
	case s.Predict == PredictNoise:
		eq = "x_b = (α_b/α_a) x_a − σ_b h [" + inner + "],  u = e, φ at h"
	case s.Eta > 0:
		eq = "x_b = (σ_b/σ_a) e^{−ηh} x_a + α_b H [" + inner + "] + σ_b √(1 − e^{−2ηh}) z,  u = D, φ at −H = −(1 + η) h"
	}
	return eq
}

func (s DPMMultistep) method() method {
	m := method{evals: 1, history: s.Order - 1, keep: s.Predict.answer(), step: s.step}
	s.Opening.prepare(&m, s.Order)
	return m
}

func (s DPMMultistep) step(w *walk) {
	if s.Opening.step(w, s.Order) {
		return
	}
	at := w.place()
	w.order = s.Final.order(at, s.Order)
	var p nodes
	w.answers(&p, s.Predict, at, w.order)
	k := s.Predict.exponent(w.from, w.to, s.Eta)
	weights := s.Form.weights(&p, k)
	if w.order == 3 {
		weights = s.Second.weights(&p, k)
	}
	var z []float64
	if s.Eta > 0 {
		k.spread *= s.SNoise
		z = w.normal(w.from, w.to)
	}
	w.exponential(w.next, k, w.x, &p, weights, z)
}

// NFE implements [Solver].
func (s DPMMultistep) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPMMultistep) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
