//go:build !purego

package simd

import "unsafe"

// avx2 selects the assembly. Tests clear it to reach the portable kernels.
var avx2 = hasAVX2()

// Kernels names the code that the functions of this package run.
func Kernels() string {
	if avx2 {
		return "AVX2 and FMA"
	}
	return Portable
}

// first returns the address of x[0], and of nothing in particular if x is empty.
func first(x []float64) *float64 { return unsafe.SliceData(x) }

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

func expShifted(dst, src []float64, shift float64) (sum float64) {
	if avx2 {
		return expAVX2(first(dst), first(src), len(src), shift)
	}
	return expGo(dst, src, shift)
}

func lin(dst []float64, terms int, coef *[maxTerms]float64, src *[maxTerms][]float64, stream bool) bool {
	if !avx2 {
		return linGo(dst, terms, coef, src)
	}
	var ptr [maxTerms]*float64
	for i, s := range src[:terms] {
		ptr[i] = first(s)
	}
	if !stream {
		return linAVX2(first(dst), len(dst), terms, coef, &ptr, false)
	}
	// Whole lines go past the caches; what comes before the first does not.
	head := min(int(-uintptr(unsafe.Pointer(first(dst)))%64/8), len(dst))
	ok := linAVX2(first(dst), head, terms, coef, &ptr, false)
	for i, s := range src[:terms] {
		ptr[i] = first(s[head:])
	}
	return linAVX2(first(dst[head:]), len(dst)-head, terms, coef, &ptr, true) && ok
}

// finiteBlocks returns the length of some leading part of x that is finite.
func finiteBlocks(x []float64) int {
	if avx2 {
		return finiteAVX2(first(x), len(x))
	}
	return 0
}

func largest(x []float64) float64 {
	if avx2 {
		return maxAVX2(first(x), len(x))
	}
	return maxGo(x)
}

func dot(x, y []float64) float64 {
	if avx2 {
		return dotAVX2(first(x), first(y), len(x))
	}
	return dotGo(x, y)
}

func weightedSumSq(x, w []float64) float64 {
	if avx2 {
		return weightedSumSqAVX2(first(x), first(w), len(x))
	}
	return weightedSumSqGo(x, w)
}

func fmas(n int) {
	if avx2 {
		fmasAVX2(n)
		return
	}
	fmasGo(n)
}
