package kernel

import (
	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

// CopyColumns copies a matrix, rows×n, whose rows are srcStride apart, to where
// they are dstStride apart.
func CopyColumns[T Float](dst []T, dstStride int, src []T, srcStride, rows, n int) {
	if is32[T]() {
		w := columnCopies.Get()
		defer columnCopies.Put(w)
		w.dst, w.dstStride, w.src, w.srcStride, w.n = single(dst), dstStride, single(src), srcStride, n
		const grain = 1 << 15 // numbers worth waking a worker for
		par.Rows(rows, max(1, grain/max(1, n)), w.do)
		w.dst, w.src = nil, nil
		return
	}
	for i := range rows {
		copy(dst[i*dstStride:i*dstStride+n], src[i*srcStride:])
	}
}

// AddColumns is CopyColumns that adds to what is there.
func AddColumns[T Float](dst []T, dstStride int, src []T, srcStride, rows, n int) {
	for i := range rows {
		to, from := dst[i*dstStride:i*dstStride+n], src[i*srcStride:i*srcStride+n]
		for j, v := range from {
			to[j] += v
		}
	}
}

// A columnCopy is one call of CopyColumns, reused with its closure.
type columnCopy struct {
	dst, src                []float32
	dstStride, srcStride, n int
	do                      func(lo, hi int)
}

var columnCopies = freelist.List[columnCopy]{New: func() *columnCopy {
	w := new(columnCopy)
	w.do = func(lo, hi int) {
		for i := lo; i < hi; i++ {
			copy(w.dst[i*w.dstStride:i*w.dstStride+w.n], w.src[i*w.srcStride:])
		}
	}
	return w
}}
