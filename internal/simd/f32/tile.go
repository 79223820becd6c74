package f32

import "unsafe"

// Every product is computed in register tiles of mr×nr: 12 vectors of AVX2.
const (
	mr   = 6   // rows of a register tile
	nr   = 16  // columns of a register tile
	maxK = 256 // terms of a sum between two visits to C: 16 KB of a panel of B
)

// A segment is a run of n ≥ 1 terms of the sums of a tile: element p of row i
// of A lies p strides behind rows[i], and row p of B p strides behind element b
// of the panel. So one kernel serves matrices and their transposes, packed or
// not, and convolutions, where a segment is one tap of the filter and the rows
// are pixels.
type segment struct {
	rows [mr]*float32
	b, n int
}

// tileGo writes C = α A B + β D for rows ≤ mr rows and nr columns, where A B is
// the sum over segs. Rows of A are taken off values further on; sa and sb are
// the strides of A and B along the sum. D may be C. β = 0 does not read D.
func tileGo(rows int, segs []segment, off, sa int, b []float32, sb int, c []float32, ldc int, d []float32, ldd int, alpha, beta float32) {
	for i := range rows {
		var sum [nr]float32
		for s := range segs {
			seg := &segs[s]
			a := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(seg.rows[i]), 4*off)), (seg.n-1)*sa+1)
			for p := range seg.n {
				v, row := a[p*sa], (*[nr]float32)(b[seg.b+p*sb:])
				for j := range sum {
					sum[j] += v * row[j]
				}
			}
		}
		to := c[i*ldc:][:nr]
		if beta == 0 {
			for j := range to {
				to[j] = alpha * sum[j]
			}
			continue
		}
		from := d[i*ldd:][:nr]
		for j := range to {
			to[j] = beta*from[j] + alpha*sum[j]
		}
	}
}

// edge is tile for cols ≤ nr columns of C and D. room holds mr·nr values.
func edge(room []float32, rows, cols int, segs []segment, off, sa int, b []float32, sb int, c []float32, ldc int, d []float32, ldd int, alpha, beta float32) {
	if cols == nr {
		tile(rows, segs, off, sa, b, sb, c, ldc, d, ldd, alpha, beta)
		return
	}
	if beta != 0 {
		for i := range rows {
			copy(room[i*nr:i*nr+cols], d[i*ldd:])
		}
	}
	tile(rows, segs, off, sa, b, sb, room, nr, room, nr, alpha, beta)
	for i := range rows {
		copy(c[i*ldc:i*ldc+cols], room[i*nr:])
	}
}

// packRows8Go writes element p < k of row i < 8 of src to dst[p·stride + i].
func packRows8Go(dst []float32, stride int, src []float32, ld, k int) {
	for i := range 8 {
		for p, v := range src[i*ld : i*ld+k] {
			dst[p*stride+i] = v
		}
	}
}

// packRows writes row p of count ≤ nr columns as nr values, zeros after count.
func packRows(dst, src []float32, ld, count, k int) {
	dst = dst[:nr*k]
	if count == nr {
		for p := range k {
			*(*[nr]float32)(dst[p*nr:]) = [nr]float32(src[p*ld:])
		}
		return
	}
	for p := range k {
		row := dst[p*nr : p*nr+nr]
		clear(row[copy(row[:count], src[p*ld:]):])
	}
}

// packColumns is packRows where column j lies along row j of src.
func packColumns(dst, src []float32, ld, count, k int) {
	dst = dst[:nr*k]
	if k == 0 {
		return
	}
	if count < nr {
		clear(dst)
	}
	j := 0
	for ; j+8 <= count; j += 8 {
		packRows8(dst[j:], nr, src[j*ld:], ld, k)
	}
	for ; j < count; j++ {
		for p, v := range src[j*ld : j*ld+k] {
			dst[p*nr+j] = v
		}
	}
}

// blockK returns the length of the blocks that a sum of k terms is cut into.
// It is a function of k alone, for it sets the order of the sums.
func blockK(k int) int {
	blocks := max(1, (k+maxK-1)/maxK)
	return max(1, (k+blocks-1)/blocks)
}
