package experiments

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync/atomic"

	"snrlab/internal/par"
	"snrlab/internal/runfile"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// ranked is what one contender on one problem leaves in its cell.
type ranked struct {
	Rows     []runfile.RankRow
	Spacings []runfile.SpacingRow
	Notes    []string
}

// run is the driver: for each problem the exact ends, then one cell a solver.
func (r *ranking) run(ctx context.Context, run *run) ([]string, error) {
	var rows []runfile.RankRow
	var spacings []runfile.SpacingRow
	for i, p := range r.problems {
		if err := r.truth(ctx, run, i, p); err != nil {
			return nil, err
		}
		law, err := r.laws(ctx, run, i, p)
		if err != nil {
			return nil, err
		}
		first := len(rows)
		for k, e := range p.entries {
			out, err := cell(ctx, run, fmt.Sprintf("rank-%02d-%03d", i, k), e.cost(p), func(ctx context.Context) (*ranked, error) {
				run.progress.setStage(p.model.Name + ": " + e.name)
				return r.measure(ctx, run, p, e, law)
			})
			if err != nil {
				return nil, err
			}
			rows, spacings = append(rows, out.Rows...), append(spacings, out.Spacings...)
			run.plan.Notes = append(run.plan.Notes, out.Notes...)
		}
		if law != nil {
			if err := r.baselines(ctx, run, i, p, rows[first:], law); err != nil {
				return nil, err
			}
		}
	}
	if err := runfile.WriteRanking(run.store.path(runfile.RankingCSV), rows); err != nil {
		return nil, err
	}
	if err := runfile.WriteSpacings(run.store.path(runfile.SpacingsCSV), spacings); err != nil {
		return nil, err
	}
	return []string{runfile.RankingCSV, runfile.SpacingsCSV}, ctx.Err()
}

// truth draws the starts of a problem and finds their exact ends, which are kept
// in a cell.
func (r *ranking) truth(ctx context.Context, run *run, i int, p *rankProblem) error {
	for _, b := range []*batch{&p.reported, &p.tuning} {
		var err error
		if b.x, err = startStates(p.model, r.ends[0], r.Start, nil, b.keys); err != nil {
			return err
		}
	}
	n := int64(len(p.reported.keys) + len(p.tuning.keys))
	exact, err := cell(ctx, run, fmt.Sprintf("truth-%02d", i), n*evalsOfReference, func(ctx context.Context) (*[2][]float64, error) {
		run.progress.setStage(p.model.Name + ": reference")
		var ends [2][]float64
		for k, b := range []batch{p.reported, p.tuning} {
			t, err := solvers.Reference{RTol: r.Reference.RTol}.Solve(ctx, solvers.Problem{Denoiser: run.counted(p.model), Grid: r.ends}, b.x)
			if err != nil {
				return nil, err
			}
			ends[k] = t.X[1]
		}
		return &ends, nil
	})
	if err != nil {
		return err
	}
	p.reported.exact, p.tuning.exact = exact[0], exact[1]
	return nil
}

