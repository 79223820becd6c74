package f32

// ChannelsLast writes images [rows, channels, pixels], the order of torch, into
// dst as [rows, pixels, channels]. dst must not overlap src.
func ChannelsLast(dst, src []float32, rows, channels, pixels int) {
	transposeAll(dst, src, rows, channels, pixels)
}

// ChannelsFirst is the inverse of [ChannelsLast].
func ChannelsFirst(dst, src []float32, rows, channels, pixels int) {
	transposeAll(dst, src, rows, pixels, channels)
}

// FilterLast writes a filter [out, in, taps], the order of torch, into dst as
// [taps, in, out]. dst must not overlap src.
func FilterLast(dst, src []float32, out, in, taps int) {
	checkLen("dst", dst, out, in, taps)
	checkLen("src", src, out, in, taps)
	for i := range in {
		for t := range taps {
			row := dst[(t*in+i)*out:][:out]
			for o := range row {
				row[o] = src[(o*in+i)*taps+t]
			}
		}
	}
}

// FilterFirst is the inverse of [FilterLast].
func FilterFirst(dst, src []float32, out, in, taps int) {
	checkLen("dst", dst, out, in, taps)
	checkLen("src", src, out, in, taps)
	for i := range in {
		for t := range taps {
			for o, v := range src[(t*in+i)*out:][:out] {
				dst[(o*in+i)*taps+t] = v
			}
		}
	}
}

// transposeAll transposes count matrices of m×n, square by square.
func transposeAll(dst, src []float32, count, m, n int) {
	checkLen("dst", dst, count, m, n)
	checkLen("src", src, count, m, n)
	w := passes.Get()
	defer w.release()
	w.dst, w.src, w.m, w.n = dst, src, m, n
	w.split(count*squares(m)*squares(n), moveGrain/(square*square), (*pass).transpose)
}

// square is the side of the squares that are transposed at a time: such a one
// fits in the first cache.
const square = 64

// squares returns how many squares cover n values.
func squares(n int) int { return (n + square - 1) / square }

// transpose transposes the squares from lo to hi, along the rows of a matrix.
func (w *pass) transpose(lo, hi int) {
	down, right := squares(w.m), squares(w.n)
	for t := lo; t < hi; t++ {
		at := t / right / down * w.m * w.n
		top, left := t/right%down*square, t%right*square
		transpose(w.dst[at+left*w.m+top:], w.m, w.src[at+top*w.n+left:], w.n, min(square, w.m-top), min(square, w.n-left))
	}
}

// transpose writes the transposition of src, m×n, into dst, eight rows at a time.
func transpose(dst []float32, dstLD int, src []float32, srcLD, m, n int) {
	i := 0
	for ; i+8 <= m; i += 8 {
		packRows8(dst[i:], dstLD, src[i*srcLD:], srcLD, n)
	}
	for ; i < m; i++ {
		for p, v := range src[i*srcLD : i*srcLD+n] {
			dst[p*dstLD+i] = v
		}
	}
}

// CopyColumns copies a matrix, rows×n, whose rows lie srcLD values apart, to where
// they lie dstLD apart.
func CopyColumns(dst []float32, dstLD int, src []float32, srcLD, rows, n int) {
	columns(dst, dstLD, src, srcLD, rows, n, (*pass).copyColumns)
}

// AddColumns is CopyColumns that adds to what is there.
func AddColumns(dst []float32, dstLD int, src []float32, srcLD, rows, n int) {
	columns(dst, dstLD, src, srcLD, rows, n, (*pass).addColumns)
}

func columns(dst []float32, dstLD int, src []float32, srcLD, rows, n int, f func(w *pass, lo, hi int)) {
	checkMatrix("the result", false, rows, n, dst, dstLD)
	checkMatrix("the source", false, rows, n, src, srcLD)
	w := passes.Get()
	defer w.release()
	w.dst, w.m, w.src, w.srcLD, w.n = dst, dstLD, src, srcLD, n
	w.split(rows, moveGrain/max(1, n), f)
}

func (w *pass) copyColumns(lo, hi int) {
	for i := lo; i < hi; i++ {
		copy(w.dst[i*w.m:i*w.m+w.n], w.src[i*w.srcLD:])
	}
}

func (w *pass) addColumns(lo, hi int) {
	for i := lo; i < hi; i++ {
		to := w.dst[i*w.m : i*w.m+w.n]
		opAdd.apply(to, to, w.src[i*w.srcLD:], nil, numbers{})
	}
}

// SumRows writes the sum of the rows of x, rows×n, plus beta times what was
// there, into dst: the gradient of a bias. The sums are in float64, in an order
// that is a function of rows and n. β = 0 overwrites dst without reading it.
func SumRows(dst, x []float32, rows, n int, beta float32) {
	checkLen("dst", dst, n)
	checkLen("x", x, rows, n)
	if n == 0 {
		return
	}
	w := passes.Get()
	defer w.release()
	w.src, w.second = x, x
	w.sweep(Images{1, rows, n}, moveGrain, (*pass).blockSums, nil, nil)
	sums, _ := w.rowSums(0)
	for c, sum := range sums {
		if beta != 0 {
			sum += float64(beta) * float64(dst[c])
		}
		dst[c] = float32(sum)
	}
}
