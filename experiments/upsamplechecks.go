package experiments

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"snrlab/internal/study"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
	"snrlab/upsample"
)

// UpsampleChecks is the recipe that holds upsample guidance to what it promises,
// on laws where each promise can be checked to rounding.
type UpsampleChecks struct {
	Header
	Upsampling
	Rows         int       `toml:"rows" json:"rows"`                 // states of every identity
	Correlations []float64 `toml:"correlations" json:"correlations"` // of coarse and detail, rising from 0
	Poolings     []string  `toml:"poolings" json:"poolings"`         // pairs whose noise and exactness are measured
	Spread       float64   `toml:"spread" json:"spread"`             // of the coarse law that the high-resolution model believes in
}

// DefaultUpsampleChecks returns an UpsampleChecks that needs no other field.
func DefaultUpsampleChecks() UpsampleChecks {
	return UpsampleChecks{
		Header: Header{Kind: "upsample-checks", Name: "upsample-checks"},
		Upsampling: Upsampling{
			Schedule: "edm(smin=0.02,smax=20)", Spacing: "karras(last=zero)", Solver: "dpmpp-2m", Steps: 40, Low: "edm",
			Thetas: []float64{0, 0.5, 0.8, 1, 1.2, 1.5}, Samples: 1000, Replicates: 6, Key: 1,
		},
		Rows:         512,
		Correlations: []float64{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1},
		Poolings: []string{
			"area(height=1,width=12,vertical=1,horizontal=2)",
			"area(height=1,width=12,vertical=1,horizontal=3/2)",
			"area(height=1,width=12,vertical=1,horizontal=3/2,plain=true)",
			"area(height=1,width=12,vertical=1,horizontal=4/3)",
			"area(height=1,width=12,vertical=1,horizontal=4/3,plain=true)",
		},
		Spread: 0.4,
	}
}

// Validate reports fields that cannot be used.
func (e *UpsampleChecks) Validate() error {
	for i, v := range e.Correlations {
		if !(v >= 0 && v <= 1) || i == 0 && v != 0 || i > 0 && v <= e.Correlations[i-1] {
			return fmt.Errorf("field correlations is %v: expected numbers that rise from 0 to at most 1", e.Correlations)
		}
	}
	if !(e.Spread >= 0) {
		return fmt.Errorf("field spread is %g: expected a factor ≥ 0", e.Spread)
	}
	if len(e.Correlations) < 2 {
		return fmt.Errorf("field correlations is %v: expected at least two", e.Correlations)
	}
	return cmp.Or(e.check(), inside("rows", e.Rows, 2, 1<<16), nonempty("poolings", e.Poolings))
}

func (e *UpsampleChecks) resolve() error {
	if err := resolveNames("poolings", e.Poolings, upsample.ParsePooling); err != nil {
		return err
	}
	return e.Upsampling.resolve()
}

func (e *UpsampleChecks) uses() uses { return e.named("hwang2024", "lowdin1950", "bonneel2015") }

// checkedLevel is α = 0.6, σ = 0.8 on the cosine schedule, where the identities
// are checked.
var checkedLevel = schedules.Level{T: 2 / math.Pi * math.Atan(4./3), Alpha: 0.6, Sigma: 0.8}

// exactTo is what an identity between numbers of size 1 may miss by rounding.
const exactTo = 1e-12

func (e *UpsampleChecks) plan(p *Plan, _ Options) (job, error) {
	w := &upsampleChecks{UpsampleChecks: e}
	var err error
	if w.sampler, err = e.sampler(); err != nil {
		return nil, err
	}
	for _, name := range e.Poolings {
		pooling, err := upsample.ParsePooling(name)
		if err != nil {
			return nil, fmt.Errorf("field poolings: %w", err)
		}
		pair, err := pooling.Pair()
		if err != nil {
			return nil, fmt.Errorf("field poolings: %w", err)
		}
		w.pairs = append(w.pairs, pair)
	}
	c, pair, err := upsample.TwoRegions(0)
	if err != nil {
		return nil, err
	}
	bad, err := upsample.MisjudgeCoarse(c, pair, upsample.Misjudgement{Rank: 2, Spread: e.Spread})
	if err != nil {
		return nil, fmt.Errorf("field spread: %w", err)
	}
	if w.high, w.low, err = exactPair(c, pair); err != nil {
		return nil, err
	}
	if w.misjudged, err = models.NewMixture(bad); err != nil {
		return nil, err
	}
	w.pair = pair
	p.Parts = []PlanPart{{Name: "guided samples", Evals: w.sampler.evals(len(e.Thetas))}}
	w.declare()
	return studyJob(e, w.study, w.work)
}

