package unet

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"snrlab/internal/freelist"
	"snrlab/nn"
	"snrlab/nn/internal/pieces"
	"snrlab/rng"
)

// ErrInput is what a network gives that is asked for something it cannot do.
var ErrInput = errors.New("not an input of this network")

// A Net is a UNet2DModel. It may serve several goroutines, each with a tape of
// its own.
type Net[T nn.Float] struct {
	config Config
	params nn.Params[T]

	convIn   nn.Conv[T]
	fourier  *nn.Param[T] // frequencies; nil: positional
	time     *embedding[T]
	class    *embedding[T] // of class_embed_type timestep, or nil
	classes  *nn.Param[T]  // rows of num_class_embeds, or nil
	down, up []block[T]    // in the order of application
	middle   block[T]
	normOut  nn.GroupNorm[T]
	convOut  nn.Conv[T]
	minusOne []T
}

// New makes a network with torch's first values.
func New[T nn.Float](c Config, key rng.Key) (*Net[T], error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return build(c, nn.NewScope[T](key))
}

// build makes the modules in a tree.
func build[T nn.Float](c Config, s nn.Scope[T]) (*Net[T], error) {
	b := builder[T]{c, 4 * c.BlockOutChannels[0]}
	features := c.BlockOutChannels[0]
	n := &Net[T]{config: c, minusOne: []T{-1}, convIn: b.conv3(s.Sub("conv_in"), c.InChannels, features, 1, nn.Pad(1))}
	if c.TimeEmbeddingType == "fourier" {
		n.fourier = s.Sub("time_proj").Param("weight", nn.Normal(16), features)
		n.fourier.Frozen = true
		features *= 2 // a sine and a cosine each
	}
	n.time = b.embedding(s.Sub("time_embedding"), features)
	switch {
	case c.classKind() == "timestep":
		n.class = b.embedding(s.Sub("class_embedding"), features)
	case c.NumClassEmbeds != nil:
		n.classes = s.Sub("class_embedding").Param("weight", nn.Normal(1), *c.NumClassEmbeds, b.units)
	}
	sub := func(list string, i int) nn.Scope[T] { return s.Sub(list).Sub(strconv.Itoa(i)) }
	layer := func(l *block[T], s nn.Scope[T], in, out int, attention bool) {
		k := strconv.Itoa(len(l.resnets))
		l.resnets = append(l.resnets, b.resnet(s.Sub("resnets").Sub(k), in, out, keep, 1))
		if attention {
			l.attentions = append(l.attentions, b.attention(s.Sub("attentions").Sub(k), out, c.NormNumGroups, "norm_num_groups", 1))
		}
	}
	levels := len(c.BlockOutChannels)
	in := c.BlockOutChannels[0]
	for i, kind := range c.DownBlockTypes {
		var l block[T]
		s, out := sub("down_blocks", i), c.BlockOutChannels[i]
		for range c.LayersPerBlock {
			layer(&l, s, in, out, kind == "AttnDownBlock2D")
			in = out
		}
		if i < levels-1 {
			l.resampler = b.resampler(s.Sub("downsamplers.0"), out, halve, kind == "ResnetDownsampleBlock2D" || kind == "AttnDownBlock2D" && c.DownsampleType == "resnet")
		}
		n.down = append(n.down, l)
	}
	n.middle = b.middle(s.Sub("mid_block"), in)
	for i, kind := range c.UpBlockTypes {
		var l block[T]
		s, out := sub("up_blocks", i), c.BlockOutChannels[levels-1-i]
		finer := c.BlockOutChannels[max(levels-2-i, 0)]
		for k := range c.LayersPerBlock + 1 {
			// The last skip of a level is what the level before handed down.
			skip := out
			if k == c.LayersPerBlock {
				skip = finer
			}
			layer(&l, s, in+skip, out, kind == "AttnUpBlock2D")
			in = out
		}
		if i < levels-1 {
			l.resampler = b.resampler(s.Sub("upsamplers.0"), out, double, kind == "ResnetUpsampleBlock2D" || kind == "AttnUpBlock2D" && c.UpsampleType == "resnet")
		}
		n.up = append(n.up, l)
	}
	n.normOut = b.norm(s.Sub("conv_norm_out"), in, c.NormNumGroups, "norm_num_groups")
	n.convOut = b.conv3(s.Sub("conv_out"), in, c.OutChannels, 1, nn.Pad(1))
	n.params = s.Params()
	return n, s.Err()
}

// middle makes two resnets with an attention between them.
func (b builder[T]) middle(s nn.Scope[T], channels int) block[T] {
	first := b.resnet(s.Sub("resnets.0"), channels, channels, keep, b.MidBlockScale)
	var between []*attention[T]
	if b.AddAttention {
		groups, field := b.NormNumGroups, "norm_num_groups"
		if b.AttnNormNumGroups != nil {
			groups, field = *b.AttnNormNumGroups, "attn_norm_num_groups"
		} else if b.ResnetTimeScale == "scale_shift" {
			groups = 0
		}
		between = append(between, b.attention(s.Sub("attentions.0"), channels, groups, field, b.MidBlockScale))
	}
	second := b.resnet(s.Sub("resnets.1"), channels, channels, keep, b.MidBlockScale)
	return block[T]{resnets: []*resnet[T]{first, second}, attentions: between}
}

