package experiments

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
	"snrlab/tune"
)

// OptimizeGrid looks for the best grid of a solver on an exact model, without
// gradients, and measures it on starts that the search has not seen.
type OptimizeGrid struct {
	Model    string  `json:"model"`
	Solver   string  `json:"solver"`
	NFE      int     `json:"nfe"` // evaluations; as many steps as they allow
	Method   string  `json:"method"`
	Teacher  int     `json:"teacher"`
	Paths    int     `json:"paths"`
	Discount float64 `json:"discount"`
	Runs     int     `json:"runs"`
	Noisy    float64 `json:"smax"`
	Clean    float64 `json:"smin"`
	Rows     int     `json:"rows"`
	Fresh    int     `json:"fresh"`
	Key      int64   `json:"key"`
	RTol     float64 `json:"rtol"`
}

// DefaultOptimizeGrid looks for two numbers, which takes seconds.
func DefaultOptimizeGrid() OptimizeGrid {
	s := tune.DefaultGridSearch("two-number", 1)
	return OptimizeGrid{
		Model: "gm2d", Solver: "ipndm(order=3)", NFE: 8, Method: s.Method, Teacher: s.Teacher, Paths: s.Paths, Discount: s.Discount, Runs: s.Runs,
		Noisy: 80, Clean: 0.002, Rows: 1024, Fresh: 8192, Key: 1, RTol: 1e-10,
	}
}

// OptimizeGridReport is what a search found. It is stored in the file of the grid.
type OptimizeGridReport struct {
	OptimizeGrid
	Steps    int         `json:"steps"`
	Tuning   tune.Errors `json:"tuning"`
	Unseen   tune.Errors `json:"unseen"`
	Baseline tune.Errors `json:"baseline"` // the best of karras(rho=3..25) and uniform-lambda on the tuning starts, measured on the fresh ones
	Usual    string      `json:"usual"`    // its name
	Command  string      `json:"command"`
	Version  string      `json:"version"`
	Levels   []float64   `json:"-"`
	File     string      `json:"-"`
}

// Run searches and writes the grid to path, which appears whole or not at all:
// spacing fitted(file=PATH), and the solver on it fitted(file=PATH).
func (g OptimizeGrid) Run(ctx context.Context, path string, o Options) (*OptimizeGridReport, error) {
	switch {
	case g.Rows < 1 || g.Fresh < 1:
		return nil, fmt.Errorf("experiments: rows = %d, fresh = %d: expected at least 1", g.Rows, g.Fresh)
	case !(g.RTol >= 1e-14 && g.RTol <= 1e-2):
		return nil, fmt.Errorf("experiments: rtol = %g: expected 1e-14 to 0.01", g.RTol)
	}
	if err := cmp.Or(os.MkdirAll(filepath.Dir(path), 0o755), canWrite(filepath.Dir(path))); err != nil {
		return nil, fmt.Errorf("experiments: cannot write %s: %w", path, err)
	}
	solver, err := solvers.Parse(g.Solver)
	if err != nil {
		return nil, err
	}
	if solver.Properties().Adaptive {
		return nil, fmt.Errorf("experiments: %s chooses its own steps: expected a solver that walks a grid", solver)
	}
	ends := schedules.EDM{SMin: g.Clean, SMax: g.Noisy}
	steps, _, err := solvers.StepsFor(solver, g.NFE, func(n int) (schedules.Grid, error) { return schedules.UniformLambda{}.Grid(ends, n) })
	if err != nil {
		return nil, err
	}
	search := tune.GridSearch{Method: g.Method, Steps: steps, Teacher: g.Teacher, Paths: g.Paths, Discount: g.Discount, Runs: g.Runs}
	if err := search.Validate(); err != nil {
		return nil, err
	}
	model, err := OpenModel(g.Model, o)
	if err != nil {
		return nil, err
	}
	exact, ok := model.Exact.(tune.Model)
	if !ok {
		return nil, fmt.Errorf("experiments: field model: %s does not give the derivatives of its denoiser", g.Model)
	}
	tuning, err := tune.NewTask(ctx, exact, g.Noisy, g.Clean, g.Rows, rng.New(uint64(g.Key)).Split("tuning", 0), g.RTol)
	if err != nil {
		return nil, err
	}
	levels, err := search.Find(ctx, tuning, solver)
	if err != nil {
		return nil, err
	}
	r := &OptimizeGridReport{OptimizeGrid: g, Steps: steps, Command: g.command(path), Version: Version(), Levels: levels, File: path}
	if r.Tuning, err = tuning.Run(ctx, solver, levels); err != nil {
		return nil, err
	}
	unseen, err := tune.NewTask(ctx, exact, g.Noisy, g.Clean, g.Fresh, freshKey(g.Key), g.RTol)
	if err != nil {
		return nil, err
	}
	if r.Unseen, err = unseen.Run(ctx, solver, levels); err != nil {
		return nil, err
	}
	if err := r.usual(ctx, tuning, unseen, solver, ends); err != nil {
		return nil, err
	}
	file := solvers.FittedFile{S: levels, Use: solver.String()}
	if file.Fit, err = json.Marshal(r); err != nil {
		return nil, err
	}
	return r, file.Write(path)
}

