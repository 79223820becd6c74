package models

import (
	"context"
	"fmt"
	"math"
	"slices"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
	"snrlab/rng"
	"snrlab/schedules"
)

// FieldComponents describes the K Gaussian random fields of a mixture as
// arrays. The covariance of a component is the same between any two pixels that
// lie the same way apart, on an image whose opposite borders meet, and nothing
// between channels: the Fourier coefficients of each channel,
//
//	X(u, v) = 1/√(hw) Σ_{i,j} x(i, j) e^{−2πi(ui/h + vj/w)},
//
// are independent with variances Power, of which the half plane v ≤ w/2 is
// written, the layout of numpy's rfft2. The mean of Power over the whole plane is
// the variance of a pixel.
type FieldComponents struct {
	Shape   []int     // channels, height, width of an image, both even: [1 64 64]
	Weights []float64 // K, positive; they need not sum to one
	Means   []float64 // nil for 0, K×channels (one for every pixel), or K×dim
	Power   []float64 // K×channels×height×(width/2+1) variances ≥ 0
	Labels  []int     // nil, or K classes ≥ 0
}

// FieldMixture is the exact denoiser of a mixture of stationary Gaussian random
// fields. In Fourier space, with C_k = α² P_k + σ² and Y_k = X − α M_k,
//
//	R_k(x) = softmax_k[ log w_k − ½ Σ log C_k − ½ Σ |Y_k|²/C_k ]
//	D̂(x)   = Σ_k R_k [ M_k + α P_k/C_k Y_k ]
//
// each component a Wiener filter [wiener1949]. The limits hold without an
// epsilon, as in [Mixture]: D = x/α at σ = 0 and D = E[x₀ | class] at α = 0. A row
// that holds NaN or Inf is answered by NaN.
//
// A FieldMixture is immutable and safe for concurrent use. Denoise and
// PosteriorCovMul allocate nothing once warm.
type FieldMixture struct {
	shares
	shape                []int
	channels, h, w, half int
	k, dim, n            int          // n coefficients are kept of an image
	mean                 []float64    // K×dim
	centre               []float64    // dim: the mean of the data
	offset               []complex128 // K×n: coefficients of mean − centre; nil where all means are one
	power                []float64    // K×n, in the order of transform
	weight               []float64    // half: how many of the whole plane a column stands for
	rows                 freelist.List[fieldRow]
	calls                freelist.List[fieldCall]
}

// Field is one stationary Gaussian random field, whose trajectories and errors
// are known in closed form. See [FieldMixture] for its denoiser.
type Field struct{ *FieldMixture }

// NewField returns the field of a power spectrum, channels×height×(width/2+1)
// as in [FieldComponents], and of means: nil, one a channel, or an image.
func NewField(shape []int, mean, power []float64) (*Field, error) {
	m, err := NewFieldMixture(FieldComponents{Shape: shape, Weights: []float64{1}, Means: mean, Power: power})
	if err != nil {
		return nil, err
	}
	return &Field{m}, nil
}

// NewFieldMixture checks the arrays, which it copies, and prepares the mixture.
func NewFieldMixture(c FieldComponents) (*FieldMixture, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	f := &FieldMixture{
		shares: newShares(c.Weights, c.Labels), shape: slices.Clone(c.Shape),
		channels: c.Shape[0], h: c.Shape[1], w: c.Shape[2], half: c.Shape[2]/2 + 1, k: len(c.Weights), dim: size(c.Shape),
	}
	f.n = f.channels * f.half * f.h
	f.weight = slices.Repeat([]float64{2}, f.half)
	f.weight[0], f.weight[f.half-1] = 1, 1
	f.power = make([]float64, f.k*f.n)
	for block := range f.k * f.channels { // from rows to columns
		for u := range f.h {
			for v := range f.half {
				f.power[(block*f.half+v)*f.h+u] = c.Power[(block*f.h+u)*f.half+v]
			}
		}
	}
	f.setMeans(c.Means)
	f.rows.New = func() *fieldRow { return newFieldRow(f) }
	f.calls.New = func() *fieldCall {
		call := &fieldCall{f: f}
		call.do = call.answerRows
		return call
	}
	return f, nil
}

