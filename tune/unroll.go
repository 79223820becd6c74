package tune

import (
	"context"

	"gonum.org/v1/gonum/floats"

	"snrlab/internal/gate"
	"snrlab/internal/par"
	"snrlab/internal/simd"
	"snrlab/models"
	"snrlab/schedules"
)

// A linear solver of n evaluations, whatever its history, stages or corrections,
// is the list of points at which it asks the denoiser, each a combination of the
// start and of the answers before it, and its result y_n:
//
//	y_i = p_i x_0 + Σ_{j<i} q_ij D_j,   D_i = D(y_i, τ_i),   i < n
//
// Gates add to y_i the differences of the newest answers, by row:
//
//	y_i += Σ_k g_ik (D_{i−k} − D_{i−k−1})
//
// This file runs such a list and its adjoint. With ȳ_n the derivative of the loss
// in the result,
//
//	ȳ_j = Cov[x₀ | y_j] D̄_j/τ_j²,   D̄_j = Σ_{i>j} q_ij ȳ_i      (and what gates add)
//	∂/∂p_i = ȳ_i·x_0,  ∂/∂q_ij = ȳ_i·D_j,  ∂/∂log τ_j = D̄_j·∂D_j/∂log τ,  ∂/∂g_ik = ȳ_i·(D_{i−k} − D_{i−k−1})
type unrolled struct {
	n   int
	p   []float64 // n+1
	q   []float64 // (n+1)×n, j < i
	tau []float64 // n
}

func newUnrolled(n int) *unrolled {
	return &unrolled{n: n, p: make([]float64, n+1), q: make([]float64, (n+1)*n), tau: make([]float64, n)}
}

func (u *unrolled) clear() {
	clear(u.p)
	clear(u.q)
	clear(u.tau)
}

// blockRows are taken through all evaluations together, so that what the
// adjoint needs stays in the caches.
const blockRows = 512

// engine runs unrolled solvers on a task. It owns the work space and allocates
// nothing in a run. Blocks follow each other and sums run in row order, so that
// results do not depend on the number of processors.
type engine struct {
	task  *Task
	dim   int
	block int         // rows of a block
	y, by [][]float64 // n+1 each: y_i and ȳ_i
	d, bd [][]float64 // n each: D_i and D̄_i
	tmp   []float64
	at    [1]schedules.Level

	mean  []float64 // μ, for gates
	gates []*gate.Gate
	slots []gateSlot
}

// gateSlot is what belongs to one gate.
type gateSlot struct {
	rows    []gate.Row
	adjoint gate.Adjoint // derivatives of the layer
}

// newEngine prepares runs of up to n evaluations. gates, where not nil, has an
// entry, nil for none, for each point 0 to n.
func newEngine(t *Task, n int, mean []float64, gates []*gate.Gate) *engine {
	e := &engine{task: t, dim: models.Dim(t.Model), block: min(blockRows, t.Rows), mean: mean, gates: gates}
	size := e.block * e.dim
	arrays := func(n int) [][]float64 {
		a := make([][]float64, n)
		for i := range a {
			a[i] = make([]float64, size)
		}
		return a
	}
	e.y, e.by, e.d, e.bd, e.tmp = arrays(n+1), arrays(n+1), arrays(n), arrays(n), make([]float64, size)
	e.slots = make([]gateSlot, len(gates))
	for i, g := range gates {
		if g != nil {
			e.slots[i].rows = make([]gate.Row, e.block)
		}
	}
	return e
}

func (e *engine) gate(i int) *gate.Gate {
	if e.gates == nil {
		return nil
	}
	return e.gates[i]
}

// value returns the mean squared distance to the exact ends. With grad it writes
// there the derivatives in the coefficients (that of τ in log τ) and adds those
// of gates to their slots. ends, where not nil, receives the results.
func (e *engine) value(ctx context.Context, u, grad *unrolled, ends []float64) (float64, error) {
	if grad != nil {
		grad.clear()
	}
	total := 0.0
	for lo := 0; lo < e.task.Rows; lo += e.block {
		rows := min(e.block, e.task.Rows-lo)
		a, b := lo*e.dim, (lo+rows)*e.dim
		if err := e.forward(ctx, u, rows, e.task.Start[a:b]); err != nil {
			return 0, err
		}
		out := e.y[u.n][:b-a]
		if ends != nil {
			copy(ends[a:b], out)
		}
		bar := e.by[u.n][:b-a]
		floats.SubTo(bar, out, e.task.End[a:b])
		total += simd.SumSq(bar)
		if grad == nil {
			continue
		}
		floats.Scale(2/float64(e.task.Rows), bar)
		if err := e.backward(ctx, u, grad, rows, e.task.Start[a:b]); err != nil {
			return 0, err
		}
	}
	return total / float64(e.task.Rows), nil
}

