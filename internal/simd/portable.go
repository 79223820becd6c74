package simd

import (
	"math"
	"sync/atomic"
)

// gemmTilesGo computes C = α A B + β C for tiles·mr rows and nr columns of C.
// a holds the packed rows, mr values for each p < kc, one tile after another; b
// holds one packed panel, nr values for each p. β = 0 does not read C.
func gemmTilesGo(tiles, kc int, a, b, c []float64, ldc int, alpha, beta float64) {
	for t := range tiles {
		at, ct := a[t*mr*kc:(t+1)*mr*kc], c[t*mr*ldc:]
		for i := 0; i < mr; i += 2 {
			for j := 0; j < nr; j += 4 {
				gemm2x4(kc, at, i, b, j, ct[i*ldc+j:], ldc, alpha, beta)
			}
		}
	}
}

// gemm2x4 computes rows i, i+1 and columns j to j+3 of a register tile: as many
// sums as a processor with 16 registers can hold.
func gemm2x4(kc int, a []float64, i int, b []float64, j int, c []float64, ldc int, alpha, beta float64) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float64
	for p := range kc {
		ap := a[p*mr+i : p*mr+i+2]
		bp := b[p*nr+j : p*nr+j+4]
		s00 += ap[0] * bp[0]
		s01 += ap[0] * bp[1]
		s02 += ap[0] * bp[2]
		s03 += ap[0] * bp[3]
		s10 += ap[1] * bp[0]
		s11 += ap[1] * bp[1]
		s12 += ap[1] * bp[2]
		s13 += ap[1] * bp[3]
	}
	for i, sums := range [2][4]float64{{s00, s01, s02, s03}, {s10, s11, s12, s13}} {
		row := c[i*ldc : i*ldc+4]
		for j, s := range sums {
			if beta == 0 {
				row[j] = alpha * s
			} else {
				row[j] = beta*row[j] + alpha*s
			}
		}
	}
}

// packRows4Go writes element p < k of row i < 4 of src to dst[p·stride + i].
func packRows4Go(dst []float64, stride int, src []float64, ld, k int) {
	for i := range 4 {
		for p, v := range src[i*ld : i*ld+k] {
			dst[p*stride+i] = v
		}
	}
}

// expGo writes e^(src − shift) into dst and returns the sum over it.
func expGo(dst, src []float64, shift float64) (sum float64) {
	dst = dst[:len(src)]
	for i, v := range src {
		x := v - shift
		e := math.Exp(x)
		if x > 709 { // math.Exp on amd64 gives +Inf from 709.44 on, where the result is 2¹⁰²³·√2
			e = math.Exp(x / 2)
			e *= e
		}
		dst[i] = e
		sum += e
	}
	return sum
}

// linGo writes Σ coef[i]·src[i] over i < terms into dst and reports whether
// all of it is finite.
func linGo(dst []float64, terms int, coef *[maxTerms]float64, src *[maxTerms][]float64) bool {
	bad := 0.0 // y − y is 0 for finite y and NaN otherwise
	for j := range dst {
		y := coef[0] * src[0][j]
		for i := 1; i < terms; i++ {
			y += coef[i] * src[i][j]
		}
		dst[j] = y
		bad += y - y
	}
	return bad == 0
}

func maxGo(x []float64) float64 {
	m := math.Inf(-1)
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// dotGo keeps eight sums, which do not wait for each other and together round
// an eighth as often.
func dotGo(x, y []float64) float64 {
	y = y[:len(x)]
	var s0, s1, s2, s3, s4, s5, s6, s7 float64
	for ; len(x) >= 8; x, y = x[8:], y[8:] {
		u, v := (*[8]float64)(x), (*[8]float64)(y)
		s0 += u[0] * v[0]
		s1 += u[1] * v[1]
		s2 += u[2] * v[2]
		s3 += u[3] * v[3]
		s4 += u[4] * v[4]
		s5 += u[5] * v[5]
		s6 += u[6] * v[6]
		s7 += u[7] * v[7]
	}
	for j, v := range x {
		s0 += v * y[j]
	}
	return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
}

// weightedSumSqGo keeps eight sums, as dotGo.
func weightedSumSqGo(x, w []float64) float64 {
	w = w[:len(x)]
	var s0, s1, s2, s3, s4, s5, s6, s7 float64
	for ; len(x) >= 8; x, w = x[8:], w[8:] {
		u, v := (*[8]float64)(x), (*[8]float64)(w)
		s0 += u[0] * v[0] * u[0]
		s1 += u[1] * v[1] * u[1]
		s2 += u[2] * v[2] * u[2]
		s3 += u[3] * v[3] * u[3]
		s4 += u[4] * v[4] * u[4]
		s5 += u[5] * v[5] * u[5]
		s6 += u[6] * v[6] * u[6]
		s7 += u[7] * v[7] * u[7]
	}
	for j, v := range x {
		s0 += v * w[j] * v
	}
	return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
}

// fmasGo does 12n·4 products and sums, in chains that do not wait for each other.
func fmasGo(n int) {
	var a, b, c, d, e, f float64
	x := 1.0
	for range 8 * n {
		a, b, c = a*x+x, b*x+x, c*x+x
		d, e, f = d*x+x, e*x+x, f*x+x
	}
	sink.Store(math.Float64bits(a + b + c + d + e + f))
}

// sink keeps the compiler from leaving out what is computed to be timed.
var sink atomic.Uint64
