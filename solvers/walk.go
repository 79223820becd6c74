package solvers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"snrlab/internal/simd"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/snr"
)

// method is what one solver file contributes to the shared loop: how a step
// makes the next state, and what it needs to do so.
type method struct {
	// step writes w.next, the state at w.to, from w.x at w.from and
	// w.d = D(w.x, w.from). It is not called for the two named steps: the one
	// that leaves α = 0, and under last = Denoise the one that reaches σ = 0.
	step    func(w *walk)
	scratch int                                     // arrays of w.tmp
	history int                                     // earlier answers wanted in w.past
	keep    answer                                  // what w.past holds
	last    Last                                    // rule of the step to σ = 0
	churn   churn                                   // noise added before the step
	evals   int                                     // denoiser calls of an inner step
	extra   func(known int, to schedules.Level) int // further calls of a step with known earlier answers; may be nil
}

// answer is the quantity that a history holds.
type answer uint8

const (
	data  answer = iota // D
	noise               // e = (x − αD)/σ
)

// nfe counts the evaluations of a run over g.
func (m method) nfe(g schedules.Grid) int {
	n, known := 0, 0
	for i := range g.Steps() {
		if m.named(g[i], g[i+1]) {
			n++
		} else {
			n += m.evals
			if m.extra != nil {
				n += m.extra(known, g[i+1])
			}
		}
		known = m.knownAfter(known, g[i])
	}
	return n
}

// named reports a step that every solver takes alike: out of α = 0, where the
// slope of every method is infinite, and into σ = 0 under last = Denoise.
func (m method) named(from, to schedules.Level) bool {
	return from.Alpha == 0 || (to.Sigma == 0 && m.last == Denoise)
}

// knownAfter is the number of earlier answers after a step from a level. The
// answer at α = 0 is a constant that carries no slope and is not kept.
func (m method) knownAfter(known int, from schedules.Level) int {
	if from.Alpha == 0 {
		return 0
	}
	return min(known+1, m.history)
}

// walk runs a method over a grid. A failing operation sets err and turns the
// rest of the step into nothing, so that a method reads as its formulas; a
// failed step leaves the walk where it was.
type walk struct {
	solver  Solver
	method  method
	problem Problem
	observe func(Stage)
	rows    int
	dim     int

	index int // steps done
	evals int // denoiser calls so far
	known int // valid entries of past

	from, to schedules.Level // of this step; from is where D is evaluated
	x        []float64       // the state at from, read only
	d        []float64       // D(x, from)
	next     []float64       // the state at to, written by the method
	order    int             // of this step; a method writes it where it is not the promised one
	promised int             // Properties().Order
	past     [][]float64     // earlier answers, newest first: past[k] belongs to pastLevel(k)
	e        []float64       // (x − αD)/σ at from, if the method keeps a history of it
	tmp      [][]float64

	state []float64 // the state at Grid[index]
	moved []float64 // the state after churn
	z     []float64
	ctx   context.Context // of the step that is running
	stage int             // evaluations of this step
	draws int             // noise requests of this step
	err   error

	// What a call would allocate.
	at   [1]schedules.Level
	coef [maxTerms]float64
	src  [maxTerms][]float64
}

