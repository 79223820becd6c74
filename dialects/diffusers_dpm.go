package dialects

import (
	"math"

	"snrlab/schedules"
	"snrlab/solvers"
)

// The classes of diffusers for DPM-Solver and DPM-Solver++: multistep, its
// inverse, singlestep over grid levels, and the multistep ones of EDM models.
//
// Their quirk sde3-second-difference-sign: at order 3 the SDE form for D weighs
// the second difference by H φ₃ − 1 where 2 H φ₃ is right, which leaves order 1.
// half-second-difference: elsewhere it is φ₃ where 2 φ₃ is right.

// dpmKind is what a config says of the method.
type dpmKind struct {
	order int
	form  solvers.Form
	of    solvers.Prediction
	eta   float64
}

// readDPMKind reads the method of a class that has some of the algorithms.
func readDPMKind(c *Options, algorithms ...string) dpmKind {
	k := dpmKind{order: c.Int("solver_order", 2)}
	if k.order < 1 || k.order > 3 {
		c.Fail("solver_order", "is %d: expected 1 to 3", k.order)
		k.order = 1
	}
	// The class takes the names of other classes for its default.
	if c.Text("solver_type", "midpoint", "heun", "logrho", "bh1", "bh2") == "heun" {
		k.form = solvers.Taylor
	}
	switch algorithm := c.Text("algorithm_type", algorithms[0], append(algorithms[1:], "deis")...); algorithm {
	case "dpmsolver":
		k.of = solvers.PredictNoise
	case "sde-dpmsolver":
		k.of, k.eta = solvers.PredictNoise, 1
		if k.order == 3 {
			c.Fail("solver_order", "is 3 with algorithm_type sde-dpmsolver: expected 1 or 2, the class has no third order for it")
		}
	case "sde-dpmsolver++":
		k.eta = 1
	}
	return k
}

// multistep is the solver, at order 3 with half the second difference or with
// its sign flipped, as these classes have it.
func (k dpmKind) multistep(final solvers.Final) (s solvers.DPMMultistep, quirks []string) {
	s = solvers.DPMMultistep{Order: k.order, Predict: k.of, Eta: k.eta, SNoise: 1}
	if k.order > 1 {
		s.Form, s.Final = k.form, final
	}
	if k.order == 3 {
		s.Second, quirks = solvers.HalfSecond, []string{"half-second-difference"}
		if k.eta > 0 {
			s.Second, quirks = solvers.FlippedSecond, []string{"sde3-second-difference-sign"}
		}
	}
	return s, quirks
}

// readFinalOrder reads how the order falls at the end: by lower_order_final in
// runs of fewer than 15 steps, by euler_at_final in the last step.
func readFinalOrder(c *Options, n int) solvers.Final {
	lower, euler := c.Bool("lower_order_final", true), c.Bool("euler_at_final", false)
	switch {
	case lower && n < 15:
		return solvers.FinalLower
	case euler:
		return solvers.FinalEuler
	}
	return solvers.FinalFull
}

// readDPMEnd reads what follows the last level: 0, which a method for e cannot
// be led to, or the least of the table.
func readDPMEnd(c *Options, k dpmKind, least float64) float64 {
	if c.Text("final_sigmas_type", "zero", "sigma_min") == "sigma_min" {
		return least
	}
	if k.of == solvers.PredictNoise {
		c.Fail("final_sigmas_type", "is zero with a method for noise, which the class refuses: use sigma_min")
	}
	return 0
}

// readClipped is the number of timesteps whose log(α/σ) is not below
// lambda_min_clipped, which is meant for tables that begin at almost no signal.
func readClipped(c *Options, tr training) int {
	clip := math.Inf(-1)
	if c.Has("lambda_min_clipped") {
		clip = c.Float("lambda_min_clipped", 0)
	}
	n := tr.len()
	for n > 0 && -math.Log(tr.noise(n-1)) < clip {
		n--
	}
	if n < 2 {
		c.Fail("lambda_min_clipped", "is %g: the whole table is below it", clip)
		return tr.len()
	}
	return n
}

// readDPMLevels replaces the levels of timesteps by what the config asks for.
func readDPMLevels(r Run, tr training, times []float64, kinds ...string) (sigmas, newTimes []float64, level func(float64) schedules.Level) {
	c, n, table := r.Config, len(times), tr.noises()
	kind := sigmaKind(c, kinds...)
	lo, hi := table[0], table[len(table)-1]
	switch kind {
	case "":
		return each(times, func(t float64) float64 { return interp(t, table) }), times, vpLevel
	case "flow":
		size := float64(tr.len())
		shift := c.Float("flow_shift", 1)
		if !(shift > 0) {
			c.Fail("flow_shift", "is %g: expected a number > 0", shift)
			shift = 1
		}
		move := shiftFlow(shift)
		if c.Bool("use_dynamic_shifting", false) {
			move = readTimeShift(c, r.SetTimesteps)
		}
		sigmas = each(linspace(1-1/size, 0, n+1)[:n], move)
		return sigmas, each(sigmas, func(s float64) float64 { return math.Trunc(s * size) }), flowLevel
	case "lu":
		sigmas = luSigmas(lo, hi, n)
	default:
		sigmas = respaced(kind, lo, hi, n)
	}
	newTimes = tr.timesOf(sigmas)
	if (kind == "karras" || kind == "lu") && c.Text("beta_schedule", "linear", betaKinds...) != "squaredcos_cap_v2" {
		return sigmas, each(newTimes, math.RoundToEven), vpLevel
	}
	return sigmas, each(newTimes, math.Trunc), vpLevel
}

