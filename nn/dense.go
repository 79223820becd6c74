package nn

import (
	"fmt"

	"gorgonia.org/tensor"
)

// InputDense is [Tape.Input] of a Dense of the tape's precision, whose memory it
// uses. One that does not lie row-major and whole in memory, a transposed view
// say, is an error: clone it first.
func (t *Tape[T]) InputDense(x *tensor.Dense) *Var[T] {
	if values := t.backing(x); values != nil {
		return t.Input(values, x.Shape()...)
	}
	return t.void()
}

// ConstantDense is [Tape.Constant] of a Dense, see [Tape.InputDense].
func (t *Tape[T]) ConstantDense(x *tensor.Dense) *Var[T] {
	if values := t.backing(x); values != nil {
		return t.Constant(values, x.Shape()...)
	}
	return t.void()
}

// backing is the array behind x, or nil with an error of the tape.
func (t *Tape[T]) backing(x *tensor.Dense) []T {
	if x == nil {
		t.Fail(fmt.Errorf("nn: there is no Dense: %w", ErrShape))
		return nil
	}
	values, ok := x.Data().([]T)
	switch {
	case !ok:
		t.Fail(fmt.Errorf("nn: a Dense of %s on a tape of %T: expected the same numbers", x.Dtype(), *new(T)))
	case x.IsMasked() || x.RequiresIterator() || x.DataOrder().IsColMajor() || len(values) != x.Shape().TotalSize():
		t.Fail(fmt.Errorf("nn: a Dense of shape %v with strides %v does not lie row by row: clone or materialise it first", x.Shape(), x.Strides()))
	default:
		return values
	}
	return nil
}

// Dense is a copy of v as a Dense.
func (v *Var[T]) Dense() *tensor.Dense {
	return tensor.New(tensor.WithShape(v.Shape()...), tensor.WithBacking(append([]T(nil), v.Value()...)))
}
