package nn

import "snrlab/nn/internal/kernel"

// ReLU is max(x, 0), elementwise, with slope 0 at 0.
func (t *Tape[T]) ReLU(x *Var[T]) *Var[T] { return t.apply("relu", kernel.ReLU, x) }

// Sigmoid is σ(x) = 1/(1 + e^−x), elementwise.
func (t *Tape[T]) Sigmoid(x *Var[T]) *Var[T] { return t.apply("sigmoid", kernel.Sigmoid, x) }

// SiLU is x σ(x), elementwise.
func (t *Tape[T]) SiLU(x *Var[T]) *Var[T] { return t.apply("silu", kernel.SiLU, x) }

// Tanh is the hyperbolic tangent, elementwise.
func (t *Tape[T]) Tanh(x *Var[T]) *Var[T] { return t.apply("tanh", kernel.Tanh, x) }

// GELU is x Φ(x), elementwise, Φ the distribution function of the normal
// distribution.
func (t *Tape[T]) GELU(x *Var[T]) *Var[T] { return t.apply("gelu", kernel.GELU, x) }

// GELUTanh is GELU with tanh for Φ, x (1 + tanh u)/2 with
// u = √(2/π) (x + 0.044715 x³), elementwise.
func (t *Tape[T]) GELUTanh(x *Var[T]) *Var[T] { return t.apply("gelu by tanh", kernel.GELUTanh, x) }

// Mish is x tanh(log(1 + e^x)), elementwise.
func (t *Tape[T]) Mish(x *Var[T]) *Var[T] { return t.apply("mish", kernel.Mish, x) }

// Exp is e^x, elementwise.
func (t *Tape[T]) Exp(x *Var[T]) *Var[T] { return t.apply("exp", kernel.Exp, x) }

// Log is log x, elementwise.
func (t *Tape[T]) Log(x *Var[T]) *Var[T] { return t.apply("log", kernel.Log, x) }

// Inverse is 1/x, elementwise.
func (t *Tape[T]) Inverse(x *Var[T]) *Var[T] { return t.apply("inverse", kernel.Inverse, x) }

func (t *Tape[T]) apply(name string, f *kernel.Function, x *Var[T]) *Var[T] {
	if !t.ready(name, 1, x) {
		return t.void()
	}
	o := next[pointwise[T]](t)
	o.f = f
	y := t.result(&o.base, x.shape, x)
	y.kept = true // the slope of e^x is e^x
	kernel.Apply(f, y.value, x.Value())
	return y
}

type pointwise[T Float] struct {
	base[T]
	f *kernel.Function
}

func (o *pointwise[T]) backward(t *Tape[T]) {
	x, dy := o.in[0], o.y.grad
	kernel.ApplyGrad(o.f, dy, dy, x.Value(), o.y.value)
	t.hand(x, o.y)
}

func (o *pointwise[T]) forward(_ *Tape[T], dst []T) {
	x := o.in[0]
	kernel.ApplyGrad(o.f, dst, x.Tangent(), x.Value(), o.y.value)
}
