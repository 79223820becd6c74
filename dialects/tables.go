package dialects

import (
	"errors"
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/models"
)

// Tables are named lists of numbers that another program computes.
type Tables map[string][]float64

// tabled is one function of another program that makes tables.
type tabled struct {
	peer, function string
	make           func(o *Options) Tables
}

// functions lists the tables that are no part of a run.
func functions() []tabled {
	return []tabled{
		{"k-diffusion", "get_sigmas_karras", kFunction("karras")},
		{"k-diffusion", "get_sigmas_exponential", kFunction("exponential")},
		{"k-diffusion", "get_sigmas_polyexponential", kFunction("polyexponential")},
		{"k-diffusion", "get_sigmas_vp", kFunction("vp")},
		{"k-diffusion", "Denoiser", kDenoiser},
		{"k-diffusion", "VDenoiser", kVDenoiser},
		{"k-diffusion", "DiscreteEpsDDPMDenoiser", kDiscrete},
		{"diff-sampler", "get_schedule", dsFunction},
		{"edm", "ablation_sampler", edmDiscretization},
		{"dpm-solver", "get_time_steps", dpmTimeSteps},
		{"dpm-solver", "get_orders_and_timesteps_for_singlestep_solver", dpmSinglestep},
		{"deis", "get_rev_ts", deisTimes},
		{"dpm-solver", "dynamic_thresholding_fn", dpmThreshold},
		{"diffusers", "_threshold_sample", diffusersThreshold},
		{"diffusers", "betas", diffusersBetas},
		{"diffusers", "compute_snr", diffusersMinSNR},
	}
}

// Function computes the tables of a function of another program from its
// arguments.
func Function(peer, function string, args *Options) (Tables, error) {
	var names []string
	for _, f := range functions() {
		if f.peer != peer {
			continue
		}
		if names = append(names, f.function); f.function != function {
			continue
		}
		args.name = "args"
		t := f.make(args)
		if err := args.check(); err != nil {
			return nil, fmt.Errorf("dialects: %s %s: %w", peer, function, err)
		}
		return t, nil
	}
	return nil, fmt.Errorf("dialects: %s has no table function %q%s", peer, function, spec.Suggest(function, names))
}

func kFunction(name string) func(o *Options) Tables {
	return func(o *Options) Tables {
		return Tables{"values": kSchedule(Run{Steps: o.Int("n", 0), Schedule: o}, name)}
	}
}

func dsFunction(o *Options) Tables {
	if o.Text("schedule_type", "polynomial", "logsnr", "time_uniform", "discrete") == "discrete" {
		// With a network whose time is σ.
		lo, hi, rho := o.Float("sigma_min", 0.002), o.Float("sigma_max", 80), o.Float("schedule_rho", 7)
		return Tables{"values": each(linspace(hi, math.Pow(lo, 1/rho), o.Int("num_steps", 2)), func(r float64) float64 { return math.Pow(r, rho) })}
	}
	sigmas, _ := dsSchedule(Run{Steps: o.Int("num_steps", 0), Schedule: o})
	return Tables{"values": sigmas}
}

// edmDiscretization has the levels before the last, at the default ranges.
func edmDiscretization(o *Options) Tables {
	n := o.Int("num_steps", 18)
	if n < 2 || n > maxSteps {
		o.Fail("num_steps", "is %d: expected 2 to %d", n, maxSteps)
		return nil
	}
	switch o.Text("discretization", "edm", "vp", "ve", "iddpm") {
	case "vp":
		return Tables{"values": vpSigmas(19.9, 0.1, 1e-3, n)}
	case "ve":
		return Tables{"values": exponentialSigmas(0.02, 100, n)}
	case "iddpm":
		return Tables{"values": iddpmSigmas(0.002, 81, 1000, 0.001, 0.008, n)}
	}
	return Tables{"values": karrasSigmas(0.002, 80, 7, n)}
}

