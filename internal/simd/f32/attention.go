package f32

import (
	"fmt"
	"math"
	"runtime"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

// Attention is the shape of scaled dot-product attention:
//
//	o_i = Σ_j p_ij v_j,  p_ij = e^(s_ij − lse_i),  s_ij = Scale q_i·k_j,  lse_i = log Σ_j e^(s_ij)
//
// for each row and head, over Queries tokens i and Keys tokens j. Arrays are
// [Rows, Tokens, Heads, HeadDim]; those of queries, keys and values may be parts
// of larger ones, whose tokens lie further apart.
//
// The weights are computed block by block and never kept: neither time nor memory
// goes into an array of Queries×Keys. Dao et al., "FlashAttention", 2022, with
// the order of the sums a function of Queries, Keys and HeadDim alone: a row of a
// result depends on that row alone, bit for bit, and none on the number of workers.
type Attention struct {
	Rows, Queries, Keys, Heads, HeadDim int

	// Values from a token to the next, 0 for Heads·HeadDim.
	QueryStride, KeyStride, ValueStride int

	Scale float32 // 0 for 1/√HeadDim
}

// Sums over queries and over keys are cut into blocks of so many, whose weights
// lie in the second cache. Rows of weights are kept a little further apart, so
// that those in a column fall into different parts of the first.
const (
	queryBlock  = 96 // a multiple of mr
	keyBlock    = 256
	keyShare    = 64 // keys of a task that computes their gradients alone
	weightLD    = keyBlock + nr
	queryBlocks = 3 // that one packing of a block of keys serves
)

// Forward writes the attention of q to k and v into o, [Rows, Queries, Heads,
// HeadDim], and lse into an array [Rows, Heads, Queries]. o must not overlap the
// others.
func (a Attention) Forward(o, lse, q, k, v []float32) {
	w := attentions.Get()
	defer w.release()
	w.start(a, q, k, v)
	checkLen("o", o, a.Rows, a.Queries, w.width)
	checkLen("lse", lse, a.Rows, a.Heads, a.Queries)
	w.o, w.lse = o, lse
	tasks := a.Rows * a.Heads * w.blocks
	par.Rows(tasks, w.grain(4*queryBlock*a.Keys*a.HeadDim), w.doForward)
}

// Grad writes the gradients of q, k and v for the gradient do of o, into arrays
// that lie like q, k and v. o and lse are from Forward. The gradients must not
// overlap each other or the rest.
//
//	dv_j = Σ_i p_ij do_i,  ds_ij = p_ij (do_i·v_j − do_i·o_i),  dq_i = Scale Σ_j ds_ij k_j,  dk_j = Scale Σ_i ds_ij q_i
func (a Attention) Grad(dq, dk, dv, do, o, lse, q, k, v []float32) {
	w := attentions.Get()
	defer w.release()
	w.start(a, q, k, v)
	checkLen("do", do, a.Rows, a.Queries, w.width)
	checkLen("o", o, a.Rows, a.Queries, w.width)
	checkLen("lse", lse, a.Rows, a.Heads, a.Queries)
	w.checkTokens("dq", dq, a.Queries, w.QueryStride)
	w.checkTokens("dk", dk, a.Keys, w.KeyStride)
	w.checkTokens("dv", dv, a.Keys, w.ValueStride)
	w.o, w.lse, w.do, w.dq, w.dk, w.dv = o, lse, do, dq, dk, dv
	w.inner = grow(w.inner, a.Rows*a.Heads*a.Queries)
	heads := a.Rows * a.Heads
	par.Rows(heads, w.grain(2*a.Queries*a.HeadDim), w.doInner)
	if procs := runtime.GOMAXPROCS(0); procs == 1 || heads >= 2*procs {
		par.Rows(heads, w.grain(10*a.Queries*a.Keys*a.HeadDim), w.doGrad)
		return
	}
	// Too few for all processors: the weights are computed twice, once by queries
	// and once by keys. Every sum is the same.
	par.Rows(heads*w.blocks, w.grain(6*queryBlock*a.Keys*a.HeadDim), w.doQueryGrad)
	par.Rows(heads*w.shares, w.grain(8*keyShare*a.Queries*a.HeadDim), w.doKeyGrad)
}

// An attentionWork is one call. It is reused with its closures and its room.
type attentionWork struct {
	Attention
	width                                              int // Heads·HeadDim
	blocks, shares                                     int
	q, k, v, o, lse, do, dq, dk, dv                    []float32
	inner                                              []float32 // do_i·o_i
	doForward, doInner, doGrad, doQueryGrad, doKeyGrad func(lo, hi int)
}

var attentions = freelist.List[attentionWork]{New: func() *attentionWork {
	w := new(attentionWork)
	w.doForward, w.doInner = w.forward, w.inners
	w.doGrad, w.doQueryGrad, w.doKeyGrad = w.grads, w.queryGrads, w.keyGrads
	return w
}}

func (w *attentionWork) release() {
	w.q, w.k, w.v, w.o, w.lse, w.do, w.dq, w.dk, w.dv = nil, nil, nil, nil, nil, nil, nil, nil, nil
	attentions.Put(w)
}

func (w *attentionWork) start(a Attention, q, k, v []float32) {
	w.width = a.Heads * a.HeadDim
	for _, stride := range []*int{&a.QueryStride, &a.KeyStride, &a.ValueStride} {
		if *stride == 0 {
			*stride = w.width
		}
		if *stride < w.width {
			panic(fmt.Sprintf("f32: Attention needs strides of at least %d values, got %d", w.width, *stride))
		}
	}
	if a.Rows < 0 || a.Queries < 0 || a.Keys < 1 || a.Heads < 1 || a.HeadDim < 1 {
		panic("f32: Attention needs keys, heads of some size, and no negative number of rows or queries")
	}
	if a.Scale == 0 {
		a.Scale = float32(1 / math.Sqrt(float64(a.HeadDim)))
	}
	w.Attention, w.q, w.k, w.v = a, q, k, v
	w.checkTokens("q", q, a.Queries, a.QueryStride)
	w.checkTokens("k", k, a.Keys, a.KeyStride)
	w.checkTokens("v", v, a.Keys, a.ValueStride)
	w.blocks, w.shares = (a.Queries+queryBlock-1)/queryBlock, (a.Keys+keyShare-1)/keyShare
}

// checkTokens panics unless x holds tokens of all rows, the last one to its end.
func (w *attentionWork) checkTokens(name string, x []float32, tokens, stride int) {
	if w.Rows > 0 && tokens > 0 {
		checkLen(name, x[min(len(x), w.width):], w.Rows*tokens-1, stride)
		checkLen(name, x, w.width)
	}
}

// grain returns how many tasks of so many operations are worth a worker.
func (w *attentionWork) grain(flops int) int { return max(1, flopGrain/max(1, flops)) }

// head returns where head h of all, row by row, begins in tokens of a stride.
func (w *attentionWork) head(h, tokens, stride int) int {
	return h/w.Heads*tokens*stride + h%w.Heads*w.HeadDim
}

// attentionScratch is the work space of one worker. Packed arrays are in panels of
// nr columns; those of heads are padded to whole panels.
type attentionScratch struct {
	keysAcross, valuesAcross []float32 // packed: a column for each key
	keys, values             []float32 // packed: a row for each key
	queries, gradients       []float32 // packed: a row for each query of q and of do
	weights, slopes          []float32 // p and ds: a row for each query
	out                      []float32 // o, not divided yet
	dk, dv                   []float32
	most                     [queryBlocks * queryBlock]float32 // the largest s of a query
	total                    [queryBlocks * queryBlock]float64 // Σ e^(s − most)
	segs                     [(max(queryBlock, keyBlock) + mr - 1) / mr]segment
	tile                     [mr * nr]float32
}

var attentionScratches = freelist.List[attentionScratch]{New: func() *attentionScratch {
	s := new(attentionScratch)
	s.weights, s.slopes = make([]float32, queryBlock*weightLD), make([]float32, queryBlock*weightLD)
	return s
}}

func (s *attentionScratch) release() {
	clear(s.segs[:])
	attentionScratches.Put(s)
}

// product computes C = α A B + β C for C of m×n, where element p < k of row i of A
// is a[i·lda + p·sa], and B is packed in panels.
func (s *attentionScratch) product(m, n, k int, alpha float32, a []float32, lda, sa int, b []float32, beta float32, c []float32, ldc int) {
	segs := s.segs[:(m+mr-1)/mr]
	for t := range segs {
		segs[t].n = k
		for r := range min(mr, m-t*mr) {
			segs[t].rows[r] = &a[(t*mr+r)*lda]
		}
	}
	for j := 0; j < n; j += nr {
		panel := b[j*k:]
		for t := range segs {
			to := c[t*mr*ldc+j:]
			edge(s.tile[:], min(mr, m-t*mr), min(nr, n-j), segs[t:t+1], 0, sa, panel, nr, to, ldc, to, ldc, alpha, beta)
		}
	}
}

// packAcross packs count rows of n values as n rows of count columns.
func packAcross(room *[]float32, x []float32, ld, count, n int) []float32 {
	*room = grow(*room, panels(count)*nr*n)
	for j := 0; j < count; j += nr {
		packColumns((*room)[j*n:], x[j*ld:], ld, min(nr, count-j), n)
	}
	return *room
}

// packAlong packs count rows of n values as they are.
func packAlong(room *[]float32, x []float32, ld, count, n int) []float32 {
	*room = grow(*room, panels(n)*nr*count)
	for j := 0; j < n; j += nr {
		packRows((*room)[j*count:], x[j:], ld, min(nr, n-j), count)
	}
	return *room
}

// forward does the blocks of queries from lo to hi, some of one head at a time.
func (w *attentionWork) forward(lo, hi int) {
	s := attentionScratches.Get()
	defer s.release()
	for t := lo; t < hi; {
		h, b := t/w.blocks, t%w.blocks
		count := min(queryBlocks, hi-t, w.blocks-b)
		w.forwardHead(s, h, b*queryBlock, min(w.Queries, (b+count)*queryBlock))
		t += count
	}
}

// forwardHead computes the queries from lo to hi of head h.
func (w *attentionWork) forwardHead(s *attentionScratch, h, lo, hi int) {
	d, padded := w.HeadDim, panels(w.HeadDim)*nr
	s.out = grow(s.out, (hi-lo)*padded)
	q := w.q[w.head(h, w.Queries, w.QueryStride):]
	for from := 0; from < w.Keys; from += keyBlock {
		keys := min(keyBlock, w.Keys-from)
		across := packAcross(&s.keysAcross, w.k[w.head(h, w.Keys, w.KeyStride)+from*w.KeyStride:], w.KeyStride, keys, d)
		values := packAlong(&s.values, w.v[w.head(h, w.Keys, w.ValueStride)+from*w.ValueStride:], w.ValueStride, keys, d)
		for i := lo; i < hi; i += queryBlock {
			count := min(queryBlock, hi-i)
			s.product(count, panels(keys)*nr, d, w.Scale, q[i*w.QueryStride:], w.QueryStride, 1, across, 0, s.weights, weightLD)
			out := s.out[(i-lo)*padded:]
			for r := range count {
				p, most, total := s.weights[r*weightLD:][:keys], &s.most[i-lo+r], &s.total[i-lo+r]
				before := *most
				*most = largest(p)
				if from > 0 {
					*most = max(*most, before)
				}
				sum := float64(decayed(p, p, *most))
				if from > 0 {
					shrink := math.Exp(float64(before) - float64(*most))
					sum += *total * shrink
					if shrink != 1 {
						row := out[r*padded:][:padded]
						scaled(row, row, float32(shrink))
					}
				}
				*total = sum
			}
			beta := float32(1)
			if from == 0 {
				beta = 0
			}
			s.product(count, padded, keys, 1, s.weights, weightLD, 1, values, beta, out, padded)
		}
	}
	o, lse := w.o[w.head(h, w.Queries, w.width):], w.lse[h*w.Queries:]
	for i := lo; i < hi; i++ {
		total := s.total[i-lo]
		scaled(o[i*w.width:][:d], s.out[(i-lo)*padded:][:d], float32(1/total))
		lse[i] = float32(float64(s.most[i-lo]) + math.Log(total))
	}
}

// inners computes do_i·o_i for the heads from lo to hi.
func (w *attentionWork) inners(lo, hi int) {
	for h := lo; h < hi; h++ {
		at := w.head(h, w.Queries, w.width)
		for i := range w.Queries {
			x := at + i*w.width
			w.inner[h*w.Queries+i] = float32(dot(w.do[x:x+w.HeadDim], w.o[x:x+w.HeadDim]))
		}
	}
}

func (w *attentionWork) grads(lo, hi int) {
	for h := lo; h < hi; h++ {
		w.gradHead(h, 0, w.Queries, 0, w.Keys, true, true)
	}
}

func (w *attentionWork) queryGrads(lo, hi int) {
	for t := lo; t < hi; {
		h, b := t/w.blocks, t%w.blocks
		count := min(hi-t, w.blocks-b)
		w.gradHead(h, b*queryBlock, min(w.Queries, (b+count)*queryBlock), 0, w.Keys, true, false)
		t += count
	}
}

func (w *attentionWork) keyGrads(lo, hi int) {
	for t := lo; t < hi; {
		h, share := t/w.shares, t%w.shares
		count := min(hi-t, w.shares-share)
		w.gradHead(h, 0, w.Queries, share*keyShare, min(w.Keys, (share+count)*keyShare), false, true)
		t += count
	}
}

// gradHead computes, for head h, the gradients of the queries from lo to hi by
// the keys from first to last, or those of the keys by the queries, or both. What
// is summed over begins and ends with blocks.
func (w *attentionWork) gradHead(h, lo, hi, first, last int, ofQueries, ofKeys bool) {
	s := attentionScratches.Get()
	defer s.release()
	d, padded := w.HeadDim, panels(w.HeadDim)*nr
	queries, keys, values := w.head(h, w.Queries, w.QueryStride), w.head(h, w.Keys, w.KeyStride), w.head(h, w.Keys, w.ValueStride)
	q, dq := w.q[queries:], w.dq[queries:]
	do := w.do[w.head(h, w.Queries, w.width):]
	for from := first; from < last; from += keyBlock {
		count := min(keyBlock, last-from)
		k, v := w.k[keys+from*w.KeyStride:], w.v[values+from*w.ValueStride:]
		keysAcross := packAcross(&s.keysAcross, k, w.KeyStride, count, d)
		valuesAcross := packAcross(&s.valuesAcross, v, w.ValueStride, count, d)
		var keysAlong []float32
		if ofQueries {
			keysAlong = packAlong(&s.keys, k, w.KeyStride, count, d)
		}
		if ofKeys {
			s.dk, s.dv = grow(s.dk, count*padded), grow(s.dv, count*padded)
			if lo == hi {
				clear(s.dk)
				clear(s.dv)
			}
		}
		for i := lo; i < hi; i += queryBlock {
			n := min(queryBlock, hi-i)
			qi, doi := q[i*w.QueryStride:], do[i*w.width:]
			s.product(n, panels(count)*nr, d, w.Scale, qi, w.QueryStride, 1, keysAcross, 0, s.weights, weightLD)
			s.product(n, panels(count)*nr, d, 1, doi, w.width, 1, valuesAcross, 0, s.slopes, weightLD)
			for r := range n {
				p, ds := s.weights[r*weightLD:][:count], s.slopes[r*weightLD:][:count]
				decayed(p, p, w.lse[h*w.Queries+i+r])
				opShiftedMul.apply(ds, ds, p, nil, numbers{w.inner[h*w.Queries+i+r]})
			}
			if ofQueries {
				beta := float32(1)
				if from == 0 {
					beta = 0
				}
				s.product(n, d, count, w.Scale, s.slopes, weightLD, 1, keysAlong, beta, dq[i*w.QueryStride:], w.QueryStride)
			}
			if ofKeys {
				beta := float32(1)
				if i == 0 {
					beta = 0
				}
				s.product(count, padded, n, 1, s.weights, 1, weightLD, packAlong(&s.gradients, doi, w.width, n, d), beta, s.dv, padded)
				s.product(count, padded, n, w.Scale, s.slopes, 1, weightLD, packAlong(&s.queries, qi, w.QueryStride, n, d), beta, s.dk, padded)
			}
		}
		if ofKeys {
			dk, dv := w.dk[keys+from*w.KeyStride:], w.dv[values+from*w.ValueStride:]
			for j := range count {
				copy(dk[j*w.KeyStride:][:d], s.dk[j*padded:])
				copy(dv[j*w.ValueStride:][:d], s.dv[j*padded:])
			}
		}
	}
}
