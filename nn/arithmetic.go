package nn

import (
	"math"
	"slices"

	"snrlab/nn/internal/kernel"
)

// Add is a + b, elementwise. b has the shape of a, or that of its last axes, and
// is then the same for all places of the first ones, or is a single number.
func (t *Tape[T]) Add(a, b *Var[T]) *Var[T] {
	if !t.ready("add", 2, a, b) {
		return t.void()
	}
	if !slices.Equal(a.shape, b.shape) {
		return t.vectors("add", a, b, shared(a, b), false)
	}
	o := next[add[T]](t)
	y := t.linearResult(&o.base, a.shape, a, b)
	kernel.Add(y.value, a.Value(), b.Value())
	return y
}

type add[T Float] struct{ base[T] }

func (o *add[T]) backward(t *Tape[T]) {
	a, b := o.in[0], o.in[1]
	if !b.wanted() || b.root.grad != nil {
		a, b = b, a
	}
	t.pass(a, o.y.grad, 1)
	t.hand(b, o.y) // which has no gradient yet, if one of them has none
}

func (o *add[T]) forward(_ *Tape[T], dst []T) {
	a, b := o.in[0].Tangent(), o.in[1].Tangent()
	switch {
	case b == nil:
		copy(dst, a)
	case a == nil:
		copy(dst, b)
	default:
		kernel.Add(dst, a, b)
	}
}

// Sub is a − b, elementwise, with shapes as in [Tape.Add].
func (t *Tape[T]) Sub(a, b *Var[T]) *Var[T] {
	if !t.ready("sub", 2, a, b) {
		return t.void()
	}
	if !slices.Equal(a.shape, b.shape) {
		negative := t.Scale(b, -1)
		y := t.vectors("sub", a, negative, shared(a, b), false)
		t.Free(negative)
		return y
	}
	o := next[sub[T]](t)
	y := t.linearResult(&o.base, a.shape, a, b)
	kernel.Sub(y.value, a.Value(), b.Value())
	return y
}

type sub[T Float] struct{ base[T] }

func (o *sub[T]) backward(t *Tape[T]) {
	t.pass(o.in[1], o.y.grad, -1)
	t.hand(o.in[0], o.y)
}

func (o *sub[T]) forward(_ *Tape[T], dst []T) {
	a, b := o.in[0].Tangent(), o.in[1].Tangent()
	switch {
	case b == nil:
		copy(dst, a)
	case a == nil:
		kernel.Scale(dst, b, -1)
	default:
		kernel.Sub(dst, a, b)
	}
}

// Mul is a b, elementwise, with shapes as in [Tape.Add].
func (t *Tape[T]) Mul(a, b *Var[T]) *Var[T] {
	if !t.ready("mul", 2, a, b) {
		return t.void()
	}
	if !slices.Equal(a.shape, b.shape) {
		return t.vectors("mul", a, b, shared(a, b), true)
	}
	o := next[mul[T]](t)
	y := t.result(&o.base, a.shape, a, b)
	kernel.Mul(y.value, a.Value(), b.Value())
	return y
}

type mul[T Float] struct{ base[T] }

func (o *mul[T]) backward(t *Tape[T]) {
	a, b, dy := o.in[0], o.in[1], o.y.grad
	if a.wanted() {
		if da, keep := t.into(a); keep == 0 {
			kernel.Mul(da, dy, b.Value())
		} else {
			kernel.AddMul(da, dy, b.Value())
		}
	}
	if b.wanted() {
		kernel.Mul(dy, dy, a.Value())
		t.hand(b, o.y)
	}
}

func (o *mul[T]) forward(_ *Tape[T], dst []T) {
	a, b := o.in[0], o.in[1]
	da, db := a.Tangent(), b.Tangent()
	switch {
	case db == nil:
		kernel.Mul(dst, da, b.Value())
	case da == nil:
		kernel.Mul(dst, db, a.Value())
	default:
		kernel.Mul(dst, da, b.Value())
		kernel.AddMul(dst, db, a.Value())
	}
}

// Scale is factor·x.
func (t *Tape[T]) Scale(x *Var[T], factor float64) *Var[T] {
	if !t.ready("scale", 1, x) {
		return t.void()
	}
	if math.IsNaN(factor) || math.IsInf(factor, 0) {
		return t.fail("scale: the factor is %v: expected a finite number", factor)
	}
	o := next[scale[T]](t)
	o.factor = T(factor)
	y := t.linearResult(&o.base, x.shape, x)
	kernel.Scale(y.value, x.Value(), o.factor)
	return y
}

type scale[T Float] struct {
	base[T]
	factor T
}

func (o *scale[T]) backward(t *Tape[T]) {
	kernel.Scale(o.y.grad, o.y.grad, o.factor)
	t.hand(o.in[0], o.y)
}

func (o *scale[T]) forward(_ *Tape[T], dst []T) { kernel.Scale(dst, o.in[0].Tangent(), o.factor) }
