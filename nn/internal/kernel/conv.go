package kernel

import "snrlab/internal/simd/f32"

// Conv is the shape of a convolution, see [f32.Conv].
type Conv = f32.Conv

// ConvForward writes the convolution of x with w into y, plus what is not nil of
// bias, a bias of each row, and images like y, which may be y.
func ConvForward[T Float](c Conv, y, x, w, bias, rowBias, images []T) {
	if is32[T]() {
		c.ForwardAdd(single(y), single(x), single(w), single(bias), single(rowBias), single(images))
		return
	}
	pixels := c.OutHeight() * c.OutWidth()
	for i := range c.Rows * pixels {
		for o := range c.Out {
			var sum T
			if bias != nil {
				sum = bias[o]
			}
			if rowBias != nil {
				sum += rowBias[i/pixels*c.Out+o]
			}
			if images != nil {
				sum += images[i*c.Out+o]
			}
			taps(c, i, func(pixel, tap int) {
				for k := range c.In {
					sum += x[pixel*c.In+k] * w[(tap*c.In+k)*c.Out+o]
				}
			})
			y[i*c.Out+o] = sum
		}
	}
}

// ConvInputGrad writes the gradient of x for that of y, plus β dx, into dx.
func ConvInputGrad[T Float](c Conv, dx, dy, w []T, beta T) {
	if is32[T]() {
		c.InputGrad(single(dx), single(dy), single(w), float32(beta))
		return
	}
	scale(dx[:c.Rows*c.Height*c.Width*c.In], beta)
	for i := range c.Rows * c.OutHeight() * c.OutWidth() {
		taps(c, i, func(pixel, tap int) {
			for k := range c.In {
				for o := range c.Out {
					dx[pixel*c.In+k] += dy[i*c.Out+o] * w[(tap*c.In+k)*c.Out+o]
				}
			}
		})
	}
}

// ConvFilterGrad writes the gradient of w for that of y, plus β dw, into dw.
func ConvFilterGrad[T Float](c Conv, dw, x, dy []T, beta T) {
	if is32[T]() {
		c.FilterGrad(single(dw), single(x), single(dy), float32(beta))
		return
	}
	scale(dw[:c.KernelHeight*c.KernelWidth*c.In*c.Out], beta)
	for i := range c.Rows * c.OutHeight() * c.OutWidth() {
		taps(c, i, func(pixel, tap int) {
			for k := range c.In {
				for o := range c.Out {
					dw[(tap*c.In+k)*c.Out+o] += dy[i*c.Out+o] * x[pixel*c.In+k]
				}
			}
		})
	}
}

// taps calls f with the pixels of x that output pixel i sums, all rows counted
// through, and the places of the filter that they meet.
func taps(c Conv, i int, f func(pixel, tap int)) {
	h, w := c.OutHeight(), c.OutWidth()
	row, y, x := i/(h*w), i/w%h*c.Stride-c.Top, i%w*c.Stride-c.Left
	for u := range c.KernelHeight {
		for v := range c.KernelWidth {
			if y+u >= 0 && y+u < c.Height && x+v >= 0 && x+v < c.Width {
				f((row*c.Height+y+u)*c.Width+x+v, u*c.KernelWidth+v)
			}
		}
	}
}

// scale multiplies dst with β; β = 0 makes it zero whatever it was.
func scale[T Float](dst []T, beta T) {
	if beta == 0 {
		clear(dst)
		return
	}
	for i := range dst {
		dst[i] *= beta
	}
}
