package solvers

import (
	"math"

	"snrlab/schedules"
	"snrlab/snr"
)

// DPMPP2S is DPM-Solver++(2S) [lu2022pp, algorithm 1]. With ℓ = log(α/σ),
// h = ℓ_b − ℓ_a and ℓ_m = ℓ_a + r h,
//
//	y   = (σ_m/σ_a) x_a − α_m (e^{−rh} − 1) D_a
//	D̄   = (1 − 1/(2r)) D_a + 1/(2r) D(y, m)
//	x_b = (σ_b/σ_a) x_a − α_b (e^{−h} − 1) D̄
//
// Order 2 and two evaluations a step, one in the step to σ = 0. The level of m
// comes from the problem's schedule.
type DPMPP2S struct {
	R float64 `json:"r"` // place of m, 0 < r ≤ 1
}

func (s DPMPP2S) String() string { return Registry().Format("dpmpp-2s", s) }

// Validate reports an r outside (0, 1].
func (s DPMPP2S) Validate() error { return checkR(s.R) }

// Properties implements [Solver].
func (s DPMPP2S) Properties() Properties {
	return Properties{
		Order: 2, Evals: 2, LastEvals: 1, PathFree: true, Between: true, Rises: true,
		Summary:    "midpoint in log(α/σ), exponential weights for D",
		Equation:   "x_b = (σ_b/σ_a) x_a − α_b (e^{−h} − 1) [(1 − 1/(2r)) D_a + D(y, m)/(2r)],  ℓ_m = ℓ_a + r h",
		References: []string{"lu2022pp"},
	}
}

func (s DPMPP2S) method() method { return method{evals: 2, scratch: 2, step: s.step} }

func (s DPMPP2S) step(w *walk) {
	a, b, y, dy := w.from, w.to, w.tmp[0], w.tmp[1]
	h := halfStep(a, b)
	m := w.between(a.LogSNR() + snr.LogSNR(2*s.R*h))
	w.euler(y, m)
	w.eval(dy, y, m)
	gain, k := -b.Alpha*math.Expm1(-h), 1/(2*s.R)
	w.lin(w.next, term{b.Sigma / a.Sigma, w.x}, term{gain * (1 - k), w.d}, term{gain * k, dy})
}

// NFE implements [Solver].
func (s DPMPP2S) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPMPP2S) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
