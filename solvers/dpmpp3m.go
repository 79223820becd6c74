package solvers

import "snrlab/schedules"

// DPMPP3M is DPM-Solver++(3M), the three-step exponential integrator for D.
// With ℓ = log(α/σ), h = ℓ_b − ℓ_a, the two steps before in units of h as r₀
// and r₁, and φ₁, φ₂, φ₃ at −h,
//
//	d₀  = (D_a − D₁)/r₀,   d₁ = (D₁ − D₂)/r₁,   d₀₁ = (d₀ − d₁)/(r₀ + r₁)
//	x_b = (σ_b/σ_a) x_a + α_b h [φ₁ D_a + φ₂ (d₀ + r₀ d₀₁) + 2 φ₃ d₀₁]
//
// which integrates the parabola through D_a, D₁ and D₂ exactly. Order 3 with
// start = rk, one evaluation a step beside the start; the cheap start takes a
// step of order 1 (DDIM) and one of order 2 (2M), which caps the order at 2.
//
// Differs from the programs of [lu2022pp] and k-diffusion, which have φ₃ in
// place of 2 φ₃ and so a method of order 2: Published selects theirs. The order
// is lowered only in the step to σ = 0, as with their lower_order_final off.
type DPMPP3M struct {
	Opening   Opening `json:"start"`     // how the first two steps are taken
	Published bool    `json:"published"` // φ₃ in place of 2 φ₃
}

func (s DPMPP3M) String() string { return Registry().Format("dpmpp-3m", s) }

// Validate reports a start that is none.
func (s DPMPP3M) Validate() error { return checkChoice("start", openingNames, s.Opening) }

// Properties implements [Solver].
func (s DPMPP3M) Properties() Properties {
	order := 2.0
	if s.Opening == RungeKutta && !s.Published {
		order = 3
	}
	equation := "x_b = (σ_b/σ_a) x_a + α_b h [φ₁ D_a + φ₂ (d₀ + r₀ d₀₁) + 2 φ₃ d₀₁],  φ at −h"
	if s.Published {
		equation = "x_b = (σ_b/σ_a) x_a + α_b h [φ₁ D_a + φ₂ (d₀ + r₀ d₀₁) + φ₃ d₀₁],  φ at −h"
	}
	p := Properties{
		Order: order, Evals: 1, LastEvals: 1, History: 2, PathFree: true, Rises: true,
		Summary:    "three-step exponential integrator for D in log(α/σ)",
		Equation:   equation,
		References: []string{"lu2022pp"},
	}
	s.Opening.promise(&p, 3)
	return p
}

func (s DPMPP3M) method() method {
	m := method{evals: 1, history: 2, step: s.step}
	s.Opening.prepare(&m, 3)
	return m
}

func (s DPMPP3M) step(w *walk) {
	switch {
	case w.known == 2:
	case s.Opening.step(w, 3):
		return
	default:
		dpmpp2m(w)
		return
	}
	a, b := w.from, w.to
	h := halfStep(a, b)
	r0 := halfStep(w.pastLevel(0), a) / h
	r1 := halfStep(w.pastLevel(1), w.pastLevel(0)) / h
	p1, p2, p3 := phi(-h)
	second := 2 * p3
	if s.Published {
		second = p3
	}
	g := (p2*r0 + second) / (r0 + r1) // of d₀ − d₁
	k := b.Alpha * h
	w.lin(w.next,
		term{b.Sigma / a.Sigma, w.x},
		term{k * (p1 + (p2+g)/r0), w.d},
		term{-k * ((p2+g)/r0 + g/r1), w.past[0]},
		term{k * g / r1, w.past[1]})
}

// NFE implements [Solver].
func (s DPMPP3M) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPMPP3M) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
