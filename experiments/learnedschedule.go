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
	"snrlab/snr"
	"snrlab/solvers"
	"snrlab/tune"
)

// LearnedSchedule is the recipe that learns schedules on which the estimate of a loss
// varies least, and holds them against the cosine schedule and against the best there
// is.
type LearnedSchedule struct {
	Header
	studied
	Models     []string `toml:"models" json:"models"`         // see [Models]
	Rows       []int    `toml:"rows" json:"rows"`             // draws at each level that the answer is held against, for each model
	Draws      []int    `toml:"draws" json:"draws"`           // of each round of the fit, for each model
	Objectives []string `toml:"objectives" json:"objectives"` // losses by name, cut off at min and max
	Cosine     string   `toml:"cosine" json:"cosine"`         // the density to do better than, cut off likewise
	Min        float64  `toml:"min" json:"min"`               // ends of λ, which stay
	Max        float64  `toml:"max" json:"max"`
	Levels     int      `toml:"levels" json:"levels"` // at which the moments of the loss are measured
	Knots      int      `toml:"knots" json:"knots"`   // of the learned schedule
	Rounds     int      `toml:"rounds" json:"rounds"` // of draws
	Bins       int      `toml:"bins" json:"bins"`     // of equal probability under the best density
	Steps      []int    `toml:"steps" json:"steps"`   // of DDIM on schedules of constant cost; the first model's
	Key        int64    `toml:"key" json:"key"`
}

// DefaultLearnedSchedule returns a LearnedSchedule that needs no other field.
func DefaultLearnedSchedule() LearnedSchedule {
	return LearnedSchedule{
		Header: Header{Kind: "learned-schedule", Name: "learned-schedule"},
		Models: []string{"gm2d"}, Rows: []int{8192}, Draws: []int{20_000},
		Objectives: []string{"elbo", "eps-cosine"}, Cosine: "cosine", Min: -15, Max: 15,
		Levels: 121, Knots: 41, Rounds: 3, Bins: 20, Steps: []int{8, 16, 32}, Key: 1,
	}
}

// Validate reports fields that cannot be used.
func (l *LearnedSchedule) Validate() error {
	for field, list := range map[string][]int{"rows": l.Rows, "draws": l.Draws} {
		if len(list) != len(l.Models) {
			return fmt.Errorf("field %s holds %d numbers for %d models: expected one for each", field, len(list), len(l.Models))
		}
	}
	return cmp.Or(
		distinct("models", l.Models),
		distinct("objectives", l.Objectives),
		required("cosine", l.Cosine),
		each("rows", l.Rows, 2*lossGroups, 1<<20),
		each("draws", l.Draws, 2*l.Knots, 1<<22),
		bounds(l.Min, l.Max),
		inside("levels", l.Levels, 8, 1<<12),
		inside("knots", l.Knots, 2, 1<<10),
		inside("rounds", l.Rounds, 1, 64),
		inside("bins", l.Bins, 2, 1<<10),
		distinct("steps", l.Steps),
		each("steps", l.Steps, 1, 1<<12),
		inside("key", l.Key, 0, math.MaxInt64),
	)
}

func (l *LearnedSchedule) seed() uint64 { return uint64(l.Key) }

func (l *LearnedSchedule) resolve() error {
	if err := resolveNames("objectives", l.Objectives, schedules.ParseRecipe); err != nil {
		return err
	}
	return resolveName("cosine", &l.Cosine, schedules.ParseDensity)
}

func (l *LearnedSchedule) uses() uses {
	return uses{names: append(append([]string{}, l.Models...), append(l.Objectives, l.Cosine)...), solvers: []string{"ddim"}, keys: []string{"kingma2021", "kingma2023", "nichol2021"}}
}

