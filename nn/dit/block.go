package dit

import (
	"snrlab/nn"
	"snrlab/nn/internal/pieces"
)

const epsilon = 1e-6 // of layer norms

// linear makes a layer with the paper's first values: zero biases.
func linear[T nn.Float](s nn.Scope[T], in, out int, weight nn.Init) nn.Linear[T] {
	return nn.Linear[T]{Weight: s.Param("weight", weight, out, in), Bias: s.Param("bias", nn.Zeros, out)}
}

func xavier[T nn.Float](s nn.Scope[T], in, out int) nn.Linear[T] {
	return linear(s, in, out, nn.XavierUniform(in, out, 1))
}

// A block is attention and a perceptron, each modulated and gated by c.
type block[T nn.Float] struct {
	config     *Config
	qkv, proj  nn.Linear[T]
	fc1, fc2   nn.Linear[T]
	modulation nn.Linear[T]
}

func newBlock[T nn.Float](s nn.Scope[T], c *Config) block[T] {
	d, wide := c.Hidden, int(c.MLPRatio*float64(c.Hidden))
	return block[T]{
		config:     c,
		qkv:        xavier(s.Sub("attn.qkv"), d, 3*d),
		proj:       xavier(s.Sub("attn.proj"), d, d),
		fc1:        xavier(s.Sub("mlp.fc1"), d, wide),
		fc2:        xavier(s.Sub("mlp.fc2"), wide, d),
		modulation: linear(s.Sub("adaLN_modulation.1"), d, 6*d, nn.Zeros),
	}
}

// apply computes the block on tokens h, which are needed no more, with c
// activated.
func (b block[T]) apply(t *nn.Tape[T], h, c *nn.Var[T]) *nn.Var[T] {
	m := b.modulation.Apply(t, c)
	r := modulated(t, h, m, 0, b.config.Hidden)
	h = b.add(t, h, pieces.Then(t, r, b.attend(t, r)), m, 2)
	r = modulated(t, h, m, 3, b.config.Hidden)
	h = b.add(t, h, pieces.Then(t, r, b.perceive(t, r)), m, 5)
	t.Free(m)
	return h
}

// modulated is LN(h)(1 + s) + b, where b and s are parts of m, the first of them
// by its number.
func modulated[T nn.Float](t *nn.Tape[T], h, m *nn.Var[T], first, d int) *nn.Var[T] {
	shift, scale := t.Slice(m, first*d, (first+1)*d), t.Slice(m, (first+1)*d, (first+2)*d)
	r := t.LayerNorm(h, nil, nil, epsilon)
	r = pieces.Then(t, r, t.Modulate(r, scale, shift))
	t.Free(shift)
	t.Free(scale)
	return r
}

// add is h + g r, where g is a part of m; h and r are needed no more.
func (b block[T]) add(t *nn.Tape[T], h, r, m *nn.Var[T], part int) *nn.Var[T] {
	g := t.Slice(m, part*b.config.Hidden, (part+1)*b.config.Hidden)
	r = pieces.Then(t, r, t.MulChannels(r, g))
	t.Free(g)
	sum := t.Add(h, r)
	t.Free(r)
	return pieces.Then(t, h, sum)
}

func (b block[T]) attend(t *nn.Tape[T], h *nn.Var[T]) *nn.Var[T] {
	d := b.config.Hidden
	qkv := b.qkv.Apply(t, h)
	q, k, v := t.Slice(qkv, 0, d), t.Slice(qkv, d, 2*d), t.Slice(qkv, 2*d, 3*d)
	t.Free(qkv)
	q, k = turn(t, q, b.config), turn(t, k, b.config)
	o := t.Attention(q, k, v, b.config.Heads, 0)
	for _, x := range []*nn.Var[T]{q, k, v} {
		t.Free(x)
	}
	return pieces.Then(t, o, b.proj.Apply(t, o))
}

func (b block[T]) perceive(t *nn.Tape[T], h *nn.Var[T]) *nn.Var[T] {
	r := b.fc1.Apply(t, h)
	r = pieces.Then(t, r, t.GELUTanh(r))
	return pieces.Then(t, r, b.fc2.Apply(t, r))
}
