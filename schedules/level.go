// Package schedules turns time into noise levels.
//
// A [Level] is one noise level, a [Path] the family (α, σ)(λ), a [Schedule] a
// map t → λ on a Path, a [Spacing] a way to choose levels on a Schedule, and a
// [Grid] the finite list of levels that a run visits: n steps are n+1 levels,
// noisy to clean. Everything here is scalar.
package schedules

import (
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
	ok := l.Alpha >= 0 && l.Sigma >= 0 && l.Alpha+l.Sigma > 0 && !math.IsInf(l.Alpha+l.Sigma, 1)
	if !ok {
		return fmt.Errorf("schedules: level has α = %g, σ = %g: expected finite values ≥ 0, not both 0", l.Alpha, l.Sigma)
	}
	return nil
}

// Path is the family (α, σ)(λ) that a process stays on. Two processes with
// the same λ differ by the factor between their α alone.
type Path interface {
	// Coeffs returns α and σ at λ. A path that does not reach λ = ±Inf
	// returns NaN there.
	Coeffs(l snr.LogSNR) (alpha, sigma float64)
	String() string // parseable, e.g. "vp"
}

// Schedule is an invertible map between time and noise level.
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
	a, sg := s.Path().Coeffs(l)
	return Level{T: s.TimeOf(l), Alpha: a, Sigma: sg}
}
