package kernel

import (
	"math"

	"snrlab/internal/simd/f32"
)

// Adam and Momentum are the numbers of a step, see [f32.Adam] and
// [f32.Momentum].
type (
	Adam     = f32.Adam
	Momentum = f32.Momentum
)

// AdamStep does a step, see [f32.Adam.Step].
func AdamStep[T Float](a Adam, value, grad, mean, square []T) {
	if is32[T]() {
		a.Step(single(value), single(grad), single(mean), single(square))
		return
	}
	for i, p := range value {
		g := a.Scale*float64(grad[i]) + a.Decay*float64(p)
		m := a.Beta1*float64(mean[i]) + (1-a.Beta1)*g
		v := a.Beta2*float64(square[i]) + (1-a.Beta2)*g*g
		mean[i], square[i] = T(m), T(v)
		value[i] = T(a.Shrink*float64(p) - a.Rate*m/(math.Sqrt(v)/a.Root+a.Epsilon))
	}
}

// MomentumStep does a step, see [f32.Momentum.Step].
func MomentumStep[T Float](m Momentum, value, grad, mean []T) {
	if is32[T]() {
		m.Step(single(value), single(grad), single(mean))
		return
	}
	for i, p := range value {
		g := m.Scale*float64(grad[i]) + m.Decay*float64(p)
		b := m.Momentum*float64(mean[i]) + m.Damp*g
		mean[i] = T(b)
		value[i] = T(float64(p) - m.Rate*(m.OfGrad*g+m.OfMean*b))
	}
}

// Toward moves averages toward x: mean = mean + rest (x − mean).
func Toward[T Float](mean []float64, x []T, rest float64) {
	if is32[T]() {
		f32.Toward(mean, single(x), rest)
		return
	}
	for i, v := range x {
		mean[i] += rest * (float64(v) - mean[i])
	}
}

// Dot is Σ x_i y_i in float64, in an order that is a function of the length.
func Dot[T Float](x, y []T) float64 {
	if is32[T]() {
		return f32.Dot(single(x), single(y))
	}
	sum := 0.0
	for i, v := range x {
		sum += float64(v) * float64(y[i])
	}
	return sum
}
