package schedules

import "fmt"

// monotonePoints is how finely Monotone looks.
const monotonePoints = 1024

// Monotone reports where the noise of s does not rise with time, or where s has
// no level: the first of 1024 equal parts of its domain between whose ends λ does
// not fall. What happens within a part it cannot see.
func Monotone(s Schedule) error {
	clean, noisy := s.Domain()
	if !(clean < noisy) {
		return fmt.Errorf("schedules: %s has the domain %g to %g: expected a range", s, clean, noisy)
	}
	before, last := clean, s.At(clean)
	if err := last.Validate(); err != nil {
		return fmt.Errorf("schedules: %s at t = %g: %w", s, clean, err)
	}
	for i := 1; i <= monotonePoints; i++ {
		t := noisy
		if i < monotonePoints {
			t = clean + float64(i)/monotonePoints*(noisy-clean)
		}
		l := s.At(t)
		if err := l.Validate(); err != nil {
			return fmt.Errorf("schedules: %s at t = %g: %w", s, t, err)
		}
		if !(l.LogSNR() < last.LogSNR()) {
			return fmt.Errorf("schedules: %s is not monotone: λ goes from %g to %g between t = %g and t = %g, where it must fall", s, float64(last.LogSNR()), float64(l.LogSNR()), before, t)
		}
		before, last = t, l
	}
	return nil
}
