package nn_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"snrlab/nn"
	"snrlab/rng"
)

// Inputs that do not fit give ErrShape, in each operation.
func TestOperations_Refuse(t *testing.T) {
	var tape nn.Tape[float32]
	zeros := func(shape ...int) *nn.Var[float32] {
		n := 1
		for _, side := range shape {
			n *= side
		}
		return tape.Constant(make([]float32, n), shape...)
	}
	one := rng.New(1)
	for i, call := range []func(){
		func() { tape.Linear(zeros(2, 3), zeros(4, 2), nil) },
		func() { tape.Linear(zeros(2, 3), zeros(4, 3), zeros(3)) },
		func() { tape.Linear(zeros(2, 0), zeros(4, 0), nil) },
		func() { tape.Linear(zeros(), zeros(1, 1), nil) },
		func() { tape.Linear(nil, zeros(1, 1), nil) },
		func() { tape.Linear(zeros(2, 3), nil, nil) },
		func() { tape.Conv(zeros(2, 3, 3), zeros(3, 3, 1, 1), nil, 1, nn.Pad(1)) },
		func() { tape.Conv(zeros(2, 3, 3, 2), zeros(3, 3, 1, 1), nil, 1, nn.Pad(1)) },
		func() { tape.Conv(zeros(2, 3, 3, 2), zeros(3, 3, 2, 4), zeros(3), 1, nn.Pad(1)) },
		func() { tape.Conv(zeros(2, 3, 3, 2), zeros(3, 3, 2, 4), nil, 0, nn.Pad(1)) },
		func() { tape.Conv(zeros(2, 3, 3, 2), zeros(5, 5, 2, 4), nil, 1, nn.Pad(0)) },
		func() { tape.ConvAdd(zeros(2, 3, 3, 2), zeros(3, 3, 2, 4), nil, zeros(2, 2), 1, nn.Pad(1)) },
		func() { tape.ConvAdd(zeros(2, 3, 3, 2), zeros(3, 3, 2, 4), nil, zeros(2, 3, 4, 4), 1, nn.Pad(1)) },
		func() { tape.GroupNorm(zeros(2, 4), zeros(4), zeros(4), 3, 1e-5) },
		func() { tape.GroupNorm(zeros(2, 4), zeros(3), zeros(4), 2, 1e-5) },
		func() { tape.GroupNorm(zeros(4), zeros(4), zeros(4), 2, 1e-5) },
		func() { tape.GroupNorm(zeros(2, 0, 4), zeros(4), zeros(4), 2, 1e-5) },
		func() { tape.GroupNormSiLU(zeros(2, 4), nil, zeros(4), 2, 1e-5) },
		func() { tape.LayerNorm(zeros(2, 4), zeros(3), nil, 1e-5) },
		func() { tape.LayerNorm(zeros(2, 4), nil, zeros(3), 1e-5) },
		func() { tape.LayerNorm(zeros(2, 0), nil, nil, 1e-5) },
		func() { tape.LayerNorm(zeros(), nil, nil, 1e-5) },
		func() { tape.Add(zeros(2, 3), zeros(3, 2)) },
		func() { tape.Add(zeros(3), zeros(2, 3)) },
		func() { tape.Add(zeros(2, 3), zeros(2)) },
		func() { tape.Sub(zeros(2, 3), zeros(3, 2)) },
		func() { tape.Mul(zeros(2, 3), nil) },
		func() { tape.Mul(zeros(2, 3), zeros(2)) },
		func() { tape.Scale(nil, 1) },
		func() { tape.AddChannels(zeros(2, 5, 3), zeros(3)) },
		func() { tape.AddChannels(zeros(2, 5, 3), zeros(1, 3)) },
		func() { tape.AddChannels(zeros(3), zeros(3)) },
		func() { tape.MulChannels(zeros(2, 5, 3), zeros(2, 5)) },
		func() { tape.Modulate(zeros(2, 5, 3), zeros(2, 3), zeros(3)) },
		func() { tape.Modulate(zeros(2, 5, 3), zeros(3), zeros(2, 3)) },
		func() { tape.ReLU(nil) },
		func() { tape.Sigmoid(nil) },
		func() { tape.SiLU(nil) },
		func() { tape.Tanh(nil) },
		func() { tape.GELU(nil) },
		func() { tape.GELUTanh(nil) },
		func() { tape.Mish(nil) },
		func() { tape.Exp(nil) },
		func() { tape.Concat() },
		func() { tape.Concat(zeros(2, 3), zeros(3, 3)) },
		func() { tape.Concat(zeros(2, 3), zeros(2, 1, 3)) },
		func() { tape.Concat(zeros(), zeros()) },
		func() { x := zeros(2, 3); tape.Concat(x, x, x, x, x) },
		func() { tape.Slice(zeros(2, 3), 1, 4) },
		func() { tape.Slice(zeros(2, 3), 2, 2) },
		func() { tape.Slice(zeros(2, 3), -1, 2) },
		func() { tape.Slice(zeros(), 0, 1) },
		func() { tape.Reshape(zeros(2, 3), 4) },
		func() { tape.Reshape(zeros(2, 3), -2, -3) },
		func() { tape.Stop(nil) },
		func() { tape.Upsample(zeros(2, 3, 3)) },
		func() { tape.Upsample(zeros(2, 0, 3, 1)) },
		func() { tape.AvgPool(zeros(2, 3, 3, 1), 4) },
		func() { tape.AvgPool(zeros(2, 3, 3, 1), 0) },
		func() { tape.AvgPool(zeros(2, 3, 3), 1) },
		func() { tape.Attention(zeros(2, 3, 4), zeros(2, 3, 4), zeros(2, 4, 4), 2, 0) },
		func() { tape.Attention(zeros(2, 3, 4), zeros(1, 3, 4), zeros(1, 3, 4), 2, 0) },
		func() { tape.Attention(zeros(2, 3, 4), zeros(2, 3, 4), zeros(2, 3, 4), 3, 0) },
		func() { tape.Attention(zeros(2, 3, 4), zeros(2, 0, 4), zeros(2, 0, 4), 2, 0) },
		func() { tape.Attention(zeros(3, 4), zeros(3, 4), zeros(3, 4), 2, 0) },
		func() { tape.Attention(zeros(2, 3, 4), zeros(2, 3, 4), nil, 2, 0) },
		func() { tape.Sinusoid(zeros(2, 1), 4, nn.Sinusoid{}) },
		func() { tape.Sinusoid(zeros(2), 0, nn.Sinusoid{}) },
		func() { tape.Fourier(zeros(2), zeros(2, 1)) },
		func() { tape.Fourier(zeros(2, 1), zeros(3)) },
		func() { tape.Embedding(zeros(3), []int{1}) },
		func() { tape.Embedding(zeros(3, 2), []int{3}) },
		func() { tape.Embedding(zeros(3, 2), []int{-2}) },
		func() { tape.Dropout(zeros(2, 3), 0.5, []rng.Key{one}) },
		func() { tape.Dropout(zeros(), 0.5, []rng.Key{one}) },
		func() { tape.Sum(nil) },
		func() { tape.Mean(zeros(0, 3)) },
		func() { tape.RowMean(zeros(2, 0)) },
		func() { tape.RowMean(zeros()) },
		func() { tape.MeanSquare(zeros(2, 3), zeros(3, 2)) },
		func() { tape.MeanSquare(zeros(0, 3), zeros(0, 3)) },
		func() { tape.WeightedMeanSquare(zeros(2, 3), zeros(2, 3), zeros(3)) },
		func() { tape.WeightedMeanSquare(zeros(0, 3), zeros(0, 3), zeros(0)) },
		func() { tape.CrossEntropy(zeros(2, 3), []int{1}) },
		func() { tape.CrossEntropy(zeros(2, 3), []int{1, 3}) },
		func() { tape.CrossEntropy(zeros(0, 3), nil) },
		func() { tape.CrossEntropy(zeros(3), []int{1, 1, 1}) },
		func() { tape.Permute(zeros(2, 3), 0) },
		func() { tape.Permute(zeros(2, 3), 0, 0) },
		func() { tape.Permute(zeros(2, 3), 0, 2) },
		func() { tape.Permute(zeros(1, 1, 1, 1, 1, 1, 1, 1, 1), 0, 1, 2, 3, 4, 5, 6, 7, 8) },
		func() { tape.Patches(zeros(2, 3, 4, 1), 2) },
		func() { tape.Patches(zeros(2, 4, 4), 2) },
		func() { tape.Unpatch(zeros(2, 4, 4), 4, 6, 2) },
		func() { tape.Unpatch(zeros(2, 4, 3), 4, 4, 2) },
		func() { tape.Rotary(zeros(2, 3, 6), nn.Rotary{Heads: 2}) },
		func() { tape.Rotary(zeros(2, 3, 4), nn.Rotary{}) },
		func() { tape.Rotary(zeros(2, 3, 4), nn.Rotary{Heads: 1, Width: 2}) },
		func() { tape.Rotary(zeros(3, 4), nn.Rotary{Heads: 1}) },
	} {
		tape.Reset()
		call()
		if err := tape.Err(); !errors.Is(err, nn.ErrShape) {
			t.Errorf("call %d: error %v, expected ErrShape", i, err)
		}
	}
}

