package dialects

import (
	"math"
	"slices"

	"snrlab/solvers"
)

// The ancestral classes of diffusers with two stages or for flows, and the
// predictor and corrector of Karras et al.

// midpointAncestral is DPM-Solver-2 in its simple form with noise after the step.
func midpointAncestral(eta, factor float64) solvers.Solver {
	if eta == 0 {
		factor = 1 // of no effect
	}
	return solvers.DPMSinglestep{Order: 2, Predict: solvers.PredictNoise, R: 0.5, Form: solvers.Simple, Eta: eta, SMax: math.Inf(1), SNoise: factor}
}

// diffusersKDPM2Ancestral draws at every step but the last.
func diffusersKDPM2Ancestral(r Run) (*Translation, error) {
	tr := readTraining(r.Config, kdiffBetas, 0)
	readPrediction(r.Config, tr, "epsilon", "v_prediction")
	sigmas, times := tr.veSigmas(r.Config, r.Steps, "linspace")
	if r.Config.Bool("use_karras_sigmas", false) {
		times = each(times, math.RoundToEven)
	}
	// The middle of σ_a and σ_down = σ_b²/σ_a in log σ is σ_b itself.
	between := slices.Clone(sigmas[1:])
	sigmas = withEnd(sigmas, 0)
	t := veRun(sigmas, nil, midpointAncestral(1, 1))
	t.everyStep()
	t.Draws--
	t.Tables["sigmas"] = withEnd(twice(sigmas, true), 0)
	t.Tables["sigmas_interpol"] = withEnd(twice(append(between, 0, 0), true), 0)
	labels := times[:1:1]
	for i, u := range tr.timesOf(between) {
		labels = append(labels, u, times[i+1])
	}
	t.Tables["timesteps"] = labels
	return t, nil
}

// diffusersLTX draws at every step but the one to 0.
func diffusersLTX(r Run) (*Translation, error) {
	c, set := r.Config, r.SetTimesteps
	eta, factor, size := c.Float("eta", 1), c.Float("s_noise", 1), c.Float("num_train_timesteps", 1000)
	sigmas := set.Floats("sigmas")
	if err := gridOf(flowLevel, sigmas).Validate(); err != nil {
		set.Fail("sigmas", "is no list of levels of a flow, from 1 at most down to 0: %v", err)
		return &Translation{}, nil
	}
	s := solvers.EulerAncestral{Eta: eta, SNoise: factor, Process: solvers.Straight}
	if eta == 0 {
		s = solvers.EulerAncestral{SNoise: 1}
	}
	t := &Translation{
		Grid: gridOf(flowLevel, sigmas), Solver: s,
		Tables: map[string][]float64{"sigmas": sigmas, "timesteps": each(sigmas, func(v float64) float64 { return v * size })},
	}
	if eta > 0 {
		t.everyStep()
		if sigmas[len(sigmas)-1] == 0 {
			t.Draws--
		}
	}
	return t, nil
}

// diffusersKarrasVe is Heun with churn on levels that are the squares of those
// meant. It draws at every step.
func diffusersKarrasVe(r Run) (*Translation, error) {
	c := r.Config
	lo, hi := c.Float("sigma_min", 0.02), c.Float("sigma_max", 100)
	churn := solvers.Heun{SChurn: c.Float("s_churn", 80), SMin: c.Float("s_min", 0.05), SMax: c.Float("s_max", 50), SNoise: c.Float("s_noise", 1.007)}
	if !(lo > 0 && hi > lo) || r.Steps < 2 || r.Steps > maxSteps {
		c.Fail("sigma_min", "is %g, sigma_max %g, and %d steps: expected 0 < sigma_min < sigma_max, and 2 to %d steps", lo, hi, r.Steps, maxSteps)
		return &Translation{}, nil
	}
	if churn.SChurn == 0 {
		churn = solvers.Heun(plainEuler)
	}
	levels := exponentialSigmas(lo*lo, hi*hi, r.Steps)
	t := veRun(withEnd(levels, 0), nil, churn)
	t.States = PerStep
	t.Tables = map[string][]float64{"schedule": reversed(levels)}
	t.Quirks = []string{"karras-ve-squared-levels"}
	t.everyStep()
	return t, nil
}
