package experiments

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"

	"snrlab/internal/study"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
)

// Equivalence is the recipe that shows what weight and density of a training loss are
// to each other: the same objective under other densities has the same expected loss,
// and another variance.
type Equivalence struct {
	Header
	studied
	Model      string   `toml:"model" json:"model"`           // see [Models]
	Denoisers  []string `toml:"denoisers" json:"denoisers"`   // "exact", "scaled", "widened", "gaussian", "affine"
	Objectives []string `toml:"objectives" json:"objectives"` // losses by name, cut off at min and max
	Densities  []string `toml:"densities" json:"densities"`   // that levels are drawn from instead, cut off likewise
	Min        float64  `toml:"min" json:"min"`               // ends of λ
	Max        float64  `toml:"max" json:"max"`
	Levels     int      `toml:"levels" json:"levels"` // at which the moments of the loss are measured
	Rows       int      `toml:"rows" json:"rows"`     // draws of (x₀, ε) for them
	Draws      int      `toml:"draws" json:"draws"`   // of (λ, x₀, ε) for each loss and density
	Batch      int      `toml:"batch" json:"batch"`   // of stratified levels
	Key        int64    `toml:"key" json:"key"`
}

// DefaultEquivalence returns an Equivalence that needs no other field.
func DefaultEquivalence() Equivalence {
	return Equivalence{
		Header: Header{Kind: "equivalence", Name: "equivalence"},
		Model:  "gm2d", Denoisers: []string{"scaled", "exact"},
		Objectives: []string{"eps-cosine", "v-cosine", "edm", "elbo"},
		Densities:  []string{"cosine", "uniform", "log-normal", "mixture(a=laplace(b=0.5),b=uniform,share=0.7)"},
		Min:        -8, Max: 8, Levels: 65, Rows: 4096, Draws: 16384, Batch: 64, Key: 1,
	}
}

// Validate reports fields that cannot be used.
func (e *Equivalence) Validate() error {
	for _, d := range e.Denoisers {
		if err := oneOf("denoisers", d, denoiserNames...); err != nil {
			return err
		}
	}
	return cmp.Or(
		required("model", e.Model),
		distinct("denoisers", e.Denoisers),
		distinct("objectives", e.Objectives),
		distinct("densities", e.Densities),
		bounds(e.Min, e.Max),
		inside("levels", e.Levels, 8, 1<<12),
		inside("rows", e.Rows, 2*lossGroups, 1<<20),
		inside("batch", e.Batch, 2, 1<<12),
		inside("draws", e.Draws, 8*e.Batch, 1<<22),
		inside("key", e.Key, 0, math.MaxInt64),
	)
}

func (e *Equivalence) seed() uint64 { return uint64(e.Key) }

func (e *Equivalence) resolve() error {
	return cmp.Or(
		resolveNames("objectives", e.Objectives, schedules.ParseRecipe),
		resolveNames("densities", e.Densities, schedules.ParseDensity),
	)
}

func (e *Equivalence) uses() uses {
	return uses{names: append(append([]string{e.Model}, e.Objectives...), e.Densities...), keys: []string{"kingma2021", "kingma2023", "hang2024"}}
}

// cutLoss is a loss whose levels are cut off at the ends.
func cutLoss(name string, lo, hi float64) (snr.Recipe, error) {
	r, err := schedules.ParseRecipe(name)
	if err != nil {
		return r, err
	}
	r.Density = snr.Truncated{Density: r.Density, Min: lo, Max: hi}
	return r, r.Validate()
}

