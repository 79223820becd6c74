// Package snr holds the one quantity that everything else is a function of:
// the log signal-to-noise ratio λ = log(α²/σ²) of x_t = α x₀ + σ ε.
package snr

import "math"

// LogSNR is λ = log(α²/σ²) = 2 log(α/σ), the full log signal-to-noise ratio.
// It falls as noise rises. +Inf means σ = 0 and −Inf means α = 0; both are
// legal. The DPM-Solver papers write λ for half of it: see [LogSNR.Half].
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
