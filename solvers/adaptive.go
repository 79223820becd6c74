package solvers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"snrlab/internal/par"
	"snrlab/internal/simd"
	"snrlab/models"
	"snrlab/schedules"
)

// adaptive is what one method that chooses its own steps contributes to the
// shared march.
//
// Every row has its own level and step size, decided by its own error. A step
// of the march is one attempt of every row that is not at the end. The grid
// gives the ends: of its levels only the first and the last are visited, and
// the neighbour of an end where σ/α has no finite logarithm, from or to which
// the two named steps lead.
type adaptive struct {
	in Coordinate // the variable that steps are measured in

	// An attempt makes evals calls of the denoiser. The first is at the row's
	// own state, and is not repeated after a rejection. stage writes the
	// argument r.y of call k ≥ 1 and sets its level r.at[k]; slope writes what
	// r.k[k] holds, from the answer d to a call (nil for the answer itself);
	// end writes r.next at r.to, and r.diff, the estimate of its error.
	evals int
	stage func(r *trial, k int)
	slope func(r *trial, dst, y, d []float64, at schedules.Level)
	end   func(r *trial)
	// reuse says that the last call was made at r.next and r.to, so that it is
	// the first of the next attempt.
	reuse bool

	// The first attempt of a row has the size h0, where that is above 0. Else
	// probe, which knows the first call, writes an argument r.y and its level
	// r.at[1], and size chooses from the answer.
	h0    float64
	probe func(r *trial)
	size  func(r *trial) float64

	tol      tolerance
	control  control
	maxSteps int // attempts of a row

	kept   int            // arrays of r.kept, which pass from accepted to accepted attempt
	noises int            // noise arrays of an attempt, for the motion r.from → r.to
	settle func(r *trial) // completes r.next after an attempt was accepted; may be nil

	// Habits of published programs, for dialects.
	couple coupling
	afresh bool // the first call is repeated after a rejection
	late   bool // noise is drawn after an attempt was accepted, and not for the others

	// check refuses a problem that the method cannot serve; may be nil.
	check func(p Problem) error
}

// nfe bounds the evaluations of a row.
func (a adaptive) nfe(g schedules.Grid) int {
	n, first, last := 0, 0, g.Steps()
	if g[0].Alpha == 0 {
		n, first = n+1, 1
	}
	if g[last].Sigma == 0 && last > first {
		n, last = n+1, last-1
	}
	if first < last {
		n += a.maxSteps * a.evals
		if a.h0 == 0 {
			n++
		}
	}
	return n
}

// phase is where a row is on its way.
type phase uint8

const (
	opening   phase = iota // at α = 0
	traveling              // between the ends, or to its own first level
	closing                // before σ = 0
	arrived
)

// trial is one row and its attempt. Its arrays belong to the row.
type trial struct {
	m   *march
	row int

	from, to schedules.Level
	u, v     float64           // the clock at from and to
	x        []float64         // the state at from
	k        [][]float64       // the answers so far, as slope writes them
	at       []schedules.Level // their levels; at[0] is from
	y        []float64         // argument of the call to come, or of the last one
	next     []float64
	diff     []float64
	prev     []float64   // the state whose size the tolerance looks at beside next; x unless end sets it
	kept     [][]float64 // x at the start, then what the last accepted attempt wrote to fresh
	fresh    [][]float64
	z        [][]float64 // standard normal numbers

	pace
	after   pace // and after this attempt
	phase   phase
	known   bool // the first call has been made
	pass    bool // it is the last call of the attempt before
	tries   int  // attempts
	evals   int  // calls so far
	calls   int  // calls of this attempt
	err     float64
	took    bool // this attempt was accepted
	failure error

	sum sum
}

// level returns the level at a reading of the clock.
func (r *trial) level(u float64) schedules.Level { return r.m.level(u) }

