package solvers

import (
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
	"snrlab/snr"
)

// DPMAdaptive is DPM-Solver-12 and DPM-Solver-23, and the same of DPM-Solver++,
// with error control by row [lu2022, appendix C; crowson2022]: the step of
// [DPMSinglestep] of order p and the one of order p − 1 through the same
// evaluations, whose distance in tolerances,
//
//	E = rms( (x_b − x_low) / max(atol, rtol max(|x_a|, |x_b|)) ),   all as x/α,
//
// is accepted up to 1 and sets the size of the next step in ℓ = log(α/σ),
//
//	h ← h · min(5, max(1/5, 0.9 E^{−(P+I+D)/p} E₁^{(P+2D)/p} E₂^{−D/p}))
//
// with E₁ and E₂ the errors of the accepted steps before; I alone, the default,
// is the paper's rule. The grid gives the ends: levels between them are not
// visited, but the neighbour of an end at α = 0 or σ = 0 is, from and to which the
// two named steps lead. p evaluations an attempt, of which a repeated one saves
// the first. The order promised is that of the error in h; the error of a run is
// proportional to the tolerance.
//
// Eta > 0 is ancestral, as in [DPMSinglestep]: the step that is judged goes down
// past b, and noise comes back up once it is accepted.
//
// Differs from the programs of [lu2022] and [crowson2022], which take one step
// for the whole batch: Rule selects theirs.
type DPMAdaptive struct {
	Order    int        `json:"-"`        // 2 or 3; part of the name: dpm-solver-12, dpm-solver-23
	Predict  Prediction `json:"-"`        // part of the name
	Form     Form       `json:"form"`     // weights of the later evaluations
	RTol     float64    `json:"rtol"`     // tolerance, relative
	ATol     float64    `json:"atol"`     // and absolute
	First    float64    `json:"first"`    // size of the first attempt in ℓ
	P        float64    `json:"p"`        // gains of the controller: proportional,
	I        float64    `json:"i"`        // integral
	D        float64    `json:"d"`        // and derivative
	Eta      float64    `json:"eta"`      // ancestral noise, 0 ≤ η ≤ 1
	SNoise   float64    `json:"snoise"`   // factor of the noise
	Rule     StepRule   `json:"rule"`     // whose error and control
	MaxSteps int        `json:"maxsteps"` // attempts of a row
}

// StepRule is how [DPMAdaptive] judges a step and chooses the next.
type StepRule uint8

const (
	// RowRule is the one above. The default.
	RowRule StepRule = iota
	// DPMSolverRule is that of the program of [lu2022]: E is the greatest of the
	// rows, of states and not of x/α, beside |x_low| and the x_low of the accepted
	// step before; the factor 0.9 E^{−1/p} has no limits; the first evaluation is
	// repeated after a rejection.
	DPMSolverRule
	// KDiffusionRule is that of [crowson2022]: E is the root mean square of all
	// rows, beside the same two; the factor f without its 0.9 becomes
	// 1 + atan(f − 1), and a step is accepted where that is at least 0.81. With
	// η > 0 the order in the exponents is 3/2.
	KDiffusionRule
)

var stepRuleNames = []string{"rows", "dpm-solver", "k-diffusion"}

func (r StepRule) String() string { return spec.EnumName(r, stepRuleNames) }

