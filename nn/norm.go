package nn

import (
	"math"

	"snrlab/nn/internal/kernel"
)

// GroupNorm normalises x [rows, …, channels] over all places and the channels of
// a group, which follow each other [wu2018]:
//
//	y = γ_c (x − mean)/√(var + ε) + β_c
//
// with mean and variance of the row and the group. γ and β are [channels].
func (t *Tape[T]) GroupNorm(x, gamma, beta *Var[T], groups int, epsilon float64) *Var[T] {
	return t.groupNorm(x, gamma, beta, groups, epsilon, false)
}

// GroupNormSiLU is SiLU(GroupNorm(x)) in one pass.
func (t *Tape[T]) GroupNormSiLU(x, gamma, beta *Var[T], groups int, epsilon float64) *Var[T] {
	return t.groupNorm(x, gamma, beta, groups, epsilon, true)
}

func (t *Tape[T]) groupNorm(x, gamma, beta *Var[T], groups int, epsilon float64, silu bool) *Var[T] {
	if !t.ready("group norm", 3, x, gamma, beta) {
		return t.void()
	}
	_, channels := split(x.shape)
	rows, size := rows(x.shape)
	switch {
	case len(x.shape) < 2 || size < 1 || gamma.Len() != channels || beta.Len() != channels:
		return t.fail("group norm: x is %v, γ %v, β %v: expected rows×…×channels, channels, channels: %w", x.Shape(), gamma.Shape(), beta.Shape(), ErrShape)
	case groups < 1 || channels%groups != 0:
		return t.fail("group norm: %d channels do not go into %d groups: %w", channels, groups, ErrShape)
	case !(epsilon > 0) || math.IsInf(epsilon, 1):
		return t.fail("group norm: ε is %v: expected a finite number above 0", epsilon)
	}
	o := next[groupNorm[T]](t)
	o.shape = kernel.GroupNorm{Rows: rows, Pixels: size / channels, Channels: channels, Groups: groups, Epsilon: epsilon}
	o.silu = silu
	y := t.result(&o.base, x.shape, x, gamma, beta)
	mean, rstd := t.save(&o.base, 0, rows*groups), t.save(&o.base, 1, rows*groups)
	kernel.GroupNormApply(o.shape, y.value, mean, rstd, x.Value(), gamma.Value(), beta.Value(), silu)
	t.done(&o.base)
	return y
}

type groupNorm[T Float] struct {
	base[T]
	shape kernel.GroupNorm
	silu  bool
}

func (o *groupNorm[T]) backward(t *Tape[T]) {
	x, gamma, beta := o.in[0], o.in[1], o.in[2]
	dy := o.y.grad
	// The kernel writes all three gradients; those that nobody wants go nowhere.
	dgamma, gammaRoom := t.sum(gamma)
	dbeta, betaRoom := t.sum(beta)
	kernel.GroupNormGrad(o.shape, dy, dgamma, dbeta, dy, x.Value(), o.saved[0], o.saved[1], gamma.Value(), beta.Value(), o.silu)
	t.pool.put(gammaRoom)
	t.pool.put(betaRoom)
	t.hand(x, o.y)
}

// sum is added, or room to give back to the pool if nobody wants the gradient.
func (t *Tape[T]) sum(v *Var[T]) (g, room []T) {
	if g := t.added(v); g != nil {
		return g, nil
	}
	room = t.pool.get(v.Len())
	clear(room)
	return room, room
}

func (o *groupNorm[T]) forward(_ *Tape[T], dst []T) {
	x, gamma, beta := o.in[0], o.in[1], o.in[2]
	kernel.GroupNormTangent(o.shape, dst, x.Value(), o.saved[0], o.saved[1], gamma.Value(), beta.Value(), x.Tangent(), gamma.Tangent(), beta.Tangent(), o.silu)
}

// LayerNorm normalises x [rows, …, channels] over the channels [ba2016]:
//
//	y = γ_c (x − mean)/√(var + ε) + β_c
//
// with mean and variance of the channels of a pixel. γ and β are [channels]; each
// may be nil, for ones and zeros.
func (t *Tape[T]) LayerNorm(x, gamma, beta *Var[T], epsilon float64) *Var[T] {
	if !t.ready("layer norm", 1, x, gamma, beta) {
		return t.void()
	}
	front, channels := split(x.shape)
	switch {
	case channels < 1 || gamma != nil && gamma.Len() != channels || beta != nil && beta.Len() != channels:
		return t.fail("layer norm: x is %v, γ %v, β %v: expected rows×…×channels, channels, channels: %w", x.Shape(), gamma.Shape(), beta.Shape(), ErrShape)
	case !(epsilon > 0) || math.IsInf(epsilon, 1):
		return t.fail("layer norm: ε is %v: expected a finite number above 0", epsilon)
	case gamma == nil && beta != nil:
		unit := t.LayerNorm(x, nil, nil, epsilon)
		y := t.Add(unit, t.Reshape(beta, channels))
		t.Free(unit)
		return y
	}
	o := next[layerNorm[T]](t)
	n, _ := product(front)
	o.shape = kernel.LayerNorm{Rows: n, N: channels, Epsilon: epsilon}
	y := t.result(&o.base, x.shape, x, gamma, beta)
	mean, rstd := t.save(&o.base, 0, n), t.save(&o.base, 1, n)
	kernel.LayerNormForward(o.shape, y.value, mean, rstd, x.Value(), gamma.Value(), beta.Value())
	t.done(&o.base)
	return y
}

type layerNorm[T Float] struct {
	base[T]
	shape kernel.LayerNorm
}

func (o *layerNorm[T]) backward(t *Tape[T]) {
	x, gamma, beta, dy := o.in[0], o.in[1], o.in[2], o.y.grad
	kernel.LayerNormGrad(o.shape, dy, t.added(gamma), t.added(beta), dy, x.Value(), o.saved[0], o.saved[1], gamma.Value())
	t.hand(x, o.y)
}

func (o *layerNorm[T]) forward(_ *Tape[T], dst []T) {
	x, gamma, beta := o.in[0], o.in[1], o.in[2]
	kernel.LayerNormTangent(o.shape, dst, x.Value(), o.saved[0], o.saved[1], gamma.Value(), x.Tangent(), gamma.Tangent(), beta.Tangent())
}
