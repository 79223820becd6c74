package experiments

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"snrlab/internal/study"
	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/viz"
)

// WeightOptions is what to show of some training losses: whole recipes (a
// weight and a density each), and weights and densities alone.
type WeightOptions struct {
	Recipes   []string `json:"recipes"`
	Weights   []string `json:"weights"`
	Densities []string `json:"densities"`
	Unit      string   `json:"unit"`   // of the residual that weights are factors of
	From      float64  `json:"from"`   // ends of the range of λ
	To        float64  `json:"to"`     //
	Bands     int      `json:"bands"`  // of the table
	Points    int      `json:"points"` // of the curves
	Axis      string   `json:"axis"`   // what they are drawn against: one of [WeightAxes]

	// The levels of a grid, marked on the curves: none without a schedule.
	Schedule string `json:"schedule,omitempty"`
	Spacing  string `json:"spacing,omitempty"`
	Steps    int    `json:"steps,omitempty"`
}

// WeightAxes are the axes that weights are drawn on: λ, log σ/α, the share t of
// the levels drawn in training that are cleaner, or the index of a level in a grid.
func WeightAxes() []string { return []string{"lambda", "log-sigma", "t", "index"} }

// DefaultWeights shows what published training recipes weigh.
func DefaultWeights() WeightOptions {
	return WeightOptions{
		Recipes: []string{"eps-cosine", "v-cosine", "rf", "sd3", "edm", "min-snr", "laplace"},
		Unit:    "eps", From: -15, To: 15, Bands: 10, Points: 601, Axis: "lambda",
		Spacing: "uniform-t", Steps: 10,
	}
}

// Validate reports options that cannot be used.
func (o WeightOptions) Validate() error {
	err := cmp.Or(
		inside("bands", o.Bands, 1, 1000),
		inside("points", o.Points, 2, 1<<20),
		oneOf("axis", o.Axis, WeightAxes()...),
	)
	switch {
	case err != nil:
	case !(o.From < o.To) || math.IsInf(o.To-o.From, 0):
		err = fmt.Errorf("λ from %g to %g: expected two finite numbers, the lower (noisier) first", o.From, o.To)
	case len(o.Recipes)+len(o.Weights)+len(o.Densities) == 0:
		err = errors.New("nothing to show: expected a recipe, a weight or a density")
	case o.Axis == "index" && o.Schedule == "":
		err = errors.New("axis index is that of the levels of a grid: expected a schedule")
	case o.Schedule != "":
		err = inside("steps", o.Steps, 1, 1<<16)
	}
	if err != nil {
		return fmt.Errorf("experiments: weights: %w", err)
	}
	return nil
}

// WeightReport is the curves of some training losses and what they give to
// each band of λ.
type WeightReport struct {
	WeightOptions
	Losses []LossCurve `json:"losses"`
}

// LossCurve is one training loss. What it lacks, or has no value, is NaN.
type LossCurve struct {
	Name   string      `json:"name"`
	Points []LossPoint `json:"points"`           // from noisy to clean
	Levels []LossPoint `json:"levels,omitempty"` // of the grid, from noisy to clean
	Bands  []LossBand  `json:"bands"`

	recipe snr.Recipe // a part may be missing
}

// LossPoint is a training loss at one level.
type LossPoint struct {
	LogSNR  Number `json:"log_snr"`
	T       Number `json:"t"`       // P(λ' > λ)
	Density Number `json:"density"` // p(λ)
	Weight  Number `json:"weight"`  // ω of the residual in the unit
	Product Number `json:"product"` // p·ω, scaled to an integral of 1 over the range
	Spent   Number `json:"spent"`   // share of p·ω in the range at less λ
}

// LossBand is what a training loss gives to the levels From < λ ≤ To.
type LossBand struct {
	From   Number `json:"from"`
	To     Number `json:"to"`
	Drawn  Number `json:"drawn"`  // share of the levels drawn in training
	Weight Number `json:"weight"` // share of p·ω in the range
}