func (e *Equivalence) plan(p *Plan, o Options) (job, error) {
	m, err := openModel(e.Model, o)
	if err != nil {
		return nil, err
	}
	p.Inputs = m.Inputs
	var losses []snr.Recipe
	for _, name := range e.Objectives {
		r, err := cutLoss(name, e.Min, e.Max)
		if err != nil {
			return nil, fmt.Errorf("field objectives: %w", err)
		}
		losses = append(losses, r)
	}
	var densities []snr.Density
	for _, name := range e.Densities {
		d, err := schedules.ParseDensity(name)
		if err != nil {
			return nil, fmt.Errorf("field densities: %w", err)
		}
		d = snr.Truncated{Density: d, Min: e.Min, Max: e.Max}
		if err := snr.CheckDensity(d); err != nil {
			return nil, fmt.Errorf("field densities: %w", err)
		}
		for _, r := range losses {
			if _, err := r.Move(d); err != nil {
				return nil, fmt.Errorf("field densities: %w", err)
			}
		}
		densities = append(densities, d)
	}
	each := int64(e.Levels*e.Rows) + int64(len(losses)*(len(densities)+1)*2*e.Draws)
	p.Parts = []PlanPart{{Name: "losses", Evals: each * int64(len(e.Denoisers))}}
	s := &study.Study{
		Title: "One objective under many densities",
		Held: fmt.Sprintf("%s with λ from %s to %s. The denoiser is fixed, nothing is trained: the loss is |x₀ − D|² with x₀ and ε drawn, and its weight is w/p, so that p·ω stays. "+
			"Moments come from %d draws at each of %d levels; measured numbers from %d draws of (λ, x₀, ε) for each density, of the key %d. Intervals are 95 %%.",
			m.Name, minus(e.Min), minus(e.Max), e.Rows, e.Levels, e.Draws, e.Key),
		Tables: []*study.Table{
			{
				Name: "variance", Caption: "Mean and variance of one draw of the loss, by density, from the moments and from draws.",
				Columns: []study.Column{
					{Name: "denoiser", Text: true},
					{Name: "objective", Text: true},
					{Name: "density", Text: true},
					{Name: "case", Help: "number of the row, for the figure"},
					{Name: "expected", Label: "expected loss", Help: "from the moments: an integral over λ"},
					{Name: "mean", Label: "mean of the draws"},
					{Name: "mean_lo"},
					{Name: "mean_hi"},
					{Name: "ratio", Label: "mean over the expected loss"},
					{Name: "ratio_lo"},
					{Name: "ratio_hi"},
					{Name: "carriers", Label: "draws that carry half", Help: "of the second moment, expected among the draws"},
					{Name: "predicted", Label: "variance from the moments"},
					{Name: "variance", Label: "variance of the draws"},
					{Name: "variance_lo"},
					{Name: "variance_hi"},
					{Name: "relative", Label: "variance over the least", Help: "of any density, (∫w √E l²)² − (∫w E l)²"},
					{Name: "relative_lo"},
					{Name: "relative_hi"},
					{Name: "within", Label: "stratified, from the moments", Help: "∫p ω² Var(l | λ): what a large stratified batch is left with"},
					{Name: "stratified", Label: "stratified, of the draws", Help: "variance of the mean of a batch, times its size"},
					{Name: "stratified_lo"},
					{Name: "stratified_hi"},
				},
			},
			{
				Name: "gradient", Caption: "Variance of the gradient of an untrained affine network, by density; from moments.",
				Columns: []study.Column{
					{Name: "objective", Text: true},
					{Name: "density", Text: true},
					{Name: "length", Label: "length of the mean gradient"},
					{Name: "variance", Label: "variance", Help: "E|g|² − |E g|² of one draw"},
					{Name: "least", Label: "least of any density"},
					{Name: "relative", Label: "variance over the least"},
				},
			},
		},
		Figures: []study.Figure{
			{Name: "loss", Title: "The expected loss does not depend on the density", Caption: "Mean of the draws over the loss that the moments give, with 95 % intervals; one point for each objective and density.", Table: "variance", Panels: []study.Panel{
				{X: "case", Y: []string{"ratio"}, Low: []string{"ratio_lo"}, High: []string{"ratio_hi"}, Series: "denoiser", Draw: study.Points, Level: []study.Mark{{At: 1}}, XLabel: "objective and density, by row of the table"},
			}},
			{Name: "variance", Title: "The variance does", Caption: "Variance of one draw over the least that any density has with the same objective; 95 % intervals. Rows as in the table.", Table: "variance", Panels: []study.Panel{
				{X: "case", Y: []string{"relative"}, Low: []string{"relative_lo"}, High: []string{"relative_hi"}, Series: "denoiser", Draw: study.Points, LogY: true, Level: []study.Mark{{At: 1, Label: "least"}}, XLabel: "objective and density, by row of the table"},
			}},
		},
	}
	return studyJob(e, s, func(ctx context.Context, r *run) error {
		sum := &equivalenceSum{}
		for _, name := range e.Denoisers {
			d, err := degraded(name, m)
			if err != nil {
				return err
			}
			if err := e.compare(ctx, r, s, sum, m, name, d, losses, densities); err != nil {
				return err
			}
		}
		sum.find(s)
		return e.gradients(ctx, s, m, losses, densities)
	})
}

