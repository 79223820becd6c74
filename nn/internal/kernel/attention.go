package kernel

import (
	"math"

	"snrlab/internal/simd/f32"
)

// Attention is the shape of an attention, see [f32.Attention]. Here tokens follow
// each other and the scale is not zero.
type Attention = f32.Attention

// AttentionForward writes the attention of q to k and v, and log Σ e^s of its
// scores.
func AttentionForward[T Float](a Attention, scale float64, o, lse, q, k, v []T) {
	if is32[T]() {
		a.Scale = float32(scale)
		a.Forward(single(o), single(lse), single(q), single(k), single(v))
		return
	}
	queries(a, func(i, from, at, first int) {
		largest := T(math.Inf(-1))
		for j := range a.Keys {
			largest = max(largest, T(scale)*dot(q[from:from+a.HeadDim], k[first+j*width(a):]))
		}
		sum := T(0)
		for j := range a.Keys {
			sum += exp(T(scale)*dot(q[from:from+a.HeadDim], k[first+j*width(a):]) - largest)
		}
		lse[at] = largest + T(math.Log(float64(sum)))
		clear(o[from : from+a.HeadDim])
		for j := range a.Keys {
			p := exp(T(scale)*dot(q[from:from+a.HeadDim], k[first+j*width(a):]) - lse[at])
			axpy(o[from:from+a.HeadDim], v[first+j*width(a):], p)
		}
	})
}

// AttentionGrad writes the gradients of q, k and v for that of o.
func AttentionGrad[T Float](a Attention, scale float64, dq, dk, dv, do, o, lse, q, k, v []T) {
	if is32[T]() {
		a.Scale = float32(scale)
		a.Grad(single(dq), single(dk), single(dv), single(do), single(o), single(lse), single(q), single(k), single(v))
		return
	}
	clear(dq)
	clear(dk)
	clear(dv)
	queries(a, func(i, from, at, first int) {
		qi, doi := q[from:from+a.HeadDim], do[from:from+a.HeadDim]
		inner := dot(doi, o[from:])
		for j := range a.Keys {
			n := first + j*width(a)
			p := exp(T(scale)*dot(qi, k[n:]) - lse[at])
			axpy(dv[n:n+a.HeadDim], doi, p)
			ds := T(scale) * p * (dot(doi, v[n:]) - inner)
			axpy(dq[from:from+a.HeadDim], k[n:], ds)
			axpy(dk[n:n+a.HeadDim], qi, ds)
		}
	})
}

// AttentionTangent writes the change of o when q, k and v change by dq, dk and dv,
// each of which may be nil for zeros:
//
//	do_i = Σ_j p_ij (dv_j + ds_ij (v_j − o_i)),  ds_ij = Scale (dq_i·k_j + q_i·dk_j)
func AttentionTangent[T Float](a Attention, scale float64, do, o, lse, q, k, v, dq, dk, dv []T) {
	clear(do)
	queries(a, func(i, from, at, first int) {
		qi, to := q[from:from+a.HeadDim], do[from:from+a.HeadDim]
		for j := range a.Keys {
			n := first + j*width(a)
			p := exp(T(scale)*dot(qi, k[n:]) - lse[at])
			ds := T(0)
			if dq != nil {
				ds += T(scale) * dot(dq[from:from+a.HeadDim], k[n:])
			}
			if dk != nil {
				ds += T(scale) * dot(qi, dk[n:])
			}
			axpy(to, v[n:], p*ds)
			axpy(to, o[from:], -p*ds)
			if dv != nil {
				axpy(to, dv[n:], p)
			}
		}
	})
}

func width(a Attention) int { return a.Heads * a.HeadDim }

// queries calls f for every query i of every row and head: its vector begins at
// from, its lse is at at, and the vector of the row's first key at first.
func queries(a Attention, f func(i, from, at, first int)) {
	for r := range a.Rows {
		for h := range a.Heads {
			for i := range a.Queries {
				f(i, (r*a.Queries+i)*width(a)+h*a.HeadDim, (r*a.Heads+h)*a.Queries+i, r*a.Keys*width(a)+h*a.HeadDim)
			}
		}
	}
}

// dot returns Σ x_i y_i over the elements of x.
func dot[T Float](x, y []T) T {
	var sum T
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}

// axpy adds a x to y over the elements of y.
func axpy[T Float](y, x []T, a T) {
	for i := range y {
		y[i] += a * x[i]
	}
}

func exp[T Float](x T) T { return T(math.Exp(float64(x))) }
