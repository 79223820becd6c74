package models

import (
	"context"
	"fmt"
	"slices"

	"snrlab/schedules"
)

// Trainable is a denoiser with parameters, seen from the loss. A network is one, and
// so is [Affine].
type Trainable interface {
	Denoiser
	// Parameters is the number of parameters.
	Parameters() int
	// LossGradient writes the gradient in the parameters of Σ |x₀ − D|², summed over
	// the rows of q, into dst. x0 has the shape of q.X. One row at a time gives the
	// gradients of single draws.
	LossGradient(ctx context.Context, dst []float64, q Query, x0 []float64) error
}

// Affine is the smallest network behind the preconditioning of [EDM]: one scale and
// one shift for each coordinate, the same at every noise level,
//
//	F(z) = scale ⊙ z + shift,    D = c_skip x̂ + c_out F(c_in x̂).
//
// With both at zero it is what a network begins as, D = c_skip x̂, the exact
// denoiser of N(0, sd² I).
type Affine struct {
	shape        []int
	edm          EDM
	scale, shift []float64
}

// NewAffine copies the parameters, as many of each as a sample has values.
func NewAffine(shape []int, edm EDM, scale, shift []float64) (*Affine, error) {
	if err := edm.Validate(); err != nil {
		return nil, err
	}
	for _, s := range shape {
		if s < 1 {
			return nil, fmt.Errorf("models: sample shape %v: expected sizes ≥ 1", shape)
		}
	}
	if n := size(shape); len(shape) == 0 || len(scale) != n || len(shift) != n {
		return nil, fmt.Errorf("models: affine denoiser of shape %v has %d scales and %d shifts: expected one of each for every value", shape, len(scale), len(shift))
	}
	for _, list := range [][]float64{scale, shift} {
		for i, v := range list {
			if v-v != 0 {
				return nil, fmt.Errorf("models: affine denoiser has %g at %d: expected finite numbers", v, i)
			}
		}
	}
	return &Affine{shape: slices.Clone(shape), edm: edm, scale: slices.Clone(scale), shift: slices.Clone(shift)}, nil
}

// Shape is that of one sample.
func (a *Affine) Shape() []int { return a.shape }

// Parameters is two for each value of a sample.
func (a *Affine) Parameters() int { return 2 * len(a.scale) }

// coefficients returns those of D = skip x + out (scale ⊙ in x + shift).
func (a *Affine) coefficients(at schedules.Level) (skip, out, in float64, err error) {
	if err := usable(at); err != nil {
		return 0, 0, 0, err
	}
	skip, out, err = a.edm.Decode(at)
	in, _ = a.edm.Input(at)
	return skip, out, in, err
}

// Denoise answers row by row.
func (a *Affine) Denoise(ctx context.Context, dst []float64, q Query) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n := len(a.scale)
	if err := q.Check(dst, n); err != nil {
		return err
	}
	for i := range q.Rows {
		skip, out, in, err := a.coefficients(q.Level(i))
		if err != nil {
			return err
		}
		for j, x := range q.X[i*n : (i+1)*n] {
			dst[i*n+j] = float64(skip*x) + out*(float64(a.scale[j]*in*x)+a.shift[j])
		}
	}
	return nil
}

// LossGradient sums −2 (x₀ − D) c_out (c_in x̂, 1): the scales come first, then the shifts.
func (a *Affine) LossGradient(ctx context.Context, dst []float64, q Query, x0 []float64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n := len(a.scale)
	if len(dst) != 2*n {
		return fmt.Errorf("models: gradient has %d numbers: expected %d parameters", len(dst), 2*n)
	}
	if err := q.Check(x0, n); err != nil {
		return err
	}
	clear(dst)
	for i := range q.Rows {
		skip, out, in, err := a.coefficients(q.Level(i))
		if err != nil {
			return err
		}
		for j, x := range q.X[i*n : (i+1)*n] {
			d := float64(skip*x) + out*(float64(a.scale[j]*in*x)+a.shift[j])
			g := -2 * (x0[i*n+j] - d) * out
			dst[j] += float64(g * in * x)
			dst[n+j] += g
		}
	}
	return nil
}
