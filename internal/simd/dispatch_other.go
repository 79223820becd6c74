//go:build !amd64 || purego

package simd

func gemmTiles(tiles, kc int, a, b, c []float64, ldc int, alpha, beta float64) {
	gemmTilesGo(tiles, kc, a, b, c, ldc, alpha, beta)
}

func packRows4(dst []float64, stride int, src []float64, ld, k int) {
	packRows4Go(dst, stride, src, ld, k)
}
