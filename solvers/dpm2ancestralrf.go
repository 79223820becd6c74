package solvers

import (
	"math"

	"snrlab/schedules"
	"snrlab/snr"
)

// DPM2AncestralRF is the ancestral midpoint rule of user interfaces for rectified
// flows, sample_dpm_2_ancestral_RF [comfyui2023]. In the noise level τ = σ/(α + σ)
// and the state y = x/(α + σ) of the flow, whose slope is (y − D)/τ, it goes down
// to the τ_down of the process rf, see [Process], by way of τ_m = √(τ_a τ_down),
//
//	y_m    = y_a + (τ_m − τ_a) (y_a − D_a)/τ_a
//	y_down = y_a + (τ_down − τ_a) (y_m − D(y_m, m))/τ_m
//	x̂_b    = x̂_down + SNoise ŝ_up z
//
// on any path. Weak order 1, 2 at η = 0; two evaluations a step, out of α = 0 too,
// where τ = 1; one in the step to σ = 0, which adds nothing. The level of m comes
// from the problem's schedule. The ancestral form of the midpoint in σ/α,
// k-diffusion's, is [DPMSinglestep] with an η.
type DPM2AncestralRF struct {
	Eta    float64 `json:"eta"`    // 0 ≤ η ≤ 1
	SNoise float64 `json:"snoise"` // factor of the noise added
}

func (s DPM2AncestralRF) String() string { return Registry().Format("dpm2-ancestral-rf", s) }

func (s DPM2AncestralRF) up() up { return up{s.Eta, s.SNoise} }

// Validate reports settings without meaning or without effect.
func (s DPM2AncestralRF) Validate() error { return s.up().validate() }

// Properties implements [Solver].
func (s DPM2AncestralRF) Properties() Properties {
	p := Straight.midpoint(s.Eta, "lu2022")
	p.Summary = "midpoint in σ/(α + σ) past the target of a flow and noise back up to it"
	p.Equation = "y_down = y_a + (τ_down − τ_a) (y_m − D_m)/τ_m,  y = x/(α + σ),  τ_m² = τ_a τ_down,  x̂_b = x̂_down + ŝ_up z,  " + Straight.equation()
	return p
}

func (s DPM2AncestralRF) method() method {
	return method{evals: 2, scratch: 2, first: OwnFirst, step: s.step}
}

func (s DPM2AncestralRF) step(w *walk) {
	a, b, y, dy := w.from, w.to, w.tmp[0], w.tmp[1]
	c, g := Straight.split(s.Eta, a, b)
	// The scale of x̂_down is that of b: y_down = (α_b x̂_down)/(α_b + c).
	ra, rd := 1/(a.Alpha+a.Sigma), 1/(b.Alpha+c)
	ta, td := ra*a.Sigma, rd*c
	tm := math.Sqrt(ta * td)
	m := w.between(snr.FromSigma(tm / (1 - tm)))
	w.euler(y, m)
	w.eval(dy, y, m)
	q := (td - ta) / tm
	w.lin(w.next, term{ra / rd, w.x}, term{q / (m.Alpha + m.Sigma) / rd, y}, term{-q / rd, dy}, s.up().noise(w, g))
}

// NFE implements [Solver].
func (s DPM2AncestralRF) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPM2AncestralRF) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
