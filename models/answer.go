package models

import (
	"math"

	"snrlab/internal/simd"
	"snrlab/schedules"
)

const (
	refineAbove = 1e-11   // bound on the error of an exponent
	negligible  = 45      // e⁻⁴⁵ = 3e-20 of the largest responsibility is none
	blockRows   = 192     // rows worked on together, which bounds the workspace
	unit        = 0x1p-52 // spacing of float64 at 1
)

// family is one structure of covariances. It answers for checked queries.
type family interface {
	answer(a ask)
}

// ask is one query and what is wanted of it.
type ask struct {
	want   want
	shares *shares
	dim    int
	q      Query
	v      []float64 // for wantCov: the vectors to multiply
	dst    []float64
}

type want int

const (
	wantMean       want = iota // D, rows×dim
	wantCov                    // Cov[x₀ | x] v, rows×dim
	wantRate                   // ∂D/∂log(σ/α), rows×dim
	wantLogDensity             // log p(x), rows
	wantTrace                  // tr Cov[x₀ | x], rows
)

// scalar reports an answer of one number a row.
func (w want) scalar() bool { return w == wantLogDensity || w == wantTrace }

// label returns the class of row i, −1 for none.
func (a *ask) label(i int) int {
	if a.q.Labels == nil {
		return -1
	}
	return a.q.Labels[i]
}

// atNoNoise answers at σ = 0: D = x/α, nothing is left to vary, and D moves
// with σ².
func atNoNoise(dst []float64, a ask, i int) {
	switch a.want {
	case wantCov, wantRate:
		clear(dst)
		return
	case wantTrace:
		a.dst[i] = 0
		return
	}
	alpha := a.q.Level(i).Alpha
	x := a.q.X[i*len(dst) : (i+1)*len(dst)]
	for j := range dst {
		dst[j] = x[j] / alpha
	}
}

// resize returns a slice of n values, reusing s where it is long enough.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// logDensity finishes log Σ w_k N(x) of a row: the constant that exponents
// leave out, and the weight of the class.
func (a *ask) logDensity(log float64, label int) float64 {
	log -= 0.5 * float64(a.dim) * math.Log(2*math.Pi)
	if label >= 0 {
		log -= a.shares.classes[label]
	}
	return log
}

// rowOf returns row i of what is asked for, where that is rows×dim; nil where it
// is a number a row.
func (a *ask) rowOf(i, dim int) []float64 {
	if a.want.scalar() {
		return nil
	}
	return a.dst[i*dim : (i+1)*dim]
}

// responsibilities lists the components that matter to a row, in order, with
// their shares.
type responsibilities struct {
	logp   []float64 // K: exponents
	active []int
	share  []float64 // one for each of active, summing to 1
}

func newResponsibilities(k int) responsibilities {
	return responsibilities{logp: make([]float64, k), active: make([]int, 0, k), share: make([]float64, 0, k)}
}

// within lists the components whose exponent is at least reach.
func (r *responsibilities) within(reach float64) {
	r.active = r.active[:0]
	for k, l := range r.logp {
		if l >= reach {
			r.active = append(r.active, k)
		}
	}
}

// normalise drops the negligible components, of which top is the largest
// exponent, fills the shares of the others and returns log Σ e^logp: NaN if
// there are none, which is what a row with NaN or Inf leaves.
func (r *responsibilities) normalise(top float64) float64 {
	kept, share := r.active[:0], r.share[:0]
	for _, k := range r.active {
		if l := r.logp[k] - top; l >= -negligible {
			kept = append(kept, k)
			share = append(share, l)
		}
	}
	simd.Exp(share, share)
	total := 0.0
	for _, e := range share {
		total += e
	}
	for i := range share {
		share[i] /= total
	}
	r.active, r.share = kept, share
	if len(kept) == 0 {
		return math.NaN()
	}
	return top + math.Log(total)
}

func fill(dst []float64, v float64) {
	for i := range dst {
		dst[i] = v
	}
}

func sameLevel(a, b schedules.Level) bool { return a.Alpha == b.Alpha && a.Sigma == b.Sigma }
