package tune

import (
	"math"
	"slices"

	"snrlab/solvers"
)

// Free says which numbers of the linear family are parameters, all of them being
// the solvers of [shaul2024], see [solvers.Linear].
type Free struct {
	Window     int  // newest H_j that a step may use; 0 for all
	Levels     bool // s_i
	Told       bool // τ_i; else τ = s
	Weights    bool // w_ij
	Gains      bool // a_i
	Consistent bool // the newest weight of a row makes its sum 1
}

// oldest returns the first H_j that step i may use.
func (f Free) oldest(i int) int {
	if f.Window == 0 {
		return 0
	}
	return max(0, i+1-f.Window)
}

// full writes a linear solver out: every level told, every factor, whole rows
// of weights.
func full(l *solvers.Linear) *solvers.Linear {
	n := l.Steps()
	f := &solvers.Linear{S: slices.Clone(l.S), Tau: slices.Clone(l.S[:n]), A: make([]float64, n)}
	copy(f.Tau, l.Tau)
	copy(f.A, l.A)
	for i, row := range l.W {
		w := make([]float64, i+1)
		copy(w[i+1-len(row):], row)
		f.W = append(f.W, w)
	}
	return f
}

// adamsLinear is iPNDM of an order as a point of the family.
func adamsLinear(grid []float64, order int) *solvers.Linear {
	l := &solvers.Linear{S: slices.Clone(grid)}
	for i := range len(grid) - 1 {
		row := slices.Clone(adams[min(i+1, order)])
		slices.Reverse(row)
		l.W = append(l.W, row)
	}
	return l
}

// scheme makes the free numbers of the family parameters, beginning at l.
func (f Free) scheme(l *solvers.Linear) *scheme {
	l = full(l)
	n := l.Steps()
	s := &scheme{steps: n, n: n}
	if f.Levels {
		s.first = append(s.first, logits(l.S)...)
	}
	if f.Told {
		for i, t := range l.Tau {
			s.first = append(s.first, math.Log(t/l.S[i]))
		}
	}
	if f.Weights {
		for i, row := range l.W {
			last := i + 1
			if f.Consistent {
				last = i
			}
			s.first = append(s.first, row[f.oldest(i):last]...)
		}
	}
	if f.Gains {
		s.first = append(s.first, l.A...)
	}
	h := make([]form, n)
	w := make([]complex128, n)
	s.run = func(p *program, theta []complex128) {
		gains := f.begin(p, l, &theta)
		x := p.start()
		for i := range n {
			h[i] = p.slope(x, p.ask(x), p.s[i])
			theta = f.row(w[:i+1], l.W[i], theta)
			gain := complex(l.A[i], 0)
			if gains != nil {
				gain = gains[i]
			}
			step := p.s[i+1] - p.s[i]
			x = p.sum(part{1 + gain, x})
			for j, c := range w[:i+1] {
				for k, v := range h[j] {
					x[k] += step * c * v
				}
			}
		}
		p.finish(x)
	}
	return s
}

// begin writes the levels and takes their parameters off theta; it returns those
// of the gains, which stand at its end.
func (f Free) begin(p *program, l *solvers.Linear, theta *[]complex128) (gains []complex128) {
	n := l.Steps()
	if f.Levels {
		levels(p, (*theta)[:n], l.S[0], l.S[n])
		*theta = (*theta)[n:]
	} else {
		complexes(p.s, l.S)
	}
	if f.Told {
		told(p, (*theta)[:n])
		*theta = (*theta)[n:]
	} else {
		told(p, nil)
	}
	if f.Gains {
		gains = (*theta)[len(*theta)-n:]
	}
	return gains
}

// row writes the weights of a step and returns the parameters that are left.
func (f Free) row(w []complex128, fixed []float64, theta []complex128) []complex128 {
	if !f.Weights {
		complexes(w, fixed)
		return theta
	}
	clear(w)
	i := len(w) - 1
	sum := complex128(0)
	for j := f.oldest(i); j <= i; j++ {
		if f.Consistent && j == i {
			w[j] = 1 - sum
			break
		}
		w[j], theta = theta[0], theta[1:]
		sum += w[j]
	}
	return theta
}

// linear reads the solver at parameters of f.scheme(l).
func (f Free) linear(l *solvers.Linear, theta []float64) *solvers.Linear {
	l = full(l)
	n := l.Steps()
	p, c := newProgram(n, n), make([]complex128, len(theta))
	complexes(c, theta)
	gains := f.begin(p, l, &c)
	for i := range n {
		l.S[i], l.Tau[i] = real(p.s[i]), real(p.tau[i])
		w := make([]complex128, i+1)
		c = f.row(w, l.W[i], c)
		for j, v := range w {
			l.W[i][j] = real(v)
		}
		if gains != nil {
			l.A[i] = real(gains[i])
		}
	}
	return tidy(l, f.Window)
}

// tidy leaves out what is at its default: levels told that are those of the
// steps, factors 0, and weights outside the window.
func tidy(l *solvers.Linear, window int) *solvers.Linear {
	if slices.Equal(l.Tau, l.S[:l.Steps()]) {
		l.Tau = nil
	}
	if !slices.ContainsFunc(l.A, func(a float64) bool { return a != 0 }) {
		l.A = nil
	}
	for i, row := range l.W {
		if window > 0 && len(row) > window {
			row = row[len(row)-window:]
		}
		l.W[i] = row
	}
	return l
}
