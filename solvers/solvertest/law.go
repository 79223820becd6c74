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
// limit of many steps, exactly in the variance of a Gaussian and by Monte Carlo
// in its covariances.
func law(t *testing.T, s solvers.Solver) {
	sch := schedule(schedules.VPPath{})
	// Exact: the bias of the variance vanishes with the steps. From 400 to 800
	// steps a weak order 1 halves it; 0.6 leaves room for the next order. What
	// is below 1e-3 by then (order 2) is small enough.
	bias := func(n int) float64 {
		return Variance(t, s, sch, grid(t, schedules.UniformLambda{}, sch, n), 0.25)/0.25 - 1
	}
	b1, b2 := math.Abs(bias(400)), math.Abs(bias(800))
	t.Logf("%s: relative bias of the variance %.2e at 400 steps, %.2e at 800", s, b1, b2)
	if b2 > 0.6*b1 && b2 > 1e-3 || b2 > 0.02 {
		t.Errorf("relative bias of the variance is %.3g at 400 steps and %.3g at 800: expected it to vanish", b1, b2)
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
			if math.Abs(c-want) > 5*se+4*b1*scale {
				t.Errorf("covariance of columns %d and %d is %g, exactly %g ± %.2g", i, j, c, want, se)
			}
		}
	}
}

// Variance returns the exact variance of the end of a run over g that starts
// from the exact marginal of data N(0, c): no sampling is involved. A step of a
// method without history is x' = A x + B z on such data; a row with x = 1
// and no noise measures the products of A, a row from 0 with z = 1 adds B.
func Variance(t testing.TB, s solvers.Solver, sch schedules.Schedule, g schedules.Grid, c float64) float64 {
	t.Helper()
	if s.Properties().History > 0 {
		t.Fatalf("solvertest: %s has a history: its steps are no linear map of the state alone", s)
	}
	gauss, err := models.IsotropicGaussian(1, c)
	if err != nil {
		t.Fatal(err)
	}
	a := g[0]
	v := a.Alpha*a.Alpha*c + a.Sigma*a.Sigma
	for i := range g.Steps() {
		p := solvers.Problem{Denoiser: gauss, Grid: g, Schedule: sch, Noise: unit{}}
		state := solvers.State{Solver: s.String(), Index: i, X: []float64{1, 0}}
		step, err := begin(t, s, p, []float64{1, 0}, solvers.Resume(state)).Step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		v = step.X[0]*step.X[0]*v + step.X[1]*step.X[1]
	}
	return v
}

// unit is no noise for the first row and 1 for the second.
type unit struct{}

func (unit) Normal(req solvers.NoiseRequest) error {
	req.Z[0], req.Z[1] = 0, 1
	return nil
}
