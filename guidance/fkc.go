package guidance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// FKC is the Feynman–Kac corrector [skreta2025]: particles that follow the
// reverse SDE of guidance, with weights and resampling that make them draws of
// the tilted law p_to^G p_from^(1−G) of every level they pass. With ŝ = σ/α,
// v = ŝ², hats for division by α, and a step from a to the cleaner b,
//
//	x̂_b = D + (v_b/v_a)(x̂_a − D) + √(v_b (v_a − v_b)/v_a) z,    D = D_from + G (D_to − D_from)
//	log w += ½ G(G−1) ∫ |s_to − s_from|² dv
//	       = ½ G(G−1) ½ (f_a + f_b)(λ_b − λ_a),     f = |D_to − D_from|²/v
//
// Where the effective sample size falls below the share ESS of the particles,
// all are drawn again by their weights (systematic resampling) and start at equal
// ones. f vanishes at both ends, so that the integral out of α = 0 is f_b, and
// into σ = 0, where x = α D, it is f_a. Into a last level with noise it is
// f_a (λ_b − λ_a), for nothing is evaluated there.
//
// It runs on a [Guided] denoiser with a constant scale and no rescale: the target
// of a G that changes with the level needs the densities. Order 1 in law; one
// evaluation of both models a step. Rows are one population, so that a row
// depends on all: Properties say Coupled.
//
// Differs from [skreta2025] in the variance of the noise, v_b/v_a (v_a − v_b) for
// v_a − v_b, which is exact where D is constant, and in the trapezoidal integral,
// for the left end's value of the score.
type FKC struct {
	ESS   float64 `json:"ess"`   // 0 never resamples; 0.5 by default
	Final bool    `json:"final"` // draw by the weights at the end, so that the last rows weigh the same; true by default
}

// Solvers lists the solvers of this package, which run on guided denoisers.
func Solvers() spec.Registry[solvers.Solver] {
	return spec.Registry[solvers.Solver]{Kind: "guided solver", Entries: []spec.Entry[solvers.Solver]{
		{Name: "fkc", Summary: FKC{}.Properties().Summary, Default: FKC{ESS: 0.5, Final: true}},
	}}
}

func (f FKC) String() string { return Solvers().Format("fkc", f) }

// Properties say what it promises.
func (f FKC) Properties() solvers.Properties {
	return solvers.Properties{
		Order: 1, Evals: 1, LastEvals: 1, Stochastic: true, PathFree: true, Coupled: true,
		Summary:    "Feynman–Kac corrector: weighted particles whose law is the tilted one",
		Equation:   "x̂_b = D + (v_b/v_a)(x̂_a − D) + √(v_b (v_a − v_b)/v_a) z, log w += ½ G(G−1) ∫ |s_to − s_from|² dv",
		References: []string{"skreta2025"},
	}
}

// NFE returns the evaluations of the pair, one a step.
func (f FKC) NFE(g schedules.Grid) int { return g.Steps() }

// Validate reports a share that is none.
func (f FKC) Validate() error {
	if !(f.ESS >= 0 && f.ESS <= 1) {
		return fmt.Errorf("ess = %g: expected a share of the particles, 0 to 1", f.ESS)
	}
	return nil
}

// Particles is the Stepper of an FKC.
type Particles struct {
	fkc       FKC
	guided    *Guided
	problem   solvers.Problem
	g         float64 // G
	rows, dim int
	observe   func(solvers.Stage)

	index                int
	x, next, to, from, z []float64 // rows×dim
	logw, gap, earlier   []float64 // rows: log w, f here, f at the level before
	share, uniform       []float64
	parents              []int
	resampled            int
	least                float64 // smallest effective share so far
	at                   [1]schedules.Level
}

// Start implements [solvers.Solver].
func (f FKC) Start(p solvers.Problem, x []float64, opts ...solvers.RunOption) (solvers.Stepper, error) {
	w, err := f.start(p, x, solvers.SettingsOf(opts))
	if err != nil {
		return nil, fmt.Errorf("guidance: %s: %w", f, err)
	}
	return w, nil
}

