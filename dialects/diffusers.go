package dialects

import (
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"

	"snrlab/models"
	"snrlab/schedules"
)

// What the classes of diffusers share: the table of β, the timesteps that an
// n-step run takes from it, and the noise levels there.

// training is the table that a class was built on, as log ᾱ of every timestep.
type training struct{ logAlphaBar []float64 }

// betaDefaults are a class's own β, used where the config gives none.
type betaDefaults struct {
	kind       string
	start, end float64
}

// Defaults of the groups of classes.
var (
	ddpmBetas  = betaDefaults{"linear", 0.0001, 0.02}
	kdiffBetas = betaDefaults{"linear", 0.00085, 0.012}
	// LCM and TCD.
	distilledBetas = betaDefaults{"scaled_linear", 0.00085, 0.012}
)

// nearZeroSNR is the ᾱ that classes with σ/α tables put in place of 0.
const nearZeroSNR = 1. / (1 << 24)

// readTraining reads the table that a config describes. With floor > 0 a table
// rescaled to zero terminal SNR [lin2024] ends at ᾱ = floor, else at 0.
func readTraining(c *Options, d betaDefaults, floor float64) training {
	t := c.Int("num_train_timesteps", 1000)
	betas := c.Floats("trained_betas")
	start, end := c.Float("beta_start", d.start), c.Float("beta_end", d.end)
	kind := c.Text("beta_schedule", d.kind, betaKinds...)
	switch {
	case betas != nil && len(betas) < 2:
		c.Fail("trained_betas", "has %d numbers: expected at least 2", len(betas))
		return training{make([]float64, 2)}
	case betas != nil:
	case t < 2 || t > 1_000_000:
		c.Fail("num_train_timesteps", "is %d: expected 2 to 1000000", t)
		return training{make([]float64, 2)}
	default:
		betas = betaTable(kind, start, end, t)
	}
	tr := training{make([]float64, len(betas))}
	sum := 0.0
	for i, b := range betas {
		if !(b > 0 && b <= 1) || b == 1 && i < len(betas)-1 {
			c.Fail("beta_start", "and its fellows give β[%d] = %g: expected numbers above 0 and below 1", i, b)
			return training{make([]float64, max(len(betas), 2))}
		}
		sum += math.Log1p(-b)
		tr.logAlphaBar[i] = sum
	}
	if c.Bool("rescale_betas_zero_snr", false) {
		tr.rescale()
		if floor > 0 {
			tr.logAlphaBar[len(betas)-1] = math.Log(floor)
		}
	}
	return tr
}

// betaKinds are the tables of β by name.
var betaKinds = []string{"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace", "exp"}

// betaTable returns β of every timestep.
func betaTable(kind string, start, end float64, t int) []float64 {
	var bar func(u float64) float64 // ᾱ at the fraction u of the table
	switch kind {
	case "linear":
		return linspace(start, end, t)
	case "scaled_linear":
		return each(linspace(math.Sqrt(start), math.Sqrt(end), t), func(r float64) float64 { return r * r })
	case "sigmoid":
		return each(linspace(-6, 6, t), func(x float64) float64 { return start + (end-start)/(1+math.Exp(-x)) })
	case "squaredcos_cap_v2":
		bar = func(u float64) float64 { c := math.Cos((u + 0.008) / 1.008 * math.Pi / 2); return c * c }
	case "laplace":
		// A quantile of the Laplace law as if it were λ, kept finite by 1e-6, and α
		// of it where ᾱ is meant.
		bar = func(u float64) float64 {
			l := -0.5 * math.Copysign(1, 0.5-u) * math.Log(1-2*math.Abs(0.5-u)+1e-6)
			return math.Sqrt(math.Exp(l) / (1 + math.Exp(l)))
		}
	case "exp":
		bar = func(u float64) float64 { return math.Exp(-12 * u) }
	}
	betas := make([]float64, t)
	for i := range betas {
		a, b := float64(i)/float64(t), float64(i+1)/float64(t)
		betas[i] = min(1-bar(b)/bar(a), 0.999)
	}
	return betas
}

