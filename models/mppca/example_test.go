package mppca_test

import (
	"context"
	"fmt"

	"snrlab/models/mppca"
	"snrlab/rng"
)

// Two clouds on lines, one along each axis.
func ExampleFit() {
	z := make([]float64, 2*2*500)
	rng.New(1).Normal(z)
	var x []float64
	for i := range 500 {
		x = append(x, 10+2*z[4*i], 0.1*z[4*i+1])
		x = append(x, 0.1*z[4*i+2], 10+2*z[4*i+3])
	}
	opt := mppca.Defaults()
	opt.Clusters, opt.Rank = 2, 1
	fit, err := mppca.Fit(context.Background(), x, 1000, 2, nil, opt)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(fit.Len(), "components, converged:", fit.Converged)
	fmt.Printf("weights %.1f, residual variances %.2f\n", fit.Weights, fit.Residual)
	// Output:
	// 2 components, converged: true
	// weights [0.5 0.5], residual variances [0.01 0.01]
}
