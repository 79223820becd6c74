package schedules

import (
	"errors"
	"fmt"

	"snrlab/snr"
)

// OnPath is the λ(t) of a schedule on another path: the same noise levels with
// another α. A path-free method gives the same x/α on both.
type OnPath struct {
	To       Path     `json:"path"`
	Schedule Schedule `json:"schedule"`
}

// Validate reports a missing part, and a path that does not reach the ends of
// the schedule (α = 0 on VE).
func (s OnPath) Validate() error {
	if s.To == nil || s.Schedule == nil {
		return errors.New("schedules: on-path needs both a path and a schedule")
	}
	if err := validate(s.Schedule); err != nil {
		return err
	}
	clean, noisy := s.Domain()
	for _, t := range []float64{clean, noisy} {
		if err := s.At(t).Validate(); err != nil {
			return fmt.Errorf("schedules: path %s does not reach λ = %g of schedule %s: choose another path or end the schedule earlier",
				s.To, float64(s.Schedule.At(t).LogSNR()), s.Schedule)
		}
	}
	return nil
}

// At returns the level at the schedule's t.
func (s OnPath) At(t float64) Level {
	l := s.Schedule.At(t)
	l.Alpha, l.Sigma = coeffsAt(s.To, l.Noise(), l.LogSNR())
	return l
}

// TimeOf is that of the schedule.
func (s OnPath) TimeOf(l snr.LogSNR) float64 { return pin(s, l, s.Schedule.TimeOf(l)) }

// LogSNRRate is that of the schedule.
func (s OnPath) LogSNRRate(t float64) float64 { return Rate(s.Schedule, t) }

// Domain is that of the schedule.
func (s OnPath) Domain() (clean, noisy float64) { return s.Schedule.Domain() }

// Path is the path the schedule was moved to.
func (s OnPath) Path() Path { return s.To }

// Entries is that of the schedule.
func (s OnPath) Entries() int { return entries(s.Schedule) }

func (s OnPath) String() string { return Registry().Format("on-path", s) }
