package solvers

import (
	"fmt"
	"math"
	"slices"

	"snrlab/internal/par"
	"snrlab/models"
	"snrlab/schedules"
)

// GaussianSecant is a predictor–corrector whose steps are exact for Gaussian data
// of any mean and variance, which each row finds out from its own last two
// answers. Ours. With E = (x̂ − D)/ŝ², the score but for its sign, the denoiser of
// N(m, v I) is D = m + v E at every level, so that the secant of a row's last two
// answers knows v:
//
//	v = max(0, ⟨D_j − D_{j−1}, E_j − E_{j−1}⟩ / |E_j − E_{j−1}|²)
//
// as in [barzilai1988] for the step of a descent, and M_j = D_j − v E_j is the
// mean. On any data, with r = √(v + ŝ²),
//
//	x̂_b/r_b = x̂_a/r_a + ∫_a^b M d(1/r)
//
// v = 0 is the exponential integrator for D, v → ∞ the method in ŝ². M is the
// polynomial through the last answers in u = 1/√(κ + ŝ²), κ = T/20, integrated
// in closed form: p answers predict, and as in [zhao2023] the one at the prediction
// with p earlier ones corrects, at no further evaluation, before the next step.
// T is the total variance of the data, E|x₀ − E x₀|²; 0 stands for dim/4.
//
// One evaluation a step, order p + 1. The first step, which has no secant, takes
// v = 0. With free = true it costs nothing: its answer is taken at ŝ = ∞, where
// for every x it is the mean of the data, with E = 0. The denoiser is asked for it
// at α = 0, in one row for each class, and that is not counted. The first step may
// then be long, see [schedules.FreeStart]; the order is 2.
type GaussianSecant struct {
	Order int     `json:"order"` // p, 1 or 2
	Total float64 `json:"total"` // T, in units of x₀²; 0 for dim/4
	Free  bool    `json:"free"`  // the first step asks nothing
}

func (s GaussianSecant) String() string { return Registry().Format("gaussian-secant", s) }

// Validate reports settings without meaning.
func (s GaussianSecant) Validate() error {
	if s.Order < 1 || s.Order > 2 {
		return fmt.Errorf("order = %d: expected 1 or 2", s.Order)
	}
	if !(s.Total >= 0) || math.IsInf(s.Total, 1) {
		return fmt.Errorf("total = %g: expected a finite total variance ≥ 0, 0 for dim/4", s.Total)
	}
	return nil
}

// Properties implements [Solver].
func (s GaussianSecant) Properties() Properties {
	p := Properties{
		Order: float64(s.Order + 1), Evals: 1, LastEvals: 1, History: s.Order, PathFree: true, Rises: true, Varies: s.Free,
		Summary:    "predictor–corrector that is exact for Gaussians, whose variance each row takes from its last two answers",
		Equation:   "x̂_b/r_b = x̂_a/r_a + ∫_a^b M d(1/r),  r = √(v + ŝ²),  M = D − v E,  E = (x̂ − D)/ŝ²,  v = ⟨ΔD, ΔE⟩/|ΔE|²",
		References: []string{"barzilai1988", "zhao2023"},
	}
	if s.Free {
		p.Order = 2
	}
	return p
}

// secantRun is one run of a GaussianSecant.
type secantRun struct {
	GaussianSecant
	kappa float64
	w     *walk
	rows  func(lo, hi int)
}

func (s GaussianSecant) method() method { return (&secantRun{GaussianSecant: s}).method() }

func (r *secantRun) method() method {
	r.rows = r.advance
	m := method{evals: 1, lazy: true, history: r.Order, carry: 1 + r.Order, scratch: 2, step: r.step}
	m.check = r.check
	if r.Free {
		m.cost = func(at place) int {
			if r.freeAt(at) {
				return 0
			}
			return 1
		}
	}
	return m
}

// check learns what does not change in a run.
func (r *secantRun) check(p Problem) error {
	total := r.Total
	if total == 0 {
		total = float64(models.Dim(p.Denoiser)) / 4
	}
	r.kappa = total / 20
	return nil
}

// freeAt reports a step that asks nothing: the first of several, toward the data.
func (s GaussianSecant) freeAt(at place) bool {
	return s.Free && at.index == 0 && at.grid.Steps() > 1 && at.from().LogSNR() < at.to().LogSNR()
}

// means writes into dst the mean of each row's data, D at α = 0, which is asked
// for once for each label.
func (w *walk) means(dst []float64) {
	labels := slices.Compact(slices.Sorted(slices.Values(w.problem.Labels)))
	n := max(1, len(labels))
	mean := make([]float64, n*w.dim)
	q := models.Query{X: make([]float64, n*w.dim), Rows: n, At: []schedules.Level{{Sigma: 1}}, Labels: labels}
	if w.err = w.problem.Denoiser.Denoise(w.ctx, mean, q); w.err != nil {
		return
	}
	for row := range w.rows {
		k := 0
		if w.problem.Labels != nil {
			k, _ = slices.BinarySearch(labels, w.problem.Labels[row])
		}
		copy(dst[row*w.dim:(row+1)*w.dim], mean[k*w.dim:(k+1)*w.dim])
	}
}

