package solvers

import (
	"math"

	"snrlab/schedules"
)

// DPMPP2M is DPM-Solver++(2M) [lu2022pp, algorithm 2]. With half log-SNR
// ℓ = log(α/σ), h = ℓ_b − ℓ_a and q = h_prev/h,
//
//	D̄   = D_a + (D_a − D_prev)/(2q)
//	x_b = (σ_b/σ_a) x_a − α_b (e^{−h} − 1) D̄
//
// Order 2, one evaluation a step. The first step has D̄ = D_a, which is exact
// in the limit of a previous level at α = 0 too.
type DPMPP2M struct{}

func (s DPMPP2M) String() string { return Registry().Format("dpmpp-2m", s) }

// Properties implements [Solver].
func (s DPMPP2M) Properties() Properties {
	return Properties{
		Order: 2, Evals: 1, LastEvals: 1, History: 1, PathFree: true, Rises: true,
		Summary:    "two-step exponential integrator for D in log(α/σ)",
		Equation:   "x_b = (σ_b/σ_a) x_a − α_b (e^{−h} − 1) [D_a + (D_a − D₁)/(2q)],  q = h₁/h",
		References: []string{"lu2022pp"},
	}
}

func (s DPMPP2M) method() method {
	return method{evals: 1, history: 1, step: dpmpp2m}
}

func dpmpp2m(w *walk) {
	if w.known == 0 {
		w.order = 1
		w.euler(w.next, w.to)
		return
	}
	h, prev := halfStep(w.from, w.to), halfStep(w.pastLevel(0), w.from)
	k, gain := h/(2*prev), -w.to.Alpha*math.Expm1(-h)
	w.order = 2
	w.lin(w.next,
		term{w.to.Sigma / w.from.Sigma, w.x},
		term{gain * (1 + k), w.d}, term{-gain * k, w.past[0]})
}

// NFE implements [Solver].
func (s DPMPP2M) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPMPP2M) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
