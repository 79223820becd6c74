package f32

import "unsafe"

const (
	p2, q2 = pointP * pointP, pointQ * pointQ
	p3, q3 = pointP * p2, pointQ * q2
	np, nq = 2 * p2 * (p2 - q2), 2 * q2 * (q2 - p2)
)

// bd is one column of Bᵀ d.
func bd(d [sight]float32) [sight]float32 {
	ep, op := d[4]-q2*d[2], pointP*(d[3]-q2*d[1])
	eq, oq := d[4]-p2*d[2], pointQ*(d[3]-p2*d[1])
	return [sight]float32{
		d[4] - (p2+q2)*d[2] + p2*q2*d[0], ep + op, ep - op, eq + oq, eq - oq, d[5] - (p2+q2)*d[3] + p2*q2*d[1],
	}
}

// gg is one column of G g.
func gg(g [3]float32) [sight]float32 {
	ep, op := 1/np*g[0]+p2/np*g[2], pointP/np*g[1]
	eq, oq := 1/nq*g[0]+q2/nq*g[2], pointQ/nq*g[1]
	return [sight]float32{1 / (p2 * q2) * g[0], ep + op, ep - op, eq + oq, eq - oq, g[2]}
}

// am is one column of Aᵀ m.
func am(m [sight]float32) [side]float32 {
	sp, dp, sq, dq := m[1]+m[2], m[1]-m[2], m[3]+m[4], m[3]-m[4]
	return [side]float32{m[0] + sp + sq, pointP*dp + pointQ*dq, p2*sp + q2*sq, p3*dp + q3*dq + m[5]}
}

// winogradInputGo writes the transforms Bᵀ d B of n channels of the pixels src,
// from channel at on, into dst: planes stride values apart. Here as elsewhere n
// is a multiple of lanes.
func winogradInputGo(dst []float32, stride int, src *[points]*float32, at, n int) {
	var t [sight][sight]float32
	for c := range n {
		for j := range sight {
			var d [sight]float32
			for i := range d {
				d[i] = *(*float32)(unsafe.Add(unsafe.Pointer(src[i*sight+j]), 4*(at+c)))
			}
			for i, v := range bd(d) {
				t[i][j] = v
			}
		}
		for i := range t {
			for j, v := range bd(t[i]) {
				dst[(i*sight+j)*stride+c] = v
			}
		}
	}
}

// winogradFilterGo writes the transforms G g Gᵀ of n values of the taps of src,
// ld values apart, into dst: planes stride values apart.
func winogradFilterGo(dst []float32, stride int, src []float32, ld, n int) {
	var t [sight][3]float32
	for c := range n {
		for j := range 3 {
			for i, v := range gg([3]float32{src[j*ld+c], src[(3+j)*ld+c], src[(6+j)*ld+c]}) {
				t[i][j] = v
			}
		}
		for i := range t {
			for j, v := range gg(t[i]) {
				dst[(i*sight+j)*stride+c] = v
			}
		}
	}
}

// winogradProductGo writes A B into C for rows of A, lda values apart, with k
// terms, and a panel B. With add it adds to C.
func winogradProductGo(c, a []float32, lda int, b []float32, rows, k int, add bool) {
	for i := range rows {
		to := (*[nr]float32)(c[i*nr:])
		if !add {
			*to = [nr]float32{}
		}
		for from := 0; from < k; from += blockTerms {
			var sum [nr]float32
			for p := from; p < min(from+blockTerms, k); p++ {
				v, row := a[i*lda+p], (*[nr]float32)(b[p*nr:])
				for j := range sum {
					sum[j] += v * row[j]
				}
			}
			for j, v := range sum {
				to[j] += v
			}
		}
	}
}

// winogradOutputGo writes the transforms Aᵀ m A of n channels of the planes of
// m, stride values apart, plus bias plus beta times d into height×width pixels
// of c. Lines of c and d are row values apart, pixels pixel. β = 0 does not read
// d.
func winogradOutputGo(c []float32, row, pixel, height, width int, m []float32, stride, n int, bias, d []float32, beta float32) {
	var t [side][sight]float32
	for o := range n {
		for j := range sight {
			var v [sight]float32
			for i := range v {
				v[i] = m[(i*sight+j)*stride+o]
			}
			for i, v := range am(v) {
				t[i][j] = v
			}
		}
		for i := range height {
			y := am(t[i])
			for j := range width {
				at := i*row + j*pixel + o
				v := y[j] + bias[o]
				if beta != 0 {
					v += beta * d[at]
				}
				c[at] = v
			}
		}
	}
}
