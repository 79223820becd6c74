package nn

import (
	"fmt"
	"slices"
	"unsafe"

	_ "go4.org/unsafe/assume-no-moving-gc" // keeps the version pinned that lets tensor start on this Go
	"gorgonia.org/tensor"

	"snrlab/internal/simd/f32"
	"snrlab/rng"
)

// A Param is a named array that is trained, and its gradient.
type Param[T Float] struct {
	// Frozen says that no gradient is wanted. Gradients go through a frozen
	// network to its inputs all the same.
	Frozen bool

	name  string
	shape []int // as in torch
	dims  []int // as in memory: those of filters are [height, width, in, out]
	value []T
	grad  []T
	stale bool // grad holds what was there before ZeroGrad
}

// Name is the path of the parameter in its tree: down_blocks.0.resnets.1.conv1.weight.
func (p *Param[T]) Name() string { return p.name }

// Shape is the shape in torch's order: out×in, or out×in×height×width. Not to be
// modified.
func (p *Param[T]) Shape() []int { return p.shape }

// Value is the array in the engine's order, in which filters are [height, width,
// in, out]. What is written to it is the parameter's new value.
func (p *Param[T]) Value() []T { return p.value }

// Grad is the sum of the gradients since ZeroGrad, in the order of Value, and
// may be written to.
func (p *Param[T]) Grad() []T {
	if p.grad == nil {
		p.grad = make([]T, len(p.value))
	}
	if p.stale {
		clear(p.grad)
		p.stale = false
	}
	return p.grad
}

// ZeroGrad makes the gradient zero.
func (p *Param[T]) ZeroGrad() { p.stale = true }

func (p *Param[T]) into() (g []T, beta T) {
	if p.stale || p.grad == nil {
		if p.grad == nil {
			p.grad = make([]T, len(p.value))
		}
		p.stale = false
		return p.grad, 0
	}
	return p.grad, 1
}

// Dense is a copy of the value in torch's shape and order.
func (p *Param[T]) Dense() *tensor.Dense { return p.dense(p.value) }

// GradDense is a copy of the gradient in torch's shape and order.
func (p *Param[T]) GradDense() *tensor.Dense { return p.dense(p.Grad()) }

func (p *Param[T]) dense(x []T) *tensor.Dense {
	out := make([]T, len(x))
	if p.filter() {
		filterFirst(out, x, p.shape[0], p.shape[1], p.shape[2]*p.shape[3])
	} else {
		copy(out, x)
	}
	return tensor.New(tensor.WithShape(p.shape...), tensor.WithBacking(out))
}

// Set copies a value in torch's order of the parameter's shape.
func (p *Param[T]) Set(x []T) error {
	if len(x) != len(p.value) {
		return fmt.Errorf("nn: %s has shape %v, %d numbers: got %d: %w", p.name, p.shape, len(p.value), len(x), ErrShape)
	}
	if p.filter() {
		filterLast(p.value, x, p.shape[0], p.shape[1], p.shape[2]*p.shape[3])
	} else {
		copy(p.value, x)
	}
	return nil
}

func (p *Param[T]) filter() bool { return len(p.shape) == 4 }

// filterLast turns [out, in, taps] into [taps, in, out].
func filterLast[T Float](dst, src []T, out, in, taps int) {
	if d, ok := any(dst).([]float32); ok {
		f32.FilterLast(d, any(src).([]float32), out, in, taps)
		return
	}
	for i, v := range src {
		o, c, t := i/(in*taps), i/taps%in, i%taps
		dst[(t*in+c)*out+o] = v
	}
}

// filterFirst is the inverse of filterLast.
func filterFirst[T Float](dst, src []T, out, in, taps int) {
	if d, ok := any(dst).([]float32); ok {
		f32.FilterFirst(d, any(src).([]float32), out, in, taps)
		return
	}
	for i := range dst {
		o, c, t := i/(in*taps), i/taps%in, i%taps
		dst[i] = src[(t*in+c)*out+o]
	}
}

