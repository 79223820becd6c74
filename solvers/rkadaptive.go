package solvers

import (
	"fmt"
	"math"

	"snrlab/schedules"
)

// RKAdaptive is an embedded pair of explicit Runge–Kutta methods with
// error control by row, in a chosen variable [hairer1993, sections II.4 and
// II.5]. The step is the one of [RK]; its distance from the result z* of
// the embedded method, in tolerances,
//
//	E = rms( (z_b − z*) / (atol + rtol max(|z_a|, |z_b|)) ),   both as x/α,
//
// is accepted up to 1 and sets the size of the next step by the PI rule
//
//	h ← h · min(5, max(1/5, 0.9 E^{−0.7/q} E₁^{0.4/q}))
//
// with q the order of E in h and E₁ the error before. The grid gives the ends:
// levels between them are not visited, but the neighbour of an end at α = 0 or
// σ = 0 is, from and to which the two named steps lead. A row takes its own
// levels and evaluations; 3 an attempt for bs23, 6 for dopri5, 12 for dop853,
// and two more to begin. The order promised is that of the error in h; the
// error of a run is proportional to the tolerance.
type RKAdaptive struct {
	Method   Scheme     `json:"method"`   // bs23, dopri5 or dop853
	In       Coordinate `json:"in"`       // the variable that it integrates in
	RTol     float64    `json:"rtol"`     // error of a step, relative to the state
	ATol     float64    `json:"atol"`     // and absolute
	First    float64    `json:"first"`    // size of the first attempt in the variable; 0 chooses it
	MaxSteps int        `json:"maxsteps"` // attempts of a row
}

func (s RKAdaptive) String() string { return Registry().Format("rk-adaptive", s) }

// Validate reports a method without an embedded one, and settings without
// meaning.
func (s RKAdaptive) Validate() error {
	if err := checkChoice("method", schemeNames, s.Method); err != nil {
		return err
	}
	if err := checkChoice("in", coordinateNames, s.In); err != nil {
		return err
	}
	switch {
	case tableaux[s.Method].low == nil:
		return fmt.Errorf("method = %s has no embedded error estimate: expected bs23, dopri5 or dop853", s.Method)
	case !(s.First >= 0) || math.IsInf(s.First, 1):
		return fmt.Errorf("first = %g: expected a positive finite step, or 0 to choose it", s.First)
	case s.MaxSteps < 1:
		return fmt.Errorf("maxsteps = %d: expected at least 1", s.MaxSteps)
	}
	return s.tolerance().validate()
}

func (s RKAdaptive) tolerance() tolerance { return tolerance{rtol: s.RTol, atol: s.ATol} }

// Properties implements [Solver].
func (s RKAdaptive) Properties() Properties {
	t := tableaux[s.Method]
	return Properties{
		Order: float64(t.order), Evals: t.stages() - 1, LastEvals: 1, Adaptive: true,
		PathFree: s.In != InTime, Between: true, Rises: true,
		Summary:    "embedded Runge–Kutta pair with error control by row, in a chosen variable",
		Equation:   "z_b = z_a + h Σ b_i k_i,  h ← h min(5, max(1/5, 0.9 E^{−0.7/q} E₁^{0.4/q}))",
		References: []string{"hairer1993", "soderlind2003"},
	}
}

func (s RKAdaptive) method() adaptive {
	t := tableaux[s.Method]
	q := float64(t.below + 1)
	if t.third != nil {
		q = float64(t.order)
	}
	p := rungeKuttaPair{s.In, t, s.tolerance()}
	return adaptive{
		in: s.In, evals: t.stages(), reuse: t.closes(),
		stage: p.stage, slope: p.slope, end: p.end,
		h0: s.First, probe: p.probe, size: p.size,
		tol: p.tol, control: pi(q), maxSteps: s.MaxSteps,
	}
}

// rungeKuttaPair is the attempt of one row.
type rungeKuttaPair struct {
	in  Coordinate
	t   tableau
	tol tolerance
}

