// Starts is a program that links gorgonia.org/tensor through data and uses it:
// without the pinned assume-no-moving-gc it panics before main.
package main

import (
	"fmt"
	"os"

	"snrlab/data"
)

func main() {
	s, err := data.NewSet("four pixels", []float64{-1, 0, 0.5, 1}, 1, 1, 2, 2, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Images.Shape(), s.Values())
}
