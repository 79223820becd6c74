package models

import (
	"context"
	"math"
	"testing"

	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
)

// With no parameters set, the affine denoiser is the exact one of N(0, sd² I).
func TestAffine_AgreesWith_Gaussian(t *testing.T) {
	a, err := NewAffine([]int{3}, EDM{0.7}, make([]float64, 3), make([]float64, 3))
	if err != nil {
		t.Fatal(err)
	}
	g, err := IsotropicGaussian(3, 0.49)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float64, 12)
	rng.New(1).Normal(x)
	got, want := make([]float64, 12), make([]float64, 12)
	for _, at := range []schedules.Level{{Alpha: 0.8, Sigma: 0.6}, {Alpha: 0, Sigma: 1}, {Alpha: 1, Sigma: 0}, {Alpha: 1, Sigma: 30}} {
		q := Query{X: x, Rows: 4, At: []schedules.Level{at}}
		if err := a.Denoise(context.Background(), got, q); err != nil {
			t.Fatal(err)
		}
		if err := g.Denoise(context.Background(), want, q); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if math.Abs(got[i]-want[i]) > 1e-13*(1+math.Abs(want[i])) { // a few roundings
				t.Errorf("α = %g, σ = %g: D[%d] = %.17g, expected %.17g", at.Alpha, at.Sigma, i, got[i], want[i])
			}
		}
	}
}

// The gradient is the difference quotient of the loss.
func TestAffine_AgreesWith_Difference(t *testing.T) {
	ctx := context.Background()
	theta := make([]float64, 8)
	x, x0 := make([]float64, 12), make([]float64, 12)
	rng.New(2).Normal(theta)
	rng.New(3).Normal(x)
	rng.New(4).Normal(x0)
	q := Query{X: x, Rows: 3, At: []schedules.Level{{Alpha: 0.8, Sigma: 0.6}, {Alpha: 0.1, Sigma: 0.99}, {Alpha: 0, Sigma: 1}}}
	loss := func() float64 {
		a, err := NewAffine([]int{4}, EDM{0.5}, theta[:4], theta[4:])
		if err != nil {
			t.Fatal(err)
		}
		d := make([]float64, 12)
		if err := a.Denoise(ctx, d, q); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i := range d {
			sum += (x0[i] - d[i]) * (x0[i] - d[i])
		}
		return sum
	}
	a, err := NewAffine([]int{4}, EDM{0.5}, theta[:4], theta[4:])
	if err != nil {
		t.Fatal(err)
	}
	g := make([]float64, a.Parameters())
	if err := a.LossGradient(ctx, g, q, x0); err != nil {
		t.Fatal(err)
	}
	for i := range theta {
		const h = 1e-4
		theta[i] += h
		up := loss()
		theta[i] -= 2 * h
		down := loss()
		theta[i] += h
		// The loss is quadratic: the difference is exact but for rounding over h.
		if want := (up - down) / (2 * h); math.Abs(g[i]-want) > 1e-9*(1+math.Abs(want)) {
			t.Errorf("parameter %d: %.12g, difference %.12g", i, g[i], want)
		}
	}
}

// |Δ|² of every prediction is that of x₀ times the factor of its unit in package snr.
func TestPrediction_AgreesWith_Unit(t *testing.T) {
	for _, l := range []snr.LogSNR{-11, -2.5, 0, 0.7, 4, 13} {
		av, sv := l.VP()
		ar, sr := l.RF()
		vp, rf, ve := schedules.Level{Alpha: av, Sigma: sv}, schedules.Level{Alpha: ar, Sigma: sr}, schedules.Level{Alpha: 1, Sigma: l.Sigma()}
		for _, c := range []struct {
			p  Prediction
			at schedules.Level
			u  snr.Unit
		}{
			{X0{}, vp, snr.X0{}},
			{Eps{}, vp, snr.Eps{}},
			{Eps{}, rf, snr.Eps{}},
			{V{}, vp, snr.V{}},
			{Flow{}, rf, snr.Flow{}},
			{Flow{}, vp, snr.Flow{}}, // on any path
			{EDM{0.5}, ve, snr.EDM{SD: 0.5}},
			{EDM{0.5}, vp, snr.EDM{SD: 0.5}},
			{Score{}, vp, snr.Score{Path: snr.ScoreVP}},
			{Score{}, ve, snr.Score{Path: snr.ScoreVE}},
			{Score{}, rf, snr.Score{Path: snr.ScoreRF}},
		} {
			_, out, err := c.p.Encode(c.at) // F = skip x + out D
			if err != nil {
				t.Fatal(err)
			}
			if want := math.Exp(c.u.Log(l)); math.Abs(out*out/want-1) > 1e-12 {
				t.Errorf("%s at λ = %g: |ΔF|²/|Δx₀|² = %.15g, the unit says %.15g", c.p, float64(l), out*out, want)
			}
		}
	}
}

func TestNewAffine_Refuses(t *testing.T) {
	for _, a := range []struct {
		shape        []int
		edm          EDM
		scale, shift []float64
	}{
		{nil, EDM{1}, nil, nil},
		{[]int{0}, EDM{1}, nil, nil},
		{[]int{2}, EDM{0}, []float64{0, 0}, []float64{0, 0}},
		{[]int{2}, EDM{1}, []float64{0}, []float64{0, 0}},
		{[]int{1}, EDM{1}, []float64{math.NaN()}, []float64{0}},
	} {
		if _, err := NewAffine(a.shape, a.edm, a.scale, a.shift); err == nil {
			t.Errorf("%+v was accepted", a)
		}
	}
}
