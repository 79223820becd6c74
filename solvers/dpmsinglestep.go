package solvers

import (
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
	"snrlab/snr"
)

// DPMSinglestep is the singlestep form of DPM-Solver [lu2022, algorithms 1 and 2]
// and DPM-Solver++ [lu2022pp, algorithm 1], of order 2 or 3. With ℓ = log(α/σ),
// h = ℓ_b − ℓ_a, intermediate levels ℓ_m = ℓ_a + r h and ℓ_n = ℓ_a + r₂ h, and φ at h,
// it is for e
//
//	y_m = (α_m/α_a) x_a − σ_m r h φ₁(rh) e_a
//	x_b = (α_b/α_a) x_a − σ_b h [φ₁ e_a + φ₁ (e_m − e_a)/(2r)]    order 2, form = paper
//	x_b = (α_b/α_a) x_a − σ_b h [φ₁ e_a + φ₂ (e_m − e_a)/r]       order 2, form = taylor
//	x_b = (α_b/α_a) x_a − σ_b h [φ₁ e_m]                          order 2, form = simple
//
//	y_n = (α_n/α_a) x_a − σ_n r₂ h [φ₁ e_a + φ₂ (e_m − e_a) r₂/r]   φ at r₂ h
//	x_b = (α_b/α_a) x_a − σ_b h [φ₁ e_a + φ₂ (e_n − e_a)/r₂]      order 3, form = paper
//
// and order 3 with form = taylor integrates the parabola through e_a, e_m and e_n.
// The paper's form is of order 3 at r₂ = 2/3 alone, and of order 2 elsewhere.
// For D the first term is (σ_b/σ_a) x_a, the factor +α_b h, and φ is at −h. Order
// many evaluations a step, one in the step to σ = 0; the intermediate levels come
// from the problem's schedule.
//
// Short saves evaluations at the end, the order lists of DPM-Solver-fast: 1 makes
// the last step one of an order less, and with order 3 also 2 one of two less and
// 3 the last two steps of orders 2 and 1. With n steps of order 3 that is 3n −
// Short evaluations; a step of order 1 at the end caps the order at 2. Inner = t
// counts r and r₂ in the schedule's time.
//
// Eta > 0 is ancestral: the step goes down past b to d and noise comes back up,
//
//	ŝ_up² = η² ŝ_b² (1 − ŝ_b²/ŝ_a²),   ŝ_d² = ŝ_b² − ŝ_up²,   x̂_b = x̂_d + SNoise ŝ_up z
//
// but never past the last level of the grid, so that every evaluation is within
// its ends. Churn, instead, comes before the step (see the fields).
type DPMSinglestep struct {
	Order   int        `json:"-"`      // 2 or 3; part of the name
	Predict Prediction `json:"-"`      // part of the name: dpmpp-2s, dpm-solver-2
	R       float64    `json:"r"`      // place of the first intermediate level, 0 < r ≤ 1
	R2      float64    `json:"r2"`     // of order 3 the place of the second, r < r₂ ≤ 1
	Form    Form       `json:"form"`   // weights of the later evaluations
	Inner   Inner      `json:"inner"`  // what r and r₂ count
	Short   int        `json:"short"`  // evaluations saved in the last steps
	Eta     float64    `json:"eta"`    // ancestral noise, 0 ≤ η ≤ 1
	SChurn  float64    `json:"schurn"` // churn per run, shared by its steps; 0 is none
	SMin    float64    `json:"stmin"`  // least σ/α that is churned
	SMax    float64    `json:"stmax"`  // greatest σ/α that is churned
	SNoise  float64    `json:"snoise"` // factor of the noise added
}

// Inner is what the places of intermediate levels count.
type Inner uint8

const (
	InnerLambda Inner = iota // λ. The default
	InnerTime                // the time of the problem's schedule
)

var innerNames = []string{"lambda", "t"}

func (i Inner) String() string { return spec.EnumName(i, innerNames) }

// MarshalText writes the name.
func (i Inner) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads a name.
func (i *Inner) UnmarshalText(b []byte) (err error) {
	*i, err = parseChoice[Inner](innerNames, string(b))
	return err
}

