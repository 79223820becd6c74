package dit_test

import (
	"fmt"

	"snrlab/nn"
	"snrlab/nn/dit"
	"snrlab/rng"
)

func ExampleNew() {
	c := dit.DefaultConfig()
	c.Height, c.Width, c.Hidden, c.Depth = 8, 8, 32, 2
	net, err := dit.New[float32](c, rng.New(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	tape := nn.Tape[float32]{Inference: true}
	x, times := tape.Constant(make([]float32, 2*8*8), 2, 8, 8, 1), tape.Constant([]float32{10, 990}, 2)
	y := net.Apply(&tape, x, times, []int{3, -1})
	fmt.Println(y.Shape(), tape.Err(), net.Params()[0].Name(), net.Params().Len())
	c.Heads = 5
	fmt.Println(c.Validate())
	// Output:
	// [2 8 8 1] <nil> x_embedder.proj.weight 50640
	// dit: not a valid configuration: num_heads is 5: expected a divisor of hidden_size, 32
}
