package models

import (
	"context"
	"fmt"
	"math"

	"snrlab/internal/simd"
)

// PosteriorTrace is offered by denoisers that know the trace of Cov[x₀ | x] in
// closed form, which is the divergence of D and of the probability-flow ODE:
// ∇·D = (α/σ²) tr Cov[x₀ | x].
type PosteriorTrace interface {
	// PosteriorTrace writes tr Cov[x₀ | x] of each row into dst, q.Rows numbers.
	PosteriorTrace(ctx context.Context, dst []float64, q Query) error
}

// PosteriorTrace writes tr Cov[x₀ | x] = Σ_k R_k [ σ² tr Σ_k C_k⁻¹ + |δ_k|² ] of
// each row into dst, where δ_k is component k's denoised estimate less D. At
// σ = 0 it is 0.
func (m *Mixture) PosteriorTrace(ctx context.Context, dst []float64, q Query) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(dst) != q.Rows {
		return fmt.Errorf("models: destination has %d numbers: expected one for each of %d rows", len(dst), q.Rows)
	}
	if err := m.check(q.X, q); err != nil {
		return err
	}
	m.family.answer(ask{want: wantTrace, shares: &m.shares, dim: m.parts.dim, q: q, dst: dst})
	return nil
}

// spread is the workspace for the differences of the components' estimates.
type spread struct{ mean, e []float64 }

func newSpread(dim int) spread { return spread{make([]float64, dim), make([]float64, dim)} }

// trace sums up what the components leave and how far their estimates lie
// apart, Σ R_k |E_k − Σ R E|². Two passes, so that nothing cancels. estimate
// writes E_k, which is D_k less a part that all share.
func (r *responsibilities) trace(s spread, own func(k int) float64, estimate func(dst []float64, k int)) float64 {
	clear(s.mean)
	sum := 0.0
	for i, k := range r.active {
		sum += r.share[i] * own(k)
	}
	if len(r.active) == 1 {
		return sum
	}
	for i, k := range r.active {
		estimate(s.e, k)
		axpy(s.mean, r.share[i], s.e)
	}
	for i, k := range r.active {
		estimate(s.e, k)
		axpy(s.e, -1, s.mean)
		sum += r.share[i] * simd.SumSq(s.e)
	}
	return sum
}

// trace of a row from its a_j in p, which it replaces; log is NaN for a row
// that holds no numbers.
func (s *stack) trace(r *stackRange, x, p []float64, log float64) float64 {
	if log != log {
		return math.NaN()
	}
	t := &r.level
	s2 := t.at.Sigma * t.at.Sigma
	for _, k := range r.active {
		s.along(t, p[k*(s.q+1)+1:(k+1)*(s.q+1)], k)
	}
	own := func(k int) float64 {
		sum := float64(s.dim-s.q) * s.resid[k] * t.shrink[k]
		for j := k * s.q; j < (k+1)*s.q; j++ {
			sum += s2 * (s.l[j] + s.resid[k]) / t.vj[j]
		}
		return sum
	}
	return r.trace(r.spread, own, func(dst []float64, k int) {
		em, ex := s.entering(t, k)
		coef, rows := [2]float64{em, ex}, [2][]float64{s.mean(k), x}
		simd.Lin(dst, coef[:], rows[:]...)
		for j, c := range p[k*(s.q+1)+1 : (k+1)*(s.q+1)] {
			axpy(dst, c, s.row(k, j+1))
		}
	})
}

// setOwn fills own, once a level:
//
//	tr Cov_k = σ² tr ψH + σ⁴ tr S⁻¹ W H² Wᵀ
func (t *diagonalLevel) setOwn(f *diagonal) {
	if len(t.own) > 0 {
		return
	}
	d, q := f.dim, f.q
	t.own = resize(t.own, f.k+q)
	s2, column := t.at.Sigma*t.at.Sigma, t.own[f.k:]
	for k := range f.k {
		sum := 0.0
		for _, g := range t.g[k*d : (k+1)*d] {
			sum += g
		}
		chol := t.chol[k*q*q : (k+1)*q*q]
		for i := range d {
			for j := range column {
				column[j] = t.scaled[(k*(q+1)+j+1)*d+i]
			}
			forward(chol, column)
			sum += s2 * simd.SumSq(column)
		}
		t.own[k] = s2 * sum
	}
}

// trace of a row from its z in p; log is NaN for a row that holds no numbers.
func (f *diagonal) trace(r *diagonalRange, t *diagonalLevel, x, p []float64, log float64) float64 {
	if log != log {
		return math.NaN()
	}
	d, s2 := f.dim, t.at.Sigma*t.at.Sigma
	entering, factor := t.spread()
	return r.trace(r.spread, func(k int) float64 { return t.own[k] }, func(dst []float64, k int) {
		pk := p[k*(f.q+1) : (k+1)*(f.q+1)]
		for i, h := range entering[k*d : (k+1)*d] {
			dst[i] = factor * h * x[i]
		}
		axpy(dst, s2, t.scaled[k*(f.q+1)*d:][:d])
		for j, z := range pk[1:] {
			axpy(dst, s2*z, t.scaled[(k*(f.q+1)+j+1)*d:][:d])
		}
	})
}