// diffusersDPM is DPMSolverMultistepScheduler.
func diffusersDPM(r Run) (*Translation, error) {
	c := r.Config
	tr := readTraining(c, ddpmBetas, nearZeroSNR)
	readPrediction(c, tr, "epsilon", "sample", "v_prediction", "flow_prediction")
	readVariance(c)
	k := readDPMKind(c, "dpmsolver++", "dpmsolver", "sde-dpmsolver", "sde-dpmsolver++")
	times := tr.readSpacingBefore(c, "linspace", r.Steps, readClipped(c, tr))
	sigmas, times, level := readDPMLevels(r, tr, times, "karras", "lu", "exponential", "beta", "flow")
	end := readDPMEnd(c, k, tr.noise(0))
	s, quirks := k.multistep(readFinalOrder(c, len(times)))
	t := dpmRun(withEnd(sigmas, end), times, level, s, k)
	t.Quirks = append(t.Quirks, quirks...)
	if end > 0 && sigmaKind(c, "flow") == "flow" {
		t.Quirks = append(t.Quirks, "flow-ends-at-vp-level")
	}
	t.Wrap = readThreshold(c)
	return t, nil
}

// readVariance refuses networks that predict a variance too.
func readVariance(c *Options) {
	if c.Has("variance_type") {
		c.Fail("variance_type", "is given: networks with a learned variance are not translated")
	}
}

// dpmRun is a translation on levels, whose SDE forms draw at every step.
func dpmRun(sigmas, times []float64, level func(float64) schedules.Level, s solvers.Solver, k dpmKind) *Translation {
	t := &Translation{
		Grid: gridOf(level, sigmas), Solver: s, States: PerCall,
		Tables: map[string][]float64{"sigmas": sigmas, "timesteps": times},
	}
	t.Schedule = line(t.Grid.Noises())
	n := t.Grid.Steps()
	t.restAtEnd()
	if k.eta > 0 {
		t.everyStep()
		t.Draws = n
	}
	return t
}

// diffusersDPMInverse is DPMSolverMultistepInverseScheduler, which walks from
// data to noise: the steps of the other class with the levels in the other order.
func diffusersDPMInverse(r Run) (*Translation, error) {
	c, n := r.Config, r.Steps
	tr := readTraining(c, ddpmBetas, 0)
	readPrediction(c, tr, "epsilon", "sample", "v_prediction", "flow_prediction")
	readVariance(c)
	k := readDPMKind(c, "dpmsolver++", "dpmsolver")
	size := readClipped(c, tr)
	var times []float64
	switch kind := c.Text("timestep_spacing", "linspace", spacings...); {
	case n < 1 || n >= size:
		c.Fail("num_train_timesteps", "leaves %d timesteps and %d steps are asked for: expected fewer", size, n)
		return nil, nil
	case kind == "linspace":
		times = each(linspace(0, float64(size-1), n+1)[:n], math.RoundToEven)
	case kind == "leading":
		times = reversed(leading(size/(n+1), n+1, c.Int("steps_offset", 0)))[:n]
	default:
		times = reversed(trailing(size, float64(tr.len())/float64(n)))
	}
	c.Ignore("steps_offset")
	tr.checkTimes(c, times)
	sigmas, end := each(times, func(t float64) float64 { return interp(t, tr.noises()) }), tr.noise(size-1)
	if kind := sigmaKind(c, "karras", "exponential", "beta"); kind != "" {
		sigmas = reversed(respaced(kind, tr.noise(0), tr.noise(tr.len()-1), n))
		times, end = each(tr.timesOf(sigmas), math.RoundToEven), sigmas[n-1]
	}
	s, _ := k.multistep(readFinalOrder(c, n))
	t := dpmRun(withEnd(sigmas, end), times, vpLevel, s, k)
	t.Wrap = readThreshold(c)
	return t, nil
}

