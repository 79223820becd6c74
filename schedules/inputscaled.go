package schedules

import (
	"errors"
	"fmt"
	"math"

	"snrlab/snr"
)

// InputScaled is the process of a variance-preserving schedule on images that are
// multiplied by B first [chen2023]:
//
//	x = √γ B x₀ + √(1 − γ) ε,   λ = λ_vp + 2 log B
//
// with γ = α² of the schedule: α is B α_vp, and denoisers still answer with x₀
// itself, so that nothing has to be divided by B in the end. B = Ref/Size is the
// shift of [Aligned] with clipped ends moving along. States are those of scale(sd=1/B);
// what a network is fed, x over its standard deviation √(γ B² s² + 1 − γ) for images of
// standard deviation s, is this schedule on-path(path=scale(sd=s)).
type InputScaled struct {
	B        float64  `json:"b"`
	Schedule Schedule `json:"schedule"`
}

// Validate reports a scale that is not positive and finite and a schedule that is
// not variance preserving.
func (s InputScaled) Validate() error {
	if s.Schedule == nil {
		return errors.New("schedules: input-scaled needs a schedule")
	}
	if !(s.B > 0) || math.IsInf(s.B, 1) || math.IsInf(1/s.B, 1) {
		return fmt.Errorf("schedules: input-scaled has b = %g: expected a finite number > 0 (1 is no scaling)", s.B)
	}
	if err := validate(s.Schedule); err != nil {
		return err
	}
	if s.Schedule.Path() != (VPPath{}) {
		return fmt.Errorf("schedules: input-scaled on path %s: expected a variance-preserving schedule, on-path(path=vp,...) makes one of any", s.Schedule.Path())
	}
	return noRange(s)
}

// At returns the level at t.
func (s InputScaled) At(t float64) Level {
	l := s.Schedule.At(t)
	l.Alpha *= s.B
	return l
}

// TimeOf is that of the schedule at λ − 2 log B.
func (s InputScaled) TimeOf(l snr.LogSNR) float64 {
	return pin(s, l, s.Schedule.TimeOf(l-snr.LogSNR(2*math.Log(s.B))))
}

// LogSNRRate is that of the schedule.
func (s InputScaled) LogSNRRate(t float64) float64 { return Rate(s.Schedule, t) }

// Domain is that of the schedule.
func (s InputScaled) Domain() (clean, noisy float64) { return s.Schedule.Domain() }

// Path is scale(sd=1/B): (α/B)² + σ² = 1.
func (s InputScaled) Path() Path { return ScalePath{SD: 1 / s.B, Power: 1, By: 1} }

func (s InputScaled) coeffs(l snr.LogSNR) (alpha, sigma float64) {
	alpha, sigma = (l - snr.LogSNR(2*math.Log(s.B))).VP()
	return s.B * alpha, sigma
}

// Entries is that of the schedule.
func (s InputScaled) Entries() int { return entries(s.Schedule) }

func (s InputScaled) String() string { return Registry().Format("input-scaled", s) }
