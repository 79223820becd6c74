package bench_test

import (
	"fmt"

	"snrlab/bench"
	"snrlab/nn/unet"
	"snrlab/rng"
)

func ExampleNetworks() {
	networks, err := bench.Networks()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, n := range networks[:2] {
		net, err := unet.New[float32](n.Config, rng.New(1))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %d parameters, batch %d\n", n.Name, net.Params().Len(), n.Batch)
	}
	// Output:
	// small: 1112801 parameters, batch 64
	// base: 6469889 parameters, batch 32
}
