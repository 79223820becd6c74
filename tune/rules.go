package tune

import (
	"fmt"
	"math"
	"math/cmplx"

	"snrlab/solvers"
)

// levels writes p.s from n logits: the steps in log s are their softmax times
// the whole.
func levels(p *program, logits []complex128, from, to float64) {
	total := complex128(0)
	for _, u := range logits {
		total += cmplx.Exp(u)
	}
	sum, whole := complex128(0), complex(math.Log(to/from), 0)
	p.s[0] = complex(from, 0)
	for i, u := range logits {
		sum += cmplx.Exp(u)
		p.s[i+1] = complex(from, 0) * cmplx.Exp(whole*sum/total)
	}
	p.s[len(p.s)-1] = complex(to, 0)
}

// logits are the parameters of a grid.
func logits(grid []float64) []float64 {
	l := make([]float64, len(grid)-1)
	for i := range l {
		l[i] = math.Log(math.Log(grid[i] / grid[i+1]))
	}
	return l
}

// told writes p.tau: the levels of the steps, moved in the logarithm by shifts
// where there are any.
func told(p *program, shifts []complex128) {
	copy(p.tau, p.s[:p.n])
	for i, d := range shifts {
		p.tau[i] *= cmplx.Exp(d)
	}
}

// rule is a fixed method: it walks p.s, telling the denoiser p.tau.
type rule func(p *program)

// ruled is a rule on a grid whose levels are the parameters.
func ruled(r rule, grid []float64) *scheme {
	n, from, to := len(grid)-1, grid[0], grid[len(grid)-1]
	return &scheme{steps: n, n: n, first: logits(grid), run: func(p *program, theta []complex128) {
		levels(p, theta, from, to)
		told(p, nil)
		r(p)
	}}
}

// ruleOf returns the rule of a solver that has one.
func ruleOf(name string) (rule, error) {
	s, err := solvers.Parse(name)
	if err != nil {
		return nil, err
	}
	if two, err := solvers.Parse("dpmpp-2m"); err == nil && s == two {
		return dpmpp2m, nil
	}
	switch s := s.(type) {
	case solvers.IPNDM:
		if s.Opening == solvers.Cheap {
			return ipndm(s.Order), nil
		}
	case solvers.DDIM:
		if s.Eta == 0 {
			return ipndm(1), nil
		}
	case solvers.UniPC:
		if s == (solvers.UniPC{Order: s.Order, Variant: solvers.BH2, Predictor: true, Corrector: true}) {
			return unipc(s.Order), nil
		}
	}
	return nil, fmt.Errorf("tune: %s has no rule whose derivatives are known: expected ddim, ipndm, dpmpp-2m or unipc at their default starts; snrlab optimize grid finds grids for every solver", s)
}

var adams = [5][]float64{
	{},
	{1},
	{3. / 2, -1. / 2},
	{23. / 12, -16. / 12, 5. / 12},
	{55. / 24, -59. / 24, 37. / 24, -9. / 24},
}

// ipndm is the rule of uniform Adams–Bashforth coefficients on H; order 1 is
// Euler.
func ipndm(order int) rule {
	return func(p *program) {
		x := p.start()
		var h []form
		for i := range p.n {
			h = append(h, p.slope(x, p.ask(x), p.s[i]))
			step := p.s[i+1] - p.s[i]
			k := min(i+1, order)
			parts := []part{{1, x}}
			for j, c := range adams[k] {
				parts = append(parts, part{step * complex(c, 0), h[i-j]})
			}
			x = p.sum(parts...)
		}
		p.finish(x)
	}
}

// dpmpp2m is the two-step exponential integrator for D.
func dpmpp2m(p *program) {
	x := p.start()
	var before form
	for i := range p.n {
		d := p.ask(x)
		h := cmplx.Log(p.s[i] / p.s[i+1])
		bar := d
		if before != nil {
			half := h / (2 * cmplx.Log(p.s[i-1]/p.s[i]))
			bar = p.sum(part{1 + half, d}, part{-half, before})
		}
		ratio := p.s[i+1] / p.s[i]
		x = p.sum(part{ratio, x}, part{1 - ratio, bar})
		before = d
	}
	p.finish(x)
}

// unipc is UniPC with B₂ for D: each answer first corrects the step that led to
// it.
func unipc(order int) rule {
	return func(p *program) {
		x := p.start() // corrected state at s_i
		y := x         // predicted state at s_i
		var answers []form
		for i := range p.n {
			d := p.ask(y)
			if i > 0 {
				x = p.uniStep(x, answers, d, i-1, min(i, order))
			}
			answers = append(answers, d)
			y = p.uniStep(x, answers, nil, i, min(i+1, order))
		}
		p.finish(y)
	}
}

// uniStep goes from s_i to s_{i+1} with answers up to i, and the answer at the
// end where it is known.
func (p *program) uniStep(x form, answers []form, end form, i, order int) form {
	h := cmplx.Log(p.s[i] / p.s[i+1])
	hh := -h
	ratio := p.s[i+1] / p.s[i]
	phi1 := ratio - 1 // expm1(−h)
	var r []complex128
	var diffs []form
	for k := 1; k < order; k++ {
		rk := cmplx.Log(p.s[i]/p.s[i-k]) / h
		r = append(r, rk)
		diffs = append(diffs, p.sum(part{1 / rk, answers[i-k]}, part{-1 / rk, answers[i]}))
	}
	if end != nil {
		r = append(r, 1)
		diffs = append(diffs, p.sum(part{1, end}, part{-1, answers[i]}))
	}
	parts := []part{{ratio, x}, {-phi1, answers[i]}}
	if n := len(r); n > 0 {
		a, b := make([][]complex128, n), make([]complex128, n)
		phi, factorial := phi1/hh-1, complex128(1)
		for m := range n {
			a[m] = make([]complex128, n)
			for k := range n {
				a[m][k] = 1
				if m > 0 {
					a[m][k] = a[m-1][k] * r[k]
				}
			}
			b[m] = phi * factorial / phi1
			factorial *= complex(float64(m+2), 0)
			phi = phi/hh - 1/factorial
		}
		if n == 1 {
			b[0] = 0.5 // as published: the one coefficient is set, not solved for
		} else {
			solveComplex(a, b)
		}
		for k := range n {
			parts = append(parts, part{-phi1 * b[k], diffs[k]})
		}
	}
	return p.sum(parts...)
}

// solveComplex solves a·x = b in place, by elimination with pivots.
func solveComplex(a [][]complex128, b []complex128) {
	n := len(b)
	for c := range n {
		best := c
		for r := c + 1; r < n; r++ {
			if cmplx.Abs(a[r][c]) > cmplx.Abs(a[best][c]) {
				best = r
			}
		}
		a[c], a[best], b[c], b[best] = a[best], a[c], b[best], b[c]
		for r := c + 1; r < n; r++ {
			f := a[r][c] / a[c][c]
			for k := c; k < n; k++ {
				a[r][k] -= f * a[c][k]
			}
			b[r] -= f * b[c]
		}
	}
	for r := n - 1; r >= 0; r-- {
		for k := r + 1; k < n; k++ {
			b[r] -= a[r][k] * b[k]
		}
		b[r] /= a[r][r]
	}
}
