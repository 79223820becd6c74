package nntest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"snrlab/nn"
)

// Parameters holds the gradient of every parameter that is not frozen to the slope
// of apply in a random direction of it, by differences. apply puts its inputs on
// the tape itself.
func Parameters(t *testing.T, params nn.Params[float64], apply func(t *nn.Tape[float64]) *nn.Var[float64], seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 2))
	draw := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = r.NormFloat64()
		}
		return v
	}
	var along []float64 // of the result
	value := func(gradients bool) (sum float64) {
		var tape nn.Tape[float64]
		y := apply(&tape)
		if err := tape.Err(); err != nil {
			t.Fatal(err)
		}
		if along == nil {
			along = draw(y.Len())
		}
		for i, v := range y.Value() {
			sum += v * along[i]
		}
		if gradients {
			if err := tape.Backward(y, along); err != nil {
				t.Fatal(err)
			}
		}
		return sum
	}
	value(true)
	for _, p := range params {
		if p.Frozen {
			continue
		}
		u, want, size := draw(len(p.Value())), 0.0, 0.0
		for i, g := range p.Grad() {
			want += g * u[i]
			size += math.Abs(g * u[i])
		}
		at := func(h float64) float64 {
			before := slices.Clone(p.Value())
			defer copy(p.Value(), before)
			for i := range u {
				p.Value()[i] += h * u[i]
			}
			return value(false)
		}
		// Of order h⁴ beside a rounding of 1e-16/h.
		const h = 1e-3
		slope := (4*(at(h/2)-at(-h/2))/h - (at(h)-at(-h))/(2*h)) / 3
		if math.Abs(slope-want) > 1e-7*max(size, 1e-3) || size == 0 {
			t.Errorf("%s: the gradient says %v, differences %v", p.Name(), want, slope)
		}
	}
}
