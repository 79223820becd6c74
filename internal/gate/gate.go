// Package gate holds the small functions that change a solver's weights from
// row to row: package solvers runs them and package tune fits them.
//
// They see a row's history only through scalar invariants, inner products over
// the number of values, which do not change under rotations of the data space and
// mean the same in any dimension. With y the newest point of evaluation at noise
// level s, D, D₁ and D₂ the newest answers and μ, v the mean and the variance of
// the data,
//
//	a = (y − D)/s,   m = D − μ,   b = D − D₁,   c = D₁ − D₂
//	|a|², |m|², a·m;   log(|b|² + ε), a·b/|b|, b·m/|b|;   log(|c|² + ε), b·c/|b||c|, a·c/|c|
//
// are standardised, u = (· − mean)/spread, squashed, f = u/√(1 + u²/4), and go
// through one layer:
//
//	g = V h(W f + w),   h(u) = u/√(1 + u²)
package gate

import (
	"fmt"
	"math"
)

const (
	maxIn     = 9
	maxHidden = 32
	maxOut    = 3
)

// Gate is one such function. The answers it has seen decide how many invariants
// it takes: 3 after one answer, 6 after two, 9 after three or more.
type Gate struct {
	Scale  float64   `json:"scale"`  // s
	Floor  []float64 `json:"floor"`  // ε of b and of c, as many as there are
	Mean   []float64 `json:"mean"`   // of the invariants
	Spread []float64 `json:"spread"` // of the invariants
	In     []float64 `json:"in"`     // W, hidden×invariants
	Bias   []float64 `json:"bias"`   // w, hidden
	Out    []float64 `json:"out"`    // V, hidden×outputs
}

// Inputs returns the number of invariants after a number of answers.
func Inputs(answers int) int { return 3 * min(answers, 3) }

// Hidden returns the number of units.
func (g *Gate) Hidden() int { return len(g.Bias) }

// Outputs returns the number of values that the gate makes.
func (g *Gate) Outputs() int { return len(g.Out) / len(g.Bias) }

// Validate reports numbers that are no gate after a number of answers.
func (g *Gate) Validate(answers int) error {
	in, hidden := Inputs(answers), len(g.Bias)
	switch {
	case !(g.Scale > 0) || math.IsInf(g.Scale, 1):
		return fmt.Errorf("scale is %g: expected a finite level > 0", g.Scale)
	case len(g.Floor) != in/3-1:
		return fmt.Errorf("floor has %d numbers: expected %d after %d answers", len(g.Floor), in/3-1, answers)
	case len(g.Mean) != in || len(g.Spread) != in:
		return fmt.Errorf("mean has %d numbers and spread %d: expected %d invariants after %d answers", len(g.Mean), len(g.Spread), in, answers)
	case hidden < 1 || hidden > maxHidden:
		return fmt.Errorf("bias has %d numbers: expected 1 to %d hidden units", hidden, maxHidden)
	case len(g.In) != hidden*in:
		return fmt.Errorf("in has %d numbers: expected %d units × %d invariants", len(g.In), hidden, in)
	case len(g.Out) == 0 || len(g.Out)%hidden != 0 || len(g.Out)/hidden > maxOut:
		return fmt.Errorf("out has %d numbers: expected 1 to %d for each of %d units", len(g.Out), maxOut, hidden)
	}
	for _, list := range []struct {
		name     string
		values   []float64
		positive bool
	}{
		{"floor", g.Floor, true},
		{"spread", g.Spread, true},
		{"mean", g.Mean, false},
		{"in", g.In, false},
		{"bias", g.Bias, false},
		{"out", g.Out, false},
	} {
		for i, v := range list.values {
			if v-v != 0 || list.positive && !(v > 0) {
				return fmt.Errorf("%s[%d] is %g: expected a finite number%s", list.name, i, v, map[bool]string{true: " > 0"}[list.positive])
			}
		}
	}
	return nil
}

// Row is what a gate knows of one row: the inner products, the invariants and
// what the layer makes of them.
type Row struct {
	Dots [maxIn]float64 // |a|², |m|², a·m, |b|², a·b, b·m, |c|², b·c, a·c, over the dimension
	Raw  [maxIn]float64 // the invariants
	G    [maxOut]float64
	f    [maxIn]float64
	df   [maxIn]float64
	h    [maxHidden]float64
	dh   [maxHidden]float64
}

// See fills Dots and Raw. d1 is nil after one answer, d2 after two.
func (g *Gate) See(r *Row, y, d, d1, d2, mean []float64) {
	t := 1 / g.Scale
	var aa, mm, am, bb, ab, bm, cc, bc, ac float64
	for k := range y {
		a, m := (y[k]-d[k])*t, d[k]-mean[k]
		aa += a * a
		mm += m * m
		am += a * m
		if d1 == nil {
			continue
		}
		b := d[k] - d1[k]
		bb += b * b
		ab += a * b
		bm += b * m
		if d2 == nil {
			continue
		}
		c := d1[k] - d2[k]
		cc += c * c
		bc += b * c
		ac += a * c
	}
	inv := 1 / float64(len(y))
	r.Dots = [maxIn]float64{aa * inv, mm * inv, am * inv, bb * inv, ab * inv, bm * inv, cc * inv, bc * inv, ac * inv}
	g.invariants(r)
}