func (l *LearnedSchedule) plan(p *Plan, o Options) (job, error) {
	cosine, err := schedules.ParseDensity(l.Cosine)
	if err != nil {
		return nil, fmt.Errorf("field cosine: %w", err)
	}
	base := snr.Truncated{Density: cosine, Min: l.Min, Max: l.Max}
	if err := snr.CheckDensity(base); err != nil {
		return nil, fmt.Errorf("field cosine: %w", err)
	}
	var losses []snr.Recipe // each with the cosine density
	for _, name := range l.Objectives {
		r, err := cutLoss(name, l.Min, l.Max)
		if err == nil {
			r, err = r.Move(base)
		}
		if err != nil {
			return nil, fmt.Errorf("field objectives: %w", err)
		}
		losses = append(losses, r)
	}
	list, err := openModels(p, l.Models, o)
	if err != nil {
		return nil, err
	}
	for i, name := range l.Models {
		p.Parts = append(p.Parts, PlanPart{Name: name, Evals: 2*int64(l.Rows[i]*l.Levels) + int64(len(losses)*(2*l.Rounds+6)*l.Draws[i])})
	}
	s := &study.Study{
		Title: "Schedules on which a loss varies least",
		Held: fmt.Sprintf("Exact denoisers, the objective of each loss, and the ends λ = %s and %s. The learned schedule is a monotone spline of %d knots, fitted in %d rounds of draws of (λ, x₀, ε), %s; "+
			"all it is held against comes from other draws, at %d levels. The variance is that of one draw with levels drawn independently, or what a large stratified batch is left with. "+
			"Intervals are 95 %%, from leaving out a sixteenth of the draws at a time. Key %d.", minus(l.Min), minus(l.Max), l.Knots, l.Rounds, perModelText(l.Models, l.Draws), l.Levels, l.Key),
		Tables: []*study.Table{
			{
				Name: "variance", Caption: "Variance of one draw of the loss, by schedule. The mean is the same for all: it depends on the ends alone.",
				Columns: []study.Column{
					{Name: "model", Text: true},
					{Name: "objective", Text: true},
					{Name: "schedule", Text: true},
					{Name: "mean", Label: "expected loss", Help: "from the moments: an integral over λ"},
					{Name: "mean_lo"},
					{Name: "mean_hi"},
					{Name: "drawn", Label: "mean of draws", Help: "of as many draws as a round of the fit"},
					{Name: "drawn_lo"},
					{Name: "drawn_hi"},
					{Name: "variance"},
					{Name: "variance_lo"},
					{Name: "variance_hi"},
					{Name: "ratio", Label: "variance over cosine's"},
					{Name: "ratio_lo"},
					{Name: "ratio_hi"},
					{Name: "within", Label: "stratified variance"},
					{Name: "within_ratio", Label: "stratified, over cosine's"},
					{Name: "within_ratio_lo"},
					{Name: "within_ratio_hi"},
				},
			},
			{
				Name: "density", Caption: "The densities of the schedules, and the schedules.",
				Columns: []study.Column{
					{Name: "model", Text: true},
					{Name: "objective", Text: true},
					{Name: "schedule", Text: true},
					{Name: "lambda", Label: "λ = log(α²/σ²)"},
					{Name: "p", Label: "p(λ)"},
					{Name: "t", Label: "time t"},
				},
			},
			{
				Name: "bins", Caption: "Share of the learned density in bins that the best density fills evenly.",
				Columns: []study.Column{
					{Name: "model", Text: true},
					{Name: "objective", Text: true},
					{Name: "bin"},
					{Name: "from", Label: "λ from"},
					{Name: "to", Label: "λ to"},
					{Name: "share", Label: "learned over best"},
					{Name: "share_lo"},
					{Name: "share_hi"},
				},
			},
			{
				Name: "cost", Caption: "What a tenth of the time spends on the schedules of constant cost and on cosine, over the mean of the ten.",
				Columns: []study.Column{
					{Name: "cost", Text: true, Help: "what is spent"}, {Name: "schedule", Text: true}, {Name: "tenth"}, {Name: "spent", Label: "spent, over the mean"},
				},
			},
			{
				Name: "sampling", Caption: "DDIM from the same starts on grids of equal times, against the exact flow.",
				Columns: []study.Column{{Name: "schedule", Text: true}, {Name: "steps", Label: "NFE"}, {Name: "rmse", Label: "RMSE to the exact ends"}, {Name: "rmse_lo"}, {Name: "rmse_hi"}},
			},
		},
	}
	for i, name := range l.Models {
		var panels []study.Panel
		for _, objective := range short(l.Objectives) {
			where := map[string]string{"model": name, "objective": objective}
			panels = append(panels, study.Panel{Title: objective, X: "lambda", Y: []string{"p"}, Series: "schedule", Where: where, LogY: true, Draw: study.Lines})
		}
		for _, objective := range short(l.Objectives) {
			where := map[string]string{"model": name, "objective": objective}
			panels = append(panels, study.Panel{
				Title: objective + ", against the best", Table: "bins", X: "bin", Y: []string{"share"}, Low: []string{"share_lo"}, High: []string{"share_hi"}, Where: where, YRange: []float64{0.7, 1.3},
				Level: []study.Mark{{At: 1}, {At: 0.9}, {At: 1.1}}, Draw: study.Points,
			})
		}
		s.Figures = append(s.Figures, study.Figure{Name: fmt.Sprintf("density-%d", i+1), Title: "The learned density, the best and cosine's: " + name, Caption: "Above the densities; below the share of the learned one in bins that the best one fills evenly, with 95 % intervals of the best. Lines at ±10 %.", Table: "density", Panels: panels, Columns: len(l.Objectives)})
	}
	s.Figures = append(s.Figures,
		study.Figure{Name: "variance", Title: "Variance of the estimate", Caption: "One draw of the loss, over that on the cosine schedule; 95 % intervals. The line is one half.", Table: "variance", Columns: len(l.Models), Panels: variancePanels(l)},
		study.Figure{Name: "cost", Title: "What equal times spend", Caption: "Share of a cost in each tenth of the time, over the mean, on the schedule made constant for it and on cosine's; " + l.Models[0] + ".", Table: "cost", Columns: 3, Panels: costPanels()},
		study.Figure{Name: "sampling", Title: "DDIM on equal times", Caption: l.Models[0] + "; 95 % intervals of the root of the mean square.", Table: "sampling", Panels: []study.Panel{
			{X: "steps", Y: []string{"rmse"}, Low: []string{"rmse_lo"}, High: []string{"rmse_hi"}, Series: "schedule", LogX: true, LogY: true},
		}},
	)
	return studyJob(l, s, func(ctx context.Context, r *run) error {
		for i, m := range list {
			if err := l.measure(ctx, r, s, m, l.Rows[i], l.Draws[i], losses); err != nil {
				return err
			}
		}
		return l.costs(ctx, s, list[0], l.Rows[0], base)
	})
}

