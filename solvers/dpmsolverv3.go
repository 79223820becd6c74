package solvers

import (
	"fmt"
	"math"
	"sync/atomic"

	"gonum.org/v1/gonum/integrate/quad"

	"snrlab/internal/par"
	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/schedules"
)

// DPMSolverV3 is the exponential integrator with model statistics [zheng2023,
// eq. 11 to 16]: what is linear in the answers is taken out of them first, by
// coefficients l, s and b of each dimension at each level, see [Statistics].
// With x̂ = x/α, ℓ = log(α/σ), f = (1 − l) x̂ − D, and from a on
// Λ = ∫_a l, S = ∫_a s and B = ∫_a e^{−S} b,
//
//	g   = e^{−S} f − B
//	x̂_b = e^{−Λ_b} [x̂_a − ∫_a^b e^{Λ+S} (g + B) dℓ]
//
// with g the polynomial through its last values. l = 1, s = b = 0, which is what
// no statistics stand for, is the multistep method for D of exact weights.
//
// The predictor takes Order values. The corrector puts the value at b among
// them, in place of the oldest, or, as pseudo corrector, beside them. D is
// evaluated once a step, at the predicted state, as in [UniPC]. Pseudo
// derivatives are divided differences in place of the polynomial's own, and have
// order 2 from three values on. Order p with start = rk or lean, else 2. The
// steps out of α = 0 and into σ = 0 are the named ones.
//
// The integrals are taken by Gauss's rule between the levels of the statistics,
// which are interpolated by monotone cubic curves; the program of [zheng2023] takes
// trapezoids, rule = trapezoid, and only levels of the statistics for a grid.
type DPMSolverV3 struct {
	Order     int            `json:"order"`     // values combined, 1 to 4
	Corrector bool           `json:"corrector"` // correct the end of every step
	PPseudo   bool           `json:"ppseudo"`   // pseudo derivatives in the predictor
	CPseudo   bool           `json:"cpseudo"`   // pseudo derivatives, and one value more, in the corrector
	Opening   Opening        `json:"start"`     // how the first steps are taken
	Final     Final          `json:"final"`     // order of the last steps
	Rule      Rule           `json:"rule"`      // how integrals are taken
	File      StatisticsFile `json:"stats"`     // file of the statistics; "" for none
	Table     *Statistics    `json:"-"`         // the statistics themselves, in place of a file
}

// Rule is a quadrature rule.
type Rule uint8

const (
	RuleGauss     Rule = iota // six points between levels of the statistics. The default
	RuleTrapezoid             // the levels themselves
)

var ruleNames = []string{"gauss", "trapezoid"}

func (r Rule) String() string { return spec.EnumName(r, ruleNames) }

// MarshalText writes the name.
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a name.
func (r *Rule) UnmarshalText(b []byte) (err error) {
	*r, err = parseChoice[Rule](ruleNames, string(b))
	return err
}

func (s DPMSolverV3) String() string { return Registry().Format("dpm-solver-v3", s) }

// Validate reports settings without meaning or without effect.
func (s DPMSolverV3) Validate() error {
	switch {
	case s.Order < 1 || s.Order > 4:
		return fmt.Errorf("order = %d: expected 1 to 4", s.Order)
	case s.PPseudo && s.Order < 3:
		return fmt.Errorf("ppseudo = true has no effect with order = %d: leave it out", s.Order)
	case s.CPseudo && !s.Corrector:
		return fmt.Errorf("cpseudo = true has no effect with corrector = false: leave it out")
	case s.Corrector && !s.CPseudo && s.Order == 1:
		return fmt.Errorf("corrector = true has no effect with order = 1 and cpseudo = false: leave it out")
	case s.Final != FinalFull && s.Order == 1:
		return fmt.Errorf("final = %s has no effect with order = 1: leave it out", s.Final)
	case s.File != "" && s.Table != nil:
		return fmt.Errorf("stats = %s and a table of statistics are given: expected one of them", s.File)
	case s.Rule == RuleTrapezoid && s.File == "" && s.Table == nil:
		return fmt.Errorf("rule = trapezoid without statistics, at whose levels it would be taken: leave it out")
	}
	for _, err := range []error{s.Opening.check(s.Order), checkChoice("final", finalNames, s.Final), checkChoice("rule", ruleNames, s.Rule)} {
		if err != nil {
			return err
		}
	}
	if s.Table != nil {
		return s.Table.Validate()
	}
	return nil
}

