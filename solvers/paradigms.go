package solvers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"snrlab/internal/par"
	"snrlab/models"
	"snrlab/schedules"
)

// ParaDiGMS takes many DDIM steps at once by Picard iteration on a window of
// the path [shih2023]. With the step of the grid written as
// x_{i+1} = A_i x_i + B_i D(x_i) + C_i z_i, a sweep evaluates all points of the
// window together and walks along it on the answers,
//
//	x'_{i+1} = A_i x'_i + B_i D(x_i) + C_i z_i,   x'_f = x_f
//
// from the front f, whose state is final. Then x'_{f+1} is final, and so is
// every further point whose predecessors moved by no more than the tolerance,
//
//	rms(x'_i − x_i) ≤ tol √(α_i² + σ_i²)
//
// The window slides to the last of these, and points that enter are guessed by
// steps with the last answer held. The fixed point is the path of [DDIM] with
// the same η, whose noise it draws; n steps reach it in at most n sweeps. Order 1.
//
// A [Step] is one sweep: steps count the evaluations in sequence, Step.Evals
// those in all, of the row that took the most. Every row slides by itself, so
// that rows have levels and evaluations of their own (Step.Rows). A query holds
// all points of all rows, one level a row. Between the levels, no noise and no
// evaluation. Memory: five arrays of rows × window states, seven with noise.
//
// Differs from the paper: the linear part A x is not lagged (Lag lags it: 100
// steps on the 2-D mixture, all in the window, then come within 1e-6 of the
// serial path in 20 sweeps and 1070 evaluations, not 16 and 470), the tolerance
// is by row and relative to the size of the state, the guesses are steps and not
// copies, and the first sweep is of one point, since nothing is known of the
// others then. With tol = 0 a point is final when it moves by nothing at all.
type ParaDiGMS struct {
	Window int     `json:"window"` // points evaluated together, ≥ 1
	Tol    float64 `json:"tol"`    // ≥ 0
	Eta    float64 `json:"eta"`    // of DDIM
	Lag    bool    `json:"lag"`    // lag the whole step, as the paper does
}

func (s ParaDiGMS) String() string { return Registry().Format("paradigms", s) }

// Validate reports settings without meaning.
func (s ParaDiGMS) Validate() error {
	switch {
	case s.Window < 1:
		return fmt.Errorf("window = %d: expected at least 1", s.Window)
	case !(s.Tol >= 0) || math.IsInf(s.Tol, 1):
		return fmt.Errorf("tol = %g: expected a finite value ≥ 0", s.Tol)
	}
	return checkEta(s.Eta)
}

// Properties implements [Solver].
func (s ParaDiGMS) Properties() Properties {
	return Properties{
		Order: 1, Evals: s.Window, LastEvals: 1, Adaptive: true, Parallel: true, Stochastic: s.Eta > 0, PathFree: true,
		Summary:    "DDIM in parallel: Picard sweeps over a sliding window",
		Equation:   "x'_{i+1} = A_i x'_i + B_i D(x_i) + C_i z_i over a window, repeated until rms(x' − x) ≤ tol √(α² + σ²)",
		References: []string{"shih2023"},
	}
}

// NFE implements [Solver]. A sweep moves the window by one step at least.
func (s ParaDiGMS) NFE(g schedules.Grid) int {
	n := 1
	for i := 1; i < g.Steps(); i++ {
		n += min(s.Window, g.Steps()-i)
	}
	return n
}

// Start implements [Solver].
func (s ParaDiGMS) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	w, err := s.start(p, x, opts)
	if err != nil {
		return nil, fmt.Errorf("solvers: %s: %w", s, err)
	}
	return w, nil
}

// window is a run of ParaDiGMS.
type window struct {
	solver  ParaDiGMS
	problem Problem
	observe func(Stage)
	dim     int
	steps   []affine // of the grid

	index int
	lanes []lane
	state []float64 // of every lane, rows×dim, as is the next
	d     []float64 // D there

	active []int // lanes of the running sweep
	in     []float64
	out    []float64
	at     []schedules.Level
	labels []int
	owner  []int // lane of each row of the query
	report []RowStep
	only   [1]int

	walk, slide func(lo, hi int) // method values, made once
}

// affine is a step of the grid, x_b = a x + b D + c z. Where the whole step is
// lagged, the state at its start enters as keep x' + (a − keep) x.
type affine struct{ a, b, c, keep float64 }

