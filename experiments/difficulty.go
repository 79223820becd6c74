package experiments

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"snrlab/internal/study"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
)

// Difficulty is the recipe that shows how hard each noise level is: the loss of
// denoisers by λ beside what no denoiser can do without, and how the levels agree on
// what a small network should learn.
type Difficulty struct {
	Header
	studied
	Models    []string  `toml:"models" json:"models"`       // see [Models]
	Rows      []int     `toml:"rows" json:"rows"`           // draws of (x₀, ε), for each model
	Denoisers []string  `toml:"denoisers" json:"denoisers"` // "exact", "scaled", "widened", "gaussian", "affine"
	Min       float64   `toml:"min" json:"min"`             // ends of λ
	Max       float64   `toml:"max" json:"max"`
	Levels    int       `toml:"levels" json:"levels"`
	Pivots    []float64 `toml:"pivots" json:"pivots"` // levels whose gradient is held against that of all
	Key       int64     `toml:"key" json:"key"`
}

// DefaultDifficulty returns a Difficulty that needs no other field.
func DefaultDifficulty() Difficulty {
	return Difficulty{
		Header: Header{Kind: "difficulty", Name: "difficulty"},
		Models: []string{"gm2d"}, Rows: []int{8192}, Denoisers: []string{"exact", "scaled", "widened", "gaussian", "affine"},
		Min: -14, Max: 14, Levels: 57, Pivots: []float64{-4, 0, 4}, Key: 1,
	}
}

// Validate reports fields that cannot be used.
func (d *Difficulty) Validate() error {
	for _, name := range d.Denoisers {
		if err := oneOf("denoisers", name, denoiserNames...); err != nil {
			return err
		}
	}
	if n := len(d.Rows); n != len(d.Models) {
		return fmt.Errorf("field rows holds %d numbers for %d models: expected one for each", n, len(d.Models))
	}
	for _, l := range d.Pivots {
		if !(l >= d.Min && l <= d.Max) {
			return fmt.Errorf("field pivots holds %g: expected levels from min = %g to max = %g", l, d.Min, d.Max)
		}
	}
	return cmp.Or(
		distinct("models", d.Models),
		each("rows", d.Rows, 2*lossGroups, 1<<20),
		distinct("denoisers", d.Denoisers),
		bounds(d.Min, d.Max),
		inside("levels", d.Levels, 4, 1<<12),
		distinct("pivots", d.Pivots),
		inside("key", d.Key, 0, math.MaxInt64),
	)
}

func (d *Difficulty) seed() uint64 { return uint64(d.Key) }

func (d *Difficulty) uses() uses {
	return uses{names: d.Models, keys: []string{"kingma2023", "guo2005"}}
}

