package mppca

import (
	"math"

	"snrlab/internal/simd"
)

// block is the number of rows that are gathered and multiplied at once. It is
// part of the order of summation, hence a constant.
const block = 256

// density evaluates log π_k N(x; μ_k, C_k) for all components with one matrix
// product. With p_i = u_i·(x − μ) and C⁻¹ = I/σ² − Σ_i (1/σ² − 1/l_i) u_i u_iᵀ,
//
//	(x−μ)ᵀ C⁻¹ (x−μ) = ‖x−μ‖²/σ² − Σ_i (1/σ² − 1/l_i) p_i².
type density struct {
	dim, rank int
	center    []float64 // subtracted from rows and means, so that ‖x‖² − 2x·μ + ‖μ‖² cancels little
	rows      []float64 // of every component: its mean, then its basis; K(rank+1) × dim
	dot       []float64 // u_i·μ, K × rank
	gain      []float64 // 1/σ² − 1/l_i, K × rank
	norm      []float64 // ‖μ‖², K
	inv       []float64 // 1/σ², K
	log       []float64 // log π − ½ log det 2πC, K
}

func newDensity(dim int, comps []component) *density {
	K, rank := len(comps), len(comps[0].variance)
	d := &density{
		dim: dim, rank: rank, center: make([]float64, dim),
		rows: make([]float64, 0, K*(rank+1)*dim),
		dot:  make([]float64, 0, K*rank), gain: make([]float64, 0, K*rank),
		norm: make([]float64, K), inv: make([]float64, K), log: make([]float64, K),
	}
	total := 0.0
	for _, k := range comps {
		total += k.weight
		for j, m := range k.mean {
			d.center[j] += k.weight * m
		}
	}
	for j := range d.center {
		d.center[j] /= total
	}
	mean := make([]float64, dim)
	for i, k := range comps {
		for j, m := range k.mean {
			mean[j] = m - d.center[j]
		}
		d.rows = append(append(d.rows, mean...), k.basis...)
		d.norm[i] = dot(mean, mean)
		d.inv[i] = 1 / k.residual
		logdet := float64(dim)*math.Log(2*math.Pi) + float64(dim-rank)*math.Log(k.residual)
		for r, l := range k.variance {
			logdet += math.Log(l)
			d.gain = append(d.gain, 1/k.residual-1/l)
			d.dot = append(d.dot, dot(mean, k.basis[r*dim:(r+1)*dim]))
		}
		d.log[i] = math.Log(k.weight) - logdet/2
	}
	return d
}

// scratch is what one goroutine needs to call eval.
func (d *density) scratch() []float64 {
	return make([]float64, block*(d.dim+len(d.rows)/d.dim))
}

// eval writes log π_k N(x_r; μ_k, C_k) into dst, one row of K for each of at
// most block row indices. A component of weight 0 gives −Inf.
func (d *density) eval(dst, work, x []float64, rows []int) {
	n, K, stride := len(rows), len(d.inv), len(d.rows)/d.dim
	y, z := work[:n*d.dim], work[block*d.dim:][:n*stride]
	for i, r := range rows {
		sub(y[i*d.dim:(i+1)*d.dim], x[r*d.dim:(r+1)*d.dim], d.center)
	}
	simd.Gemm(false, true, n, stride, d.dim, 1, y, d.dim, d.rows, d.dim, 0, z, stride)
	for i := range n {
		yi := y[i*d.dim : (i+1)*d.dim]
		norm := dot(yi, yi)
		for k := range K {
			zk := z[i*stride+k*(d.rank+1):]
			quad := (norm - 2*zk[0] + d.norm[k]) * d.inv[k]
			for r := range d.rank {
				p := zk[1+r] - d.dot[k*d.rank+r]
				quad -= d.gain[k*d.rank+r] * p * p
			}
			dst[i*K+k] = d.log[k] - quad/2
		}
	}
}

func dot(a, b []float64) float64 {
	s := 0.0
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

func sub(dst, a, b []float64) {
	for i, v := range a {
		dst[i] = v - b[i]
	}
}
