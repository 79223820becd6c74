package nn

import (
	"slices"

	"snrlab/nn/internal/kernel"
)

// Add is a + b, elementwise, of one shape.
func (t *Tape[T]) Add(a, b *Var[T]) *Var[T] {
	if t.err != nil {
		return t.void()
	}
	if !slices.Equal(a.shape, b.shape) {
		return t.fail("add: %v and %v differ: %w", a.Shape(), b.Shape(), ErrShape)
	}
	o := next[add[T]](t)
	y := t.result(&o.base, a.shape, a, b)
	kernel.Add(y.value, a.Value(), b.Value())
	return y
}

type add[T Float] struct{ base[T] }

func (o *add[T]) backward(t *Tape[T]) {
	for _, v := range o.in[:2] {
		if v.wanted() {
			t.pass(v, o.y.grad)
		}
	}
}

// pass adds g to the gradient of v.
func (t *Tape[T]) pass(v *Var[T], g []T) {
	if to, keep := t.into(v); keep == 0 {
		copy(to, g)
	} else {
		kernel.Add(to, to, g)
	}
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
