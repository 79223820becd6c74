package safetensors_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"gorgonia.org/tensor"

	"snrlab/nn/safetensors"
)

func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")

	weight := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float32{1, 0.1, -2, 3}))
	entry, err := safetensors.Floats("linear.weight", safetensors.F16, weight)
	if err != nil {
		log.Fatal(err)
	}
	if err := safetensors.WriteFile(path, []safetensors.Entry{entry}, map[string]string{"format": "pt"}, safetensors.Options{}); err != nil {
		log.Fatal(err)
	}

	f, err := safetensors.Open(path, safetensors.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for _, i := range f.Tensors() {
		fmt.Println(i.Name, i.DType, i.Shape)
	}
	array, err := f.Dense("linear.weight")
	fmt.Println(array.Data(), err)
	fmt.Println(f.Match([]safetensors.Param{{Name: "linear.weight", Shape: []int{3, 2}}}))
	// Output:
	// linear.weight F16 [2 2]
	// [1 0.099975586 -2 3] <nil>
	// safetensors: tensor does not fit: "linear.weight" has shape [2 2], expected [3 2]
}