// lane is one row's window.
type lane struct {
	front int         // grid index of x[0]
	width int         // points evaluated by the running sweep
	first int         // and where its answers begin
	x     [][]float64 // x[j] at grid level front + j
	y     [][]float64 // the same after the sweep, and further
	z     [][]float64 // of grid step i in place i mod len(z)
	drawn int         // grid steps whose noise was drawn

	stride  int
	evals   int
	sweeps  int
	err     float64
	failure error
}

func (s ParaDiGMS) start(p Problem, x []float64, opts []RunOption) (*window, error) {
	rows, err := servable(s, p, x, nil)
	if err != nil {
		return nil, err
	}
	dim := models.Dim(p.Denoiser)
	w := &window{solver: s, problem: p, dim: dim, state: slices.Clone(x), d: make([]float64, len(x))}
	w.problem.Grid, w.problem.Labels = slices.Clone(p.Grid), slices.Clone(p.Labels)
	for i := range p.Grid.Steps() {
		w.steps = append(w.steps, s.step(p.Grid[i], p.Grid[i+1]))
	}
	size := min(s.Window, p.Grid.Steps())
	w.lanes = make([]lane, rows)
	for i := range w.lanes {
		l := &w.lanes[i]
		l.x, l.y = arrays(size+1, dim), arrays(2*size+1, dim)
		if s.Eta > 0 {
			l.z = arrays(2*size, dim)
		}
	}
	n := rows * size
	w.in, w.out, w.at, w.owner = make([]float64, n*dim), make([]float64, n*dim), make([]schedules.Level, n), make([]int, n)
	if p.Labels != nil {
		w.labels = make([]int, n)
	}
	w.active, w.report = make([]int, 0, rows), make([]RowStep, 0, rows)
	w.walk, w.slide = w.walkLanes, w.slideLanes

	if w.observe, err = configure(opts, w.resume, w.state, dim); err != nil {
		return nil, err
	}
	for i := range w.lanes {
		copy(w.lanes[i].x[0], w.rowOf(w.state, i))
	}
	return w, nil
}

// step is DDIM's, and the named ones.
func (s ParaDiGMS) step(a, b schedules.Level) affine {
	var t affine
	t.a, t.b = eulerWeights(a, b)
	switch {
	case a.Alpha == 0: // and nothing is lagged, the first sweep being of one point
		return affine{a: t.a, b: t.b, keep: t.a}
	case s.Eta > 0 && b.Sigma > 0:
		c, g := etaSplit(s.Eta, a, b)
		t = affine{a: c / a.Sigma, b: b.Alpha - c*a.Alpha/a.Sigma, c: g}
	}
	t.keep = t.a
	if s.Lag {
		t.keep = b.Alpha / a.Alpha
	}
	return t
}

func (w *window) rowOf(a []float64, i int) []float64 {
	return a[i*w.dim : (i+1)*w.dim : (i+1)*w.dim]
}

// span is the number of points that a window at a front evaluates.
func (w *window) span(front int) int { return min(w.solver.Window, w.problem.Grid.Steps()-front) }

// Step implements [Stepper]: one sweep of every row that has not arrived.
func (w *window) Step(ctx context.Context) (Step, error) {
	g := w.problem.Grid
	w.active = w.active[:0]
	for i := range w.lanes {
		if l := &w.lanes[i]; l.front < g.Steps() {
			w.active = append(w.active, i)
			l.width, l.failure = 1, nil
			if l.sweeps > 0 {
				l.width = w.span(l.front)
			}
		}
	}
	if len(w.active) == 0 {
		return Step{}, io.EOF
	}
	if err := w.sweep(ctx); err != nil {
		l := w.culprit()
		return Step{}, &StepError{Solver: w.solver.String(), Index: w.index, From: g[l.front], To: g[l.front+1], Err: err}
	}
	return w.commit(), nil
}

// culprit returns the first lane that failed, or the first in flight.
func (w *window) culprit() *lane {
	for _, i := range w.active {
		if w.lanes[i].failure != nil {
			return &w.lanes[i]
		}
	}
	return &w.lanes[w.active[0]]
}

// sweep makes y and stride of every active lane and moves none.
func (w *window) sweep(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.eval(ctx); err != nil {
		return err
	}
	if err := w.draw(false); err != nil {
		return err
	}
	par.Rows(len(w.active), 1, w.walk)
	if err := w.culprit().failure; err != nil {
		return err
	}
	if err := w.draw(true); err != nil {
		return err
	}
	par.Rows(len(w.active), 1, w.slide)
	return w.culprit().failure
}

