package dit

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

// A Net is a network. It may serve several goroutines, each with a tape of its
// own.
type Net[T nn.Float] struct {
	config Config
	params nn.Params[T]

	patches nn.Conv[T]
	places  []T // added to tokens, or nil
	time    [2]nn.Linear[T]
	classes *nn.Param[T] // the last row is for no class; or nil
	blocks  []block[T]
	final   struct{ linear, modulation nn.Linear[T] }
}

// New makes a network with the paper's first values: uniform by [glorot2010] in
// linear layers, normal of deviation 0.02 in the embeddings of time and class, zero
// in biases, modulations and the final layer.
func New[T nn.Float](c Config, key rng.Key) (*Net[T], error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s, d, patch := nn.NewScope[T](key), c.Hidden, c.Patch*c.Patch*c.Channels
	n := &Net[T]{config: c}
	x := s.Sub("x_embedder.proj")
	n.patches = nn.Conv[T]{
		Weight: x.Param("weight", nn.XavierUniform(patch, d, 1), d, c.Channels, c.Patch, c.Patch),
		Bias:   x.Param("bias", nn.Zeros, d), Stride: c.Patch,
	}
	if c.Positions == "sincos" {
		n.places = places[T](&n.config)
	}
	n.time[0] = linear(s.Sub("t_embedder.mlp.0"), c.TimeFeatures, d, nn.Normal(0.02))
	n.time[1] = linear(s.Sub("t_embedder.mlp.2"), d, d, nn.Normal(0.02))
	if c.Labels > 0 {
		n.classes = s.Sub("y_embedder.embedding_table").Param("weight", nn.Normal(0.02), c.Labels+1, d)
	}
	for i := range c.Depth {
		n.blocks = append(n.blocks, newBlock(s.Sub("blocks").Sub(strconv.Itoa(i)), &n.config))
	}
	n.final.linear = linear(s.Sub("final_layer.linear"), d, patch, nn.Zeros)
	n.final.modulation = linear(s.Sub("final_layer.adaLN_modulation.1"), d, 2*d, nn.Zeros)
	n.params = s.Params()
	return n, s.Err()
}

// Config returns what the network was made by.
func (n *Net[T]) Config() Config { return n.config }

// Params are all parameters, in the order of the modules.
func (n *Net[T]) Params() nn.Params[T] { return n.params }

// Apply computes the network on images x [rows, height, width, in_channels] at
// times [rows], with a label for each row, −1 for no class, or nil for none of all
// rows. An input that does not fit is an error of the tape.
func (n *Net[T]) Apply(t *nn.Tape[T], x, times *nn.Var[T], labels []int) *nn.Var[T] {
	if t.Err() != nil {
		return x
	}
	if err := n.check(x, times, labels); err != nil {
		return t.Fail(fmt.Errorf("dit: %w: %w", ErrInput, err))
	}
	c := n.condition(t, times, labels)
	h := n.tokens(t, x)
	for _, b := range n.blocks {
		h = b.apply(t, h, c)
	}
	m := n.final.modulation.Apply(t, c)
	t.Free(c)
	h = pieces.Then(t, h, modulated(t, h, m, 0, n.config.Hidden))
	t.Free(m)
	h = pieces.Then(t, h, n.final.linear.Apply(t, h))
	return pieces.Then(t, h, t.Unpatch(h, n.config.Height, n.config.Width, n.config.Patch))
}

// tokens are those of images, [rows, tokens, hidden].
func (n *Net[T]) tokens(t *nn.Tape[T], x *nn.Var[T]) *nn.Var[T] {
	rows, count, d := x.Shape()[0], n.config.Height/n.config.Patch*(n.config.Width/n.config.Patch), n.config.Hidden
	h := t.Reshape(n.patches.Apply(t, x), rows, count, d)
	if n.places == nil {
		return h
	}
	return pieces.Then(t, h, t.Add(h, t.Constant(n.places, count, d)))
}

// condition is SiLU(c).
func (n *Net[T]) condition(t *nn.Tape[T], times *nn.Var[T], labels []int) *nn.Var[T] {
	h := t.Scale(times, n.config.TimeScale)
	h = pieces.Then(t, h, t.Sinusoid(h, n.config.TimeFeatures, nn.Sinusoid{FlipSinToCos: true}))
	h = pieces.Then(t, h, n.time[0].Apply(t, h))
	h = pieces.Then(t, h, t.SiLU(h))
	h = pieces.Then(t, h, n.time[1].Apply(t, h))
	if n.classes != nil {
		e := n.class(t, labels, times.Len())
		sum := t.Add(h, e)
		t.Free(e)
		h = pieces.Then(t, h, sum)
	}
	return pieces.Then(t, h, t.SiLU(h))
}

// ids are rooms for rows of the table of classes.
var ids = freelist.List[[]int]{New: func() *[]int { return new([]int) }}

// class is the embedding of labels, of which nil are none.
func (n *Net[T]) class(t *nn.Tape[T], labels []int, rows int) *nn.Var[T] {
	room := ids.Get()
	defer ids.Put(room)
	*room = (*room)[:0]
	for r := range rows {
		id := n.config.Labels
		if labels != nil && labels[r] >= 0 {
			id = labels[r]
		}
		*room = append(*room, id)
	}
	return t.Embedding(t.Param(n.classes), *room)
}

// check refuses inputs that do not fit.
func (n *Net[T]) check(x, times *nn.Var[T], labels []int) error {
	c, s := n.config, x.Shape()
	if len(s) != 4 || s[0] < 1 || s[1] != c.Height || s[2] != c.Width || s[3] != c.Channels {
		return fmt.Errorf("images have shape %v: expected rows, %d, %d, %d, with at least one row", slices.Clone(s), c.Height, c.Width, c.Channels)
	}
	rows := s[0]
	if err := pieces.CheckTimes("times", times, rows); err != nil {
		return err
	}
	return pieces.CheckLabels(labels, rows, c.Labels)
}
