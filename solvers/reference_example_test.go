package solvers_test

import (
	"context"
	"fmt"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// The exact way of one sample from pure noise, α = 0, to data, σ = 0. For data
// N(0, I/4) it is x = √(α²/4 + σ²) z.
func ExampleReference() {
	gauss, err := models.IsotropicGaussian(2, 0.25)
	if err != nil {
		fmt.Println(err)
		return
	}
	p := solvers.Problem{
		Denoiser: gauss,
		Grid: schedules.Grid{
			{Alpha: 0, Sigma: 1},
			{Alpha: 0.6, Sigma: 0.8},
			{Alpha: 1, Sigma: 0},
		},
	}
	tr, err := solvers.Reference{RTol: 1e-10}.Solve(context.Background(), p, []float64{1, -0.5})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, l := range tr.Grid {
		fmt.Printf("α = %.1f, σ = %.1f: %.6f\n", l.Alpha, l.Sigma, tr.X[i])
	}
	// Output:
	// α = 0.0, σ = 1.0: [1.000000 -0.500000]
	// α = 0.6, σ = 0.8: [0.854400 -0.427200]
	// α = 1.0, σ = 0.0: [0.500000 -0.250000]
}
