package mlp_test

import (
	"math"
	"strings"
	"testing"

	"snrlab/nn"
	"snrlab/nn/mlp"
	"snrlab/nn/nntest"
	"snrlab/rng"
)

// tiny are networks that have all options between them.
func tiny() []mlp.Config {
	a := mlp.Config{Dim: 2, Hidden: 5, Layers: 2, Activation: "silu", Time: mlp.Time{Kind: "fourier", Number: 3, Scale: 0.2}}
	b := mlp.Config{
		Dim: 3, Hidden: 4, Layers: 1, Activation: "gelu", Labels: 2,
		Time: mlp.Time{Kind: "sinusoid", Number: 4, Scale: 0.5}, Space: mlp.Space{Number: 3, Scale: 0.1},
	}
	c, d := a, b
	c.Activation, d.Activation = "tanh", "mish"
	return []mlp.Config{a, b, c, d}
}

// makeNet makes a network with no layer of zeros.
func makeNet[T nn.Float](t testing.TB, c mlp.Config) *mlp.Net[T] {
	t.Helper()
	n, err := mlp.New[T](c, rng.New(1))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range n.Params() {
		if strings.HasPrefix(p.Name(), "out.") {
			z := rng.New(2).Split("out", uint64(i)).Stream()
			for k := range p.Value() {
				p.Value()[k] = T(float32(z.NormFloat64()))
			}
		}
	}
	return n
}

// network is a network as a function of points and times; rows have the label 1
// where it has classes.
func network[T nn.Float](n *mlp.Net[T]) nntest.Func[T] {
	labels := []int{1, 1, 1}
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
		if n.Config().Labels == 0 {
			return n.Apply(t, in[0], in[1], nil)
		}
		return n.Apply(t, in[0], in[1], labels[:in[0].Shape()[0]])
	}
}

func TestNet_Property(t *testing.T) {
	for i, c := range tiny() {
		// Layer norms of a few units divide by a deviation that may be small.
		nntest.Run(t, nntest.Case{
			F64: network(makeNet[float64](t, c)), F32: network(makeNet[float32](t, c)),
			Inputs: []nntest.Input{nntest.Row(3, c.Dim), nntest.Row(3)}, Within: 1e-4, Curved: 1e-6,
		}, uint64(i))
	}
}

func TestNet_Gradients(t *testing.T) {
	for i, c := range tiny() {
		n := makeNet[float64](t, c)
		x, times := make([]float64, 3*c.Dim), make([]float64, 3)
		rng.New(uint64(i)).Split("x", 0).Normal(x)
		rng.New(uint64(i)).Split("times", 0).Normal(times)
		var labels []int
		if c.Labels > 0 {
			labels = []int{1, -1, 0}
		}
		nntest.Parameters(t, n.Params(), func(t *nn.Tape[float64]) *nn.Var[float64] {
			return n.Apply(t, t.Constant(x, 3, c.Dim), t.Constant(times, 3), labels)
		}, uint64(i))
	}
}

// What a label adds is its own: none, −1 and no labels are the same.
func TestNet_Labels(t *testing.T) {
	n := makeNet[float32](t, tiny()[1])
	run := func(labels []int) [3]float32 {
		var tape nn.Tape[float32]
		y := n.Apply(&tape, tape.Constant([]float32{1, -1, 0.5}, 1, 3), tape.Constant([]float32{0.3}, 1), labels)
		if err := tape.Err(); err != nil {
			t.Fatal(err)
		}
		return [3]float32(y.Value())
	}
	none, zero, one := run([]int{-1}), run([]int{0}), run([]int{1})
	if none != run(nil) {
		t.Error("no labels and the label −1 give different results")
	}
	if none == zero || none == one || zero == one {
		t.Errorf("labels make no difference: %v, %v, %v", none, zero, one)
	}
}

func TestNet_Refuses(t *testing.T) {
	n, plain := makeNet[float32](t, tiny()[1]), makeNet[float32](t, tiny()[0])
	point, time := make([]float32, 3), []float32{1}
	for _, c := range []struct {
		net     *mlp.Net[float32]
		x       []float32
		shape   []int
		times   []float32
		labels  []int
		message string
	}{
		{n, point, []int{1, 3}, time, []int{2}, "the label of row 0 is 2: expected 0 to 1"},
		{n, point, []int{1, 3}, time, []int{-2}, "the label of row 0 is -2"},
		{n, point, []int{1, 3}, time, []int{0, 1}, "2 labels for 1 rows"},
		{plain, make([]float32, 2), []int{1, 2}, time, []int{0}, "no classes"},
		{n, point, []int{3}, time, nil, "points have shape [3]: expected rows, 3"},
		{n, make([]float32, 2), []int{1, 2}, time, nil, "points have shape [1 2]"},
		{n, nil, []int{0, 3}, nil, nil, "points have shape [0 3]: expected rows, 3, with at least one row"},
		{n, point, []int{1, 3}, []float32{1, 2}, nil, "times has shape [2]: expected 1"},
		{n, point, []int{1, 3}, []float32{float32(math.NaN())}, nil, "times of row 0 is NaN"},
	} {
		var tape nn.Tape[float32]
		c.net.Apply(&tape, tape.Constant(c.x, c.shape...), tape.Constant(c.times, len(c.times)), c.labels)
		if err := tape.Err(); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("expected an error with %q, got %v", c.message, err)
		}
	}
	var tape nn.Tape[float32]
	if n.Apply(&tape, nil, nil, nil); tape.Err() == nil {
		t.Error("no arrays gave no error")
	}
}

