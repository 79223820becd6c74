package dialects

import (
	"context"
	"math"
	"slices"
	"strconv"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// The samplers of diff-sampler [zhou2024]. States are x₀ + σε, and num_steps is
// the number of levels, the last of them σ_min.

// dsSchedule reads get_schedule, and the same levels as a spacing of ours.
func dsSchedule(r Run) ([]float64, schedules.Spacing) {
	o := r.Schedule
	lo, hi, rho := o.Float("sigma_min", 0.002), o.Float("sigma_max", 80), o.Float("schedule_rho", 7)
	if !(lo > 0 && hi > lo && rho > 0) || r.Steps < 2 || r.Steps > maxSteps {
		o.Fail("sigma_min", "is %g, sigma_max %g, schedule_rho %g, and %d levels: expected 0 < sigma_min < sigma_max, schedule_rho > 0, 2 to %d levels", lo, hi, rho, r.Steps, maxSteps)
		return []float64{2, 1}, nil
	}
	switch o.Text("schedule_type", "polynomial", "logsnr", "time_uniform") {
	case "logsnr":
		return exponentialSigmas(lo, hi, r.Steps), schedules.UniformLambda{SMin: lo, SMax: hi}
	case "time_uniform":
		const eps = 1e-3
		return timeUniformSigmas(lo, hi, rho, eps, r.Steps), schedules.TimeUniform{Rho: rho, Eps: eps, SMin: lo, SMax: hi}
	}
	return karrasSigmas(lo, hi, rho, r.Steps), schedules.Karras{Rho: rho, SMin: lo, SMax: hi}
}

// timeUniformSigmas is uniform in the time of a linear-β process fitted to the
// ends: see [schedules.TimeUniform].
func timeUniformSigmas(lo, hi, rho, eps float64, n int) []float64 {
	bd, bm := fitLinear(lo, hi, eps)
	u := each(linspace(1, math.Pow(eps, 1/rho), n), func(r float64) float64 { return math.Pow(r, rho) })
	return each(u, func(u float64) float64 { return math.Sqrt(math.Expm1(u * (bd*u/2 + bm))) })
}

// fitLinear returns the slope and the start of the β, linear in t, whose process
// has σ/α = hi at t = 1 and lo at eps.
func fitLinear(lo, hi, eps float64) (bd, bm float64) {
	clean, noisy := math.Log1p(lo*lo), math.Log1p(hi*hi)
	bd = 2 * (clean/eps - noisy) / (eps - 1)
	return bd, noisy - bd/2
}

// dsRun is the translation of a sampler that goes through all levels.
func dsRun(r Run, s func(o *Options) solvers.Solver) (*Translation, error) {
	sigmas, spacing := dsSchedule(r)
	t := &Translation{
		Schedule: line(sigmas), Spacing: spacing, Grid: gridOf(veLevel, sigmas), Solver: s(r.Args),
		StartScale: sigmas[0], Tables: map[string][]float64{"t_steps": sigmas},
	}
	if r.Args.Bool("denoise_to_zero", false) {
		t.Spacing = nil
		t.Grid = append(slices.Clip(t.Grid), veLevel(0))
	}
	if r.Args.Bool("afs", false) {
		t.Wrap = analyticFirst(t.Grid[0])
	}
	if r.Given.Has("amed") {
		t.Solver = amed(r.Given.Options("amed"), t.Solver)
	}
	return t, nil
}

// amed reads the constants that stand for AMED's predictor and puts them into a
// sampler: DPM-Solver-2 has a form of its own, all others take them between
// their steps.
func amed(o *Options, base solvers.Solver) solvers.Solver {
	place, direction, time := o.Float("r", 0.5), o.Float("scale_dir", 1), o.Float("scale_time", 1)
	if !(place > 0 && place < 1 && time > 0) {
		o.Fail("r", "is %g and scale_time %g: expected 0 < r < 1 and scale_time > 0", place, time)
		return base
	}
	number := func(v float64) solvers.PerStep {
		return solvers.PerStep(strconv.FormatFloat(v, 'g', -1, 64))
	}
	if two, ok := base.(solvers.DPMSinglestep); ok && two.Order == 2 {
		return solvers.AMED{R: number(place), C: number(direction), Kappa: number(time), Blend: true}
	}
	return solvers.AMEDPlugin{Base: base, R: number(place), C: number(direction), Kappa: number(time)}
}

// dsAMED is AMED-Solver, its predictor replaced by constants.
func dsAMED(r Run) (*Translation, error) {
	if !r.Given.Has("amed") {
		r.Given.Fail("amed", "is missing: expected the numbers r, scale_dir and scale_time that stand for the predictor")
	}
	t, err := dsRun(r, func(*Options) solvers.Solver {
		return solvers.DPMSinglestep{Order: 2, Predict: solvers.PredictNoise, R: 0.5, SMax: math.Inf(1), SNoise: 1}
	})
	if a, ok := t.Solver.(solvers.AMED); ok {
		a.Blend = false
		t.Solver = a
	}
	return t, err
}

// analyticFirst spares the first evaluation: at the first level e is taken to be
// x/√(1 + σ²), which it nearly is for data of unit variance, since the state is
// nearly all noise.
func analyticFirst(at schedules.Level) func(models.Denoiser) models.Denoiser {
	return func(d models.Denoiser) models.Denoiser { return firstStep{d, at} }
}

type firstStep struct {
	inner models.Denoiser
	at    schedules.Level
}

func (f firstStep) Shape() []int { return f.inner.Shape() }

// Denoise implements [models.Denoiser].
func (f firstStep) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if l := q.At[0]; len(q.At) != 1 || l.Sigma != f.at.Sigma || l.Alpha != f.at.Alpha {
		return f.inner.Denoise(ctx, dst, q)
	}
	if err := q.Check(dst, models.Dim(f.inner)); err != nil {
		return err
	}
	s := f.at.Sigma
	for i, x := range q.X {
		dst[i] = x - s*x/math.Sqrt(1+s*s)
	}
	return nil
}

