package experiments

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"snrlab/data"
	"snrlab/internal/study"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
	"snrlab/upsample"
)

// UpsampleDigits is the recipe that lifts digits to their full size: an exact
// model of pooled digits guides a model that knows the detail of digits but not
// their coarse content.
type UpsampleDigits struct {
	Header
	Upsampling
	Pooling string    `toml:"pooling" json:"pooling"` // P and U, of the digits' 28×28 pixels
	Rank    int       `toml:"rank" json:"rank"`       // coarse directions of a class that the high-resolution model takes for those of each component
	Spread  float64   `toml:"spread" json:"spread"`   // their spread, as a share of the class's
	Tie     float64   `toml:"tie" json:"tie"`         // share of a component's own coarse content that it knows
	Etas    []float64 `toml:"etas" json:"etas"`       // shares of the schedule's time that are guided, at θ = 1
	Images  int       `toml:"images" json:"images"`   // in a row of a sheet
}

// DefaultUpsampleDigits returns an UpsampleDigits that needs no other field.
func DefaultUpsampleDigits() UpsampleDigits {
	return UpsampleDigits{
		Header: Header{Kind: "upsample-digits", Name: "upsample-digits"},
		Upsampling: Upsampling{
			Schedule: "cosine(min=-12,max=12)", Spacing: "karras(last=zero)", Solver: "dpmpp-2m", Steps: 20, Low: "cosine(min=-12,max=12)",
			Thetas: []float64{0, 0.5, 0.8, 1, 1.2, 1.5}, Samples: 256, Replicates: 5, Key: 1,
		},
		Pooling: "area", Rank: 12, Spread: 1, Tie: 1,
		Etas:   []float64{0.2, 0.4, 0.6, 0.8},
		Images: 14,
	}
}

// Validate reports fields that cannot be used.
func (e *UpsampleDigits) Validate() error {
	for _, eta := range e.Etas {
		if !(eta > 0 && eta < 1) {
			return fmt.Errorf("field etas holds %g: expected shares of time between 0 and 1, which are θ = 0 and θ = 1", eta)
		}
	}
	return cmp.Or(
		e.check(), required("pooling", e.Pooling), distinct("etas", e.Etas),
		inside("rank", e.Rank, 1, 28*28), among("images", e.Images, e.Samples), inside("images", e.Images, 1, 64),
	)
}

func (e *UpsampleDigits) resolve() error {
	return cmp.Or(resolveName("pooling", &e.Pooling, upsample.ParsePooling), e.Upsampling.resolve())
}

func (e *UpsampleDigits) uses() uses {
	u := e.named("hwang2024", "bonneel2015", "dowson1982")
	u.names = append(u.names, "digits")
	return u
}

// upsampleDigits is the recipe at work.
type upsampleDigits struct {
	*UpsampleDigits
	sampler              *sampler
	pair                 upsample.Pair
	high, low, misjudged *models.Mixture
	study                *study.Study
}

func (e *UpsampleDigits) plan(p *Plan, _ Options) (job, error) {
	w := &upsampleDigits{UpsampleDigits: e}
	var err error
	if w.sampler, err = e.sampler(); err != nil {
		return nil, err
	}
	pooling, err := upsample.ParsePooling(e.Pooling)
	if err != nil {
		return nil, fmt.Errorf("field pooling: %w", err)
	}
	if w.pair, err = pooling.Pair(); err != nil {
		return nil, fmt.Errorf("field pooling: %w", err)
	}
	d, err := data.Digits()
	if err != nil {
		return nil, err
	}
	c := models.Components{Shape: d.Shape, Weights: d.Weights, Means: d.Means, Loadings: d.Loadings, Residual: d.Residual, Labels: d.Labels}
	maps.Copy(p.Inputs, map[string]string{"digits": data.DigitsSum()})
	bad, err := upsample.MisjudgeCoarse(c, w.pair, upsample.Misjudgement{Rank: e.Rank, Spread: e.Spread, Tie: e.Tie})
	if err != nil {
		return nil, err
	}
	if w.high, w.low, err = exactPair(c, w.pair); err != nil {
		return nil, err
	}
	if w.misjudged, err = models.NewMixture(bad); err != nil {
		return nil, err
	}
	// Levels that the guidance refuses are found here.
	for _, theta := range e.Thetas {
		if _, err := w.guided(w.misjudged, upsample.Constant{Theta: theta}); err != nil {
			return nil, err
		}
	}
	p.Parts = []PlanPart{
		{Name: "strengths", Evals: w.sampler.evals(len(e.Thetas))},
		{Name: "shares of time", Evals: w.sampler.evals(len(e.Etas))},
		{Name: "exact model of the full size", Evals: w.sampler.evals(1)},
	}
	w.declare()
	return studyJob(e, w.study, w.work)
}