// Validate reports arrays that do not describe a mixture of fields.
func (c FieldComponents) Validate() error {
	k := len(c.Weights)
	if err := checkFieldShape(c.Shape); err != nil {
		return err
	}
	if k == 0 {
		return fmt.Errorf("models: mixture of no fields: expected at least one weight")
	}
	ch, h, half, dim := c.Shape[0], c.Shape[1], c.Shape[2]/2+1, size(c.Shape)
	switch {
	case len(c.Means) != 0 && len(c.Means) != k*ch && len(c.Means) != k*dim:
		return fmt.Errorf("models: fields have %d numbers in Means: expected none, %d × %d channels, or %d × %d pixels", len(c.Means), k, ch, k, dim)
	case len(c.Power) != k*ch*h*half:
		return fmt.Errorf("models: fields have %d numbers in Power: expected %d components × %d channels × %d × (%d/2 + 1) = %d", len(c.Power), k, ch, h, c.Shape[2], k*ch*h*half)
	case c.Labels != nil && len(c.Labels) != k:
		return fmt.Errorf("models: mixture has %d labels: expected none, or one for each of %d components", len(c.Labels), k)
	}
	for i, v := range c.Means {
		if v-v != 0 {
			return fmt.Errorf("models: fields have Means[%d] = %g: expected finite numbers", i, v)
		}
	}
	for i, p := range c.Power {
		if !(p >= 0) || math.IsInf(p, 1) {
			return fmt.Errorf("models: fields have Power[%d] = %g: expected a finite variance ≥ 0", i, p)
		}
		// X(−u, v) is the conjugate of X(u, v) in the columns that the half plane
		// holds both of.
		v, u := i%half, i/half%h
		mirror := c.Power[i+((h-u)%h-u)*half]
		if (v == 0 || v == half-1) && math.Abs(p-mirror) > 1e-12*(p+mirror) {
			return fmt.Errorf("models: fields have Power[%d] = %.17g at (%d, %d) and %.17g at (%d, %d): the coefficients there are conjugates of each other, expected equal variances", i, p, u, v, mirror, (h-u)%h, v)
		}
	}
	return checkShares(c.Weights, c.Labels)
}

// checkFieldShape reports shapes that are no images of even sizes. Odd ones
// have no half, and so no coarser field to be compared with.
func checkFieldShape(shape []int) error {
	if len(shape) != 3 || shape[0] < 1 || shape[1] < 2 || shape[2] < 2 {
		return fmt.Errorf("models: field of shape %v: expected channels, height and width, [1 64 64] say", shape)
	}
	if shape[1]%2 != 0 || shape[2]%2 != 0 {
		return fmt.Errorf("models: field of %d×%d pixels: expected even sizes, so that it can be halved", shape[1], shape[2])
	}
	return nil
}

func (f *FieldMixture) setMeans(means []float64) {
	f.mean, f.centre = make([]float64, f.k*f.dim), make([]float64, f.dim)
	switch pixels := f.h * f.w; {
	case len(means) == len(f.mean):
		copy(f.mean, means)
	case len(means) > 0:
		for i, v := range means {
			fill(f.mean[i*pixels:(i+1)*pixels], v)
		}
	}
	one := true
	for k, w := range f.weights {
		m := f.mean[k*f.dim : (k+1)*f.dim]
		axpy(f.centre, w, m)
		one = one && slices.Equal(m, f.mean[:f.dim])
	}
	if one {
		copy(f.centre, f.mean)
		return
	}
	f.offset = make([]complex128, f.k*f.n)
	t, y := newTransform(f.h, f.w), make([]float64, f.dim)
	for k := range f.k {
		for i, m := range f.mean[k*f.dim : (k+1)*f.dim] {
			y[i] = m - f.centre[i]
		}
		f.forward(t, f.offset[k*f.n:(k+1)*f.n], y)
	}
}

// forward transforms the channels of one image.
func (f *FieldMixture) forward(t *transform, dst []complex128, x []float64) {
	pixels, coeffs := f.h*f.w, f.h*f.half
	for c := range f.channels {
		t.forward(dst[c*coeffs:(c+1)*coeffs], x[c*pixels:(c+1)*pixels])
	}
}

