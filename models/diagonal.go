package models

import (
	"math"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
	"snrlab/internal/simd"
	"snrlab/schedules"
)

// diagonal is the family of covariances diag(ψ) + Wᵀ W with rank q loadings W
// (q×dim, not orthogonal). With v = α² ψ + σ², H = diag(1/v), y = x − α m,
// S = I + α² W H Wᵀ and the posterior mean of the factors z = α S⁻¹ W H y,
//
//	yᵀ C⁻¹ y  = |y − α Wᵀ z|²_H + |z|² = |y|²_H − zᵀ S z
//	log det C = Σ log v + log det S
//	D_k       = σ² H (m + Wᵀ z) + α ψ H x
//	Cov_k     = σ² ψ H + σ⁴ H Wᵀ S⁻¹ W H
//	C⁻¹ y     = H (y − α Wᵀ z)
//	tr C⁻¹    = tr H − α² tr(S⁻¹ W H² Wᵀ)
//
// H depends on the level, so the stacked means and loadings are scaled anew for
// every level of a query (rows that follow each other with the same level
// share one), after which the products are of matrices as in stack. S has the
// condition number of the loadings, not of α²/σ², so z is accurate at every
// level; the second form of the quadratic is used to choose components and the
// first, which does not cancel, where its rounding error would matter.
type diagonal struct {
	*parts
	logw   []float64
	widest []float64 // K: |m|
	blocks freelist.List[diagonalBlock]
	ranges freelist.List[diagonalRange]
}

func newDiagonal(p *parts, logw []float64) *diagonal {
	f := &diagonal{parts: p, logw: logw}
	f.blocks.New = func() *diagonalBlock { return newDiagonalBlock(f) }
	f.ranges.New = func() *diagonalRange {
		return &diagonalRange{
			responsibilities: newResponsibilities(p.k), y: make([]float64, p.dim), spread: newSpread(p.dim),
			rate: make([]float64, p.k), inv: make([]float64, p.k*p.dim), est: make([]float64, p.k*p.dim), z: make([]float64, p.q),
		}
	}
	f.widest = make([]float64, p.k)
	for k := range p.k {
		f.widest[k] = math.Sqrt(simd.Dot(p.mean(k), p.mean(k)))
	}
	return f
}

// diagonalBlock is the workspace of up to blockRows rows at one level.
type diagonalBlock struct {
	f     *diagonal
	a     ask
	lo, n int
	level diagonalLevel

	x, xx []float64 // n×dim: states less α·centre; their squares
	xv    []float64 // n×dim: their products with the vectors v
	p, pv []float64 // n×K(1+q): X·scaledᵀ and V·scaledᵀ, then coefficients
	r     []float64 // n×K: |x|² in H − H₀, then responsibilities
	e     []float64 // n×K: (x∘v)·spreadᵀ, then coefficients
	out   []float64 // n×dim
	buf   []float64 // n×dim

	scale, square, solve func(lo, hi int)
}

// diagonalLevel holds what depends on the level alone.
type diagonalLevel struct {
	at     schedules.Level
	ready  bool
	scaled []float64 // K(1+q)×dim: H m and H W
	h      []float64 // K×dim: H
	dh     []float64 // K×dim: H − H₀ = α²(ψ₀ − ψ) H H₀, beyond what all components share
	g      []float64 // K×dim: ψ H
	chol   []float64 // K×q×q: lower Cholesky factor of S
	wm     []float64 // K×q: W H m
	mm     []float64 // K: mᵀ H m
	logc   []float64 // K: log w_k − ½ log det C_k
	sharp  []float64 // K: largest entry of H
	apart  []float64 // K: largest entry of H − H₀, in size
	own    []float64 // K: tr Cov_k, and room for q; empty until asked for
	traced bool
	trace  []float64 // K: tr C⁻¹, once traced
}

// diagonalRange is the workspace of one worker.
type diagonalRange struct {
	responsibilities
	y      []float64 // dim
	spread spread
	rate   []float64 // K: γ_k
	inv    []float64 // K×dim: C_k⁻¹ y_k
	est    []float64 // K×dim: component k's estimate less the centre
	z      []float64 // q
}

