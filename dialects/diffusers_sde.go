package dialects

import (
	"math"

	"snrlab/schedules"
	"snrlab/solvers"
)

// The classes of diffusers for the SDEs of Song et al. Their results carry the
// noise of the last step.

// diffusersScoreSdeVe corrects and predicts. The network is asked at
// σ_min (σ_max/σ_min)^t for n times t from 1 to sampling_eps, but the variances
// of the steps are differences of n levels for t from 1 to 0, and of 0: a step
// from σ_i leads to √(σ_i² − d_i² + d_{i+1}²).
func diffusersScoreSdeVe(r Run) (*Translation, error) {
	c := r.Config
	c.Ignore("num_train_timesteps")
	lo, hi := c.Float("sigma_min", 0.01), c.Float("sigma_max", 1348)
	times := sdeTimes(r, 1e-5)
	s := solvers.PredictorCorrector{
		Predictor: solvers.ReverseDiffusion{Last: solvers.Own},
		SNR:       c.Float("snr", 0.15), Steps: c.Int("correct_steps", 1), Size: solvers.BatchSize,
	}
	n := len(times)
	switch {
	case !(lo > 0 && hi > lo):
		c.Fail("sigma_min", "is %g and sigma_max %g: expected 0 < sigma_min < sigma_max", lo, hi)
		return nil, nil
	case n < 2:
		return nil, nil
	}
	sigmas := each(times, func(t float64) float64 { return lo * math.Pow(hi/lo, t) })
	steps := exponentialSigmas(lo, hi, n) // noisy to clean
	t := &Translation{
		Grid: gridOf(veLevel, withEnd(sigmas, 0)), Solver: s, States: PerCall, StartScale: hi,
		Tables: map[string][]float64{"timesteps": times, "sigmas": sigmas, "discrete_sigmas": reversed(steps)},
	}
	steps = withEnd(steps, 0)
	for i, sigma := range sigmas {
		left := sigma*sigma - steps[i]*steps[i] + steps[i+1]*steps[i+1]
		t.Legs = append(t.Legs, veLevel(math.Sqrt(max(left, 0))))
	}
	return t, nil
}

// diffusersScoreSdeVp takes n Euler–Maruyama steps of 1/n, although its n times
// lie (1 − sampling_eps)/(n − 1) apart: the last step ends before t = 0.
func diffusersScoreSdeVp(r Run) (*Translation, error) {
	c := r.Config
	c.Ignore("num_train_timesteps")
	sch := schedules.VPLinear{BetaMin: c.Float("beta_min", 0.1), BetaMax: c.Float("beta_max", 20)}
	times := sdeTimes(r, 1e-3)
	if err := sch.Validate(); err != nil {
		c.Fail("beta_min", "and beta_max: %v", err)
		return nil, nil
	}
	t := &Translation{
		Schedule: sch, Grid: append(gridOf(sch.At, times), sch.At(0)),
		Solver: solvers.EulerMaruyama{Variable: solvers.Time, Last: solvers.Own},
		States: PerStep, StartScale: 1,
		Tables: map[string][]float64{"timesteps": times}, Quirks: []string{"sde-vp-step-size"},
	}
	for i, at := range times {
		to := t.Grid[i+1]
		to.T = at - 1/float64(len(times))
		t.Legs = append(t.Legs, to)
	}
	return t, nil
}

// sdeTimes are n times from 1 to sampling_eps.
func sdeTimes(r Run, otherwise float64) []float64 {
	eps := r.Config.Float("sampling_eps", otherwise)
	if r.SetTimesteps.Has("sampling_eps") {
		eps = r.SetTimesteps.Float("sampling_eps", eps)
	}
	switch {
	case !(eps > 0 && eps < 1):
		r.Config.Fail("sampling_eps", "is %g: expected 0 < sampling_eps < 1", eps)
		return nil
	case r.Steps < 2 || r.Steps > maxSteps:
		r.Config.Fail("num_train_timesteps", "and %d steps: expected 2 to %d", r.Steps, maxSteps)
		return nil
	}
	return linspace(1, eps, r.Steps)
}
