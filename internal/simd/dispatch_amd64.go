//go:build !purego

package simd

import "unsafe"

// avx2 selects the assembly. Tests clear it to reach the portable kernels.
var avx2 = hasAVX2()

func gemmTiles(tiles, kc int, a, b, c []float64, ldc int, alpha, beta float64) {
	if avx2 {
		gemmTilesAVX2(tiles, kc, first(a), first(b), first(c), ldc, alpha, beta)
		return
	}
	gemmTilesGo(tiles, kc, a, b, c, ldc, alpha, beta)
}

func packRows4(dst []float64, stride int, src []float64, ld, k int) {
	if avx2 {
		packRows4AVX2(first(dst), stride, first(src), ld, k)
		return
	}
	packRows4Go(dst, stride, src, ld, k)
}

// first returns the address of x[0], and of nothing in particular if x is empty.
func first(x []float64) *float64 { return unsafe.SliceData(x) }
