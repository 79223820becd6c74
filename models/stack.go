package models

import (
	"math"
	"sync"

	"snrlab/internal/par"
	"snrlab/internal/simd"
	"snrlab/schedules"
)

// stack is the family of covariances whose axes do not depend on the level:
// r I + Σ_j l_j u_j u_jᵀ with orthonormal u_j. Isotropic is rank 0, full is
// rank dim with r = 0. With v = α² r + σ², v_j = α²(l_j + r) + σ², y = x − α m
// and a_j = u_j·y,
//
//	yᵀ C⁻¹ y = |y|²/v − Σ_j a_j² (1/v − 1/v_j)
//	log det C = dim log v + Σ_j log(v_j/v)
//	D_k      = (σ²/v) m + (α r/v) x + Σ_j α (σ²/v)(l_j/v_j) a_j u_j
//
// so one product of the states with the stacked means and directions B gives
// every inner product, at any level of any row, and one product of
// coefficients with B gives D: two matrix products of n × K(1+q) × dim.
//
// Cancellation: |y|² comes from |x|² − 2α x·m + α²|m|², whose rounding error is
// about ε(|x| + α|m|)², with x and m taken from the centre of the data. Where
// that, over the smallest variance, exceeds refineAbove, the exponents of the
// components within reach of the largest are formed again from y itself.
type stack struct {
	*parts
	logw   []float64    // K
	full   bool         // the directions span all of space
	um     []float64    // K×q: u_j·m
	mm     []float64    // K: |m|²
	widest float64      // the largest |m|
	in     *simd.Packed // Bᵀ, for X·Bᵀ
	back   *simd.Packed // B, for coefficients·B
	blocks sync.Pool    // *stackBlock
	ranges sync.Pool    // *stackRange
}

func newStack(p *parts, logw []float64) *stack {
	s := &stack{parts: p, logw: logw, full: p.q == p.dim, um: make([]float64, p.k*p.q), mm: make([]float64, p.k)}
	for k := range p.k {
		m := p.mean(k)
		s.mm[k] = simd.Dot(m, m)
		s.widest = max(s.widest, math.Sqrt(s.mm[k]))
		for j := range p.q {
			s.um[k*p.q+j] = simd.Dot(p.row(k, j+1), m)
		}
	}
	n := p.k * (p.q + 1)
	s.in = simd.PackB(true, p.dim, n, p.rows, p.dim)
	s.back = simd.PackB(false, n, p.dim, p.rows, p.dim)
	s.blocks.New = func() any { return newStackBlock(s) }
	s.ranges.New = func() any { return newStackRange(s) }
	return s
}

// stackLevel holds what depends on the level alone.
type stackLevel struct {
	at     schedules.Level
	ready  bool
	logc   []float64 // K: log w_k − ½ log det C_k
	yf     []float64 // K: factor of |y|² in the quadratic form, 0 where full
	qf     []float64 // K×q: factor of a_j² there
	vj     []float64 // K×q: v_j
	shrink []float64 // K: σ²/v
	gain   []float64 // K: α r/v
	base   []float64 // K×q: (σ²/v) l_j/v_j
	sharp  float64   // one over the smallest variance
}

