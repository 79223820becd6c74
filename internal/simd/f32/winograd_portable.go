package f32

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

// ay is one column of A y.
func ay(y [side]float32) [sight]float32 {
	ep, op := y[0]+p2*y[2], pointP*y[1]+p3*y[3]
	eq, oq := y[0]+q2*y[2], pointQ*y[1]+q3*y[3]
	return [sight]float32{y[0], ep + op, ep - op, eq + oq, eq - oq, y[3]}
}

// gu is one column of Gᵀ u.
func gu(u [sight]float32) [3]float32 {
	sp, dp, sq, dq := u[1]+u[2], u[1]-u[2], u[3]+u[4], u[3]-u[4]
	return [3]float32{1/(p2*q2)*u[0] + 1/np*sp + 1/nq*sq, pointP/np*dp + pointQ/nq*dq, p2/np*sp + q2/nq*sq + u[5]}
}

// winogradInputGo writes the transforms Bᵀ d B of n channels into dst: planes
// stride values apart. The first pixel of d lies at src[at], even if there is
// none; lines are row values apart, pixels pixel. Those outside of the lines from
// top to bottom and of the pixels from left to right are zeros. Here as elsewhere
// n is a multiple of lanes.
func winogradInputGo(dst []float32, stride int, src []float32, at, row, pixel, top, bottom, left, right, n int) {
	winogradPixelsGo(bd, dst, stride, src, at, row, pixel, top, bottom, left, right, n)
}

// winogradPixelsGo is winogradInputGo for a square of pixels as large as transform
// takes.
func winogradPixelsGo[A [side]float32 | [sight]float32](transform func(A) [sight]float32, dst []float32, stride int, src []float32, at, row, pixel, top, bottom, left, right, n int) {
	var t [sight]A
	for c := range n {
		for j := range len(t[0]) {
			var d A
			for i := range len(d) {
				if i >= top && i < bottom && j >= left && j < right {
					d[i] = src[at+i*row+j*pixel+c]
				}
			}
			for i, v := range transform(d) {
				t[i][j] = v
			}
		}
		for i := range t {
			for j, v := range transform(t[i]) {
				dst[(i*sight+j)*stride+c] = v
			}
		}
	}
}

// winogradFilterGo writes the transforms G g Gᵀ of n values of the taps of src,
// ld values apart, into dst: planes stride values apart. After every run values
// of a tap it goes on where that run began, plus row.
func winogradFilterGo(dst []float32, stride int, src []float32, ld, run, row, n int) {
	var t [sight][3]float32
	for c := range n {
		from := src[c/run*row+c%run:]
		for j := range 3 {
			for i, v := range gg([3]float32{from[j*ld], from[(3+j)*ld], from[(6+j)*ld]}) {
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

// winogradOutputGradGo writes the transforms A dy Aᵀ of n channels into dst, as
// winogradInputGo does.
func winogradOutputGradGo(dst []float32, stride int, src []float32, at, row, pixel, top, bottom, left, right, n int) {
	winogradPixelsGo(ay, dst, stride, src, at, row, pixel, top, bottom, left, right, n)
}

// winogradFilterGradGo writes the transforms Gᵀ u G of n values of the planes of
// src, ld values apart, into dst: taps stride values apart.
func winogradFilterGradGo(dst []float32, stride int, src []float32, ld, n int) {
	var t [3][sight]float32
	for c := range n {
		for j := range sight {
			var u [sight]float32
			for i := range u {
				u[i] = src[(i*sight+j)*ld+c]
			}
			for i, v := range gu(u) {
				t[i][j] = v
			}
		}
		for i := range t {
			for j, v := range gu(t[i]) {
				dst[(i*3+j)*stride+c] = v
			}
		}
	}
}

// winogradProductGo writes A B into C for rows of A, lda values apart, with k
// terms, sa values apart, and a panel B. With add it adds to C.
func winogradProductGo(c, a []float32, lda, sa int, b []float32, rows, k int, add bool) {
	for i := range rows {
		to := (*[nr]float32)(c[i*nr:])
		if !add {
			*to = [nr]float32{}
		}
		for from := 0; from < k; from += blockTerms {
			var sum [nr]float32
			for p := from; p < min(from+blockTerms, k); p++ {
				v, row := a[i*lda+p*sa], (*[nr]float32)(b[p*nr:])
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