// Properties implements [Solver].
func (s DPMSolverV3) Properties() Properties {
	order := s.Order
	switch {
	case s.Corrector && s.CPseudo, s.PPseudo && !s.Corrector:
		order = 2
	}
	if s.Opening == Cheap || s.Final != FinalFull {
		order = min(order, 2)
	}
	p := Properties{
		Order: float64(order), Evals: 1, LastEvals: 1, History: s.history(), PathFree: true,
		Summary:    "multistep exponential integrator with model statistics",
		Equation:   "x̂_b = e^{−Λ_b} [x̂_a − ∫_a^b e^{Λ+S} (g + B) dℓ],  g = e^{−S} ((1 − l) x̂ − D) − B,  Λ' = l, S' = s, B' = e^{−S} b",
		References: []string{"zheng2023"},
	}
	s.Opening.promise(&p, s.Order)
	return p
}

// history has room for one value more where there is a corrector, so that the
// order of the step that it corrects can be told.
func (s DPMSolverV3) history() int {
	if s.Corrector {
		return s.Order
	}
	return s.Order - 1
}

func (s DPMSolverV3) method() method {
	r := &v3run{DPMSolverV3: s}
	r.run = r.rows
	m := method{evals: 1, history: s.history(), keep: own, answer: r.answer, step: r.step, check: r.prepare}
	if s.Corrector {
		m.carry = 1
	}
	s.Opening.prepare(&m, s.Order)
	return m
}

// NFE implements [Solver].
func (s DPMSolverV3) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPMSolverV3) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}

// v3run is one run of [DPMSolverV3], with what it holds along the grid.
type v3run struct {
	DPMSolverV3
	stats *curves
	q     [3][v3points][]float64 // l, s and b at the points of the rule
	steps []v3interval           // of the last steps, step i at i modulo their number

	// The combination under way: dst = constant + Σ c[k] src[k]. These and all
	// other coefficients are by dimension, or one for all.
	dst, constant []float64
	c             [1 + v3values][]float64
	src           [1 + v3values][]float64
	terms, count  int // of terms, of rows
	bad           atomic.Bool
	run           func(lo, hi int)
}

const (
	v3values = 5 // the most values that a step combines
	v3points = 6 // of Gauss's rule
)

// v3interval holds, for the step from a to b, Λ, S and B at b,
// C = ∫ e^{Λ+S} B dℓ and e_n = ∫ e^{Λ+S} zⁿ dℓ with z = (ℓ − a)/(b − a).
type v3interval struct {
	step            int // −1 for none
	lambda, s, b, c []float64
	e               [v3values][]float64
}

// prepare makes the arrays of a run.
func (r *v3run) prepare(p Problem) error {
	table := r.Table
	var err error
	if r.File != "" {
		if table, _, err = r.File.read(); err != nil {
			return err
		}
	}
	if r.stats, err = newCurves(table, models.Dim(p.Denoiser)); err != nil {
		return err
	}
	dim := r.stats.width()
	r.constant = make([]float64, dim)
	for i := range r.c {
		r.c[i] = make([]float64, dim)
	}
	for k := range r.q {
		for i := range r.q[k] {
			r.q[k][i] = make([]float64, dim)
		}
	}
	r.steps = make([]v3interval, r.Order+1)
	for i := range r.steps {
		v := &r.steps[i]
		v.step = -1
		v.lambda, v.s, v.b, v.c = make([]float64, dim), make([]float64, dim), make([]float64, dim), make([]float64, dim)
		for k := range v.e {
			v.e[k] = make([]float64, dim)
		}
	}
	return nil
}