func (e *engine) forward(ctx context.Context, u *unrolled, rows int, start []float64) error {
	n := len(start)
	for i := range u.n + 1 {
		y := e.y[i][:n]
		floats.ScaleTo(y, u.p[i], start)
		for j := range i {
			if c := u.q[i*u.n+j]; c != 0 {
				floats.AddScaled(y, c, e.d[j][:n])
			}
		}
		if g := e.gate(i); g != nil {
			par.Rows(rows, 64, func(lo, hi int) {
				for r := lo; r < hi; r++ {
					e.correct(g, i, r)
				}
			})
		}
		if i == u.n {
			break
		}
		if err := e.task.Model.Denoise(ctx, e.d[i][:n], e.query(y, rows, u.tau[i])); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) query(x []float64, rows int, noise float64) models.Query {
	e.at[0] = at(noise)
	return models.Query{X: x, Rows: rows, At: e.at[:]}
}

// row returns row r of the array of point i, nil for points before the first.
func (e *engine) row(of [][]float64, i, r int) []float64 {
	if i < 0 {
		return nil
	}
	return of[i][r*e.dim : (r+1)*e.dim]
}

// correct applies the gate of point i to row r.
func (e *engine) correct(g *gate.Gate, i, r int) {
	w := &e.slots[i].rows[r]
	g.See(w, e.row(e.y, i-1, r), e.row(e.d, i-1, r), e.row(e.d, i-2, r), e.row(e.d, i-3, r), e.mean)
	g.Open(w)
	y := e.row(e.y, i, r)
	for k := range g.Outputs() {
		newer, older := e.row(e.d, i-1-k, r), e.row(e.d, i-2-k, r)
		for j := range y {
			y[j] += w.G[k] * (newer[j] - older[j])
		}
	}
}

// backward begins with ȳ_n in e.by[n].
func (e *engine) backward(ctx context.Context, u, g *unrolled, rows int, start []float64) error {
	n := len(start)
	for j := range u.n {
		clear(e.bd[j][:n])
		clear(e.by[j][:n])
	}
	for i := u.n; i >= 0; i-- {
		by := e.by[i][:n]
		if i < u.n {
			q, bd := e.query(e.y[i][:n], rows, u.tau[i]), e.bd[i][:n]
			if err := e.task.Model.DenoiseRate(ctx, e.tmp[:n], q); err != nil {
				return err
			}
			g.tau[i] += simd.Dot(e.tmp[:n], bd)
			if err := e.task.Model.PosteriorCovMul(ctx, e.tmp[:n], bd, q); err != nil {
				return err
			}
			floats.AddScaled(by, 1/(u.tau[i]*u.tau[i]), e.tmp[:n])
		}
		if gt := e.gate(i); gt != nil {
			for r := range rows {
				e.uncorrect(gt, i, r)
			}
		}
		g.p[i] += simd.Dot(by, start)
		for j := range i {
			g.q[i*u.n+j] += simd.Dot(by, e.d[j][:n])
			if c := u.q[i*u.n+j]; c != 0 {
				floats.AddScaled(e.bd[j][:n], c, by)
			}
		}
	}
	return nil
}

// uncorrect is the adjoint of correct.
func (e *engine) uncorrect(g *gate.Gate, i, r int) {
	slot := &e.slots[i]
	w, by := &slot.rows[r], e.row(e.by, i, r)
	var bar [3]float64
	for k := range g.Outputs() {
		newer, older := e.row(e.d, i-1-k, r), e.row(e.d, i-2-k, r)
		bn, bo := e.row(e.bd, i-1-k, r), e.row(e.bd, i-2-k, r)
		for j, v := range by {
			bar[k] += v * (newer[j] - older[j])
			bn[j] += w.G[k] * v
			bo[j] -= w.G[k] * v
		}
	}
	adj := slot.adjoint
	adj.Y, adj.D, adj.D1, adj.D2 = e.row(e.by, i-1, r), e.row(e.bd, i-1, r), e.row(e.bd, i-2, r), e.row(e.bd, i-3, r)
	g.Close(w, bar, e.row(e.y, i-1, r), e.row(e.d, i-1, r), e.row(e.d, i-2, r), e.row(e.d, i-3, r), e.mean, adj)
}
