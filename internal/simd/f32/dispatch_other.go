//go:build !amd64 || purego

package f32

func tile(rows int, segs []segment, off, sa int, b []float32, sb int, c []float32, ldc int, d []float32, ldd int, alpha, beta float32) {
	tileGo(rows, segs, off, sa, b, sb, c, ldc, d, ldd, alpha, beta)
}

func packRows8(dst []float32, stride int, src []float32, ld, k int) {
	packRows8Go(dst, stride, src, ld, k)
}
