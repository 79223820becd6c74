package models

import (
	"errors"
	"math"
	"testing"

	"snrlab/schedules"
)

// The trace is the sum of the products with unit vectors, for every family of
// covariances, every level and every class.
func TestPosteriorTrace_AgreesWith_Cov(t *testing.T) {
	for name, c := range families() {
		m, ref := mustMixture(t, c), newDirect(c)
		for _, at := range append(testLevels(), schedules.Level{Alpha: 1, Sigma: 1e-7}, schedules.Level{Alpha: 1, Sigma: 1e5}) {
			const n = 6
			x := states(t, m, at, n, 1)
			labels := []int{-1, 0, 3, -1, 0, 3}
			q := Query{X: x, Rows: n, At: []schedules.Level{at}, Labels: labels}
			got := make([]float64, n)
			if err := m.PosteriorTrace(ctx, got, q); err != nil {
				t.Fatal(err)
			}
			want, unit, product := make([]float64, n), make([]float64, len(x)), make([]float64, len(x))
			for j := range testDim {
				clear(unit)
				for i := range n {
					unit[i*testDim+j] = 1
				}
				if err := m.PosteriorCovMul(ctx, product, unit, q); err != nil {
					t.Fatal(err)
				}
				for i := range n {
					want[i] += product[i*testDim+j]
				}
			}
			for i := range n {
				// Two sums of the same terms in other orders; where one point has all
				// the weight, the products keep a rounding of v·δ, of size σ²/α².
				v := at.Sigma / at.Alpha
				if math.Abs(got[i]-want[i]) > 1e-12*math.Abs(want[i])+1e-15*min(1, v*v) || got[i] < 0 {
					t.Errorf("%s %+v row %d: trace %.15g, by unit vectors %.15g", name, at, i, got[i], want[i])
				}
				if at.Alpha == 0 || at.Sigma < 0.01 || at.Sigma > 100 {
					continue // beyond the digits of the reference, see above
				}
				_, cov, _ := ref.answer(x[i*testDim:(i+1)*testDim], at, labels[i])
				sum := 0.0
				for j := range testDim {
					sum += cov.At(j, j)
				}
				if math.Abs(got[i]-sum) > 1e-10 {
					t.Errorf("%s %+v row %d: trace %.15g, direct %.15g", name, at, i, got[i], sum)
				}
			}
		}
	}
}

// A row's trace is its own: rows of other levels do not touch it. NaN stays in
// its row, and there is no variance at σ = 0.
func TestPosteriorTrace_Limit(t *testing.T) {
	for name, c := range families() {
		m := mustMixture(t, c)
		levels := []schedules.Level{{Alpha: 1, Sigma: 0.3}, {Alpha: 0.5, Sigma: 2}, {Alpha: 1, Sigma: 0}, {Alpha: 1, Sigma: 0.3}}
		x := states(t, m, levels[0], 4, 1)
		x[3*testDim] = math.NaN()
		all := make([]float64, 4)
		if err := m.PosteriorTrace(ctx, all, Query{X: x, Rows: 4, At: levels}); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			one := make([]float64, 1)
			if err := m.PosteriorTrace(ctx, one, Query{X: x[i*testDim : (i+1)*testDim], Rows: 1, At: levels[i : i+1]}); err != nil {
				t.Fatal(err)
			}
			if one[0] != all[i] {
				t.Errorf("%s: row %d has trace %g alone, %g among others", name, i, one[0], all[i])
			}
		}
		if all[2] != 0 || !math.IsNaN(all[3]) {
			t.Errorf("%s: trace %g at σ = 0 and %g of a row with NaN: expected 0 and NaN", name, all[2], all[3])
		}
		q := Query{X: x[:testDim], Rows: 1, At: levels[:1]}
		if allocs := testing.AllocsPerRun(20, func() {
			if err := m.PosteriorTrace(ctx, all[:1], q); err != nil {
				t.Fatal(err)
			}
		}); allocs != 0 {
			t.Errorf("%s: %g allocations a call", name, allocs)
		}
		if err := m.PosteriorTrace(ctx, all, q); err == nil || errors.Is(err, ErrNoDensity) {
			t.Errorf("%s: 4 numbers for 1 row: %v", name, err)
		}
	}
}
