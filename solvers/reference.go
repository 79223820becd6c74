package solvers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sort"

	"snrlab/internal/par"
	"snrlab/models"
	"snrlab/schedules"
)

// Reference integrates the probability-flow ODE to a tolerance, row by row: the
// truth that solvers are measured against.
//
// It moves z = x/√(α²+σ²) in the variable
//
//	w = asinh(α/σ) = asinh(e^{λ/2}),   dz/dw = D(z; tanh w, sech w) − tanh(w) z,
//
// which is finite and without a division at both ends. The start α = 0 is
// w = 0; toward the clean end w grows like λ/2 + log 2, so that steps cluster
// where components separate; σ = 0 is w = +∞, where z tends to D like σ/α or
// faster, and a row ends, with x = α D, as soon as |D − z| is a tenth of the tolerance.
// The noise angle φ = atan(σ/α) is the same variable's Gudermannian
// (tan φ = 1/sinh w), whose ODE divides by sin φ at the clean end. On the
// two-dimensional mixture of this package's tests, from σ/α = 80 to 0.002 at
// 1e-10, a row takes 347 evaluations in w, 332 in φ and 470 in log(σ/α)
// (BenchmarkReferenceVariable); of these w alone has both ends.
//
// The method is the Runge–Kutta pair of order 8(5,3) of Dormand and Prince with
// its continuous extension of order 7 [hairer1993]. Steps and levels belong to a
// row; rows are evaluated together, and a row's result does not depend on the
// others, bit for bit. The zero value integrates to 1e-10.
type Reference struct {
	RTol     float64 `json:"rtol"`      // error of a step relative to |z|; 0 means 1e-10
	ATol     float64 `json:"atol"`      // absolute error of a step in z, whose values are about 1; 0 means RTol
	MaxSteps int     `json:"max_steps"` // attempted steps a row; 0 means 10000
	Batch    int     `json:"-"`         // rows evaluated together; cannot change a number; 0 means up to 128 as memory allows
}

// Cost is what a row's integration took.
type Cost struct {
	Evals    int // denoiser evaluations
	Steps    int // accepted steps
	Rejected int // rejected steps
}

// Trajectory holds the states of a run of [Reference] at the levels of a grid.
type Trajectory struct {
	Grid schedules.Grid
	X    [][]float64 // X[i] is the state at Grid[i], rows×dim
	Cost []Cost      // one a row
}

// Validate reports tolerances that cannot be met.
func (r Reference) Validate() error {
	r = r.filled()
	switch {
	case !(r.RTol >= 1e-14 && r.RTol <= 0.1):
		return fmt.Errorf("solvers: reference: rtol = %g: expected a value from 1e-14 (rounding) to 0.1", r.RTol)
	case !(r.ATol > 0 && r.ATol <= 0.1):
		return fmt.Errorf("solvers: reference: atol = %g: expected a value in (0, 0.1]", r.ATol)
	case r.MaxSteps < 1:
		return fmt.Errorf("solvers: reference: max_steps = %d: expected at least 1", r.MaxSteps)
	case r.Batch < 0:
		return fmt.Errorf("solvers: reference: batch = %d: expected at least 1, or 0 for the default", r.Batch)
	}
	return nil
}

func (r Reference) filled() Reference {
	if r.RTol == 0 {
		r.RTol = 1e-10
	}
	if r.ATol == 0 {
		r.ATol = r.RTol
	}
	if r.MaxSteps == 0 {
		r.MaxSteps = 10000
	}
	return r
}

