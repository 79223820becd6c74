//go:build !purego

package f32

import (
	"unsafe"

	"snrlab/internal/simd"
)

// avx2 selects the assembly. Tests clear it to reach the portable kernels.
var avx2 = simd.Kernels() != simd.Portable

// first returns the address of x[0], and of nothing in particular if x is empty.
func first(x []float32) *float32 { return unsafe.SliceData(x) }

func tile(rows int, segs []segment, off, sa int, b []float32, sb int, c []float32, ldc int, d []float32, ldd int, alpha, beta float32) {
	if avx2 {
		tileAVX2(rows, (*[8]int64)(unsafe.Pointer(unsafe.SliceData(segs))), len(segs), off, sa, first(b), sb, first(c), ldc, first(d), ldd, alpha, beta)
		return
	}
	tileGo(rows, segs, off, sa, b, sb, c, ldc, d, ldd, alpha, beta)
}

func packRows8(dst []float32, stride int, src []float32, ld, k int) {
	if avx2 {
		packRows8AVX2(first(dst), stride, first(src), ld, k)
		return
	}
	packRows8Go(dst, stride, src, ld, k)
}
