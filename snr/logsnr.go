package snr

import "math"

// LogSNR is λ = log(α²/σ²) = 2 log(α/σ), the full log signal-to-noise ratio.
// It falls as noise rises. +Inf means σ = 0 and −Inf means α = 0; both are
// legal. The DPM-Solver papers [lu2022] write λ for half of it: see [LogSNR.Half].
type LogSNR float64

// FromAlphaSigma returns 2(log α − log σ), which neither overflows nor cancels
// where α²/σ² would. α = 0 gives −Inf, σ = 0 gives +Inf, both zero give NaN.
func FromAlphaSigma(alpha, sigma float64) LogSNR {
	return LogSNR(2 * (math.Log(alpha) - math.Log(sigma)))
}

// FromSigma returns −2 log s of the noise level s = σ/α, the σ of
// variance-exploding notation.
func FromSigma(s float64) LogSNR { return LogSNR(-2 * math.Log(s)) }

// SNR returns e^λ = α²/σ².
func (l LogSNR) SNR() float64 { return math.Exp(float64(l)) }

// Half returns ℓ = λ/2 = log(α/σ), the λ of the DPM-Solver papers.
func (l LogSNR) Half() float64 { return float64(l) / 2 }

// Sigma returns e^{−λ/2} = σ/α, the noise level after division by α.
func (l LogSNR) Sigma() float64 { return math.Exp(-float64(l) / 2) }

// FromLogAlphaBar returns λ of a variance-preserving level from L = log α², the
// log of DDPM's ᾱ, as L − log(1 − e^L). Sums of log(1 − β) arrive here without
// the cancellation of 1 − ᾱ.
func FromLogAlphaBar(logAlphaBar float64) LogSNR {
	return LogSNR(logAlphaBar - math.Log(-math.Expm1(logAlphaBar)))
}

// LogAlphaBar returns log α² = −log(1 + e^{−λ}) of the variance-preserving
// level at λ, the inverse of [FromLogAlphaBar].
func (l LogSNR) LogAlphaBar() float64 {
	x := float64(l)
	return min(x, 0) - math.Log1p(math.Exp(-math.Abs(x)))
}

// VP returns α = √sigmoid(λ) and σ = √sigmoid(−λ), the variance-preserving
// coefficients, each to full relative accuracy. λ = +Inf gives 1, 0 and
// λ = −Inf gives 0, 1.
func (l LogSNR) VP() (alpha, sigma float64) {
	small := math.Exp(-math.Abs(float64(l)) / 2) // the smaller coefficient over the larger
	large := 1 / math.Sqrt(1+small*small)
	return l.order(large, small*large)
}

// RF returns α = 1/(1 + e^{−λ/2}) and σ = 1/(1 + e^{λ/2}), the coefficients of
// rectified flow (α + σ = 1), each to full relative accuracy.
func (l LogSNR) RF() (alpha, sigma float64) {
	small := math.Exp(-math.Abs(float64(l)) / 2)
	large := 1 / (1 + small)
	return l.order(large, small*large)
}

// order returns the larger coefficient as α where signal prevails, as σ where
// noise does.
func (l LogSNR) order(large, small float64) (alpha, sigma float64) {
	if l < 0 {
		return small, large
	}
	return large, small
}