// exactPair is the exact denoisers of a law and of its pooled law.
func exactPair(c models.Components, pair upsample.Pair) (high, low *models.Mixture, err error) {
	below, err := upsample.PoolMixture(c, pair)
	if err != nil {
		return nil, nil, err
	}
	if high, err = models.NewMixture(c); err != nil {
		return nil, nil, err
	}
	low, err = models.NewMixture(below)
	return high, low, err
}

// upsampleChecks is the recipe at work.
type upsampleChecks struct {
	*UpsampleChecks
	sampler              *sampler
	pair                 upsample.Pair
	high, low, misjudged *models.Mixture
	pairs                []upsample.Pair
	study                *study.Study
}

func (w *upsampleChecks) declare() {
	e := w.UpsampleChecks
	w.study = &study.Study{
		Title: "Upsample guidance on laws where it can be checked to rounding",
		Held: fmt.Sprintf("2×4 images of two 2×2 blocks: block means from a mixture of two Gaussians in the plane, the rest Gaussian; factor 2. "+
			"Identities at α = 0.6, σ = 0.8 on %d states drawn from the law. Samples: %s on %d steps of %s on %s, %d sets of %d for each strength, the same starts for all; "+
			"their high-resolution model believes the coarse law to be one Gaussian of %g times the right spread. The low-resolution model is exact.",
			e.Rows, e.Solver, e.Steps, e.Spacing, e.Schedule, e.Replicates, e.Samples, e.Spread),
		Tables: []*study.Table{
			{Name: "identity", Caption: "Largest difference between P e and what the low-resolution model says of it, with parts of the matching left out.", Columns: []study.Column{{Name: "matching", Text: true}, {Name: "difference"}}},
			{Name: "assembly", Caption: "Largest difference between the guided and the exact answer, both models being exact.", Columns: []study.Column{{Name: "theta", Label: "θ"}, {Name: "difference"}}},
			{Name: "forms", Caption: "Largest difference from the guided denoiser where the models predict something else.", Columns: []study.Column{{Name: "prediction", Text: true}, {Name: "difference"}}},
			{Name: "correlation", Caption: "Root mean square difference of a sample from the exact answer, θ = 1, by the correlation between coarse and detail.", Columns: []study.Column{
				{Name: "correlation"}, {Name: "difference"}, {Name: "difference_lo"}, {Name: "difference_hi"},
			}},
			{Name: "poolings", Caption: "Whether pooled noise is white noise of variance 1/s², which is also whether the adjoint s² Pᵀ is a right inverse, and the largest difference of the guided from the exact answer where coarse and detail are independent.", Columns: []study.Column{
				{Name: "pooling", Text: true}, {Name: "variance", Label: "s² times the variance of pooled noise"}, {Name: "colour", Help: "largest entry of P Pᵀ/c − I"}, {Name: "difference"},
			}},
			{Name: "strength", Caption: "Coarse content of guided samples by strength.", Columns: strengthColumns(study.Column{Name: "theta", Label: "θ"})},
		},
		Figures: []study.Figure{
			{Name: "strength", Title: "A model with the wrong coarse law, guided", Caption: "Left: distance of the pooled samples from the exact coarse law; bars are 95 % intervals over sets, dashed is the floor. Right: distance of each pooled sample from the low-resolution model's own.", Table: "strength", Panels: []study.Panel{
				{Title: "law", X: "theta", Y: []string{"sw2"}, Low: []string{"sw2_lo"}, High: []string{"sw2_hi"}, Reference: []string{"floor"}, LogY: true, YLabel: "sliced W₂ of P x"},
				{Title: "trajectories", X: "theta", Y: []string{"apart"}, LogY: true, YLabel: "distance from the low model's samples"},
			}},
			{Name: "correlation", Title: "Correlated coarse and detail", Caption: "Root mean square difference of the guided from the exact answer; bars are 95 % bootstrap intervals over states.", Table: "correlation", Panels: []study.Panel{
				{X: "correlation", Y: []string{"difference"}, Low: []string{"difference_lo"}, High: []string{"difference_hi"}, XLabel: "correlation of coarse and detail", YLabel: "RMS difference"},
			}},
		},
	}
}