// start checks a problem and prepares its walk.
func start(s Solver, m method, p Problem, x []float64, opts []RunOption) (Stepper, error) {
	fail := func(format string, args ...any) (Stepper, error) {
		return nil, fmt.Errorf("solvers: %s: %w", s, fmt.Errorf(format, args...))
	}
	if v, ok := s.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return fail("%w", err)
		}
	}
	if p.Denoiser == nil {
		return fail("the problem has no denoiser")
	}
	if err := p.Grid.Validate(); err != nil {
		return fail("%w", err)
	}
	dim := models.Dim(p.Denoiser)
	if dim < 1 {
		return fail("the denoiser's sample shape %v has no values", p.Denoiser.Shape())
	}
	if len(x) == 0 || len(x)%dim != 0 {
		return fail("the start has %d values: expected a positive multiple of the denoiser's %d", len(x), dim)
	}
	rows := len(x) / dim
	if p.Labels != nil && len(p.Labels) != rows {
		return fail("%d labels: expected none, or one for each of %d rows", len(p.Labels), rows)
	}
	props := s.Properties()
	if props.Stochastic && p.Noise == nil {
		return fail("the method draws noise and the problem has none: set Problem.Noise")
	}
	if props.Between {
		if p.Schedule == nil {
			return fail("the method evaluates off the grid's levels and the problem has no schedule: set Problem.Schedule")
		}
		if err := onPath(p.Grid, p.Schedule.Path()); err != nil {
			return fail("%w", err)
		}
	}

	w := &walk{solver: s, method: m, rows: rows, dim: dim, promised: int(props.Order)}
	w.problem = p
	w.problem.Grid, w.problem.Labels = slices.Clone(p.Grid), slices.Clone(p.Labels)
	n := len(x)
	w.state, w.next, w.d = slices.Clone(x), make([]float64, n), make([]float64, n)
	w.past = arrays(m.history, n)
	w.tmp = arrays(m.scratch, n)
	if m.keep == noise {
		w.e = make([]float64, n)
	}
	if props.Stochastic {
		w.z = make([]float64, n)
	}
	if m.churn.SChurn > 0 {
		w.moved = make([]float64, n)
	}

	var cfg runConfig
	for _, o := range opts {
		o(&cfg)
	}
	w.observe = cfg.observe
	if cfg.resume != nil {
		if err := w.resume(*cfg.resume); err != nil {
			return fail("%w", err)
		}
	}
	if i, ok := firstNonFinite(w.state); ok {
		return fail("the start is %g in row %d, column %d: expected finite values", w.state[i], i/dim, i%dim)
	}
	return w, nil
}

func arrays(count, n int) [][]float64 {
	a := make([][]float64, count)
	for i := range a {
		a[i] = make([]float64, n)
	}
	return a
}

// onPath refuses a grid whose levels are not those of the path that levels
// between them would come from. A millionth is far above rounding and far
// below a wrong path.
func onPath(g schedules.Grid, path schedules.Path) error {
	for i, l := range g {
		a, s := path.Coeffs(l.LogSNR())
		if math.Abs(a-l.Alpha) > 1e-6*(a+l.Alpha) || math.Abs(s-l.Sigma) > 1e-6*(s+l.Sigma) {
			return fmt.Errorf("grid level %d has α = %g, σ = %g, and the schedule's path %s has α = %g, σ = %g at its λ: the grid and Problem.Schedule must share a path", i, l.Alpha, l.Sigma, path, a, s)
		}
	}
	return nil
}

// positioned is a noise source whose draws come in order.
type positioned interface {
	Position() int
	Seek(position int) error
}

func (w *walk) resume(s State) error {
	switch {
	case s.Solver != w.solver.String():
		return fmt.Errorf("the state to resume belongs to %s", s.Solver)
	case s.Index < 0 || s.Index > w.problem.Grid.Steps():
		return fmt.Errorf("the state to resume is after step %d of a grid of %d steps", s.Index, w.problem.Grid.Steps())
	case len(s.X) != len(w.state):
		return fmt.Errorf("the state to resume has %d values, the start %d", len(s.X), len(w.state))
	}
	known := 0
	for i := range s.Index {
		known = w.method.knownAfter(known, w.problem.Grid[i])
	}
	if len(s.History) != known {
		return fmt.Errorf("the state to resume has %d earlier evaluations: expected %d after step %d", len(s.History), known, s.Index)
	}
	for k, h := range s.History {
		if len(h) != len(w.state) {
			return fmt.Errorf("earlier evaluation %d of the state to resume has %d values, the start %d", k, len(h), len(w.state))
		}
		if i, bad := firstNonFinite(h); bad {
			return fmt.Errorf("earlier evaluation %d of the state to resume is %g in row %d, column %d: expected finite values", k, h[i], i/w.dim, i%w.dim)
		}
		copy(w.past[k], h)
	}
	copy(w.state, s.X)
	w.index, w.evals, w.known = s.Index, s.Evals, known
	if src, ok := w.problem.Noise.(positioned); ok {
		return src.Seek(s.Noise)
	}
	return nil
}

