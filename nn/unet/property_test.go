package unet_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"snrlab/nn"
	"snrlab/nn/nntest"
	"snrlab/nn/unet"
	"snrlab/rng"
)

// shapes are networks that have all options between them, by what they change
// in tiny.
var shapes = []string{
	`"down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "act_fn": "mish", "mid_block_scale_factor": 1.5, "dropout": 0.25`,
	`"down_block_types": ["ResnetDownsampleBlock2D", "DownBlock2D"], "up_block_types": ["ResnetUpsampleBlock2D", "UpBlock2D"], "act_fn": "gelu",
		"resnet_time_scale_shift": "scale_shift", "num_class_embeds": 3, "attention_head_dim": null`,
	`"down_block_types": ["AttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "AttnUpBlock2D"], "time_embedding_type": "fourier",
		"class_embed_type": "timestep", "center_input_sample": true, "downsample_padding": 0, "layers_per_block": 2`,
	`"down_block_types": ["AttnDownBlock2D", "DownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "downsample_type": "resnet", "upsample_type": "resnet",
		"class_embed_type": "identity", "add_attention": false, "freq_shift": 1, "flip_sin_to_cos": false, "act_fn": "swish"`,
	`"resnet_time_scale_shift": "scale_shift", "attn_norm_num_groups": 4`,
}

// parse makes a configuration of two levels and few channels, with options.
func parse(t testing.TB, options string) unet.Config {
	t.Helper()
	all := map[string]json.RawMessage{}
	for _, text := range []string{
		`"in_channels": 2, "out_channels": 3, "block_out_channels": [4, 8], "norm_num_groups": 2, "attention_head_dim": 4, "layers_per_block": 1,
			"down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"]`,
		options,
	} {
		var more map[string]json.RawMessage
		if err := json.Unmarshal([]byte("{"+text+"}"), &more); err != nil {
			t.Fatal(err)
		}
		maps.Copy(all, more)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	c, err := unet.ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func makeNet[T nn.Float](t testing.TB, c unet.Config) *unet.Net[T] {
	t.Helper()
	n, err := unet.New[T](c, rng.New(1))
	if err != nil {
		t.Fatal(err)
	}
	// Frequencies of 100 would make the slope in time a thousand times that of
	// anything else.
	for _, p := range n.Params() {
		if p.Name() == "time_proj.weight" {
			for i := range p.Value() {
				p.Value()[i] /= 64
			}
		}
	}
	return n
}

// labels and keys of up to three rows, the same for each so that a row alone
// keeps its.
var (
	labels = []int{2, 2, 2}
	keys   = []rng.Key{rng.New(4), rng.New(4), rng.New(4)}
)

// apply is a network as a function of images, times, and a class where it takes
// numbers for it.
func apply[T nn.Float](n *unet.Net[T]) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
		var e unet.Extra[T]
		if len(in) > 2 {
			e.Class = in[2]
		}
		if n.Config().NumClassEmbeds != nil {
			e.Labels = labels[:in[0].Shape()[0]]
		}
		if n.Config().Dropout > 0 {
			e.Dropout = keys[:in[0].Shape()[0]]
		}
		return n.Apply(t, in[0], in[1], e)
	}
}

func inputs(c unet.Config, rows int) []nntest.Input {
	positive := func(z float64) float64 { return 1 + math.Abs(z) }
	times := nntest.Input{Shape: []int{rows}, Rows: true, Draw: positive}
	in := []nntest.Input{nntest.Row(rows, 4, 6, c.InChannels), times}
	if c.ClassEmbedType != nil {
		if *c.ClassEmbedType == "timestep" {
			in = append(in, times)
		} else {
			in = append(in, nntest.Row(rows, 4*c.BlockOutChannels[0]))
		}
	}
	return in
}

func TestNet_Property(t *testing.T) {
	for i, options := range shapes {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := parse(t, options)
			nntest.Run(t, nntest.Case{
				F64: apply(makeNet[float64](t, c)), F32: apply(makeNet[float32](t, c)), Inputs: inputs(c, 2),
				Within: 1e-4, // twenty layers, some that divide by a small deviation
				Curved: 1e-6,
			}, uint64(i))
		})
	}
}

