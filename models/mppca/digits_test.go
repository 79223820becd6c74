package mppca

import (
	"math"
	"testing"

	"snrlab/data"
)

// What the embedded digits say of themselves is true: their log likelihood on
// the 10,000 test images, computed again from the file.
func TestDigits_AgreesWith_Origin(t *testing.T) {
	if testing.Short() {
		t.Skip("25 GFLOP")
	}
	d, err := data.Digits()
	if err != nil {
		t.Fatal(err)
	}
	test, err := data.LoadMNIST("", "test")
	if err != nil {
		t.Fatal(err)
	}
	m := Mixture{Dim: d.Dim(), Rank: d.Rank, Weights: d.Weights, Means: d.Means, Loadings: d.Loadings, Residual: d.Residual, Labels: d.Labels}
	got, err := m.PerDim(t.Context(), test.Values(), test.Len())
	if err != nil {
		t.Fatal(err)
	}
	if want := d.Origin.HeldOut.Stored; math.Abs(got/want-1) > 1e-9 { // sums in another order on another processor
		t.Errorf("%.12g nats per dimension, the file says %.12g", got, want)
	}
	if d.Origin.SHA256 != data.MNISTSum("train") {
		t.Errorf("fitted to images with SHA-256 %s, these have %s", d.Origin.SHA256, data.MNISTSum("train"))
	}
}
