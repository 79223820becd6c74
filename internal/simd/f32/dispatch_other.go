//go:build !amd64 || purego

package f32

func tile(rows int, segs []segment, off, sa int, b []float32, sb int, c []float32, ldc int, d []float32, ldd int, alpha, beta float32) {
	tileGo(rows, segs, off, sa, b, sb, c, ldc, d, ldd, alpha, beta)
}

func winogradInput(dst []float32, stride int, src []float32, at, row, pixel, top, bottom, left, right, n int, _ *transformRoom) {
	winogradInputGo(dst, stride, src, at, row, pixel, top, bottom, left, right, n)
}

func winogradFilter(dst []float32, stride int, src []float32, ld, run, row, n int, _ *transformRoom) {
	winogradFilterGo(dst, stride, src, ld, run, row, n)
}

func winogradOutputGrad(dst []float32, stride int, src []float32, at, row, pixel, top, bottom, left, right, n int, _ *transformRoom) {
	winogradOutputGradGo(dst, stride, src, at, row, pixel, top, bottom, left, right, n)
}

func winogradFilterGrad(dst []float32, stride int, src []float32, ld, n int, _ *transformRoom) {
	winogradFilterGradGo(dst, stride, src, ld, n)
}

func winogradProduct(c, a []float32, lda, sa int, b []float32, rows, k int, add bool) {
	winogradProductGo(c, a, lda, sa, b, rows, k, add)
}

func winogradOutput(c []float32, row, pixel, height, width int, m []float32, stride, n int, bias, d []float32, beta float32, _ *transformRoom) {
	winogradOutputGo(c, row, pixel, height, width, m, stride, n, bias, d, beta)
}

func patches(c []float32, ldc int, a []float32, step int, offsets []int, b []float32, n int, d []float32, ldd int, beta float32) {
	patchesGo(c, ldc, a, step, offsets, b, n, d, ldd, beta)
}

func packRows8(dst []float32, stride int, src []float32, ld, k int) {
	packRows8Go(dst, stride, src, ld, k)
}

func expShifted(dst, src []float32, shift float32) (sum float32) { return expGo(dst, src, shift) }

func decayed(dst, src []float32, shift float32) (sum float32) { return expGo(dst, src, shift) }

func largest(x []float32) float32 { return maxGo(x) }

func affineSiLUGrad(dst, dy, x, a, b []float32) { affineSiLUGradGo(dst, dy, x, a, b) }

func affine2(dst, x, y, a, b, c []float32) { affine2Go(dst, x, y, a, b, c) }

func moments(sum, product *[momentWidth]float64, channels int, x, y []float32, ld, n int) {
	momentsGo(sum, product, channels, x, y, ld, n)
}

func sums(x, y []float32) (sum, product float64) { return sumsGo(x, y) }

func adamStep(value, grad, mean, square []float32, c *[10][8]float32) {
	adamGo(value, grad, mean, square, c)
}

func momentumStep(value, grad, mean []float32, c *[7][8]float32) {
	momentumGo(value, grad, mean, c)
}

func toward(mean []float64, x []float32, rest float64) { towardGo(mean, x, rest) }
