package data_test

import (
	"fmt"

	"snrlab/data"
)

// The embedded mixture needs no file and no network.
func ExampleDigits() {
	m, err := data.Digits()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("sample", m.Shape, "from", m.Origin.Source)
	fmt.Println("first class", m.Labels[0], "last class", m.Labels[m.Len()-1])
	// Output:
	// sample [1 28 28] from mnist-train
	// first class 0 last class 9
}

func ExampleNewSet() {
	s, err := data.NewSet("two points", []float64{0, 1, 2, 3}, 2, 1, 1, 2, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Images.Shape(), s.Shape(), s.Values())
	// Output: (2, 1, 1, 2) [2] [0 1 2 3]
}
