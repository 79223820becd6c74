package solvers

import (
	"math"
	"testing"
)

// Combinations longer than one pass over memory are sums all the same, and say
// where a value was not finite.
func TestWalk_LongCombinations(t *testing.T) {
	const dim = 5
	for n := 1; n <= maxTerms; n++ {
		w := &walk{dim: dim}
		var terms []term
		want := make([]float64, dim)
		for i := range n {
			v := make([]float64, dim)
			for j := range v {
				v[j] = math.Sin(float64(1 + i*dim + j))
				want[j] += float64(i+1) * v[j]
			}
			terms = append(terms, term{float64(i + 1), v})
		}
		dst := make([]float64, dim)
		w.lin(dst, terms...)
		for j := range dst {
			// 16 summands of at most 16, in another order of rounding.
			if math.Abs(dst[j]-want[j]) > 1e-13 {
				t.Errorf("%d terms: value %d is %g, expected %g", n, j, dst[j], want[j])
			}
		}
		terms[n-1].v[3] = math.NaN()
		w.lin(dst, terms...)
		bad, ok := w.err.(*NonFiniteError)
		if !ok || bad.Col != 3 || bad.Source != "denoiser" {
			t.Errorf("%d terms: NaN in the last gives %v", n, w.err)
		}
	}
}