// answer writes f = (1 − l) x/α − D into w.e. At α = 0 there is none, and none is
// asked for.
func (r *v3run) answer(w *walk) {
	a := w.from
	if a.Alpha == 0 {
		return
	}
	l := r.q[0][0]
	r.stats.at(a.LogSNR().Half(), l, r.q[1][0], r.q[2][0])
	for j := range l {
		r.constant[j], r.c[0][j], r.c[1][j] = 0, (1-l[j])/a.Alpha, -1
	}
	r.src[0], r.src[1] = w.x, w.d
	r.combine(w, w.e, 2)
}

func (r *v3run) step(w *walk) {
	if r.Opening.step(w, r.Order) {
		return
	}
	at, x := w.place(), w.x
	if r.Corrector {
		x = w.fresh[0]
		w.pass = renew
		n := 0
		if w.carried {
			n = r.Final.order(at.before(), r.Order)
			if r.CPseudo {
				n++
			}
		}
		if n > 1 {
			r.move(w, x, at.before(), w.carry[0], n, true)
			w.fixed = x
		} else {
			copy(x, w.x)
		}
	}
	w.order = r.Final.order(at, r.Order)
	r.move(w, w.next, at, x, w.order, false)
}

// move writes into dst the step at a place from x with n values of g, the last
// ones there or, to correct it, with the one at its end.
func (r *v3run) move(w *walk, dst []float64, at place, x []float64, n int, correct bool) {
	a, b := at.from(), at.to()
	v, h := r.interval(w, at.index), halfStep(a, b)
	value := func(i int) []float64 {
		if i == w.index {
			return w.e
		}
		return w.past[w.index-1-i]
	}
	var p nodes
	var before [v3values]*v3interval // the step after the level of each value, where that is earlier
	p.add(0, value(at.index))
	if correct {
		p.add(1, value(at.index+1))
	}
	for i := at.index - 1; p.n < n; i-- {
		before[p.n] = r.interval(w, i)
		p.add(halfStep(a, at.grid[i])/h, value(i))
	}
	pseudo := r.PPseudo && !correct || r.CPseudo && correct
	for j := range r.constant {
		var moments [maxNodes]float64
		for k := range n {
			moments[k] = v.e[k][j]
		}
		c := moments
		if !pseudo {
			c = p.newton(moments)
		}
		weights := p.values(c)
		scale := b.Alpha * math.Exp(-v.lambda[j])
		r.c[0][j], r.constant[j] = scale/a.Alpha, -scale*v.c[j]
		sum, integral := 0.0, 0.0 // S and B at the level of the value, from a on
		for k := range n {
			switch q := before[k]; {
			case k == 1 && correct:
				sum, integral = v.s[j], v.b[j]
			case q != nil:
				if k == 2 && correct {
					sum, integral = 0, 0
				}
				sum -= q.s[j]
				integral -= math.Exp(-sum) * q.b[j]
			}
			r.c[1+k][j] = -scale * weights[k] * math.Exp(-sum)
			r.constant[j] += scale * weights[k] * integral
		}
	}
	r.src[0] = x
	copy(r.src[1:], p.v[:n])
	r.combine(w, dst, 1+n)
}

// interval returns the integrals of a step.
func (r *v3run) interval(w *walk, i int) *v3interval {
	v := &r.steps[i%len(r.steps)]
	if v.step != i {
		v.step = i
		r.integrate(v, w.problem.Grid[i].LogSNR().Half(), w.problem.Grid[i+1].LogSNR().Half())
	}
	return v
}

// quadrature is a rule on [0, 1]: points, weights, and the weights a of the
// integrals from 0 to each point.
type quadrature struct {
	x, w []float64
	a    [][]float64
}

