package experiments

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"snrlab/internal/runfile"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// walked is what one solver at one budget leaves in its cell.
type walked struct {
	Steps     []runfile.StepRow // local errors still to come
	Final     []float64         // rows×dim
	Errors    []float64         // |x − reference| (or own fine run) of each row at the end
	Near      []float64         // states of the first Local.Rows rows: (steps+1)×rows×dim
	TraceX    []float32         // of the first Trace.Rows rows
	TraceD    []float32
	SolverS   float64 // seconds
	DenoiserS float64
}

// path is a batch of states at every level of a grid.
type path struct {
	grid schedules.Grid
	X    [][]float64 // rows×dim each
	D    [][]float64 // the exact estimates there; none at the last level
}

// at returns the states and estimates at a level of the path.
func (p *path) at(l schedules.Level) (x, d []float64, err error) {
	i := find(p.grid, l)
	if i < 0 || i >= len(p.X) || p.X[i] == nil {
		return nil, nil, fmt.Errorf("experiments: λ = %g is not a level of the reference", float64(l.LogSNR()))
	}
	if i < len(p.D) {
		d = p.D[i]
	}
	return p.X[i], d, nil
}

// run is the driver: cells first, then the files made of them.
func (m *comparison) run(ctx context.Context, r *run) ([]string, error) {
	start, err := m.start()
	if err != nil {
		return nil, err
	}
	ref, err := m.reference(ctx, r, start)
	if err != nil {
		return nil, err
	}
	// One Brownian path for all stochastic solvers, drawn when first needed.
	brownian := sync.OnceValues(func() (solvers.Noise, error) {
		r.progress.setStage("Brownian path")
		return solvers.NewBrownian(m.keys, m.dim, m.fine)
	})
	out := map[*entry][]*walked{}
	for i, e := range m.entries {
		var noise func() (solvers.Noise, error)
		truth := ref
		if e.props.Stochastic {
			noise = brownian
			if truth, err = m.fineRun(ctx, r, e, i, noise, start); err != nil {
				return nil, err
			}
		}
		for _, c := range e.runs {
			w, err := cell(ctx, r, c.id("walk", i), int64(c.nfe)*int64(m.Rows), func(ctx context.Context) (*walked, error) {
				r.progress.setStage(fmt.Sprintf("%s, %d evaluations", e.name, c.budget))
				return m.walk(ctx, r, c, noise, start, truth)
			})
			if err != nil {
				return nil, err
			}
			out[e] = append(out[e], w)
		}
	}
	if err := m.localErrors(ctx, r, out); err != nil {
		return nil, err
	}
	return m.write(ctx, r, out, ref)
}