// rescale moves the table to zero terminal SNR [lin2024]: r = √ᾱ is shifted and
// stretched so that the last is 0 and the first stays.
func (tr training) rescale() {
	last := len(tr.logAlphaBar) - 1
	first, end := math.Exp(tr.logAlphaBar[0]/2), math.Exp(tr.logAlphaBar[last]/2)
	for i, l := range tr.logAlphaBar {
		switch i {
		case 0:
		case last:
			tr.logAlphaBar[i] = math.Inf(-1)
		default:
			tr.logAlphaBar[i] = 2 * math.Log((math.Exp(l/2)-end)*first/(first-end))
		}
	}
}

// len is the number of timesteps.
func (tr training) len() int { return len(tr.logAlphaBar) }

// alphaBar returns ᾱ at a timestep.
func (tr training) alphaBar(t int) float64 { return math.Exp(tr.logAlphaBar[t]) }

// noise returns σ/α at a timestep; +Inf at zero SNR.
func (tr training) noise(t int) float64 { return math.Sqrt(math.Expm1(-tr.logAlphaBar[t])) }

// noises returns σ/α of every timestep.
func (tr training) noises() []float64 {
	v := make([]float64, tr.len())
	for i := range v {
		v[i] = tr.noise(i)
	}
	return v
}

// level returns the variance-preserving level of a timestep, which is its T.
func (tr training) level(t int) schedules.Level {
	l := tr.logAlphaBar[t]
	return schedules.Level{T: float64(t), Alpha: math.Exp(l / 2), Sigma: math.Sqrt(-math.Expm1(l))}
}

// timesOf returns the fractional timesteps of noise levels, linear in log σ/α.
func (tr training) timesOf(sigmas []float64) []float64 {
	logs := each(tr.noises(), math.Log)
	last := len(logs) - 1
	return each(sigmas, func(s float64) float64 {
		l := math.Log(max(s, 1e-10))
		// The last entry that is not noisier, of those that have a next one.
		low := max(sort.Search(last, func(i int) bool { return logs[i] > l })-1, 0)
		w := min(max((logs[low]-l)/(logs[low]-logs[low+1]), 0), 1)
		return (1-w)*float64(low) + w*float64(low+1)
	})
}

// spacing names of diffusers.
var spacings = []string{"linspace", "leading", "trailing"}

// readSpacing reads how a class takes n timesteps from its table of size T,
// noisiest first:
//
//	linspace   n numbers from T−1 to 0, to be rounded where the class does
//	leading    i ⌊T/n⌋ + offset
//	trailing   round(T − i T/n) − 1
func (tr training) readSpacing(c *Options, otherwise string, n int) []float64 {
	kind := c.Text("timestep_spacing", otherwise, spacings...)
	offset := c.Int("steps_offset", 0)
	size := tr.len()
	if n < 1 || n > size {
		c.Fail("num_train_timesteps", "is %d and %d steps are asked for: expected 1 to as many", size, n)
		return make([]float64, 1)
	}
	var t []float64
	switch kind {
	case "linspace":
		t = reversed(linspace(0, float64(size-1), n))
	case "leading":
		t = leading(size/n, n, offset)
	case "trailing":
		t = trailing(size, float64(size)/float64(n))
	}
	tr.checkTimes(c, t)
	return t
}

// readSpacingBefore is readSpacing of the classes that count one timestep more
// and leave the last out, on the first size entries of the table. All are
// rounded.
func (tr training) readSpacingBefore(c *Options, otherwise string, n, size int) []float64 {
	kind := c.Text("timestep_spacing", otherwise, spacings...)
	offset := c.Int("steps_offset", 0)
	if n < 1 || n >= size {
		c.Fail("num_train_timesteps", "leaves %d timesteps and %d steps are asked for: expected fewer", size, n)
		return make([]float64, 1)
	}
	var t []float64
	switch kind {
	case "linspace":
		t = each(reversed(linspace(0, float64(size-1), n+1)), math.RoundToEven)[:n]
	case "leading":
		t = leading(size/(n+1), n+1, offset)[:n]
	case "trailing":
		t = trailing(size, float64(tr.len())/float64(n))
	}
	tr.checkTimes(c, t)
	return t
}

