package solvers_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// equivalenceGrids are grids of each family: with both ends, and with neither.
func equivalenceGrids(t *testing.T, where solvers.Grids, sch schedules.Schedule, n int) []schedules.Grid {
	zero, noise := schedules.Level{T: math.NaN(), Alpha: 1}, schedules.Level{T: math.NaN(), Sigma: 1}
	karras := gridOf(t, schedules.Karras{Rho: 7}, sch, n)
	switch where {
	case solvers.AnyGrid:
		uneven := slices.Clone(karras)
		for i := 1; i < n; i += 2 { // every other level nearer to the next
			l := float64(karras[i].LogSNR()) + 0.4*float64(karras[i+1].LogSNR()-karras[i].LogSNR())
			uneven[i].Alpha, uneven[i].Sigma = math.Sqrt(1/(1+math.Exp(-l))), math.Sqrt(1/(1+math.Exp(l)))
		}
		return []schedules.Grid{
			karras, uneven, gridOf(t, schedules.UniformLambda{}, sch, n),
			append(slices.Clone(karras[:n]), zero), append(schedules.Grid{noise}, karras[1:]...),
		}
	case solvers.WithoutTheEnds:
		return []schedules.Grid{karras, gridOf(t, schedules.UniformLambda{}, sch, n)}
	case solvers.UniformNoise:
		return []schedules.Grid{gridOf(t, schedules.Karras{Rho: 1}, sch, n)}
	case solvers.UniformLogSNR:
		return []schedules.Grid{gridOf(t, schedules.UniformLambda{}, sch, n)}
	}
	t.Fatalf("unknown grids %q", where)
	return nil
}

// difference runs two solvers from the same start with the same noise and
// returns the largest difference of their ends, in 16 dimensions, where no two
// answers span the space.
func difference(t *testing.T, a, b string, sch schedules.Schedule, g schedules.Grid) float64 {
	t.Helper()
	const rows = 4
	x := normals(rows*16, 1)
	ends := make([][]float64, 2)
	for i, name := range []string{a, b} {
		p := solvers.Problem{Denoiser: models.GMM16(), Grid: g, Schedule: sch, Noise: solvers.NewIndependent(solvers.RowKeys(rng.New(1), 0, rows))}
		ends[i] = run(t, parse(t, name), p, x)
	}
	worst := 0.0
	for i, v := range ends[0] {
		worst = max(worst, math.Abs(v-ends[1][i]))
	}
	return worst
}

func TestEquivalences_AgreesWith(t *testing.T) {
	sch := vp(0.02, 40)
	for _, e := range solvers.Equivalences() {
		t.Run(e.Solvers[0]+"="+e.Solvers[1], func(t *testing.T) {
			if len(e.Solvers) < 2 || e.Why == "" {
				t.Fatalf("%+v: expected two solvers and a reason", e)
			}
			for _, n := range []int{1, 2, 3, 11} {
				if e.Steps > 0 && n > e.Steps {
					continue
				}
				for i, g := range equivalenceGrids(t, e.Where, sch, n) {
					for _, other := range e.Solvers[1:] {
						// The same formula in another order of operations: rounding, amplified
						// by the cancellation of (σ/α) e at σ/α = 40.
						if d := difference(t, e.Solvers[0], other, sch, g); !(d < 1e-11) {
							t.Errorf("%s and %s differ by %.2g on grid %d of %d steps", e.Solvers[0], other, d, i, n)
						}
					}
				}
			}
			// Where it holds for few steps only, it does not for one more; where on some
			// grids only, not on others.
			if e.Steps > 0 {
				g := equivalenceGrids(t, e.Where, sch, e.Steps+1)[0]
				if d := difference(t, e.Solvers[0], e.Solvers[1], sch, g); d < 1e-6 {
					t.Errorf("the solvers are the same on a grid of %d steps too (%.2g)", e.Steps+1, d)
				}
			}
			if e.Where == solvers.UniformNoise || e.Where == solvers.UniformLogSNR {
				g := gridOf(t, schedules.Karras{Rho: 7}, sch, 11)
				if d := difference(t, e.Solvers[0], e.Solvers[1], sch, g); d < 1e-6 {
					t.Errorf("the solvers are the same on other grids too (%.2g)", d)
				}
			}
		})
	}
}

func TestLookalikes_Property(t *testing.T) {
	sch := vp(0.02, 40)
	g := gridOf(t, schedules.Karras{Rho: 7}, sch, 10)
	for _, l := range solvers.Lookalikes() {
		if d := difference(t, l.A, l.B, sch, g); d < 1e-4 || l.Why == "" {
			t.Errorf("%s and %s differ by %.2g: expected two methods, and a reason", l.A, l.B, d)
		}
	}
	// No pair is in both lists.
	for _, l := range solvers.Lookalikes() {
		for _, e := range solvers.Equivalences() {
			if e.Where == solvers.AnyGrid && e.Steps == 0 && slices.Contains(e.Solvers, l.A) && slices.Contains(e.Solvers, l.B) {
				t.Error(fmt.Sprint(l.A, " and ", l.B, " are in both lists"))
			}
		}
	}
}