// notOperations are the methods of a tape that compute nothing from arrays.
var notOperations = []string{"Input", "Constant", "InputDense", "ConstantDense", "Param", "Fail"}

// No operation panics, nor do the derivatives of what it gives, whatever it is
// called with; and what it gives for no rows is finite and empty.
func TestOperations_Robust(t *testing.T) {
	t.Run("float64", robust[float64])
	t.Run("float32", robust[float32])
}

func robust[T nn.Float](t *testing.T) {
	const calls, enough = 1500, 40
	r := rand.New(rand.NewPCG(1, 2))
	var tape nn.Tape[T]
	methods := reflect.TypeOf(&tape)
	for i := range methods.NumMethod() {
		m := methods.Method(i)
		if m.Type.NumOut() != 1 || m.Type.Out(0) != reflect.TypeFor[*nn.Var[T]]() || slices.Contains(notOperations, m.Name) {
			continue
		}
		served, none := 0, 0
		for tried := 0; tried < calls && served < enough; tried++ {
			tape.Reset()
			about, args := arguments[T](r, &tape, m)
			call := func() (y *nn.Var[T]) {
				defer func() {
					if p := recover(); p != nil {
						t.Fatalf("%s(%s) panics: %v", m.Name, about, p)
					}
				}()
				y = m.Func.Call(args)[0].Interface().(*nn.Var[T])
				if tape.Err() != nil {
					return nil
				}
				var tangents []nn.Tangent[T]
				for _, a := range args {
					if v, ok := a.Interface().(*nn.Var[T]); ok && v != nil {
						tangents = append(tangents, nn.Tangent[T]{Of: v, Change: make([]T, v.Len())})
					}
				}
				if err := tape.JVP(tangents...); err != nil {
					t.Fatalf("%s(%s): JVP gives %v", m.Name, about, err)
				}
				if err := tape.Backward(y, make([]T, y.Len())); err != nil {
					t.Fatalf("%s(%s): Backward gives %v", m.Name, about, err)
				}
				return y
			}
			if y := call(); y != nil {
				served++
				if slices.Contains(y.Shape(), 0) {
					none++
				}
			} else if !strings.HasPrefix(tape.Err().Error(), "nn: ") {
				t.Fatalf("%s(%s): the error %q does not say where it comes from", m.Name, about, tape.Err())
			}
		}
		if served == 0 {
			t.Errorf("%s refused all of %d calls: draw arguments that fit", m.Name, calls)
		}
		t.Logf("%s served %d calls, %d of no rows", m.Name, served, none)
	}
}

