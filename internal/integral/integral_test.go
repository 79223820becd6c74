package integral

import (
	"math"
	"testing"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		name       string
		f          func(float64) float64
		a, b, want float64
	}{
		{"a polynomial", func(x float64) float64 { return x * x * x }, -1, 3, 20},
		{"a kink", func(x float64) float64 { return math.Abs(x - 0.3) }, 0, 1, (0.09 + 0.49) / 2},
		{"a step", func(x float64) float64 { return math.Ceil(x - 1/math.Pi) }, 0, 1, 1 - 1/math.Pi},
		{"a bump", func(x float64) float64 { return math.Exp(-x * x / 2) }, -12, 40, math.Sqrt(2 * math.Pi)},
		{"backwards", math.Exp, 1, 0, 1 - math.E},
	} {
		// Panels agree to 1e-13; a step is closed in on to 2⁻⁴⁰.
		if got := Of(c.f, c.a, c.b, 1e-14); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %.17g, expected %.17g", c.name, got, c.want)
		}
	}
	if v := Of(func(x float64) float64 { return 1 / math.Floor(x) }, 0, 2, 1e-9); !math.IsInf(v, 1) {
		t.Errorf("an infinite function has the integral %g", v)
	}
}
