package solvertest

import (
	"math"
	"testing"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// order measures the order of convergence on a Gaussian with a full covariance,
// whose trajectories are known in closed form, as the slope over the last
// doubling of steps before rounding. It must be at least the promised order less
// 0.2, and at most 0.3 more; only a multistep method with a cheap start, whose
// error is a sum of a high order and a small low one, may measure higher.
func order(t *testing.T, s solvers.Solver) {
	props := s.Properties()
	slope, err := Slope(t, s, schedules.Karras{Rho: 7})
	promised := props.Order
	cheapStart := props.History > 1 && props.FirstEvals == 0
	t.Logf("%s: order %.2f measured, %g promised, error %.1e at the end", s, slope, promised, err)
	if slope < promised-0.2 || slope > promised+0.3 && !cheapStart {
		t.Errorf("measured order %.3f, promised %g", slope, promised)
	}
}

// Slope returns the observed order of a deterministic solver over the last
// doubling of steps whose error is above 1e-11, and the error there, on grids
// of a spacing between σ/α = 20 and 0.02.
func Slope(t testing.TB, s solvers.Solver, sp schedules.Spacing) (slope, last float64) {
	t.Helper()
	const dim, rows = 4, 8
	gauss, sch := models.Gauss4(), schedules.EDM{SMin: 0.02, SMax: 20}
	for n := 32; n <= 1024; n *= 2 {
		g := grid(t, sp, sch, n)
		x := initial(g[0], dim, rows)
		want := make([]float64, len(x))
		if err := gauss.Flow(want, x, g[0], g[n]); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i, v := range sample(t, s, solvers.Problem{Denoiser: gauss, Grid: g, Schedule: sch}, x) {
			sum += (v - want[i]) * (v - want[i])
		}
		e := math.Sqrt(sum / rows)
		if e < 1e-11 {
			break
		}
		slope, last = math.Log2(last/e), e
	}
	return slope, last
}
