package schedules

import (
	"fmt"
	"strings"

	"snrlab/snr"
)

// Grid is the list of levels a run visits, noisy to clean: n steps are n+1
// levels. A hand-written grid is as good as any other and is never altered.
type Grid []Level

// Steps returns n, the number of intervals.
func (g Grid) Steps() int { return len(g) - 1 }

// LogSNRs returns λ of every level.
func (g Grid) LogSNRs() []snr.LogSNR {
	l := make([]snr.LogSNR, len(g))
	for i := range g {
		l[i] = g[i].LogSNR()
	}
	return l
}

// Noises returns ŝ = σ/α of every level.
func (g Grid) Noises() []float64 {
	s := make([]float64, len(g))
	for i := range g {
		s[i] = g[i].Noise()
	}
	return s
}

// GridColumns are the headings of [Grid.Rows].
var GridColumns = []string{"level", "t", "alpha", "sigma", "sigma/alpha", "lambda"}

// Rows returns the grid as a table, one row a level, at six digits.
func (g Grid) Rows() [][]string {
	rows := make([][]string, len(g))
	for i, l := range g {
		rows[i] = []string{fmt.Sprint(i)}
		for _, v := range []float64{l.T, l.Alpha, l.Sigma, l.Noise(), float64(l.LogSNR())} {
			rows[i] = append(rows[i], fmt.Sprintf("%.6g", v))
		}
	}
	return rows
}

// String returns the grid as an aligned table with headings.
func (g Grid) String() string {
	var b strings.Builder
	for _, row := range append([][]string{GridColumns}, g.Rows()...) {
		line := fmt.Sprintf("%5s", row[0])
		for _, cell := range row[1:] {
			line += fmt.Sprintf("  %12s", cell)
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// Validate reports a grid that no solver can walk: fewer than two levels, a
// level that is none, or noise that does not strictly fall.
func (g Grid) Validate() error {
	if len(g) < 2 {
		return fmt.Errorf("schedules: a grid of %d levels has no step: expected at least 2 levels", len(g))
	}
	for i, l := range g {
		if !l.valid() {
			return fmt.Errorf("schedules: grid level %d has α = %g, σ = %g: expected finite values ≥ 0, not both 0", i, l.Alpha, l.Sigma)
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