func variancePanels(l *LearnedSchedule) []study.Panel {
	var panels []study.Panel
	for _, name := range l.Models {
		panels = append(panels, study.Panel{
			Title: name, X: "mean", Y: []string{"ratio"}, Low: []string{"ratio_lo"}, High: []string{"ratio_hi"}, Series: "schedule", Where: map[string]string{"model": name}, LogX: true, LogY: true,
			Level: []study.Mark{{At: 0.5, Label: "half"}}, Draw: study.Points, XLabel: "expected loss (one place for each objective)",
		})
	}
	return panels
}

// costNames are the costs that schedules are made constant for.
var costNames = []string{"difficulty", "entropy", "local-error"}

func costPanels() []study.Panel {
	var panels []study.Panel
	for _, c := range costNames {
		panels = append(panels, study.Panel{Title: c, X: "tenth", Y: []string{"spent"}, Series: "schedule", Where: map[string]string{"cost": c}})
	}
	return panels
}

func perModelText(names []string, n []int) string {
	text := ""
	for i, name := range names {
		if i > 0 {
			text += " and "
		}
		text += fmt.Sprintf("%d a round for %s", n[i], name)
	}
	return text
}

func (l *LearnedSchedule) measure(ctx context.Context, r *run, s *study.Study, m *Model, rows, draws int, losses []snr.Recipe) error {
	key := rng.New(uint64(l.Key)).Split(m.Name, 0)
	list, err := metrics.Difficulties(ctx, m, m, evenLevels(l.Min, l.Max, l.Levels), rows, key.Split("check", 0))
	if err != nil {
		return err
	}
	r.progress.add(int64(2 * rows * l.Levels))
	moments := momentsWithout(list, -1)
	for i, loss := range losses {
		objective := short(l.Objectives[i : i+1])[0]
		fit := tune.ScheduleFit{Objective: loss, Knots: l.Knots, Rounds: l.Rounds, Draws: draws, Key: key.Split("fit", uint64(i))}
		found, err := cell(ctx, r, fmt.Sprintf("%s-%d", m.Name, i), int64(l.Rounds*draws), func(ctx context.Context) (*schedules.LearnedFile, error) {
			p, err := fit.Run(ctx, m, m, func(int, float64) { r.progress.add(int64(draws)) })
			if err != nil {
				return nil, err
			}
			return &schedules.LearnedFile{Knots: p.Knots, Log: p.Log}, nil
		})
		if err != nil {
			return err
		}
		learned := &snr.LogLinear{Knots: found.Knots, Log: found.Log}
		best, err := moments.Optimal(loss)
		if err != nil {
			return err
		}
		adaptive, err := l.adapt(ctx, r, m, loss, l.Rounds*draws, key.Split("adaptive", uint64(i)))
		if err != nil {
			return err
		}
		if err := l.variances(ctx, r, s, m, objective, list, loss, learned, best, adaptive, draws, key.Split("schedules", uint64(i))); err != nil {
			return err
		}
		if err := l.bins(s, m, objective, list, loss, learned, best); err != nil {
			return err
		}
	}
	return nil
}

