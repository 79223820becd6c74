package experiments

import (
	"cmp"
	"fmt"
	"math"
	"os"
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
	Models     []string  `toml:"models" json:"models"`           // the problems, see [Models]
	Schedule   string    `toml:"schedule" json:"schedule"`       // by name, see package schedules
	Solvers    []string  `toml:"solvers" json:"solvers"`         // by name, which may hold {total}; none means all registered, multistep ones with both starts
	Also       []string  `toml:"also" json:"also"`               // further solvers
	Spacings   []string  `toml:"spacings" json:"spacings"`       // the candidates; {total} in them is the total variance of a problem's data
	Budgets    []int     `toml:"budgets" json:"budgets"`         // denoiser evaluations per sample
	Tolerances []float64 `toml:"tolerances" json:"tolerances"`   // of adaptive solvers, in the place of budgets
	Rows       []int     `toml:"rows" json:"rows"`               // reported samples: one number for all problems, or one for each
	Tuning     []int     `toml:"tuning_rows" json:"tuning_rows"` // samples that choose the spacing, of other keys
	Screen     []int     `toml:"screen_rows" json:"screen_rows"` // the first of these, on which candidates twice as bad as the best drop out; 0 for none
	Key        int64     `toml:"key" json:"key"`                 // seed of all randomness
	Start      string    `toml:"start" json:"start"`             // "prior": x = σz; "exact": x from the exact marginal of the first level
	Resamples  int       `toml:"resamples" json:"resamples"`     // of the bootstrap intervals

	Reference ReferenceOptions `toml:"reference" json:"reference"`
	Law       LawOptions       `toml:"law" json:"law"`
}

// DefaultRank returns a Rank with every field that has a default.
func DefaultRank() Rank {
	return Rank{
		Header:     Header{Kind: "rank", Name: "rank"},
		Schedule:   "edm",
		Spacings:   []string{"karras"},
		Tolerances: []float64{0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4},
		Rows:       []int{4096},
		Tuning:     []int{1024},
		Screen:     []int{0},
		Key:        1,
		Start:      "prior",
		Resamples:  200,
		Reference:  ReferenceOptions{RTol: 1e-10},
		Law:        LawOptions{Directions: 200, Floors: 16},
	}
}

// Validate reports fields that cannot be used.
func (c *Rank) Validate() error {
	return cmp.Or(
		distinct("models", c.Models),
		required("schedule", c.Schedule),
		distinct("spacings", c.Spacings),
		distinct("budgets", c.Budgets),
		each("budgets", c.Budgets, 1, 1<<16),
		tolerances("tolerances", c.Tolerances),
		c.perModel("rows", c.Rows, 4),
		c.perModel("tuning_rows", c.Tuning, 4),
		c.perModel("screen_rows", c.Screen, 0),
		c.screened(),
		inside("key", c.Key, 0, math.MaxInt64),
		oneOf("start", c.Start, "prior", "exact"),
		inside("resamples", c.Resamples, 10, 1<<16),
		tolerance("reference.rtol", c.Reference.RTol),
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

// perModel checks a number for all problems, or one for each. A law needs four
// samples.
func (c *Rank) perModel(field string, list []int, least int) error {
	if n := len(list); n != 1 && n != len(c.Models) {
		return fmt.Errorf("field %s holds %d numbers: expected one for all problems, or one for each of %d", field, n, len(c.Models))
	}
	return each(field, list, least, 1<<20)
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

func (c *Rank) seed() uint64 { return uint64(c.Key) }

func (c *Rank) resolve() error {
	slices.Sort(c.Budgets)
	slices.SortFunc(c.Tolerances, func(a, b float64) int { return cmp.Compare(b, a) }) // coarse ones first
	if err := resolveName("schedule", &c.Schedule, schedules.Parse); err != nil {
		return err
	}
	if err := resolveTotal("spacings", c.Spacings, schedules.ParseSpacing); err != nil {
		return err
	}
	if len(c.Solvers) == 0 {
		for _, v := range registered() {
			c.Solvers = append(c.Solvers, v.String())
		}
	}
	c.Solvers, c.Also = append(c.Solvers, c.Also...), []string{}
	if err := resolveTotal("solvers", c.Solvers, solvers.Parse); err != nil {
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

// drawn looks for the figures and the page, which is the last that draw writes.
func (c *Rank) drawn(dir string) bool {
	_, figures := os.Stat(filepath.Join(dir, runfile.FiguresDir))
	_, page := os.Stat(filepath.Join(dir, runfile.RankingMD))
	return figures == nil && page == nil
}

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
	return uses{names, list, map[string]string{
		"reference": "hairer1993", "sliced Wasserstein distance": "bonneel2015", "bootstrap intervals": "efron1993",
	}}
}
