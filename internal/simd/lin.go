package simd

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
