package models

import (
	"math"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
	"snrlab/internal/simd"
	"snrlab/schedules"
)

// stack is the family of covariances whose axes do not depend on the level:
// r I + Σ_j l_j u_j u_jᵀ with orthonormal u_j, the mixtures of probabilistic
// principal component analysers of [tipping1999]. Isotropic is rank 0, full is rank dim
// with r = 0. With v = α² r + σ², v_j = α²(l_j + r) + σ², y = x − α m
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
// Cancellation. The part of |x|²/v that all components share is left out, which
// leaves terms that vanish with α:
//
//	|y|²/v = |x|²/v₀ + |x|² α²(r₀ − r)/(v v₀) − 2α x·m/v + α²|m|²/v
//
// Their rounding errors, summed as in [stackLevel.bound] with x and m taken
// from the centre of the data, matter at low noise only. Where the bound
// exceeds refineAbove the exponents of the components within reach of the
// largest are formed again from the differences y.
type stack struct {
	*parts
	logw    []float64    // K
	full    bool         // the directions span all of space; r is 0 then
	um      []float64    // K×q: u_j·m
	mm      []float64    // K: |m|²
	widest  float64      // the largest |m|
	longest float64      // the largest l
	in      *simd.Packed // Bᵀ, for X·Bᵀ
	back    *simd.Packed // B, for coefficients·B
	blocks  freelist.List[stackBlock]
	ranges  freelist.List[stackRange]
}

func newStack(p *parts, logw []float64) *stack {
	s := &stack{parts: p, logw: logw, full: p.q == p.dim, um: make([]float64, p.k*p.q), mm: make([]float64, p.k)}
	for _, l := range p.l {
		s.longest = max(s.longest, l)
	}
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
	s.blocks.New = func() *stackBlock { return newStackBlock(s) }
	s.ranges.New = func() *stackRange { return newStackRange(s) }
	return s
}

// stackLevel holds what depends on the level alone.
type stackLevel struct {
	at     schedules.Level
	ready  bool
	logc   []float64 // K: log w_k − ½ log det C_k
	x0     float64   // factor of |x|² that all share, 1/v₀
	xf     []float64 // K: factor of |x|² beyond it
	yf     []float64 // K: 1/v, the factor of the rest of |y|²
	qf     []float64 // K×q: factor of a_j²
	vj     []float64 // K×q: v_j
	shrink []float64 // K: σ²/v
	gain   []float64 // K: α r/v
	base   []float64 // K×q: (σ²/v) l_j/v_j

	largest struct{ xf, yf, qf float64 } // in size
}

// bound returns an upper bound of the rounding error of an exponent formed from
// inner products: each product is off by at most about ε times the lengths.
func (t *stackLevel) bound(xx, widest float64) float64 {
	x, m := math.Sqrt(xx), t.at.Alpha*widest
	return unit * (xx*t.largest.xf + m*(2*x+m)*t.largest.yf + (x+m)*(x+m)*t.largest.qf)
}

