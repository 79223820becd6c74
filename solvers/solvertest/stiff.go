package solvertest

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// stiff runs a deterministic solver on the needles of package models, whose
// components are nearly singular: D changes over distances down to 0.003, far
// below a step of a coarse grid, and an error in a thin direction has no time to
// heal. No order can be read there on grids that anyone would use; what must
// hold is that every end is near the data, that the median error falls with the
// steps (a start near a separatrix ends elsewhere, and would be all that a mean
// square sees), and that it has fallen, from 32 steps to 256, at least by 2^(5/2),
// near the 2³ of order 1.
func stiff(t *testing.T, s solvers.Solver) {
	sch := schedules.EDM{SMin: 0.002, SMax: 20}
	needles, x := models.Needles(), initial(schedules.Level{Sigma: sch.SMax}, 8, stiffRows)
	want, err := stiffEnds()
	if err != nil {
		t.Fatal(err)
	}
	var errs []float64
	for n := 32; n <= 256; n *= 2 {
		g := grid(t, schedules.Karras{Rho: 7}, sch, n)
		end := sample(t, s, solvers.Problem{Denoiser: needles, Grid: g, Schedule: sch}, x)
		rows := make([]float64, stiffRows)
		for i := range rows {
			for j := 8 * i; j < 8*i+8; j++ {
				rows[i] = math.Hypot(rows[i], end[j]-want[j])
			}
		}
		slices.Sort(rows)
		errs = append(errs, rows[stiffRows/2])
		// Data lie within 3 of 0. Multistep methods of order 5 and 6 are unstable on
		// the coarsest grid.
		if last := rows[stiffRows-1]; n > 32 && !(last < 10) {
			t.Errorf("an end on the needles is off by %.3g after %d steps", last, n)
		}
	}
	t.Logf("%s on the needles at 32, 64, 128, 256 steps: %.2e", s, errs)
	for i, e := range errs {
		// Below 1e-8 the reference's own error shows.
		if math.IsNaN(e) || i > 0 && !(e < errs[i-1]) && e > 1e-8 {
			t.Errorf("errors on the needles are %.3g: expected them to fall", errs)
			break
		}
	}
	if last := errs[len(errs)-1]; !(last < errs[0]/math.Pow(2, 2.5)) {
		t.Errorf("the error on the needles is %.3g in 32 steps and %.3g in 256: expected at most %.3g", errs[0], last, errs[0]/math.Pow(2, 2.5))
	}
}

const stiffRows = 32

// stiffEnds are the exact ends of stiff's starts.
var stiffEnds = sync.OnceValues(func() ([]float64, error) {
	sch := schedules.EDM{SMin: 0.002, SMax: 20}
	p := solvers.Problem{Denoiser: models.Needles(), Grid: schedules.Grid{sch.At(sch.SMax), sch.At(sch.SMin)}}
	tr, err := solvers.Reference{RTol: 1e-11}.Solve(context.Background(), p, initial(schedules.Level{Sigma: sch.SMax}, 8, stiffRows))
	if err != nil {
		return nil, err
	}
	return tr.X[1], nil
})
