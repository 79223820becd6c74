package nn_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"snrlab/nn"
	"snrlab/rng"
)

func normals(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// y = x · stop(x): as a product of x with a constant the slope is x, not 2x.
func TestStop(t *testing.T) {
	var tape nn.Tape[float64]
	x := tape.Input([]float64{3, -2}, 2)
	y := tape.Mul(x, tape.Stop(x))
	if want := []float64{9, 4}; !slices.Equal(y.Value(), want) {
		t.Errorf("value %v, expected %v", y.Value(), want)
	}
	if err := tape.JVP(nn.Tangent[float64]{Of: x, Change: []float64{1, 10}}); err != nil {
		t.Fatal(err)
	}
	if want := []float64{3, -20}; !slices.Equal(y.Tangent(), want) {
		t.Errorf("tangent %v, expected %v", y.Tangent(), want)
	}
	if err := tape.Backward(y, []float64{1, 1}); err != nil {
		t.Fatal(err)
	}
	if want := []float64{3, -2}; !slices.Equal(x.Grad(), want) {
		t.Errorf("gradient %v, expected %v", x.Grad(), want)
	}
}

// Stop of a result, which lives in the tape's memory that Backward gives back.
func TestStop_Result(t *testing.T) {
	var tape nn.Tape[float64]
	x := tape.Input([]float64{3}, 1)
	square := tape.Mul(x, x)
	y := tape.Mul(square, tape.Stop(square)) // 9 · 9, slope 9 · 2 · 3
	if err := tape.Backward(y, nil); err != nil {
		t.Fatal(err)
	}
	if g := x.Grad()[0]; g != 54 {
		t.Errorf("gradient %v, expected 54", g)
	}
}

func TestReshape(t *testing.T) {
	var tape nn.Tape[float64]
	x := tape.Input([]float64{1, 2, 3, 4, 5, 6}, 2, 3)
	z := tape.Reshape(x, 3, 2)
	y := tape.Concat(tape.Slice(z, 0, 1), tape.Slice(z, 1, 2), tape.Reshape(x, 3, 2))
	if want := []float64{1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6}; !slices.Equal(y.Value(), want) {
		t.Errorf("value %v, expected %v", y.Value(), want)
	}
	if err := tape.Backward(y, []float64{1, 0, 10, 0, 0, 2, 0, 0, 3, 0, 0, 4}); err != nil {
		t.Fatal(err)
	}
	// Columns of y are those of x as 3×2, twice.
	if want := []float64{11, 0, 0, 2, 3, 4}; !slices.Equal(x.Grad(), want) {
		t.Errorf("gradient %v, expected %v", x.Grad(), want)
	}
	// A result and its other shape have one gradient.
	tape.Reset()
	x = tape.Input([]float64{1, 2}, 2)
	y = tape.Scale(x, 2)
	if err := tape.Backward(tape.Mul(y, tape.Reshape(tape.Reshape(y, 1, 2), 2)), []float64{1, 1}); err != nil {
		t.Fatal(err)
	}
	if want := []float64{8, 16}; !slices.Equal(x.Grad(), want) { // d(2x)²/dx = 8x
		t.Errorf("gradient %v, expected %v", x.Grad(), want)
	}
}

// a network of each operation with parameters.
type network struct {
	conv   nn.Conv[float32]
	norm   nn.GroupNorm[float32]
	linear nn.Linear[float32]
	params nn.Params[float32]
}

func newNetwork() network {
	s := nn.NewScope[float32](rng.New(1))
	n := network{
		conv:   nn.NewConv(s.Sub("conv"), 2, 4, 3, 1, nn.Pad(1)),
		norm:   nn.NewGroupNorm(s.Sub("norm"), 4, 2, 1e-5),
		linear: nn.NewLinear(s.Sub("linear"), 4, 3, true),
	}
	n.params = s.Params()
	return n
}

func (n network) apply(t *nn.Tape[float32], x *nn.Var[float32]) *nn.Var[float32] {
	return n.linear.Apply(t, n.norm.ApplySiLU(t, n.conv.Apply(t, x)))
}

func TestFrozen(t *testing.T) {
	n := newNetwork()
	x := normals(2*5*5*2, 1)
	seed := normals(2*5*5*3, 2)
	gradient := func() []float32 {
		var tape nn.Tape[float32]
		in := tape.Input(x, 2, 5, 5, 2)
		if err := tape.Backward(n.apply(&tape, in), seed); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(in.Grad())
	}
	free := gradient()
	for _, p := range n.params {
		if !slices.ContainsFunc(p.Grad(), func(g float32) bool { return g != 0 }) {
			t.Errorf("%s has no gradient", p.Name())
		}
		for i := range p.Grad() {
			p.Grad()[i] = 42
		}
	}
	n.params.Freeze(true)
	if frozen := gradient(); !slices.Equal(frozen, free) {
		t.Error("the input's gradient through a frozen network differs from that through a free one")
	}
	for _, p := range n.params {
		if slices.ContainsFunc(p.Grad(), func(g float32) bool { return g != 42 }) {
			t.Errorf("%s is frozen, and its gradient was written to", p.Name())
		}
	}
	// Nothing that is wanted: no operation goes backward.
	var tape nn.Tape[float32]
	in := tape.Constant(x, 2, 5, 5, 2)
	if err := tape.Backward(n.apply(&tape, in), seed); err != nil {
		t.Fatal(err)
	}
	if in.Grad() != nil {
		t.Error("a constant has a gradient")
	}
}

// Gradients of two tapes, and of two calls, add up until ZeroGrad.
func TestGrad_AddsUp(t *testing.T) {
	n := newNetwork()
	seed := normals(1*4*4*3, 2)
	step := func(tape *nn.Tape[float32], image uint64) {
		if err := tape.Backward(n.apply(tape, tape.Constant(normals(1*4*4*2, image), 1, 4, 4, 2)), seed); err != nil {
			t.Fatal(err)
		}
	}
	var one, two nn.Tape[float32]
	var each [2][][]float32
	for i := range each {
		n.params.ZeroGrad()
		var tape nn.Tape[float32]
		step(&tape, uint64(i))
		for _, p := range n.params {
			each[i] = append(each[i], slices.Clone(p.Grad()))
		}
	}
	n.params.ZeroGrad()
	step(&one, 0)
	step(&two, 1)
	for k, p := range n.params {
		for i, g := range p.Grad() {
			// One rounding of each sum to float32, of terms that may cancel.
			if want := each[0][k][i] + each[1][k][i]; !near(g, want, 1e-5) {
				t.Errorf("%s: gradient %d is %v, expected %v", p.Name(), i, g, want)
			}
		}
	}
}

func near(a, b, within float32) bool { return max(a-b, b-a) <= within*max(1, b, -b) }

func TestErr_First(t *testing.T) {
	var tape nn.Tape[float64]
	x := tape.Input([]float64{1, 2}, 2)
	bad := tape.Slice(x, 1, 5)
	first := tape.Err()
	if !errors.Is(first, nn.ErrShape) {
		t.Fatalf("error %v, expected ErrShape", first)
	}
	bytes := tape.Bytes()
	y := tape.Add(tape.Mul(x, bad), tape.Reshape(x, 7))
	if tape.Err() != first {
		t.Errorf("the error became %v, expected it to stay %v", tape.Err(), first)
	}
	if y.Value() != nil || tape.Bytes() != bytes {
		t.Error("an operation took place after an error")
	}
	if err := tape.Backward(y, nil); err != first {
		t.Errorf("Backward returns %v, expected %v", err, first)
	}
	if err := tape.JVP(nn.Tangent[float64]{Of: x, Change: []float64{1, 1}}); err != first {
		t.Errorf("JVP returns %v, expected %v", err, first)
	}
	tape.Reset()
	if err := tape.Backward(tape.Sum(tape.Input([]float64{1, 2}, 2)), nil); err != nil {
		t.Errorf("after Reset: %v", err)
	}
}

// Uses that are wrong give errors, and leave the tape of use after Reset.
func TestTape_Refuses(t *testing.T) {
	var tape, other nn.Tape[float64]
	values := []float64{1, 2}
	for name, use := range map[string]func(x, y *nn.Var[float64]) error{
		"a seed too short":            func(_, y *nn.Var[float64]) error { return tape.Backward(y, values[:1]) },
		"no seed":                     func(_, y *nn.Var[float64]) error { return tape.VJP(y, nil) },
		"backward from nil":           func(_, _ *nn.Var[float64]) error { return tape.Backward(nil, nil) },
		"backward from another tape":  func(_, _ *nn.Var[float64]) error { return tape.Backward(other.Input(values[:1], 1), nil) },
		"an input of another tape":    func(x, _ *nn.Var[float64]) error { tape.Add(x, other.Input(values, 2)); return tape.Err() },
		"a tangent of another length": func(x, _ *nn.Var[float64]) error { return tape.JVP(nn.Tangent[float64]{Of: x, Change: values[:1]}) },
		"a tangent of a result":       func(_, y *nn.Var[float64]) error { return tape.JVP(nn.Tangent[float64]{Of: y, Change: values}) },
		"a tangent of nothing":        func(_, _ *nn.Var[float64]) error { return tape.JVP(nn.Tangent[float64]{}) },
		"a shape of other numbers":    func(_, _ *nn.Var[float64]) error { tape.Input(values, 3); return tape.Err() },
		"a shape below zero":          func(_, _ *nn.Var[float64]) error { tape.Input(values, -1, -2); return tape.Err() },
		"a shape beyond memory":       func(_, _ *nn.Var[float64]) error { tape.Input(values, 1<<40, 1<<40); return tape.Err() },
		"an operation after Backward": func(_, y *nn.Var[float64]) error { _ = tape.Backward(y, values); tape.Tanh(y); return tape.Err() },
		"a derivative after Backward": func(_, y *nn.Var[float64]) error { _ = tape.Backward(y, values); return tape.VJP(y, values) },
		"a derivative at inference":   func(_, y *nn.Var[float64]) error { tape.Inference = true; return tape.VJP(y, values) },
		"a result that was freed": func(_, y *nn.Var[float64]) error {
			tape.Inference = true
			tape.Free(y)
			tape.Tanh(y)
			return tape.Err()
		},
		"a result from before a reset": func(_, y *nn.Var[float64]) error { tape.Reset(); tape.Tanh(y); return tape.Err() },
	} {
		tape.Inference = false
		tape.Reset()
		other.Reset()
		x := tape.Input(values, 2)
		if err := use(x, tape.Tanh(x)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	tape.Inference = false
	tape.Reset()
	x := tape.Input(values, 2)
	if err := tape.Backward(tape.Add(x, x), values); err != nil || !slices.Equal(x.Grad(), []float64{2, 4}) {
		t.Errorf("after all of them: gradient %v, error %v", x.Grad(), err)
	}
}

// VJP of a leaf, which nothing was computed from.
func TestVJP_Leaf(t *testing.T) {
	var tape nn.Tape[float64]
	x, y := tape.Input([]float64{1, 2}, 2), tape.Input([]float64{3}, 1)
	if err := tape.VJP(x, []float64{5, 6}); err != nil || !slices.Equal(x.Grad(), []float64{5, 6}) || y.Grad() != nil {
		t.Errorf("gradients %v and %v, error %v: expected the seed and none", x.Grad(), y.Grad(), err)
	}
}

// Memory for inference does not grow with depth, nor with the number of steps.
func TestInference_Reuse(t *testing.T) {
	n := newNetwork()
	x := normals(2*8*8*2, 3)
	keys := []rng.Key{rng.New(1), rng.New(2)}
	var tape nn.Tape[float32]
	tape.Inference = true
	run := func(depth int) []float32 {
		tape.Reset()
		h := n.conv.Apply(&tape, tape.Input(x, 2, 8, 8, 2))
		for range depth {
			// One of each operation that keeps something for its derivative.
			tokens := tape.Reshape(h, 2, 64, 4)
			a := tape.Attention(tokens, tokens, tokens, 2, 0)
			shifted := tape.LayerNorm(a, nil, tape.Param(n.norm.Bias), 1e-5)
			b := tape.Sub(shifted, tape.Param(n.norm.Weight))
			tape.Free(a)
			tape.Free(shifted)
			c := tape.GroupNormSiLU(b, tape.Param(n.norm.Weight), tape.Param(n.norm.Bias), 2, 1e-5)
			tape.Free(b)
			d := tape.Reshape(tape.Dropout(c, 0.5, keys), 2, 8, 8, 4)
			tape.Free(c)
			e := tape.Add(d, h)
			tape.Free(d)
			tape.Free(d) // a second time is harmless
			tape.Free(h)
			tape.Free(nil)
			h = e
		}
		if err := tape.Err(); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(h.Value())
	}
	run(2)
	bytes := tape.Bytes()
	deep := run(30)
	if now := tape.Bytes(); now != bytes {
		t.Errorf("%d bytes at depth 2 and %d at depth 30", bytes, now)
	}
	tape.Inference = false // what derivatives read is kept then, and the values are the same
	if kept := run(30); !slices.Equal(kept, deep) {
		t.Error("values for inference differ from those for training")
	}
}

// In training Free gives back what no derivative reads.
func TestFree_Training(t *testing.T) {
	x := normals(2*8*8*4, 1)
	step := func(free bool) (grad []float32, bytes int) {
		var tape nn.Tape[float32]
		in := tape.Input(x, 2, 8, 8, 4)
		h := in
		for range 6 {
			a := tape.Tanh(h) // reads its input and its result
			b := tape.Add(a, h)
			c := tape.Scale(b, 0.5)
			if free {
				tape.Free(a)
				tape.Free(b)
				tape.Free(h)
			}
			h = c
		}
		if err := tape.Backward(tape.Sum(h), nil); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(in.Grad()), tape.Bytes()
	}
	want, all := step(false)
	got, some := step(true)
	if !slices.Equal(got, want) {
		t.Error("gradients differ where results were freed")
	}
	if some >= all-4*len(x)*4 { // one of three arrays a round, for five rounds or more
		t.Errorf("%d bytes, and %d without Free", some, all)
	}
}
