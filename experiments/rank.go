package experiments

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"snrlab/internal/runfile"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Rank is the recipe of the ranking of solvers against the exact answer: error
// against evaluations on several exact problems. Each solver gets, at every
// budget on every problem, the spacing of the candidates that serves it best on
// tuning keys; what is reported is measured on others. Deterministic solvers are
// measured by the distance of their ends from the exact ones, stochastic ones by
// the law of their ends.
type Rank struct {
	Header
	Contest
	Solvers    []string  `toml:"solvers" json:"solvers"`         // by name, which may hold {total}; none means all registered, multistep ones with both starts
	Also       []string  `toml:"also" json:"also"`               // further solvers
	Spacings   []string  `toml:"spacings" json:"spacings"`       // the candidates; {total} in them is the total variance of a problem's data
	Tolerances []float64 `toml:"tolerances" json:"tolerances"`   // of adaptive solvers, in the place of budgets
	Screen     []int     `toml:"screen_rows" json:"screen_rows"` // the first of those that choose the spacing, on which candidates twice as bad as the best drop out; 0 for none

	Law LawOptions `toml:"law" json:"law"`
}

// DefaultRank returns a Rank with every field that has a default.
func DefaultRank() Rank {
	return Rank{
		Header:     Header{Kind: "rank", Name: "rank"},
		Contest:    defaultContest(),
		Spacings:   []string{"karras"},
		Tolerances: []float64{0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4},
		Screen:     []int{0},
		Law:        LawOptions{Directions: 200, Floors: 16},
	}
}

// Validate reports fields that cannot be used.
func (c *Rank) Validate() error {
	return cmp.Or(
		c.Contest.check(),
		distinct("spacings", c.Spacings),
		tolerances("tolerances", c.Tolerances),
		c.perModel("screen_rows", c.Screen, 0),
		c.screened(),
		inside("law.directions", c.Law.Directions, 1, 1<<16),
		inside("law.floors", c.Law.Floors, 2, 1<<10),
	)
}

func tolerances(field string, list []float64) error {
	for _, v := range list {
		if !(v > 0 && v < 1) {
			return fmt.Errorf("field %s holds %g: expected values between 0 and 1", field, v)
		}
	}
	return nil
}

// screened checks that what screens is part of what tunes.
func (c *Rank) screened() error {
	for i := range c.Models {
		if n, all := oneOrEach(c.Screen, i), oneOrEach(c.Tuning, i); n > all || n > 0 && n < 4 {
			return fmt.Errorf("field screen_rows is %d where tuning_rows is %d: expected 0, or 4 to the number of tuning samples", n, all)
		}
	}
	return nil
}

func (c *Rank) resolve() error {
	slices.Sort(c.Budgets)
	slices.SortFunc(c.Tolerances, func(a, b float64) int { return cmp.Compare(b, a) }) // coarse ones first
	if err := resolveName("schedule", &c.Schedule, schedules.Parse); err != nil {
		return err
	}
	if err := resolveTotals("spacings", c.Spacings, schedules.ParseSpacing); err != nil {
		return err
	}
	if len(c.Solvers) == 0 {
		for _, v := range registered() {
			c.Solvers = append(c.Solvers, v.String())
		}
	}
	c.Solvers, c.Also = append(c.Solvers, c.Also...), []string{}
	if err := resolveTotals("solvers", c.Solvers, solvers.Parse); err != nil {
		return err
	}
	// A further solver may be registered.
	var once []string
	for _, name := range c.Solvers {
		if !slices.Contains(once, name) {
			once = append(once, name)
		}
	}
	c.Solvers = once
	return nil
}

func (c *Rank) plan(p *Plan, o Options) (job, error) {
	r, notes, err := newRanking(c, o)
	if err != nil {
		return nil, err
	}
	p.Notes, p.Parts = notes, r.parts()
	for _, m := range r.problems {
		for name, sum := range m.model.Inputs {
			p.Inputs[name] = sum
		}
	}
	return r.run, nil
}

func (c *Rank) drawn(dir string) bool { return isDrawn(dir, runfile.RankingMD) }

func (c *Rank) draw(dir string) error {
	p, err := readRanking(dir)
	if err != nil {
		return err
	}
	return drawReport(dir, runfile.RankingMD, p)
}

func (c *Rank) present(dir string, info *RunInfo) error {
	if c.drawn(dir) {
		info.Shown = filepath.Join(dir, runfile.RankingMD)
	}
	j, err := runfile.ReadRun(filepath.Join(dir, runfile.RunJSON))
	info.Notes = j.Notes
	return err
}

func (c *Rank) uses() uses {
	names := append([]string{c.Schedule}, c.Models...)
	list := slices.Clone(c.Solvers)
	if len(list) == 0 {
		for _, v := range registered() {
			list = append(list, v.String())
		}
	}
	names, list = append(names, c.Spacings...), append(list, c.Also...)
	for i := range names {
		names[i] = atTotal(names[i], 1)
	}
	for i := range list {
		list[i] = atTotal(list[i], 1)
	}
	return uses{names: names, solvers: list, more: map[string]string{
		"reference": "hairer1993", "sliced Wasserstein distance": "bonneel2015", "bootstrap intervals": "efron1993",
	}}
}
