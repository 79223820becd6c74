package experiments

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snrlab/internal/spec"
	"snrlab/solvers"
	"snrlab/tune"
)

func smallFit() FitSolver {
	f := DefaultFitSolver()
	f.NFE, f.Rows, f.Fresh, f.Starts, f.Iterations, f.Hidden = 4, 64, 64, 1, 12, 2
	return f
}

// The file of a fit loads as the solver that was measured, and as its grid.
func TestFitSolver(t *testing.T) {
	dir := t.TempDir()
	for _, family := range []string{"grid", "s4s", "gated", "epd", "bns", "amed", "amed-net"} {
		f := smallFit()
		f.Family = family
		if family == "epd" {
			f.NFE = 6
		}
		path := filepath.Join(dir, family+".json")
		r, err := f.Run(context.Background(), path, Options{}, nil)
		if err != nil {
			t.Fatal(family, err)
		}
		s, err := solvers.Parse("fitted(file=" + path + ")")
		if err != nil {
			t.Fatal(family, err)
		}
		m, err := OpenModel("gm2d", Options{})
		if err != nil {
			t.Fatal(err)
		}
		task, err := tune.NewTask(context.Background(), m.Exact.(tune.Model), 80, 0.002, 64, freshKey(1), 1e-10)
		if err != nil {
			t.Fatal(err)
		}
		e, err := task.Run(context.Background(), s, r.Levels)
		if err != nil {
			t.Fatal(family, err)
		}
		if e != r.Unseen {
			t.Errorf("%s: the file's solver has errors %+v, the report says %+v", family, e, r.Unseen)
		}
		if _, err := os.Stat(path + ".part"); err == nil {
			t.Errorf("%s: the file of a fit under way is left", family)
		}
		file, err := solvers.ReadFitted(path)
		if err != nil {
			t.Fatal(err)
		}
		var kept FitSolverReport
		if err := json.Unmarshal(file.Fit, &kept); err != nil || kept.FitSolver != f {
			t.Errorf("%s: the file keeps %+v, %v", family, kept.FitSolver, err)
		}
	}
}

func TestFitSolver_Refuses(t *testing.T) {
	for want, change := range map[string]func(*FitSolver){
		"unknown family":  func(f *FitSolver) { f.Family = "bnz" },
		"nfe = 1":         func(f *FitSolver) { f.NFE = 1 },
		"a multiple of 3": func(f *FitSolver) { f.Family, f.NFE = "epd", 7 },
		"an even number":  func(f *FitSolver) { f.Family, f.NFE = "amed", 5 },
		"rows = 0":        func(f *FitSolver) { f.Rows = 0 },
		"smax > smin":     func(f *FitSolver) { f.Clean = 90 },
		"has no rule":     func(f *FitSolver) { f.Family, f.Rule = "grid", "heun" },
		"unknown spacing": func(f *FitSolver) { f.Family, f.Spacing = "amed", "karas" },
		"unknown model":   func(f *FitSolver) { f.Model = "gm3d" },
		"rtol = 1":        func(f *FitSolver) { f.RTol = 1 },
		"hidden = 0":      func(f *FitSolver) { f.Family, f.Hidden = "gated", 0 },
		"iterations = 0":  func(f *FitSolver) { f.Iterations = 0 },
		"starts = 0":      func(f *FitSolver) { f.Starts = 0 },
	} {
		f := smallFit()
		change(&f)
		_, err := f.Run(context.Background(), filepath.Join(t.TempDir(), "x.json"), Options{}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: expected %q", err, want)
		}
	}
}

// A fit under other settings is not taken for this one.
func TestFitSolver_Resume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	f := smallFit()
	f.Family = "s4s"
	other := f
	other.Key = 2
	if err := writeJSON(path+".part", progressFile{other, tune.Progress{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Run(context.Background(), path, Options{}, nil); err == nil || !strings.Contains(err.Error(), "--key 2") {
		t.Errorf("a fit of another key under way: %v", err)
	}
}

func TestOptimizeGrid(t *testing.T) {
	dir := t.TempDir()
	g := DefaultOptimizeGrid()
	g.NFE, g.Rows, g.Fresh, g.Teacher, g.Paths, g.Method = 6, 64, 256, 21, 32, "curvature"
	for _, solver := range []string{"ipndm(order=3)", "heun"} {
		g.Solver = solver
		name, _, _ := spec.Split(solver)
		path := filepath.Join(dir, name+".json")
		r, err := g.Run(context.Background(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]int{"ipndm": 6, "heun": 3}[name]; r.Steps != want {
			t.Errorf("%s: %d steps of 6 evaluations", solver, r.Steps)
		}
		if name == "ipndm" && !(r.Unseen.RMSE < r.Baseline.RMSE) {
			t.Errorf("%s: RMSE %g on the grid found, %g on %s", solver, r.Unseen.RMSE, r.Baseline.RMSE, r.Usual)
		}
		if _, err := solvers.Parse("fitted(file=" + path + ")"); err != nil {
			t.Error(err)
		}
	}
	for want, change := range map[string]func(*OptimizeGrid){
		"unknown method":     func(g *OptimizeGrid) { g.Method = "guess" },
		"a budget of 1":      func(g *OptimizeGrid) { g.Solver, g.NFE = "heun", 1 },
		"chooses its own":    func(g *OptimizeGrid) { g.Solver = "rk-adaptive" },
		"deterministic":      func(g *OptimizeGrid) { g.Solver = "euler-maruyama" },
		"teacher = 3 points": func(g *OptimizeGrid) { g.Teacher = 3 },
	} {
		g := g
		g.Solver = "ddim"
		change(&g)
		if _, err := g.Run(context.Background(), filepath.Join(dir, "x.json"), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: expected %q", err, want)
		}
	}
}
