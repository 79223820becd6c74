package f32

import "math"

// A function is an elementwise function of up to three arrays x, y, z and three
// numbers a, b, c. Those that need fewer ignore the rest.
type function int

// numbers are a, b and c.
type numbers [3]float32

const (
	opAdd function = iota
	opSub
	opMul
	opAddNumber
	opScale
	opScaledAdd
	opMulAdd
	opShiftedMul
	opNormalize
	opNormalizeAffine
	opCombine
	opReLU
	opReLUGrad
	opSigmoid
	opSigmoidGrad
	opSiLU
	opSiLUGrad
	opTanh
	opTanhGrad
	opGELU
	opGELUGrad
	opGELUTanh
	opGELUTanhGrad
	opMish
	opMishGrad
	opAffineSiLU
)

// definitions are the functions, value by value. Gradients take the gradient of
// the result as x and the argument of the function as y.
var definitions = [...]func(x, y, z float32, k numbers) float32{
	opAdd:        func(x, y, _ float32, _ numbers) float32 { return x + y },
	opSub:        func(x, y, _ float32, _ numbers) float32 { return x - y },
	opMul:        func(x, y, _ float32, _ numbers) float32 { return x * y },
	opAddNumber:  func(x, _, _ float32, k numbers) float32 { return x + k[0] },
	opScale:      func(x, _, _ float32, k numbers) float32 { return k[0] * x },
	opScaledAdd:  func(x, y, _ float32, k numbers) float32 { return x + k[0]*y },
	opMulAdd:     func(x, y, z float32, _ numbers) float32 { return x*y + z },
	opShiftedMul: func(x, y, _ float32, k numbers) float32 { return (x - k[0]) * y },
	opNormalize:  func(x, _, _ float32, k numbers) float32 { return (x - k[0]) * k[1] },
	opNormalizeAffine: func(x, y, z float32, k numbers) float32 {
		return (x-k[0])*k[1]*y + z
	},
	opCombine: func(x, y, _ float32, k numbers) float32 { return k[0]*x + (k[1]*y + k[2]) },
	opReLU:    func(x, _, _ float32, _ numbers) float32 { return max(x, 0) },
	opReLUGrad: func(x, y, _ float32, _ numbers) float32 {
		if y <= 0 {
			return 0
		}
		return x
	},
	opSigmoid:     func(x, _, _ float32, _ numbers) float32 { return float32(sigma(float64(x))) },
	opSigmoidGrad: slope(func(x float64) float64 { return sigma(x) * sigma(-x) }),
	opSiLU:        func(x, _, _ float32, _ numbers) float32 { return silu1(x) },
	opSiLUGrad:    slope(siluSlope),
	opTanh:        func(x, _, _ float32, _ numbers) float32 { return float32(math.Tanh(float64(x))) },
	opTanhGrad:    slope(func(x float64) float64 { return 4 * sigma(2*x) * sigma(-2*x) }),
	opGELU: func(x, _, _ float32, _ numbers) float32 {
		v := float64(x)
		return float32(v * phi(v))
	},
	opGELUGrad: slope(func(x float64) float64 {
		return phi(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	}),
	opGELUTanh: func(x, _, _ float32, _ numbers) float32 {
		v := float64(x)
		u, _ := geluAngle(v)
		return float32(v * sigma(2*u))
	},
	opGELUTanhGrad: slope(func(x float64) float64 {
		u, du := geluAngle(x)
		return sigma(2*u) * (1 + x*sigma(-2*u)*2*du)
	}),
	opMish: func(x, _, _ float32, _ numbers) float32 {
		v := float64(x)
		return float32(v * math.Tanh(softplus(v)))
	},
	opMishGrad: slope(func(x float64) float64 {
		t := softplus(x)
		return math.Tanh(t) + x*sigma(x)*4*sigma(2*t)*sigma(-2*t)
	}),
	opAffineSiLU: func(x, y, z float32, _ numbers) float32 { return silu1(x*y + z) },
}

// slope returns the gradient of a function whose derivative is f.
func slope(f func(float64) float64) func(x, y, z float32, k numbers) float32 {
	return func(x, y, _ float32, _ numbers) float32 { return float32(float64(x) * f(float64(y))) }
}

// sigma is 1/(1 + e^−x).
func sigma(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// silu1 is SiLU of one value, NaN at −∞.
func silu1(x float32) float32 { return float32(float64(x) * sigma(float64(x))) }

func siluSlope(x float64) float64 { return sigma(x) * (1 + x*sigma(-x)) }

// softplus is log(1 + e^x).
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// phi is the distribution function of the normal distribution.
func phi(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// geluAngle returns u = √(2/π) (x + 0.044715 x³) and its derivative.
func geluAngle(x float64) (u, du float64) {
	c := math.Sqrt(2 / math.Pi)
	return c * (x + 0.044715*x*x*x), c * (1 + 3*0.044715*x*x)
}

// portable writes f into dst, value by value.
func (f function) portable(dst, x, y, z []float32, k numbers) {
	g := definitions[f]
	x = x[:len(dst)]
	switch {
	case y == nil:
		for i, v := range x {
			dst[i] = g(v, 0, 0, k)
		}
	case z == nil:
		y = y[:len(dst)]
		for i, v := range x {
			dst[i] = g(v, y[i], 0, k)
		}
	default:
		y, z = y[:len(dst)], z[:len(dst)]
		for i, v := range x {
			dst[i] = g(v, y[i], z[i], k)
		}
	}
}
