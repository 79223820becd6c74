package models

import (
	"context"
	"fmt"
	"math"

	"snrlab/internal/par"
	"snrlab/schedules"
)

// fieldCall is one query on its way through the workers.
type fieldCall struct {
	f  *FieldMixture
	a  ask
	do func(lo, hi int)
}

// fieldRow is the workspace of one worker.
type fieldRow struct {
	responsibilities
	t    *transform
	y    []float64    // dim: x/|level| − α·centre, |level| = √(α² + σ²)
	x    []complex128 // n: its coefficients
	v    []complex128 // n: those of the vector to multiply
	e    []complex128 // n: the mean of the components' estimates
	out  []complex128 // n
	rate []float64    // K: γ_k
}

func newFieldRow(f *FieldMixture) *fieldRow {
	coeffs := func() []complex128 { return make([]complex128, f.n) }
	return &fieldRow{
		responsibilities: newResponsibilities(f.k), t: newTransform(f.h, f.w), y: make([]float64, f.dim),
		x: coeffs(), v: coeffs(), e: coeffs(), out: coeffs(), rate: make([]float64, f.k),
	}
}

// answer checks the query and works through its rows.
func (f *FieldMixture) answer(ctx context.Context, a ask) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	same := a.dst
	if a.want.scalar() {
		if len(a.dst) != a.q.Rows {
			return fmt.Errorf("models: destination has %d numbers: expected one for each of %d rows", len(a.dst), a.q.Rows)
		}
		same = a.q.X
	}
	if err := a.q.Check(same, f.dim); err != nil {
		return err
	}
	for _, at := range a.q.At {
		if err := usable(at); err != nil {
			return err
		}
	}
	if err := f.checkLabels(a.q.Labels); err != nil {
		return err
	}
	a.shares, a.dim = &f.shares, f.dim
	c := f.calls.Get()
	c.a = a
	par.Rows(a.q.Rows, 1, c.do)
	c.a = ask{}
	f.calls.Put(c)
	return nil
}

func (c *fieldCall) answerRows(lo, hi int) {
	r := c.f.rows.Get()
	for i := lo; i < hi; i++ {
		c.answerRow(r, i)
	}
	c.f.rows.Put(r)
}

// answerRow answers row i. It works at α² + σ² = 1, so that no square leaves
// the range of float64 but those of the spectrum.
func (c *fieldCall) answerRow(r *fieldRow, i int) {
	f, a := c.f, c.a
	at := a.q.Level(i)
	norm := math.Hypot(at.Alpha, at.Sigma)
	n := unitNoise(at)
	if a.want != wantLogDensity && n.none() {
		atNoNoise(a.rowOf(i, f.dim), a, i)
		return
	}
	finite, unit := true, 1/norm
	for j, v := range a.q.X[i*f.dim : (i+1)*f.dim] {
		y := float64(v*unit) - float64(n.alpha*f.centre[j])
		finite = finite && y-y == 0
		r.y[j] = y
	}
	if !finite {
		if a.want.scalar() {
			a.dst[i] = math.NaN()
		} else {
			fill(a.rowOf(i, f.dim), math.NaN())
		}
		return
	}
	f.forward(r.t, r.x, r.y)
	log := f.respond(r, n, a.label(i), a.want == wantLogDensity)
	switch a.want {
	case wantLogDensity:
		a.dst[i] = a.logDensity(log, a.label(i)) - float64(f.dim)*math.Log(norm)
	case wantTrace:
		a.dst[i] = f.posteriorTrace(r, n)
	case wantMean:
		f.estimate(r, n)
		dst := a.rowOf(i, f.dim)
		f.inverse(r.t, dst, r.e)
		shared := n.shared()
		for j, m := range f.centre {
			dst[j] += float64(shared*r.y[j]) + m
		}
	case wantCov:
		f.forward(r.t, r.v, a.v[i*f.dim:(i+1)*f.dim])
		f.posteriorCov(r, n)
		f.inverse(r.t, a.rowOf(i, f.dim), r.out)
	case wantRate:
		f.denoiseRate(r, n)
		f.inverse(r.t, a.rowOf(i, f.dim), r.out)
	}
}

// noise is a level scaled to α² + σ² = 1.
type noise struct{ alpha, sigma, a2, s2 float64 }

func unitNoise(at schedules.Level) noise {
	norm := math.Hypot(at.Alpha, at.Sigma)
	a, s := at.Alpha/norm, at.Sigma/norm
	return noise{a, s, a * a, s * s}
}

// none reports noise whose variance is no normal number beside the signal's.
func (n noise) none() bool { return n.s2 < 0x1p-1022 }

// shared is the part of x that every component's estimate has in common: 1/α
// where signal prevails, so that what is left carries σ² and differences of
// estimates stay accurate as σ → 0.
func (n noise) shared() float64 {
	if n.alpha >= n.sigma {
		return 1 / n.alpha
	}
	return 0
}

// variance returns C = α² P + σ².
func (n noise) variance(p float64) float64 {
	return float64(n.a2*p) + n.s2
}

// component returns the spectrum and the mean's coefficients, or nil, of
// component k.
func (f *FieldMixture) component(k int) (power []float64, offset []complex128) {
	if f.offset != nil {
		offset = f.offset[k*f.n : (k+1)*f.n]
	}
	return f.power[k*f.n : (k+1)*f.n], offset
}