func (g *Gate) invariants(r *Row) {
	e := &r.Dots
	copy(r.Raw[:3], e[:3])
	if len(g.Floor) > 0 {
		b2 := e[3] + g.Floor[0]
		nb := math.Sqrt(b2)
		r.Raw[3], r.Raw[4], r.Raw[5] = math.Log(b2), e[4]/nb, e[5]/nb
		if len(g.Floor) > 1 {
			c2 := e[6] + g.Floor[1]
			nc := math.Sqrt(c2)
			r.Raw[6], r.Raw[7], r.Raw[8] = math.Log(c2), e[7]/(nb*nc), e[8]/nc
		}
	}
}

// Open fills G from Raw.
func (g *Gate) Open(r *Row) {
	in := len(g.Mean)
	for k := range in {
		u := (r.Raw[k] - g.Mean[k]) / g.Spread[k]
		q := 1 / math.Sqrt(1+u*u/4)
		r.f[k], r.df[k] = u*q, q*q*q/g.Spread[k]
	}
	outs := g.Outputs()
	r.G = [maxOut]float64{}
	for j, s := range g.Bias {
		for k, w := range g.In[j*in : (j+1)*in] {
			s += w * r.f[k]
		}
		q := 1 / math.Sqrt(1+s*s)
		r.h[j], r.dh[j] = s*q, q*q*q
		for o, v := range g.Out[j*outs : (j+1)*outs] {
			r.G[o] += r.h[j] * v
		}
	}
}

// Adjoint receives derivatives.
type Adjoint struct {
	In, Bias, Out []float64 // of the layer; added to
	Y, D, D1, D2  []float64 // of the vectors; added to
}

// Close adds to adj what the derivatives bar of G amount to, for the row and the
// vectors that See and Open saw.
func (g *Gate) Close(r *Row, bar [maxOut]float64, y, d, d1, d2, mean []float64, adj Adjoint) {
	in, outs := len(g.Mean), g.Outputs()
	var fb [maxIn]float64
	for j := range g.Bias {
		hb := 0.0
		for o, v := range g.Out[j*outs : (j+1)*outs] {
			hb += bar[o] * v
			adj.Out[j*outs+o] += bar[o] * r.h[j]
		}
		sb := hb * r.dh[j]
		adj.Bias[j] += sb
		row := adj.In[j*in : (j+1)*in]
		for k, w := range g.In[j*in : (j+1)*in] {
			fb[k] += sb * w
			row[k] += sb * r.f[k]
		}
	}
	for k := range in {
		fb[k] *= r.df[k]
	}
	e := g.dotsBar(r, &fb)
	inv, t := 1/float64(len(y)), 1/g.Scale
	for k := range e {
		e[k] *= inv
	}
	for k := range y {
		a, m := (y[k]-d[k])*t, d[k]-mean[k]
		ab, mb, bb := 2*e[0]*a+e[2]*m, 2*e[1]*m+e[2]*a, 0.0
		if d1 != nil {
			b, cb := d[k]-d1[k], 0.0
			ab += e[4] * b
			mb += e[5] * b
			bb = 2*e[3]*b + e[4]*a + e[5]*m
			if d2 != nil {
				c := d1[k] - d2[k]
				ab += e[8] * c
				bb += e[7] * c
				cb = 2*e[6]*c + e[7]*b + e[8]*a
				adj.D2[k] -= cb
			}
			adj.D1[k] += cb - bb
		}
		adj.Y[k] += ab * t
		adj.D[k] += mb + bb - ab*t
	}
}

// dotsBar turns derivatives in the invariants into those in the inner products.
func (g *Gate) dotsBar(r *Row, fb *[maxIn]float64) [maxIn]float64 {
	e := [maxIn]float64{fb[0], fb[1], fb[2]}
	if len(g.Floor) == 0 {
		return e
	}
	b2 := r.Dots[3] + g.Floor[0]
	nb := math.Sqrt(b2)
	e[3] = fb[3]/b2 - (fb[4]*r.Raw[4]+fb[5]*r.Raw[5])/(2*b2)
	e[4], e[5] = fb[4]/nb, fb[5]/nb
	if len(g.Floor) == 1 {
		return e
	}
	c2 := r.Dots[6] + g.Floor[1]
	nc := math.Sqrt(c2)
	e[3] -= fb[7] * r.Raw[7] / (2 * b2)
	e[6] = fb[6]/c2 - (fb[7]*r.Raw[7]+fb[8]*r.Raw[8])/(2*c2)
	e[7], e[8] = fb[7]/(nb*nc), fb[8]/nc
	return e
}