// Solve takes the rows of x, at p.Grid[0], through every level of p.Grid, and
// returns the states there; those between the ends of a step come from the
// continuous extension. The grid may also run from clean to noisy, though not
// from σ = 0, where the ODE has no one direction. p.Schedule and p.Noise are
// not used. x is not modified.
func (r Reference) Solve(ctx context.Context, p Problem, x []float64) (*Trajectory, error) {
	tr, out, err := newTrajectory(p, x)
	if err != nil {
		return nil, err
	}
	dim := models.Dim(p.Denoiser)
	d, o, err := r.start(p.Denoiser, p.Labels, len(x)/dim)
	if err != nil {
		return nil, err
	}
	d.out = out[1 : len(out)-1]
	d.saved = func(id, j int, z []float64) {
		unrotate(tr.X[j+1][id*dim:(id+1)*dim], z, p.Grid[j+1])
	}
	err = d.run(ctx, len(tr.Cost), func(i int) dopRow {
		return dopRow{id: i, t: out[0], end: out[len(out)-1], y: o.rotate(x[i*dim:(i+1)*dim], p.Grid[0])}
	})
	if err != nil {
		return nil, explain(err)
	}
	tr.Cost = d.cost
	return tr, nil
}

// Dense is a run of [Reference] that can be asked for the state at any level
// between its ends. It keeps eight arrays a step and row; where the levels are
// known beforehand, [Reference.Solve] keeps only those.
type Dense struct {
	from, to float64
	dim      int
	rows     []densePath
	Cost     []Cost // one a row
}

type densePath struct {
	t, h []float64 // steps in w
	cont [][8][]float64
	last []float64 // the state at the end
}

// Dense integrates like [Reference.Solve] between the first and the last level
// of p.Grid and keeps the continuous extension of every step.
func (r Reference) Dense(ctx context.Context, p Problem, x []float64) (*Dense, error) {
	if len(p.Grid) > 2 {
		p.Grid = schedules.Grid{p.Grid[0], p.Grid[len(p.Grid)-1]}
	}
	_, out, err := newTrajectory(p, x)
	if err != nil {
		return nil, err
	}
	dim := models.Dim(p.Denoiser)
	d, o, err := r.start(p.Denoiser, p.Labels, len(x)/dim)
	if err != nil {
		return nil, err
	}
	c := &Dense{from: out[0], to: out[1], dim: dim, rows: make([]densePath, len(x)/dim), Cost: d.cost}
	d.recorded = func(id int, t, h float64, cont [8][]float64) {
		path := &c.rows[id]
		path.t, path.h = append(path.t, t), append(path.h, h)
		for i := range cont {
			cont[i] = append([]float64(nil), cont[i]...)
		}
		path.cont = append(path.cont, cont)
	}
	d.saved = func(id, _ int, z []float64) { c.rows[id].last = append([]float64(nil), z...) }
	err = d.run(ctx, len(c.rows), func(i int) dopRow {
		return dopRow{id: i, t: c.from, end: c.to, y: o.rotate(x[i*dim:(i+1)*dim], p.Grid[0])}
	})
	if err != nil {
		return nil, explain(err)
	}
	return c, nil
}

// At writes the state at level l into dst, rows×dim.
func (c *Dense) At(dst []float64, l schedules.Level) error {
	if err := l.Validate(); err != nil {
		return err
	}
	w := rapidity(l)
	if w < min(c.from, c.to) || w > max(c.from, c.to) {
		return fmt.Errorf("solvers: reference: λ = %g lies outside the run", float64(l.LogSNR()))
	}
	if len(dst) != len(c.rows)*c.dim {
		return fmt.Errorf("solvers: reference: destination has %d numbers: expected %d rows × %d", len(dst), len(c.rows), c.dim)
	}
	toward := math.Copysign(1, c.to-c.from)
	for i, path := range c.rows {
		row := dst[i*c.dim : (i+1)*c.dim]
		// The first step that does not end before w.
		s := sort.Search(len(path.t), func(s int) bool { return toward*(path.t[s]+path.h[s]-w) >= 0 })
		if s == len(path.t) {
			unrotate(row, path.last, l)
			continue
		}
		p := dopPowers((w - path.t[s]) / path.h[s])
		for j := range row {
			v := 0.0
			for k, a := range p {
				v += a * path.cont[s][k][j]
			}
			row[j] = v
		}
		unrotate(row, row, l)
	}
	return nil
}