// named is a density and what it is called.
type namedDensity struct {
	name string
	snr.Density
}

// variances fills in means and variances of the loss on several schedules.
func (l *LearnedSchedule) variances(ctx context.Context, r *run, s *study.Study, m *Model, objective string, list []metrics.Difficulty, loss snr.Recipe, learned, best *snr.LogLinear, adaptive snr.Density, draws int, key rng.Key) error {
	random := &snr.LogLinear{Knots: make([]float64, 9), Log: make([]float64, 9)}
	for i, v := range evenLevels(l.Min, l.Max, 9) {
		random.Knots[i] = float64(v)
	}
	key.Normal(random.Log)
	var ratio, least, followed metrics.Estimate
	worst, worstOf := 0.0, ""
	for k, d := range []namedDensity{{"cosine", loss.Density}, {"learned", learned}, {"best", best}, {"adaptive", adaptive}, {"linear γ", snr.Flat{Min: l.Min, Max: l.Max}}, {"random", random}} {
		moved, err := loss.Move(d.Density)
		if err != nil {
			return err
		}
		of := func(value func(e, cosine snr.Stochastic) float64) (metrics.Estimate, error) {
			return jackknife(lossGroups, func(out int) (float64, error) {
				mom := momentsWithout(list, out)
				e, err := mom.Estimate(moved)
				if err != nil {
					return 0, err
				}
				c, err := mom.Estimate(loss)
				return value(e, c), err
			})
		}
		row := []any{m.Name, objective, d.name}
		var found []metrics.Estimate
		for _, value := range []func(e, c snr.Stochastic) float64{
			func(e, _ snr.Stochastic) float64 { return e.Mean[0] },
			func(e, _ snr.Stochastic) float64 { return e.Variance },
			func(e, c snr.Stochastic) float64 { return e.Variance / c.Variance },
			func(e, _ snr.Stochastic) float64 { return e.Within },
			func(e, c snr.Stochastic) float64 { return e.Within / c.Within },
		} {
			v, err := of(value)
			if err != nil {
				return err
			}
			found = append(found, v)
		}
		drawn, err := l.draws(ctx, r, m, moved, draws, key.Split("schedule", uint64(k)))
		if err != nil {
			return err
		}
		// The spread that the moments say: that of the draws may hang on a few of them.
		drawn.SE = math.Sqrt(found[1].Value / float64(draws))
		if z := math.Abs(drawn.Value-found[0].Value) / math.Hypot(drawn.SE, found[0].SE); z > worst {
			worst, worstOf = z, d.name
		}
		switch d.name {
		case "learned":
			ratio = found[2]
		case "best":
			least = found[2]
		case "adaptive":
			followed = found[2]
		}
		for i, v := range slices.Insert(found, 1, drawn) {
			lo, hi := v.Within(z95)
			row = append(row, v.Value)
			if i != 4 { // the stratified variance
				row = append(row, lo, hi)
			}
		}
		s.Table("variance").Add(row...)
		for _, v := range evenLevels(l.Min, l.Max, 121) {
			_, t := d.CDF(v)
			if d.name != "random" && d.name != "linear γ" {
				s.Table("density").Add(m.Name, objective, d.name, float64(v), snr.PDF(d, v), t)
			}
		}
	}
	over, ends := followed.Value/least.Value, make([]float64, 2)
	ends[0], ends[1] = followed.Within(z95)
	s.Find(study.Finding{
		Claim:    fmt.Sprintf("A density that follows p ∝ w E l while draws come in does nearly as well: %s, %s.", m.Name, objective),
		Expected: "at most 1.25 times the least variance", Measured: over, Interval: []float64{ends[0] / least.Value, ends[1] / least.Value}, Source: "kingma2023", Holds: study.Holds(over <= 1.25),
		Remark: fmt.Sprintf("An average over 100 bins of λ that began uniform, after %d draws from itself in batches of 64; one level in a hundred is uniform always, which costs most where the least variance is a small part of the second moment.", l.Rounds*draws),
	})
	lo, hi := ratio.Within(z95)
	s.Find(study.Finding{
		Claim:    fmt.Sprintf("On %s the learned schedule has at most half of the variance of the cosine schedule, for the objective %s.", m.Name, objective),
		Expected: "≤ 0.5", Measured: ratio.Value, Interval: []float64{lo, hi}, Source: "kingma2021", Holds: study.Holds(ratio.Value <= 0.5),
	})
	s.Find(study.Finding{
		Claim:    fmt.Sprintf("The expected loss depends on the ends of the schedule alone: %s, %s.", m.Name, objective),
		Expected: "within 4 standard errors of the integral over λ", Measured: worst, Unit: "standard errors", Source: "kingma2021", Holds: study.Holds(worst < 4),
		Remark: fmt.Sprintf("Means of %d draws on the cosine, the learned, the best, a linear γ and a random monotone schedule; the largest deviation, of %s.", draws, worstOf),
	})
	return nil
}

