package solvers

import (
	"context"
	"fmt"
	"math"

	"snrlab/internal/par"
)

// dop853 integrates the independent rows of dy/dt = f(t, y) by the explicit
// Runge–Kutta pair 8(5,3) of Dormand and Prince, [hairer1993] section II.5 and
// appendix "DOP853", with the continuous extension of order 7 (section II.6).
//
// Every row has its own time, step size and end. Rows are attempted together
// so that f is asked for many at once, but nothing a row computes depends on
// which rows share its batch. Rows leave when they end and waiting rows take
// their place.
type dop853 struct {
	dim        int
	rtol, atol float64
	maxSteps   int // attempted steps of a row

	// field writes f(t, y) into dst for len(t) rows; row i is sample id[i].
	field func(ctx context.Context, dst, y, t []float64, id []int) error
	// out lists the times, in the direction of travel and common to all rows,
	// at which saved receives the state; ends are reported through it as well.
	out []float64
	// saved receives the state of a sample at out[j], or at its end (j = len(out)).
	saved func(id, j int, y []float64)
	// recorded, if not nil, receives every accepted step of a sample: the
	// eight coefficients of its continuous extension, dim numbers each.
	recorded func(id int, t, h float64, cont [8][]float64)
	// settled is the time after which a row bound for t = +Inf may end: as soon
	// as |f| is a tenth of the tolerance, with the limit y + f.
	settled float64

	n       int       // rows in flight, slots 0…n−1
	id      []int     // slot → sample
	t, h    []float64 // slot's time and signed next step
	end     []float64 // slot's last time
	hits    []bool    // slot's attempted step ends at end
	grew    []bool    // slot's last step was accepted: the next may grow
	next    []int     // slot's first unsaved out
	err     []float64 // slot's error of the attempted step, in tolerances
	y, y1   []float64 // states before and after the attempted step
	k       [stages][]float64
	in      []float64 // gathered or combined arguments of f
	ts      []float64 // their times
	kin     []float64 // gathered answers
	ids     []int     // their samples
	list    []int     // slots of a gathered call
	cont    [8][]float64
	scratch []rowScratch
	stage   int // the stage that combine writes

	cost []Cost // by sample

	combine, judge func(lo, hi int) // method values, made once
}

// rowScratch holds the terms of one linear combination.
type rowScratch struct {
	n    int
	coef [stages + 1]float64
	src  [stages + 1][]float64
}

func (w *rowScratch) add(c float64, v []float64) {
	w.coef[w.n], w.src[w.n] = c, v
	w.n++
}

// into writes the sum into dst and empties w.
func (w *rowScratch) into(dst []float64) {
	combine(dst, w.coef[:w.n], w.src[:w.n])
	w.n = 0
}

const (
	stages   = 16 // 12 of the step, f at its end, 3 of the continuous extension
	stageEnd = 12 // index of f at the end of the step

	safety, shrink, growth = 0.9, 1.0 / 3, 6.0 // step-size controller of the published code
)

// dopRow is one row's task: sample id from y at t to end.
type dopRow struct {
	id     int
	t, end float64
	y      []float64 // read, not kept
}

// newDop853 returns an integrator with room for slots rows at a time.
func newDop853(dim, slots, samples int) *dop853 {
	d := &dop853{dim: dim, maxSteps: math.MaxInt, settled: math.Inf(1), cost: make([]Cost, samples)}
	d.id, d.ids, d.list, d.next = make([]int, slots), make([]int, slots), make([]int, 0, slots), make([]int, slots)
	d.t, d.h, d.end, d.err, d.ts = make([]float64, slots), make([]float64, slots), make([]float64, slots), make([]float64, slots), make([]float64, slots)
	d.hits, d.grew = make([]bool, slots), make([]bool, slots)
	d.y, d.y1, d.in, d.kin = make([]float64, slots*dim), make([]float64, slots*dim), make([]float64, slots*dim), make([]float64, slots*dim)
	for i := range d.k {
		d.k[i] = make([]float64, slots*dim)
	}
	for i := range d.cont {
		d.cont[i] = make([]float64, dim)
	}
	d.scratch = make([]rowScratch, slots)
	d.combine, d.judge = d.combineRows, d.judgeRows
	return d
}

func (d *dop853) row(a []float64, slot int) []float64 {
	return a[slot*d.dim : (slot+1)*d.dim : (slot+1)*d.dim]
}

