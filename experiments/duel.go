package experiments

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"snrlab/internal/runfile"
	"snrlab/metrics"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Duel is the recipe that holds one solver on one spacing, the same everywhere,
// against the best of many rivals: on every problem at every budget the rival and
// the grid of least error on tuning starts. It does so twice, with rivals on the
// usual grids and with rivals that may take tuned ones too. What is reported is
// measured on other starts.
type Duel struct {
	Header
	Contest
	Solver  string   `toml:"solver" json:"solver"` // which may hold {total}, as in [Rank]
	Spacing string   `toml:"spacing" json:"spacing"`
	Rivals  []string `toml:"rivals" json:"rivals"` // deterministic solvers
	Usual   []string `toml:"usual" json:"usual"`   // candidates of the rivals
	Tuned   []string `toml:"tuned" json:"tuned"`   // further ones, in the second league
}

// DefaultDuel returns a Duel with every field that has a default.
func DefaultDuel() Duel {
	return Duel{Header: Header{Kind: "duel", Name: "duel"}, Contest: defaultContest(), Usual: []string{"karras"}}
}

// rank is the ranking of the rivals on all candidates.
func (d *Duel) rank() *Rank {
	r := DefaultRank()
	r.Header, r.Contest = d.Header, d.Contest
	r.Solvers, r.Spacings = d.Rivals, slices.Concat(d.Usual, d.Tuned)
	return &r
}

// Validate reports fields that cannot be used.
func (d *Duel) Validate() error {
	return cmp.Or(
		required("solver", d.Solver),
		required("spacing", d.Spacing),
		distinct("rivals", d.Rivals),
		distinct("usual", d.Usual),
		distinct("tuned", d.Tuned),
		d.rank().Validate(),
	)
}

func (d *Duel) resolve() error {
	slices.Sort(d.Budgets)
	return cmp.Or(
		resolveName("schedule", &d.Schedule, schedules.Parse),
		resolveTotal("solver", &d.Solver, solvers.Parse),
		resolveTotal("spacing", &d.Spacing, schedules.ParseSpacing),
		resolveTotals("rivals", d.Rivals, solvers.Parse),
		resolveTotals("usual", d.Usual, schedules.ParseSpacing),
		resolveTotals("tuned", d.Tuned, schedules.ParseSpacing),
	)
}

// duel is a Duel whose names stand for things.
type duel struct {
	*Duel
	*ranking
	own     []*contender // by problem
	leagues []duelLeague
}

// duelLeague is a set of candidates that rivals choose among.
type duelLeague struct {
	name       string
	candidates int // so many, the first
}

// The leagues of a duel.
const (
	usualLeague = "usual grids"
	tunedLeague = "tuned grids"
)

func (d *Duel) plan(p *Plan, o Options) (job, error) {
	r, notes, err := newRanking(d.rank(), o)
	if err != nil {
		return nil, err
	}
	u := &duel{Duel: d, ranking: r, leagues: []duelLeague{{usualLeague, len(d.Usual)}, {tunedLeague, len(d.Usual) + len(d.Tuned)}}}
	p.Notes, p.Parts = notes, r.parts()
	for _, m := range r.problems {
		for _, e := range m.entries {
			if e.props.Stochastic || e.props.Adaptive {
				return nil, fmt.Errorf("field rivals: %s draws noise or chooses its own levels: expected solvers whose errors can be compared at matched evaluations", e.name)
			}
		}
		e, err := u.champion(m)
		if err != nil {
			return nil, err
		}
		u.own = append(u.own, e)
		maps.Copy(p.Inputs, m.model.Inputs)
	}
	return u.run, nil
}

// champion is the solver of the duel on its spacing.
func (u *duel) champion(p *rankProblem) (*contender, error) {
	total, err := totalOf(p.model, -1)
	if err != nil {
		return nil, err
	}
	e, err := newContender(u.Solver, total)
	if err != nil {
		return nil, err
	}
	if e.props.Stochastic || e.props.Adaptive {
		return nil, fmt.Errorf("field solver: %s draws noise or chooses its own levels: expected one whose errors can be compared at matched evaluations", e.name)
	}
	f, err := u.candidate(u.Spacing, total)
	if err != nil {
		return nil, err
	}
	if note := u.match(&rankProblem{families: []*family{f}}, e); note != "" {
		return nil, fmt.Errorf("field solver: %s", note)
	}
	return e, nil
}

