package models

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"snrlab/internal/par"
	"snrlab/internal/simd"
	"snrlab/rng"
	"snrlab/schedules"
)

// Components describes the K Gaussians of a mixture as arrays. The covariance
// of component k is
//
//	Σ_k = Σ_j w_kj w_kjᵀ + diag(residual_k)    or    Σ_k = Cov_k
//
// K is the number of weights; the rank is read off the length of Loadings.
type Components struct {
	Shape    []int     // of one sample; its product is dim
	Weights  []float64 // K, positive; they need not sum to one
	Means    []float64 // K×dim
	Loadings []float64 // nil, or K×rank×dim: the w_kj
	Residual []float64 // K (isotropic) or K×dim (diagonal) variances ≥ 0; nil with Cov
	Cov      []float64 // nil, or K×dim×dim full covariances instead of Loadings and Residual
	Labels   []int     // nil, or K classes ≥ 0
}

// Mixture is the exact denoiser of a mixture of Gaussians. With
// C_k = α² Σ_k + σ² I and y_k = x − α m_k,
//
//	R_k(x) = softmax_k[ log w_k − ½ log det C_k − ½ y_kᵀ C_k⁻¹ y_k ]
//	D(x)   = Σ_k R_k [ m_k + α Σ_k C_k⁻¹ y_k ]
//
// The limits hold without an epsilon: D = x/α at σ = 0 (also where σ² is
// subnormal, below 2.2e-308) and D = E[x₀ | class] at α = 0. Responsibilities
// are formed by log-sum-exp. Their exponents come from inner products, in error by
// at most 1e-11; where that cannot be had they come from the differences y_k, in
// error by a few roundings of the quadratic form itself. Responsibilities below
// e⁻⁴⁵ of the largest count as 0. A row that holds NaN or Inf is answered by NaN.
//
// A Mixture is immutable and safe for concurrent use. Denoise and
// PosteriorCovMul allocate nothing once warm.
type Mixture struct {
	shares
	shape  []int
	parts  parts
	family family
}

// parts are the pieces every family is made of.
type parts struct {
	k, q, dim int
	centre    []float64 // dim: the mean of the data, taken off every mean to lessen cancellation
	rows      []float64 // K×(1+q)×dim: each component's mean − centre, then its q directions
	l         []float64 // K×q: variance along each direction
	resid     []float64 // K or K×dim: variance of the rest
	diag      bool      // resid is K×dim
}

func (p *parts) mean(k int) []float64 { return p.row(k, 0) }

// row returns the mean of component k (j = 0) or its direction j−1.
func (p *parts) row(k, j int) []float64 {
	i := (k*(p.q+1) + j) * p.dim
	return p.rows[i : i+p.dim]
}

func (p *parts) residual(k, i int) float64 {
	if p.diag {
		return p.resid[k*p.dim+i]
	}
	return p.resid[k]
}

// NewMixture checks the arrays, which it copies, and prepares the mixture:
// loadings beside an isotropic residual and full covariances are brought to
// orthogonal axes once, by a singular value or eigenvalue decomposition.
func NewMixture(c Components) (*Mixture, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &Mixture{shares: newShares(c.Weights, c.Labels), shape: slices.Clone(c.Shape)}
	p := &m.parts
	p.k, p.dim = len(c.Weights), size(c.Shape)
	var err error
	switch {
	case c.Cov != nil:
		err = p.fullAxes(c.Cov)
	case len(c.Residual) == p.k:
		err = p.isotropicAxes(c.Loadings, c.Residual)
	default:
		p.keepLoadings(c.Loadings, c.Residual)
	}
	if err != nil {
		return nil, err
	}
	p.centre = make([]float64, p.dim)
	for k, w := range m.weights {
		axpy(p.centre, w, c.Means[k*p.dim:(k+1)*p.dim])
	}
	for k := range p.k {
		row := p.mean(k)
		for i := range row {
			row[i] = c.Means[k*p.dim+i] - p.centre[i]
		}
	}
	if p.diag {
		m.family = newDiagonal(p, m.logw)
	} else {
		m.family = newStack(p, m.logw)
	}
	return m, nil
}

