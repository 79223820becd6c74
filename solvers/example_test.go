package solvers_test

import (
	"context"
	"fmt"
	"log"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Walk one sample of a mixture from noise to data and watch where the denoiser
// points.
func Example() {
	solver, err := solvers.Parse("dpmpp-2m")
	if err != nil {
		log.Fatal(err)
	}
	schedule := schedules.EDM{SMin: 0.02, SMax: 80}
	grid, err := schedules.Karras{Rho: 7, Last: schedules.LastZero}.Grid(schedule, 8)
	if err != nil {
		log.Fatal(err)
	}
	// The sample's own key: other samples of a batch would not change it.
	x := make([]float64, 2)
	rng.New(2).Split("sample", 0).Split("init", 0).Normal(x)
	for i := range x {
		x[i] *= grid[0].Sigma
	}
	st, err := solver.Start(solvers.Problem{Denoiser: models.GM2D(), Grid: grid}, x)
	if err != nil {
		log.Fatal(err)
	}
	for step, err := range solvers.Steps(context.Background(), st) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d: σ %5.2f → %5.2f  order %d  D = (%.2f, %.2f)\n", step.Index, step.From.Sigma, step.To.Sigma, step.OrderUsed, step.Denoised[0], step.Denoised[1])
	}
	// Output:
	// 0: σ 80.00 → 38.51  order 1  D = (0.03, 0.13)
	// 1: σ 38.51 → 17.02  order 2  D = (0.03, 0.13)
	// 2: σ 17.02 →  6.75  order 2  D = (0.04, 0.11)
	// 3: σ  6.75 →  2.33  order 2  D = (0.05, 0.08)
	// 4: σ  2.33 →  0.66  order 2  D = (0.10, -0.04)
	// 5: σ  0.66 →  0.14  order 2  D = (0.21, -0.48)
	// 6: σ  0.14 →  0.02  order 2  D = (0.29, -0.75)
	// 7: σ  0.02 →  0.00  order 1  D = (0.34, -0.90)
}

// A budget of evaluations and the steps that it buys.
func ExampleStepsFor() {
	heun, err := solvers.Parse("heun")
	if err != nil {
		log.Fatal(err)
	}
	grid := func(n int) (schedules.Grid, error) {
		return schedules.Karras{Rho: 7, Last: schedules.LastZero}.Grid(schedules.EDM{SMin: 0.002, SMax: 80}, n)
	}
	for _, nfe := range []int{34, 35} {
		n, exact, err := solvers.StepsFor(heun, nfe, grid)
		fmt.Println(n, exact, err)
	}
	// Output:
	// 17 false <nil>
	// 18 true <nil>
}

// A registry of one's own holds more names.
func ExampleRegistry() {
	mine := solvers.Registry()
	mine.Entries = append(mine.Entries, solvers.Entry{
		Name: "half", Summary: "half way to ancestral sampling", Default: solvers.DDIM{Eta: 0.5},
	})
	s, err := mine.Parse("half")
	if err != nil {
		panic(err)
	}
	fmt.Println(s, s.Properties().Stochastic)
	// Output:
	// ddim(eta=0.5) true
}