// dpmTimes reads the arguments that both functions of DPM-Solver share.
func dpmTimes(o *Options) (s vpTimes, skip string, from, to float64) {
	nested := o.Options("schedule")
	s = readVPTimes(nested)
	o.errs = append(o.errs, nested.check())
	return s, o.Text("skip_type", "time_uniform", skipTypes...), 1, 1 / float64(s.total)
}

func dpmTimeSteps(o *Options) Tables {
	s, skip, from, to := dpmTimes(o)
	n := o.Int("n", 10)
	if n < 1 || n > maxSteps {
		o.Fail("n", "is %d: expected 1 to %d", n, maxSteps)
		return nil
	}
	t := Tables(s.tables(s.between(skip, from, to, n)))
	t["values"], t["total_N"] = t["t_steps"], []float64{float64(s.total)}
	delete(t, "t_steps")
	return t
}

func dpmSinglestep(o *Options) Tables {
	s, skip, from, to := dpmTimes(o)
	steps, order := o.Int("steps", 9), o.Int("order", 3)
	if steps < 1 || steps > maxSteps || order < 1 || order > 3 {
		o.Fail("order", "is %d and steps %d: expected 1 to 3, and 1 to %d", order, steps, maxSteps)
		return nil
	}
	orders := singlestepOrders(steps, order)
	t := Tables{"values": s.singlestep(skip, from, to, orders)}
	for _, v := range orders {
		t["orders"] = append(t["orders"], float64(v))
	}
	return t
}

func diffusersThreshold(o *Options) Tables {
	t := threshold{o.Float("dynamic_thresholding_ratio", 0.995), 1, o.Float("sample_max_value", 1)}
	return thresholdRows(o, t)
}

// dpmThreshold has no ceiling: the quantile is at least the given value.
func dpmThreshold(o *Options) Tables {
	t := threshold{o.Float("dynamic_thresholding_ratio", 0.995), o.Float("thresholding_max_val", 1), math.Inf(1)}
	return thresholdRows(o, t)
}

func thresholdRows(o *Options, t threshold) Tables {
	x := read(o, "x", Array{}, "a list of samples", nil)
	if x.Len() == 0 {
		o.Fail("x", "has no rows")
		return nil
	}
	for i := range x.Len() {
		t.apply(x.At(i))
	}
	return Tables{"y": x.Values}
}

// diffusersBetas is the table that a class is built on.
func diffusersBetas(o *Options) Tables {
	floor, defaults := 0.0, ddpmBetas
	switch o.Text("scheduler", "DDPMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler") {
	case "EulerDiscreteScheduler":
		floor = nearZeroSNR
	case "HeunDiscreteScheduler":
		defaults = kdiffBetas
	}
	tr := readTraining(o, defaults, floor)
	t := Tables{}
	before := 0.0
	for i, l := range tr.logAlphaBar {
		t["betas"] = append(t["betas"], -math.Expm1(l-before))
		t["alphas_cumprod"] = append(t["alphas_cumprod"], math.Exp(l))
		t["log_snr"] = append(t["log_snr"], l-math.Log(-math.Expm1(l)))
		if before = l; i == tr.len()-1 && floor > 0 {
			t["betas"][i] = 1 // the floor is set afterwards
		}
	}
	if !o.Bool("rescale_betas_zero_snr", false) && floor > 0 {
		last := tr.len() - 1
		t["betas"][last] = -math.Expm1(tr.logAlphaBar[last] - tr.logAlphaBar[last-1])
	}
	return t
}

// diffusersMinSNR has the min-SNR-γ weights of the training scripts at timesteps.
func diffusersMinSNR(o *Options) Tables {
	tr := readTraining(o, ddpmBetas, 0)
	gamma := o.Float("gamma", 5)
	t := Tables{}
	for _, i := range o.Ints("timesteps") {
		if i < 0 || i >= tr.len() {
			o.Fail("timesteps", "has %d: expected 0 to %d", i, tr.len()-1)
			return nil
		}
		snr := 1 / math.Expm1(-tr.logAlphaBar[i])
		t["snr"] = append(t["snr"], snr)
		t["weight_epsilon"] = append(t["weight_epsilon"], min(snr, gamma)/snr)
		t["weight_v"] = append(t["weight_v"], min(snr, gamma)/(snr+1))
		t["weight_sample"] = append(t["weight_sample"], min(snr, gamma))
	}
	return t
}

