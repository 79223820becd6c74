// Package nntest checks what every differentiable function of a tape has to
// keep: derivatives, float32 against float64, rows on their own, memory.
package nntest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"snrlab/nn"
)

// An Input is an array that a function under test takes.
type Input struct {
	Shape []int
	// Rows says that the first axis is the batch: row i of the result then
	// depends on row i alone of the inputs with Rows.
	Rows bool
	// Draw gives a value from a standard normal one; nil keeps it.
	Draw func(z float64) float64
}

// In is an input that belongs to no row: a weight, say.
func In(shape ...int) Input { return Input{Shape: shape} }

// Row is an input whose first axis is the batch.
func Row(shape ...int) Input { return Input{Shape: shape, Rows: true} }

// Func is a function under test.
type Func[T nn.Float] func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T]

// A Case is a function at both precisions, the same generic one, and its inputs.
type Case struct {
	F64    Func[float64]
	F32    Func[float32]
	Inputs []Input
	// Within is how far float32 may lie from float64, beside the largest
	// magnitude of the result or the gradient; 0 is 1e-5.
	Within float64
	// Curved is how far the slope of differences may lie from the derivative,
	// beside it; 0 is 1e-7.
	Curved float64
}

// Run checks the case:
//   - the product of the Jacobian with a vector against differences;
//   - ⟨v, J u⟩ = ⟨Jᵀ v, u⟩, which the two modes compute in different ways;
//   - that gradients of an input that is used twice add up;
//   - that VJP and Backward agree to the bit;
//   - that derivatives are the same where inputs and result have been freed;
//   - float32 against float64, values and gradients;
//   - rows alone and in the batch, and one or two workers, to the bit;
//   - that a tape that does the same again allocates nothing.
func Run(t *testing.T, c Case, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	in := make([][]float64, len(c.Inputs))
	direction := make([][]float64, len(c.Inputs))
	for i, input := range c.Inputs {
		n := 1
		for _, side := range input.Shape {
			n *= side
		}
		in[i], direction[i] = make([]float64, n), make([]float64, n)
		for k := range n {
			z := r.NormFloat64()
			if input.Draw != nil {
				z = input.Draw(z)
			}
			in[i][k] = float64(float32(z))
			direction[i][k] = r.NormFloat64()
		}
	}
	y := evaluate(t, c, c.F64, in, nil)
	v := make([]float64, len(y.value))
	for i := range v {
		v[i] = float64(float32(r.NormFloat64()))
	}
	derivatives(t, c, in, direction, v)
	precisions(t, c, in, v)
	rows(t, c, in)
	allocations(t, c, in, v)
}

// an answer is what a function gave.
type answer struct {
	value []float64
	grads [][]float64
	shape []int
}

// evaluate computes the function and, for a seed, its gradients.
func evaluate[T nn.Float](t *testing.T, c Case, f Func[T], in [][]float64, seed []float64) answer {
	t.Helper()
	var tape nn.Tape[T]
	vars := put(&tape, c, in)
	y := f(&tape, vars)
	if err := tape.Err(); err != nil {
		t.Fatal(err)
	}
	a := answer{value: widen(y.Value()), shape: slices.Clone(y.Shape())}
	if seed == nil {
		return a
	}
	if err := tape.Backward(y, narrow[T](seed)); err != nil {
		t.Fatal(err)
	}
	for i, x := range vars {
		g := widen(x.Grad())
		if g == nil { // no influence
			g = make([]float64, len(in[i]))
		}
		a.grads = append(a.grads, g)
	}
	return a
}

func put[T nn.Float](tape *nn.Tape[T], c Case, in [][]float64) []*nn.Var[T] {
	vars := make([]*nn.Var[T], len(in))
	for i, x := range in {
		shape := slices.Clone(c.Inputs[i].Shape)
		if c.Inputs[i].Rows {
			n := 1
			for _, side := range shape[1:] {
				n *= side
			}
			shape[0] = len(x) / max(n, 1)
		}
		vars[i] = tape.Input(narrow[T](x), shape...)
	}
	return vars
}

