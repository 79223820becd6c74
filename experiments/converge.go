package experiments

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"snrlab/metrics"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Converge measures the order of convergence of solvers: the error of their
// ends at growing numbers of steps on one family of grids. Deterministic solvers
// are held against the exact ends; stochastic ones, which have no exact
// trajectory, against their own run of FineSteps steps on the same Brownian
// path, which measures their strong order.
type Converge struct {
	Model    string   `toml:"model" json:"model"`       // see [Models]
	Class    int      `toml:"class" json:"class"`       // −1, or the class to condition a labelled model on
	Schedule string   `toml:"schedule" json:"schedule"` // by name, see package schedules
	Spacing  string   `toml:"spacing" json:"spacing"`
	Solvers  []string `toml:"solvers" json:"solvers"` // by name; none means all registered, multistep ones with both starts
	Steps    []int    `toml:"steps" json:"steps"`     // rising
	Rows     int      `toml:"rows" json:"rows"`       // samples
	Key      int64    `toml:"key" json:"key"`         // seed of the starts
	Start    string   `toml:"start" json:"start"`     // "prior": x = σz; "exact": x from the exact marginal of the first level
	RTol     float64  `toml:"rtol" json:"rtol"`       // of the reference, on models whose ends have no closed form

	FineSteps int `toml:"fine_steps" json:"fine_steps"` // of stochastic solvers' fine runs, well above Steps; 0 skips these solvers
}

// DefaultConverge returns a Converge that needs no other field.
func DefaultConverge() Converge {
	return Converge{
		Model:    "gm2d",
		Class:    -1,
		Schedule: "edm",
		Spacing:  "karras",
		Steps:    []int{20, 40, 80, 160, 320, 640},
		Rows:     64,
		Key:      1,
		Start:    "prior",
		RTol:     1e-12,

		FineSteps: 10240,
	}
}

// Validate reports fields that cannot be used.
func (c Converge) Validate() error {
	err := cmp.Or(
		required("model", c.Model),
		required("schedule", c.Schedule),
		required("spacing", c.Spacing),
		distinct("steps", c.Steps),
		oneOf("start", c.Start, "prior", "exact"),
		inside("class", c.Class, -1, 1<<20),
		inside("rows", c.Rows, 1, 1<<20),
		inside("key", c.Key, 0, math.MaxInt64),
		tolerance("rtol", c.RTol),
	)
	if err != nil {
		return err
	}
	if last := slices.Max(c.Steps); c.FineSteps != 0 && c.FineSteps < 4*last {
		return fmt.Errorf("field fine_steps is %d: expected 0, or at least four times the most steps (%d), so that the fine run's own error does not show", c.FineSteps, 4*last)
	}
	if len(c.Solvers) > 0 {
		if err := distinct("solvers", c.Solvers); err != nil {
			return err
		}
	}
	for i, n := range c.Steps {
		if err := inside("steps", n, 1, 1<<20); err != nil {
			return err
		}
		if i > 0 && n < c.Steps[i-1] {
			return fmt.Errorf("field steps holds %d after %d: expected rising numbers", n, c.Steps[i-1])
		}
	}
	return nil
}

// ConvergeTable is what Converge measured.
type ConvergeTable struct {
	Converge             // as resolved
	Levels   [2]float64  `json:"levels"`    // σ/α of the first level and of the last
	Reach    float64     `json:"reach"`     // error that the exact ends, or rounding, may have; orders are read at errors above it
	RefEvals float64     `json:"ref_evals"` // evaluations of the reference, mean over rows; 0 where the ends have a closed form
	Lines    []OrderLine `json:"lines"`
}

// OrderLine is one solver's line of the table.
type OrderLine struct {
	Solver   string    `json:"solver"`
	Promised float64   `json:"promised"` // its Properties' order
	Errors   []float64 `json:"errors"`   // RMSE over rows, or the geometric mean if Strong; one a number of steps
	Evals    []int     `json:"evals"`    // per sample, as counted, one a number of steps
	Strong   bool      `json:"strong"`   // against the solver's own fine run on one Brownian path
	Order    *float64  `json:"order"`    // over the last doubling above Reach; nil where there is none
	From     int       `json:"from"`     // steps of that doubling
	To       int       `json:"to"`
	Skipped  string    `json:"skipped,omitempty"` // why nothing was measured
}