var (
	trapezoid = quadrature{[]float64{0, 1}, []float64{0.5, 0.5}, [][]float64{{0, 0}, {0.5, 0.5}}}
	gauss6    = func() quadrature {
		g := quadrature{make([]float64, v3points), make([]float64, v3points), make([][]float64, v3points)}
		quad.Legendre{}.FixedLocations(g.x, g.w, 0, 1)
		for i, x := range g.x {
			g.a[i] = make([]float64, v3points)
			for j := range g.x { // ∫₀ˣ L_j, which the rule itself integrates exactly
				for k, u := range g.x {
					l := x * g.w[k]
					for m, y := range g.x {
						if m != j {
							l *= (x*u - y) / (g.x[j] - y)
						}
					}
					g.a[i][j] += l
				}
			}
		}
		return g
	}()
)

// integrate fills v for the step from a to b: the rule is applied between the
// levels of the statistics, Gauss's to at most half a unit at a time.
func (r *v3run) integrate(v *v3interval, a, b float64) {
	rule, longest := gauss6, 0.5
	if r.Rule == RuleTrapezoid {
		rule, longest = trapezoid, math.Inf(1)
	}
	for _, v := range [][]float64{v.lambda, v.s, v.b, v.c} {
		clear(v)
	}
	for _, v := range v.e {
		clear(v)
	}
	for u := a; u < b; {
		end := min(r.stats.next(u), u+longest)
		if end > b-1e-9*(b-a) { // a level of the statistics that is b but for rounding
			end = b
		}
		d := end - u
		for i, x := range rule.x {
			r.stats.at(u+x*d, r.q[0][i], r.q[1][i], r.q[2][i])
		}
		for j := range v.c {
			var sum, rate [v3points]float64 // S, and e^{−S} b
			for i := range rule.x {
				sum[i] = v.s[j]
				for k, y := range rule.a[i] {
					sum[i] += d * y * r.q[1][k][j]
				}
				rate[i] = math.Exp(-sum[i]) * r.q[2][i][j]
			}
			start, integral := v.lambda[j], v.b[j]
			for i, x := range rule.x {
				lambda, part := start, integral
				for k, y := range rule.a[i] {
					lambda += d * y * r.q[0][k][j]
					part += d * y * rate[k]
				}
				f := d * rule.w[i] * math.Exp(lambda+sum[i])
				v.c[j] += f * part
				z := (u + x*d - a) / (b - a)
				for n := range v.e {
					v.e[n][j] += f
					f *= z
				}
				v.lambda[j] += d * rule.w[i] * r.q[0][i][j]
				v.s[j] += d * rule.w[i] * r.q[1][i][j]
				v.b[j] += d * rule.w[i] * rate[i]
			}
		}
		u = end
	}
}

// combine writes the combination of n terms into dst and fails if a value is
// not finite.
func (r *v3run) combine(w *walk, dst []float64, n int) {
	if w.err != nil {
		return
	}
	r.dst, r.terms, r.count = dst, n, w.rows
	r.bad.Store(false)
	par.Rows(w.rows, max(1, 1<<13/w.dim), r.run)
	if r.bad.Load() {
		w.err = w.nonFinite(dst, r.src[:n])
	}
}

// rows combines the rows lo to hi−1.
func (r *v3run) rows(lo, hi int) {
	dim := len(r.dst) / r.count
	shared := len(r.constant) == 1
	for row := lo; row < hi; row++ {
		dst := r.dst[row*dim : (row+1)*dim]
		for j := range dst {
			i := j
			if shared {
				i = 0
			}
			v := r.constant[i]
			for k := range r.terms {
				v += float64(r.c[k][i] * r.src[k][row*dim+j])
			}
			dst[j] = v
			if !finite(v) {
				r.bad.Store(true)
			}
		}
	}
}
