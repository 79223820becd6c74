package nn

import (
	"slices"

	"snrlab/nn/internal/kernel"
)

// AddChannels is x + v for x [rows, …, channels] and v [rows, channels], which is
// the same at all pixels of a row.
func (t *Tape[T]) AddChannels(x, v *Var[T]) *Var[T] {
	if !t.ready("add channels", 2, x, v) {
		return t.void()
	}
	return t.vectors("add channels", x, v, byRow(x, v), false)
}

// MulChannels is x v for x [rows, …, channels] and v [rows, channels], which is
// the same at all pixels of a row.
func (t *Tape[T]) MulChannels(x, v *Var[T]) *Var[T] {
	if !t.ready("mul channels", 2, x, v) {
		return t.void()
	}
	return t.vectors("mul channels", x, v, byRow(x, v), true)
}

// byRow is the shape of x beside a vector of channels for each row, and no shape
// if v is not that.
func byRow[T Float](x, v *Var[T]) kernel.Images {
	n, size := rows(x.shape)
	if _, channels := split(x.shape); len(x.shape) > 1 && size > 0 && slices.Equal(v.shape, []int{n, channels}) {
		return kernel.Images{Rows: n, Pixels: size / channels, Channels: channels}
	}
	return kernel.Images{}
}

// shared is the shape of a beside a b for all places of a's first axes, and no
// shape if b is not that.
func shared[T Float](a, b *Var[T]) kernel.Images {
	n := b.Len()
	if n > 0 && (n == 1 || len(b.shape) <= len(a.shape) && slices.Equal(b.shape, a.shape[len(a.shape)-len(b.shape):])) {
		return kernel.Images{Rows: 1, Pixels: a.Len() / n, Channels: n}
	}
	return kernel.Images{}
}

// vectors is the sum or the product of images and vectors of their channels.
func (t *Tape[T]) vectors(name string, x, v *Var[T], shape kernel.Images, product bool) *Var[T] {
	if t.err != nil {
		return t.void()
	}
	if shape.Channels < 1 {
		return t.fail("%s: %v and %v do not go together: %w", name, x.Shape(), v.Shape(), ErrShape)
	}
	o := next[withVectors[T]](t)
	o.shape, o.product = shape, product
	if product {
		y := t.result(&o.base, x.shape, x, v)
		kernel.MulVectors(shape, y.value, x.Value(), v.Value())
		return y
	}
	y := t.linearResult(&o.base, x.shape, x, v)
	kernel.AddVectors(shape, y.value, x.Value(), v.Value())
	return y
}

type withVectors[T Float] struct {
	base[T]
	shape   kernel.Images
	product bool
}

func (o *withVectors[T]) backward(t *Tape[T]) {
	x, v, dy := o.in[0], o.in[1], o.y.grad
	if v.wanted() {
		dv := t.share(v)
		if o.product {
			kernel.DotPixels(o.shape, dv.g, dy, x.Value())
		} else {
			kernel.SumPixels(o.shape, dv.g, dy)
		}
		t.settle(dv)
	}
	if o.product && x.wanted() {
		kernel.MulVectors(o.shape, dy, dy, v.Value())
	}
	t.hand(x, o.y)
}

func (o *withVectors[T]) forward(_ *Tape[T], dst []T) {
	x, v := o.in[0], o.in[1]
	dx, dv := x.Tangent(), v.Tangent()
	clear(dst)
	switch {
	case !o.product:
		if dx != nil {
			copy(dst, dx)
		}
		if dv != nil {
			kernel.AddVectors(o.shape, dst, dst, dv)
		}
	default:
		if dv != nil {
			kernel.MulVectors(o.shape, dst, x.Value(), dv)
		}
		if dx != nil {
			kernel.AddMulVectors(o.shape, dst, dx, v.Value())
		}
	}
}

// Modulate is x (1 + scale) + shift for x [rows, …, channels] and vectors [rows,
// channels], the same at all pixels of a row.
func (t *Tape[T]) Modulate(x, scale, shift *Var[T]) *Var[T] {
	if !t.ready("modulate", 3, x, scale, shift) {
		return t.void()
	}
	shape := byRow(x, scale)
	if shape.Channels < 1 || !slices.Equal(scale.shape, shift.shape) {
		return t.fail("modulate: x is %v, the scale %v, the shift %v: expected rows×…×channels, and rows×channels of both: %w", x.Shape(), scale.Shape(), shift.Shape(), ErrShape)
	}
	o := next[modulate[T]](t)
	o.shape = shape
	y := t.result(&o.base, x.shape, x, scale, shift)
	kernel.ScaleShift(shape, y.value, x.Value(), scale.Value(), shift.Value())
	return y
}

type modulate[T Float] struct {
	base[T]
	shape kernel.Images
}

func (o *modulate[T]) backward(t *Tape[T]) {
	x, scale, dy := o.in[0], o.in[1], o.y.grad
	ds, db := t.share(scale), t.share(o.in[2])
	kernel.ScaleShiftGrad(o.shape, dy, ds.g, db.g, dy, x.Value(), scale.Value())
	t.settle(ds, db)
	t.hand(x, o.y)
}

func (o *modulate[T]) forward(_ *Tape[T], dst []T) {
	x, s := o.in[0], o.in[1]
	dx, ds, db := x.Tangent(), s.Tangent(), o.in[2].Tangent()
	clear(dst)
	if dx != nil {
		copy(dst, dx)
		kernel.AddMulVectors(o.shape, dst, dx, s.Value())
	}
	if ds != nil {
		kernel.AddMulVectors(o.shape, dst, x.Value(), ds)
	}
	if db != nil {
		kernel.AddVectors(o.shape, dst, dst, db)
	}
}