// error is the RMSE over rows or, of a strong line, their geometric mean: noise
// sends a few rows to another mode at some step counts, and these would be all
// that a mean square sees.
func (l OrderLine) error(rows []float64) float64 {
	if !l.Strong {
		return metrics.RMSE(rows)
	}
	sum := 0.0
	for _, e := range rows {
		sum += math.Log(e)
	}
	return math.Exp(sum / float64(len(rows)))
}

// Kept reports whether a line holds its promise: measured no less than 0.2
// below it, or 0.5 where Strong, since an order over some tens of rows of noise
// is known to about 0.2. A promise above 1, the most that increments of the noise
// give, may be one of the deterministic sense: a strong line keeps it with 1.
// Lines without an order keep nothing and break nothing: true.
func (l OrderLine) Kept() bool {
	promised := l.Promised
	if l.Strong {
		promised = min(promised, 1)
	}
	return l.Order == nil || *l.Order >= promised-l.slack()
}

func (l OrderLine) slack() float64 {
	if l.Strong {
		return 0.5
	}
	return 0.2
}

// Run measures. What cannot be measured has a line that says why.
func (c Converge) Run(ctx context.Context, o Options) (*ConvergeTable, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("experiments: converge: %w", err)
	}
	t, err := c.measure(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("experiments: converge: %w", err)
	}
	return t, nil
}

func (c Converge) measure(ctx context.Context, o Options) (*ConvergeTable, error) {
	list, err := convergeSolvers(c.Solvers)
	if err != nil {
		return nil, err
	}
	c.Solvers = nil
	for _, s := range list {
		c.Solvers = append(c.Solvers, s.String())
	}
	model, err := openModel(c.Model, o)
	if err != nil {
		return nil, err
	}
	labels, err := model.labelsOf(c.Class, c.Rows)
	if err != nil {
		return nil, err
	}
	family, err := newFamily(c.Schedule, c.Spacing)
	if err != nil {
		return nil, err
	}
	c.Schedule, c.Spacing = family.schedule.String(), family.spacing.String()
	ends, err := c.ends(family)
	if err != nil {
		return nil, err
	}
	dim := models.Dim(model)
	noise, err := c.noiseLevels(family, list)
	if err != nil {
		return nil, err
	}
	if err := c.fits(dim, noise); err != nil {
		return nil, err
	}
	x, err := startStates(model, ends[0], c.Start, labels, solvers.RowKeys(rng.New(uint64(c.Key)), 0, c.Rows))
	if err != nil {
		return nil, err
	}
	total := c.cost(family, list)
	done := int64(0)
	report := func(stage string) {
		if o.Progress != nil {
			o.Progress.Report(stage, done, total)
		}
	}
	report("reference")
	p := solvers.Problem{Denoiser: model, Schedule: family.schedule, Labels: labels, Grid: ends}
	t := &ConvergeTable{Converge: c, Levels: [2]float64{ends[0].Noise(), ends[1].Noise()}}
	exact := metrics.Samples{Dim: dim}
	if exact.X, err = t.exact(ctx, model, p, x); err != nil {
		return nil, err
	}

	var path *solvers.Brownian // of all stochastic solvers
	for _, s := range list {
		l := OrderLine{Solver: s.String(), Promised: s.Properties().Order, Strong: s.Properties().Stochastic, Skipped: c.noOrder(s)}
		if l.Skipped != "" {
			t.Lines = append(t.Lines, l)
			continue
		}
		target := exact
		p.Noise = nil
		if l.Strong {
			if path == nil {
				if path, err = solvers.NewBrownian(solvers.RowKeys(rng.New(uint64(c.Key)), 0, c.Rows), dim, noise); err != nil {
					return nil, err
				}
			}
			p.Noise = path
			if p.Grid, err = family.grid(c.FineSteps); err != nil {
				return nil, err
			}
			end, evals, err := c.end(ctx, s, p, x)
			if err != nil {
				return nil, err
			}
			target.X = end
			done += int64(evals) * int64(c.Rows)
			report(l.Solver)
		}
		for _, n := range c.Steps {
			if p.Grid, err = family.grid(n); err != nil {
				return nil, err
			}
			end, evals, err := c.end(ctx, s, p, x)
			if err != nil {
				return nil, err
			}
			e, err := metrics.RowErrors(metrics.Samples{X: end, Dim: dim}, target)
			if err != nil {
				return nil, err
			}
			l.Errors, l.Evals = append(l.Errors, l.error(e)), append(l.Evals, evals)
			done += int64(evals) * int64(c.Rows)
			report(l.Solver)
		}
		if fit := metrics.Order(c.Steps, l.Errors, t.Reach); fit.To > 0 {
			l.Order, l.From, l.To = &fit.Order, fit.From, fit.To
		}
		t.Lines = append(t.Lines, l)
	}
	return t, nil
}