// Params are the parameters of a network in the order of its modules.
type Params[T Float] []*Param[T]

// ZeroGrad makes all gradients zero.
func (ps Params[T]) ZeroGrad() {
	for _, p := range ps {
		p.ZeroGrad()
	}
}

// Freeze sets Frozen of all.
func (ps Params[T]) Freeze(frozen bool) {
	for _, p := range ps {
		p.Frozen = frozen
	}
}

// Len is the number of numbers in all.
func (ps Params[T]) Len() int {
	n := 0
	for _, p := range ps {
		n += len(p.value)
	}
	return n
}

// Make gives zeros to parameters that have no values yet, those of an outline.
func (ps Params[T]) Make() {
	for _, p := range ps {
		if p.value == nil {
			n, _ := product(p.shape)
			p.value = make([]T, n)
		}
	}
}

// same reports the first parameter of others that differs in name or shape.
func (ps Params[T]) same(others Params[T]) error {
	if len(ps) != len(others) {
		return fmt.Errorf("nn: expected %d parameters, got %d: %w", len(ps), len(others), ErrShape)
	}
	for i, p := range ps {
		if q := others[i]; p.name != q.name || !slices.Equal(p.shape, q.shape) {
			return fmt.Errorf("nn: expected parameter %s of shape %v, got %s of %v: %w", p.name, p.shape, q.name, q.shape, ErrShape)
		}
	}
	return nil
}

// A Scope is a place in a tree of modules, where parameters get their names and
// first values. A parameter's first value depends on its name and the key alone.
type Scope[T Float] struct {
	tree *tree[T]
	path string
}

type tree[T Float] struct {
	key    rng.Key
	bare   bool // parameters have no values
	params Params[T]
	names  map[string]bool
	err    error
}

// NewScope returns the root of a new tree.
func NewScope[T Float](key rng.Key) Scope[T] {
	return Scope[T]{tree: &tree[T]{key: key, names: map[string]bool{}}}
}

// NewOutline returns the root of a new tree whose parameters have names and
// shapes, and no values until [Params.Make].
func NewOutline[T Float]() Scope[T] {
	return Scope[T]{tree: &tree[T]{bare: true, names: map[string]bool{}}}
}

// Sub is the scope of a module by that name.
func (s Scope[T]) Sub(name string) Scope[T] {
	if s.path != "" {
		name = s.path + "." + name
	}
	return Scope[T]{s.tree, name}
}

// Path is the scope's name, empty for the root.
func (s Scope[T]) Path() string { return s.path }

// Param makes a parameter of torch's shape, with values by init. A name that is
// taken, and a shape of no numbers, are errors of the tree, see [Scope.Err].
func (s Scope[T]) Param(name string, init Init, shape ...int) *Param[T] {
	p := &Param[T]{name: s.Sub(name).path, shape: slices.Clone(shape), dims: slices.Clone(shape)}
	if p.filter() {
		p.dims = []int{shape[2], shape[3], shape[1], shape[0]}
	}
	n, ok := product(shape)
	switch {
	case s.tree.names[p.name]:
		s.Fail(fmt.Errorf("nn: there are two parameters %s", p.name))
	case !ok || n == 0:
		s.Fail(fmt.Errorf("nn: %s has shape %v: expected positive sizes", p.name, p.shape))
	case !s.tree.bare:
		p.value = make([]T, n)
		fill(p.value, init, s.tree.key.Split(p.name, 0))
	}
	s.tree.names[p.name] = true
	s.tree.params = append(s.tree.params, p)
	return p
}

// Fail records an error in the making of a module; the tree keeps the first.
func (s Scope[T]) Fail(err error) {
	if s.tree.err == nil {
		s.tree.err = err
	}
}

// Err is the first error in the making of the tree's modules.
func (s Scope[T]) Err() error { return s.tree.err }

// Params are all parameters of the tree, in the order in which they were made.
func (s Scope[T]) Params() Params[T] { return s.tree.params }

func sizeof[T Float]() int {
	var v T
	return int(unsafe.Sizeof(v))
}