func (t *stackLevel) set(s *stack, at schedules.Level) {
	if t.ready && sameLevel(t.at, at) {
		return
	}
	t.at, t.ready, t.sharp = at, true, 0
	a2, s2 := at.Alpha*at.Alpha, at.Sigma*at.Sigma
	for k := range s.k {
		r := s.resid[k]
		v := float64(a2*r) + s2
		t.yf[k], t.shrink[k], t.gain[k] = 1/v, s2/v, at.Alpha*r/v
		logdet := 0.0
		if s.full {
			t.yf[k], t.shrink[k], t.gain[k] = 0, 1, 0
		} else {
			logdet = float64(s.dim) * math.Log(v)
			t.sharp = max(t.sharp, 1/v)
		}
		ratio := 1.0 // ∏ v_j/v, its logarithm taken before it overflows
		for i := k * s.q; i < (k+1)*s.q; i++ {
			vj := float64(a2*(s.l[i]+r)) + s2
			t.vj[i] = vj
			t.base[i] = t.shrink[k] * s.l[i] / vj
			if s.full {
				t.qf[i] = 1 / vj
				t.sharp = max(t.sharp, 1/vj)
				ratio *= vj
			} else {
				t.qf[i] = -a2 * s.l[i] / vj / v
				ratio *= vj / v
			}
			if ratio > 1e50 || ratio < 1e-50 {
				logdet += math.Log(ratio)
				ratio = 1
			}
		}
		t.logc[k] = s.logw[k] - 0.5*(logdet+math.Log(ratio))
	}
}

// stackBlock is the workspace of up to blockRows rows.
type stackBlock struct {
	s      *stack
	a      ask
	lo, n  int
	x      []float64 // n×dim: states less α·centre
	p      []float64 // n×K(1+q): X·Bᵀ, then the coefficients of the result
	pv     []float64 // the same of the vectors v
	out    []float64 // product of the dense rows
	dense  []bool    // rows whose coefficients are multiplied as a matrix
	centre func(lo, hi int)
	solve  func(lo, hi int)
}

func newStackBlock(s *stack) *stackBlock {
	b := &stackBlock{s: s}
	b.centre, b.solve = b.centreRows, b.solveRows
	return b
}

// stackRange is the workspace of one worker.
type stackRange struct {
	level  stackLevel
	logp   []float64 // K: log-responsibilities, then responsibilities
	active []int     // components that matter
	y      []float64 // dim
	s      []float64 // K
}

func newStackRange(s *stack) *stackRange {
	f := func(n int) []float64 { return make([]float64, n) }
	return &stackRange{
		level: stackLevel{
			logc: f(s.k), yf: f(s.k), shrink: f(s.k), gain: f(s.k),
			qf: f(s.k * s.q), vj: f(s.k * s.q), base: f(s.k * s.q),
		},
		logp: f(s.k), active: make([]int, 0, s.k), y: f(s.dim), s: f(s.k),
	}
}

func (s *stack) answer(a ask) {
	b := s.blocks.Get().(*stackBlock)
	b.a = a
	for lo := 0; lo < a.q.Rows; lo += blockRows {
		b.run(lo, min(blockRows, a.q.Rows-lo))
	}
	b.a = ask{}
	s.blocks.Put(b)
}

func (b *stackBlock) run(lo, n int) {
	s, d, w := b.s, b.s.dim, b.s.k*(b.s.q+1)
	b.lo, b.n = lo, n
	b.x, b.p = resize(b.x, n*d), resize(b.p, n*w)
	b.dense = resize(b.dense, n)
	par.Rows(n, 16, b.centre)
	simd.GemmPacked(false, n, 1, b.x, d, s.in, 0, b.p, w)
	if b.a.want == wantCov {
		b.pv = resize(b.pv, n*w)
		simd.GemmPacked(false, n, 1, b.a.v[lo*d:], d, s.in, 0, b.pv, w)
	}
	par.Rows(n, 1, b.solve)
	if b.a.want == wantLogDensity {
		return
	}
	dense := 0
	for i, yes := range b.dense {
		if yes {
			copy(b.p[dense*w:(dense+1)*w], b.p[i*w:(i+1)*w])
			dense++
		}
	}
	if dense == 0 {
		return
	}
	b.out = resize(b.out, dense*d)
	simd.GemmPacked(false, dense, 1, b.p, w, s.back, 0, b.out, d)
	dense = 0
	for i, yes := range b.dense {
		if yes {
			axpy(b.a.dst[(lo+i)*d:(lo+i+1)*d], 1, b.out[dense*d:])
			dense++
		}
	}
}

