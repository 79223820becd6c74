//go:build !purego

package f32

import (
	"math"
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

func winogradInput(dst []float32, stride int, src []float32, at, row, pixel, top, bottom, left, right, n int, room *transformRoom) {
	if avx2 {
		winogradInputAVX2(first(dst), stride, first(src), at, row, pixel, top, bottom, left, right, n, &zeros[0], room)
		return
	}
	winogradInputGo(dst, stride, src, at, row, pixel, top, bottom, left, right, n)
}

func winogradFilter(dst []float32, stride int, src []float32, ld, run, row, n int, room *transformRoom) {
	if avx2 {
		winogradFilterAVX2(first(dst), stride, first(src), ld, run, row, n, room)
		return
	}
	winogradFilterGo(dst, stride, src, ld, run, row, n)
}

func winogradOutputGrad(dst []float32, stride int, src []float32, at, row, pixel, top, bottom, left, right, n int, room *transformRoom) {
	if avx2 {
		winogradOutputGradAVX2(first(dst), stride, first(src), at, row, pixel, top, bottom, left, right, n, &zeros[0], room)
		return
	}
	winogradOutputGradGo(dst, stride, src, at, row, pixel, top, bottom, left, right, n)
}

func winogradFilterGrad(dst []float32, stride int, src []float32, ld, n int, room *transformRoom) {
	if avx2 {
		winogradFilterGradAVX2(first(dst), stride, first(src), ld, n, room)
		return
	}
	winogradFilterGradGo(dst, stride, src, ld, n)
}

func winogradProduct(c, a []float32, lda, sa int, b []float32, rows, k int, add bool) {
	if avx2 {
		winogradProductAVX2(first(c), first(a), lda, sa, first(b), rows, k, add)
		return
	}
	winogradProductGo(c, a, lda, sa, b, rows, k, add)
}

func winogradOutput(c []float32, row, pixel, height, width int, m []float32, stride, n int, bias, d []float32, beta float32, room *transformRoom) {
	if avx2 {
		winogradOutputAVX2(first(c), row, pixel, height, width, first(m), stride, n, first(bias), first(d), beta, room)
		return
	}
	winogradOutputGo(c, row, pixel, height, width, m, stride, n, bias, d, beta)
}

func patches(c []float32, ldc int, a []float32, step int, offsets []int, b []float32, n int, d []float32, ldd int, beta float32) {
	if avx2 {
		patchesAVX2(first(c), ldc, first(a), step, unsafe.SliceData(offsets), len(offsets), first(b), n, first(d), ldd, beta)
		return
	}
	patchesGo(c, ldc, a, step, offsets, b, n, d, ldd, beta)
}

func packRows8(dst []float32, stride int, src []float32, ld, k int) {
	if avx2 {
		packRows8AVX2(first(dst), stride, first(src), ld, k)
		return
	}
	packRows8Go(dst, stride, src, ld, k)
}

func expShifted(dst, src []float32, shift float32) (sum float32) {
	if avx2 {
		return expAVX2(first(dst), first(src), len(src), shift)
	}
	return expGo(dst, src, shift)
}

func decayed(dst, src []float32, shift float32) (sum float32) {
	if avx2 {
		return decayAVX2(first(dst), first(src), len(src), shift)
	}
	return expGo(dst, src, shift)
}

func largest(x []float32) float32 {
	if avx2 {
		return maxAVX2(first(x), len(x))
	}
	return maxGo(x)
}

func affineSiLUGrad(dst, dy, x, a, b []float32) {
	if avx2 {
		affineSiLUGradAVX2(first(dst), first(dy), first(x), first(a), first(b), len(x))
		return
	}
	affineSiLUGradGo(dst, dy, x, a, b)
}

func affine2(dst, x, y, a, b, c []float32) {
	if avx2 {
		affine2AVX2(first(dst), first(x), first(y), first(a), first(b), first(c), len(x))
		return
	}
	affine2Go(dst, x, y, a, b, c)
}

func moments(sum, product *[momentWidth]float64, channels int, x, y []float32, ld, n int) {
	if avx2 && channels == momentWidth {
		momentsAVX2(sum, product, first(x), first(y), ld, n)
		return
	}
	momentsGo(sum, product, channels, x, y, ld, n)
}

// sums returns Σ x_j and Σ x_j y_j in float64, in which the products are exact.
// The order of the sums is a function of the length alone.
func sums(x, y []float32) (sum, product float64) {
	if avx2 {
		return sumsAVX2(first(x), first(y), len(x))
	}
	return sumsGo(x, y)
}

func adamStep(value, grad, mean, square []float32, c *[10][8]float32) {
	if avx2 {
		adamAVX2(first(value), first(grad), first(mean), first(square), len(value), c)
		return
	}
	adamGo(value, grad, mean, square, c)
}

func momentumStep(value, grad, mean []float32, c *[7][8]float32) {
	if avx2 {
		momentumAVX2(first(value), first(grad), first(mean), len(value), c)
		return
	}
	momentumGo(value, grad, mean, c)
}

func toward(mean []float64, x []float32, rest float64) {
	if !avx2 {
		towardGo(mean, x, rest)
		return
	}
	whole := len(x) / 8 * 8
	if whole > 0 {
		towardAVX2(unsafe.SliceData(mean), first(x), whole, rest)
	}
	for i, v := range x[whole:] { // fused like the others: where they end is the splitting's affair
		m := &mean[whole+i]
		*m = math.FMA(rest, float64(v)-*m, *m)
	}
}