func (w *upsampleChecks) work(ctx context.Context, r *run) error {
	r.progress.setStage("identities")
	for _, step := range []func(context.Context) error{w.identity, w.assembly, w.forms, w.correlation, w.poolings} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	r.progress.setStage("guided samples")
	return w.strengths(ctx, r)
}

// states draws exact states at the checked level.
func (w *upsampleChecks) states(m *models.Mixture) ([]float64, error) {
	x := make([]float64, w.Rows*models.Dim(m))
	return x, m.Sample(x, checkedLevel, nil, solvers.RowKeys(w.sampler.root.Split("states", 0), 0, w.Rows))
}

// guidance is a constant strength, the low-resolution model being trained on
// the cosine schedule.
func constantGuidance(pair upsample.Pair, theta float64) upsample.Guidance {
	return upsample.Guidance{Pair: pair, Strength: upsample.Constant{Theta: theta}, Low: schedules.Cosine{Min: -15, Max: 15}, Coloured: true}
}

func ask(ctx context.Context, f func(context.Context, []float64, models.Query) error, x []float64, rows int, at schedules.Level) ([]float64, error) {
	dst := make([]float64, len(x))
	return dst, f(ctx, dst, models.Query{X: x, Rows: rows, At: []schedules.Level{at}})
}

// furthest is the largest difference of two arrays.
func furthest(a, b []float64) float64 {
	d := 0.0
	for i, v := range a {
		d = max(d, math.Abs(v-b[i]))
	}
	return d
}

func times(c float64, x []float64) []float64 {
	y := slices.Clone(x)
	for i := range y {
		y[i] *= c
	}
	return y
}

// identity is P e = √c e_low(y; τ), and what is left of it.
func (w *upsampleChecks) identity(ctx context.Context) error {
	x, err := w.states(w.high)
	if err != nil {
		return err
	}
	e, err := ask(ctx, models.ToRaw(models.Eps{}, w.high).Predict, x, w.Rows, checkedLevel)
	if err != nil {
		return err
	}
	pe, px, below := poolEach(w.pair, e), poolEach(w.pair, x), models.ToRaw(models.Eps{}, w.low)
	tau, scale, err := upsample.Match(schedules.Cosine{Min: -15, Max: 15}, checkedLevel, w.pair.Noise().Variance)
	if err != nil {
		return err
	}
	root := math.Sqrt(w.pair.Noise().Variance)
	least := math.Inf(1)
	for _, c := range []struct {
		name          string
		scale, factor float64
		at            schedules.Level
	}{
		{"as published", scale, root, tau},
		{"no time shift", scale, root, checkedLevel},
		{"no rescale", 1, root, tau},
		{"no time shift, no rescale", 1, root, checkedLevel},
		{"no 1/s", scale, 1, tau},
	} {
		low, err := ask(ctx, below.Predict, times(c.scale, px), w.Rows, c.at)
		if err != nil {
			return err
		}
		d := furthest(pe, times(c.factor, low))
		w.study.Table("identity").Add(c.name, d)
		if c.at == tau && c.scale == scale && c.factor == root {
			w.study.Find(study.Finding{Claim: "With coarse and detail independent, P e(x) = e_low(y; τ)/s.", Expected: "a difference below 1e-12", Measured: d, Source: "hwang2024", Holds: study.Holds(d < exactTo)})
			continue
		}
		least = min(least, d)
	}
	w.study.Find(study.Finding{Claim: "Leaving out time shift, rescale or 1/s breaks the identity.", Expected: "differences above 0.01", Measured: least, Remark: "The smallest of four.", Holds: study.Holds(least > 0.01)})
	return nil
}

func (w *upsampleChecks) assembly(ctx context.Context) error {
	x, err := w.states(w.high)
	if err != nil {
		return err
	}
	want, err := ask(ctx, w.high.Denoise, x, w.Rows, checkedLevel)
	if err != nil {
		return err
	}
	worst := 0.0
	for _, theta := range w.Thetas {
		d, err := w.apart(ctx, w.high, w.low, w.pair, theta, x, want)
		if err != nil {
			return err
		}
		w.study.Table("assembly").Add(theta, d)
		worst = max(worst, d)
	}
	w.study.Find(study.Finding{Claim: "Guiding an exact model by an exact model changes nothing.", Expected: "a difference below 1e-12 at every θ", Measured: worst, Source: "hwang2024", Holds: study.Holds(worst < exactTo)})
	return nil
}

