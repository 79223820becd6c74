package solvers

import (
	"snrlab/schedules"
	"snrlab/snr"
)

// tableau holds an explicit Runge–Kutta method: stage i is taken at c[i] with
// weights a[i] of the earlier slopes; b makes the step.
type tableau struct {
	a [][]float64
	b []float64
	c []float64
}

// tableaux are the methods that start a multistep method of order 2 to 6
// [hairer1993, sections II.1 and II.5]: Heun's, Kutta's third order, the
// classical fourth, Nyström's fifth and Butcher's sixth.
var tableaux = map[int]tableau{
	2: {a: [][]float64{{}, {1}}, b: []float64{1. / 2, 1. / 2}, c: []float64{0, 1}},
	3: {a: [][]float64{{}, {1. / 2}, {-1, 2}}, b: []float64{1. / 6, 2. / 3, 1. / 6}, c: []float64{0, 1. / 2, 1}},
	4: {a: [][]float64{{}, {1. / 2}, {0, 1. / 2}, {0, 0, 1}}, b: []float64{1. / 6, 1. / 3, 1. / 3, 1. / 6}, c: []float64{0, 1. / 2, 1. / 2, 1}},
	5: {
		a: [][]float64{
			{},
			{1. / 3},
			{4. / 25, 6. / 25},
			{1. / 4, -3, 15. / 4},
			{2. / 27, 10. / 9, -50. / 81, 8. / 81},
			{2. / 25, 12. / 25, 2. / 15, 8. / 75, 0},
		},
		b: []float64{23. / 192, 0, 125. / 192, 0, -27. / 64, 125. / 192},
		c: []float64{0, 1. / 3, 2. / 5, 1, 2. / 3, 4. / 5},
	},
	6: {
		a: [][]float64{
			{},
			{1. / 3},
			{0, 2. / 3},
			{1. / 12, 1. / 3, -1. / 12},
			{-1. / 16, 9. / 8, -3. / 16, -3. / 8},
			{0, 9. / 8, -3. / 8, -3. / 4, 1. / 2},
			{9. / 44, -9. / 11, 63. / 44, 18. / 11, 0, -16. / 11},
		},
		b: []float64{11. / 120, 0, 27. / 40, 27. / 40, -4. / 15, -4. / 15, 11. / 120},
		c: []float64{0, 1. / 3, 2. / 3, 1. / 3, 1. / 2, 1. / 2, 1},
	},
}

// prepare gives a method of an order what its opening needs.
func (o Opening) prepare(m *method, order int) {
	p := o.order(order)
	if p < 2 {
		return
	}
	stages := len(tableaux[p].b)
	m.scratch = max(m.scratch, stages+2)
	evals := m.evals
	m.cost = func(at place) int {
		if opens(at.known, p, at.to()) {
			return evals + stages - 1
		}
		return evals
	}
}

// promise completes the properties of a multistep method of an order.
func (o Opening) promise(props *Properties, order int) {
	p := o.order(order)
	if p < 2 {
		return
	}
	props.FirstEvals = (p - 1) * (len(tableaux[p].b) - 1)
	props.Between = p > 2
}

// opens reports a step that has too few earlier answers for the order. A step
// to σ = 0 has no Runge–Kutta form: the slope e is not defined there.
func opens(known, order int, to schedules.Level) bool { return known < order-1 && to.Sigma > 0 }

// step takes a Runge–Kutta step in (ŝ, x̂) = (σ/α, x/α), where dx̂/dŝ = e, if w
// still is in the opening of a method of an order, and reports whether it did.
func (o Opening) step(w *walk, order int) bool {
	p := o.order(order)
	if !opens(w.known, p, w.to) {
		return false
	}
	a, t := w.from, tableaux[p]
	h := w.to.Noise() - a.Noise()
	stages := len(t.b)
	e, y, d := w.tmp[:stages], w.tmp[stages], w.tmp[stages+1]
	w.slope(e[0], w.x, w.d, a)
	for i := 1; i < stages; i++ {
		at := w.to
		if t.c[i] < 1 {
			at = w.between(snr.FromSigma(a.Noise() + t.c[i]*h))
		}
		w.slopes(y, at, h, t.a[i], e)
		w.eval(d, y, at)
		w.slope(e[i], y, d, at)
	}
	w.slopes(w.next, w.to, h, t.b, e)
	w.order = p
	return true
}

// slopes writes α_b (x̂ + h Σ kᵢ eᵢ) into dst.
func (w *walk) slopes(dst []float64, b schedules.Level, h float64, k []float64, e [][]float64) {
	var terms [maxTerms]term
	terms[0] = term{b.Alpha / w.from.Alpha, w.x}
	for i, c := range k {
		terms[1+i] = term{b.Alpha * h * c, e[i]}
	}
	w.lin(dst, terms[:1+len(k)]...)
}
