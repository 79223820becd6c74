package nn_test

import (
	"fmt"

	"snrlab/nn"
	"snrlab/rng"
)

// A line through three points, which are on y = 2x + 1.
func ExampleOptimiser() {
	scope := nn.NewScope[float64](rng.New(1))
	line := nn.NewLinear(scope, 1, 1, true)
	x, y := []float64{-1, 0, 1}, []float64{-1, 1, 3}

	rule, err := nn.ParseRule("adamw(beta2=0.99,decay=0)")
	if err != nil {
		panic(err)
	}
	rate := nn.WarmupRate{Steps: 10, Then: nn.CosineRate{Peak: 0.1, To: 300}}
	optimiser, err := nn.NewOptimiser(scope.Params(), rule, rate)
	if err != nil {
		panic(err)
	}
	optimiser.MaxNorm = 1

	var tape nn.Tape[float64]
	for range 300 {
		tape.Reset()
		loss := tape.MeanSquare(line.Apply(&tape, tape.Constant(x, 3, 1)), tape.Constant(y, 3, 1))
		if err := tape.Backward(loss, nil); err != nil {
			panic(err)
		}
		if _, err := optimiser.Step(); err != nil {
			panic(err)
		}
	}
	fmt.Printf("y = %.3f x + %.3f\n", line.Weight.Value()[0], line.Bias.Value()[0])
	// Output: y = 2.000 x + 1.000
}
