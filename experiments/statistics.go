package experiments

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"

	"snrlab/internal/runfile"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Statistics makes the coefficients that dpm-solver-v3 takes out of a model's
// answers, as means over exact samples at levels uniform in λ, and writes them to
// a file: see [solvers.EstimateStatistics].
type Statistics struct {
	Model  string  `json:"model"`  // see [Models]
	SMin   float64 `json:"smin"`   // σ/α of the cleanest level
	SMax   float64 `json:"smax"`   // σ/α of the noisiest level
	Levels int     `json:"levels"` // number of levels
	Rows   int     `json:"rows"`   // samples at each
	Probes int     `json:"probes"` // random signs a sample; 0 takes every dimension in turn
	Key    int64   `json:"key"`    // seed of the samples
	MNIST  string  `json:"-"`      // folder of the four MNIST files; "" finds the module's
}

// DefaultStatistics returns a Statistics that needs no other field.
func DefaultStatistics() Statistics {
	return Statistics{Model: "gm2d", SMin: 0.002, SMax: 80, Levels: 121, Rows: 1024, Key: 1}
}

// Validate reports fields that cannot be used.
func (s Statistics) Validate() error {
	if !(s.SMin > 0 && s.SMin < s.SMax) || math.IsInf(s.SMax, 1) {
		return fmt.Errorf("field smin is %g and smax %g: expected 0 < smin < smax", s.SMin, s.SMax)
	}
	return cmp.Or(
		required("model", s.Model),
		inside("levels", s.Levels, 3, 1<<16),
		inside("rows", s.Rows, 2, 1<<20),
		inside("probes", s.Probes, 0, 1<<16),
		inside("key", s.Key, 0, math.MaxInt64),
	)
}

// StatisticsReport says what was written.
type StatisticsReport struct {
	Statistics
	File      string            `json:"file"`
	Dimension int               `json:"dimension"`
	Solver    string            `json:"solver"` // that uses the file
	Inputs    map[string]string `json:"inputs,omitempty"`
}

// Run makes the statistics and writes them to file.
func (s Statistics) Run(ctx context.Context, file string) (*StatisticsReport, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("experiments: %w", err)
	}
	m, err := OpenModel(s.Model, Options{MNIST: s.MNIST})
	if err != nil {
		return nil, err
	}
	g, err := schedules.UniformLambda{}.Grid(schedules.EDM{SMin: s.SMin, SMax: s.SMax}, s.Levels-1)
	if err != nil {
		return nil, fmt.Errorf("experiments: %w", err)
	}
	e := solvers.StatisticsSample{Probes: s.Probes, Keys: solvers.RowKeys(rng.New(uint64(s.Key)), 0, s.Rows)}
	for _, l := range g {
		e.HalfLogSNR = append(e.HalfLogSNR, l.LogSNR().Half())
	}
	stats, err := solvers.EstimateStatistics(ctx, m, e)
	if err != nil {
		return nil, err
	}
	if err := runfile.WriteFile(file, func(w io.Writer) error { return stats.Write(w) }); err != nil {
		return nil, err
	}
	solver, err := solvers.Parse("dpm-solver-v3(stats=" + file + ")")
	if err != nil {
		return nil, err
	}
	return &StatisticsReport{Statistics: s, File: file, Dimension: len(stats.L[0]), Solver: solver.String(), Inputs: m.Inputs}, nil
}

// Text prints the report.
func (r *StatisticsReport) Text(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s: l, s and b of %s at %d levels, σ/α %g to %g, %d dimensions, means over %d samples\nuse: %s\n",
		r.File, r.Model, r.Levels, r.SMin, r.SMax, r.Dimension, r.Rows, r.Solver)
	return err
}
