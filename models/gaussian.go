package models

import (
	"fmt"
	"math"

	"snrlab/internal/simd"
	"snrlab/schedules"
)

// Gaussian is the exact denoiser of data N(m, Σ) with any covariance, and the
// one distribution whose probability-flow trajectories are known in closed
// form: see [Gaussian.Flow].
type Gaussian struct{ *Mixture }

// NewGaussian returns the Gaussian of a mean and a covariance, dim×dim.
func NewGaussian(shape []int, mean, cov []float64) (*Gaussian, error) {
	m, err := NewMixture(Components{Shape: shape, Weights: []float64{1}, Means: mean, Cov: cov})
	if err != nil {
		return nil, err
	}
	return &Gaussian{m}, nil
}

// Flow carries the rows of x along the probability-flow ODE from one level to
// another, in either direction and on any path, into dst (which may be x):
//
//	x_to = α_to m + U diag(√((α_to² l + σ_to²)/(α_from² l + σ_from²))) Uᵀ (x_from − α_from m)
//
// with Σ = U diag(l) Uᵀ. In x/α and s = σ/α the root is √((l + s_to²)/(l + s_from²)).
// It holds at α = 0 and σ = 0; a direction without variance that starts at
// σ = 0 has lost its trajectory and is refused.
func (g *Gaussian) Flow(dst, x []float64, from, to schedules.Level) error {
	p := &g.parts
	d := p.dim
	if len(x) == 0 || len(x)%d != 0 || len(dst) != len(x) {
		return fmt.Errorf("models: flow of %d numbers into %d: expected equal multiples of %d", len(x), len(dst), d)
	}
	for _, at := range []schedules.Level{from, to} {
		if err := usable(at); err != nil {
			return err
		}
	}
	ratio := make([]float64, d)
	for j, l := range p.l {
		start := math.Hypot(from.Alpha*math.Sqrt(l), from.Sigma)
		if start == 0 {
			return fmt.Errorf("models: flow from σ = %g along a direction without variance: trajectories start at a level with noise", from.Sigma)
		}
		ratio[j] = math.Hypot(to.Alpha*math.Sqrt(l), to.Sigma) / start
	}
	a, y := make([]float64, d), make([]float64, d)
	for lo := 0; lo < len(x); lo += d {
		for i, m := range p.centre {
			y[i] = x[lo+i] - float64(from.Alpha*m)
		}
		for j := range a {
			a[j] = ratio[j] * simd.Dot(p.row(0, j+1), y)
		}
		out := dst[lo : lo+d]
		for i, m := range p.centre {
			out[i] = to.Alpha * m
		}
		for j := range a {
			axpy(out, a[j], p.row(0, j+1))
		}
	}
	return nil
}
