package dialects

import (
	"math"

	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/solvers"
)

// The sampler of EDM's ablation [karras2022, algorithm 1 with churn]: a
// Runge–Kutta method in the time of a schedule σ(t), for states s(t)(x₀ + σ(t)ε),
// on levels of a third party. The last step is Euler's to t = 0. It draws at
// every step, also where it adds nothing.

// The VP schedule is fitted to the ends of the run at t = 1 and t = vpEps.
const vpEps = 1e-3

// ablationEnds are the levels between which a discretisation goes.
var ablationEnds = map[string][2]float64{
	"edm":   {0.002, 80},
	"vp":    {math.Sqrt(math.Expm1(19.9*vpEps*vpEps/2 + 0.1*vpEps)), math.Sqrt(math.Expm1(19.9/2 + 0.1))},
	"ve":    {0.02, 100},
	"iddpm": {0.002, 81},
}

func edmAblation(r Run) (*Translation, error) {
	o := r.Args
	kind := o.Text("discretization", "edm", "vp", "ve", "iddpm")
	ends := ablationEnds[kind]
	lo, hi, rho := o.Float("sigma_min", ends[0]), o.Float("sigma_max", ends[1]), o.Float("rho", 7)
	if !(lo > 0 && hi > lo && rho > 0) || math.IsInf(hi, 1) || r.Steps < 2 || r.Steps > maxSteps {
		o.Fail("sigma_min", "is %g, sigma_max %g, rho %g, and %d steps: expected 0 < sigma_min < sigma_max, rho > 0, 2 to %d steps", lo, hi, rho, r.Steps, maxSteps)
		return &Translation{}, nil
	}
	var sigmas []float64
	var spacing schedules.Spacing
	switch kind {
	case "vp":
		sigmas, spacing = timeUniformSigmas(lo, hi, 1, vpEps, r.Steps), schedules.TimeUniform{Rho: 1, Eps: vpEps, SMin: lo, SMax: hi, Last: schedules.LastZero}
	case "ve":
		sigmas, spacing = exponentialSigmas(lo, hi, r.Steps), schedules.UniformLambda{SMin: lo, SMax: hi, Last: schedules.LastZero}
	case "iddpm":
		sigmas = iddpmSigmas(lo, hi, o.Int("M", 1000), o.Float("C_1", 0.001), o.Float("C_2", 0.008), r.Steps)
		if sigmas == nil {
			o.Fail("M", "is %d: too few of the levels lie between sigma_min and sigma_max for %d steps", o.Int("M", 1000), r.Steps)
			return &Translation{}, nil
		}
	default:
		sigmas, spacing = karrasSigmas(lo, hi, rho, r.Steps), schedules.Karras{Rho: rho, SMin: lo, SMax: hi, Last: schedules.LastZero}
	}

	// Time and scale.
	var sch schedules.Schedule
	bd, bm := fitLinear(lo, hi, vpEps)
	switch o.Text("schedule", "linear", "vp", "ve") {
	case "vp":
		sch = schedules.VPLinear{BetaMin: bm, BetaMax: bm + bd}
	case "ve":
		sch = squareTime{lo, hi}
	default:
		sch = line(sigmas)
	}
	var path schedules.Path = schedules.VEPath{}
	level := veLevel
	if o.Text("scaling", "none", "vp") == "vp" {
		path, level = schedules.VPPath{}, vpLevel
	}
	if sch.Path() != path {
		sch = schedules.OnPath{To: path, Schedule: sch}
	}

	sigmas = withEnd(sigmas, 0)
	t := &Translation{Schedule: sch, Spacing: spacing, Grid: gridOf(level, sigmas)}
	t.StartScale = t.Grid[0].Sigma
	t.Tables = map[string][]float64{"t_steps": each(sigmas, func(s float64) float64 { return sch.TimeOf(snr.FromSigma(s)) })}
	churn := readChurn(o, "S_churn", "S_min", "S_max", "S_noise")
	s := solvers.RK{
		Method: solvers.AlphaHeun, Alpha: o.Float("alpha", 1), In: solvers.InTime, Last: solvers.Own,
		SChurn: churn.SChurn, SMin: churn.SMin, SMax: churn.SMax, SNoise: churn.SNoise,
	}
	switch {
	case !(s.Alpha > 0 && s.Alpha <= 1):
		o.Fail("alpha", "is %g: expected 0 < alpha ≤ 1", s.Alpha)
	case o.Text("solver", "heun", "euler") == "euler":
		s.Method, s.Alpha = solvers.Euler1, 0
	case s.Alpha == 1:
		s.Method, s.Alpha = solvers.Heun2, 0
	}
	t.Solver = s
	t.everyStep()
	return t, nil
}

// iddpmSigmas takes n levels from the table of a cosine schedule of m steps, at
// equal distances of the index, the halves to even, among those in [lo, hi]; nil
// if these are fewer.
func iddpmSigmas(lo, hi float64, m int, c1, c2 float64, n int) []float64 {
	if m < 1 || m > maxSteps {
		return nil
	}
	bar := func(j int) float64 {
		s := math.Sin(0.5 * math.Pi * float64(j) / float64(m) / (c2 + 1))
		return s * s
	}
	u := make([]float64, m+1)
	for j := m; j > 0; j-- {
		u[j-1] = math.Sqrt((u[j]*u[j]+1)/max(bar(j-1)/bar(j), c1) - 1)
	}
	var inside []float64
	for _, v := range u {
		if v >= lo && v <= hi {
			inside = append(inside, v)
		}
	}
	if len(inside) < n {
		return nil
	}
	return each(linspace(0, float64(len(inside)-1), n), func(at float64) float64 { return inside[int(math.RoundToEven(at))] })
}

// squareTime is the variance-exploding schedule whose time is σ².
type squareTime struct{ lo, hi float64 }

func (s squareTime) At(t float64) schedules.Level {
	return schedules.Level{T: t, Alpha: 1, Sigma: math.Sqrt(t)}
}
func (s squareTime) TimeOf(l snr.LogSNR) float64    { return math.Exp(-float64(l)) }
func (s squareTime) Domain() (clean, noisy float64) { return s.lo * s.lo, s.hi * s.hi }
func (s squareTime) Path() schedules.Path           { return schedules.VEPath{} }
func (s squareTime) String() string                 { return "σ = √t" }

// LogSNRRate returns dλ/dt = −1/t.
func (s squareTime) LogSNRRate(t float64) float64 { return -1 / t }
