package f32

import "math"

// expGo writes e^(src − shift) into dst and returns the sum over it.
func expGo(dst, src []float32, shift float32) (sum float32) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = float32(math.Exp(float64(v - shift)))
		sum += dst[i]
	}
	return sum
}

// affineSiLUGradGo writes dy times the slope of SiLU at a x + b into dst.
func affineSiLUGradGo(dst, dy, x, a, b []float32) {
	dst, dy, a, b = dst[:len(x)], dy[:len(x)], a[:len(x)], b[:len(x)]
	for i, v := range x {
		dst[i] = float32(float64(dy[i]) * siluSlope(float64(a[i]*v+b[i])))
	}
}

// affine2Go writes a x + (b y + c) into dst.
func affine2Go(dst, x, y, a, b, c []float32) {
	dst, y, a, b, c = dst[:len(x)], y[:len(x)], a[:len(x)], b[:len(x)], c[:len(x)]
	for i, v := range x {
		dst[i] = a[i]*v + (b[i]*y[i] + c[i])
	}
}

func maxGo(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// patchesGo writes β d plus the products of n patches with a panel b into c, a
// patch a line of nr values, ldc and ldd values apart. Term k of patch i lies at
// a[i·step + offsets[k]]. β = 0 does not read d.
func patchesGo(c []float32, ldc int, a []float32, step int, offsets []int, b []float32, n int, d []float32, ldd int, beta float32) {
	for i := range n {
		var sum [nr]float32
		for k, offset := range offsets {
			v, row := a[i*step+offset], (*[nr]float32)(b[k*nr:])
			for j := range sum {
				sum[j] += v * row[j]
			}
		}
		to := c[i*ldc:][:nr]
		if beta == 0 {
			copy(to, sum[:])
			continue
		}
		from := d[i*ldd:][:nr]
		for j := range to {
			to[j] = beta*from[j] + sum[j]
		}
	}
}

// momentWidth is the number of channels whose moments are summed at a time.
const momentWidth = 16

// momentsGo writes the sums of x and x·y over n > 0 pixels, ld values apart, of
// channels ≤ momentWidth channels into sum and product.
func momentsGo(sum, product *[momentWidth]float64, channels int, x, y []float32, ld, n int) {
	*sum, *product = [momentWidth]float64{}, [momentWidth]float64{}
	for p := range n {
		y := y[p*ld : p*ld+channels]
		for c, v := range x[p*ld : p*ld+channels] {
			sum[c] += float64(v)
			product[c] += float64(v) * float64(y[c])
		}
	}
}

// sumsGo returns Σ x_j and Σ x_j y_j in float64.
func sumsGo(x, y []float32) (sum, product float64) {
	y = y[:len(x)]
	for j, v := range x {
		sum += float64(v)
		product += float64(v) * float64(y[j])
	}
	return sum, product
}
