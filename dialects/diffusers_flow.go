package dialects

import (
	"fmt"
	"math"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// flowMatch is what the classes of flow matching share.
type flowMatch struct {
	sigmas []float64 // without the last
	t      int       // num_train_timesteps
	quirks []string
}

// readFlowMatch reads the levels s of x = (1−s)x₀ + sε.
//
//	built with   s = shift(i/T), i = T … 1, of which only the ends are kept
//	n steps      s from one end to the other, uniform, then shifted again
func readFlowMatch(r Run) flowMatch {
	c := r.Config
	f := flowMatch{t: c.Int("num_train_timesteps", 1000)}
	shift := c.Float("shift", 1)
	if f.t < 1 || !(shift > 0) || r.Steps < 1 || r.Steps > maxSteps {
		c.Fail("shift", "is %g, num_train_timesteps %d, and %d steps: expected a number > 0, at least 1, and 1 to %d steps", shift, f.t, r.Steps, maxSteps)
		f.sigmas = []float64{1}
		return f
	}
	move := shiftFlow(shift)
	dynamic := c.Bool("use_dynamic_shifting", false)
	if dynamic {
		move = func(s float64) float64 { return s }
	}
	f.sigmas = linspace(move(1), move(1/float64(f.t)), r.Steps)
	switch {
	case dynamic:
		f.sigmas = each(f.sigmas, readTimeShift(c, r.SetTimesteps))
	default:
		f.sigmas = each(f.sigmas, move)
		if shift != 1 {
			f.quirks = append(f.quirks, "double-shift")
		}
	}
	if end := c.Float("shift_terminal", 0); end > 0 {
		scale := (1 - f.sigmas[len(f.sigmas)-1]) / (1 - end)
		f.sigmas = each(f.sigmas, func(s float64) float64 { return 1 - (1-s)/scale })
	}
	if kind := sigmaKind(c, "karras", "exponential", "beta"); kind != "" {
		f.sigmas = respaced(kind, f.sigmas[len(f.sigmas)-1], f.sigmas[0], len(f.sigmas))
	}
	return f
}

// readTimeShift reads a shift by the size of the image, mu.
func readTimeShift(c, set *Options) func(s float64) float64 {
	kind := c.Text("time_shift_type", "exponential", "linear")
	c.Ignore("base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len") // for pipelines, which make mu of them
	if !set.Has("mu") {
		set.Fail("mu", "is missing: expected a number, use_dynamic_shifting is true")
	}
	mu := set.Float("mu", 1)
	if kind == "exponential" {
		mu = math.Exp(mu)
	}
	return func(s float64) float64 { return mu / (mu + (1/s - 1)) }
}

// flowLine is the schedule of flows, t = s.
var flowLine schedules.Schedule = schedules.RF{}

func (f flowMatch) times() []float64 {
	return each(f.sigmas, func(s float64) float64 { return s * float64(f.t) })
}

func diffusersFlowEuler(r Run) (*Translation, error) {
	f := readFlowMatch(r)
	c := r.Config
	if c.Bool("invert_sigmas", false) {
		c.Fail("invert_sigmas", "is true: a run from data to noise, which is not translated")
	}
	if c.Bool("stochastic_sampling", false) {
		return f.jumps(), nil
	}
	sigmas := withEnd(f.sigmas, 0)
	t := &Translation{
		Schedule: flowLine, Grid: gridOf(flowLevel, sigmas), Solver: plainEuler, States: PerCall, Quirks: f.quirks,
		Tables: map[string][]float64{"sigmas": sigmas, "timesteps": f.times()},
	}
	return t, nil
}

// diffusersFlowHeun is Heun in the time of the flow. With churn it draws at both
// stages, and uses the first.
func diffusersFlowHeun(r Run) (*Translation, error) {
	f := readFlowMatch(r)
	sigmas := withEnd(f.sigmas, 0)
	churn := readChurn(r.Step, "s_churn", "s_tmin", "s_tmax", "s_noise")
	t := &Translation{
		Schedule: flowLine, Grid: gridOf(flowLevel, sigmas), Solver: flowHeun(churn), States: PerCall, Quirks: f.quirks,
		Tables: map[string][]float64{"sigmas": twice(sigmas, false), "timesteps": twice(f.times(), true)},
	}
	if churn.SChurn == 0 {
		return t, nil
	}
	t.Quirks = append(t.Quirks, "churn-after-evaluation")
	first := make([]int, len(f.sigmas)) // the first draw of every step
	for i, s := range f.sigmas {
		first[i] = t.Draws
		if _, ok := churnedLevel(churn, s, 2*len(f.sigmas)-1); ok {
			t.Draws += 2
		}
	}
	if first[len(first)-1] < t.Draws {
		t.Draws-- // the step to 0 has one stage
	}
	t.Draw = func(step, _ int) int { return first[step] }
	return t, nil
}

// flowHeun is the trapezoidal rule in s for u = dx/ds = ε − x₀, with the churn of
// that class: noise is added after the network was asked, as if α did not change,
// and the slope is shrunk by s/ŝ.
//
//	x̂ = x + SNoise √(ŝ² − s²) z,   y = x̂ + (s_b − ŝ) (s/ŝ) u(x, s)
//	x_b = x̂ + (s_b − ŝ)/2 ((s/ŝ) u(x, s) + u(y, s_b))
func flowHeun(c solvers.Euler) solvers.Solver {
	name := "heun in the time of the flow"
	if c.SChurn > 0 {
		name += fmt.Sprintf(" with churn after the evaluation (schurn=%g,stmin=%g,stmax=%g,snoise=%g)", c.SChurn, c.SMin, c.SMax, c.SNoise)
	}
	return &habit{
		name:  name,
		props: solvers.Properties{Order: 2, Evals: 2, LastEvals: 1, Stochastic: c.SChurn > 0},
		last:  1,
		step: func(s *habitStep) {
			u := s.predict(models.Flow{}, s.from, s.x, s.denoise(s.x, s.from))
			at, moved := s.from.Sigma, s.x
			if up, ok := churnedLevel(c, at, 2*s.grid.Steps()-1); ok {
				moved = make([]float64, len(s.x))
				mix(moved, 1, s.x, c.SNoise*math.Sqrt(up*up-at*at), s.normal(s.from, flowLevel(min(up, 1))))
				mix(u, at/up, u, 0, u)
				at = up
			}
			h := s.to.Sigma - at
			mix(s.next, 1, moved, h, u)
			if s.to.Sigma == 0 {
				return
			}
			v := s.predict(models.Flow{}, s.to, s.next, s.denoise(s.next, s.to))
			mix(u, 0.5, u, 0.5, v)
			mix(s.next, 1, moved, h, u)
		},
	}
}
