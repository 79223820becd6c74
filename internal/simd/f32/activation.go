package f32

// Exp writes e^src into dst, elementwise, to within 2 ulp. e^−∞ is 0, results
// below the normal range are denormal, and NaN stays NaN. dst may be src.
func Exp(dst, src []float32) {
	checkLen("dst", dst, len(src))
	expShifted(dst[:len(src)], src, 0)
}

// ReLU writes max(x, 0) into dst, elementwise; NaN stays NaN. dst may be x.
func ReLU(dst, x []float32) { unary(opReLU, moveGrain, dst, x, 0) }

// ReLUGrad writes the gradient of x for the gradient dy of ReLU's result into dx:
// dy where x > 0 and where x is NaN, 0 elsewhere. dx may be dy or x.
func ReLUGrad(dx, dy, x []float32) { slopes(opReLUGrad, moveGrain, dx, dy, x) }

// Sigmoid writes σ(x) = 1/(1 + e^−x) into dst, elementwise, to within 4 ulp where
// e^x is normal, x > −87. dst may be x.
func Sigmoid(dst, x []float32) { unary(opSigmoid, expGrain, dst, x, 0) }

// SigmoidGrad writes the gradient of x for the gradient dy of Sigmoid's result
// into dx: dy σ(x) σ(−x), to within 2⁻²¹ of itself where it is normal. dx may be
// dy or x.
func SigmoidGrad(dx, dy, x []float32) { slopes(opSigmoidGrad, expGrain, dx, dy, x) }

// SiLU writes x σ(x), σ(x) = 1/(1 + e^−x), into dst, elementwise, to within 4 ulp
// where e^x is normal, x > −87. x = −∞ gives NaN, as in torch. dst may be x.
func SiLU(dst, x []float32) { unary(opSiLU, expGrain, dst, x, 0) }

// SiLUGrad writes the gradient of x for the gradient dy of SiLU's result into
// dx: dy σ(x) (1 + x σ(−x)), to within 2⁻²¹ of |dy| σ(x) (1 + |x| σ(−x)). dx may be
// dy or x.
func SiLUGrad(dx, dy, x []float32) { slopes(opSiLUGrad, expGrain, dx, dy, x) }

// Tanh writes tanh x into dst, elementwise, to within 4 ulp. dst may be x.
func Tanh(dst, x []float32) { unary(opTanh, expGrain, dst, x, 0) }

// TanhGrad writes the gradient of x for the gradient dy of Tanh's result into dx:
// dy (1 − tanh² x), to within 2⁻²¹ of itself where the factor is above 2⁻¹²⁴. dx may be dy or x.
func TanhGrad(dx, dy, x []float32) { slopes(opTanhGrad, expGrain, dx, dy, x) }

// GELU writes x Φ(x), Φ the distribution function of the normal distribution,
// into dst, elementwise, to within 8 ulp where Φ(x) is normal, x > −12. x = −∞
// gives NaN, as in torch. dst may be x.
func GELU(dst, x []float32) { unary(opGELU, expGrain, dst, x, 0) }

// GELUGrad writes the gradient of x for the gradient dy of GELU's result into
// dx: dy (Φ(x) + x φ(x)), φ = Φ', to within 2⁻²¹ of |dy| (Φ(x) + |x| φ(x)). dx may
// be dy or x.
func GELUGrad(dx, dy, x []float32) { slopes(opGELUGrad, expGrain, dx, dy, x) }

// GELUTanh writes the approximation of GELU by tanh into dst, elementwise:
//
//	x (1 + tanh u)/2 = x σ(2u),  u = √(2/π) (x + 0.044715 x³)
//
// to within 2⁻²² (2 + |u|) of itself where e^2u is normal. dst may be x.
func GELUTanh(dst, x []float32) { unary(opGELUTanh, expGrain, dst, x, 0) }

// GELUTanhGrad writes the gradient of x for the gradient dy of GELUTanh's result
// into dx: dy σ(2u) (1 + 2 x u' σ(−2u)), to within 2⁻²¹ (2 + |u|) of its terms. dx
// may be dy or x.
func GELUTanhGrad(dx, dy, x []float32) { slopes(opGELUTanhGrad, expGrain, dx, dy, x) }

// Mish writes x tanh(log(1 + e^x)) into dst, elementwise, to within 8 ulp where
// e^x is normal, x > −87. x = −∞ gives NaN. dst may be x.
func Mish(dst, x []float32) { unary(opMish, expGrain, dst, x, 0) }

// MishGrad writes the gradient of x for the gradient dy of Mish's result into
// dx: with t = tanh(log(1 + e^x)), dy (t + x σ(x) (1 − t²)), to within 2⁻²⁰ of
// |dy| (t + |x| σ(x) (1 − t²)). dx may be dy or x.
func MishGrad(dx, dy, x []float32) { slopes(opMishGrad, expGrain, dx, dy, x) }

// slopes writes dy times the slope at x that f computes into dx.
func slopes(f function, grain int, dx, dy, x []float32) {
	checkLen("dx", dx, len(x))
	checkLen("dy", dy, len(x))
	elementwise(f, grain, dx[:len(x)], dy, x, nil, 0)
}

// Softmax writes e^(x_j − lse) into dst for every row of x, rows×n, where
// lse = log Σ_j e^(x_j) of the row. The largest of a row is subtracted first, so
// that neither overflows. The order of the sum is a function of n alone. dst may
// be x.
//
// Values of −Inf get 0. A row of −Inf alone, and a row with +Inf or NaN, gives NaN.
func Softmax(dst, x []float32, rows, n int) {
	checkLen("dst", dst, rows, n)
	checkLen("x", x, rows, n)
	w := passes.Get()
	defer w.release()
	w.dst, w.src, w.n = dst, x, n
	w.split(rows, expGrain/max(1, n), (*pass).softmax)
}

// SoftmaxGrad writes the gradient of x for the gradient dy of y = softmax(x) into
// dx, rows×n: y_j (dy_j − Σ_i dy_i y_i), the sum in float64. dx may be dy or y.
func SoftmaxGrad(dx, dy, y []float32, rows, n int) {
	checkLen("dx", dx, rows, n)
	checkLen("dy", dy, rows, n)
	checkLen("y", y, rows, n)
	w := passes.Get()
	defer w.release()
	w.dst, w.second, w.src, w.n = dx, dy, y, n
	w.split(rows, expGrain/max(1, n), (*pass).softmaxGrad)
}

func (w *pass) softmax(lo, hi int) {
	for i := lo; i < hi; i++ {
		dst, x := w.dst[i*w.n:(i+1)*w.n], w.src[i*w.n:(i+1)*w.n]
		sum := decayed(dst, x, largest(x))
		opScale.apply(dst, dst, nil, nil, numbers{1 / sum})
	}
}

func (w *pass) softmaxGrad(lo, hi int) {
	for i := lo; i < hi; i++ {
		dx, dy, y := w.dst[i*w.n:(i+1)*w.n], w.second[i*w.n:(i+1)*w.n], w.src[i*w.n:(i+1)*w.n]
		opShiftedMul.apply(dx, dy, y, nil, numbers{float32(dot(dy, y))})
	}
}