// usual measures the best of the spacings that take no search to speak of.
func (r *OptimizeGridReport) usual(ctx context.Context, tuning, unseen *tune.Task, solver solvers.Solver, ends schedules.EDM) error {
	best, grid := tune.Errors{}, []float64(nil)
	for _, spacing := range []schedules.Spacing{
		schedules.Karras{Rho: 3},
		schedules.Karras{Rho: 5},
		schedules.Karras{Rho: 7},
		schedules.Karras{Rho: 10},
		schedules.Karras{Rho: 15},
		schedules.Karras{Rho: 25},
		schedules.UniformLambda{},
	} {
		g, err := spacing.Grid(ends, r.Steps)
		if err != nil {
			return err
		}
		levels := make([]float64, len(g))
		for i, l := range g {
			levels[i] = l.Noise()
		}
		e, err := tuning.Run(ctx, solver, levels)
		if err != nil {
			return err
		}
		if grid == nil || e.RMSE < best.RMSE {
			best, grid, r.Usual = e, levels, fmt.Sprint(spacing)
		}
	}
	var err error
	r.Baseline, err = unseen.Run(ctx, solver, grid)
	return err
}

func (g OptimizeGrid) command(path string) string {
	c := fmt.Sprintf("snrlab optimize grid --model %s --solver '%s' --nfe %d --method %s --rows %d --fresh %d --key %d --smax %g --smin %g",
		g.Model, g.Solver, g.NFE, g.Method, g.Rows, g.Fresh, g.Key, g.Noisy, g.Clean)
	if g.RTol != DefaultOptimizeGrid().RTol {
		c += fmt.Sprintf(" --rtol %g", g.RTol)
	}
	switch g.Method {
	case "gits", "local":
		c += fmt.Sprintf(" --teacher %d --paths %d --discount %g", g.Teacher, g.Paths, g.Discount)
	case "oss", "curvature":
		c += fmt.Sprintf(" --teacher %d --paths %d", g.Teacher, g.Paths)
	case "refine":
		c += fmt.Sprintf(" --runs %d", g.Runs)
	}
	return c + " --file " + path
}

// Text writes the report for people.
func (r *OptimizeGridReport) Text(w io.Writer) error {
	t := new(table)
	t.line("Grid of %d steps for %s on %s by %s: %s", r.Steps, r.Solver, r.Model, r.Method, r.File)
	t.row("grid", "starts", "rows", "RMSE", "median", "99 %", "largest")
	for _, e := range []struct {
		grid, starts string
		tune.Errors
	}{{"found", "searched on", r.Tuning}, {"found", "fresh", r.Unseen}, {r.Usual, "fresh", r.Baseline}} {
		t.row(e.grid, e.starts, fmt.Sprint(e.Rows), number(e.RMSE), number(e.Median), number(e.P99), number(e.Max))
	}
	t.line("--spacing '%s'", &schedules.List{Sigmas: r.Levels})
	return t.flush(w)
}
