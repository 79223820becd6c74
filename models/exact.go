package models

import (
	"errors"
	"fmt"
	"math"

	"snrlab/rng"
	"snrlab/schedules"
)

// ErrNoDensity says that data lie on a set without volume, points say, so that
// there is no density at a level without noise.
var ErrNoDensity = errors.New("no density")

// Exact is a denoiser of a known distribution: everything about its marginals
// p(x; level), the laws of x = α x₀ + σ ε, can be asked for. A label is a class
// to restrict the data to; nil labels, and −1, mean all of them.
type Exact interface {
	Denoiser
	PosteriorCov

	// LogDensity writes log p(x; level) in nats of each row into dst, q.Rows
	// numbers. It fails with ErrNoDensity at σ = 0 where the data lie on a thin
	// set.
	LogDensity(dst []float64, q Query) error

	// Sample writes one exact draw of the marginal at a level for each key
	// into dst, len(keys)×dim. Row i depends on keys[i] and its label alone, and
	// the x₀ and ε of a key are the same at every level.
	Sample(dst []float64, at schedules.Level, labels []int, keys []rng.Key) error

	// Moments returns the exact mean and variances of the marginal at a level.
	Moments(at schedules.Level, label int) (Moments, error)

	// Covariance returns the exact covariance matrix of the marginal at a
	// level, row-major dim×dim.
	Covariance(at schedules.Level, label int) ([]float64, error)
}

// Moments are the mean and the variances of the coordinates of a marginal.
type Moments struct {
	Mean []float64 // E[x]
	Var  []float64 // Var[x_i], the diagonal of the covariance
}

// Total returns the total variance E|x − E x|², the trace of the covariance.
func (m Moments) Total() float64 {
	t := 0.0
	for _, v := range m.Var {
		t += v
	}
	return t
}

// usable reports a level that is none or whose squares leave the range of
// float64, up or down.
func usable(at schedules.Level) error {
	if err := at.Validate(); err != nil {
		return fmt.Errorf("models: %w", err)
	}
	if n := float64(at.Alpha*at.Alpha) + at.Sigma*at.Sigma; n < 1e-280 || math.IsInf(n, 1) {
		return fmt.Errorf("models: level has α = %g, σ = %g: expected α² + σ² between 1e-280 and 1.8e308, scale the states", at.Alpha, at.Sigma)
	}
	return nil
}

// noiseless reports a usable level at which σ² is 0 or subnormal, so that 1/σ²
// is no number; σ/α is below 2e-14 there.
func noiseless(at schedules.Level) bool { return at.Sigma*at.Sigma < 0x1p-1022 }

// axpy adds c·x to dst.
func axpy(dst []float64, c float64, x []float64) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] += c * v
	}
}
