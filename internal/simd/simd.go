// Package simd holds the kernels that snrlab's time is spent in.
package simd

// Gemm computes C = α op(A) op(B) + β C for row-major float64 matrices, where
// op(A) is m×k and op(B) is k×n. Row i of C depends on row i of op(A) alone,
// bit for bit: not on m, nor on i. β = 0 overwrites C without reading it.
func Gemm(transA, transB bool, m, n, k int, alpha float64, a []float64, lda int, b []float64, ldb int, beta float64, c []float64, ldc int) {
	at := func(i, p int) float64 {
		if transA {
			return a[p*lda+i]
		}
		return a[i*lda+p]
	}
	bt := func(p, j int) float64 {
		if transB {
			return b[j*ldb+p]
		}
		return b[p*ldb+j]
	}
	for i := range m {
		for j := range n {
			s := 0.0
			for p := range k {
				s += at(i, p) * bt(p, j)
			}
			if beta == 0 {
				c[i*ldc+j] = alpha * s
			} else {
				c[i*ldc+j] = alpha*s + beta*c[i*ldc+j]
			}
		}
	}
}

// Exp writes e^src into dst, elementwise; −Inf gives 0.
func Exp(dst, src []float64) {
	for i, v := range src {
		dst[i] = exp(v)
	}
}

// Lin writes Σ coef[i]·src[i] into dst, elementwise, and reports whether every
// value written is finite. dst may be one of the sources.
func Lin(dst, coef []float64, src ...[]float64) bool {
	finite := true
	for j := range dst {
		s := 0.0
		for i, c := range coef {
			s += c * src[i][j]
		}
		dst[j] = s
		finite = finite && s-s == 0
	}
	return finite
}
