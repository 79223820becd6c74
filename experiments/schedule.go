package experiments

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strconv"

	"snrlab/schedules"
	"snrlab/viz"
)

// ScheduleOptions is what to show of some schedules.
type ScheduleOptions struct {
	Schedules []string `json:"schedules"` // by name
	Spacings  []string `json:"spacings"`  // one for all, or one for each schedule
	Steps     int      `json:"steps"`     // of the grids
	Points    int      `json:"points"`    // of the curves
}

// DefaultSchedules shows the process and the grid of the demo.
func DefaultSchedules() ScheduleOptions {
	return ScheduleOptions{Schedules: []string{"edm"}, Spacings: []string{"karras"}, Steps: 10, Points: 400}
}

// ScheduleReport is the grids and curves of some schedules.
type ScheduleReport struct {
	Grids []GridTable `json:"grids"`
}

// GridTable is one grid, and the curve of the schedule that it lies on.
type GridTable struct {
	Schedule string          `json:"schedule"`
	Spacing  string          `json:"spacing"`
	Levels   []ScheduleLevel `json:"levels"` // noisy to clean: steps+1
	Curve    []ScheduleLevel `json:"curve"`  // evenly in t, clean to noisy
}

// ScheduleLevel is everything about one level. Rate is dλ/dt.
type ScheduleLevel struct {
	T      Number `json:"t"`
	Alpha  Number `json:"alpha"`
	Sigma  Number `json:"sigma"`
	LogSNR Number `json:"log_snr"`
	SNR    Number `json:"snr"`
	Rate   Number `json:"rate"`
}

// Validate reports options that cannot be used.
func (o ScheduleOptions) Validate() error {
	if n := len(o.Spacings); n > 1 && n != len(o.Schedules) {
		return fmt.Errorf("experiments: %d spacings for %d schedules: expected one for all, or one for each", n, len(o.Schedules))
	}
	err := cmp.Or(
		nonempty("schedules", o.Schedules),
		nonempty("spacings", o.Spacings),
		inside("steps", o.Steps, 1, 1<<16),
		inside("points", o.Points, 2, 1<<20),
	)
	if err != nil {
		return fmt.Errorf("experiments: %w", err)
	}
	return nil
}

// Run makes the grids and samples the curves.
func (o ScheduleOptions) Run() (*ScheduleReport, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	r := &ScheduleReport{}
	for i, name := range o.Schedules {
		f, err := newFamily(name, o.Spacings[min(i, len(o.Spacings)-1)])
		if err != nil {
			return nil, fmt.Errorf("experiments: %w", err)
		}
		g, err := f.grid(o.Steps)
		if err != nil {
			return nil, fmt.Errorf("experiments: %s on %s: %w", f.spacing, f.schedule, err)
		}
		t := GridTable{Schedule: f.schedule.String(), Spacing: f.spacing.String()}
		for _, l := range g {
			t.Levels = append(t.Levels, levelOf(f.schedule, l))
		}
		clean, noisy := f.schedule.Domain()
		for k := range o.Points {
			at := clean + (noisy-clean)*float64(k)/float64(o.Points-1)
			if k == o.Points-1 {
				at = noisy
			}
			t.Curve = append(t.Curve, levelOf(f.schedule, f.schedule.At(at)))
		}
		r.Grids = append(r.Grids, t)
	}
	return r, nil
}

// levelOf is a level with what follows from it. A grid may go below the
// domain of its schedule (its last level is a choice of the spacing); there
// dλ/dt does not exist.
func levelOf(s schedules.Schedule, l schedules.Level) ScheduleLevel {
	rate := math.NaN()
	if clean, noisy := s.Domain(); l.T >= clean && l.T <= noisy {
		rate = schedules.Rate(s, l.T)
	}
	return ScheduleLevel{
		T: Number(l.T), Alpha: Number(l.Alpha), Sigma: Number(l.Sigma),
		LogSNR: Number(l.LogSNR()), SNR: Number(l.LogSNR().SNR()), Rate: Number(rate),
	}
}

// Text writes the grids as tables.
func (r *ScheduleReport) Text(w io.Writer) error {
	t := new(table)
	for i, g := range r.Grids {
		if i > 0 {
			t.line("")
		}
		t.line("%s on %s: %d steps", g.Spacing, g.Schedule, len(g.Levels)-1)
		t.row("level", "t", "alpha", "sigma", "lambda", "SNR", "dlambda/dt")
		for k, l := range g.Levels {
			t.row(strconv.Itoa(k), l.T.String(), l.Alpha.String(), l.Sigma.String(), l.LogSNR.String(), l.SNR.String(), l.Rate.String())
		}
	}
	return t.flush(w)
}

// Curves returns the schedules in the form that [viz.Schedules] draws.
func (r *ScheduleReport) Curves() []viz.ScheduleCurve {
	var curves []viz.ScheduleCurve
	for _, g := range r.Grids {
		c := viz.ScheduleCurve{Name: g.Schedule}
		for _, l := range g.Curve {
			c.T, c.Lambda = append(c.T, float64(l.T)), append(c.Lambda, float64(l.LogSNR))
			c.Alpha, c.Sigma = append(c.Alpha, float64(l.Alpha)), append(c.Sigma, float64(l.Sigma))
			c.Rate = append(c.Rate, float64(l.Rate))
		}
		for _, l := range g.Levels {
			c.LevelT, c.LevelLambda = append(c.LevelT, float64(l.T)), append(c.LevelLambda, float64(l.LogSNR))
		}
		curves = append(curves, c)
	}
	return curves
}
