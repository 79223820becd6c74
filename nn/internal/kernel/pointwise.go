package kernel

import (
	"math"

	"snrlab/internal/simd/f32"
)

// A Function is a function of one number, applied to every element of an array.
type Function struct {
	value, slope func(x float64) float64
	apply        func(dst, x []float32)
	grad         func(dx, dy, x, y []float32)
}

// The functions that layers are made of.
var (
	// ReLU is max(x, 0), with slope 0 at 0.
	ReLU = &Function{
		value: func(x float64) float64 { return max(x, 0) },
		slope: func(x float64) float64 {
			if x <= 0 {
				return 0
			}
			return 1
		},
		apply: f32.ReLU,
		grad:  ofInput(f32.ReLUGrad),
	}
	// Sigmoid is σ(x) = 1/(1 + e^−x).
	Sigmoid = &Function{
		value: logistic[float64],
		slope: func(x float64) float64 { return logistic(x) * logistic(-x) },
		apply: f32.Sigmoid,
		grad:  ofInput(f32.SigmoidGrad),
	}
	// SiLU is x σ(x).
	SiLU = &Function{
		value: func(x float64) float64 { return x * logistic(x) },
		slope: func(x float64) float64 { return logistic(x) * (1 + x*logistic(-x)) },
		apply: f32.SiLU,
		grad:  ofInput(f32.SiLUGrad),
	}
	// Tanh is the hyperbolic tangent.
	Tanh = &Function{
		value: math.Tanh,
		slope: func(x float64) float64 { return 1 / (math.Cosh(x) * math.Cosh(x)) },
		apply: f32.Tanh,
		grad:  ofInput(f32.TanhGrad),
	}
	// GELU is x Φ(x), Φ the distribution function of the normal distribution.
	GELU = &Function{
		value: func(x float64) float64 { return x * normalCDF(x) },
		slope: func(x float64) float64 { return normalCDF(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi) },
		apply: f32.GELU,
		grad:  ofInput(f32.GELUGrad),
	}
	// GELUTanh is x (1 + tanh u)/2 with u = √(2/π) (x + 0.044715 x³), close to GELU.
	GELUTanh = &Function{
		value: func(x float64) float64 {
			return x * logistic(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))
		},
		slope: func(x float64) float64 {
			const c = 0.044715
			u := math.Sqrt(2/math.Pi) * (x + c*x*x*x)
			return logistic(2*u) * (1 + 2*x*math.Sqrt(2/math.Pi)*(1+3*c*x*x)*logistic(-2*u))
		},
		apply: f32.GELUTanh,
		grad:  ofInput(f32.GELUTanhGrad),
	}
	// Mish is x tanh(log(1 + e^x)).
	Mish = &Function{
		value: func(x float64) float64 { return x * math.Tanh(softplus(x)) },
		slope: func(x float64) float64 {
			v := math.Tanh(softplus(x))
			return v + x*logistic(x)*(1-v*v)
		},
		apply: f32.Mish,
		grad:  ofInput(f32.MishGrad),
	}
	// Exp is e^x.
	Exp = &Function{
		value: math.Exp,
		slope: math.Exp,
		apply: f32.Exp,
		grad:  func(dx, dy, _, y []float32) { f32.Mul(dx, dy, y) },
	}
)

// The functions of few numbers, times of rows say.
var (
	// Log is the natural logarithm.
	Log = plain(math.Log, func(x float64) float64 { return 1 / x })
	// Inverse is 1/x.
	Inverse = plain(func(x float64) float64 { return 1 / x }, func(x float64) float64 { return -1 / (x * x) })
)

// plain is a function without a kernel of its own.
func plain(value, slope func(x float64) float64) *Function {
	return &Function{
		value: value, slope: slope,
		apply: func(dst, x []float32) {
			for i, v := range x {
				dst[i] = float32(value(float64(v)))
			}
		},
		grad: func(dx, dy, x, _ []float32) {
			for i, v := range x {
				dx[i] = float32(float64(dy[i]) * slope(float64(v)))
			}
		},
	}
}

// ofInput is a gradient that is computed from x alone.
func ofInput(grad func(dx, dy, x []float32)) func(dx, dy, x, y []float32) {
	return func(dx, dy, x, _ []float32) { grad(dx, dy, x) }
}

func normalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// Apply writes f(x) into y.
func Apply[T Float](f *Function, y, x []T) {
	if is32[T]() {
		f.apply(single(y), single(x))
		return
	}
	for i, v := range x {
		y[i] = T(f.value(float64(v)))
	}
}

// ApplyGrad writes dy f'(x) into dx, which may be dy, for y = f(x).
func ApplyGrad[T Float](f *Function, dx, dy, x, y []T) {
	if is32[T]() {
		f.grad(single(dx), single(dy), single(x), single(y))
		return
	}
	for i, v := range x {
		dx[i] = dy[i] * T(f.slope(float64(v)))
	}
}