// measure chooses the spacing of a contender at each of its settings on the
// tuning samples and measures the chosen one on the reported ones.
func (r *ranking) measure(ctx context.Context, run *run, p *rankProblem, e *contender, law *rankLaws) (*ranked, error) {
	out := &ranked{}
	if e.props.Adaptive {
		var note string
		var err error
		if e, note, err = r.affordable(ctx, run, p, e); err != nil {
			return nil, err
		}
		if note != "" {
			out.Notes = append(out.Notes, note)
		}
	}
	scores := e.unscored()
	refused := map[string]bool{}
	if p.screen > 0 {
		if err := r.try(ctx, run, p, e, p.tuning.first(p.screen), law, scores, refused); err != nil {
			return nil, err
		}
		for _, list := range scores {
			best := math.Inf(1)
			for _, v := range list {
				if v < best { // not NaN
					best = v
				}
			}
			for k, v := range list {
				if v <= screened*best {
					list[k] = 0 // to be tried on all
				}
			}
		}
	}
	if err := r.try(ctx, run, p, e, &p.tuning, law, scores, refused); err != nil {
		return nil, err
	}
	for _, why := range slices.Sorted(maps.Keys(refused))[:min(1, len(refused))] {
		out.Notes = append(out.Notes, fmt.Sprintf("%s on %s refuses some settings: %s.", e.name, p.model.Name, why))
	}
	out.Rows = make([]runfile.RankRow, 0, len(e.settings))
	var chosen []choice
	var from []setting
	if !e.props.Adaptive {
		out.Spacings = e.tried(p, scores)
	}
	for i, s := range e.settings {
		best := -1
		for k, v := range scores[i] {
			if v == v && (best < 0 || v < scores[i][best]) {
				best = k
			}
		}
		if best < 0 {
			continue
		}
		name, spacing := e.name, s.choices[best].family.name
		if e.props.Adaptive {
			name = s.solver.String()
		}
		if e.props.Adaptive && !e.props.Parallel {
			spacing = "its own"
		}
		row := emptyRow()
		row.Model, row.Solver, row.Stochastic, row.Adaptive = p.model.Name, name, e.props.Stochastic, e.props.Adaptive
		row.Budget, row.Spacing, row.Tuning = s.budget, spacing, scores[i][best]
		out.Rows, chosen, from = append(out.Rows, row), append(chosen, s.choices[best]), append(from, s)
	}
	err := inParallel(ctx, len(chosen), func(i int) error {
		i = len(chosen) - 1 - i
		end, err := r.end(ctx, run, p, &p.reported, from[i].solver, chosen[i])
		if err != nil {
			return err
		}
		row := &out.Rows[i]
		row.Steps, row.NFE, row.Sequence = end.steps, end.nfe, end.sequence
		if e.props.Stochastic {
			return law.reported.measure(row, end.x)
		}
		return r.errors(row, &p.reported, p.dim, end)
	})
	return out, err
}

// unscored are the scores of all choices, to be tried.
func (e *contender) unscored() [][]float64 {
	scores := make([][]float64, len(e.settings))
	for i, s := range e.settings {
		scores[i] = make([]float64, len(s.choices))
	}
	return scores
}

// tried are the scores as rows.
func (e *contender) tried(p *rankProblem, scores [][]float64) []runfile.SpacingRow {
	var rows []runfile.SpacingRow
	for i, s := range e.settings {
		for k, v := range scores[i] {
			rows = append(rows, runfile.SpacingRow{Model: p.model.Name, Solver: e.name, Budget: s.budget, Spacing: s.choices[k].family.name, Error: v})
		}
	}
	return rows
}

// An adaptive solver that takes more than costly times the greatest budget on the
// first starts is not run at finer tolerances.
const (
	costly     = 10
	costlyRows = 4
)

// affordable is an adaptive solver without the tolerances at which it takes too
// long to be of use beside the others, and a word about them.
func (r *ranking) affordable(ctx context.Context, run *run, p *rankProblem, e *contender) (*contender, string, error) {
	limit := float64(costly * r.Budgets[len(r.Budgets)-1])
	for i, s := range e.settings {
		end, err := r.end(ctx, run, p, p.tuning.first(min(costlyRows, len(p.tuning.keys))), s.solver, s.choices[0])
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		if err != nil || end.nfe <= limit {
			continue // what it refuses is said where it is tried
		}
		kept := *e
		kept.settings = e.settings[:i]
		return &kept, fmt.Sprintf("%s on %s takes more than %g evaluations at tolerances of %g and below, which are left out.", e.name, p.model.Name, limit, r.Tolerances[i]), nil
	}
	return e, "", nil
}

// screened is how much worse than the best a candidate may be on the screening
// samples and still be tried on all.
const screened = 2

