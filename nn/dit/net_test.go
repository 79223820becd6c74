package dit_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/nn"
	"snrlab/nn/dit"
	"snrlab/nn/nntest"
	"snrlab/rng"
)

func tiny(positions string, labels int) dit.Config {
	return dit.Config{
		Height: 4, Width: 6, Channels: 2, Patch: 2, Hidden: 8, Depth: 2, Heads: 2, MLPRatio: 1.5, Labels: labels,
		Positions: positions, PositionBase: 100, TimeFeatures: 6, TimeScale: 0.5,
	}
}

var configs = []dit.Config{tiny("sincos", 2), tiny("rotary", 0)}

// makeNet makes a network with random numbers in all parameters.
func makeNet[T nn.Float](t testing.TB, c dit.Config) *dit.Net[T] {
	t.Helper()
	n, err := dit.New[T](c, rng.New(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range n.Params() {
		z := rng.New(2).Split(p.Name(), 0).Stream()
		for k := range p.Value() {
			p.Value()[k] = T(float32(0.4 * z.NormFloat64()))
		}
	}
	return n
}

// network is a network as a function of images and times; rows have the label 1
// where it has classes.
func network[T nn.Float](n *dit.Net[T]) nntest.Func[T] {
	labels := []int{1, 1, 1}
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
		if n.Config().Labels == 0 {
			return n.Apply(t, in[0], in[1], nil)
		}
		return n.Apply(t, in[0], in[1], labels[:in[0].Shape()[0]])
	}
}

func TestNet_Property(t *testing.T) {
	for i, c := range configs {
		// Layer norms of eight channels divide by a deviation that may be small.
		nntest.Run(t, nntest.Case{
			F64: network(makeNet[float64](t, c)), F32: network(makeNet[float32](t, c)),
			Inputs: []nntest.Input{nntest.Row(3, c.Height, c.Width, c.Channels), nntest.Row(3)}, Within: 1e-4, Curved: 1e-6,
		}, uint64(i))
	}
}

func draw(count int, key rng.Key) []float64 {
	v := make([]float64, count)
	key.Normal(v)
	return v
}

func TestNet_Gradients(t *testing.T) {
	for i, c := range configs {
		n, key := makeNet[float64](t, c), rng.New(uint64(i))
		x, times := draw(3*c.Height*c.Width*c.Channels, key.Split("x", 0)), draw(3, key.Split("times", 0))
		var labels []int
		if c.Labels > 0 {
			labels = []int{1, -1, 0}
		}
		nntest.Parameters(t, n.Params(), func(t *nn.Tape[float64]) *nn.Var[float64] {
			return n.Apply(t, t.Constant(x, 3, c.Height, c.Width, c.Channels), t.Constant(times, 3), labels)
		}, uint64(i))
	}
}

// A plain network computes one image number by number, from the paper's formulas
// and parameters in torch's order by their names.
type plain struct {
	c dit.Config
	p map[string][]float64
}

func (n plain) linear(name string, x []float64) []float64 {
	w, y := n.p[name+".weight"], slices.Clone(n.p[name+".bias"])
	for o := range y {
		for i, v := range x {
			y[o] += w[o*len(x)+i] * v
		}
	}
	return y
}

func silu(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v / (1 + math.Exp(-v))
	}
	return y
}

// norm is LN(h)(1 + scale) + shift.
func norm(h, shift, scale []float64) []float64 {
	mean, square := 0.0, 0.0
	for _, v := range h {
		mean += v / float64(len(h))
		square += v * v / float64(len(h))
	}
	y := make([]float64, len(h))
	for i, v := range h {
		y[i] = (v-mean)/math.Sqrt(square-mean*mean+1e-6)*(1+scale[i]) + shift[i]
	}
	return y
}