// Run samples the curves.
func (o WeightOptions) Run() (*WeightReport, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	unit, err := snr.ParseUnit(o.Unit)
	if err != nil {
		return nil, fmt.Errorf("experiments: weights: %w", err)
	}
	r := &WeightReport{WeightOptions: o}
	r.Unit = unit.String()
	add := func(name string, parts snr.Recipe) { r.Losses = append(r.Losses, LossCurve{Name: name, recipe: parts}) }
	for _, name := range o.Recipes {
		v, err := schedules.ParseRecipe(name)
		if err != nil {
			return nil, fmt.Errorf("experiments: weights: %w", err)
		}
		add(v.String(), v)
	}
	for _, name := range o.Weights {
		v, err := schedules.ParseWeight(name)
		if err == nil {
			err = snr.CheckWeight(v, snr.Flat{Min: o.From, Max: o.To})
		}
		if err != nil {
			return nil, fmt.Errorf("experiments: weights: %w", err)
		}
		add("weight "+v.String(), snr.Recipe{Weight: v})
	}
	for _, name := range o.Densities {
		v, err := schedules.ParseDensity(name)
		if err != nil {
			return nil, fmt.Errorf("experiments: weights: %w", err)
		}
		add("density "+v.String(), snr.Recipe{Density: v})
	}
	var grid schedules.Grid
	if o.Schedule != "" {
		f, err := newFamily(o.Schedule, o.Spacing)
		if err == nil {
			grid, err = f.grid(o.Steps)
		}
		if err != nil {
			return nil, fmt.Errorf("experiments: weights: %w", err)
		}
		r.Schedule, r.Spacing = f.schedule.String(), f.name
	}
	for i := range r.Losses {
		if err := r.Losses[i].fill(o, unit, grid); err != nil {
			return nil, fmt.Errorf("experiments: weights: %w", err)
		}
	}
	return r, nil
}

// at is the loss at one level, without what depends on the range, and log p·ω.
func (c *LossCurve) at(l snr.LogSNR, unit snr.Unit) (p LossPoint, log float64) {
	nan := Number(math.NaN())
	p = LossPoint{LogSNR: Number(l), T: nan, Density: nan, Weight: nan, Product: nan, Spent: nan}
	log = math.NaN()
	if d := c.recipe.Density; d != nil {
		_, above := d.CDF(l)
		p.T, p.Density = Number(above), Number(snr.PDF(d, l))
	}
	// Outside the support of the density the weight is never asked for.
	if w := c.recipe.Weight; w != nil && p.Density != 0 {
		p.Weight = Number(snr.In(w, unit, l))
	}
	if c.whole() {
		if log = math.Inf(-1); p.Density != 0 {
			log = c.recipe.Density.LogPDF(l) + snr.LogIn(c.recipe.Weight, unit, l)
		}
	}
	return p, log
}

