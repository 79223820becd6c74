package nn_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"snrlab/nn"
	"snrlab/nn/nntest"
)

// pointwise are the functions of one number, with their definitions.
var pointwise = []struct {
	name   string
	define func(x float64) float64
	f64    func(*nn.Tape[float64], *nn.Var[float64]) *nn.Var[float64]
	f32    func(*nn.Tape[float32], *nn.Var[float32]) *nn.Var[float32]
}{
	{"relu", func(x float64) float64 { return math.Max(x, 0) }, (*nn.Tape[float64]).ReLU, (*nn.Tape[float32]).ReLU},
	{"sigmoid", sigmoid, (*nn.Tape[float64]).Sigmoid, (*nn.Tape[float32]).Sigmoid},
	{"silu", func(x float64) float64 { return x * sigmoid(x) }, (*nn.Tape[float64]).SiLU, (*nn.Tape[float32]).SiLU},
	{"tanh", math.Tanh, (*nn.Tape[float64]).Tanh, (*nn.Tape[float32]).Tanh},
	{"gelu", func(x float64) float64 { return x * (1 + math.Erf(x/math.Sqrt2)) / 2 }, (*nn.Tape[float64]).GELU, (*nn.Tape[float32]).GELU},
	{"gelu by tanh", func(x float64) float64 {
		return x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) / 2
	}, (*nn.Tape[float64]).GELUTanh, (*nn.Tape[float32]).GELUTanh},
	{"mish", func(x float64) float64 { return x * math.Tanh(math.Log(1+math.Exp(x))) }, (*nn.Tape[float64]).Mish, (*nn.Tape[float32]).Mish},
	{"exp", math.Exp, (*nn.Tape[float64]).Exp, (*nn.Tape[float32]).Exp},
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func TestPointwise_Property(t *testing.T) {
	for _, f := range pointwise {
		t.Run(f.name, func(t *testing.T) {
			check(t, func(r *rapid.T) nntest.Case {
				input := nntest.Row(size(r, "rows", 4), size(r, "pixels", 9), size(r, "channels", 20))
				// Differences across the kink of max(x, 0) have no meaning.
				input.Draw = func(z float64) float64 { return 2*z + math.Copysign(0.01, z) }
				return nntest.Case{
					F64:    func(t *nn.Tape[float64], in []*nn.Var[float64]) *nn.Var[float64] { return f.f64(t, in[0]) },
					F32:    func(t *nn.Tape[float32], in []*nn.Var[float32]) *nn.Var[float32] { return f.f32(t, in[0]) },
					Inputs: []nntest.Input{input},
				}
			})
			var tape nn.Tape[float64]
			x := []float64{-30, -3, -0.7, 0, 1e-3, 2, 25}
			for i, y := range f.f64(&tape, tape.Constant(x, len(x))).Value() {
				// 1 − erf loses the digits that erfc keeps: 1e-16 beside 1.
				if want := f.define(x[i]); math.Abs(y-want) > 1e-14*math.Max(1, math.Abs(want)) {
					t.Errorf("at %v: %v, expected %v", x[i], y, want)
				}
			}
		})
	}
}

func inverseExpOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
	return t.Inverse(t.Exp(in[0]))
}

func logExpOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
	return t.Log(t.Add(t.Exp(in[0]), t.Exp(in[1])))
}

// Functions of positive numbers.
func TestLogInverse_Property(t *testing.T) {
	nntest.Run(t, nntest.Case{F64: inverseExpOf[float64], F32: inverseExpOf[float32], Inputs: []nntest.Input{nntest.Row(3, 4)}}, 1)
	nntest.Run(t, nntest.Case{F64: logExpOf[float64], F32: logExpOf[float32], Inputs: []nntest.Input{nntest.Row(3, 4), nntest.Row(3, 4)}}, 1)
	var tape nn.Tape[float64]
	x := tape.Constant([]float64{math.E, 0.25}, 2)
	if l, i := tape.Log(x).Value(), tape.Inverse(x).Value(); l[0] != 1 || i[1] != 4 {
		t.Errorf("log e is %v and 1/0.25 %v", l[0], i[1])
	}
}
