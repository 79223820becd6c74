package nn_test

import (
	"testing"

	"pgregory.net/rapid"

	"snrlab/nn"
	"snrlab/nn/nntest"
)

func addOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T]   { return t.Add(in[0], in[1]) }
func subOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T]   { return t.Sub(in[0], in[1]) }
func mulOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T]   { return t.Mul(in[0], in[1]) }
func scaleOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.Scale(in[0], -1.25) }

// squareOf and doubleOf take one array for both inputs.
func squareOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.Mul(in[0], in[0]) }

func doubleOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
	return t.Sub(t.Add(in[0], in[0]), t.Sub(in[0], in[0]))
}

// residualOf uses x behind and beside a function of it.
func residualOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
	x := t.Add(in[0], t.Tanh(in[0]))
	return t.Add(t.Tanh(x), t.Mul(x, in[0]))
}

func TestArithmetic_Property(t *testing.T) {
	cases := []struct {
		name   string
		f64    nntest.Func[float64]
		f32    nntest.Func[float32]
		inputs int
	}{
		{"add", addOf[float64], addOf[float32], 2},
		{"sub", subOf[float64], subOf[float32], 2},
		{"mul", mulOf[float64], mulOf[float32], 2},
		{"scale", scaleOf[float64], scaleOf[float32], 1},
		{"square", squareOf[float64], squareOf[float32], 1},
		{"double", doubleOf[float64], doubleOf[float32], 1},
		{"residual", residualOf[float64], residualOf[float32], 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			check(t, func(r *rapid.T) nntest.Case {
				input := nntest.Row(size(r, "rows", 4), size(r, "pixels", 9), size(r, "channels", 20))
				k := nntest.Case{F64: c.f64, F32: c.f32}
				for range c.inputs {
					k.Inputs = append(k.Inputs, input)
				}
				return k
			})
			if c.inputs < 2 {
				return
			}
			t.Run("broadcast", func(t *testing.T) {
				check(t, func(r *rapid.T) nntest.Case {
					a := nntest.Row(size(r, "rows", 4), size(r, "pixels", 9), size(r, "channels", 20))
					b := rapid.SampledFrom([]nntest.Input{nntest.In(a.Shape[2]), nntest.In(a.Shape[1], a.Shape[2]), nntest.In(1), nntest.In()}).Draw(r, "b")
					return nntest.Case{F64: c.f64, F32: c.f32, Inputs: []nntest.Input{a, b}}
				})
			})
		})
	}
}

func addChannelsOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
	return t.AddChannels(in[0], in[1])
}

func mulChannelsOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
	return t.MulChannels(in[0], in[1])
}

func modulateOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
	return t.Modulate(in[0], in[1], in[2])
}

func TestChannels_Property(t *testing.T) {
	cases := []struct {
		name   string
		f64    nntest.Func[float64]
		f32    nntest.Func[float32]
		inputs int
	}{
		{"add", addChannelsOf[float64], addChannelsOf[float32], 1},
		{"mul", mulChannelsOf[float64], mulChannelsOf[float32], 1},
		{"modulate", modulateOf[float64], modulateOf[float32], 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			check(t, func(r *rapid.T) nntest.Case {
				rows, channels := size(r, "rows", 4), size(r, "channels", 40)
				x := rapid.SampledFrom([]nntest.Input{
					nntest.Row(rows, channels),
					nntest.Row(rows, 13, channels),
					nntest.Row(rows, size(r, "height", 5), size(r, "width", 5), channels),
				}).Draw(r, "x")
				k := nntest.Case{F64: c.f64, F32: c.f32, Inputs: []nntest.Input{x}}
				for range c.inputs {
					k.Inputs = append(k.Inputs, nntest.Row(rows, channels))
				}
				return k
			})
		})
	}
}
