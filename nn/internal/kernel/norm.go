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
		g.Statistics(single(mean), single(rstd), single(x))
		g.Apply(single(y), single(x), single(mean), single(rstd), single(gamma), single(beta), silu)
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

// GroupNormSiLUGrad writes the gradient of the normalised x for that of its SiLU.
func GroupNormSiLUGrad[T Float](g GroupNorm, dy, dz, x, mean, rstd, gamma, beta []T) {
	if is32[T]() {
		g.SiLUGrad(single(dy), single(dz), single(x), single(mean), single(rstd), single(gamma), single(beta))
		return
	}
	groups(g, func(group int, each func(func(i, c int))) {
		each(func(i, c int) {
			y := gamma[c]*(x[i]-mean[group])*rstd[group] + beta[c]
			s := logistic(y)
			dy[i] = dz[i] * s * (1 + y*(1-s))
		})
	})
}

// GroupNormGrad writes the gradient of x and adds those of γ and β.
func GroupNormGrad[T Float](g GroupNorm, dx, dgamma, dbeta, dy, x, mean, rstd, gamma []T) {
	if is32[T]() {
		g.Grad(single(dx), single(dgamma), single(dbeta), single(dy), single(x), single(mean), single(rstd), single(gamma))
		return
	}
	groups(g, func(group int, each func(func(i, c int))) {
		var plain, normal T
		count := T(g.Channels / g.Groups * g.Pixels)
		each(func(i, c int) {
			unit := (x[i] - mean[group]) * rstd[group]
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
