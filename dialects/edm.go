package dialects

import (
	"snrlab/schedules"
	"snrlab/solvers"
)

// edmSampler is the stochastic sampler of EDM [karras2022, algorithm 2]. It draws
// at every step, also where it adds nothing.
func edmSampler(r Run) (*Translation, error) {
	o := r.Args
	lo, hi, rho := o.Float("sigma_min", 0.002), o.Float("sigma_max", 80), o.Float("rho", 7)
	if !(lo > 0 && hi > lo && rho > 0) || r.Steps < 2 || r.Steps > maxSteps {
		o.Fail("sigma_min", "is %g, sigma_max %g, rho %g, and %d steps: expected 0 < sigma_min < sigma_max, rho > 0, 2 to %d steps", lo, hi, rho, r.Steps, maxSteps)
		return &Translation{}, nil
	}
	sigmas := withEnd(karrasSigmas(lo, hi, rho, r.Steps), 0)
	t := &Translation{
		Schedule: line(sigmas), Spacing: schedules.Karras{Rho: rho, SMin: lo, SMax: hi, Last: schedules.LastZero},
		Grid: gridOf(veLevel, sigmas), Solver: solvers.Heun(readChurn(o, "S_churn", "S_min", "S_max", "S_noise")),
		StartScale: sigmas[0], Tables: map[string][]float64{"t_steps": sigmas},
	}
	t.everyStep()
	return t, nil
}