func (p rungeKuttaPair) slope(r *trial, dst, y, d []float64, at schedules.Level) {
	x, k := p.in.slope(at, r.m.problem.Schedule)
	r.lin(dst, term{x, y}, term{k, d})
}

// combine writes the x of z_a + h Σ aᵢ kᵢ at a level into dst.
func (p rungeKuttaPair) combine(r *trial, dst []float64, at schedules.Level, h float64, a []float64) {
	var terms [maxTerms]term
	n := p.in.terms(&terms, r.from, at, r.x, h, a, r.k)
	r.lin(dst, terms[:n]...)
}

func (p rungeKuttaPair) stage(r *trial, i int) {
	h := r.v - r.u
	at := r.to
	if p.t.c[i] != 1 {
		at = r.level(r.u + p.t.c[i]*h)
	}
	r.at[i] = at
	p.combine(r, r.y, at, h, p.t.a[i])
}

func (p rungeKuttaPair) end(r *trial) {
	h := r.v - r.u
	if p.t.closes() {
		copy(r.next, r.y)
	} else {
		p.combine(r, r.next, r.to, h, p.t.b)
	}
	p.estimate(r, r.diff, h, p.t.low)
	if p.t.third == nil || r.failure != nil {
		return
	}
	// e₅ ‖e₅‖/√(‖e₅‖² + ‖e₃‖²/100), which is of the order of the method.
	e3 := r.k[1] // no longer needed
	p.estimate(r, e3, h, p.t.third)
	if r.failure != nil {
		return
	}
	rms := func(e []float64) float64 { return p.tol.rms(e, r.x, r.next, 1/r.from.Alpha, 1/r.to.Alpha) }
	five, three := rms(r.diff), rms(e3)
	if five == 0 {
		return
	}
	shrink := five / math.Hypot(five, three/10)
	for j := range r.diff {
		r.diff[j] *= shrink
	}
}

// estimate writes the x of h Σ (bᵢ − lowᵢ) kᵢ.
func (p rungeKuttaPair) estimate(r *trial, dst []float64, h float64, low []float64) {
	var terms [maxTerms]term
	n, scale := 0, h/p.in.scale(r.to)
	for i, b := range p.t.b {
		if e := b - low[i]; e != 0 {
			terms[n] = term{scale * e, r.k[i]}
			n++
		}
	}
	r.lin(dst, terms[:n]...)
}

// probe takes a small Euler step, in which the slope f turns at a rate
// L = |f₁ − f|/(h |f|). An attempt of size h then errs by about |f| h (L h)^{q−1},
// of which size makes a tenth of the tolerance. It has the units of the
// variable, unlike the rule of [hairer1993, section II.4].
func (p rungeKuttaPair) probe(r *trial) {
	r.h = 1e-6
	if z, f := p.norm(r, r.x, 1), p.norm(r, r.k[0], 1/p.in.scale(r.from)); z > 1e-5 && f > 1e-5 {
		r.h = 0.01 * z / f
	}
	r.h = min(r.h, math.Abs(r.m.end-r.u))
	h := r.m.sign * r.h
	r.at[1] = r.level(r.u + h)
	p.combine(r, r.y, r.at[1], h, []float64{1})
}

func (p rungeKuttaPair) size(r *trial) float64 {
	q := float64(p.t.order)
	unit := 1 / p.in.scale(r.from)
	f := p.norm(r, r.k[0], unit)
	r.lin(r.diff, term{1, r.k[1]}, term{-1, r.k[0]})
	if r.failure != nil || f == 0 {
		return r.h
	}
	rate := p.norm(r, r.diff, unit) / (r.h * f)
	return min(100*r.h, math.Pow(0.1/(f*math.Pow(rate, q-1)), 1/q))
}

// norm is the root mean square of v times unit in tolerances at the state.
func (p rungeKuttaPair) norm(r *trial, v []float64, unit float64) float64 {
	return unit * p.tol.rms(v, r.x, r.x, 1/r.from.Alpha, 1/r.from.Alpha)
}

// NFE implements [Solver].
func (s RKAdaptive) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s RKAdaptive) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return startAdaptive(s, s.method(), p, x, opts)
}