// apart is the largest difference of the guided from another answer.
func (w *upsampleChecks) apart(ctx context.Context, high, low models.Denoiser, pair upsample.Pair, theta float64, x, want []float64) (float64, error) {
	d, err := upsample.New(high, low, constantGuidance(pair, theta))
	if err != nil {
		return 0, err
	}
	got, err := ask(ctx, d.Denoise, x, w.Rows, checkedLevel)
	return furthest(got, want), err
}

func (w *upsampleChecks) forms(ctx context.Context) error {
	x, err := w.states(w.high)
	if err != nil {
		return err
	}
	set := constantGuidance(w.pair, 1.3)
	d, err := upsample.New(w.misjudged, w.low, set)
	if err != nil {
		return err
	}
	want, err := ask(ctx, d.Denoise, x, w.Rows, checkedLevel)
	if err != nil {
		return err
	}
	eps, err := upsample.NewEps(models.ToRaw(models.Eps{}, w.misjudged), models.ToRaw(models.Eps{}, w.low), set)
	if err != nil {
		return err
	}
	got, err := ask(ctx, models.FromRaw(models.Eps{}, eps).Denoise, x, w.Rows, checkedLevel)
	if err != nil {
		return err
	}
	worst := furthest(got, want)
	w.study.Table("forms").Add("eps, guided in eps", worst)
	for _, p := range models.Predictions().Entries {
		through := func(m *models.Mixture) models.Denoiser {
			return models.FromRaw(p.Default, models.ToRaw(p.Default, m))
		}
		d, err := w.apart(ctx, through(w.misjudged), through(w.low), w.pair, 1.3, x, want)
		if err != nil {
			return err
		}
		w.study.Table("forms").Add(p.Name, d)
		worst = max(worst, d)
	}
	w.study.Find(study.Finding{Claim: "The form in ε and the form in x₀ are one, and models of v, the score, a flow or behind EDM's preconditioning are guided alike.", Expected: "a difference below 1e-12", Measured: worst, Source: "hwang2024", Holds: study.Holds(worst < exactTo)})
	return nil
}

func (w *upsampleChecks) correlation(ctx context.Context) error {
	var all []float64
	var first, last float64
	var in metrics.Interval
	for _, rho := range w.Correlations {
		c, pair, err := upsample.TwoRegions(rho)
		if err != nil {
			return err
		}
		high, low, err := exactPair(c, pair)
		if err != nil {
			return err
		}
		x, err := w.states(high)
		if err != nil {
			return err
		}
		want, err := ask(ctx, high.Denoise, x, w.Rows, checkedLevel)
		if err != nil {
			return err
		}
		d, err := upsample.New(high, low, constantGuidance(pair, 1))
		if err != nil {
			return err
		}
		got, err := ask(ctx, d.Denoise, x, w.Rows, checkedLevel)
		if err != nil {
			return err
		}
		dim := models.Dim(high)
		errs, err := metrics.RowErrors(metrics.Samples{X: got, Dim: dim}, metrics.Samples{X: want, Dim: dim})
		if err != nil {
			return err
		}
		if in, err = metrics.Bootstrap(errs, metrics.RMSE, w.sampler.root, 1000, 0.95); err != nil {
			return err
		}
		last = metrics.RMSE(errs)
		if len(all) == 0 {
			first = last
		}
		all = append(all, last)
		w.study.Table("correlation").Add(rho, last, in.Lo, in.Hi)
	}
	rises := slices.IsSorted(all) && len(slices.Compact(slices.Clone(all))) == len(all)
	w.study.Find(study.Finding{
		Claim: "Correlation between coarse and detail makes guidance an approximation, the worse the more there is.", Expected: "0 without, then a rise at every step",
		Measured: last, Interval: []float64{in.Lo, in.Hi}, Remark: fmt.Sprintf("RMS difference at correlation %g; without correlation it is %s.", w.Correlations[len(all)-1], number(first)),
		Holds: study.Holds(rises && first < exactTo),
	})
	return nil
}

