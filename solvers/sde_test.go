package solvers_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// oneStep takes one step of a solver from a to b on a 4-D Gaussian with the
// draws z and returns the start, D there, and the end.
func oneStep(t *testing.T, s solvers.Solver, sch schedules.Schedule, a, b schedules.Level, z []float64) (x, d, end []float64) {
	t.Helper()
	x = normals(4, 1)
	p := solvers.Problem{Denoiser: models.Gauss4(), Grid: schedules.Grid{a, b}, Schedule: sch, Noise: solvers.NewReplay([][]float64{z})}
	st, err := s.Start(p, x)
	if err != nil {
		t.Fatal(err)
	}
	step, err := st.Step(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return x, step.Clone().Denoised, step.Clone().X
}

// The formulas as Song et al. write them, for their variance preserving SDE in
// t and its chain, and at σ = 0.
func TestEulerMaruyama_AgreesWith_Paper(t *testing.T) {
	sch := schedules.VPLinear{BetaMin: 0.1, BetaMax: 20}
	z := normals(4, 0.7)
	for _, c := range []struct {
		name string
		a, b float64
		// next is x_b from x, the score, the noise and β(t_a).
		next func(x, score, z, beta, h float64, a, b schedules.Level) float64
	}{
		{"euler-maruyama(variable=time)", 0.8, 0.75, func(x, score, z, beta, h float64, _, _ schedules.Level) float64 {
			return x + h*(beta*x/2+beta*score) + math.Sqrt(h*beta)*z
		}},
		{"euler-maruyama(variable=time,last=own)", 0.05, 0, func(x, score, z, beta, h float64, _, _ schedules.Level) float64 {
			return x + h*(beta*x/2+beta*score) + math.Sqrt(h*beta)*z
		}},
		{"reverse-diffusion", 0.8, 0.75, func(x, score, z, _, _ float64, a, b schedules.Level) float64 {
			beta := 1 - (a.Alpha/b.Alpha)*(a.Alpha/b.Alpha)
			return (2-math.Sqrt(1-beta))*x + beta*score + math.Sqrt(beta)*z
		}},
		{"reverse-diffusion(last=own)", 0.05, 0, func(x, score, z, _, _ float64, a, b schedules.Level) float64 {
			beta := 1 - a.Alpha*a.Alpha
			return (2-math.Sqrt(1-beta))*x + beta*score + math.Sqrt(beta)*z
		}},
		{"euler-maruyama(last=own)", 0.05, 0, func(x, score, z, _, _ float64, a, _ schedules.Level) float64 {
			return (x + a.Sigma*a.Sigma*score + a.Sigma*z) / a.Alpha
		}},
	} {
		a, b := sch.At(c.a), sch.At(c.b)
		x, d, end := oneStep(t, parse(t, c.name), sch, a, b, z)
		for i, v := range end {
			score := (a.Alpha*d[i] - x[i]) / (a.Sigma * a.Sigma)
			want := c.next(x[i], score, z[i], 0.1+19.9*c.a, c.a-c.b, a, b)
			// 1 − α² loses three digits at t = 0.05.
			if math.Abs(v-want) > 1e-12 {
				t.Errorf("%s: column %d ends at %.15g, the paper's formula gives %.15g", c.name, i, v, want)
			}
		}
	}
}

func TestEulerMaruyama_Refuses(t *testing.T) {
	if _, err := solvers.Parse("euler-maruyama(variable=lambda,last=own)"); err == nil || !strings.Contains(err.Error(), "infinite in λ") {
		t.Errorf("own last step in λ: %v", err)
	}
	sch := schedules.VPLinear{BetaMin: 0.1, BetaMax: 20}
	grid := gridOf(t, schedules.UniformT{}, sch, 4)
	grid[2].T = math.NaN()
	p := solvers.Problem{Denoiser: models.Gauss4(), Grid: grid, Schedule: sch, Noise: solvers.NewReplay(nil)}
	if _, err := parse(t, "euler-maruyama(variable=time)").Start(p, make([]float64, 4)); err == nil || !strings.Contains(err.Error(), "levels 1 and 2 have t") {
		t.Errorf("a level without time: %v", err)
	}
}

// On a variance exploding path the forward process has no drift, and the two
// samplers of the reverse SDE are one.
func TestReverseDiffusion_AgreesWith_EulerMaruyama(t *testing.T) {
	const rows = 3
	sch := schedules.EDM{SMin: 0.02, SMax: 40}
	ends := map[string][]float64{}
	for _, name := range []string{"reverse-diffusion", "euler-maruyama"} {
		p := solvers.Problem{
			Denoiser: models.Gauss4(), Grid: gridOf(t, schedules.Karras{Rho: 7}, sch, 12),
			Noise: solvers.NewIndependent(solvers.RowKeys(rng.New(1), 0, rows)),
		}
		ends[name] = run(t, parse(t, name), p, normals(4*rows, 40))
	}
	for i, v := range ends["reverse-diffusion"] {
		// 1 − r in another order of operations.
		if d := math.Abs(v - ends["euler-maruyama"][i]); d > 1e-12 {
			t.Errorf("value %d differs by %.2g", i, d)
		}
	}
}

// One attempt is the two Euler–Maruyama steps and their mean; on the path that
// the paper's process explodes on, λ is its time.
func TestSDEAdaptive_AgreesWith_Paper(t *testing.T) {
	gauss, sch := models.Gauss4(), schedules.VPLinear{BetaMin: 0.1, BetaMax: 20}
	z := normals(4, 0.7)
	x := normals(4, 1)
	score := func(x []float64, at schedules.Level) []float64 {
		s := make([]float64, 4)
		if err := gauss.Denoise(context.Background(), s, models.Query{X: x, Rows: 1, At: []schedules.Level{at}}); err != nil {
			t.Fatal(err)
		}
		for i := range s {
			s[i] = (at.Alpha*s[i] - x[i]) / (at.Sigma * at.Sigma)
		}
		return s
	}
	const t0, t1 = 0.8, 0.79
	a, b := sch.At(t0), sch.At(t1)
	s := solvers.SDEAdaptive{Variable: solvers.Time, RTol: 0.5, ATol: 0.5, First: t0 - t1, MaxSteps: 10}
	st, err := s.Start(solvers.Problem{Denoiser: gauss, Grid: schedules.Grid{a, sch.At(0.1)}, Schedule: sch, Noise: given(z)}, x)
	if err != nil {
		t.Fatal(err)
	}
	step, err := st.Step(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if r := step.Rows[0]; r.Rejected || math.Abs(r.To.T-t1) > 1e-12 || r.Evals != 2 {
		t.Fatalf("the attempt is %+v", r)
	}
	beta := func(t float64) float64 { return 0.1 + 19.9*t }
	h := t0 - t1
	first, sa := make([]float64, 4), score(x, a)
	for i := range x {
		first[i] = x[i] + h*beta(t0)*(x[i]/2+sa[i]) + math.Sqrt(h*beta(t0))*z[i]
	}
	sb, e := score(first, b), 0.0
	for i, v := range step.X {
		second := x[i] + h*beta(t1)*(first[i]/2+sb[i]) + math.Sqrt(h*beta(t1))*z[i]
		want := (first[i] + second) / 2
		if math.Abs(v-want) > 1e-11 { // h and β have lost four digits
			t.Errorf("column %d ends at %.15g, the paper's formula gives %.15g", i, v, want)
		}
		d := (first[i] - want) / b.Alpha / max(0.5, 0.5*max(math.Abs(x[i])/a.Alpha, math.Abs(want)/b.Alpha))
		e += d * d / 4
	}
	if math.Abs(step.ErrEst-math.Sqrt(e)) > 1e-10 {
		t.Errorf("error of %.12g tolerances, expected %.12g", step.ErrEst, math.Sqrt(e))
	}
}

// given answers every request with the same numbers.
type given []float64

func (g given) Normal(req solvers.NoiseRequest) error {
	copy(req.Z, g)
	return nil
}

// On one path a refused attempt costs time and no more; on independent numbers
// those that are refused are missing from the law, however small the tolerance.
func TestSDEAdaptive_Property_OnePath(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds of statistics")
	}
	const rows, dim, c = 600, 4, 0.25
	data, err := models.IsotropicGaussian(dim, c)
	if err != nil {
		t.Fatal(err)
	}
	sch := schedules.EDM{SMin: 0.05, SMax: 20}
	grid := gridOf(t, schedules.UniformLambda{}, sch, 1)
	keys := solvers.RowKeys(rng.New(4), 0, rows)
	x := make([]float64, rows*dim)
	if err := data.Sample(x, grid[0], nil, solvers.RowKeys(rng.New(3), 0, rows)); err != nil {
		t.Fatal(err)
	}
	tree, err := solvers.NewBrownianTree(keys, dim)
	if err != nil {
		t.Fatal(err)
	}
	for name, noise := range map[string]solvers.Noise{"tree": tree, "independent": solvers.NewIndependent(keys)} {
		s := solvers.SDEAdaptive{Variable: solvers.Lambda, RTol: 0.04, ATol: 0.04, First: 0.05, MaxSteps: 10000}
		end := run(t, s, solvers.Problem{Denoiser: data, Grid: grid, Schedule: sch, Noise: noise}, x)
		sum := 0.0
		for _, v := range end {
			sum += v * v
		}
		bias := sum/(rows*dim)/(c+0.05*0.05) - 1
		t.Logf("%s: relative bias of the variance %.3f", name, bias)
		// A standard error of √(2/2400) = 0.029; the bias of independent numbers
		// has been seen above 0.2 at this and at smaller tolerances.
		if exact := math.Abs(bias) < 4*0.029; exact != (name == "tree") {
			t.Errorf("%s: relative bias of the variance %.3f", name, bias)
		}
	}
}
