package experiments

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"snrlab/metrics"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/tune"
)

// FitSchedule makes a schedule for an exact model: the one on which the estimate of a
// training loss varies least, or one on which equal times cost alike.
type FitSchedule struct {
	Model     string  `json:"model"`     // see [Models]
	By        string  `json:"by"`        // "variance", or a cost: "difficulty", "entropy", "local-error"
	Objective string  `json:"objective"` // the loss, by name; of variance
	Min       float64 `json:"min"`       // ends of λ
	Max       float64 `json:"max"`
	Gap       float64 `json:"gap"`    // 0, or nats that each end may cost the variational bound: ends inside min and max are chosen by it
	Knots     int     `json:"knots"`  // of the schedule, evenly in λ
	Rounds    int     `json:"rounds"` // of draws; of variance
	Draws     int     `json:"draws"`  // of (λ, x₀, ε) in each round; of variance
	Rows      int     `json:"rows"`   // draws of (x₀, ε) at each knot: of costs, and for the report
	Path      string  `json:"path"`   // that the name in the report has
	Key       int64   `json:"key"`
}

// fitCosts are what By can name.
var fitCosts = []string{"variance", "difficulty", "entropy", "local-error"}

// DefaultFitSchedule is a fit of seconds.
func DefaultFitSchedule() FitSchedule {
	return FitSchedule{Model: "gm2d", By: "variance", Objective: "elbo", Min: -15, Max: 15, Knots: 41, Rounds: 3, Draws: 20_000, Rows: 4096, Path: "vp", Key: 1}
}

// Validate reports the first setting that cannot be used.
func (f FitSchedule) Validate() error {
	if err := cmp.Or(
		required("model", f.Model),
		oneOf("by", f.By, fitCosts...),
		bounds(f.Min, f.Max),
		inside("knots", f.Knots, 2, 1<<12),
		inside("rounds", f.Rounds, 1, 64),
		inside("draws", f.Draws, 2*f.Knots, 1<<22),
		inside("rows", f.Rows, 2*lossGroups, 1<<20),
		inside("key", f.Key, 0, math.MaxInt64),
	); err != nil {
		return fmt.Errorf("experiments: %w", err)
	}
	if !(f.Gap >= 0) || math.IsInf(f.Gap, 1) {
		return fmt.Errorf("experiments: field gap is %g: expected a number of nats, or 0 to keep min and max", f.Gap)
	}
	if _, err := schedules.ParsePath(f.Path); err != nil {
		return fmt.Errorf("experiments: field path: %w", err)
	}
	if f.By == "variance" {
		if _, err := cutLoss(f.Objective, f.Min, f.Max); err != nil {
			return fmt.Errorf("experiments: field objective: %w", err)
		}
	}
	return nil
}

// FitScheduleReport is what a fit found. It is stored in the file of the schedule.
type FitScheduleReport struct {
	FitSchedule
	Version string   `json:"version"`
	Inputs  []string `json:"inputs,omitempty"` // hashes of the model's data
	Ends    []Number `json:"ends"`             // λ of the schedule
	Lines   []Number `json:"variance"`         // of one draw of the loss: on the objective's own density, learned, and the least there is
	Ratio   []Number `json:"ratio"`            // learned over the objective's own, and its 95 % interval
	Levels  []Number `json:"levels"`           // λ at the times 0, 0.1, … 1
	File    string   `json:"-"`
	Name    string   `json:"-"` // of the schedule
}

// Run fits and writes the schedule to path, which appears whole or not at all.
func (f FitSchedule) Run(ctx context.Context, path string, o Options) (*FitScheduleReport, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if err := cmp.Or(os.MkdirAll(filepath.Dir(path), 0o755), canWrite(filepath.Dir(path))); err != nil {
		return nil, fmt.Errorf("experiments: cannot write %s: %w", path, err)
	}
	m, err := OpenModel(f.Model, o)
	if err != nil {
		return nil, err
	}
	r := &FitScheduleReport{FitSchedule: f, Version: Version(), File: path}
	if f.Gap > 0 {
		if f.Min, f.Max, err = f.ends(ctx, m); err != nil {
			return nil, fmt.Errorf("experiments: fit-schedule: %w", err)
		}
	}
	r.Ends = []Number{Number(f.Min), Number(f.Max)}
	for _, sum := range m.Inputs {
		r.Inputs = append(r.Inputs, sum)
	}
	slices.Sort(r.Inputs)
	var d *snr.LogLinear
	if f.By == "variance" {
		d, err = f.learn(ctx, m, r)
	} else {
		d, err = f.constant(ctx, m)
	}
	if err != nil {
		return nil, fmt.Errorf("experiments: fit-schedule: %w", err)
	}
	for i := range 11 {
		t := float64(i) / 10
		r.Levels = append(r.Levels, Number(d.Quantile(1-t, t)))
	}
	file := schedules.LearnedFile{Knots: d.Knots, Log: d.Log}
	if file.Fit, err = json.Marshal(r); err != nil {
		return nil, err
	}
	if err := file.Write(path); err != nil {
		return nil, err
	}
	s, err := schedules.Parse(fmt.Sprintf("learned(file=%s,path=%s)", path, f.Path))
	if err != nil {
		return nil, err
	}
	r.Name = s.String()
	return r, nil
}

