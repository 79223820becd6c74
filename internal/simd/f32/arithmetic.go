package f32

// Add writes x + y into dst, elementwise. dst may be x or y.
func Add(dst, x, y []float32) { binary(opAdd, moveGrain, dst, x, y, 0) }

// Sub writes x − y into dst, elementwise. dst may be x or y.
func Sub(dst, x, y []float32) { binary(opSub, moveGrain, dst, x, y, 0) }

// Mul writes x y into dst, elementwise. dst may be x or y.
func Mul(dst, x, y []float32) { binary(opMul, moveGrain, dst, x, y, 0) }

// AddTo adds x to dst, elementwise.
func AddTo(dst, x []float32) { binary(opAdd, moveGrain, dst, x, dst, 0) }

// MulAddTo adds x y to dst, elementwise.
func MulAddTo(dst, x, y []float32) {
	checkLen("dst", dst, len(x))
	checkLen("the second array", y, len(x))
	elementwise(opMulAdd, moveGrain, dst[:len(x)], x, y, dst, 0)
}

// AddNumber writes x + a into dst, elementwise. dst may be x.
func AddNumber(dst, x []float32, a float32) { unary(opAddNumber, moveGrain, dst, x, a) }

// Scale writes a x into dst, elementwise. dst may be x.
func Scale(dst, x []float32, a float32) { unary(opScale, moveGrain, dst, x, a) }

// ScaledAdd writes x + a y into dst, elementwise. dst may be x or y.
func ScaledAdd(dst, x, y []float32, a float32) { binary(opScaledAdd, moveGrain, dst, x, y, a) }

// scaled is Scale on this goroutine.
func scaled(dst, x []float32, a float32) { opScale.apply(dst[:len(x)], x, nil, nil, numbers{a}) }

// Sum returns Σ x_i in float64. The order of the sum is a function of the length
// alone.
func Sum(x []float32) float64 {
	sum, _ := reduce(x, x)
	return sum
}

// Dot returns Σ x_i y_i in float64, in which the products are exact. The order of
// the sum is a function of the length alone.
func Dot(x, y []float32) float64 {
	checkLen("the second array", y, len(x))
	_, product := reduce(x, y)
	return product
}

// sumBlock is the number of values that are summed at a time.
const sumBlock = 1 << 14

// reduce returns Σ x_i and Σ x_i y_i: those of each block, and then over blocks.
func reduce(x, y []float32) (sum, product float64) {
	w := passes.Get()
	defer w.release()
	blocks := (len(x) + sumBlock - 1) / sumBlock
	w.src, w.second, w.sums = x, y, grow64(w.sums, 2*blocks)
	w.split(blocks, moveGrain/sumBlock, (*pass).reduce)
	for b := range blocks {
		sum += w.sums[2*b]
		product += w.sums[2*b+1]
	}
	return sum, product
}

func (w *pass) reduce(lo, hi int) {
	for b := lo; b < hi; b++ {
		from, to := b*sumBlock, min((b+1)*sumBlock, len(w.src))
		w.sums[2*b], w.sums[2*b+1] = sums(w.src[from:to], w.second[from:to])
	}
}

// dot returns Σ x_j y_j in float64. The order of the sum is a function of the
// length alone.
func dot(x, y []float32) float64 {
	_, product := sums(x, y)
	return product
}

// grow64 returns x with length n, its values lost.
func grow64(x []float64, n int) []float64 {
	if cap(x) < n {
		return make([]float64, n)
	}
	return x[:n]
}
