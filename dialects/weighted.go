package dialects

import (
	"gonum.org/v1/gonum/integrate/quad"

	"snrlab/schedules"
	"snrlab/solvers"
)

// weighted is a linear multistep method by its weights, for programs whose own
// are not those of the method:
//
//	x_b = w₀ x_a + w₁ e + w₂ e₁ + …,   e = (x − αD)/σ, the newest first
//
// A row of weights belongs to a step; those beyond its end are 0.
func weighted(name string, order int, weights [][]float64) solvers.Solver {
	return &habit{
		name:  name,
		props: solvers.Properties{Order: 1, Evals: 1, LastEvals: 1, History: order - 1},
		last:  1,
		step: func(s *habitStep) {
			e := make([]float64, len(s.x))
			mix(e, 1/s.from.Sigma, s.x, -s.from.Alpha/s.from.Sigma, s.denoise(s.x, s.from))
			past := append([][]float64{e}, s.run.past...)
			w := weights[s.index]
			mix(s.next, w[0], s.x, 0, e)
			for j, c := range w[1:] {
				if j < len(past) {
					mix(s.next, 1, s.next, c, past[j])
				}
			}
			s.run.past = past[:min(order, len(past))]
		},
	}
}

// rule is a quadrature of ∫ f(u) dŝ = Σ w f(u), ŝ = σ/α.
type rule struct{ u, w []float64 }

// interpolate returns Σ w L_j(u) for the Lagrange polynomials of nodes.
func (r rule) interpolate(nodes []float64) []float64 {
	c := make([]float64, len(nodes))
	for i, u := range r.u {
		for j := range nodes {
			p := r.w[i]
			for m, other := range nodes {
				if m != j {
					p *= (u - other) / (nodes[j] - other)
				}
			}
			c[j] += p
		}
	}
	return c
}

// gauss is exact for polynomials in ŝ of degree up to 7 from a to b.
func gauss(a, b float64) rule {
	r := rule{make([]float64, 4), make([]float64, 4)}
	quad.Legendre{}.FixedLocations(r.u, r.w, min(a, b), max(a, b))
	if b < a {
		for i := range r.w {
			r.w[i] = -r.w[i]
		}
	}
	return r
}

// rectangles is the rectangle rule of n points in u, where dŝ = rate(u) du. The
// points begin at a; closed ones end at b, although their widths are (b − a)/n.
func rectangles(a, b float64, n int, closed bool, rate func(u float64) float64) rule {
	r := rule{linspace(a, b, n+1)[:n], make([]float64, n)}
	if closed {
		r.u = linspace(a, b, n)
	}
	for i, u := range r.u {
		r.w[i] = rate(u) * (b - a) / float64(n)
	}
	return r
}

// newest lists what f gives for step i and those before it, count in all.
func newest(i, count int, f func(k int) float64) []float64 {
	v := make([]float64, count)
	for j := range v {
		v[j] = f(i - j)
	}
	return v
}

// bySteps makes the weights of a method on a grid from those of e in x/α.
func bySteps(g schedules.Grid, of func(i int) []float64) [][]float64 {
	rows := make([][]float64, g.Steps())
	for i := range rows {
		a, b := g[i], g[i+1]
		rows[i] = []float64{b.Alpha / a.Alpha}
		for _, c := range of(i) {
			rows[i] = append(rows[i], b.Alpha*c)
		}
	}
	return rows
}

// padded strings rows together, each with zeros up to a width.
func padded(rows [][]float64, width int) []float64 {
	var flat []float64
	for _, r := range rows {
		flat = append(append(flat, r...), make([]float64, width-len(r))...)
	}
	return flat
}
