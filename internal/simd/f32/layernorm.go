package f32

import "math"

// LayerNorm is the shape of the normalisation of rows of n values:
//
//	y[r, j] = γ_j (x[r, j] − mean_r) rstd_r + β_j,  rstd = 1/√(var + Epsilon)
//
// with mean and variance, the mean of squares about it, of the row. A row of y or
// of the gradient of x depends on itself alone, bit for bit.
type LayerNorm struct {
	Rows, N int
	Epsilon float64
}

// Forward writes y, and the statistics of x into arrays of Rows values, with sums
// in float64 as for [GroupNorm.Statistics]. γ and β have N values; both may be nil
// for ones and zeros, and β alone. y may be x.
func (l LayerNorm) Forward(y, mean, rstd, x, gamma, beta []float32) {
	w := passes.Get()
	defer w.release()
	l.start(w, y, mean, rstd, x, gamma)
	if beta != nil {
		checkLen("beta", beta, l.N)
		if gamma == nil {
			panic("f32: LayerNorm with β needs γ")
		}
	}
	w.shift = beta
	w.split(l.Rows, moveGrain/l.N, (*pass).layers)
}

// Grad writes the gradient of x for the gradient dy of y into dx, and adds those
// of γ and β to dgamma and dbeta, which may be nil:
//
//	dx = rstd (γ dy − mean of γ dy − x̂ · mean of γ dy x̂),  x̂ = (x − mean) rstd
//
// with means over the row. The sums are in float64, those over rows in an order
// that is a function of Rows and N. dx may be dy; γ may be nil for ones.
func (l LayerNorm) Grad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma []float32) {
	w := passes.Get()
	defer w.release()
	l.start(w, dx, mean, rstd, x, gamma)
	checkLen("dy", dy, l.Rows, l.N)
	for _, grad := range [][]float32{dgamma, dbeta} {
		if grad != nil {
			checkLen("the gradients of γ and β", grad, l.N)
		}
	}
	w.second, w.activate = dy, dgamma != nil || dbeta != nil
	// The rows are the pixels of one image of N channels.
	w.sweep(Images{1, l.Rows, l.N}, moveGrain, (*pass).layerGrad, nil, nil)
	if !w.activate {
		return
	}
	plain, normal := w.rowSums(0)
	for j := range plain {
		if dbeta != nil {
			dbeta[j] += float32(plain[j])
		}
		if dgamma != nil {
			dgamma[j] += float32(normal[j])
		}
	}
}

// start takes over what both passes share. gamma may be nil.
func (l LayerNorm) start(w *pass, dst, mean, rstd, x, gamma []float32) {
	if l.Rows < 0 || l.N < 1 {
		panic("f32: LayerNorm needs values in a row, and no negative number of rows")
	}
	checkLen("the result", dst, l.Rows, l.N)
	checkLen("mean", mean, l.Rows)
	checkLen("rstd", rstd, l.Rows)
	checkLen("x", x, l.Rows, l.N)
	if gamma != nil {
		checkLen("gamma", gamma, l.N)
		gamma = gamma[:l.N]
	}
	w.layer, w.dst, w.mean, w.rstd, w.src, w.gamma = l, dst, mean, rstd, x, gamma
}

func (w *pass) layers(lo, hi int) {
	n := w.layer.N
	for r := lo; r < hi; r++ {
		x, y := w.src[r*n:(r+1)*n], w.dst[r*n:(r+1)*n]
		sum, square := sums(x, x)
		mean := sum / float64(n)
		rstd := float32(1 / math.Sqrt(max(0, square/float64(n)-mean*mean)+w.layer.Epsilon))
		w.mean[r], w.rstd[r] = float32(mean), rstd
		k := numbers{float32(mean), rstd}
		switch {
		case w.gamma == nil:
			opNormalize.apply(y, x, nil, nil, k)
		case w.shift == nil:
			opNormalize.apply(y, x, nil, nil, k)
			opMul.apply(y, y, w.gamma, nil, numbers{})
		default:
			opNormalizeAffine.apply(y, x, w.gamma, w.shift, k)
		}
	}
}

// layerGrad does a block of rows.
func (w *pass) layerGrad(_, b int) {
	n := w.layer.N
	lo, hi := w.images.block(0, b)
	p := patterns.Get() // its first two vectors are x̂ of the block and γ dy of a row
	defer patterns.Put(p)
	p.vectors[0], p.vectors[1] = grow(p.vectors[0], hi-lo), grow(p.vectors[1], n)
	normal, weighted := p.vectors[0], p.vectors[1]
	for at := lo; at < hi; at += n {
		opNormalize.apply(normal[at-lo:at-lo+n], w.src[at:at+n], nil, nil, numbers{w.mean[at/n], w.rstd[at/n]})
	}
	if w.activate { // before dx overwrites dy
		plain, product := w.channelSums(0, b)
		channelSums(plain, product, w.second[lo:hi], normal)
	}
	for at := lo; at < hi; at += n {
		x, dy, dx := normal[at-lo:at-lo+n], w.second[at:at+n], w.dst[at:at+n]
		if w.gamma != nil {
			opMul.apply(weighted, dy, w.gamma, nil, numbers{})
			dy = weighted
		}
		plain, product := sums(dy, x)
		rstd := w.rstd[at/n]
		share := -float64(rstd) / float64(n)
		opCombine.apply(dx, dy, x, nil, numbers{rstd, float32(share * product), float32(share * plain)})
	}
}
