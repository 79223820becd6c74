package kernel

import (
	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

// Rotate turns each pair of neighbours of x [rows, tokens, heads, d] by the angle
// of its token and its place in the head, whose cosines and sines are [tokens,
// d/2], forwards or back, and writes the pairs into dst, which may be x.
func Rotate[T Float](dst, x, cosine, sine []T, d, heads int, back bool) {
	if is32[T]() {
		w := rotations.Get()
		defer rotations.Put(w)
		w.dst, w.x, w.cosine, w.sine, w.d, w.heads, w.back = single(dst), single(x), single(cosine), single(sine), d, heads, back
		const grain = 1 << 14 // numbers worth waking a worker for
		par.Rows(len(x)/(d*heads), max(1, grain/(d*heads)), w.do)
		w.dst, w.x, w.cosine, w.sine = nil, nil, nil, nil
		return
	}
	rotate(dst, x, cosine, sine, d, heads, back, 0, len(x)/(d*heads))
}

// A rotation is one call of Rotate, reused with its closure.
type rotation struct {
	dst, x, cosine, sine []float32
	d, heads             int
	back                 bool
	do                   func(lo, hi int)
}

var rotations = freelist.List[rotation]{New: func() *rotation {
	w := new(rotation)
	w.do = func(lo, hi int) { rotate(w.dst, w.x, w.cosine, w.sine, w.d, w.heads, w.back, lo, hi) }
	return w
}}

// rotate turns the tokens from lo to hi, those of all rows counted through.
func rotate[T Float](dst, x, cosine, sine []T, d, heads int, back bool, lo, hi int) {
	tokens := 2 * len(cosine) / d
	for head := lo * heads; head < hi*heads; head++ {
		token := head / heads % tokens
		cosine, sine := cosine[token*d/2:(token+1)*d/2], sine[token*d/2:(token+1)*d/2]
		from, to := x[head*d:(head+1)*d], dst[head*d:(head+1)*d]
		for i, c := range cosine {
			s := sine[i]
			if back {
				s = -s
			}
			a, b := from[2*i], from[2*i+1]
			to[2*i], to[2*i+1] = a*c-b*s, a*s+b*c
		}
	}
}