// kDenoiser has the preconditioning and the loss weights of k-diffusion.
func kDenoiser(o *Options) Tables {
	p := models.EDM{SigmaData: o.Float("sigma_data", 1)}
	weighting := o.Text("weighting", "karras", "soft-min-snr", "snr")
	t := Tables{}
	for _, s := range o.Floats("sigma") {
		skip, out, err := p.Decode(veLevel(s))
		o.errs = append(o.errs, err)
		in, _ := p.Input(veLevel(s))
		weight := 1.0
		switch weighting {
		case "soft-min-snr":
			weight = out * out * in * in
		case "snr":
			weight = skip
		}
		t["c_skip"], t["c_out"], t["c_in"] = append(t["c_skip"], skip), append(t["c_out"], out), append(t["c_in"], in)
		t["weight"] = append(t["weight"], weight)
	}
	return t
}

// kVDenoiser is a model of v on the variance-preserving path; its time is the
// angle.
func kVDenoiser(o *Options) Tables {
	t := Tables{}
	for _, s := range o.Floats("sigma") {
		at := vpLevel(s)
		skip, out, err := (models.V{}).Decode(at)
		o.errs = append(o.errs, err)
		time := math.Atan(s) / math.Pi * 2
		t["c_skip"], t["c_out"], t["c_in"] = append(t["c_skip"], skip*at.Alpha), append(t["c_out"], out), append(t["c_in"], at.Alpha)
		t["sigma_to_t"] = append(t["sigma_to_t"], time)
		t["t_to_sigma_of_that"] = append(t["t_to_sigma_of_that"], math.Tan(time*math.Pi/2))
	}
	return t
}

// kDiscrete has the maps between σ and the index of a table, linear in log σ.
func kDiscrete(o *Options) Tables {
	betas := o.Text("betas", "linspace(sqrt(0.00085), sqrt(0.012), n)^2")
	if betas == "" {
		o.errs = append(o.errs, errors.New("no betas"))
	}
	tr := training{}
	sum := 0.0
	for _, b := range betaTable("scaled_linear", 0.00085, 0.012, o.Int("num_train_timesteps", 1000)) {
		sum += math.Log1p(-b)
		tr.logAlphaBar = append(tr.logAlphaBar, sum)
	}
	logs := each(tr.noises(), math.Log)
	sigmaOf := func(t float64) float64 { return math.Exp(interp(t, logs)) }
	sigmas, times := o.Floats("sigma"), o.Floats("t")
	toT := tr.timesOf(sigmas)
	if o.Bool("quantize", false) {
		for i, s := range sigmas {
			nearest := 0
			for j, l := range logs {
				if math.Abs(math.Log(s)-l) < math.Abs(math.Log(s)-logs[nearest]) {
					nearest = j
				}
			}
			toT[i] = float64(nearest)
		}
	}
	return Tables{
		"sigma_to_t": toT, "t_to_sigma": each(times, sigmaOf),
		"get_sigmas_10": withEnd(each(linspace(float64(tr.len()-1), 0, 10), sigmaOf), 0),
	}
}

// AlignYourSteps lists the levels that NVIDIA's "Align Your Steps" found for
// three models, as diffusers has them: timesteps, or σ/α of the 10 steps.
func AlignYourSteps() Tables {
	return Tables{
		"StableDiffusionTimesteps":   {999, 850, 736, 645, 545, 455, 343, 233, 124, 24},
		"StableDiffusionSigmas":      {14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0},
		"StableDiffusionXLTimesteps": {999, 845, 730, 587, 443, 310, 193, 116, 53, 13},
		"StableDiffusionXLSigmas":    {14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.38, 0.234, 0.113, 0},
		"StableDiffusionVideoSigmas": {700, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0},
	}
}
