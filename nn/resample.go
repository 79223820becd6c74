package nn

import "snrlab/nn/internal/kernel"

// Upsample is images x [rows, height, width, channels] at twice the size, each
// pixel of the result that of x which it lies in.
func (t *Tape[T]) Upsample(x *Var[T]) *Var[T] {
	if !t.ready("upsample", 1, x) {
		return t.void()
	}
	_, size := rows(x.shape)
	if len(x.shape) != 4 || size < 1 {
		return t.fail("upsample: x is %v: expected rows×height×width×channels: %w", x.Shape(), ErrShape)
	}
	o := next[resample[T]](t)
	o.shape = kernel.Resample{Rows: x.shape[0], Height: 2 * x.shape[1], Width: 2 * x.shape[2], Channels: x.shape[3], Factor: 2}
	o.shrinks = false
	y := t.linearResult(&o.base, t.shape(nil, x.shape[0], o.shape.Height, o.shape.Width, x.shape[3]), x)
	o.apply(y.value, x.Value())
	return y
}

// AvgPool is the mean of each k×k square of images x [rows, height, width,
// channels]. Pixels beyond the last whole square are left out, as in torch.
func (t *Tape[T]) AvgPool(x *Var[T], k int) *Var[T] {
	if !t.ready("average pool", 1, x) {
		return t.void()
	}
	_, size := rows(x.shape)
	if len(x.shape) != 4 || size < 1 || k < 1 || k > min(x.shape[1], x.shape[2]) {
		return t.fail("average pool: x is %v: expected rows×height×width×channels with squares of side %d: %w", x.Shape(), k, ErrShape)
	}
	o := next[resample[T]](t)
	o.shape = kernel.Resample{Rows: x.shape[0], Height: x.shape[1], Width: x.shape[2], Channels: x.shape[3], Factor: k}
	o.shrinks = true
	y := t.linearResult(&o.base, t.shape(nil, x.shape[0], x.shape[1]/k, x.shape[2]/k, x.shape[3]), x)
	o.apply(y.value, x.Value())
	return y
}

type resample[T Float] struct {
	base[T]
	shape   kernel.Resample
	shrinks bool
}

func (o *resample[T]) apply(dst, x []T) {
	if o.shrinks {
		kernel.Average(o.shape, dst, x)
	} else {
		kernel.Nearest(o.shape, dst, x)
	}
}

func (o *resample[T]) backward(t *Tape[T]) {
	dx := t.share(o.in[0])
	if o.shrinks {
		kernel.AverageGrad(o.shape, dx.g, o.y.grad)
	} else {
		kernel.NearestGrad(o.shape, dx.g, o.y.grad)
	}
	t.settle(dx)
}

func (o *resample[T]) forward(_ *Tape[T], dst []T) { o.apply(dst, o.in[0].Tangent()) }
