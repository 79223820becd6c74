package metrics

import "math"

// OrderFit is an observed order of convergence and where it was seen.
type OrderFit struct {
	Order    float64 // slope of −log error over log n; NaN if there was no doubling to see it on
	From, To int     // smaller and larger n of the doubling; 0 without one
}

// Order returns the slope of the errors err[i] at n[i] steps over the last
// doubling that lies above the rounding floor: from the largest n whose error,
// like all before it, exceeds floor, back to the largest n of at most half as
// many. n must rise.
func Order(n []int, err []float64, floor float64) OrderFit {
	last := -1
	for i, e := range err {
		if !(e > floor) || math.IsInf(e, 1) {
			break
		}
		last = i
	}
	for i := last - 1; i >= 0; i-- {
		if 2*n[i] <= n[last] {
			slope := math.Log(err[i]/err[last]) / math.Log(float64(n[last])/float64(n[i]))
			return OrderFit{slope, n[i], n[last]}
		}
	}
	return OrderFit{Order: math.NaN()}
}
