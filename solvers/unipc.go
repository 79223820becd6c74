package solvers

import (
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// UniPC is the unified predictor–corrector [zhao2023, algorithms 1 and 2]. With
// ℓ = log(α/σ), h = ℓ_b − ℓ_a, the levels before at r_m = (ℓ_m − ℓ_a)/h, and
// Δ_m = (D_m − D_a)/r_m, the predictor UniP-p and the corrector UniC-p are
//
//	x̃_b = (σ_b/σ_a) x_a − α_b (e^{−h} − 1) D_a − α_b B(h) Σ_{m<p} ρ_m Δ_m
//	x_b = (σ_b/σ_a) x_a − α_b (e^{−h} − 1) D_a − α_b B(h) [Σ_{m<p} ρ'_m Δ_m + ρ'_p (D(x̃_b) − D_a)]
//
// with B(h) = −h (bh1) or e^{−h} − 1 (bh2) and ρ such that p−1, p terms of the
// exponential's series are met; but ρ₁ = ½ in UniP-2 and UniC-1, the only two
// places where B matters. The varying form (vary) is exact there too: it
// integrates the polynomial through the answers. For e the same with h for −h,
// (α_b/α_a) x_a and σ_b, see [Prediction].
//
// D is evaluated once a step, at the predicted state, from which the next step
// corrects it; so the end of the run is a prediction, and a step to σ = 0 is
// taken from a corrected state. Order p+1 with start = rk, p with start = lean;
// the cheap start, of orders 1, 2, …, caps it at 3. Without the corrector order
// p, capped at 2; with DDIM for the predictor (predictor = false, UniC on DDIM)
// order 2. Orders above 4 are for exact denoisers on fine grids.
//
// Differs from the paper in the sum of the varying form, which the program of
// [zhao2023] ends one term early and so has order 1: Published selects it.
type UniPC struct {
	Order     int        `json:"order"`     // p, 1 to 6
	Variant   Variant    `json:"variant"`   // of UniP-2 and UniC-1
	Predict   Prediction `json:"predict"`   // what is interpolated
	Predictor bool       `json:"predictor"` // false: DDIM predicts
	Corrector bool       `json:"corrector"` // false: nothing is corrected
	Skip      Indices    `json:"skip"`      // steps whose end is not corrected, such as [0,1]
	Opening   Opening    `json:"start"`     // how the first p−1 steps are taken
	Final     Final      `json:"final"`     // order of the last p−1 steps
	Published bool       `json:"published"` // the last row of vary's corrector is left out
}

// Variant is the function B(h) of [UniPC].
type Variant uint8

const (
	BH1  Variant = iota // B = h
	BH2                 // B = e^h − 1, the default
	Vary                // no B: exact weights
)

var variantNames = []string{"bh1", "bh2", "vary"}

func (v Variant) String() string { return spec.EnumName(v, variantNames) }

// MarshalText writes the name.
func (v Variant) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a name.
func (v *Variant) UnmarshalText(b []byte) (err error) {
	*v, err = parseChoice[Variant](variantNames, string(b))
	return err
}

func (s UniPC) String() string { return Registry().Format("unipc", s) }

// Validate reports settings without meaning or without effect.
func (s UniPC) Validate() error {
	switch {
	case s.Order < 1 || s.Order > 6:
		return fmt.Errorf("order = %d: expected 1 to 6", s.Order)
	case s.Order == 1 && s.Final != FinalFull:
		return fmt.Errorf("final = %s has no effect with order = 1: leave it out", s.Final)
	case s.Order == 1 && !s.Predictor:
		return fmt.Errorf("predictor = false has no effect with order = 1, whose predictor is DDIM: leave it out")
	case !s.Predictor && !s.Corrector:
		return fmt.Errorf("predictor = false with corrector = false is ddim: use that")
	case !s.Corrector && s.Skip != "":
		return fmt.Errorf("skip = %s has no effect with corrector = false: leave it out", s.Skip)
	case s.Published && (s.Variant != Vary || s.Order < 2 || !s.Corrector):
		return fmt.Errorf("published = true has an effect with variant = vary, a corrector and order ≥ 2 only: leave it out")
	}
	if _, err := s.Skip.read("skip"); err != nil {
		return err
	}
	for _, err := range []error{
		checkChoice("variant", variantNames, s.Variant), checkChoice("predict", predictionNames, s.Predict),
		s.Opening.check(s.Order), checkChoice("final", finalNames, s.Final),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// Properties implements [Solver].
func (s UniPC) Properties() Properties {
	p := Properties{
		Order: s.order(), Evals: 1, LastEvals: 1, History: s.method().history, PathFree: true, Rises: true,
		Summary:    "unified predictor–corrector of any order, exponential in log(α/σ)",
		Equation:   "x_b = (σ_b/σ_a) x_a − α_b (e^{−h} − 1) D_a − α_b B(h) [Σ ρ_m (D_m − D_a)/r_m + ρ_p (D(x̃_b) − D_a)]",
		References: []string{"zhao2023"},
	}
	if s.Predict == PredictNoise {
		p.Equation = "x_b = (α_b/α_a) x_a − σ_b (e^h − 1) e_a − σ_b B(h) [Σ ρ_m (e_m − e_a)/r_m + ρ_p (e(x̃_b) − e_a)]"
	}
	s.Opening.promise(&p, s.Order)
	return p
}

// order is what local errors of the steps leave: p+1 in the step that is
// corrected with p answers, one less where it is not. A few steps of a lower
// order count one less than many.
func (s UniPC) order() float64 {
	predictor := s.Order
	if !s.Predictor {
		predictor = 1
	}
	order := predictor
	skip, _ := s.Skip.read("skip")
	if s.Corrector {
		order++
	}
	switch {
	case s.Published:
		order = 1
	case s.Final != FinalFull: // whose last step is of order 1
		order = min(order, 2)
	case s.Opening == Cheap && (!s.Corrector || skip[0]): // whose first step is of order 1
		order = min(order, 2)
	case s.Opening == Cheap: // corrected to order 2
		order = min(order, 3)
	case s.Opening == Lean:
		order = min(order, s.Order)
	}
	return float64(order)
}

func (s UniPC) method() method {
	m := method{evals: 1, history: s.Order - 1, keep: s.Predict.answer()}
	var skip map[int]bool
	if s.Corrector {
		m.history, m.carry = s.Order, 1
		skip, _ = s.Skip.read("skip")
		m.fits = func(g schedules.Grid) error {
			for i := range skip {
				if i >= g.Steps() {
					return fmt.Errorf("skip = %s: the grid has %d steps: expected numbers below that", s.Skip, g.Steps())
				}
			}
			return nil
		}
	}
	m.step = func(w *walk) { s.step(w, skip) }
	s.Opening.prepare(&m, s.Order)
	return m
}

func (s UniPC) step(w *walk, skip map[int]bool) {
	if s.Opening.step(w, s.Order) {
		return
	}
	at, x := w.place(), w.x
	if s.Corrector {
		x = w.fresh[0]
		w.pass = renew
		if w.carried && !skip[w.index-1] {
			s.correct(w, x, at.before())
			w.fixed = x
		} else {
			copy(x, w.x)
		}
	}
	w.order = s.Final.order(at, s.Order)
	if !s.Predictor {
		w.order = 1
	}
	var p nodes
	w.answers(&p, s.Predict, at, w.order)
	k := s.Predict.exponent(w.from, w.to, 0)
	w.exponential(w.next, k, x, &p, s.Variant.weights(&p, k), nil)
}

// correct writes into dst the corrected end of the step before, at a place, from
// the corrected state that it started at and the answers there and at its end.
func (s UniPC) correct(w *walk, dst []float64, at place) {
	order := s.Final.order(at, s.Order)
	var p nodes
	w.answers(&p, s.Predict, at, order)
	p.add(1, w.answer(s.Predict))
	k := s.Predict.exponent(at.from(), at.to(), 0)
	weights := s.Variant.weights(&p, k)
	if s.Published && order > 1 {
		weights = p.missingRow(k)
	}
	w.exponential(dst, k, w.carry[0], &p, weights, nil)
}

// weights returns the weights of the answers of p.
func (v Variant) weights(p *nodes, k exponent) [maxNodes]float64 {
	c := k.divided(p)
	if p.n == 2 {
		switch v {
		case BH1:
			c[1] = k.h / 2
			if k.of == PredictNoise {
				c[1] *= math.Exp(-k.h) // as its integral is
			}
		case BH2:
			c[1] = c[0] / 2
		}
	}
	return p.values(c)
}

// missingRow returns the weights of a corrector at z = 0, r₁, …, 1 whose sum
// over the powers of z ends one early: with L_m the Lagrange polynomials of the
// K places other than 0 and μ_n the integral of zⁿ,
//
//	Σ_{i<K−1} μ_{i+1} [zⁱ]L_m  for Δ_m,   μ_K/K · [z^{K−2}]L_K  for D(x̃_b) − D_a
func (p *nodes) missingRow(e exponent) (w [maxNodes]float64) {
	var moments [maxNodes]float64
	k, z := p.n-1, p.z[:p.n]
	e.moments(moments[:p.n])
	w[0] = moments[0]
	for m := 1; m <= k; m++ {
		// L_m from the constant up.
		l, n, scale := [maxNodes]float64{1}, 1, 1.0
		for j := 1; j <= k; j++ {
			if j == m {
				continue
			}
			for i := n; i > 0; i-- {
				l[i] = l[i-1] - z[j]*l[i]
			}
			l[0] *= -z[j]
			scale /= z[m] - z[j]
			n++
		}
		c := 0.0
		if m == k {
			c = moments[k] / float64(k) * l[k-2]
		} else {
			for i := range k - 1 {
				c += moments[i+1] * l[i]
			}
		}
		w[m] = c * scale / z[m]
		w[0] -= w[m]
	}
	return w
}

// NFE implements [Solver].
func (s UniPC) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s UniPC) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