// reference integrates all rows exactly, a block of rows a cell, and asks for
// the exact estimates.
func (m *comparison) reference(ctx context.Context, r *run, start []float64) (*path, error) {
	if m.exact == nil {
		return nil, nil
	}
	p := &path{grid: m.exact, X: make([][]float64, len(m.exact)), D: make([][]float64, len(m.exact)-1)}
	for i := range p.X {
		p.X[i] = make([]float64, len(start))
	}
	ref := solvers.Reference{RTol: m.Reference.RTol}
	for lo := 0; lo < m.Rows; lo += referenceBlock {
		hi := min(lo+referenceBlock, m.Rows)
		a, b := lo*m.dim, hi*m.dim
		states, err := cell(ctx, r, fmt.Sprintf("reference-%05d", lo), int64(hi-lo)*evalsOfReference, func(ctx context.Context) (*[][]float64, error) {
			r.progress.setStage("reference")
			t, err := ref.Solve(ctx, solvers.Problem{Denoiser: r.counted(m.model), Grid: m.exact, Labels: rowsOf(m.labels, lo, hi)}, start[a:b])
			if err != nil {
				return nil, err
			}
			return &t.X, nil
		})
		if err != nil {
			return nil, err
		}
		for i, x := range *states {
			copy(p.X[i][a:b], x)
		}
	}
	r.progress.setStage("exact estimates")
	for i := range p.D {
		p.D[i] = make([]float64, len(start))
		q := models.Query{X: p.X[i], Rows: m.Rows, At: m.exact[i : i+1], Labels: m.labels}
		if err := r.counted(m.model).Denoise(ctx, p.D[i], q); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// referenceBlock rows make one cell: enough to fill the denoiser's batches.
const referenceBlock = 128

func rowsOf(labels []int, lo, hi int) []int {
	if labels == nil {
		return nil
	}
	return labels[lo:hi]
}

// walk runs one solver at one budget and measures every step against truth:
// the reference for a deterministic solver, its own fine run on the same
// Brownian path for a stochastic one.
func (m *comparison) walk(ctx context.Context, r *run, c cellRun, noise func() (solvers.Noise, error), start []float64, truth *path) (*walked, error) {
	timed := models.NewTimed(r.counted(m.model))
	p, err := m.problem(timed, c.grid, noise)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	st, err := c.solver.Start(p, start)
	if err != nil {
		return nil, err
	}
	inside := time.Since(begin)
	w := &walked{}
	near, kept := m.Local.Rows*m.dim, 0
	if c.steps <= m.Trace.MaxSteps && m.traced(c.name) {
		kept = m.Trace.Rows * m.dim
	}
	keep := func(x []float64) {
		w.Near = append(w.Near, x[:near]...)
		w.TraceX = appendFloat32(w.TraceX, x[:kept])
	}
	keep(start)
	row := m.row(c, 0, c.grid[0], start)
	if !c.props.Stochastic {
		row.Global, row.GlobalQ5, row.GlobalQ95 = 0, 0, 0
	}
	w.Steps = append(w.Steps, row)
	for {
		begin := time.Now()
		s, err := st.Step(ctx)
		inside += time.Since(begin)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		row, err := m.measure(c, s, truth, w)
		if err != nil {
			return nil, err
		}
		w.Steps = append(w.Steps, row)
		keep(s.X)
		w.TraceD = appendFloat32(w.TraceD, s.Denoised[:kept])
		if s.Index == c.steps-1 {
			w.Final = append([]float64(nil), s.X...)
			if s.Evals != c.nfe {
				return nil, fmt.Errorf("experiments: %s promised %d evaluations and made %d", c.name, c.nfe, s.Evals)
			}
		}
	}
	w.DenoiserS = timed.Elapsed().Seconds()
	w.SolverS = inside.Seconds() - w.DenoiserS
	return w, nil
}

// problem is the denoiser on a grid; noise is nil for deterministic solvers.
func (m *comparison) problem(d models.Denoiser, g schedules.Grid, noise func() (solvers.Noise, error)) (p solvers.Problem, err error) {
	p = solvers.Problem{Denoiser: d, Grid: g, Schedule: m.family.schedule, Labels: m.labels}
	if noise != nil {
		p.Noise, err = noise()
	}
	return p, err
}

// row is the part of a StepRow that needs no truth.
func (m *comparison) row(c cellRun, step int, at schedules.Level, x []float64) runfile.StepRow {
	nan := math.NaN()
	return runfile.StepRow{
		Solver: c.name, Budget: c.budget, Steps: c.steps, Step: step,
		T: at.T, Alpha: at.Alpha, Sigma: at.Sigma, Lambda: float64(at.LogSNR()),
		Local: nan, Global: nan, GlobalQ5: nan, GlobalQ95: nan, Denoised: nan, Strong: nan,
		Norm: metrics.RMSE(norms(x, m.dim)),
	}
}

// measure makes the row of one step.
func (m *comparison) measure(c cellRun, s solvers.Step, truth *path, w *walked) (runfile.StepRow, error) {
	row := m.row(c, s.Index+1, s.To, s.X)
	row.NFE = s.Evals
	if truth == nil {
		return row, nil
	}
	x, _, err := truth.at(s.To)
	if err != nil {
		return row, err
	}
	if w.Errors, err = m.errors(s.X, x); err != nil {
		return row, err
	}
	if c.props.Stochastic {
		row.Strong = metrics.RMSE(w.Errors)
		return row, nil
	}
	row.Global = metrics.RMSE(w.Errors)
	row.GlobalQ5, row.GlobalQ95 = metrics.Quantile(w.Errors, 0.05), metrics.Quantile(w.Errors, 0.95)
	if same(s.DenoisedAt, s.From) {
		_, d, err := truth.at(s.From)
		if err != nil {
			return row, err
		}
		e, err := m.errors(s.Denoised, d)
		if err != nil {
			return row, err
		}
		row.Denoised = metrics.RMSE(e)
	}
	return row, nil
}

// errors returns the Euclidean error of each row.
func (m *comparison) errors(x, exact []float64) ([]float64, error) {
	return metrics.RowErrors(metrics.Samples{X: x, Dim: m.dim}, metrics.Samples{X: exact, Dim: m.dim})
}

// localErrors fills in the local errors of deterministic solvers: one exact
// step from each solver's own state, all solvers of a budget in one batch.
func (m *comparison) localErrors(ctx context.Context, r *run, out map[*entry][]*walked) error {
	n := m.Local.Rows
	if n == 0 {
		return nil
	}
	ref := solvers.Reference{RTol: m.Local.RTol}
	for b, budget := range m.Budgets {
		var x []float64
		var from, to []schedules.Level
		var labels []int
		var rows []*runfile.StepRow // one for each n rows of the batch
		var ends [][]float64        // where the solver went
		for _, e := range m.entries {
			if e.props.Stochastic {
				continue
			}
			w, c := out[e][b], e.runs[b]
			for k := range c.steps {
				size := n * m.dim
				x = append(x, w.Near[k*size:(k+1)*size]...)
				ends = append(ends, w.Near[(k+1)*size:(k+2)*size])
				rows = append(rows, &w.Steps[k+1])
				for range n {
					from, to = append(from, c.grid[k]), append(to, c.grid[k+1])
				}
				labels = append(labels, rowsOf(m.labels, 0, n)...)
			}
		}
		if len(rows) == 0 {
			return nil
		}
		local, err := cell(ctx, r, fmt.Sprintf("local-%05d", budget), int64(len(from))*evalsOfLocalStep, func(ctx context.Context) (*[]float64, error) {
			r.progress.setStage(fmt.Sprintf("local errors, %d evaluations", budget))
			y, _, err := ref.Step(ctx, r.counted(m.model), x, from, to, labels)
			if err != nil {
				return nil, err
			}
			errs := make([]float64, len(rows))
			for i := range rows {
				e, err := m.errors(ends[i], y[i*n*m.dim:(i+1)*n*m.dim])
				if err != nil {
					return nil, err
				}
				errs[i] = metrics.RMSE(e)
			}
			return &errs, nil
		})
		if err != nil {
			return err
		}
		for i, row := range rows {
			row.Local = (*local)[i]
		}
	}
	return nil
}

// fineRun is a stochastic solver's own run over every level that any
// stochastic solver visits and those of FineSteps steps besides. A solver with
// churn has none.
func (m *comparison) fineRun(ctx context.Context, r *run, e *entry, i int, noise func() (solvers.Noise, error), start []float64) (*path, error) {
	if m.Stochastic.FineSteps == 0 {
		return nil, nil
	}
	var coarse []schedules.Grid
	for _, c := range e.runs {
		coarse = append(coarse, c.grid)
	}
	p := &path{grid: union(coarse...)}
	states, err := cell(ctx, r, fmt.Sprintf("fine-%03d", i), int64(e.solver.NFE(m.fine))*int64(m.Rows), func(ctx context.Context) (*[][]float64, error) {
		r.progress.setStage(e.name + ", fine run")
		problem, err := m.problem(r.counted(m.model), m.fine, noise)
		if err != nil {
			return nil, err
		}
		problem.Noise = oneWay{problem.Noise}
		st, err := e.solver.Start(problem, start)
		if err != nil {
			return nil, err
		}
		x := make([][]float64, len(p.grid))
		x[0] = start
		for s, err := range solvers.Steps(ctx, st) {
			if errors.Is(err, errChurn) {
				return new([][]float64), nil
			}
			if err != nil {
				return nil, err
			}
			if k := find(p.grid, s.To); k >= 0 {
				x[k] = append([]float64(nil), s.X...)
			}
		}
		return &x, nil
	})
	if err != nil {
		return nil, err
	}
	if p.X = *states; p.X == nil {
		return nil, nil
	}
	return p, nil
}

// errChurn ends a fine run whose solver adds noise going up.
var errChurn = errors.New("churn")

// oneWay refuses requests toward more noise: churn draws numbers of its own at
// every step, so that a finer run does not see the same noise.
type oneWay struct{ solvers.Noise }

func (n oneWay) Normal(req solvers.NoiseRequest) error {
	if req.To.LogSNR() < req.From.LogSNR() {
		return errChurn
	}
	return n.Noise.Normal(req)
}