// Step integrates every row of x from a level of its own to a level of its own,
// one exact step each. labels is nil or one class a row. The rows may come from
// any number of solvers: Batch of them are evaluated together, and waiting rows
// take the places of those that arrived.
func (r Reference) Step(ctx context.Context, d models.Denoiser, x []float64, from, to []schedules.Level, labels []int) ([]float64, []Cost, error) {
	if d == nil {
		return nil, nil, errNoDenoiser
	}
	dim := models.Dim(d)
	rows := len(from)
	if len(x) != rows*dim || len(to) != rows || rows == 0 {
		return nil, nil, fmt.Errorf("solvers: reference: %d numbers with %d and %d levels: expected rows × %d numbers and two levels a row", len(x), len(from), len(to), dim)
	}
	y := make([]float64, len(x))
	var moving []int
	for i := range rows {
		for _, l := range []schedules.Level{from[i], to[i]} {
			if err := l.Validate(); err != nil {
				return nil, nil, fmt.Errorf("solvers: reference: row %d: %w", i, err)
			}
		}
		switch {
		case rapidity(from[i]) == rapidity(to[i]):
			scale := math.Hypot(to[i].Alpha, to[i].Sigma) / math.Hypot(from[i].Alpha, from[i].Sigma)
			for j := i * dim; j < (i+1)*dim; j++ {
				y[j] = x[j] * scale
			}
		case from[i].Sigma == 0:
			return nil, nil, fmt.Errorf("solvers: reference: row %d starts at σ = 0: %w", i, errCleanStart)
		default:
			moving = append(moving, i)
		}
	}
	in, o, err := r.start(d, labels, rows)
	if err != nil {
		return nil, nil, err
	}
	in.saved = func(id, _ int, z []float64) { unrotate(y[id*dim:(id+1)*dim], z, to[id]) }
	err = in.run(ctx, len(moving), func(i int) dopRow {
		i = moving[i]
		return dopRow{id: i, t: rapidity(from[i]), end: rapidity(to[i]), y: o.rotate(x[i*dim:(i+1)*dim], from[i])}
	})
	if err != nil {
		return nil, nil, explain(err)
	}
	return y, in.cost, nil
}

var (
	errCleanStart = errors.New("the ODE leaves it in no one direction; start at a small σ")
	errNoDenoiser = errors.New("solvers: reference: there is no denoiser")
)

// newTrajectory checks a problem and returns its empty trajectory and the
// levels' w.
func newTrajectory(p Problem, x []float64) (*Trajectory, []float64, error) {
	if p.Denoiser == nil {
		return nil, nil, errNoDenoiser
	}
	dim := models.Dim(p.Denoiser)
	if len(x) == 0 || len(x)%dim != 0 {
		return nil, nil, fmt.Errorf("solvers: reference: %d numbers are no whole number of rows of %d", len(x), dim)
	}
	if len(p.Grid) < 2 {
		return nil, nil, fmt.Errorf("solvers: reference: a grid of %d levels: expected at least 2", len(p.Grid))
	}
	w := make([]float64, len(p.Grid))
	for i, l := range p.Grid {
		if err := l.Validate(); err != nil {
			return nil, nil, fmt.Errorf("solvers: reference: grid level %d: %w", i, err)
		}
		w[i] = rapidity(l)
		if i > 0 && !((w[i] > w[i-1]) == (w[1] > w[0]) && w[i] != w[i-1]) {
			return nil, nil, fmt.Errorf("solvers: reference: grid level %d turns back or stands still: noise must strictly fall, or strictly rise", i)
		}
	}
	if p.Grid[0].Sigma == 0 {
		return nil, nil, fmt.Errorf("solvers: reference: the grid starts at σ = 0: %w", errCleanStart)
	}
	tr := &Trajectory{Grid: p.Grid, X: make([][]float64, len(w))}
	for i := range tr.X {
		tr.X[i] = make([]float64, len(x))
	}
	copy(tr.X[0], x)
	tr.Cost = make([]Cost, len(x)/dim)
	return tr, w, nil
}