func TestConfig_Refuses(t *testing.T) {
	for field, change := range map[string]func(*mlp.Config){
		"dim":          func(c *mlp.Config) { c.Dim = 0 },
		"hidden":       func(c *mlp.Config) { c.Hidden = 1 },
		"layers":       func(c *mlp.Config) { c.Layers = 0 },
		"activation":   func(c *mlp.Config) { c.Activation = "" },
		"time.kind":    func(c *mlp.Config) { c.Time.Kind = "learned" },
		"time.number":  func(c *mlp.Config) { c.Time.Number = 0 },
		"time.scale":   func(c *mlp.Config) { c.Time.Scale = math.Inf(1) },
		"space.number": func(c *mlp.Config) { c.Space.Number = -1 },
		"space.scale":  func(c *mlp.Config) { c.Space.Scale = 1 },
		"labels":       func(c *mlp.Config) { c.Labels = -1 },
	} {
		c := mlp.DefaultConfig()
		change(&c)
		if _, err := mlp.New[float32](c, rng.New(1)); err == nil || !strings.Contains(err.Error(), ": "+field+" is ") {
			t.Errorf("%s: expected an error with its name, got %v", field, err)
		}
	}
}

// The formulas of the package comment for one point, number by number.
func TestNet_AgreesWith_Formulas(t *testing.T) {
	c := tiny()[1]
	c.Activation, c.Layers = "tanh", 2
	n := makeNet[float64](t, c)
	p := map[string][]float64{}
	for _, v := range n.Params() {
		p[v.Name()] = v.Value()
	}
	linear := func(name string, x []float64) []float64 {
		y := append([]float64(nil), p[name+".bias"]...)
		for o := range y {
			for i, v := range x {
				y[o] += p[name+".weight"][o*len(x)+i] * v
			}
		}
		return y
	}
	phi := func(x []float64) []float64 {
		for i, v := range x {
			x[i] = math.Tanh(v)
		}
		return x
	}
	norm := func(h []float64) []float64 {
		mean, variance := 0.0, 0.0
		for _, v := range h {
			mean += v / float64(len(h))
		}
		for _, v := range h {
			variance += (v - mean) * (v - mean) / float64(len(h))
		}
		y := make([]float64, len(h))
		for i, v := range h {
			y[i] = (v - mean) / math.Sqrt(variance+1e-6)
		}
		return y
	}
	x, time := []float64{0.3, -1.2, 0.7}, 1.9

	f := make([]float64, 8)
	for i := range 4 {
		f[i], f[4+i] = math.Sincos(0.5 * time * math.Pow(1e4, -float64(i)/4))
	}
	cond := linear("time_mlp.2", phi(linear("time_mlp.0", f)))
	for i := range cond {
		cond[i] += p["label_embedding.weight"][1*c.Hidden+i]
	}
	cond = phi(cond)
	u := append([]float64(nil), x...)
	for i := range 3 {
		angle := 0.0
		for k, v := range x {
			angle += 2 * math.Pi * p["space_proj.weight"][3*i+k] * v
		}
		u = append(u, math.Sin(angle), math.Cos(angle))
	}
	h := linear("in", u)
	for _, block := range []string{"blocks.0.", "blocks.1."} {
		m, r := linear(block+"modulation", cond), norm(h)
		for i := range r {
			r[i] = r[i]*(1+m[i]) + m[c.Hidden+i]
		}
		for i, v := range linear(block+"fc2", phi(linear(block+"fc1", r))) {
			h[i] += v
		}
	}
	want := linear("out", norm(h))

	var tape nn.Tape[float64]
	y := n.Apply(&tape, tape.Constant(x, 1, 3), tape.Constant([]float64{time}, 1), []int{1})
	if err := tape.Err(); err != nil {
		t.Fatal(err)
	}
	for i, v := range y.Value() {
		// Sums of tens of terms of order one.
		if math.Abs(v-want[i]) > 1e-12 {
			t.Errorf("number %d is %v: the formulas say %v", i, v, want[i])
		}
	}
}
