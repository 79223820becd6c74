package schedules

import (
	"fmt"

	"snrlab/snr"
)

// pin makes an inverse exact where it must be: at the ends of s it returns the
// end itself, and strictly between them nothing outside. t is the inverse to
// rounding. (Generic, so that s need not move to the heap.)
func pin[S Schedule](s S, l snr.LogSNR, t float64) float64 {
	clean, noisy := s.Domain()
	most, least := s.At(clean).LogSNR(), s.At(noisy).LogSNR()
	switch {
	case l == most:
		return clean
	case l == least:
		return noisy
	case l < most && l > least:
		return min(max(t, clean), noisy)
	}
	return t
}

// validate asks s whether it is a schedule, if it can say.
func validate(s Schedule) error {
	if s == nil {
		return fmt.Errorf("schedules: no schedule given")
	}
	if v, ok := s.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// Discrete is a schedule that is a table: its entry i is At(i) for the whole
// numbers 0 ≤ i < Entries, clean to noisy. Entries is 0 for wrappers of
// schedules that are none.
type Discrete interface {
	Schedule
	Entries() int
}

func entries(s Schedule) int {
	if d, ok := s.(Discrete); ok {
		return d.Entries()
	}
	return 0
}
