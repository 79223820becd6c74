package dialects_test

import (
	"fmt"

	"snrlab/dialects"
)

// What a web interface calls "DPM++ 2M Karras".
func ExampleRead() {
	r, err := dialects.Read("DPM++ 2M Karras", 20)
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Solver, "on", r.Spacing, "of", r.Schedule)
	// Output: dpmpp-2m on karras(last=zero) of on-path(path=ve,schedule=beta(kind=scaled-linear))
}
