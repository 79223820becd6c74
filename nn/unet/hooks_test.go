package unet

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/nn"
	"snrlab/nn/internal/pieces"
	"snrlab/rng"
)

const hooked = `{"in_channels": 1, "out_channels": 2, "block_out_channels": [4, 8], "norm_num_groups": 2, "layers_per_block": 1,
	"down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "attention_head_dim": 4}`

func network(t *testing.T, text string) *Net[float32] {
	t.Helper()
	c, err := ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	n, err := New[float32](c, rng.New(1))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// images are rows of 4×8 pixels.
func images(t *nn.Tape[float32], n *Net[float32], rows int) (x, times *nn.Var[float32]) {
	v := make([]float32, rows*4*8*n.config.InChannels)
	z := rng.New(2).Stream()
	for i := range v {
		v[i] = float32(z.NormFloat64())
	}
	at := make([]float32, rows)
	for i := range at {
		at[i] = float32(100 * (i + 1))
	}
	return t.Input(v, rows, 4, 8, n.config.InChannels), t.Input(at, rows)
}

func run(t *testing.T, n *Net[float32], h Hooks[float32]) []float32 {
	t.Helper()
	tape := nn.Tape[float32]{Inference: true}
	x, times := images(&tape, n, 2)
	y := n.Apply(&tape, x, times, Extra[float32]{Hooks: h})
	if err := tape.Err(); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(y.Value())
}

func TestHooks_Skip(t *testing.T) {
	n := network(t, hooked)
	plain := run(t, n, Hooks[float32]{})
	var asked []string
	one := run(t, n, Hooks[float32]{Skip: func(level, index int) float64 {
		asked = append(asked, fmt.Sprintf("%d.%d", level, index))
		return 1
	}})
	if !slices.Equal(plain, one) {
		t.Error("a factor of 1 changes bits")
	}
	if got := strings.Join(asked, " "); got != "1.1 1.0 0.1 0.0" {
		t.Errorf("asked for skips %s: expected the coarse level first, and the last of a level first", got)
	}
	// The network by its modules, with the skips as the hook is to have made them.
	scale := map[[2]int]float64{{0, 0}: 0, {0, 1}: -2, {1, 0}: 0.5, {1, 1}: 3}
	got := run(t, n, Hooks[float32]{Skip: func(level, index int) float64 { return scale[[2]int{level, index}] }})
	var tape nn.Tape[float32]
	x, times := images(&tape, n, 2)
	c := &call[float32]{t: &tape}
	n.embed(c, n.features(&tape, times), Extra[float32]{})
	scaled := func(level, index int, v *nn.Var[float32]) *nn.Var[float32] {
		f := scale[[2]int{level, index}]
		if f == 0 {
			return tape.Constant(make([]float32, v.Len()), v.Shape()...)
		}
		return tape.Scale(v, f)
	}
	s00 := n.convIn.Apply(&tape, x)
	s01 := n.down[0].layer(c, 0, s00)
	s10 := n.down[0].resampler.apply(c, s01)
	s11 := n.down[1].layer(c, 0, s10)
	h := n.middle.resnets[0].apply(c, s11)
	h = n.middle.attentions[0].apply(c, h)
	h = n.middle.resnets[1].apply(c, h)
	h = n.up[0].layer(c, 0, tape.Concat(h, scaled(1, 1, s11)))
	h = n.up[0].layer(c, 1, tape.Concat(h, scaled(1, 0, s10)))
	h = n.up[0].resampler.apply(c, h)
	h = n.up[1].layer(c, 0, tape.Concat(h, scaled(0, 1, s01)))
	h = n.up[1].layer(c, 1, tape.Concat(h, scaled(0, 0, s00)))
	want := n.convOut.Apply(&tape, n.normOut.ApplySiLU(&tape, h))
	if !slices.Equal(got, want.Value()) {
		t.Errorf("scaled skips give %v, the modules by hand %v", got[:4], want.Value()[:4])
	}
}

func TestHooks_Bottleneck(t *testing.T) {
	n := network(t, hooked)
	plain := run(t, n, Hooks[float32]{})
	var shape []int
	var seen []float32
	same := run(t, n, Hooks[float32]{Bottleneck: func(_ *nn.Tape[float32], h *nn.Var[float32]) *nn.Var[float32] {
		shape, seen = slices.Clone(h.Shape()), slices.Clone(h.Value())
		return h
	}})
	if !slices.Equal(same, plain) {
		t.Error("looking at the features changes bits")
	}
	if !slices.Equal(shape, []int{2, 2, 4, 8}) {
		t.Errorf("the features have shape %v: expected [2 2 4 8]", shape)
	}
	// What goes on is what was returned.
	replaced := run(t, n, Hooks[float32]{Bottleneck: func(t *nn.Tape[float32], h *nn.Var[float32]) *nn.Var[float32] {
		return t.Constant(seen, h.Shape()...)
	}})
	zero := run(t, n, Hooks[float32]{Bottleneck: func(t *nn.Tape[float32], h *nn.Var[float32]) *nn.Var[float32] {
		return t.Constant(make([]float32, h.Len()), h.Shape()...)
	}})
	if !slices.Equal(replaced, plain) || slices.Equal(zero, plain) {
		t.Error("the features that the hook returned are not those that went on")
	}
	// Gradients reach what was put there.
	var tape nn.Tape[float32]
	x, times := images(&tape, n, 2)
	var put *nn.Var[float32]
	y := n.Apply(&tape, x, times, Extra[float32]{Hooks: Hooks[float32]{Bottleneck: func(t *nn.Tape[float32], h *nn.Var[float32]) *nn.Var[float32] {
		put = t.Input(seen, h.Shape()...)
		return put
	}}})
	if err := tape.Backward(tape.MeanSquare(y, tape.Constant(zero, y.Shape()...)), nil); err != nil {
		t.Fatal(err)
	}
	if g := put.Grad(); len(g) != len(seen) || slices.Max(g) == 0 {
		t.Error("no gradient reaches the features")
	}
	for name, hook := range map[string]func(*nn.Tape[float32], *nn.Var[float32]) *nn.Var[float32]{
		"nothing":       func(*nn.Tape[float32], *nn.Var[float32]) *nn.Var[float32] { return nil },
		"another shape": func(t *nn.Tape[float32], _ *nn.Var[float32]) *nn.Var[float32] { return t.Constant(seen, len(seen)) },
	} {
		tape.Reset()
		x, times := images(&tape, n, 2)
		n.Apply(&tape, x, times, Extra[float32]{Hooks: Hooks[float32]{Bottleneck: hook}})
		if err := tape.Err(); err == nil || !strings.Contains(err.Error(), "expected [2 2 4 8]") {
			t.Errorf("a hook that returns %s: %v", name, err)
		}
	}
}

func TestNet_Refuses(t *testing.T) {
	plain := network(t, hooked)
	with := func(options string) *Net[float32] {
		return network(t, strings.Replace(hooked, "{", "{"+options+", ", 1))
	}
	labelled, fourier := with(`"num_class_embeds": 3`), with(`"time_embedding_type": "fourier"`)
	timed, given := with(`"class_embed_type": "timestep"`), with(`"class_embed_type": "identity"`)
	nan := func() float32 { var zero float32; return zero / zero }()
	type tape = nn.Tape[float32]
	type extra = Extra[float32]
	for _, c := range []struct {
		want  string
		n     *Net[float32]
		shape []int
		times []float32
		extra func(t *tape) extra
	}{
		{"[0 4 8 1]", plain, []int{0, 4, 8, 1}, nil, nil},
		{"[2 4 8 2]: expected rows, height, width, 1", plain, []int{2, 4, 8, 2}, []float32{1, 2}, nil},
		{"[2 4 8]", plain, []int{2, 4, 8}, []float32{1, 2}, nil},
		{"images are 4×7: expected positive multiples of 2", plain, []int{2, 4, 7, 1}, []float32{1, 2}, nil},
		{"images are 0×8", plain, []int{2, 0, 8, 1}, []float32{1, 2}, nil},
		{"times has shape [1]: expected 2", plain, []int{2, 4, 8, 1}, []float32{1}, nil},
		{"times of row 1 is NaN", plain, []int{2, 4, 8, 1}, []float32{1, nan}, nil},
		{"times of row 0 is 0: expected a finite number above 0", fourier, []int{2, 4, 8, 1}, []float32{0, 1}, nil},
		{"labels: expected none", plain, []int{2, 4, 8, 1}, []float32{1, 2}, func(*tape) extra { return extra{Labels: []int{0, 1}} }},
		{"0 labels for 2 rows", labelled, []int{2, 4, 8, 1}, []float32{1, 2}, nil},
		{"label 3 of row 1: expected 0 to 2", labelled, []int{2, 4, 8, 1}, []float32{1, 2}, func(*tape) extra { return extra{Labels: []int{0, 3}} }},
		{"label -1 of row 0", labelled, []int{2, 4, 8, 1}, []float32{1, 2}, func(*tape) extra { return extra{Labels: []int{-1, 2}} }},
		{"class has shape []: expected 2", timed, []int{2, 4, 8, 1}, []float32{1, 2}, nil},
		{"class has shape []: expected 2, 16", given, []int{2, 4, 8, 1}, []float32{1, 2}, nil},
		{"1 keys of dropout for 2 rows", plain, []int{2, 4, 8, 1}, []float32{1, 2}, func(*tape) extra { return extra{Dropout: make([]rng.Key, 1)} }},
		{"a class: expected none", labelled, []int{2, 4, 8, 1}, []float32{1, 2}, func(t *tape) extra {
			return extra{Labels: []int{0, 0}, Class: t.Constant([]float32{1, 2}, 2)}
		}},
	} {
		var t2 tape
		size := 1
		for _, side := range c.shape {
			size *= side
		}
		var e extra
		if c.extra != nil {
			e = c.extra(&t2)
		}
		c.n.Apply(&t2, t2.Constant(make([]float32, size), c.shape...), t2.Constant(c.times, len(c.times)), e)
		if err := t2.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	// An error of before stays, and nil is no array.
	var t3 tape
	plain.Apply(&t3, nil, nil, extra{})
	first := t3.Err()
	if first == nil {
		t.Error("no error without images")
	}
	plain.Apply(&t3, nil, nil, extra{})
	if t3.Err() != first {
		t.Error("another error took the place of the first")
	}
}

// On a tape for inference the network frees what it made, and nothing else.
func TestNet_Frees(t *testing.T) {
	for _, options := range []string{"", `"time_embedding_type": "fourier", "class_embed_type": "timestep", `, `"center_input_sample": true, "resnet_time_scale_shift": "scale_shift", "act_fn": "gelu", `} {
		n := network(t, strings.Replace(hooked, "{", "{"+options, 1))
		tape := nn.Tape[float32]{Inference: true}
		x, times := images(&tape, n, 2)
		x, times = tape.Scale(x, 2), tape.Scale(times, 3) // results, which could be freed
		class := tape.Scale(times, 1)
		want := [][]float32{slices.Clone(x.Value()), slices.Clone(times.Value()), slices.Clone(class.Value())}
		var e Extra[float32]
		if n.class != nil {
			e.Class = class
		}
		y := n.Apply(&tape, x, times, e)
		if err := tape.Err(); err != nil {
			t.Fatal(err)
		}
		answer := slices.Clone(y.Value())
		for i, v := range []*nn.Var[float32]{x, times, class} {
			if !slices.Equal(v.Value(), want[i]) {
				t.Errorf("{%s}: input %d was freed or overwritten", options, i)
			}
		}
		// All that is left of the network is its answer: applied again it takes no
		// more memory than that.
		bytes := tape.Bytes()
		if again := n.Apply(&tape, x, times, e); !slices.Equal(again.Value(), answer) {
			t.Errorf("{%s}: applied again the network gives another answer", options)
		}
		if more := tape.Bytes() - bytes; more > 4*len(answer) {
			t.Errorf("{%s}: applied again the network takes %d bytes more, for an answer of %d", options, more, 4*len(answer))
		}
	}
}

// Options against networks that say the same in other words, weight by weight:
// the first value of a parameter depends on its name alone.
func TestNet_AgreesWith(t *testing.T) {
	const rows = 2
	z := rng.New(5).Stream()
	draw := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = z.NormFloat64()
		}
		return x
	}
	x, times := draw(rows*4*8), []float64{3, 700}
	make64 := func(options string) *Net[float64] {
		t.Helper()
		text := strings.Replace(hooked, "{", "{"+options, 1)
		if strings.Contains(options, "down_block_types") {
			text = "{" + options + text[strings.Index(text, `"attention_head_dim"`):]
		}
		c, err := ParseConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		n, err := New[float64](c, rng.New(1))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	param := func(n *Net[float64], name string) []float64 {
		t.Helper()
		for _, p := range n.Params() {
			if p.Name() == name {
				return p.Value()
			}
		}
		t.Fatalf("no parameter %s", name)
		return nil
	}
	values := func(n *Net[float64], x []float64, e func(*nn.Tape[float64]) Extra[float64]) []float64 {
		t.Helper()
		var tape nn.Tape[float64]
		var extra Extra[float64]
		if e != nil {
			extra = e(&tape)
		}
		y := n.Apply(&tape, tape.Constant(x, rows, 4, 8, 1), tape.Constant(times, rows), extra)
		if err := tape.Err(); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(y.Value())
	}
	agree := func(what string, got, want []float64) {
		t.Helper()
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-12*max(1, math.Abs(want[i])) {
				t.Errorf("%s: element %d is %v, expected %v", what, i, got[i], want[i])
				return
			}
		}
	}

	centered := make([]float64, len(x))
	for i, v := range x {
		centered[i] = 2*v - 1
	}
	agree("center_input_sample", values(make64(`"center_input_sample": true, `), x, nil), values(make64(""), centered, nil))

	labelled := make64(`"num_class_embeds": 3, `)
	table := param(labelled, "class_embedding.weight")
	agree("class_embed_type identity",
		values(make64(`"class_embed_type": "identity", `), x, func(t *nn.Tape[float64]) Extra[float64] {
			return Extra[float64]{Class: t.Constant(slices.Concat(table[32:48], table[:16]), rows, 16)}
		}),
		values(labelled, x, func(*nn.Tape[float64]) Extra[float64] { return Extra[float64]{Labels: []int{2, 0}} }))

	// Features of times by the formula, embedded by the class's layers: a network
	// that takes them as its class.
	waves := func(u float64, fourier *Net[float64]) []float64 {
		f := make([]float64, 0, 8)
		if fourier == nil { // cosines first, frequencies 1 and 1/100
			return append(f, math.Cos(u), math.Cos(u/100), math.Sin(u), math.Sin(u/100))
		}
		for _, g := range []func(float64) float64{math.Sin, math.Cos} {
			for _, w := range param(fourier, "time_proj.weight") {
				f = append(f, g(2*math.Pi*w*math.Log(u)))
			}
		}
		return f
	}
	embedded := func(n *Net[float64], module string, f []float64) []float64 {
		layer := func(name string, x []float64) []float64 {
			w, b := param(n, module+name+".weight"), slices.Clone(param(n, module+name+".bias"))
			for o := range b {
				for i, v := range x {
					b[o] += w[o*len(x)+i] * v
				}
			}
			return b
		}
		h := layer(".linear_1", f)
		for i, v := range h {
			h[i] = v / (1 + math.Exp(-v))
		}
		return layer(".linear_2", h)
	}
	asClass := func(n *Net[float64], embedding func(row int) []float64) []float64 {
		given := make64(`"class_embed_type": "identity", `)
		for _, p := range given.Params() { // time adds nothing: the class is all
			if strings.HasPrefix(p.Name(), "time_embedding") {
				clear(p.Value())
			}
		}
		return values(given, x, func(t *nn.Tape[float64]) Extra[float64] {
			return Extra[float64]{Class: t.Constant(slices.Concat(embedding(0), embedding(1)), rows, 16)}
		})
	}
	plain := make64("")
	agree("positional", values(plain, x, nil), asClass(plain, func(r int) []float64 {
		return embedded(plain, "time_embedding", waves(times[r], nil))
	}))
	fourier := make64(`"time_embedding_type": "fourier", `)
	want := asClass(fourier, func(r int) []float64 {
		return embedded(fourier, "time_embedding", waves(times[r], fourier))
	})
	for i := range want {
		want[i] /= times[i/(len(want)/rows)]
	}
	if !fourier.fourier.Frozen {
		t.Error("the frequencies would be trained")
	}
	agree("fourier", values(fourier, x, nil), want)
	timed := make64(`"class_embed_type": "timestep", `)
	class := []float64{12, 0.5}
	agree("class_embed_type timestep",
		values(timed, x, func(t *nn.Tape[float64]) Extra[float64] { return Extra[float64]{Class: t.Constant(class, rows)} }),
		asClass(timed, func(r int) []float64 {
			e := embedded(timed, "time_embedding", waves(times[r], nil))
			for i, v := range embedded(timed, "class_embedding", waves(class[r], nil)) {
				e[i] += v
			}
			return e
		}))

	// Without what its three parts add, the middle is a division by the cube.
	bottleneck := func(options string) []float64 {
		n := make64(options)
		for _, p := range n.Params() {
			if strings.HasPrefix(p.Name(), "mid_block") && (strings.Contains(p.Name(), "conv2") || strings.Contains(p.Name(), "to_out")) {
				clear(p.Value())
			}
		}
		var seen []float64
		values(n, x, func(*nn.Tape[float64]) Extra[float64] {
			return Extra[float64]{Hooks: Hooks[float64]{Bottleneck: func(_ *nn.Tape[float64], h *nn.Var[float64]) *nn.Var[float64] {
				seen = slices.Clone(h.Value())
				return h
			}}}
		})
		return seen
	}
	whole := bottleneck("")
	for i := range whole {
		whole[i] /= 1.5 * 1.5 * 1.5
	}
	agree("mid_block_scale_factor", bottleneck(`"mid_block_scale_factor": 1.5, `), whole)

	// The middle's attention has groups of its own; with scale_shift, only if told.
	for options, want := range map[string]int{
		"": 2, `"attn_norm_num_groups": 4, `: 4,
		`"attn_norm_num_groups": 4, "resnet_time_scale_shift": "scale_shift", `: 4, `"resnet_time_scale_shift": "scale_shift", `: 0,
	} {
		if got := make64(options).middle.attentions[0].norm; got.Groups != want || (got.Weight == nil) != (want == 0) {
			t.Errorf("%s: %d groups, expected %d", options, got.Groups, want)
		}
	}

	// Attention that adds nothing leaves the blocks without.
	const sizes = `"in_channels": 1, "out_channels": 2, "block_out_channels": [4, 8], "norm_num_groups": 2, "layers_per_block": 1, `
	attending := make64(sizes + `"downsample_type": "resnet", "upsample_type": "resnet", "down_block_types": ["AttnDownBlock2D", "DownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], `)
	for _, p := range attending.Params() {
		if strings.Contains(p.Name(), "_blocks") && strings.Contains(p.Name(), "to_out") {
			clear(p.Value())
		}
	}
	agree("ResnetDownsampleBlock2D and ResnetUpsampleBlock2D",
		values(make64(sizes+`"down_block_types": ["ResnetDownsampleBlock2D", "DownBlock2D"], "up_block_types": ["ResnetUpsampleBlock2D", "UpBlock2D"], `), x, nil),
		values(attending, x, nil))
}