// fill samples one loss. p·ω is summed by the trapezoid rule, whose error shows
// in the third digit of a share only where a curve has corners between points.
func (c *LossCurve) fill(o WeightOptions, unit snr.Unit, grid schedules.Grid) error {
	n, nan := o.Points, math.NaN()
	at := func(x float64) float64 { return o.From + (o.To-o.From)*x }
	level := func(i int) float64 { return at(float64(i) / float64(n-1)) }
	logs := make([]float64, n) // of p·ω; only differences matter
	top := math.Inf(-1)
	for i := range n {
		var p LossPoint
		p, logs[i] = c.at(snr.LogSNR(level(i)), unit)
		c.Points = append(c.Points, p)
		if c.whole() {
			top = max(top, logs[i])
		}
	}
	if c.whole() && math.IsInf(top, -1) {
		return fmt.Errorf("%s gives no weight to λ from %g to %g: expected a range that its density draws from", c.Name, o.From, o.To)
	}
	spent := make([]float64, n)
	for i := 1; i < n; i++ {
		spent[i] = spent[i-1] + (math.Exp(logs[i-1]-top)+math.Exp(logs[i]-top))/2*(level(i)-level(i-1))
	}
	if c.whole() {
		for i := range c.Points {
			c.Points[i].Product, c.Points[i].Spent = Number(math.Exp(logs[i]-top)/spent[n-1]), Number(spent[i]/spent[n-1])
		}
	}
	for _, g := range grid {
		p, log := c.at(g.LogSNR(), unit)
		p.Product = Number(math.Exp(log-top) / spent[n-1])
		if l := float64(p.LogSNR); c.whole() && l >= o.From && l <= o.To {
			p.Spent = Number(interpolate(spent, (l-o.From)/(o.To-o.From)) / spent[n-1])
		}
		c.Levels = append(c.Levels, p)
	}
	for k := range o.Bands {
		from, to := at(float64(k)/float64(o.Bands)), at(float64(k+1)/float64(o.Bands))
		b := LossBand{From: Number(from), To: Number(to), Drawn: Number(nan), Weight: Number(nan)}
		if d := c.recipe.Density; d != nil {
			b.Drawn = Number(drawnBetween(d, from, to))
		}
		if c.whole() {
			b.Weight = Number(interpolate(spent, float64(k+1)/float64(o.Bands))-interpolate(spent, float64(k)/float64(o.Bands))) / Number(spent[n-1])
		}
		c.Bands = append(c.Bands, b)
	}
	return nil
}

// whole says whether there is a weight and a density.
func (c *LossCurve) whole() bool { return c.recipe.Weight != nil && c.recipe.Density != nil }

// drawnBetween is P(from < λ ≤ to), from the tail that does not cancel.
func drawnBetween(d snr.Density, from, to float64) float64 {
	below, above := d.CDF(snr.LogSNR(from))
	belowTo, aboveTo := d.CDF(snr.LogSNR(to))
	if below < above {
		return belowTo - below
	}
	return above - aboveTo
}

// minus prints a number for reading: with a minus that is no hyphen.
func minus(v float64) string {
	return strings.Replace(strconv.FormatFloat(v, 'g', 4, 64), "-", "−", 1)
}

// interpolate reads evenly sampled values at a fraction of the way.
func interpolate(v []float64, at float64) float64 {
	x := at * float64(len(v)-1)
	i := min(int(x), len(v)-2)
	return v[i] + (x-float64(i))*(v[i+1]-v[i])
}

// Table returns the curves as rows.
func (r *WeightReport) Table() *study.Table {
	t := &study.Table{
		Name: "losses", Caption: fmt.Sprintf("Training losses over λ; weights are factors of the residual in %s.", r.Unit),
		Columns: []study.Column{
			{Name: "loss", Text: true},
			{Name: "kind", Text: true, Help: "curve, or level of the grid"},
			{Name: "index", Label: "index of the level, noisy to clean"},
			{Name: "lambda", Label: "λ = log(α²/σ²)"},
			{Name: "log_sigma", Label: "log(σ/α)"},
			{Name: "t", Label: "t: share of training at more λ"},
			{Name: "density", Label: "p(λ)"},
			{Name: "density_log_sigma", Label: "p(log σ/α)"},
			{Name: "weight", Label: "ω on the residual in " + r.Unit},
			{Name: "product", Label: "p·ω in " + r.Unit + ", integral 1"},
			{Name: "drawn", Label: "share of training at less λ"},
			{Name: "spent", Label: "share of p·ω at less λ"},
		},
	}
	for _, c := range r.Losses {
		add := func(kind string, k int, p LossPoint) {
			l := float64(p.LogSNR)
			t.Add(c.Name, kind, k, l, -l/2, float64(p.T), float64(p.Density), 2*float64(p.Density), float64(p.Weight), float64(p.Product), 1-float64(p.T), float64(p.Spent))
		}
		for k, p := range c.Points {
			add("curve", k, p)
		}
		for k, p := range c.Levels {
			add("level", k, p)
		}
	}
	return t
}

