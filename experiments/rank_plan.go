package experiments

import (
	"fmt"
	"slices"
	"strings"

	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// ranking is a Rank whose names stand for things.
type ranking struct {
	*Rank
	root     rng.Key
	ends     schedules.Grid
	problems []*rankProblem
}

// rankProblem is one exact problem with the samples it is measured on, and what is
// measured there.
type rankProblem struct {
	model    *Model
	dim      int
	families []*family // the candidates of the spacing
	entries  []*contender
	reported batch
	tuning   batch
	screen   int // samples of tuning that screen; 0 for none
}

// first returns the first n samples of a batch.
func (b *batch) first(n int) *batch {
	k := n * len(b.x) / len(b.keys)
	return &batch{b.keys[:n], b.x[:k], b.exact[:k]}
}

// batch is a set of samples: their keys and starts, and, once the reference
// has run, their exact ends.
type batch struct {
	keys  []rng.Key
	x     []float64 // the starts, rows×dim
	exact []float64
}

// contender is one solver at every setting that it is measured at: budgets, or
// for an adaptive solver tolerances.
type contender struct {
	solver   solvers.Solver
	name     string
	props    solvers.Properties
	settings []setting
}

// setting is one solver at one budget: what it may run.
type setting struct {
	solver  solvers.Solver // with its tolerance, if adaptive
	budget  int            // 0 if adaptive
	choices []choice       // one for each candidate spacing that serves
}

// choice is a grid of one candidate spacing.
type choice struct {
	family *family
	grid   schedules.Grid
	nfe    int // promised; 0 if adaptive
}

// newRanking resolves the names of c and matches budgets to steps.
func newRanking(c *Rank, o Options) (*ranking, []string, error) {
	r := &ranking{Rank: c, root: rng.New(uint64(c.Key))}
	var notes []string
	for i, name := range c.Models {
		m, err := openModel(name, o)
		if err != nil {
			return nil, nil, err
		}
		p := &rankProblem{model: m, dim: models.Dim(m)}
		left, err := r.enter(p)
		if err != nil {
			return nil, nil, err
		}
		for _, note := range left {
			if !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
		rows, tuning := oneOrEach(c.Rows, i), oneOrEach(c.Tuning, i)
		// Two batches of starts and ends, and what a solver on each processor holds.
		if err := enoughMemory(8*int64(p.dim)*int64(rows+tuning)*16, "rows"); err != nil {
			return nil, nil, fmt.Errorf("field rows is %d for %s: %w", rows, name, err)
		}
		p.screen = oneOrEach(c.Screen, i)
		p.reported.keys = solvers.RowKeys(r.root, 0, rows)
		p.tuning.keys = solvers.RowKeys(r.root.Split("tuning", 0), 0, tuning)
		r.problems = append(r.problems, p)
	}
	return r, notes, nil
}

// enter finds the candidates and the contenders of a problem, and says what is
// left out.
func (r *ranking) enter(p *rankProblem) (notes []string, err error) {
	total, err := totalOf(p.model, -1)
	if err != nil {
		return nil, err
	}
	for _, name := range r.Spacings {
		f, err := r.candidate(name, total)
		if err != nil {
			return nil, err
		}
		p.families = append(p.families, f)
	}
	for _, name := range r.Solvers {
		e, err := newContender(name, total)
		if err != nil {
			return nil, err
		}
		if note := r.match(p, e); note != "" {
			notes = append(notes, note)
			continue
		}
		p.entries = append(p.entries, e)
	}
	if len(p.entries) == 0 {
		return nil, fmt.Errorf("field solvers: none of the %d can be ranked: %v", len(r.Solvers), notes)
	}
	return notes, nil
}

// candidate is a spacing on a problem whose data have a total variance.
func (r *ranking) candidate(name string, total float64) (*family, error) {
	f, err := newFamily(r.Schedule, atTotal(name, total))
	if err != nil {
		return nil, err
	}
	if totalMark.MatchString(name) {
		f.name = name
	}
	return f, r.sameEnds(f)
}

// newContender is a solver there, without its settings.
func newContender(name string, total float64) (*contender, error) {
	s, err := solvers.Parse(atTotal(name, total))
	if err != nil {
		return nil, fmt.Errorf("field solvers: %w", err)
	}
	e := &contender{solver: s, name: s.String(), props: s.Properties()}
	if totalMark.MatchString(name) {
		e.name = name
	}
	return e, nil
}

func oneOrEach(list []int, i int) int { return list[min(i, len(list)-1)] }

// sameEnds refuses a candidate whose grids start or end elsewhere than those of
// the others, so that its errors would be of another problem.
func (r *ranking) sameEnds(f *family) error {
	steps := []int{1, r.Budgets[len(r.Budgets)-1]}
	for _, n := range steps {
		g, err := f.grid(n)
		if err != nil {
			return fmt.Errorf("field spacings: %s: %w", f.spacing, err)
		}
		ends := schedules.Grid{g[0], g[len(g)-1]}
		if r.ends == nil {
			r.ends = ends
		}
		if !same(ends[0], r.ends[0]) || !same(ends[1], r.ends[1]) {
			return fmt.Errorf("field spacings: %s goes from σ/α = %.6g to %.6g at %d steps, the first candidate from %.6g to %.6g: errors of different ends cannot be compared", f.spacing, ends[0].Noise(), ends[1].Noise(), n, r.ends[0].Noise(), r.ends[1].Noise())
		}
	}
	return nil
}

// match gives a contender its settings, or says why it is left out.
func (r *ranking) match(p *rankProblem, e *contender) string {
	switch {
	case e.props.Coupled:
		return e.name + " is left out: it lets the rows of a batch influence each other."
	case e.props.Biased:
		return e.name + " is left out: it is made for distilled models, and does not give the law of an exact denoiser."
	case e.props.Adaptive:
		return r.tolerances(p, e)
	}
	for _, budget := range r.Budgets {
		set := setting{solver: e.solver, budget: budget}
		for _, f := range p.families {
			n, _, err := f.stepsFor(e.solver, budget)
			if err != nil {
				continue // too small a budget, or a spacing that the method cannot walk
			}
			g, err := f.grid(n)
			if err != nil {
				continue
			}
			set.choices = append(set.choices, choice{f, g, e.solver.NFE(g)})
		}
		if len(set.choices) > 0 {
			e.settings = append(e.settings, set)
		}
	}
	if len(e.settings) == 0 {
		return fmt.Sprintf("%s is left out: no budget is enough for one step.", e.name)
	}
	return ""
}

// tolerances gives a solver whose evaluations are its own choice one setting a
// tolerance: from end to end of a grid, or, where it walks the grid in parallel,
// over as many steps as the greatest budget has evaluations.
func (r *ranking) tolerances(p *rankProblem, e *contender) string {
	var choices []choice
	for _, f := range p.families {
		g, err := f.shortest()
		if e.props.Parallel && err == nil && f.fixed() == 0 {
			g, err = f.grid(r.Budgets[len(r.Budgets)-1])
		}
		if err != nil {
			return err.Error()
		}
		if choices = append(choices, choice{f, g, 0}); !e.props.Parallel {
			break
		}
	}
	for _, tol := range r.Tolerances {
		s, err := withTolerance(e.solver, tol)
		if err != nil {
			return fmt.Sprintf("%s is left out: %v.", e.name, err)
		}
		e.settings = append(e.settings, setting{solver: s, choices: choices})
	}
	return ""
}

// toleranceFields are the names that solvers have for tolerances.
var toleranceFields = []string{"rtol", "atol", "tol", "tolerance"}

// withTolerance is an adaptive solver with all its tolerances at one value.
func withTolerance(s solvers.Solver, tol float64) (solvers.Solver, error) {
	name, args, err := spec.Split(s.String())
	if err != nil {
		return nil, err
	}
	var list []string
	for _, field := range spec.Fields(s) {
		if slices.Contains(toleranceFields, field) {
			list = append(list, fmt.Sprintf("%s=%g", field, tol))
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("it is adaptive and has no argument %s", strings.Join(toleranceFields, ", "))
	}
	for _, a := range args {
		if !slices.Contains(toleranceFields, a.Key) {
			list = append(list, a.Key+"="+a.Value)
		}
	}
	return solvers.Parse(name + "(" + strings.Join(list, ",") + ")")
}

// parts states the cost of the ranking in evaluations of one row.
func (r *ranking) parts() []PlanPart {
	var list []PlanPart
	for _, p := range r.problems {
		part := PlanPart{Name: p.model.Name + ": solvers"}
		for _, e := range p.entries {
			part.Evals += e.cost(p)
			part.Estimate = part.Estimate || e.props.Adaptive
		}
		list = append(list, PlanPart{p.model.Name + ": reference", int64(len(p.reported.keys)+len(p.tuning.keys)) * evalsOfReference, true}, part)
	}
	return list
}

// cost is the evaluations of one contender on a problem, at most: all choices on
// the tuning samples, one on the reported ones.
func (e *contender) cost(p *rankProblem) int64 {
	total := int64(0)
	for _, s := range e.settings {
		if e.props.Adaptive {
			evals := int64(evalsOfAdaptive)
			if e.props.Parallel {
				evals = evalsOfParallel * int64(s.choices[0].grid.Steps())
			}
			total += evals * int64(len(p.reported.keys)+len(s.choices)*len(p.tuning.keys))
			continue
		}
		most := 0
		for _, c := range s.choices {
			total += int64(c.nfe) * int64(len(p.tuning.keys))
			most = max(most, c.nfe)
		}
		total += int64(most) * int64(len(p.reported.keys))
	}
	return total
}

// Guesses at what an adaptive run takes, and a parallel one by the step.
const (
	evalsOfAdaptive = 50
	evalsOfParallel = 4
)
