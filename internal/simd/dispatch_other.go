//go:build !amd64 || purego

package simd

// Kernels names the code that the functions of this package run.
func Kernels() string { return Portable }

func gemmTiles(tiles, kc int, a, b, c []float64, ldc int, alpha, beta float64) {
	gemmTilesGo(tiles, kc, a, b, c, ldc, alpha, beta)
}

func packRows4(dst []float64, stride int, src []float64, ld, k int) {
	packRows4Go(dst, stride, src, ld, k)
}

func expShifted(dst, src []float64, shift float64) (sum float64) { return expGo(dst, src, shift) }

func lin(dst []float64, terms int, coef *[maxTerms]float64, src *[maxTerms][]float64, _ bool) bool {
	return linGo(dst, terms, coef, src)
}

func finiteBlocks([]float64) int { return 0 }

func largest(x []float64) float64 { return maxGo(x) }

func dot(x, y []float64) float64 { return dotGo(x, y) }

func weightedSumSq(x, w []float64) float64 { return weightedSumSqGo(x, w) }

func fmas(n int) { fmasGo(n) }
