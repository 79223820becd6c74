package distill_test

import (
	"fmt"

	"snrlab/distill"
)

// A teacher that expects 1, a fake denoiser that expects 0 and a generated
// value of 0.5: δ = 1, and the loss is 1·(0.5 − A).
func Example() {
	sid := distill.SiD{A: 1.2}
	fmt.Printf("%.1f\n", sid.Loss([]float64{1}, []float64{0}, []float64{0.5}))
	// Output: -0.7
}
