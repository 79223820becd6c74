package experiments

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"snrlab/internal/study"
	"snrlab/schedules"
	"snrlab/snr"
)

// Losses is the recipe that shows what training losses weigh, and holds them
// against what is said of them. Nothing is sampled: all of it is in closed form.
type Losses struct {
	Header
	studied
	Losses   []string `toml:"losses" json:"losses"`     // weights with their densities, by name
	Same     []string `toml:"same" json:"same"`         // those that are said to have one objective
	Monotone []string `toml:"monotone" json:"monotone"` // those whose objective is said to fall with λ; the others' is said to rise somewhere
	From     float64  `toml:"from" json:"from"`         // range of λ
	To       float64  `toml:"to" json:"to"`
	Bands    int      `toml:"bands" json:"bands"`
	Points   int      `toml:"points" json:"points"`
}

// DefaultLosses returns a Losses that needs no other field.
func DefaultLosses() Losses {
	w := DefaultWeights()
	return Losses{
		Header:   Header{Kind: "losses", Name: "losses"},
		Losses:   w.Recipes,
		Same:     []string{"v-cosine", "rf"},
		Monotone: []string{"v-cosine", "rf"},
		From:     w.From, To: w.To, Bands: w.Bands, Points: w.Points,
	}
}

// options are those of the microscope.
func (l *Losses) options() WeightOptions {
	return WeightOptions{Recipes: l.Losses, Unit: "eps", From: l.From, To: l.To, Bands: l.Bands, Points: l.Points, Axis: "lambda"}
}

// Validate reports fields that cannot be used.
func (l *Losses) Validate() error {
	if err := cmp.Or(distinct("losses", l.Losses), l.options().Validate()); err != nil {
		return err
	}
	if len(l.Same) == 1 {
		return fmt.Errorf("field same holds %s alone: expected two losses or more, or none", l.Same[0])
	}
	for field, names := range map[string][]string{"same": l.Same, "monotone": l.Monotone} {
		for _, name := range names {
			if !slices.Contains(l.Losses, name) {
				return fmt.Errorf("field %s holds %s, which field losses does not", field, name)
			}
		}
	}
	return nil
}

func (l *Losses) resolve() error {
	return cmp.Or(
		resolveNames("losses", l.Losses, schedules.ParseRecipe),
		resolveNames("same", l.Same, schedules.ParseRecipe),
		resolveNames("monotone", l.Monotone, schedules.ParseRecipe),
	)
}

func (l *Losses) uses() uses {
	return uses{names: l.Losses, keys: []string{"kingma2023"}}
}

func (l *Losses) plan(_ *Plan, _ Options) (job, error) {
	report, err := l.options().Run()
	if err != nil {
		return nil, err
	}
	figure := report.figure()
	s := &study.Study{
		Title: "What published training losses weigh",
		Held: fmt.Sprintf("A training loss is known by p·ω, the density of its levels times the weight of the residual, here always counted in ε and for λ from %s to %s. "+
			"Everything is in closed form, no number depends on a key.", minus(l.From), minus(l.To)),
		Tables: []*study.Table{
			{
				Name: "summary", Caption: "Where training happens, and where the objective falls with λ.",
				Columns: []study.Column{
					{Name: "loss", Text: true},
					{Name: "median", Label: "median λ", Help: "of the levels drawn in training"},
					{Name: "low", Label: "5 % below λ"},
					{Name: "high", Label: "5 % above λ"},
					{Name: "middle", Label: "half of p·ω below λ", Help: "in the range of the study"},
					{Name: "rises_share", Label: "share where it rises", Help: "of the levels drawn in training: where p·ω in ε rises with λ"},
					{Name: "objective", Label: "objective", Text: true},
				},
			},
			report.BandTable(), report.Table(),
		},
		Figures: []study.Figure{figure},
	}
	return studyJob(l, s, func(context.Context, *run) error { return l.find(s, report) })
}

// find fills in the summary and the findings.
func (l *Losses) find(s *study.Study, report *WeightReport) error {
	var falls []string
	for _, c := range report.Losses {
		m, err := c.recipe.Monotone()
		if err != nil {
			return err
		}
		if m.Holds() {
			falls = append(falls, c.Name)
		}
		d := c.recipe.Density
		s.Table("summary").Add(c.Name, float64(d.Quantile(0.5, 0.5)), float64(d.Quantile(0.05, 0.95)), float64(d.Quantile(0.95, 0.05)), c.middle(), m.Share, m.String())
	}
	same, monotone := short(l.Same), short(l.Monotone)
	if len(l.Same) > 0 {
		apart, err := l.apart()
		if err != nil {
			return err
		}
		s.Find(study.Finding{
			Claim:    strings.Join(same, " and ") + " are one objective: their p·ω differ by a constant factor alone.",
			Expected: "0, up to rounding (1e-12)", Measured: apart, Source: "kingma2023", Holds: study.Holds(apart < 1e-12),
			Remark: "Largest difference of log p·ω from its mean, over the points of the figure.",
		})
	}
	want := monotone
	slices.Sort(want)
	got := slices.Clone(falls)
	slices.Sort(got)
	list := func(names []string) string { return cmp.Or(strings.Join(names, ", "), "none") }
	s.Find(study.Finding{
		Claim:    "The losses that are a variational bound of data with noise added, because p·ω in ε falls as λ rises, are " + list(want) + ".",
		Expected: list(want), Measured: math.NaN(), Source: "kingma2023", Holds: study.Holds(slices.Equal(got, want)),
		Remark: "Found: " + list(falls) + ". Where the others rise is in summary.csv.",
	})
	return nil
}

// short prints names without the arguments that are at their defaults.
func short(names []string) []string {
	var out []string
	for _, name := range names {
		if r, err := schedules.ParseRecipe(name); err == nil {
			name = r.String()
		}
		out = append(out, name)
	}
	return out
}

// middle is the λ below which half of p·ω in the range lies.
func (c *LossCurve) middle() float64 {
	for i := 1; i < len(c.Points); i++ {
		a, b := c.Points[i-1], c.Points[i]
		if b.Spent >= 0.5 {
			return float64(a.LogSNR + (b.LogSNR-a.LogSNR)*(0.5-a.Spent)/(b.Spent-a.Spent))
		}
	}
	return math.NaN()
}

// apart is the largest difference of log p·ω of the losses in Same from that of
// the first, less its mean.
func (l *Losses) apart() (float64, error) {
	var all []snr.Recipe
	for _, name := range l.Same {
		r, err := schedules.ParseRecipe(name)
		if err != nil {
			return 0, err
		}
		all = append(all, r)
	}
	worst := 0.0
	for _, r := range all[1:] {
		diff, mean := make([]float64, l.Points), 0.0
		for i := range diff {
			x := snr.LogSNR(l.From + (l.To-l.From)*float64(i)/float64(l.Points-1))
			diff[i] = r.LogObjective(x) - all[0].LogObjective(x)
			mean += diff[i] / float64(l.Points)
		}
		for _, d := range diff {
			worst = max(worst, math.Abs(d-mean))
		}
	}
	return worst, nil
}
