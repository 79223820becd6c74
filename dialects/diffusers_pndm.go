package dialects

import (
	"math"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/solvers"
)

// PNDMScheduler and IPNDMScheduler of diffusers: the pseudo-numerical methods
// [liu2022], on variance-preserving states that are written down at every call.

// tableTime is a table of timesteps as a schedule; between entries log σ/α is
// linear.
type tableTime struct{ training }

func (s *tableTime) At(t float64) schedules.Level {
	l := vpLevel(math.Exp(interp(t, each(s.noises(), math.Log))))
	if t == math.Trunc(t) && t >= 0 && int(t) < s.len() {
		l = s.training.level(int(t))
	}
	l.T = t
	return l
}

func (s *tableTime) TimeOf(l snr.LogSNR) float64 { return s.timesOf([]float64{l.Sigma()})[0] }

func (s *tableTime) Domain() (clean, noisy float64) { return 0, float64(s.len() - 1) }
func (s *tableTime) Path() schedules.Path           { return schedules.VPPath{} }
func (s *tableTime) String() string                 { return "table of timesteps" }

// pndmRun is what PNDMScheduler makes of a config.
type pndmRun struct {
	tr         training
	times      []int // of the steps
	stride     int   // ⌊T/n⌋, the length of a step whatever the next timestep is
	last       schedules.Level
	prk        bool
	prediction models.Prediction
}

func diffusersPNDM(r Run) (*Translation, error) {
	c := r.Config
	tr := readTraining(c, ddpmBetas, 0)
	p := pndmRun{tr: tr, prk: !c.Bool("skip_prk_steps", false), last: tr.level(0)}
	p.prediction = readPrediction(c, tr, "epsilon", "v_prediction")
	if c.Bool("set_alpha_to_one", false) {
		p.last = schedules.Level{T: math.NaN(), Alpha: 1}
	}
	listed := each(tr.readSpacing(c, "leading", r.Steps), math.RoundToEven)
	if p.prk && r.Steps < 4 {
		c.Fail("skip_prk_steps", "is false with %d steps: the pseudo Runge–Kutta start takes three, and one more follows", r.Steps)
	}
	for _, t := range listed {
		p.times = append(p.times, int(t))
	}
	p.stride = tr.len() / max(r.Steps, 1)
	t := &Translation{States: PerCall, Schedule: &tableTime{tr}}
	for i, at := range p.times {
		if i > 0 && at >= p.times[i-1] {
			c.Fail("timestep_spacing", "gives timestep %d after %d: expected fewer steps", at, p.times[i-1])
			return t, nil
		}
		t.Grid = append(t.Grid, p.level(at))
	}
	t.Grid = append(t.Grid, p.last)
	t.restAtEnd()
	if t.Idle > 0 {
		t.Quirks = append(t.Quirks, "zero-length-last-step")
	}
	labels := p.labels()
	t.Tables = map[string][]float64{"timesteps": labels, "final_alpha_cumprod": {p.last.Alpha * p.last.Alpha}}
	for _, at := range labels {
		t.Tables["alphas_cumprod_at_timesteps"] = append(t.Tables["alphas_cumprod_at_timesteps"], tr.alphaBar(min(max(int(at), 0), tr.len()-1)))
	}
	if !p.aligned() {
		t.Quirks = append(t.Quirks, "step-target-not-next-timestep")
	}
	if p.prediction != (models.Eps{}) {
		t.Quirks = append(t.Quirks, "multistep-of-raw-predictions")
	}
	if p.aligned() && p.prediction == (models.Eps{}) {
		s := solvers.PNDM{Last: solvers.Own}
		if !p.prk {
			s.Opening = solvers.PLMS
		}
		t.Solver = s
	} else {
		t.Solver = p.habit()
	}
	return t, nil
}

// labels lists the timestep of every call.
func (p pndmRun) labels() []float64 {
	var l []float64
	for i, t := range p.times {
		switch {
		case p.prk && i < 3 && i+1 < len(p.times):
			next := p.times[i+1]
			half := float64(next + p.stride/2)
			l = append(l, float64(t), half, half, float64(next))
		case !p.prk && i == 1:
			l = append(l, float64(t), float64(t))
		default:
			l = append(l, float64(t))
		}
	}
	return l
}

// aligned reports that steps lead to the next timestep, and halves of them to
// the middle.
func (p pndmRun) aligned() bool {
	for i := range p.times[1:] {
		if p.times[i]-p.times[i+1] != p.stride {
			return false
		}
	}
	return !p.prk || p.stride%2 == 0
}

// level is that of a timestep, of which those below 0 are the end of the run.
func (p pndmRun) level(t int) schedules.Level {
	if t < 0 {
		return p.last
	}
	return p.tr.level(min(t, p.tr.len()-1))
}