// classKind is class_embed_type, empty for null.
func (c Config) classKind() string {
	if c.ClassEmbedType == nil {
		return ""
	}
	return *c.ClassEmbedType
}

// Config returns the options that the network was made by.
func (n *Net[T]) Config() Config { return n.config }

// Params are all parameters, in the order of the modules.
func (n *Net[T]) Params() nn.Params[T] { return n.params }

// Extra is what a network is asked beside images and times.
type Extra[T nn.Float] struct {
	// Labels are one a row, below num_class_embeds, where that is set.
	Labels []int
	// Class is [rows], numbers embedded like times, where class_embed_type is
	// timestep, and [rows, 4·block_out_channels[0]] where it is identity.
	Class *nn.Var[T]
	// Dropout has a key a row, for training; nil drops nothing.
	Dropout []rng.Key
	Hooks[T]
}

// Hooks look into a network while it is applied. The zero value changes nothing.
type Hooks[T nn.Float] struct {
	// Skip is the factor of a skip connection before it is joined to what comes
	// from below. Level 0 has the images' size, each further level half of the
	// one before. At a level, skip 0 is what entered it, and k the result of its
	// layer k on the way down, 1 ≤ k ≤ layers_per_block.
	Skip func(level, index int) float64
	// Bottleneck gets what comes out of the middle, [rows, height/2ˡ, width/2ˡ,
	// c] with l+1 levels and c the last of block_out_channels, and returns what
	// goes on in its place, of the same shape. On a tape for inference what it
	// returned is freed later.
	Bottleneck func(t *nn.Tape[T], h *nn.Var[T]) *nn.Var[T]
}

// Apply computes the network on images x [rows, height, width, in_channels] at
// times [rows]. Sides have to halve once a level but one. An input that does not
// fit is an error of the tape.
func (n *Net[T]) Apply(t *nn.Tape[T], x, times *nn.Var[T], e Extra[T]) *nn.Var[T] {
	if t.Err() != nil {
		return x
	}
	if err := n.check(x, times, e); err != nil {
		return t.Fail(fmt.Errorf("unet: %w: %w", ErrInput, err))
	}
	return n.apply(t, x, times, n.features(t, times), e)
}

// keys are rooms for keys that were split.
var keys = freelist.List[[]rng.Key]{New: func() *[]rng.Key { return new([]rng.Key) }}

// apply is Apply of checked inputs, the features of times known.
func (n *Net[T]) apply(t *nn.Tape[T], x, times, features *nn.Var[T], e Extra[T]) *nn.Var[T] {
	room := keys.Get()
	c := &call[T]{t: t, keys: e.Dropout, drawn: *room}
	defer func() {
		*room = c.drawn
		keys.Put(room)
	}()
	n.embed(c, features, e)
	var h *nn.Var[T]
	if n.config.CenterInputSample {
		h = t.Scale(x, 2)
		h = c.then(h, t.Add(h, t.Constant(n.minusOne, 1)))
		h = c.then(h, n.convIn.Apply(t, h))
	} else {
		h = n.convIn.Apply(t, x) // which is not the network's to free
	}
	var first [64]*nn.Var[T] // more are rare
	skips := append(first[:0], h)
	for i := range n.down {
		b := &n.down[i]
		for k := range b.resnets {
			h = b.layer(c, k, h)
			skips = append(skips, h)
		}
		if b.resampler != nil {
			h = b.resampler.apply(c, h)
			skips = append(skips, h)
		}
	}
	h = n.middle.resnets[0].apply(c, h)
	for _, a := range n.middle.attentions {
		h = c.then(h, a.apply(c, h))
	}
	h = c.then(h, n.middle.resnets[1].apply(c, h))
	if e.Bottleneck != nil {
		h = bottleneck(t, e.Bottleneck, h)
	}
	for i := range n.up {
		b := &n.up[i]
		for k := range b.resnets {
			last := len(skips) - 1
			skip := skips[last]
			skips = skips[:last]
			if e.Skip != nil {
				skip = c.then(skip, t.Scale(skip, e.Skip(len(n.up)-1-i, n.config.LayersPerBlock-k)))
			}
			joined := t.Concat(h, skip)
			t.Free(skip)
			h = c.then(h, joined)
			h = c.then(h, b.layer(c, k, h))
		}
		if b.resampler != nil {
			h = c.then(h, b.resampler.apply(c, h))
		}
	}
	t.Free(c.time)
	h = c.then(h, n.normOut.ApplySiLU(t, h))
	h = c.then(h, n.convOut.Apply(t, h))
	if n.fourier != nil {
		h = c.then(h, divideRows(t, h, times))
	}
	return h
}

