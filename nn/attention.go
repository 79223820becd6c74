package nn

import (
	"math"
	"slices"

	"snrlab/nn/internal/kernel"
)

// Attention is what queries q [rows, tokens, channels] find among keys k and
// values v [rows, keys, channels], in each row and for each head, which has
// channels/heads channels that follow each other [vaswani2017]:
//
//	o_i = Σ_j p_ij v_j,  p_ij = e^s_ij / Σ_l e^s_il,  s_ij = scale q_i·k_j
//
// scale 0 is 1/√(channels/heads). In float32 no array of tokens×keys is made
// [dao2022].
func (t *Tape[T]) Attention(q, k, v *Var[T], heads int, scale float64) *Var[T] {
	if !t.ready("attention", 3, q, k, v) {
		return t.void()
	}
	rows, size := rows(q.shape)
	_, channels := split(q.shape)
	switch {
	case len(q.shape) != 3 || len(k.shape) != 3 || size < 1 || !slices.Equal(k.shape, v.shape) || k.shape[0] != rows || k.shape[1] < 1 || k.shape[2] != channels:
		return t.fail("attention: queries are %v, keys %v, values %v: expected rows×tokens×channels, and rows×keys×channels of both: %w", q.Shape(), k.Shape(), v.Shape(), ErrShape)
	case heads < 1 || channels%heads != 0:
		return t.fail("attention: %d channels do not go into %d heads: %w", channels, heads, ErrShape)
	case math.IsNaN(scale) || math.IsInf(scale, 0):
		return t.fail("attention: the scale is %v: expected a finite number", scale)
	}
	o := next[attention[T]](t)
	o.shape = kernel.Attention{Rows: rows, Queries: q.shape[1], Keys: k.shape[1], Heads: heads, HeadDim: channels / heads}
	o.scale = scale
	if scale == 0 {
		o.scale = 1 / math.Sqrt(float64(o.shape.HeadDim))
	}
	y := t.result(&o.base, q.shape, q, k, v)
	y.kept = true
	lse := t.save(&o.base, 0, rows*heads*q.shape[1])
	kernel.AttentionForward(o.shape, o.scale, y.value, lse, q.Value(), k.Value(), v.Value())
	t.done(&o.base)
	return y
}

type attention[T Float] struct {
	base[T]
	shape kernel.Attention
	scale float64
}

func (o *attention[T]) backward(t *Tape[T]) {
	q, k, v := o.in[0], o.in[1], o.in[2]
	dq, dk, dv := t.share(q), t.share(k), t.share(v)
	kernel.AttentionGrad(o.shape, o.scale, dq.g, dk.g, dv.g, o.y.grad, o.y.value, o.saved[0], q.Value(), k.Value(), v.Value())
	t.settle(dq, dk, dv)
}

func (o *attention[T]) forward(_ *Tape[T], dst []T) {
	q, k, v := o.in[0], o.in[1], o.in[2]
	kernel.AttentionTangent(o.shape, o.scale, dst, o.y.value, o.saved[0], q.Value(), k.Value(), v.Value(), q.Tangent(), k.Tangent(), v.Tangent())
}