// habit is the class as it is: the combinations are of what the network says,
// also where that is v, and become ε with the state and the level of the step.
func (p pndmRun) habit() solvers.Solver {
	extra := 1
	if p.prk {
		extra = 9
	}
	return &habit{
		name:  "PNDM of raw predictions, by a fixed stride",
		props: solvers.Properties{Order: 1, Evals: 1, LastEvals: 1, History: 3},
		last:  1 + extra,
		step: func(s *habitStep) {
			i := s.index
			t := p.times[i]
			ask := func(x []float64, at schedules.Level) []float64 {
				return s.predict(p.prediction, at, x, s.denoise(x, at))
			}
			move := func(dst, f []float64, from, to schedules.Level) { // of s.x
				e := make([]float64, len(f))
				mix(e, 1/from.Sigma, s.x, -from.Alpha/from.Sigma, s.decode(p.prediction, from, s.x, f))
				mix(dst, to.Alpha/from.Alpha, s.x, to.Sigma-to.Alpha*from.Sigma/from.Alpha, e)
			}
			f := ask(s.x, s.from)
			y, mean := make([]float64, len(f)), make([]float64, len(f))
			switch {
			case p.prk && i < 3:
				next := p.times[i+1]
				half := p.stride / 2
				middle := p.level(next + half)
				mix(mean, 1./6, f, 0, f)
				move(y, f, s.from, p.level(t-half))
				g := ask(y, middle)
				mix(mean, 1, mean, 1./3, g)
				move(y, g, s.from, middle)
				g = ask(y, middle)
				mix(mean, 1, mean, 1./3, g)
				move(y, g, s.from, p.level(next))
				mix(mean, 1, mean, 1./6, ask(y, p.level(next)))
				move(s.next, mean, s.from, p.level(next))
			case !p.prk && i == 0 && len(p.times) > 1:
				next := p.times[1]
				move(y, f, s.from, p.level(t-p.stride))
				mix(mean, 0.5, f, 0.5, ask(y, p.level(next)))
				move(s.next, mean, p.level(next+p.stride), p.level(next))
			default:
				weights := ipndmWeights[min(len(s.run.past), 3)]
				mix(mean, weights[0], f, 0, f)
				for j, w := range weights[1:] {
					mix(mean, 1, mean, w, s.run.past[j])
				}
				move(s.next, mean, s.from, p.level(t-p.stride))
			}
			s.run.past = append([][]float64{f}, s.run.past[:min(len(s.run.past), 2)]...)
		},
	}
}

// diffusersIPNDM has levels of its own, σ = sin²(πu/2) for u from 1 to 0, and is
// iPNDM of order 4 but for the first step, which leaves α = 0: there ε is x, and
// x₀ counts as 0.
func diffusersIPNDM(r Run) (*Translation, error) {
	c := r.Config
	c.Ignore("num_train_timesteps")
	n := r.Steps
	if n < 1 || n > maxSteps {
		c.Fail("num_train_timesteps", "and %d steps: expected 1 to %d steps", n, maxSteps)
		return &Translation{}, nil
	}
	sigmas := each(linspace(1, 0, n+1), func(u float64) float64 { s := math.Sin(u * math.Pi / 2); return s * s })
	if given := c.Floats("trained_betas"); given != nil {
		if sigmas = given; len(given) != n+1 {
			c.Fail("trained_betas", "has %d numbers: expected one more than the %d steps", len(given), n)
			return &Translation{}, nil
		}
	}
	alphas := each(sigmas, func(s float64) float64 { return math.Sqrt(1 - s*s) })
	t := &Translation{
		States: PerCall, Quirks: []string{"ipndm-first-step-drops-x0"},
		Tables: map[string][]float64{"alphas": alphas, "betas": sigmas, "timesteps": nil},
	}
	for i, s := range sigmas {
		t.Grid = append(t.Grid, schedules.Level{T: math.NaN(), Alpha: alphas[i], Sigma: s})
		if i < n {
			t.Tables["timesteps"] = append(t.Tables["timesteps"], math.Atan2(s, alphas[i])/math.Pi*2)
		}
	}
	if err := t.Grid.Validate(); err != nil {
		c.Fail("trained_betas", "gives levels that do not fall: %v", err)
		return t, nil
	}
	weights := bySteps(t.Grid, func(i int) []float64 {
		return each(ipndmWeights[min(i, 3)], func(w float64) float64 { return w * (t.Grid[i+1].Noise() - t.Grid[i].Noise()) })
	})
	if t.Grid[0].Alpha == 0 { // where ε = x, and x − σε = 0 stays 0 although it is divided by α
		weights[0] = []float64{0, t.Grid[1].Sigma}
	}
	t.Solver = weighted("iPNDM from α = 0, weights", 4, weights)
	return t, nil
}
