package solvers

import (
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// Exponential integrators take the linear part of the equation exactly, and put
// a polynomial through the answers in z = (ℓ − ℓ_a)/h, with ℓ = log(α/σ) and
// h = ℓ_b − ℓ_a. Of the family
//
//	dx̂ = (1 + v) e dŝ + √(2v ŝ |dŝ|) dw
//
// whose marginals are those of the probability-flow ODE, v = 0, for every v ≥ 0
// (v = 1 is the reverse SDE), a step is with H = (1 + v) h, exactly in law,
//
//	for D  x_b = (σ_b/σ_a) e^{−vh} x_a + α_b ∫₀¹ H e^{−H(1−z)} D(z) dz + σ_b √(1 − e^{−2vh}) ζ
//	for e  x_b = (α_b/α_a) x_a − (1 + v) α_b ŝ_a ∫₀¹ h e^{−hz} e(z) dz + α_b ŝ_a √(v (1 − e^{−2h})) ζ

// Prediction is the quantity that an exponential integrator takes for slow.
type Prediction uint8

const (
	PredictData  Prediction = iota // D. The default
	PredictNoise                   // e = (x − αD)/σ
)

var predictionNames = []string{"data", "noise"}

func (p Prediction) String() string { return spec.EnumName(p, predictionNames) }

// MarshalText writes the name.
func (p Prediction) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a name.
func (p *Prediction) UnmarshalText(b []byte) (err error) {
	*p, err = parseChoice[Prediction](predictionNames, string(b))
	return err
}

// name returns the name of a method of this prediction.
func (p Prediction) name(data, noise string) string {
	if p == PredictNoise {
		return noise
	}
	return data
}

// answer is what a history holds under p.
func (p Prediction) answer() answer {
	if p == PredictNoise {
		return noise
	}
	return data
}

// maxNodes is the greatest number of answers that a step combines.
const maxNodes = 8

// nodes are the places z of the answers of a step, the first of them 0.
type nodes struct {
	z [maxNodes]float64
	v [maxNodes][]float64
	n int
}

func (p *nodes) add(z float64, v []float64) {
	p.z[p.n], p.v[p.n] = z, v
	p.n++
}

// within returns the nodes in a step that ends at z = r.
func (p *nodes) within(r float64) nodes {
	q := *p
	for i := range q.z[:q.n] {
		q.z[i] /= r
	}
	return q
}

// expMoments writes ∫₀¹ h e^{−h(1−z)} zⁿ dz = n! h φ_{n+1}(−h), n = 0, 1, ….
// For |h| ≤ 4 they come down from the series Σ (−h)^m/(m+k)! of the last φ,
// whose terms fall, beyond it up from φ₁; either way a few bits are lost.
func expMoments(dst []float64, h float64) {
	n := len(dst)
	if math.Abs(h) > 4 {
		dst[0] = -math.Expm1(-h)
		for i := 1; i < n; i++ { // by parts
			dst[i] = 1 - float64(i)/h*dst[i-1]
		}
		return
	}
	// n! φ_{n+1}(−h) of the last n.
	sum, c := 0.0, 1/float64(n)
	for m := 1; m < 60; m++ {
		sum += c
		c *= -h / float64(m+n)
	}
	dst[n-1] = h * sum
	for i := n - 1; i > 0; i-- {
		dst[i-1] = h / float64(i) * (1 - dst[i])
	}
}

// fallingMoments writes ∫₀¹ h e^{−hz} zⁿ dz, e^{−h} times the moments at +h of
// the other sign, and finite where those are not.
func fallingMoments(dst []float64, h float64) {
	e := math.Exp(-h)
	if math.Abs(h) > 4 {
		dst[0] = -math.Expm1(-h)
		for i := 1; i < len(dst); i++ { // by parts
			dst[i] = float64(i)/h*dst[i-1] - e
		}
		return
	}
	expMoments(dst, -h)
	for i := range dst {
		dst[i] *= -e
	}
}

// newton returns the weights of the divided differences of the answers under a
// linear functional with these moments, its values at zⁿ. Where the places come
// in the order 0, negative ones, 1, and the functional is an integral over
// [0, 1] with a positive weight, nothing in them cancels.
func (p *nodes) newton(moments [maxNodes]float64) (c [maxNodes]float64) {
	q := [maxNodes + 1]float64{1} // Π (z − z_m), from the constant up
	for k, z := range p.z[:p.n] {
		for i, m := range moments[:k+1] {
			c[k] += q[i] * m
		}
		for i := k + 1; i > 0; i-- {
			q[i] = q[i-1] - z*q[i]
		}
		q[0] *= -z
	}
	return c
}

// values returns the weights of the answers that belong to the weights c of
// their divided differences.
func (p *nodes) values(c [maxNodes]float64) (w [maxNodes]float64) {
	z := p.z[:p.n]
	for j := range z {
		scale := 1.0 // 1/Π_{m≤k, m≠j} (z_j − z_m)
		for m := range j {
			scale /= z[j] - z[m]
		}
		w[j] = c[j] * scale
		for k := j + 1; k < len(z); k++ {
			scale /= z[j] - z[k]
			w[j] += c[k] * scale
		}
	}
	return w
}

// answer returns what the method interpolates, at w.from.
func (w *walk) answer(p Prediction) []float64 {
	if p == PredictNoise {
		return w.e
	}
	return w.d
}

// predict evaluates y at a level and writes the prediction there into dst; tmp is
// overwritten.
func (w *walk) predict(dst, tmp []float64, p Prediction, y []float64, at schedules.Level) {
	if p == PredictData {
		w.eval(dst, y, at)
		return
	}
	w.eval(tmp, y, at)
	w.slope(dst, y, tmp, at)
}

// answers adds the last n answers at a place, at or before the running step.
func (w *walk) answers(p *nodes, of Prediction, at place, n int) {
	a := at.from()
	h := halfStep(a, at.to())
	for i := at.index; i > at.index-n; i-- {
		v := w.answer(of)
		if i < w.index {
			v = w.past[w.index-1-i]
		}
		p.add(halfStep(a, at.grid[i])/h, v)
	}
}

// exponent is a step from a to b: the factor of x, the one of an integral of the
// answers, with its h, and the standard deviation of what is drawn.
type exponent struct {
	h, lin, gain, spread float64
	of                   Prediction
}

// exponent returns the step of the equation with noise v.
func (p Prediction) exponent(a, b schedules.Level, v float64) exponent {
	h := halfStep(a, b)
	if p == PredictNoise {
		s := b.Alpha * a.Noise()
		return exponent{h, b.Alpha / a.Alpha, -(1 + v) * s, s * math.Sqrt(-v*math.Expm1(-2*h)), p}
	}
	return exponent{(1 + v) * h, b.Sigma / a.Sigma * math.Exp(-v*h), b.Alpha, b.Sigma * math.Sqrt(-math.Expm1(-2*v*h)), p}
}

// moments writes the integrals of zⁿ, n = 0, 1, …, without the gain.
func (k exponent) moments(dst []float64) {
	if k.of == PredictNoise {
		fallingMoments(dst, k.h)
		return
	}
	expMoments(dst, k.h)
}

// exact returns the weights that integrate the polynomial through the answers
// of p.
func (k exponent) exact(p *nodes) [maxNodes]float64 { return p.values(k.divided(p)) }

// divided returns the integrals of Π_{m<n} (z − z_m), the weights of the divided
// differences of the answers of p.
func (k exponent) divided(p *nodes) [maxNodes]float64 {
	var moments [maxNodes]float64
	k.moments(moments[:p.n])
	return p.newton(moments)
}

// terms writes the terms of the step from x, without its noise, that takes the
// answers of p with weights, and returns their number.
func (k exponent) terms(dst *[maxTerms]term, x []float64, p *nodes, weights [maxNodes]float64) int {
	dst[0] = term{k.lin, x}
	for i, c := range weights[:p.n] {
		dst[1+i] = term{k.gain * c, p.v[i]}
	}
	return 1 + p.n
}

// exponential writes that step into dst, with the noise z unless it is nil.
func (w *walk) exponential(dst []float64, k exponent, x []float64, p *nodes, weights [maxNodes]float64, z []float64) {
	var terms [maxTerms]term
	n := k.terms(&terms, x, p, weights)
	if z != nil {
		terms[n] = term{k.spread, z}
		n++
	}
	w.lin(dst, terms[:n]...)
}