// exact returns the exact ends, and writes what they may be off by and cost.
func (t *ConvergeTable) exact(ctx context.Context, model *Model, p solvers.Problem, x []float64) ([]float64, error) {
	if g, ok := model.Exact.(*models.Gaussian); ok {
		end := make([]float64, len(x))
		err := g.Flow(end, x, p.Grid[0], p.Grid[1])
		t.Reach = t.rounding(end)
		return end, err
	}
	tr, err := solvers.Reference{RTol: t.RTol}.Solve(ctx, p, x)
	if err != nil {
		return nil, err
	}
	for _, cost := range tr.Cost {
		t.RefEvals += float64(cost.Evals) / float64(t.Rows)
	}
	t.Reach = t.reach(tr.X[1])
	return tr.X[1], nil
}

// end runs one solver and returns a copy of its end and its evaluations.
func (c Converge) end(ctx context.Context, s solvers.Solver, p solvers.Problem, x []float64) ([]float64, int, error) {
	st, err := s.Start(p, x)
	if err != nil {
		return nil, 0, err
	}
	var last solvers.Step
	for step, err := range solvers.Steps(ctx, st) {
		if err != nil {
			return nil, 0, err
		}
		last = step
	}
	return slices.Clone(last.X), last.Evals, nil
}

// noiseLevels are the levels that stochastic solvers ask for noise at on all
// grids; none if no solver does.
func (c Converge) noiseLevels(f *family, list []solvers.Solver) (schedules.Grid, error) {
	var grids []schedules.Grid
	for _, s := range list {
		if !s.Properties().Stochastic || c.noOrder(s) != "" {
			continue
		}
		for _, n := range append(slices.Clone(c.Steps), c.FineSteps) {
			g, err := f.grid(n)
			if err != nil {
				return nil, err
			}
			grids = append(grids, solvers.NoiseLevels(s, g, f.schedule))
		}
	}
	return union(grids...), nil
}

// fits refuses Brownian paths that take too much memory.
func (c Converge) fits(dim int, at schedules.Grid) error {
	const most = 1 << 30
	size := 8 * float64(c.Rows) * float64(len(at)) * float64(dim)
	if size > most {
		return fmt.Errorf("field fine_steps: Brownian paths at %d levels for %d rows of %d values take %.1f GB: expected at most %d GB; lower fine_steps or rows, or skip stochastic solvers with fine_steps = 0", len(at), c.Rows, dim, size/(1<<30), most>>30)
	}
	return nil
}

// ends returns the first and the last level, which must be those of every grid.
func (c Converge) ends(f *family) (schedules.Grid, error) {
	var ends schedules.Grid
	for _, n := range c.Steps {
		g, err := f.grid(n)
		if err != nil {
			return nil, err
		}
		first, last := g[0], g[len(g)-1]
		switch {
		case ends == nil:
			ends = schedules.Grid{first, last}
		case !same(first, ends[0]) || !same(last, ends[1]):
			return nil, fmt.Errorf("field spacing: %s starts or ends elsewhere at %d steps than at %d, so that errors are not of one problem: choose a spacing whose ends are fixed", c.Spacing, n, c.Steps[0])
		}
	}
	return ends, nil
}

// reach is the error that the reference itself may have: it gathers some tens
// of steps, each to the tolerance, magnified where trajectories part.
func (c Converge) reach(end []float64) float64 { return 100 * c.RTol * c.size(end) }

// rounding is what is left where the ends have a closed form: that of every step
// of the longest run, all in one direction.
func (c Converge) rounding(end []float64) float64 {
	return float64(slices.Max(c.Steps)) * 0x1p-52 * c.size(end)
}

// size is the length of a row of the ends, at least 1.
func (c Converge) size(end []float64) float64 {
	return max(1, metrics.RMSE(end)*math.Sqrt(float64(len(end)/c.Rows)))
}

