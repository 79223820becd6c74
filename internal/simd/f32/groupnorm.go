package f32

import "math"

// GroupNorm is the shape of the normalisation of channels-last images [Rows,
// Pixels, Channels] over groups of channels that follow each other:
//
//	y[r, p, c] = γ_c (x[r, p, c] − mean) rstd + β_c,  rstd = 1/√(var + Epsilon)
//
// with mean and variance, the mean of squares about it, of row r and the group
// of c over all pixels. A row depends on itself alone, bit for bit.
//
// With PerRow, γ and β and their gradients are [Rows, Channels]: a scale and a
// shift that depend on the row take no pass of their own.
type GroupNorm struct {
	Rows, Pixels, Channels, Groups int
	Epsilon                        float64
	PerRow                         bool
}

// Statistics writes the mean and rstd of x into arrays [Rows, Groups]. The sums
// are in float64, in which squares of float32 values are exact: with n values in
// a group, the variance is within n·2⁻⁵²·(var + mean²) of the exact one.
func (g GroupNorm) Statistics(mean, rstd, x []float32) {
	w := passes.Get()
	defer w.release()
	g.start(w, mean, rstd, x)
	w.second = x
	w.sweep(g.images(), moveGrain, (*pass).blockSums, (*pass).statistics, nil)
}

// Apply writes y for the statistics of x.
// With silu it writes SiLU of y, in the same pass. y may be x.
func (g GroupNorm) Apply(y, x, mean, rstd, gamma, beta []float32, silu bool) {
	w := passes.Get()
	defer w.release()
	g.start(w, mean, rstd, x)
	g.affine(w, y, gamma, beta, silu)
	w.sweep(g.images(), w.grain(), nil, nil, (*pass).applyNorm)
}

// Forward is Statistics and then Apply, row by row while a row is in the cache.
func (g GroupNorm) Forward(y, mean, rstd, x, gamma, beta []float32, silu bool) {
	w := passes.Get()
	defer w.release()
	g.start(w, mean, rstd, x)
	g.affine(w, y, gamma, beta, silu)
	w.second = x
	w.sweep(g.images(), w.grain(), (*pass).blockSums, (*pass).statistics, (*pass).applyNorm)
}

// Grad writes the gradient of x for the gradient dy of y into dx, and adds those
// of γ and β to dgamma and dbeta:
//
//	dx = rstd (γ dy − mean of γ dy − x̂ · mean of γ dy x̂),  x̂ = (x − mean) rstd
//
// with means over the group and all pixels. The sums are in float64, over pixels
// and then rows in order. dx may be dy.
func (g GroupNorm) Grad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma []float32) {
	g.grad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, nil)
}

// GradSiLU is Grad for the gradient dz of z = SiLU(y), which Apply and Forward
// write with silu. y is computed anew from x. dx may be dz.
func (g GroupNorm) GradSiLU(dx, dgamma, dbeta, dz, x, mean, rstd, gamma, beta []float32) {
	checkLen("beta", beta, g.vectors(), g.Channels)
	g.grad(dx, dgamma, dbeta, dz, x, mean, rstd, gamma, beta)
}

func (g GroupNorm) grad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, beta []float32) {
	w := passes.Get()
	defer w.release()
	g.start(w, mean, rstd, x)
	g.affine(w, dx, gamma, beta, beta != nil)
	checkLen("the gradient of y", dy, g.Rows, g.Pixels, g.Channels)
	checkLen("dgamma", dgamma, g.vectors(), g.Channels)
	checkLen("dbeta", dbeta, g.vectors(), g.Channels)
	w.second = dy
	w.room = grow(w.room, 3*g.Rows*g.Channels)
	w.sweep(g.images(), w.grain(), (*pass).normSums, (*pass).normMeans, (*pass).normGrad)
	for r := range g.Rows {
		plain, normal := w.channelSums(r, 0)
		if !g.PerRow && r < g.Rows-1 { // pass them on
			p, n := w.channelSums(r+1, 0)
			for c := range plain {
				p[c] += plain[c]
				n[c] += normal[c]
			}
			continue
		}
		at := g.vector(r)
		for c := range plain {
			dbeta[at+c] += float32(plain[c])
			dgamma[at+c] += float32(normal[c])
		}
	}
}

// vectors returns the number of values of γ for a channel, vector where those
// of row r begin.
func (g *GroupNorm) vectors() int {
	if g.PerRow {
		return g.Rows
	}
	return 1
}

func (g *GroupNorm) vector(r int) int {
	if g.PerRow {
		return r * g.Channels
	}
	return 0
}

func (g GroupNorm) images() Images { return Images{g.Rows, g.Pixels, g.Channels} }

// start takes over what all passes share.
func (g GroupNorm) start(w *pass, mean, rstd, x []float32) {
	if g.Rows < 0 || g.Pixels < 1 || g.Groups < 1 || g.Channels < g.Groups || g.Channels%g.Groups != 0 {
		panic("f32: GroupNorm needs pixels, and channels that groups divide")
	}
	checkLen("x", x, g.Rows, g.Pixels, g.Channels)
	checkLen("mean", mean, g.Rows, g.Groups)
	checkLen("rstd", rstd, g.Rows, g.Groups)
	w.norm, w.mean, w.rstd, w.src = g, mean, rstd, x
}

