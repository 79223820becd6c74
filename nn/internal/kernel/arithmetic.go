package kernel

import "snrlab/internal/simd/f32"

// Add writes a + b into dst, which may be either.
func Add[T Float](dst, a, b []T) {
	if is32[T]() {
		f32.Add(single(dst), single(a), single(b))
		return
	}
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// Sub writes a − b into dst, which may be either.
func Sub[T Float](dst, a, b []T) {
	if is32[T]() {
		f32.Sub(single(dst), single(a), single(b))
		return
	}
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

// Mul writes a b into dst, which may be either.
func Mul[T Float](dst, a, b []T) {
	if is32[T]() {
		f32.Mul(single(dst), single(a), single(b))
		return
	}
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// AddMul adds a b to dst.
func AddMul[T Float](dst, a, b []T) {
	if is32[T]() {
		f32.MulAddTo(single(dst), single(a), single(b))
		return
	}
	for i := range dst {
		dst[i] += a[i] * b[i]
	}
}

// Scale writes factor·x into dst, which may be x.
func Scale[T Float](dst, x []T, factor T) {
	if is32[T]() {
		f32.Scale(single(dst), single(x), float32(factor))
		return
	}
	for i, v := range x {
		dst[i] = factor * v
	}
}

// AddScaled adds factor·x to dst.
func AddScaled[T Float](dst, x []T, factor T) {
	if is32[T]() {
		f32.ScaledAdd(single(dst), single(dst), single(x), float32(factor))
		return
	}
	for i, v := range x {
		dst[i] += factor * v
	}
}
