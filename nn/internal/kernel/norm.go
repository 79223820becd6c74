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
			y[i] = gamma[c]*(x[i]-sum)*rstd[group] + beta[c]
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
			plain += gamma[c] * dy[i] / count
			normal += gamma[c] * dy[i] * unit / count
			dgamma[c] += dy[i] * unit
			dbeta[c] += dy[i]
		})
		each(func(i, c int) {
			dx[i] = rstd[group] * (gamma[c]*dy[i] - plain - (x[i]-mean[group])*rstd[group]*normal)
		})
	})
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