// guided is the guided model, its levels checked.
func (w *upsampleDigits) guided(high models.Denoiser, s upsample.Strength) (*upsample.Guided, error) {
	d, err := upsample.New(high, w.low, upsample.Guidance{Pair: w.pair, Strength: s, Low: w.sampler.low})
	if err != nil {
		return nil, err
	}
	_, err = d.Plan(w.asked())
	return d, err
}

// asked are the levels at which a sampler asks: all but a last one without
// noise.
func (w *upsampleDigits) asked() []schedules.Level {
	grid := w.sampler.grid
	if grid[len(grid)-1].Sigma == 0 {
		grid = grid[:len(grid)-1]
	}
	return grid
}

func (w *upsampleDigits) declare() {
	e := w.UpsampleDigits
	low := w.pair.LowShape()
	wholeColumns := func(x study.Column) []study.Column {
		return append(strengthColumns(x),
			study.Column{Name: "density", Label: "log density of whole samples", Unit: "nats per value", Help: "under the exact law of digits, with noise of size 0.1 on both"},
			study.Column{Name: "density_lo"}, study.Column{Name: "density_hi"}, study.Column{Name: "density_native", Label: "exact model of the full size", Help: "of samples of the exact model of the full size"})
	}
	panels := func(x string) []study.Panel {
		return []study.Panel{
			{Title: "coarse content, sliced", X: x, Y: []string{"sw2"}, Low: []string{"sw2_lo"}, High: []string{"sw2_hi"}, Reference: []string{"floor"}},
			{Title: "coarse content, Fréchet", X: x, Y: []string{"frechet"}, Low: []string{"frechet_lo"}, High: []string{"frechet_hi"}, Reference: []string{"frechet_floor"}},
			{Title: "whole samples", X: x, Y: []string{"density"}, Low: []string{"density_lo"}, High: []string{"density_hi"}, Reference: []string{"density_native"}},
		}
	}
	w.study = &study.Study{
		Title: "Digits lifted by upsample guidance",
		Held: fmt.Sprintf("The mixture of digits at 28×28 and its exact image at %d×%d, pair %s. The high-resolution model has the detail of every component; of its coarse content a share of %g, beside %d coarse directions of the class as a whole, of %g times their spread, that it takes for those of each component. "+
			"%s on %d steps of %s on %s; %d sets of %d samples for each strength, the same starts for all. Guidance stops where the matched level is cleaner than %s.",
			low[1], low[2], e.Pooling, e.Tie, e.Rank, e.Spread, e.Solver, e.Steps, e.Spacing, e.Schedule, e.Replicates, e.Samples, e.Low),
		Tables: []*study.Table{
			{Name: "strength", Caption: "Guided samples by strength θ, constant in λ.", Columns: wholeColumns(study.Column{Name: "theta", Label: "θ"})},
			{Name: "share", Caption: "Guided samples by the share η of the schedule's time that is guided, at θ = 1.", Columns: wholeColumns(study.Column{Name: "eta", Label: "η"})},
		},
		Figures: []study.Figure{
			{Name: "strength", Title: "Digits by strength", Caption: "Distances of the pooled samples from the exact law of pooled digits, and the log density of whole samples; bars are 95 % intervals over sets, dashed what exact sets read at most, and what the exact model of the full size gives.", Table: "strength", Panels: panels("theta"), Columns: 3},
			{Name: "share", Title: "Digits by the share of time that is guided", Caption: "As by strength; η = 0 is θ = 0, η = 1 is θ = 1.", Table: "share", Panels: panels("eta"), Columns: 3},
		},
		Sheets: []*study.Sheet{
			{Name: "samples", Title: "The same starts by strength", Caption: "Each column starts from one noise. First the low-resolution model's own samples, their pixels repeated; then guided samples; last the exact model of the full size.", Shape: []int{1, 28, 28}, Columns: e.Images},
			{Name: "shares", Title: "The same starts by the share of time that is guided", Caption: "θ = 1 in the noisiest share η of the schedule's time, then the high-resolution model alone.", Shape: []int{1, 28, 28}, Columns: e.Images},
		},
	}
}