// run is the driver: for each problem the exact ends, the candidates of each rival
// on the tuning starts, and what was chosen on the reported ones.
func (u *duel) run(ctx context.Context, run *run) ([]string, error) {
	var rows []runfile.DuelRow
	var spacings []runfile.SpacingRow
	for i, p := range u.problems {
		if err := u.truth(ctx, run, i, p); err != nil {
			return nil, err
		}
		tried := make([][][]float64, len(p.entries))
		for k, e := range p.entries {
			scores, err := cell(ctx, run, fmt.Sprintf("rival-%02d-%03d", i, k), e.cost(p), func(ctx context.Context) (*[][]float64, error) {
				run.progress.setStage(p.model.Name + ": " + e.name)
				scores := e.unscored()
				return &scores, u.try(ctx, run, p, e, &p.tuning, nil, scores, map[string]bool{})
			})
			if err != nil {
				return nil, err
			}
			tried[k] = *scores
			spacings = append(spacings, e.tried(p, *scores)...)
		}
		out, err := cell(ctx, run, fmt.Sprintf("duel-%02d", i), 0, func(ctx context.Context) (*[]runfile.DuelRow, error) {
			run.progress.setStage(p.model.Name + ": duel")
			rows, err := u.fight(ctx, run, p, u.own[i], tried)
			return &rows, err
		})
		if err != nil {
			return nil, err
		}
		rows = append(rows, *out...)
	}
	if err := runfile.WriteDuel(run.store.path(runfile.DuelCSV), rows); err != nil {
		return nil, err
	}
	if err := runfile.WriteSpacings(run.store.path(runfile.SpacingsCSV), spacings); err != nil {
		return nil, err
	}
	return []string{runfile.DuelCSV, runfile.SpacingsCSV}, ctx.Err()
}

// fight measures the champion, and the best rival of each league, at every budget.
func (u *duel) fight(ctx context.Context, run *run, p *rankProblem, own *contender, tried [][][]float64) ([]runfile.DuelRow, error) {
	var rows []runfile.DuelRow
	for _, s := range own.settings {
		mine, row, err := u.errorsOf(ctx, run, p, own.name, s.solver, s.choices[0])
		if err != nil {
			return nil, err
		}
		row.Budget = s.budget
		rows = append(rows, row)
		for _, l := range u.leagues {
			e, c, tuning := u.rival(p, tried, s.budget, l)
			if e == nil {
				continue
			}
			theirs, row, err := u.errorsOf(ctx, run, p, e.name, e.solver, c)
			if err != nil {
				return nil, err
			}
			row.Budget, row.League, row.Tuning = s.budget, l.name, tuning
			if err := u.compare(&row, mine, theirs); err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// rival is who has the least error on the tuning starts, and its grid.
func (u *duel) rival(p *rankProblem, tried [][][]float64, budget int, l duelLeague) (best *contender, on choice, least float64) {
	least = math.Inf(1)
	for k, e := range p.entries {
		for i, s := range e.settings {
			if s.budget != budget {
				continue
			}
			for j, c := range s.choices {
				if v := tried[k][i][j]; slices.Index(p.families, c.family) < l.candidates && v < least {
					best, on, least = e, c, v
				}
			}
		}
	}
	return best, on, least
}

// errorsOf runs a solver from the reported starts.
func (u *duel) errorsOf(ctx context.Context, run *run, p *rankProblem, name string, s solvers.Solver, c choice) ([]float64, runfile.DuelRow, error) {
	row := runfile.DuelRow{Model: p.model.Name, Solver: name, Spacing: c.family.name}
	end, err := u.end(ctx, run, p, &p.reported, s, c)
	if err != nil {
		return nil, row, err
	}
	list, err := end.errors(&p.reported, p.dim)
	if err != nil {
		return nil, row, err
	}
	row.Steps, row.NFE = end.steps, end.nfe
	row.RMSE, row.Median, row.P99, row.Worst = metrics.RMSE(list), metrics.Quantile(list, 0.5), metrics.Quantile(list, 0.99), slices.Max(list)
	in, err := metrics.Bootstrap(list, metrics.RMSE, u.root, u.ranking.Resamples, 0.95)
	row.RMSELo, row.RMSEHi = in.Lo, in.Hi
	row.Tuning, row.Ratio, row.RatioLo, row.RatioHi, row.MedianRatio = math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()
	return list, row, err
}

// compare fills in how much larger the errors of a rival are than ours, with the
// interval of the ratio over the starts that both had.
func (u *duel) compare(row *runfile.DuelRow, mine, theirs []float64) error {
	starts := make([]float64, len(mine))
	for i := range starts {
		starts[i] = float64(i)
	}
	ratio := func(starts []float64) float64 {
		a, b := 0.0, 0.0
		for _, i := range starts {
			a += mine[int(i)] * mine[int(i)]
			b += theirs[int(i)] * theirs[int(i)]
		}
		return math.Sqrt(b / a)
	}
	in, err := metrics.Bootstrap(starts, ratio, u.root, u.ranking.Resamples, 0.95)
	row.Ratio, row.RatioLo, row.RatioHi = ratio(starts), in.Lo, in.Hi
	row.MedianRatio = row.Median / metrics.Quantile(mine, 0.5)
	return err
}

func (d *Duel) drawn(dir string) bool { return isDrawn(dir, runfile.DuelMD) }

func (d *Duel) draw(dir string) error {
	p, err := readDuel(dir)
	if err != nil {
		return err
	}
	return drawReport(dir, runfile.DuelMD, p)
}

func (d *Duel) present(dir string, info *RunInfo) error {
	if d.drawn(dir) {
		info.Shown = filepath.Join(dir, runfile.DuelMD)
	}
	return nil
}

func (d *Duel) uses() uses {
	r := d.rank()
	r.Solvers, r.Spacings = append([]string{d.Solver}, r.Solvers...), append([]string{d.Spacing}, r.Spacings...)
	u := r.uses()
	delete(u.more, "sliced Wasserstein distance")
	return u
}