func (t *stackLevel) set(s *stack, at schedules.Level) {
	if t.ready && sameLevel(t.at, at) {
		return
	}
	t.at, t.ready = at, true
	a2, s2 := at.Alpha*at.Alpha, at.Sigma*at.Sigma
	// Where the directions span all of space and hold more than the noise,
	// Σ a_j²/v_j alone is the quadratic form, and nothing cancels.
	spanned := s.full && a2*s.longest > s2
	t.x0, t.largest = 0, struct{ xf, yf, qf float64 }{}
	v0 := float64(a2*s.resid[0]) + s2
	if !spanned {
		t.x0 = 1 / v0
	}
	for k := range s.k {
		r := s.resid[k]
		v := float64(a2*r) + s2
		logdet, ratio := 0.0, 1.0 // ∏ v_j/v, its logarithm taken before it overflows
		if spanned {
			t.xf[k], t.yf[k], t.shrink[k], t.gain[k] = 0, 0, 1, 0
		} else {
			t.xf[k], t.yf[k], t.shrink[k], t.gain[k] = a2*(s.resid[0]-r)/v/v0, 1/v, s2/v, at.Alpha*r/v
			logdet = float64(s.dim) * math.Log(v)
		}
		t.largest.xf = max(t.largest.xf, math.Abs(t.xf[k]))
		t.largest.yf = max(t.largest.yf, t.yf[k])
		for i := k * s.q; i < (k+1)*s.q; i++ {
			vj := float64(a2*(s.l[i]+r)) + s2
			t.vj[i] = vj
			t.base[i] = t.shrink[k] * s.l[i] / vj
			if spanned {
				t.qf[i] = 1 / vj
				ratio *= vj
			} else {
				t.qf[i] = -a2 * s.l[i] / vj / v
				ratio *= vj / v
			}
			t.largest.qf = max(t.largest.qf, math.Abs(t.qf[i]))
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
	share  func(lo, hi int)
}

func newStackBlock(s *stack) *stackBlock {
	b := &stackBlock{s: s}
	b.centre, b.solve, b.share = b.centreRows, b.solveRows, b.shareRows
	return b
}

// stackRange is the workspace of one worker.
type stackRange struct {
	level stackLevel
	responsibilities
	y      []float64 // dim
	e      []float64 // K
	spread spread
}

func newStackRange(s *stack) *stackRange {
	f := func(n int) []float64 { return make([]float64, n) }
	return &stackRange{
		level: stackLevel{
			logc: f(s.k), xf: f(s.k), yf: f(s.k), shrink: f(s.k), gain: f(s.k),
			qf: f(s.k * s.q), vj: f(s.k * s.q), base: f(s.k * s.q),
		},
		responsibilities: newResponsibilities(s.k), y: f(s.dim), e: f(s.k), spread: newSpread(s.dim),
	}
}

func (s *stack) answer(a ask) {
	b := s.blocks.Get()
	b.a = a
	if s.k*(s.q+1)*s.dim <= ownRows {
		par.Rows(a.q.Rows, 16, b.share)
	} else {
		b.span(0, a.q.Rows)
	}
	b.a = ask{}
	s.blocks.Put(b)
}

// ownRows is the size of B up to which a worker takes rows through all steps by
// itself, which saves the waits between them. Workers read a larger B together.
const ownRows = 1 << 18

// shareRows answers rows in a workspace of the worker's own.
func (b *stackBlock) shareRows(lo, hi int) {
	own := b.s.blocks.Get()
	own.a = b.a
	own.span(lo, hi)
	own.a = ask{}
	b.s.blocks.Put(own)
}

func (b *stackBlock) span(lo, hi int) {
	for ; lo < hi; lo += blockRows {
		b.run(lo, min(blockRows, hi-lo))
	}
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
	if b.a.want.scalar() {
		return
	}
	b.multiply()
}

// multiply adds coefficients·B to the dense rows of the destination.
func (b *stackBlock) multiply() {
	s, d, w := b.s, b.s.dim, b.s.k*(b.s.q+1)
	dst := b.a.dst[b.lo*d : (b.lo+b.n)*d]
	n := 0
	for i, yes := range b.dense {
		if yes && n < i {
			copy(b.p[n*w:(n+1)*w], b.p[i*w:(i+1)*w])
		}
		if yes {
			n++
		}
	}
	if n == b.n {
		simd.GemmPacked(false, n, 1, b.p, w, s.back, 1, dst, d)
		return
	}
	// The rows are brought together, so that each product is worth its while.
	b.out = resize(b.out, n*d)
	j := 0
	for i, yes := range b.dense {
		if yes {
			copy(b.out[j*d:(j+1)*d], dst[i*d:])
			j++
		}
	}
	simd.GemmPacked(false, n, 1, b.p, w, s.back, 1, b.out, d)
	j = 0
	for i, yes := range b.dense {
		if yes {
			copy(dst[i*d:(i+1)*d], b.out[j*d:])
			j++
		}
	}
}

func (b *stackBlock) centreRows(lo, hi int) {
	d := b.s.dim
	for i := lo; i < hi; i++ {
		alpha := b.a.q.Level(b.lo + i).Alpha
		x := b.a.q.X[(b.lo+i)*d : (b.lo+i+1)*d]
		coef, rows := [2]float64{1, -alpha}, [2][]float64{x, b.s.centre}
		simd.Lin(b.x[i*d:(i+1)*d], coef[:], rows[:]...)
	}
}

func (b *stackBlock) solveRows(lo, hi int) {
	s := b.s
	r := s.ranges.Get()
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
	if b.a.want != wantLogDensity && noiseless(at) {
		atNoNoise(b.a.rowOf(b.lo+i, d), b.a, b.lo+i)
		return
	}
	r.level.set(s, at)
	x, p := b.x[i*d:(i+1)*d], b.p[i*w:(i+1)*w]
	label := b.a.label(b.lo + i)
	top, shared := b.exponents(r, x, p, label)
	log := r.normalise(top) + shared
	if b.a.want == wantLogDensity {
		b.a.dst[b.lo+i] = b.a.logDensity(log, label)
		return
	}
	if b.a.want == wantTrace {
		b.a.dst[b.lo+i] = s.trace(r, x, p, log)
		return
	}
	dst := b.a.dst[(b.lo+i)*d : (b.lo+i+1)*d]
	if log != log {
		fill(dst, math.NaN())
		return
	}
	switch b.a.want {
	case wantMean:
		gain := s.meanCoefficients(r, p)
		coef, rows := [2]float64{1, gain}, [2][]float64{s.centre, x}
		simd.Lin(dst, coef[:], rows[:]...)
	case wantRate:
		coef, rows := [1]float64{s.rateCoefficients(r, p, simd.SumSq(x))}, [1][]float64{x}
		simd.Lin(dst, coef[:], rows[:]...)
	default:
		v := b.a.v[(b.lo+i)*d : (b.lo+i+1)*d]
		fx, fv := s.covCoefficients(r, p, b.pv[i*w:(i+1)*w], simd.Dot(x, v))
		coef, rows := [2]float64{fx, fv}, [2][]float64{x, v}
		simd.Lin(dst, coef[:], rows[:]...)
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
	s.add(dst, p, r.active)
}

// add adds the rows of active components times their coefficients to dst, a few
// at a time.
func (s *stack) add(dst, p []float64, active []int) {
	coef, rows := [6]float64{1}, [6][]float64{dst}
	n := 1
	for _, k := range active {
		for j := range s.q + 1 {
			coef[n], rows[n] = p[k*(s.q+1)+j], s.row(k, j)
			if n++; n == len(rows) {
				simd.Lin(dst, coef[:], rows[:]...)
				n = 1
			}
		}
	}
	simd.Lin(dst, coef[:n], rows[:n]...)
}

// denseShare: a row whose components that matter are fewer than one in so many
// is added up alone, the others are multiplied together.
const denseShare = 8

// exponents fills r.logp with log w_k − ½ log det C_k − ½ yᵀ C_k⁻¹ y, less a
// part that all share, and the direction entries of p with a_j. It returns the
// largest exponent and that part. r.active lists the components within reach.
func (b *stackBlock) exponents(r *stackRange, x, p []float64, label int) (top, shared float64) {
	s, t := b.s, &r.level
	alpha := t.at.Alpha
	xx := simd.SumSq(x)
	top, shared = math.Inf(-1), -0.5*t.x0*xx
	for k := range s.k {
		if !b.a.shares.member(k, label) {
			r.logp[k] = math.Inf(-1)
			continue
		}
		pk := p[k*(s.q+1) : (k+1)*(s.q+1)]
		quad := float64(t.xf[k]*xx) + float64(t.yf[k]*(alpha*(float64(alpha*s.mm[k])-2*pk[0])))
		a, um, qf := pk[1:], s.um[k*s.q:(k+1)*s.q], t.qf[k*s.q:(k+1)*s.q]
		for j := range a {
			aj := a[j] - float64(alpha*um[j])
			a[j] = aj
			quad += qf[j] * (aj * aj)
		}
		r.logp[k] = t.logc[k] - 0.5*quad
		top = max(top, r.logp[k])
	}
	bound := t.bound(xx, s.widest)
	r.within(top - negligible - 2*bound)
	if bound <= refineAbove || (len(r.active) == 1 && b.a.want != wantLogDensity) {
		return top, shared
	}
	top = math.Inf(-1)
	for _, k := range r.active {
		r.logp[k] = t.logc[k] - 0.5*s.quadratic(t, r.y, x, p[k*(s.q+1)+1:(k+1)*(s.q+1)], k)
		top = max(top, r.logp[k])
	}
	return top, 0
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
	for i, k := range r.active {
		rk := r.share[i]
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

// entering returns the coefficients of m and x in E_k, component k's estimate
// less x/α where α ≥ σ; for spanning directions E_k = −Σ_j (σ²/α v_j) a_j u_j
// has neither.
func (s *stack) entering(t *stackLevel, k int) (em, ex float64) {
	less := t.at.Alpha >= t.at.Sigma
	switch {
	case less && s.full:
		return 0, 0
	case less:
		return t.shrink[k], -t.shrink[k] / t.at.Alpha
	}
	return t.shrink[k], t.gain[k]
}

// along turns the a_j of component k into the coefficients of u_j in E_k.
func (s *stack) along(t *stackLevel, a []float64, k int) {
	if t.at.Alpha >= t.at.Sigma && s.full {
		c := -t.at.Sigma * t.at.Sigma / t.at.Alpha
		for j := range a {
			a[j] *= c / t.vj[k*s.q+j]
		}
		return
	}
	for j, base := range t.base[k*s.q : (k+1)*s.q] {
		a[j] *= t.at.Alpha * base
	}
}

// covCoefficients writes the coefficients of Cov[x₀ | x] v and returns those of
// x and v. The spread between components is taken of E_k = D_k − x/α where
// α ≥ σ, in which every term carries σ², so that it stays accurate as σ → 0.
func (s *stack) covCoefficients(r *stackRange, p, pv []float64, xv float64) (fx, fv float64) {
	t := &r.level
	s2 := t.at.Sigma * t.at.Sigma
	mean := 0.0
	for i, k := range r.active {
		pk, pvk := p[k*(s.q+1):(k+1)*(s.q+1)], pv[k*(s.q+1):(k+1)*(s.q+1)]
		em, ex := s.entering(t, k)
		e := em*pvk[0] + ex*xv
		s.along(t, pk[1:], k)
		for j := range s.q {
			e += pk[j+1] * pvk[j+1]
		}
		r.e[k] = e
		mean += r.share[i] * e
	}
	for i, k := range r.active {
		pk, pvk := p[k*(s.q+1):(k+1)*(s.q+1)], pv[k*(s.q+1):(k+1)*(s.q+1)]
		em, ex := s.entering(t, k)
		rk := r.share[i]
		c := rk * (r.e[k] - mean)
		fx += c * ex
		fv += rk * s.resid[k] * t.shrink[k]
		pk[0] = c * em
		for j, base := range t.base[k*s.q : (k+1)*s.q] {
			pk[j+1] = c*pk[j+1] + rk*s2*base*pvk[j+1]
		}
	}
	return fx, fv
}

// rateCoefficients writes the coefficients of ∂D/∂log(σ/α) and returns that of
// x. With y₀ the part of y outside the directions, C⁻² y = y₀/v² + Σ_j a_j/v_j² u_j
// and Σ C⁻² y = (r/v²) y₀ + Σ_j (l_j + r)/v_j² a_j u_j.
func (s *stack) rateCoefficients(r *stackRange, p []float64, xx float64) (fx float64) {
	t := &r.level
	alpha, a2, s2 := t.at.Alpha, t.at.Alpha*t.at.Alpha, t.at.Sigma*t.at.Sigma
	mean := 0.0
	for i, k := range r.active {
		pk, vj := p[k*(s.q+1):(k+1)*(s.q+1)], t.vj[k*s.q:(k+1)*s.q]
		v := float64(a2*s.resid[k]) + s2
		inside, along, trace := 0.0, 0.0, 0.0 // Σ a_j², Σ a_j²/v_j², Σ 1/v_j
		for j, a := range pk[1:] {
			inside += a * a
			along += a / vj[j] * (a / vj[j])
			trace += 1 / vj[j]
		}
		if !s.full {
			yy := xx + alpha*(float64(alpha*s.mm[k])-2*pk[0])
			along += (yy - inside) / v / v
			trace += float64(s.dim-s.q) / v
		}
		r.e[k] = s2 * (along - trace)
		mean += r.share[i] * r.e[k]
	}
	for i, k := range r.active {
		pk, vj := p[k*(s.q+1):(k+1)*(s.q+1)], t.vj[k*s.q:(k+1)*s.q]
		resid, rest := s.resid[k], 0.0 // rest = r/v²
		if !s.full {
			v := float64(a2*resid) + s2
			rest = resid / v / v
		}
		share, c := r.share[i]*(r.e[k]-mean), -2*alpha*s2*r.share[i]
		fx += share*t.gain[k] + c*rest
		pk[0] = share*t.shrink[k] - c*rest*alpha
		for j, base := range t.base[k*s.q : (k+1)*s.q] {
			pk[j+1] *= share*alpha*base + c*((s.l[k*s.q+j]+resid)/vj[j]/vj[j]-rest)
		}
	}
	return fx
}