// Each place in the network drops other numbers, each row by its key.
func TestNet_Dropout(t *testing.T) {
	var tape nn.Tape[float32]
	ones := slices.Repeat([]float32{1}, 2*100)
	c := &call[float32]{t: &tape, keys: []rng.Key{rng.New(1), rng.New(2)}}
	drop := func() []float32 { return c.dropout(tape.Constant(ones, 2, 100), 0.5).Value() }
	a, b := drop(), drop()
	if slices.Equal(a, b) || slices.Equal(a[:100], a[100:]) {
		t.Error("two places, or two rows, drop the same numbers")
	}
	c.place = 0
	if !slices.Equal(a, drop()) {
		t.Error("the same keys drop other numbers at the same place")
	}

	plain := network(t, hooked)
	dropping := network(t, strings.Replace(hooked, "{", `{"dropout": 0.5, `, 1))
	answer := func(n *Net[float32], keys []rng.Key) []float32 {
		tape := nn.Tape[float32]{}
		x, times := images(&tape, n, 2)
		y := n.Apply(&tape, x, times, Extra[float32]{Dropout: keys})
		if err := tape.Err(); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(y.Value())
	}
	want := answer(plain, nil)
	if !slices.Equal(answer(dropping, nil), want) || !slices.Equal(answer(plain, c.keys), want) {
		t.Error("numbers are dropped without keys, or without dropout")
	}
	if slices.Equal(answer(dropping, c.keys), want) {
		t.Error("nothing is dropped")
	}
}

