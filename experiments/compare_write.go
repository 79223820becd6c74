package experiments

import (
	"context"
	"errors"
	"math"
	"slices"

	"snrlab/internal/runfile"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// write makes the files of a comparison from its cells.
func (m *comparison) write(ctx context.Context, r *run, out map[*entry][]*walked, ref *path) ([]string, error) {
	r.progress.setStage("summary")
	law, err := m.newLaw()
	if err != nil {
		return nil, err
	}
	var steps []runfile.StepRow
	var summary []runfile.SummaryRow
	var timings []runfile.TimingRow
	for _, e := range m.entries {
		for b, c := range e.runs {
			w := out[e][b]
			steps = append(steps, w.Steps...)
			row, err := m.summarise(c, w, law)
			if err != nil {
				return nil, err
			}
			if b > 0 {
				row.Order = order(summary[len(summary)-1], row)
			}
			summary = append(summary, row)
			timings = append(timings, runfile.TimingRow{Solver: c.name, Budget: c.budget, Steps: c.steps, SolverS: w.SolverS, DenoiserS: w.DenoiserS})
		}
	}
	if err := runfile.WriteSteps(r.store.path(runfile.StepsCSV), steps); err != nil {
		return nil, err
	}
	if err := runfile.WriteSummary(r.store.path(runfile.SummaryCSV), summary); err != nil {
		return nil, err
	}
	if err := runfile.WriteTimings(r.store.path(runfile.TimingsCSV), timings); err != nil {
		return nil, err
	}
	files := []string{runfile.StepsCSV, runfile.SummaryCSV}
	if m.Trace.Rows > 0 {
		t, err := m.trace(out, ref)
		if err != nil {
			return nil, err
		}
		if err := runfile.WriteTrace(r.store.path(runfile.TraceNPZ), t); err != nil {
			return nil, err
		}
		files = append(files, runfile.TraceNPZ)
	}
	return files, ctx.Err()
}

// summarise makes the summary row of one solver at one budget.
func (m *comparison) summarise(c cellRun, w *walked, law *law) (runfile.SummaryRow, error) {
	nan := math.NaN()
	row := runfile.SummaryRow{
		Solver: c.name, Stochastic: c.props.Stochastic, Budget: c.budget, Steps: c.steps, NFE: c.nfe,
		RMSE: nan, RMSELo: nan, RMSEHi: nan, P95: nan, Strong: nan, Order: nan,
	}
	switch {
	case c.props.Stochastic && w.Errors != nil:
		row.Strong = metrics.RMSE(w.Errors)
	case !c.props.Stochastic:
		row.RMSE, row.P95 = metrics.RMSE(w.Errors), metrics.Quantile(w.Errors, 0.95)
		i, err := metrics.Bootstrap(w.Errors, metrics.RMSE, m.root, 1000, 0.95)
		if err != nil {
			return row, err
		}
		row.RMSELo, row.RMSEHi = i.Lo, i.Hi
	}
	err := law.measure(&row, metrics.Samples{X: w.Final, Dim: m.dim})
	return row, err
}

// order is the slope of log error on log steps between two budgets.
func order(a, b runfile.SummaryRow) float64 {
	ea, eb := a.RMSE, b.RMSE
	if a.Stochastic {
		ea, eb = a.Strong, b.Strong
	}
	if a.Steps == b.Steps || !(ea > 0 && eb > 0) {
		return math.NaN()
	}
	return math.Log(ea/eb) / math.Log(float64(b.Steps)/float64(a.Steps))
}

// traced says whether a solver's states are kept.
func (m *comparison) traced(name string) bool {
	if len(m.Trace.Solvers) == 0 {
		return true
	}
	return slices.ContainsFunc(m.Trace.Solvers, func(s string) bool {
		v, err := solvers.Parse(s)
		return err == nil && v.String() == name
	})
}

// trace collects the states that are kept.
func (m *comparison) trace(out map[*entry][]*walked, ref *path) (*runfile.Trace, error) {
	rows, size := m.Trace.Rows, m.Trace.Rows*m.dim
	t := &runfile.Trace{Shape: m.model.Shape(), Refs: map[int]runfile.TraceRef{}}
	for i := range rows {
		t.Samples = append(t.Samples, i)
	}
	for _, e := range m.entries {
		for b, c := range e.runs {
			w := out[e][b]
			if len(w.TraceX) == 0 {
				continue
			}
			t.Runs = append(t.Runs, runfile.TraceRun{Solver: c.name, Budget: c.budget, Steps: c.steps, X: w.TraceX, D: w.TraceD})
			if _, ok := t.Refs[c.steps]; ok || e.props.Stochastic {
				continue
			}
			var tr runfile.TraceRef
			for k, l := range c.grid {
				x, d, err := ref.at(l)
				if err != nil {
					return nil, err
				}
				tr.X = appendFloat32(tr.X, x[:size])
				if k < c.steps {
					tr.D = appendFloat32(tr.D, d[:size])
				}
			}
			t.Refs[c.steps] = tr
		}
	}
	last := m.entries[0].runs[0].grid
	exact, err := exactSamples(m.model, last[len(last)-1], m.labels, m.root, "shown", min(shownRows, m.Rows))
	if err != nil {
		return nil, err
	}
	t.Exact = appendFloat32(nil, exact.X)
	t.Real = appendFloat32(nil, m.model.Real)
	if m.dim == 2 {
		if t.Density, err = densityGrid(m.model, last[len(last)-1], m.labels); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// shownRows is how many exact samples are kept to be shown.
const shownRows = 64

// densityGrid is the log-density of the data on a grid over four standard
// deviations about its mean. Data without a density (points) have none.
func densityGrid(m *Model, at schedules.Level, labels []int) (*runfile.DensityGrid, error) {
	label := -1
	if labels != nil {
		label = labels[0]
	}
	mom, err := m.Moments(at, label)
	if err != nil {
		return nil, err
	}
	const n = 101
	g := &runfile.DensityGrid{NX: n, NY: n}
	reach := func(i int) (lo, hi float64) {
		w := 4 * math.Sqrt(mom.Var[i])
		return mom.Mean[i] - w, mom.Mean[i] + w
	}
	g.X0, g.X1 = reach(0)
	g.Y0, g.Y1 = reach(1)
	x := make([]float64, 0, 2*n*n)
	for j := range n {
		for i := range n {
			x = append(x, g.X0+float64(i)*(g.X1-g.X0)/(n-1), g.Y0+float64(j)*(g.Y1-g.Y0)/(n-1))
		}
	}
	logp := make([]float64, n*n)
	var all []int
	if labels != nil {
		all = slices.Repeat([]int{label}, n*n)
	}
	err = m.LogDensity(logp, models.Query{X: x, Rows: n * n, At: []schedules.Level{at}, Labels: all})
	if errors.Is(err, models.ErrNoDensity) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	g.LogP = appendFloat32(nil, logp)
	return g, nil
}