func (n plain) apply(x []float64, time float64, label int) []float64 {
	c, d := n.c, n.c.Hidden
	lines, columns := c.Height/c.Patch, c.Width/c.Patch
	half := c.TimeFeatures / 2
	f := make([]float64, c.TimeFeatures)
	for i := range half {
		angle := c.TimeScale * time * math.Pow(10000, -float64(i)/float64(half))
		f[i], f[half+i] = math.Cos(angle), math.Sin(angle)
	}
	cond := n.linear("t_embedder.mlp.2", silu(n.linear("t_embedder.mlp.0", f)))
	if table := n.p["y_embedder.embedding_table.weight"]; table != nil {
		for i := range cond {
			cond[i] += table[label*d+i]
		}
	}
	cond = silu(cond)
	var h [][]float64
	filter := n.p["x_embedder.proj.weight"]
	for l := range lines {
		for j := range columns {
			token := slices.Clone(n.p["x_embedder.proj.bias"])
			for o := range token {
				for k := range c.Channels {
					for u := range c.Patch {
						for v := range c.Patch {
							pixel := x[((l*c.Patch+u)*c.Width+j*c.Patch+v)*c.Channels+k]
							token[o] += filter[((o*c.Channels+k)*c.Patch+u)*c.Patch+v] * pixel
						}
					}
				}
				if c.Positions == "sincos" {
					quarter := d / 4
					frequency := math.Pow(c.PositionBase, -float64(o%quarter)/float64(quarter))
					token[o] += []float64{
						math.Sin(float64(j) * frequency), math.Cos(float64(j) * frequency),
						math.Sin(float64(l) * frequency), math.Cos(float64(l) * frequency),
					}[o/quarter]
				}
			}
			h = append(h, token)
		}
	}
	for b := range c.Depth {
		block := "blocks." + string(rune('0'+b)) + "."
		m := slices.Collect(slices.Chunk(n.linear(block+"adaLN_modulation.1", cond), d))
		for i, r := range n.attend(block, h, m[0], m[1]) {
			for k, v := range r {
				h[i][k] += m[2][k] * v
			}
		}
		for i := range h {
			r := n.linear(block+"mlp.fc1", norm(h[i], m[3], m[4]))
			for k, v := range r {
				r[k] = v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
			}
			for k, v := range n.linear(block+"mlp.fc2", r) {
				h[i][k] += m[5][k] * v
			}
		}
	}
	m := slices.Collect(slices.Chunk(n.linear("final_layer.adaLN_modulation.1", cond), d))
	y := make([]float64, len(x))
	for i, token := range h {
		for k, v := range n.linear("final_layer.linear", norm(token, m[0], m[1])) {
			u, w, channel := k/c.Channels/c.Patch, k/c.Channels%c.Patch, k%c.Channels
			y[((i/columns*c.Patch+u)*c.Width+i%columns*c.Patch+w)*c.Channels+channel] = v
		}
	}
	return y
}

func (n plain) attend(block string, h [][]float64, shift, scale []float64) [][]float64 {
	c, d := n.c, n.c.Hidden
	size := d / c.Heads
	var q, k, v [][]float64
	for i := range h {
		parts := slices.Collect(slices.Chunk(n.linear(block+"attn.qkv", norm(h[i], shift, scale)), d))
		if c.Positions == "rotary" {
			columns := c.Width / c.Patch
			n.turn(parts[0], i/columns, i%columns)
			n.turn(parts[1], i/columns, i%columns)
		}
		q, k, v = append(q, parts[0]), append(k, parts[1]), append(v, parts[2])
	}
	var out [][]float64
	for i := range h {
		o := make([]float64, d)
		for head := range c.Heads {
			weights, total := make([]float64, len(h)), 0.0
			for j := range h {
				for e := head * size; e < (head+1)*size; e++ {
					weights[j] += q[i][e] * k[j][e] / math.Sqrt(float64(size))
				}
				weights[j] = math.Exp(weights[j])
				total += weights[j]
			}
			for j := range h {
				for e := head * size; e < (head+1)*size; e++ {
					o[e] += weights[j] / total * v[j][e]
				}
			}
		}
		out = append(out, n.linear(block+"attn.proj", o))
	}
	return out
}

