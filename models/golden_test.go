package models

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"snrlab/schedules"
)

// TestDenoise_Golden compares with denoised estimates that published samplers
// were given, computed in Python; see testdata/calls.json.
func TestDenoise_Golden(t *testing.T) {
	var file struct {
		Calls []struct {
			Problem, Case string
			Call          int
			Alpha, Sigma  float64
			X, X0         [][]float64
		}
	}
	raw, err := os.ReadFile("testdata/calls.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	zoo := map[string]Exact{"gauss4a": Gauss4(), "gmm16a": GMM16(), "gmm2a": GMM2()}
	if len(file.Calls) < 20 {
		t.Fatalf("%d calls: expected the whole file", len(file.Calls))
	}
	for _, c := range file.Calls {
		d := zoo[c.Problem]
		dim := Dim(d)
		x := make([]float64, 0, len(c.X)*dim)
		for _, row := range c.X {
			x = append(x, row...)
		}
		got := make([]float64, len(x))
		q := Query{X: x, Rows: len(c.X), At: []schedules.Level{{T: math.NaN(), Alpha: c.Alpha, Sigma: c.Sigma}}}
		if err := d.Denoise(context.Background(), got, q); err != nil {
			t.Fatal(err)
		}
		for i, row := range c.X0 {
			for j, want := range row {
				// 1e-12 of the size of the data (about 1): both programs round
				// in a different order.
				if g := got[i*dim+j]; math.Abs(g-want) > 1e-12*max(1, math.Abs(want)) {
					t.Errorf("%s call %d (α = %g, σ = %g) row %d column %d: got %.17g, recorded %.17g (off by %.2g)",
						c.Case, c.Call, c.Alpha, c.Sigma, i, j, g, want, g-want)
				}
			}
		}
	}
}