// adapt draws from a density that follows the loss.
func (l *LearnedSchedule) adapt(ctx context.Context, r *run, m *Model, loss snr.Recipe, n int, key rng.Key) (snr.Density, error) {
	a, err := snr.NewAdaptive(loss, 100)
	if err != nil {
		return nil, err
	}
	const batch = 64
	levels, keys := make([]snr.LogSNR, batch), make([]rng.Key, batch)
	for from := 0; from < n; from += batch {
		snr.Stratified(a.Density(), key.Split("batch", uint64(from)), levels)
		for i := range keys {
			keys[i] = key.Split("sample", uint64(from+i))
		}
		v, err := lossOf(ctx, m, m, levels, keys)
		if err != nil {
			return nil, err
		}
		r.progress.add(batch)
		for i, l := range levels {
			if err := a.Observe(l, v[i]); err != nil {
				return nil, err
			}
		}
	}
	return a.Density(), nil
}

// draws is the mean of draws of a loss.
func (l *LearnedSchedule) draws(ctx context.Context, r *run, m *Model, loss snr.Recipe, n int, key rng.Key) (metrics.Estimate, error) {
	levels, keys := make([]snr.LogSNR, n), make([]rng.Key, n)
	snr.Draw(loss.Density, key.Split("levels", 0), levels)
	for i := range keys {
		keys[i] = key.Split("sample", uint64(i))
	}
	v, err := lossOf(ctx, m, m, levels, keys)
	r.progress.add(int64(n))
	for i := range v {
		v[i] *= math.Exp(loss.Weight.Log(levels[i]))
	}
	mean, _ := variancesOf(v)
	return mean, err
}

