package f32

import (
	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

// A pass is one call of a function that goes over arrays a few times. It is
// reused with its room and its closures, so that a call allocates nothing.
type pass struct {
	dst, src, second, third []float32
	m, n, srcLD             int
	number                  float32
	op                      function
	images                  Images
	norm                    GroupNorm
	layer                   LayerNorm
	resample                Resample
	mean, rstd, gamma       []float32
	shift                   []float32
	activate                bool
	room                    []float32
	sums                    []float64

	f              func(w *pass, lo, hi int)
	do             func(lo, hi int)
	gather, spread func(w *pass, r, b int) // see sweep
	settle         func(w *pass, r int)
}

var passes = freelist.List[pass]{New: func() *pass {
	w := new(pass)
	w.do = func(lo, hi int) { w.f(w, lo, hi) }
	return w
}}

// split calls f on ranges that cover [0, n), each of at least grain indices.
func (w *pass) split(n, grain int, f func(w *pass, lo, hi int)) {
	w.f = f
	par.Rows(n, max(1, grain), w.do)
}

// release lets go of the caller's arrays and makes the pass free for reuse.
func (w *pass) release() {
	w.dst, w.src, w.second, w.third = nil, nil, nil, nil
	w.mean, w.rstd, w.gamma, w.shift = nil, nil, nil, nil
	passes.Put(w)
}

const (
	// expGrain is the number of exponentials worth waking a worker for, about 10 µs.
	expGrain = 1 << 13
	// moveGrain is the number of values worth waking a worker for, about 10 µs.
	moveGrain = 1 << 15
)

// unary writes f of x and a number into dst.
func unary(f function, grain int, dst, x []float32, a float32) {
	checkLen("dst", dst, len(x))
	elementwise(f, grain, dst[:len(x)], x, nil, nil, a)
}

// binary writes f of x, y and a number into dst.
func binary(f function, grain int, dst, x, y []float32, a float32) {
	checkLen("dst", dst, len(x))
	checkLen("the second array", y, len(x))
	elementwise(f, grain, dst[:len(x)], x, y, nil, a)
}

// elementwise writes f of up to three arrays, nil where f needs fewer, and a
// number into dst.
func elementwise(f function, grain int, dst, x, y, z []float32, a float32) {
	w := passes.Get()
	defer w.release()
	w.op, w.dst, w.src, w.second, w.third, w.number = f, dst, x, y, z, a
	w.split(len(dst), grain, (*pass).elementwise)
}

func (w *pass) elementwise(lo, hi int) {
	part := func(x []float32) []float32 {
		if x == nil {
			return nil
		}
		return x[lo:hi]
	}
	w.op.apply(w.dst[lo:hi], w.src[lo:hi], part(w.second), part(w.third), numbers{w.number})
}
