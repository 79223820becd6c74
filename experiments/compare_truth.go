package experiments

import (
	"context"
	"fmt"

	"snrlab/internal/runfile"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// What solvers are held against: the exact trajectory from the common start,
// one exact step from a solver's own state, and a stochastic solver's own fine
// run on the same Brownian path.

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

// fineRun is a stochastic solver's own run over every level that any
// stochastic solver visits and those of FineSteps steps besides; nil if it has
// none.
func (m *comparison) fineRun(ctx context.Context, r *run, e *entry, i int, noise func() (solvers.Noise, error), start []float64) (*path, error) {
	if !m.finely(e) {
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
		st, err := e.solver.Start(problem, start)
		if err != nil {
			return nil, err
		}
		x := make([][]float64, len(p.grid))
		x[0] = start
		for s, err := range solvers.Steps(ctx, st) {
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
	p.X = *states
	return p, nil
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
