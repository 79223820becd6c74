package rng_test

import (
	"fmt"
	"slices"

	"snrlab/rng"
)

// The numbers of a sample are its own: drawn alone or after others, for one
// purpose or for several, they are the same.
func ExampleKey_Split() {
	root := rng.New(1)
	first := make([]float64, 3)
	root.Split("sample", 17).Split("init", 0).Normal(first)

	for i := range uint64(18) { // another batch, in which 17 comes last
		sample := root.Split("sample", i)
		sample.Split("noise", 0).Normal(make([]float64, 5))
		again := make([]float64, 3)
		sample.Split("init", 0).Normal(again)
		if slices.Equal(again, first) {
			fmt.Println("sample", i)
		}
	}
	// Output:
	// sample 17
}
