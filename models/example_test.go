package models_test

import (
	"context"
	"fmt"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
)

// Ask the exact denoiser of a mixture at two noise levels at once, and count.
func Example() {
	d := models.NewCounter(models.GM2D())
	q := models.Query{
		X:    []float64{0.5, 0.5, 0.5, 0.5},
		Rows: 2,
		At:   []schedules.Level{{Alpha: 1, Sigma: 0.1}, {Alpha: 0, Sigma: 1}},
	}
	dst := make([]float64, len(q.X))
	if err := d.Denoise(context.Background(), dst, q); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("little noise: %.4f\n", dst[:2])
	fmt.Printf("all noise:    %.4f\n", dst[2:])
	fmt.Println("evaluations: ", d.Rows())
	// Output:
	// little noise: [0.4960 0.5080]
	// all noise:    [0.0270 0.1350]
	// evaluations:  2
}

// A trained ε-network becomes a denoiser, and says where it cannot be one.
func ExampleFromRaw() {
	gaussian, _ := models.IsotropicGaussian(1, 1)
	network := models.ToRaw(models.Eps{}, gaussian) // stands for one
	d := models.FromRaw(models.Eps{}, network)
	dst := make([]float64, 1)
	for _, at := range []schedules.Level{{Alpha: 0.6, Sigma: 0.8}, {Alpha: 0, Sigma: 1}} {
		q := models.Query{X: []float64{0.5}, Rows: 1, At: []schedules.Level{at}}
		if err := d.Denoise(context.Background(), dst, q); err != nil {
			fmt.Println("refused")
			continue
		}
		fmt.Printf("%.4f\n", dst)
	}
	// Output:
	// [0.3000]
	// refused
}

// Trajectories of a Gaussian are known in closed form, from pure noise to data.
func ExampleGaussian_Flow() {
	g := models.Gauss4()
	x := make([]float64, 4)
	rng.New(1).Normal(x)
	if err := g.Flow(x, x, schedules.Level{Alpha: 0, Sigma: 1}, schedules.Level{Alpha: 1, Sigma: 0}); err != nil {
		fmt.Println(err)
	}
	at := schedules.Level{Alpha: 1}
	m, _ := g.Moments(at, -1)
	fmt.Printf("mean %.3f, total variance %.3f\n", m.Mean, m.Total())
	// Output:
	// mean [0.076 1.290 0.364 -0.016], total variance 2.267
}
