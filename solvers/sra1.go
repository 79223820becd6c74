package solvers

import (
	"math"

	"snrlab/schedules"
	"snrlab/snr"
)

// SRA1 is the two-stage stochastic Runge–Kutta method of Rößler for additive
// noise [rossler2010] on the reverse SDE, whose noise is additive, with a
// coefficient of 1, in the clock τ = e^λ:
//
//	d(τ x̂) = D dτ + dB,   x̂ = x/α
//
// A step has Δ = τ_b − τ_a, the increment ΔB, its iterated integral
// J = ∫ (B − B_a) dτ, and a stage m at λ_m = λ_a + ¾ h with h = λ_b − λ_a:
//
//	τ_m ŷ   = τ_a x̂_a + (τ_m − τ_a) D_a + J/(w Δ)
//	τ_b x̂_b = τ_a x̂_a + Δ [(1 − w) D_a + w D(ŷ, m)] + ΔB,   w = (1/(1 − e^{−h}) − 1/h) · 4/3
//
// Strong order 1.5 (2 where D is linear in x), weak order 2; two evaluations a
// step, one in those out of α = 0 and into σ = 0, which are the named ones. The
// level of m comes from the problem's schedule; no noise is asked for at it.
//
// Differs from the paper: its weight is w = ⅔ and its stage at τ_a + ¾ Δ, which
// is where w and m here tend as h → 0. With the w above a D that is linear in λ
// is integrated exactly, which matters for the long steps of sampling.
type SRA1 struct{}

func (s SRA1) String() string { return Registry().Format("sra1", s) }

// Properties implements [Solver].
func (s SRA1) Properties() Properties {
	return Properties{
		Order: 1.5, Evals: 2, LastEvals: 1, Stochastic: true, PathFree: true, Between: true,
		Summary:    "stochastic Runge–Kutta of strong order 1.5 for the reverse SDE",
		Equation:   "τ_b x̂_b = τ_a x̂_a + Δ [(1 − w) D_a + w D(ŷ, m)] + ΔB,  τ_m ŷ = τ_a x̂_a + (τ_m − τ_a) D_a + J/(w Δ),  τ = e^λ",
		References: []string{"rossler2010"},
	}
}

func (s SRA1) method() method { return method{evals: 2, scratch: 2, step: s.step} }

func (s SRA1) step(w *walk) {
	a, b, y, dy := w.from, w.to, w.tmp[0], w.tmp[1]
	w.order = 2 // of the law
	h := float64(b.LogSNR() - a.LogSNR())
	const node = 0.75
	m := w.between(a.LogSNR() + snr.LogSNR(node*h))
	span := -math.Expm1(-h) // Δ/τ_b
	weight := (1/span - 1/h) / node
	z, j := w.normalIntegral(a, b) // ΔB = √Δ z, J = Δ^{3/2} j
	root := math.Sqrt(span)        // √Δ is root/ŝ_b, and 1/τ is ŝ²
	keep := math.Exp(-node * h)    // τ_a/τ_m
	w.lin(y,
		term{m.Alpha / a.Alpha * keep, w.x}, term{m.Alpha * -math.Expm1(-node*h), w.d},
		term{m.Sigma * m.Noise() / b.Noise() * root / weight, j})
	w.eval(dy, y, m)
	w.lin(w.next,
		term{b.Alpha / a.Alpha * (1 - span), w.x},
		term{b.Alpha * span * (1 - weight), w.d}, term{b.Alpha * span * weight, dy},
		term{b.Sigma * root, z})
}

// NFE implements [Solver].
func (s SRA1) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s SRA1) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
