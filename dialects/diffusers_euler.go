package dialects

import (
	"math"

	"snrlab/models"
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

// plainEuler has no churn.
var plainEuler = solvers.Euler{SMax: math.Inf(1), SNoise: 1}

// diffusersEuler draws only where it adds noise.
func diffusersEuler(r Run) (*Translation, error) {
	c := r.Config
	tr := readTraining(c, ddpmBetas, nearZeroSNR)
	prediction := readPrediction(c, tr, "epsilon", "sample", "v_prediction")
	times := tr.readSpacing(c, "linspace", r.Steps)
	table := tr.noises()
	sigmas := each(times, func(t float64) float64 { return interp(t, table) })
	var quirks []string
	if c.Text("interpolation_type", "linear", "log_linear") == "log_linear" {
		sigmas = exponentialSigmas(table[0], table[len(table)-1], r.Steps+1)
		quirks = append(quirks, "log-linear-extra-level")
	}
	sigmas, times = tr.readRespacing(c, sigmas, times, r.Steps)
	if c.Text("timestep_type", "discrete", "continuous") == "continuous" && prediction == (models.V{}) {
		times = each(sigmas, quarterLog)
	}
	t := veRun(withEnd(sigmas, tr.readFinal(c)), times, plainEuler)
	t.Grid = t.Grid[:min(r.Steps+1, len(t.Grid))]
	t.Quirks = quirks
	if churn := readChurn(r.Step, "s_churn", "s_tmin", "s_tmax", "s_noise"); churn.SChurn > 0 {
		t.Solver = lateChurn(churn, prediction, prediction == (models.V{}))
		t.Quirks = append(t.Quirks, "churn-after-evaluation")
	}
	return t, nil
}

// quarterLog is the label c_noise of EDM networks.
func quarterLog(s float64) float64 { return math.Log(s) / 4 }

// diffusersEulerAncestral draws at every step, also where it adds nothing.
func diffusersEulerAncestral(r Run) (*Translation, error) {
	tr := readTraining(r.Config, ddpmBetas, nearZeroSNR)
	readPrediction(r.Config, tr, "epsilon", "sample", "v_prediction")
	sigmas, times := tr.veSigmas(r.Config, r.Steps, "linspace")
	t := veRun(withEnd(sigmas, 0), times, solvers.EulerAncestral{Eta: 1, SNoise: 1})
	t.everyStep()
	return t, nil
}

// twice returns the list with every number doubled but the first, and the last
// of a list that ends it: the tables of two-stage classes have a line a call.
func twice(v []float64, lastToo bool) []float64 {
	w := []float64{v[0]}
	for i, x := range v[1:] {
		w = append(w, x)
		if lastToo || i < len(v)-2 {
			w = append(w, x)
		}
	}
	return w
}

func diffusersHeun(r Run) (*Translation, error) {
	tr := readTraining(r.Config, kdiffBetas, 0)
	readPrediction(r.Config, tr, "epsilon", "sample", "v_prediction")
	sigmas, times := tr.veSigmas(r.Config, r.Steps, "linspace")
	sigmas = withEnd(sigmas, 0)
	t := veRun(sigmas, twice(times, true), solvers.Heun(plainEuler))
	t.Tables["sigmas"] = twice(sigmas, false)
	t.Wrap = readClip(r.Config, false)
	return t, nil
}

func diffusersKDPM2(r Run) (*Translation, error) {
	tr := readTraining(r.Config, kdiffBetas, 0)
	readPrediction(r.Config, tr, "epsilon", "v_prediction")
	sigmas, times := tr.veSigmas(r.Config, r.Steps, "linspace")
	if r.Config.Bool("use_karras_sigmas", false) {
		times = each(times, math.RoundToEven)
	}
	sigmas = withEnd(sigmas, 0)
	t := veRun(sigmas, nil, midpoint(plainEuler, 0.5))
	between := make([]float64, len(sigmas)) // entry i lies between levels i−1 and i; the first has no meaning
	for i := range sigmas {
		a, b := math.Log(sigmas[i]), math.Log(sigmas[(i+len(sigmas)-1)%len(sigmas)])
		between[i] = math.Exp(b - 0.5*(b-a))
	}
	t.Tables["sigmas"] = withEnd(twice(sigmas, true), 0)
	t.Tables["sigmas_interpol"] = withEnd(twice(between, true), 0)
	labels := times[:1:1]
	for i, u := range tr.timesOf(between[1 : len(between)-1]) {
		labels = append(labels, u, times[i+1])
	}
	t.Tables["timesteps"] = labels
	return t, nil
}

func diffusersLMS(r Run) (*Translation, error) {
	tr := readTraining(r.Config, ddpmBetas, 0)
	readPrediction(r.Config, tr, "epsilon", "sample", "v_prediction")
	sigmas, times := tr.veSigmas(r.Config, r.Steps, "linspace")
	return veRun(withEnd(sigmas, 0), times, lms(r.Step, r.Step.Int("order", 4))), nil
}

// readEDM reads what the classes of EDM models share: levels that belong to no
// table, and their labels.
func readEDM(r Run) (sigmas, times []float64, prediction models.EDM) {
	c := r.Config
	c.Ignore("num_train_timesteps")
	c.Text("prediction_type", "epsilon", "v_prediction")
	lo, hi, rho := c.Float("sigma_min", 0.002), c.Float("sigma_max", 80), c.Float("rho", 7)
	if !(lo > 0 && hi > lo && rho > 0) || r.Steps < 1 || r.Steps > maxSteps {
		c.Fail("sigma_min", "is %g, sigma_max %g, rho %g, and %d steps: expected 0 < sigma_min < sigma_max, rho > 0, 1 to %d steps", lo, hi, rho, r.Steps, maxSteps)
		return []float64{1, 0}, []float64{0}, models.EDM{SigmaData: 0.5}
	}
	switch c.Text("sigma_schedule", "karras", "exponential") {
	case "karras":
		sigmas = karrasSigmas(lo, hi, rho, r.Steps)
	default:
		sigmas = exponentialSigmas(lo, hi, r.Steps)
	}
	times = each(sigmas, quarterLog)
	end := 0.0
	if c.Text("final_sigmas_type", "zero", "sigma_min") == "sigma_min" {
		end = sigmas[len(sigmas)-1]
	}
	prediction = models.EDM{SigmaData: c.Float("sigma_data", 0.5)}
	if !(prediction.SigmaData > 0) {
		c.Fail("sigma_data", "is %g: expected a number > 0", prediction.SigmaData)
	}
	return withEnd(sigmas, end), times, prediction
}

// diffusersEDMEuler draws only where it adds noise.
func diffusersEDMEuler(r Run) (*Translation, error) {
	sigmas, times, prediction := readEDM(r)
	t := veRun(sigmas, times, plainEuler)
	t.restAtEnd()
	if churn := readChurn(r.Step, "s_churn", "s_tmin", "s_tmax", "s_noise"); churn.SChurn > 0 {
		t.Solver = lateChurn(churn, prediction, false)
		t.Quirks = append(t.Quirks, "churn-after-evaluation")
	}
	return t, nil
}

// restAtEnd turns a last step between equal levels into an evaluation that
// changes nothing.
func (t *Translation) restAtEnd() {
	n := len(t.Grid)
	if n > 2 && t.Grid[n-1].Noise() == t.Grid[n-2].Noise() {
		t.Grid, t.Idle = t.Grid[:n-1], 1
	}
}