func (f FKC) start(p solvers.Problem, x []float64, s solvers.Settings) (*Particles, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if p.Denoiser == nil {
		return nil, errors.New("the problem has no denoiser")
	}
	guided, ok := models.As[*Guided](p.Denoiser)
	if !ok {
		return nil, errors.New("expected a denoiser made by New or CFG, whose two models it weighs against each other")
	}
	constant, ok := guided.scale.(Constant)
	switch {
	case !ok:
		return nil, fmt.Errorf("scale %s: expected a constant one, the law that a changing one aims at is not known", guided.scale)
	case guided.rescale.Phi != 0:
		return nil, fmt.Errorf("rescale φ = %g: expected none, it has no law to aim at", guided.rescale.Phi)
	case p.Noise == nil:
		return nil, errors.New("the method draws noise and the problem has none: set Problem.Noise")
	case len(x) == 0 || len(x)%guided.dim != 0:
		return nil, fmt.Errorf("the start has %d values: expected a positive multiple of the denoiser's %d", len(x), guided.dim)
	}
	if err := p.Grid.Validate(); err != nil {
		return nil, err
	}
	rows := len(x) / guided.dim
	if p.Labels != nil && len(p.Labels) != rows {
		return nil, fmt.Errorf("%d labels: expected none, or one for each of %d rows", len(p.Labels), rows)
	}
	w := &Particles{fkc: f, guided: guided, problem: p, g: constant.G, rows: rows, dim: guided.dim, observe: s.Observe, least: 1}
	w.problem.Grid, w.problem.Labels = slices.Clone(p.Grid), slices.Clone(p.Labels)
	w.x = slices.Clone(x)
	for _, a := range []*[]float64{&w.next, &w.to, &w.from, &w.z} {
		*a = make([]float64, len(x))
	}
	for _, a := range []*[]float64{&w.logw, &w.gap, &w.earlier, &w.share, &w.uniform} {
		*a = make([]float64, rows)
	}
	w.parents = make([]int, rows)
	if s.Resume != nil {
		if err := w.resume(*s.Resume); err != nil {
			return nil, err
		}
	}
	return w, w.finite(w.x)
}

func (w *Particles) resume(s solvers.State) error {
	switch {
	case s.Solver != w.fkc.String():
		return fmt.Errorf("the state to resume belongs to %s", s.Solver)
	case s.Index < 0 || s.Index > w.problem.Grid.Steps():
		return fmt.Errorf("the state to resume is after step %d of a grid of %d steps", s.Index, w.problem.Grid.Steps())
	case len(s.X) != len(w.x) || len(s.History) != 2 || len(s.History[0]) != w.rows || len(s.History[1]) != w.rows:
		return fmt.Errorf("the state to resume does not fit %d rows of %d values with their weights", w.rows, w.dim)
	}
	copy(w.x, s.X)
	copy(w.logw, s.History[0])
	copy(w.earlier, s.History[1])
	w.index = s.Index
	if src, ok := w.problem.Noise.(interface{ Seek(position int) error }); ok {
		return src.Seek(s.Noise)
	}
	return nil
}

// State implements [solvers.Stepper]. The history is log w, and f at the level
// before.
func (w *Particles) State() solvers.State {
	s := solvers.State{
		Solver: w.fkc.String(), Index: w.index, Evals: w.index, X: slices.Clone(w.x),
		History: [][]float64{slices.Clone(w.logw), slices.Clone(w.earlier)},
	}
	if src, ok := w.problem.Noise.(interface{ Position() int }); ok {
		s.Noise = src.Position()
	}
	return s
}

// LogWeights returns log w of every row, unnormalised, as a view: all 0 after
// resampling.
func (w *Particles) LogWeights() []float64 { return w.logw }

// Effective returns the smallest effective share (Σw)²/(n Σw²) of the particles
// that the run has come to before any resampling, and how often it resampled.
func (w *Particles) Effective() (least float64, resampled int) { return w.least, w.resampled }

// Step implements [solvers.Stepper].
func (w *Particles) Step(ctx context.Context) (solvers.Step, error) {
	grid := w.problem.Grid
	if w.index == grid.Steps() {
		return solvers.Step{}, io.EOF
	}
	if err := ctx.Err(); err != nil {
		return solvers.Step{}, err
	}
	a, b := grid[w.index], grid[w.index+1]
	if err := w.step(ctx, a, b); err != nil {
		return solvers.Step{}, &solvers.StepError{Solver: w.fkc.String(), Index: w.index, From: a, To: b, Err: err}
	}
	w.index++
	return solvers.Step{
		Index: w.index - 1, From: a, To: b, X: w.x, Denoised: w.to, DenoisedAt: a,
		OrderUsed: 1, Evals: w.index, EvalsMean: float64(w.index), ErrEst: math.NaN(),
	}, nil
}