func (c Converge) cost(f *family, list []solvers.Solver) (total int64) {
	for _, s := range list {
		if c.noOrder(s) != "" {
			continue
		}
		steps := c.Steps
		if s.Properties().Stochastic {
			steps = append(slices.Clone(steps), c.FineSteps)
		}
		for _, n := range steps {
			if g, err := f.grid(n); err == nil {
				total += int64(s.NFE(g)) * int64(c.Rows)
			}
		}
	}
	return total
}

// noOrder says why a solver's order cannot be measured, or nothing.
func (c Converge) noOrder(s solvers.Solver) string {
	p := s.Properties()
	switch {
	case p.Adaptive:
		return "adaptive: chooses its own levels"
	case p.Stochastic && c.FineSteps == 0:
		return "stochastic, and fine_steps = 0"
	case p.OwnNoise:
		return "draws noise of its own at every step (churn, Langevin steps), so that runs of different step counts share no path"
	}
	return ""
}

// convergeSolvers parses names; none means every registered solver.
func convergeSolvers(names []string) ([]solvers.Solver, error) {
	if names == nil {
		return registered(), nil
	}
	var list []solvers.Solver
	for _, name := range names {
		s, err := solvers.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("field solvers: %w", err)
		}
		list = append(list, s)
	}
	return list, nil
}

// Text writes the table for people: what was held fixed, then one line a solver.
func (t *ConvergeTable) Text(w io.Writer) error {
	var b table
	b.line("Order of convergence on %s: error of the end (RMSE over %d samples) against the exact one.", t.Model, t.Rows)
	b.line("Held fixed: %s, %s, from σ/α = %.4g to %.4g; starts %s of key %d; every solver from the same noise.", t.Schedule, t.Spacing, t.Levels[0], t.Levels[1], t.Start, t.Key)
	ends := "in closed form"
	if t.RefEvals > 0 {
		ends = fmt.Sprintf("by an order-8 integration to %.0e, %.0f evaluations a sample", t.RTol, t.RefEvals)
	}
	b.line("Exact ends %s. Orders are slopes over the last doubling", ends)
	b.line("with errors above %.0e. Multistep solvers open with steps of lower order, or, with start=rk, with Runge–Kutta steps of their own.", t.Reach)
	b.line("")
	head := []string{"solver", "promised", "measured", "doubling", fmt.Sprintf("evals(%d)", t.Steps[len(t.Steps)-1])}
	for _, n := range t.Steps {
		head = append(head, fmt.Sprintf("n=%d", n))
	}
	b.row(head...)
	var notes []string
	var above []string
	strong := false
	for _, l := range t.Lines {
		if l.Skipped != "" {
			notes = append(notes, fmt.Sprintf("%s: not measured; %s.", l.Solver, l.Skipped))
			continue
		}
		name := l.Solver
		if l.Strong {
			name += " *"
			strong = true
		}
		order, doubling := "–", "–"
		if l.Order != nil {
			order, doubling = fmt.Sprintf("%.2f", *l.Order), fmt.Sprintf("%d→%d", l.From, l.To)
			switch {
			case !l.Kept():
				order += " !"
				notes = append(notes, fmt.Sprintf("%s: measured more than %g below its promise (!).", l.Solver, l.slack()))
			case !l.Strong && *l.Order > l.Promised+0.3:
				order += " +"
				above = append(above, l.Solver)
			}
		}
		cells := []string{name, fmt.Sprintf("%g", l.Promised), order, doubling, fmt.Sprint(l.Evals[len(l.Evals)-1])}
		for _, e := range l.Errors {
			cells = append(cells, fmt.Sprintf("%.2e", e))
		}
		b.row(cells...)
	}
	if strong {
		notes = append(notes, fmt.Sprintf("* stochastic: geometric mean of strong errors, against the solver's own run of %d steps on the same Brownian path.", t.FineSteps))
	}
	if len(above) > 0 {
		notes = append(notes, fmt.Sprintf("%s: above the promise (+), because the part of the error that has the promised order, from cheap first steps\nsay, is still too small to see: trajectories are nearly straight where noise is strong.", strings.Join(above, ", ")))
	}
	if len(notes) > 0 {
		b.line("\n%s", strings.Join(notes, "\n"))
	}
	return b.flush(w)
}
