package experiments

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strconv"

	"snrlab/internal/study"
	"snrlab/schedules"
	"snrlab/viz"
)

// ScheduleOptions is what to show of some schedules.
type ScheduleOptions struct {
	Schedules []string `json:"schedules"` // by name
	Spacings  []string `json:"spacings"`  // one for all, or one for each schedule
	Steps     int      `json:"steps"`     // of the grids
	Points    int      `json:"points"`    // of the curves
	Axis      string   `json:"axis"`      // what they are drawn against: one of [ScheduleAxes]
}

// ScheduleAxes are the axes that schedules are drawn on: their time, λ,
// log σ/α, or the index of a level in its grid.
func ScheduleAxes() []string { return []string{"t", "lambda", "log-sigma", "index"} }

// DefaultSchedules shows the process and the grid of the demo.
func DefaultSchedules() ScheduleOptions {
	return ScheduleOptions{Schedules: []string{"edm"}, Spacings: []string{"karras"}, Steps: 10, Points: 400, Axis: "t"}
}

// ScheduleReport is the grids and curves of some schedules.
type ScheduleReport struct {
	Axis  string      `json:"axis"`
	Grids []GridTable `json:"grids"`
}

// GridTable is one grid, and the curve of the schedule that it lies on.
type GridTable struct {
	Schedule string          `json:"schedule"`
	Spacing  string          `json:"spacing"`
	Levels   []ScheduleLevel `json:"levels"` // noisy to clean: steps+1
	Curve    []ScheduleLevel `json:"curve"`  // evenly in t, clean to noisy
}

