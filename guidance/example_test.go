package guidance_test

import (
	"context"
	"fmt"

	"snrlab/guidance"
	"snrlab/models"
	"snrlab/schedules"
)

// Towards class 1 of two classes on the line, at noise levels between 0.2 and 2
// only: outside of them the unconditional answer is not asked for.
func Example() {
	m, err := models.NewMixture(models.Components{
		Shape: []int{1}, Weights: []float64{1, 1}, Means: []float64{1, -1}, Residual: []float64{0.25, 0.25}, Labels: []int{1, 0},
	})
	if err != nil {
		panic(err)
	}
	d, err := guidance.CFG(m, guidance.Sigmas{G: 2, Lo: 0.2, Hi: 2}, guidance.Rescale{})
	if err != nil {
		panic(err)
	}
	q := models.Query{X: []float64{0.1, 0.1, 0.1}, Rows: 3, Labels: []int{1, 1, 1}}
	for _, sigma := range []float64{0.1, 1, 10} {
		q.At = append(q.At, schedules.Level{Alpha: 1, Sigma: sigma})
	}
	answer := make([]float64, 3)
	if err := d.Denoise(context.Background(), answer, q); err != nil {
		panic(err)
	}
	class, all := d.Counters()
	fmt.Printf("%.3f with %d and %d evaluations\n", answer, class.Rows(), all.Rows())

	// What it is said to sample.
	line, err := (guidance.Tilt{To: m, From: m, Class: 1, G: 2}).Line(schedules.Level{Alpha: 1})
	if err != nil {
		panic(err)
	}
	mean, sd := line.Moments()
	fmt.Printf("tilted law: mean %.3f, deviation %.3f\n", mean, sd)
	// Output:
	// [0.135 1.556 0.998] with 3 and 1 evaluations
	// tilted law: mean 1.036, deviation 0.468
}
