package schedules

import (
	"errors"
	"fmt"
	"math"

	"snrlab/snr"
)

// Aligned is a schedule that was tuned on Ref×Ref images for Size×Size ones, so
// that what is left of both after averaging blocks of pixels meets the same noise
// at the same time, its ends staying where they are [hoogeboom2023]:
//
//	λ(t) = λ_ref(t') + S,   S = Fraction · 2 log(Ref/Size)
//
// t' runs between the times at which the schedule passes its own ends less S, which
// lie somewhat outside its domain or within: it needs a formula that goes on there,
// as that of a clipped cosine does. Infinite ends stay and t' = t: on rectified flow
// this is the shift by Size/Ref of [esser2024].
//
// A schedule that is its own shift between fixed ends, as ve and edm are, stays as
// it is.
//
// The rule counts all of an image as coarse. Where variance stays at the fine scales
// averaged images are fainter, and what is right for the coarse content is
// 2 log(Ref/Size) + log(V/V_ref) with V the variance of a pixel of the same images at
// each size; Fraction is that over the full shift. In large images it tends to A/2 for
// spectra of 1/f^A, A < 2, and it is 0 for white noise.
type Aligned struct {
	Size     int      `json:"size"`     // pixels along a side
	Ref      int      `json:"ref"`      // where the schedule was tuned
	Fraction float64  `json:"fraction"` // of the full shift, which is 1
	Schedule Schedule `json:"schedule"`
}

// By returns the shift S of λ.
func (s Aligned) By() float64 {
	return s.Fraction * 2 * math.Log(float64(s.Ref)/float64(s.Size))
}

// Validate reports sizes below 1 and schedules that cannot be read as far as the
// shift asks, or have no range left there.
func (s Aligned) Validate() error {
	switch {
	case s.Schedule == nil:
		return errors.New("schedules: aligned needs a schedule")
	case s.Size < 1 || s.Ref < 1:
		return fmt.Errorf("schedules: aligned has size = %d, ref = %d: expected pixels along a side, at least 1", s.Size, s.Ref)
	case math.IsNaN(s.Fraction) || math.IsInf(s.Fraction, 0):
		return fmt.Errorf("schedules: aligned has fraction = %g: expected a finite number, 1 for the full shift", s.Fraction)
	}
	if err := validate(s.Schedule); err != nil {
		return err
	}
	clean, noisy := s.window()
	if !(clean < noisy) || math.IsInf(noisy-clean, 1) {
		return fmt.Errorf("schedules: a shift of λ by %g leaves no range of %s: its ends would be read at t = %g and %g", s.By(), s.Schedule, clean, noisy)
	}
	first, last := s.Schedule.Domain()
	for _, end := range []struct{ own, moved float64 }{{first, clean}, {last, noisy}} {
		want := float64(s.Schedule.At(end.own).LogSNR()) - s.By()
		if got := float64(s.Schedule.At(end.moved).LogSNR()); got != want && !(math.Abs(got-want) < 1e-6) {
			return fmt.Errorf("schedules: %s does not go on to λ = %.4g, where its end at λ = %.4g has to come from: use shift(by=%.4g), which moves the end along, or a schedule with infinite or clipped ends",
				s.Schedule, want, want+s.By(), s.By())
		}
	}
	return nil
}

// window returns the times at which the schedule passes its ends less S. Infinite
// ends are their own.
func (s Aligned) window() (clean, noisy float64) {
	clean, noisy = s.Schedule.Domain()
	by := snr.LogSNR(s.By())
	return s.Schedule.TimeOf(s.Schedule.At(clean).LogSNR() - by), s.Schedule.TimeOf(s.Schedule.At(noisy).LogSNR() - by)
}

// inner returns t' and dt'/dt.
func (s Aligned) inner(t float64) (inner, rate float64) {
	clean, noisy := s.Schedule.Domain()
	first, last := s.window()
	if first == clean && last == noisy {
		return t, 1
	}
	rate = (last - first) / (noisy - clean)
	return first + (t-clean)*rate, rate
}

// At returns the level at t.
func (s Aligned) At(t float64) Level {
	if clean, noisy := s.Schedule.Domain(); t == clean || t == noisy {
		return s.Schedule.At(t)
	}
	inner, _ := s.inner(t)
	l := s.Schedule.At(inner)
	l.T = t
	l.Alpha, l.Sigma = coeffsAt(s.Path(), l.Noise()*math.Exp(-s.By()/2), l.LogSNR()+snr.LogSNR(s.By()))
	return l
}

// TimeOf is that of the schedule at λ − S, in its own time.
func (s Aligned) TimeOf(l snr.LogSNR) float64 {
	clean, _ := s.Schedule.Domain()
	first, rate := s.inner(clean)
	return pin(s, l, clean+(s.Schedule.TimeOf(l-snr.LogSNR(s.By()))-first)/rate)
}

// LogSNRRate is that of the schedule at t', times dt'/dt.
func (s Aligned) LogSNRRate(t float64) float64 {
	inner, rate := s.inner(t)
	return rate * Rate(s.Schedule, inner)
}

// Domain is that of the schedule.
func (s Aligned) Domain() (clean, noisy float64) { return s.Schedule.Domain() }

// Path is that of the schedule.
func (s Aligned) Path() Path { return s.Schedule.Path() }

func (s Aligned) String() string { return Registry().Format("aligned", s) }
