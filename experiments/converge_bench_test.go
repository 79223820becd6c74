package experiments

import (
	"context"
	"math"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// BenchmarkReference_Digits integrates 64 rows of the digit mixture from noise
// to data, and reports what a row takes and how far its end is from a sharper
// one; then local steps at 1e-7, as compare takes them.
func BenchmarkReference_Digits(b *testing.B) {
	m, err := OpenModel("digits", Options{})
	if err != nil {
		b.Fatal(err)
	}
	const rows = 64
	dim := models.Dim(m)
	first, last := schedules.Level{Alpha: 1, Sigma: 80}, schedules.Level{Alpha: 1, Sigma: 0.002}
	x, err := startStates(m, first, "prior", nil, solvers.RowKeys(rng.New(1), 0, rows))
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	grid, err := schedules.Karras{Rho: 7}.Grid(schedules.EDM{SMin: 0.002, SMax: 80}, 10)
	if err != nil {
		b.Fatal(err)
	}
	p := solvers.Problem{Denoiser: m, Grid: schedules.Grid{first, last}}
	sharp, err := solvers.Reference{RTol: 1e-12}.Solve(ctx, p, x)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		r    solvers.Reference
		last schedules.Level
	}{
		{"1e-7", solvers.Reference{RTol: 1e-7}, last},
		{"1e-10", solvers.Reference{RTol: 1e-10}, last},
		{"1e-10-to-0", solvers.Reference{RTol: 1e-10}, schedules.Level{Alpha: 1}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				p.Grid = schedules.Grid{first, c.last}
				tr, err := c.r.Solve(ctx, p, x)
				if err != nil {
					b.Fatal(err)
				}
				evals, rejected, most := 0, 0, 0
				for _, cost := range tr.Cost {
					evals += cost.Evals
					rejected += cost.Rejected
					most = max(most, cost.Evals)
				}
				b.ReportMetric(float64(evals)/rows, "evals/row")
				b.ReportMetric(float64(most), "evals/worst")
				b.ReportMetric(float64(rejected)/rows, "rejected/row")
				if c.last == last {
					worst := 0.0
					for i, v := range tr.X[1] {
						worst = max(worst, math.Abs(v-sharp.X[1][i]))
					}
					b.ReportMetric(worst/1e-10, "err/1e-10")
				}
			}
		})
	}
	b.Run("local", func(b *testing.B) {
		// The ten steps of a grid, each from the exact marginal of 64 rows.
		var from, to []schedules.Level
		var at []float64
		keys := solvers.RowKeys(rng.New(2), 0, rows)
		for i := range grid.Steps() {
			y := make([]float64, rows*dim)
			if err := m.Sample(y, grid[i], nil, keys); err != nil {
				b.Fatal(err)
			}
			at = append(at, y...)
			for range rows {
				from, to = append(from, grid[i]), append(to, grid[i+1])
			}
		}
		for b.Loop() {
			_, cost, err := solvers.Reference{RTol: 1e-7}.Step(ctx, m, at, from, to, nil)
			if err != nil {
				b.Fatal(err)
			}
			evals := 0
			for _, c := range cost {
				evals += c.Evals
			}
			b.ReportMetric(float64(evals)/float64(len(cost)), "evals/step")
		}
	})
}
