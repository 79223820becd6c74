package mlp_test

import (
	"fmt"

	"snrlab/nn"
	"snrlab/nn/mlp"
	"snrlab/rng"
)

func ExampleNew() {
	c := mlp.DefaultConfig()
	c.Hidden, c.Layers = 8, 1
	net, err := mlp.New[float32](c, rng.New(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	var tape nn.Tape[float32]
	x, times := tape.Constant([]float32{1, 2, 3, 4}, 2, 2), tape.Constant([]float32{0.1, 0.9}, 2)
	fmt.Println(net.Apply(&tape, x, times, nil).Value(), net.Params().Len())
	net.Apply(&tape, x, times, []int{0, 1})
	fmt.Println(tape.Err())
	// Output:
	// [0 0 0 0] 682
	// mlp: not an input of this network: labels: expected none, the network has no classes
}
