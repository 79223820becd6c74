package dialects

import (
	"math"

	"snrlab/solvers"
)

// diffusersDEIS is DEISMultistepScheduler: DEIS with polynomials in log σ/α. It
// lowers the order at the end of runs of fewer than 15 steps.
func diffusersDEIS(r Run) (*Translation, error) {
	c := r.Config
	sigmas, times, end, level := multistepLevels(r)
	if sigmaKind(c, "karras", "exponential", "beta", "flow") == "flow" {
		sigmas, times = flowBelowOne(c, r.Steps)
		end = sigmas[len(sigmas)-1]
	}
	c.Text("algorithm_type", "deis", "dpmsolver", "dpmsolver++")
	c.Text("solver_type", "logrho", "midpoint", "heun", "bh1", "bh2")
	order := c.Int("solver_order", 2)
	if order < 1 || order > 3 {
		c.Fail("solver_order", "is %d: expected 1 to 3", order)
		order = 1
	}
	sigmas = withEnd(sigmas, end)
	t := &Translation{
		Grid: gridOf(level, sigmas), Wrap: readThreshold(c),
		Tables: map[string][]float64{"sigmas": sigmas, "timesteps": times},
	}
	t.Schedule = line(t.Grid.Noises())
	t.restAtEnd()
	lower := c.Bool("lower_order_final", true) && r.Steps < 15
	if t.Idle > 0 {
		t.Quirks = append(t.Quirks, "zero-length-last-step")
		if lower && order > 2 {
			c.Fail("lower_order_final", "is true on levels whose last step has no length with solver_order 3: the order falls as if that step were one")
		}
		lower = false
	}
	if order == 1 {
		t.Solver = plainEuler
		return t, nil
	}
	s := solvers.DEIS{Order: order, In: solvers.Log}
	if lower {
		s.Final = solvers.FinalLower
	}
	t.Solver = s
	return t, nil
}

// flowBelowOne has the n levels of a flow that start one timestep below 1, as
// the older of the classes do.
func flowBelowOne(c *Options, n int) (sigmas, times []float64) {
	if n < 1 || n > maxSteps {
		c.Fail("use_flow_sigmas", "is true and %d steps are asked for: expected 1 to %d", n, maxSteps)
		return []float64{0.5}, []float64{0}
	}
	size := float64(c.Int("num_train_timesteps", 1000))
	sigmas = each(linspace(1-1/size, 0, n+1)[:n], shiftFlow(c.Float("flow_shift", 1)))
	return sigmas, each(sigmas, func(s float64) float64 { return math.Trunc(s * size) })
}
