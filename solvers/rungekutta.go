package solvers

import "snrlab/schedules"

// openings are the methods that start a multistep method, by order.
var openings = [...]tableau{
	2: tableaux[Heun2], 3: tableaux[Kutta3], 4: tableaux[RK4], 5: tableaux[Nystrom5], 6: tableaux[Butcher6],
}

// prepare gives a method of an order what its opening needs.
func (o Opening) prepare(m *method, order int) {
	p := o.order(order)
	if p < 2 {
		return
	}
	stages := openings[p].stages()
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
	props.FirstEvals = (p - 1) * (openings[p].stages() - 1)
	props.Between = p > 2
}

// opens reports a step that has too few earlier answers for the order. A step
// to σ = 0 has no Runge–Kutta form: the slope e is not defined there.
func opens(known, order int, to schedules.Level) bool { return known < order-1 && to.Sigma > 0 }

// step takes a Runge–Kutta step in the angle, if w still is in the opening of a
// method of an order, and reports whether it did.
func (o Opening) step(w *walk, order int) bool {
	p := o.order(order)
	if !opens(w.known, p, w.to) {
		return false
	}
	t := &openings[p]
	w.rungeKutta(Angle, t, t.stages())
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
