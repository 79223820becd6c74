package schedules

import (
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/snr"
)

// Last names the level a grid ends at. Either way n steps are n+1 levels.
type Last int

const (
	// LastMin ends the grid at the clean end: SMin if given, else the
	// schedule's own, which is σ = 0 on schedules that reach it.
	LastMin Last = iota
	// LastZero goes to the clean end in n−1 steps and from there to σ = 0 in
	// one, as EDM and k-diffusion count; where the clean end is σ = 0, all n
	// steps lead there.
	LastZero
)

var lastNames = []string{"min", "zero"}

func (l Last) String() string { return spec.EnumName(l, lastNames) }

func parseLast(s string) (Last, error) {
	return prefixed(spec.ParseEnum[Last]("last level", s, lastNames))
}

// MarshalText writes "min" or "zero".
func (l Last) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads "min" or "zero".
func (l *Last) UnmarshalText(text []byte) (err error) {
	*l, err = parseLast(string(text))
	return err
}

// span is the stretch of a schedule that a spacing fills: both ends, taken from
// the schedule as they are or from the spacing's own σ/α.
type span struct {
	schedule     Schedule
	noisy, clean Level
	last         Last
	steps        int
}

// newSpan checks what every spacing is given. smin and smax are σ/α, 0 for the
// schedule's own end.
func newSpan(s Schedule, n int, last Last, smin, smax float64) (span, error) {
	if n < 1 {
		return span{}, fmt.Errorf("schedules: a grid of %d steps: expected at least 1", n)
	}
	if err := validate(s); err != nil {
		return span{}, err
	}
	if last != LastMin && last != LastZero {
		return span{}, fmt.Errorf("schedules: unknown last level %d", int(last))
	}
	clean, noisy := s.Domain()
	sp := span{schedule: s, noisy: s.At(noisy), clean: s.At(clean), last: last, steps: n}
	for _, end := range []struct {
		name  string
		noise float64
		level *Level
	}{{"smin", smin, &sp.clean}, {"smax", smax, &sp.noisy}} {
		switch lo, hi := s.At(clean).Noise(), s.At(noisy).Noise(); {
		case end.noise == 0:
		case end.noise >= lo && end.noise <= hi && !math.IsInf(end.noise, 1):
			*end.level = levelAtNoise(s, end.noise)
			end.level.T = min(max(end.level.T, clean), noisy) // rounding at an end
		default:
			return span{}, fmt.Errorf("schedules: %s = %g is outside the σ/α of %s, %.17g to %.17g: 0 means the schedule's own end", end.name, end.noise, s, lo, hi)
		}
	}
	if !(sp.noisy.LogSNR() < sp.clean.LogSNR()) {
		return span{}, fmt.Errorf("schedules: a grid from σ/α = %g to %g: expected smax > smin", sp.noisy.Noise(), sp.clean.Noise())
	}
	return sp, nil
}

// cut moves the ends to given times, 0 for none.
func (sp *span) cut(tmin, tmax float64) error {
	clean, noisy := sp.schedule.Domain()
	for _, end := range []struct {
		name  string
		t     float64
		level *Level
	}{{"tmin", tmin, &sp.clean}, {"tmax", tmax, &sp.noisy}} {
		switch {
		case end.t == 0:
		case end.t >= clean && end.t <= noisy:
			*end.level = sp.schedule.At(end.t)
		default:
			return fmt.Errorf("schedules: %s = %g is outside the times of %s, %g to %g: 0 means the schedule's own end", end.name, end.t, sp.schedule, clean, noisy)
		}
	}
	if !(sp.noisy.T > sp.clean.T) {
		return fmt.Errorf("schedules: a grid from t = %g to %g: expected tmax > tmin", sp.noisy.T, sp.clean.T)
	}
	return nil
}

// finite reports a span in which a spacing of infinite λ would get lost.
func (sp span) finite(name string, cleanToo bool) error {
	switch {
	case sp.noisy.Alpha == 0:
		return fmt.Errorf("schedules: %s cannot start at α = 0, where %s ends: give smax, or use uniform-t", name, sp.schedule)
	case cleanToo && sp.clean.Sigma == 0:
		return fmt.Errorf("schedules: %s cannot reach σ = 0, where %s starts: give smin (and last=zero for a last step to 0)", name, sp.schedule)
	}
	return nil
}

// grid fills the span with the levels at the fractions 0 < u < 1 of the way
// from noisy to clean. The ends are assigned, not computed.
func (sp span) grid(at func(u float64) Level) (Grid, error) {
	inner := sp.steps // from the noisy to the clean end
	zero := sp.last == LastZero && sp.clean.Sigma > 0
	if zero {
		inner--
	}
	g := append(make(Grid, 0, sp.steps+1), sp.noisy)
	for i := 1; i < inner; i++ {
		g = append(g, at(float64(i)/float64(inner)))
	}
	if inner > 0 {
		g = append(g, sp.clean)
	}
	if zero {
		g = append(g, cleanLevel(sp.schedule))
	}
	return checked(g)
}

// checked returns g if it can be walked.
func checked(g Grid) (Grid, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return g, nil
}

// cleanLevel returns σ = 0 on the path of s, at the time where s has it, or at
// T = NaN where no time does.
func cleanLevel(s Schedule) Level {
	top := snr.LogSNR(math.Inf(1))
	if t := s.TimeOf(top); s.At(t).Sigma == 0 {
		return s.At(t)
	}
	alpha, sigma := s.Path().Coeffs(top)
	return Level{T: math.NaN(), Alpha: alpha, Sigma: sigma}
}

// mix goes from a to b, a at u = 0.
func mix(a, b, u float64) float64 { return a + u*(b-a) }
