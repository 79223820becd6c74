package tune

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Model is what a solver can be fitted to: a denoiser whose derivatives in the
// state (∂D/∂x = (α/σ²) Cov[x₀ | x]) and in the level are known.
type Model interface {
	models.Denoiser
	models.PosteriorCov
	models.LevelRate
}

// Task is a set of starts at a noise level with their exact ends under the
// probability-flow ODE, in x̂ = x/α and ŝ = σ/α.
type Task struct {
	Model    Model
	From, To float64 // ŝ
	Rows     int
	Start    []float64 // rows×dim: From times unit normal numbers
	End      []float64 // rows×dim
}

// NewTask draws rows starts, of which row i depends on the key and i alone, and
// integrates them to rtol.
func NewTask(ctx context.Context, m Model, from, to float64, rows int, key rng.Key, rtol float64) (*Task, error) {
	dim := models.Dim(m)
	if !(from > to && to > 0) || math.IsInf(from, 1) || rows < 1 {
		return nil, fmt.Errorf("tune: a task from σ/α = %g to %g in %d rows: expected from > to > 0 and at least one row", from, to, rows)
	}
	t := &Task{Model: m, From: from, To: to, Rows: rows, Start: make([]float64, rows*dim)}
	for i := range rows {
		row := t.Start[i*dim : (i+1)*dim]
		key.Split("start", uint64(i)).Normal(row)
		for j := range row {
			row[j] *= from
		}
	}
	grid := schedules.Grid{at(from), at(to)}
	tr, err := solvers.Reference{RTol: rtol}.Solve(ctx, solvers.Problem{Denoiser: m, Grid: grid}, t.Start)
	if err != nil {
		return nil, fmt.Errorf("tune: exact ends: %w", err)
	}
	t.End = tr.X[1]
	return t, nil
}

// Head is the task of the first rows alone.
func (t *Task) Head(rows int) *Task {
	h, dim := *t, models.Dim(t.Model)
	h.Rows = min(rows, t.Rows)
	h.Start, h.End = t.Start[:h.Rows*dim], t.End[:h.Rows*dim]
	return &h
}

// at is the level of ŝ on the path α = 1.
func at(noise float64) schedules.Level { return schedules.Level{T: noise, Alpha: 1, Sigma: noise} }

// Errors sums up the distances of a batch of ends to the exact ones.
type Errors struct {
	Rows   int     `json:"rows"`
	RMSE   float64 `json:"rmse"` // root of the mean squared Euclidean distance
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

// Errors compares ends, rows×dim, with the exact ones.
func (t *Task) Errors(end []float64) Errors {
	dist := t.distances(end)
	e := Errors{Rows: t.Rows}
	for _, d := range dist {
		e.RMSE += d * d
	}
	e.RMSE = math.Sqrt(e.RMSE / float64(t.Rows))
	sort.Float64s(dist)
	quantile := func(p float64) float64 {
		x := p * float64(len(dist)-1)
		i := min(int(x), max(len(dist)-2, 0))
		if len(dist) == 1 {
			return dist[0]
		}
		return dist[i] + (x-float64(i))*(dist[i+1]-dist[i])
	}
	e.Median, e.P99, e.Max = quantile(0.5), quantile(0.99), dist[len(dist)-1]
	return e
}

func (t *Task) distances(end []float64) []float64 {
	dim := len(t.End) / t.Rows
	dist := make([]float64, t.Rows)
	for i := range dist {
		sum := 0.0
		for j := i * dim; j < (i+1)*dim; j++ {
			d := end[j] - t.End[j]
			sum += d * d
		}
		dist[i] = math.Sqrt(sum)
	}
	return dist
}

// Run measures a solver on the task over a grid of ŝ.
func (t *Task) Run(ctx context.Context, s solvers.Solver, noise []float64) (Errors, error) {
	grid := make(schedules.Grid, len(noise))
	for i, v := range noise {
		grid[i] = at(v)
	}
	end, err := solvers.Sample(ctx, s, solvers.Problem{Denoiser: t.Model, Grid: grid, Schedule: schedules.EDM{SMin: t.To, SMax: t.From}}, slices.Clone(t.Start))
	if err != nil {
		return Errors{}, err
	}
	return t.Errors(end), nil
}
