package solvers

import (
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// Multistep exponential integrators put a polynomial through the answers in
// z = (ℓ − ℓ_a)/h, with ℓ = log(α/σ) and h = ℓ_b − ℓ_a, and integrate it
// against the exponential of the linear part of the equation:
//
//	for D:  x_b = (σ_b/σ_a) x_a + α_b ∫₀¹ h e^{−h(1−z)} D(z) dz
//	for e:  x_b = (α_b/α_a) x_a − σ_b ∫₀¹ h e^{+h(1−z)} e(z) dz
//
// With w(h) the weights of ∫₀¹ h e^{−h(1−z)} · dz the first is α_b w(h) and the
// second σ_b w(−h).

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

// expMoments writes ∫₀¹ h e^{−h(1−z)} zⁿ dz = n! h φ_{n+1}(−h), n = 0, 1, ….
// For |h| ≤ 4 they come down from the series Σ (−h)^m/(m+k)! of the last φ,
// whose terms fall, beyond it up from φ₁; either way a few bits are lost.
func expMoments(dst []float64, h float64) {
	n := len(dst)
	if math.Abs(h) > 4 {
		dst[0] = -math.Expm1(-h)
		for i := 1; i < n; i++ { // ∫ by parts: μ_n = 1 − (n/h) μ_{n−1}
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

// divided returns ∫₀¹ h e^{−h(1−z)} Π_{m<k} (z − z_m) dz, the weights of the
// divided differences of the answers.
func (p *nodes) divided(h float64) (c [maxNodes]float64) {
	var moments [maxNodes]float64
	expMoments(moments[:p.n], h)
	return p.newton(moments)
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

// exponent is the linear part of a step from a to b: the factor of x, and the
// one of ∫₀¹ h e^{−h(1−z)} · dz.
type exponent struct{ h, lin, gain float64 }

func (p Prediction) exponent(a, b schedules.Level) exponent {
	h := halfStep(a, b)
	if p == PredictNoise {
		return exponent{-h, b.Alpha / a.Alpha, b.Sigma}
	}
	return exponent{h, b.Sigma / a.Sigma, b.Alpha}
}

// stochastic is the linear part of a step of the reverse equation with noise τ,
// v = τ², and the standard deviation of what it draws:
//
//	for D:  x_b = (σ_b/σ_a) e^{−vh} x_a + α_b ∫₀¹ H e^{−H(1−z)} D(z) dz + σ_b √(1 − e^{−2vh}) ζ,  H = (1 + v) h
//	for e:  x_b = (α_b/α_a) x_a − (1 + v) σ_b ∫₀¹ h e^{h(1−z)} e(z) dz + σ_b √(v (e^{2h} − 1)) ζ
func (p Prediction) stochastic(a, b schedules.Level, v float64) (k exponent, sd float64) {
	h := halfStep(a, b)
	k = p.exponent(a, b)
	if p == PredictNoise {
		k.gain *= 1 + v
		return k, b.Sigma * math.Sqrt(v*math.Expm1(2*h))
	}
	k.h *= 1 + v
	k.lin *= math.Exp(-v * h)
	return k, b.Sigma * math.Sqrt(-math.Expm1(-2*v*h))
}

// terms writes the terms of the step from x that takes the answers of p with
// weights, and returns their number.
func (k exponent) terms(dst *[maxTerms]term, x []float64, p *nodes, weights [maxNodes]float64) int {
	dst[0] = term{k.lin, x}
	for i, c := range weights[:p.n] {
		dst[1+i] = term{k.gain * c, p.v[i]}
	}
	return 1 + p.n
}

// exponential writes that step into dst.
func (w *walk) exponential(dst []float64, k exponent, x []float64, p *nodes, weights [maxNodes]float64) {
	var terms [maxTerms]term
	n := k.terms(&terms, x, p, weights)
	w.lin(dst, terms[:n]...)
}