// affine takes over the rest of what y or its gradient needs. beta may be nil.
func (g GroupNorm) affine(w *pass, dst, gamma, beta []float32, silu bool) {
	checkLen("the result", dst, g.Rows, g.Pixels, g.Channels)
	checkLen("gamma", gamma, g.vectors(), g.Channels)
	if beta != nil {
		checkLen("beta", beta, g.vectors(), g.Channels)
	}
	w.dst, w.gamma, w.shift, w.activate = dst, gamma, beta, silu
}

// grain returns the number of values worth waking a worker for.
func (w *pass) grain() int {
	if w.activate {
		return expGrain
	}
	return moveGrain
}

// statistics finishes the sums of row r.
func (w *pass) statistics(r int) {
	g := &w.norm
	sums, squares := w.rowSums(r)
	size := g.Channels / g.Groups
	count := float64(size * g.Pixels)
	for i := range g.Groups {
		sum, square := 0.0, 0.0
		for c := i * size; c < (i+1)*size; c++ {
			sum += sums[c]
			square += squares[c]
		}
		mean := sum / count
		w.mean[r*g.Groups+i] = float32(mean)
		w.rstd[r*g.Groups+i] = float32(1 / math.Sqrt(max(0, square/count-mean*mean)+g.Epsilon))
	}
}

// normPattern returns a and b with y = a x + b in row r, repeated.
func (w *pass) normPattern(p *pattern, r int) (a, b []float32) {
	g := &w.norm
	a, b = p.of(0, &w.images), p.of(1, &w.images)
	gamma, beta := w.gamma[g.vector(r):], w.shift[g.vector(r):]
	size := g.Channels / g.Groups
	for i := range g.Groups {
		mean, rstd := float64(w.mean[r*g.Groups+i]), float64(w.rstd[r*g.Groups+i])
		for c := i * size; c < (i+1)*size; c++ {
			scale := float64(gamma[c]) * rstd
			a[c], b[c] = float32(scale), float32(float64(beta[c])-mean*scale)
		}
	}
	repeat(a, g.Channels)
	repeat(b, g.Channels)
	return a, b
}

// applyNorm writes a block of y or of SiLU(y).
func (w *pass) applyNorm(r, b int) {
	p := patterns.Get()
	defer patterns.Put(p)
	scale, shift := w.normPattern(p, r)
	f := opMulAdd
	if w.activate {
		f = opAffineSiLU
	}
	w.images.chunks(r, b, len(scale), func(lo, hi int) {
		f.apply(w.dst[lo:hi], w.src[lo:hi], scale, shift, numbers{})
	})
}

// normSiLUGrad writes a block of the gradient of y for that of SiLU(y).
func (w *pass) normSiLUGrad(r, b int) {
	p := patterns.Get()
	defer patterns.Put(p)
	scale, shift := w.normPattern(p, r)
	w.images.chunks(r, b, len(scale), func(lo, hi int) {
		affineSiLUGrad(w.dst[lo:hi], w.second[lo:hi], w.src[lo:hi], scale, shift)
	})
}

// normSums sums dy and dy x over a block, for each channel. With SiLU it writes
// dy into dx first.
func (w *pass) normSums(r, b int) {
	lo, hi := w.images.block(r, b)
	dy := w.second[lo:hi]
	if w.activate {
		w.normSiLUGrad(r, b)
		dy = w.dst[lo:hi]
	}
	plain, product := w.channelSums(r, b)
	channelSums(plain, product, dy, w.src[lo:hi])
}

// coefficients returns a, b and c with dx = a dy + b x + c in row r.
func (w *pass) coefficients(r int) (a, b, c []float32) {
	n := w.norm.Channels
	room := w.room[3*r*n : 3*(r+1)*n]
	return room[:n], room[n : 2*n], room[2*n:]
}

// normMeans makes Σ dy x̂ of Σ dy x, and the coefficients of row r.
func (w *pass) normMeans(r int) {
	g := &w.norm
	size, count := g.Channels/g.Groups, float64(g.Channels/g.Groups*g.Pixels)
	plain, normal := w.rowSums(r)
	gamma := w.gamma[g.vector(r):]
	a, b, constant := w.coefficients(r)
	for from := 0; from < g.Channels; from += size {
		mean, rstd := float64(w.mean[r*g.Groups+from/size]), float64(w.rstd[r*g.Groups+from/size])
		meanPlain, meanNormal := 0.0, 0.0
		for c := from; c < from+size; c++ {
			normal[c] = (normal[c] - mean*plain[c]) * rstd
			meanPlain += float64(gamma[c]) * plain[c] / count
			meanNormal += float64(gamma[c]) * normal[c] / count
		}
		for c := from; c < from+size; c++ {
			a[c] = float32(rstd * float64(gamma[c]))
			b[c] = float32(-rstd * rstd * meanNormal)
			constant[c] = float32(rstd * (mean*rstd*meanNormal - meanPlain))
		}
	}
}

// normGrad writes a block of dx.
func (w *pass) normGrad(r, b int) {
	p := patterns.Get()
	defer patterns.Put(p)
	n := w.norm.Channels
	c0, c1, c2 := w.coefficients(r)
	v0, v1, v2 := p.of(0, &w.images), p.of(1, &w.images), p.of(2, &w.images)
	copy(v0, c0)
	copy(v1, c1)
	copy(v2, c2)
	repeat(v0, n)
	repeat(v1, n)
	repeat(v2, n)
	dy := w.second
	if w.activate {
		dy = w.dst
	}
	w.images.chunks(r, b, len(v0), func(lo, hi int) {
		affine2(w.dst[lo:hi], dy[lo:hi], w.src[lo:hi], v0, v1, v2)
	})
}