func derivatives(t *testing.T, c Case, in, u [][]float64, v []float64) {
	t.Helper()
	var tape nn.Tape[float64]
	vars := put(&tape, c, in)
	y := c.F64(&tape, vars)
	twice := tape.Add(y, c.F64(&tape, vars))
	var tangents []nn.Tangent[float64]
	for i, x := range vars {
		tangents = append(tangents, nn.Tangent[float64]{Of: x, Change: u[i]})
	}
	if err := tape.JVP(tangents...); err != nil {
		t.Fatal(err)
	}
	ju := slices.Clone(y.Tangent())
	if ju == nil {
		ju = make([]float64, y.Len())
	}
	// Central differences at h and h/2, extrapolated: the error is of order h⁴
	// beside a rounding of 1e-16/h.
	const h = 1e-3
	at := func(h float64) []float64 {
		moved := make([][]float64, len(in))
		for i := range in {
			moved[i] = slices.Clone(in[i])
			for k := range moved[i] {
				moved[i][k] += h * u[i][k]
			}
		}
		return evaluate(t, c, c.F64, moved, nil).value
	}
	a, b, d, e := at(h), at(-h), at(h/2), at(-h/2)
	largest := magnitude(ju)
	bound := or(c.Curved, 1e-7)
	for i := range ju {
		slope := (4*(d[i]-e[i])/h - (a[i]-b[i])/(2*h)) / 3
		if math.Abs(slope-ju[i]) > bound*max(largest, 1e-3) {
			t.Fatalf("J u of element %d is %v: differences say %v (largest %v)", i, ju[i], slope, largest)
		}
	}
	gradients := func(take func(*nn.Var[float64], []float64) error, y *nn.Var[float64]) [][]float64 {
		if err := take(y, v); err != nil {
			t.Fatal(err)
		}
		var g [][]float64
		for _, x := range vars {
			g = append(g, slices.Clone(x.Grad()))
			if x.Grad() == nil {
				g[len(g)-1] = make([]float64, x.Len())
			}
		}
		return g
	}
	once := gradients(tape.VJP, y)
	left, right, size := 0.0, 0.0, 0.0
	for i := range v {
		left += v[i] * ju[i]
		size += math.Abs(v[i] * ju[i])
	}
	for i := range once {
		for k, g := range once[i] {
			right += g * u[i][k]
			size += math.Abs(g * u[i][k])
		}
	}
	// Sums of a few thousand terms of rounding 1e-16 each.
	if math.Abs(left-right) > 1e-12*size {
		t.Fatalf("⟨v, J u⟩ is %v and ⟨Jᵀ v, u⟩ %v (terms sum to %v)", left, right, size)
	}
	double := gradients(tape.VJP, twice)
	for i := range once {
		scale := magnitude(once[i])
		for k, g := range once[i] {
			if math.Abs(double[i][k]-2*g) > 1e-12*scale {
				t.Fatalf("input %d used twice: gradient %d is %v, expected 2 × %v", i, k, double[i][k], g)
			}
		}
	}
	freed(t, c, in, u, v, ju, once)
	if last := gradients(tape.Backward, y); fmt.Sprint(last) != fmt.Sprint(once) {
		t.Fatalf("Backward gives %v and VJP %v", last, once)
	}
	if err := tape.VJP(y, v); err == nil {
		t.Fatal("VJP after Backward gave no error")
	}
}