func newDiagonalBlock(f *diagonal) *diagonalBlock {
	n := func(n int) []float64 { return make([]float64, n) }
	b := &diagonalBlock{f: f, level: diagonalLevel{
		scaled: n(len(f.rows)), h: n(f.k * f.dim), dh: n(f.k * f.dim), g: n(f.k * f.dim),
		chol: n(f.k * f.q * f.q), wm: n(f.k * f.q),
		mm: n(f.k), logc: n(f.k), sharp: n(f.k), apart: n(f.k), trace: n(f.k),
	}}
	b.scale, b.square, b.solve = b.scaleComponents, b.squareRows, b.solveRows
	return b
}

func (f *diagonal) answer(a ask) {
	b := f.blocks.Get()
	b.a = a
	for lo := 0; lo < a.q.Rows; {
		at := a.q.Level(lo)
		n := 1
		for lo+n < a.q.Rows && n < blockRows && sameLevel(at, a.q.Level(lo+n)) {
			n++
		}
		if a.want != wantLogDensity && noiseless(at) {
			for i := lo; i < lo+n; i++ {
				atNoNoise(a.rowOf(i, f.dim), a, i)
			}
		} else {
			b.setLevel(at)
			b.run(lo, n)
		}
		lo += n
	}
	b.a = ask{}
	f.blocks.Put(b)
}

func (b *diagonalBlock) setLevel(at schedules.Level) {
	if b.level.ready && sameLevel(b.level.at, at) {
		return
	}
	b.level.at, b.level.ready, b.level.own, b.level.traced = at, true, b.level.own[:0], false
	par.Rows(b.f.k, 1, b.scale)
}

func (b *diagonalBlock) scaleComponents(lo, hi int) {
	f, t := b.f, &b.level
	d, q := f.dim, f.q
	a2, s2 := t.at.Alpha*t.at.Alpha, t.at.Sigma*t.at.Sigma
	for k := lo; k < hi; k++ {
		h, dh, g := t.h[k*d:(k+1)*d], t.dh[k*d:(k+1)*d], t.g[k*d:(k+1)*d]
		logdet, product := 0.0, 1.0
		t.sharp[k], t.apart[k] = 0, 0
		for i, psi := range f.resid[k*d : (k+1)*d] {
			v := float64(a2*psi) + s2
			h[i], g[i] = 1/v, psi/v
			psi0 := f.resid[i]
			dh[i] = a2 * (psi0 - psi) / v / (float64(a2*psi0) + s2)
			t.sharp[k], t.apart[k] = max(t.sharp[k], h[i]), max(t.apart[k], math.Abs(dh[i]))
			if product *= v; product > 1e50 || product < 1e-50 {
				logdet += math.Log(product)
				product = 1
			}
		}
		logdet += math.Log(product)
		for j := range q + 1 {
			scaled := t.scaled[(k*(q+1)+j)*d:][:d]
			for i, w := range f.row(k, j) {
				scaled[i] = w * h[i]
			}
		}
		mean := t.scaled[k*(q+1)*d:][:d]
		t.mm[k] = simd.Dot(mean, f.mean(k))
		chol := t.chol[k*q*q : (k+1)*q*q]
		for j := range q {
			t.wm[k*q+j] = simd.Dot(mean, f.row(k, j+1))
			scaled := t.scaled[(k*(q+1)+j+1)*d:][:d]
			for i := range j + 1 {
				chol[j*q+i] = a2 * simd.Dot(scaled, f.row(k, i+1))
			}
			chol[j*q+j]++
		}
		cholesky(chol, q)
		for j := range q {
			logdet += 2 * math.Log(chol[j*q+j])
		}
		t.logc[k] = f.logw[k] - 0.5*logdet
	}
}