func (w *Particles) step(ctx context.Context, a, b schedules.Level) error {
	w.at[0] = a
	q := models.Query{X: w.x, Rows: w.rows, At: w.at[:], Labels: w.problem.Labels}
	if err := w.guided.Pair(ctx, w.to, w.from, q); err != nil {
		return err
	}
	// f of the particles here, and the integral that led to them.
	snr := a.Alpha / a.Sigma * (a.Alpha / a.Sigma)
	for i := range w.gap {
		sum := 0.0
		for j := i * w.dim; j < (i+1)*w.dim; j++ {
			d := w.to[j] - w.from[j]
			sum += d * d
			w.to[j] = combined(w.to[j], w.from[j], w.g)
		}
		w.gap[i] = snr * sum
	}
	if w.index > 0 {
		w.weigh(w.problem.Grid[w.index-1], a, w.gap)
	}
	if w.effective() < w.fkc.ESS {
		if err := w.resample(a, w.x, w.to); err != nil {
			return err
		}
	}
	if w.observe != nil {
		w.observe(solvers.Stage{Step: w.index, At: a, X: w.x, Denoised: w.to})
	}

	keep, gain, noise := transition(a, b)
	if noise > 0 {
		if err := w.problem.Noise.Normal(solvers.NoiseRequest{Step: w.index, From: a, To: b, Z: w.z}); err != nil {
			return err
		}
	}
	for j, x := range w.x {
		w.next[j] = float64(keep*x) + float64(gain*w.to[j])
		if noise > 0 {
			w.next[j] += noise * w.z[j]
		}
	}
	if err := w.finite(w.next); err != nil {
		return err
	}
	w.x, w.next = w.next, w.x
	w.gap, w.earlier = w.earlier, w.gap
	if w.index+1 < w.problem.Grid.Steps() {
		return nil
	}
	w.weigh(a, b, w.earlier)
	w.effective()
	if w.fkc.Final {
		return w.resample(b, w.x)
	}
	return nil
}

// transition returns the factors of x_b = keep·x_a + gain·D + noise·z. Out of
// α = 0 and into σ = 0 they are those of the steps that all solvers share.
func transition(a, b schedules.Level) (keep, gain, noise float64) {
	if a.Alpha == 0 || b.Sigma == 0 {
		keep = b.Sigma / a.Sigma
		return keep, b.Alpha - a.Alpha*keep, 0
	}
	ratio := b.Noise() / a.Noise()
	keep = b.Alpha / a.Alpha * ratio * ratio
	gain = b.Alpha * (1 - ratio) * (1 + ratio)
	return keep, gain, b.Sigma * math.Sqrt((1-ratio)*(1+ratio))
}

// weigh adds the integral between two levels to the weights; at is f at b.
func (w *Particles) weigh(a, b schedules.Level, at []float64) {
	c := 0.5 * w.g * (w.g - 1)
	for i := range w.logw {
		integral := 0.0
		switch {
		case a.Alpha == 0:
			integral = at[i]
		case b.Sigma == 0:
			integral = w.earlier[i]
		default:
			integral = 0.5 * (w.earlier[i] + at[i]) * float64(b.LogSNR()-a.LogSNR())
		}
		w.logw[i] += c * integral
	}
}

// effective fills share with the normalised weights and returns their effective
// share of the particles.
func (w *Particles) effective() float64 {
	top, sum, square := slices.Max(w.logw), 0.0, 0.0
	for i, l := range w.logw {
		w.share[i] = math.Exp(l - top)
		sum += w.share[i]
	}
	for i := range w.share {
		w.share[i] /= sum
		square += w.share[i] * w.share[i]
	}
	e := 1 / (square * float64(w.rows))
	w.least = min(w.least, e)
	return e
}

// resample draws the rows of the arrays again by the shares: row i becomes the
// one at the fraction (i + u)/n of the weight, with one u for all, which is that
// of the first row. The numbers belong to no motion.
func (w *Particles) resample(at schedules.Level, arrays ...[]float64) error {
	if err := w.problem.Noise.Normal(solvers.NoiseRequest{Step: w.index, Stage: 1, From: at, To: at, Z: w.z, Uniform: w.uniform}); err != nil {
		return err
	}
	sum, parent, n := w.share[0], 0, float64(w.rows)
	for i := range w.parents {
		for (float64(i)+w.uniform[0])/n > sum && parent < w.rows-1 {
			parent++
			sum += w.share[parent]
		}
		w.parents[i] = parent
	}
	for _, a := range arrays {
		for i, p := range w.parents {
			copy(w.next[i*w.dim:(i+1)*w.dim], a[p*w.dim:(p+1)*w.dim])
		}
		copy(a, w.next)
	}
	for i, p := range w.parents {
		w.share[i] = w.gap[p]
	}
	copy(w.gap, w.share)
	clear(w.logw)
	w.resampled++
	return nil
}

func (w *Particles) finite(x []float64) error {
	for i, v := range x {
		if v-v != 0 {
			return fmt.Errorf("%g in row %d, column %d: expected finite values", v, i/w.dim, i%w.dim)
		}
	}
	return nil
}