// inverse transforms the channels of one image back, and destroys coeffs.
func (f *FieldMixture) inverse(t *transform, dst []float64, coeffs []complex128) {
	pixels, n := f.h*f.w, f.h*f.half
	for c := range f.channels {
		t.inverse(dst[c*pixels:(c+1)*pixels], coeffs[c*n:(c+1)*n])
	}
}

// sum adds up term(j) over the coefficients of the whole plane.
func (f *FieldMixture) sum(term func(j int) float64) float64 {
	total := 0.0
	for column := range f.channels * f.half {
		part := 0.0
		for j := column * f.h; j < (column+1)*f.h; j++ {
			part += term(j)
		}
		total += f.weight[column%f.half] * part
	}
	return total
}

// Shape is channels, height, width.
func (f *FieldMixture) Shape() []int { return f.shape }

// Len returns the number of components.
func (f *FieldMixture) Len() int { return f.k }

// Denoise writes D(q) into dst, rows×dim.
func (f *FieldMixture) Denoise(ctx context.Context, dst []float64, q Query) error {
	return f.answer(ctx, ask{want: wantMean, q: q, dst: dst})
}

// PosteriorCovMul writes Cov[x₀ | x] v = Σ_k R_k [ σ² P_k/C_k v̂ + Δ_k ⟨Δ_k, v̂⟩ ],
// transformed back, into dst, where Δ_k is component k's denoised estimate less D.
func (f *FieldMixture) PosteriorCovMul(ctx context.Context, dst, v []float64, q Query) error {
	if len(v) != len(q.X) {
		return fmt.Errorf("models: vectors have %d numbers, the query %d", len(v), len(q.X))
	}
	return f.answer(ctx, ask{want: wantCov, q: q, v: v, dst: dst})
}

// PosteriorTrace writes tr Cov[x₀ | x] = Σ_k R_k [ Σ σ² P_k/C_k + |Δ_k|² ] of each
// row into dst.
func (f *FieldMixture) PosteriorTrace(ctx context.Context, dst []float64, q Query) error {
	return f.answer(ctx, ask{want: wantTrace, q: q, dst: dst})
}

// DenoiseRate writes ∂D/∂log(σ/α) at fixed x/α into dst. With E_k component k's
// denoised estimate and γ_k the rate of its log-density,
//
//	γ_k = Σ σ²/C_k (|Y_k|²/C_k − 1),   γ = Σ_k R_k γ_k
//	∂D̂  = Σ_k R_k [ (γ_k − γ) E_k − 2 α σ² P_k/C_k² Y_k ]
func (f *FieldMixture) DenoiseRate(ctx context.Context, dst []float64, q Query) error {
	return f.answer(ctx, ask{want: wantRate, q: q, dst: dst})
}

// LogDensity writes log p(x; level) of each row, in nats, into dst.
func (f *FieldMixture) LogDensity(dst []float64, q Query) error {
	for _, at := range q.At {
		if usable(at) == nil && unitNoise(at).none() && slices.Contains(f.power, 0) {
			return fmt.Errorf("models: log-density at σ = %g: %w: a frequency of the field has no power, ask at a level with noise", at.Sigma, ErrNoDensity)
		}
	}
	return f.answer(context.Background(), ask{want: wantLogDensity, q: q, dst: dst})
}

// Sample writes one draw of the marginal at a level for each key into dst.
func (f *FieldMixture) Sample(dst []float64, at schedules.Level, labels []int, keys []rng.Key) error {
	if err := f.checkSample(len(dst), f.dim, at, labels, keys); err != nil {
		return err
	}
	par.Rows(len(keys), 1, func(lo, hi int) {
		r := f.rows.Get()
		for i := lo; i < hi; i++ {
			label := -1
			if labels != nil {
				label = labels[i]
			}
			x := dst[i*f.dim : (i+1)*f.dim]
			clean := keys[i].Split("clean", 0).Stream()
			k := f.pick(label, clean.Float64())
			for j := range r.y {
				r.y[j] = clean.NormFloat64()
			}
			f.forward(r.t, r.x, r.y)
			for j, p := range f.power[k*f.n : (k+1)*f.n] {
				r.x[j] = times(math.Sqrt(p), r.x[j])
			}
			f.inverse(r.t, x, r.x)
			noise := keys[i].Split("noise", 0).Stream()
			for j, m := range f.mean[k*f.dim : (k+1)*f.dim] {
				x[j] = float64(at.Alpha*(m+x[j])) + float64(at.Sigma*noise.NormFloat64())
			}
		}
		f.rows.Put(r)
	})
	return nil
}

