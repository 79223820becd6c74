package viz

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ScheduleCurve is one schedule sampled at rising times, with the levels that
// a spacing puts on it. All slices of a group have one length; Levels may be
// empty.
type ScheduleCurve struct {
	Name   string
	T      []float64 // over the schedule's own domain, from clean to noisy
	Lambda []float64 // log SNR
	Rate   []float64 // dλ/dt
	Alpha  []float64
	Sigma  []float64

	LevelT, LevelLambda []float64
}

// Schedules draws λ, SNR, α, σ and dλ/dt of several schedules over each other,
// with the levels of their grids marked on λ. Where the schedules' domains
// differ, time is the fraction u of the way from the clean end to the noisy one.
func Schedules(curves []ScheduleCurve) (*Figure, error) {
	if len(curves) == 0 {
		return nil, fmt.Errorf("viz: no schedule to draw: expected at least one")
	}
	var l legend
	for i, c := range curves {
		n := len(c.T)
		if n < 2 || len(c.Lambda) != n || len(c.Alpha) != n || len(c.Sigma) != n || len(c.Rate) != n || len(c.LevelT) != len(c.LevelLambda) {
			return nil, fmt.Errorf("viz: schedule %s: %d times, %d λ, %d α, %d σ, %d dλ/dt, %d and %d levels: expected at least two, the same number of each",
				c.Name, n, len(c.Lambda), len(c.Alpha), len(c.Sigma), len(c.Rate), len(c.LevelT), len(c.LevelLambda))
		}
		l = append(l, entry{c.Name, styleOf(i)})
	}
	timeLabel, rateLabel := "time t, rising with noise", "|dλ/dt|"
	if moved, differ := onUnitTime(curves); differ {
		curves, timeLabel, rateLabel = moved, "u: 0 at the clean end, 1 at the noisy", "|dλ/du|"
	}
	return drawSchedules(curves, l, timeLabel, rateLabel), nil
}

// onUnitTime moves schedules with different domains to one time axis, and
// reports whether they need it.
func onUnitTime(curves []ScheduleCurve) ([]ScheduleCurve, bool) {
	ends := func(c ScheduleCurve) (float64, float64) { return c.T[0], c.T[len(c.T)-1] }
	lo, hi := ends(curves[0])
	differ := false
	moved := make([]ScheduleCurve, len(curves))
	for i, c := range curves {
		a, b := ends(c)
		differ = differ || a != lo || b != hi
		unit := func(t float64) float64 { return (t - a) / (b - a) }
		c.T, c.LevelT = mapped(c.T, unit), mapped(c.LevelT, unit)
		c.Rate = mapped(c.Rate, func(r float64) float64 { return r * (b - a) })
		moved[i] = c
	}
	return moved, differ
}

func drawSchedules(curves []ScheduleCurve, l legend, timeLabel, rateLabel string) *Figure {
	type kind struct {
		title, label string
		log          bool
		get          func(i int) (xs, ys []float64)
	}
	kinds := []kind{
		{"log SNR", "λ = log(α²/σ²)", false, func(i int) ([]float64, []float64) { return curves[i].T, curves[i].Lambda }},
		{"SNR", "e^{λ} = α²/σ²", true, func(i int) ([]float64, []float64) { return curves[i].T, mapped(curves[i].Lambda, math.Exp) }},
		{"speed", rateLabel, true, func(i int) ([]float64, []float64) { return curves[i].T, mapped(curves[i].Rate, math.Abs) }},
		{"signal", "α", false, func(i int) ([]float64, []float64) { return curves[i].T, curves[i].Alpha }},
		{"noise", "σ", false, func(i int) ([]float64, []float64) { return curves[i].T, curves[i].Sigma }},
		{"noise to signal", "σ/α", true, func(i int) ([]float64, []float64) {
			return curves[i].T, mapped(curves[i].Lambda, func(v float64) float64 { return math.Exp(-v / 2) })
		}},
	}
	var panels []panel
	var lost dropped
	var ts []float64
	for _, c := range curves {
		ts = append(ts, c.T...)
	}
	for n, k := range kinds {
		var all []float64
		for i := range curves {
			_, ys := k.get(i)
			all = append(all, ys...)
			if k.log {
				lost.see(ys...)
			}
		}
		all = bulk(all)
		p := panel{title: k.title, x: linearAxis(timeLabel, ts), y: linearAxis(k.label, all), bareX: n < 3}
		if k.log {
			p.y = logAxis(k.label, all)
		}
		for i, c := range curves {
			xs, ys := k.get(i)
			look := styleOf(i)
			p.layers = append(p.layers, func(pn pen) {
				pn.line(xs, ys, draw.LineStyle{Color: look.color, Width: 1, Dashes: look.dashes})
				if n == 0 {
					pn.marks(c.LevelT, c.LevelLambda, look, 2)
				}
			})
		}
		panels = append(panels, p)
	}
	caption := "Markers on λ are the levels of the grids."
	if len(curves[0].LevelT) == 0 {
		caption = "Curves of the schedules alone, no grid."
	}
	return simpleFigure("schedules", "Schedules over each other, time rising with noise", caption+" Vertical axes span 98 % of the samples."+lost.note(),
		pageWidth, 9.5*vg.Centimeter, [][]panel{panels[:3], panels[3:]}, l)
}

// bulk leaves out the outermost finite hundredths, so that a spike at an end
// does not flatten all else.
func bulk(v []float64) []float64 {
	s := slices.Clone(v)
	s = slices.DeleteFunc(s, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
	if len(s) == 0 {
		return v
	}
	slices.Sort(s)
	cut := len(s) / 100
	lo, hi := s[cut], s[len(s)-1-cut]
	return slices.DeleteFunc(slices.Clone(v), func(x float64) bool {
		return (x < lo || x > hi) && !math.IsInf(x, 0)
	})
}

func mapped(v []float64, f func(float64) float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = f(v[i])
	}
	return out
}
