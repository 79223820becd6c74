package dialects

import (
	"math"
	"slices"

	"snrlab/solvers"
)

// The samplers of k-diffusion that are DPM-Solver and DPM-Solver++ and their
// SDE forms.

// readNoise reads η and the factor of the noise.
func readNoise(o *Options, eta float64) (float64, float64) {
	eta, factor := o.Float("eta", eta), o.Float("s_noise", 1)
	switch {
	case !(eta >= 0):
		o.Fail("eta", "is %g: expected a number ≥ 0", eta)
	case eta == 0:
		factor = 1 // of no effect
	}
	return eta, factor
}

func kDPMPP2M(r Run) (*Translation, error) {
	return kRun(r, func(*Options) solvers.Solver { return solvers.DPMMultistep{Order: 2, SNoise: 1} })
}

// kDPMPP2MSDE draws where it adds noise.
func kDPMPP2MSDE(r Run) (*Translation, error) {
	return kRun(r, func(o *Options) solvers.Solver {
		s := solvers.DPMMultistep{Order: 2}
		s.Eta, s.SNoise = readNoise(o, 1)
		if o.Text("solver_type", "midpoint", "heun") == "heun" {
			s.Form = solvers.Taylor
		}
		return s
	})
}

// kDPMPP3MSDE has half the second difference.
func kDPMPP3MSDE(r Run) (*Translation, error) {
	t, err := kRun(r, func(o *Options) solvers.Solver {
		s := solvers.DPMMultistep{Order: 3, Form: solvers.Taylor, Second: solvers.HalfSecond}
		s.Eta, s.SNoise = readNoise(o, 1)
		return s
	})
	if t != nil {
		t.Quirks = append(t.Quirks, "half-second-difference")
	}
	return t, err
}

// kDPMPPSDE draws twice a step, from the same level, whether it adds the noise
// or not.
func kDPMPPSDE(r Run) (*Translation, error) {
	t, err := kRun(r, func(o *Options) solvers.Solver {
		s := solvers.DPMPPSDE{R: readPlace(o)}
		if s.Eta, s.SNoise = readNoise(o, 1); s.Eta > 0 {
			s.Draws = solvers.Apart
		}
		return s
	})
	if t != nil {
		t.Draws = 2 * (t.Grid.Steps() - 1)
		t.Draw = func(step, stage int) int { return 2*step + stage }
	}
	return t, err
}

func kDPM2Ancestral(r Run) (*Translation, error) { return kAncestral(r, solvers.PredictNoise) }

func kDPMPP2SAncestral(r Run) (*Translation, error) { return kAncestral(r, solvers.PredictData) }

// kAncestral is a step of order 2 to below the target, and noise back up. It
// draws at every step but the one to 0.
func kAncestral(r Run, p solvers.Prediction) (*Translation, error) {
	t, err := kRun(r, func(o *Options) solvers.Solver {
		s := solvers.NewDPMSinglestep(2, p)
		s.Eta, s.SNoise = readNoise(o, 1)
		return s
	})
	if t != nil {
		t.everyStep()
		t.Draws--
	}
	return t, err
}

// kDPMFast is DPM-Solver-3 in as few steps as use up n evaluations. It draws at
// every step.
func kDPMFast(r Run) (*Translation, error) {
	lo, hi, ok := kRange(r)
	if !ok {
		return nil, nil
	}
	orders := singlestepOrders(r.Steps, 3)
	s := solvers.NewDPMSinglestep(3, solvers.PredictNoise)
	s.Short = 3*len(orders) - r.Steps
	s.Eta, s.SNoise = readNoise(r.Args, 0)
	sigmas := exponentialSigmas(lo, hi, len(orders)+1)
	t := &Translation{
		Schedule: line(sigmas), Grid: gridOf(veLevel, sigmas), Solver: s,
		Tables: map[string][]float64{"sigma_range": {lo, hi}},
	}
	t.everyStep()
	return t, nil
}

// kRange reads the ends of a run that goes through no list of levels: of a list
// that an interface gives it all the same they are the first and the last above 0.
func kRange(r Run) (lo, hi float64, ok bool) {
	if r.Schedule.Has("name") {
		sigmas := kSchedule(r, r.Schedule.Text("name", "", kSchedules...))
		sigmas = slices.DeleteFunc(sigmas, func(s float64) bool { return !(s > 0) })
		if len(sigmas) < 2 {
			r.Schedule.Fail("name", "gives %d levels above 0: expected at least 2", len(sigmas))
			return 0, 0, false
		}
		return sigmas[len(sigmas)-1], sigmas[0], true
	}
	lo, hi = r.Schedule.Float("sigma_min", 0), r.Schedule.Float("sigma_max", 0)
	switch {
	case !(lo > 0 && hi > lo):
		r.Schedule.Fail("sigma_min", "is %g and sigma_max %g: expected 0 < sigma_min < sigma_max", lo, hi)
	case r.Steps < 0 || r.Steps > maxSteps:
		r.Schedule.Fail("n", "is %d evaluations: expected 1 to %d", r.Steps, maxSteps)
	default:
		return lo, hi, true
	}
	return 0, 0, false
}

// kDPMAdaptive takes one step for the whole batch, and draws when it has
// accepted one, whether it adds the noise or not.
func kDPMAdaptive(r Run) (*Translation, error) {
	lo, hi, ok := kRange(r)
	if !ok {
		return nil, nil
	}
	o := r.Args
	order := o.Int("order", 3)
	if order != 2 && order != 3 {
		o.Fail("order", "is %d: expected 2 or 3", order)
		return nil, nil
	}
	s := solvers.NewDPMAdaptive(order, solvers.PredictNoise)
	s.Rule = solvers.KDiffusionRule
	s.RTol, s.ATol, s.First = o.Float("rtol", 0.05), o.Float("atol", 0.0078), math.Abs(o.Float("h_init", 0.05))
	s.P, s.I, s.D = o.Float("pcoeff", 0), o.Float("icoeff", 1), o.Float("dcoeff", 0)
	if safety := o.Float("accept_safety", 0.81); safety != 0.81 {
		o.Fail("accept_safety", "is %g: expected 0.81, its default", safety)
	}
	s.Eta, s.SNoise = readNoise(o, 0)
	return &Translation{
		Schedule: line([]float64{lo, hi}), Grid: gridOf(veLevel, []float64{hi, lo}), Solver: s, DrawsAccepted: true,
		Tables: map[string][]float64{"sigma_range": {lo, hi}},
	}, nil
}
