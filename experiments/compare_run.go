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
		return solvers.NewBrownian(m.keys, m.dim, m.noise)
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