func (b *diagonalBlock) run(lo, n int) {
	f, t, d, w := b.f, &b.level, b.f.dim, b.f.k*(b.f.q+1)
	b.lo, b.n = lo, n
	b.x, b.xx = resize(b.x, n*d), resize(b.xx, n*d)
	b.p, b.r = resize(b.p, n*w), resize(b.r, n*f.k)
	cov := b.a.want == wantCov
	if cov {
		b.xv, b.pv, b.e = resize(b.xv, n*d), resize(b.pv, n*w), resize(b.e, n*f.k)
	}
	par.Rows(n, 16, b.square)
	simd.Gemm(false, true, n, w, d, 1, b.x, d, t.scaled, d, 0, b.p, w)
	simd.Gemm(false, true, n, f.k, d, 1, b.xx, d, t.dh, d, 0, b.r, f.k)
	spread, factor := t.spread()
	if cov {
		simd.Gemm(false, true, n, w, d, 1, b.a.v[lo*d:], d, t.scaled, d, 0, b.pv, w)
		simd.Gemm(false, true, n, f.k, d, factor, b.xv, d, spread, d, 0, b.e, f.k)
	}
	switch b.a.want {
	case wantTrace:
		t.setOwn(f)
	case wantRate:
		f.traces(t)
	}
	par.Rows(n, 1, b.solve)
	if b.a.want.scalar() || b.a.want == wantRate {
		return
	}
	b.out, b.buf = resize(b.out, n*d), resize(b.buf, n*d)
	simd.Gemm(false, false, n, d, w, 1, b.p, w, t.scaled, d, 0, b.out, d)
	simd.Gemm(false, false, n, d, f.k, 1, b.r, f.k, t.g, d, 0, b.buf, d)
	dst := b.a.dst[lo*d : (lo+n)*d]
	if !cov {
		for i := range n {
			for j, c := range f.centre {
				e := i*d + j
				dst[e] = float64(t.at.Alpha*b.buf[e]*b.x[e]) + b.out[e] + c
			}
		}
		return
	}
	v := b.a.v[lo*d : (lo+n)*d]
	s2 := t.at.Sigma * t.at.Sigma
	for e := range v {
		b.out[e] += s2 * b.buf[e] * v[e]
	}
	simd.Gemm(false, false, n, d, f.k, factor, b.e, f.k, spread, d, 0, b.buf, d)
	for e := range dst {
		dst[e] = float64(b.buf[e]*b.x[e]) + b.out[e]
	}
}

// spread returns the matrix and factor by which x enters E_k, component k's
// estimate less a part that all share: less x/α where α ≥ σ, so that every
// term carries σ² and the differences stay accurate as σ → 0.
func (t *diagonalLevel) spread() (matrix []float64, factor float64) {
	if t.at.Alpha >= t.at.Sigma {
		return t.h, -t.at.Sigma * t.at.Sigma / t.at.Alpha
	}
	return t.g, t.at.Alpha
}

func (b *diagonalBlock) squareRows(lo, hi int) {
	d, alpha := b.f.dim, b.level.at.Alpha
	for i := lo; i < hi; i++ {
		x := b.a.q.X[(b.lo+i)*d : (b.lo+i+1)*d]
		for j, c := range b.f.centre {
			y := x[j] - float64(alpha*c)
			b.x[i*d+j], b.xx[i*d+j] = y, y*y
		}
		if b.a.want == wantCov {
			for j, v := range b.a.v[(b.lo+i)*d : (b.lo+i+1)*d] {
				b.xv[i*d+j] = b.x[i*d+j] * v
			}
		}
	}
}

func (b *diagonalBlock) solveRows(lo, hi int) {
	r := b.f.ranges.Get()
	for i := lo; i < hi; i++ {
		b.solveRow(r, i)
	}
	b.f.ranges.Put(r)
}

// solveRow turns row i of p, r and e into coefficients.
func (b *diagonalBlock) solveRow(r *diagonalRange, i int) {
	f, t := b.f, &b.level
	d, w := f.dim, f.k*(f.q+1)
	x, p, resp := b.x[i*d:(i+1)*d], b.p[i*w:(i+1)*w], b.r[i*f.k:(i+1)*f.k]
	label := b.a.label(b.lo + i)
	top, shared := b.exponents(r, x, p, resp, label)
	log := r.normalise(top) + shared
	if b.a.want == wantLogDensity {
		b.a.dst[b.lo+i] = b.a.logDensity(log, label)
		return
	}
	switch b.a.want {
	case wantTrace:
		b.a.dst[b.lo+i] = f.trace(r, t, x, p, log)
		return
	case wantRate:
		dst := b.a.dst[(b.lo+i)*d : (b.lo+i+1)*d]
		if log != log {
			fill(dst, log)
			return
		}
		f.rateRow(dst, t, r, x, p)
		return
	}
	clear(resp)
	if log != log {
		fill(resp, log) // which makes the whole row NaN
	}
	for n, k := range r.active {
		resp[k] = r.share[n]
	}
	s2 := t.at.Sigma * t.at.Sigma
	if b.a.want == wantMean {
		next := 0
		for k := range f.k {
			pk := p[k*(f.q+1) : (k+1)*(f.q+1)]
			if next == len(r.active) || r.active[next] != k {
				clear(pk)
				continue
			}
			next++
			pk[0] = 1
			for j := range pk {
				pk[j] *= s2 * resp[k]
			}
		}
		return
	}
	pv, e := b.pv[i*w:(i+1)*w], b.e[i*f.k:(i+1)*f.k]
	mean := 0.0
	for _, k := range r.active {
		pk, pvk := p[k*(f.q+1):(k+1)*(f.q+1)], pv[k*(f.q+1):(k+1)*(f.q+1)]
		pk[0] = 1
		e[k] += s2 * simd.Dot(pk, pvk)
		mean += resp[k] * e[k]
	}
	next := 0
	for k := range f.k {
		pk, pvk := p[k*(f.q+1):(k+1)*(f.q+1)], pv[k*(f.q+1):(k+1)*(f.q+1)]
		if next == len(r.active) || r.active[next] != k {
			clear(pk)
			e[k] = 0
			continue
		}
		next++
		e[k] = resp[k] * (e[k] - mean)
		solve(t.chol[k*f.q*f.q:(k+1)*f.q*f.q], pvk[1:]) // S⁻¹ W H v
		pk[0] *= s2 * e[k]
		for j := 1; j < len(pk); j++ { // not σ⁴, which overflows long before the sum
			pk[j] = s2 * (float64(e[k]*pk[j]) + resp[k]*(s2*pvk[j]))
		}
	}
}

