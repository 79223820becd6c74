package unet

import (
	"fmt"
	"math"

	"snrlab/nn"
	"snrlab/nn/internal/pieces"
	"snrlab/rng"
)

// A call is one application of a network: what all modules look at.
type call[T nn.Float] struct {
	t     *nn.Tape[T]
	time  *nn.Var[T] // activated embedding of time and class [rows, units]
	keys  []rng.Key  // of dropout, one a row, or nil
	drawn []rng.Key  // room for those of one place
	place uint64     // in the network where numbers are dropped
}

// dropout drops numbers of x, which is needed no more, other ones at each place
// in the network.
func (c *call[T]) dropout(x *nn.Var[T], p float64) *nn.Var[T] {
	if p == 0 || c.keys == nil {
		return x
	}
	c.drawn = c.drawn[:0]
	for _, k := range c.keys {
		c.drawn = append(c.drawn, k.Split("dropout", c.place))
	}
	c.place++
	return c.then(x, c.t.Dropout(x, p, c.drawn))
}

// then is y, made of x alone, which is needed no more.
func (c *call[T]) then(x, y *nn.Var[T]) *nn.Var[T] {
	return pieces.Then(c.t, x, y)
}

// A builder makes modules by the options that all blocks share. Its error, that
// of the first size that does not go into the groups or heads asked for, is the
// scope's.
type builder[T nn.Float] struct {
	Config
	units int // of the embedding of time
}

func (b builder[T]) conv3(s nn.Scope[T], in, out, stride int, pad nn.Padding) nn.Conv[T] {
	return nn.NewConv(s, in, out, 3, stride, pad)
}

func (b builder[T]) norm(s nn.Scope[T], channels, groups int, field string) nn.GroupNorm[T] {
	if channels%groups != 0 {
		s.Fail(fmt.Errorf("%s is %d: expected a divisor of %d, the channels of %s", field, groups, channels, s.Path()))
	}
	return nn.NewGroupNorm(s, channels, groups, b.NormEps)
}

// normActivate is the activation of the norm.
func normActivate[T nn.Float](t *nn.Tape[T], l nn.GroupNorm[T], name string, x *nn.Var[T]) *nn.Var[T] {
	if name == "silu" || name == "swish" {
		return l.ApplySiLU(t, x)
	}
	n := l.Apply(t, x)
	y := pieces.Activate(t, name, n)
	t.Free(n)
	return y
}

// An embedding is a network of one hidden layer.
type embedding[T nn.Float] struct{ first, second nn.Linear[T] }

func (b builder[T]) embedding(s nn.Scope[T], in int) *embedding[T] {
	return &embedding[T]{
		nn.NewLinear(s.Sub("linear_1"), in, b.units, true),
		nn.NewLinear(s.Sub("linear_2"), b.units, b.units, true),
	}
}

func (e *embedding[T]) apply(c *call[T], x *nn.Var[T]) *nn.Var[T] {
	h := e.first.Apply(c.t, x)
	h = c.then(h, c.t.SiLU(h))
	return c.then(h, e.second.Apply(c.t, h))
}

// resampling is what a resnet does to the size of an image.
type resampling int

const (
	keep   resampling = iota
	halve             // by the mean of 2×2
	double            // by repeating
)

// A resnet is a residual block:
//
//	y = (shortcut(x) + conv2(act(norm2(conv1(act(norm1(x))) + time)))) / divisor
//
// or with scale_shift norm2(…)·(1 + scale) + shift by time, in the place of the
// sum. Resampling takes place before conv1, and on x.
type resnet[T nn.Float] struct {
	norm1, norm2 nn.GroupNorm[T]
	conv1, conv2 nn.Conv[T]
	time         nn.Linear[T]
	shortcut     nn.Conv[T] // no weight: none
	scaleShift   bool
	resampling   resampling
	act          string
	dropout      float64
	divisor      float64
}

func (b builder[T]) resnet(s nn.Scope[T], in, out int, r resampling, divisor float64) *resnet[T] {
	n := &resnet[T]{
		norm1: b.norm(s.Sub("norm1"), in, b.NormNumGroups, "norm_num_groups"),
		conv1: b.conv3(s.Sub("conv1"), in, out, 1, nn.Pad(1)),
		norm2: b.norm(s.Sub("norm2"), out, b.NormNumGroups, "norm_num_groups"),
		conv2: b.conv3(s.Sub("conv2"), out, out, 1, nn.Pad(1)),

		scaleShift: b.ResnetTimeScale == "scale_shift",
		resampling: r, act: b.ActFn, dropout: b.Dropout, divisor: divisor,
	}
	times := out
	if n.scaleShift {
		times = 2 * out
	}
	n.time = nn.NewLinear(s.Sub("time_emb_proj"), b.units, times, true)
	if in != out {
		n.shortcut = nn.NewConv(s.Sub("conv_shortcut"), in, out, 1, 1, nn.Pad(0))
	}
	return n
}

