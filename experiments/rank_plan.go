package experiments

import (
	"errors"
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
	families []*family // the candidates of the spacing
	ends     schedules.Grid
	entries  []*contender
	problems []*rankProblem
}

// rankProblem is one exact problem with the samples it is measured on.
type rankProblem struct {
	model    *Model
	dim      int
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
	for _, name := range c.Spacings {
		f, err := newFamily(c.Schedule, name)
		if err != nil {
			return nil, nil, err
		}
		if err := r.sameEnds(f); err != nil {
			return nil, nil, err
		}
		r.families = append(r.families, f)
	}
	var notes []string
	for _, name := range c.Solvers {
		s, err := solvers.Parse(name)
		if err != nil {
			return nil, nil, fmt.Errorf("field solvers: %w", err)
		}
		e, note := r.contender(s)
		if note != "" {
			notes = append(notes, note)
		}
		if e != nil {
			r.entries = append(r.entries, e)
		}
	}
	if len(r.entries) == 0 {
		return nil, nil, fmt.Errorf("field solvers: none of the %d can be ranked: %v", len(c.Solvers), notes)
	}
	for i, name := range c.Models {
		m, err := openModel(name, o)
		if err != nil {
			return nil, nil, err
		}
		p := &rankProblem{model: m, dim: models.Dim(m)}
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

// contender matches one solver to the budgets, or says why it is left out.
func (r *ranking) contender(s solvers.Solver) (*contender, string) {
	e := &contender{solver: s, name: s.String(), props: s.Properties()}
	if e.props.Coupled {
		return nil, e.name + " is left out: it lets the rows of a batch influence each other."
	}
	if e.props.Biased {
		return nil, e.name + " is left out: it is made for distilled models, and does not give the law of an exact denoiser."
	}
	if e.props.Adaptive {
		return r.adaptive(e)
	}
	for _, budget := range r.Budgets {
		set := setting{solver: s, budget: budget}
		for _, f := range r.families {
			n, _, err := f.stepsFor(s, budget)
			if err != nil {
				continue // too small a budget, or a spacing that the method cannot walk
			}
			g, err := f.grid(n)
			if err != nil {
				continue
			}
			set.choices = append(set.choices, choice{f, g, s.NFE(g)})
		}
		if len(set.choices) > 0 {
			e.settings = append(e.settings, set)
		}
	}
	if len(e.settings) == 0 {
		return nil, fmt.Sprintf("%s is left out: no budget is enough for one step.", e.name)
	}
	return e, ""
}

// adaptive gives a solver that chooses its own levels one setting a tolerance.
func (r *ranking) adaptive(e *contender) (*contender, string) {
	g, err := r.families[0].shortest()
	if err != nil {
		return nil, err.Error()
	}
	for _, tol := range r.Tolerances {
		s, err := withTolerance(e.solver, tol)
		if err != nil {
			return nil, fmt.Sprintf("%s is left out: %v.", e.name, err)
		}
		e.settings = append(e.settings, setting{solver: s, choices: []choice{{r.families[0], g, 0}}})
	}
	return e, ""
}

// withTolerance is an adaptive solver at a tolerance, relative and, where it has
// such an argument, absolute.
func withTolerance(s solvers.Solver, tol float64) (solvers.Solver, error) {
	fields := spec.Fields(s)
	if !slices.Contains(fields, "rtol") {
		return nil, errors.New("it is adaptive and has no argument rtol")
	}
	name, args, err := spec.Split(s.String())
	if err != nil {
		return nil, err
	}
	list := []string{fmt.Sprintf("rtol=%g", tol)}
	if slices.Contains(fields, "atol") {
		list = append(list, fmt.Sprintf("atol=%g", tol))
	}
	for _, a := range args {
		if a.Key != "rtol" && a.Key != "atol" {
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
		for _, e := range r.entries {
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
			total += evalsOfAdaptive * int64(len(p.reported.keys)+len(p.tuning.keys))
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

// evalsOfAdaptive is a guess at what an adaptive run takes.
const evalsOfAdaptive = 50