// blur is the noise under which whole samples are judged: pixels that are off by
// less do not count. The residual of the digits' components is 0.02.
const blur = 0.1

// density is the mean log density of whole samples under the law of digits with
// noise of size blur on both, in nats per value.
func (w *upsampleDigits) density(x []float64) (float64, error) {
	dim := models.Dim(w.high)
	n := len(x) / dim
	y, z := slices.Clone(x), make([]float64, dim)
	for i, k := range solvers.RowKeys(w.sampler.root.Split("blur", 0), 0, n) {
		k.Normal(z)
		for j, v := range z {
			y[i*dim+j] += blur * v
		}
	}
	log := make([]float64, n)
	err := w.high.LogDensity(log, models.Query{X: y, Rows: n, At: []schedules.Level{{Alpha: 1, Sigma: blur}}})
	return metrics.Mean(log) / float64(dim), err
}

func (w *upsampleDigits) work(ctx context.Context, r *run) error {
	r.progress.setStage("the low resolution")
	law, err := newCoarseLaw(w.sampler, w.low)
	if err != nil {
		return err
	}
	own, err := w.sampler.ownSamples(ctx, r, w.low, w.pair)
	if err != nil {
		return err
	}
	sets := func(id string, high models.Denoiser, s upsample.Strength) ([]guidedSet, float64, error) {
		d, err := w.guided(r.counted(high), s)
		if err != nil {
			return nil, 0, err
		}
		got, err := w.sampler.sets(ctx, r, id, d, w.pair, law, own, w.Images, w.density)
		return got, d.Evaluations().Share, err
	}
	r.progress.setStage("the exact model of the full size")
	native, _, err := sets("native", w.high, upsample.Constant{})
	if err != nil {
		return err
	}
	samples, shares := w.study.Sheet("samples"), w.study.Sheet("shares")
	samples.Labels = append(samples.Labels, "low model")
	small := sizeOf(w.pair.LowShape())
	for i := range w.Images {
		image := make([]float64, models.Dim(w.high))
		w.pair.Repeat(image, own[0][i*small:(i+1)*small])
		samples.Data = append(samples.Data, image...)
	}
	add := func(table string, x float64, got []guidedSet, share float64) error {
		cells, err := strengthCells(x, got, law, share)
		if err != nil {
			return err
		}
		log, in, err := metrics.Repeats(ofSets(got, setWhole), 0.95)
		if err != nil {
			return err
		}
		w.study.Table(table).Add(append(cells, log, in.Lo, in.Hi, metrics.Mean(ofSets(native, setWhole)))...)
		return nil
	}
	row := func(sheet *study.Sheet, label string, got []guidedSet) {
		sheet.Labels = append(sheet.Labels, label)
		sheet.Data = append(sheet.Data, got[0].First...)
	}
	r.progress.setStage("strengths")
	by := map[float64][]guidedSet{}
	var share float64
	for _, theta := range w.Thetas {
		if by[theta], share, err = sets(fmt.Sprintf("theta-%g", theta), w.misjudged, upsample.Constant{Theta: theta}); err != nil {
			return err
		}
		if err := add("strength", theta, by[theta], share); err != nil {
			return err
		}
		row(samples, fmt.Sprintf("θ = %g", theta), by[theta])
	}
	row(samples, "exact", native)
	r.progress.setStage("shares of time")
	early := map[float64][]guidedSet{0: by[0], 1: by[1]}
	etas := append(append([]float64{0}, w.Etas...), 1)
	for _, eta := range etas {
		if early[eta] == nil {
			if early[eta], share, err = sets(fmt.Sprintf("eta-%g", eta), w.misjudged, upsample.Heaviside{Theta: 1, Eta: eta, Schedule: w.sampler.family.schedule}); err != nil {
				return err
			}
		}
		if err := add("share", eta, early[eta], share); err != nil {
			return err
		}
		row(shares, fmt.Sprintf("η = %g", eta), early[eta])
	}
	return w.find(by, early, etas, native, law, share)
}

