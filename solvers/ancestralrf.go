package solvers

import (
	"math"

	"snrlab/schedules"
	"snrlab/snr"
)

// AncestralRF is an ancestral method of two evaluations for rectified flows, of user
// interfaces [comfyui2023]: it goes down to the level of the process rf, see
// [Process], by way of a middle m, and noise comes back up,
//
//	x̂_b = x̂_down + SNoise ŝ_up z
//
// on any path. dpm2-ancestral-rf, sample_dpm_2_ancestral_RF, is the midpoint rule in
// the noise level τ = σ/(α + σ) and the state y = x/(α + σ) of the flow, whose slope
// is (y − D)/τ; with τ_m = √(τ_a τ_down),
//
//	y_m    = y_a + (τ_m − τ_a) (y_a − D_a)/τ_a
//	y_down = y_a + (τ_down − τ_a) (y_m − D(y_m, m))/τ_m
//
// dpmpp-2s-ancestral-rf, sample_dpmpp_2s_ancestral_RF, is DPM-Solver++(2S); with
// ŝ_m = √(ŝ_a ŝ_down), the middle in log(α/σ),
//
//	ŷ      = (ŝ_m/ŝ_a) x̂_a + (1 − ŝ_m/ŝ_a) D_a
//	x̂_down = (ŝ_down/ŝ_a) x̂_a + (1 − ŝ_down/ŝ_a) D(ŷ, m)
//
// Weak order 1, 2 at η = 0, where the latter is dpmpp-2s. Two evaluations a step, and
// one in the step to σ = 0, which adds nothing. Out of α = 0, where τ = 1, the
// former's formula holds; the latter takes its limit D(ŷ, m) = D_a with one
// evaluation. The level of m comes from the problem's schedule. The ancestral forms
// in σ/α, k-diffusion's, are [DPMSinglestep] with an η. Differs from user interfaces
// out of α = 0 in the latter, where they evaluate m at σ = 0.9999.
type AncestralRF struct {
	Predict Prediction `json:"-"`      // part of the name: dpmpp-2s-ancestral-rf, dpm2-ancestral-rf
	Eta     float64    `json:"eta"`    // 0 ≤ η ≤ 1
	SNoise  float64    `json:"snoise"` // factor of the noise added
}

func (s AncestralRF) String() string {
	return Registry().Format(s.Predict.name("dpmpp-2s-ancestral-rf", "dpm2-ancestral-rf"), s)
}

func (s AncestralRF) up() up { return up{s.Eta, s.SNoise} }

// Validate reports settings without meaning or without effect.
func (s AncestralRF) Validate() error {
	if err := checkChoice("prediction", predictionNames, s.Predict); err != nil {
		return err
	}
	return s.up().validate()
}

// Properties implements [Solver].
func (s AncestralRF) Properties() Properties {
	order := 1.0
	if s.Eta == 0 {
		order = 2
	}
	p := Properties{
		Order: order, Evals: 2, LastEvals: 1, PathFree: true, Between: true, OwnFirst: true, Stochastic: s.Eta > 0, Rises: s.Eta == 0,
		Summary:    "midpoint in σ/(α + σ) past the target of a flow and noise back up to it",
		Equation:   "y_down = y_a + (τ_down − τ_a) (y_m − D_m)/τ_m,  y = x/(α + σ),  τ_m² = τ_a τ_down,  x̂_b = x̂_down + ŝ_up z,  " + Straight.equation(),
		Ends:       OwnFirst.ends(),
		References: Straight.references(s.Predict.name("lu2022pp", "lu2022")),
	}
	if s.Predict == PredictData {
		p.Summary = "DPM-Solver++(2S) past the target of a flow and noise back up to it"
		p.Equation = "x̂_b = (ŝ_down/ŝ_a) x̂_a + (1 − ŝ_down/ŝ_a) D_m + ŝ_up z,  ŝ_m² = ŝ_a ŝ_down,  " + Straight.equation()
		p.Ends += ", with D_m = D_a"
	}
	return p
}

func (s AncestralRF) method() method {
	m := method{evals: 2, scratch: 2, first: OwnFirst, step: s.midpoint}
	if s.Predict == PredictData {
		m.step = s.singlestep
		m.cost = func(at place) int {
			if at.from().Alpha == 0 {
				return 1
			}
			return 2
		}
	}
	return m
}

// midpoint is the step in τ.
func (s AncestralRF) midpoint(w *walk) {
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

// singlestep is the step in log(α/σ).
func (s AncestralRF) singlestep(w *walk) {
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
func (s AncestralRF) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s AncestralRF) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
