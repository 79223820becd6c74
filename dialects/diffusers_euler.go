package dialects

import (
	"math"

	"snrlab/solvers"
)

// The classes of diffusers whose states are x₀ + σε and whose methods are those
// of k-diffusion. The state is written down at every call.

// veRun is a translation on levels in that space.
func veRun(sigmas, times []float64, s solvers.Solver) *Translation {
	return &Translation{
		Schedule: line(sigmas), Grid: gridOf(veLevel, sigmas), Solver: s, States: PerCall,
		Tables: map[string][]float64{"sigmas": sigmas, "timesteps": times},
	}
}

// readFinal reads what follows the last level: 0, or the least of the table.
func (tr training) readFinal(c *Options) float64 {
	if c.Text("final_sigmas_type", "zero", "sigma_min") == "sigma_min" {
		return tr.noise(0)
	}
	return 0
}

// euler without churn.
var plainEuler = solvers.Euler{SMax: math.Inf(1), SNoise: 1}

func diffusersEuler(r Run) (*Translation, error) {
	c := r.Config
	tr := readTraining(c, ddpmBetas, nearZeroSNR)
	readPrediction(c, tr, "epsilon", "sample", "v_prediction")
	times := tr.readSpacing(c, "linspace", r.Steps)
	table := tr.noises()
	sigmas := each(times, func(t float64) float64 { return interp(t, table) })
	var quirks []string
	if c.Text("interpolation_type", "linear", "log_linear") == "log_linear" {
		sigmas = exponentialSigmas(table[0], table[len(table)-1], r.Steps+1)
		quirks = append(quirks, "log-linear-extra-level")
	}
	sigmas, times = tr.readRespacing(c, sigmas, times, r.Steps)
	if c.Text("timestep_type", "discrete", "continuous") == "continuous" && c.Text("prediction_type", "epsilon", "sample", "v_prediction") == "v_prediction" {
		times = each(sigmas, func(s float64) float64 { return math.Log(s) / 4 })
	}
	sigmas = withEnd(sigmas, tr.readFinal(c))
	t := veRun(sigmas, times, plainEuler)
	t.Grid = t.Grid[:r.Steps+1]
	t.Quirks = quirks
	return t, nil
}
