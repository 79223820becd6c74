package denoise_test

import (
	"context"
	"fmt"

	"snrlab/models"
	"snrlab/nn/denoise"
	"snrlab/nn/unet"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// A checkpoint of diffusers, as it is on disk, becomes a denoiser that every
// solver takes, on any path.
func ExampleNew() {
	net, err := unet.Load[float32]("../unet/testdata/golden/tiny")
	if err != nil {
		fmt.Println(err)
		return
	}
	table := schedules.Beta{T: 1000}
	d, err := denoise.New(unet.Hooked[float32]{Net: net}, denoise.Training{
		Shape: []int{1, 16, 16}, Prediction: models.Eps{}, Schedule: table,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	grid, err := schedules.Trailing{}.Grid(table, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	x := make([]float64, 2*models.Dim(d))
	for i := range 2 {
		rng.New(1).Split("sample", uint64(i)).Normal(x[i*models.Dim(d) : (i+1)*models.Dim(d)])
	}
	count := models.NewCounter(d)
	_, err = solvers.Sample(context.Background(), solvers.DDIM{}, solvers.Problem{Denoiser: count, Grid: grid, Schedule: table}, x)
	fmt.Println(count.Calls(), "evaluations a sample,", err)
	// Output: 4 evaluations a sample, <nil>
}
