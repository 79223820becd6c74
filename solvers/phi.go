package solvers

import "math"

// phi returns φ₁(z), φ₂(z) and φ₃(z), the weights of exponential integrators:
//
//	φ₁ = (e^z − 1)/z,   φ₂ = (φ₁ − 1)/z,   φ₃ = (φ₂ − 1/2)/z
//
// Near 0 the recursion cancels, and the series Σ zⁿ/(n+k)! is summed instead.
func phi(z float64) (p1, p2, p3 float64) {
	if math.Abs(z) > 1 {
		p1 = math.Expm1(z) / z
		p2 = (p1 - 1) / z
		return p1, p2, (p2 - 0.5) / z
	}
	c := 1.0 / 6 // zⁿ/(n+3)!
	for n := 0.0; n < 20; n++ {
		p3 += c
		c *= z / (n + 4)
	}
	p2 = 0.5 + z*p3
	return 1 + z*p2, p2, p3
}

// phiScaled returns e^{−z} φ₁(z), e^{−z} φ₂(z) and e^{−z} φ₃(z), which are finite
// where e^z is not.
func phiScaled(z float64) (p1, p2, p3 float64) {
	e := math.Exp(-z)
	if math.Abs(z) <= 1 {
		p1, p2, p3 = phi(z)
		return e * p1, e * p2, e * p3
	}
	p1 = -math.Expm1(-z) / z
	p2 = (p1 - e) / z
	return p1, p2, (p2 - e/2) / z
}
