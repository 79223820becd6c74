package mlp

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"snrlab/nn"
	"snrlab/nn/internal/pieces"
	"snrlab/rng"
)

// ErrInput is what a network gives that is asked for something it cannot do.
var ErrInput = errors.New("not an input of this network")

const epsilon = 1e-6 // of layer norms

// A Net is a network. It may serve several goroutines, each with a tape of its
// own.
type Net[T nn.Float] struct {
	config Config
	params nn.Params[T]

	frequencies *nn.Param[T] // of times; nil: sinusoid
	directions  *nn.Param[T] // w of points [number, dim], or nil
	time        [2]nn.Linear[T]
	classes     *nn.Param[T] // e, or nil
	in, out     nn.Linear[T]
	blocks      []block[T]
	one         []T
}

// A block is h ← h + W₂ φ(W₁ (LN(h)(1 + s) + b)).
type block[T nn.Float] struct {
	modulation    nn.Linear[T] // U
	first, second nn.Linear[T]
}

// New makes a network with torch's first values, but for zeros in the last layer
// and what [Config] says to draw.
func New[T nn.Float](c Config, key rng.Key) (*Net[T], error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := nn.NewScope[T](key)
	n := &Net[T]{config: c, one: []T{1}}
	if c.Time.Kind == "fourier" {
		n.frequencies = s.Sub("time_proj").Param("weight", nn.Normal(c.Time.Scale), c.Time.Number)
		n.frequencies.Frozen = true
	}
	n.time[0] = nn.NewLinear(s.Sub("time_mlp.0"), 2*c.Time.Number, c.Hidden, true)
	n.time[1] = nn.NewLinear(s.Sub("time_mlp.2"), c.Hidden, c.Hidden, true)
	if c.Labels > 0 {
		n.classes = s.Sub("label_embedding").Param("weight", nn.Normal(1), c.Labels, c.Hidden)
	}
	features := c.Dim
	if c.Space.Number > 0 {
		n.directions = s.Sub("space_proj").Param("weight", nn.Normal(c.Space.Scale), c.Space.Number, c.Dim)
		n.directions.Frozen = true
		features += 2 * c.Space.Number
	}
	n.in = nn.NewLinear(s.Sub("in"), features, c.Hidden, true)
	for i := range c.Layers {
		b := s.Sub("blocks").Sub(strconv.Itoa(i))
		n.blocks = append(n.blocks, block[T]{
			modulation: nn.NewLinear(b.Sub("modulation"), c.Hidden, 2*c.Hidden, true),
			first:      nn.NewLinear(b.Sub("fc1"), c.Hidden, c.Hidden, true),
			second:     nn.NewLinear(b.Sub("fc2"), c.Hidden, c.Hidden, true),
		})
	}
	last := s.Sub("out")
	n.out = nn.Linear[T]{Weight: last.Param("weight", nn.Zeros, c.Dim, c.Hidden), Bias: last.Param("bias", nn.Zeros, c.Dim)}
	n.params = s.Params()
	return n, s.Err()
}

// Config returns what the network was made by.
func (n *Net[T]) Config() Config { return n.config }

// Params are all parameters, in the order of the modules. Those that are drawn
// and not trained are frozen.
func (n *Net[T]) Params() nn.Params[T] { return n.params }

// Apply computes the network on points x [rows, dim] at times [rows], with a label
// for each row, −1 for no class, or nil for none of all rows. An input that does
// not fit is an error of the tape.
func (n *Net[T]) Apply(t *nn.Tape[T], x, times *nn.Var[T], labels []int) *nn.Var[T] {
	if t.Err() != nil {
		return x
	}
	if err := n.check(x, times, labels); err != nil {
		return t.Fail(fmt.Errorf("mlp: %w: %w", ErrInput, err))
	}
	c := n.condition(t, times, labels)
	h := n.enter(t, x)
	for _, b := range n.blocks {
		r := b.apply(t, h, c, n.config)
		sum := t.Add(h, r)
		t.Free(r)
		h = pieces.Then(t, h, sum)
	}
	t.Free(c)
	h = pieces.Then(t, h, t.LayerNorm(h, nil, nil, epsilon))
	return pieces.Then(t, h, n.out.Apply(t, h))
}

// condition is c.
func (n *Net[T]) condition(t *nn.Tape[T], times *nn.Var[T], labels []int) *nn.Var[T] {
	var h *nn.Var[T]
	if n.frequencies != nil {
		h = t.Fourier(times, t.Param(n.frequencies))
	} else {
		scaled := t.Scale(times, n.config.Time.Scale)
		h = pieces.Then(t, scaled, t.Sinusoid(scaled, 2*n.config.Time.Number, nn.Sinusoid{}))
	}
	h = pieces.Then(t, h, n.time[0].Apply(t, h))
	h = pieces.Then(t, h, pieces.Activate(t, n.config.Activation, h))
	h = pieces.Then(t, h, n.time[1].Apply(t, h))
	if labels != nil {
		e := t.Embedding(t.Param(n.classes), labels)
		sum := t.Add(h, e)
		t.Free(e)
		h = pieces.Then(t, h, sum)
	}
	return pieces.Then(t, h, pieces.Activate(t, n.config.Activation, h))
}

// enter is W u.
func (n *Net[T]) enter(t *nn.Tape[T], x *nn.Var[T]) *nn.Var[T] {
	if n.directions == nil {
		return n.in.Apply(t, x)
	}
	rows, number := x.Shape()[0], n.config.Space.Number
	p := t.Linear(x, t.Param(n.directions), nil)
	waves := t.Fourier(t.Reshape(p, rows*number), t.Constant(n.one, 1))
	t.Free(p)
	u := t.Concat(x, t.Reshape(waves, rows, 2*number))
	t.Free(waves)
	return pieces.Then(t, u, n.in.Apply(t, u))
}

// apply is what the block adds to h.
func (b block[T]) apply(t *nn.Tape[T], h, c *nn.Var[T], config Config) *nn.Var[T] {
	both := b.modulation.Apply(t, c)
	s, shift := t.Slice(both, 0, config.Hidden), t.Slice(both, config.Hidden, 2*config.Hidden)
	t.Free(both)
	r := t.LayerNorm(h, nil, nil, epsilon)
	r = pieces.Then(t, r, t.Modulate(r, s, shift))
	t.Free(s)
	t.Free(shift)
	r = pieces.Then(t, r, b.first.Apply(t, r))
	r = pieces.Then(t, r, pieces.Activate(t, config.Activation, r))
	return pieces.Then(t, r, b.second.Apply(t, r))
}

// check refuses inputs that do not fit.
func (n *Net[T]) check(x, times *nn.Var[T], labels []int) error {
	s := x.Shape()
	if len(s) != 2 || s[0] < 1 || s[1] != n.config.Dim {
		return fmt.Errorf("points have shape %v: expected rows, %d, with at least one row", slices.Clone(s), n.config.Dim)
	}
	rows := s[0]
	if err := pieces.CheckTimes("times", times, rows); err != nil {
		return err
	}
	return pieces.CheckLabels(labels, rows, n.config.Labels)
}