// Validate reports arrays that do not describe a mixture. That covariances are
// positive semidefinite is found out by [NewMixture].
func (c Components) Validate() error {
	k := len(c.Weights)
	for _, s := range c.Shape {
		if s < 1 {
			return fmt.Errorf("models: sample shape %v: expected sizes ≥ 1", c.Shape)
		}
	}
	dim := size(c.Shape)
	switch {
	case len(c.Shape) == 0:
		return fmt.Errorf("models: sample shape is empty: expected at least one size, [2] say")
	case k == 0:
		return fmt.Errorf("models: mixture of no components: expected at least one weight")
	case len(c.Means) != k*dim:
		return fmt.Errorf("models: mixture has %d numbers in Means: expected %d components × %d = %d", len(c.Means), k, dim, k*dim)
	case c.Cov != nil && (c.Loadings != nil || c.Residual != nil):
		return fmt.Errorf("models: mixture has Cov and also Loadings or Residual: give one or the other")
	case c.Cov != nil && len(c.Cov) != k*dim*dim:
		return fmt.Errorf("models: mixture has %d numbers in Cov: expected %d × %d × %d = %d", len(c.Cov), k, dim, dim, k*dim*dim)
	case c.Cov == nil && len(c.Residual) != k && len(c.Residual) != k*dim:
		return fmt.Errorf("models: mixture has %d numbers in Residual: expected %d isotropic or %d × %d diagonal variances", len(c.Residual), k, k, dim)
	case len(c.Loadings)%(k*dim) != 0:
		return fmt.Errorf("models: mixture has %d numbers in Loadings: expected a multiple of %d × %d", len(c.Loadings), k, dim)
	case c.Labels != nil && len(c.Labels) != k:
		return fmt.Errorf("models: mixture has %d labels: expected none, or one for each of %d components", len(c.Labels), k)
	}
	for _, list := range []struct {
		name   string
		values []float64
	}{{"Means", c.Means}, {"Loadings", c.Loadings}, {"Cov", c.Cov}} {
		for i, v := range list.values {
			if v-v != 0 {
				return fmt.Errorf("models: mixture has %s[%d] = %g: expected finite numbers", list.name, i, v)
			}
		}
	}
	for i, v := range c.Residual {
		if !(v >= 0) || math.IsInf(v, 1) {
			return fmt.Errorf("models: mixture has Residual[%d] = %g: expected a finite variance ≥ 0", i, v)
		}
	}
	return checkShares(c.Weights, c.Labels)
}

// grow makes room for the rows and variances of q directions a component.
func (p *parts) grow(q int) {
	p.q = q
	p.rows = make([]float64, p.k*(q+1)*p.dim)
	p.l = make([]float64, p.k*q)
}

// isotropicAxes turns loadings W_k into orthonormal directions and variances
// by the thin singular value decomposition W = V √l U. Directions that span
// all of space take the residual variance over, which leaves none beside them.
func (p *parts) isotropicAxes(loadings, resid []float64) error {
	rank := len(loadings) / (p.k * p.dim)
	q := min(rank, p.dim)
	p.grow(q)
	p.resid = slices.Clone(resid)
	if q == 0 {
		return nil
	}
	var svd mat.SVD
	var u mat.Dense
	values := make([]float64, q)
	for k := range p.k {
		w := mat.NewDense(rank, p.dim, loadings[k*rank*p.dim:(k+1)*rank*p.dim])
		if !svd.Factorize(w, mat.SVDThinV) {
			return fmt.Errorf("models: mixture component %d: the singular value decomposition of its loadings failed", k)
		}
		svd.Values(values)
		svd.VTo(&u)
		for j := range q {
			row := p.row(k, j+1)
			for i := range row {
				row[i] = u.At(i, j)
			}
			p.l[k*q+j] = values[j] * values[j]
		}
		u.Reset()
		if q == p.dim {
			for j := range q {
				p.l[k*q+j] += resid[k]
			}
			p.resid[k] = 0
		}
	}
	return nil
}

// fullAxes turns covariances into eigenvectors and eigenvalues.
func (p *parts) fullAxes(cov []float64) error {
	d := p.dim
	p.grow(d)
	p.resid = make([]float64, p.k)
	var eig mat.EigenSym
	var u mat.Dense
	for k := range p.k {
		c := cov[k*d*d : (k+1)*d*d]
		sym := mat.NewSymDense(d, nil)
		for i := range d {
			for j := i; j < d; j++ {
				a, b := c[i*d+j], c[j*d+i]
				if math.Abs(a-b) > 1e-12*math.Sqrt(math.Abs(c[i*d+i]*c[j*d+j])) {
					return fmt.Errorf("models: mixture component %d: covariance has %g at (%d, %d) and %g at (%d, %d): expected a symmetric matrix", k, a, i, j, b, j, i)
				}
				sym.SetSym(i, j, a/2+b/2)
			}
		}
		if !eig.Factorize(sym, true) {
			return fmt.Errorf("models: mixture component %d: the eigenvalue decomposition of its covariance failed", k)
		}
		l := eig.Values(p.l[k*d : (k+1)*d])
		if l[0] < -1e-12*l[d-1] || l[d-1] < 0 {
			return fmt.Errorf("models: mixture component %d: covariance has the eigenvalue %g: expected a positive semidefinite matrix", k, l[0])
		}
		eig.VectorsTo(&u)
		for j := range d {
			l[j] = max(l[j], 0)
			row := p.row(k, j+1)
			for i := range row {
				row[i] = u.At(i, j)
			}
		}
		u.Reset()
	}
	return nil
}