// The slope in a direction of all parameters at once, by differences.
func TestNet_Gradients(t *testing.T) {
	for i, options := range append(slices.Clone(shapes), `"act_fn": "relu"`) {
		c := parse(t, options)
		n := makeNet[float64](t, c)
		z := rng.New(uint64(i)).Stream()
		draw := func(count int) []float64 {
			x := make([]float64, count)
			for i := range x {
				x[i] = z.NormFloat64()
			}
			return x
		}
		var in [][]float64
		for _, input := range inputs(c, 2) {
			size := 1
			for _, side := range input.Shape {
				size *= side
			}
			x := draw(size)
			if input.Draw != nil {
				for i := range x {
					x[i] = input.Draw(x[i])
				}
			}
			in = append(in, x)
		}
		seed := draw(2 * 4 * 6 * 3)
		value := func(gradients bool) float64 {
			var tape nn.Tape[float64]
			var vars []*nn.Var[float64]
			for i, input := range inputs(c, 2) {
				vars = append(vars, tape.Constant(in[i], input.Shape...))
			}
			y := apply(n)(&tape, vars)
			if err := tape.Err(); err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for i, v := range y.Value() {
				sum += v * seed[i]
			}
			if gradients {
				if err := tape.Backward(y, seed); err != nil {
					t.Fatal(err)
				}
			}
			return sum
		}
		value(true)
		want := 0.0
		var directions [][]float64
		for _, p := range n.Params() {
			u := draw(len(p.Value()))
			if p.Frozen {
				clear(u)
			}
			for i, g := range p.Grad() {
				want += g * u[i]
				if p.Frozen && g != 0 {
					t.Errorf("%s is frozen and has a gradient", p.Name())
				}
			}
			directions = append(directions, u)
		}
		move := func(h float64) {
			for k, p := range n.Params() {
				for i := range p.Value() {
					p.Value()[i] += h * directions[k][i]
				}
			}
		}
		// Differences at h and h/2, extrapolated: of order h⁴ beside a rounding of
		// 1e-16/h. Across a kink of max(x, 0) they have no meaning, so that h is
		// small there.
		h, within := 3e-5, 1e-7
		if c.ActFn == "relu" {
			h, within = 1e-8, 1e-4
		}
		at := func(h float64) float64 {
			move(h)
			defer move(-h)
			return value(false)
		}
		slope := (4*(at(h/2)-at(-h/2))/h - (at(h)-at(-h))/(2*h)) / 3
		if math.Abs(slope-want) > within*math.Abs(want) {
			t.Errorf("network %d: the gradients say %v, differences %v", i, want, slope)
		}
	}
}

func TestNet_Alloc(t *testing.T) {
	for i, options := range shapes {
		c := parse(t, options)
		n := makeNet[float32](t, c)
		f := apply(n)
		var x [][]float32
		list := inputs(c, 3)
		for _, input := range list {
			size := 1
			for _, side := range input.Shape {
				size *= side
			}
			v := make([]float32, size)
			for i := range v {
				v[i] = float32(i%7) + 0.5
			}
			x = append(x, v)
		}
		for _, inference := range []bool{true, false} {
			tape := nn.Tape[float32]{Inference: inference}
			vars := make([]*nn.Var[float32], len(x))
			once := func() {
				tape.Reset()
				n.Params().ZeroGrad()
				for k, input := range list {
					vars[k] = tape.Input(x[k], input.Shape...)
				}
				y := f(&tape, vars)
				if !inference {
					y = tape.MeanSquare(y, tape.Stop(y))
					if err := tape.Backward(y, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			once()
			bytes := tape.Bytes()
			if count := testing.AllocsPerRun(3, once); count > 0 {
				t.Errorf("network %d allocates %v times once it has run (inference %v)", i, count, inference)
			}
			if now := tape.Bytes(); now != bytes {
				t.Errorf("network %d: the tape grew from %d bytes to %d", i, bytes, now)
			}
		}
	}
}