func (n *resnet[T]) apply(c *call[T], x *nn.Var[T]) *nn.Var[T] {
	t := c.t
	h := normActivate(t, n.norm1, n.act, x)
	across := x
	switch n.resampling {
	case halve:
		h = c.then(h, t.AvgPool(h, 2))
		across = t.AvgPool(x, 2)
	case double:
		h = c.then(h, t.Upsample(h))
		across = t.Upsample(x)
	}
	time := n.time.Apply(t, c.time)
	if n.scaleShift {
		h = c.then(h, n.conv1.Apply(t, h))
		out := n.conv1.Weight.Shape()[0]
		h = c.then(h, n.norm2.Apply(t, h))
		scale, shift := t.Slice(time, 0, out), t.Slice(time, out, 2*out)
		h = c.then(h, t.Modulate(h, scale, shift))
		t.Free(scale)
		t.Free(shift)
		h = c.then(h, pieces.Activate(t, n.act, h))
	} else {
		h = c.then(h, n.conv1.ApplyAdd(t, h, time))
		h = c.then(h, normActivate(t, n.norm2, n.act, h))
	}
	t.Free(time)
	h = c.dropout(h, n.dropout)
	if n.shortcut.Weight != nil {
		short := n.shortcut.Apply(t, across)
		if across != x {
			t.Free(across)
		}
		across = short
	}
	y := c.then(h, n.conv2.ApplyAdd(t, h, across))
	if across != x {
		t.Free(across)
	}
	return c.divide(y, n.divisor)
}

// divide is y / divisor, with y needed no more.
func (c *call[T]) divide(y *nn.Var[T], divisor float64) *nn.Var[T] {
	if divisor == 1 {
		return y
	}
	return c.then(y, c.t.Scale(y, 1/divisor))
}

// An attention is y = (x + out(softmax(q kᵀ/√d) v)) / divisor over all pixels,
// with q, k, v linear in the norm of x, in heads of d channels.
type attention[T nn.Float] struct {
	norm              nn.GroupNorm[T] // no weight: none
	query, key, value nn.Linear[T]
	out               nn.Linear[T]
	heads             int
	divisor           float64
}

// attention has a norm where groups is not 0.
func (b builder[T]) attention(s nn.Scope[T], channels, groups int, field string, divisor float64) *attention[T] {
	a := &attention[T]{heads: 1, divisor: divisor}
	if h := b.AttentionHeadDim; h != nil {
		if channels%*h != 0 {
			s.Fail(fmt.Errorf("attention_head_dim is %d: expected a divisor of %d, the channels of %s", *h, channels, s.Path()))
		}
		a.heads = channels / *h
	}
	if groups > 0 {
		a.norm = b.norm(s.Sub("group_norm"), channels, groups, field)
	}
	linear := func(name string) nn.Linear[T] { return nn.NewLinear(s.Sub(name), channels, channels, true) }
	a.query, a.key, a.value, a.out = linear("to_q"), linear("to_k"), linear("to_v"), linear("to_out.0")
	return a
}

func (a *attention[T]) apply(c *call[T], x *nn.Var[T]) *nn.Var[T] {
	t := c.t
	if t.Err() != nil {
		return x
	}
	s := x.Shape()
	n := x
	if a.norm.Weight != nil {
		n = a.norm.Apply(t, x)
	}
	flat := t.Reshape(n, s[0], s[1]*s[2], s[3])
	q, k, v := a.query.Apply(t, flat), a.key.Apply(t, flat), a.value.Apply(t, flat)
	if n != x {
		t.Free(n)
	}
	scale := 1 / math.Sqrt(float64(s[3]/a.heads))
	h := t.Attention(q, k, v, a.heads, scale)
	t.Free(q)
	t.Free(k)
	t.Free(v)
	h = c.then(h, a.out.Apply(t, h))
	y := c.then(h, t.Add(x, t.Reshape(h, s...)))
	return c.divide(y, a.divisor)
}

// A resampler changes the size of images between levels: by a convolution of
// stride 2, by repeating and a convolution, or in a resnet.
type resampler[T nn.Float] struct {
	conv   nn.Conv[T]
	double bool
	resnet *resnet[T] // instead
}

func (b builder[T]) resampler(s nn.Scope[T], channels int, r resampling, inResnet bool) *resampler[T] {
	switch {
	case inResnet:
		return &resampler[T]{resnet: b.resnet(s, channels, channels, r, 1)}
	case r == double:
		return &resampler[T]{conv: b.conv3(s.Sub("conv"), channels, channels, 1, nn.Pad(1)), double: true}
	}
	pad := nn.Pad(1)
	if b.DownsamplePadding == 0 {
		pad = nn.Padding{Bottom: 1, Right: 1}
	}
	return &resampler[T]{conv: b.conv3(s.Sub("conv"), channels, channels, 2, pad)}
}

func (r *resampler[T]) apply(c *call[T], x *nn.Var[T]) *nn.Var[T] {
	switch {
	case r.resnet != nil:
		return r.resnet.apply(c, x)
	case r.double:
		h := c.t.Upsample(x)
		return c.then(h, r.conv.Apply(c.t, h))
	}
	return r.conv.Apply(c.t, x)
}

// A block is what happens at one level on the way down or up: resnets, each
// followed by an attention or not, and a resampler to the next level.
type block[T nn.Float] struct {
	resnets    []*resnet[T]
	attentions []*attention[T] // as many, or none
	resampler  *resampler[T]   // nil in the last
}

// layer applies resnet k and its attention.
func (b *block[T]) layer(c *call[T], k int, x *nn.Var[T]) *nn.Var[T] {
	h := b.resnets[k].apply(c, x)
	if b.attentions != nil {
		h = c.then(h, b.attentions[k].apply(c, h))
	}
	return h
}
