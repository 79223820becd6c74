package metrics

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Repeats returns the mean of independent repeats of a measurement and the
// interval of the given level, 0.95 say, that holds the expected value if they
// scatter normally: mean ± t s/√n, with Student's t of n − 1 degrees of freedom.
func Repeats(v []float64, level float64) (mean float64, in Interval, err error) {
	if len(v) < 2 || !(level > 0 && level < 1) {
		return 0, Interval{}, fmt.Errorf("metrics: interval of %d repeats at level %g: expected at least 2 and a level in (0, 1)", len(v), level)
	}
	n := float64(len(v))
	mean = Mean(v)
	sum := 0.0
	for _, a := range v {
		sum += (a - mean) * (a - mean)
	}
	half := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile((1+level)/2) * math.Sqrt(sum/(n-1)/n)
	return mean, Interval{mean - half, mean + half}, nil
}
