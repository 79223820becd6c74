package solvers

import "snrlab/internal/spec"

// Form is how the methods of the DPM family weigh the slope of what they
// integrate. The published names differ: Paper is "dpmsolver" or "midpoint" of
// solver_type elsewhere, Taylor is "taylor" or "heun".
type Form uint8

const (
	Paper  Form = iota // half of the step's first moment for a slope, as in the papers. The default
	Taylor             // a polynomial in ℓ is integrated exactly
	Simple             // the last evaluation alone: the midpoint rule of AMED; order 1 unless r = 1/2
)

var formNames = []string{"paper", "taylor", "simple"}

func (f Form) String() string { return spec.EnumName(f, formNames) }

// MarshalText writes the name.
func (f Form) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads a name.
func (f *Form) UnmarshalText(b []byte) (err error) {
	*f, err = parseChoice[Form](formNames, string(b))
	return err
}

// weights returns the weights of the answers of p in a step of the order that
// their number is. From three on the polynomial through them is integrated.
func (f Form) weights(p *nodes, k exponent) [maxNodes]float64 {
	c := k.divided(p)
	if p.n == 2 {
		switch f {
		case Paper:
			c[1] = c[0] / 2
		case Simple:
			c[1] = c[0] * p.z[1]
		}
	}
	return p.values(c)
}

// singlestep returns the weights of a singlestep method. In the paper's of order
// 3 the slope is that to the last answer, and the second does not count.
func (f Form) singlestep(p *nodes, k exponent) [maxNodes]float64 {
	if f != Paper || p.n < 3 {
		return f.weights(p, k)
	}
	outer := nodes{n: 2}
	outer.z[1] = p.z[2]
	w := k.exact(&outer)
	w[1], w[2] = 0, w[1]
	return w
}