// eval asks for D at all points of all windows.
func (w *window) eval(ctx context.Context) error {
	n := 0
	for _, i := range w.active {
		l := &w.lanes[i]
		l.first = n
		for j := range l.width {
			copy(w.rowOf(w.in, n), l.x[j])
			w.at[n], w.owner[n] = w.problem.Grid[l.front+j], i
			if w.labels != nil {
				w.labels[n] = w.problem.Labels[i]
			}
			n++
		}
	}
	q := models.Query{X: w.in[:n*w.dim], Rows: n, At: w.at[:n]}
	if w.labels != nil {
		q.Labels = w.labels[:n]
	}
	if err := w.problem.Denoiser.Denoise(ctx, w.out[:n*w.dim], q); err != nil {
		return err
	}
	if w.observe != nil {
		s := Stage{Step: w.index, At: w.at[0], X: q.X, Denoised: w.out[:n*w.dim], Levels: q.At, Rows: w.owner[:n]}
		if w.index == 0 {
			s.Rows, s.Levels = nil, nil
		}
		w.observe(s)
	}
	return nil
}

// draw asks for the noise of the steps inside the windows, or inside those that
// they will be.
func (w *window) draw(slid bool) error {
	if w.solver.Eta == 0 {
		return nil
	}
	g := w.problem.Grid
	for _, i := range w.active {
		l := &w.lanes[i]
		end := l.front + l.width
		if slid {
			end = l.front + l.stride + w.span(l.front+l.stride)
		}
		w.only[0] = i
		for ; l.drawn < end; l.drawn++ {
			if w.steps[l.drawn].c == 0 {
				continue
			}
			z := l.z[l.drawn%len(l.z)]
			if err := w.problem.Noise.Normal(NoiseRequest{Step: l.drawn, From: g[l.drawn], To: g[l.drawn+1], Rows: w.only[:], Z: z}); err != nil {
				l.failure = err
				return err
			}
		}
	}
	return nil
}

// walkLanes makes y along the evaluated points, and the stride.
func (w *window) walkLanes(lo, hi int) {
	for _, i := range w.active[lo:hi] {
		l := &w.lanes[i]
		copy(l.y[0], l.x[0])
		l.stride, l.err = 0, math.NaN()
		for j := range l.width {
			old := l.x[j]
			if j == 0 || w.steps[l.front+j].keep == w.steps[l.front+j].a {
				old = l.y[j]
			}
			w.move(i, j, old, l.first+j)
			if l.failure != nil {
				return
			}
			if l.stride > 0 {
				continue
			}
			e := 0.0
			if l.sweeps > 0 {
				e = w.moved(l, j+1)
			}
			if j+1 == l.width || e > w.solver.Tol {
				l.stride = j + 1
				continue
			}
			if w.solver.Tol > 0 {
				e /= w.solver.Tol
			}
			if !(e <= l.err) {
				l.err = e
			}
		}
	}
}

// move writes y[j+1] from y[j], the state before the sweep there, and answer k.
func (w *window) move(i, j int, old []float64, k int) {
	l := &w.lanes[i]
	step := l.front + j
	t := w.steps[step]
	coef := [4]float64{t.keep, t.a - t.keep, t.b, t.c}
	src := [4][]float64{l.y[j], old, w.rowOf(w.out, k), nil}
	n := 3
	if t.c != 0 {
		src[3], n = l.z[step%len(l.z)], 4
	}
	if combine(l.y[j+1], coef[:n], src[:n]) {
		return
	}
	c, _ := firstNonFinite(l.y[j+1])
	e := &NonFiniteError{Row: i, Col: c, Value: l.y[j+1][c], Source: "arithmetic", At: w.problem.Grid[step]}
	if d := w.rowOf(w.out, k)[c]; !finite(d) {
		e.Value, e.Source = d, "denoiser"
	} else if t.c != 0 && !finite(l.z[step%len(l.z)][c]) {
		e.Value, e.Source = l.z[step%len(l.z)][c], "noise"
	}
	l.failure = e
}

// moved is the distance of y[j] from x[j] in units of √(α² + σ²).
func (w *window) moved(l *lane, j int) float64 {
	sum := 0.0
	for k, v := range l.y[j] {
		d := v - l.x[j][k]
		sum += d * d
	}
	at := w.problem.Grid[l.front+j]
	return math.Sqrt(sum/float64(w.dim)) / math.Hypot(at.Alpha, at.Sigma)
}

