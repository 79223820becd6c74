package models

import (
	"fmt"
	"slices"
)

// PointSet is the optimal denoiser of a finite data set, the mixture of equal
// point masses: with y_i = x − α x_i,
//
//	D(x) = Σ_i softmax_i(−|y_i|²/2σ²) x_i
//
// A network trained to perfection on the set would be this function.
type PointSet struct{ *Mixture }

// NewPointSet returns the optimal denoiser of N points, N×dim, with nil or N
// labels.
func NewPointSet(shape []int, points []float64, labels []int) (*PointSet, error) {
	dim := size(shape)
	if dim < 1 || len(points) == 0 || len(points)%dim != 0 {
		return nil, fmt.Errorf("models: point set of %d numbers: expected a positive multiple of the size of a sample, %v", len(points), shape)
	}
	n := len(points) / dim
	m, err := NewMixture(Components{
		Shape: shape, Weights: slices.Repeat([]float64{1}, n), Means: points,
		Residual: make([]float64, n), Labels: labels,
	})
	if err != nil {
		return nil, err
	}
	return &PointSet{m}, nil
}
