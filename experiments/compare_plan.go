package experiments

import (
	"fmt"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// entry is one solver of a comparison.
type entry struct {
	solver solvers.Solver
	name   string // as it prints itself: what results are filed under
	props  solvers.Properties
	runs   []cellRun
}

// cellRun is one solver at one budget.
type cellRun struct {
	*entry
	budget, steps, nfe int
	grid               schedules.Grid
}

// id names the cell's file.
func (c cellRun) id(kind string, i int) string { return fmt.Sprintf("%s-%03d-%05d", kind, i, c.budget) }

// comparison is a Compare whose names stand for things.
type comparison struct {
	*Compare
	model   *Model
	dim     int
	family  *family
	entries []*entry
	root    rng.Key
	keys    []rng.Key // of the rows
	labels  []int
	exact   schedules.Grid // every level a deterministic solver visits: where the reference is wanted
	fine    schedules.Grid // every level a stochastic solver visits, and the fine run's own
	noise   schedules.Grid // every level noise is asked for at: those of fine, and stages between
}

// newComparison resolves the names of c and matches budgets to steps.
func newComparison(c *Compare, o Options) (*comparison, []string, error) {
	m := &comparison{Compare: c, root: rng.New(uint64(c.Key))}
	var err error
	if m.model, err = openModel(c.Model, o); err != nil {
		return nil, nil, err
	}
	m.dim = models.Dim(m.model)
	if m.labels, err = m.model.labelsOf(c.Class, c.Rows); err != nil {
		return nil, nil, err
	}
	if m.family, err = newFamily(c.Schedule, c.Spacing); err != nil {
		return nil, nil, err
	}
	m.keys = solvers.RowKeys(m.root, 0, c.Rows)
	var notes []string
	for _, name := range c.Solvers {
		e, more, err := m.newEntry(name)
		if err != nil {
			return nil, nil, err
		}
		m.entries, notes = append(m.entries, e), append(notes, more...)
	}
	for _, name := range c.Trace.Solvers {
		if s, err := solvers.Parse(name); err != nil || m.entry(s.String()) == nil {
			return nil, nil, fmt.Errorf("field trace.solvers: %s is not one of the solvers", name)
		}
	}
	if err := m.collectLevels(); err != nil {
		return nil, nil, err
	}
	if err := enoughMemory(m.memory(), "rows, budgets or fine steps"); err != nil {
		return nil, nil, fmt.Errorf("field rows is %d: %w", c.Rows, err)
	}
	return m, notes, nil
}

// entry returns the solver of a name, nil if there is none.
func (m *comparison) entry(name string) *entry {
	for _, e := range m.entries {
		if e.name == name {
			return e
		}
	}
	return nil
}

// newEntry matches one solver to the budgets.
func (m *comparison) newEntry(name string) (*entry, []string, error) {
	s, err := solvers.Parse(name)
	if err != nil {
		return nil, nil, fmt.Errorf("field solvers: %w", err)
	}
	e := &entry{solver: s, name: s.String(), props: s.Properties()}
	switch {
	case e.props.Coupled:
		return nil, nil, fmt.Errorf("field solvers: %s lets the rows of a batch influence each other, so its errors are not those of its samples: leave it out", e.name)
	case e.props.Adaptive:
		return nil, nil, fmt.Errorf("field solvers: %s chooses its own levels and cannot be held to a budget: leave it out", e.name)
	}
	if _, err := m.family.shortest(); err != nil {
		return nil, nil, fmt.Errorf("field spacing: %w", err)
	}
	var notes []string
	for _, budget := range m.Budgets {
		n, exact, err := m.family.stepsFor(s, budget)
		if err != nil {
			return nil, nil, fmt.Errorf("field budgets: %w", err)
		}
		g, err := m.family.grid(n)
		if err != nil {
			return nil, nil, err
		}
		nfe := s.NFE(g)
		if !exact {
			say := fmt.Sprintf("%s cannot spend exactly %d evaluations on this spacing: %s %d", e.name, budget, stepsCost(n), nfe)
			if m.Mismatch == "refuse" {
				return nil, nil, fmt.Errorf(`field budgets: %s; choose another budget, or mismatch = "below" to use %d`, say, nfe)
			}
			notes = append(notes, say+"; it uses these.")
		}
		e.runs = append(e.runs, cellRun{e, budget, n, nfe, g})
	}
	return e, notes, nil
}

func stepsCost(n int) string {
	if n == 1 {
		return "1 step costs"
	}
	return fmt.Sprintf("%d steps cost", n)
}

// collectLevels makes the unions of the levels that are visited.
func (m *comparison) collectLevels() error {
	var exact, stochastic []schedules.Grid
	for _, e := range m.entries {
		for _, r := range e.runs {
			if e.props.Stochastic {
				stochastic = append(stochastic, r.grid)
			} else {
				exact = append(exact, r.grid)
			}
		}
	}
	if len(exact) > 0 {
		m.exact = union(exact...)
	}
	if len(stochastic) > 0 && m.Stochastic.FineSteps > 0 {
		most := 0
		for _, g := range stochastic {
			most = max(most, g.Steps())
		}
		if m.Stochastic.FineSteps < 2*most {
			return fmt.Errorf("field stochastic.fine_steps is %d: expected 0, for no strong errors, or at least twice the %d steps that a stochastic solver takes, so that the fine run is finer", m.Stochastic.FineSteps, most)
		}
		g, err := m.family.grid(m.Stochastic.FineSteps)
		if err != nil {
			return fmt.Errorf("field stochastic.fine_steps: %w", err)
		}
		stochastic = append(stochastic, g)
	}
	if len(stochastic) > 0 {
		m.fine = union(stochastic...)
		m.noise = union(m.noiseGrids()...)
	}
	one := m.entries[0].runs[0].grid
	for _, g := range append(exact, stochastic...) {
		if !same(g[0], one[0]) {
			return fmt.Errorf("field spacing: the grids of %d and %d steps start at different levels, so that solvers cannot start from the same noise; choose a spacing whose first level is fixed", one.Steps(), g.Steps())
		}
		if !same(g[len(g)-1], one[len(one)-1]) {
			return fmt.Errorf("field spacing: the grids of %d and %d steps end at different levels, so that their ends cannot be compared; choose a spacing whose last level is fixed", one.Steps(), g.Steps())
		}
	}
	return nil
}

// noiseGrids are the levels that the runs of stochastic solvers ask for noise
// at, and those of their fine runs.
func (m *comparison) noiseGrids() (all []schedules.Grid) {
	for _, e := range m.entries {
		if !e.props.Stochastic {
			continue
		}
		for _, r := range e.runs {
			all = append(all, solvers.NoiseLevels(e.solver, r.grid, m.family.schedule))
		}
		if m.finely(e) {
			all = append(all, solvers.NoiseLevels(e.solver, m.fine, m.family.schedule))
		}
	}
	return all
}

// finely reports whether a solver has a fine run: one that draws noise of its
// own at every step would not see the same noise there.
func (m *comparison) finely(e *entry) bool {
	return e.props.Stochastic && !e.props.OwnNoise && m.Stochastic.FineSteps > 0
}

// start returns the noise that every solver starts from, rows×dim.
func (m *comparison) start() ([]float64, error) {
	return startStates(m.model, m.entries[0].runs[0].grid[0], m.Start, m.labels, m.keys)
}

// startStates draws the first states: σ z from the prior, or the exact
// marginal. Row i belongs to keys[i] alone.
func startStates(m *Model, at schedules.Level, start string, labels []int, keys []rng.Key) ([]float64, error) {
	dim := models.Dim(m)
	x := make([]float64, len(keys)*dim)
	if start == "exact" {
		inits := make([]rng.Key, len(keys))
		for i, k := range keys {
			inits[i] = k.Split("init", 0)
		}
		return x, m.Sample(x, at, labels, inits)
	}
	for i, k := range keys {
		row := x[i*dim : (i+1)*dim]
		k.Split("init", 0).Normal(row)
		for j := range row {
			row[j] *= at.Sigma
		}
	}
	return x, nil
}

// memory estimates the bytes that the comparison holds at once: the reference
// and its estimates, one cell of it on its way to disk, the Brownian path, one
// stochastic solver's fine run, and what every solver keeps.
func (m *comparison) memory() int64 {
	state := 8 * int64(m.dim)
	exact, fine, noise := int64(len(m.exact)), int64(len(m.fine)), int64(len(m.noise))
	kept := int64(0)
	for _, e := range m.entries {
		for _, r := range e.runs {
			kept += int64(m.Rows) + int64(r.steps+1)*int64(m.Local.Rows+m.Trace.Rows)
		}
	}
	block := int64(min(m.Rows, referenceBlock))
	return state * (2*exact*int64(m.Rows) + 3*exact*block + (2*fine+noise)*int64(m.Rows) + kept)
}

// parts states the cost of the comparison. What a row's adaptive integration
// takes depends on the model; the estimates are for the demo's kind.
func (m *comparison) parts() []PlanPart {
	var walks, steps, fine int64
	rows := int64(m.Rows)
	for _, e := range m.entries {
		for _, r := range e.runs {
			walks += int64(r.nfe) * rows
			if !e.props.Stochastic {
				steps += int64(r.steps)
			}
		}
		if m.finely(e) {
			fine += int64(e.solver.NFE(m.fine)) * rows
		}
	}
	parts := []PlanPart{{Name: "solvers", Evals: walks}}
	if m.exact != nil {
		parts = append(parts,
			PlanPart{"reference", rows * evalsOfReference, true},
			PlanPart{"exact estimates", rows * int64(len(m.exact)-1), false},
			PlanPart{"local errors", steps * int64(m.Local.Rows) * evalsOfLocalStep, true})
	}
	if fine > 0 {
		parts = append(parts, PlanPart{"fine runs of stochastic solvers", fine, false})
	}
	return parts
}

// Evaluations of one row's integration from noise to data at 1e-10, and of one
// step of a solver at 1e-7, as measured on the digit mixture.
const (
	evalsOfReference = 460
	evalsOfLocalStep = 30
)
