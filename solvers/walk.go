package solvers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

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
	scratch int           // arrays of w.tmp
	history int           // earlier answers wanted in w.past
	keep    answer        // what w.past holds
	answer  func(w *walk) // writes w.e, what w.past holds under keep = own
	carry   int           // arrays that one step hands to the next: w.carry and w.fresh
	first   First         // rule of the step out of α = 0
	last    Last          // rule of the step to σ = 0
	free    bool          // the method has a step of its own from and to every level: none is named
	lazy    bool          // step evaluates by itself, or not at all; w.d is its first answer
	correct func(w *walk) // moves w.x at w.from before the step; not at α = 0
	corrs   int           // denoiser calls that correct adds to a step
	churn   churn         // noise added before the step
	noises  int           // noise arrays in use at once; 0 is 1
	evals   int           // denoiser calls of an inner step
	// cost is the number of denoiser calls of a step that is not named, where it
	// depends on the step's place; nil for evals.
	cost func(at place) int
	// fits refuses a grid that falls and that the method cannot walk; may be nil.
	fits func(g schedules.Grid) error
	// check refuses a problem that the method cannot serve; may be nil.
	check func(p Problem) error
}

// place is where a step stands in its run.
type place struct {
	index int // of the step
	grid  schedules.Grid
	known int // earlier answers
}

// from and to are the ends of the step.
func (p place) from() schedules.Level { return p.grid[p.index] }
func (p place) to() schedules.Level   { return p.grid[p.index+1] }

// before is the place of the step before, one that has left its answer.
func (p place) before() place { return place{p.index - 1, p.grid, p.known - 1} }

// left is the number of steps after this one.
func (p place) left() int { return p.grid.Steps() - 1 - p.index }

// between is the number of steps that lead neither out of α = 0 nor into σ = 0.
func between(g schedules.Grid) int {
	n := g.Steps()
	if g[0].Alpha == 0 {
		n--
	}
	if g[g.Steps()].Sigma == 0 {
		n--
	}
	return max(n, 0) // one step may do both
}

// answer is the quantity that a history holds.
type answer uint8

const (
	data  answer = iota // D
	noise               // e = (x − αD)/σ
	own                 // what method.answer makes
)

// passing is what becomes of the carried arrays after a step.
type passing uint8

const (
	drop  passing = iota // the next step finds none. The default, and after a named step
	stay                 // the next step finds the same
	renew                // the next step finds w.fresh
)

// nfe counts the evaluations of a run over g.
func (m method) nfe(g schedules.Grid) int {
	n, known := 0, 0
	for i := range g.Steps() {
		if g[i].Alpha > 0 {
			n += m.corrs
		}
		switch {
		case m.named(g[i], g[i+1]):
			n++
		case m.cost != nil:
			n += m.cost(place{i, g, known})
		default:
			n += m.evals
		}
		known = m.knownAfter(known, g[i])
	}
	return n
}

// named reports a step that every solver takes alike: out of α = 0, where the
// slope of every method is infinite, unless first = OwnFirst; and into σ = 0
// under last = Denoise.
func (m method) named(from, to schedules.Level) bool {
	if m.free {
		return false
	}
	return from.Alpha == 0 && m.first == KeepNoise || (to.Sigma == 0 && m.last == Denoise)
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
	answered bool            // a correction has written d already
	next     []float64       // the state at to, written by the method
	order    int             // of this step; a method writes it where it is not the promised one
	promised int             // Properties().Order
	past     [][]float64     // earlier answers, newest first: past[k] belongs to pastLevel(k)
	e        []float64       // what the method keeps beside D: e at from, or its own answer
	tmp      [][]float64
	carried  bool        // carry holds what the step before passed on
	carry    [][]float64 // read only
	fresh    [][]float64 // written by a step that sets pass = renew
	pass     passing     // set by the step
	fixed    []float64   // the state at from after a correction, set by a step that makes one

	state []float64 // the state at Grid[index]
	moved []float64 // the state after churn
	z     [][]float64
	ints  []float64       // iterated integrals, made when first asked for
	dAt   schedules.Level // level of the step's first evaluation
	ctx   context.Context // of the step that is running
	stage int             // evaluations of this step
	inner int             // those of them that corrections made
	zUsed int             // noise arrays in use
	draws int             // noise requests of this step
	err   error

	// What a call would allocate.
	at  [1]schedules.Level
	sum sum
}

