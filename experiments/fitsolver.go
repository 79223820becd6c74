package experiments

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"snrlab/internal/runfile"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
	"snrlab/tune"
)

// FitSolver fits a solver end to end to an exact model and measures it on starts
// that the fit has not seen.
type FitSolver struct {
	Model      string  `json:"model"`
	Family     string  `json:"family"`  // see tune.Families
	Rule       string  `json:"rule"`    // of family grid
	Spacing    string  `json:"spacing"` // of families amed and amed-net, whose grid is not fitted
	NFE        int     `json:"nfe"`
	Hidden     int     `json:"hidden"` // units of a gate, of family gated
	Noisy      float64 `json:"smax"`   // σ/α of both ends
	Clean      float64 `json:"smin"`
	Rows       int     `json:"rows"`  // starts that are fitted to
	Fresh      int     `json:"fresh"` // starts that are measured on
	Starts     int     `json:"starts"`
	Iterations int     `json:"iterations"`
	Key        int64   `json:"key"` // of the starts that are fitted to; the fresh ones have their own
	RTol       float64 `json:"rtol"`
}

// DefaultFitSolver is a fit that takes a minute.
func DefaultFitSolver() FitSolver {
	f := tune.DefaultFit("triangle", 8)
	return FitSolver{
		Model: "gm2d", Family: f.Family, Rule: f.Rule, Spacing: "karras", NFE: f.NFE, Hidden: f.Hidden, Noisy: 80, Clean: 0.002,
		Rows: 8192, Fresh: 16384, Starts: f.Starts, Iterations: f.Iterations, Key: 1, RTol: 1e-10,
	}
}

func (f FitSolver) fit() tune.Fit {
	return tune.Fit{
		Family: f.Family, Rule: f.Rule, NFE: f.NFE, Hidden: f.Hidden, Starts: f.Starts, Iterations: f.Iterations,
		Key: rng.New(uint64(f.Key)).Split("gates", 0),
	}
}

// Validate reports the first setting that cannot be used.
func (f FitSolver) Validate() error {
	switch {
	case f.Rows < 1 || f.Fresh < 1:
		return fmt.Errorf("experiments: rows = %d, fresh = %d: expected at least 1", f.Rows, f.Fresh)
	case !(f.RTol >= 1e-14 && f.RTol <= 1e-2):
		return fmt.Errorf("experiments: rtol = %g: expected 1e-14 to 0.01", f.RTol)
	case !(f.Noisy > f.Clean && f.Clean > 0):
		return fmt.Errorf("experiments: smax = %g, smin = %g: expected smax > smin > 0", f.Noisy, f.Clean)
	}
	if f.stepwise() {
		switch {
		case f.NFE < 2 || f.NFE%2 != 0:
			return fmt.Errorf("experiments: nfe = %d: expected an even number, AMED asks twice a step", f.NFE)
		case f.Family == "amed-net" && (f.Hidden < 1 || f.Hidden > 4096):
			return fmt.Errorf("experiments: hidden = %d: expected 1 to 4096", f.Hidden)
		case f.Iterations < 1:
			return fmt.Errorf("experiments: iterations = %d: expected at least 1", f.Iterations)
		}
		_, err := schedules.ParseSpacing(f.Spacing)
		return err
	}
	return f.fit().Validate()
}

// amedLeague is no league of the others: the grid is given and steps are fitted
// one by one.
const amedLeague = "AMED, step by step on a given grid"

// stepwise reports a fit that is no end-to-end one: AMED's, step by step on a
// given grid.
func (f FitSolver) stepwise() bool { return f.Family == "amed" || f.Family == "amed-net" }