// lin writes Σ cᵢ vᵢ into dst, which is none of the vᵢ.
func (r *trial) lin(dst []float64, terms ...term) {
	if r.failure == nil && !r.sum.of(dst, terms) {
		r.failure = r.nonFinite(dst, vectors(terms))
	}
}

// euler writes into dst the state at b of DDIM from the row's state and the
// denoiser's answer there, see [walk.euler].
func (r *trial) euler(dst []float64, b schedules.Level) {
	keep, gain := eulerWeights(r.from, b)
	r.lin(dst, term{keep, r.x}, term{gain, r.m.rowOf(r.m.d, r.row)})
}

func (r *trial) nonFinite(dst []float64, src [][]float64) error {
	j, _ := firstNonFinite(dst)
	e := &NonFiniteError{Row: r.row, Col: j, Value: dst[j], Source: "arithmetic", Stage: max(r.m.stage-1, 0), At: r.at[r.m.call]}
	return e.blame(src, j, func(v []float64) bool {
		return slices.ContainsFunc(r.z, func(z []float64) bool { return &z[0] == &v[0] })
	})
}

// march runs an adaptive method.
type march struct {
	solver  Solver
	method  adaptive
	problem Problem
	observe func(Stage)
	rows    int
	dim     int
	order   int

	first, last int     // grid levels that the chosen steps lie between
	end         float64 // the clock at grid[last]
	sign        float64 // direction of the clock

	index  int // steps done
	trials []trial
	state  []float64 // rows×dim, as are the next
	next   []float64
	y      []float64
	d      []float64 // D at from
	dk     []float64 // D of the last call
	z      [][]float64

	list   []int // rows of the running operation
	call   int   // of an attempt
	stage  int   // calls of this step
	in     []float64
	out    []float64
	levels []schedules.Level
	labels []int
	report []RowStep
	only   [1]int

	start, argue, answer, judge, settle func(lo, hi int) // method values, made once
}

// startAdaptive checks a problem and prepares its march.
func startAdaptive(s Solver, a adaptive, p Problem, x []float64, opts []RunOption) (Stepper, error) {
	rows, err := servable(s, p, x, a.check)
	if err != nil {
		return nil, cannotStart(s, err)
	}
	dim, n := models.Dim(p.Denoiser), len(x)
	m := &march{solver: s, method: a, problem: p, rows: rows, dim: dim, order: int(s.Properties().Order)}
	m.problem.Grid, m.problem.Labels = slices.Clone(p.Grid), slices.Clone(p.Labels)
	g := m.problem.Grid
	m.first, m.last = 0, g.Steps()
	if g[0].Alpha == 0 {
		m.first = 1
	}
	if g[m.last].Sigma == 0 && m.last > m.first {
		m.last--
	}
	m.end = m.reading(g[m.last])
	m.sign = math.Copysign(1, m.end-m.reading(g[m.first]))

	m.state, m.next, m.d, m.dk = slices.Clone(x), make([]float64, n), make([]float64, n), make([]float64, n)
	m.in, m.out, m.levels, m.list = make([]float64, n), make([]float64, n), make([]schedules.Level, rows), make([]int, 0, rows)
	m.report = make([]RowStep, 0, rows)
	if p.Labels != nil {
		m.labels = make([]int, rows)
	}
	m.y, m.z = make([]float64, n), arrays(a.noises, n)
	diff, k, kept, fresh := make([]float64, n), arrays(a.evals, n), arrays(a.kept, n), arrays(a.kept, n)
	m.trials = make([]trial, rows)
	for i := range m.trials {
		r := &m.trials[i]
		r.m, r.row = m, i
		r.x, r.next, r.y, r.diff = m.rowOf(m.state, i), m.rowOf(m.next, i), m.rowOf(m.y, i), m.rowOf(diff, i)
		r.k, r.kept, r.fresh, r.z = m.rowsOf(k, i), m.rowsOf(kept, i), m.rowsOf(fresh, i), m.rowsOf(m.z, i)
		r.at = make([]schedules.Level, a.evals)
		r.keepState()
		r.from = g[0]
		switch {
		case m.first > 0:
			r.phase = opening
		default:
			r.reach(m.reading(g[0]))
		}
	}
	m.start, m.argue, m.answer, m.judge, m.settle = m.startRows, m.argueRows, m.answerRows, m.judgeRows, m.settleRows

	if m.observe, err = configure(opts, m.resume, m.state, dim); err != nil {
		return nil, cannotStart(s, err)
	}
	return m, nil
}