func (d *Difficulty) plan(p *Plan, o Options) (job, error) {
	list, err := openModels(p, d.Models, o)
	if err != nil {
		return nil, err
	}
	for i, m := range list {
		for _, name := range d.Denoisers {
			if _, err := degraded(name, m); err != nil {
				return nil, fmt.Errorf("field denoisers: %w", err)
			}
		}
		p.Parts = append(p.Parts, PlanPart{Name: m.Name, Evals: int64(d.Rows[i]) * int64(d.Levels) * int64(2*len(d.Denoisers)+1)})
	}
	loss := study.Panel{X: "lambda", Series: "denoiser", LogY: true}
	s := &study.Study{
		Title: "How hard each noise level is",
		Held: fmt.Sprintf("%d levels from λ = %s to %s on the variance-preserving path; at every level the same draws of (x₀, ε) of the key %d, the same for every denoiser. "+
			"scaled answers 0.9 times the exact denoiser, widened believes twice the covariances, gaussian knows mean and covariance alone, affine is an untrained network behind EDM's preconditioning. "+
			"Numbers are by value of a sample. Intervals are 95 %%.", d.Levels, minus(d.Min), minus(d.Max), d.Key),
		Tables: []*study.Table{
			{
				Name: "loss", Caption: "The loss by level: in x₀ units, in ε units and in v units.",
				Columns: []study.Column{
					{Name: "model", Text: true},
					{Name: "denoiser", Text: true},
					{Name: "lambda", Label: "λ = log(α²/σ²)"},
					{Name: "mse", Label: "E|x₀ − D|²"},
					{Name: "mse_lo"},
					{Name: "mse_hi"},
					{Name: "eps", Label: "E|ε − e|²"},
					{Name: "eps_lo"},
					{Name: "eps_hi"},
					{Name: "v", Label: "E|v − v̂|²"},
					{Name: "v_lo"},
					{Name: "v_hi"},
					{Name: "excess", Label: "E|D − D*|²", Help: "of the exact denoiser D*"},
					{Name: "excess_lo"},
					{Name: "excess_hi"},
					{Name: "excess_v", Label: "excess in v units"},
					{Name: "excess_v_lo"},
					{Name: "excess_v_hi"},
				},
			},
			{
				Name: "agreement", Caption: "Cosine between the mean gradients of an untrained affine network at two levels.",
				Columns: []study.Column{{Name: "model", Text: true}, {Name: "pivot", Label: "pivot"}, {Name: "lambda", Label: "λ = log(α²/σ²)"}, {Name: "cosine", Label: "agreement of gradients", Help: "an estimate: beyond 1 where a small gradient is lost in the draws"}},
			},
		},
	}
	for i, name := range d.Models {
		where := map[string]string{"model": name}
		eps, excess, agree := loss, loss, study.Panel{X: "lambda", Y: []string{"cosine"}, Series: "pivot", Where: where, YRange: []float64{-1.05, 1.05}, Title: name, Draw: study.Lines}
		eps.Title, eps.Where, eps.Y, eps.Low, eps.High = name+", loss in v units", where, []string{"v"}, []string{"v_lo"}, []string{"v_hi"}
		excess.Title, excess.Where, excess.Y, excess.Low, excess.High = name+", above the exact denoiser", where, []string{"excess_v"}, []string{"excess_v_lo"}, []string{"excess_v_hi"}
		for _, l := range d.Pivots {
			agree.Vertical = append(agree.Vertical, study.Mark{At: l})
		}
		s.Figures = append(s.Figures,
			study.Figure{Name: fmt.Sprintf("loss-%d", i+1), Title: "Loss by noise level: " + name, Caption: "In v units, in which an untrained network has about the same loss everywhere. Left the whole loss, right what is the denoiser's own. Bars are 95 % intervals.", Table: "loss", Panels: []study.Panel{eps, excess}},
			study.Figure{Name: fmt.Sprintf("agreement-%d", i+1), Title: "What levels want of a shared network: " + name, Caption: "Cosine between the mean gradient at λ and that at a pivot (vertical lines), one scale and one shift for each value, untrained. Levels whose gradient is not above the noise are left out.", Table: "agreement", Panels: []study.Panel{agree}},
		)
	}
	return studyJob(d, s, func(ctx context.Context, r *run) error {
		for i, m := range list {
			if err := d.measure(ctx, r, s, m, d.Rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *Difficulty) measure(ctx context.Context, r *run, s *study.Study, m *Model, rows int) error {
	at := evenLevels(d.Min, d.Max, d.Levels)
	key := rng.New(uint64(d.Key)).Split(m.Name, 0)
	dim := float64(models.Dim(m))
	worst, worstOf := 0.0, ""
	hardest, ends := math.NaN(), 0.0
	for _, name := range d.Denoisers {
		den, err := degraded(name, m)
		if err != nil {
			return err
		}
		list, err := cell(ctx, r, m.Name+"-"+name, int64(2*rows*d.Levels), func(ctx context.Context) (*[]levelLoss, error) {
			list, err := metrics.Difficulties(ctx, den, m, at, rows, key)
			if err != nil {
				return nil, err
			}
			r.progress.add(int64(2 * rows * d.Levels))
			out := make([]levelLoss, len(list))
			for i, v := range list {
				out[i] = levelLoss{v.MSE, v.Exact, v.Excess}
			}
			return &out, nil
		})
		if err != nil {
			return err
		}
		peak := 0.0
		for i, v := range *list {
			l := at[i]
			row := []any{m.Name, name, float64(l)}
			for _, e := range []struct {
				metrics.Estimate
				unit snr.Unit
			}{{v.MSE, snr.X0{}}, {v.MSE, snr.Eps{}}, {v.MSE, snr.V{}}, {v.Excess, snr.X0{}}, {v.Excess, snr.V{}}} {
				c := math.Exp(e.unit.Log(l)) / dim
				lo, hi := e.Within(z95)
				row = append(row, c*e.Value, c*max(lo, 0), c*hi)
			}
			s.Table("loss").Add(row...)
			if se := math.Hypot(v.MSE.SE, v.Exact.SE); se > 0 {
				if z := math.Abs(v.MSE.Value-v.Exact.Value-v.Excess.Value) / se; z > worst {
					worst, worstOf = z, fmt.Sprintf("%s at λ = %s", name, minus(float64(l)))
				}
			}
			if c := math.Exp(snr.V{}.Log(l)) * v.Excess.Value; name == "gaussian" && c > peak {
				peak, hardest = c, float64(l)
			}
		}
		if last := len(*list) - 1; name == "gaussian" {
			for _, i := range []int{0, last} {
				ends = max(ends, math.Exp(snr.V{}.Log(at[i]))*(*list)[i].Excess.Value/peak)
			}
		}
		if name == "exact" {
			if err := d.entropy(s, m, *list, at, key, rows); err != nil {
				return err
			}
		}
	}
	s.Find(study.Finding{
		Claim:    fmt.Sprintf("On %s the loss of a denoiser is that of the exact one and its squared distance from it: nothing else.", m.Name),
		Expected: "within 4.5 standard errors at every level", Measured: worst, Unit: "standard errors", Holds: study.Holds(worst < 4.5), Remark: "At worst " + worstOf + ".",
	})
	if !math.IsNaN(hardest) {
		s.Find(study.Finding{
			Claim:    fmt.Sprintf("On %s levels are tasks of unequal difficulty, the hardest at intermediate noise: there most is left to learn beyond mean and covariance.", m.Name),
			Expected: "a peak inside the range, and less than a tenth of it at both ends", Measured: hardest, Unit: "λ", Source: "kingma2023", Holds: study.Holds(ends < 0.1),
			Remark: fmt.Sprintf("Where the loss of the best linear denoiser above that of the exact one is largest, in v units; at the ends it is at most %.2g of that. ", ends) + "The loss of the exact denoiser itself has no peak: in ε units it rises with λ, in x₀ units it falls.",
		})
	}
	return d.agreement(ctx, r, s, m, at, rows, key)
}

// levelLoss is what is kept of a [metrics.Difficulty].
type levelLoss struct{ MSE, Exact, Excess metrics.Estimate }

// entropy holds the entropy that the loss of the exact denoiser gives,
// h = ½ log 2πe − ½ ∫[sigmoid(λ) − mse_ε] dλ for each value, against the mean of
// −log p(x₀).
func (d *Difficulty) entropy(s *study.Study, m *Model, list []levelLoss, at []snr.LogSNR, key rng.Key, rows int) error {
	dim := models.Dim(m)
	x, log := make([]float64, rows*dim), make([]float64, rows)
	keys := make([]rng.Key, rows)
	for i := range keys {
		keys[i] = key.Split("density", uint64(i))
	}
	// Both at the noise of the clean end, so that thin laws have a density too.
	end := at[len(at)-1]
	level := schedules.Level{T: math.NaN(), Alpha: 1, Sigma: end.Sigma()}
	if err := m.Sample(x, level, nil, keys); err != nil {
		return err
	}
	if err := m.LogDensity(log, models.Query{X: x, Rows: rows, At: []schedules.Level{level}}); err != nil {
		return err
	}
	for i := range log {
		log[i] = -log[i] / float64(dim)
	}
	mean := metrics.Mean(log)
	spread := 0.0
	for _, v := range log {
		spread += (v - mean) * (v - mean) / float64(rows-1)
	}
	se := math.Sqrt(spread / float64(rows))
	// h(x₀ + ŝ ε) = ½ log(2πe ŝ²) + I, with I = ½ ∫ mse_ε dλ up to that level by I-MMSE; below
	// the first level mse is the total variance.
	total, err := totalOf(m, -1)
	if err != nil {
		return err
	}
	info, noise := total*at[0].SNR()/2, 0.0
	step := float64(at[1] - at[0])
	for i, v := range list {
		w := step / 2
		if i == 0 || i == len(list)-1 {
			w /= 2
		}
		info += w * at[i].SNR() * v.Exact.Value
		noise += w * at[i].SNR() * v.Exact.SE // common draws: errors add up
	}
	h := math.Log(2*math.Pi*math.E)/2 - float64(end)/2 + info/float64(dim)
	both := math.Hypot(se, noise/float64(dim))
	s.Find(study.Finding{
		Claim:    fmt.Sprintf("The loss of the exact denoiser of %s is its entropy: −log p on average is ½ log 2πe − ½ ∫[sigmoid(λ) − mse_ε] dλ for each value.", m.Name),
		Expected: fmt.Sprintf("%.4f ± %.4f nat for each value, the mean of −log p", mean, z95*se), Measured: h, Unit: "nat", Interval: []float64{h - z95*noise/float64(dim), h + z95*noise/float64(dim)}, Source: "guo2005",
		Holds:  study.Holds(math.Abs(h-mean) < 3*both+1e-3*math.Abs(mean)),
		Remark: fmt.Sprintf("Both of x₀ + σε at λ = %s; trapezia of %s in λ.", minus(float64(end)), minus(step)),
	})
	return nil
}

// agreement fills in the cosines between gradients.
func (d *Difficulty) agreement(ctx context.Context, r *run, s *study.Study, m *Model, at []snr.LogSNR, rows int, key rng.Key) error {
	net, err := untrained(m)
	if err != nil {
		return err
	}
	all := append(append([]snr.LogSNR{}, at...), make([]snr.LogSNR, len(d.Pivots))...)
	for i, l := range d.Pivots {
		all[len(at)+i] = snr.LogSNR(l)
	}
	list, err := metrics.Gradients(ctx, net, m, all, rows, 1, key.Split("gradients", 0))
	if err != nil {
		return err
	}
	r.progress.add(int64(rows * d.Levels))
	least, between := 1.0, ""
	for i, pivot := range d.Pivots {
		for k, l := range at {
			c := metrics.Agreement(list[len(at)+i], list[k])
			s.Table("agreement").Add(m.Name, pivot, float64(l), c)
			if c < least {
				least, between = c, fmt.Sprintf("λ = %s and %s", minus(pivot), minus(float64(l)))
			}
		}
	}
	s.Find(study.Finding{
		Claim:    fmt.Sprintf("On %s levels want different things of a network that they share.", m.Name),
		Expected: "an agreement below 0.5 somewhere", Measured: least, Source: "kingma2023", Holds: study.Holds(least < 0.5),
		Remark: "The smallest cosine between mean gradients of an untrained affine network, between " + between + ".",
	})
	return nil
}
