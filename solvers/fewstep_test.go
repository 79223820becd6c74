package solvers_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/solvers"
)

// jump is the exact trajectory function of data N(m, c) as a denoiser: the state at
// σ/α = smin of the trajectory through x.
type jump struct{ m, c, smin float64 }

func (j jump) Shape() []int { return []int{1} }

func (j jump) Denoise(_ context.Context, dst []float64, q models.Query) error {
	for i, x := range q.X {
		l := q.Level(i)
		dst[i] = j.m + (x-l.Alpha*j.m)*math.Sqrt(j.c+j.smin*j.smin)/math.Hypot(l.Alpha*math.Sqrt(j.c), l.Sigma)
	}
	return nil
}

// moments returns the exact mean and variance of the end of a run on data N(m, c)
// from the marginal of its first level, for a denoiser under which a step is affine:
// rows from the mean, from 1 above it, and with one draw at 1 have the coefficients.
func moments(t *testing.T, s solvers.Solver, d models.Denoiser, g schedules.Grid, sch schedules.Schedule, m, c float64) (mean, variance float64) {
	t.Helper()
	rows := 2 + g.Steps()
	draws, x := make([][]float64, g.Steps()), make([]float64, rows)
	for i := range x {
		x[i] = g[0].Alpha * m
	}
	x[1]++
	for i := range draws {
		draws[i] = make([]float64, rows)
		draws[i][2+i] = 1
	}
	x = run(t, s, solvers.Problem{Denoiser: d, Grid: g, Schedule: sch, Noise: solvers.NewReplay(draws)}, x)
	variance = (x[1] - x[0]) * (x[1] - x[0]) * (g[0].Alpha*g[0].Alpha*c + g[0].Sigma*g[0].Sigma)
	for _, v := range x[2:] {
		variance += (v - x[0]) * (v - x[0])
	}
	return x[0], variance
}

func closeTo(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-12*(1+math.Abs(want)) { // rounding, of differences of the rows
		t.Errorf("%s is %.15g, exactly %.15g", what, got, want)
	}
}

// noiseGrid is the grid of σ/α on a path; Inf is α = 0, where the path has it.
func noiseGrid(path schedules.Path, noises ...float64) schedules.Grid {
	var g schedules.Grid
	for _, s := range noises {
		l := schedules.Level{T: math.NaN()}
		l.Alpha, l.Sigma = path.Coeffs(snr.FromSigma(s))
		g = append(g, l)
	}
	return g
}

// A model that is an exact consistency function gives the exact law, whatever the
// number of steps and the path, from α = 0 too, to the boundary or σ = 0. An exact
// denoiser does not: a jump leaves the variance of D, c²/(c + ŝ²) of the marginal's.
func TestConsistency_Property(t *testing.T) {
	const m, c = 0.7, 0.25
	gauss, err := models.NewGaussian([]int{1}, []float64{m}, []float64{c})
	if err != nil {
		t.Fatal(err)
	}
	for _, smin := range []float64{0, 0.1} {
		s := parse(t, fmt.Sprintf("consistency(smin=%g)", smin))
		for _, path := range []schedules.Path{schedules.VPPath{}, schedules.VEPath{}, schedules.RFPath{}} {
			for _, noises := range [][]float64{{50, smin}, {50, 0.8, smin}, {math.Inf(1), 3, 1, 0.3, smin}} {
				if _, ve := path.(schedules.VEPath); ve {
					noises[0] = 50
				}
				g := noiseGrid(path, noises...)
				end := g[len(g)-1]
				where := fmt.Sprintf("%s on %s in %d steps: ", s, path, g.Steps())
				mean, v := moments(t, s, jump{m, c, smin}, g, nil, m, c)
				closeTo(t, where+"the mean", mean, end.Alpha*m)
				closeTo(t, where+"the variance", v, end.Alpha*end.Alpha*c+end.Sigma*end.Sigma)
				if smin > 0 {
					continue
				}
				_, v = moments(t, s, gauss, g, nil, m, c)
				want := c * c / (c + noises[0]*noises[0])
				for _, n := range noises[1:] {
					k := c / (c + n*n) // dD/dx̂
					want = k * k * (want + n*n)
				}
				closeTo(t, where+"the variance under the denoiser", v, want)
			}
		}
	}
}

