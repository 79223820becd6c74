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

// Inversion and back loses what one first-order map loses: the error halves
// with each doubling from 50 steps on, and is of the recorded size.
func TestInvert_Order(t *testing.T) {
	const rows = 1000
	mix, sch := models.GM2D(), schedules.EDM{SMin: 0.002, SMax: 80}
	x := make([]float64, 2*rows)
	if err := mix.Sample(x, schedules.Level{Alpha: 1}, nil, solvers.RowKeys(rng.New(5), 0, rows)); err != nil {
		t.Fatal(err)
	}
	// The methods page, from data of its own: 20 % is the spread between sets.
	want := map[int]float64{10: 0.333, 20: 0.169, 50: 0.070, 100: 0.032, 200: 0.016}
	rmse := map[int]float64{}
	for n, w := range want {
		p := solvers.Problem{Denoiser: mix, Grid: gridOf(t, schedules.Karras{Rho: 7}, sch, n)}
		noise, err := solvers.Invert(context.Background(), p, x)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i, v := range run(t, parse(t, "euler"), p, noise) {
			sum += (v - x[i]) * (v - x[i])
		}
		rmse[n] = math.Sqrt(sum / rows)
		if math.Abs(rmse[n]-w) > 0.2*w {
			t.Errorf("round trip of %d steps: RMSE %.4f, expected about %.3f", n, rmse[n], w)
		}
	}
	for _, n := range []int{50, 100} {
		if r := rmse[n] / rmse[2*n]; math.Abs(r-2) > 0.2 {
			t.Errorf("doubling %d steps divides the round trip's error by %.2f, expected 2", n, r)
		}
	}
	clean := solvers.Problem{Denoiser: mix, Grid: schedules.Grid{{Alpha: 1, Sigma: 1}, {Alpha: 1}}}
	if _, err := solvers.Invert(context.Background(), clean, x); err == nil || !strings.Contains(err.Error(), "both above 0") {
		t.Error("inversion from σ = 0 was not refused")
	}
	noise := solvers.Problem{Denoiser: mix, Grid: schedules.Grid{{Sigma: 1}, {Alpha: 1, Sigma: 1}}}
	if _, err := solvers.Invert(context.Background(), noise, x); err == nil || !strings.Contains(err.Error(), "both above 0") {
		t.Error("inversion to α = 0 was not refused")
	}
}
