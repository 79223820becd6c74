package kernel

import "snrlab/internal/simd/f32"

// Images is the shape of images beside a vector for each row, see [f32.Images].
type Images = f32.Images

// AddVectors writes x + b into y, which may be x: the vector of a row at each of
// its pixels.
func AddVectors[T Float](m Images, y, x, b []T) {
	if is32[T]() {
		m.Add(single(y), single(x), single(b))
		return
	}
	each(m, func(i, v int) { y[i] = x[i] + b[v] })
}

// MulVectors writes x a into y, which may be x.
func MulVectors[T Float](m Images, y, x, a []T) {
	if is32[T]() {
		m.Mul(single(y), single(x), single(a))
		return
	}
	each(m, func(i, v int) { y[i] = x[i] * a[v] })
}

// AddMulVectors adds x a to y.
func AddMulVectors[T Float](m Images, y, x, a []T) {
	each(m, func(i, v int) { y[i] += x[i] * a[v] })
}

// ScaleShift writes x (1 + s) + b into y, which may be x.
func ScaleShift[T Float](m Images, y, x, s, b []T) {
	if is32[T]() {
		m.ScaleShift(single(y), single(x), single(s), single(b))
		return
	}
	each(m, func(i, v int) { y[i] = x[i]*(1+s[v]) + b[v] })
}

// ScaleShiftGrad writes the gradients of ScaleShift; dx may be dy.
func ScaleShiftGrad[T Float](m Images, dx, ds, db, dy, x, s []T) {
	if is32[T]() {
		m.ScaleShiftGrad(single(dx), single(ds), single(db), single(dy), single(x), single(s))
		return
	}
	DotPixels(m, ds, dy, x)
	SumPixels(m, db, dy)
	each(m, func(i, v int) { dx[i] = dy[i] * (1 + s[v]) })
}

// SumPixels writes Σ x over the pixels of a row into sum.
func SumPixels[T Float](m Images, sum, x []T) {
	if is32[T]() {
		m.Sum(single(sum), single(x))
		return
	}
	clear(sum[:m.Rows*m.Channels])
	each(m, func(i, v int) { sum[v] += x[i] })
}

// DotPixels writes Σ x y over the pixels of a row into dot.
func DotPixels[T Float](m Images, dot, x, y []T) {
	if is32[T]() {
		m.Dot(single(dot), single(x), single(y))
		return
	}
	clear(dot[:m.Rows*m.Channels])
	each(m, func(i, v int) { dot[v] += x[i] * y[i] })
}

// each calls f for all elements i of the images, with the place v of their number
// in the vectors.
func each(m Images, f func(i, v int)) {
	for i := range m.Rows * m.Pixels * m.Channels {
		f(i, i/(m.Pixels*m.Channels)*m.Channels+i%m.Channels)
	}
}

// Resample is a change of size by a whole factor, see [f32.Resample].
type Resample = f32.Resample

// Average writes the mean of each square of x into y.
func Average[T Float](s Resample, y, x []T) {
	if is32[T]() {
		s.Average(single(y), single(x))
		return
	}
	shrink(s, y, x, 1/T(s.Factor*s.Factor))
}

// AverageGrad writes the gradient of x for that of the averages.
func AverageGrad[T Float](s Resample, dx, dy []T) {
	if is32[T]() {
		s.AverageGrad(single(dx), single(dy))
		return
	}
	enlarge(s, dx, dy, 1/T(s.Factor*s.Factor))
}

// Nearest writes each pixel of x into its square of y.
func Nearest[T Float](s Resample, y, x []T) {
	if is32[T]() {
		s.Nearest(single(y), single(x))
		return
	}
	enlarge(s, y, x, 1)
}

// NearestGrad writes the gradient of x for that of its enlargement.
func NearestGrad[T Float](s Resample, dx, dy []T) {
	if is32[T]() {
		s.NearestGrad(single(dx), single(dy))
		return
	}
	shrink(s, dx, dy, 1)
}

func shrink[T Float](s Resample, small, large []T, scale T) {
	clear(small)
	squares(s, func(i, j int) { small[j] += scale * large[i] })
}

func enlarge[T Float](s Resample, large, small []T, scale T) {
	clear(large)
	squares(s, func(i, j int) { large[i] = scale * small[j] })
}

// squares calls f for the elements i of the large images that are in a square,
// with their element j of the small ones.
func squares(s Resample, f func(i, j int)) {
	height, width := s.Height/s.Factor, s.Width/s.Factor
	for i := range s.Rows * s.Height * s.Width * s.Channels {
		c, x := i%s.Channels, i/s.Channels%s.Width/s.Factor
		y, r := i/(s.Channels*s.Width)%s.Height/s.Factor, i/(s.Channels*s.Width*s.Height)
		if x < width && y < height {
			f(i, ((r*height+y)*width+x)*s.Channels+c)
		}
	}
}
