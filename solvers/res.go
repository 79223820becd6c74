package solvers

import (
	"fmt"

	"snrlab/schedules"
	"snrlab/snr"
)

// RES2S is the single-step refined exponential solver [zhang2023res, algorithm
// 1]. With ℓ = log(α/σ), h = ℓ_b − ℓ_a, ℓ_m = ℓ_a + c₂ h, and φ at −h,
//
//	y   = (σ_m/σ_a) x_a + α_m c₂ h φ₁(−c₂h) D_a
//	x_b = (σ_b/σ_a) x_a + α_b h [(φ₁ − φ₂/c₂) D_a + φ₂/c₂ D(y, m)]
//
// the exponential Runge–Kutta method that meets both conditions of order 2 for
// stiff equations, where DPM-Solver++(2S) has φ₁/2 in place of φ₂. Order 2, two
// evaluations a step, one in the step to σ = 0. The level of m comes from the
// problem's schedule.
type RES2S struct {
	C2 float64 `json:"c2"` // place of m, 0 < c₂ ≤ 1
}

func (s RES2S) String() string { return Registry().Format("res-2s", s) }

// Validate reports a place outside (0, 1].
func (s RES2S) Validate() error {
	if !(s.C2 > 0 && s.C2 <= 1) {
		return fmt.Errorf("c2 = %g: expected 0 < c2 ≤ 1", s.C2)
	}
	return nil
}

// Properties implements [Solver].
func (s RES2S) Properties() Properties {
	return Properties{
		Order: 2, Evals: 2, LastEvals: 1, PathFree: true, Between: true, Rises: true,
		Summary:    "exponential Runge–Kutta for D in log(α/σ) that is of order 2 for stiff equations too",
		Equation:   "x_b = (σ_b/σ_a) x_a + α_b h [(φ₁ − φ₂/c₂) D_a + φ₂/c₂ D(y, m)],  φ at −h, ℓ_m = ℓ_a + c₂ h",
		References: []string{"zhang2023res"},
	}
}

func (s RES2S) method() method { return method{evals: 2, scratch: 2, step: s.step} }

func (s RES2S) step(w *walk) {
	y, dy := w.tmp[0], w.tmp[1]
	k := PredictData.exponent(w.from, w.to, 0)
	m := w.between(w.from.LogSNR() + snr.LogSNR(2*s.C2*k.h))
	w.euler(y, m)
	w.eval(dy, y, m)
	var p nodes
	p.add(0, w.d)
	p.add(s.C2, dy)
	w.exponential(w.next, k, w.x, &p, k.exact(&p), nil)
}

// NFE implements [Solver].
func (s RES2S) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s RES2S) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}

// RESM is the multistep refined exponential solver [zhang2023res, algorithm 3],
// the exponential Adams–Bashforth method with exact weights:
//
//	x_b = (σ_b/σ_a) x_a + α_b Σ_j w_j D_j,   Σ_j w_j D_j = ∫₀¹ h e^{−h(1−z)} P(z) dz
//
// with P the polynomial through the last answers; of order 2 the weights are
// h (φ₁ − φ₂/c₂) and h φ₂/c₂ with c₂ = (ℓ₁ − ℓ_a)/h < 0. It is UniP with the
// varying form. One evaluation a step; the cheap start caps the order at 2.
type RESM struct {
	Order   int     `json:"order"` // answers combined, 2 to 4
	Opening Opening `json:"start"` // how the first steps are taken
}

func (s RESM) String() string { return Registry().Format("res-m", s) }

// Validate reports an order outside 2 to 4, or a start without effect.
func (s RESM) Validate() error {
	if s.Order < 2 || s.Order > 4 {
		return fmt.Errorf("order = %d: expected 2 to 4", s.Order)
	}
	return s.Opening.check(s.Order)
}

// Properties implements [Solver].
func (s RESM) Properties() Properties {
	order := s.Order
	if s.Opening == Cheap {
		order = min(order, 2)
	}
	p := Properties{
		Order: float64(order), Evals: 1, LastEvals: 1, History: s.Order - 1, PathFree: true, Rises: true,
		Summary:    "exponential Adams–Bashforth for D in log(α/σ), exact weights",
		Equation:   "x_b = (σ_b/σ_a) x_a + α_b Σ_j w_j D_j,  w_j = ∫₀¹ h e^{−h(1−z)} L_j(z) dz",
		References: []string{"zhang2023res"},
	}
	s.Opening.promise(&p, s.Order)
	return p
}

func (s RESM) method() method {
	m := method{evals: 1, history: s.Order - 1, step: s.step}
	s.Opening.prepare(&m, s.Order)
	return m
}

func (s RESM) step(w *walk) {
	if s.Opening.step(w, s.Order) {
		return
	}
	at := w.place()
	w.order = min(s.Order, at.known+1)
	var p nodes
	w.answers(&p, PredictData, at, w.order)
	k := PredictData.exponent(w.from, w.to, 0)
	w.exponential(w.next, k, w.x, &p, k.exact(&p), nil)
}

// NFE implements [Solver].
func (s RESM) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s RESM) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