// MarshalText writes the name.
func (r StepRule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a name.
func (r *StepRule) UnmarshalText(b []byte) (err error) {
	*r, err = parseChoice[StepRule](stepRuleNames, string(b))
	return err
}

// NewDPMAdaptive returns the solver of an order at its defaults, those of [lu2022].
func NewDPMAdaptive(order int, p Prediction) DPMAdaptive {
	return DPMAdaptive{Order: order, Predict: p, RTol: 0.05, ATol: 0.0078, First: 0.05, I: 1, SNoise: 1, MaxSteps: 10000}
}

func (s DPMAdaptive) String() string {
	name := fmt.Sprintf("%s-%d%d", s.Predict.name("dpmpp", "dpm-solver"), s.Order-1, s.Order)
	if s.Order != 2 && s.Order != 3 {
		return name
	}
	return Registry().Format(name, s)
}

// Validate reports settings without meaning or without effect.
func (s DPMAdaptive) Validate() error {
	if s.Order != 2 && s.Order != 3 {
		return fmt.Errorf("order = %d: expected 2 or 3", s.Order)
	}
	for _, err := range []error{
		checkChoice("prediction", predictionNames, s.Predict), checkChoice("form", formNames, s.Form),
		checkChoice("rule", stepRuleNames, s.Rule), checkEta(s.Eta), checkNoise(s.Eta, s.SNoise), s.tolerance().validate(),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case s.Form == Simple:
		return fmt.Errorf("form = simple: expected paper or taylor, of which the lower order is a part")
	case !(s.First > 0) || math.IsInf(s.First, 1):
		return fmt.Errorf("first = %g: expected a positive finite step in log(α/σ)", s.First)
	case !(s.P >= 0 && s.I > 0 && s.D >= 0) || math.IsInf(s.P+s.I+s.D, 1):
		return fmt.Errorf("p = %g, i = %g, d = %g: expected finite gains, i above 0 and none negative", s.P, s.I, s.D)
	case s.Rule == DPMSolverRule && (s.P != 0 || s.I != 1 || s.D != 0 || s.Eta != 0):
		return fmt.Errorf("p, i, d and eta have no effect with rule = dpm-solver: leave them out")
	case s.MaxSteps < 1:
		return fmt.Errorf("maxsteps = %d: expected at least 1", s.MaxSteps)
	}
	return nil
}

func (s DPMAdaptive) tolerance() tolerance {
	return tolerance{rtol: s.RTol, atol: s.ATol, greater: true, raw: s.Rule != RowRule}
}

// Properties implements [Solver].
func (s DPMAdaptive) Properties() Properties {
	return Properties{
		Order: float64(s.Order), Evals: s.Order, LastEvals: 1, Adaptive: true,
		PathFree: s.Rule == RowRule, Between: true, Rises: s.Eta == 0, Stochastic: s.Eta > 0, Coupled: s.Rule != RowRule,
		Summary:    fmt.Sprintf("singlestep of orders %d and %d in log(α/σ) for %s with error control by row", s.Order-1, s.Order, s.Predict.name("D", "ε")),
		Equation:   "E = rms((x_b − x_low)/max(atol, rtol max(|x_a|, |x_b|))),  h ← h min(5, max(1/5, 0.9 E^{−1/p}))",
		References: []string{"lu2022", "lu2022pp", "crowson2022"},
	}
}

func (s DPMAdaptive) method() adaptive {
	a := adaptive{
		in: Log, evals: s.Order, stage: s.stage, end: s.end, h0: s.First, tol: s.tolerance(), maxSteps: s.MaxSteps,
		control: control{q: float64(s.Order), p: s.P, i: s.I, d: s.D, safety: 0.9, shrink: 0.2, growth: 5, reach: 1},
	}
	if s.Predict == PredictNoise {
		a.slope = func(r *trial, dst, y, d []float64, at schedules.Level) {
			r.lin(dst, term{1 / at.Sigma, y}, term{-at.Alpha / at.Sigma, d})
		}
	}
	if s.Eta > 0 {
		a.noises, a.late, a.settle = 1, true, s.settle
	}
	if s.Rule == RowRule {
		return a
	}
	a.kept, a.afresh, a.settle = 1, true, s.settle
	a.control.eager, a.control.shrink, a.control.growth = true, 0, math.Inf(1)
	a.couple = worst
	if s.Rule == KDiffusionRule {
		a.couple = pooled
		a.control.safety, a.control.smooth, a.control.accept, a.control.floor, a.control.unclamped = 1, true, 0.81, 1e-8, true
		if s.Eta > 0 {
			a.control.q = 1.5
		}
	}
	return a
}

// target is the level that the judged step goes to, and the ŝ of the noise that
// leads back from it.
func (s DPMAdaptive) target(r *trial) (to schedules.Level, up float64) {
	if s.Eta == 0 {
		return r.to, 0
	}
	down, up := ancestralDown(s.Eta, r.from, r.to, r.m.problem.Grid)
	if up == 0 {
		return r.to, 0
	}
	return schedules.LevelAt(r.m.problem.Schedule, snr.FromSigma(down)), up
}

// places are r and r₂.
func (s DPMAdaptive) places() (float64, float64) {
	if s.Order == 2 {
		return 1. / 2, 0
	}
	return 1. / 3, 2. / 3
}

func (s DPMAdaptive) stage(r *trial, k int) {
	a := r.from
	to, _ := s.target(r)
	p, q := s.places()
	if k == 1 {
		q = p
	}
	r.at[k] = r.level(a.LogSNR().Half() + q*halfStep(a, to))
	var known nodes
	known.add(0, r.k[0])
	if k == 2 {
		known.add(p/q, r.k[1])
	}
	e := s.Predict.exponent(a, r.at[k], 0)
	var terms [maxTerms]term
	n := e.terms(&terms, r.x, &known, e.exact(&known))
	r.lin(r.y, terms[:n]...)
}

// end leaves the result in r.next and the difference of the two orders in r.diff.
// By the rules of others the size of x_low counts: then it is x_low that is left
// in r.next, and the result in r.y.
func (s DPMAdaptive) end(r *trial) {
	to, _ := s.target(r)
	e := s.Predict.exponent(r.from, to, 0)
	scale := r.to.Alpha / to.Alpha
	e.lin, e.gain = scale*e.lin, scale*e.gain
	p, q := s.places()
	var all nodes
	for i, z := range []float64{0, p, q}[:s.Order] {
		all.add(z, r.k[i])
	}
	first := all
	first.n--
	low, high := s.Form.weights(&first, e), s.Form.singlestep(&all, e)
	var diff, result [maxTerms]term
	for i := range s.Order {
		diff[i] = term{e.gain * (high[i] - low[i]), r.k[i]}
	}
	r.lin(r.diff, diff[:s.Order]...)
	n := e.terms(&result, r.x, &all, high)
	if s.Rule == RowRule {
		r.lin(r.next, result[:n]...)
		return
	}
	r.lin(r.y, result[:n]...)
	r.lin(r.next, term{1, r.y}, term{-1, r.diff})
	r.prev = r.kept[0]
	copy(r.fresh[0], r.next)
}

// settle adds the noise, and puts the result in its place.
func (s DPMAdaptive) settle(r *trial) {
	if s.Rule == RowRule {
		copy(r.y, r.next)
	}
	_, up := s.target(r)
	if up == 0 {
		copy(r.next, r.y)
		return
	}
	r.lin(r.next, term{1, r.y}, term{s.SNoise * r.to.Alpha * up, r.z[0]})
}

// NFE implements [Solver].
func (s DPMAdaptive) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPMAdaptive) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return startAdaptive(s, s.method(), p, x, opts)
}