// turn turns pairs of channels, as complex numbers: the first half of a head by
// the line, the second by the column.
func (n plain) turn(x []float64, line, column int) {
	size := n.c.Hidden / n.c.Heads
	for i := 0; i < len(x); i += 2 {
		place, e := line, i%size
		if e >= size/2 {
			place, e = column, e-size/2
		}
		s, c := math.Sincos(float64(place) * math.Pow(n.c.PositionBase, -2*float64(e/2)/float64(size/2)))
		x[i], x[i+1] = c*x[i]-s*x[i+1], s*x[i]+c*x[i+1]
	}
}

func TestNet_AgreesWith_Plain(t *testing.T) {
	labelled := tiny("rotary", 3)
	labelled.Hidden, labelled.Patch, labelled.Channels, labelled.MLPRatio = 16, 1, 1, 2
	for i, c := range append(slices.Clone(configs), labelled) {
		n := makeNet[float64](t, c)
		by := plain{c, map[string][]float64{}}
		for _, p := range n.Params() {
			by.p[p.Name()] = p.Dense().Data().([]float64)
		}
		const rows = 3
		size := c.Height * c.Width * c.Channels
		x, times := draw(rows*size, rng.New(7)), []float64{-0.7, 3, 40}
		labels, lines := []int{1, -1, 0}, []int{1, c.Labels, 0}
		if c.Labels == 0 {
			labels = nil
		}
		var tape nn.Tape[float64]
		y := n.Apply(&tape, tape.Constant(x, rows, c.Height, c.Width, c.Channels), tape.Constant(times, rows), labels)
		if err := tape.Err(); err != nil {
			t.Fatal(err)
		}
		for r := range rows {
			for k, want := range by.apply(x[r*size:(r+1)*size], times[r], lines[r]) {
				// Sums of tens of terms of order one, through a few layers.
				if got := y.Value()[r*size+k]; math.Abs(got-want) > 1e-11*max(1, math.Abs(want)) {
					t.Fatalf("network %d, row %d, number %d is %v: the formulas say %v", i, r, k, got, want)
				}
			}
		}
	}
}

// No labels are the label −1, which is a class of its own.
func TestNet_Labels(t *testing.T) {
	n := makeNet[float32](t, configs[0])
	run := func(labels []int) []float32 {
		var tape nn.Tape[float32]
		y := n.Apply(&tape, tape.Constant(make([]float32, 48), 1, 4, 6, 2), tape.Constant([]float32{0.3}, 1), labels)
		if err := tape.Err(); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(y.Value())
	}
	none := run(nil)
	if !slices.Equal(none, run([]int{-1})) {
		t.Error("no labels and the label −1 give different results")
	}
	if slices.Equal(none, run([]int{0})) || slices.Equal(none, run([]int{1})) {
		t.Error("labels make no difference")
	}
}

