// Package kernel computes the operations of networks on bare arrays. In float32
// they are the kernels of internal/simd/f32; in float64 they are plain Go, written
// as the definitions read, for checks of gradients.
package kernel

import "snrlab/internal/simd/f32"

// Float are the numbers that the kernels take.
type Float interface{ float32 | float64 }

// single returns x as what it is if its numbers are float32, else nil.
func single[T Float](x []T) []float32 {
	y, _ := any(x).([]float32)
	return y
}

// is32 reports whether T is float32.
func is32[T Float]() bool {
	var v T
	_, ok := any(v).(float32)
	return ok
}

// Gemm computes C = α op(A) op(B) + β C, see [f32.Gemm].
func Gemm[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	if is32[T]() {
		f32.Gemm(transA, transB, m, n, k, float32(alpha), single(a), lda, single(b), ldb, float32(beta), single(c), ldc)
		return
	}
	if transA {
		// Column i of A, its elements lda apart.
		for i := range m {
			for j := range n {
				var sum T
				for p := range k {
					v := b[p*ldb+j : p*ldb+j+1]
					if transB {
						v = b[j*ldb+p : j*ldb+p+1]
					}
					sum += a[p*lda+i] * v[0]
				}
				store(&c[i*ldc+j], alpha*sum, beta)
			}
		}
		return
	}
	for i := range m {
		for j := range n {
			var sum T
			for p, v := range a[i*lda : i*lda+k] {
				if transB {
					sum += v * b[j*ldb+p]
				} else {
					sum += v * b[p*ldb+j]
				}
			}
			store(&c[i*ldc+j], alpha*sum, beta)
		}
	}
}

// store writes v + β·*to, without reading it where β is 0.
func store[T Float](to *T, v, beta T) {
	if beta == 0 {
		*to = v
	} else {
		*to = beta**to + v
	}
}

// AddRows adds row to every row of dst, rows×n.
func AddRows[T Float](dst, row []T, rows, n int) {
	AddVectors(Images{Rows: 1, Pixels: rows, Channels: n}, dst, dst, row)
}

// SumRows writes the sum of the rows of x, rows×n, plus β dst into dst.
func SumRows[T Float](dst, x []T, rows, n int, beta T) {
	if is32[T]() {
		f32.SumRows(single(dst), single(x), rows, n, float32(beta))
		return
	}
	for j := range n {
		var sum T
		for i := range rows {
			sum += x[i*n+j]
		}
		store(&dst[j], sum, beta)
	}
}
