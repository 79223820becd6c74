// Package models holds the denoiser, the one thing a solver calls, its
// adapters, and an exact zoo whose marginals and trajectories are known.
//
// A [Denoiser] answers one batched [Query]: the estimate of E[x₀ | x] for states
// x = α x₀ + σ ε at their noise levels. Models of ε, v, the score, a flow or an
// EDM network become denoisers by [FromRaw], and denoisers become those by
// [ToRaw]. [Counter] and [Timed] wrap any of them. [Gaussian], [Mixture],
// [PointSet], [Field] and [FieldMixture] are [Exact]: they also sample, and give the log-density, the moments
// and the posterior covariance at every level, σ = 0 and α = 0 included.
//
// References:
//
//	[field1987]    D. Field. Relations between the statistics of natural images and the
//	               response properties of cortical cells. J. Opt. Soc. Am. A 4 (1987).
//	[guo2005]      D. Guo, S. Shamai, S. Verdú. Mutual information and minimum mean-square
//	               error in Gaussian channels. IEEE Trans. Inf. Theory 51 (2005).
//	[ho2020]       J. Ho, A. Jain, P. Abbeel. Denoising diffusion probabilistic models.
//	               NeurIPS 2020, arXiv 2006.11239.
//	[karras2022]   T. Karras, M. Aittala, T. Aila, S. Laine. Elucidating the design space
//	               of diffusion-based generative models. NeurIPS 2022, arXiv 2206.00364.
//	[liu2023]      X. Liu, C. Gong, Q. Liu. Flow straight and fast: learning to generate
//	               and transfer data with rectified flow. ICLR 2023, arXiv 2209.03003.
//	[salimans2022] T. Salimans, J. Ho. Progressive distillation for fast sampling of
//	               diffusion models. ICLR 2022, arXiv 2202.00512.
//	[tipping1999]  M. Tipping, C. Bishop. Mixtures of probabilistic principal component
//	               analyzers. Neural Computation 11 (1999).
//	[wiener1949]   N. Wiener. Extrapolation, interpolation, and smoothing of stationary
//	               time series. MIT Press, 1949.
package models

import (
	"context"
	"fmt"

	"snrlab/schedules"
)

// Query is one batched question to a denoiser. Nothing in it is modified or
// retained by the callee.
type Query struct {
	X      []float64         // states x = α x₀ + σ ε, row-major Rows×dim
	Rows   int               // number of samples
	At     []schedules.Level // one level for all rows, or one a row
	Labels []int             // nil, or one class a row; −1 means no class
}

// Level returns the noise level of row i.
func (q Query) Level(i int) schedules.Level {
	if len(q.At) == 1 {
		return q.At[0]
	}
	return q.At[i]
}

// Check reports a query that does not fit a sample size of dim numbers or
// whose dst has another length. Denoisers call it first.
func (q Query) Check(dst []float64, dim int) error {
	switch {
	case q.Rows < 1:
		return fmt.Errorf("models: query of %d rows: expected at least 1", q.Rows)
	case len(q.X) != q.Rows*dim:
		return fmt.Errorf("models: query has %d numbers: expected %d rows × %d = %d", len(q.X), q.Rows, dim, q.Rows*dim)
	case len(dst) != len(q.X):
		return fmt.Errorf("models: destination has %d numbers, the query %d", len(dst), len(q.X))
	case len(q.At) != 1 && len(q.At) != q.Rows:
		return fmt.Errorf("models: query has %d levels: expected 1, or one for each of %d rows", len(q.At), q.Rows)
	case q.Labels != nil && len(q.Labels) != q.Rows:
		return fmt.Errorf("models: query has %d labels: expected none, or one for each of %d rows", len(q.Labels), q.Rows)
	}
	return nil
}

// Denoiser estimates the clean sample: D(x; level) = E[x₀ | x] for an exact one.
// Implementations are safe for concurrent use, and a row of the answer depends
// on that row of the query alone, bit for bit.
type Denoiser interface {
	// Denoise writes D(q) into dst, row-major q.Rows×dim.
	Denoise(ctx context.Context, dst []float64, q Query) error
	// Shape is that of one sample: [2], or [1 28 28]. Not to be modified.
	Shape() []int
}

// PosteriorCov is offered by denoisers that know Cov[x₀ | x]: the product with
// a vector gives Jacobian products (∂D/∂x = (α/σ²) Cov), the divergence and
// analytic variances.
type PosteriorCov interface {
	// PosteriorCovMul writes Cov[x₀ | x] v into dst, row by row. v has the
	// shape of q.X.
	PosteriorCovMul(ctx context.Context, dst, v []float64, q Query) error
}

// LevelRate is offered by denoisers that know how their answer moves with the
// noise level they are told, the x/α they are shown being the same: what a
// solver that chooses its levels is fitted with.
type LevelRate interface {
	// DenoiseRate writes ∂D(α x̂; level)/∂log(σ/α) at fixed x̂ = x/α into dst.
	DenoiseRate(ctx context.Context, dst []float64, q Query) error
}

// Dim returns the number of values of one sample of d.
func Dim(d Denoiser) int { return size(d.Shape()) }

func size(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// Labelled is offered by denoisers that say which classes they can be
// conditioned on.
type Labelled interface {
	Classes() []int // in order; none where the denoiser has no labels
}
