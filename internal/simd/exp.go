package simd

import "math"

// Exp writes e^src into dst, elementwise; −Inf gives 0.
func Exp(dst, src []float64) {
	for i, v := range src {
		dst[i] = math.Exp(v)
	}
}
