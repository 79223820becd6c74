package viz

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"sort"

	"snrlab/internal/runfile"
)

// folder is what a run left behind, read and indexed.
type folder struct {
	run     runfile.Run
	steps   []runfile.StepRow
	summary []runfile.SummaryRow
	timings []runfile.TimingRow
	trace   *runfile.Trace // nil if there is none

	solvers []string // in the order of the summary, which is the recipe's
	styles  map[string]style
	noise   map[string]bool // stochastic solvers
	budgets []int           // ascending
	walks   map[cell][]runfile.StepRow
}

// cell is one solver at one budget.
type cell struct {
	solver string
	budget int
}

func readFolder(dir string) (*folder, error) {
	f := &folder{styles: map[string]style{}, noise: map[string]bool{}, walks: map[cell][]runfile.StepRow{}}
	var err error
	f.run, err = runfile.ReadRun(filepath.Join(dir, runfile.RunJSON))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("viz: %s is not a run folder: %w", dir, err)
	case err != nil:
		return nil, err
	case f.run.Driver != "compare" && f.run.Driver != "":
		return nil, fmt.Errorf("viz: %s holds a run of kind %s, which has no such report: expected the folder of a comparison", dir, f.run.Driver)
	}
	if f.steps, err = runfile.ReadSteps(filepath.Join(dir, runfile.StepsCSV)); err != nil {
		return nil, err
	}
	if f.summary, err = runfile.ReadSummary(filepath.Join(dir, runfile.SummaryCSV)); err != nil {
		return nil, err
	}
	if f.timings, err = runfile.ReadTimings(filepath.Join(dir, runfile.TimingsCSV)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if f.trace, err = runfile.ReadTrace(filepath.Join(dir, runfile.TraceNPZ)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f.index()
	if f.trace != nil {
		for _, r := range f.trace.Runs {
			if w := f.walks[cell{r.Solver, r.Budget}]; len(w) != r.Steps+1 {
				return nil, fmt.Errorf("viz: %s has %d rows for %s at %d evaluations, %s has %d steps: expected one row a level",
					runfile.StepsCSV, len(w), r.Solver, r.Budget, runfile.TraceNPZ, r.Steps)
			}
		}
	}
	return f, nil
}

func (f *folder) index() {
	note := func(solver string, budget int) {
		if _, ok := f.styles[solver]; !ok {
			f.styles[solver] = styleOf(len(f.solvers))
			f.solvers = append(f.solvers, solver)
		}
		if !slices.Contains(f.budgets, budget) {
			f.budgets = append(f.budgets, budget)
		}
	}
	for _, r := range f.summary {
		note(r.Solver, r.Budget)
		if r.Stochastic {
			f.noise[r.Solver] = true
		}
	}
	for _, r := range f.steps {
		note(r.Solver, r.Budget)
		c := cell{r.Solver, r.Budget}
		f.walks[c] = append(f.walks[c], r)
	}
	slices.Sort(f.budgets)
	for _, w := range f.walks {
		sort.SliceStable(w, func(i, j int) bool { return w[i].Step < w[j].Step })
	}
}

// rows returns the summary of one solver by rising evaluations.
func (f *folder) rows(solver string) []runfile.SummaryRow {
	var out []runfile.SummaryRow
	for _, r := range f.summary {
		if r.Solver == solver {
			out = append(out, r)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].NFE < out[j].NFE })
	return out
}

// split returns the deterministic and the stochastic solvers.
func (f *folder) split() (sure, random []string) {
	for _, s := range f.solvers {
		if f.noise[s] {
			random = append(random, s)
		} else {
			sure = append(sure, s)
		}
	}
	return sure, random
}

func (f *folder) legend(solvers []string) legend {
	var l legend
	for _, s := range solvers {
		l = append(l, entry{s, f.styles[s]})
	}
	return l
}

// middleBudget is the one nearest to ten evaluations, where solvers differ
// and single steps can still be seen.
func (f *folder) middleBudget() int {
	best := 0
	for _, b := range f.budgets {
		if best == 0 || math.Abs(math.Log(float64(b)/10)) < math.Abs(math.Log(float64(best)/10)) {
			best = b
		}
	}
	return best
}

// ranked returns the solvers that ran at a budget, smallest final error
// first, those without one last.
func (f *folder) ranked(solvers []string, budget int, score func(runfile.SummaryRow) float64) []string {
	type scored struct {
		name  string
		score float64
	}
	var list []scored
	for _, s := range solvers {
		for _, r := range f.summary {
			if r.Solver == s && r.Budget == budget {
				v := score(r)
				if math.IsNaN(v) {
					v = math.Inf(1)
				}
				list = append(list, scored{s, v})
			}
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].score < list[j].score })
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = s.name
	}
	return out
}

// chosen picks a few solvers that show the range at a budget: the best, the
// middle and the last of the deterministic ones, and the best stochastic one.
func (f *folder) chosen(budget int) []string {
	sure, random := f.split()
	byError := f.ranked(sure, budget, func(r runfile.SummaryRow) float64 { return r.RMSE })
	var out []string
	if n := len(byError); n > 0 {
		for _, i := range []int{0, n / 2, n - 1} {
			if !slices.Contains(out, byError[i]) {
				out = append(out, byError[i])
			}
		}
	}
	if byLaw := f.ranked(random, budget, func(r runfile.SummaryRow) float64 { return r.SW2 }); len(byLaw) > 0 {
		out = append(out, byLaw[0])
	}
	return out
}