// exponents fills r.logp with log w_k − ½ log det C_k − ½ yᵀ C_k⁻¹ y, less a
// part that all share, and the loading entries of p with z. It returns the
// largest exponent and that part. r.active lists the components within reach.
func (b *diagonalBlock) exponents(r *diagonalRange, x, p, xh []float64, label int) (top, shared float64) {
	f, t := b.f, &b.level
	alpha := t.at.Alpha
	top, shared = math.Inf(-1), -0.5*simd.WeightedSumSq(x, t.h[:f.dim])
	xx, bound := simd.SumSq(x), 0.0
	for k := range f.k {
		if !b.a.shares.member(k, label) {
			r.logp[k] = math.Inf(-1)
			continue
		}
		pk := p[k*(f.q+1) : (k+1)*(f.q+1)]
		z := pk[1:]
		for j := range z {
			z[j] -= float64(alpha * t.wm[k*f.q+j])
		}
		chol := t.chol[k*f.q*f.q : (k+1)*f.q*f.q]
		forward(chol, z)
		ww := simd.SumSq(z) // |W H y|² in S⁻¹
		quad := xh[k] + alpha*(float64(alpha*(t.mm[k]-ww))-2*pk[0])
		backward(chol, z)
		for j := range z {
			z[j] *= alpha
		}
		r.logp[k] = t.logc[k] - 0.5*quad
		top = max(top, r.logp[k])
		bound = max(bound, t.bound(k, xx, f.widest[k], ww))
	}
	r.within(top - negligible - 2*bound)
	if bound <= refineAbove || (len(r.active) == 1 && b.a.want != wantLogDensity) {
		return top, shared
	}
	top = math.Inf(-1)
	for _, k := range r.active {
		r.logp[k] = t.logc[k] - 0.5*f.quadratic(t, r.y, x, p[k*(f.q+1)+1:(k+1)*(f.q+1)], k)
		top = max(top, r.logp[k])
	}
	return top, 0
}

// bound returns an upper bound of the rounding error of component k's exponent
// formed from inner products, where ww is |W H y|² in S⁻¹.
func (t *diagonalLevel) bound(k int, xx, widest, ww float64) float64 {
	x, m := math.Sqrt(xx), t.at.Alpha*widest
	return unit * (xx*t.apart[k] + m*(2*x+m)*t.sharp[k] + t.at.Alpha*t.at.Alpha*ww)
}

// quadratic forms yᵀ C_k⁻¹ y and z from y = x − α m without cancellation:
// |y − α Wᵀ z|²_H + |z|².
func (f *diagonal) quadratic(t *diagonalLevel, y, x, z []float64, k int) float64 {
	alpha := t.at.Alpha
	for i, m := range f.mean(k) {
		y[i] = x[i] - float64(alpha*m)
	}
	for j := range z {
		z[j] = alpha * simd.Dot(t.scaled[(k*(f.q+1)+j+1)*f.dim:][:f.dim], y)
	}
	solve(t.chol[k*f.q*f.q:(k+1)*f.q*f.q], z)
	for j := range z {
		axpy(y, -alpha*z[j], f.row(k, j+1))
	}
	quad := simd.Dot(z, z)
	for i, h := range t.h[k*f.dim : (k+1)*f.dim] {
		quad += h * (y[i] * y[i])
	}
	return quad
}

