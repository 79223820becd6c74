package simd

import "math"

// Exp writes e^src into dst, elementwise, to within 2 ulp. e^−∞ is 0, results
// below the normal range are denormal, and NaN stays NaN. dst may be src.
// Exp panics if dst is shorter than src.
func Exp(dst, src []float64) {
	checkLen(dst, len(src))
	expShifted(dst[:len(src)], src, 0)
}

// SoftmaxRow writes e^{l_j − lse} into dst, where lse = log Σ_j e^{l_j} is
// returned. The largest logit is subtracted first, so that neither overflows.
// The order of the sum is a function of the length alone. dst may be logits.
//
// Logits of −Inf get 0. If all are −Inf, or there are none, lse is −Inf and
// dst NaN; a logit of +Inf or NaN makes everything NaN. SoftmaxRow panics if dst is
// shorter than logits.
func SoftmaxRow(dst, logits []float64) (lse float64) {
	checkLen(dst, len(logits))
	dst = dst[:len(logits)]
	peak := largest(logits)
	sum := expShifted(dst, logits, peak)
	scale := [maxTerms]float64{1 / sum}
	lin(dst, 1, &scale, &[maxTerms][]float64{dst}, false)
	if math.IsInf(peak, -1) && !anyNaN(logits) {
		return peak
	}
	return peak + math.Log(sum)
}

func anyNaN(x []float64) bool {
	for _, v := range x {
		if v != v {
			return true
		}
	}
	return false
}