// NewDPMSinglestep returns the solver of an order at its defaults.
func NewDPMSinglestep(order int, p Prediction) DPMSinglestep {
	s := DPMSinglestep{Order: order, Predict: p, R: 1. / 2, SMax: noChurn.SMax, SNoise: noChurn.SNoise}
	if order == 3 {
		s.R, s.R2 = 1./3, 2./3
	}
	return s
}

func (s DPMSinglestep) String() string {
	name := s.Predict.name(fmt.Sprintf("dpmpp-%ds", s.Order), fmt.Sprintf("dpm-solver-%d", s.Order))
	if s.Order != 2 && s.Order != 3 {
		return name
	}
	return Registry().Format(name, s)
}

// Validate reports settings without meaning or without effect.
func (s DPMSinglestep) Validate() error {
	if s.Order != 2 && s.Order != 3 {
		return fmt.Errorf("order = %d: expected 2 or 3", s.Order)
	}
	if err := checkChoice("prediction", predictionNames, s.Predict); err != nil {
		return err
	}
	if err := checkR(s.R); err != nil {
		return err
	}
	if err := checkChoice("form", formNames, s.Form); err != nil {
		return err
	}
	if err := checkChoice("inner", innerNames, s.Inner); err != nil {
		return err
	}
	switch {
	case s.Order == 2 && s.R2 != 0:
		return fmt.Errorf("r2 = %g has no effect with order = 2: leave it out", s.R2)
	case s.Order == 3 && !(s.R2 > s.R && s.R2 <= 1):
		return fmt.Errorf("r = %g, r2 = %g: expected r < r2 ≤ 1", s.R, s.R2)
	case s.Order == 3 && s.Form == Simple:
		return fmt.Errorf("form = simple: a method of order 3 has paper and taylor")
	case s.Short < 0 || s.Short > 2*s.Order-3:
		return fmt.Errorf("short = %d: expected 0 to %d evaluations", s.Short, 2*s.Order-3)
	case s.Eta > 0 && s.SChurn > 0:
		return fmt.Errorf("eta = %g and schurn = %g: expected one way to add noise", s.Eta, s.SChurn)
	}
	if err := checkEta(s.Eta); err != nil {
		return err
	}
	if s.Eta > 0 {
		if s.SMin != 0 || s.SMax != 0 && s.SMax != noChurn.SMax {
			return fmt.Errorf("stmin and stmax have no effect with schurn = 0: leave them out")
		}
		return checkNoise(s.Eta, s.SNoise)
	}
	return s.churn().validate()
}

func checkR(r float64) error {
	if !(r > 0 && r <= 1) {
		return fmt.Errorf("r = %g: expected 0 < r ≤ 1", r)
	}
	return nil
}

func (s DPMSinglestep) churn() churn {
	if s.Eta > 0 {
		return noChurn
	}
	return churn{s.SChurn, s.SMin, s.SMax, s.SNoise}
}

// Properties implements [Solver].
func (s DPMSinglestep) Properties() Properties {
	order := float64(s.Order)
	switch {
	case s.Form == Simple && s.R != 0.5:
		order = 1
	case s.Short > 1, s.Order == 3 && s.Form == Paper && s.R2 != 2./3:
		order = 2
	}
	noisy := s.Eta > 0 || s.SChurn > 0
	p := Properties{
		Order: order, Evals: s.Order, LastEvals: 1, PathFree: s.Inner == InnerLambda, Between: true,
		Stochastic: noisy, OwnNoise: s.SChurn > 0, Rises: !noisy, Varies: s.Short > 0,
		Summary:    "midpoint in log(α/σ), exponential weights for " + s.Predict.name("D", "ε"),
		Equation:   s.equation(),
		References: []string{s.Predict.name("lu2022pp", "lu2022"), "zhou2024"},
	}
	if s.Order == 3 {
		p.Summary = "two intermediate levels in log(α/σ), exponential weights for " + s.Predict.name("D", "ε")
		p.References = p.References[:1]
	}
	return p
}

func (s DPMSinglestep) equation() string {
	inner := map[Form]string{
		Paper: "φ₁ u_a + φ₁ (u_m − u_a)/(2r)", Taylor: "φ₁ u_a + φ₂ (u_m − u_a)/r", Simple: "φ₁ u_m",
	}[s.Form]
	if s.Order == 3 {
		inner = map[Form]string{Paper: "φ₁ u_a + φ₂ (u_n − u_a)/r₂", Taylor: "φ₁ u_a + φ₂ u' + 2 φ₃ u''"}[s.Form]
	}
	return s.Predict.name("x_b = (σ_b/σ_a) x_a + α_b h [", "x_b = (α_b/α_a) x_a − σ_b h [") + inner + s.Predict.name("],  u = D, φ at −h", "],  u = e, φ at h")
}

