package solvers

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/integrate/quad"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// ERSDE is the solver of extended reverse-time SDEs [cui2023, algorithms 1 to 5],
// whose noise is a function φ of ŝ = σ/α: φ = ŝ is the probability-flow ODE,
// φ = ŝ² the reverse SDE, and others lie around them. With x̂ = x/α,
//
//	x̂_b = (φ_b/φ_a) x̂_a − ∫_{ŝ_b}^{ŝ_a} D(s) d(φ_b/φ(s)) + √(ŝ_b² − ŝ_a² φ_b²/φ_a²) z
//
// with D constant (order 1), linear or quadratic in s through the last answers;
// the integral is taken by Gauss's rule in log s. With φ = ŝ the method is
// deterministic, of that order with start = rk, and the cheap start caps it at
// 2; otherwise it converges weakly with order 1 at least. One evaluation a
// step. The step to σ = 0 has no noise.
//
// Differs from the paper in order 3, which takes (D_a − D₁)/(ŝ_a − ŝ₁) for the
// slope of the parabola at a, so that the order is 2: Published selects that.
// Its programs sum the integral over 100 points.
type ERSDE struct {
	Order     int           `json:"order"`     // answers combined, 1 to 3
	Noise     NoiseFunction `json:"noise"`     // φ
	Opening   Opening       `json:"start"`     // how the first steps are taken, with noise = ode
	Published bool          `json:"published"` // the paper's parabola
}

// NoiseFunction is φ of [ERSDE], the names those of [cui2023].
type NoiseFunction uint8

const (
	NoiseSDE5 NoiseFunction = iota // φ = s (e^{s^0.3} + 10), the default
	NoiseSDE4                      // φ = s^0.9 log₁₀(1 + 100 s^1.5)
	NoiseSDE3                      // φ = s^2.5
	NoiseSDE2                      // φ = s^1.5
	NoiseSDE1                      // φ = s (e^{−1/s} + 10)
	NoiseSDE                       // φ = s², the reverse SDE
	NoiseODE                       // φ = s, the probability-flow ODE
)

var noiseFunctionNames = []string{"sde5", "sde4", "sde3", "sde2", "sde1", "sde", "ode"}

func (f NoiseFunction) String() string { return spec.EnumName(f, noiseFunctionNames) }

// MarshalText writes the name.
func (f NoiseFunction) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads a name.
func (f *NoiseFunction) UnmarshalText(b []byte) (err error) {
	*f, err = parseChoice[NoiseFunction](noiseFunctionNames, string(b))
	return err
}

// log is log φ(s) in u = log s, so that φ may leave the range of numbers.
func (f NoiseFunction) log(u float64) float64 {
	switch f {
	case NoiseODE:
		return u
	case NoiseSDE:
		return 2 * u
	case NoiseSDE1:
		return u + math.Log(math.Exp(-math.Exp(-u))+10)
	case NoiseSDE2:
		return 1.5 * u
	case NoiseSDE3:
		return 2.5 * u
	case NoiseSDE4:
		return 0.9*u + math.Log(math.Log1p(100*math.Exp(1.5*u))/math.Ln10)
	}
	v := math.Exp(0.3 * u)
	return u + v + math.Log1p(10*math.Exp(-v))
}

func (s ERSDE) String() string { return Registry().Format("er-sde", s) }

// Validate reports settings without meaning or without effect.
func (s ERSDE) Validate() error {
	switch {
	case s.Order < 1 || s.Order > 3:
		return fmt.Errorf("order = %d: expected 1, 2 or 3", s.Order)
	case s.Noise != NoiseODE && s.Opening != Cheap:
		return fmt.Errorf("start = %s with noise = %s: its steps draw no noise, use it with noise = ode", s.Opening, s.Noise)
	case s.Published && s.Order != 3:
		return fmt.Errorf("published = true has no effect with order = %d: leave it out", s.Order)
	}
	if err := s.Opening.check(s.Order); err != nil {
		return err
	}
	return checkChoice("noise", noiseFunctionNames, s.Noise)
}

