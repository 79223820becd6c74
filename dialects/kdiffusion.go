package dialects

import (
	"math"

	"snrlab/schedules"
	"snrlab/solvers"
)

// The schedules and the simple samplers of k-diffusion [crowson2022]. States are
// x₀ + σε, every schedule ends with 0, and n is the number of steps.

// kSchedules are the functions get_sigmas_…, and a list of levels.
var kSchedules = []string{"karras", "exponential", "polyexponential", "vp", "list"}

// kSchedule reads the levels of a run from the arguments of one of them.
func kSchedule(r Run, name string) []float64 {
	o := r.Schedule
	if name == "list" {
		return kList(o)
	}
	if r.Steps < 1 || r.Steps > maxSteps {
		o.Fail("n", "is %d steps: expected 1 to %d", r.Steps, maxSteps)
		return []float64{1, 0}
	}
	if name == "vp" {
		bd, bm, eps := o.Float("beta_d", 19.9), o.Float("beta_min", 0.1), o.Float("eps_s", 1e-3)
		return withEnd(vpSigmas(bd, bm, eps, r.Steps), 0)
	}
	lo, hi := o.Float("sigma_min", 0), o.Float("sigma_max", 0)
	if !(lo > 0 && hi > lo) {
		o.Fail("sigma_min", "is %g and sigma_max %g: expected 0 < sigma_min < sigma_max", lo, hi)
		return []float64{1, 0}
	}
	switch name {
	case "karras":
		return withEnd(karrasSigmas(lo, hi, kRho(o, 7), r.Steps), 0)
	case "exponential":
		return withEnd(exponentialSigmas(lo, hi, r.Steps), 0)
	case "polyexponential":
		return withEnd(polyexponentialSigmas(lo, hi, kRho(o, 1), r.Steps), 0)
	}
	o.Fail("name", "is missing: expected karras, exponential, polyexponential or vp")
	return []float64{1, 0}
}

// kList reads levels that are written out.
func kList(o *Options) []float64 {
	sigmas := o.Floats("sigmas")
	if err := gridOf(veLevel, sigmas).Validate(); err != nil {
		o.Fail("sigmas", "is no list of levels: %v", err)
		return []float64{1, 0}
	}
	return sigmas
}

// maxSteps bounds the steps of a run, so that a slip of the keyboard is an error.
const maxSteps = 1_000_000

func kRho(o *Options, otherwise float64) float64 {
	rho := o.Float("rho", otherwise)
	if !(rho > 0) {
		o.Fail("rho", "is %g: expected a number > 0", rho)
		return otherwise
	}
	return rho
}

// polyexponentialSigmas spaces log σ by a power of a ramp.
func polyexponentialSigmas(lo, hi, rho float64, n int) []float64 {
	return each(linspace(1, 0, n), func(u float64) float64 {
		return math.Exp(math.Log(lo) + math.Pow(u, rho)*(math.Log(hi)-math.Log(lo)))
	})
}

// vpSigmas is uniform in the time of a process with linear β.
func vpSigmas(bd, bm, eps float64, n int) []float64 {
	return each(linspace(1, eps, n), func(t float64) float64 { return math.Sqrt(math.Expm1(t * (bd*t/2 + bm))) })
}

// kRun is the translation of a sampler that goes through all levels.
func kRun(r Run, s func(o *Options) solvers.Solver) (*Translation, error) {
	sigmas := kSchedule(r, r.Schedule.Text("name", "", kSchedules...))
	return &Translation{
		Schedule: line(sigmas),
		Spacing:  kSpacing(r.Schedule),
		Grid:     gridOf(veLevel, sigmas),
		Solver:   s(r.Args),
		Tables:   map[string][]float64{"sigmas": sigmas},
	}, nil
}

// kSpacing is the same schedule as a spacing of ours, nil for vp.
func kSpacing(o *Options) schedules.Spacing {
	lo, hi := o.Float("sigma_min", 0), o.Float("sigma_max", 0)
	switch o.Text("name", "", kSchedules...) {
	case "karras":
		return schedules.Karras{Rho: o.Float("rho", 7), SMin: lo, SMax: hi, Last: schedules.LastZero}
	case "exponential":
		return schedules.UniformLambda{SMin: lo, SMax: hi, Last: schedules.LastZero}
	case "polyexponential":
		return schedules.Polyexponential{Rho: o.Float("rho", 1), SMin: lo, SMax: hi, Last: schedules.LastZero}
	}
	return nil
}

// kChurned is a sampler with churn, which draws at every step, used or not.
func kChurned(r Run, s func(churn solvers.Euler) solvers.Solver) (*Translation, error) {
	t, err := kRun(r, func(o *Options) solvers.Solver { return s(readChurn(o, "s_churn", "s_tmin", "s_tmax", "s_noise")) })
	if t != nil {
		t.everyStep()
	}
	return t, err
}

// everyStep is the draw plan of a program that draws once a step whether it
// adds the noise or not.
func (t *Translation) everyStep() {
	t.Draws = t.Grid.Steps()
	t.Draw = func(step, _ int) int { return step }
}

// readChurn reads the stochasticity of [karras2022, algorithm 2].
func readChurn(o *Options, churn, tmin, tmax, noise string) solvers.Euler {
	c := solvers.Euler{SChurn: o.Float(churn, 0), SMin: o.Float(tmin, 0), SMax: o.Float(tmax, math.Inf(1)), SNoise: o.Float(noise, 1)}
	if c.SChurn == 0 { // without churn its settings have no effect
		return solvers.Euler{SMax: math.Inf(1), SNoise: 1}
	}
	return c
}

func kEuler(r Run) (*Translation, error) {
	return kChurned(r, func(c solvers.Euler) solvers.Solver { return c })
}

func kHeun(r Run) (*Translation, error) {
	return kChurned(r, func(c solvers.Euler) solvers.Solver { return solvers.Heun(c) })
}

func kDPM2(r Run) (*Translation, error) {
	return kChurned(r, func(c solvers.Euler) solvers.Solver { return midpoint(c, 0.5) })
}

// midpoint is DPM-Solver-2 in its simple form with churn.
func midpoint(c solvers.Euler, r float64) solvers.Solver {
	return solvers.DPMSinglestep{Order: 2, Predict: solvers.PredictNoise, R: r, Form: solvers.Simple, SChurn: c.SChurn, SMin: c.SMin, SMax: c.SMax, SNoise: c.SNoise}
}

// kEulerAncestral draws at every step but the one to 0.
func kEulerAncestral(r Run) (*Translation, error) {
	t, err := kRun(r, func(o *Options) solvers.Solver {
		eta, factor := o.Float("eta", 1), o.Float("s_noise", 1)
		if eta == 0 {
			factor = 1 // of no effect
		}
		return solvers.EulerAncestral{Eta: eta, SNoise: factor}
	})
	if t != nil {
		t.everyStep()
		t.Draws--
	}
	return t, err
}

func kLMS(r Run) (*Translation, error) {
	return kRun(r, func(o *Options) solvers.Solver { return lms(o, o.Int("order", 4)) })
}

// lms is Adams–Bashforth with exact weights in σ.
func lms(o *Options, order int) solvers.Solver {
	switch {
	case order == 1:
		return solvers.Euler{SMax: math.Inf(1), SNoise: 1}
	case order >= 2 && order <= 4:
		return solvers.AdamsBashforth{Order: order, Last: solvers.Own}
	}
	o.Fail("order", "is %d: expected 1 to 4", order)
	return nil
}