// respond lists the components that matter with their shares, and returns the
// log-density of r.y without its constants. A single component needs none.
func (f *FieldMixture) respond(r *fieldRow, n noise, label int, density bool) float64 {
	if f.k == 1 && !density {
		r.active, r.share = append(r.active[:0], 0), append(r.share[:0], 1)
		return 0
	}
	top := math.Inf(-1)
	for k := range f.k {
		if !f.member(k, label) {
			r.logp[k] = math.Inf(-1)
			continue
		}
		power, offset := f.component(k)
		sum := 0.0
		for column := range f.channels * f.half {
			part, product := 0.0, 1.0
			for j := column * f.h; j < (column+1)*f.h; j++ {
				c := n.variance(power[j])
				part += square(r.residual(n, offset, j)) / c
				if product *= c; product > 1e50 || product < 1e-50 {
					part += math.Log(product)
					product = 1
				}
			}
			sum += f.weight[column%f.half] * (part + math.Log(product))
		}
		r.logp[k] = f.logw[k] - 0.5*sum
		top = max(top, r.logp[k])
	}
	r.within(top - negligible)
	return r.normalise(top)
}

// residual returns Y = X − α M of coefficient j.
func (r *fieldRow) residual(n noise, offset []complex128, j int) complex128 {
	if offset == nil {
		return r.x[j]
	}
	return r.x[j] - times(n.alpha, offset[j])
}

// estimateOf returns coefficient j of component k's estimate, beside the centre
// and the shared part of X:
//
//	M + α P/C (X − α M) = α P/C X + σ²/C M,    α P/C = 1/α − σ²/(α C).
func (r *fieldRow) estimateOf(n noise, power []float64, offset []complex128, j int) complex128 {
	p := power[j]
	c := n.variance(p)
	gain := n.alpha * p
	if n.alpha >= n.sigma {
		gain = -n.s2 / n.alpha
	}
	e := times(gain/c, r.x[j])
	if offset != nil {
		e += times(n.s2/c, offset[j])
	}
	return e
}

// estimate fills r.e with Σ_k R_k E_k.
func (f *FieldMixture) estimate(r *fieldRow, n noise) {
	for i, k := range r.active {
		power, offset := f.component(k)
		share := r.share[i]
		if i == 0 {
			for j := range r.e {
				r.e[j] = times(share, r.estimateOf(n, power, offset, j))
			}
			continue
		}
		for j := range r.e {
			r.e[j] += times(share, r.estimateOf(n, power, offset, j))
		}
	}
}

// apart writes component k's estimate less the mean one, Δ_k, into r.out.
func (f *FieldMixture) apart(r *fieldRow, n noise, k int) {
	power, offset := f.component(k)
	for j := range r.out {
		r.out[j] = r.estimateOf(n, power, offset, j) - r.e[j]
	}
}

// posteriorTrace returns Σ_k R_k [ Σ σ² P_k/C_k + |Δ_k|² ].
func (f *FieldMixture) posteriorTrace(r *fieldRow, n noise) float64 {
	several := len(r.active) > 1
	if several {
		f.estimate(r, n)
	}
	total := 0.0
	for i, k := range r.active {
		own := f.errorTrace(k, n)
		if several {
			f.apart(r, n, k)
			own += f.sum(func(j int) float64 { return square(r.out[j]) })
		}
		total += r.share[i] * own
	}
	return total
}

// errorTrace returns Σ σ² P/C of component k, what is left to vary of it.
func (f *FieldMixture) errorTrace(k int, n noise) float64 {
	power := f.power[k*f.n : (k+1)*f.n]
	return f.sum(func(j int) float64 { return n.s2 * power[j] / n.variance(power[j]) })
}

// posteriorCov writes Σ_k R_k [ σ² P_k/C_k v̂ + Δ_k ⟨Δ_k, v̂⟩ ] into r.out.
func (f *FieldMixture) posteriorCov(r *fieldRow, n noise) {
	several := len(r.active) > 1
	if several {
		f.estimate(r, n)
		for i, k := range r.active {
			f.apart(r, n, k)
			r.rate[i] = r.share[i] * f.sum(func(j int) float64 {
				return real(r.out[j])*real(r.v[j]) + imag(r.out[j])*imag(r.v[j])
			})
		}
	}
	clear(r.out)
	for i, k := range r.active {
		power, offset := f.component(k)
		for j, p := range power {
			r.out[j] += times(r.share[i]*n.s2*p/n.variance(p), r.v[j])
			if several {
				r.out[j] += times(r.rate[i], r.estimateOf(n, power, offset, j)-r.e[j])
			}
		}
	}
}

// denoiseRate writes Σ_k R_k [ (γ_k − γ) E_k − 2 α σ² P_k/C_k² Y_k ] into r.out.
func (f *FieldMixture) denoiseRate(r *fieldRow, n noise) {
	mean := 0.0
	for i, k := range r.active {
		power, offset := f.component(k)
		r.rate[i] = f.sum(func(j int) float64 {
			c := n.variance(power[j])
			return n.s2 / c * (square(r.residual(n, offset, j))/c - 1)
		})
		mean += r.share[i] * r.rate[i]
	}
	clear(r.out)
	for i, k := range r.active {
		power, offset := f.component(k)
		share := r.share[i] * (r.rate[i] - mean)
		for j, p := range power {
			c := n.variance(p)
			r.out[j] += times(share, r.estimateOf(n, power, offset, j)) -
				times(2*n.alpha*n.s2*r.share[i]*p/c/c, r.residual(n, offset, j))
		}
	}
}

func square(z complex128) float64 { return real(z)*real(z) + imag(z)*imag(z) }

func times(c float64, z complex128) complex128 { return complex(c*real(z), c*imag(z)) }
