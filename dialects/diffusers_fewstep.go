package dialects

import (
	"context"
	"math"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/solvers"
)

// The samplers of distilled models in diffusers: LCM, TCD, consistency models,
// trigonometric consistency models, and LCM on flows.

// readDistilled reads the timesteps of LCM and TCD: those that the distillation
// knew, every ⌊T/m⌋-th less 1, noisiest first, of which n are taken evenly.
func (tr training) readDistilled(r Run) []int {
	c, set := r.Config, r.SetTimesteps
	c.Text("timestep_spacing", "leading", spacings...) // read by nothing in the program
	c.Ignore("steps_offset")
	m := set.Int("original_inference_steps", c.Int("original_inference_steps", 50))
	strength := set.Float("strength", 1)
	if m < 1 || m > tr.len() || !(strength > 0 && strength <= 1) {
		c.Fail("original_inference_steps", "is %d of %d timesteps and strength %g: expected 1 to as many, and 0 < strength ≤ 1", m, tr.len(), strength)
		return []int{0}
	}
	k, known := tr.len()/m, int(float64(m)*strength)
	if r.Steps < 1 || r.Steps > known {
		c.Fail("original_inference_steps", "leaves %d timesteps and %d steps are asked for: expected 1 to as many", known, r.Steps)
		return []int{0}
	}
	times := make([]int, r.Steps)
	for i, at := range linspace(0, float64(known), r.Steps+1)[:r.Steps] {
		times[i] = (known-int(at))*k - 1
	}
	return times
}

// bounded makes a denoiser the consistency function that a boundary condition
// makes of it: skip(level) x + out(level) D.
type bounded struct {
	inner  models.Denoiser
	change rowChange // of D
	at     func(schedules.Level) (skip, out float64)
}

func (b bounded) Shape() []int { return b.inner.Shape() }

// Denoise implements [models.Denoiser].
func (b bounded) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if err := b.inner.Denoise(ctx, dst, q); err != nil {
		return err
	}
	dim := models.Dim(b.inner)
	for i := range q.Rows {
		row := dst[i*dim : (i+1)*dim]
		if b.change != nil {
			b.change(row)
		}
		skip, out := b.at(q.Level(i))
		mix(row, out, row, skip, q.X[i*dim:(i+1)*dim])
	}
	return nil
}

// lcmSigmaData is σ_data of the boundary condition, which no option changes.
const lcmSigmaData = 0.5

// diffusersLCM draws at every step but the last, which ends at σ = 0.
func diffusersLCM(r Run) (*Translation, error) {
	c := r.Config
	tr := readTraining(c, distilledBetas, 0)
	readThreePredictions(c, tr)
	change, before, scaling := readChange(c, false), tr.readBefore(c), c.Float("timestep_scaling", 10)
	t := tr.vpRun(tr.readDistilled(r), clean, solvers.Consistency{SNoise: 1})
	t.final(before)
	t.Wrap = func(d models.Denoiser) models.Denoiser {
		return bounded{d, change, func(l schedules.Level) (skip, out float64) {
			label := l.T * scaling
			v := label*label + lcmSigmaData*lcmSigmaData
			return lcmSigmaData * lcmSigmaData / v, label / math.Sqrt(v)
		}}
	}
	return t, nil
}

// wholeSteps is the schedule of a table whose times between entries are those of
// the entry below.
type wholeSteps struct{ tr training }

// At returns the level of ⌊t⌋.
func (s wholeSteps) At(t float64) schedules.Level {
	return s.tr.level(min(max(int(math.Floor(t)), 0), s.tr.len()-1))
}

// TimeOf returns the entry nearest in λ.
func (s wholeSteps) TimeOf(l snr.LogSNR) float64 {
	best, at := math.Inf(1), 0
	for t := range s.tr.len() {
		if d := math.Abs(float64(s.tr.level(t).LogSNR() - l)); d < best {
			best, at = d, t
		}
	}
	return float64(at)
}

// Domain is the table's.
func (s wholeSteps) Domain() (clean, noisy float64) { return 0, float64(s.tr.len() - 1) }

// Path preserves variance.
func (s wholeSteps) Path() schedules.Path { return schedules.VPPath{} }

func (s wholeSteps) String() string { return "whole timesteps" }

// diffusersTCD draws at every step but the last, which ends at entry 0.
func diffusersTCD(r Run) (*Translation, error) {
	c := r.Config
	tr := readTraining(c, distilledBetas, 0)
	readThreePredictions(c, tr)
	c.Ignore("timestep_scaling") // of no effect
	change, before := readChange(c, false), tr.readBefore(c)
	gamma := r.Step.Float("eta", 0.3)
	s := solvers.TCD{Gamma: gamma}
	times := tr.readDistilled(r)
	t := tr.vpRun(times, tr.level(0), s)
	t.Schedule = wholeSteps{tr}
	t.final(before)
	t.Quirks = []string{"tcd-ends-at-first-level"}
	if change != nil {
		t.Solver = apart("tcd", s.Properties(), change, func(i int, _ schedules.Level) (p, q, r float64) {
			b := t.Grid[i+1]
			down := wholeSteps{tr}.At((1 - gamma) * b.T)
			k := b.Alpha / down.Alpha
			return b.Alpha, k * down.Sigma, math.Sqrt(max(0, b.Sigma*b.Sigma-k*k*down.Sigma*down.Sigma))
		})
	}
	return t, nil
}

