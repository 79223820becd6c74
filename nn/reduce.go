package nn

import "snrlab/nn/internal/kernel"

// Sum is the sum of all elements, of shape [1].
func (t *Tape[T]) Sum(x *Var[T]) *Var[T] {
	if !t.ready("sum", 1, x) {
		return t.void()
	}
	return t.reduce(x, t.shape(nil, 1), x.Len(), 1)
}

// Mean is the mean of all elements, of shape [1].
func (t *Tape[T]) Mean(x *Var[T]) *Var[T] {
	if !t.ready("mean", 1, x) {
		return t.void()
	}
	if x.Len() < 1 {
		return t.fail("mean: x is %v: expected an element: %w", x.Shape(), ErrShape)
	}
	return t.reduce(x, t.shape(nil, 1), x.Len(), 1/T(x.Len()))
}

// RowMean are the means of the rows of x [rows, …], of shape [rows].
func (t *Tape[T]) RowMean(x *Var[T]) *Var[T] {
	if !t.ready("row mean", 1, x) {
		return t.void()
	}
	n, size := rows(x.shape)
	if size < 1 {
		return t.fail("row mean: x is %v: expected rows of an element or more: %w", x.Shape(), ErrShape)
	}
	return t.reduce(x, t.shape(nil, n), size, 1/T(size))
}

// reduce sums size elements for each of the result, and multiplies with a factor.
func (t *Tape[T]) reduce(x *Var[T], shape []int, size int, factor T) *Var[T] {
	o := next[reduction[T]](t)
	o.shape, o.factor = kernel.Images{Rows: shape[0], Pixels: size, Channels: 1}, factor
	y := t.linearResult(&o.base, shape, x)
	o.apply(y.value, x.Value())
	return y
}

type reduction[T Float] struct {
	base[T]
	shape  kernel.Images // whose pixels are summed
	factor T
}

func (o *reduction[T]) apply(dst, x []T) {
	kernel.SumPixels(o.shape, dst, x)
	kernel.Scale(dst, dst, o.factor)
}

func (o *reduction[T]) backward(t *Tape[T]) {
	dx, dy := t.added(o.in[0]), o.y.grad
	kernel.Scale(dy, dy, o.factor)
	kernel.AddVectors(o.shape, dx, dx, dy)
}

func (o *reduction[T]) forward(_ *Tape[T], dst []T) { o.apply(dst, o.in[0].Tangent()) }
