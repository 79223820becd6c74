package experiments

import (
	"cmp"
	"fmt"
	"math"
	"sort"
	"sync"

	"snrlab/internal/spec"
	"snrlab/schedules"
	"snrlab/solvers"
)

// family is one grid for each number of steps: a spacing on a schedule. It may
// be asked from several goroutines.
type family struct {
	name     string // of the spacing
	schedule schedules.Schedule
	spacing  schedules.Spacing
	mu       sync.Mutex // of grids
	grids    map[int]schedules.Grid
}

func newFamily(schedule, spacing string) (*family, error) {
	s, err := schedules.Parse(schedule)
	if err != nil {
		return nil, fmt.Errorf("field schedule: %w", err)
	}
	p, err := schedules.ParseSpacing(spacing)
	if err != nil {
		return nil, fmt.Errorf("field spacing: %w", err)
	}
	return &family{name: p.String(), schedule: s, spacing: p, grids: map[int]schedules.Grid{}}, nil
}

// grid returns the grid of n steps.
func (f *family) grid(n int) (schedules.Grid, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if g, ok := f.grids[n]; ok {
		return g, nil
	}
	g, err := f.spacing.Grid(f.schedule, n)
	if err != nil {
		return nil, err
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	f.grids[n] = g
	return g, nil
}

// fixed is the number of steps of a spacing whose levels are written out, 0 for
// one that makes a grid of any number.
func (f *family) fixed() int {
	if s, ok := f.spacing.(interface{ Steps() int }); ok {
		return s.Steps()
	}
	return 0
}

// shortest returns the grid of fewest steps.
func (f *family) shortest() (schedules.Grid, error) {
	n := cmp.Or(f.fixed(), 1)
	g, err := f.grid(n)
	if err != nil {
		return nil, fmt.Errorf("a grid of %s: %w", steps(n), err)
	}
	return g, nil
}

func steps(n int) string {
	if n == 1 {
		return "1 step"
	}
	return fmt.Sprintf("%d steps", n)
}

// stepsFor returns the steps that a budget of evaluations buys a solver, and
// whether they cost exactly the budget.
func (f *family) stepsFor(s solvers.Solver, budget int) (n int, exact bool, err error) {
	if f.fixed() == 0 {
		return solvers.StepsFor(s, budget, f.grid)
	}
	g, err := f.shortest()
	if err != nil {
		return 0, false, err
	}
	if nfe := s.NFE(g); nfe > budget {
		return 0, false, fmt.Errorf("the %d steps of spacing %s cost %s %d evaluations: expected at most %d", g.Steps(), f.spacing, s, nfe, budget)
	}
	return g.Steps(), s.NFE(g) == budget, nil
}

// sameLevel is the difference in λ below which two levels are one: grids of
// different step counts reach the same level by different roundings, and the
// state moves by about this much relative to its norm, well below the
// tolerance of any reference.
const sameLevel = 1e-11

// union is all levels of some grids, noisy to clean.
func union(grids ...schedules.Grid) schedules.Grid {
	var all schedules.Grid
	for _, g := range grids {
		all = append(all, g...)
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].LogSNR() < all[j].LogSNR() })
	var u schedules.Grid
	for _, l := range all {
		if len(u) == 0 || !same(u[len(u)-1], l) {
			u = append(u, l)
		}
	}
	return u
}

func same(a, b schedules.Level) bool {
	la, lb := float64(a.LogSNR()), float64(b.LogSNR())
	return la == lb || math.Abs(la-lb) <= sameLevel
}

// find returns the index of a level in a grid, or −1.
func find(g schedules.Grid, l schedules.Level) int {
	la := float64(l.LogSNR())
	i := sort.Search(len(g), func(i int) bool { return float64(g[i].LogSNR()) >= la-sameLevel })
	if i < len(g) && same(g[i], l) {
		return i
	}
	return -1
}

// fullName prints a named thing with all of its arguments, where that reads
// back to the same thing, and as it prints itself otherwise.
func fullName[T fmt.Stringer](v T, parse func(string) (T, error)) string {
	name, _, err := spec.Split(v.String())
	if err != nil {
		return v.String()
	}
	full := spec.Full(name, v)
	if again, err := parse(full); err != nil || again.String() != v.String() {
		return v.String()
	}
	return full
}

// resolveGrid rewrites the names of a schedule and a spacing in full.
func resolveGrid(schedule, spacing *string) error {
	return cmp.Or(
		resolveName("schedule", schedule, schedules.Parse),
		resolveName("spacing", spacing, schedules.ParseSpacing),
	)
}

// resolveSolvers rewrites the names of the solvers of a field in full.
func resolveSolvers(field string, names []string) error {
	return resolveNames(field, names, solvers.Parse)
}

func resolveName[T fmt.Stringer](field string, name *string, parse func(string) (T, error)) error {
	v, err := parse(*name)
	if err != nil {
		return fmt.Errorf("field %s: %w", field, err)
	}
	*name = fullName(v, parse)
	return nil
}

// resolveNames is [resolveName] of every name of a list.
func resolveNames[T fmt.Stringer](field string, names []string, parse func(string) (T, error)) error {
	for i := range names {
		if err := resolveName(field, &names[i], parse); err != nil {
			return err
		}
	}
	return nil
}
