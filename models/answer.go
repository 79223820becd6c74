package models

import (
	"math"

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
	want want
	mix  *Mixture
	q    Query
	v    []float64 // for wantCov: the vectors to multiply
	dst  []float64
}

type want int

const (
	wantMean       want = iota // D, rows×dim
	wantCov                    // Cov[x₀ | x] v, rows×dim
	wantLogDensity             // log p(x), rows
)

// label returns the class of row i, −1 for none.
func (a *ask) label(i int) int {
	if a.q.Labels == nil {
		return -1
	}
	return a.q.Labels[i]
}

// atNoNoise answers at σ = 0: D = x/α, and nothing is left to vary.
func atNoNoise(dst []float64, a ask, i int) {
	if a.want == wantCov {
		clear(dst)
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
	log -= 0.5 * float64(a.mix.parts.dim) * math.Log(2*math.Pi)
	if label >= 0 {
		log -= a.mix.classes[label]
	}
	return log
}

// within lists the components whose exponent is at least reach, in order.
func within(active []int, logp []float64, reach float64) []int {
	active = active[:0]
	for k, l := range logp {
		if l >= reach {
			active = append(active, k)
		}
	}
	return active
}

// weigh turns the exponents of active components into responsibilities not
// yet divided by their total, and drops the negligible.
func weigh(logp []float64, active []int, top float64) (kept []int, total float64) {
	kept = active[:0]
	for _, k := range active {
		if l := logp[k] - top; l >= -negligible {
			logp[k] = math.Exp(l)
			total += logp[k]
			kept = append(kept, k)
		}
	}
	return kept, total
}

func sameLevel(a, b schedules.Level) bool { return a.Alpha == b.Alpha && a.Sigma == b.Sigma }