// A resnet that changes the size, by its parts and plain loops.
func TestResnet_Resamples(t *testing.T) {
	c, err := ParseConfig([]byte(hooked))
	if err != nil {
		t.Fatal(err)
	}
	const rows, height, width, channels, units = 2, 4, 6, 8, 16
	z := rng.New(3).Stream()
	draw := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = z.NormFloat64()
		}
		return x
	}
	resampled := func(r resampling, x []float64) (y []float64, h, w int) {
		at := func(row, i, j, c int) float64 { return x[((row*height+i)*width+j)*channels+c] }
		h, w = height/2, width/2
		if r == double {
			h, w = 2*height, 2*width
		}
		for p := range rows * h * w {
			row, i, j := p/(h*w), p/w%h, p%w
			for c := range channels {
				v := at(row, i/2%height, j/2%width, c)
				if r == halve {
					v = (at(row, 2*i, 2*j, c) + at(row, 2*i, 2*j+1, c) + at(row, 2*i+1, 2*j, c) + at(row, 2*i+1, 2*j+1, c)) / 4
				}
				y = append(y, v)
			}
		}
		return y, h, w
	}
	for _, r := range []resampling{halve, double} {
		n := builder[float64]{c, units}.resnet(nn.NewScope[float64](rng.New(1)), channels, channels, r, 1)
		var tape nn.Tape[float64]
		x := tape.Constant(draw(rows*height*width*channels), rows, height, width, channels)
		time := tape.Constant(draw(rows*units), rows, units)
		got := n.apply(&call[float64]{t: &tape, time: time}, x).Value()

		inner, h, w := resampled(r, n.norm1.ApplySiLU(&tape, x).Value())
		across, _, _ := resampled(r, x.Value())
		v := n.conv1.Apply(&tape, tape.Constant(inner, rows, h, w, channels))
		v = tape.AddChannels(v, n.time.Apply(&tape, time))
		v = n.conv2.Apply(&tape, n.norm2.ApplySiLU(&tape, v))
		want := v.Value()
		if err := tape.Err(); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if math.Abs(got[i]-want[i]-across[i]) > 1e-12 {
				t.Fatalf("resampling %d: element %d is %v, expected %v", r, i, got[i], want[i]+across[i])
			}
		}
	}
}

func TestActivate(t *testing.T) {
	var tape nn.Tape[float64]
	x := tape.Constant([]float64{-1, 2}, 2)
	for name, want := range map[string]*nn.Var[float64]{
		"silu": tape.SiLU(x), "swish": tape.SiLU(x), "mish": tape.Mish(x), "gelu": tape.GELU(x), "relu": tape.ReLU(x),
	} {
		if got := pieces.Activate(&tape, name, x).Value(); !slices.Equal(got, want.Value()) {
			t.Errorf("%s gives %v, expected %v", name, got, want.Value())
		}
	}
}