// run takes count rows through to their ends. get(i) is the i-th of them.
func (d *dop853) run(ctx context.Context, count int, get func(i int) dopRow) error {
	taken := 0
	for {
		// Refilling costs two small calls of f, so it waits for a good number.
		room := min(len(d.id)-d.n, count-taken)
		if room > 0 && (d.n == 0 || room >= len(d.id)/8) {
			first := d.n
			for ; room > 0; room-- {
				d.load(get(taken))
				taken++
			}
			if err := d.begin(ctx, first); err != nil {
				return err
			}
		}
		if d.n == 0 {
			return nil
		}
		if err := d.attempt(ctx); err != nil {
			return err
		}
		if err := d.settle(ctx); err != nil {
			return err
		}
	}
}

// load puts a row into the next free slot.
func (d *dop853) load(r dopRow) {
	s := d.n
	d.n++
	d.id[s], d.t[s], d.end[s], d.grew[s], d.next[s] = r.id, r.t, r.end, true, 0
	copy(d.row(d.y, s), r.y)
}

// begin evaluates f at the start of slots first… and chooses their first step
// by the rule of [hairer1993] section II.4.
func (d *dop853) begin(ctx context.Context, first int) error {
	lo, hi := first*d.dim, d.n*d.dim
	if err := d.call(ctx, d.k[0][lo:hi], d.y[lo:hi], d.t[first:d.n], d.id[first:d.n]); err != nil {
		return err
	}
	for s := first; s < d.n; s++ {
		y, f, in := d.row(d.y, s), d.row(d.k[0], s), d.row(d.in, s)
		d0, d1 := d.norm(y, y), d.norm(f, y)
		h := 1e-6
		if d0 > 1e-5 && d1 > 1e-5 {
			h = 0.01 * d0 / d1
		}
		h = math.Copysign(min(h, math.Abs(d.end[s]-d.t[s])), d.end[s]-d.t[s])
		for j, v := range y {
			in[j] = v + h*f[j]
		}
		d.h[s], d.ts[s] = h, d.t[s]+h
	}
	if err := d.call(ctx, d.kin[lo:hi], d.in[lo:hi], d.ts[first:d.n], d.id[first:d.n]); err != nil {
		return err
	}
	for s := first; s < d.n; s++ {
		y, f, g := d.row(d.y, s), d.row(d.k[0], s), d.row(d.kin, s)
		h := math.Abs(d.h[s])
		d1 := d.norm(f, y)
		for j, v := range f {
			g[j] -= v
		}
		if steep := max(d1, d.norm(g, y)/h); steep > 1e-15 {
			h = min(100*h, math.Pow(0.01/steep, 1.0/8))
		} else {
			h = max(1e-6, h*1e-3)
		}
		d.h[s] = math.Copysign(h, d.h[s])
	}
	return nil
}

// norm is the root mean square of v in units of the tolerance at y.
func (d *dop853) norm(v, y []float64) float64 {
	sum := 0.0
	for j, a := range v {
		e := a / (d.atol + d.rtol*math.Abs(y[j]))
		sum += e * e
	}
	return math.Sqrt(sum / float64(len(v)))
}

// attempt takes one trial step of every row in flight: y1, and err in units of
// the tolerance.
func (d *dop853) attempt(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for s := range d.n {
		c := &d.cost[d.id[s]]
		if c.Steps+c.Rejected >= d.maxSteps {
			return &rowError{d.id[s], d.t[s], fmt.Errorf("did not arrive in %d steps (%d of them rejected): raise MaxSteps or the tolerance", d.maxSteps, c.Rejected)}
		}
		left := d.end[s] - d.t[s]
		d.hits[s] = math.Abs(d.h[s])*1.01 >= math.Abs(left)
		if d.hits[s] {
			d.h[s] = left
		}
		if d.t[s]+d.h[s] == d.t[s] {
			return &rowError{d.id[s], d.t[s], fmt.Errorf("the step size fell to %g: the problem is not smooth here, or the tolerance is below rounding", d.h[s])}
		}
	}
	for i := 1; i < stageEnd; i++ {
		d.stage = i
		par.Rows(d.n, d.grain(), d.combine)
		m := d.n * d.dim
		if err := d.call(ctx, d.k[i][:m], d.in[:m], d.ts[:d.n], d.id[:d.n]); err != nil {
			return err
		}
	}
	par.Rows(d.n, d.grain(), d.judge)
	return nil
}

// grain is the number of rows worth a goroutine: a combination streams about
// ten arrays.
func (d *dop853) grain() int { return max(1, 4096/d.dim) }