// amed fits AMED on the grid of f.Spacing.
func (f FitSolver) amed(ctx context.Context, t *tune.Task) (file solvers.FittedFile, s solvers.Solver, levels []float64, err error) {
	spacing, err := schedules.ParseSpacing(f.Spacing)
	if err != nil {
		return file, nil, nil, err
	}
	g, err := spacing.Grid(schedules.EDM{SMin: f.Clean, SMax: f.Noisy}, f.NFE/2)
	if err != nil {
		return file, nil, nil, err
	}
	for _, l := range g {
		levels = append(levels, l.Noise())
	}
	if f.Family == "amed" {
		shared, err := tune.SharedR(ctx, t, levels, 197)
		if err != nil {
			return file, nil, nil, err
		}
		file.S, file.Use = levels, shared.String()
		return file, *shared, levels, nil
	}
	a := tune.AMED{Grid: levels, Hidden: f.Hidden, CRange: 0.01, Iterations: f.Iterations, Rounds: f.Starts, Key: f.fit().Key}
	if file.AMED, _, err = a.Run(ctx, t); err != nil {
		return file, nil, nil, err
	}
	return file, file.AMED, levels, nil
}

// FitSolverReport is what a fit reached. It is stored in the file of the solver.
type FitSolverReport struct {
	FitSolver
	League  string      `json:"league"`
	Tuning  tune.Errors `json:"tuning"`           // on the starts that were fitted to
	Unseen  tune.Errors `json:"unseen"`           // on the fresh ones
	Seconds float64     `json:"-"`                // of this run
	File    string      `json:"-"`                //
	Command string      `json:"command"`          // that makes the file
	Version string      `json:"version"`          //
	Levels  []float64   `json:"-"`                // of the grid, σ/α
	Solver  string      `json:"-"`                // by name
	Inputs  []string    `json:"inputs,omitempty"` // hashes of the model's data
}

// progressFile is where a fit under way is kept.
type progressFile struct {
	FitSolver
	Progress tune.Progress `json:"progress"`
}

// Run fits and writes the solver to path, which appears whole or not at all. While
// the fit is under way path + ".part" holds where it is, and a fit with the same
// settings goes on from there. progress, where not nil, hears of improvements.
func (f FitSolver) Run(ctx context.Context, path string, o Options, progress func(tune.Progress)) (*FitSolverReport, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if err := cmp.Or(os.MkdirAll(filepath.Dir(path), 0o755), canWrite(filepath.Dir(path))); err != nil {
		return nil, fmt.Errorf("experiments: cannot write %s: %w", path, err)
	}
	begun := time.Now()
	model, err := OpenModel(f.Model, o)
	if err != nil {
		return nil, err
	}
	fit, ok := model.Exact.(tune.Model)
	if !ok {
		return nil, fmt.Errorf("experiments: field model: %s does not know the derivatives that a fit follows", f.Model)
	}
	if f.stepwise() {
		return f.runStepwise(ctx, fit, path, begun)
	}
	part := path + ".part"
	from, err := f.resume(part)
	if err != nil {
		return nil, err
	}
	tuning, err := tune.NewTask(ctx, fit, f.Noisy, f.Clean, f.Rows, rng.New(uint64(f.Key)).Split("tuning", 0), f.RTol)
	if err != nil {
		return nil, err
	}
	saved := time.Now()
	fitted, err := f.fit().Run(ctx, tuning, from, func(p tune.Progress) {
		if progress != nil {
			progress(p)
		}
		if time.Since(saved) > 5*time.Second {
			saved = time.Now()
			// A fit that cannot be gone on with is still a fit.
			_ = writeJSON(part, progressFile{f, p})
		}
	})
	if err != nil {
		return nil, err
	}
	r := &FitSolverReport{FitSolver: f, File: path, Command: f.command(path), Version: Version(), Levels: fitted.Grid}
	for _, fam := range tune.Families() {
		if fam.Name == f.Family {
			r.League = fam.League
		}
	}
	file := solvers.FittedFile{Linear: fitted.Linear, Gated: fitted.Gated}
	var s solvers.Solver = fitted.Linear
	switch {
	case fitted.Rule != "":
		file.S, file.Use = fitted.Grid, fitted.Rule
		if s, err = solvers.Parse(fitted.Rule); err != nil {
			return nil, err
		}
	case fitted.Gated != nil:
		s = fitted.Gated
	}
	if err := r.write(ctx, fit, tuning, s, file, begun); err != nil {
		return nil, err
	}
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return r, nil
}

