package experiments

import (
	"cmp"
	"math"
)

// Sample is the recipe that draws samples with one solver.
type Sample struct {
	Header
	Model    string `toml:"model" json:"model"` // see [Models]
	Class    int    `toml:"class" json:"class"` // −1, or the class to condition a labelled model on
	Schedule string `toml:"schedule" json:"schedule"`
	Spacing  string `toml:"spacing" json:"spacing"`
	Solver   string `toml:"solver" json:"solver"`
	Steps    int    `toml:"steps" json:"steps"`
	Rows     int    `toml:"rows" json:"rows"`
	Key      int64  `toml:"key" json:"key"`
	Start    string `toml:"start" json:"start"` // "prior": x = σz; "exact": x from the exact marginal of the first level
}

// DefaultSample returns a Sample that needs no other field.
func DefaultSample() Sample {
	return Sample{
		Header:   Header{Kind: "sample", Name: "sample"},
		Model:    "digits",
		Class:    -1,
		Schedule: "edm",
		Spacing:  "karras(last=zero)",
		Solver:   "dpmpp-2m",
		Steps:    20,
		Rows:     64,
		Key:      1,
		Start:    "prior",
	}
}

// Validate reports fields that cannot be used.
func (s *Sample) Validate() error {
	return cmp.Or(
		required("model", s.Model),
		required("schedule", s.Schedule),
		required("spacing", s.Spacing),
		required("solver", s.Solver),
		oneOf("start", s.Start, "prior", "exact"),
		inside("class", s.Class, -1, 1<<20),
		inside("steps", s.Steps, 1, 1<<16),
		inside("rows", s.Rows, 1, 1<<20),
		inside("key", s.Key, 0, math.MaxInt64),
	)
}

func (s *Sample) seed() uint64 { return uint64(s.Key) }

func (s *Sample) resolve() error { return resolveNames(&s.Schedule, &s.Spacing, &s.Solver) }

func (s *Sample) plan(p *Plan, o Options) (job, error) { return nil, nil }