// leading returns offset + i·ratio for n > i ≥ 0.
func leading(ratio, n, offset int) []float64 {
	t := make([]float64, n)
	for i := range t {
		t[i] = float64((n-1-i)*ratio + offset)
	}
	return t
}

// trailing returns round(size − i·ratio) − 1 while size − i·ratio > 0.
func trailing(size int, ratio float64) []float64 {
	t := make([]float64, int(math.Ceil(float64(size)/ratio)))
	for i := range t {
		t[i] = math.RoundToEven(float64(size)-float64(i)*ratio) - 1
	}
	return t
}

// checkTimes refuses timesteps outside the table.
func (tr training) checkTimes(c *Options, t []float64) {
	for _, v := range t {
		if v < 0 || v > float64(tr.len()-1) {
			c.Fail("steps_offset", "leads to timestep %g of a table that ends at %d: use a smaller offset", v, tr.len()-1)
			return
		}
	}
}

// sigmaKind reads which of the spacings of σ/α a config asks for; "" for the
// table's own. A class without one of the kinds does not call for it.
func sigmaKind(c *Options, kinds ...string) string {
	kind := ""
	var keys []string
	for _, k := range kinds {
		key := map[string]string{
			"karras": "use_karras_sigmas", "exponential": "use_exponential_sigmas", "beta": "use_beta_sigmas",
			"lu": "use_lu_lambdas", "flow": "use_flow_sigmas",
		}[k]
		keys = append(keys, key)
		if c.Bool(key, false) {
			kind = k
		}
	}
	c.Only(keys...)
	return kind
}

// respaced returns n noise levels from hi to lo by a kind of sigmaKind.
func respaced(kind string, lo, hi float64, n int) []float64 {
	switch kind {
	case "karras":
		return karrasSigmas(lo, hi, 7, n)
	case "exponential":
		return exponentialSigmas(lo, hi, n)
	case "beta":
		return betaSigmas(lo, hi, n)
	}
	panic("dialects: no spacing of σ called " + kind)
}

// karrasSigmas is uniform in the ρ-th root [karras2022].
func karrasSigmas(lo, hi, rho float64, n int) []float64 {
	return each(linspace(math.Pow(hi, 1/rho), math.Pow(lo, 1/rho), n), func(r float64) float64 { return math.Pow(r, rho) })
}

// exponentialSigmas is uniform in log σ.
func exponentialSigmas(lo, hi float64, n int) []float64 {
	return each(linspace(math.Log(hi), math.Log(lo), n), math.Exp)
}

// betaSigmas has the quantiles of Beta(0.6, 0.6), linear in σ.
func betaSigmas(lo, hi float64, n int) []float64 {
	law := distuv.Beta{Alpha: 0.6, Beta: 0.6}
	return each(linspace(1, 0, n), func(p float64) float64 { return lo + law.Quantile(p)*(hi-lo) })
}

// luSigmas is uniform in log σ between the ends of the table, which the class
// reaches by way of λ with exponent 1.
func luSigmas(lo, hi float64, n int) []float64 { return exponentialSigmas(lo, hi, n) }

// shiftFlow is the level s of a flow shifted for larger images.
func shiftFlow(shift float64) func(s float64) float64 {
	return func(s float64) float64 { return shift * s / (1 + (shift-1)*s) }
}

// veSigmas is what the classes with states x₀ + σε have in common: σ of an
// n-step run, without the last, and its timesteps.
func (tr training) veSigmas(c *Options, n int, spacing string) (sigmas, times []float64) {
	times = tr.readSpacing(c, spacing, n)
	table := tr.noises()
	sigmas = each(times, func(t float64) float64 { return interp(t, table) })
	return tr.readRespacing(c, sigmas, times, n)
}

