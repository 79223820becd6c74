package dialects

import (
	"context"
	"fmt"
	"math"
	"slices"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// DDPM, DDIM and DDIM inversion of diffusers. States preserve variance, and
// levels are entries of the β table.

// clean is the level without noise that a table's first entry steps to.
var clean = schedules.Level{T: -1, Alpha: 1}

// wholeTimes are timesteps that a class rounds; within the table even where
// readSpacing has found that they are not.
func (tr training) wholeTimes(c *Options, otherwise string, n int) []int {
	var whole []int
	for _, t := range tr.readSpacing(c, otherwise, n) {
		whole = append(whole, min(max(int(math.RoundToEven(t)), 0), tr.len()-1))
	}
	return whole
}

// at returns the level of a timestep, or that before the table.
func (tr training) at(t int, before schedules.Level) schedules.Level {
	if t < 0 {
		return before
	}
	return tr.level(t)
}

// grid returns the levels of timesteps.
func (tr training) grid(times []int) schedules.Grid {
	var g schedules.Grid
	for _, t := range times {
		g = append(g, tr.level(t))
	}
	return g
}

// vpRun is a translation on entries of the table and the level after them.
func (tr training) vpRun(times []int, end schedules.Level, s solvers.Solver) *Translation {
	t := &Translation{Grid: append(tr.grid(times), end), Solver: s, StartScale: 1, Tables: map[string][]float64{}}
	for _, i := range times {
		t.Tables["timesteps"] = append(t.Tables["timesteps"], float64(i))
		t.Tables["alphas_cumprod_at_timesteps"] = append(t.Tables["alphas_cumprod_at_timesteps"], tr.alphaBar(i))
	}
	return t
}

// readBefore reads the level that a step past the table leads to: no noise, or
// that of entry 0.
func (tr training) readBefore(c *Options) schedules.Level {
	if c.Bool("set_alpha_to_one", true) {
		return clean
	}
	return tr.level(0)
}

// final is the table of that level.
func (t *Translation) final(l schedules.Level) {
	t.Tables["final_alpha_cumprod"] = []float64{l.Alpha * l.Alpha}
}

// readThreePredictions reads what most classes offer.
func readThreePredictions(c *Options, tr training) models.Prediction {
	return readPrediction(c, tr, "epsilon", "sample", "v_prediction")
}

// diffusersDDPM draws at every step from a timestep above 0, where the small
// variance of a step to σ = 0 is 1e-20 in place of 0.
func diffusersDDPM(r Run) (*Translation, error) {
	c := r.Config
	tr := readTraining(c, ddpmBetas, 0)
	readThreePredictions(c, tr)
	times := tr.wholeTimes(c, "leading", r.Steps)
	s := solvers.DDPM{First: solvers.OwnFirst}
	switch kind := c.Text("variance_type", "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"); kind {
	case "fixed_large":
		s.Variance = solvers.LargeVariance
		if times[len(times)-1] > 0 {
			s.Last = solvers.Own
		}
	case "fixed_large_log":
		c.Fail("variance_type", "is fixed_large_log, where the program takes the root of log β, which is no number: use fixed_large")
	case "learned", "learned_range":
		c.Fail("variance_type", "is %s, of networks with a second output, which a denoiser lacks: use ddpm(variance=learned,v=…) for a fraction, or analytic-ddpm on an exact model", kind)
	}
	t := tr.vpRun(times, clean, s)
	t.Wrap = readClipping(c, true)
	for _, i := range times {
		if i > 0 {
			t.Draws++
		}
	}
	t.Draw = func(step, _ int) int { return step }
	return t, nil
}

// diffusersDDIM steps from t to t − ⌊T/n⌋, wherever the next call is made. With
// η it draws at every step. What changes x₀ leaves ε as the network gave it,
// unless use_clipped_model_output is true.
func diffusersDDIM(r Run) (*Translation, error) {
	c := r.Config
	tr := readTraining(c, ddpmBetas, 0)
	readThreePredictions(c, tr)
	times := tr.wholeTimes(c, "leading", r.Steps)
	before := tr.readBefore(c)
	change := readChange(c, true)
	eta := r.Step.Float("eta", 0)
	rederive := r.Step.Bool("use_clipped_model_output", false)
	s := solvers.DDIM{Eta: eta}
	if eta > 0 {
		s.First = solvers.OwnFirst
	}

	legs := make([]schedules.Level, len(times))
	for i, t := range times {
		legs[i] = tr.at(t-tr.len()/len(times), before)
	}
	t := tr.vpRun(times, legs[len(legs)-1], s)
	t.final(before)
	t.Wrap = change.wrapper()
	if change != nil && !rederive {
		t.Wrap = nil
		t.Solver = apart("ddim", s.Properties(), change, func(i int, a schedules.Level) (x0, eps, z float64) {
			b := t.target(i)
			g := eta * b.Sigma * math.Sqrt(-math.Expm1(float64(a.LogSNR()-b.LogSNR())))
			return b.Alpha, math.Sqrt(max(0, b.Sigma*b.Sigma-g*g)), g
		})
	}
	if eta > 0 {
		t.everyStep()
	}
	if !slices.Equal(legs, t.Grid[1:]) {
		t.Quirks = append(t.Quirks, "step-target-not-next-timestep")
		if _, whole := t.Solver.(*habit); whole {
			t.targets = legs
		} else {
			t.Legs = legs
		}
	}
	if times[len(times)-1] == 0 && before.Sigma > 0 {
		// From entry 0 to entry 0: without noise, nothing changes.
		t.Grid, t.Idle = t.Grid[:len(times)], 1
		if t.Legs != nil {
			t.Legs = t.Legs[:len(times)-1]
		}
		t.Quirks = append(t.Quirks, "zero-length-last-step")
	}
	return t, nil
}

// target is the level that step i leads to.
func (t *Translation) target(i int) schedules.Level {
	if t.targets != nil {
		return t.targets[i]
	}
	return t.Grid[i+1]
}

// apart is a step with x₀ as change leaves it and ε as the network gave it,
//
//	x_b = p x₀ + q ε + r z
//
// whose coefficients depend on the step's number and the level it comes from.
func apart(name string, props solvers.Properties, change rowChange, coefficients func(i int, from schedules.Level) (p, q, r float64)) solvers.Solver {
	return &habit{
		name:  name + " with ε of the unchanged x₀",
		props: solvers.Properties{Order: 1, Evals: 1, LastEvals: 1, Stochastic: props.Stochastic},
		last:  1,
		step: func(s *habitStep) {
			d := s.denoise(s.x, s.from)
			eps := s.predict(models.Eps{}, s.from, s.x, d)
			p, q, noise := coefficients(s.index, s.from)
			dim := models.Dim(s.run.problem.Denoiser)
			for i := 0; i < len(d); i += dim {
				change(d[i : i+dim])
			}
			mix(s.next, p, d, q, eps)
			if noise > 0 {
				mix(s.next, 1, s.next, noise, s.normal(s.from, s.to))
			}
		},
	}
}

// diffusersDDIMInverse steps from t − ⌊T/n⌋ up to t, evaluates the network at t
// on the state it has, and decodes the output at t − ⌊T/n⌋.
func diffusersDDIMInverse(r Run) (*Translation, error) {
	c := r.Config
	tr := readTraining(c, ddpmBetas, 0)
	prediction := readThreePredictions(c, tr)
	times := tr.wholeTimes(c, "leading", r.Steps)
	slices.Reverse(times)
	before := tr.readBefore(c)
	if prediction == (models.X0{}) && before.Sigma == 0 {
		c.Fail("prediction_type", "is sample and set_alpha_to_one is true: without noise in the first state x₀ says nothing of ε; use set_alpha_to_one = false")
	}
	change := readClipRow(c, true)

	t := tr.vpRun(times, clean, solvers.DDIMInversion{Iterations: 1})
	t.StartScale = 0 // it starts from data
	from := map[schedules.Level]schedules.Level{}
	for i, at := range times {
		t.Legs = append(t.Legs, tr.level(at))
		t.Grid[i] = tr.at(min(at-tr.len()/len(times), tr.len()-1), before)
		from[t.Legs[i]] = t.Grid[i]
	}
	t.Grid[len(times)] = t.Legs[len(times)-1]
	if t.Grid[0] == t.Legs[0] && len(times) > 1 {
		// From entry 0 to entry 0: the first step changes nothing.
		t.Grid, t.Legs, t.Ahead = t.Grid[1:], t.Legs[1:], 1
	}
	if slices.Equal(t.Legs, t.Grid[1:]) {
		t.Legs = nil
	} else {
		t.Quirks = append(t.Quirks, "step-target-not-next-timestep")
	}
	t.Quirks = append(t.Quirks, "inverse-label-ahead")
	if prediction != (models.Eps{}) || change != nil {
		t.Wrap = func(d models.Denoiser) models.Denoiser {
			return decodedBehind{d, models.ToRaw(prediction, d), prediction, change, from}
		}
	}
	return t, nil
}

// decodedBehind answers at the level that an inversion steps to such that the slope
// of the answer, (x − αD)/σ, leads from the level before it where the program goes:
// the network's output at the level ahead, decoded at the level behind,
//
//	x_b = α_b x₀ + σ_b ε,   x₀ changed, ε as decoded
type decodedBehind struct {
	inner      models.Denoiser
	raw        models.Raw
	prediction models.Prediction
	change     rowChange
	from       map[schedules.Level]schedules.Level
}

func (d decodedBehind) Shape() []int { return d.inner.Shape() }

// Denoise implements [models.Denoiser].
func (d decodedBehind) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	b := q.At[0]
	a, ok := d.from[b]
	switch {
	case len(q.At) != 1 || !ok:
		return fmt.Errorf("dialects: inversion asks at %d levels, the first at α = %g, σ = %g, which is no level ahead", len(q.At), b.Alpha, b.Sigma)
	case a == b:
		return d.inner.Denoise(ctx, dst, q)
	}
	if err := d.raw.Predict(ctx, dst, q); err != nil {
		return err
	}
	skip, out, err := d.prediction.Decode(a)
	if err != nil {
		return err
	}
	x0, eps := make([]float64, len(dst)), make([]float64, len(dst))
	mix(x0, skip, q.X, out, dst)
	switch d.prediction {
	case models.Eps{}:
		copy(eps, dst)
	case models.V{}:
		mix(eps, a.Sigma, q.X, a.Alpha, dst)
	default:
		mix(eps, 1/a.Sigma, q.X, -a.Alpha/a.Sigma, x0)
	}
	if d.change != nil {
		for row := range slices.Chunk(x0, models.Dim(d.inner)) {
			d.change(row)
		}
	}
	// x_b = (α_b/α_a) x + k (x − α_b D)/σ_b, solved for D.
	k := b.Alpha * (b.Noise() - a.Noise())
	for i, x := range q.X {
		slope := (b.Alpha*x0[i] + b.Sigma*eps[i] - b.Alpha/a.Alpha*x) / k
		dst[i] = (x - b.Sigma*slope) / b.Alpha
	}
	return nil
}
