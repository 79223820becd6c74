package mppca

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"

	"snrlab/internal/par"
	"snrlab/internal/simd"
)

// Sweeps of subspace iteration in one M step. The start has a random subspace
// to turn; later steps begin where the last one ended.
const (
	sweeps      = 2
	startSweeps = 8
)

// maximise is the M step of every component of the class.
func (c *class) maximise(ctx context.Context, sweeps int, floor float64) error {
	K := len(c.comps)
	errs := make([]error, K)
	par.Rows(K, 1, func(lo, hi int) {
		for k := lo; k < hi && ctx.Err() == nil; k++ {
			var rows []int
			var share []float64
			for i, r := range c.rows {
				if s := c.resp[i*K+k]; s > 0 {
					rows = append(rows, r)
					share = append(share, s)
				}
			}
			m := moments{x: c.x, dim: c.dim, rows: rows, share: share}
			errs[k] = m.update(&c.comps[k], len(c.rows), sweeps, floor)
		}
	})
	for k, err := range errs {
		if err != nil {
			return fmt.Errorf("mppca: class %d, component %d: %w", c.label, k, err)
		}
	}
	return ctx.Err()
}

// moments is the weighted data that one component answers for.
type moments struct {
	x     []float64
	dim   int
	rows  []int
	share []float64 // responsibilities of those rows
	total float64   // their sum N
	mean  []float64
}

// update sets the parameters of a component to the maximum of the expected log
// likelihood: mean, then subspace, then the variances within the span.
func (m *moments) update(k *component, n, sweeps int, floor float64) error {
	for _, s := range m.share {
		m.total += s
	}
	k.weight = m.total / float64(n)
	if m.total == 0 {
		return nil // no row supports it; it stays where it is, with weight 0
	}
	clear(k.mean)
	for i, r := range m.rows {
		s := m.share[i] / m.total
		for j, v := range m.x[r*m.dim : (r+1)*m.dim] {
			k.mean[j] += s * v
		}
	}
	m.mean = k.mean

	rank := len(k.variance)
	w := work{y: make([]float64, block*m.dim), p: make([]float64, block*rank)}
	v := make([]float64, rank*m.dim)
	for range sweeps {
		m.mulCov(v, k.basis, rank, w)
		orthonormalise(v, rank, m.dim)
		k.basis, v = v, k.basis
	}
	trace := m.mulCov(v, k.basis, rank, w)
	if err := ritz(k, v); err != nil {
		return err
	}
	k.fill(trace, floor)
	return nil
}

// work is the scratch of mulCov: centred rows and their projections.
type work struct{ y, p []float64 }

// mulCov writes S U into dst, rank × dim, for the rows of u, where
// S = (1/N) Σ_n share_n (x_n − μ)(x_n − μ)ᵀ, and returns the trace of S.
func (m *moments) mulCov(dst, u []float64, rank int, w work) (trace float64) {
	clear(dst)
	for lo := 0; lo < len(m.rows); lo += block {
		rows := m.rows[lo:min(lo+block, len(m.rows))]
		n := len(rows)
		for i, r := range rows {
			y := w.y[i*m.dim : (i+1)*m.dim]
			root := math.Sqrt(m.share[lo+i] / m.total)
			for j, v := range m.x[r*m.dim : (r+1)*m.dim] {
				y[j] = root * (v - m.mean[j])
			}
			trace += dot(y, y)
		}
		if rank == 0 {
			continue
		}
		simd.Gemm(false, true, n, rank, m.dim, 1, w.y, m.dim, u, m.dim, 0, w.p, rank)
		simd.Gemm(true, false, rank, m.dim, n, 1, w.p, rank, w.y, m.dim, 1, dst, m.dim)
	}
	return trace
}

// ritz rotates the basis to the axes of U S Uᵀ, largest first, given v = U S,
// and writes the variances along them.
func ritz(k *component, v []float64) error {
	rank, dim := len(k.variance), len(k.mean)
	if rank == 0 {
		return nil
	}
	g := make([]float64, rank*rank)
	simd.Gemm(false, true, rank, rank, dim, 1, v, dim, k.basis, dim, 0, g, rank)
	vals, axes, err := eigen(g, rank)
	if err != nil {
		return err
	}
	copy(k.variance, vals)
	turned := make([]float64, len(k.basis))
	simd.Gemm(false, false, rank, dim, rank, 1, axes, rank, k.basis, dim, 0, turned, dim)
	k.basis = turned
	return nil
}

// fill sets the residual to the mean variance outside the span, and pools with
// it every direction that has no more [tipping1999ppca]; neither falls below floor.
func (k *component) fill(trace, floor float64) {
	rank, dim := len(k.variance), len(k.mean)
	rest := trace
	for _, l := range k.variance {
		rest -= l
	}
	kept := rank
	for {
		k.residual = max(rest/float64(dim-kept), floor)
		if kept == 0 || k.variance[kept-1] > k.residual {
			break
		}
		kept--
		rest += k.variance[kept]
	}
	for i := kept; i < rank; i++ {
		k.variance[i] = k.residual
	}
}

// errEigen says that numbers are so large that their products overflow.
var errEigen = errors.New("the eigenvalues of a covariance did not converge: scale the data to values of about 1")

// eigen returns the eigenvalues of a symmetric n×n matrix, largest first, and
// its eigenvectors as rows.
func eigen(a []float64, n int) (vals, rows []float64, err error) {
	sym := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			v := (a[i*n+j] + a[j*n+i]) / 2
			if v-v != 0 {
				return nil, nil, errEigen
			}
			sym.SetSym(i, j, v)
		}
	}
	var e mat.EigenSym
	if !e.Factorize(sym, true) {
		return nil, nil, errEigen
	}
	var q mat.Dense
	e.VectorsTo(&q)
	up := e.Values(nil)
	vals, rows = make([]float64, n), make([]float64, n*n)
	for i := range n {
		vals[i] = up[n-1-i]
		for j := range n {
			rows[i*n+j] = q.At(j, n-1-i)
		}
	}
	return vals, rows, nil
}

// orthonormalise replaces the rank rows of v by an orthonormal basis of their
// span, filled up where they depend on each other.
func orthonormalise(v []float64, rank, dim int) {
	if rank == 0 {
		return
	}
	a := blas64.General{Rows: dim, Cols: rank, Stride: rank, Data: make([]float64, dim*rank)}
	for i := range rank {
		for j := range dim {
			a.Data[j*rank+i] = v[i*dim+j]
		}
	}
	tau := make([]float64, rank)
	size := make([]float64, 1)
	lapack64.Geqrf(a, tau, size, -1)
	buf := make([]float64, max(int(size[0]), rank))
	lapack64.Geqrf(a, tau, buf, len(buf))
	lapack64.Orgqr(a, tau, buf, len(buf))
	for i := range rank {
		for j := range dim {
			v[i*dim+j] = a.Data[j*rank+i]
		}
	}
}
