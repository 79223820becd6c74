package kernel

import "snrlab/internal/simd/f32"

// CopyColumns copies a matrix, rows×n, whose rows are srcStride apart, to where
// they are dstStride apart.
func CopyColumns[T Float](dst []T, dstStride int, src []T, srcStride, rows, n int) {
	if is32[T]() {
		f32.CopyColumns(single(dst), dstStride, single(src), srcStride, rows, n)
		return
	}
	for i := range rows {
		copy(dst[i*dstStride:i*dstStride+n], src[i*srcStride:])
	}
}

// AddColumns is CopyColumns that adds to what is there.
func AddColumns[T Float](dst []T, dstStride int, src []T, srcStride, rows, n int) {
	if is32[T]() {
		f32.AddColumns(single(dst), dstStride, single(src), srcStride, rows, n)
		return
	}
	for i := range rows {
		to, from := dst[i*dstStride:i*dstStride+n], src[i*srcStride:i*srcStride+n]
		for j, v := range from {
			to[j] += v
		}
	}
}