// start checks a problem and prepares its walk.
func start(s Solver, m method, p Problem, x []float64, opts []RunOption) (Stepper, error) {
	rows, err := servable(s, p, x, m.check)
	if err != nil {
		return nil, cannotStart(s, err)
	}
	props, dim := s.Properties(), models.Dim(p.Denoiser)

	w := &walk{solver: s, method: m, rows: rows, dim: dim, promised: int(props.Order)}
	w.problem = p
	w.problem.Grid, w.problem.Labels = slices.Clone(p.Grid), slices.Clone(p.Labels)
	n := len(x)
	w.state, w.next, w.d = slices.Clone(x), make([]float64, n), make([]float64, n)
	w.past = arrays(m.history, n)
	w.tmp = arrays(m.scratch, n)
	w.carry, w.fresh = arrays(m.carry, n), arrays(m.carry, n)
	if m.keep != data {
		w.e = make([]float64, n)
	}
	if props.Stochastic {
		w.z = arrays(max(1, m.noises), n)
	}
	if m.churn.SChurn > 0 {
		w.moved = make([]float64, n)
	}

	if w.observe, err = configure(opts, w.resume, w.state, dim); err != nil {
		return nil, cannotStart(s, err)
	}
	return w, nil
}

// servable refuses a problem that a solver cannot serve, and returns the number
// of rows of the start. check is the method's own; may be nil.
func servable(s Solver, p Problem, x []float64, check func(p Problem) error) (rows int, err error) {
	if v, ok := s.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return 0, err
		}
	}
	if p.Denoiser == nil {
		return 0, errors.New("the problem has no denoiser")
	}
	if err := FitsGrid(s, p.Grid); err != nil {
		return 0, err
	}
	props, dim := s.Properties(), models.Dim(p.Denoiser)
	if dim < 1 {
		return 0, fmt.Errorf("the denoiser's sample shape %v has no values", p.Denoiser.Shape())
	}
	if len(x) == 0 || len(x)%dim != 0 {
		return 0, fmt.Errorf("the start has %d values: expected a positive multiple of the denoiser's %d", len(x), dim)
	}
	rows = len(x) / dim
	if p.Labels != nil && len(p.Labels) != rows {
		return 0, fmt.Errorf("%d labels: expected none, or one for each of %d rows", len(p.Labels), rows)
	}
	if props.Stochastic && p.Noise == nil {
		return 0, errors.New("the method draws noise and the problem has none: set Problem.Noise")
	}
	if props.Between {
		if p.Schedule == nil {
			return 0, errors.New("the method evaluates off the grid's levels and the problem has no schedule: set Problem.Schedule")
		}
		if err := onPath(p.Grid, p.Schedule.Path()); err != nil {
			return 0, err
		}
	}
	if check != nil {
		if err := check(p); err != nil {
			return 0, err
		}
	}
	return rows, nil
}

func arrays(count, n int) [][]float64 {
	a := make([][]float64, count)
	for i := range a {
		a[i] = make([]float64, n)
	}
	return a
}

// FitsGrid reports why a solver cannot walk a grid: one whose noise does not
// strictly fall, or rise where the solver walks from data to noise too; or one that
// ends before steps or levels that the solver's settings name. A run refuses it at
// its start.
func FitsGrid(s Solver, g schedules.Grid) error {
	if err := walkable(g, s.Properties()); err != nil {
		return err
	}
	if m, ok := s.(interface{ method() method }); ok {
		if fits := m.method().fits; fits != nil {
			return fits(g)
		}
	}
	return nil
}

