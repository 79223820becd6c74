package simd

import (
	"fmt"
	"sync/atomic"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

const (
	maxTerms = 6
	// linGrain is the length worth waking a worker for, about 10 µs.
	linGrain = 1 << 15
	// linStream is how many values in all arrays together no longer fit in the
	// caches, so that what is written need not go through them.
	linStream = 1 << 22
)

// Lin writes Σ coef[i]·src[i] into dst, elementwise, and reports whether every
// value written is finite. It takes up to six terms; none gives zeros. dst may
// be one of the sources, and must not overlap one otherwise.
//
// Lin panics if a source is shorter than dst, or with more than six terms.
func Lin(dst, coef []float64, src ...[]float64) bool {
	if len(coef) != len(src) || len(coef) > maxTerms {
		panic(fmt.Sprintf("simd: Lin takes as many coefficients as sources, at most %d, got %d and %d", maxTerms, len(coef), len(src)))
	}
	if len(coef) == 0 {
		clear(dst)
		return true
	}
	if len(dst) < 2*linGrain { // which stays on one processor
		var c [maxTerms]float64
		var rows [maxTerms][]float64
		copy(c[:], coef)
		for i, s := range src {
			checkLen(s, len(dst))
			rows[i] = s[:len(dst)]
		}
		return lin(dst, len(coef), &c, &rows, false)
	}
	w := linWorks.Get()
	defer linWorks.Put(w)
	w.dst, w.terms = dst, len(coef)
	w.stream = len(dst)*(w.terms+1) >= linStream
	for i, s := range src {
		checkLen(s, len(dst))
		w.coef[i], w.src[i] = coef[i], s[:len(dst)]
		if len(dst) > 0 && &s[0] == &dst[0] {
			w.stream = false // what is read is in the caches already
		}
	}
	w.bad.Store(false)
	par.Rows(len(dst), linGrain, w.part)
	w.dst, w.src = nil, [maxTerms][]float64{}
	return !w.bad.Load()
}

// A linWork is one call of Lin, reused so that a call allocates nothing.
type linWork struct {
	dst    []float64
	terms  int
	coef   [maxTerms]float64
	src    [maxTerms][]float64
	stream bool
	bad    atomic.Bool
	part   func(lo, hi int)
}

var linWorks = freelist.List[linWork]{New: func() *linWork {
	w := new(linWork)
	w.part = w.doPart
	return w
}}

func (w *linWork) doPart(lo, hi int) {
	var src [maxTerms][]float64
	for i, s := range w.src[:w.terms] {
		src[i] = s[lo:hi]
	}
	if !lin(w.dst[lo:hi], w.terms, &w.coef, &src, w.stream) {
		w.bad.Store(true)
	}
}
