package dialects

import (
	"fmt"
	"math"
	"slices"

	"snrlab/schedules"
	"snrlab/solvers"
)

// Without translates a run as it would be without one of its quirks: what its
// method calls for. It fails where the run has no such quirk, and where the quirk
// changes no number of the result on a network that knows its level.
func Without(quirk string, r Run) (*Translation, error) {
	t, err := Translate(r)
	if err != nil {
		return nil, err
	}
	i := slices.Index(t.Quirks, quirk)
	if i < 0 {
		return nil, fmt.Errorf("dialects: %s %s has no quirk %q here, but %q", r.Peer, r.Sampler, quirk, t.Quirks)
	}
	t.Quirks = slices.Delete(slices.Clone(t.Quirks), i, i+1)
	repair, ok := repairs[quirk]
	if !ok {
		return nil, fmt.Errorf("dialects: %s changes no number of a result", quirk)
	}
	return t, repair(r, t)
}

// right translates a run as its method calls for, without any of its quirks.
func right(r Run) (*Translation, error) {
	t, err := Translate(r)
	if err != nil {
		return nil, err
	}
	for _, q := range t.Quirks {
		if repair := repairs[q]; repair != nil {
			if err := repair(r, t); err != nil {
				return nil, err
			}
		}
	}
	t.Quirks = nil
	return t, nil
}

// repairs puts each quirk right in the translation of a run that has it.
var repairs = map[string]func(Run, *Translation) error{
	"churn-after-evaluation": func(r Run, t *Translation) error {
		c := readChurn(r.Step, "s_churn", "s_tmin", "s_tmax", "s_noise")
		if t.Grid[1].Alpha == 1 {
			t.Solver = c
			return nil
		}
		// γ is S/(2n−1) there, and windows are in s.
		noise := func(s float64) float64 { return s / (1 - s) }
		c.SChurn *= float64(t.Grid.Steps()) / float64(2*t.Grid.Steps()-1)
		c.SMin, c.SMax = noise(c.SMin), noise(min(c.SMax, 1))
		t.Solver = solvers.RK{Method: solvers.Heun2, In: solvers.InTime, SChurn: c.SChurn, SMin: c.SMin, SMax: c.SMax, SNoise: c.SNoise}
		t.Draw, t.Draws = nil, 0
		return nil
	},
	"step-target-not-next-timestep": func(r Run, t *Translation) error {
		t.Legs, t.targets = nil, nil
		if r.Sampler == "PNDMScheduler" {
			t.Solver = pndm(r)
		}
		return nil
	},
	"multistep-of-raw-predictions": func(r Run, t *Translation) error {
		t.Solver = pndm(r)
		return nil
	},
	"inverse-label-ahead": func(_ Run, t *Translation) error {
		t.Wrap = nil
		if _, ok := t.Solver.(solvers.DDIMInversion); ok {
			t.Solver = solvers.DDIMInversion{Iterations: 1000, Tolerance: 1e-12}
		}
		return nil
	},
	"tcd-ends-at-first-level": func(_ Run, t *Translation) error {
		t.Grid[len(t.Grid)-1] = clean
		return nil
	},
	"karras-ve-squared-levels": func(r Run, t *Translation) error {
		levels := exponentialSigmas(r.Config.Float("sigma_min", 0.02), r.Config.Float("sigma_max", 100), r.Steps)
		t.Grid, t.Schedule = gridOf(veLevel, withEnd(levels, 0)), line(levels)
		return nil
	},
	"zero-length-last-step": func(_ Run, t *Translation) error {
		t.Idle = 0
		if s, ok := t.Solver.(solvers.SASolver); ok {
			s.CorrectEnd = false
			t.Solver = s
		}
		return nil
	},
	"flow-ends-at-vp-level": func(_ Run, t *Translation) error {
		t.Grid[len(t.Grid)-1] = flowLevel(0)
		return nil
	},
	"double-shift": func(r Run, t *Translation) error {
		size := float64(r.Config.Int("num_train_timesteps", 1000))
		once := each(linspace(1, 1/size, r.Steps), shiftFlow(r.Config.Float("shift", 1)))
		t.Grid = gridOf(flowLevel, withEnd(once, 0))
		return nil
	},
	"log-linear-extra-level": func(r Run, t *Translation) error {
		tr := readTraining(r.Config, ddpmBetas, nearZeroSNR)
		sigmas := exponentialSigmas(tr.noise(0), tr.noise(tr.len()-1), r.Steps+1)
		if tr.readFinal(r.Config) == 0 {
			sigmas = withEnd(exponentialSigmas(tr.noise(0), tr.noise(tr.len()-1), r.Steps), 0)
		}
		t.Grid = gridOf(veLevel, sigmas)
		return nil
	},
	"sde3-second-difference-sign": exactSecond,
	"half-second-difference":      exactSecond,
	"singlestep-draws-apart": func(_ Run, t *Translation) error {
		s, ok := t.Solver.(solvers.DPMGrid)
		s.Draws = solvers.OnePath
		t.Solver = s
		return isA(ok, t)
	},
	"vary-coeff-corrector-index": func(_ Run, t *Translation) error {
		s, ok := t.Solver.(solvers.UniPC)
		s.Published = false
		t.Solver = s
		return isA(ok, t)
	},
	"ipndm-v-bracket": func(_ Run, t *Translation) error {
		s, ok := t.Solver.(solvers.IPNDMV)
		s.Published = false
		t.Solver = s
		return isA(ok, t)
	},
	"forced-thresholding": func(_ Run, t *Translation) error {
		t.Wrap = nil
		return nil
	},
	"ipndm-first-step-drops-x0": func(_ Run, t *Translation) error {
		t.Solver = solvers.IPNDM{Order: 4, Last: solvers.Own}
		return nil
	},
	"sde-vp-step-size": func(_ Run, t *Translation) error {
		t.Legs = nil
		t.Grid[len(t.Grid)-1].T = 0
		return nil
	},
	"rectangle-rule-coefficients": func(r Run, t *Translation) error {
		order := 1 + r.Args.Int("ab_order", r.Args.Int("max_order", 4)-1)
		switch {
		case order == 1:
			t.Solver = plainEuler
		case r.Args.Text("method", "t_ab", "rho_ab") == "rho_ab":
			t.Solver = solvers.AdamsBashforth{Order: order}
		default:
			t.Solver = solvers.DEIS{Order: order, In: solvers.InTime}
			t.Schedule = inTimeOf(r, t)
		}
		return nil
	},
}