// arguments draws what m is called with, most often arrays of like shapes.
func arguments[T nn.Float](r *rand.Rand, tape *nn.Tape[T], m reflect.Method) (about string, args []reflect.Value) {
	pick := func(most int) int { return r.IntN(most) }
	rows, tokens, channels := pick(3), 1+pick(2)*3, 4
	shapes := [][]int{
		{rows, tokens, channels},
		{rows, tokens, channels},
		{rows, 4, 4, channels},
		{rows, channels},
		{channels},
		{channels, channels},
		{3, 3, channels, channels},
		{rows},
		{},
		{0},
		{rows, 0, channels},
		{1},
	}
	favourite := shapes[pick(len(shapes))]
	array := func() *nn.Var[T] {
		shape := favourite
		switch pick(10) {
		case 0:
			return nil
		case 1, 2, 3, 4:
			shape = shapes[pick(len(shapes))]
		}
		n := 1
		for _, side := range shape {
			n *= side
		}
		return tape.Input(make([]T, n), shape...)
	}
	args = append(args, reflect.ValueOf(tape))
	for i := 1; i < m.Type.NumIn(); i++ {
		kind := m.Type.In(i)
		variadic := m.Type.IsVariadic() && i == m.Type.NumIn()-1
		count := 1
		if variadic {
			kind, count = kind.Elem(), pick(6)
		}
		for k := range count {
			var v any
			switch kind {
			case reflect.TypeFor[*nn.Var[T]]():
				v = array()
			case reflect.TypeFor[int]():
				v = []int{-1, 0, 1, 2, 3, 4, channels, rows}[pick(8)]
				if m.Name == "Permute" && pick(2) == 0 {
					v = k
				}
			case reflect.TypeFor[float64]():
				v = []float64{0, 1e-5, 0.5, 1, -1, math.NaN(), math.Inf(1)}[pick(7)]
			case reflect.TypeFor[[]int]():
				v = [][]int{nil, {0}, {0, 3}, {-1, 1}, {9, 9}}[pick(5)]
			case reflect.TypeFor[[]rng.Key]():
				v = [][]rng.Key{nil, {}, {{}}, {{}, {}}}[pick(4)]
			case reflect.TypeFor[nn.Padding]():
				v = nn.Padding{Top: pick(3) - 1, Bottom: pick(3), Left: pick(3), Right: pick(3)}
			case reflect.TypeFor[nn.Sinusoid]():
				v = nn.Sinusoid{DownscaleFreqShift: float64(pick(3)), MaxPeriod: []float64{0, 100, -1, math.NaN()}[pick(4)]}
			case reflect.TypeFor[nn.Rotary]():
				v = nn.Rotary{Heads: pick(4) - 1, Base: []float64{0, 100, -1, math.NaN()}[pick(4)], Width: pick(4) - 1}
			default:
				panic("no arguments of type " + kind.String() + " for " + m.Name)
			}
			if x, ok := v.(*nn.Var[T]); ok {
				about += fmt.Sprint(x.Shape(), " ")
			} else {
				about += fmt.Sprint(v, " ")
			}
			args = append(args, reflect.ValueOf(v))
		}
	}
	return about, args
}