// ends chooses the ends by the prior and the reconstruction.
func (f FitSchedule) ends(ctx context.Context, m *Model) (noisy, clean float64, err error) {
	const n = 121
	list, err := metrics.Difficulties(ctx, m, m, evenLevels(f.Min, f.Max, n), f.Rows, rng.New(uint64(f.Key)).Split("ends", 0))
	if err != nil {
		return 0, 0, err
	}
	lambda, mse := make([]float64, n), make([]float64, n)
	for i, d := range list {
		lambda[i], mse[i] = float64(d.Lambda), d.Exact.Value
	}
	mom, err := m.Moments(schedules.Level{Alpha: 1}, -1)
	if err != nil {
		return 0, 0, err
	}
	square := mom.Total()
	for _, v := range mom.Mean {
		square += v * v
	}
	return tune.Ends(lambda, mse, models.Dim(m), square, f.Gap)
}

// learn fits the schedule of least variance, and holds it against draws of another key.
func (f FitSchedule) learn(ctx context.Context, m *Model, r *FitScheduleReport) (*snr.LogLinear, error) {
	loss, err := cutLoss(f.Objective, f.Min, f.Max)
	if err != nil {
		return nil, err
	}
	key := rng.New(uint64(f.Key))
	fit := tune.ScheduleFit{Objective: loss, Knots: f.Knots, Rounds: f.Rounds, Draws: f.Draws, Key: key.Split("fit", 0)}
	d, err := fit.Run(ctx, m, m, nil)
	if err != nil {
		return nil, err
	}
	list, err := metrics.Difficulties(ctx, m, m, evenLevels(f.Min, f.Max, f.Knots), f.Rows, key.Split("unseen", 0))
	if err != nil {
		return nil, err
	}
	moved, err := loss.Move(d)
	if err != nil {
		return nil, err
	}
	variances := func(out int) (own, learned snr.Stochastic, err error) {
		mom := momentsWithout(list, out)
		if own, err = mom.Estimate(loss); err != nil {
			return own, learned, err
		}
		learned, err = mom.Estimate(moved)
		return own, learned, err
	}
	own, learned, err := variances(-1)
	if err != nil {
		return nil, err
	}
	ratio, err := jackknife(lossGroups, func(out int) (float64, error) {
		a, b, err := variances(out)
		return b.Variance / a.Variance, err
	})
	if err != nil {
		return nil, err
	}
	lo, hi := ratio.Within(z95)
	r.Lines = []Number{Number(own.Variance), Number(learned.Variance), Number(own.Least)}
	r.Ratio = []Number{Number(ratio.Value), Number(lo), Number(hi)}
	return d, nil
}

// constant makes the schedule on which equal times cost alike.
func (f FitSchedule) constant(ctx context.Context, m *Model) (*snr.LogLinear, error) {
	at := evenLevels(f.Min, f.Max, f.Knots)
	lambda := make([]float64, len(at))
	for i, l := range at {
		lambda[i] = float64(l)
	}
	return costDensity(ctx, f.By, m, lambda, f.Rows, rng.New(uint64(f.Key)).Split("cost", 0))
}

// costDensity measures a cost at levels, and makes it constant along t.
func costDensity(ctx context.Context, name string, m *Model, lambda []float64, rows int, key rng.Key) (*snr.LogLinear, error) {
	if name == "local-error" {
		local, err := tune.LocalError(ctx, m, m, lambda, 0.1, rows, key)
		if err != nil {
			return nil, err
		}
		return tune.ConstantCost(lambda, local, 0.5) // DDIM's order is one: n steps of equal error
	}
	linear, err := degraded("gaussian", m)
	if err != nil {
		return nil, err
	}
	at := make([]snr.LogSNR, len(lambda))
	for i, l := range lambda {
		at[i] = snr.LogSNR(l)
	}
	list, err := metrics.Difficulties(ctx, linear, m, at, rows, key)
	if err != nil {
		return nil, err
	}
	cost := make([]float64, len(list))
	for i, d := range list {
		if name == "entropy" {
			cost[i] = d.Lambda.SNR() * d.Exact.Value / 2 // nats for each unit of λ, by I-MMSE
		} else {
			cost[i] = math.Exp(snr.V{}.Log(d.Lambda)) * d.MSE.Value
		}
	}
	return tune.ConstantCost(lambda, cost, 1)
}

// Text writes the report for people.
func (r *FitScheduleReport) Text(w io.Writer) error {
	t := new(table)
	what := "equal times cost alike, counted in " + r.By
	if r.By == "variance" {
		what = "the estimate of " + r.Objective + " varies least"
	}
	t.line("a schedule on which %s: %s, λ from %s to %s: %s", what, r.Model, minus(float64(r.Ends[0])), minus(float64(r.Ends[1])), r.File)
	if r.Gap > 0 {
		t.line("each end costs the variational bound %g nat: the prior at the noisy one, the reconstruction at the clean one", r.Gap)
	}
	if r.By == "variance" {
		t.row("variance of one draw", "")
		for i, name := range []string{"on its own density", "learned", "least there is"} {
			t.row("  "+name, number(float64(r.Lines[i])))
		}
		t.line("learned over its own: %s (%s to %s, 95 %%), on draws that the fit has not seen", number(float64(r.Ratio[0])), number(float64(r.Ratio[1])), number(float64(r.Ratio[2])))
	}
	t.row("t", "λ")
	for i, l := range r.Levels {
		t.row(fmt.Sprintf("%.1f", float64(i)/10), fmt.Sprintf("%.3f", float64(l)))
	}
	t.line("schedule: '%s'", r.Name)
	return t.flush(w)
}
