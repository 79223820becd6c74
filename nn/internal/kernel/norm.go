package kernel

import (
	"math"

	"snrlab/internal/simd/f32"
)

// GroupNorm is the shape of a group normalisation, see [f32.GroupNorm].
type GroupNorm = f32.GroupNorm

// GroupNormApply writes the statistics of x, [Rows, Groups] each, and its
// normalised form, or SiLU of that, into y.
func GroupNormApply[T Float](g GroupNorm, y, mean, rstd, x, gamma, beta []T, silu bool) {
	if is32[T]() {
		g.Forward(single(y), single(mean), single(rstd), single(x), single(gamma), single(beta), silu)
		return
	}
	groups(g, func(group int, each func(func(i, c int))) {
		var sum, square T
		count := T(g.Channels / g.Groups * g.Pixels)
		each(func(i, _ int) { sum += x[i] })
		sum /= count
		each(func(i, _ int) { square += (x[i] - sum) * (x[i] - sum) / count })
		mean[group], rstd[group] = sum, T(1/math.Sqrt(float64(square)+g.Epsilon))
		each(func(i, c int) {
			y[i] = at(gamma, c, 1)*(x[i]-sum)*rstd[group] + at(beta, c, 0)
			if silu {
				y[i] *= logistic(y[i])
			}
		})
	})
}

// GroupNormGrad writes the gradient of x for that of y, dy, which it may overwrite
// and which dx may be, and adds those of γ and β. β is read for SiLU alone.
func GroupNormGrad[T Float](g GroupNorm, dx, dgamma, dbeta, dy, x, mean, rstd, gamma, beta []T, silu bool) {
	if is32[T]() {
		if silu {
			g.GradSiLU(single(dx), single(dgamma), single(dbeta), single(dy), single(x), single(mean), single(rstd), single(gamma), single(beta))
		} else {
			g.Grad(single(dx), single(dgamma), single(dbeta), single(dy), single(x), single(mean), single(rstd), single(gamma))
		}
		return
	}
	groups(g, func(group int, each func(func(i, c int))) {
		var plain, normal T
		count := T(g.Channels / g.Groups * g.Pixels)
		each(func(i, c int) {
			unit := (x[i] - mean[group]) * rstd[group]
			if silu {
				dy[i] *= T(SiLU.slope(float64(gamma[c]*unit + beta[c])))
			}
			plain += at(gamma, c, 1) * dy[i] / count
			normal += at(gamma, c, 1) * dy[i] * unit / count
			if dgamma != nil {
				dgamma[c] += dy[i] * unit
			}
			if dbeta != nil {
				dbeta[c] += dy[i]
			}
		})
		each(func(i, c int) {
			dx[i] = rstd[group] * (at(gamma, c, 1)*dy[i] - plain - (x[i]-mean[group])*rstd[group]*normal)
		})
	})
}

// GroupNormTangent writes the change of the normalised x, or of its SiLU, when x, γ
// and β change by dx, dγ and dβ, each of which may be nil for zeros:
//
//	dy = γ dx̂ + x̂ dγ + dβ,  dx̂ = rstd (dx − mean of dx − x̂ · mean of x̂ dx)
func GroupNormTangent[T Float](g GroupNorm, dst, x, mean, rstd, gamma, beta, dx, dgamma, dbeta []T, silu bool) {
	groups(g, func(group int, each func(func(i, c int))) {
		var plain, normal float64
		count := float64(g.Channels / g.Groups * g.Pixels)
		unit := func(i int) T { return (x[i] - mean[group]) * rstd[group] }
		if dx != nil {
			each(func(i, _ int) {
				plain += float64(dx[i]) / count
				normal += float64(dx[i]) * float64(unit(i)) / count
			})
		}
		each(func(i, c int) {
			change := T(0)
			if dx != nil {
				change = at(gamma, c, 1) * rstd[group] * (dx[i] - T(plain) - unit(i)*T(normal))
			}
			if dgamma != nil {
				change += dgamma[c] * unit(i)
			}
			change += at(dbeta, c, 0)
			if silu {
				change *= T(SiLU.slope(float64(gamma[c]*unit(i) + beta[c])))
			}
			dst[i] = change
		})
	})
}

// LayerNorm is the shape of a normalisation of rows, see [f32.LayerNorm].
type LayerNorm = f32.LayerNorm

// asGroups is a normalisation of rows as that of one group of channels.
func asGroups(l LayerNorm) GroupNorm {
	return GroupNorm{Rows: l.Rows, Pixels: 1, Channels: l.N, Groups: 1, Epsilon: l.Epsilon}
}

// LayerNormForward writes the statistics of x and its normalised form. γ and β may
// be nil for ones and zeros, and β alone.
func LayerNormForward[T Float](l LayerNorm, y, mean, rstd, x, gamma, beta []T) {
	if is32[T]() {
		l.Forward(single(y), single(mean), single(rstd), single(x), single(gamma), single(beta))
		return
	}
	GroupNormApply(asGroups(l), y, mean, rstd, x, gamma, beta, false)
}

// LayerNormGrad writes the gradient of x for that of y, which it may be, and adds
// those of γ and β to dgamma and dbeta, which may be nil.
func LayerNormGrad[T Float](l LayerNorm, dx, dgamma, dbeta, dy, x, mean, rstd, gamma []T) {
	if is32[T]() {
		l.Grad(single(dx), single(dgamma), single(dbeta), single(dy), single(x), single(mean), single(rstd), single(gamma))
		return
	}
	GroupNormGrad(asGroups(l), dx, dgamma, dbeta, dy, x, mean, rstd, gamma, nil, false)
}

// LayerNormTangent is GroupNormTangent of rows. γ may be nil for ones.
func LayerNormTangent[T Float](l LayerNorm, dst, x, mean, rstd, gamma, dx, dgamma, dbeta []T) {
	GroupNormTangent(asGroups(l), dst, x, mean, rstd, gamma, nil, dx, dgamma, dbeta, false)
}

// at returns x[i], and a default where x is nil.
func at[T Float](x []T, i int, otherwise T) T {
	if x == nil {
		return otherwise
	}
	return x[i]
}

// groups calls f for each group of each row with a loop over its elements i and
// their channels c.
func groups(g GroupNorm, f func(group int, each func(func(i, c int)))) {
	size := g.Channels / g.Groups
	for k := range g.Rows * g.Groups {
		r, first := k/g.Groups, k%g.Groups*size
		f(k, func(visit func(i, c int)) {
			for p := range g.Pixels {
				for c := first; c < first+size; c++ {
					visit((r*g.Pixels+p)*g.Channels+c, c)
				}
			}
		})
	}
}

func logistic[T Float](x T) T { return T(1 / (1 + math.Exp(-float64(x)))) }
