package experiments

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"snrlab/internal/runfile"
	"snrlab/viz"
)

// Compare is the recipe of the comparison of solvers, step for step, against
// the exact answer. All solvers start from the same noise, budgets are matched
// by evaluations and not by steps, grids come from one family (one grid for
// each number of steps), and stochastic solvers share one Brownian path.
type Compare struct {
	Header
	Trial
	Model    string   `toml:"model" json:"model"` // see [Models]
	Class    int      `toml:"class" json:"class"` // −1, or the class to condition a labelled model on
	Spacing  string   `toml:"spacing" json:"spacing"`
	Solvers  []string `toml:"solvers" json:"solvers"`   // by name, see package solvers
	Mismatch string   `toml:"mismatch" json:"mismatch"` // budget a solver cannot meet: "below" uses the largest count below it, "refuse" stops
	Rows     int      `toml:"rows" json:"rows"`         // samples

	Local      LocalOptions      `toml:"local" json:"local"`
	Stochastic StochasticOptions `toml:"stochastic" json:"stochastic"`
	Law        LawOptions        `toml:"law" json:"law"`
	Trace      TraceOptions      `toml:"trace" json:"trace"`
}

// LocalOptions is how local errors are measured: one exact step from the
// solver's own state, on the first rows.
type LocalOptions struct {
	Rows int     `toml:"rows" json:"rows"` // 0 measures none
	RTol float64 `toml:"rtol" json:"rtol"`
}

// StochasticOptions is how a stochastic solver is measured: against its own
// fine run on the same Brownian path.
type StochasticOptions struct {
	FineSteps int `toml:"fine_steps" json:"fine_steps"` // steps of the fine run, besides the levels of all others; 0 measures no strong error
}

// LawOptions is how the law of the samples is measured.
type LawOptions struct {
	Directions int `toml:"directions" json:"directions"` // of the sliced Wasserstein distance [bonneel2015]
	Floors     int `toml:"floors" json:"floors"`         // pairs of exact sample sets that the sampling floor is measured on
}

// TraceOptions is what trace.npz keeps.
type TraceOptions struct {
	Rows     int      `toml:"rows" json:"rows"`           // of the samples; 0 keeps no trace
	MaxSteps int      `toml:"max_steps" json:"max_steps"` // runs of more steps are left out
	Solvers  []string `toml:"solvers" json:"solvers"`     // none means all
}

// DefaultCompare returns a Compare with every field that has a default.
func DefaultCompare() Compare {
	return Compare{
		Header:     Header{Kind: "compare", Name: "compare"},
		Trial:      defaultTrial(),
		Class:      -1,
		Mismatch:   "below",
		Rows:       64,
		Local:      LocalOptions{Rows: 4, RTol: 1e-7},
		Stochastic: StochasticOptions{FineSteps: 256},
		Law:        LawOptions{Directions: 200, Floors: 16},
		Trace:      TraceOptions{Rows: 4, MaxSteps: 20},
	}
}

// Validate reports fields that cannot be used.
func (c *Compare) Validate() error {
	return cmp.Or(
		required("model", c.Model),
		c.Trial.check(),
		required("spacing", c.Spacing),
		distinct("solvers", c.Solvers),
		oneOf("mismatch", c.Mismatch, "below", "refuse"),
		inside("class", c.Class, -1, 1<<20),
		inside("rows", c.Rows, 1, 1<<20),
		among("local.rows", c.Local.Rows, c.Rows),
		tolerance("local.rtol", c.Local.RTol),
		inside("stochastic.fine_steps", c.Stochastic.FineSteps, 0, 1<<16),
		inside("law.directions", c.Law.Directions, 1, 1<<16),
		inside("law.floors", c.Law.Floors, 2, 1<<10),
		among("trace.rows", c.Trace.Rows, c.Rows),
		inside("trace.max_steps", c.Trace.MaxSteps, 1, 1<<16),
	)
}

func (c *Compare) resolve() error {
	slices.Sort(c.Budgets)
	return cmp.Or(
		resolveGrid(&c.Schedule, &c.Spacing),
		resolveSolvers("solvers", c.Solvers),
		resolveSolvers("trace.solvers", c.Trace.Solvers),
	)
}

func (c *Compare) plan(p *Plan, o Options) (job, error) {
	m, notes, err := newComparison(c, o)
	if err != nil {
		return nil, err
	}
	p.Notes, p.Parts = notes, m.parts()
	for name, sum := range m.model.Inputs {
		p.Inputs[name] = sum
	}
	return m.run, nil
}

func (c *Compare) drawn(dir string) bool { return isDrawn(dir, runfile.ReportHTML) }

func (c *Compare) draw(dir string) error { return viz.Report(dir) }

func (c *Compare) present(dir string, info *RunInfo) error {
	info.Caption = c.caption()
	if c.drawn(dir) {
		info.Shown = filepath.Join(dir, runfile.ReportHTML)
	}
	var err error
	info.Summary, err = runfile.ReadSummary(filepath.Join(dir, runfile.SummaryCSV))
	return err
}

// caption says what the summary shows and what was held fixed.
func (c *Compare) caption() string {
	return fmt.Sprintf(`Solvers on %s: %d samples from the same noise (key %d, start %s), %s, %s; budgets are evaluations per sample.
RMSE: root mean square over samples of |x − exact|, the Euclidean distance of ends on one probability-flow trajectory.
strong: the same between a stochastic solver's end and that of its own finer run on one Brownian path. z: in standard
errors of an exact sample. ≤: sliced W2 not above the floor, what two exact sets of this size show.`,
		c.Model, c.Rows, c.Key, c.Start, c.Schedule, c.Spacing)
}

func (c *Compare) uses() uses {
	return uses{names: []string{c.Schedule, c.Spacing, c.Model}, solvers: c.Solvers, more: map[string]string{
		"reference": "hairer1993", "sliced Wasserstein distance": "bonneel2015", "bootstrap intervals": "efron1993",
	}}
}
