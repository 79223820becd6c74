package solvers_test

import (
	"math"
	"slices"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// place is a grid and the schedule that it lies on.
type place struct {
	grid schedules.Grid
	on   schedules.Schedule
}

// placesOf are grids of n steps of each family: with both ends where these
// belong to it.
func placesOf(t *testing.T, where solvers.Condition, n int) []place {
	sch := vp(0.02, 40)
	zero, noise := schedules.Level{T: math.NaN(), Alpha: 1}, schedules.Level{T: math.NaN(), Sigma: 1}
	karras := gridOf(t, schedules.Karras{Rho: 7}, sch, n)
	linear := schedules.VPLinear{BetaMin: 0.1, BetaMax: 20}
	inTime := gridOf(t, schedules.UniformT{TMin: 0.01}, linear, n)
	uneven := slices.Clone(karras)
	for i := 1; i < n; i += 2 { // every other level nearer to the next
		l := karras[i].LogSNR() + 0.4*(karras[i+1].LogSNR()-karras[i].LogSNR())
		uneven[i] = schedules.LevelAt(sch, l)
	}
	switch where {
	case solvers.AnyGrid:
		return []place{
			{karras, sch},
			{uneven, sch},
			{gridOf(t, schedules.UniformLambda{}, sch, n), sch},
			{append(slices.Clone(karras[:n]), zero), sch},
			{append(schedules.Grid{noise}, karras[1:]...), sch},
			{inTime, linear},
		}
	case solvers.WithoutTheEnds:
		return []place{{karras, sch}, {uneven, sch}, {inTime, linear}}
	case solvers.UniformNoise:
		return []place{{gridOf(t, schedules.Karras{Rho: 1}, sch, n), sch}}
	case solvers.UniformLogSNR:
		return []place{{gridOf(t, schedules.UniformLambda{}, sch, n), sch}}
	case solvers.TimeIsNoise:
		return []place{{karras, sch}, {uneven, sch}}
	case solvers.ExplodingPath:
		ve := schedules.EDM{SMin: 0.02, SMax: 40}
		return []place{{gridOf(t, schedules.Karras{Rho: 7}, ve, n), ve}, {gridOf(t, schedules.UniformLambda{}, ve, n), ve}}
	}
	t.Fatalf("unknown condition %q", where)
	return nil
}

// elsewhere are grids outside a condition, none for any grid.
func elsewhere(t *testing.T, where solvers.Condition, n int) []place {
	all := placesOf(t, solvers.AnyGrid, n)
	switch where {
	case solvers.UniformNoise, solvers.UniformLogSNR, solvers.ExplodingPath:
		return all[:1]
	case solvers.TimeIsNoise:
		return all[len(all)-1:]
	}
	return nil
}

// difference runs two solvers from the same start with the same noise and
// returns the largest difference of their ends, in 16 dimensions, where no two
// answers span the space.
func difference(t *testing.T, a, b string, at place) float64 {
	t.Helper()
	const rows = 4
	x := normals(rows*16, 1)
	ends := make([][]float64, 2)
	for i, name := range []string{a, b} {
		p := solvers.Problem{Denoiser: models.GMM16(), Grid: at.grid, Schedule: at.on, Noise: solvers.NewIndependent(solvers.RowKeys(rng.New(1), 0, rows))}
		ends[i] = run(t, parse(t, name), p, x)
	}
	worst := 0.0
	for i, v := range ends[0] {
		worst = max(worst, math.Abs(v-ends[1][i]))
	}
	return worst
}

func TestEquivalences_AgreesWith(t *testing.T) {
	for _, e := range solvers.Equivalences() {
		t.Run(e.Solvers[0]+"="+e.Solvers[1], func(t *testing.T) {
			if e.Why == "" {
				t.Error("no reason")
			}
			for _, n := range []int{1, 2, 3, 11} {
				if e.Steps > 0 && n > e.Steps {
					continue
				}
				for i, at := range placesOf(t, e.Where, n) {
					for _, other := range e.Solvers[1:] {
						// The same formula in another order of operations: rounding, amplified
						// by the cancellation of (σ/α) e at σ/α = 40, and at the noisy end of
						// vp-linear, where it is 150.
						if d := difference(t, e.Solvers[0], other, at); !(d < 1e-10) {
							t.Errorf("%s and %s differ by %.2g on grid %d of %d steps", e.Solvers[0], other, d, i, n)
						}
					}
				}
			}
			// What its condition leaves out is needed: one step more, other grids.
			if e.Steps > 0 {
				if d := difference(t, e.Solvers[0], e.Solvers[1], placesOf(t, e.Where, e.Steps+1)[0]); d < 1e-6 {
					t.Errorf("the solvers are the same on a grid of %d steps too (%.2g)", e.Steps+1, d)
				}
			}
			for _, at := range elsewhere(t, e.Where, 11) {
				for _, other := range e.Solvers[1:] {
					d := difference(t, e.Solvers[0], other, at)
					if always := together(e.Solvers[0], other); d < 1e-6 && !always {
						t.Errorf("%s and %s are the same outside %s too (%.2g)", e.Solvers[0], other, e.Where, d)
					}
				}
			}
		})
	}
}

// together says whether two solvers are one on any grid.
func together(a, b string) bool {
	for _, e := range solvers.Equivalences() {
		if e.Where == solvers.AnyGrid && e.Steps == 0 && slices.Contains(e.Solvers, a) && slices.Contains(e.Solvers, b) {
			return true
		}
	}
	return false
}

func TestLookalikes_Property(t *testing.T) {
	at := placesOf(t, solvers.AnyGrid, 10)[0]
	for _, l := range solvers.Lookalikes() {
		if d := difference(t, l.A, l.B, at); d < 1e-4 || l.Why == "" {
			t.Errorf("%s and %s differ by %.2g: expected two methods, and a reason", l.A, l.B, d)
		}
		if together(l.A, l.B) {
			t.Errorf("%s and %s are in both lists", l.A, l.B)
		}
	}
}

// Where η vanishes the SDE forms tend to the ODE. What is left of the noise is
// its factor: √(2ηh), √(η (e^{2h} − 1)), or η itself in ancestral steps, times
// states of up to 40.
func TestDPMSolvers_Limit_Noiseless(t *testing.T) {
	for name, eta := range map[string]string{
		"dpmpp-2m": "1e-26", "dpmpp-3m": "1e-26", "dpm-solver-2m": "1e-28", "dpm-solver-3": "1e-14", "dpmpp-3s-grid": "1e-26",
	} {
		for _, n := range []int{3, 11} {
			for i, at := range placesOf(t, solvers.WithoutTheEnds, n) {
				if d := difference(t, name, name+"(eta="+eta+")", at); d > 1e-10 {
					t.Errorf("%s at eta = %s differs by %.2g from its ODE form on grid %d of %d steps", name, eta, d, i, n)
				}
			}
		}
	}
}