// bins holds the learned density against the best one.
func (l *LearnedSchedule) bins(s *study.Study, m *Model, objective string, list []metrics.Difficulty, loss snr.Recipe, learned, best *snr.LogLinear) error {
	worst, worstBin := 0.0, ""
	var low, high float64
	from := best.Quantile(0, 1)
	for i := range l.Bins {
		u := float64(i+1) / float64(l.Bins)
		to := best.Quantile(u, 1-u)
		share := func(d snr.Density) float64 {
			a, _ := d.CDF(from)
			b, _ := d.CDF(to)
			return b - a
		}
		e, err := jackknife(lossGroups, func(out int) (float64, error) {
			p, err := momentsWithout(list, out).Optimal(loss)
			if err != nil {
				return 0, err
			}
			return share(learned) / share(p), nil
		})
		if err != nil {
			return err
		}
		lo, hi := e.Within(z95)
		s.Table("bins").Add(m.Name, objective, i+1, float64(from), float64(to), e.Value, lo, hi)
		if d := math.Abs(e.Value - 1); d > worst {
			worst, low, high = d, lo-1, hi-1
			worstBin = fmt.Sprintf("λ from %s to %s", minus(float64(from)), minus(float64(to)))
			if e.Value < 1 {
				low, high = 1-hi, 1-lo
			}
		}
		from = to
	}
	s.Find(study.Finding{
		Claim:    fmt.Sprintf("The learned density is p* ∝ w √E l² within 10 %% in every bin: %s, %s.", m.Name, objective),
		Expected: "≤ 0.1", Measured: worst, Interval: []float64{low, high}, Source: "kingma2021", Holds: study.Holds(worst <= 0.1),
		Remark: fmt.Sprintf("The largest of %d bins that p* fills evenly, %s. The interval is that of p*, which is measured.", l.Bins, worstBin),
	})
	return nil
}

// costs makes schedules of constant cost, and samples on them.
func (l *LearnedSchedule) costs(ctx context.Context, s *study.Study, m *Model, rows int, cosine snr.Density) error {
	key := rng.New(uint64(l.Key)).Split("costs", 0)
	at := evenLevels(l.Min, l.Max, l.Levels)
	lambda := make([]float64, len(at))
	for i, v := range at {
		lambda[i] = float64(v)
	}
	var found []namedDensity
	for i, name := range costNames {
		p, err := costDensity(ctx, name, m, lambda, min(rows, 4096), key)
		if err != nil {
			return err
		}
		// What is spent, as an integral of the same log-linear curve.
		spent := func(d snr.Density) (tenths [10]float64) {
			for k := range tenths {
				a, b := d.Quantile(float64(k)/10, 1-float64(k)/10), d.Quantile(float64(k+1)/10, 1-float64(k+1)/10)
				x, _ := p.CDF(a)
				y, _ := p.CDF(b)
				tenths[9-k] = 10 * (y - x) // time runs from clean to noisy
			}
			return tenths
		}
		most := 0.0
		for _, d := range []namedDensity{{"constant cost", p}, {"cosine", cosine}} {
			for k, v := range spent(d) {
				s.Table("cost").Add(costNames[i], d.name, k+1, v)
				if d.name == "cosine" {
					most = max(most, v)
				}
			}
		}
		s.Find(study.Finding{
			Claim:    fmt.Sprintf("Cosine spends its times unevenly, counted in %s on %s.", costNames[i], m.Name),
			Expected: "1 on the schedule of constant cost", Measured: most, Holds: study.Reported,
			Remark: "What the dearest tenth of the time spends over the mean. " + costRemarks[i],
		})
		found = append(found, namedDensity{"constant " + costNames[i], p})
	}
	return l.sample(ctx, s, m, append(found, namedDensity{"cosine", cosine}), key)
}

