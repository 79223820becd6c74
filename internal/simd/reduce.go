package simd

import "fmt"

// Dot returns Σ x_j y_j. The order of the sum is a function of the length
// alone. It panics if y is shorter than x.
func Dot(x, y []float64) float64 {
	checkLen(y, len(x))
	return dot(x, y[:len(x)])
}

// SumSq returns Σ x_j², in the order of [Dot].
func SumSq(x []float64) float64 { return dot(x, x) }

// WeightedSumSq returns Σ w_j x_j², in the order of [Dot]. It panics if w is
// shorter than x.
func WeightedSumSq(x, w []float64) float64 {
	checkLen(w, len(x))
	return weightedSumSq(x, w[:len(x)])
}

// Finite returns the index of the first value that is NaN or infinite, or −1.
func Finite(x []float64) (index int) {
	from := finiteBlocks(x)
	for i, v := range x[from:] {
		if v-v != 0 {
			return from + i
		}
	}
	return -1
}

// checkLen panics unless x has n values.
func checkLen(x []float64, n int) {
	if len(x) < n {
		panic(fmt.Sprintf("simd: slice of %d values beside one of %d", len(x), n))
	}
}
