package mppca

import (
	"context"
	"fmt"
	"math"
	"slices"

	"snrlab/internal/par"
	"snrlab/internal/simd"
)

// Mixture is Σ_k π_k N(μ_k, W_kᵀ W_k + σ_k² I). The rows of a fitted W_k are
// orthogonal and ordered by length; other loadings are as good.
type Mixture struct {
	Dim, Rank int
	Weights   []float64 // π, K
	Means     []float64 // μ, K × Dim
	Loadings  []float64 // W, K × Rank × Dim
	Residual  []float64 // σ², K
	Labels    []int     // class of each component; −1 where the data had none
}

// Len returns the number of components K.
func (m *Mixture) Len() int { return len(m.Weights) }

// Shrink sets every residual to variance and keeps the variance l = ‖w‖² + σ²
// along each loading: what is left is the clean part of the mixture. It lowers
// the likelihood of any data that the rank does not explain.
func (m *Mixture) Shrink(variance float64) error {
	if !(variance > 0) {
		return fmt.Errorf("mppca: residual variance %g: expected a positive number", variance)
	}
	for k, s := range m.Residual {
		for r := range m.Rank {
			w := m.Loadings[(k*m.Rank+r)*m.Dim:][:m.Dim]
			n := dot(w, w)
			if n == 0 {
				continue // pooled with the residual
			}
			scale := math.Sqrt(max(n+s-variance, 0) / n)
			for j := range w {
				w[j] *= scale
			}
		}
		m.Residual[k] = variance
	}
	return nil
}

// LogDensity writes log p(x), over all components, of n rows into dst, in nats.
func (m *Mixture) LogDensity(ctx context.Context, dst, x []float64, n int) error {
	if err := checkRows(x, n, m.Dim); err != nil {
		return err
	}
	if len(dst) != n {
		return fmt.Errorf("mppca: destination has %d numbers for %d rows", len(dst), n)
	}
	comps, err := m.components()
	if err != nil {
		return err
	}
	den := newDensity(m.Dim, comps)
	K := len(comps)
	par.Rows(n, block, func(lo, hi int) {
		work, logp := den.scratch(), make([]float64, block*K)
		rows := make([]int, 0, block)
		for lo < hi && ctx.Err() == nil {
			rows = rows[:0]
			for i := lo; i < min(lo+block, hi); i++ {
				rows = append(rows, i)
			}
			den.eval(logp, work, x, rows)
			for i, r := range rows {
				dst[r] = logSum(logp[i*K : (i+1)*K])
			}
			lo += len(rows)
		}
	})
	return ctx.Err()
}

// PerDim returns the mean log density of n rows in nats per dimension.
func (m *Mixture) PerDim(ctx context.Context, x []float64, n int) (float64, error) {
	logp := make([]float64, max(n, 0))
	if err := m.LogDensity(ctx, logp, x, n); err != nil {
		return 0, err
	}
	sum := 0.0
	for _, l := range logp {
		sum += l
	}
	return sum / float64(n) / float64(m.Dim), nil
}

// components rotates the loadings to orthogonal ones, which leaves every
// covariance as it is.
func (m *Mixture) components() ([]component, error) {
	K, q, d := m.Len(), m.Rank, m.Dim
	if K < 1 || len(m.Means) != K*d || len(m.Loadings) != K*q*d || len(m.Residual) != K {
		return nil, fmt.Errorf("mppca: mixture of %d weights has %d means, %d loadings and %d residuals: expected %d, %d and %d",
			K, len(m.Means), len(m.Loadings), len(m.Residual), K*d, K*q*d, K)
	}
	comps := make([]component, K)
	for k := range comps {
		c := component{
			weight: m.Weights[k], mean: m.Means[k*d : (k+1)*d],
			variance: make([]float64, q), basis: make([]float64, q*d), residual: m.Residual[k],
		}
		if !(c.residual > 0) {
			return nil, fmt.Errorf("mppca: residual %d is %g: expected a positive variance", k, c.residual)
		}
		if q > 0 {
			w := m.Loadings[k*q*d : (k+1)*q*d]
			gram := make([]float64, q*q)
			simd.Gemm(false, true, q, q, d, 1, w, d, w, d, 0, gram, q)
			vals, axes, err := eigen(gram, q)
			if err != nil {
				return nil, fmt.Errorf("mppca: component %d: %w", k, err)
			}
			simd.Gemm(false, false, q, d, q, 1, axes, q, w, d, 0, c.basis, d)
			for r := range q {
				// A direction without variance belongs to the residual, and its row
				// of the basis does not count.
				u := c.basis[r*d : (r+1)*d]
				n := math.Sqrt(dot(u, u))
				if n <= 1e-9*math.Sqrt(max(vals[0], 0)) || n == 0 {
					clear(u)
					c.variance[r] = c.residual
					continue
				}
				for j := range u {
					u[j] /= n
				}
				c.variance[r] = n*n + c.residual
			}
		}
		comps[k] = c
	}
	return comps, nil
}

// logSum returns log Σ e^v.
func logSum(v []float64) float64 {
	top := slices.Max(v)
	sum := 0.0
	for _, l := range v {
		sum += math.Exp(l - top)
	}
	return top + math.Log(sum)
}