// combineRows writes the argument of the current stage, y + h Σ a_ij k_j.
func (d *dop853) combineRows(lo, hi int) {
	for s := lo; s < hi; s++ {
		d.stageArgument(d.row(d.in, s), s, d.stage)
		d.ts[s] = d.t[s] + dopC[d.stage]*d.h[s]
	}
}

// stageArgument writes y + h Σ a_ij k_j of stage i of a slot into dst.
func (d *dop853) stageArgument(dst []float64, s, i int) {
	w := &d.scratch[s]
	w.add(1, d.row(d.y, s))
	for j, a := range dopA[i][:i] {
		if a != 0 {
			w.add(d.h[s]*a, d.row(d.k[j], s))
		}
	}
	w.into(dst)
}

// judgeRows writes y1 and the error estimate of the pair,
//
//	err = |h| e₅² / √(e₅² + 0.01 e₃²),
//
// in which e₅ and e₃ are the estimates of orders 5 and 3 in tolerances.
func (d *dop853) judgeRows(lo, hi int) {
	for s := lo; s < hi; s++ {
		y, y1 := d.row(d.y, s), d.row(d.y1, s)
		d.stageArgument(y1, s, stageEnd)
		e5, e3 := d.row(d.k[1], s), d.row(d.k[2], s) // no longer needed
		d.estimate(e5, s, &dopE5)
		d.estimate(e3, s, &dopE3)
		var s5, s3 float64
		for j, a := range y {
			sc := d.atol + d.rtol*max(math.Abs(a), math.Abs(y1[j]))
			a5, a3 := e5[j]/sc, e3[j]/sc
			s5 += a5 * a5
			s3 += a3 * a3
		}
		den := s5 + 0.01*s3
		if den == 0 {
			d.err[s] = 0
			continue
		}
		d.err[s] = math.Abs(d.h[s]) * s5 / math.Sqrt(den*float64(d.dim))
	}
}

func (d *dop853) estimate(dst []float64, s int, weights *[stageEnd]float64) {
	w := &d.scratch[s]
	for j, e := range weights {
		if e != 0 {
			w.add(e, d.row(d.k[j], s))
		}
	}
	w.into(dst)
}

// settle accepts or rejects the attempted steps, hands out states, and lets
// rows that arrived go.
func (d *dop853) settle(ctx context.Context) error {
	// f at the new state: of rows that go on, or whose step is looked into.
	d.list = d.list[:0]
	for s := range d.n {
		if !(d.err[s] <= 1) {
			if err := d.finite(s); err != nil {
				return err
			}
			continue
		}
		if !d.hits[s] || d.inside(s) {
			d.list = append(d.list, s)
		}
	}
	if err := d.gathered(ctx, stageEnd); err != nil {
		return err
	}

	// The continuous extension where a level lies inside the step.
	keep := d.list[:0]
	for _, s := range d.list {
		if d.inside(s) {
			keep = append(keep, s)
		}
	}
	d.list = keep
	for i := stageEnd + 1; i < stages && len(d.list) > 0; i++ {
		if err := d.gathered(ctx, i); err != nil {
			return err
		}
	}
	for _, s := range d.list {
		d.interpolate(s)
	}

	for s := d.n - 1; s >= 0; s-- {
		d.advance(s)
	}
	return nil
}

// inside reports whether anything asks for states inside the attempted step.
func (d *dop853) inside(s int) bool {
	if d.recorded != nil {
		return true
	}
	j := d.next[s]
	return j < len(d.out) && math.Abs(d.out[j]-d.t[s]) < math.Abs(d.h[s])
}

// gathered evaluates stage i of the slots in d.list; stageEnd is f at (t+h, y1).
func (d *dop853) gathered(ctx context.Context, i int) error {
	n := len(d.list)
	if n == 0 {
		return nil
	}
	for g, s := range d.list {
		if i == stageEnd {
			copy(d.row(d.in, g), d.row(d.y1, s))
		} else {
			d.stageArgument(d.row(d.in, g), s, i)
		}
		d.ts[g], d.ids[g] = d.t[s]+dopC[i]*d.h[s], d.id[s]
	}
	if err := d.call(ctx, d.kin[:n*d.dim], d.in[:n*d.dim], d.ts[:n], d.ids[:n]); err != nil {
		return err
	}
	for g, s := range d.list {
		copy(d.row(d.k[i], s), d.row(d.kin, g))
	}
	return nil
}

// call evaluates f and counts.
func (d *dop853) call(ctx context.Context, dst, y, t []float64, id []int) error {
	if err := d.field(ctx, dst, y, t, id); err != nil {
		return err
	}
	for _, i := range id {
		d.cost[i].Evals++
	}
	return nil
}

