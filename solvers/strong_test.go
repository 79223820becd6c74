package solvers_test

import (
	"math"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Noise of one path refines: the strong error of stochastic methods, against
// their own fine run on the same path, falls with order 1, their noise being
// additive.
func TestStochastic_Order_Strong(t *testing.T) {
	const rows, dim, finest = 64, 4, 1024
	// Linear: a mixture's paths now and then change component, and a few such
	// rows would be the whole error.
	gauss, sch := models.Gauss4(), schedules.EDM{SMin: 0.1, SMax: 10}
	fine := gridOf(t, schedules.UniformLambda{}, sch, finest)
	path, err := solvers.NewBrownian(solvers.RowKeys(rng.New(8), 0, rows), dim, fine)
	if err != nil {
		t.Fatal(err)
	}
	x := normals(dim*rows, 10)
	for _, name := range []string{"ddim(eta=1)", "ddim(eta=0.5)", "euler-maruyama", "euler-maruyama(variable=lambda)"} {
		s := parse(t, name)
		var ends [][]float64
		for _, n := range []int{64, 128, 256, finest} {
			ends = append(ends, run(t, s, solvers.Problem{Denoiser: gauss, Grid: gridOf(t, schedules.UniformLambda{}, sch, n), Noise: path}, x))
		}
		var e [3]float64
		for k := range e {
			for i, v := range ends[k] {
				e[k] += (v - ends[3][i]) * (v - ends[3][i])
			}
			e[k] = math.Sqrt(e[k] / rows)
		}
		t.Logf("%s: strong errors %.2e", name, e)
		// Against a run of n = 1024 the ratio of errors at 128 and 256 is
		// (1/128 − 1/1024)/(1/256 − 1/1024) = 2.33 at order 1, and at order 1/2,
		// where errors add in squares, √2.33 = 1.53; 256 paths leave 10 %.
		if r := e[1] / e[2]; math.Abs(r-2.33) > 0.3 {
			t.Errorf("%s: strong errors %.3g: the last ratio %.2f is not that of order 1 (2.33)", name, e, r)
		}
	}
}
