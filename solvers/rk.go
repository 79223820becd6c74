package solvers

import (
	"fmt"

	"snrlab/schedules"
)

// RK is an explicit Runge–Kutta method on the grid, in a chosen
// variable [hairer1993, chapter II]. With u, z and dz/du = f of [Coordinate],
//
//	k_i = f(z_a + h Σ_j a_ij k_j, u_a + c_i h),   z_b = z_a + h Σ_i b_i k_i,   h = u_b − u_a
//
// Order and evaluations a step are those of the scheme; one evaluation in the
// step out of α = 0, and in the step to σ = 0, which is x = α D, or with last =
// own the step of Euler's method in the variable, where that is finite at σ = 0.
// Optional churn comes first (see the fields). Stages inside a step take their
// levels from the problem's schedule.
type RK struct {
	Method Scheme     `json:"method"` // the tableau
	In     Coordinate `json:"in"`     // the variable that it integrates in
	Alpha  float64    `json:"alpha"`  // of method = alpha: place of the second stage, 0 < α ≤ 1
	Last   Last       `json:"last"`   // rule of the step to σ = 0
	SChurn float64    `json:"schurn"` // churn per run, shared by its steps; 0 is none
	SMin   float64    `json:"stmin"`  // least σ/α that is churned
	SMax   float64    `json:"stmax"`  // greatest σ/α that is churned
	SNoise float64    `json:"snoise"` // factor of the noise added
}

func (s RK) String() string { return Registry().Format("rk", s) }

// Validate reports a method or a variable that is none, and an α that is
// missing or without effect.
func (s RK) Validate() error {
	if err := checkChoice("method", schemeNames, s.Method); err != nil {
		return err
	}
	if err := checkChoice("in", coordinateNames, s.In); err != nil {
		return err
	}
	if err := checkChoice("last", lastNames, s.Last); err != nil {
		return err
	}
	switch {
	case s.Last == Own && !s.In.ends():
		return fmt.Errorf("last = own with in = %s: the variable is infinite at σ = 0; leave it out", s.In)
	case s.Method == AlphaHeun && !(s.Alpha > 0 && s.Alpha <= 1):
		return fmt.Errorf("alpha = %g: method = alpha expects 0 < alpha ≤ 1", s.Alpha)
	case s.Method != AlphaHeun && s.Alpha != 0:
		return fmt.Errorf("alpha has no effect with method = %s: leave it out, or set method = alpha", s.Method)
	}
	return s.churn().validate()
}

func (s RK) churn() churn { return churn{s.SChurn, s.SMin, s.SMax, s.SNoise} }

func (s RK) tableau() tableau {
	if s.Method == AlphaHeun {
		return twoStage(s.Alpha)
	}
	return tableaux[s.Method]
}

// evals counts the stages that the weights of the step look at.
func (s RK) evals(t tableau) int {
	if t.closes() {
		return t.stages() - 1
	}
	return t.stages()
}

// Properties implements [Solver].
func (s RK) Properties() Properties {
	t := s.tableau()
	return Properties{
		Order: float64(t.order), Evals: s.evals(t), LastEvals: 1,
		PathFree: s.In != InTime, Between: t.inner() || s.In == InTime || s.SChurn > 0,
		Rises: s.SChurn == 0, Stochastic: s.SChurn > 0,
		Summary:    "explicit Runge–Kutta method in a chosen variable, with churn",
		Equation:   "z_b = z_a + h Σ b_i k_i,  k_i = f(z_a + h Σ a_ij k_j, u_a + c_i h)",
		Ends:       s.Last.ends(),
		References: []string{"hairer1993", "karras2022"},
	}
}

func (s RK) method() method {
	t := s.tableau()
	n := s.evals(t)
	one := tableaux[Euler1]
	return method{
		evals: n, scratch: n + 2, churn: s.churn(), last: s.Last,
		cost: func(at place) int {
			if at.to().Sigma == 0 {
				return 1
			}
			return n
		},
		step: func(w *walk) {
			if w.to.Sigma == 0 {
				w.rungeKutta(s.In, &one, 1)
				w.order = 1
				return
			}
			w.rungeKutta(s.In, &t, n)
		},
	}
}

// rungeKutta writes w.next by the first n stages of a tableau. It uses n+2 of the
// method's scratch arrays.
func (w *walk) rungeKutta(in Coordinate, t *tableau, n int) {
	on := w.problem.Schedule
	u := in.of(w.from, on)
	h := in.of(w.to, on) - u
	k, y, d := w.tmp[:n], w.tmp[n], w.tmp[n+1]
	w.slopeIn(in, k[0], w.x, w.d, w.from)
	for i := 1; i < n; i++ {
		at := w.to
		switch t.c[i] {
		case 0:
			at = w.from
		case 1:
		default:
			at = in.level(u+t.c[i]*h, on)
		}
		w.combineIn(in, y, at, h, t.a[i], k)
		w.eval(d, y, at)
		w.slopeIn(in, k[i], y, d, at)
	}
	w.combineIn(in, w.next, w.to, h, t.b[:n], k)
}

// slopeIn writes dz/du at a level into dst.
func (w *walk) slopeIn(in Coordinate, dst, x, d []float64, at schedules.Level) {
	p, q := in.slope(at, w.problem.Schedule)
	w.lin(dst, term{p, x}, term{q, d})
}

// combineIn writes the x of z_a + h Σ aᵢ kᵢ at a level into dst.
func (w *walk) combineIn(in Coordinate, dst []float64, at schedules.Level, h float64, a []float64, k [][]float64) {
	var terms [maxTerms]term
	n := in.terms(&terms, w.from, at, w.x, h, a, k)
	w.lin(dst, terms[:n]...)
}

// terms writes the summands of x at level b for z_a + h Σ aᵢ kᵢ, without those
// of weight 0, and returns their number.
func (c Coordinate) terms(terms *[maxTerms]term, a, b schedules.Level, x []float64, h float64, weights []float64, k [][]float64) int {
	scale := c.scale(b)
	terms[0] = term{c.scale(a) / scale, x}
	n := 1
	for i, v := range weights {
		if v != 0 {
			terms[n] = term{h * v / scale, k[i]}
			n++
		}
	}
	return n
}

// NFE implements [Solver].
func (s RK) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s RK) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
