package models

import (
	"math"
	"testing"

	"snrlab/schedules"
	"snrlab/snr"
)

// lift spreads each coordinate of a mixture over a block of pixels of the same
// value.
func lift(m Components, pixels int) Components {
	d, k := size(m.Shape), len(m.Weights)
	out := Components{Shape: []int{d * pixels}, Weights: m.Weights, Residual: make([]float64, k)}
	for i := range k {
		for j := range d * pixels {
			out.Means = append(out.Means, m.Means[i*d+j/pixels])
		}
		for axis := range d {
			w := make([]float64, d*pixels)
			for j := range pixels {
				w[axis*pixels+j] = math.Sqrt(m.Residual[i])
			}
			out.Loadings = append(out.Loadings, w...)
		}
	}
	return out
}

// Pooling identity: an image of two regions constant over s² pixels, at λ, is the
// plane's mixture at λ + 2 log s. State by state the denoisers agree; on average
// the error is the published 0.2007 of λ = 0, at λ = −2 log 4 here.
func TestPooling_Identity(t *testing.T) {
	const side, pixels = 4, 16
	plane := GM2D()
	big := mustMixture(t, lift(Components{
		Shape: []int{2}, Weights: []float64{0.35, 0.40, 0.25},
		Means:    []float64{-0.60, 0.24, 0.48, 0.54, 0.18, -0.66},
		Residual: []float64{0.02, 0.04, 0.03},
	}, pixels))
	n := 20_000
	if testing.Short() {
		n = 200
	}
	a, s := snr.LogSNR(-2 * math.Log(side)).VP()
	at, matched := level(a, s), level(a, s/side)
	x, got := states(t, big, at, n, 3), make([]float64, n*2*pixels)
	pooled, want := make([]float64, 2*n), make([]float64, 2*n)
	for i, v := range x {
		pooled[i/pixels] += v / pixels
	}
	if err := big.Denoise(ctx, got, Query{X: x, Rows: n, At: []schedules.Level{at}}); err != nil {
		t.Fatal(err)
	}
	if err := plane.Denoise(ctx, want, Query{X: pooled, Rows: n, At: []schedules.Level{matched}}); err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		// Means over 16 pixels, and axes from a singular value decomposition.
		if math.Abs(v-want[i/pixels]) > 1e-11 {
			t.Fatalf("pixel %d is %.15g, the plane's %.15g", i, v, want[i/pixels])
		}
	}
	if testing.Short() {
		return
	}
	trace := make([]float64, n)
	if err := big.PosteriorTrace(ctx, trace, Query{X: x, Rows: n, At: []schedules.Level{at}}); err != nil {
		t.Fatal(err)
	}
	mean, square := 0.0, 0.0
	for _, v := range trace {
		v /= 2 * pixels
		mean, square = mean+v/float64(n), square+v*v/float64(n)
	}
	// Four standard errors, and the published digits with their own error of 1 %.
	if se := math.Sqrt((square - mean*mean) / float64(n)); math.Abs(mean-0.2007) > 4*se+0.00005+0.002 {
		t.Errorf("mse per pixel %.5f ± %.5f, published 0.2007", mean, se)
	}
}

// White control: of independent pixels the error per pixel at λ is the same at any
// size, so that a shift of λ would move it.
func TestPooling_White(t *testing.T) {
	const n = 20_000
	at := level(1, 1)
	mse := func(pixels int, at schedules.Level) (mean, se float64) {
		// All ways to give each pixel one of the two components of GM-1D.
		c := Components{Shape: []int{pixels}}
		for k := range 1 << pixels {
			w := 1.0
			for j := range pixels {
				m, v, p := -2.0, 0.09, 0.3
				if k>>j&1 == 1 {
					m, v, p = 1, 0.25, 0.7
				}
				w *= p
				c.Means, c.Residual = append(c.Means, m), append(c.Residual, v)
			}
			c.Weights = append(c.Weights, w)
		}
		m := mustMixture(t, c)
		x, trace := states(t, m, at, n, 5), make([]float64, n)
		if err := m.PosteriorTrace(ctx, trace, Query{X: x, Rows: n, At: []schedules.Level{at}}); err != nil {
			t.Fatal(err)
		}
		square := 0.0
		for _, v := range trace {
			v /= float64(pixels)
			mean, square = mean+v/n, square+v*v/n
		}
		return mean, math.Sqrt((square - mean*mean) / n)
	}
	one, se1 := mse(1, at)
	four, se4 := mse(4, at)
	if z := (one - four) / math.Hypot(se1, se4); math.Abs(z) > 4 {
		t.Errorf("mse per pixel of 1 and of 4 pixels: %.4f and %.4f, z = %.1f", one, four, z)
	}
	moved, se := mse(4, level(1, 2)) // λ − 2 log 2
	if z := (moved - one) / math.Hypot(se, se1); z < 20 {
		t.Errorf("a shift by 2 log 2 moves the error from %.4f to %.4f, z = %.1f: expected it to matter", one, moved, z)
	}
	// Fields say the same without chance.
	for _, side := range []int{2, 16, 64} {
		if got := field(t, side, side, "white").MSE(at); math.Abs(got-0.5) > 1e-14 {
			t.Errorf("white field of %d×%d: mse %.17g, expected 1/2", side, side, got)
		}
	}
}
