package data

import (
	"math"
	"testing"
)

// The embedded file is what it says: twenty or so components for each digit.
func TestDigits_Property(t *testing.T) {
	m, err := Digits()
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Shape; len(got) != 3 || got[0] != 1 || got[1] != 28 || got[2] != 28 {
		t.Fatalf("shape %v, want [1 28 28]", got)
	}
	weight := map[int]float64{}
	for k, l := range m.Labels {
		weight[l] += m.Weights[k]
	}
	if len(weight) != 10 {
		t.Fatalf("classes %v, want ten", weight)
	}
	// The classes of MNIST are between 9.0 % (fives) and 11.2 % (ones) of its 60,000 images; the fit keeps each share as it is.
	for digit, images := range map[int]float64{0: 5923, 1: 6742, 5: 5421, 8: 5851} {
		if got, want := weight[digit], images/60000; math.Abs(got-want) > 1e-12 { // sums of twenty rounded weights
			t.Errorf("share of digit %d is %.15g, want %.15g", digit, got, want)
		}
	}
	if len(digits) > 4<<20 {
		t.Errorf("embedded file has %d bytes, more than 4 MiB", len(digits))
	}
	// Corners are black in every training image, so every mean is −1 there and nothing loads on them.
	for k := range m.Len() {
		if got := m.Means[k*784]; got != -1 {
			t.Errorf("component %d: mean of the corner is %g, want −1", k, got)
		}
		for r := range m.Rank {
			if got := m.Loadings[(k*m.Rank+r)*784]; math.Abs(got) > 1e-6 { // rounding of an orthogonal basis
				t.Errorf("component %d: loading %d of the corner is %g, want 0", k, r, got)
			}
		}
	}
}