// Moments returns E[x] = α E[x₀] and Var[x_i] = α² Var[x₀_i] + σ².
func (f *FieldMixture) Moments(at schedules.Level, label int) (Moments, error) {
	if err := usable(at); err != nil {
		return Moments{}, err
	}
	if err := f.checkLabel(label); err != nil {
		return Moments{}, err
	}
	mean, variance := make([]float64, f.dim), make([]float64, f.dim)
	for k := range f.k {
		axpy(mean, f.share(k, label), f.mean[k*f.dim:(k+1)*f.dim])
	}
	pixels, coeffs := f.h*f.w, f.h*f.half
	for k := range f.k {
		share := f.share(k, label)
		for c := range f.channels {
			// One channel of the mean spectrum.
			own := 0.0
			for v, weight := range f.weight {
				for _, p := range f.power[k*f.n+c*coeffs+v*f.h:][:f.h] {
					own += weight * p
				}
			}
			for i := c * pixels; i < (c+1)*pixels; i++ {
				d := f.mean[k*f.dim+i] - mean[i]
				variance[i] += share * (own/float64(pixels) + d*d)
			}
		}
	}
	for i := range mean {
		mean[i] *= at.Alpha
		variance[i] = at.Alpha*at.Alpha*variance[i] + at.Sigma*at.Sigma
	}
	return Moments{Mean: mean, Var: variance}, nil
}

// largestCovariance is the size of image whose covariance matrix is still
// written out; 64×64 pixels make 128 MB.
const largestCovariance = 1 << 12

// Covariance returns α² Cov[x₀] + σ² I, dim×dim. It refuses images of more than
// 4096 values: ask for [Field.Power] instead.
func (f *FieldMixture) Covariance(at schedules.Level, label int) ([]float64, error) {
	if f.dim > largestCovariance {
		return nil, fmt.Errorf("models: covariance of a field of %d values: expected at most %d, ask for its power spectrum instead", f.dim, largestCovariance)
	}
	mom, err := f.Moments(level0, label)
	if err != nil {
		return nil, err
	}
	if err := usable(at); err != nil {
		return nil, err
	}
	cov := make([]float64, f.dim*f.dim)
	t, coeffs, lag := newTransform(f.h, f.w), make([]complex128, f.n), make([]float64, f.dim)
	pixels := f.h * f.w
	a2 := at.Alpha * at.Alpha
	for k := range f.k {
		share := f.share(k, label)
		if share == 0 {
			continue
		}
		for j, p := range f.power[k*f.n : (k+1)*f.n] {
			coeffs[j] = complex(p, 0)
		}
		f.inverse(t, lag, coeffs) // √(hw) times the covariance at each distance
		for i := range f.dim {
			di := f.mean[k*f.dim+i] - mom.Mean[i]
			for j := range f.dim {
				v := di * (f.mean[k*f.dim+j] - mom.Mean[j])
				if c := i / pixels; c == j/pixels {
					down, right := (i%pixels/f.w-j%pixels/f.w+f.h)%f.h, (i%f.w-j%f.w+f.w)%f.w
					v += lag[c*pixels+down*f.w+right] * t.norm
				}
				cov[i*f.dim+j] += share * a2 * v
			}
		}
	}
	for i := range f.dim {
		for j := range i { // exactly symmetric
			cov[i*f.dim+j] = cov[j*f.dim+i]
		}
		cov[i*f.dim+i] += at.Sigma * at.Sigma
	}
	return cov, nil
}

// level0 is the data themselves.
var level0 = schedules.Level{T: math.NaN(), Alpha: 1, Sigma: 0}
