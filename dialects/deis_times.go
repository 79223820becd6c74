package dialects

import "math"

// deisSchedule is the noise schedule of the program of DEIS: log α at t, its
// slope, and the time where σ/α is rho.
type deisSchedule struct {
	logAlpha     func(t float64) float64
	logAlphaRate func(t float64) float64
	timeOf       func(rho float64) float64
}

// readDEISSchedule reads it; key is the name of its kind. The cosine schedule is
// not divided by its value at t = 0, so that α(0) < 1 by 8e-5.
func readDEISSchedule(o *Options, key string) (s deisSchedule, tmax, eps float64) {
	tmax, eps = o.Float("t_max", 1), o.Float("t_eps", 1e-3)
	if o.Text(key, "linear", "cosine") == "cosine" {
		const shift = 0.008
		at := func(t float64) float64 { return (t + shift) / (1 + shift) * math.Pi / 2 }
		return deisSchedule{
			logAlpha:     func(t float64) float64 { return math.Log(math.Cos(at(t))) },
			logAlphaRate: func(t float64) float64 { return -math.Tan(at(t)) * math.Pi / 2 / (1 + shift) },
			timeOf: func(rho float64) float64 {
				return math.Atan(rho)*2*(1+shift)/math.Pi - shift
			},
		}, tmax, eps
	}
	b0, b1 := o.Float("beta_0", 0.1), o.Float("beta_1", 20)
	linear := vpTimes{b0: b0, b1: b1, total: 1000}
	return deisSchedule{
		logAlpha:     linear.logAlphaAt,
		logAlphaRate: func(t float64) float64 { return -(b0 + t*(b1-b0)) / 2 },
		timeOf:       func(rho float64) float64 { return linear.timeOf(-math.Log(rho)) },
	}, tmax, eps
}

// rho returns σ/α at a time.
func (s deisSchedule) rho(t float64) float64 { return math.Sqrt(math.Expm1(-2 * s.logAlpha(t))) }

// times returns n+1 times from tmax to eps, uniform in a power of t, in log ρ, or
// in a power of ρ = σ/α.
func (s deisSchedule) times(phase string, order, tmax, eps float64, n int) []float64 {
	root := func(a, b float64) []float64 {
		return each(linspace(math.Pow(a, 1/order), math.Pow(b, 1/order), n+1), func(r float64) float64 { return math.Pow(r, order) })
	}
	switch phase {
	case "log":
		return each(each(linspace(math.Log(s.rho(tmax)), math.Log(s.rho(eps)), n+1), math.Exp), s.timeOf)
	case "rho":
		return each(root(s.rho(tmax), s.rho(eps)), s.timeOf)
	}
	return root(tmax, eps)
}

func deisTimes(o *Options) Tables {
	s, tmax, eps := readDEISSchedule(o, "schedule")
	n, order := o.Int("num_step", 10), o.Float("ts_order", 1)
	if n < 1 || n > maxSteps || !(order > 0) || !(eps > 0 && tmax > eps) {
		o.Fail("num_step", "is %d, ts_order %g, t_eps %g, t_max %g: expected 1 to %d steps, an order > 0, 0 < t_eps < t_max", n, order, eps, tmax, maxSteps)
		return nil
	}
	return Tables{"values": s.times(o.Text("ts_phase", "t", "log", "rho"), order, tmax, eps, n)}
}
