package tune

import (
	"fmt"
	"math"
	"math/cmplx"

	"snrlab/solvers"
)

// directions of a step of family epd.
const directions = 2

// epdSteps returns the steps that a budget pays for: K + 1 evaluations each, one
// less in the first where that makes them whole.
func epdSteps(nfe int) (steps int, afs bool, err error) {
	const each = directions + 1
	switch nfe % each {
	case 0:
		return nfe / each, false, nil
	case each - 1:
		return (nfe + 1) / each, true, nil
	}
	return 0, false, fmt.Errorf("tune: nfe = %d: expected a multiple of %d, the evaluations of a step of epd, or one less for an analytic first step", nfe, each)
}

// epdStep holds the constants of one step of [solvers.EPD].
type epdStep struct {
	r, w, kappa [directions]complex128
	c           complex128
}

// epdFree is the number of parameters of a step: r and log κ by logits, weights by
// the logarithms of their ratios to the last one, and c.
const epdFree = 3 * directions

// A direction whose weight goes to 0 is bound to nothing: these bounds keep its
// place inside the step and the level that it tells near its own.
const (
	epdEdge  = 0.005 // r from here to 1 less it
	epdShift = 2     // |log κ|; what the free levels of linear solvers come to is 1.9
)

func logistic(x complex128) complex128 { return 1 / (1 + cmplx.Exp(-x)) }

func epdStepOf(theta []complex128) epdStep {
	s := epdStep{c: theta[epdFree-1]}
	sum := complex128(0)
	for k := range directions {
		s.r[k] = epdEdge + (1-2*epdEdge)*logistic(theta[k])
		s.kappa[k] = cmplx.Exp(epdShift * (2*logistic(theta[directions+k]) - 1))
		s.w[k] = 1
		if k < directions-1 {
			s.w[k] = cmplx.Exp(theta[2*directions+k])
		}
		sum += s.w[k]
	}
	for k := range s.w {
		s.w[k] /= sum
	}
	return s
}

// epd is the scheme of [solvers.EPD], see [zhu2025], with its levels and constants
// as parameters. It begins with the midpoints of the halves of each step in ŝ.
func epd(grid []float64, afs bool) *scheme {
	steps, from, to := len(grid)-1, grid[0], grid[len(grid)-1]
	s := &scheme{steps: steps, n: steps * (directions + 1), first: logits(grid)}
	if afs {
		s.n--
	}
	for i := range steps {
		free := make([]float64, epdFree)
		for k := range directions {
			u := (float64(k) + 0.5) / directions
			r := math.Log1p(u*(grid[i+1]/grid[i]-1)) / math.Log(grid[i+1]/grid[i])
			u = (min(max(r, 2*epdEdge), 1-2*epdEdge) - epdEdge) / (1 - 2*epdEdge)
			free[k] = math.Log(u / (1 - u))
		}
		free[epdFree-1] = 1
		s.first = append(s.first, free...)
	}
	s.run = func(p *program, theta []complex128) {
		levels(p, theta[:steps], from, to)
		ask := func(x form, tau complex128) form {
			p.tau[p.asks] = tau
			return p.ask(x)
		}
		x := p.start()
		for i := range steps {
			a, b, step := p.s[i], p.s[i+1], epdStepOf(theta[steps+i*epdFree:])
			var e form
			if afs && i == 0 {
				e = p.sum(part{1 / cmplx.Sqrt(1+a*a), x})
			} else {
				e = p.slope(x, ask(x, a), a)
			}
			parts := []part{{1, x}}
			for k, r := range step.r {
				m := cmplx.Exp(r*cmplx.Log(b) + (1-r)*cmplx.Log(a))
				y := p.sum(part{1, x}, part{m - a, e})
				parts = append(parts, part{step.c * (b - a) * step.w[k], p.slope(y, ask(y, step.kappa[k]*m), m)})
			}
			x = p.sum(parts...)
		}
		p.finish(x)
	}
	return s
}

// epdSolver reads the solver at parameters of epd.
func epdSolver(steps int, afs bool, theta []complex128) solvers.EPD {
	var r, w, kappa, c []float64
	for i := range steps {
		s := epdStepOf(theta[steps+i*epdFree:])
		for k := range directions {
			r, w, kappa = append(r, real(s.r[k])), append(w, real(s.w[k])), append(kappa, real(s.kappa[k]))
		}
		c = append(c, real(s.c))
	}
	return solvers.EPD{K: directions, R: solvers.Numbers(r...), W: solvers.Numbers(w...), Kappa: solvers.Numbers(kappa...), C: solvers.Numbers(c...), AFS: afs}
}
