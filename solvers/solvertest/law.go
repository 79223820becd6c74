package solvertest

import (
	"math"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// law checks that a stochastic solver samples the data distribution in the
// limit of many steps, but for the bias that it owns up to, exactly in the
// variance of a Gaussian and by Monte Carlo in its covariances.
func law(t *testing.T, s solvers.Solver) {
	sch := schedule(schedules.VPPath{})
	// Exact: the bias of the variance vanishes with the steps. Twice the steps
	// halve it at weak order 1; 0.6 leaves room for the next order. What is below
	// 1e-3 by then (order 2) is small enough, and 0.02 in 800 steps is not.
	steps := 400
	if testing.Short() {
		steps = 200 // a fourth of the rows times steps
	}
	bias := func(n int) float64 {
		g := grid(t, schedules.UniformLambda{}, sch, n)
		end := g[n]
		return Variance(t, s, sch, g, 0.25)/(end.Alpha*end.Alpha*0.25+end.Sigma*end.Sigma) - 1
	}
	stays := s.Properties().Bias
	b1, b2 := math.Abs(bias(steps)), math.Abs(bias(2*steps))
	t.Logf("%s: relative bias of the variance %.2e at %d steps, %.2e at %d", s, b1, steps, b2, 2*steps)
	if b2 > 0.6*b1 && b2 > 1e-3+stays || b2 > 8/float64(steps)+stays {
		t.Errorf("relative bias of the variance is %.3g at %d steps and %.3g at %d: expected it to fall to %.3g", b1, steps, b2, 2*steps, stays)
	}
	if testing.Short() {
		return
	}

	// Monte Carlo: all means and covariances of a 4-D Gaussian.
	const rows, n = 4000, 400
	gauss := models.Gauss4()
	dim := models.Dim(gauss)
	g := grid(t, schedules.UniformLambda{}, sch, n)
	x := make([]float64, rows*dim)
	if err := gauss.Sample(x, g[0], nil, solvers.RowKeys(rng.New(3), 0, rows)); err != nil {
		t.Fatal(err)
	}
	x = sample(t, s, solvers.Problem{Denoiser: gauss, Grid: g, Schedule: sch, Noise: solvers.NewIndependent(solvers.RowKeys(rng.New(4), 0, rows))}, x)
	exact, err := gauss.Moments(g[n], -1)
	if err != nil {
		t.Fatal(err)
	}
	cov, err := gauss.Covariance(g[n], -1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range dim {
		mean := 0.0
		for r := range rows {
			mean += x[r*dim+i] / rows
		}
		// 5 standard errors, exceeded once in 2e6, and the bias of n steps.
		if se := math.Sqrt(exact.Var[i] / rows); math.Abs(mean-exact.Mean[i]) > 5*se+b1*math.Sqrt(exact.Var[i]) {
			t.Errorf("mean of column %d is %g, exactly %g ± %.2g", i, mean, exact.Mean[i], se)
		}
		for j := range i + 1 {
			c := 0.0
			for r := range rows {
				c += (x[r*dim+i] - exact.Mean[i]) * (x[r*dim+j] - exact.Mean[j]) / rows
			}
			want, scale := cov[i*dim+j], math.Sqrt(exact.Var[i]*exact.Var[j])
			se := math.Sqrt((want*want + scale*scale) / rows) // of a Gaussian's covariance
			if math.Abs(c-want) > 5*se+(4*b1+stays)*scale {
				t.Errorf("covariance of columns %d and %d is %g, exactly %g ± %.2g", i, j, c, want, se)
			}
		}
	}
}

// Variance returns the exact variance of the end of a run over g that starts
// from the exact marginal of data N(0, c), with draws as [solvers.Independent]
// makes them: no sampling is involved. On such data the end is linear in the start
// and in the unit normals that are drawn, so that its variance is the sum of the
// squares of their factors. Each has a row of its own, where it is 1 and all
// others are 0.
func Variance(t testing.TB, s solvers.Solver, sch schedules.Schedule, g schedules.Grid, c float64) float64 {
	t.Helper()
	gauss, err := models.IsotropicGaussian(1, c)
	if err != nil {
		t.Fatal(err)
	}
	end := func(rows int) (x []float64, drawn int) {
		noise := &unitNoise{drawn: 1} // row 0 is the start's
		x = make([]float64, rows)
		x[0] = math.Hypot(g[0].Alpha*math.Sqrt(c), g[0].Sigma)
		return sample(t, s, solvers.Problem{Denoiser: gauss, Grid: g, Schedule: sch, Noise: noise}, x), noise.drawn
	}
	_, rows := end(1)
	x, _ := end(rows)
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return sum
}

// unitNoise makes the k-th unit normal of a run 1 in row k and 0 in the others. An
// iterated integral is z/2 and a second normal of variance 1/12.
type unitNoise struct{ drawn int }

func (u *unitNoise) Normal(req solvers.NoiseRequest) error {
	clear(req.Z)
	clear(req.Integral)
	set := func(z []float64, v float64) {
		if u.drawn < len(z) {
			z[u.drawn] = v
		}
	}
	set(req.Z, 1)
	set(req.Integral, 0.5)
	u.drawn++
	if req.Integral != nil {
		set(req.Integral, math.Sqrt(1.0/12))
		u.drawn++
	}
	return nil
}
