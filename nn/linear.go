package nn

import "snrlab/nn/internal/kernel"

// Linear is y = x Wᵀ + b over the last axis of x: W is [out, in], b [out] or nil,
// and y has x's shape with out in the last place.
func (t *Tape[T]) Linear(x, w, b *Var[T]) *Var[T] {
	if !t.ready("linear", 2, x, w, b) {
		return t.void()
	}
	front, in := split(x.shape)
	if in < 1 || len(w.shape) != 2 || w.shape[0] < 1 || w.shape[1] != in || b != nil && b.Len() != w.shape[0] {
		return t.fail("linear: x is %v, the weight %v, the bias %v: expected out×%d and out: %w", x.Shape(), w.Shape(), b.Shape(), in, ErrShape)
	}
	o := next[linearOp[T]](t)
	o.rows, o.inputs, o.outputs = x.Len()/in, in, w.shape[0]
	y := t.result(&o.base, t.shape(front, o.outputs), x, w, b)
	o.apply(y.value, x.Value(), w.Value(), b.Value(), 0)
	return y
}

type linearOp[T Float] struct {
	base[T]
	rows, inputs, outputs int
}

// apply writes x Wᵀ + b + β dst into dst. b may be nil.
func (o *linearOp[T]) apply(dst, x, w, b []T, beta T) {
	kernel.Gemm(false, true, o.rows, o.outputs, o.inputs, 1, x, o.inputs, w, o.inputs, beta, dst, o.outputs)
	if b != nil {
		kernel.AddRows(dst, b, o.rows, o.outputs)
	}
}

func (o *linearOp[T]) backward(t *Tape[T]) {
	x, w, b, dy := o.in[0], o.in[1], o.in[2], o.y.grad
	if x.wanted() {
		dx, beta := t.into(x)
		kernel.Gemm(false, false, o.rows, o.inputs, o.outputs, 1, dy, o.outputs, w.Value(), o.inputs, beta, dx, o.inputs)
	}
	if w.wanted() {
		dw, beta := t.into(w)
		kernel.Gemm(true, false, o.outputs, o.inputs, o.rows, 1, dy, o.outputs, x.Value(), o.inputs, beta, dw, o.inputs)
	}
	if b.wanted() {
		db, beta := t.into(b)
		kernel.SumRows(db, dy, o.rows, o.outputs, beta)
	}
}

func (o *linearOp[T]) forward(_ *Tape[T], dst []T) {
	x, w, b := o.in[0], o.in[1], o.in[2]
	beta := T(0)
	if dx := x.Tangent(); dx != nil {
		o.apply(dst, dx, w.Value(), nil, beta)
		beta = 1
	}
	if dw := w.Tangent(); dw != nil {
		o.apply(dst, x.Value(), dw, nil, beta)
		beta = 1
	}
	if db := b.Tangent(); db != nil {
		if beta == 0 {
			clear(dst)
		}
		kernel.AddRows(dst, db, o.rows, o.outputs)
	}
}

// split cuts a shape into all sides but the last, and the last, 0 if there is
// none.
func split(shape []int) (front []int, last int) {
	if len(shape) == 0 {
		return nil, 0
	}
	return shape[:len(shape)-1], shape[len(shape)-1]
}
