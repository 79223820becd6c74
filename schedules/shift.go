package schedules

import (
	"errors"
	"fmt"
	"math"

	"snrlab/snr"
)

// Shift is another schedule with By added to its λ at every time, on the same
// path. A negative By is more noise at every time, which larger images need:
// 2 log(d_ref/d) keeps what is tuned at d_ref × d_ref pixels [hoogeboom2023].
// The ends move along: [Aligned] keeps them.
type Shift struct {
	By       float64  `json:"by"`
	Schedule Schedule `json:"schedule"`
}

// Validate reports a missing schedule or a shift that is not finite.
func (s Shift) Validate() error {
	if s.Schedule == nil {
		return errors.New("schedules: shift needs a schedule")
	}
	if math.IsNaN(s.By) || math.IsInf(s.By, 0) {
		return fmt.Errorf("schedules: shift has by = %g: expected a finite number", s.By)
	}
	if err := validate(s.Schedule); err != nil {
		return err
	}
	return noRange(s)
}

// noRange reports a schedule whose λ leaves the range of float64, so that its
// ends fall together.
func noRange(s Schedule) error {
	clean, noisy := s.Domain()
	most, least := s.At(clean), s.At(noisy)
	if most.Validate() != nil || least.Validate() != nil || !(most.LogSNR() > least.LogSNR()) {
		return fmt.Errorf("schedules: %s leaves no range of λ: its ends have α, σ = %g, %g and %g, %g", s, most.Alpha, most.Sigma, least.Alpha, least.Sigma)
	}
	return nil
}

// At returns the level at the schedule's t.
func (s Shift) At(t float64) Level {
	l := s.Schedule.At(t)
	l.Alpha, l.Sigma = coeffsAt(s.Path(), l.Noise()*math.Exp(-s.By/2), l.LogSNR()+snr.LogSNR(s.By))
	return l
}

// TimeOf is that of the schedule at λ − By.
func (s Shift) TimeOf(l snr.LogSNR) float64 {
	return pin(s, l, s.Schedule.TimeOf(l-snr.LogSNR(s.By)))
}

// LogSNRRate is that of the schedule.
func (s Shift) LogSNRRate(t float64) float64 { return Rate(s.Schedule, t) }

// Domain is that of the schedule.
func (s Shift) Domain() (clean, noisy float64) { return s.Schedule.Domain() }

// Path is that of the schedule.
func (s Shift) Path() Path { return s.Schedule.Path() }

// Entries is that of the schedule.
func (s Shift) Entries() int { return entries(s.Schedule) }

func (s Shift) String() string { return Registry().Format("shift", s) }