// A batch of no rows goes through a network: its results and the gradients that
// it adds to the parameters' are empty and zero.
func TestOperations_NoRows(t *testing.T) {
	n := newNetwork()
	var tape nn.Tape[float32]
	x := tape.Input(nil, 0, 4, 4, 2)
	h := n.norm.ApplySiLU(&tape, n.conv.Apply(&tape, x))
	tokens := tape.Reshape(tape.AvgPool(tape.Upsample(h), 2), 0, 16, 4)
	tokens = tape.LayerNorm(tape.Attention(tokens, tokens, tokens, 2, 0), tape.Param(n.norm.Weight), nil, 1e-5)
	tokens = tape.AddChannels(tokens, tape.Embedding(tape.Param(n.linear.Weight), nil))
	y := n.linear.Apply(&tape, tape.Concat(tape.Slice(tokens, 0, 2), tape.Slice(tokens, 2, 4)))
	if err := tape.Backward(y, []float32{}); err != nil {
		t.Fatal(err)
	}
	if want := []int{0, 16, 3}; !slices.Equal(y.Shape(), want) || len(x.Grad()) != 0 {
		t.Errorf("shape %v and a gradient of %d numbers, expected %v and none", y.Shape(), len(x.Grad()), want)
	}
	for _, p := range n.params {
		if slices.ContainsFunc(p.Grad(), func(g float32) bool { return g != 0 }) {
			t.Errorf("%s has gradient %v, expected zeros", p.Name(), p.Grad())
		}
	}
}
