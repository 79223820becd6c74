package schedules

// Rated is a schedule that knows its slope in closed form.
type Rated interface {
	// LogSNRRate returns dλ/dt ≤ 0 at t; −Inf where λ leaves an infinite end.
	LogSNRRate(t float64) float64
}

// Rate returns dλ/dt of s at t, from which the diffusion of a process follows,
// g² = −σ² dλ/dt. Schedules that are not [Rated] are differenced, to about
// seven digits where they are smooth.
func Rate(s Schedule, t float64) float64 {
	if r, ok := s.(Rated); ok {
		return r.LogSNRRate(t)
	}
	clean, noisy := s.Domain()
	lambda := func(t float64) float64 { return float64(s.At(t).LogSNR()) }
	if room := min(t-clean, noisy-t); room > 0 {
		// λ may be infinite at the ends, so steps are short beside the way there.
		h := min(1e-3*(noisy-clean), room/256)
		central := func(h float64) float64 { return (lambda(t+h) - lambda(t-h)) / (2 * h) }
		return (4*central(h) - central(2*h)) / 3
	}
	h := 1e-6 * (noisy - clean)
	if t >= noisy {
		h = -h
	}
	return (-25*lambda(t) + 48*lambda(t+h) - 36*lambda(t+2*h) + 16*lambda(t+3*h) - 3*lambda(t+4*h)) / (12 * h)
}