func (r *secantRun) step(w *walk) {
	// Carried from step to step: the corrected x̂, and E of the last answers.
	e := w.fresh[1]
	if r.freeAt(w.place()) {
		w.means(e)
		w.lin(w.d, term{1, e})
		clear(e)
	} else {
		w.eval(w.d, w.x, w.from)
		a2 := w.from.Noise() * w.from.Noise()
		w.lin(e, term{1 / (w.from.Alpha * a2), w.x}, term{-1 / a2, w.d})
	}
	if r.Order > 1 {
		if w.carried {
			copy(w.fresh[2], w.carry[1])
		} else {
			clear(w.fresh[2])
		}
	}
	r.w, w.pass = w, renew
	w.order = min(w.known, r.Order-1) + 1
	if w.err == nil {
		par.Rows(w.rows, 16, r.rows)
	}
	if w.carried {
		w.fixed = w.tmp[1]
		w.lin(w.fixed, term{w.from.Alpha, w.fresh[0]})
	}
	w.lin(w.next, term{w.to.Alpha, w.tmp[0]})
	r.w = nil
}

// advance corrects rows at the start of the step and predicts them at its end.
func (r *secantRun) advance(lo, hi int) {
	w := r.w
	a, b := w.from.Noise(), w.to.Noise()
	for row := lo; row < hi; row++ {
		of := func(v []float64) []float64 { return v[row*w.dim : (row+1)*w.dim] }
		var d, e [3][]float64
		var level [3]float64
		n := 1 + w.known
		d[0], e[0], level[0] = of(w.d), of(w.fresh[1]), a
		for k := range w.known {
			d[k+1], e[k+1], level[k+1] = of(w.past[k]), of(w.carry[k+1]), w.pastLevel(k).Noise()
			if r.freeAt(place{w.index - 1 - k, w.problem.Grid, 0}) {
				level[k+1] = math.Inf(1)
			}
		}
		x, y := of(w.fresh[0]), of(w.tmp[0])
		v := 0.0
		if w.carried {
			v = secant(d[0], d[1], e[0], e[1], a)
			r.move(x, of(w.carry[0]), v, w.pastLevel(0).Noise(), a, d[:n], e[:n], level[:n])
		} else {
			for i, z := range of(w.x) {
				x[i] = z / w.from.Alpha
			}
		}
		n = min(n, r.Order)
		r.move(y, x, v, a, b, d[:n], e[:n], level[:n])
	}
}

// maxVariance bounds v/ŝ², beyond which v E has lost the digits of D.
const maxVariance = 1e6

// secant returns v of a row at ŝ = s from its last two answers.
func secant(d, earlierD, e, earlierE []float64, s float64) float64 {
	de, ee := 0.0, 0.0
	for i := range d {
		k := e[i] - earlierE[i]
		de += (d[i] - earlierD[i]) * k
		ee += k * k
	}
	limit := maxVariance * s * s
	if !(de > 0) {
		return 0
	}
	if !(de < limit*ee) {
		return limit
	}
	return de / ee
}

// move writes into dst the step of a row from x̂ at ŝ = a to b, through the
// answers d, e at levels.
func (r *secantRun) move(dst, x []float64, v, a, b float64, d, e [][]float64, level []float64) {
	ra, rb := math.Sqrt(v+a*a), math.Sqrt(v+b*b)
	keep := rb / ra
	var u, weight [3]float64
	for j, s := range level {
		u[j] = 1 / math.Sqrt(r.kappa+s*s)
	}
	// r_b ∫_a^b uⁿ d(1/r), then Newton's form of the polynomial.
	m0 := (a - b) * (a + b) / (ra * (ra + rb))
	weight[0] = m0
	if len(level) > 1 {
		ka, kb := math.Sqrt(r.kappa+a*a), math.Sqrt(r.kappa+b*b)
		m1 := 1/(rb+kb) - keep/(ra+ka)
		u01 := u[0] - u[1]
		c1 := (m1 - u[0]*m0) / u01
		weight[0], weight[1] = m0+c1, -c1
		if len(level) > 2 {
			m2 := rb * (squares(r.kappa-v, 1/rb) - squares(r.kappa-v, 1/ra))
			u02, u12 := u[0]-u[2], u[1]-u[2]
			c2 := m2 - (u[0]+u[1])*m1 + u[0]*u[1]*m0
			weight[0] += c2 / (u01 * u02)
			weight[1] -= c2 / (u01 * u12)
			weight[2] = c2 / (u02 * u12)
		}
	}
	for i, z := range x {
		y := keep * z
		for j, w := range weight[:len(level)] {
			y += w * (d[j][i] - v*e[j][i])
		}
		dst[i] = y
	}
}

// squares returns ∫_0^q p²/(1 + δ p²) dp, δ q² > −1: the series of the
// antiderivative near δ = 0, where its closed form cancels.
func squares(delta, q float64) float64 {
	z := delta * q * q
	root := math.Sqrt(math.Abs(z))
	var phi float64
	switch {
	case root < 0.3:
		for k := 14; k >= 0; k-- {
			phi = 1/float64(2*k+3) - z*phi
		}
	case z > 0:
		phi = (1 - math.Atan(root)/root) / z
	default:
		phi = (1 - math.Atanh(root)/root) / z
	}
	return q * q * q * phi
}

// NFE implements [Solver].
func (s GaussianSecant) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s GaussianSecant) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
