package f32

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// stepCase is n numbers of four arrays with room behind that must stay.
func stepCase(n int) [4][]float32 {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	var x [4][]float32
	for i := range x {
		x[i] = make([]float32, n+3)
		for j := range x[i] {
			x[i][j] = float32(r.NormFloat64())
			if i == 3 { // a mean of squares
				x[i][j] *= x[i][j]
			}
		}
	}
	return x
}

// checkStep fails where a result differs from want by more than some roundings of
// its terms, and where something behind the arrays has changed.
func checkStep(t *testing.T, n int, name string, got, was []float32, want func(i int) (value, size float64)) {
	t.Helper()
	for i, v := range got {
		if i >= n {
			if v != was[i] {
				t.Fatalf("n = %d: %s changed behind its end", n, name)
			}
			continue
		}
		w, size := want(i)
		if !(math.Abs(float64(v)-w) <= size*0x1p-21) {
			t.Fatalf("n = %d: %s[%d] is %v, want %v", n, name, i, v, w)
		}
	}
}

func TestAdam_AgreesWith_float64(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		a := Adam{Scale: 0.75, Decay: 0.1, Shrink: 0.95, Beta1: 0.9, Beta2: 0.99, Root: 0.5, Epsilon: 1e-3, Rate: 0.2}
		for n := range 35 {
			x, was := stepCase(n), stepCase(n)
			a.Step(x[0][:n], x[1][:n], x[2][:n], x[3][:n])
			mean := func(i int) (float64, float64) {
				g := 0.75*float64(was[1][i]) + 0.1*float64(was[0][i])
				old := 0.9 * float64(was[2][i])
				return old + 0.1*g, math.Abs(old) + 0.1*(math.Abs(float64(was[1][i]))+math.Abs(float64(was[0][i])))
			}
			square := func(i int) (float64, float64) {
				g := 0.75*float64(was[1][i]) + 0.1*float64(was[0][i])
				size := math.Abs(float64(was[1][i])) + math.Abs(float64(was[0][i]))
				return 0.99*float64(was[3][i]) + 0.01*g*g, float64(was[3][i]) + 0.01*size*size
			}
			checkStep(t, n, "mean", x[2], was[2], mean)
			checkStep(t, n, "square", x[3], was[3], square)
			checkStep(t, n, "grad", x[1], was[1], func(i int) (float64, float64) { return float64(was[1][i]), 0 })
			checkStep(t, n, "value", x[0], was[0], func(i int) (float64, float64) {
				m, size := mean(i)
				v, wide := square(i)
				root := math.Sqrt(v)/0.5 + 1e-3
				return 0.95*float64(was[0][i]) - 0.2*m/root, math.Abs(float64(was[0][i])) + 0.2*(size/root+math.Abs(m)/root*(1+wide/v))
			})
		}
	})
}

func TestMomentum_AgreesWith_float64(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		m := Momentum{Scale: 0.75, Decay: 0.1, Momentum: 0.8, Damp: 0.6, OfGrad: 0.3, OfMean: 0.7, Rate: 0.2}
		for n := range 35 {
			x, was := stepCase(n), stepCase(n)
			m.Step(x[0][:n], x[1][:n], x[2][:n])
			grad := func(i int) (float64, float64) {
				return 0.75*float64(was[1][i]) + 0.1*float64(was[0][i]), math.Abs(float64(was[1][i])) + math.Abs(float64(was[0][i]))
			}
			mean := func(i int) (float64, float64) {
				g, size := grad(i)
				return 0.8*float64(was[2][i]) + 0.6*g, math.Abs(float64(was[2][i])) + size
			}
			checkStep(t, n, "mean", x[2], was[2], mean)
			checkStep(t, n, "grad", x[1], was[1], func(i int) (float64, float64) { return float64(was[1][i]), 0 })
			checkStep(t, n, "value", x[0], was[0], func(i int) (float64, float64) {
				g, size := grad(i)
				b, wide := mean(i)
				return float64(was[0][i]) - 0.2*(0.3*g+0.7*b), math.Abs(float64(was[0][i])) + size + wide
			})
		}
	})
}

// Gradient descent without momentum has no array of its own for the mean.
func TestMomentum_Invariant_MeanIsGrad(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		m := Momentum{Scale: 1, Decay: 0.1, Damp: 1, OfMean: 1, Rate: 0.2}
		x, y := stepCase(21), stepCase(21)
		m.Step(x[0], x[1], x[1])
		m.Step(y[0], y[1], y[2])
		if fmt.Sprint(x[0]) != fmt.Sprint(y[0]) {
			t.Errorf("%v\nwith an array of its own: %v", x[0], y[0])
		}
	})
}

func TestToward_AgreesWith_float64(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for n := range 35 {
			x := stepCase(n)[0]
			mean, was := make([]float64, n+3), make([]float64, n+3)
			for i, v := range stepCase(n)[1] {
				mean[i], was[i] = float64(v)/3, float64(v)/3
			}
			Toward(mean, x[:n], 0.3)
			for i, m := range mean {
				want := was[i]
				if i < n {
					want += 0.3 * (float64(x[i]) - want)
				}
				// Three roundings of numbers up to that size.
				if !(math.Abs(m-want) <= 0x1p-52*(math.Abs(was[i])+math.Abs(float64(x[i])))) {
					t.Fatalf("n = %d: mean[%d] is %v, want %v", n, i, m, want)
				}
			}
			// Where the work is split makes no difference.
			for cut := range n {
				parts := append([]float64(nil), was...)
				Toward(parts[:cut], x[:cut], 0.3)
				Toward(parts[cut:n], x[cut:n], 0.3)
				for i, m := range mean {
					if parts[i] != m {
						t.Fatalf("n = %d: mean[%d] is %v in one piece and %v if cut at %d", n, i, m, parts[i], cut)
					}
				}
			}
		}
	})
}