// runStepwise is Run for AMED.
func (f FitSolver) runStepwise(ctx context.Context, m tune.Model, path string, begun time.Time) (*FitSolverReport, error) {
	tuning, err := tune.NewTask(ctx, m, f.Noisy, f.Clean, f.Rows, rng.New(uint64(f.Key)).Split("tuning", 0), f.RTol)
	if err != nil {
		return nil, err
	}
	file, s, levels, err := f.amed(ctx, tuning)
	if err != nil {
		return nil, err
	}
	r := &FitSolverReport{FitSolver: f, League: amedLeague, File: path, Command: f.command(path), Version: Version(), Levels: levels}
	return r, r.write(ctx, m, tuning, s, file, begun)
}

// write measures a solver and writes its file.
func (r *FitSolverReport) write(ctx context.Context, m tune.Model, tuning *tune.Task, s solvers.Solver, file solvers.FittedFile, begun time.Time) (err error) {
	f := r.FitSolver
	if r.Tuning, err = tuning.Run(ctx, s, r.Levels); err != nil {
		return err
	}
	unseen, err := tune.NewTask(ctx, m, f.Noisy, f.Clean, f.Fresh, freshKey(f.Key), f.RTol)
	if err != nil {
		return err
	}
	if r.Unseen, err = unseen.Run(ctx, s, r.Levels); err != nil {
		return err
	}
	if file.Fit, err = json.Marshal(r); err != nil {
		return err
	}
	if err := file.Write(r.File); err != nil {
		return err
	}
	r.Seconds, r.Solver = time.Since(begun).Seconds(), "fitted(file="+r.File+")"
	return nil
}

// freshKey is the root of starts that no fit of the key has seen.
func freshKey(key int64) rng.Key { return rng.New(uint64(key)).Split("unseen", 0) }

func (f FitSolver) command(path string) string {
	c := fmt.Sprintf("snrlab fit-solver --model %s --family %s --nfe %d --rows %d --fresh %d --starts %d --iterations %d --key %d --smax %g --smin %g",
		f.Model, f.Family, f.NFE, f.Rows, f.Fresh, f.Starts, f.Iterations, f.Key, f.Noisy, f.Clean)
	if f.RTol != DefaultFitSolver().RTol {
		c += fmt.Sprintf(" --rtol %g", f.RTol)
	}
	if f.Family == "grid" {
		c += fmt.Sprintf(" --rule '%s'", f.Rule)
	}
	if f.stepwise() {
		c += fmt.Sprintf(" --spacing '%s'", f.Spacing)
	}
	if f.Family == "gated" || f.Family == "amed-net" {
		c += fmt.Sprintf(" --hidden %d", f.Hidden)
	}
	return c + " --file " + path
}

// resume reads where a fit of the same settings was; nil for none.
func (f FitSolver) resume(part string) (*tune.Progress, error) {
	text, err := os.ReadFile(part)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var p progressFile
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("experiments: %s: %w: remove the file to begin anew", part, err)
	}
	if p.FitSolver != f {
		return nil, fmt.Errorf("experiments: %s belongs to a fit of other settings (%s): finish that, or remove the file", part, p.command(part[:len(part)-len(".part")]))
	}
	return &p.Progress, nil
}

func writeJSON(path string, v any) error {
	return runfile.WriteFile(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(v) })
}

// Text writes the report for people.
func (r *FitSolverReport) Text(w io.Writer) error {
	t := new(table)
	t.line("%s of %s at %d evaluations, in the league of %s: %s", r.Family, r.Model, r.NFE, r.League, r.File)
	t.row("starts", "rows", "RMSE", "median", "99 %", "largest")
	for _, e := range []struct {
		name string
		tune.Errors
	}{{"fitted to", r.Tuning}, {"fresh", r.Unseen}} {
		t.row(e.name, fmt.Sprint(e.Rows), number(e.RMSE), number(e.Median), number(e.P99), number(e.Max))
	}
	t.line("grid: --spacing '%s'", &schedules.List{Sigmas: r.Levels})
	t.line("solver: --solvers '%s'", r.Solver)
	return t.flush(w)
}
