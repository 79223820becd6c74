package kernel

import (
	"math"
	"math/rand/v2"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
	"snrlab/rng"
)

// DropoutMask fills each row of mask, of size numbers, from the stream of its key:
// with 0 with probability p, else with 1/(1 − p).
func DropoutMask[T Float](mask []T, size int, p float64, keys []rng.Key) {
	if is32[T]() {
		w := maskings.Get()
		defer maskings.Put(w)
		w.mask, w.size, w.p, w.keys = single(mask), size, p, keys
		const grain = 1 << 13 // draws worth waking a worker for
		par.Rows(len(keys), max(1, grain/max(1, size)), w.do)
		w.mask, w.keys = nil, nil
		return
	}
	maskRows(mask, size, p, keys, 0, len(keys))
}

// A masking is one call of DropoutMask, reused with its closure.
type masking struct {
	mask []float32
	size int
	p    float64
	keys []rng.Key
	do   func(lo, hi int)
}

var maskings = freelist.List[masking]{New: func() *masking {
	w := new(masking)
	w.do = func(lo, hi int) { maskRows(w.mask, w.size, w.p, w.keys, lo, hi) }
	return w
}}

var streams = freelist.List[rand.ChaCha8]{New: func() *rand.ChaCha8 { return new(rand.ChaCha8) }}

// maskRows draws the rows from lo to hi. A draw takes 32 bits, two of which come
// in each number of the stream.
func maskRows[T Float](mask []T, size int, p float64, keys []rng.Key, lo, hi int) {
	least := uint64(math.Round(math.Ldexp(p, 32)))
	kept := T(1 / (1 - p))
	stream := streams.Get()
	defer streams.Put(stream)
	for r := lo; r < hi; r++ {
		stream.Seed(keys[r])
		var bits uint64
		row := mask[r*size : (r+1)*size]
		for i := range row {
			if i%2 == 0 {
				bits = stream.Uint64()
			}
			row[i] = 0
			if bits&math.MaxUint32 >= least {
				row[i] = kept
			}
			bits >>= 32
		}
	}
}
