// Package integral adds up functions of one variable by Gauss–Legendre rules on
// panels that are halved until they agree.
package integral

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"
)

const points = 16

var nodes, weights = func() (x, w [points]float64) {
	quad.Legendre{}.FixedLocations(x[:], w[:], -1, 1)
	return x, w
}()

// Gauss returns ∫f from a to b by one rule of 16 points, exact for polynomials of
// degree 31.
func Gauss(f func(float64) float64, a, b float64) float64 {
	half, mid := (b-a)/2, a+(b-a)/2
	sum := 0.0
	for i, x := range nodes {
		sum += weights[i] * f(mid+half*x)
	}
	return half * sum
}

// Panel is one piece of an integral.
type Panel struct{ From, To, Value float64 }

// Panels splits [a, b] where f needs it, so that halving any panel again changes it
// by less than tol. A kink is closed in on, but for one so near to an end that no node
// sees it: cut at those that are known. f that is not finite somewhere gives panels
// that are not.
func Panels(f func(float64) float64, a, b, tol float64) []Panel {
	var list []Panel
	var split func(p Panel, depth int)
	split = func(p Panel, depth int) {
		mid := p.From + (p.To-p.From)/2
		l, r := Gauss(f, p.From, mid), Gauss(f, mid, p.To)
		if v := l + r; depth == 0 || math.Abs(v-p.Value) <= tol || v-v != 0 {
			list = append(list, Panel{p.From, p.To, v})
			return
		}
		split(Panel{p.From, mid, l}, depth-1)
		split(Panel{mid, p.To, r}, depth-1)
	}
	const first = 16 // enough that no bump of a sixteenth of the way is stepped over
	for i := range first {
		lo, hi := a+(b-a)*float64(i)/first, a+(b-a)*float64(i+1)/first
		if i == first-1 {
			hi = b
		}
		split(Panel{lo, hi, Gauss(f, lo, hi)}, 36)
	}
	return list
}

// Of returns ∫f from a to b, each panel to tol.
func Of(f func(float64) float64, a, b, tol float64) float64 {
	sum := 0.0
	for _, p := range Panels(f, a, b, tol) {
		sum += p.Value
	}
	return sum
}

// Each calls f with the nodes and weights of the rule of [Gauss] on [a, b]: several
// integrals at once.
func Each(a, b float64, f func(x, weight float64)) {
	half, mid := (b-a)/2, a+(b-a)/2
	for i, x := range nodes {
		f(mid+half*x, half*weights[i])
	}
}