func (b *stackBlock) centreRows(lo, hi int) {
	d := b.s.dim
	for i := lo; i < hi; i++ {
		alpha := b.a.q.Level(b.lo + i).Alpha
		x := b.a.q.X[(b.lo+i)*d : (b.lo+i+1)*d]
		for j, c := range b.s.centre {
			b.x[i*d+j] = x[j] - float64(alpha*c)
		}
	}
}

func (b *stackBlock) solveRows(lo, hi int) {
	s := b.s
	r := s.ranges.Get().(*stackRange)
	for i := lo; i < hi; i++ {
		b.solveRow(r, i)
	}
	s.ranges.Put(r)
}

// solveRow turns row i of p into coefficients of the rows of B and adds what
// does not go through B to the destination.
func (b *stackBlock) solveRow(r *stackRange, i int) {
	s, d, w := b.s, b.s.dim, b.s.k*(b.s.q+1)
	at := b.a.q.Level(b.lo + i)
	b.dense[i] = false
	if b.a.want != wantLogDensity && at.Sigma*at.Sigma == 0 {
		dst := b.a.dst[(b.lo+i)*d : (b.lo+i+1)*d]
		atNoNoise(dst, b.a, b.lo+i)
		return
	}
	r.level.set(s, at)
	x, p := b.x[i*d:(i+1)*d], b.p[i*w:(i+1)*w]
	label := b.a.label(b.lo + i)
	top := b.exponents(r, x, p, label)
	var total float64
	r.active, total = weigh(r.logp, r.active, top)
	if b.a.want == wantLogDensity {
		b.a.dst[b.lo+i] = b.a.logDensity(top+math.Log(total), label)
		return
	}
	for _, k := range r.active {
		r.logp[k] /= total
	}
	dst := b.a.dst[(b.lo+i)*d : (b.lo+i+1)*d]
	if b.a.want == wantMean {
		gain := s.meanCoefficients(r, p)
		for j, c := range s.centre {
			dst[j] = float64(gain*x[j]) + c
		}
	} else {
		v := b.a.v[(b.lo+i)*d : (b.lo+i+1)*d]
		fx, fv := s.covCoefficients(r, p, b.pv[i*w:(i+1)*w], simd.Dot(x, v))
		for j := range dst {
			dst[j] = float64(fx*x[j]) + float64(fv*v[j])
		}
	}
	if len(r.active)*denseShare >= s.k {
		b.dense[i] = true
		next := 0
		for k := range s.k {
			if next < len(r.active) && r.active[next] == k {
				next++
				continue
			}
			clear(p[k*(s.q+1) : (k+1)*(s.q+1)])
		}
		return
	}
	for _, k := range r.active {
		for j := range s.q + 1 {
			axpy(dst, p[k*(s.q+1)+j], s.row(k, j))
		}
	}
}

// denseShare: a row whose components that matter are fewer than one in so many
// is added up alone, the others are multiplied together.
const denseShare = 8

// exponents fills r.logp with log w_k − ½ log det C_k − ½ yᵀ C_k⁻¹ y and the
// direction entries of p with a_j, and returns the largest. r.active lists the
// components within reach of it.
func (b *stackBlock) exponents(r *stackRange, x, p []float64, label int) float64 {
	s, t := b.s, &r.level
	alpha := t.at.Alpha
	xx := simd.Dot(x, x)
	top := math.Inf(-1)
	for k := range s.k {
		if !b.a.mix.member(k, label) {
			r.logp[k] = math.Inf(-1)
			continue
		}
		pk := p[k*(s.q+1) : (k+1)*(s.q+1)]
		yy := xx - 2*alpha*pk[0] + alpha*alpha*s.mm[k]
		quad := t.yf[k] * yy
		a, um, qf := pk[1:], s.um[k*s.q:(k+1)*s.q], t.qf[k*s.q:(k+1)*s.q]
		for j := range a {
			aj := a[j] - alpha*um[j]
			a[j] = aj
			quad += qf[j] * (aj * aj)
		}
		r.logp[k] = t.logc[k] - 0.5*quad
		top = max(top, r.logp[k])
	}
	span := math.Sqrt(xx) + alpha*s.widest
	bound := unit * span * span * t.sharp
	r.active = within(r.active, r.logp, top-negligible-2*bound)
	if bound <= refineAbove || (len(r.active) == 1 && b.a.want != wantLogDensity) {
		return top
	}
	top = math.Inf(-1)
	for _, k := range r.active {
		r.logp[k] = t.logc[k] - 0.5*s.quadratic(t, r.y, x, p[k*(s.q+1)+1:(k+1)*(s.q+1)], k)
		top = max(top, r.logp[k])
	}
	return top
}

