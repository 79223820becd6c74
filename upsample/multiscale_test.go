package upsample

import (
	"math"
	"strings"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
)

// By hand: a 4×4 residual at sizes 4, 2 and 1.
func TestMultiscale_AgreesWith_Definition(t *testing.T) {
	r := []float64{
		1, 3, 0, 0,
		-1, 1, 0, 4,
		2, 2, 1, -1,
		2, 2, -1, 1,
	}
	m := Multiscale{Sizes: []int{4, 2, 1}}
	got, err := m.Loss([]int{1, 4, 4}, r)
	// Means of squares: of the pixels 48/16 = 3; of the blocks 1, 1, 2, 0: 6/4; of
	// the whole, 1.
	if want := 3.0/4 + 1.5/2 + 1.0; err != nil || math.Abs(got-want) > 1e-15 {
		t.Errorf("loss %.17g, %v: expected %g", got, err, want)
	}
	// Twice the same, and in two channels: the same mean.
	four := append(append([]float64{}, r...), append(append([]float64{}, r...), append(r, r...)...)...)
	if again, err := m.Loss([]int{2, 4, 4}, four); err != nil || math.Abs(again-got) > 1e-15 {
		t.Errorf("loss of copies %.17g, %v: expected %g", again, err, got)
	}
}

// The expectation over a field is the mean over its samples, and what the pooled
// fields say.
func TestMultiscale_Expected(t *testing.T) {
	p, err := models.PowerLaw{A: 1.5, Corner: 1, Variance: 2}.Power(16, 16)
	if err != nil {
		t.Fatal(err)
	}
	f, err := models.NewField([]int{1, 16, 16}, nil, p)
	if err != nil {
		t.Fatal(err)
	}
	m := Multiscale{Sizes: []int{2, 4, 16}}
	got, err := m.Expected(f)
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for _, s := range m.Sizes {
		pooled, err := f.Pool(16 / s)
		if err != nil {
			t.Fatal(err)
		}
		want += pooled.Variance() / float64(s)
	}
	if math.Abs(got/want-1) > 1e-13 {
		t.Errorf("expectation %.17g, of the pooled fields %.17g", got, want)
	}
	const n = 4000
	keys := make([]rng.Key, n)
	for i := range keys {
		keys[i] = rng.New(1).Split("sample", uint64(i))
	}
	x, sum, square := make([]float64, n*256), 0.0, 0.0
	if err := f.Sample(x, schedules.Level{Alpha: 1}, nil, keys); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		l, err := m.Loss([]int{1, 16, 16}, x[i*256:(i+1)*256])
		if err != nil {
			t.Fatal(err)
		}
		sum, square = sum+l/n, square+l*l/n
	}
	// Four standard errors.
	if se := math.Sqrt((square - sum*sum) / n); math.Abs(sum-got) > 4*se {
		t.Errorf("mean loss of %d samples %g ± %g, expected %g", n, sum, se, got)
	}
	// White residuals count 1/s² at size s: Σ 1/s · 1/(16/s)².
	white, err := models.NewField([]int{1, 16, 16}, nil, func() []float64 { p, _ := models.White{Variance: 1}.Power(16, 16); return p }())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Expected(white); err != nil || math.Abs(got-(2.0+4+16)/256) > 1e-15 {
		t.Errorf("white: %.17g, %v: expected %g", got, err, 22.0/256)
	}
}

func TestMultiscale_Refuses(t *testing.T) {
	for want, f := range map[string]func() error{
		"no sizes":         func() error { _, err := Multiscale{}.Weights(16); return err },
		"divides the side": func() error { _, err := Multiscale{Sizes: []int{5}}.Weights(16); return err },
		"equal sides": func() error {
			_, err := Multiscale{Sizes: []int{4}}.Loss([]int{1, 4, 8}, make([]float64, 32))
			return err
		},
		"numbers": func() error {
			_, err := Multiscale{Sizes: []int{4}}.Loss([]int{1, 4, 4}, make([]float64, 15))
			return err
		},
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
}