func dsEuler(r Run) (*Translation, error) {
	return dsRun(r, func(*Options) solvers.Solver { return plainEuler })
}

func dsHeun(r Run) (*Translation, error) {
	return dsRun(r, func(*Options) solvers.Solver { return solvers.Heun(plainEuler) })
}

// dsDPM2 has the weights of the paper.
func dsDPM2(r Run) (*Translation, error) {
	return dsRun(r, func(o *Options) solvers.Solver {
		return solvers.DPMSinglestep{Order: 2, Predict: solvers.PredictNoise, R: readPlace(o), SMax: math.Inf(1), SNoise: 1}
	})
}

// readPlace reads r, where the midpoint of a step lies.
func readPlace(o *Options) float64 {
	r := o.Float("r", 0.5)
	if !(r > 0 && r <= 1) {
		o.Fail("r", "is %g: expected 0 < r ≤ 1", r)
		return 0.5
	}
	return r
}

func dsIPNDM(r Run) (*Translation, error) {
	return dsRun(r, func(o *Options) solvers.Solver {
		return solvers.IPNDM{Order: readMaxOrder(o)}
	})
}

// dsOrders reads the orders of a multistep sampler.
func dsOrders(o *Options, otherwise, most int) (order int, lower bool) {
	order = o.Int("max_order", otherwise)
	if order < 1 || order > most {
		o.Fail("max_order", "is %d: expected 1 to %d", order, most)
		order = 1
	}
	return order, o.Bool("lower_order_final", true) && order > 1
}

// dsForced marks a run whose x₀ predictions are always thresholded.
func dsForced(t *Translation) {
	t.Wrap = chain(changed(threshold{0.995, 1, noCeiling}.apply), t.Wrap)
	t.Quirks = append(t.Quirks, "forced-thresholding")
}

