package nn

import (
	"snrlab/nn/internal/kernel"
	"snrlab/rng"
)

// Dropout makes each number of x [rows, …] zero with probability p and multiplies
// the others with 1/(1 − p) [srivastava2014]. Which ones is drawn by a key for each
// row, so that a row does not depend on the batch. Without keys, for evaluation,
// or with p = 0 it is x itself.
func (t *Tape[T]) Dropout(x *Var[T], p float64, keys []rng.Key) *Var[T] {
	if !t.ready("dropout", 1, x) {
		return t.void()
	}
	n, size := rows(x.shape)
	switch {
	case !(p >= 0 && p < 1):
		return t.fail("dropout: the probability is %v: expected one from 0 and below 1", p)
	case keys == nil || p == 0:
		return x
	case len(x.shape) < 1 || len(keys) != n:
		return t.fail("dropout: x is %v with %d keys: expected one for each row: %w", x.Shape(), len(keys), ErrShape)
	}
	o := next[dropout[T]](t)
	y := t.linearResult(&o.base, x.shape, x)
	mask := t.save(&o.base, 0, x.Len())
	kernel.DropoutMask(mask, size, p, keys)
	kernel.Mul(y.value, x.Value(), mask)
	t.done(&o.base)
	return y
}

type dropout[T Float] struct{ base[T] }

func (o *dropout[T]) backward(t *Tape[T]) {
	kernel.Mul(o.y.grad, o.y.grad, o.saved[0])
	t.hand(o.in[0], o.y)
}

func (o *dropout[T]) forward(_ *Tape[T], dst []T) { kernel.Mul(dst, o.in[0].Tangent(), o.saved[0]) }
