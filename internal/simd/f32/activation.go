package f32

import "snrlab/internal/par"

// Exp writes e^src into dst, elementwise, to within 2 ulp. e^−∞ is 0, results
// below the normal range are denormal, and NaN stays NaN. dst may be src.
func Exp(dst, src []float32) {
	checkLen("dst", dst, len(src))
	expShifted(dst[:len(src)], src, 0)
}

// SiLU writes x σ(x), σ(x) = 1/(1 + e^−x), into dst, elementwise, to within 4 ulp
// where e^x is normal, x > −87. x = −∞ gives NaN, as in torch. dst may be x.
func SiLU(dst, x []float32) {
	checkLen("dst", dst, len(x))
	w := passes.Get()
	defer w.release()
	w.dst, w.src = dst, x
	par.Rows(len(x), expGrain, w.doSiLU)
}

// SiLUGrad writes the gradient of x for the gradient dy of SiLU's result into
// dx: dy σ(x) (1 + x σ(−x)), to within 2⁻²¹ of |dy| σ(x) (1 + |x| σ(−x)). dx may be
// dy or x.
func SiLUGrad(dx, dy, x []float32) {
	checkLen("dx", dx, len(x))
	checkLen("dy", dy, len(x))
	w := passes.Get()
	defer w.release()
	w.dst, w.second, w.src = dx, dy, x
	par.Rows(len(x), expGrain, w.doSiLUGrad)
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
	par.Rows(rows, max(1, expGrain/max(1, n)), w.doSoftmax)
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
	par.Rows(rows, max(1, expGrain/max(1, n)), w.doSoftmaxGrad)
}

// expGrain is the number of exponentials worth waking a worker for, about 10 µs.
const expGrain = 1 << 13

func (w *pass) silu(lo, hi int) { silu(w.dst[lo:hi], w.src[lo:hi]) }

func (w *pass) siluGrad(lo, hi int) { siluGrad(w.dst[lo:hi], w.second[lo:hi], w.src[lo:hi]) }

func (w *pass) softmax(lo, hi int) {
	for i := lo; i < hi; i++ {
		dst, x := w.dst[i*w.n:(i+1)*w.n], w.src[i*w.n:(i+1)*w.n]
		sum := expShifted(dst, x, largest(x))
		scaled(dst, dst, 1/sum)
	}
}

func (w *pass) softmaxGrad(lo, hi int) {
	for i := lo; i < hi; i++ {
		dx, dy, y := w.dst[i*w.n:(i+1)*w.n], w.second[i*w.n:(i+1)*w.n], w.src[i*w.n:(i+1)*w.n]
		shiftedProduct(dx, dy, y, float32(dot(dy, y)))
	}
}

// dot returns Σ x_j y_j in float64, in which the products are exact. The order of
// the sum is a function of the length alone.
func dot(x, y []float32) (sum float64) {
	var unused, products [momentWidth]float64
	whole := len(x) / momentWidth * momentWidth
	if whole > 0 { // lanes are summed like channels
		moments(&unused, &products, momentWidth, x, y, momentWidth, whole/momentWidth)
	}
	for _, v := range products {
		sum += v
	}
	for j, v := range x[whole:] {
		sum += float64(v) * float64(y[whole+j])
	}
	return sum
}