// equivalenceSum gathers what the findings are made of.
type equivalenceSum struct {
	cases      int
	starved    []string // cases whose second moment hangs on too few draws
	worstZ     float64  // of means, in standard errors
	worstRatio float64  // of means that are known to 1 % or better
	sharp      int
	worstV     float64 // of variances over predicted ones, in standard errors
	worstVOf   string
	spread     float64 // largest variance over the least one, of one objective
	spreadOf   string
	beaten     int // densities with less variance than the best one by more than their interval

	best, bestLo, bestHi float64 // variance from p* over the least, where it is furthest from 1
	bestZ                float64 // and the largest deviation, in standard errors
	gain, gainLo, gainHi float64 // stratified variance over that of independent levels, at most
	gainOf               string
}

// compare fills in the rows of one denoiser.
func (e *Equivalence) compare(ctx context.Context, r *run, s *study.Study, sum *equivalenceSum, m *Model, name string, d models.Denoiser, losses []snr.Recipe, densities []snr.Density) error {
	root := rng.New(uint64(e.Key)).Split(name, 0)
	list, err := metrics.Difficulties(ctx, d, m, evenLevels(e.Min, e.Max, e.Levels), e.Rows, root.Split("moments", 0))
	if err != nil {
		return err
	}
	r.progress.add(int64(e.Levels * e.Rows))
	moments := metrics.LossMoments(list)
	// of is an estimate of the moments, with its standard error.
	of := func(loss snr.Recipe, value func(snr.Stochastic) float64) (metrics.Estimate, error) {
		return jackknife(lossGroups, func(out int) (float64, error) {
			v, err := momentsWithout(list, out).Estimate(loss)
			return value(v), err
		})
	}
	for i, loss := range losses {
		whole, err := moments.Estimate(loss)
		if err != nil {
			return err
		}
		expected, err := of(loss, func(v snr.Stochastic) float64 { return v.Mean[0] })
		if err != nil {
			return err
		}
		best, err := moments.Optimal(loss)
		if err != nil {
			return err
		}
		for k, p := range append([]snr.Density{best}, densities...) {
			moved, err := loss.Move(p)
			if err != nil {
				return err
			}
			predicted, err := moments.Estimate(moved)
			if err != nil {
				return err
			}
			variance, err := of(moved, func(v snr.Stochastic) float64 { return v.Variance })
			if err != nil {
				return err
			}
			c, err := cell(ctx, r, fmt.Sprintf("%s-%d-%d", name, i, k), int64(2*e.Draws), func(ctx context.Context) (*lossDraws, error) {
				return e.estimate(ctx, r, m, d, moved, root.Split("loss", uint64(i)).Split("density", uint64(k)))
			})
			if err != nil {
				return err
			}
			label := "best"
			if k > 0 {
				label = shortDensity(e.Densities[k-1])
			}
			lo, hi := c.Mean.Within(z95)
			vlo, vhi := c.Variance.Within(z95)
			slo, shi := c.Stratified.Within(z95)
			want := predicted.Mean[0]
			objective := short(e.Objectives[i : i+1])[0]
			s.Table("variance").Add(name, objective, label, sum.cases, want, c.Mean.Value, lo, hi, c.Mean.Value/want, lo/want, hi/want,
				predicted.Carriers*float64(e.Draws), predicted.Variance, c.Variance.Value, vlo, vhi, c.Variance.Value/whole.Least, vlo/whole.Least, vhi/whole.Least,
				predicted.Within, c.Stratified.Value, slo, shi)
			sum.take(c, expected, variance, whole.Least, predicted.Carriers*float64(e.Draws), k == 0, name+", "+objective+" on "+label)
		}
	}
	return nil
}

// enoughCarriers is how many draws have to carry half of a second moment for the
// spread of the draws to tell it.
const enoughCarriers = 50

