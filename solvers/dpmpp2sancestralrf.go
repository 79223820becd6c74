package solvers

import (
	"snrlab/schedules"
	"snrlab/snr"
)

// DPMPP2SAncestralRF is the ancestral DPM-Solver++(2S) of user interfaces for
// rectified flows, sample_dpmpp_2s_ancestral_RF [comfyui2023]. With ŝ_down and ŝ_up
// of the process rf, see [Process], and ŝ_m = √(ŝ_a ŝ_down), the middle in
// log(α/σ),
//
//	ŷ   = (ŝ_m/ŝ_a) x̂_a + (1 − ŝ_m/ŝ_a) D_a
//	x̂_b = (ŝ_down/ŝ_a) x̂_a + (1 − ŝ_down/ŝ_a) D(ŷ, m) + SNoise ŝ_up z
//
// on any path. Weak order 1, 2 at η = 0, where it is dpmpp-2s; two evaluations a step,
// one out of α = 0, where it takes the limit D(ŷ, m) = D_a, and one in the step to σ = 0, which
// adds nothing. The level of m comes from the problem's schedule. The ancestral
// form of k-diffusion is [DPMSinglestep] with an η. Differs from user interfaces
// out of α = 0, where they evaluate m at σ = 0.9999.
type DPMPP2SAncestralRF struct {
	Eta    float64 `json:"eta"`    // 0 ≤ η ≤ 1
	SNoise float64 `json:"snoise"` // factor of the noise added
}

func (s DPMPP2SAncestralRF) String() string { return Registry().Format("dpmpp-2s-ancestral-rf", s) }

func (s DPMPP2SAncestralRF) up() up { return up{s.Eta, s.SNoise} }

// Validate reports settings without meaning or without effect.
func (s DPMPP2SAncestralRF) Validate() error { return s.up().validate() }

// Properties implements [Solver].
func (s DPMPP2SAncestralRF) Properties() Properties {
	p := Straight.midpoint(s.Eta, "lu2022pp")
	p.Summary = "DPM-Solver++(2S) past the target of a flow and noise back up to it"
	p.Equation = "x̂_b = (ŝ_down/ŝ_a) x̂_a + (1 − ŝ_down/ŝ_a) D_m + ŝ_up z,  ŝ_m² = ŝ_a ŝ_down,  " + Straight.equation()
	p.Ends += ", with D_m = D_a"
	return p
}

func (s DPMPP2SAncestralRF) method() method {
	return method{evals: 2, scratch: 2, first: OwnFirst, step: s.step, cost: func(at place) int {
		if at.from().Alpha == 0 {
			return 1
		}
		return 2
	}}
}

func (s DPMPP2SAncestralRF) step(w *walk) {
	a, b, y, d := w.from, w.to, w.tmp[0], w.d
	c, g := Straight.split(s.Eta, a, b)
	if a.Alpha > 0 {
		h := halfStep(a, schedules.Level{Alpha: b.Alpha, Sigma: c}) // to ŝ_down
		m := w.between(a.LogSNR() + snr.LogSNR(h))
		d = w.tmp[1]
		w.euler(y, m)
		w.eval(d, y, m)
	}
	s.up().step(w, d, c, g)
}

// NFE implements [Solver].
func (s DPMPP2SAncestralRF) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPMPP2SAncestralRF) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
