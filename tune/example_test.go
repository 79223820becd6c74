package tune_test

import (
	"context"
	"fmt"
	"log"

	"snrlab/metrics"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
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

// The schedule on which the variational bound of a mixture varies least, as a schedule.
func ExampleScheduleFit() {
	ctx := context.Background()
	m := models.GM1D()
	bound, err := snr.ParseRecipe("vdm") // levels uniform from λ = −5 to 13.3
	if err != nil {
		log.Fatal(err)
	}
	fit := tune.DefaultScheduleFit(bound)
	p, err := fit.Run(ctx, m, m, nil)
	if err != nil {
		log.Fatal(err)
	}
	s := schedules.FromDensity{Of: p, To: schedules.VPPath{}}
	fmt.Printf("ends %.1f and %.1f\n", float64(s.At(1).LogSNR()), float64(s.At(0).LogSNR()))

	// What it gains, on other draws.
	var at []snr.LogSNR
	for l := -5.0; l < 13.3; l += 0.15 {
		at = append(at, snr.LogSNR(l))
	}
	list, err := metrics.Difficulties(ctx, m, m, append(at, 13.3), 4000, rng.New(2))
	if err != nil {
		log.Fatal(err)
	}
	moved, err := bound.Move(p)
	if err != nil {
		log.Fatal(err)
	}
	moments := metrics.LossMoments(list)
	uniform, _ := moments.Estimate(bound)
	learned, _ := moments.Estimate(moved)
	fmt.Println("less than on uniform levels:", learned.Variance < 0.8*uniform.Variance)
	fmt.Println("within 2 % of the least of any schedule:", learned.Variance < 1.02*learned.Least)
	// Output:
	// ends -5.0 and 13.3
	// less than on uniform levels: true
	// within 2 % of the least of any schedule: true
}