// ScheduleLevel is everything about one level. What does not exist is NaN.
type ScheduleLevel struct {
	T       Number `json:"t"`
	Alpha   Number `json:"alpha"`
	Sigma   Number `json:"sigma"`
	LogSNR  Number `json:"log_snr"`
	SNR     Number `json:"snr"`
	Rate    Number `json:"rate"`    // dλ/dt
	Share   Number `json:"share"`   // of uniform times that are noisier: P(λ' ≤ λ)
	Density Number `json:"density"` // p(λ) of uniform times
	Step    Number `json:"step"`    // in λ, to the next level of the grid
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
		oneOf("axis", o.Axis, ScheduleAxes()...),
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
	r := &ScheduleReport{Axis: o.Axis}
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
		for k := range o.Steps {
			t.Levels[k].Step = t.Levels[k+1].LogSNR - t.Levels[k].LogSNR
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
	rate, share := math.NaN(), math.NaN()
	clean, noisy := s.Domain()
	if l.T >= clean && l.T <= noisy {
		rate, share = schedules.Rate(s, l.T), (noisy-l.T)/(noisy-clean)
	}
	return ScheduleLevel{
		T: Number(l.T), Alpha: Number(l.Alpha), Sigma: Number(l.Sigma),
		LogSNR: Number(l.LogSNR()), SNR: Number(l.LogSNR().SNR()), Rate: Number(rate),
		Share: Number(share), Density: Number(1 / math.Abs(rate*(noisy-clean))), Step: Number(math.NaN()),
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
		t.row("level", "t", "alpha", "sigma", "lambda", "SNR", "dlambda/dt", "step in lambda")
		for k, l := range g.Levels {
			t.row(strconv.Itoa(k), l.T.String(), l.Alpha.String(), l.Sigma.String(), l.LogSNR.String(), l.SNR.String(), l.Rate.String(), l.Step.String())
		}
	}
	return t.flush(w)
}

// Table returns curves and levels as rows: of kind "curve" and "level".
func (r *ScheduleReport) Table() *study.Table {
	t := &study.Table{
		Name: "schedules", Caption: "Schedules at even times, and the levels of their grids.",
		Columns: []study.Column{
			{Name: "schedule", Text: true},
			{Name: "spacing", Text: true},
			{Name: "name", Text: true, Help: "the schedule, with its spacing where it is there twice"},
			{Name: "kind", Text: true, Help: "curve or level"},
			{Name: "index", Label: "index of the level"},
			{Name: "t", Label: "time t, rising with noise"},
			{Name: "u", Label: "u: 0 at the clean end, 1 at the noisy"},
			{Name: "alpha", Label: "α"},
			{Name: "sigma", Label: "σ"},
			{Name: "lambda", Label: "λ = log(α²/σ²)"},
			{Name: "log_sigma", Label: "log(σ/α)"},
			{Name: "snr", Label: "e^{λ} = α²/σ²"},
			{Name: "noise", Label: "σ/α"},
			{Name: "rate", Label: "dλ/dt"},
			{Name: "speed", Label: "|dλ/dt|"},
			{Name: "speed_u", Label: "|dλ/du|"},
			{Name: "density", Label: "p(λ)"},
			{Name: "density_log_sigma", Label: "p(log σ/α)"},
			{Name: "share", Label: "share of uniform times at less λ"},
			{Name: "step", Label: "step in λ"},
		},
	}
	for _, g := range r.Grids {
		name := g.Schedule
		if r.twice(g.Schedule) {
			name += " · " + g.Spacing
		}
		add := func(kind string, k int, l ScheduleLevel) {
			lambda, share, rate := float64(l.LogSNR), float64(l.Share), float64(l.Rate)
			t.Add(g.Schedule, g.Spacing, name, kind, k, float64(l.T), 1-share, float64(l.Alpha), float64(l.Sigma), lambda, -lambda/2,
				float64(l.SNR), math.Exp(-lambda/2), rate, math.Abs(rate), 1/float64(l.Density), float64(l.Density), 2*float64(l.Density), share, float64(l.Step))
		}
		for k, l := range g.Curve {
			add("curve", k, l)
		}
		for k, l := range g.Levels {
			add("level", k, l)
		}
	}
	return t
}

// twice says whether a schedule is there with several spacings.
func (r *ScheduleReport) twice(schedule string) bool {
	n := 0
	for _, g := range r.Grids {
		if g.Schedule == schedule {
			n++
		}
	}
	return n > 1
}

// oneClock says whether all schedules run over the same times.
func (r *ScheduleReport) oneClock() bool {
	for _, g := range r.Grids {
		a, b := g.Curve, r.Grids[0].Curve
		if a[0].T != b[0].T || a[len(a)-1].T != b[len(b)-1].T {
			return false
		}
	}
	return true
}

// Figure draws all of it over each other, on the axis of the report. Where
// schedules run over different times, time is the fraction u of the way from the
// clean end to the noisy one.
func (r *ScheduleReport) Figure() *viz.Figure {
	curve, level := map[string]string{"kind": "curve"}, map[string]string{"kind": "level"}
	time, speed := "u", "speed_u"
	if r.oneClock() {
		time, speed = "t", "speed"
	}
	panel := func(title, x, y string) study.Panel {
		return study.Panel{Title: title, X: x, Y: []string{y}, Series: "name", Where: curve, Draw: study.Lines}
	}
	dotted := func(p study.Panel) study.Panel { p.Dots = level; return p }
	logged := func(p study.Panel) study.Panel { p.LogY, p.Trim = true, true; return p }
	grid := func(title, x, y string) study.Panel {
		p := panel(title, x, y)
		p.Where, p.Draw = level, study.Curve
		return p
	}
	f := study.Figure{
		Name: "schedules", Table: "schedules",
		Caption: "Markers are the levels of the grids. Densities and shares are those of training with uniform times.",
	}
	density := "density"
	switch r.Axis {
	case "t":
		f.Title = "Schedules over each other, time rising with noise"
		f.Panels = []study.Panel{
			dotted(panel("log SNR", time, "lambda")), logged(panel("SNR", time, "snr")), logged(panel("speed", time, speed)),
			panel("signal", time, "alpha"), panel("noise", time, "sigma"), logged(panel("noise to signal", time, "noise")),
			grid("steps of the grid", time, "step"), panel("density", "lambda", density), panel("cumulative share of training", "lambda", "share"),
		}
	case "index":
		f.Title = "Grids over each other, level by level"
		f.Caption = "Level 0 is the noisiest. Levels without a time of their schedule have no u."
		f.Panels = []study.Panel{
			grid("log SNR", "index", "lambda"), grid("noise to signal", "index", "noise"), grid("steps of the grid", "index", "step"),
			grid("signal", "index", "alpha"), grid("noise", "index", "sigma"), grid("time", "index", "u"),
		}
		f.Panels[1].LogY = true
	default:
		x := "lambda"
		f.Title = "Schedules over each other, against λ"
		if r.Axis == "log-sigma" {
			x, density = "log_sigma", "density_log_sigma"
			f.Title = "Schedules over each other, against log(σ/α)"
		}
		f.Panels = []study.Panel{
			dotted(panel("time", x, time)), logged(panel("speed", x, speed)), grid("steps of the grid", x, "step"),
			panel("density", x, density), panel("cumulative share of training", x, "share"), panel("signal", x, "alpha"),
		}
	}
	return viz.StudyFigures(&study.Study{Tables: []*study.Table{r.Table()}, Figures: []study.Figure{f}})[0]
}
