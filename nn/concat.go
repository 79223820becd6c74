package nn

import (
	"slices"

	"snrlab/nn/internal/kernel"
)

// Concat puts arrays that agree in all axes but the last one beside each other
// along it. It takes up to four.
func (t *Tape[T]) Concat(xs ...*Var[T]) *Var[T] {
	if !t.ready("concat", len(xs), xs...) {
		return t.void()
	}
	if len(xs) < 1 || len(xs) > maxInputs {
		return t.fail("concat: %d arrays: expected 1 to %d: %w", len(xs), maxInputs, ErrShape)
	}
	front, last := split(xs[0].shape)
	for _, x := range xs[1:] {
		f, n := split(x.shape)
		if len(x.shape) == 0 || !slices.Equal(f, front) {
			return t.fail("concat: %v and %v differ before the last axis: %w", xs[0].Shape(), x.Shape(), ErrShape)
		}
		last += n
	}
	if len(xs[0].shape) == 0 || last < 1 {
		return t.fail("concat: %v has no last axis, or nothing along it: %w", xs[0].Shape(), ErrShape)
	}
	o := next[concat[T]](t)
	y := t.linearResult(&o.base, t.shape(front, last), xs...)
	o.each(func(x *Var[T], from, n, rows int) {
		kernel.CopyColumns(y.value[from:], last, x.Value(), n, rows, n)
	})
	return y
}

type concat[T Float] struct{ base[T] }

// each calls f for all inputs that are not empty, with where they lie in a row of
// the result, and the number of rows.
func (o *concat[T]) each(f func(x *Var[T], from, n, rows int)) {
	from := 0
	_, last := split(o.y.shape)
	rows := o.y.Len() / last
	for _, x := range o.in {
		if x == nil {
			break
		}
		if _, n := split(x.shape); n > 0 && rows > 0 {
			f(x, from, n, rows)
			from += n
		}
	}
}

func (o *concat[T]) backward(t *Tape[T]) {
	_, last := split(o.y.shape)
	o.each(func(x *Var[T], from, n, rows int) {
		if !x.wanted() {
			return
		}
		if dx, keep := t.into(x); keep == 0 {
			kernel.CopyColumns(dx, n, o.y.grad[from:], last, rows, n)
		} else {
			kernel.AddColumns(dx, n, o.y.grad[from:], last, rows, n)
		}
	})
}

func (o *concat[T]) forward(_ *Tape[T], dst []T) {
	_, last := split(o.y.shape)
	clear(dst)
	o.each(func(x *Var[T], from, n, rows int) {
		if dx := x.Tangent(); dx != nil {
			kernel.CopyColumns(dst[from:], last, dx, n, rows, n)
		}
	})
}

// Slice is x[…, from:to], a part of the last axis.
func (t *Tape[T]) Slice(x *Var[T], from, to int) *Var[T] {
	if !t.ready("slice", 1, x) {
		return t.void()
	}
	front, last := split(x.shape)
	if from < 0 || to <= from || to > last {
		return t.fail("slice: %v has no part %d:%d: %w", x.Shape(), from, to, ErrShape)
	}
	o := next[slice[T]](t)
	o.from, o.n, o.last, o.rows = from, to-from, last, x.Len()/last
	y := t.linearResult(&o.base, t.shape(front, o.n), x)
	o.apply(y.value, x.Value())
	return y
}

type slice[T Float] struct {
	base[T]
	from, n, last, rows int
}

func (o *slice[T]) apply(dst, x []T) {
	if o.rows > 0 {
		kernel.CopyColumns(dst, o.n, x[o.from:], o.last, o.rows, o.n)
	}
}

func (o *slice[T]) backward(t *Tape[T]) {
	dx, keep := t.into(o.in[0])
	switch {
	case o.rows == 0:
	case keep == 0:
		clear(dx)
		kernel.CopyColumns(dx[o.from:], o.last, o.y.grad, o.n, o.rows, o.n)
	default:
		kernel.AddColumns(dx[o.from:], o.last, o.y.grad, o.n, o.rows, o.n)
	}
}

func (o *slice[T]) forward(_ *Tape[T], dst []T) { o.apply(dst, o.in[0].Tangent()) }
