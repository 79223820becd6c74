// Package schedules turns time into noise levels.
//
// A [Level] is one noise level, a [Path] the family (α, σ)(λ), a [Schedule] a
// map t → λ on a Path, a [Spacing] a way to choose levels on a Schedule, and a
// [Grid] the finite list of levels that a run visits: n steps are n+1 levels,
// noisy to clean. Everything here is scalar, and ŝ is short for σ/α throughout.
//
// Schedules, paths and spacings are small values used as literals and are read
// from names by [Parse], [ParsePath] and [ParseSpacing]:
//
//	s, err := schedules.Parse("vp-linear(bmax=12)")
//	k, err := schedules.ParseSpacing("karras(rho=7,smin=0.01,last=zero)")
//	g, err := k.Grid(s, 10) // 11 levels
//
// References:
//
//	[chen2023]      T. Chen, On the Importance of Noise Scheduling for Diffusion Models, arXiv 2301.10972.
//	[esser2024]     P. Esser et al., Scaling Rectified Flow Transformers for High-Resolution Image Synthesis, arXiv 2403.03206.
//	[flux2024]      Black Forest Labs, FLUX.1, reference sampler, github.com/black-forest-labs/flux, 2024.
//	[hang2024]      T. Hang, S. Gu et al., Improved Noise Schedule for Diffusion Training, arXiv 2407.03297.
//	[ho2020]        J. Ho, A. Jain, P. Abbeel, Denoising Diffusion Probabilistic Models, arXiv 2006.11239.
//	[hoogeboom2023] E. Hoogeboom, J. Heek, T. Salimans, simple diffusion, arXiv 2301.11093.
//	[karras2022]    T. Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, arXiv 2206.00364.
//	[lin2024]       S. Lin et al., Common Diffusion Noise Schedules and Sample Steps Are Flawed, arXiv 2305.08891.
//	[nichol2021]    A. Nichol, P. Dhariwal, Improved Denoising Diffusion Probabilistic Models, arXiv 2102.09672.
//	[rombach2022]   R. Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models, arXiv 2112.10752.
//	[sabour2024]    A. Sabour, S. Fidler, K. Kreis, Align Your Steps: Optimizing Sampling Schedules in Diffusion Models, arXiv 2404.14507.
//	[song2021]      Y. Song et al., Score-Based Generative Modeling through Stochastic Differential Equations, arXiv 2011.13456.
//	[zhou2024]      Z. Zhou et al., Fast ODE-based Sampling for Diffusion Models in Around 5 Steps, arXiv 2312.00094.
package schedules

import (
	"encoding/json"
	"fmt"
	"math"

	"snrlab/snr"
)

// Level is one noise level of x = α x₀ + σ ε. T is the schedule's time there,
// which increases with noise; it is NaN for a level that no schedule made.
type Level struct {
	T     float64 `json:"t"`
	Alpha float64 `json:"alpha"`
	Sigma float64 `json:"sigma"`
}

// LogSNR returns λ = log(α²/σ²); −Inf at α = 0 and +Inf at σ = 0.
func (l Level) LogSNR() snr.LogSNR { return snr.FromAlphaSigma(l.Alpha, l.Sigma) }

// Noise returns ŝ = σ/α, the noise level of x/α; +Inf at α = 0.
func (l Level) Noise() float64 { return l.Sigma / l.Alpha }

// Validate reports a level that is not one: negative, NaN or infinite
// coefficients, or both zero.
func (l Level) Validate() error {
	if !l.valid() {
		return fmt.Errorf("schedules: level has α = %g, σ = %g: expected finite values ≥ 0, not both 0", l.Alpha, l.Sigma)
	}
	return nil
}

func (l Level) valid() bool {
	return l.Alpha >= 0 && l.Sigma >= 0 && l.Alpha+l.Sigma > 0 && !math.IsInf(l.Alpha+l.Sigma, 1)
}

// MarshalJSON writes T as null where it is NaN, which JSON cannot say.
func (l Level) MarshalJSON() ([]byte, error) {
	t := &l.T
	if math.IsNaN(l.T) {
		t = nil
	}
	return json.Marshal(levelJSON{t, l.Alpha, l.Sigma})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *Level) UnmarshalJSON(text []byte) error {
	var v levelJSON
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Errorf("schedules: level: %w", err)
	}
	*l = Level{T: math.NaN(), Alpha: v.Alpha, Sigma: v.Sigma}
	if v.T != nil {
		l.T = *v.T
	}
	return nil
}

type levelJSON struct {
	T     *float64 `json:"t"`
	Alpha float64  `json:"alpha"`
	Sigma float64  `json:"sigma"`
}

// Path is the family (α, σ)(λ) that a process stays on. Two processes with
// the same λ differ by the factor between their α alone.
type Path interface {
	// Coeffs returns α and σ at λ. A path that does not reach λ = ±Inf
	// returns NaN there.
	Coeffs(l snr.LogSNR) (alpha, sigma float64)
	String() string // parseable, e.g. "vp"
}

// Schedule is an invertible map between time and noise level. Outside its
// domain it continues its formula where that has a meaning (σ = t of EDM down to
// 0); elsewhere At gives a level that Validate refuses.
type Schedule interface {
	At(t float64) Level             // every coefficient of one noise level, computed together
	TimeOf(l snr.LogSNR) float64    // inverse of At(t).LogSNR(); exact at both ends of Domain
	Domain() (clean, noisy float64) // the times of the least and the most noise
	Path() Path
	String() string // parseable, e.g. "vp-linear(bmin=0.1,bmax=20)"
}

// LevelAt returns the level of s with log signal-to-noise ratio l. Its α and σ
// come from the path, so that λ is exact to rounding and not by way of t.
func LevelAt(s Schedule, l snr.LogSNR) Level {
	if own, ok := s.(interface {
		coeffs(l snr.LogSNR) (alpha, sigma float64)
	}); ok { // a path of its own fields, which would have to be made
		a, sg := own.coeffs(l)
		return Level{T: s.TimeOf(l), Alpha: a, Sigma: sg}
	}
	a, sg := s.Path().Coeffs(l)
	return Level{T: s.TimeOf(l), Alpha: a, Sigma: sg}
}
