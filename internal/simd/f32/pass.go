package f32

import "snrlab/internal/freelist"

// A pass is one call of a function that goes over arrays once. It is reused
// with its closures, so that a call allocates nothing.
type pass struct {
	dst, src, second []float32
	rows, m, n       int
	beta             float32

	norm                     GroupNorm
	mean, rstd, gamma, shift []float32
	activate                 bool
	room                     []float32
	sums                     []float64

	doTranspose, doSumRows, doSiLU, doSiLUGrad, doSoftmax, doSoftmaxGrad, doStatistics, doApply, doNormSiLUGrad, doNormGrad func(lo, hi int)
}

var passes = freelist.List[pass]{New: func() *pass {
	w := new(pass)
	w.doTranspose, w.doSumRows = w.transpose, w.sumRows
	w.doSiLU, w.doSiLUGrad = w.silu, w.siluGrad
	w.doSoftmax, w.doSoftmaxGrad = w.softmax, w.softmaxGrad
	w.doStatistics, w.doApply = w.statistics, w.apply
	w.doNormSiLUGrad, w.doNormGrad = w.normSiLUGrad, w.normGrad
	return w
}}

// release lets go of the caller's arrays and makes the pass free for reuse.
func (w *pass) release() {
	w.dst, w.src, w.second = nil, nil, nil
	w.mean, w.rstd, w.gamma, w.shift = nil, nil, nil, nil
	passes.Put(w)
}
