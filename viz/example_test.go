package viz_test

import (
	"bytes"
	"fmt"
	"image/png"

	"snrlab/viz"
)

// Four 2×2 pictures in two columns, a pixel of white between them.
func ExampleSheet() {
	values := []float64{
		-1, 1, 1, -1,
		1, -1, -1, 1,
		-1, -1, 1, 1,
		1, 1, -1, -1,
	}
	sheet, err := viz.Sheet(values, []int{1, 2, 2}, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	var file bytes.Buffer
	if err := viz.WritePNG(&file, sheet, 4); err != nil {
		fmt.Println(err)
		return
	}
	img, err := png.Decode(&file)
	fmt.Println(sheet.Bounds().Size(), img.Bounds().Size(), err)
	// Output: (7,7) (28,28) <nil>
}
