package f32

import (
	"math"

	"snrlab/internal/par"
)

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
	checkLen("dst", dst, rows*n)
	checkLen("x", x, rows*n)
	w := passes.Get()
	defer w.release()
	w.dst, w.src, w.n = dst, x, n
	par.Rows(rows, max(1, expGrain/max(1, n)), w.doSoftmax)
}

// SoftmaxGrad writes the gradient of x for the gradient dy of y = softmax(x) into
// dx, rows×n: y_j (dy_j − Σ_i dy_i y_i), the sum in float64. dx may be dy or y.
func SoftmaxGrad(dx, dy, y []float32, rows, n int) {
	checkLen("dx", dx, rows*n)
	checkLen("dy", dy, rows*n)
	checkLen("y", y, rows*n)
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
		sum := 0.0
		for j, v := range dy {
			sum += float64(v) * float64(y[j])
		}
		mean := float32(sum)
		for j, v := range dy {
			dx[j] = y[j] * (v - mean)
		}
	}
}

// GroupNorm is the shape of the normalisation of channels-last images [Rows,
// Pixels, Channels] over groups of channels that follow each other:
//
//	y[r, p, c] = γ_c (x[r, p, c] − mean) rstd + β_c,  rstd = 1/√(var + Epsilon)
//
// with mean and variance, the mean of squares about it, of row r and the group
// of c over all pixels. A row depends on itself alone, bit for bit.
type GroupNorm struct {
	Rows, Pixels, Channels, Groups int
	Epsilon                        float64
}

// Statistics writes the mean and rstd of x into arrays [Rows, Groups]. The sums
// are in float64, in which squares of float32 values are exact: with n values in
// a group, the variance is within n·2⁻⁵²·(var + mean²) of the exact one.
func (g GroupNorm) Statistics(mean, rstd, x []float32) {
	g.check(x)
	checkLen("mean", mean, g.Rows*g.Groups)
	checkLen("rstd", rstd, g.Rows*g.Groups)
	w := passes.Get()
	defer w.release()
	w.norm, w.mean, w.rstd, w.src = g, mean, rstd, x
	par.Rows(g.Rows, max(1, moveGrain/max(1, g.Pixels*g.Channels)), w.doStatistics)
}

// Apply writes y for the statistics of x; γ and β have a value for every channel.
// With silu it writes SiLU of y, in the same pass. y may be x.
func (g GroupNorm) Apply(y, x, mean, rstd, gamma, beta []float32, silu bool) {
	g.check(x)
	checkLen("y", y, g.Rows*g.Pixels*g.Channels)
	checkLen("mean", mean, g.Rows*g.Groups)
	checkLen("rstd", rstd, g.Rows*g.Groups)
	checkLen("gamma", gamma, g.Channels)
	checkLen("beta", beta, g.Channels)
	w := passes.Get()
	defer w.release()
	w.norm, w.mean, w.rstd, w.src, w.dst, w.gamma, w.shift, w.activate = g, mean, rstd, x, y, gamma, beta, silu
	w.room = grow(w.room, 2*g.Rows*g.Channels)
	par.Rows(g.Rows, max(1, expGrain/max(1, g.Pixels*g.Channels)), w.doApply)
}

func (g GroupNorm) check(x []float32) {
	if g.Rows < 0 || g.Pixels < 1 || g.Groups < 1 || g.Channels < g.Groups || g.Channels%g.Groups != 0 {
		panic("f32: GroupNorm needs pixels, and channels that groups divide")
	}
	checkLen("x", x, g.Rows*g.Pixels*g.Channels)
}

func (w *pass) statistics(lo, hi int) {
	g := &w.norm
	size, count := g.Channels/g.Groups, float64(g.Channels/g.Groups*g.Pixels)
	var sums, squares [momentWidth]float64
	for r := lo; r < hi; r++ {
		x := w.src[r*g.Pixels*g.Channels:]
		sum, square := 0.0, 0.0
		for c := range g.Channels {
			at := c % momentWidth
			if at == 0 {
				moments(&sums, &squares, min(momentWidth, g.Channels-c), x[c:], g.Channels, g.Pixels)
			}
			sum, square = sum+sums[at], square+squares[at]
			if (c+1)%size == 0 {
				mean := sum / count
				i := r*g.Groups + c/size
				w.mean[i] = float32(mean)
				w.rstd[i] = float32(1 / math.Sqrt(max(0, square/count-mean*mean)+g.Epsilon))
				sum, square = 0, 0
			}
		}
	}
}

func (w *pass) apply(lo, hi int) {
	g := &w.norm
	size := g.Channels / g.Groups
	f := affine
	if w.activate {
		f = affineSiLU
	}
	for r := lo; r < hi; r++ {
		a, b := w.room[2*r*g.Channels:][:g.Channels], w.room[(2*r+1)*g.Channels:][:g.Channels]
		for c := range a {
			i := r*g.Groups + c/size
			scale := float64(w.gamma[c]) * float64(w.rstd[i])
			a[c], b[c] = float32(scale), float32(float64(w.shift[c])-float64(w.mean[i])*scale)
		}
		for p := range g.Pixels {
			at := (r*g.Pixels + p) * g.Channels
			f(w.dst[at:at+g.Channels], w.src[at:at+g.Channels], a, b)
		}
	}
}