// Properties implements [Solver].
func (s ERSDE) Properties() Properties {
	order := s.Order
	if s.Opening == Cheap || s.Published {
		order = min(order, 2)
	}
	stochastic := s.Noise != NoiseODE
	if stochastic {
		order = 1
	}
	p := Properties{
		Order: float64(order), Evals: 1, LastEvals: 1, History: s.Order - 1, PathFree: true, Stochastic: stochastic, Rises: !stochastic,
		Summary:    "multistep solver in σ/α of reverse SDEs with a noise function",
		Equation:   "x̂_b = (φ_b/φ_a) x̂_a − ∫_{ŝ_b}^{ŝ_a} D(s) d(φ_b/φ(s)) + √(ŝ_b² − ŝ_a² φ_b²/φ_a²) z",
		References: []string{"cui2023"},
	}
	s.Opening.promise(&p, s.Order)
	return p
}

func (s ERSDE) method() method {
	m := method{evals: 1, history: s.Order - 1, step: s.step, fits: s.fits}
	s.Opening.prepare(&m, s.Order)
	return m
}

// fits refuses levels between which φ takes more noise away than there is.
func (s ERSDE) fits(g schedules.Grid) error {
	for i := range g.Steps() {
		a, b := g[i], g[i+1]
		if s.Noise == NoiseODE || a.Alpha == 0 || b.Sigma == 0 {
			continue
		}
		if v := s.variance(a, b); !(v > -1e-12) { // rounding, where φ is ŝ there
			return fmt.Errorf("from σ/α = %g to %g the noise function %s leaves a variance of %g σ_b²: expected φ/ŝ to rise with ŝ there", a.Noise(), b.Noise(), s.Noise, v)
		}
	}
	return nil
}

// variance is that of the noise drawn from a to b, over ŝ_b².
func (s ERSDE) variance(a, b schedules.Level) float64 {
	u, v := -a.LogSNR().Half(), -b.LogSNR().Half()
	return -math.Expm1(2 * (u - v + s.Noise.log(v) - s.Noise.log(u)))
}

func (s ERSDE) step(w *walk) {
	if s.Opening.step(w, s.Order) {
		return
	}
	a, b := w.from, w.to
	n := min(s.Order, w.known+1)
	if s.Noise == NoiseODE {
		w.order = n
	}
	// In z = (s − ŝ_a)/(ŝ_b − ŝ_a) the last answer is at 0.
	var p nodes
	h := b.Noise() - a.Noise()
	p.add(0, w.d)
	for k := range n - 1 {
		p.add((w.pastLevel(k).Noise()-a.Noise())/h, w.past[k])
	}
	moments := s.moments(a, b)
	c := p.newton(moments)
	if s.Published && n == 3 {
		c[2] = moments[2] // of z² instead of z (z − z₁)
	}
	k := exponent{lin: b.Alpha / a.Alpha * (1 - moments[0]), gain: b.Alpha} // its integral is another
	var terms [maxTerms]term
	m := k.terms(&terms, w.x, &p, p.values(c))
	if s.Noise != NoiseODE {
		terms[m] = term{b.Sigma * math.Sqrt(max(s.variance(a, b), 0)), w.normal(a, b)}
		m++
	}
	w.lin(w.next, terms[:m]...)
}

// gauss is Gauss's rule on [0, 1]. With 24 points ∫ s^p ds/s is met to rounding
// over a factor of 10⁴ in s, p up to 2.5.
var gauss = func() (g struct{ x, w [24]float64 }) {
	quad.Legendre{}.FixedLocations(g.x[:], g.w[:], 0, 1)
	return g
}()

// moments returns −∫_{ŝ_b}^{ŝ_a} zⁿ d(φ_b/φ), which by parts is
// 1 − n ∫₀¹ z^{n−1} φ_b/φ dz, and for n = 0 is 1 − φ_b/φ_a.
func (s ERSDE) moments(a, b schedules.Level) (m [maxNodes]float64) {
	u, v := -a.LogSNR().Half(), -b.LogSNR().Half()
	top := s.Noise.log(v)
	m[0] = -math.Expm1(top - s.Noise.log(u))
	m[1], m[2] = 1, 1
	span := -math.Expm1(u - v) // (ŝ_b − ŝ_a)/ŝ_b
	for i, x := range gauss.x {
		at := u + (v-u)*x
		dz := gauss.w[i] * (v - u) * math.Exp(at-v) / span
		z := math.Expm1(at-u) / math.Expm1(v-u)
		f := dz * math.Exp(top-s.Noise.log(at))
		m[1] -= f
		m[2] -= 2 * z * f
	}
	return m
}

// NFE implements [Solver].
func (s ERSDE) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s ERSDE) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
