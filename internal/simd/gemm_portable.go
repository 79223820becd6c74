package simd

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
