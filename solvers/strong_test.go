package solvers_test

import (
	"math"
	"testing"

	"snrlab/internal/race"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Noise of one path refines: the strong error of stochastic methods, against
// their own fine run on the same path, falls with order 1, their noise being
// additive.
func TestStochastic_Order_Strong(t *testing.T) {
	race.Measures(t)
	const rows, dim, finest = 256, 4, 1024
	// Linear: a mixture's paths now and then change component, and a few such
	// rows would be the whole error.
	gauss, sch := models.Gauss4(), schedules.EDM{SMin: 0.1, SMax: 10}
	fine := gridOf(t, schedules.UniformLambda{}, sch, finest)
	path, err := solvers.NewBrownian(solvers.RowKeys(rng.New(8), 0, rows), dim, fine)
	if err != nil {
		t.Fatal(err)
	}
	x := normals(dim*rows, 10)
	for _, name := range []string{"ddim(eta=1)", "ddim(eta=0.5)", "euler-maruyama", "euler-maruyama(variable=lambda)", "euler-maruyama(variable=time)", "reverse-diffusion"} {
		s := parse(t, name)
		var ends [][]float64
		for _, n := range []int{64, 128, 256, finest} {
			ends = append(ends, run(t, s, solvers.Problem{Denoiser: gauss, Grid: gridOf(t, schedules.UniformLambda{}, sch, n), Schedule: sch, Noise: path}, x))
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
		// where errors add in squares, √2.33 = 1.53; 256 paths of 4 values leave 5 %.
		if r := e[1] / e[2]; math.Abs(r-2.33) > 0.3 {
			t.Errorf("%s: strong errors %.3g: the last ratio %.2f is not that of order 1 (2.33)", name, e, r)
		}
	}
}

// SRA1 has strong order 1.5 on a mixture, whose D is nonlinear, against its own
// fine run on the same paths: what makes it so is the iterated integral in its
// stage.
func TestSRA1_Order_Strong(t *testing.T) {
	const rows, dim, finest = 128, 2, 1024
	mix, sch := models.GM2D(), schedules.EDM{SMin: 0.05, SMax: 10}
	grid := func(n int) schedules.Grid { return gridOf(t, schedules.Karras{Rho: 7}, sch, n) }
	path, err := solvers.NewBrownian(solvers.RowKeys(rng.New(8), 0, rows), dim, grid(finest))
	if err != nil {
		t.Fatal(err)
	}
	x := normals(dim*rows, 10)
	for i := range x {
		x[i] *= sch.SMax
	}
	ends := map[int][]float64{}
	for _, n := range []int{32, 64, 128, finest} {
		ends[n] = run(t, parse(t, "sra1"), solvers.Problem{Denoiser: mix, Grid: grid(n), Schedule: sch, Noise: path}, x)
	}
	// Geometric means: a few paths that change component at some step counts
	// would be the whole of a mean square.
	e := func(n int) float64 {
		sum := 0.0
		for r := 0; r < len(x); r += dim {
			sum += math.Log(math.Hypot(ends[n][r]-ends[finest][r], ends[n][r+1]-ends[finest][r+1]))
		}
		return math.Exp(sum / rows)
	}
	t.Logf("strong errors %.2e, %.2e, %.2e at 32, 64, 128 steps", e(32), e(64), e(128))
	// Two doublings at order 1 are a factor of 4, at order 1.5 one of 8, and more
	// where the part of order 2 still shows; 128 paths leave 10 %.
	if ratio := e(32) / e(128); ratio < 8*0.9 {
		t.Errorf("strong error falls by %.2f over two doublings: expected at least 8, that of order 1.5", ratio)
	}
}