// freed checks that derivatives do not read what Free has given back.
func freed(t *testing.T, c Case, in, u [][]float64, v, ju []float64, vj [][]float64) {
	t.Helper()
	var tape nn.Tape[float64]
	vars := put(&tape, c, in)
	var copies []*nn.Var[float64]
	var tangents []nn.Tangent[float64]
	for i, x := range vars {
		copies = append(copies, tape.Scale(x, 1))
		tangents = append(tangents, nn.Tangent[float64]{Of: x, Change: u[i]})
	}
	inner := c.F64(&tape, copies)
	y := tape.Scale(inner, 1)
	for _, x := range append(copies, inner) {
		tape.Free(x)
	}
	for i := range 8 { // whatever was given back is written to
		for _, x := range vars {
			tape.Scale(x, float64(i))
		}
		tape.Scale(y, float64(i))
	}
	if err := tape.JVP(tangents...); err != nil {
		t.Fatal(err)
	}
	if now := y.Tangent(); now != nil && !slices.Equal(now, ju) {
		t.Fatalf("J u is %v where inputs and result were freed, expected %v", now, ju)
	}
	if err := tape.Backward(y, v); err != nil {
		t.Fatal(err)
	}
	for i, x := range vars {
		if g := x.Grad(); g != nil && !slices.Equal(g, vj[i]) {
			t.Fatalf("the gradient of input %d is %v where inputs and result were freed, expected %v", i, g, vj[i])
		}
	}
}

func precisions(t *testing.T, c Case, in [][]float64, v []float64) {
	t.Helper()
	want, got := evaluate(t, c, c.F64, in, v), evaluate(t, c, c.F32, in, v)
	within := or(c.Within, 1e-5)
	compare := func(what string, want, got []float64) {
		scale := magnitude(want)
		for i := range want {
			if !(math.Abs(want[i]-got[i]) <= within*max(scale, 1e-3)) {
				t.Fatalf("%s %d is %v in float32 and %v in float64 (largest %v)", what, i, got[i], want[i], scale)
			}
		}
	}
	compare("element", want.value, got.value)
	for i := range want.grads {
		compare(fmt.Sprintf("gradient of input %d at", i), want.grads[i], got.grads[i])
	}
}

func rows(t *testing.T, c Case, in [][]float64) {
	t.Helper()
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	whole := evaluate(t, c, c.F32, in, nil)
	runtime.GOMAXPROCS(2)
	if two := evaluate(t, c, c.F32, in, nil); !slices.Equal(two.value, whole.value) {
		t.Fatal("two workers give other bits than one")
	}
	n := -1
	for _, input := range c.Inputs {
		if input.Rows {
			n = input.Shape[0]
		}
	}
	if n < 1 {
		return
	}
	for r := range n {
		one := slices.Clone(in)
		for i, input := range c.Inputs {
			if input.Rows {
				size := len(in[i]) / n
				one[i] = in[i][r*size : (r+1)*size]
			}
		}
		size := len(whole.value) / n
		if alone := evaluate(t, c, c.F32, one, nil); !slices.Equal(alone.value, whole.value[r*size:(r+1)*size]) {
			t.Fatalf("row %d alone gives other bits than in a batch of %d", r, n)
		}
	}
}

func allocations(t *testing.T, c Case, in [][]float64, v []float64) {
	t.Helper()
	var tape nn.Tape[float32]
	var x [][]float32
	for i := range in {
		x = append(x, narrow[float32](in[i]))
	}
	seed := narrow[float32](v)
	vars := make([]*nn.Var[float32], len(in))
	step := func() {
		tape.Reset()
		for i := range x {
			vars[i] = tape.Input(x[i], c.Inputs[i].Shape...)
		}
		if err := tape.Backward(c.F32(&tape, vars), seed); err != nil {
			t.Fatal(err)
		}
	}
	step()
	bytes := tape.Bytes()
	if n := testing.AllocsPerRun(3, step); n > 0 {
		t.Errorf("a step allocates %v times once it has run", n)
	}
	if now := tape.Bytes(); now != bytes {
		t.Errorf("the tape grew from %d bytes to %d in steps of the same shapes", bytes, now)
	}
}

func widen[T nn.Float](x []T) []float64 {
	if x == nil {
		return nil
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func narrow[T nn.Float](x []float64) []T {
	y := make([]T, len(x))
	for i, v := range x {
		y[i] = T(v)
	}
	return y
}

func magnitude(x []float64) float64 {
	largest := 0.0
	for _, v := range x {
		largest = max(largest, math.Abs(v))
	}
	return largest
}

func or(v, otherwise float64) float64 {
	if v == 0 {
		return otherwise
	}
	return v
}