// traces fills t.trace.
func (f *diagonal) traces(t *diagonalLevel) {
	if t.traced {
		return
	}
	t.traced = true
	d, q, a2 := f.dim, f.q, t.at.Alpha*t.at.Alpha
	column := make([]float64, q)
	for k := range f.k {
		t.trace[k] = 0
		for _, h := range t.h[k*d : (k+1)*d] {
			t.trace[k] += h
		}
		for j := range q {
			hw := t.scaled[(k*(q+1)+j+1)*d:][:d]
			for i := range column {
				column[i] = simd.Dot(hw, t.scaled[(k*(q+1)+i+1)*d:][:d])
			}
			solve(t.chol[k*q*q:(k+1)*q*q], column)
			t.trace[k] -= a2 * column[j]
		}
	}
}

// rateRow writes ∂D/∂log(σ/α) of a row whose factors z stand in p. It uses
// Σ_k C_k⁻¹ e = ψ H e + σ² H Wᵀ S⁻¹ W H e for e = C_k⁻¹ y_k.
func (f *diagonal) rateRow(dst []float64, t *diagonalLevel, r *diagonalRange, x, p []float64) {
	d, q, alpha, s2 := f.dim, f.q, t.at.Alpha, t.at.Sigma*t.at.Sigma
	mean := 0.0
	for n, k := range r.active {
		h, g := t.h[k*d:(k+1)*d], t.g[k*d:(k+1)*d]
		inv, est := r.inv[k*d:(k+1)*d], r.est[k*d:(k+1)*d]
		z := p[k*(q+1)+1 : (k+1)*(q+1)]
		m := f.mean(k)
		clear(r.y)
		for j := range z {
			axpy(r.y, z[j], f.row(k, j+1)) // Wᵀ z
		}
		norm := 0.0
		for i := range inv {
			inv[i] = h[i] * (x[i] - alpha*(m[i]+r.y[i]))
			est[i] = s2*h[i]*(m[i]+r.y[i]) + alpha*g[i]*x[i]
			norm += inv[i] * inv[i]
		}
		r.rate[k] = s2 * (norm - t.trace[k])
		mean += r.share[n] * r.rate[k]
	}
	clear(dst)
	for n, k := range r.active {
		h, g := t.h[k*d:(k+1)*d], t.g[k*d:(k+1)*d]
		inv, est := r.inv[k*d:(k+1)*d], r.est[k*d:(k+1)*d]
		clear(r.y)
		for j := range r.z {
			r.z[j] = simd.Dot(t.scaled[(k*(q+1)+j+1)*d:][:d], inv)
		}
		solve(t.chol[k*q*q:(k+1)*q*q], r.z)
		for j := range r.z {
			axpy(r.y, r.z[j], f.row(k, j+1))
		}
		share, c := r.share[n]*(r.rate[k]-mean), -2*alpha*s2*r.share[n]
		for i := range dst {
			dst[i] += share*est[i] + c*(g[i]*inv[i]+s2*h[i]*r.y[i])
		}
	}
}

// cholesky replaces the lower triangle of the q×q matrix a by its factor L,
// a = L Lᵀ. The matrices of this file are I plus positive semidefinite ones.
func cholesky(a []float64, q int) {
	for j := range q {
		for i := j; i < q; i++ {
			s := a[i*q+j] - simd.Dot(a[i*q:i*q+j], a[j*q:j*q+j])
			if i == j {
				a[j*q+j] = math.Sqrt(s)
			} else {
				a[i*q+j] = s / a[j*q+j]
			}
		}
	}
}

// forward solves L y = x in place, backward Lᵀ y = x, solve L Lᵀ y = x.
func forward(l, x []float64) {
	q := len(x)
	for i := range x {
		x[i] = (x[i] - simd.Dot(l[i*q:i*q+i], x[:i])) / l[i*q+i]
	}
}

func backward(l, x []float64) {
	q := len(x)
	for i := q - 1; i >= 0; i-- {
		for j := i + 1; j < q; j++ {
			x[i] -= l[j*q+i] * x[j]
		}
		x[i] /= l[i*q+i]
	}
}

func solve(l, x []float64) {
	forward(l, x)
	backward(l, x)
}
