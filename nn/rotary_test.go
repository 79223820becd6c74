package nn_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"snrlab/nn"
	"snrlab/nn/nntest"
)

func rotaryOf[T nn.Float](r nn.Rotary) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.Rotary(in[0], r) }
}

func TestRotary_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		options := nn.Rotary{Heads: size(r, "heads", 3), Base: rapid.SampledFrom([]float64{0, 100}).Draw(r, "base"), Width: size(r, "width", 4) - 1}
		return nntest.Case{F64: rotaryOf[float64](options), F32: rotaryOf[float32](options), Inputs: []nntest.Input{
			nntest.Row(size(r, "rows", 3), max(1, options.Width)*size(r, "lines", 4), options.Heads*4*size(r, "channels", 3)),
		}}
	})
}

// Pair i of token n is turned by n Base^(−2i/d).
func TestRotary_Golden(t *testing.T) {
	var tape nn.Tape[float64]
	x := make([]float64, 6*4)
	for i := range 12 {
		x[2*i] = 1 // every pair is (1, 0), and becomes the cosine and the sine
	}
	v := tape.Constant(x, 1, 6, 4)
	for name, c := range map[string]struct {
		options nn.Rotary
		angles  func(token int) [2]float64
	}{
		"sequence": {nn.Rotary{Heads: 1}, func(n int) [2]float64 { return [2]float64{float64(n), float64(n) / 100} }},
		"heads":    {nn.Rotary{Heads: 2}, func(n int) [2]float64 { return [2]float64{float64(n), float64(n)} }},
		"image":    {nn.Rotary{Heads: 1, Width: 3}, func(n int) [2]float64 { return [2]float64{float64(n / 3), float64(n % 3)} }},
	} {
		y := tape.Rotary(v, c.options).Value()
		for n := range 6 {
			for i, angle := range c.angles(n) {
				s, k := math.Sincos(angle)
				if got := y[n*4+2*i : n*4+2*i+2]; math.Abs(got[0]-k) > 1e-14 || math.Abs(got[1]-s) > 1e-14 {
					t.Errorf("%s: pair %d of token %d is %v, expected %v and %v", name, i, n, got, k, s)
				}
			}
		}
	}
}

// Products of queries and keys depend on differences of places alone.
func TestRotary_Invariant(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const tokens, d = 12, 8
	q, k := make([]float64, tokens*d), make([]float64, tokens*d)
	for i := range d {
		a, b := r.NormFloat64(), r.NormFloat64()
		for n := range tokens {
			q[n*d+i], k[n*d+i] = a, b // the same at all places
		}
	}
	for _, width := range []int{0, 4} {
		var tape nn.Tape[float64]
		options := nn.Rotary{Heads: 1, Width: width}
		q, k := tape.Rotary(tape.Constant(q, 1, tokens, d), options).Value(), tape.Rotary(tape.Constant(k, 1, tokens, d), options).Value()
		product := func(i, j int) float64 {
			sum := 0.0
			for c := range d {
				sum += q[i*d+c] * k[j*d+c]
			}
			return sum
		}
		// From 0 to 5, and the same step from 1: in the image a line and a column.
		if a, b, other := product(0, 5), product(1, 6), product(0, 6); math.Abs(a-b) > 1e-12 || math.Abs(a-other) < 1e-3 {
			t.Errorf("width %d: products over one difference of places are %v and %v, over another %v", width, a, b, other)
		}
	}
}