// readRespacing replaces levels by n others between the same ends, if the config
// asks for it; their timesteps then are fractions.
func (tr training) readRespacing(c *Options, sigmas, times []float64, n int) (newSigmas, newTimes []float64) {
	kind := sigmaKind(c, "karras", "exponential", "beta")
	if kind == "" {
		return sigmas, times
	}
	lo, hi := c.Float("sigma_min", sigmas[len(sigmas)-1]), c.Float("sigma_max", sigmas[0])
	if !(lo > 0 && hi > lo) {
		c.Fail("sigma_min", "is %g and sigma_max %g: expected 0 < sigma_min < sigma_max", lo, hi)
		return sigmas, times
	}
	sigmas = respaced(kind, lo, hi, n)
	return sigmas, tr.timesOf(sigmas)
}

// predictions of diffusers by name.
var predictionTypes = map[string]models.Prediction{
	"epsilon":         models.Eps{},
	"sample":          models.X0{},
	"v_prediction":    models.V{},
	"flow_prediction": models.Flow{},
}

// readPrediction reads what the network predicts, one of names. Noise does not
// determine x₀ at zero SNR, where the table tr begins if it is rescaled.
func readPrediction(c *Options, tr training, otherwise string, names ...string) models.Prediction {
	name := c.Text("prediction_type", otherwise, names...)
	if name == "epsilon" && tr.len() > 0 && math.IsInf(tr.logAlphaBar[tr.len()-1], -1) {
		c.Fail("prediction_type", "is epsilon and rescale_betas_zero_snr is true: at zero SNR x is all noise and ε says nothing of x₀; use v_prediction or sample")
	}
	return predictionTypes[name]
}

// rowChange changes a row of x₀; nil for nothing.
type rowChange func(row []float64)

// wrapper is a change as a wrapper of the denoiser.
func (f rowChange) wrapper() wrapper {
	if f == nil {
		return nil
	}
	return changed(f)
}

// readClipping reads the clipping and thresholding of x₀ that most classes have;
// nil for none.
func readClipping(c *Options, clipByDefault bool) wrapper {
	return readChange(c, clipByDefault).wrapper()
}

// readChange reads the same as what it does to a row. They clip only where they
// do not threshold.
func readChange(c *Options, clipByDefault bool) rowChange {
	clipped := readClipRow(c, clipByDefault)
	if t := readThresholdRow(c); t != nil {
		return t
	}
	return clipped
}

// readClip reads the clipping of x₀; nil for none.
func readClip(c *Options, byDefault bool) wrapper { return readClipRow(c, byDefault).wrapper() }

func readClipRow(c *Options, byDefault bool) rowChange {
	on, r := c.Bool("clip_sample", byDefault), c.Float("clip_sample_range", 1)
	switch {
	case !on:
		return nil
	case !(r > 0):
		c.Fail("clip_sample_range", "is %g: expected a number > 0", r)
	}
	return clip(r)
}

// readThreshold reads the dynamic thresholding of x₀; nil for none. The quantile
// is kept in [1, sample_max_value].
func readThreshold(c *Options) wrapper { return readThresholdRow(c).wrapper() }

func readThresholdRow(c *Options) rowChange {
	on := c.Bool("thresholding", false)
	ratio, ceiling := c.Float("dynamic_thresholding_ratio", 0.995), c.Float("sample_max_value", 1)
	switch {
	case !on:
		return nil
	case !(ratio >= 0 && ratio <= 1):
		c.Fail("dynamic_thresholding_ratio", "is %g: expected a fraction of the numbers, 0 to 1", ratio)
	case !(ceiling >= 1):
		c.Fail("sample_max_value", "is %g: expected at least 1", ceiling)
	}
	return threshold{ratio, 1, ceiling}.apply
}

// withEnd returns the list with one more number.
func withEnd(v []float64, end float64) []float64 { return append(slices.Clip(v), end) }