// BandTable returns what each loss gives to each band of λ, as rows.
func (r *WeightReport) BandTable() *study.Table {
	t := &study.Table{
		Name: "bands", Caption: fmt.Sprintf("Shares of the levels drawn in training, and of p·ω in %s on the whole range, by band of λ.", r.Unit),
		Columns: []study.Column{
			{Name: "loss", Text: true},
			{Name: "from", Label: "λ from"},
			{Name: "to", Label: "λ to"},
			{Name: "drawn", Label: "share of training"},
			{Name: "weight", Label: "share of p·ω"},
		},
	}
	for _, c := range r.Losses {
		for _, b := range c.Bands {
			t.Add(c.Name, float64(b.From), float64(b.To), float64(b.Drawn), float64(b.Weight))
		}
	}
	return t
}

// figure declares the drawing of the table of curves.
func (r *WeightReport) figure() study.Figure {
	x, density := "lambda", "density"
	switch r.Axis {
	case "log-sigma":
		x, density = "log_sigma", "density_log_sigma"
	case "t", "index":
		x = r.Axis
	}
	curve, level, how := map[string]string{"kind": "curve"}, map[string]string{"kind": "level"}, study.Lines
	if r.Axis == "index" {
		curve, level, how = level, nil, study.Auto
	}
	panel := func(title, y string) study.Panel {
		return study.Panel{Title: title, X: x, Y: []string{y}, Series: "loss", Where: curve, Dots: level, Draw: how}
	}
	caption := ""
	if r.Schedule != "" {
		what := "Markers are the levels"
		if r.Axis == "index" {
			what = "Indices are those of the levels"
		}
		caption = fmt.Sprintf(" %s of %s on %s with %s.", what, r.Spacing, r.Schedule, steps(r.Steps))
	}
	logged := func(p study.Panel) study.Panel { p.LogY, p.Trim = true, true; return p }
	return study.Figure{
		Name: "losses", Title: "What training losses weigh", Table: "losses",
		Caption: fmt.Sprintf("p is the density that levels are drawn from, ω the factor of the squared residual in %s. Constant factors of p·ω do not matter: each is drawn with the integral 1 over λ from %s to %s.", r.Unit, minus(r.From), minus(r.To)) + caption,
		Panels: []study.Panel{
			panel("density of levels", density), logged(panel("weight", "weight")), panel("share of training", "drawn"),
			panel("density × weight", "product"), logged(panel("the same, logarithmic", "product")), panel("share of p·ω", "spent"),
		},
	}
}

// Figure draws the losses over each other, on the axis of the report.
func (r *WeightReport) Figure() *viz.Figure {
	return viz.StudyFigures(&study.Study{Tables: []*study.Table{r.Table()}, Figures: []study.Figure{r.figure()}})[0]
}

// Text writes the bands for people, a column for each of them.
func (r *WeightReport) Text(w io.Writer) error {
	t := new(table)
	part := func(title string, get func(LossBand) Number, skip func(*LossCurve) bool) {
		head := []string{"λ from"}
		for _, b := range r.Losses[0].Bands {
			head = append(head, b.From.String())
		}
		rows := 0
		for i := range r.Losses {
			c := &r.Losses[i]
			if skip(c) {
				continue
			}
			if rows++; rows == 1 {
				t.line("%s", title)
				t.row(head...)
			}
			cells := []string{c.Name}
			for _, b := range c.Bands {
				cells = append(cells, fmt.Sprintf("%.1f", 100*float64(get(b))))
			}
			t.row(cells...)
		}
		if rows > 0 {
			t.line("")
		}
	}
	part(fmt.Sprintf("Share of training, per cent: levels drawn in bands of λ up to %g", r.To),
		func(b LossBand) Number { return b.Drawn }, func(c *LossCurve) bool { return c.recipe.Density == nil })
	part(fmt.Sprintf("Share of p·ω, per cent of the range: ω on the residual in %s", r.Unit),
		func(b LossBand) Number { return b.Weight }, func(c *LossCurve) bool { return !c.whole() })
	return t.flush(w)
}
