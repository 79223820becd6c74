package dialects

import (
	"maps"
	"math"
	"slices"

	"snrlab/schedules"
	"snrlab/solvers"
)

// The program of DEIS [zhang2023]. States are those of a variance-preserving
// process, and num_step is the number of steps between t_max and t_eps.

// level is the level at a time.
func (s deisSchedule) level(t float64) schedules.Level {
	l := s.logAlpha(t)
	return schedules.Level{T: t, Alpha: math.Exp(l), Sigma: math.Sqrt(-math.Expm1(2 * l))}
}

// rate is dŝ/dt, ŝ = σ/α.
func (s deisSchedule) rate(t float64) float64 {
	l := s.level(t)
	return -s.logAlphaRate(t) / (l.Sigma * l.Alpha)
}

// deisSchemes are the Runge–Kutta methods by its names.
var deisSchemes = map[string]solvers.Scheme{
	"1euler": solvers.Euler1, "2heun": solvers.Heun2, "3kutta": solvers.Kutta3, "3ral": solvers.Ralston3,
	"3heun": solvers.Heun3, "3vdh": solvers.VdH3, "3ssprk": solvers.SSP3, "4rk": solvers.RK4,
}

// quadraturePoints is the number of points of its rectangle rule.
const quadraturePoints = 10000

// deisSampler reads get_sampler.
func deisSampler(r Run) (*Translation, error) {
	o := r.Args
	s, tmax, eps := readDEISSchedule(r.Schedule, "name")
	power := o.Float("ts_order", 1)
	if !(eps > 0 && tmax > eps && power > 0) || r.Steps < 1 || r.Steps > maxSteps {
		o.Fail("ts_order", "is %g, t_eps %g, t_max %g, and %d steps: expected an order > 0, 0 < t_eps < t_max, 1 to %d steps", power, eps, tmax, r.Steps, maxSteps)
		return &Translation{}, nil
	}
	times := s.times(o.Text("ts_phase", "t", "log", "rho"), power, tmax, eps, r.Steps)
	g := gridOf(s.level, times)
	t := &Translation{Grid: g, Schedule: onVP(g), Tables: map[string][]float64{"t_steps": times}}
	method := o.Text("method", "t_ab", "rho_ab", "rho_rk", "ipndm")
	if method == "rho_rk" {
		t.Solver = solvers.RK{In: solvers.Sigma, Method: deisSchemes[o.Text("rk_method", "3kutta", slices.Sorted(maps.Keys(deisSchemes))...)], SMax: math.Inf(1), SNoise: 1}
		return t, nil
	}
	order := 4
	if method != "ipndm" {
		order = 1 + o.Int("ab_order", 3)
	}
	if order < 1 || order > 4 {
		o.Fail("ab_order", "is %d: expected 0 to 3", order-1)
		return t, nil
	}
	rho := func(i int) float64 { return g[i].Noise() }
	weights := bySteps(g, func(i int) []float64 {
		n := min(i+1, order)
		switch method {
		case "ipndm":
			return each(ipndmWeights[n-1], func(c float64) float64 { return c * (rho(i+1) - rho(i)) })
		case "rho_ab":
			q := rectangles(rho(i), rho(i+1), quadraturePoints, false, func(float64) float64 { return 1 })
			return q.interpolate(newest(i, n, rho))
		}
		q := rectangles(times[i], times[i+1], quadraturePoints, false, s.rate)
		return q.interpolate(newest(i, n, func(k int) float64 { return times[k] }))
	})
	t.Tables["ab_coef"] = padded(weights, order+1)
	if method == "rho_ab" { // whose table is for x/α
		for i, row := range weights {
			for j := range row {
				t.Tables["ab_coef"][i*(order+1)+j] /= g[i+1].Alpha
			}
			t.Tables["ab_coef"][i*(order+1)] = 1
		}
	}
	if method == "ipndm" {
		t.Solver = solvers.IPNDM{Order: 4}
		return t, nil
	}
	t.Solver = weighted("DEIS "+method+", weights by a rectangle rule", order, weights)
	t.Quirks = []string{"rectangle-rule-coefficients"}
	return t, nil
}

// ipndmWeights are the Adams–Bashforth weights of uniform grids.
var ipndmWeights = [][]float64{
	{1},
	{3. / 2, -1. / 2},
	{23. / 12, -16. / 12, 5. / 12},
	{55. / 24, -59. / 24, 37. / 24, -9. / 24},
}

// onVP is a variance-preserving schedule through the levels of a grid, the place
// of levels between them.
func onVP(g schedules.Grid) schedules.Schedule {
	return schedules.OnPath{To: schedules.VPPath{}, Schedule: line(g.Noises())}
}
