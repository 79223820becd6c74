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