// try scores the choices whose score is 0 on a batch of the tuning samples: NaN
// for what the method refuses, whose reason goes into refused.
func (r *ranking) try(ctx context.Context, run *run, p *rankProblem, e *contender, b *batch, law *rankLaws, scores [][]float64, refused map[string]bool) error {
	type trial struct{ setting, choice int }
	var trials []trial
	for i, s := range slices.Backward(e.settings) { // dear ones first
		for k := range s.choices {
			if scores[i][k] == 0 {
				trials = append(trials, trial{i, k})
			}
		}
	}
	why := make([]error, len(trials))
	err := inParallel(ctx, len(trials), func(i int) error {
		t := trials[i]
		s := e.settings[t.setting]
		score := &scores[t.setting][t.choice]
		end, err := r.end(ctx, run, p, b, s.solver, s.choices[t.choice])
		switch {
		case err != nil:
			*score, why[i] = math.NaN(), err
			return ctx.Err()
		case e.props.Stochastic:
			*score, err = law.tuning.distance(end.x)
		default:
			*score, err = end.rmse(b, p.dim)
		}
		return err
	})
	for _, err := range why {
		if err != nil {
			refused[err.Error()] = true
		}
	}
	return err
}

func emptyRow() runfile.RankRow {
	nan := math.NaN()
	return runfile.RankRow{
		RMSE: nan, RMSELo: nan, RMSEHi: nan, Median: nan, P99: nan, Worst: nan,
		MeanErr: nan, MeanFloor: nan, CovErr: nan, CovFloor: nan, SW2: nan, SW2Floor: nan,
	}
}

