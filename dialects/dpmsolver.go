package dialects

import (
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/solvers"
)

// The program of DPM-Solver and DPM-Solver++ [lu2022; lu2022pp]. States are
// variance preserving, and steps counts network calls.

// schedule returns the times as a schedule of ours, for levels between.
func (s vpTimes) schedule() schedules.Schedule {
	if s.logAlpha == nil {
		return schedules.VPLinear{BetaMin: s.b0, BetaMax: s.b1}
	}
	return vpTable{s}
}

// vpTable is the table of a discrete schedule, linear between its entries.
type vpTable struct{ vpTimes }

func (s vpTable) At(t float64) schedules.Level   { return s.level(t) }
func (s vpTable) TimeOf(l snr.LogSNR) float64    { return s.timeOf(l.Half()) }
func (s vpTable) Domain() (clean, noisy float64) { return 1 / float64(s.total), 1 }
func (s vpTable) Path() schedules.Path           { return schedules.VPPath{} }
func (s vpTable) String() string                 { return "the table of a program of DPM-Solver" }

// dpmSolverSample is DPM_Solver.sample, and inverse the same in the other
// direction.
func dpmSolverSample(r Run) (*Translation, error) {
	vp, o := readVPTimes(r.Schedule), r.Args
	o.Ignore("inverse")
	k := dpmKind{order: o.Int("order", 2)}
	if k.order < 1 || k.order > 3 {
		o.Fail("order", "is %d: expected 1 to 3", k.order)
		k.order = 1
	}
	if o.Text("algorithm_type", "dpmsolver++", "dpmsolver") == "dpmsolver" {
		k.of = solvers.PredictNoise
	}
	if o.Text("solver_type", "dpmsolver", "taylor") == "taylor" {
		k.form = solvers.Taylor
	}
	o.Text("model_type", "noise", "x_start", "v", "score")
	from, to := o.Float("t_start", 1), o.Float("t_end", 1/float64(vp.total))
	if inverse := r.Sampler == "DPM_Solver.inverse"; !(from > 0 && to > 0) || from == to || inverse != (to > from) {
		o.Fail("t_end", "is %g and t_start %g: expected 0 < t_end < t_start, or for inverse 0 < t_start < t_end", to, from)
		return nil, nil
	}
	t := &Translation{Schedule: vp.schedule(), Quirks: vp.quirks}
	t.Wrap = readCorrecting(o, k)
	skip, method := o.Text("skip_type", "time_uniform", skipTypes...), o.Text("method", "multistep", "singlestep", "singlestep_fixed", "adaptive")
	if method == "adaptive" {
		t.Solver, t.States = k.adaptive(o), EndsOnly
		t.Grid = gridOf(vp.level, []float64{from, to})
		return t, nil
	}
	if r.Steps < k.order || r.Steps > maxSteps {
		o.Fail("order", "is %d with %d steps: expected at least as many steps, and at most %d", k.order, r.Steps, maxSteps)
		return nil, nil
	}
	var times []float64
	switch method {
	case "multistep":
		times = vp.between(skip, from, to, r.Steps)
		final := solvers.FinalFull
		if o.Bool("lower_order_final", true) && r.Steps < 10 {
			final = solvers.FinalLower
		}
		var quirks []string
		t.Solver, quirks = k.multistep(final)
		t.Quirks = append(t.Quirks, quirks...)
	case "singlestep":
		orders := singlestepOrders(r.Steps, k.order)
		times = vp.singlestep(skip, from, to, orders)
		t.Solver = k.singlestep(o, skip, k.order*len(orders)-r.Steps)
		t.Tables = map[string][]float64{"orders": make([]float64, len(orders))}
		for i, order := range orders {
			t.Tables["orders"][i] = float64(order)
		}
	case "singlestep_fixed":
		times = vp.between(skip, from, to, r.Steps/k.order)
		t.Solver = k.singlestep(o, skip, 0)
	}
	o.Ignore("lower_order_final")
	t.Grid = gridOf(vp.level, times)
	for name, v := range vp.tables(times) {
		if t.Tables == nil {
			t.Tables = map[string][]float64{}
		}
		t.Tables[name] = v
	}
	if o.Bool("denoise_to_zero", false) {
		if s, ok := t.Solver.(solvers.DPMMultistep); ok && s.Final == solvers.FinalLower {
			o.Fail("denoise_to_zero", "is true in fewer than 10 steps with lower_order_final: the order falls a step before the last, which no solver here does")
		}
		t.Grid = append(t.Grid, schedules.Level{Alpha: 1})
	}
	return t, nil
}

// readCorrecting reads what is done to x₀ or ε; nil for nothing. Only methods for
// x₀ correct it.
func readCorrecting(o *Options, k dpmKind) func(models.Denoiser) models.Denoiser {
	if o.Text("correcting_x0_fn", "", "dynamic_thresholding") == "" {
		return nil
	}
	wrap := readQuantile(o)
	if k.of == solvers.PredictNoise {
		return nil
	}
	return wrap
}

// singlestep is the solver that saves some evaluations of the last steps. Its
// intermediate levels are spaced as the steps are.
func (k dpmKind) singlestep(o *Options, skip string, short int) solvers.Solver {
	if k.order == 1 {
		return solvers.DPMMultistep{Order: 1, Predict: k.of, SNoise: 1}
	}
	s := solvers.NewDPMSinglestep(k.order, k.of)
	s.Form, s.Short = k.form, short
	switch skip {
	case "time_uniform":
		s.Inner = solvers.InnerTime
	case "time_quadratic":
		o.Fail("skip_type", "is time_quadratic with a singlestep method: its intermediate levels have no equal; use logSNR or time_uniform")
	}
	return s
}

// adaptive is the solver whose steps are those of the whole batch.
func (k dpmKind) adaptive(o *Options) solvers.Solver {
	if k.order == 1 {
		o.Fail("order", "is 1 with method adaptive: expected 2 or 3")
		k.order = 2
	}
	s := solvers.NewDPMAdaptive(k.order, k.of)
	s.Form, s.Rule = k.form, solvers.DPMSolverRule
	s.ATol, s.RTol = o.Float("atol", s.ATol), o.Float("rtol", s.RTol)
	return s
}
