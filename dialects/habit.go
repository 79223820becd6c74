package dialects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// habit is a solver of a dialect's own: a step that another program takes and
// that is no method, reproduced as it is.
type habit struct {
	name  string
	props solvers.Properties
	last  int                // evaluations of the last step; Properties().Evals of the others
	step  func(s *habitStep) // writes s.next
}

// habitStep is one step of a habit. After an error the rest of it does nothing.
type habitStep struct {
	index    int
	grid     schedules.Grid
	from, to schedules.Level
	x, next  []float64

	run *habitRun
	err error
}

func (h *habit) String() string { return h.name }

// Properties implements [solvers.Solver].
func (h *habit) Properties() solvers.Properties { return h.props }

// NFE implements [solvers.Solver].
func (h *habit) NFE(g schedules.Grid) int { return h.props.Evals*(g.Steps()-1) + h.last }

// Start implements [solvers.Solver].
func (h *habit) Start(p solvers.Problem, x []float64, opts ...solvers.RunOption) (solvers.Stepper, error) {
	switch {
	case len(opts) > 0:
		return nil, fmt.Errorf("dialects: %s takes no options of a run: it neither resumes nor is observed", h.name)
	case h.props.Stochastic && p.Noise == nil:
		return nil, fmt.Errorf("dialects: %s draws noise and the problem has none", h.name)
	}
	if err := p.Grid.Validate(); err != nil {
		return nil, err
	}
	return &habitRun{habit: h, problem: p, x: slices.Clone(x), next: make([]float64, len(x))}, nil
}

// habitRun is a habit under way.
type habitRun struct {
	habit        *habit
	problem      solvers.Problem
	x, next      []float64
	past         [][]float64 // what the steps before left, for a habit that looks back
	index, evals int
	stage        int // noise requests of this step
	ctx          context.Context
}

// Step implements [solvers.Stepper].
func (r *habitRun) Step(ctx context.Context) (solvers.Step, error) {
	g := r.problem.Grid
	if r.index == g.Steps() {
		return solvers.Step{}, io.EOF
	}
	r.ctx, r.stage = ctx, 0
	s := habitStep{index: r.index, grid: g, from: g[r.index], to: g[r.index+1], x: r.x, next: r.next, run: r, err: ctx.Err()}
	if s.err == nil {
		r.habit.step(&s)
	}
	for i, v := range r.next {
		if s.err == nil && v-v != 0 {
			s.err = fmt.Errorf("value %d of the state is %g", i, v)
		}
	}
	if s.err != nil {
		return solvers.Step{}, &solvers.StepError{Solver: r.habit.name, Index: r.index, From: s.from, To: s.to, Err: s.err}
	}
	r.x, r.next = r.next, r.x
	r.index++
	return solvers.Step{Index: r.index - 1, From: s.from, To: s.to, X: r.x, DenoisedAt: s.from, Evals: r.evals, ErrEst: math.NaN()}, nil
}

// State implements [solvers.Stepper].
func (r *habitRun) State() solvers.State {
	return solvers.State{Solver: r.habit.name, Index: r.index, Evals: r.evals, X: slices.Clone(r.x)}
}

// denoise returns D(x, at).
func (s *habitStep) denoise(x []float64, at schedules.Level) []float64 {
	d := make([]float64, len(x))
	if s.err != nil {
		return d
	}
	p := s.run.problem
	q := models.Query{X: x, Rows: len(x) / models.Dim(p.Denoiser), At: []schedules.Level{at}, Labels: p.Labels}
	s.err = p.Denoiser.Denoise(s.run.ctx, d, q)
	s.run.evals++
	return d
}

// normal returns the noise of the next request of the step.
func (s *habitStep) normal(from, to schedules.Level) []float64 {
	z := make([]float64, len(s.x))
	if s.err == nil {
		s.err = s.run.problem.Noise.Normal(solvers.NoiseRequest{Step: s.index, Stage: s.run.stage, From: from, To: to, Z: z})
		s.run.stage++
	}
	return z
}

// mix writes a·v + b·w into dst, which may be one of them.
func mix(dst []float64, a float64, v []float64, b float64, w []float64) {
	for i := range dst {
		dst[i] = float64(a*v[i]) + float64(b*w[i])
	}
}

// predict returns what a network of p says where the exact answer is d.
func (s *habitStep) predict(p models.Prediction, at schedules.Level, x, d []float64) []float64 {
	skip, out, err := p.Encode(at)
	s.err = errors.Join(s.err, err)
	f := make([]float64, len(x))
	mix(f, skip, x, out, d)
	return f
}

// decode returns the clean sample that a prediction f stands for at x.
func (s *habitStep) decode(p models.Prediction, at schedules.Level, x, f []float64) []float64 {
	skip, out, err := p.Decode(at)
	s.err = errors.Join(s.err, err)
	d := make([]float64, len(x))
	mix(d, skip, x, out, f)
	return d
}

// churnedLevel is the level that churn raises a step's to; ok is false where it
// does not.
func churnedLevel(c solvers.Euler, sigma float64, intervals int) (up float64, ok bool) {
	if c.SChurn == 0 || sigma < c.SMin || sigma > c.SMax {
		return sigma, false
	}
	return sigma * (1 + min(c.SChurn/float64(intervals), math.Sqrt2-1)), true
}

// lateChurn is Euler with churn where the noise is added after the network was
// asked: its output belongs to the state without the noise, and is decoded with
// the noisy one, at the raised level or, for decodeLow, at the level before.
//
//	F = F(x, σ),   x̂ = x + SNoise √(σ̂² − σ²) z,   x_b = x̂ + (σ_b − σ̂)(x̂ − D(x̂, F))/σ̂
func lateChurn(c solvers.Euler, p models.Prediction, decodeLow bool) solvers.Solver {
	return &habit{
		name:  fmt.Sprintf("euler with churn after the evaluation (schurn=%g,stmin=%g,stmax=%g,snoise=%g)", c.SChurn, c.SMin, c.SMax, c.SNoise),
		props: solvers.Properties{Order: 1, Evals: 1, LastEvals: 1, Stochastic: true},
		last:  1,
		step: func(s *habitStep) {
			f := s.predict(p, s.from, s.x, s.denoise(s.x, s.from))
			moved, up := s.x, s.from
			if sigma, ok := churnedLevel(c, s.from.Sigma, s.grid.Steps()); ok {
				up = veLevel(sigma)
				moved = make([]float64, len(s.x))
				mix(moved, 1, s.x, c.SNoise*math.Sqrt(sigma*sigma-s.from.Sigma*s.from.Sigma), s.normal(s.from, up))
			}
			at := up
			if decodeLow {
				at = s.from
			}
			d := s.decode(p, at, moved, f)
			r := s.to.Sigma / up.Sigma
			mix(s.next, r, moved, 1-r, d)
		},
	}
}
