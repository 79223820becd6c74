package nn_test

import (
	"testing"

	"pgregory.net/rapid"

	"snrlab/nn"
	"snrlab/nn/nntest"
)

func meanSquareOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
	return t.MeanSquare(in[0], in[1])
}

func weightedMeanSquareOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
	return t.WeightedMeanSquare(in[0], in[1], in[2])
}

func TestMeanSquare_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		rows := size(r, "rows", 4)
		x := nntest.In(rows, size(r, "pixels", 9), size(r, "channels", 9))
		c := nntest.Case{F64: meanSquareOf[float64], F32: meanSquareOf[float32], Inputs: []nntest.Input{x, x}}
		if rapid.Bool().Draw(r, "weighted") {
			c.F64, c.F32 = weightedMeanSquareOf[float64], weightedMeanSquareOf[float32]
			c.Inputs = append(c.Inputs, nntest.In(rows))
		}
		return c
	})
	var tape nn.Tape[float64]
	a, b := tape.Constant([]float64{1, 2, 3, 4}, 2, 2), tape.Constant([]float64{2, 4, 0, 4}, 2, 2)
	if y := tape.MeanSquare(a, b).Value()[0]; y != (1+4+9)/4. {
		t.Errorf("mean square %v, expected 3.5", y)
	}
	if y := tape.WeightedMeanSquare(a, b, tape.Constant([]float64{2, 10}, 2)).Value()[0]; y != (2*5/2.+10*9/2.)/2 {
		t.Errorf("weighted mean square %v, expected 25", y)
	}
}
