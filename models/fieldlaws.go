package models

import (
	"fmt"
	"math"

	"snrlab/internal/par"
	"snrlab/schedules"
)

// Power returns the power spectrum, channels×height×(width/2+1) as in
// [FieldComponents].
func (f *Field) Power() []float64 { return f.powerOf(0) }

func (f *FieldMixture) powerOf(k int) []float64 {
	rows := make([]float64, f.n)
	for c := range f.channels {
		for u := range f.h {
			for v := range f.half {
				rows[(c*f.h+u)*f.half+v] = f.power[k*f.n+(c*f.half+v)*f.h+u]
			}
		}
	}
	return rows
}

// Variance returns the variance of a pixel, the mean of the spectrum over the
// whole plane and the channels.
func (f *Field) Variance() float64 {
	return f.sum(func(j int) float64 { return f.power[j] }) / float64(f.dim)
}

// MSE returns the mean squared error of x₀ per pixel that the exact denoiser
// leaves at a level, the mean over the whole plane of
//
//	σ² P/(α² P + σ²) = P/(1 + e^λ P).
//
// Half its integral over e^λ is the information that x holds about x₀ [guo2005].
// It is NaN for a level that [schedules.Level.Validate] refuses.
func (f *Field) MSE(at schedules.Level) float64 {
	if usable(at) != nil {
		return math.NaN()
	}
	if n := unitNoise(at); !n.none() {
		return f.errorTrace(0, n) / float64(f.dim)
	}
	return 0
}

// Error returns the law of x₀ − D(x) at a level: another stationary field, of
// mean zero and of the spectrum P/(1 + e^λ P).
func (f *Field) Error(at schedules.Level) (*Field, error) {
	if err := usable(at); err != nil {
		return nil, err
	}
	n := unitNoise(at)
	power := f.Power()
	for i, p := range power {
		if power[i] = 0; !n.none() {
			power[i] = n.s2 * p / n.variance(p)
		}
	}
	return NewField(f.shape, nil, power)
}

// Flow carries the rows of x along the probability-flow ODE from one level to
// another, in either direction and on any path, into dst (which may be x):
//
//	X_to = α_to M + √((α_to² P + σ_to²)/(α_from² P + σ_from²)) (X_from − α_from M)
//
// It holds at α = 0 and σ = 0; a frequency without power that starts at σ = 0 has
// lost its trajectory and is refused.
func (f *Field) Flow(dst, x []float64, from, to schedules.Level) error {
	if len(x) == 0 || len(x)%f.dim != 0 || len(dst) != len(x) {
		return fmt.Errorf("models: flow of %d numbers into %d: expected equal multiples of %d", len(x), len(dst), f.dim)
	}
	for _, at := range []schedules.Level{from, to} {
		if err := usable(at); err != nil {
			return err
		}
	}
	ratio := make([]float64, f.n)
	for j, p := range f.power {
		start := math.Hypot(from.Alpha*math.Sqrt(p), from.Sigma)
		if start == 0 {
			return fmt.Errorf("models: flow from σ = %g along a frequency without power: trajectories start at a level with noise", from.Sigma)
		}
		ratio[j] = math.Hypot(to.Alpha*math.Sqrt(p), to.Sigma) / start
	}
	par.Rows(len(x)/f.dim, 1, func(lo, hi int) {
		r := f.rows.Get()
		for i := lo; i < hi; i++ {
			for j, m := range f.centre {
				r.y[j] = x[i*f.dim+j] - float64(from.Alpha*m)
			}
			f.forward(r.t, r.x, r.y)
			for j, c := range ratio {
				r.x[j] = times(c, r.x[j])
			}
			out := dst[i*f.dim : (i+1)*f.dim]
			f.inverse(r.t, out, r.x)
			for j, m := range f.centre {
				out[j] += to.Alpha * m
			}
		}
		f.rows.Put(r)
	})
	return nil
}

// Pool returns the law of the averages over s×s blocks of the field, again a
// stationary field: frequencies that fall together on the coarse grid add up,
//
//	P'(q) = 1/s² Σ_{k ≡ q} P(k) |G(k_u/h)|² |G(k_v/w)|²,   G(f) = sin(πsf)/(s sin πf).
//
// White noise is left with 1/s² of its variance. s has to divide the image into
// even numbers of blocks.
func (f *Field) Pool(s int) (*Field, error) {
	m, err := f.FieldMixture.Pool(s)
	if err != nil {
		return nil, err
	}
	return &Field{m}, nil
}