func (w *upsampleDigits) find(by, early map[float64][]guidedSet, etas []float64, native []guidedSet, law *coarseLaw, share float64) error {
	if err := findStrengths(w.study, &w.Upsampling, by, law); err != nil {
		return err
	}
	stops := 0
	calls, err := w.guided(w.misjudged, upsample.Constant{Theta: 1})
	if err != nil {
		return err
	}
	plan, err := calls.Plan(w.asked())
	if err != nil {
		return err
	}
	for _, c := range plan {
		if c.Theta == 0 {
			stops++
		}
	}
	apart := metrics.RMSE(ofSets(by[1], setApart))
	w.study.Find(study.Finding{
		Claim: "With θ = 1 pooled samples are the low-resolution model's own, but for what is left where the guidance stops.", Expected: "a distance below 0.05",
		Measured: apart, Remark: fmt.Sprintf("RMS distance of a sample of %d values; the guidance is off in %d of %d evaluations.", sizeOf(w.pair.LowShape()), stops, len(plan)), Holds: study.Holds(apart < 0.05),
	})
	e := upsample.Evaluations{High: by[1][0].High, Low: by[1][0].Low, Share: share}
	w.study.Find(study.Finding{
		Claim: "Guidance costs the share of pixels of the low resolution.", Expected: fmt.Sprintf("at most %g of the evaluations without it", 1+share), Measured: e.Equivalent() / float64(e.High), Source: "hwang2024",
		Holds: study.Holds(e.Equivalent() <= (1+share)*float64(e.High)), Remark: fmt.Sprintf("%d evaluations of the high-resolution model and %d of the low, counted.", e.High, e.Low),
	})
	least := math.NaN()
	for i := len(etas) - 1; i >= 0; i-- {
		if metrics.Mean(ofSets(early[etas[i]], setSliced)) > law.floor.Threshold {
			break
		}
		least = etas[i]
	}
	w.study.Find(study.Finding{
		Claim: "Guidance in the noisiest part of the time is enough for the coarse content.", Expected: "a share of time below 1 from which the coarse law is within the floor", Measured: least, Source: "hwang2024", Holds: study.Holds(least < 1),
		Remark: "The least share tried; the published shares of 0.3 to 0.6 are for latents.",
	})
	gain, in, err := pairedDifference(ofSets(by[1], setWhole), ofSets(by[0], setWhole))
	if err != nil {
		return err
	}
	w.study.Find(study.Finding{
		Claim: "Guided samples as a whole are nearer to digits.", Expected: "log density under the exact law higher at θ = 1 than at θ = 0", Measured: gain, Unit: "nats per value", Interval: []float64{in.Lo, in.Hi}, Holds: study.Holds(in.Lo > 0),
	})
	left, in, err := pairedDifference(ofSets(native, setWhole), ofSets(by[1], setWhole))
	if err != nil {
		return err
	}
	w.study.Find(study.Finding{
		Claim: "They are as good as those of the exact model of the full size.", Expected: "no difference in log density", Measured: left, Unit: "nats per value", Interval: []float64{in.Lo, in.Hi}, Holds: study.Holds(in.Lo <= 0),
		Remark: "What ties the detail to the coarse content is left to the high-resolution model, which misjudges it.",
	})
	if sets, ok := by[1.2]; ok {
		more, in, err := pairedDifference(ofSets(sets, setWhole), ofSets(by[1], setWhole))
		if err != nil {
			return err
		}
		w.study.Find(study.Finding{
			Claim: "Whole samples are better at a strength of 1.2.", Expected: "log density above that of θ = 1", Measured: more, Unit: "nats per value", Interval: []float64{in.Lo, in.Hi}, Source: "hwang2024", Holds: study.Holds(in.Lo > 0),
			Remark: "For a high-resolution model that misjudges the coarse law alone; the errors of networks are others.",
		})
	}
	return nil
}
