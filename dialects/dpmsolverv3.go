package dialects

import (
	"math"

	"snrlab/solvers"
)

// The program of DPM-Solver-v3 [zheng2023], in its form for EDM models. States
// are x₀ + σε and are written down as the steps correct them; steps counts
// network calls. The model statistics are given at levels uniform in log σ, and
// the levels of a run are the nearest of those.

// dpmSolverV3Sample is DPM_Solver_v3.sample.
func dpmSolverV3Sample(r Run) (*Translation, error) {
	o, t := r.Args, &Translation{States: Corrected}
	lo, hi := r.Schedule.Float("sigma_min", 0.002), r.Schedule.Float("sigma_max", 80)
	n := o.Int("statistics_steps", 0)
	if !(lo > 0 && hi > lo) || r.Steps < 1 || r.Steps > maxSteps || n < r.Steps || n > maxSteps {
		r.Schedule.Fail("sigma_min", "is %g, sigma_max %g, %d steps and statistics_steps %d: expected 0 < sigma_min < sigma_max, and steps from 1 to statistics_steps", lo, hi, r.Steps, n)
		return t, nil
	}
	o.Ignore("statistics") // a name for what is given
	table := &solvers.Statistics{HalfLogSNR: linspace(-math.Log(hi), -math.Log(lo), n+1)}
	degenerated := o.Bool("degenerated", false)
	for _, q := range []struct {
		key string
		dst *[][]float64
	}{{"stat_l", &table.L}, {"stat_s", &table.S}, {"stat_b", &table.B}} {
		values := r.Given.Floats(q.key)
		if len(values) == 0 || len(values)%(n+1) != 0 {
			r.Given.Fail(q.key, "has %d numbers: expected a whole number for each of %d levels", len(values), n+1)
			return t, nil
		}
		for i := range n + 1 {
			row := values[i*len(values)/(n+1) : (i+1)*len(values)/(n+1)]
			if degenerated {
				row = make([]float64, len(row))
				for j := range row {
					if q.key == "stat_l" {
						row[j] = 1
					}
				}
			}
			*q.dst = append(*q.dst, row)
		}
	}
	var halves []float64
	switch r.Schedule.Text("skip_type", "logSNR", "edm") {
	case "logSNR":
		halves = linspace(-math.Log(hi), -math.Log(lo), r.Steps+1)
	case "edm":
		halves = each(karrasSigmas(lo, hi, 7, r.Steps+1), func(s float64) float64 { return -math.Log(s) })
	}
	ends := table.HalfLogSNR
	indexes := each(halves, func(l float64) float64 {
		return math.RoundToEven(float64(n) * (l - ends[0]) / (ends[n] - ends[0]))
	})
	if given := r.Given.Floats("indexes"); given != nil {
		for i, k := range indexes {
			if i >= len(given) || given[i] != k {
				r.Given.Fail("indexes", "are %v: expected the nearest levels of the statistics, %v", given, indexes)
				break
			}
		}
	}
	sigmas := each(indexes, func(k float64) float64 { return math.Exp(-(ends[0] + (ends[n]-ends[0])*k/float64(n))) })
	t.Grid, t.Schedule = gridOf(veLevel, sigmas), line(sigmas)
	t.Tables = map[string][]float64{"t_steps": sigmas}
	s := solvers.DPMSolverV3{
		Order: o.Int("order", 3), Corrector: o.Bool("use_corrector", false), PPseudo: o.Bool("p_pseudo", false), CPseudo: o.Bool("c_pseudo", false),
		Rule: solvers.RuleTrapezoid, Table: table,
	}
	if s.Order < 1 || s.Order > 4 {
		o.Fail("order", "is %d: expected 1 to 4", s.Order)
		s.Order = 1
	}
	// What has no effect there is refused here.
	s.CPseudo = s.CPseudo && s.Corrector
	s.PPseudo = s.PPseudo && s.Order > 2
	s.Corrector = s.Corrector && (s.Order > 1 || s.CPseudo)
	if o.Bool("lower_order_final", true) && s.Order > 1 {
		s.Final = solvers.FinalLower
	}
	t.Solver = s
	return t, nil
}
