package upsample_test

import (
	"context"
	"fmt"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/upsample"
)

// A model of 2×2 images that has their brightness wrong is guided by a model of
// one pixel, which knows it: what it says of the pixel's mean is taken over, the
// differences between the pixels stay its own.
func Example() {
	pooling := upsample.Area{Channels: 1, Height: 2, Width: 2, Vertical: upsample.Factor{P: 2, Q: 1}, Horizontal: upsample.Factor{P: 2, Q: 1}}
	pair, err := pooling.Pair()
	if err != nil {
		panic(err)
	}
	high := gaussian(pair.HighShape(), 0, 1)
	low := gaussian(pair.LowShape(), 5, 0.25)
	sched, err := schedules.Parse("edm")
	if err != nil {
		panic(err)
	}
	guided, err := upsample.New(high, low, upsample.Guidance{Pair: pair, Strength: upsample.Constant{Theta: 1}, Low: sched})
	if err != nil {
		panic(err)
	}
	q := models.Query{X: []float64{1, 2, 3, 4}, Rows: 1, At: []schedules.Level{sched.At(1)}}
	d := make([]float64, 4)
	if err := high.Denoise(context.Background(), d, q); err != nil {
		panic(err)
	}
	fmt.Println("alone: ", d)
	if err := guided.Denoise(context.Background(), d, q); err != nil {
		panic(err)
	}
	fmt.Println("guided:", d)
	calls, err := guided.Plan(q.At)
	if err != nil {
		panic(err)
	}
	fmt.Printf("the low-resolution model is asked at σ = %g and costs %g of an evaluation\n", calls[0].Low.Sigma, guided.Evaluations().Share)
	// Output:
	// alone:  [0.5 1 1.5 2]
	// guided: [3 3.5 4 4.5]
	// the low-resolution model is asked at σ = 0.5 and costs 0.25 of an evaluation
}

// gaussian is the exact denoiser of independent values of one mean and variance.
func gaussian(shape []int, mean, variance float64) models.Denoiser {
	n := 1
	for _, s := range shape {
		n *= s
	}
	means := make([]float64, n)
	for i := range means {
		means[i] = mean
	}
	m, err := models.NewMixture(models.Components{Shape: shape, Weights: []float64{1}, Means: means, Residual: []float64{variance}})
	if err != nil {
		panic(err)
	}
	return m
}
