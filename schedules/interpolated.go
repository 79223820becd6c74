package schedules

import (
	"errors"
	"fmt"
	"math"

	"snrlab/snr"
)

// Interpolated goes from one alignment to another as time passes
// [hoogeboom2023]:
//
//	λ(t) = u λ(t; Low) + (1 − u) λ(t; High)
//
// where λ(t; n) is the schedule as tuned on n×n images and [Aligned] to Size×Size
// ones, and u runs from 0 at the clean end to 1 at the noisy one: noise for the
// global structure as if all were coarse, for details as it was.
type Interpolated struct {
	Size     int      `json:"size"` // pixels along a side
	Low      int      `json:"low"`  // where the schedule counts as tuned, at the noisy end
	High     int      `json:"high"` // the same at the clean end
	Schedule Schedule `json:"schedule"`
}

func (s Interpolated) low() Aligned  { return Aligned{s.Size, s.Low, 1, s.Schedule} }
func (s Interpolated) high() Aligned { return Aligned{s.Size, s.High, 1, s.Schedule} }

// Validate reports what either alignment refuses, and where λ does not fall: where
// Low is so far above High that the shift rises faster than the schedule falls.
func (s Interpolated) Validate() error {
	if s.Schedule == nil {
		return errors.New("schedules: interpolated needs a schedule")
	}
	if s.Size < 1 || s.Low < 1 || s.High < 1 {
		return fmt.Errorf("schedules: interpolated has size = %d, low = %d, high = %d: expected pixels along a side, at least 1", s.Size, s.Low, s.High)
	}
	if err := s.low().Validate(); err != nil {
		return err
	}
	if err := s.high().Validate(); err != nil {
		return err
	}
	if s.Low <= s.High { // what is added to two falling curves falls too
		return nil
	}
	return Monotone(s)
}

// share returns u.
func (s Interpolated) share(t float64) float64 {
	clean, noisy := s.Domain()
	return (t - clean) / (noisy - clean)
}

func (s Interpolated) lambda(t float64) float64 {
	u := s.share(t)
	return u*float64(s.low().At(t).LogSNR()) + (1-u)*float64(s.high().At(t).LogSNR())
}

// At returns the level at t.
func (s Interpolated) At(t float64) Level {
	if clean, noisy := s.Domain(); t == clean || t == noisy {
		return s.Schedule.At(t)
	}
	alpha, sigma := s.Path().Coeffs(snr.LogSNR(s.lambda(t)))
	return Level{T: t, Alpha: alpha, Sigma: sigma}
}

// TimeOf lies between the times of the two alignments, of which λ is a mean: Newton
// steps from there, halving where they leave the bracket.
func (s Interpolated) TimeOf(l snr.LogSNR) float64 {
	a, b := s.low().TimeOf(l), s.high().TimeOf(l)
	if math.IsNaN(a+b) || math.IsInf(float64(l), 0) {
		return pin(s, l, a)
	}
	lo, hi := min(a, b), max(a, b)
	t := (lo + hi) / 2
	for range 200 {
		miss := s.lambda(t) - float64(l)
		if miss > 0 { // λ falls
			lo = t
		} else {
			hi = t
		}
		next := t - miss/s.LogSNRRate(t)
		if !(next > lo && next < hi) {
			next = (lo + hi) / 2
		}
		if next == t || hi-lo <= 0x1p-52*math.Abs(t) || miss == 0 {
			break
		}
		t = next
	}
	return pin(s, l, t)
}

// LogSNRRate returns u λ'(t; Low) + (1 − u) λ'(t; High) + (λ(t; Low) − λ(t; High)) u'.
func (s Interpolated) LogSNRRate(t float64) float64 {
	clean, noisy := s.Domain()
	u := s.share(t)
	rate := u*s.low().LogSNRRate(t) + (1-u)*s.high().LogSNRRate(t)
	if t == clean || t == noisy {
		return rate // the alignments meet there
	}
	return rate + float64(s.low().At(t).LogSNR()-s.high().At(t).LogSNR())/(noisy-clean)
}

// Domain is that of the schedule.
func (s Interpolated) Domain() (clean, noisy float64) { return s.Schedule.Domain() }

// Path is that of the schedule.
func (s Interpolated) Path() Path { return s.Schedule.Path() }

func (s Interpolated) String() string { return Registry().Format("interpolated", s) }