func (m *march) rowOf(a []float64, i int) []float64 {
	return a[i*m.dim : (i+1)*m.dim : (i+1)*m.dim]
}

func (m *march) rowsOf(a [][]float64, i int) [][]float64 {
	rows := make([][]float64, len(a))
	for k := range a {
		rows[k] = m.rowOf(a[k], i)
	}
	return rows
}

// reading returns the clock at a level, and level the way back.
func (m *march) reading(l schedules.Level) float64 { return m.method.in.of(l, m.problem.Schedule) }

func (m *march) level(u float64) schedules.Level { return m.method.in.level(u, m.problem.Schedule) }

// keepState makes the row's state what it keeps.
func (r *trial) keepState() {
	for _, a := range r.kept {
		copy(a, r.x)
	}
}

// reach puts the row at a reading of the clock.
func (r *trial) reach(u float64) {
	m, g := r.m, r.m.problem.Grid
	r.u, r.phase = u, traveling
	switch {
	case u == m.end && m.last < g.Steps():
		r.from, r.phase = g[m.last], closing
	case u == m.end:
		r.from, r.phase = g[m.last], arrived
	case u == m.reading(g[m.first]):
		r.from = g[m.first]
	default:
		r.from = m.level(u)
	}
}

// Step implements [Stepper]: one attempt of every row that has not arrived.
func (m *march) Step(ctx context.Context) (Step, error) {
	if m.list = m.where(notArrived); len(m.list) == 0 {
		return Step{}, io.EOF
	}
	ordered, _ := m.problem.Noise.(positioned)
	drawn := 0
	if ordered != nil {
		drawn = ordered.Position()
	}
	if err := m.attempt(ctx); err != nil {
		if ordered != nil {
			err = errors.Join(err, ordered.Seek(drawn))
		}
		r := m.culprit()
		return Step{}, &StepError{Solver: m.solver.String(), Index: m.index, From: r.from, To: r.to, Err: err}
	}
	return m.commit(), nil
}

// where lists the rows with a property, in order. It returns the march's list.
func (m *march) where(has func(r *trial) bool) []int {
	list := m.list[:0]
	for i := range m.trials {
		if has(&m.trials[i]) {
			list = append(list, i)
		}
	}
	return list
}

func notArrived(r *trial) bool      { return r.phase != arrived }
func notKnown(r *trial) bool        { return r.phase != arrived && !r.known }
func travels(r *trial) bool         { return r.phase == traveling }
func wasTaken(r *trial) bool        { return r.phase == traveling && r.took }
func (m *march) failed() error      { return m.culprit().failure }
func (m *march) grain() int         { return max(1, 4096/m.dim) } // rows worth a goroutine
func (m *march) coupled() bool      { return m.method.couple != alone }
func (r *trial) attempted() float64 { return math.Abs(r.v - r.u) }

// culprit returns the first row that failed, or the first in flight.
func (m *march) culprit() *trial {
	var first *trial
	for i := range m.trials {
		r := &m.trials[i]
		if r.failure != nil {
			return r
		}
		if first == nil && r.phase != arrived {
			first = r
		}
	}
	return first
}