// quadratic forms yᵀ C_k⁻¹ y and the a_j from y = x − α m without cancellation:
// |y − Σ a_j u_j|²/v + Σ a_j²/v_j.
func (s *stack) quadratic(t *stackLevel, y, x, a []float64, k int) float64 {
	for i, m := range s.mean(k) {
		y[i] = x[i] - float64(t.at.Alpha*m)
	}
	quad := 0.0
	for j := range a {
		a[j] = simd.Dot(s.row(k, j+1), y)
		quad += a[j] * a[j] / t.vj[k*s.q+j]
	}
	if s.full {
		return quad
	}
	for j := range a {
		axpy(y, -a[j], s.row(k, j+1))
	}
	return quad + t.yf[k]*simd.Dot(y, y)
}

// meanCoefficients writes the coefficients of D and returns that of x.
func (s *stack) meanCoefficients(r *stackRange, p []float64) (gain float64) {
	t := &r.level
	for _, k := range r.active {
		rk := r.logp[k]
		pk := p[k*(s.q+1) : (k+1)*(s.q+1)]
		gain += rk * t.gain[k]
		pk[0] = rk * t.shrink[k]
		ra := rk * t.at.Alpha
		for j, base := range t.base[k*s.q : (k+1)*s.q] {
			pk[j+1] *= ra * base
		}
	}
	return gain
}

// covCoefficients writes the coefficients of Cov[x₀ | x] v and returns those of
// x and v. The spread between components is taken of E_k = D_k − x/α where
// α ≥ σ, in which every term carries σ²/v, so that it stays accurate as σ → 0.
func (s *stack) covCoefficients(r *stackRange, p, pv []float64, xv float64) (fx, fv float64) {
	t := &r.level
	alpha, s2 := t.at.Alpha, t.at.Sigma*t.at.Sigma
	less := alpha >= t.at.Sigma
	onX := func(k int) float64 {
		if less {
			return -t.shrink[k] / alpha
		}
		return t.gain[k]
	}
	mean := 0.0
	for _, k := range r.active {
		pk, pvk := p[k*(s.q+1):(k+1)*(s.q+1)], pv[k*(s.q+1):(k+1)*(s.q+1)]
		e := t.shrink[k]*pvk[0] + onX(k)*xv
		for j, base := range t.base[k*s.q : (k+1)*s.q] {
			pk[j+1] *= alpha * base
			e += pk[j+1] * pvk[j+1]
		}
		r.s[k] = e
		mean += r.logp[k] * e
	}
	for _, k := range r.active {
		pk, pvk := p[k*(s.q+1):(k+1)*(s.q+1)], pv[k*(s.q+1):(k+1)*(s.q+1)]
		rk := r.logp[k]
		c := rk * (r.s[k] - mean)
		fx += c * onX(k)
		fv += rk * s.resid[k] * t.shrink[k]
		pk[0] = c * t.shrink[k]
		for j, base := range t.base[k*s.q : (k+1)*s.q] {
			pk[j+1] = c*pk[j+1] + rk*s2*base*pvk[j+1]
		}
	}
	return fx, fv
}
