package nn_test

import (
	"math"
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

func crossEntropyOf[T nn.Float](labels []int) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.CrossEntropy(in[0], labels) }
}

func TestCrossEntropy_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		rows, classes := size(r, "rows", 5), size(r, "classes", 9)
		labels := rapid.SliceOfN(rapid.IntRange(0, classes-1), rows, rows).Draw(r, "labels")
		return nntest.Case{F64: crossEntropyOf[float64](labels), F32: crossEntropyOf[float32](labels), Inputs: []nntest.Input{nntest.In(rows, classes)}}
	})
	var tape nn.Tape[float64]
	logits := tape.Constant([]float64{math.Log(1), math.Log(3), 1000, 0}, 2, 2)
	// Probabilities 1/4 and 3/4, and 1 and e^−1000.
	if got, want := tape.CrossEntropy(logits, []int{0, 1}).Value()[0], (math.Log(4)+1000)/2; math.Abs(got-want) > 1e-12*want {
		t.Errorf("cross entropy %v, expected %v", got, want)
	}
}

func sumOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T]     { return t.Sum(in[0]) }
func meanOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T]    { return t.Mean(in[0]) }
func rowMeanOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.RowMean(in[0]) }

func TestReductions_Property(t *testing.T) {
	for _, c := range []struct {
		name string
		f64  nntest.Func[float64]
		f32  nntest.Func[float32]
		rows bool
	}{
		{"sum", sumOf[float64], sumOf[float32], false},
		{"mean", meanOf[float64], meanOf[float32], false},
		{"row mean", rowMeanOf[float64], rowMeanOf[float32], true},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, func(r *rapid.T) nntest.Case {
				return nntest.Case{F64: c.f64, F32: c.f32, Inputs: []nntest.Input{
					{Shape: []int{size(r, "rows", 4), size(r, "pixels", 9), size(r, "channels", 9)}, Rows: c.rows},
				}}
			})
		})
	}
	var tape nn.Tape[float64]
	x := tape.Constant([]float64{1, 2, 3, 6}, 2, 2)
	if s, m, r := tape.Sum(x).Value(), tape.Mean(x).Value(), tape.RowMean(x).Value(); s[0] != 12 || m[0] != 3 || r[0] != 1.5 || r[1] != 4.5 {
		t.Errorf("sum %v, mean %v, row means %v: expected 12, 3, 1.5 and 4.5", s, m, r)
	}
}
