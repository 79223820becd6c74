package tune

import (
	"fmt"
	"math"
)

// Ends chooses the ends of a schedule by the two terms of the variational bound that do
// not integrate over it [kingma2021], the prior and the reconstruction:
//
//	KL(q(x_λmin | x₀) ‖ N(0, I)) + ½ ∫ mse_ε dλ + ½ log 2πe σ²/α² at λmax.
//
// Under the exact denoiser moving an end outwards always improves the bound, so that no
// finite ends are best; it falls short of its limit by
//
//	KL(q(x_λmin) ‖ N(0, I))    and    ½ ∫_λmax^∞ (dim − mse_ε) dλ = h(x₀ + σε/α) − h(x₀).
//
// The ends are where each of these is gap, in nats. mse is E|x₀ − D*|² of the exact
// denoiser at rising levels, in x₀ units, dim the number of values of a sample, and
// square is E|x₀|². Beyond the levels mse is taken as constant at the noisy side, and
// dim − mse_ε to fall like 1/SNR at the clean one. Data on a thin set have no density
// and no clean end.
func Ends(lambda, mse []float64, dim int, square, gap float64) (noisy, clean float64, err error) {
	if len(mse) != len(lambda) || len(lambda) < 3 || dim < 1 {
		return 0, 0, fmt.Errorf("tune: %d losses at %d levels, of %d values: expected one at each of at least 3 levels", len(mse), len(lambda), dim)
	}
	if !(gap > 0) {
		return 0, 0, fmt.Errorf("tune: gap = %g: expected a number of nats > 0", gap)
	}
	n := len(lambda)
	eps := make([]float64, n)
	for i, l := range lambda {
		eps[i] = math.Exp(l) * mse[i]
	}
	// From the noisy side: prior less what x_λ tells of x₀.
	short := make([]float64, n)
	info := eps[0] / 2
	for i, l := range lambda {
		if i > 0 {
			info += (eps[i] + eps[i-1]) / 4 * (l - lambda[i-1])
		}
		alpha2 := 1 / (1 + math.Exp(-l))
		short[i] = (float64(dim)*(math.Log1p(math.Exp(l))-alpha2)+alpha2*square)/2 - info // σ² − 1 = −α², log σ² = −log(1 + e^λ)
	}
	noisy, ok := crossing(lambda, short, gap)
	if !ok {
		return 0, 0, fmt.Errorf("tune: KL to the prior is %.3g nat at λ = %g and %.3g at %g: expected gap = %g between, measure further", short[0], lambda[0], short[n-1], lambda[n-1], gap)
	}
	// From the clean side: what the noise adds to the entropy, in rising order of −λ.
	back, left := make([]float64, n), make([]float64, n)
	sum := (float64(dim) - eps[n-1]) / 2
	for i := n - 1; i >= 0; i-- {
		if i < n-1 {
			sum += (2*float64(dim) - eps[i] - eps[i+1]) / 4 * (lambda[i+1] - lambda[i])
		}
		back[n-1-i], left[n-1-i] = -lambda[i], sum
	}
	clean, ok = crossing(back, left, gap)
	if !ok {
		return 0, 0, fmt.Errorf("tune: noise adds %.3g nat to the entropy at λ = %g: expected gap = %g inside the levels, measure further (data on a thin set have no such end)", left[0], lambda[n-1], gap)
	}
	clean = -clean
	if !(noisy < clean) {
		return 0, 0, fmt.Errorf("tune: a gap of %g nat is met from λ = %g down and from %g up: expected room between, choose a smaller one", gap, noisy, clean)
	}
	return noisy, clean, nil
}

// crossing returns where y, from below, first passes to, log-linear between points.
func crossing(x, y []float64, to float64) (at float64, ok bool) {
	for i := 1; i < len(x); i++ {
		if y[i-1] <= to && y[i] > to {
			low := max(y[i-1], 1e-3*to) // noise may have brought it below 0
			s := math.Log(to/low) / math.Log(y[i]/low)
			return x[i-1] + s*(x[i]-x[i-1]), true
		}
	}
	return 0, false
}