// diffusersDPMSinglestep is DPMSolverSinglestepScheduler. It lowers the last order
// where the steps do not fill its blocks or lead to σ = 0, asked or not, and draws
// anew for every step of a block.
func diffusersDPMSinglestep(r Run) (*Translation, error) {
	c, n := r.Config, r.Steps
	tr := readTraining(c, ddpmBetas, 0)
	readPrediction(c, tr, "epsilon", "sample", "v_prediction", "flow_prediction")
	readVariance(c)
	k := readDPMKind(c, "dpmsolver++", "dpmsolver", "sde-dpmsolver++")
	size := readClipped(c, tr)
	if n < 1 || n >= size {
		c.Fail("num_train_timesteps", "leaves %d timesteps and %d steps are asked for: expected fewer", size, n)
		return nil, nil
	}
	times := each(reversed(linspace(0, float64(size-1), n+1))[:n], math.RoundToEven)
	sigmas, times, level := readDPMLevels(r, tr, times, "karras", "exponential", "beta", "flow")
	end := readDPMEnd(c, k, tr.noise(0))
	lower := c.Bool("lower_order_final", false) || n%k.order != 0 || end == 0
	var s solvers.Solver = solvers.DPMMultistep{Order: 1, Predict: k.of, Eta: k.eta, SNoise: 1}
	if k.order > 1 {
		block := solvers.DPMGrid{Order: k.order, Predict: k.of, Form: k.form, Eta: k.eta, SNoise: 1}
		if k.eta > 0 {
			block.Draws = solvers.Apart
		}
		if lower {
			block.Final = solvers.FinalLower
		}
		s = block
	}
	t := dpmRun(withEnd(sigmas, end), times, level, s, k)
	if end > 0 && sigmaKind(c, "flow") == "flow" {
		t.Quirks = append(t.Quirks, "flow-ends-at-vp-level")
	}
	if k.eta > 0 && k.order > 1 {
		t.Quirks = append(t.Quirks, "singlestep-draws-apart")
	}
	orders := make([]float64, n)
	for i := range orders {
		orders[i] = float64(i%k.order + 1)
	}
	if lower && n%k.order == 0 || end == 0 {
		orders[n-1] = 1
	}
	t.Tables["order_list"] = orders
	t.Wrap = readThreshold(c)
	return t, nil
}

// diffusersDPMSDE is DPMSolverSDEScheduler, the two-stage sampler of k-diffusion
// with a line of its tables for every call.
func diffusersDPMSDE(r Run) (*Translation, error) {
	c := r.Config
	tr := readTraining(c, kdiffBetas, 0)
	readPrediction(c, tr, "epsilon", "sample", "v_prediction")
	c.Ignore("noise_sampler_seed")
	sigmas, times := tr.veSigmas(c, r.Steps, "linspace")
	middle := make([]float64, len(sigmas)-1)
	for i := range middle {
		middle[i] = math.Sqrt(sigmas[i] * sigmas[i+1])
	}
	labels := times[:1:1]
	for i, u := range tr.timesOf(middle) {
		labels = append(labels, u, times[i+1])
	}
	sigmas = withEnd(sigmas, 0)
	t := veRun(sigmas, labels, solvers.DPMPPSDE{R: 0.5, Eta: 1, SNoise: r.Step.Float("s_noise", 1), Draws: solvers.Apart})
	t.Tables["sigmas"] = twice(sigmas, false)
	return t, nil
}

// diffusersEDMDPM is EDMDPMSolverMultistepScheduler.
func diffusersEDMDPM(r Run) (*Translation, error) {
	sigmas, times, _ := readEDM(r)
	return edmDPM(r, sigmas, times, readDPMKind(r.Config, "dpmsolver++", "sde-dpmsolver++"))
}

// edmDPM completes a multistep run on the levels of EDM models.
func edmDPM(r Run, sigmas, times []float64, k dpmKind) (*Translation, error) {
	s, quirks := k.multistep(readFinalOrder(r.Config, len(times)))
	t := dpmRun(sigmas, times, veLevel, s, k)
	t.Quirks = append(t.Quirks, quirks...)
	t.Wrap = readThreshold(r.Config)
	return t, nil
}

// diffusersCosineDPM is CosineDPMSolverMultistepScheduler: SDE-DPM-Solver++ on
// the levels of EDM models, which it labels by the angle atan σ. Its config has
// levels of its own.
func diffusersCosineDPM(r Run) (*Translation, error) {
	c := r.Config
	c.Ignore("num_train_timesteps")
	c.Text("prediction_type", "v_prediction", "epsilon")
	lo, hi, rho := c.Float("sigma_min", 0.3), c.Float("sigma_max", 500), c.Float("rho", 7)
	if data := c.Float("sigma_data", 1); !(data > 0) {
		c.Fail("sigma_data", "is %g: expected a number > 0", data)
	}
	if !(lo > 0 && hi > lo && rho > 0) || r.Steps < 1 || r.Steps > maxSteps {
		c.Fail("sigma_min", "is %g, sigma_max %g, rho %g, and %d steps: expected 0 < sigma_min < sigma_max, rho > 0, 1 to %d steps", lo, hi, rho, r.Steps, maxSteps)
		return nil, nil
	}
	k := readDPMKind(c, "sde-dpmsolver++")
	k.eta = 1
	sigmas := exponentialSigmas(lo, hi, r.Steps)
	if c.Text("sigma_schedule", "exponential", "karras") == "karras" {
		sigmas = karrasSigmas(lo, hi, rho, r.Steps)
	}
	times := each(sigmas, func(s float64) float64 { return math.Atan(s) / math.Pi * 2 })
	end := 0.0
	if c.Text("final_sigmas_type", "zero", "sigma_min") == "sigma_min" {
		end = sigmas[r.Steps-1]
	}
	return edmDPM(r, withEnd(sigmas, end), times, k)
}