func TestNet_Refuses(t *testing.T) {
	n, bare := makeNet[float32](t, configs[0]), makeNet[float32](t, configs[1])
	for _, c := range []struct {
		net     *dit.Net[float32]
		shape   []int
		times   []float32
		labels  []int
		message string
	}{
		{n, []int{1, 4, 6, 2}, []float32{1}, []int{2}, "the label of row 0 is 2: expected 0 to 1"},
		{n, []int{1, 4, 6, 2}, []float32{1}, []int{-2}, "the label of row 0 is -2"},
		{n, []int{1, 4, 6, 2}, []float32{1}, []int{}, "0 labels for 1 rows"},
		{bare, []int{1, 4, 6, 2}, []float32{1}, []int{0}, "no classes"},
		{n, []int{1, 6, 4, 2}, []float32{1}, nil, "images have shape [1 6 4 2]: expected rows, 4, 6, 2"},
		{n, []int{1, 48}, []float32{1}, nil, "images have shape [1 48]"},
		{n, []int{0, 4, 6, 2}, nil, nil, "with at least one row"},
		{n, []int{1, 4, 6, 2}, []float32{1, 2}, nil, "times has shape [2]: expected 1"},
		{n, []int{1, 4, 6, 2}, []float32{float32(math.Inf(-1))}, nil, "times of row 0 is -Inf"},
	} {
		size := 1
		for _, side := range c.shape {
			size *= side
		}
		var tape nn.Tape[float32]
		c.net.Apply(&tape, tape.Constant(make([]float32, size), c.shape...), tape.Constant(c.times, len(c.times)), c.labels)
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
	for _, c := range []struct {
		field  string
		change func(*dit.Config)
	}{
		{"height", func(c *dit.Config) { c.Height = 0 }},
		{"width", func(c *dit.Config) { c.Width = -4 }},
		{"in_channels", func(c *dit.Config) { c.Channels = 0 }},
		{"patch_size", func(c *dit.Config) { c.Patch = 0 }},
		{"patch_size", func(c *dit.Config) { c.Width = 34 }},
		{"hidden_size", func(c *dit.Config) { c.Hidden = 1 }},
		{"hidden_size", func(c *dit.Config) { c.Hidden, c.Heads = 6, 1 }},
		{"hidden_size", func(c *dit.Config) { c.Hidden, c.Heads, c.Positions = 8, 4, "rotary" }},
		{"depth", func(c *dit.Config) { c.Depth = 0 }},
		{"num_heads", func(c *dit.Config) { c.Heads = 3 }},
		{"mlp_ratio", func(c *dit.Config) { c.MLPRatio = math.NaN() }},
		{"num_classes", func(c *dit.Config) { c.Labels = -1 }},
		{"positions", func(c *dit.Config) { c.Positions = "" }},
		{"position_base", func(c *dit.Config) { c.PositionBase = 0 }},
		{"time_features", func(c *dit.Config) { c.TimeFeatures = 7 }},
		{"time_scale", func(c *dit.Config) { c.TimeScale = math.Inf(1) }},
	} {
		config := dit.DefaultConfig()
		c.change(&config)
		if _, err := dit.New[float32](config, rng.New(1)); err == nil || !strings.Contains(err.Error(), ": "+c.field+" is ") {
			t.Errorf("%s: expected an error with its name, got %v", c.field, err)
		}
	}
}

// The names and shapes of the paper's program.
func TestNet_Names(t *testing.T) {
	n := makeNet[float32](t, tiny("sincos", 2))
	want := map[string][]int{
		"x_embedder.proj.weight": {8, 2, 2, 2}, "x_embedder.proj.bias": {8},
		"t_embedder.mlp.0.weight": {8, 6}, "t_embedder.mlp.0.bias": {8},
		"t_embedder.mlp.2.weight": {8, 8}, "t_embedder.mlp.2.bias": {8},
		"y_embedder.embedding_table.weight": {3, 8},
		"final_layer.linear.weight":         {8, 8}, "final_layer.linear.bias": {8},
		"final_layer.adaLN_modulation.1.weight": {16, 8}, "final_layer.adaLN_modulation.1.bias": {16},
	}
	for _, b := range []string{"blocks.0.", "blocks.1."} {
		for name, shape := range map[string][]int{"attn.qkv": {24, 8}, "attn.proj": {8, 8}, "mlp.fc1": {12, 8}, "mlp.fc2": {8, 12}, "adaLN_modulation.1": {48, 8}} {
			want[b+name+".weight"], want[b+name+".bias"] = shape, shape[:1]
		}
	}
	for _, p := range n.Params() {
		if !slices.Equal(want[p.Name()], p.Shape()) {
			t.Errorf("%s has shape %v: expected %v", p.Name(), p.Shape(), want[p.Name()])
		}
		delete(want, p.Name())
	}
	if len(want) > 0 {
		t.Errorf("the network has no %v", want)
	}
}
