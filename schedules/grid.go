package schedules

import "fmt"

// Grid is the list of levels a run visits, noisy to clean: n steps are n+1
// levels. A hand-written grid is as good as any other and is never altered.
type Grid []Level

// Steps returns n, the number of intervals.
func (g Grid) Steps() int { return len(g) - 1 }

// Validate reports a grid that no solver can walk: fewer than two levels, a
// level that is none, or noise that does not strictly fall.
func (g Grid) Validate() error {
	if len(g) < 2 {
		return fmt.Errorf("schedules: a grid of %d levels has no step: expected at least 2 levels", len(g))
	}
	for i, l := range g {
		if err := l.Validate(); err != nil {
			return fmt.Errorf("grid level %d: %w", i, err)
		}
		if i > 0 && !(l.LogSNR() > g[i-1].LogSNR()) {
			return fmt.Errorf("schedules: grid level %d has λ = %g after λ = %g: noise must strictly fall", i, float64(l.LogSNR()), float64(g[i-1].LogSNR()))
		}
	}
	return nil
}

// Spacing chooses the levels of an n-step grid on a schedule.
type Spacing interface {
	Grid(s Schedule, n int) (Grid, error)
	String() string // parseable, e.g. "karras(rho=7,last=zero)"
}
