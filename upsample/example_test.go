package upsample_test

import (
	"fmt"

	"snrlab/schedules"
	"snrlab/upsample"
)

// A 2×2 image asked of a model for one pixel: its noise is halved by pooling,
// so on the variance-exploding schedule the model is asked at σ/2.
func Example() {
	pair := upsample.Pair{Channels: 1, Height: 2, Width: 2, Factor: 2}
	y := make([]float64, pair.LowDim())
	pair.Pool(y, []float64{1, 2, 3, 4})
	sched, err := schedules.Parse("edm")
	if err != nil {
		panic(err)
	}
	level, scale, err := upsample.MatchedLevel(sched, sched.At(10), pair.Factor)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%v %.4g %.4g\n", y, level.Sigma, scale)
	// Output: [2.5] 5 1
}