// poolings holds pairs to P Pᵀ = I/s² and to exactness.
func (w *upsampleChecks) poolings(ctx context.Context) error {
	white, colour, gap, least := 0.0, 0.0, 0.0, math.Inf(1)
	anyPlain, anyWhite := false, false
	for i, pair := range w.pairs {
		high, low, err := exactPair(independent(pair, w.sampler.root.Split("pooling", 0)), pair)
		if err != nil {
			return err
		}
		x, err := w.states(high)
		if err != nil {
			return err
		}
		want, err := ask(ctx, high.Denoise, x, w.Rows, checkedLevel)
		if err != nil {
			return err
		}
		d, err := w.apart(ctx, high, low, pair, 1, x, want)
		if err != nil {
			return err
		}
		n := pair.Noise()
		ratio := n.Variance * float64(sizeOf(pair.HighShape())) / float64(sizeOf(pair.LowShape()))
		w.study.Table("poolings").Add(w.Poolings[i], ratio, n.Colour, d)
		if n.White() {
			anyWhite = true
			white, gap = max(white, n.Colour, math.Abs(ratio-1)), max(gap, d)
		} else {
			anyPlain = true
			colour, least = max(colour, n.Colour), min(least, d)
		}
	}
	if anyPlain {
		w.study.Find(study.Finding{
			Claim: "Area shares of a fractional factor keep P Pᵀ = I/s², and their adjoint is a right inverse.", Expected: "P Pᵀ/c − I of 0", Measured: colour, Holds: study.Holds(colour < exactTo),
			Remark: "Neighbours share a pixel. The guided answer, U being the pseudo-inverse, is off the exact one by " + number(least) + " or more, for the low-resolution model was not trained on coloured noise.",
		})
	}
	if anyWhite {
		w.study.Find(study.Finding{
			Claim: "Symmetrically orthogonalised, rational factors are exact.", Expected: "a difference below 1e-12 from the exact answer", Measured: gap, Source: "lowdin1950", Holds: study.Holds(gap < exactTo && white < exactTo),
			Remark: "P Pᵀ is off I/s² by " + number(white) + " of its size at most.",
		})
	}
	return nil
}

// independent is a law of a pair's images whose coarse part is a mixture and
// whose detail is white noise.
func independent(pair upsample.Pair, key rng.Key) models.Components {
	low, high := sizeOf(pair.LowShape()), sizeOf(pair.HighShape())
	const k, rank = 2, 2
	c := models.Components{
		Shape: slices.Clone(pair.HighShape()), Weights: []float64{0.4, 0.6}, Residual: []float64{0.05, 0.05},
		Means: make([]float64, k*high), Loadings: make([]float64, k*rank*high),
	}
	z := make([]float64, k*(rank+1)*low)
	key.Normal(z)
	for i := range k {
		pair.Repeat(c.Means[i*high:(i+1)*high], z[i*low:(i+1)*low])
	}
	for i := range k * rank {
		pair.Repeat(c.Loadings[i*high:(i+1)*high], times(0.5, z[(k+i)*low:(k+i+1)*low]))
	}
	return c
}

func (w *upsampleChecks) strengths(ctx context.Context, r *run) error {
	law, err := newCoarseLaw(w.sampler, w.low)
	if err != nil {
		return err
	}
	own, err := w.sampler.ownSamples(ctx, r, w.low, w.pair)
	if err != nil {
		return err
	}
	by := map[float64][]guidedSet{}
	for _, theta := range w.Thetas {
		d, err := upsample.New(r.counted(w.misjudged), w.low, upsample.Guidance{Pair: w.pair, Strength: upsample.Constant{Theta: theta}, Low: w.sampler.low})
		if err != nil {
			return err
		}
		if by[theta], err = w.sampler.sets(ctx, r, fmt.Sprintf("theta-%g", theta), d, w.pair, law, own, 0, nil); err != nil {
			return err
		}
		cells, err := strengthCells(theta, by[theta], law, d.Evaluations().Share)
		if err != nil {
			return err
		}
		w.study.Table("strength").Add(cells...)
	}
	if err := findStrengths(w.study, &w.Upsampling, by, law); err != nil {
		return err
	}
	d := metrics.RMSE(ofSets(by[1], setApart))
	w.study.Find(study.Finding{
		Claim: "With θ = 1 each pooled sample is the low-resolution model's own, from the same pooled noise.", Expected: "a distance below 1e-10", Measured: d, Holds: study.Holds(d < 1e-10),
		Remark: fmt.Sprintf("Rounding of %d steps, for a solver in λ, which the shift of all levels leaves as it is.", w.Steps),
	})
	return nil
}