// keepLoadings takes loadings beside a diagonal residual as they are.
func (p *parts) keepLoadings(loadings, resid []float64) {
	q := len(loadings) / (p.k * p.dim)
	p.grow(q)
	p.diag, p.resid = true, slices.Clone(resid)
	for k := range p.k {
		for j := range q {
			copy(p.row(k, j+1), loadings[(k*q+j)*p.dim:])
			p.l[k*q+j] = 1
		}
	}
}

// thin reports whether some component has no density.
func (p *parts) thin() bool {
	if !p.diag && p.q == p.dim {
		return slices.Contains(p.l, 0)
	}
	return slices.Contains(p.resid, 0)
}

// Shape is that of one sample.
func (m *Mixture) Shape() []int { return m.shape }

// Len returns the number of components.
func (m *Mixture) Len() int { return m.parts.k }

// check reports a query that the mixture cannot answer.
func (m *Mixture) check(dst []float64, q Query) error {
	if err := q.Check(dst, m.parts.dim); err != nil {
		return err
	}
	for _, at := range q.At {
		if err := usable(at); err != nil {
			return err
		}
	}
	return m.checkLabels(q.Labels)
}

// Denoise writes D(q) into dst, rows×dim.
func (m *Mixture) Denoise(ctx context.Context, dst []float64, q Query) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.check(dst, q); err != nil {
		return err
	}
	m.family.answer(ask{want: wantMean, shares: &m.shares, dim: m.parts.dim, q: q, dst: dst})
	return nil
}

// PosteriorCovMul writes Cov[x₀ | x] v = Σ_k R_k [ σ² Σ_k C_k⁻¹ v + δ_k (δ_kᵀ v) ]
// into dst, where δ_k is component k's denoised estimate less D.
func (m *Mixture) PosteriorCovMul(ctx context.Context, dst, v []float64, q Query) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.check(dst, q); err != nil {
		return err
	}
	if len(v) != len(q.X) {
		return fmt.Errorf("models: vectors have %d numbers, the query %d", len(v), len(q.X))
	}
	m.family.answer(ask{want: wantCov, shares: &m.shares, dim: m.parts.dim, q: q, v: v, dst: dst})
	return nil
}

// DenoiseRate writes ∂D/∂log(σ/α) at fixed x/α into dst. With E_k component k's
// denoised estimate and γ_k the rate of its log-density,
//
//	γ_k = σ² (y_kᵀ C_k⁻² y_k − tr C_k⁻¹),   γ = Σ_k R_k γ_k
//	∂D  = Σ_k R_k [ (γ_k − γ) E_k − 2 α σ² Σ_k C_k⁻² y_k ]
//
// γ_k comes from inner products without the care that [Mixture.Denoise] takes of
// exponents: where several components matter it is off by a few roundings of
// α²|m|² σ²/(α² r + σ²)², with r the variance left beside a component's directions.
func (m *Mixture) DenoiseRate(ctx context.Context, dst []float64, q Query) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.check(dst, q); err != nil {
		return err
	}
	m.family.answer(ask{want: wantRate, shares: &m.shares, dim: m.parts.dim, q: q, dst: dst})
	return nil
}

// LogDensity writes log p(x; level) of each row, in nats, into dst.
func (m *Mixture) LogDensity(dst []float64, q Query) error {
	if len(dst) != q.Rows {
		return fmt.Errorf("models: destination has %d numbers: expected one for each of %d rows", len(dst), q.Rows)
	}
	if err := m.check(q.X, q); err != nil {
		return err
	}
	for _, at := range q.At {
		if noiseless(at) && m.parts.thin() {
			return fmt.Errorf("models: log-density at σ = %g: %w: the data lie on a set without volume, ask at a level with noise", at.Sigma, ErrNoDensity)
		}
	}
	m.family.answer(ask{want: wantLogDensity, shares: &m.shares, dim: m.parts.dim, q: q, dst: dst})
	return nil
}