// exactSecond is the method with the second difference as it should be weighed,
// and with a start that does not hide it, where there is one.
func exactSecond(_ Run, t *Translation) error {
	s, ok := t.Solver.(solvers.DPMMultistep)
	s.Second = solvers.ExactSecond
	if s.Eta == 0 {
		s.Opening = solvers.Lean
	}
	t.Solver = s
	return isA(ok, t)
}

// isA fails where a quirk is not a setting of the solver that it is known on.
func isA(ok bool, t *Translation) error {
	if !ok {
		return fmt.Errorf("dialects: %s has no such setting", t.Solver)
	}
	return nil
}

// pndm is the method of PNDMScheduler.
func pndm(r Run) solvers.Solver {
	s := solvers.PNDM{Last: solvers.Own}
	if r.Config.Bool("skip_prk_steps", false) {
		s.Opening = solvers.PLMS
	}
	return s
}

// inTimeOf is the schedule whose time the weights of a program of DEIS are
// polynomials in; the levels get their times.
func inTimeOf(r Run, t *Translation) schedules.Schedule {
	var s schedules.Schedule
	if r.Peer == "diff-sampler" {
		bd, bm := fitLinear(0.002, 80, 1e-3)
		s = schedules.OnPath{To: schedules.VEPath{}, Schedule: schedules.VPLinear{BetaMin: bm, BetaMax: bm + bd}}
	} else if r.Schedule.Text("name", "linear", "cosine") == "linear" {
		s = schedules.VPLinear{BetaMin: r.Schedule.Float("beta_0", 0.1), BetaMax: r.Schedule.Float("beta_1", 20)}
	} else {
		s = schedules.Cosine{Min: math.Inf(-1), Max: math.Inf(1)} // its angle is linear in t
	}
	t.Grid = slices.Clone(t.Grid)
	for i := range t.Grid {
		if t.Grid[i].T = s.TimeOf(t.Grid[i].LogSNR()); math.IsNaN(t.Grid[i].T) {
			return t.Schedule
		}
	}
	return s
}
