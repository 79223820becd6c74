package upsample

import (
	"fmt"
	"math"

	"snrlab/schedules"
	"snrlab/snr"
)

// Match returns the level on sched at which a model of the low resolution has to
// be asked about a pooled state, and the factor that the pooled state must be
// multiplied by first. With noise the variance c of pooled noise, 1/s²,
//
//	λ(τ) = λ(t) − log c,    y = (α_τ/α_t) P x_t = (σ_τ/(√c σ_t)) P x_t
//
// [hwang2024, section 3]. sched is the low-resolution model's: its path need not
// be that of the states. At α_t = 0 the second form holds, at σ_t = 0 the first,
// and the matched level is the end itself, where sched has it. It fails outside
// the schedule's domain, where the model was not trained.
func Match(sched schedules.Schedule, at schedules.Level, noise float64) (level schedules.Level, scale float64, err error) {
	if sched == nil {
		return level, 0, fmt.Errorf("upsample: no schedule of the low-resolution model to find the matched level on")
	}
	if !(noise > 0) || math.IsInf(noise, 1) {
		return level, 0, fmt.Errorf("upsample: variance %g of pooled noise: expected a positive number, 1/s² for a factor s", noise)
	}
	if err := at.Validate(); err != nil {
		return level, 0, fmt.Errorf("upsample: %w", err)
	}
	m := newMatcher(sched, noise)
	level, scale, where := m.match(at)
	if where != inside {
		return level, 0, m.outside(at, where)
	}
	return level, scale, nil
}

// matcher finds matched levels.
type matcher struct {
	sched       schedules.Schedule
	shift, root float64 // −log c and √c
	clean       end
	noisy       end
}

// end is one end of the range that the low-resolution model was trained on.
type end struct{ at, lambda float64 } // time and λ there

// place says where a matched level lies against the trained range.
type place uint8

const (
	inside place = iota
	tooClean
	tooNoisy
)

func newMatcher(sched schedules.Schedule, noise float64) *matcher {
	m := &matcher{sched: sched, shift: -math.Log(noise), root: math.Sqrt(noise)}
	m.clean.at, m.noisy.at = sched.Domain()
	m.clean.lambda = float64(sched.At(m.clean.at).LogSNR())
	m.noisy.lambda = float64(sched.At(m.noisy.at).LogSNR())
	return m
}

// edge is how far beyond an end of the range a level may lie in λ and still
// be taken for the end: grids that were made to reach it do so to rounding.
const edge = 1e-9

func (m *matcher) match(at schedules.Level) (level schedules.Level, scale float64, where place) {
	l := float64(at.LogSNR()) + m.shift
	switch {
	case l > m.clean.lambda+edge:
		return level, 0, tooClean
	case l < m.noisy.lambda-edge:
		return level, 0, tooNoisy
	}
	l = min(max(l, m.noisy.lambda), m.clean.lambda)
	level = schedules.LevelAt(m.sched, snr.LogSNR(l))
	if at.Alpha >= at.Sigma {
		return level, level.Alpha / at.Alpha, inside
	}
	return level, level.Sigma / (m.root * at.Sigma), inside
}

// outside says what to do about a level beyond the range.
func (m *matcher) outside(at schedules.Level, where place) error {
	l := float64(at.LogSNR())
	if where == tooClean {
		return fmt.Errorf("upsample: level λ = %.4g: the matched λ = %.4g is cleaner than the low-resolution model's clean end λ = %.4g: stop the guidance at λ = %.4g", l, l+m.shift, m.clean.lambda, m.clean.lambda-m.shift)
	}
	return fmt.Errorf("upsample: level λ = %.4g: the matched λ = %.4g is noisier than the low-resolution model's noisy end λ = %.4g: start at λ = %.4g or cleaner", l, l+m.shift, m.noisy.lambda, m.noisy.lambda-m.shift)
}