// Sample writes one draw of the marginal at a level for each key into dst.
func (m *Mixture) Sample(dst []float64, at schedules.Level, labels []int, keys []rng.Key) error {
	p := &m.parts
	if err := m.checkSample(len(dst), p.dim, at, labels, keys); err != nil {
		return err
	}
	par.Rows(len(keys), 4, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			label := -1
			if labels != nil {
				label = labels[i]
			}
			x := dst[i*p.dim : (i+1)*p.dim]
			clean := keys[i].Split("clean", 0).Stream()
			p.draw(x, m.pick(label, clean.Float64()), clean)
			noise := keys[i].Split("noise", 0).Stream()
			for j := range x {
				x[j] = float64(at.Alpha*x[j]) + float64(at.Sigma*noise.NormFloat64())
			}
		}
	})
	return nil
}

// draw writes a sample of component k into x.
func (p *parts) draw(x []float64, k int, r *rand.Rand) {
	mean := p.mean(k)
	for i := range x {
		x[i] = p.centre[i] + mean[i]
	}
	for j := range p.q {
		axpy(x, math.Sqrt(p.l[k*p.q+j])*r.NormFloat64(), p.row(k, j+1))
	}
	for i := range x {
		if v := p.residual(k, i); v > 0 {
			x[i] += math.Sqrt(v) * r.NormFloat64()
		}
	}
}

// centredMean returns E[x₀ | class] − centre.
func (m *Mixture) centredMean(label int) []float64 {
	mean := make([]float64, m.parts.dim)
	for k := range m.parts.k {
		axpy(mean, m.share(k, label), m.parts.mean(k))
	}
	return mean
}

// Moments returns E[x] = α E[x₀] and Var[x_i] = α² Var[x₀_i] + σ².
func (m *Mixture) Moments(at schedules.Level, label int) (Moments, error) {
	if err := usable(at); err != nil {
		return Moments{}, err
	}
	if err := m.checkLabel(label); err != nil {
		return Moments{}, err
	}
	p := &m.parts
	mean := m.centredMean(label)
	variance := make([]float64, p.dim)
	for k := range p.k {
		w := m.share(k, label)
		if w == 0 {
			continue
		}
		mk := p.mean(k)
		for i := range variance {
			d := mk[i] - mean[i]
			variance[i] += w * (d*d + p.residual(k, i))
		}
		for j := range p.q {
			wl := w * p.l[k*p.q+j]
			for i, u := range p.row(k, j+1) {
				variance[i] += wl * (u * u)
			}
		}
	}
	for i := range mean {
		mean[i] = at.Alpha * (mean[i] + p.centre[i])
		variance[i] = at.Alpha*at.Alpha*variance[i] + at.Sigma*at.Sigma
	}
	return Moments{Mean: mean, Var: variance}, nil
}

// Covariance returns α² Cov[x₀] + σ² I, dim×dim.
func (m *Mixture) Covariance(at schedules.Level, label int) ([]float64, error) {
	if err := usable(at); err != nil {
		return nil, err
	}
	if err := m.checkLabel(label); err != nil {
		return nil, err
	}
	p := &m.parts
	mean := m.centredMean(label)
	// Cov[x₀] = Gᵀ G + diag, a row of G for every mean and direction.
	n := p.k * (p.q + 1)
	g := make([]float64, n*p.dim)
	rest := make([]float64, p.dim)
	for k := range p.k {
		w := m.share(k, label)
		for j := range p.q + 1 {
			row := g[(k*(p.q+1)+j)*p.dim:][:p.dim]
			if j == 0 {
				s := math.Sqrt(w)
				for i, v := range p.mean(k) {
					row[i] = s * (v - mean[i])
				}
			} else {
				axpy(row, math.Sqrt(w*p.l[k*p.q+j-1]), p.row(k, j))
			}
		}
		for i := range rest {
			rest[i] += w * p.residual(k, i)
		}
	}
	cov := make([]float64, p.dim*p.dim)
	a2 := at.Alpha * at.Alpha
	simd.Gemm(true, false, p.dim, p.dim, n, a2, g, p.dim, g, p.dim, 0, cov, p.dim)
	for i := range p.dim {
		for j := range i { // exactly symmetric
			cov[i*p.dim+j] = cov[j*p.dim+i]
		}
		cov[i*p.dim+i] += a2*rest[i] + at.Sigma*at.Sigma
	}
	return cov, nil
}