// finite returns an error if a rejected step holds a NaN or an infinity, which
// no smaller step can mend.
func (d *dop853) finite(s int) error {
	for i := range stageEnd {
		if i == 1 || i == 2 {
			continue // overwritten by the estimates
		}
		for j, v := range d.row(d.k[i], s) {
			if v-v != 0 {
				return &rowError{d.id[s], d.t[s] + dopC[i]*d.h[s], fmt.Errorf("column %d of the derivative is %g", j, v)}
			}
		}
	}
	if e := d.err[s]; e != e {
		return &rowError{d.id[s], d.t[s], fmt.Errorf("the error estimate is NaN")}
	}
	return nil
}

// interpolate saves the states inside the attempted step of a slot, and
// records the step.
func (d *dop853) interpolate(s int) {
	for ; d.next[s] < len(d.out); d.next[s]++ {
		j := d.next[s]
		theta := (d.out[j] - d.t[s]) / d.h[s]
		if !(theta < 1) {
			break
		}
		var weights [contSources]float64
		for c, p := range dopPowers(theta) {
			for i, m := range dopCont(c, d.h[s]) {
				weights[i] += p * m
			}
		}
		dst := d.row(d.in, 0)
		d.continuous(dst, s, weights)
		d.saved(d.id[s], j, dst)
	}
	if d.recorded != nil {
		for c := range d.cont {
			d.continuous(d.cont[c], s, dopCont(c, d.h[s]))
		}
		d.recorded(d.id[s], d.t[s], d.h[s], d.cont)
	}
}

// continuous combines what the continuous extension is made of: y, y1, k₁ and
// k₆ to k₁₆.
func (d *dop853) continuous(dst []float64, s int, weights [contSources]float64) {
	w := &d.scratch[s]
	w.add(weights[0], d.row(d.y, s))
	w.add(weights[1], d.row(d.y1, s))
	w.add(weights[2], d.row(d.k[0], s))
	for i := 5; i < stages; i++ {
		w.add(weights[i-2], d.row(d.k[i], s))
	}
	w.into(dst)
}

// advance moves a slot past its attempted step, or shrinks the step. Slots
// above s have been advanced already, so that the last may take its place.
func (d *dop853) advance(s int) {
	c := &d.cost[d.id[s]]
	scale := growth
	if d.err[s] > 0 {
		scale = min(growth, max(shrink, safety*math.Pow(d.err[s], -1.0/8)))
	}
	if !(d.err[s] <= 1) {
		c.Rejected++
		d.h[s] *= min(scale, safety)
		d.grew[s] = false
		return
	}
	c.Steps++
	y, y1, f := d.row(d.y, s), d.row(d.y1, s), d.row(d.k[stageEnd], s)
	arrived := d.hits[s]
	copy(y, y1)
	if arrived {
		d.t[s] = d.end[s]
	} else {
		d.t[s] += d.h[s]
		copy(d.row(d.k[0], s), f)
		if math.IsInf(d.end[s], 1) && d.t[s] >= d.settled && d.norm(f, y) <= 0.1 {
			arrived = true
			for j, v := range f {
				y[j] += v
			}
		}
	}
	// A level met by the end of the step, and all that lie behind a settled row.
	for ; d.next[s] < len(d.out) && (arrived || d.out[d.next[s]] == d.t[s]); d.next[s]++ {
		d.saved(d.id[s], d.next[s], y)
	}
	if !d.grew[s] {
		scale = min(scale, 1)
	}
	d.grew[s] = true
	d.h[s] *= scale
	if arrived {
		d.saved(d.id[s], len(d.out), y)
		d.drop(s)
	}
}

// drop frees a slot by moving the last one into it.
func (d *dop853) drop(s int) {
	d.n--
	l := d.n
	if l == s {
		return
	}
	d.id[s], d.t[s], d.h[s], d.end[s] = d.id[l], d.t[l], d.h[l], d.end[l]
	d.grew[s], d.next[s] = d.grew[l], d.next[l]
	copy(d.row(d.y, s), d.row(d.y, l))
	copy(d.row(d.k[0], s), d.row(d.k[0], l))
}

// rowError is a failure of one sample at one time.
type rowError struct {
	id  int
	t   float64
	err error
}

func (e *rowError) Error() string { return fmt.Sprintf("row %d at t = %.6g: %v", e.id, e.t, e.err) }
func (e *rowError) Unwrap() error { return e.err }