func (sum *equivalenceSum) take(c *lossDraws, expected, variance metrics.Estimate, least, carriers float64, best bool, what string) {
	sum.cases++
	if relative := variance.Value / least; relative > sum.spread {
		sum.spread, sum.spreadOf = relative, what
	}
	if carriers < enoughCarriers {
		sum.starved = append(sum.starved, what)
		return
	}
	se := math.Hypot(c.Mean.SE, expected.SE)
	sum.worstZ = max(sum.worstZ, math.Abs(c.Mean.Value-expected.Value)/se)
	if se < 0.01*expected.Value {
		sum.sharp++
		sum.worstRatio = max(sum.worstRatio, math.Abs(c.Mean.Value/expected.Value-1))
	}
	if z := math.Abs(c.Variance.Value-variance.Value) / math.Hypot(c.Variance.SE, variance.SE); z > sum.worstV {
		sum.worstV, sum.worstVOf = z, what
	}
	relative := c.Variance.Value / least
	if se := math.Hypot(c.Variance.SE, variance.SE); best {
		sum.bestZ = max(sum.bestZ, math.Abs(c.Variance.Value-least)/se)
		if sum.best == 0 || math.Abs(relative-1) >= math.Abs(sum.best-1) {
			lo, hi := metrics.Estimate{Value: c.Variance.Value, SE: se}.Within(z95)
			sum.best, sum.bestLo, sum.bestHi = relative, lo/least, hi/least
		}
	}
	if c.Variance.Value+2*z95*math.Hypot(c.Variance.SE, variance.SE) < least {
		sum.beaten++
	}
	if gain := c.Stratified.Value / c.Variance.Value; gain > sum.gain {
		lo, hi := c.Stratified.Within(z95)
		sum.gain, sum.gainOf, sum.gainLo, sum.gainHi = gain, what, lo/c.Variance.Value, hi/c.Variance.Value
	}
}

func (sum *equivalenceSum) find(s *study.Study) {
	told := ""
	if n := len(sum.starved); n > 0 {
		told = fmt.Sprintf(" Left out are %d of %d cases in which fewer than %d draws are expected to carry half of the second moment, so that the draws cannot tell their own spread: %s.", n, sum.cases, enoughCarriers, strings.Join(sum.starved, "; "))
	}
	s.Find(study.Finding{
		Claim:    "The expected loss depends on p·ω alone: drawn from any density, it is the same.",
		Expected: "within 4.5 standard errors of the integral over λ in every case", Measured: sum.worstZ, Unit: "standard errors", Source: "kingma2023", Holds: study.Holds(sum.worstZ < 4.5),
		Remark: fmt.Sprintf("The largest deviation of %d cases. In the %d of them whose mean is known to 1 %% it is %.2f %%.", sum.cases, sum.sharp, 100*sum.worstRatio),
	})
	s.Find(study.Finding{
		Claim:    "The variance does not stay: between the densities tried it differs by more than a factor of 2.",
		Expected: "> 2", Measured: sum.spread, Source: "hang2024", Holds: study.Holds(sum.spread > 2),
		Remark: "Variance from the moments over the least for the objective, at worst: " + sum.spreadOf + ".",
	})
	s.Find(study.Finding{
		Claim:    "The density p* ∝ w √E l² has the least variance, (∫w √E l²)² − (∫w E l)².",
		Expected: "1, within 3.5 standard errors for every objective", Measured: sum.best, Interval: []float64{sum.bestLo, sum.bestHi}, Source: "kingma2021", Holds: study.Holds(sum.beaten == 0 && sum.bestZ < 3.5),
		Remark: fmt.Sprintf("Variance of the draws from p* over that number, for the objective in which it is furthest from 1; the largest deviation is %.2f standard errors. %d cases lie below it by more than twice their interval.", sum.bestZ, sum.beaten),
	})
	s.Find(study.Finding{
		Claim:    "The moments predict the variance of the draws.",
		Expected: "within 5 standard errors in every case", Measured: sum.worstV, Unit: "standard errors", Holds: study.Holds(sum.worstV < 5),
		Remark: "At worst " + sum.worstVOf + "." + told,
	})
	s.Find(study.Finding{
		Claim:    "Stratified levels never cost more than independent ones.",
		Expected: "≤ 1, within the interval", Measured: sum.gain, Interval: []float64{sum.gainLo, sum.gainHi}, Source: "kingma2021", Holds: study.Holds(sum.gainLo <= 1),
		Remark: "Variance of a stratified batch, times its size, over that of independent draws; the case that gains least: " + sum.gainOf + ".",
	})
}

// lossDraws is what draws of a loss came to.
type lossDraws struct {
	Mean, Variance, Stratified metrics.Estimate
}