// attempt makes m.next and judges it, and leaves every row where it was.
func (m *march) attempt(ctx context.Context) error {
	m.stage, m.call = 0, 0
	for i := range m.trials {
		r := &m.trials[i]
		r.failure, r.calls, r.took, r.at[0] = nil, 0, r.phase != traveling, r.from
		r.to = m.problem.Grid[m.last]
		if r.pass {
			copy(m.rowOf(m.d, i), m.rowOf(m.dk, i))
			r.pass, r.known = false, true
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.list = m.where(notKnown)
	if err := m.eval(ctx, m.d, m.state); err != nil {
		return err
	}
	m.list = m.where(notArrived)
	if err := m.forRows(m.start); err != nil {
		return err
	}
	m.list = m.where(travels)
	if len(m.list) == 0 {
		return nil
	}
	if err := m.begin(ctx); err != nil {
		return err
	}
	m.list = m.where(travels)
	if err := m.aim(); err != nil {
		return err
	}
	if !m.method.late {
		if err := m.draw(); err != nil {
			return err
		}
	}
	for m.call = 1; m.call < m.method.evals; m.call++ {
		if err := m.forRows(m.argue); err != nil {
			return err
		}
		if err := m.eval(ctx, m.dk, m.y); err != nil {
			return err
		}
		if err := m.forRows(m.answer); err != nil {
			return err
		}
	}
	m.call = m.method.evals - 1
	if err := m.forRows(m.judge); err != nil {
		return err
	}
	m.join()
	for _, i := range m.list {
		r := &m.trials[i]
		r.after = r.pace
		r.took = m.method.control.decide(r.err, r.attempted(), &r.after)
	}
	m.list = m.where(wasTaken)
	if m.method.late {
		if err := m.draw(); err != nil {
			return err
		}
	}
	if m.method.settle == nil {
		return nil
	}
	return m.forRows(m.settle)
}

// begin chooses the size of the first attempt of rows that have made none.
func (m *march) begin(ctx context.Context) error {
	m.list = m.where(func(r *trial) bool { return r.phase == traveling && r.tries == 0 })
	if m.method.h0 > 0 {
		for _, i := range m.list {
			m.trials[i].h = m.method.h0
		}
		return nil
	}
	m.call = 1
	for _, i := range m.list {
		m.method.probe(&m.trials[i])
	}
	if err := m.failed(); err != nil {
		return err
	}
	if err := m.eval(ctx, m.dk, m.y); err != nil {
		return err
	}
	for _, i := range m.list {
		r := &m.trials[i]
		m.slopeOf(r, 1, r.y, m.rowOf(m.dk, i))
		if r.failure == nil {
			r.h = m.method.size(r)
		}
	}
	return m.failed()
}

// forRows runs an operation on the listed rows, in parallel.
func (m *march) forRows(f func(lo, hi int)) error {
	par.Rows(len(m.list), m.grain(), f)
	return m.failed()
}

// startRows makes the named steps, and of other rows the slope at their state
// and the size of their first attempt.
func (m *march) startRows(lo, hi int) {
	for _, i := range m.list[lo:hi] {
		r := &m.trials[i]
		switch r.phase {
		case opening:
			r.to = m.problem.Grid[1]
			r.euler(r.next, r.to)
		case closing:
			r.to = m.problem.Grid[m.last+1]
			r.euler(r.next, r.to)
		default:
			m.slopeOf(r, 0, r.x, m.rowOf(m.d, i))
		}
	}
}

// slopeOf keeps the answer d to a call at y.
func (m *march) slopeOf(r *trial, k int, y, d []float64) {
	if m.method.slope == nil {
		r.lin(r.k[k], term{1, d})
		return
	}
	m.method.slope(r, r.k[k], y, d, r.at[k])
}

// aim sets the ends of the attempts.
func (m *march) aim() error {
	h := math.Inf(1)
	for _, i := range m.list {
		h = min(h, m.trials[i].h)
	}
	for _, i := range m.list {
		r := &m.trials[i]
		if m.coupled() {
			r.h = h
		}
		if r.v = r.u + m.sign*r.h; r.h*m.method.control.reach >= math.Abs(m.end-r.u) {
			r.v = m.end
		}
		r.to = m.problem.Grid[m.last]
		switch {
		case r.tries >= m.method.maxSteps:
			r.failure = fmt.Errorf("row %d did not arrive in %d attempts: raise maxsteps or the tolerances", i, r.tries)
		case r.v == r.u:
			r.failure = fmt.Errorf("the step size of row %d fell to %g: the problem is not smooth here, or the tolerance is below rounding", i, r.h)
		case r.v != m.end:
			r.to = m.level(r.v)
		}
		if r.failure != nil {
			return r.failure
		}
	}
	return nil
}

// draw asks for the noise of the listed rows, of each alone unless all move
// together.
func (m *march) draw() error {
	if len(m.list) == 0 {
		return nil
	}
	for k, z := range m.z {
		r := &m.trials[m.list[0]]
		req := NoiseRequest{Step: m.index, Stage: k, From: r.from, To: r.to, Z: z}
		if m.coupled() {
			if err := m.problem.Noise.Normal(req); err != nil {
				return err
			}
			continue
		}
		for _, i := range m.list {
			r := &m.trials[i]
			m.only[0] = i
			req.From, req.To, req.Z, req.Rows = r.from, r.to, r.z[k], m.only[:]
			if err := m.problem.Noise.Normal(req); err != nil {
				r.failure = err
				return err
			}
		}
	}
	return nil
}

func (m *march) argueRows(lo, hi int) {
	for _, i := range m.list[lo:hi] {
		r := &m.trials[i]
		m.method.stage(r, m.call)
	}
}

func (m *march) answerRows(lo, hi int) {
	for _, i := range m.list[lo:hi] {
		r := &m.trials[i]
		m.slopeOf(r, m.call, r.y, m.rowOf(m.dk, i))
	}
}

func (m *march) judgeRows(lo, hi int) {
	for _, i := range m.list[lo:hi] {
		r := &m.trials[i]
		r.prev = r.x
		m.method.end(r)
		a, b := 1.0, 1.0
		if !m.method.tol.raw {
			a, b = 1/r.from.Alpha, 1/r.to.Alpha
		}
		r.err = m.method.tol.rms(r.diff, r.prev, r.next, a, b)
	}
}

func (m *march) settleRows(lo, hi int) {
	for _, i := range m.list[lo:hi] {
		m.method.settle(&m.trials[i])
	}
}

// join makes one error of those of all rows, where the method couples them.
func (m *march) join() {
	if !m.coupled() {
		return
	}
	sum, most := 0.0, 0.0
	for _, i := range m.list {
		e := m.trials[i].err
		sum += e * e
		most = max(most, e)
	}
	if m.method.couple == pooled {
		most = math.Sqrt(sum / float64(len(m.list)))
	}
	for _, i := range m.list {
		m.trials[i].err = most
	}
}

// commit moves the rows and reports.
func (m *march) commit() Step {
	s := Step{Index: m.index, ErrEst: math.NaN(), OrderUsed: 1, X: m.state, Denoised: m.d}
	m.report = m.report[:0]
	total := 0
	for i := range m.trials {
		r := &m.trials[i]
		if r.phase != arrived {
			m.report = append(m.report, m.move(r))
			if e := m.report[len(m.report)-1].ErrEst; !(e <= s.ErrEst) && !math.IsNaN(e) {
				s.ErrEst, s.OrderUsed = e, m.order
			}
		}
		total += r.evals
		s.Evals = max(s.Evals, r.evals)
	}
	s.Rows, s.EvalsMean = m.report, float64(total)/float64(m.rows)
	s.From, s.To = m.report[0].From, m.report[0].stands()
	for _, r := range m.report[1:] {
		s.From, s.To = m.behind(s.From, r.From), m.behind(s.To, r.stands())
	}
	s.DenoisedAt = s.From
	m.index++
	return s
}

// behind returns the level that has further to go.
func (m *march) behind(a, b schedules.Level) schedules.Level {
	falls := m.problem.Grid[len(m.problem.Grid)-1].LogSNR() > m.problem.Grid[0].LogSNR()
	if (b.LogSNR() < a.LogSNR()) == falls {
		return b
	}
	return a
}

// move puts a row where its attempt led.
func (m *march) move(r *trial) RowStep {
	r.evals += r.calls
	s := RowStep{Row: r.row, From: r.from, To: r.to, Rejected: !r.took, Evals: r.evals, ErrEst: math.NaN()}
	if r.phase == traveling {
		s.ErrEst = r.err
		r.pace = r.after
		r.tries++
	}
	if !r.took {
		r.known = !m.method.afresh
		return s
	}
	copy(r.x, r.next)
	r.known = false
	switch r.phase {
	case opening:
		r.keepState()
		if m.problem.Grid.Steps() == 1 {
			r.from, r.phase = r.to, arrived
		} else {
			r.reach(m.reading(r.to))
		}
	case closing:
		r.from, r.phase = r.to, arrived
	default:
		for k, a := range r.fresh {
			copy(r.kept[k], a)
		}
		r.pass = m.method.reuse
		r.reach(r.v)
	}
	return s
}

// eval writes D(x) of the listed rows into their places in dst.
func (m *march) eval(ctx context.Context, dst, x []float64) error {
	if len(m.list) == 0 {
		return nil
	}
	n := len(m.list)
	q := models.Query{Rows: n, X: x, At: m.levels[:n]}
	out := dst
	for j, i := range m.list {
		m.levels[j] = m.trials[i].at[m.call]
		if m.labels != nil {
			m.labels[j] = m.problem.Labels[i]
		}
	}
	if m.labels != nil {
		q.Labels = m.labels[:n]
	}
	if m.coupled() {
		q.At = m.levels[:1]
	}
	if n < m.rows {
		for j, i := range m.list {
			copy(m.rowOf(m.in, j), m.rowOf(x, i))
		}
		q.X, out = m.in[:n*m.dim], m.out[:n*m.dim]
	}
	if err := m.problem.Denoiser.Denoise(ctx, out, q); err != nil {
		return err
	}
	for j, i := range m.list {
		m.trials[i].calls++
		if n < m.rows {
			copy(m.rowOf(dst, i), m.rowOf(out, j))
		}
	}
	if m.observe != nil {
		st := Stage{Step: m.index, Stage: m.stage, At: m.levels[0], X: q.X, Denoised: out}
		if n < m.rows {
			st.Rows = m.list
		}
		if len(q.At) > 1 {
			st.Levels = q.At
		}
		m.observe(st)
	}
	m.stage++
	return nil
}

// State implements [Stepper].
func (m *march) State() State {
	s := State{Solver: m.solver.String(), Index: m.index, X: slices.Clone(m.state), Rows: make([]RowState, m.rows)}
	known := false
	d := slices.Clone(m.d)
	for i := range m.trials {
		r := &m.trials[i]
		s.Evals = max(s.Evals, r.evals)
		s.Rows[i] = RowState{
			Phase: int(r.phase), Clock: r.u, Size: r.h, Inverse: r.inverse, Rejected: r.rejected,
			Known: r.known || r.pass, Tries: r.tries, Evals: r.evals,
		}
		known = known || s.Rows[i].Known
		switch {
		case r.pass:
			copy(m.rowOf(d, i), m.rowOf(m.dk, i))
		case !r.known:
			clear(m.rowOf(d, i))
		}
	}
	if known {
		s.History = [][]float64{d}
	}
	for k := range m.method.kept {
		a := make([]float64, 0, len(m.state))
		for i := range m.trials {
			a = append(a, m.trials[i].kept[k]...)
		}
		s.Carry = append(s.Carry, a)
	}
	if src, ok := m.problem.Noise.(positioned); ok {
		s.Noise = src.Position()
	}
	return s
}

func (m *march) resume(s State) error {
	switch {
	case s.Solver != m.solver.String():
		return fmt.Errorf("the state to resume belongs to %s", s.Solver)
	case s.Index < 0:
		return fmt.Errorf("the state to resume is after step %d", s.Index)
	case len(s.X) != len(m.state):
		return fmt.Errorf("the state to resume has %d values, the start %d", len(s.X), len(m.state))
	case len(s.Rows) != m.rows:
		return fmt.Errorf("the state to resume says where %d rows stand: expected %d", len(s.Rows), m.rows)
	case len(s.Carry) != m.method.kept:
		return fmt.Errorf("the state to resume carries %d arrays: expected %d", len(s.Carry), m.method.kept)
	case len(s.History) > 1:
		return fmt.Errorf("the state to resume has %d earlier evaluations: expected at most 1", len(s.History))
	}
	for k, a := range slices.Concat(s.History, s.Carry) {
		if err := checkSaved("array", k, a, len(m.state), m.dim); err != nil {
			return err
		}
	}
	copy(m.state, s.X)
	if len(s.History) > 0 {
		copy(m.d, s.History[0])
	}
	for i, from := range s.Rows {
		r := &m.trials[i]
		if err := m.resumable(from, len(s.History) > 0); err != nil {
			return fmt.Errorf("row %d of the state to resume: %w", i, err)
		}
		switch phase(from.Phase) {
		case opening:
			r.from, r.phase = m.problem.Grid[0], opening
		case traveling:
			r.reach(from.Clock)
		case closing:
			r.from, r.phase = m.problem.Grid[m.last], closing
		case arrived:
			r.from, r.phase = m.problem.Grid[m.problem.Grid.Steps()], arrived
		}
		r.u = from.Clock
		r.pace = pace{h: from.Size, inverse: from.Inverse, rejected: from.Rejected}
		r.known, r.tries, r.evals = from.Known, from.Tries, from.Evals
		for k := range r.kept {
			copy(r.kept[k], m.rowOf(s.Carry[k], i))
		}
	}
	m.index = s.Index
	if src, ok := m.problem.Noise.(positioned); ok {
		return src.Seek(s.Noise)
	}
	return nil
}

// resumable refuses what no run leaves behind.
func (m *march) resumable(r RowState, history bool) error {
	start := m.reading(m.problem.Grid[m.first])
	switch {
	case r.Phase < int(opening) || r.Phase > int(arrived):
		return fmt.Errorf("phase %d: expected 0 to %d", r.Phase, arrived)
	case phase(r.Phase) == opening && m.first == 0, phase(r.Phase) == closing && m.last == m.problem.Grid.Steps():
		return fmt.Errorf("phase %d does not occur on this grid", r.Phase)
	case phase(r.Phase) == traveling && !(m.sign*(r.Clock-start) >= 0 && m.sign*(m.end-r.Clock) > 0):
		return fmt.Errorf("it stands at %g of its variable: expected a value from %g to before %g", r.Clock, start, m.end)
	case r.Tries > 0 && !(r.Size > 0):
		return fmt.Errorf("a step size of %g: expected a positive one", r.Size)
	case !(r.Inverse[0] >= 0 && r.Inverse[1] >= 0):
		return fmt.Errorf("inverse errors %v: expected values ≥ 0", r.Inverse)
	case r.Tries < 0 || r.Evals < 0:
		return fmt.Errorf("%d attempts and %d evaluations: expected none negative", r.Tries, r.Evals)
	case r.Known && !history:
		return errors.New("it says that its evaluation is known, and the history has none")
	}
	return nil
}

// combine writes Σ cᵢ vᵢ into dst, a chunk of terms at a time, and reports
// whether all values are finite. coef and src are used as scratch.
func combine(dst []float64, coef []float64, src [][]float64) bool {
	n := min(len(coef), chunk)
	ok := simd.Lin(dst, coef[:n], src[:n]...)
	for ok && n < len(coef) {
		// dst takes part in the next pass, in the place of a term that is done.
		coef[n-1], src[n-1] = 1, dst
		m := min(len(coef), n-1+chunk)
		ok = simd.Lin(dst, coef[n-1:m], src[n-1:m]...)
		n = m
	}
	return ok
}