// Pool returns the law of the averages over s×s blocks: see [Field.Pool].
func (f *FieldMixture) Pool(s int) (*FieldMixture, error) {
	if s < 1 || f.h%s != 0 || f.w%s != 0 {
		return nil, fmt.Errorf("models: pooling %d×%d pixels by %d: expected a factor ≥ 1 that divides both sizes", f.h, f.w, s)
	}
	h, w := f.h/s, f.w/s
	c := FieldComponents{
		Shape: []int{f.channels, h, w}, Weights: f.weights, Labels: f.labels,
		Power: make([]float64, 0, f.n*f.k/(s*s)), Means: make([]float64, f.k*f.channels*h*w),
	}
	if err := checkFieldShape(c.Shape); err != nil {
		return nil, fmt.Errorf("models: pooling %d×%d pixels by %d: %w", f.h, f.w, s, err)
	}
	for i, m := range f.mean {
		row, column := i/f.w/s, i%f.w/s // f.h is a multiple of s
		c.Means[row*w+column] += m / float64(s*s)
	}
	down, across := PoolGain(f.h, s), PoolGain(f.w, s)
	for k := range f.k {
		for channel := range f.channels {
			whole := f.power[k*f.n+channel*f.half*f.h:][:f.half*f.h]
			at := func(u, v int) float64 { // any frequency of the whole plane
				if v > f.w/2 {
					u, v = (f.h-u)%f.h, f.w-v
				}
				return whole[v*f.h+u]
			}
			for u := range h {
				for v := range w/2 + 1 {
					sum := 0.0
					for i := u; i < f.h; i += h {
						for j := v; j < f.w; j += w {
							sum += at(i, j) * down[i] * across[j]
						}
					}
					c.Power = append(c.Power, sum/float64(s*s))
				}
			}
		}
	}
	return NewFieldMixture(c)
}

// PoolGain returns |G(k/n)|² of averages over s of n numbers, for each frequency k:
// see [Field.Pool].
func PoolGain(n, s int) []float64 {
	gains := make([]float64, n)
	gains[0] = 1
	for k := 1; k < n; k++ {
		// sin(π s k/n) of the remainder, which is 0 exactly where it should be.
		g := math.Sin(math.Pi*float64(k*s%n)/float64(n)) / (float64(s) * math.Sin(math.Pi*float64(k)/float64(n)))
		gains[k] = g * g
	}
	return gains
}

// FitSpectrum returns what the images of a set have in common with a stationary
// field: the mean of each channel over all pixels, and the power spectrum as the
// average of their periodograms |X|² about it, channels×height×(width/2+1). An
// image's own mean value counts as power at frequency zero.
func FitSpectrum(shape []int, images []float64) (mean, power []float64, err error) {
	if err := checkFieldShape(shape); err != nil {
		return nil, nil, err
	}
	dim := size(shape)
	if len(images) == 0 || len(images)%dim != 0 {
		return nil, nil, fmt.Errorf("models: %d numbers of images: expected a positive multiple of the size of one, %v", len(images), shape)
	}
	f := &FieldMixture{channels: shape[0], h: shape[1], w: shape[2], half: shape[2]/2 + 1, dim: dim}
	f.n = f.channels * f.half * f.h
	f.power = make([]float64, f.n)
	pixels, count := f.h*f.w, float64(len(images)/dim)
	mean = make([]float64, f.channels)
	for i, v := range images {
		if v-v != 0 {
			return nil, nil, fmt.Errorf("models: image %d has the value %g: expected finite numbers", i/dim, v)
		}
		mean[i%dim/pixels] += v / (count * float64(pixels))
	}
	t, y, x := newTransform(f.h, f.w), make([]float64, dim), make([]complex128, f.n)
	for lo := 0; lo < len(images); lo += dim {
		for i := range y {
			y[i] = images[lo+i] - mean[i/pixels]
		}
		f.forward(t, x, y)
		for j, c := range x {
			f.power[j] += square(c) / count
		}
	}
	// |X(−u, v)| = |X(u, v)| where the half plane holds both, but for rounding.
	for column := range f.channels * f.half {
		if v := column % f.half; v != 0 && v != f.half-1 {
			continue
		}
		for u := 1; u <= f.h/2; u++ {
			a, b := &f.power[column*f.h+u], &f.power[column*f.h+f.h-u]
			*a = (*a + *b) / 2
			*b = *a
		}
	}
	return mean, f.powerOf(0), nil
}
