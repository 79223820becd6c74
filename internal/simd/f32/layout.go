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

// transposeAll transposes count matrices of m×n.
func transposeAll(dst, src []float32, count, m, n int) {
	checkLen("dst", dst, count, m, n)
	checkLen("src", src, count, m, n)
	w := passes.Get()
	defer w.release()
	w.dst, w.src, w.m, w.n = dst, src, m, n
	w.split(count, moveGrain/max(1, m*n), (*pass).transpose)
}

// transpose transposes the matrices from lo to hi.
func (w *pass) transpose(lo, hi int) {
	for i := lo; i < hi; i++ {
		transpose(w.dst[i*w.m*w.n:], w.src[i*w.m*w.n:], w.m, w.n)
	}
}

// transpose writes the transposition of src, m×n, into dst, eight rows of a
// square that fits in the first cache at a time.
func transpose(dst, src []float32, m, n int) {
	const square = 64
	for top := 0; top < m; top += square {
		for left := 0; left < n; left += square {
			count := min(square, n-left)
			i := top
			for ; i+8 <= min(top+square, m); i += 8 {
				packRows8(dst[left*m+i:], m, src[i*n+left:], n, count)
			}
			for ; i < min(top+square, m); i++ {
				for p, v := range src[i*n+left : i*n+left+count] {
					dst[(left+p)*m+i] = v
				}
			}
		}
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
