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
	g := o.shape
	x, dx := o.in[0].Value(), o.in[0].Tangent()
	gamma, dgamma := o.in[1].Value(), o.in[1].Tangent()
	beta, dbeta := o.in[2].Value(), o.in[2].Tangent()
	size := g.Channels / g.Groups
	count := T(size * g.Pixels)
	for r := range g.Rows {
		for group := range g.Groups {
			mean, rstd := o.saved[0][r*g.Groups+group], o.saved[1][r*g.Groups+group]
			each := func(f func(i, c int)) {
				for p := range g.Pixels {
					for c := group * size; c < (group+1)*size; c++ {
						f((r*g.Pixels+p)*g.Channels+c, c)
					}
				}
			}
			// d x̂ = rstd (dx − mean of dx − x̂ · mean of x̂ dx)
			var plain, normal T
			if dx != nil {
				each(func(i, _ int) {
					plain += dx[i] / count
					normal += dx[i] * (x[i] - mean) * rstd / count
				})
			}
			each(func(i, c int) {
				unit, change := (x[i]-mean)*rstd, T(0)
				if dx != nil {
					change = gamma[c] * rstd * (dx[i] - plain - unit*normal)
				}
				if dgamma != nil {
					change += dgamma[c] * unit
				}
				if dbeta != nil {
					change += dbeta[c]
				}
				if o.silu {
					change *= T(kernel.SiLU.Slope(float64(gamma[c]*unit + beta[c])))
				}
				dst[i] = change
			})
		}
	}
}
