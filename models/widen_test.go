package models

import (
	"math"
	"slices"
	"testing"

	"snrlab/schedules"
)

func TestMixture_Classes(t *testing.T) {
	m, err := NewMixture(Components{Shape: []int{1}, Weights: []float64{1, 2, 1}, Means: []float64{0, 1, 2}, Residual: []float64{1, 1, 1}, Labels: []int{7, 2, 7}})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Classes(); !slices.Equal(got, []int{2, 7}) {
		t.Errorf("classes %v, expected [2 7]", got)
	}
	for label, want := range map[int]float64{-1: 1, 2: 0.5, 7: 0.5} {
		if got, err := m.ClassWeight(label); err != nil || math.Abs(got-want) > 1e-15 {
			t.Errorf("weight of class %d is %g, %v, expected %g", label, got, err, want)
		}
	}
	if _, err := m.ClassWeight(3); err == nil {
		t.Error("a class that is not there has a weight")
	}
	if got := GM2D().Classes(); len(got) != 0 {
		t.Errorf("a mixture without labels has the classes %v", got)
	}
}

// The covariance within each component is by times that of the original, and
// nothing else changes, for every family.
func TestMixture_Widened(t *testing.T) {
	loadings := []float64{0.3, 0.1, -0.2, 0.4, 0.2, -0.1}
	for name, c := range map[string]Components{
		"isotropic": {Residual: []float64{0.1, 0.2}},
		"low rank":  {Residual: []float64{0.1, 0.2}, Loadings: loadings},
		"diagonal":  {Residual: []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6}, Loadings: loadings},
		"full":      {Cov: []float64{1, 0.2, 0, 0.2, 1, 0.1, 0, 0.1, 2, 1, 0, 0, 0, 1, 0, 0, 0, 1}},
	} {
		c.Shape, c.Weights, c.Means, c.Labels = []int{3}, []float64{1, 3}, []float64{1, 2, 3, -1, 0, 1}, []int{0, 1}
		m, err := NewMixture(c)
		if err != nil {
			t.Fatal(err)
		}
		w, err := m.Widened(2.5)
		if err != nil {
			t.Fatal(err)
		}
		clean := schedules.Level{Alpha: 1}
		for label := range 2 {
			before, err := m.Covariance(clean, label)
			if err != nil {
				t.Fatal(err)
			}
			after, err := w.Covariance(clean, label)
			if err != nil {
				t.Fatal(err)
			}
			for i := range before {
				if math.Abs(after[i]-2.5*before[i]) > 1e-13 {
					t.Errorf("%s, component %d: covariance %d is %g, expected 2.5 × %g", name, label, i, after[i], before[i])
				}
			}
			a, _ := m.Moments(clean, label)
			b, _ := w.Moments(clean, label)
			if !slices.Equal(a.Mean, b.Mean) {
				t.Errorf("%s, component %d: mean %v became %v", name, label, a.Mean, b.Mean)
			}
		}
		// What was not widened is as it was, and the answers are those of a new mixture.
		d, dw := make([]float64, 3), make([]float64, 3)
		q := Query{X: []float64{0.3, -0.2, 0.5}, Rows: 1, At: []schedules.Level{{Alpha: 1, Sigma: 0.7}}}
		if err := m.Denoise(t.Context(), d, q); err != nil {
			t.Fatal(err)
		}
		if err := w.Denoise(t.Context(), dw, q); err != nil {
			t.Fatal(err)
		}
		scaled := c
		scaled.Residual, scaled.Loadings, scaled.Cov = scaledBy(c.Residual, 2.5), scaledBy(c.Loadings, math.Sqrt(2.5)), scaledBy(c.Cov, 2.5)
		fresh, err := NewMixture(scaled)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float64, 3)
		if err := fresh.Denoise(t.Context(), want, q); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if math.Abs(dw[i]-want[i]) > 1e-13 || d[i] == dw[i] {
				t.Errorf("%s: D of the widened mixture has %g at %d, expected %g; of the original %g", name, dw[i], i, want[i], d[i])
			}
		}
	}
	for _, by := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if _, err := GM2D().Widened(by); err == nil {
			t.Errorf("widened by %g", by)
		}
	}
}

func scaledBy(x []float64, by float64) []float64 {
	if x == nil {
		return nil
	}
	y := slices.Clone(x)
	for i := range y {
		y[i] *= by
	}
	return y
}