// aimed is the denoiser whose e and D lead in one DDIM step from each level to where
// the exact trajectory of data N(m, c) is at another.
type aimed struct {
	m, c float64
	to   map[schedules.Level]float64 // σ/α
}

func (j aimed) Shape() []int { return []int{1} }

func (j aimed) Denoise(_ context.Context, dst []float64, q models.Query) error {
	for i, x := range q.X {
		l := q.Level(i)
		s, ok := j.to[l]
		if !ok {
			return fmt.Errorf("no aim from %+v", l)
		}
		end := j.m + (x-l.Alpha*j.m)*math.Sqrt(j.c+s*s)/math.Hypot(l.Alpha*math.Sqrt(j.c), l.Sigma)
		// end = D + s e = D (1 − s α/σ) + s x/σ.
		dst[i] = (end - s*x/l.Sigma) / (1 - s*l.Alpha/l.Sigma)
	}
	return nil
}

// An exact trajectory function gives the exact law for every γ. γ = 1 is a
// consistency step, and γ = 0 draws nothing.
func TestTCD_Property(t *testing.T) {
	const m, c = 0.7, 0.25
	rf := schedules.RF{Shift: 1}
	for _, gamma := range []float64{0, 0.3, 1} {
		g := schedules.Grid{rf.At(1), rf.At(0.8), rf.At(0.4), rf.At(0.1)}
		to := map[schedules.Level]float64{}
		for i, a := range g[:3] {
			down := (1 - gamma) * g[i+1].Sigma // t is σ
			to[a] = down / (1 - down)
		}
		s := parse(t, fmt.Sprintf("tcd(gamma=%g)", gamma))
		mean, v := moments(t, s, aimed{m, c, to}, g, rf, m, c)
		end := g[3]
		closeTo(t, s.String()+": the mean", mean, end.Alpha*m)
		closeTo(t, s.String()+": the variance", v, end.Alpha*end.Alpha*c+end.Sigma*end.Sigma)
	}
	mix, x := models.GM2D(), normals(4, 1)
	p := func() solvers.Problem {
		return solvers.Problem{
			Denoiser: mix, Schedule: rf, Noise: solvers.NewIndependent(solvers.RowKeys(rng.New(1), 0, 2)),
			Grid: schedules.Grid{rf.At(1), rf.At(0.8), rf.At(0.4), rf.At(0)},
		}
	}
	a, b := run(t, parse(t, "tcd(gamma=1)"), p(), x), run(t, parse(t, "consistency"), p(), x)
	for i := range a {
		closeTo(t, "tcd(gamma=1)", a[i], b[i])
	}
	if _, err := parse(t, "tcd(gamma=0)").Start(solvers.Problem{Denoiser: mix, Grid: p().Grid}, x); err != nil {
		t.Errorf("γ = 0 needs noise or a schedule: %v", err)
	}
}

func TestConsistency_Refuses(t *testing.T) {
	mix := models.GM2D()
	p := solvers.Problem{Denoiser: mix, Noise: solvers.NewReplay(nil), Grid: noiseGrid(schedules.VEPath{}, 80, 0.01, 0.001)}
	_, err := parse(t, "consistency(smin=0.002)").Start(p, []float64{1, 2})
	if err == nil || !strings.Contains(err.Error(), "level 2") || !strings.Contains(err.Error(), "smin") {
		t.Errorf("a grid below the boundary gives %v", err)
	}
	p.Grid[2] = schedules.Level{Alpha: 1}
	if _, err := parse(t, "consistency(smin=0.002)").Start(p, []float64{1, 2}); err != nil {
		t.Errorf("a grid to σ = 0 gives %v", err)
	}
}
