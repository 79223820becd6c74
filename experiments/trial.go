package experiments

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"snrlab/internal/runfile"
)

// Trial is what recipes that hold solvers against the exact answer have in common.
type Trial struct {
	Schedule string `toml:"schedule" json:"schedule"` // by name, see package schedules
	Budgets  []int  `toml:"budgets" json:"budgets"`   // denoiser evaluations per sample
	Key      int64  `toml:"key" json:"key"`           // seed of all randomness
	Start    string `toml:"start" json:"start"`       // "prior": x = σz; "exact": x from the exact marginal of the first level

	Reference ReferenceOptions `toml:"reference" json:"reference"`
}

// ReferenceOptions is how the exact trajectory is computed.
type ReferenceOptions struct {
	RTol float64 `toml:"rtol" json:"rtol"` // error control, relative to the state, row by row
}

func defaultTrial() Trial {
	return Trial{Key: 1, Start: "prior", Reference: ReferenceOptions{RTol: 1e-10}}
}

func (t *Trial) check() error {
	return cmp.Or(
		required("schedule", t.Schedule),
		distinct("budgets", t.Budgets),
		each("budgets", t.Budgets, 1, 1<<16),
		oneOf("start", t.Start, "prior", "exact"),
		inside("key", t.Key, 0, math.MaxInt64),
		tolerance("reference.rtol", t.Reference.RTol),
	)
}

func (t *Trial) seed() uint64 { return uint64(t.Key) }

// Contest is a Trial on several problems, in which something is chosen on starts
// of other keys than those reported.
type Contest struct {
	Trial
	Models    []string `toml:"models" json:"models"`           // the problems, see [Models]
	Rows      []int    `toml:"rows" json:"rows"`               // reported samples: one number for all problems, or one for each
	Tuning    []int    `toml:"tuning_rows" json:"tuning_rows"` // samples that choose, of other keys
	Resamples int      `toml:"resamples" json:"resamples"`     // of the bootstrap intervals
}

func defaultContest() Contest {
	c := Contest{Trial: defaultTrial(), Rows: []int{4096}, Tuning: []int{1024}, Resamples: 200}
	c.Schedule = "edm"
	return c
}

func (c *Contest) check() error {
	return cmp.Or(
		distinct("models", c.Models),
		c.Trial.check(),
		c.perModel("rows", c.Rows, 4),
		c.perModel("tuning_rows", c.Tuning, 4),
		inside("resamples", c.Resamples, 10, 1<<16),
	)
}

// perModel checks a number for all problems, or one for each. A law needs four
// samples.
func (c *Contest) perModel(field string, list []int, least int) error {
	if n := len(list); n != 1 && n != len(c.Models) {
		return fmt.Errorf("field %s holds %d numbers: expected one for all problems, or one for each of %d", field, n, len(c.Models))
	}
	return each(field, list, least, 1<<20)
}

// isDrawn looks for the figures of a run and for what shows them, which is the
// last that is written.
func isDrawn(dir, file string) bool {
	_, figures := os.Stat(filepath.Join(dir, runfile.FiguresDir))
	_, shown := os.Stat(filepath.Join(dir, file))
	return figures == nil && shown == nil
}
