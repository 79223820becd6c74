package tune

import "math/cmplx"

// A form is a vector known by its coefficients over x_0 and D_0, …, D_{n−1}. A
// linear solver run on forms writes its own unrolled list. Coefficients are
// complex, so that the derivative in a parameter θ is a step into the imaginary
// direction, f′(θ) = Im f(θ + iε)/ε: nothing cancels, and ε = 1e-30 makes it
// exact to rounding [squire1998].
type form []complex128

// program is a solver running on forms.
type program struct {
	n    int          // evaluations
	s    []complex128 // levels of the steps
	tau  []complex128 // n levels told to the denoiser
	y    []form       // points of evaluation, then the result
	d    []form       // answers
	asks int
	pool []form
	used int
}

const firstAnswer = 1 // after x_0

func newProgram(steps, n int) *program {
	p := &program{n: n, s: make([]complex128, steps+1), tau: make([]complex128, n), y: make([]form, n+1), d: make([]form, n)}
	for i := range p.y {
		p.y[i] = make(form, n+firstAnswer)
	}
	for i := range p.d {
		p.d[i] = make(form, n+firstAnswer)
		p.d[i][firstAnswer+i] = 1
	}
	return p
}

func (p *program) reset() { p.asks, p.used = 0, 0 }

// part is one summand of a combination.
type part struct {
	c complex128
	v form
}

// sum returns a new form Σ c v.
func (p *program) sum(parts ...part) form {
	if p.used == len(p.pool) {
		p.pool = append(p.pool, make(form, p.n+firstAnswer))
	}
	f := p.pool[p.used]
	p.used++
	clear(f)
	for _, t := range parts {
		for k, v := range t.v {
			f[k] += t.c * v
		}
	}
	return f
}

// start returns x_0.
func (p *program) start() form {
	f := p.sum()
	f[0] = 1
	return f
}

// ask evaluates at x and returns the answer.
func (p *program) ask(x form) form {
	copy(p.y[p.asks], x)
	p.asks++
	return p.d[p.asks-1]
}

// slope returns H = (x − D)/s.
func (p *program) slope(x, d form, s complex128) form {
	return p.sum(part{1 / s, x}, part{-1 / s, d})
}

// finish makes x the result.
func (p *program) finish(x form) { copy(p.y[p.n], x) }

// scheme is a linear solver of n evaluations in so many steps with free numbers:
// run writes the levels from the parameters, takes the steps and finishes.
type scheme struct {
	steps int
	n     int
	first []float64 // parameters to begin with
	run   func(p *program, theta []complex128)
}

// unrolled writes the coefficients at theta.
func (s *scheme) unrolled(p *program, u *unrolled, theta []complex128) {
	p.reset()
	s.run(p, theta)
	for i := range s.n + 1 {
		u.p[i] = real(p.y[i][0])
		for j := range i {
			u.q[i*s.n+j] = real(p.y[i][firstAnswer+j])
		}
	}
	for i := range s.n {
		u.tau[i] = real(p.tau[i])
	}
}

// gradient turns derivatives in the coefficients at theta into derivatives in
// the parameters. theta is moved and moved back.
func (s *scheme) gradient(p *program, grad []float64, theta []complex128, g *unrolled) {
	const eps = 1e-30
	for k, keep := range theta {
		theta[k] = keep + complex(0, eps)
		p.reset()
		s.run(p, theta)
		theta[k] = keep
		sum := 0.0
		for i := range s.n + 1 {
			sum += g.p[i] * imag(p.y[i][0])
			for j := range i {
				sum += g.q[i*s.n+j] * imag(p.y[i][firstAnswer+j])
			}
		}
		for i := range s.n {
			sum += g.tau[i] * imag(cmplx.Log(p.tau[i]))
		}
		grad[k] = sum / eps
	}
}

func complexes(dst []complex128, src []float64) {
	for i, v := range src {
		dst[i] = complex(v, 0)
	}
}