// dsUniPC writes its states down as the steps correct them.
func dsUniPC(r Run) (*Translation, error) {
	order, lower := dsOrders(r.Args, 3, 6)
	s := solvers.UniPC{Order: order, Variant: solvers.BH2, Predictor: true, Corrector: true}
	if lower {
		s.Final = solvers.FinalLower
	}
	if r.Args.Text("variant", "bh2", "bh1") == "bh1" {
		s.Variant = solvers.BH1
	}
	data := r.Args.Bool("predict_x0", true)
	if !data {
		s.Predict = solvers.PredictNoise
	}
	t, err := dsRun(r, func(*Options) solvers.Solver { return s })
	t.States = Corrected
	if data {
		dsForced(t)
	}
	return t, err
}

// dsIPNDMV has its own weights from order 3.
func dsIPNDMV(r Run) (*Translation, error) {
	order := readMaxOrder(r.Args)
	t, err := dsRun(r, func(*Options) solvers.Solver {
		if order == 1 {
			return plainEuler
		}
		return solvers.IPNDMV{Order: order, Published: order > 2}
	})
	if t != nil && order > 2 {
		t.Quirks = append(t.Quirks, "ipndm-v-bracket")
	}
	return t, err
}

// readMaxOrder reads the order of a multistep method.
func readMaxOrder(o *Options) int {
	order := o.Int("max_order", 4)
	if order < 1 || order > 4 {
		o.Fail("max_order", "is %d: expected 1 to 4", order)
		return 1
	}
	return order
}

// dsDEIS has weights in σ, which are exact, or in the time of a linear β that is
// fitted to 0.002 and 80 whatever the ends of the run.
func dsDEIS(r Run) (*Translation, error) {
	order := readMaxOrder(r.Args)
	mode := r.Args.Text("deis_mode", "tab", "rhoab")
	t, err := dsRun(r, func(*Options) solvers.Solver { return lms(r.Args, order) })
	if err != nil || order == 1 {
		return t, err
	}
	bd, bm := fitLinear(0.002, 80, 1e-3)
	linear := vpTimes{b0: bm, b1: bm + bd, total: 1000}
	s := deisSchedule{
		logAlpha:     linear.logAlphaAt,
		logAlphaRate: func(t float64) float64 { return -(bm + t*bd) / 2 },
	}
	sigma := func(i int) float64 { return t.Grid[i].Sigma }
	time := func(i int) float64 { return (math.Sqrt(bm*bm+2*bd*math.Log1p(sigma(i)*sigma(i))) - bm) / bd }
	weights := bySteps(t.Grid, func(i int) []float64 {
		n := min(i+1, order)
		switch {
		case n == 1:
			return []float64{sigma(i+1) - sigma(i)}
		case mode == "rhoab":
			return gauss(sigma(i), sigma(i+1)).interpolate(newest(i, n, sigma))
		}
		return rectangles(time(i), time(i+1), quadraturePoints, true, s.rate).interpolate(newest(i, n, time))
	})
	t.Tables["coeff_list"] = nil
	for _, row := range weights[1:] {
		t.Tables["coeff_list"] = append(t.Tables["coeff_list"], row[1:]...)
	}
	if mode == "tab" {
		t.Solver = weighted("DEIS tab, weights by a rectangle rule", order, weights)
		t.Quirks = append(t.Quirks, "rectangle-rule-coefficients")
	}
	return t, nil
}

// dsDPMPP is DPM-Solver++ for x₀ and DPM-Solver for ε, with half the second
// difference at order 3.
func dsDPMPP(r Run) (*Translation, error) {
	order, lower := dsOrders(r.Args, 3, 3)
	s := solvers.DPMMultistep{Order: order, SNoise: 1}
	if order == 3 {
		s.Second = solvers.HalfSecond
	}
	if lower {
		s.Final = solvers.FinalLower
	}
	data := r.Args.Bool("predict_x0", true)
	if !data {
		s.Predict = solvers.PredictNoise
	}
	t, err := dsRun(r, func(*Options) solvers.Solver { return s })
	if data {
		dsForced(t)
	}
	if order == 3 && t != nil {
		t.Quirks = append(t.Quirks, "half-second-difference")
	}
	return t, err
}