// State implements [Stepper].
func (w *walk) State() State {
	s := State{Solver: w.solver.String(), Index: w.index, Evals: w.evals, X: slices.Clone(w.state)}
	for _, h := range w.past[:w.known] {
		s.History = append(s.History, slices.Clone(h))
	}
	if src, ok := w.problem.Noise.(positioned); ok {
		s.Noise = src.Position()
	}
	return s
}

// Step implements [Stepper].
func (w *walk) Step(ctx context.Context) (Step, error) {
	g := w.problem.Grid
	if w.index >= g.Steps() {
		return Step{}, io.EOF
	}
	evals, drawn := w.evals, 0
	ordered, _ := w.problem.Noise.(positioned)
	if ordered != nil {
		drawn = ordered.Position()
	}
	w.take(ctx, g[w.index], g[w.index+1])
	if w.err != nil {
		w.evals = evals
		if ordered != nil {
			w.err = errors.Join(w.err, ordered.Seek(drawn))
		}
		return Step{}, &StepError{Solver: w.solver.String(), Index: w.index, From: g[w.index], To: g[w.index+1], Err: w.err}
	}
	denoised := w.d
	w.state, w.next = w.next, w.state
	w.remember(g[w.index])
	w.index++
	return Step{
		Index: w.index - 1, From: g[w.index-1], To: g[w.index],
		X: w.state, Denoised: denoised, DenoisedAt: w.from,
		OrderUsed: w.order, Evals: w.evals, ErrEst: math.NaN(),
	}, nil
}

// take makes w.next.
func (w *walk) take(ctx context.Context, from, to schedules.Level) {
	w.from, w.to, w.x = from, to, w.state
	w.stage, w.draws = 0, 0
	if w.err = ctx.Err(); w.err != nil {
		return
	}
	w.ctx = ctx
	w.method.churn.apply(w)
	w.eval(w.d, w.x, w.from)
	if w.method.keep == noise {
		w.lin(w.e, term{1 / w.from.Sigma, w.x}, term{-w.from.Alpha / w.from.Sigma, w.d})
	}
	if w.method.named(from, to) {
		w.order = 1
		w.euler(w.next, to)
	} else {
		w.order = w.promised
		w.method.step(w)
	}
	w.ctx = nil
}

// remember moves this step's answer into the history and takes the oldest
// array in exchange, so that nothing is copied.
func (w *walk) remember(from schedules.Level) {
	w.known = w.method.knownAfter(w.known, from)
	if w.known == 0 {
		return
	}
	answer := &w.d
	if w.method.keep == noise {
		answer = &w.e
	}
	last := len(w.past) - 1
	oldest := w.past[last]
	copy(w.past[1:], w.past[:last])
	w.past[0], *answer = *answer, oldest
}

// pastLevel is the grid level of past[k].
func (w *walk) pastLevel(k int) schedules.Level { return w.problem.Grid[w.index-1-k] }

// between returns the level at l on the problem's schedule.
func (w *walk) between(l snr.LogSNR) schedules.Level {
	return schedules.LevelAt(w.problem.Schedule, l)
}