// diffusersCM draws at every step, in a run of one step too little: none.
func diffusersCM(r Run) (*Translation, error) {
	c := r.Config
	size, lo, hi, rho := c.Int("num_train_timesteps", 40), c.Float("sigma_min", 0.002), c.Float("sigma_max", 80), c.Float("rho", 7)
	data, factor := c.Float("sigma_data", 0.5), c.Float("s_noise", 1)
	if !(lo > 0 && hi > lo && rho > 0 && data > 0) || size < 2 || size > maxSteps || r.Steps < 1 || r.Steps > size {
		c.Fail("sigma_min", "is %g, sigma_max %g, rho %g, sigma_data %g, num_train_timesteps %d, and %d steps: expected 0 < sigma_min < sigma_max, rho > 0, sigma_data > 0, and 1 to num_train_timesteps steps", lo, hi, rho, data, size, r.Steps)
		return &Translation{}, nil
	}
	var change rowChange
	if c.Bool("clip_denoised", true) {
		change = clip(1)
	}
	all := karrasSigmas(lo, hi, rho, size)
	var sigmas, labels []float64
	for i := range r.Steps {
		s := all[i*(size/r.Steps)]
		sigmas, labels = append(sigmas, s), append(labels, 1000*quarterLog(s))
	}
	sigmas = withEnd(sigmas, lo)
	t := veRun(sigmas, labels, solvers.Consistency{SMin: lo, SNoise: factor})
	t.Wrap = change.wrapper()
	if r.Steps > 1 {
		t.everyStep()
	}
	t.restAtEnd()
	return t, nil
}

// trigLevel is the level of x = cos t x₀ + σ_d sin t ε. The program begins at
// 1.5708, past the right angle, where the cosine is below 0: there −x is the
// state of −cos t.
func trigLevel(data float64) func(t float64) schedules.Level {
	return func(t float64) schedules.Level {
		return schedules.Level{T: t, Alpha: math.Abs(math.Cos(t)), Sigma: data * math.Sin(t)}
	}
}

// mirrored turns the state round where t is past the right angle.
type mirrored struct{ models.Denoiser }

// Denoise implements [models.Denoiser].
func (m mirrored) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if len(q.At) == 1 && q.At[0].T > math.Pi/2 {
		q.X = each(q.X, func(v float64) float64 { return -v })
	}
	return m.Denoiser.Denoise(ctx, dst, q)
}

// diffusersSCM draws at every step, in a run of one step too little: none.
func diffusersSCM(r Run) (*Translation, error) {
	c, set := r.Config, r.SetTimesteps
	c.Ignore("num_train_timesteps")
	c.Text("prediction_type", "trigflow")
	data := c.Float("sigma_data", 0.5)
	if !(data > 0) {
		c.Fail("sigma_data", "is %g: expected a number > 0", data)
	}
	high, given := set.Float("max_timesteps", 1.57080), set.Floats("timesteps")
	middle := set.Float("intermediate_timesteps", 1.3)
	var times []float64
	switch {
	case r.Steps < 1 || r.Steps > maxSteps:
		set.Fail("num_inference_steps", "is %d: expected 1 to %d", r.Steps, maxSteps)
	case given != nil && len(given) != r.Steps+1:
		set.Fail("timesteps", "has %d numbers: expected one more than %d steps", len(given), r.Steps)
	case given != nil:
		times = given
	case r.Steps == 2 && !set.Null("intermediate_timesteps"):
		times = []float64{high, middle, 0}
	case set.Null("intermediate_timesteps"):
		times = linspace(high, 0, r.Steps+1)
	default:
		set.Fail("intermediate_timesteps", "is %g and %d steps are asked for: it is the middle of 2; set it to null", middle, r.Steps)
	}
	if times == nil || !(high > 0 && high < 3) {
		return &Translation{}, nil
	}
	t := &Translation{
		Grid: gridOf(trigLevel(data), times), Solver: solvers.Consistency{SNoise: 1},
		Wrap:   func(d models.Denoiser) models.Denoiser { return mirrored{d} },
		Tables: map[string][]float64{"timesteps": times}, StartScale: data,
	}
	if r.Steps > 1 {
		t.everyStep()
	}
	return t, nil
}

// diffusersFlowLCM draws at every step.
func diffusersFlowLCM(r Run) (*Translation, error) {
	f := readFlowMatch(r)
	if c := r.Config; c.Has("scale_factors") {
		c.Fail("scale_factors", "is given: states that change their size are not translated")
	}
	r.Config.Ignore("upscale_mode")
	return f.jumps(), nil
}

// jumps is a run of jumps to the data and back up, the stochastic sampling of
// flow matching.
func (f flowMatch) jumps() *Translation {
	sigmas := withEnd(f.sigmas, 0)
	t := &Translation{
		Grid: gridOf(flowLevel, sigmas), Solver: solvers.Consistency{SNoise: 1}, Quirks: f.quirks,
		Tables: map[string][]float64{"sigmas": sigmas, "timesteps": f.times()},
	}
	t.everyStep()
	return t
}