// divideRows is x / v for x [rows, …] and v [rows].
func divideRows[T nn.Float](t *nn.Tape[T], x, v *nn.Var[T]) *nn.Var[T] {
	if t.Err() != nil {
		return x
	}
	rows, s := v.Len(), x.Shape()
	inverse := t.Inverse(v)
	y := t.MulChannels(t.Reshape(x, rows, x.Len()/rows, 1), t.Reshape(inverse, rows, 1))
	t.Free(inverse)
	return t.Reshape(y, s...)
}

func bottleneck[T nn.Float](t *nn.Tape[T], hook func(*nn.Tape[T], *nn.Var[T]) *nn.Var[T], h *nn.Var[T]) *nn.Var[T] {
	if t.Err() != nil {
		return h
	}
	y := hook(t, h)
	if t.Err() == nil && (y == nil || !slices.Equal(y.Shape(), h.Shape())) {
		return t.Fail(fmt.Errorf("unet: the hook of the bottleneck returned %v: expected %v: %w", y.Shape(), h.Shape(), nn.ErrShape))
	}
	return y
}

// embed computes the activated embedding of time and class.
func (n *Net[T]) embed(c *call[T], features *nn.Var[T], e Extra[T]) {
	t := c.t
	h := c.then(features, n.time.apply(c, features))
	add := func(class *nn.Var[T]) { h = c.then(h, t.Add(h, class)) }
	switch {
	case n.class != nil:
		f := n.features(t, e.Class)
		class := c.then(f, n.class.apply(c, f))
		add(class)
		t.Free(class)
	case n.classes != nil:
		class := t.Embedding(t.Param(n.classes), e.Labels)
		add(class)
		t.Free(class)
	case e.Class != nil:
		add(e.Class)
	}
	c.time = c.then(h, pieces.Activate(t, n.config.ActFn, h))
}

// features are those of times, before the embedding learns from them.
func (n *Net[T]) features(t *nn.Tape[T], times *nn.Var[T]) *nn.Var[T] {
	if n.fourier != nil {
		l := t.Log(times)
		f := t.Fourier(l, t.Param(n.fourier))
		t.Free(l)
		return f
	}
	return t.Sinusoid(times, n.config.BlockOutChannels[0], nn.Sinusoid{FlipSinToCos: n.config.FlipSinToCos, DownscaleFreqShift: n.config.FreqShift})
}

// check refuses inputs that do not fit.
func (n *Net[T]) check(x, times *nn.Var[T], e Extra[T]) error {
	s := x.Shape()
	if len(s) != 4 || s[0] < 1 || s[3] != n.config.InChannels {
		return fmt.Errorf("images have shape %v: expected rows, height, width, %d, with at least one row", slices.Clone(s), n.config.InChannels)
	}
	rows := s[0]
	if unit := 1 << (len(n.down) - 1); s[1] < 1 || s[2] < 1 || s[1]%unit != 0 || s[2]%unit != 0 {
		return fmt.Errorf("images are %d×%d: expected positive multiples of %d, halved %d times", s[1], s[2], unit, len(n.down)-1)
	}
	if err := n.checkTimes("times", times, rows); err != nil {
		return err
	}
	kind := n.config.classKind()
	switch {
	case n.classes != nil && len(e.Labels) != rows:
		return fmt.Errorf("%d labels for %d rows: expected one a row", len(e.Labels), rows)
	case n.classes == nil && e.Labels != nil:
		return errors.New("labels: expected none, the network has no num_class_embeds")
	case kind == "" && e.Class != nil:
		return errors.New("a class: expected none, the network has no class_embed_type")
	case kind == "timestep":
		if err := n.checkTimes("class", e.Class, rows); err != nil {
			return err
		}
	case kind == "identity" && !slices.Equal(e.Class.Shape(), []int{rows, 4 * n.config.BlockOutChannels[0]}):
		return fmt.Errorf("class has shape %v: expected %d, %d", e.Class.Shape(), rows, 4*n.config.BlockOutChannels[0])
	}
	if e.Dropout != nil && len(e.Dropout) != rows {
		return fmt.Errorf("%d keys of dropout for %d rows: expected one a row, or none", len(e.Dropout), rows)
	}
	for r, l := range e.Labels {
		if l < 0 || l >= *n.config.NumClassEmbeds {
			return fmt.Errorf("label %d of row %d: expected 0 to %d", l, r, *n.config.NumClassEmbeds-1)
		}
	}
	return nil
}

// checkTimes refuses what the features of time cannot be made of.
func (n *Net[T]) checkTimes(what string, v *nn.Var[T], rows int) error {
	if err := pieces.CheckTimes(what, v, rows); err != nil {
		return err
	}
	if n.fourier == nil {
		return nil
	}
	for r, u := range v.Value() {
		if u <= 0 {
			return fmt.Errorf("%s of row %d is %v: expected a finite number above 0, for its logarithm", what, r, u)
		}
	}
	return nil
}