// eval writes D(x, at) into dst. It is the one place where evaluations happen
// and are counted.
func (w *walk) eval(dst, x []float64, at schedules.Level) {
	if w.err != nil {
		return
	}
	w.at[0] = at
	q := models.Query{X: x, Rows: w.rows, At: w.at[:], Labels: w.problem.Labels}
	if err := w.problem.Denoiser.Denoise(w.ctx, dst, q); err != nil {
		w.err = err
		return
	}
	w.evals++
	if w.observe != nil {
		w.observe(Stage{Step: w.index, Stage: w.stage, At: at, X: x, Denoised: dst})
	}
	w.stage++
}

// normal returns standard normal numbers for the motion from one level to
// another.
func (w *walk) normal(from, to schedules.Level) []float64 {
	if w.err == nil {
		w.err = w.problem.Noise.Normal(NoiseRequest{Step: w.index, Stage: w.draws, From: from, To: to, Z: w.z})
		w.draws++
	}
	return w.z
}

// euler writes into dst the state at b of the straight line in (σ/α, x/α)
// through w.x with the slope of w.d:
//
//	x_b = (σ_b/σ_a) x + (α_b − α_a σ_b/σ_a) D
//
// which is DDIM, the first order of every method here, the named start from
// α = 0 and, at σ_b = 0, the last-step rule Denoise.
func (w *walk) euler(dst []float64, b schedules.Level) {
	gain := -b.Alpha * math.Expm1(-halfStep(w.from, b))
	if b.Sigma == 0 {
		w.lin(dst, term{gain, w.d})
		return
	}
	w.lin(dst, term{b.Sigma / w.from.Sigma, w.x}, term{gain, w.d})
}

// halfStep returns h = (λ_b − λ_a)/2 = log(α_b/σ_b) − log(α_a/σ_a), the step
// of the DPM-Solver papers.
func halfStep(a, b schedules.Level) float64 { return b.LogSNR().Half() - a.LogSNR().Half() }

// term is one summand of a linear combination.
type term struct {
	c float64
	v []float64
}

// maxTerms is the longest combination that a method makes.
const maxTerms = 6

// lin writes Σ cᵢ vᵢ into dst, which is none of the vᵢ, and fails if a value is
// not finite.
func (w *walk) lin(dst []float64, terms ...term) {
	if w.err != nil {
		return
	}
	for i, t := range terms {
		w.coef[i], w.src[i] = t.c, t.v
	}
	if !simd.Lin(dst, w.coef[:len(terms)], w.src[:len(terms)]...) {
		w.err = w.nonFinite(dst, w.src[:len(terms)])
	}
}

// nonFinite says where a combination failed and where the value came from. Of
// its sources only a denoiser's answer and the noise have not been checked
// before.
func (w *walk) nonFinite(dst []float64, src [][]float64) error {
	i, _ := firstNonFinite(dst)
	e := &NonFiniteError{Row: i / w.dim, Col: i % w.dim, Value: dst[i], Source: "arithmetic", Stage: max(w.stage-1, 0), At: w.from}
	if w.stage > 0 {
		e.At = w.at[0]
	}
	for _, v := range src {
		switch {
		case finite(v[i]):
		case w.z != nil && &v[0] == &w.z[0]:
			e.Value, e.Source = v[i], "noise"
		default:
			e.Value, e.Source = v[i], "denoiser"
		}
	}
	return e
}

// NonFiniteError is a NaN or an infinity inside a step.
type NonFiniteError struct {
	Row, Col int
	Value    float64
	Source   string          // "denoiser", "noise", or "arithmetic": finite values whose combination overflowed
	Stage    int             // the last evaluation of the step before it was seen
	At       schedules.Level // and its level
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("value %g from the %s in row %d, column %d (evaluation %d of the step, at λ = %.4g)", e.Value, e.Source, e.Row, e.Col, e.Stage, float64(e.At.LogSNR()))
}

func finite(x float64) bool { return x-x == 0 }

func firstNonFinite(x []float64) (int, bool) {
	for i, v := range x {
		if !finite(v) {
			return i, true
		}
	}
	return 0, false
}
