package nn_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"snrlab/nn"
	"snrlab/nn/nntest"
)

func sinusoidOf[T nn.Float](dim int, options nn.Sinusoid) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.Sinusoid(in[0], dim, options) }
}

func TestSinusoid_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		options := nn.Sinusoid{FlipSinToCos: rapid.Bool().Draw(r, "flip"), MaxPeriod: rapid.SampledFrom([]float64{0, 100}).Draw(r, "period")}
		dim := size(r, "dim", 9)
		if dim >= 4 && rapid.Bool().Draw(r, "shift") {
			options.DownscaleFreqShift = 1
		}
		x := nntest.Row(size(r, "rows", 4))
		x.Draw = func(z float64) float64 { return 1000 * z }
		return nntest.Case{
			F64: sinusoidOf[float64](dim, options), F32: sinusoidOf[float32](dim, options), Inputs: []nntest.Input{x},
			Curved: 1e-6, // x ± h has lost three digits of h
		}
	})
}

// The definition, written out: frequencies 10000^(−i/(half − shift)).
func TestSinusoid_Golden(t *testing.T) {
	var tape nn.Tape[float32]
	x := tape.Constant([]float32{0, 999}, 2)
	y := tape.Sinusoid(x, 5, nn.Sinusoid{}).Value()
	want := []float64{
		0, 0, 1, 1, 0,
		math.Sin(999), math.Sin(9.99), math.Cos(999), math.Cos(9.99), 0,
	}
	compare := func(name string, got []float32, want []float64) {
		for i := range want {
			if math.Abs(float64(got[i])-want[i]) > 1e-7 { // rounding to float32
				t.Errorf("%s: wave %d is %v, expected %v", name, i, got[i], want[i])
			}
		}
	}
	compare("sinusoid", y, want)
	y = tape.Sinusoid(x, 4, nn.Sinusoid{FlipSinToCos: true, DownscaleFreqShift: 1}).Value()
	compare("flipped and shifted", y[4:], []float64{math.Cos(999), math.Cos(0.0999), math.Sin(999), math.Sin(0.0999)})
	w := tape.Constant([]float32{0.25, 16}, 2)
	y = tape.Fourier(tape.Constant([]float32{1, 0.25}, 2), w).Value()
	compare("fourier", y, []float64{1, 0, 0, 1, math.Sin(math.Pi / 8), 0, math.Cos(math.Pi / 8), 1})
}

func fourierOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
	return t.Fourier(in[0], in[1])
}

func TestFourier_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		return nntest.Case{
			F64: fourierOf[float64], F32: fourierOf[float32],
			Inputs: []nntest.Input{nntest.Row(size(r, "rows", 4)), nntest.In(size(r, "waves", 9))},
			Curved: 1e-5, // of order (2π h x w)⁴
		}
	})
}
