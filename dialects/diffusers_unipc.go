package dialects

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"snrlab/schedules"
	"snrlab/solvers"
)

// UniPCMultistepScheduler and SASolverScheduler: predictor–corrector pairs on
// states of the table's own scale, written down as they are predicted. At each
// call the network sees a prediction, from which the step corrects it.

// multistepLevels reads what the two have in common: the levels of an n-step run
// without the last, their timesteps, and the table's and a respaced run's own end.
func multistepLevels(r Run) (sigmas, times []float64, end float64, level func(float64) schedules.Level) {
	c, n := r.Config, r.Steps
	tr := readTraining(c, ddpmBetas, nearZeroSNR)
	readPrediction(c, tr, "epsilon", "sample", "v_prediction", "flow_prediction")
	kind := sigmaKind(c, "karras", "exponential", "beta", "flow")
	times = tr.readSpacingBefore(c, "linspace", n, tr.len())
	table := tr.noises()
	shift := c.Float("flow_shift", 1)
	level = vpLevel
	if n < 1 || n > maxSteps {
		c.Fail("num_train_timesteps", "and %d steps: expected 1 to %d steps", n, maxSteps)
		return []float64{1}, []float64{0}, 0.5, level
	}
	switch kind {
	case "":
		sigmas, end = each(times, func(t float64) float64 { return interp(t, table) }), table[0]
	case "flow":
		size := tr.len()
		if !(shift > 0) {
			c.Fail("flow_shift", "is %g: expected a shift > 0", shift)
			return []float64{0.5}, []float64{0}, 0.25, flowLevel
		}
		move := shiftFlow(shift)
		if c.Bool("use_dynamic_shifting", false) {
			move = readTimeShift(c, r.SetTimesteps)
		}
		sigmas = each(linspace(1, 1/float64(size), n+1)[:n], move)
		sigmas[0] = min(sigmas[0], 1-1e-6) // where the class keeps λ finite
		times = each(sigmas, func(s float64) float64 { return math.Trunc(s * float64(size)) })
		end, level = sigmas[n-1], flowLevel
	default:
		sigmas = respaced(kind, table[0], table[len(table)-1], n)
		whole := math.Trunc
		if kind == "karras" {
			whole = math.RoundToEven
		}
		times = each(tr.timesOf(sigmas), whole)
		end = sigmas[n-1]
	}
	return sigmas, times, end, level
}

// diffusersUniPC lowers the order at the end by default, where the run goes to
// σ = 0 and only order 1 has a limit.
func diffusersUniPC(r Run) (*Translation, error) {
	c := r.Config
	sigmas, times, end, level := multistepLevels(r)
	if c.Text("final_sigmas_type", "zero", "sigma_min") == "zero" {
		end = 0
	}
	s := solvers.UniPC{Order: c.Int("solver_order", 2), Variant: solvers.BH2, Predictor: true, Corrector: true}
	if c.Text("solver_type", "bh2", "bh1", "midpoint", "heun", "logrho") == "bh1" {
		s.Variant = solvers.BH1
	}
	if !c.Bool("predict_x0", true) {
		s.Predict = solvers.PredictNoise
	}
	if s.Order < 1 || s.Order > 6 {
		c.Fail("solver_order", "is %d: expected 1 to 6", s.Order)
		s.Order = 1
	}
	if lower := c.Bool("lower_order_final", true); lower && s.Order > 1 {
		s.Final = solvers.FinalLower
	} else if !lower && s.Order > 1 && end == 0 {
		c.Fail("lower_order_final", "is false with final_sigmas_type zero: at σ = 0 only order 1 has a limit; use sigma_min")
	}
	if c.Has("solver_p") {
		c.Fail("solver_p", "is given: a predictor of another class has no equal here")
	}
	sigmas = withEnd(sigmas, end)
	s.Skip = readSkip(c.Ints("disable_corrector"), len(sigmas)-1)
	return &Translation{
		Schedule: line(sigmas), Grid: gridOf(level, sigmas), Solver: s, Wrap: readThreshold(c),
		Tables: map[string][]float64{"sigmas": sigmas, "timesteps": times},
	}, nil
}

// readSkip is a list of steps as a solver spells it. The program takes numbers
// beyond its n steps, which change nothing.
func readSkip(steps []int, n int) solvers.Indices {
	steps = slices.DeleteFunc(steps, func(i int) bool { return i >= n })
	if len(steps) == 0 {
		return ""
	}
	return solvers.Indices("[" + strings.ReplaceAll(strings.Trim(fmt.Sprint(steps), "[]"), " ", ",") + "]")
}

// diffusersSASolver draws at every step, also where τ = 0. A respaced run takes
// its last level twice: the step between the two only corrects the state.
func diffusersSASolver(r Run) (*Translation, error) {
	c := r.Config
	sigmas, times, end, level := multistepLevels(r)
	if sigmaKind(c, "karras", "exponential", "beta", "flow") == "flow" {
		sigmas, times = flowBelowOne(c, r.Steps)
		end = sigmas[len(sigmas)-1]
	}
	s := solvers.SASolver{
		Predictor: c.Int("predictor_order", 2), Corrector: c.Int("corrector_order", 2),
		Tau: c.Float("tau", 1), SMax: math.Inf(1), Variant: solvers.BH1,
	}
	if c.Text("algorithm_type", "data_prediction", "noise_prediction") == "noise_prediction" {
		s.Predict, s.Variant = solvers.PredictNoise, solvers.Vary
	}
	if s.Predictor < 1 || s.Predictor > 4 || s.Corrector < 1 || s.Corrector > 4 {
		c.Fail("predictor_order", "is %d and corrector_order %d: expected 1 to 4 of each", s.Predictor, s.Corrector)
		s.Predictor, s.Corrector = 1, 1
	}
	lower := c.Bool("lower_order_final", true)
	t := &Translation{
		Wrap: readThreshold(c), Draws: r.Steps, Draw: func(step, _ int) int { return step },
		Tables: map[string][]float64{"sigmas": withEnd(sigmas, end), "timesteps": times},
	}
	if last := sigmas[len(sigmas)-1]; last == end {
		if len(sigmas) < 2 {
			c.Fail("use_karras_sigmas", "gives one step of no length: expected two levels")
			return t, nil
		}
		s.CorrectEnd = true
		t.States = PerCall
		t.Quirks = []string{"zero-length-last-step"}
		if lower && (s.Predictor > 2 || s.Corrector > 3) {
			c.Fail("lower_order_final", "is true on respaced levels with predictor_order %d and corrector_order %d: above 2 and 3 the orders fall as if the step of no length were one", s.Predictor, s.Corrector)
		}
		lower = false
	} else {
		sigmas = withEnd(sigmas, end)
	}
	if lower && max(s.Predictor, s.Corrector-1) > 1 {
		s.Final = solvers.FinalLower
	}
	t.Grid, t.Schedule = gridOf(level, sigmas), line(sigmas)
	// τ is a function of the timestep, 0 outside 200 to 800.
	var noisy []float64
	for i, at := range times[:len(t.Grid)-1] {
		if at >= 200 && at <= 800 {
			noisy = append(noisy, t.Grid[i].Noise())
		}
	}
	switch {
	case !(s.Tau >= 0) || math.IsInf(s.Tau, 1):
		c.Fail("tau", "is %g: expected a finite number ≥ 0", s.Tau)
	case len(noisy) == 0:
		s.Tau = 0
	case s.Tau > 0:
		s.SMin, s.SMax = slices.Min(noisy), slices.Max(noisy)
	}
	t.Solver = s
	return t, nil
}