// inParallel does n pieces of work on all processors, in the order of their number,
// and returns the error of the first that fails.
func inParallel(ctx context.Context, n int, work func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	par.Rows(min(n, runtime.GOMAXPROCS(0)), 1, func(lo, hi int) {
		for range hi - lo {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if errs[i] = ctx.Err(); errs[i] == nil {
					errs[i] = work(i)
				}
			}
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// rankEnd is where one solver took a batch.
type rankEnd struct {
	x     []float64 // rows×dim; nil if a value overflowed on the way
	steps int
	// Evaluations per sample, the mean over rows: in all, and in sequence.
	nfe, sequence float64
}

// end runs one solver over one grid. A run that overflows has no end; what a
// method refuses is an error.
func (r *ranking) end(ctx context.Context, run *run, p *rankProblem, b *batch, s solvers.Solver, c choice) (rankEnd, error) {
	counter := models.NewCounter(run.counted(p.model))
	problem := solvers.Problem{Denoiser: counter, Grid: c.grid, Schedule: c.family.schedule}
	if s.Properties().Stochastic {
		noise, err := solvers.NoiseFor(s, b.keys, models.Dim(p.model))
		if err != nil {
			return rankEnd{}, err
		}
		problem.Noise = noise
	}
	st, err := s.Start(problem, b.x)
	if err != nil {
		return rankEnd{}, err
	}
	var end rankEnd
	sweeps := 0
	for step, err := range solvers.Steps(ctx, st) {
		var overflow *solvers.NonFiniteError
		if errors.As(err, &overflow) {
			end.x, end.nfe, end.sequence, end.steps = nil, float64(c.nfe), float64(c.nfe), c.grid.Steps()
			return end, nil
		}
		if err != nil {
			return rankEnd{}, err
		}
		end.x = step.X
		end.steps++
		sweeps += len(step.Rows)
	}
	end.x = slices.Clone(end.x)
	end.nfe = float64(counter.Rows()) / float64(len(b.keys))
	if c.nfe > 0 {
		// A row that is asked for once for the whole batch, the mean of the data, is
		// less than one evaluation a sample, and not counted.
		if math.Floor(end.nfe) != float64(c.nfe) {
			return rankEnd{}, fmt.Errorf("experiments: %s promised %d evaluations and made %g", s, c.nfe, end.nfe)
		}
		end.nfe = float64(c.nfe)
	}
	if end.sequence = end.nfe; s.Properties().Parallel {
		end.sequence = float64(sweeps) / float64(len(b.keys))
	}
	return end, nil
}

// errors are the distances of the rows from their exact ends, +Inf for a run
// that overflowed.
func (e rankEnd) errors(b *batch, dim int) ([]float64, error) {
	if e.x == nil {
		return slices.Repeat([]float64{math.Inf(1)}, len(b.keys)), nil
	}
	return metrics.RowErrors(metrics.Samples{X: e.x, Dim: dim}, metrics.Samples{X: b.exact, Dim: dim})
}

func (e rankEnd) rmse(b *batch, dim int) (float64, error) {
	list, err := e.errors(b, dim)
	return metrics.RMSE(list), err
}

// errors fills in the columns of a deterministic solver.
func (r *ranking) errors(row *runfile.RankRow, b *batch, dim int, end rankEnd) error {
	list, err := end.errors(b, dim)
	if err != nil {
		return err
	}
	row.RMSE, row.Median = metrics.RMSE(list), metrics.Quantile(list, 0.5)
	row.P99, row.Worst = metrics.Quantile(list, 0.99), slices.Max(list)
	if end.x == nil {
		return nil
	}
	in, err := metrics.Bootstrap(list, metrics.RMSE, r.root, r.Resamples, 0.95)
	row.RMSELo, row.RMSEHi = in.Lo, in.Hi
	return err
}

// baselines measures the law of the best deterministic solver of each budget
// too: what noise has to beat.
func (r *ranking) baselines(ctx context.Context, run *run, i int, p *rankProblem, rows []runfile.RankRow, law *rankLaws) error {
	best := map[int]int{}
	for k, row := range rows {
		if b, ok := best[row.Budget]; !row.Stochastic && !row.Adaptive && (!ok || row.RMSE < rows[b].RMSE) {
			best[row.Budget] = k
		}
	}
	planned := int64(0)
	for _, k := range best {
		planned += int64(rows[k].NFE) * int64(len(p.reported.keys))
	}
	measured, err := cell(ctx, run, fmt.Sprintf("baseline-%02d", i), planned, func(ctx context.Context) (*[]runfile.RankRow, error) {
		run.progress.setStage(p.model.Name + ": law of the best deterministic solvers")
		var out []runfile.RankRow
		for _, budget := range r.Budgets {
			k, ok := best[budget]
			if !ok {
				continue
			}
			row := rows[k]
			solver, c, err := p.choiceOf(row)
			if err != nil {
				return nil, err
			}
			end, err := r.end(ctx, run, p, &p.reported, solver, c)
			if err != nil {
				return nil, err
			}
			if err := law.reported.measure(&row, end.x); err != nil {
				return nil, err
			}
			out = append(out, row)
		}
		return &out, nil
	})
	if err != nil {
		return err
	}
	for _, row := range *measured {
		rows[best[row.Budget]] = row
	}
	return nil
}

// choiceOf finds the solver and the grid of a row again.
func (p *rankProblem) choiceOf(row runfile.RankRow) (solvers.Solver, choice, error) {
	e := slices.IndexFunc(p.entries, func(e *contender) bool { return e.name == row.Solver })
	f := slices.IndexFunc(p.families, func(f *family) bool { return f.name == row.Spacing })
	if e < 0 || f < 0 {
		return nil, choice{}, fmt.Errorf("experiments: %s on %s is nothing that was ranked", row.Solver, row.Spacing)
	}
	g, err := p.families[f].grid(row.Steps)
	return p.entries[e].solver, choice{p.families[f], g, int(row.NFE)}, err
}

// rankLaws are the exact laws that the ends of stochastic solvers are held
// against, on the tuning samples coarsely.
type rankLaws struct{ reported, tuning *rankLaw }

// rankLaw is the exact law at the last level, and what exact samples of the
// batch's size read against it.
type rankLaw struct {
	mean, cov []float64
	dim       int
	target    *metrics.SlicedTarget
	floor     lawErrors
}

// lawErrors are three distances of a sample from a law.
type lawErrors struct{ Mean, Cov, SW2 float64 }

// laws prepares the exact laws, nil if no solver needs them.
func (r *ranking) laws(ctx context.Context, run *run, i int, p *rankProblem) (*rankLaws, error) {
	if !slices.ContainsFunc(p.entries, func(e *contender) bool { return e.props.Stochastic }) {
		return nil, nil
	}
	at := r.ends[1]
	mom, err := p.model.Moments(at, -1)
	if err != nil {
		return nil, err
	}
	cov, err := p.model.Covariance(at, -1)
	if err != nil {
		return nil, err
	}
	newLaw := func(purpose string, n, directions int) (*rankLaw, error) {
		exact, err := exactSamples(p.model, at, nil, r.root, purpose, n)
		if err != nil {
			return nil, err
		}
		l := &rankLaw{mean: mom.Mean, cov: cov, dim: p.dim}
		l.target, err = metrics.Sliced{Directions: directions, Key: r.root.Split("directions", 0)}.Target(exact)
		return l, err
	}
	l := &rankLaws{}
	if l.reported, err = newLaw("exact", len(p.reported.keys), r.Law.Directions); err != nil {
		return nil, err
	}
	if l.tuning, err = newLaw("exact tuning", len(p.tuning.keys), max(1, r.Law.Directions/4)); err != nil {
		return nil, err
	}
	floor, err := cell(ctx, run, fmt.Sprintf("floor-%02d", i), 0, func(ctx context.Context) (*lawErrors, error) {
		run.progress.setStage(p.model.Name + ": sampling floor")
		return r.floor(ctx, p, at, l.reported)
	})
	if err != nil {
		return nil, err
	}
	l.reported.floor = *floor
	return l, nil
}

// floor is the mean and two deviations, at least the largest, of the distances
// that exact sets read.
func (r *ranking) floor(ctx context.Context, p *rankProblem, at schedules.Level, law *rankLaw) (*lawErrors, error) {
	sets := make([]lawErrors, r.Law.Floors)
	err := inParallel(ctx, len(sets), func(i int) error {
		x, err := exactSamples(p.model, at, nil, r.root.Split("floor", uint64(i)), "exact", len(p.reported.keys))
		if err != nil {
			return err
		}
		sets[i], err = law.of(x.X)
		return err
	})
	if err != nil {
		return nil, err
	}
	threshold := func(get func(lawErrors) float64) float64 {
		var v []float64
		for _, s := range sets {
			v = append(v, get(s))
		}
		mean, ss := metrics.Mean(v), 0.0
		for _, a := range v {
			ss += (a - mean) * (a - mean)
		}
		return max(mean+2*math.Sqrt(ss/float64(len(v)-1)), slices.Max(v))
	}
	return &lawErrors{
		Mean: threshold(func(e lawErrors) float64 { return e.Mean }),
		Cov:  threshold(func(e lawErrors) float64 { return e.Cov }),
		SW2:  threshold(func(e lawErrors) float64 { return e.SW2 }),
	}, nil
}

// distance is the sliced W2 distance of a batch's ends from the exact law.
func (l *rankLaw) distance(x []float64) (float64, error) {
	if x == nil {
		return math.Inf(1), nil
	}
	d, err := l.target.Distance(metrics.Samples{X: x, Dim: l.dim})
	return d.W2, err
}

// of measures all three distances.
func (l *rankLaw) of(x []float64) (e lawErrors, err error) {
	if x == nil {
		return lawErrors{math.Inf(1), math.Inf(1), math.Inf(1)}, nil
	}
	e.Mean, e.Cov = metrics.MomentErrors(metrics.Samples{X: x, Dim: l.dim}, l.mean, l.cov)
	e.SW2, err = l.distance(x)
	return e, err
}

// measure fills in the columns of the law.
func (l *rankLaw) measure(row *runfile.RankRow, x []float64) error {
	e, err := l.of(x)
	row.MeanErr, row.CovErr, row.SW2 = e.Mean, e.Cov, e.SW2
	row.MeanFloor, row.CovFloor, row.SW2Floor = l.floor.Mean, l.floor.Cov, l.floor.SW2
	return err
}
