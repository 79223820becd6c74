package models

import (
	"math"
	"strings"
	"testing"

	"snrlab/schedules"
)

// The flow solves dx̂/dŝ = (x̂ − D)/ŝ: checked by the derivative of the closed
// form against the denoiser.
func TestGaussian_Property_FlowIsProbabilityFlow(t *testing.T) {
	g := Gauss4()
	from := level(1, 10)
	x := states(t, g, from, 3, 1)
	flow := func(s float64) []float64 {
		y := make([]float64, len(x))
		if err := g.Flow(y, x, from, level(1, s)); err != nil {
			t.Fatal(err)
		}
		return y
	}
	for _, s := range []float64{0.01, 0.1, 0.5, 2, 10} {
		h := 1e-3 * s
		y, d := flow(s), make([]float64, len(x))
		if err := g.Denoise(ctx, d, Query{X: y, Rows: 3, At: []schedules.Level{level(1, s)}}); err != nil {
			t.Fatal(err)
		}
		m2, m1, p1, p2 := flow(s-2*h), flow(s-h), flow(s+h), flow(s+2*h)
		for i := range y {
			slope := (m2[i] - 8*m1[i] + 8*p1[i] - p2[i]) / (12 * h)
			// h⁴ is 1e-12 and rounding over h at most 1e-15·10/1e-5.
			if want := (y[i] - d[i]) / s; math.Abs(slope-want) > 1e-9 {
				t.Errorf("s = %g: dx/ds = %.12g, (x − D)/s = %.12g", s, slope, want)
			}
		}
	}
}

func TestGaussian_Invariant_FlowOnPaths(t *testing.T) {
	g := Gauss4()
	x := []float64{0.4, 2, -1, 3}
	flow := func(x []float64, from, to schedules.Level) []float64 {
		y := make([]float64, len(x))
		if err := g.Flow(y, x, from, to); err != nil {
			t.Fatal(err)
		}
		return y
	}
	// There and back, and in two steps.
	a, b, c := level(0.1, 0.9), level(0.5, 0.5), level(1, 0.01)
	if d, _ := worst(flow(flow(x, a, c), c, a), x); d > 1e-12 { // magnified by √(l+s²) ratios up to 100
		t.Errorf("there and back is off by %g", d)
	}
	if d, _ := worst(flow(flow(x, a, b), b, c), flow(x, a, c)); d > 1e-14 {
		t.Errorf("two steps differ from one by %g", d)
	}
	// Another path with the same λ gives the same x/α.
	scale := func(v []float64, s float64) []float64 {
		w := append([]float64(nil), v...)
		for i := range w {
			w[i] *= s
		}
		return w
	}
	vp := flow(x, level(0.6, 0.8), level(0.8, 0.6))
	ve := flow(scale(x, 1/0.6), level(1, 0.8/0.6), level(1, 0.75))
	if d, _ := worst(scale(ve, 0.8), vp); d > 1e-15 {
		t.Errorf("paths differ by %g", d)
	}
	// From pure noise, α = 0, the flow is the optimal map to the data, and the
	// limit of ever noisier starts.
	end := flow(x, level(0, 1), level(1, 0))
	near := flow(x, level(1e-9, 1), level(1, 0))
	if d, _ := worst(end, near); d > 1e-8 {
		t.Errorf("α = 0 and α = 1e-9 differ by %g", d)
	}
	if d, _ := worst(flow(end, level(1, 0), level(0, 1)), x); d > 1e-13 {
		t.Errorf("from the data back to the noise is off by %g", d)
	}
}

// The flow carries one marginal into the other.
func TestGaussian_Property_FlowKeepsMarginal(t *testing.T) {
	g := Gauss4()
	from, to := level(0.3, 0.9), level(0.9, 0.2)
	// A linear map: its matrix from unit vectors around the mean.
	mom, err := g.Moments(from, -1)
	if err != nil {
		t.Fatal(err)
	}
	rows := append([]float64(nil), mom.Mean...)
	for i := range 4 {
		e := append([]float64(nil), mom.Mean...)
		e[i]++
		rows = append(rows, e...)
	}
	if err := g.Flow(rows, rows, from, to); err != nil {
		t.Fatal(err)
	}
	toMom, err := g.Moments(to, -1)
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := worst(rows[:4], toMom.Mean); d > 1e-15 {
		t.Errorf("the mean is carried %g beside the mean", d)
	}
	cov, err := g.Covariance(from, -1)
	if err != nil {
		t.Fatal(err)
	}
	want, err := g.Covariance(to, -1)
	if err != nil {
		t.Fatal(err)
	}
	col := func(i, r int) float64 { return rows[4*(i+1)+r] - rows[r] } // image of e_i
	for r := range 4 {
		for c := range 4 {
			s := 0.0
			for i := range 4 {
				for j := range 4 {
					s += col(i, r) * cov[i*4+j] * col(j, c)
				}
			}
			if math.Abs(s-want[r*4+c]) > 1e-14 {
				t.Errorf("covariance (%d, %d) carried to %.17g, expected %.17g", r, c, s, want[r*4+c])
			}
		}
	}
}

func TestGaussian_Refuses(t *testing.T) {
	g, err := NewGaussian([]int{2}, []float64{0, 0}, []float64{1, 1, 1, 1}) // one direction without variance
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float64, 2)
	for want, err := range map[string]error{
		"direction without variance": g.Flow(x, x, level(1, 0), level(1, 1)),
		"equal multiples of 2":       g.Flow(x, x[:1], level(1, 1), level(1, 0)),
		"expected finite values":     g.Flow(x, x, level(1, 1), level(0, 0)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
	if err := g.Flow(x, x, level(1, 1), level(1, 0)); err != nil {
		t.Errorf("onto a thin set: %v", err)
	}
}