// estimate gives the mean and variance of ω l, from independent levels and from
// stratified batches.
func (e *Equivalence) estimate(ctx context.Context, r *run, m *Model, d models.Denoiser, loss snr.Recipe, key rng.Key) (*lossDraws, error) {
	value := func(levels []snr.LogSNR, label string) ([]float64, error) {
		keys := make([]rng.Key, len(levels))
		for i := range keys {
			keys[i] = key.Split(label, uint64(i))
		}
		v, err := lossOf(ctx, d, m, levels, keys)
		for i := range v {
			v[i] *= math.Exp(loss.Weight.Log(levels[i]))
		}
		r.progress.add(int64(len(levels)))
		return v, err
	}
	levels := make([]snr.LogSNR, e.Draws)
	snr.Draw(loss.Density, key.Split("levels", 0), levels)
	v, err := value(levels, "independent")
	if err != nil {
		return nil, err
	}
	batches := e.Draws / e.Batch
	levels = levels[:batches*e.Batch]
	for b := range batches {
		snr.Stratified(loss.Density, key.Split("batch", uint64(b)), levels[b*e.Batch:(b+1)*e.Batch])
	}
	w, err := value(levels, "stratified")
	if err != nil {
		return nil, err
	}
	means := make([]float64, batches)
	for i, x := range w {
		means[i/e.Batch] += x / float64(e.Batch)
	}
	mean, variance := variancesOf(v)
	_, between := variancesOf(means)
	size := float64(e.Batch)
	return &lossDraws{Mean: mean, Variance: variance, Stratified: metrics.Estimate{Value: between.Value * size, SE: between.SE * size}}, nil
}

// variancesOf returns the mean and the variance of draws with their standard errors.
func variancesOf(v []float64) (mean, variance metrics.Estimate) {
	n := float64(len(v))
	m := metrics.Mean(v)
	second, fourth := 0.0, 0.0
	for _, x := range v {
		d := (x - m) * (x - m)
		second += d / n
		fourth += d * d / n
	}
	return metrics.Estimate{Value: m, SE: math.Sqrt(second / n)},
		metrics.Estimate{Value: second * n / (n - 1), SE: math.Sqrt(max(fourth-second*second, 0) / n)}
}

// gradients fills in the variances of the gradient of an untrained affine network.
func (e *Equivalence) gradients(ctx context.Context, s *study.Study, m *Model, losses []snr.Recipe, densities []snr.Density) error {
	net, err := untrained(m)
	if err != nil {
		return err
	}
	list, err := metrics.Gradients(ctx, net, m, evenLevels(e.Min, e.Max, e.Levels), e.Rows, 1, rng.New(uint64(e.Key)).Split("gradients", 0))
	if err != nil {
		return err
	}
	moments := metrics.GradientMoments(list)
	apart := 0.0
	worst := ""
	for i, loss := range losses {
		best, err := moments.Optimal(loss)
		if err != nil {
			return err
		}
		for k, p := range append([]snr.Density{best}, densities...) {
			moved, err := loss.Move(p)
			if err != nil {
				return err
			}
			g, err := moments.Estimate(moved)
			if err != nil {
				return err
			}
			length := 0.0
			for _, v := range g.Mean {
				length = math.Hypot(length, v)
			}
			label := "best"
			if k > 0 {
				label = shortDensity(e.Densities[k-1])
			}
			s.Table("gradient").Add(short(e.Objectives[i : i+1])[0], label, length, g.Variance, g.Least, g.Variance/g.Least)
			if ratio := g.Variance / g.Least; k > 0 && ratio > apart {
				apart, worst = ratio, short(e.Objectives[i : i+1])[0]+" on "+label
			}
		}
	}
	s.Find(study.Finding{
		Claim:    "For the gradient of a network the same holds: one mean, and a variance that the density decides.",
		Expected: "> 2", Measured: apart, Source: "hang2024", Holds: study.Holds(apart > 2),
		Remark: "Largest variance over the least, of the gradient of an untrained affine network: " + worst + ". The lengths of the mean gradients in gradient.csv agree by objective.",
	})
	return nil
}

// shortDensity prints a density without the arguments that are at their defaults.
func shortDensity(name string) string {
	if d, err := schedules.ParseDensity(name); err == nil {
		return d.String()
	}
	return name
}