// slideLanes guesses the points that enter: steps with the last answer held.
func (w *window) slideLanes(lo, hi int) {
	for _, i := range w.active[lo:hi] {
		l := &w.lanes[i]
		front := l.front + l.stride
		for j := l.width; j < l.stride+w.span(front) && l.failure == nil; j++ {
			w.move(i, j, l.y[j], l.first+l.width-1)
		}
	}
}

// commit moves the windows and reports.
func (w *window) commit() Step {
	g := w.problem.Grid
	s := Step{Index: w.index, X: w.state, Denoised: w.d, OrderUsed: 1, ErrEst: math.NaN()}
	w.report = w.report[:0]
	from, to := g.Steps(), g.Steps()
	for _, i := range w.active {
		l := &w.lanes[i]
		copy(w.rowOf(w.d, i), w.rowOf(w.out, l.first))
		l.evals += l.width
		l.sweeps++
		w.report = append(w.report, RowStep{Row: i, From: g[l.front], To: g[l.front+l.stride], Evals: l.evals, ErrEst: l.err})
		from = min(from, l.front)
		l.front += l.stride
		to = min(to, l.front)
		for j := range w.span(l.front) + 1 {
			l.x[j], l.y[l.stride+j] = l.y[l.stride+j], l.x[j]
		}
		copy(w.rowOf(w.state, i), l.x[0])
		if !(l.err <= s.ErrEst) && !math.IsNaN(l.err) {
			s.ErrEst = l.err
		}
	}
	total := 0
	for i := range w.lanes {
		total += w.lanes[i].evals
		s.Evals = max(s.Evals, w.lanes[i].evals)
	}
	s.EvalsMean = float64(total) / float64(len(w.lanes))
	s.From, s.To, s.DenoisedAt, s.Rows = g[from], g[to], g[from], w.report
	w.index++
	return s
}

// State implements [Stepper]. Carry holds the guesses of the windows.
func (w *window) State() State {
	s := State{Solver: w.solver.String(), Index: w.index, X: slices.Clone(w.state), Rows: make([]RowState, len(w.lanes))}
	for j := 1; j < len(w.lanes[0].x); j++ {
		guess := make([]float64, 0, len(w.state))
		for i := range w.lanes {
			guess = append(guess, w.lanes[i].x[j]...)
		}
		s.Carry = append(s.Carry, guess)
	}
	for i := range w.lanes {
		l := &w.lanes[i]
		s.Rows[i] = RowState{Phase: w.phase(l), Clock: float64(l.front), Tries: l.sweeps, Evals: l.evals}
		s.Evals = max(s.Evals, l.evals)
	}
	return s
}

func (w *window) phase(l *lane) int {
	switch {
	case l.front == w.problem.Grid.Steps():
		return int(arrived)
	case l.sweeps == 0:
		return int(opening)
	}
	return int(traveling)
}

func (w *window) resume(s State) error {
	n, size := len(w.lanes), len(w.lanes[0].x)-1
	switch {
	case s.Solver != w.solver.String():
		return fmt.Errorf("the state to resume belongs to %s", s.Solver)
	case len(s.X) != len(w.state):
		return fmt.Errorf("the state to resume has %d values, the start %d", len(s.X), len(w.state))
	case len(s.Rows) != n:
		return fmt.Errorf("the state to resume has %d rows, the start %d", len(s.Rows), n)
	case len(s.Carry) != size:
		return fmt.Errorf("the state to resume carries %d arrays: expected %d, the window's points", len(s.Carry), size)
	case len(s.History) != 0:
		return errors.New("the state to resume has earlier evaluations: expected none")
	}
	for k, c := range s.Carry {
		if err := checkSaved("carried array", k, c, len(w.state), w.dim); err != nil {
			return err
		}
	}
	for i, r := range s.Rows {
		l := &w.lanes[i]
		if !(r.Clock >= 0 && r.Clock <= float64(w.problem.Grid.Steps()) && r.Clock == math.Trunc(r.Clock)) || r.Tries < 0 || r.Evals < 0 {
			return fmt.Errorf("row %d of the state to resume stands at step %g after %d sweeps: expected 0 to %d", i, r.Clock, r.Tries, w.problem.Grid.Steps())
		}
		l.front, l.sweeps, l.evals = int(r.Clock), r.Tries, r.Evals
		l.drawn = l.front
		for j := range size {
			copy(l.x[1+j], w.rowOf(s.Carry[j], i))
		}
	}
	copy(w.state, s.X)
	w.index = s.Index
	return nil
}
