package tune_test

import (
	"context"
	"fmt"
	"log"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/solvers"
	"snrlab/tune"
)

// A grid of four steps for DDIM on a Gaussian, by the shortest path over levels of
// exact trajectories.
func ExampleGridSearch_Find() {
	ctx := context.Background()
	task, err := tune.NewTask(ctx, models.Gauss4(), 80, 0.01, 64, rng.New(1), 1e-8)
	if err != nil {
		log.Fatal(err)
	}
	search := tune.DefaultGridSearch("gits", 4)
	levels, err := search.Find(ctx, task, solvers.DDIM{})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range levels {
		fmt.Printf("%.2g ", s)
	}
	// Output: 80 2.6 1 0.42 0.01
}
