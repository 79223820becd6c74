package nn_test

import (
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"snrlab/nn"
)

func TestTape_Dense(t *testing.T) {
	x := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
	var tape nn.Tape[float32]
	in := tape.InputDense(x)
	y := tape.Scale(tape.Add(in, tape.ConstantDense(x)), 0.5)
	if err := tape.VJP(y, []float32{1, 0, 0, 0, 0, 2}); err != nil {
		t.Fatal(err)
	}
	if got := y.Dense(); !got.Shape().Eq(tensor.Shape{2, 3}) || !slices.Equal(got.Data().([]float32), []float32{1, 2, 3, 4, 5, 6}) {
		t.Errorf("the result is %v", got)
	}
	// Half, for the constant has the other half of what y is made of.
	if got := in.Grad(); !slices.Equal(got, []float32{0.5, 0, 0, 0, 0, 1}) {
		t.Errorf("the gradient is %v", got)
	}
}

func TestTape_Dense_Refuses(t *testing.T) {
	whole := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
	across := whole.Clone().(*tensor.Dense)
	if err := across.T(); err != nil {
		t.Fatal(err)
	}
	part, err := whole.Slice(nil, tensor.S(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]*tensor.Dense{
		"none":          nil,
		"transposed":    across,
		"part of rows":  part.(*tensor.Dense),
		"other floats":  tensor.New(tensor.WithShape(2), tensor.WithBacking([]float64{1, 2})),
		"columns first": tensor.New(tensor.WithShape(2, 3), tensor.AsFortran([]float32{1, 2, 3, 4, 5, 6})),
	} {
		var tape nn.Tape[float32]
		if tape.InputDense(x); tape.Err() == nil {
			t.Errorf("%s was not refused", name)
		}
		tape.Reset()
		if tape.ConstantDense(x); tape.Err() == nil {
			t.Errorf("%s was not refused as a constant", name)
		}
	}
}