func (s DPMSinglestep) method() method {
	m := method{evals: s.Order, keep: s.Predict.answer(), scratch: 4, churn: s.churn(), step: s.step}
	if s.Short > 0 {
		m.cost, m.fits = s.orderAt, s.fits
	}
	return m
}

// fits refuses a grid that ends before the steps which Short makes shorter.
func (s DPMSinglestep) fits(g schedules.Grid) error {
	need := 1
	if s.Short == 3 {
		need = 2
	}
	if n := between(g); n < need {
		return fmt.Errorf("short = %d shortens the last %d of the steps between α = 0 and σ = 0, of which the grid has %d: expected more steps, or a smaller short", s.Short, need, n)
	}
	return nil
}

// orderAt is the order of a step, which is its evaluations too.
func (s DPMSinglestep) orderAt(at place) int {
	left := at.left()
	if at.grid[at.grid.Steps()].Sigma == 0 {
		left-- // the step to σ = 0 is none of the list
	}
	switch short := s.Short; {
	case left == 0 && short == 3:
		return 1
	case left == 1 && short == 3:
		return 2
	case left == 0:
		return s.Order - short
	}
	return s.Order
}

func (s DPMSinglestep) step(w *walk) {
	w.order = s.orderAt(w.place())
	if s.Eta == 0 {
		s.singlestep(w, w.next, w.to, w.order)
		return
	}
	a, b, y := w.from, w.to, w.tmp[3]
	down, up := ancestralDown(s.Eta, a, b, w.problem.Grid)
	if up == 0 {
		s.singlestep(w, w.next, b, w.order)
		return
	}
	d := w.between(snr.FromSigma(down))
	s.singlestep(w, y, d, w.order)
	w.lin(w.next, term{b.Alpha / d.Alpha, y}, term{s.SNoise * b.Alpha * up, w.normal(a, b)})
}

// ancestralDown returns the ŝ that an ancestral step from a to b goes down to,
// not below the grid's last, and the ŝ of the noise that leads back.
func ancestralDown(eta float64, a, b schedules.Level, g schedules.Grid) (down, up float64) {
	c, _ := etaSplit(eta, a, b)
	down = max(c/b.Alpha, g[g.Steps()].Noise())
	if down >= b.Noise() {
		return b.Noise(), 0
	}
	return down, math.Sqrt((b.Noise() - down) * (b.Noise() + down))
}

// singlestep writes into dst the step of an order from w.from to b.
func (s DPMSinglestep) singlestep(w *walk, dst []float64, b schedules.Level, order int) {
	places := [2]float64{s.R, s.R2}
	if order < s.Order {
		places[0] = 1. / 2
	}
	var p nodes
	p.add(0, w.answer(s.Predict))
	for i, r := range places[:order-1] {
		m, r := s.between(w, b, r)
		k, within := s.Predict.exponent(w.from, m, 0), p.within(r)
		w.exponential(dst, k, w.x, &within, k.exact(&within), nil)
		u := w.tmp[1+i]
		w.predict(u, w.tmp[0], s.Predict, dst, m)
		p.add(r, u)
	}
	k := s.Predict.exponent(w.from, b, 0)
	w.exponential(dst, k, w.x, &p, s.Form.singlestep(&p, k), nil)
}

// between returns the level at r of the way from w.from to b, and where it
// stands in λ.
func (s DPMSinglestep) between(w *walk, b schedules.Level, r float64) (schedules.Level, float64) {
	a, on := w.from.LogSNR(), w.problem.Schedule
	step := b.LogSNR() - a
	if s.Inner == InnerLambda {
		return w.between(a + snr.LogSNR(r)*step), r
	}
	ta, tb := on.TimeOf(a), on.TimeOf(b.LogSNR())
	l := on.At(ta + r*(tb-ta))
	return l, float64((l.LogSNR() - a) / step)
}

// NFE implements [Solver].
func (s DPMSinglestep) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPMSinglestep) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
