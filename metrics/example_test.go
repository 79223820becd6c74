package metrics_test

import (
	"fmt"

	"snrlab/metrics"
)

// Two solvers' errors at doubled steps, and their rows' spread.
func Example() {
	exact := metrics.Samples{X: []float64{0, 0, 1, 1}, Dim: 2}
	got := metrics.Samples{X: []float64{0.3, 0.4, 1, 1}, Dim: 2}
	e, err := metrics.RowErrors(got, exact)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("RMSE %.4f, 95th percentile %.3f\n", metrics.RMSE(e), metrics.Quantile(e, 0.95))

	fit := metrics.Order([]int{10, 20, 40}, []float64{4e-2, 1e-2, 2.5e-3}, 1e-12)
	fmt.Printf("order %.2f from n = %d to %d\n", fit.Order, fit.From, fit.To)
	// Output:
	// RMSE 0.3536, 95th percentile 0.475
	// order 2.00 from n = 20 to 40
}