var costRemarks = []string{
	"Difficulty is the loss of the best linear denoiser in v units.",
	"Entropy is what x_λ tells of x₀, ½ mse_ε nats for each unit of λ.",
	"Local error is the root of that of a DDIM step, whose order is two: n steps of equal error.",
}

// sample runs DDIM on equal times of schedules.
func (l *LearnedSchedule) sample(ctx context.Context, s *study.Study, m *Model, list []namedDensity, key rng.Key) error {
	const rows = 1024
	dim := models.Dim(m)
	start := schedules.LevelAt(schedules.FromDensity{Of: list[0].Density, To: schedules.VPPath{}}, snr.LogSNR(l.Min))
	x := make([]float64, rows*dim)
	keys := solvers.RowKeys(key, 0, rows)
	if err := m.Sample(x, start, nil, keys); err != nil {
		return err
	}
	ddim, err := solvers.Parse("ddim")
	if err != nil {
		return err
	}
	grid := func(d snr.Density, n int) (schedules.Grid, error) {
		return schedules.UniformT{}.Grid(schedules.FromDensity{Of: d, To: schedules.VPPath{}}, n)
	}
	fine, err := grid(list[0].Density, 1)
	if err != nil {
		return err
	}
	exact, err := solvers.Reference{RTol: 1e-8}.Solve(ctx, solvers.Problem{Denoiser: m, Grid: fine}, x)
	if err != nil {
		return err
	}
	last := exact.X[len(exact.X)-1]
	cosine, best := map[int]float64{}, map[int]string{}
	least := map[int]float64{}
	for _, d := range list {
		for _, n := range l.Steps {
			g, err := grid(d.Density, n)
			if err != nil {
				return err
			}
			end, err := solvers.Sample(ctx, ddim, solvers.Problem{Denoiser: m, Grid: g}, slices.Clone(x))
			if err != nil {
				return err
			}
			e, err := metrics.RowErrors(metrics.Samples{X: end, Dim: dim}, metrics.Samples{X: last, Dim: dim})
			if err != nil {
				return err
			}
			square := make([]float64, rows)
			for i, v := range e {
				square[i] = v * v
			}
			mean, _ := variancesOf(square)
			lo, hi := mean.Within(z95)
			rmse := math.Sqrt(mean.Value)
			s.Table("sampling").Add(d.name, n, rmse, math.Sqrt(max(lo, 0)), math.Sqrt(hi))
			if v, ok := least[n]; !ok || rmse < v {
				least[n], best[n] = rmse, d.name
			}
			if d.name == "cosine" {
				cosine[n] = rmse
			}
		}
	}
	n := slices.Max(l.Steps)
	s.Find(study.Finding{
		Claim:    "Equal times of the schedule of constant local error suit DDIM better than cosine's.",
		Expected: "the smallest error at every number of steps", Measured: least[n] / cosine[n], Holds: study.Holds(!slices.ContainsFunc(l.Steps, func(n int) bool { return best[n] != "constant local-error" })),
		Remark: fmt.Sprintf("Smallest error over cosine's at %d steps, on the schedule of %s.", n, best[n]),
	})
	return nil
}
