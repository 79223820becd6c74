package solvers

import "snrlab/schedules"

// DPMPP1 is DPM-Solver++ of order 1 [lu2022pp, eq. 9 with k = 1]:
//
//	x_b = (σ_b/σ_a) x_a − α_b (e^{−h} − 1) D_a,   h = log(α_b/σ_b) − log(α_a/σ_a)
//
// It is DDIM with η = 0 and Euler in σ/α without churn; the name is kept because
// tables use it. One evaluation a step.
type DPMPP1 struct{}

func (s DPMPP1) String() string { return Registry().Format("dpmpp-1", s) }

// Properties implements [Solver].
func (s DPMPP1) Properties() Properties {
	return Properties{
		Order: 1, Evals: 1, LastEvals: 1, PathFree: true, Rises: true,
		Summary:    "the same method as ddim, under its DPM-Solver++ name",
		Equation:   "x_b = (σ_b/σ_a) x_a − α_b (e^{−h} − 1) D_a",
		References: []string{"lu2022pp"},
	}
}

func (s DPMPP1) method() method {
	return method{evals: 1, step: func(w *walk) { w.euler(w.next, w.to) }}
}

// NFE implements [Solver].
func (s DPMPP1) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPMPP1) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