// start returns an integrator of d's ODE in w for rows samples.
func (r Reference) start(d models.Denoiser, labels []int, rows int) (*dop853, *rotated, error) {
	if err := r.Validate(); err != nil {
		return nil, nil, err
	}
	if labels != nil && len(labels) != rows {
		return nil, nil, fmt.Errorf("solvers: reference: %d labels for %d rows", len(labels), rows)
	}
	r = r.filled()
	dim := models.Dim(d)
	slots := r.Batch
	if slots == 0 {
		slots = max(1, min(128, 1<<20/dim)) // about twenty arrays of slots×dim numbers
	}
	slots = min(slots, rows)
	o := &rotated{d: d, dim: dim, z: make([]float64, dim), at: make([]schedules.Level, slots), labels: labels}
	if labels != nil {
		o.picked = make([]int, slots)
	}
	o.subtract = o.subtractRows
	in := newDop853(dim, slots, rows)
	in.rtol, in.atol, in.maxSteps = r.RTol, r.ATol, r.MaxSteps
	in.settled = math.Asinh(10 / math.Sqrt(r.RTol))
	in.field = o.field
	return in, o, nil
}

// rotated is the right-hand side dz/dw = D − tanh(w) z.
type rotated struct {
	d      models.Denoiser
	dim    int
	z      []float64 // of one row
	at     []schedules.Level
	labels []int // one a sample, or nil
	picked []int // those of a call

	dst, y   []float64 // of the call that subtract works on
	subtract func(lo, hi int)
}

func (o *rotated) field(ctx context.Context, dst, y, w []float64, id []int) error {
	q := models.Query{X: y, Rows: len(w), At: o.at[:len(w)]}
	for i, v := range w {
		q.At[i] = schedules.Level{T: math.NaN(), Alpha: math.Tanh(v), Sigma: 1 / math.Cosh(v)}
	}
	if o.labels != nil {
		q.Labels = o.picked[:len(w)]
		for i, s := range id {
			q.Labels[i] = o.labels[s]
		}
	}
	if err := o.d.Denoise(ctx, dst, q); err != nil {
		return err
	}
	o.dst, o.y = dst, y
	par.Rows(len(w), max(1, 16384/o.dim), o.subtract)
	return nil
}

func (o *rotated) subtractRows(lo, hi int) {
	for i := lo; i < hi; i++ {
		th := o.at[i].Alpha
		y := o.y[i*o.dim : (i+1)*o.dim]
		for j, v := range o.dst[i*o.dim : (i+1)*o.dim] {
			o.dst[i*o.dim+j] = v - float64(th*y[j])
		}
	}
}

// rotate returns z = x/√(α²+σ²) of one row, valid until the next call.
func (o *rotated) rotate(x []float64, l schedules.Level) []float64 {
	r := math.Hypot(l.Alpha, l.Sigma)
	for j, v := range x {
		o.z[j] = v / r
	}
	return o.z
}

// unrotate writes x = √(α²+σ²) z.
func unrotate(x, z []float64, l schedules.Level) {
	r := math.Hypot(l.Alpha, l.Sigma)
	for j, v := range z {
		x[j] = v * r
	}
}

// rapidity returns w = asinh(α/σ), from 0 at α = 0 to +Inf at σ = 0.
func rapidity(l schedules.Level) float64 { return math.Asinh(l.Alpha / l.Sigma) }

// explain names the level of a row's failure.
func explain(err error) error {
	var row *rowError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &row):
		return fmt.Errorf("solvers: reference: row %d at λ = %.6g (σ/α = %.6g): %w", row.id, 2*math.Log(math.Sinh(row.t)), 1/math.Sinh(row.t), row.err)
	}
	return fmt.Errorf("solvers: reference: %w", err)
}