// walkable refuses a grid whose noise does not strictly fall, or for a solver
// that also walks from data to noise, strictly rise.
func walkable(g schedules.Grid, props Properties) error {
	rises := len(g) > 1 && g[1].LogSNR() < g[0].LogSNR()
	if !rises || !props.Rises {
		return g.Validate()
	}
	down := slices.Clone(g)
	slices.Reverse(down)
	if err := down.Validate(); err != nil {
		return fmt.Errorf("a grid from data to noise: reversed, %w", err)
	}
	if first, last := g[0], g[len(g)-1]; !props.FromData && first.Sigma == 0 || last.Alpha == 0 {
		return fmt.Errorf("a grid from σ = %g to α = %g: expected both above 0, no step leads from data without noise or to noise without data", first.Sigma, last.Alpha)
	}
	return nil
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
		if err := checkSaved("earlier evaluation", k, h, len(w.state), w.dim); err != nil {
			return err
		}
		copy(w.past[k], h)
	}
	if len(s.Carry) != 0 && len(s.Carry) != len(w.carry) {
		return fmt.Errorf("the state to resume carries %d arrays: expected none or %d", len(s.Carry), len(w.carry))
	}
	w.carried = len(s.Carry) > 0
	for k, c := range s.Carry {
		if err := checkSaved("carried array", k, c, len(w.state), w.dim); err != nil {
			return err
		}
		copy(w.carry[k], c)
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
	if w.carried {
		for _, c := range w.carry {
			s.Carry = append(s.Carry, slices.Clone(c))
		}
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
	switch w.pass {
	case drop:
		w.carried = false
	case renew:
		w.carry, w.fresh, w.carried = w.fresh, w.carry, true
	}
	w.index++
	return Step{
		Index: w.index - 1, From: g[w.index-1], To: g[w.index],
		X: w.state, Corrected: w.fixed, Denoised: denoised, DenoisedAt: w.dAt,
		OrderUsed: w.order, Evals: w.evals, EvalsMean: float64(w.evals), ErrEst: math.NaN(),
	}, nil
}

// take makes w.next.
func (w *walk) take(ctx context.Context, from, to schedules.Level) {
	w.from, w.to, w.x = from, to, w.state
	w.stage, w.draws, w.inner, w.zUsed, w.answered = 0, 0, 0, 0, false
	if w.err = ctx.Err(); w.err != nil {
		return
	}
	w.ctx, w.pass, w.fixed = ctx, drop, nil
	if w.method.correct != nil && from.Alpha > 0 {
		w.method.correct(w)
		w.inner, w.zUsed = w.stage, 0
	}
	w.method.churn.apply(w)
	named := w.method.named(from, to)
	w.dAt = w.from
	if named || !w.method.lazy {
		if !w.answered {
			w.eval(w.d, w.x, w.from)
		}
		switch w.method.keep {
		case noise:
			w.slope(w.e, w.x, w.d, w.from)
		case own:
			w.method.answer(w)
		}
	}
	if named {
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
	if w.method.keep != data {
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
	if w.err == nil {
		w.ask(dst, at, w.query(x, at))
	}
}

// evalRows is eval at a level for each row; observers see the first row's.
func (w *walk) evalRows(dst, x []float64, levels []schedules.Level) {
	if w.err == nil {
		q := w.query(x, levels[0])
		q.At = levels
		w.ask(dst, levels[0], q)
	}
}

func (w *walk) ask(dst []float64, at schedules.Level, q models.Query) {
	if err := w.problem.Denoiser.Denoise(w.ctx, dst, q); err != nil {
		w.err = err
		return
	}
	w.evals++
	if w.stage == w.inner {
		w.dAt = at
	}
	if w.observe != nil {
		w.observe(Stage{Step: w.index, Stage: w.stage, At: at, X: q.X, Denoised: dst})
	}
	w.stage++
}

// query asks about every row at one level.
func (w *walk) query(x []float64, at schedules.Level) models.Query {
	w.at[0] = at
	return models.Query{X: x, Rows: w.rows, At: w.at[:], Labels: w.problem.Labels}
}

// slope writes e = (x − αD)/σ at a level into dst.
func (w *walk) slope(dst, x, d []float64, at schedules.Level) {
	w.lin(dst, term{1 / at.Sigma, x}, term{-at.Alpha / at.Sigma, d})
}

// normal returns standard normal numbers for the motion from one level to
// another. The k-th request of a step fills the k-th of the method's noise
// arrays, the last one again and again.
func (w *walk) normal(from, to schedules.Level) []float64 {
	z, _ := w.draw(from, to, nil, nil)
	return z
}

// normalIntegral returns what normal does, and the scaled iterated integral of
// the same motion, see [NoiseRequest].
func (w *walk) normalIntegral(from, to schedules.Level) (z, integral []float64) {
	if w.ints == nil {
		w.ints = make([]float64, len(w.state))
	}
	return w.draw(from, to, w.ints, nil)
}

func (w *walk) draw(from, to schedules.Level, integral, uniform []float64) ([]float64, []float64) {
	z := w.z[min(w.zUsed, len(w.z)-1)]
	if w.err == nil {
		w.err = w.problem.Noise.Normal(NoiseRequest{Step: w.index, Stage: w.draws, From: from, To: to, Z: z, Integral: integral, Uniform: uniform})
		w.draws++
		w.zUsed++
	}
	return z, integral
}

// place is where the running step stands.
func (w *walk) place() place { return place{w.index, w.problem.Grid, w.known} }

// euler writes into dst the state at b of the straight line in (σ/α, x/α)
// through w.x with the slope of w.d:
//
//	x_b = (σ_b/σ_a) x + (α_b − α_a σ_b/σ_a) D
//
// which is DDIM, the first order of every method here, the named start from
// α = 0 and, at σ_b = 0, the last-step rule Denoise.
func (w *walk) euler(dst []float64, b schedules.Level) {
	keep, gain := eulerWeights(w.from, b)
	w.lin(dst, term{keep, w.x}, term{gain, w.d})
}

// eulerWeights are those of x and D.
func eulerWeights(a, b schedules.Level) (keep, gain float64) {
	return b.Sigma / a.Sigma, -b.Alpha * math.Expm1(-halfStep(a, b))
}

// halfStep returns h = (λ_b − λ_a)/2 = log(α_b/σ_b) − log(α_a/σ_a), the step
// of the DPM-Solver papers.
func halfStep(a, b schedules.Level) float64 { return b.LogSNR().Half() - a.LogSNR().Half() }

// term is one summand of a linear combination.
type term struct {
	c float64
	v []float64
}

func vectors(terms []term) [][]float64 {
	var v [][]float64
	for _, t := range terms {
		v = append(v, t.v)
	}
	return v
}

// maxTerms is the longest combination that a method makes, chunk the longest
// that one pass over memory does.
const (
	maxTerms = 16
	chunk    = 6
)

// sum is the scratch of a linear combination.
type sum struct {
	coef [maxTerms]float64
	src  [maxTerms][]float64
}

// of writes Σ cᵢ vᵢ into dst, which is none of the vᵢ, and reports whether all
// values are finite.
func (s *sum) of(dst []float64, terms []term) bool {
	for i, t := range terms {
		s.coef[i], s.src[i] = t.c, t.v
	}
	return combine(dst, s.coef[:len(terms)], s.src[:len(terms)])
}

// lin writes Σ cᵢ vᵢ into dst, which is none of the vᵢ, and fails if a value is
// not finite.
func (w *walk) lin(dst []float64, terms ...term) {
	if w.err == nil && !w.sum.of(dst, terms) {
		w.err = w.nonFinite(dst, vectors(terms))
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
	return e.blame(src, i, w.isNoise)
}

// blame names the source of value i where a combination had it from a vector.
func (e *NonFiniteError) blame(src [][]float64, i int, isNoise func(v []float64) bool) error {
	for _, v := range src {
		switch {
		case finite(v[i]):
		case isNoise(v):
			e.Value, e.Source = v[i], "noise"
		default:
			e.Value, e.Source = v[i], "denoiser"
		}
	}
	return e
}

func (w *walk) isNoise(v []float64) bool {
	is := func(z []float64) bool { return len(z) > 0 && &z[0] == &v[0] }
	return is(w.ints) || slices.ContainsFunc(w.z, is)
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
