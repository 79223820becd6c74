package metrics

import "snrlab/internal/par"

// Energy returns the energy distance [szekely2013],
//
//	2 E|X − Y| − E|X − X′| − E|Y − Y′|,
//
// which is 0 for equal laws and positive otherwise. The estimate is unbiased,
// pairs of a sample with itself being left out, and so may be a little
// negative. It costs n m distances.
func Energy(x, y Samples) (float64, error) {
	if err := checkPair(x, y, 2); err != nil {
		return 0, err
	}
	n, m := float64(x.Rows()), float64(y.Rows())
	between := distances(x, y) / (n * m)
	within := distances(x, x)/(n*(n-1)) + distances(y, y)/(m*(m-1))
	return 2*between - within, nil
}

// distances returns the sum of |x_i − y_j| over all pairs, row sums first.
func distances(x, y Samples) float64 {
	sums := make([]float64, x.Rows())
	par.Rows(len(sums), max(1, 1<<15/len(y.X)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			a := x.Row(i)
			for j := range y.Rows() {
				sums[i] += distance(a, y.Row(j))
			}
		}
	})
	total := 0.0
	for _, s := range sums {
		total += s
	}
	return total
}
