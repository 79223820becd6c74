package solvers

import (
	"math"
	"testing"
)

// ∫₀¹ h e^{−h(1−z)} zⁿ dz by mpmath's quadrature at 15 digits, n = 0, 3, 7.
func TestExpMoments_Golden(t *testing.T) {
	for _, c := range []struct{ h, m0, m3, m7 float64 }{
		{1e-9, 9.9999999949999999e-10, 2.4999999995e-10, 1.2499999998611113e-10},
		{0.3, 0.25918177931828212, 0.070715707048414678, 0.036286502263269516},
		{3.9, 0.97975808855419566, 0.52614594765041267, 0.33670059459630308},
		{4.1, 0.98342732459823878, 0.53960964078307871, 0.34829979696721025},
		{-3.9, -48.402449105530167, -2.7321042942932454, -0.8237534789360369},
		{-4.1, -59.34028759736195, -3.0773019193594373, -0.89494657284153811},
		{12, 0.99999385578764666, 0.78819446577851515, 0.61873472951649078},
		{-12, -162753.79141900392, -563.82566464931915, -20.843632248525662},
	} {
		var m, f [8]float64
		expMoments(m[:], c.h)
		fallingMoments(f[:], -c.h)
		for i, want := range map[int]float64{0: c.m0, 3: c.m3, 7: c.m7} {
			// Seven steps of a recursion that loses a few bits.
			if math.Abs(m[i]/want-1) > 2e-13 {
				t.Errorf("h = %g: moment %d is %.17g, expected %.17g", c.h, i, m[i], want)
			}
			if want *= -math.Exp(c.h); math.Abs(f[i]/want-1) > 2e-13 {
				t.Errorf("h = %g: falling moment %d is %.17g, expected %.17g", -c.h, i, f[i], want)
			}
		}
	}
}

// The weights integrate every polynomial that the places determine, at places
// as uneven as the steps of a grid, with the node of a corrector.
func TestNodes_Property(t *testing.T) {
	for _, z := range [][]float64{{0}, {0, -1}, {0, 1}, {0, -0.3, -2, 1}, {0, -1, -2, -3, -4, -5, 1}, {0, -3, -3.5, -9}} {
		for _, h := range []float64{0.01, 0.7, -0.7, 6, -6} {
			var p nodes
			for _, v := range z {
				p.add(v, nil)
			}
			k := exponent{h: h}
			w := k.exact(&p)
			var m [maxNodes]float64
			k.moments(m[:])
			for n := range z {
				sum, size := 0.0, 0.0
				for j, v := range z {
					sum += w[j] * math.Pow(v, float64(n))
					size += math.Abs(w[j] * math.Pow(v, float64(n)))
				}
				// Rounding of the sum, and of moments.
				if math.Abs(sum-m[n]) > 1e-13*(size+math.Abs(m[n])) {
					t.Errorf("places %v, h = %g: ∫ z^%d is %.17g, expected %.17g", z, h, n, sum, m[n])
				}
			}
		}
	}
}
