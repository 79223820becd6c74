package dialects

import (
	"math"
	"slices"

	"snrlab/schedules"
)

// The noise schedules of the programs of DPM-Solver and of UniPC, which are one
// class copied: α and σ = √(1 − α²) at times in (0, 1].

// vpTimes is such a schedule: with a linear β in closed form, or a table of
// log α at the times 1/N, 2/N, …, 1, linear between and continued outside.
type vpTimes struct {
	b0, b1   float64
	logAlpha []float64 // nil for the closed form
	total    int       // N
	quirks   []string
}

// readVPTimes reads a schedule: name is the key of its kind.
//
//	linear    log α = −t²(β₁ − β₀)/4 − tβ₀/2
//	discrete  a table, of which the entries below λ/2 = −5.1 are cut off at the
//	          noisy end; the times are then stretched over what is left
func readVPTimes(o *Options) vpTimes {
	s := vpTimes{b0: o.Float("beta_0", 0.1), b1: o.Float("beta_1", 20), total: 1000}
	if o.Text("schedule", "discrete", "linear") == "linear" {
		if !(s.b0 > 0 && s.b1 > s.b0) {
			o.Fail("beta_0", "is %g and beta_1 %g: expected 0 < beta_0 < beta_1", s.b0, s.b1)
		}
		return s
	}
	kind := map[string]string{"linear": "linear", "cosine": "squaredcos_cap_v2", "scaled_linear": "scaled_linear"}[o.Text("betas", "linear", "cosine", "scaled_linear")]
	start, end, n := o.Float("beta_start", 1e-4), o.Float("beta_end", 0.02), o.Int("n", 1000)
	if !(start > 0 && end > start && end < 1) || n < 2 || n > maxSteps {
		o.Fail("beta_start", "is %g, beta_end %g, n %d: expected 0 < beta_start < beta_end < 1 and 2 to %d entries", start, end, n, maxSteps)
		n = 2
	}
	sum := 0.0
	for _, b := range betaTable(kind, start, end, n) {
		sum += math.Log1p(-b) / 2
		if s.logAlpha = append(s.logAlpha, sum); halfLogSNR(sum) < -5.1 {
			s.logAlpha = s.logAlpha[:len(s.logAlpha)-1]
			s.quirks = []string{"clipped-schedule-label"}
			break
		}
	}
	s.total = len(s.logAlpha)
	return s
}

// halfLogSNR returns log(α/σ) of log α.
func halfLogSNR(logAlpha float64) float64 {
	return logAlpha - math.Log(-math.Expm1(2*logAlpha))/2
}

// logAlphaAt returns log α at a time.
func (s vpTimes) logAlphaAt(t float64) float64 {
	if s.logAlpha == nil {
		return -t*t*(s.b1-s.b0)/4 - t*s.b0/2
	}
	i := min(max(int(t*float64(s.total))-1, 0), s.total-2)
	u := t*float64(s.total) - float64(i+1)
	return s.logAlpha[i] + u*(s.logAlpha[i+1]-s.logAlpha[i])
}

// level returns the level of a time.
func (s vpTimes) level(t float64) schedules.Level {
	l := s.logAlphaAt(t)
	return schedules.Level{T: t, Alpha: math.Exp(l), Sigma: math.Sqrt(-math.Expm1(2 * l))}
}

// timeOf returns the time where log(α/σ) is half.
func (s vpTimes) timeOf(half float64) float64 {
	soft := math.Log1p(math.Exp(-2*math.Abs(half))) + max(-2*half, 0) // log(1 + e^{−2·half})
	if s.logAlpha == nil {
		x := 2 * (s.b1 - s.b0) * soft
		return x / ((math.Sqrt(s.b0*s.b0+x) + s.b0) * (s.b1 - s.b0))
	}
	l := -soft / 2
	i, _ := slices.BinarySearchFunc(s.logAlpha, l, func(a, l float64) int {
		if a > l {
			return -1
		}
		return 1
	})
	i = min(max(i-1, 0), s.total-2)
	u := (l - s.logAlpha[i]) / (s.logAlpha[i+1] - s.logAlpha[i])
	return (float64(i+1) + u) / float64(s.total)
}

// half returns log(α/σ) at a time.
func (s vpTimes) half(t float64) float64 { return halfLogSNR(s.logAlphaAt(t)) }

// skipTypes are the spacings of these programs.
var skipTypes = []string{"time_uniform", "logSNR", "time_quadratic"}

// between returns n+1 times from one to another, in either direction.
func (s vpTimes) between(skip string, from, to float64, n int) []float64 {
	switch skip {
	case "logSNR":
		return each(linspace(s.half(from), s.half(to), n+1), s.timeOf)
	case "time_quadratic":
		return each(linspace(math.Sqrt(from), math.Sqrt(to), n+1), func(r float64) float64 { return r * r })
	}
	return linspace(from, to, n+1)
}

// singlestepOrders returns the orders of the steps that use up a number of
// evaluations: as many of the full order as fit, and one or two lower ones.
func singlestepOrders(steps, order int) []int {
	var orders []int
	switch left := steps; {
	case order == 3 && steps%3 == 0:
		orders = append(slices.Repeat([]int{3}, steps/3-1), 2, 1)
	default:
		for ; left >= order; left -= order {
			orders = append(orders, order)
		}
		if left > 0 {
			orders = append(orders, left)
		}
	}
	return orders
}

// singlestep returns the times between which the steps of the orders go.
func (s vpTimes) singlestep(skip string, from, to float64, orders []int) []float64 {
	if skip == "logSNR" {
		return s.between(skip, from, to, len(orders))
	}
	evals := 0
	for _, o := range orders {
		evals += o
	}
	fine := s.between(skip, from, to, evals)
	times, at := fine[:1:1], 0
	for _, o := range orders {
		at += o
		times = append(times, fine[at])
	}
	return times
}

// tables returns α, σ and log(α/σ) of times, as these programs name them.
func (s vpTimes) tables(times []float64) map[string][]float64 {
	return map[string][]float64{
		"t_steps": times,
		"alpha":   each(times, func(t float64) float64 { return s.level(t).Alpha }),
		"sigma":   each(times, func(t float64) float64 { return s.level(t).Sigma }),
		"lambda":  each(times, s.half),
	}
}
