package tune

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"

	"snrlab/internal/spec"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Fit says what is fitted end to end, by gradients through all evaluations.
type Fit struct {
	Family     string  `json:"family"` // see Families
	Rule       string  `json:"rule"`   // of family grid: ipndm(order=3), dpmpp-2m, unipc, ...
	NFE        int     `json:"nfe"`
	Hidden     int     `json:"hidden"`     // units of a gate
	Starts     int     `json:"starts"`     // grids to begin with
	Iterations int     `json:"iterations"` // of the last stage; earlier ones take a quarter
	Key        rng.Key `json:"-"`          // of the gates' first numbers
}

// DefaultFit returns the settings of the shipped fits, for a family.
func DefaultFit(family string, nfe int) Fit {
	return Fit{Family: family, Rule: "ipndm(order=3)", NFE: nfe, Hidden: 12, Starts: 3, Iterations: 400}
}

// Family is one set of free numbers, and the league it competes in.
type Family struct {
	Name, League, Summary string
	stages                []Free // from the first to its own; what a stage ends on, the next begins with
	rule                  bool   // a fixed rule on a free grid
	epd                   bool   // parallel directions on a free grid
	gates                 bool   // gates over the last stage
}

// The leagues, from the most constrained on.
const (
	FittedGrid = "fitted grid"
	StepLevel  = "learned coefficients, told the level of the step"
	FreeLevels = "learned coefficients, free levels"
)

// Families lists what can be fitted.
func Families() []Family {
	grid := Free{Levels: true}
	gridTold := Free{Levels: true, Told: true}
	s4s := Free{Window: 3, Levels: true, Weights: true, Consistent: true}
	triangle := Free{Levels: true, Weights: true, Consistent: true}
	dyweight := Free{Window: 3, Levels: true, Told: true, Weights: true}
	bns := Free{Levels: true, Told: true, Weights: true, Gains: true}
	return []Family{
		{Name: "grid", League: FittedGrid, Summary: "a fixed rule on a learned grid (LD3)", rule: true},
		{Name: "s4s", League: StepLevel, Summary: "grid and weights of a window of 3 that sum to 1 (S4S-Alt)", stages: []Free{grid, s4s}},
		{Name: "triangle", League: StepLevel, Summary: "grid and all weights, summing to 1", stages: []Free{grid, s4s, triangle}},
		{Name: "gated", League: StepLevel, Summary: "triangle, and weights that depend on the row's invariants", stages: []Free{grid, s4s, triangle}, gates: true},
		{Name: "grid-told", League: FreeLevels, Summary: "iPNDM(3) on a learned grid with learned levels told (LD3 decoupled)", stages: []Free{grid, gridTold}},
		{Name: "dyweight", League: FreeLevels, Summary: "grid, levels told and weights of a window of 3 (DyWeight)", stages: []Free{grid, gridTold, dyweight}},
		{Name: "epd", League: FreeLevels, Summary: "grid, and of each step the places, weights and levels told of two parallel directions and their scale (EPD)", epd: true},
		{Name: "bns", League: FreeLevels, Summary: "grid, levels told, factors and all weights (BNS)", stages: []Free{grid, gridTold, dyweight, bns}},
	}
}

// family resolves f.Family.
func (f Fit) family() (Family, error) {
	var names []string
	for _, e := range Families() {
		if e.Name == f.Family {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return Family{}, fmt.Errorf("tune: unknown family %q%s", f.Family, spec.Suggest(f.Family, names))
}

// Validate reports settings that cannot be used.
func (f Fit) Validate() error {
	fam, err := f.family()
	switch {
	case err != nil:
		return err
	case f.NFE < 2 || f.NFE > 15:
		return fmt.Errorf("tune: nfe = %d: expected 2 to 15", f.NFE)
	case f.Starts < 1 || f.Starts > 20:
		return fmt.Errorf("tune: starts = %d: expected 1 to 20", f.Starts)
	case f.Iterations < 4:
		return fmt.Errorf("tune: iterations = %d: expected at least 4", f.Iterations)
	case fam.gates && (f.Hidden < 1 || f.Hidden > 32):
		return fmt.Errorf("tune: hidden = %d: expected 1 to 32", f.Hidden)
	}
	switch {
	case fam.rule:
		_, err = ruleOf(f.Rule)
	case fam.epd:
		_, _, err = epdSteps(f.NFE)
	}
	return err
}

// Fitted is what a fit ended on: one of Rule on Grid, Linear and Gated.
type Fitted struct {
	Grid   []float64
	Rule   string // a solver by name
	Linear *solvers.Linear
	Gated  *solvers.Gated
	Loss   float64 // log of the mean squared distance on the task
}

// Progress is one improvement, and where the fit is; from it the fit goes on.
type Progress struct {
	Stage int       `json:"stage"` // 0 while the starts are compared
	Begin []float64 `json:"begin"` // the grid that won
	Theta []float64 `json:"theta"` // best parameters of the stage
	Loss  float64   `json:"loss"`
	Evals int       `json:"evals"` // gradients so far
}

// Run fits to a task. from, where not nil, is where an earlier run was; better,
// where not nil, hears of every improvement once the best start is chosen.
func (f Fit) Run(ctx context.Context, t *Task, from *Progress, better func(Progress)) (*Fitted, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	fam, err := f.family()
	if err != nil {
		return nil, err
	}
	r := &fitting{Fit: f, fam: fam, task: t, better: better}
	if from != nil {
		r.at = *from
	}
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	return r.finish(ctx)
}

// fitting is a Fit under way.
type fitting struct {
	Fit
	fam    Family
	task   *Task
	at     Progress
	better func(Progress)
}

// stages is the number of stages of one start.
func (r *fitting) stages() int { return max(len(r.fam.stages), 1) }

// single returns the scheme of a family that is no linear one, and how its
// parameters read as a solver's name; nil for others.
func (r *fitting) single(grid []float64) (s *scheme, name func(theta []complex128) string, err error) {
	switch {
	case r.fam.rule:
		rl, err := ruleOf(r.Rule)
		if err != nil {
			return nil, nil, err
		}
		return ruled(rl, grid), func([]complex128) string { return r.Rule }, nil
	case r.fam.epd:
		steps, afs, err := epdSteps(r.NFE)
		if err != nil {
			return nil, nil, err
		}
		return epd(grid, afs), func(theta []complex128) string { return epdSolver(steps, afs, theta).String() }, nil
	}
	return nil, nil, nil
}

// begin chooses the grid to begin with: the best of several after a short run of
// all stages.
func (r *fitting) begin(ctx context.Context) error {
	if r.at.Begin != nil {
		return nil
	}
	steps, judge := r.NFE, func(grid []float64) *scheme { return Free{}.scheme(adamsLinear(grid, 3)) }
	if r.fam.epd {
		n, afs, err := epdSteps(r.NFE)
		if err != nil {
			return err
		}
		steps, judge = n, func(grid []float64) *scheme { return epd(grid, afs) }
	}
	grids, err := firstGrids(ctx, r.task, steps, r.Starts, judge)
	if err != nil {
		return err
	}
	best := math.Inf(1)
	for _, g := range grids {
		if len(grids) == 1 {
			r.at.Begin = g
			break
		}
		_, loss, err := r.chain(ctx, g, r.stages(), r.Iterations/4, nil)
		if err != nil {
			return err
		}
		if loss < best {
			best, r.at.Begin = loss, g
		}
	}
	if r.at.Begin == nil {
		return fmt.Errorf("tune: none of %d first grids gives a finite error", len(grids))
	}
	return nil
}

// chain runs the first stages from a grid and returns where they end.
func (r *fitting) chain(ctx context.Context, grid []float64, stages, iterations int, better func(stage int, theta []float64, loss float64, evals int)) (*Fitted, float64, error) {
	if len(r.fam.stages) == 0 {
		return r.one(ctx, grid, iterations, better)
	}
	l, loss := adamsLinear(grid, 3), math.Inf(1)
	for k, free := range r.fam.stages[:stages] {
		s := free.scheme(l)
		o := newObjective(ctx, r.task, s, nil, nil)
		theta := s.first
		if better != nil && r.at.Stage == k+1 && len(r.at.Theta) == len(theta) {
			theta = r.at.Theta
		}
		n := iterations
		if k < len(r.fam.stages)-1 || r.fam.gates {
			n = max(iterations/4, 1)
		}
		var err error
		theta, loss, err = o.minimise(theta, n, func(theta []float64, loss float64) {
			if better != nil {
				better(k+1, theta, loss, o.evals)
			}
		})
		if err != nil {
			return nil, loss, err
		}
		l = free.linear(l, theta)
	}
	return &Fitted{Grid: l.S, Linear: l, Loss: loss}, loss, nil
}

// one is chain for a family of a single stage.
func (r *fitting) one(ctx context.Context, grid []float64, iterations int, better func(stage int, theta []float64, loss float64, evals int)) (*Fitted, float64, error) {
	s, name, err := r.single(grid)
	if err != nil {
		return nil, 0, err
	}
	o := newObjective(ctx, r.task, s, nil, nil)
	theta := s.first
	if better != nil && r.at.Stage == 1 && len(r.at.Theta) == len(theta) {
		theta = r.at.Theta
	}
	theta, loss, err := o.minimise(theta, iterations, func(theta []float64, loss float64) {
		if better != nil {
			better(1, theta, loss, o.evals)
		}
	})
	if err != nil {
		return nil, loss, err
	}
	p, c := newProgram(s.steps, s.n), make([]complex128, len(theta))
	complexes(c, theta)
	levels(p, c[:s.steps], grid[0], grid[s.steps])
	out := &Fitted{Rule: name(c), Loss: loss}
	for _, v := range p.s {
		out.Grid = append(out.Grid, real(v))
	}
	return out, loss, nil
}

// finish runs all stages in full from the grid that won.
func (r *fitting) finish(ctx context.Context) (*Fitted, error) {
	report := func(stage int, theta []float64, loss float64, evals int) {
		if r.better != nil && stage >= r.at.Stage {
			r.better(Progress{Stage: stage, Begin: r.at.Begin, Theta: slices.Clone(theta), Loss: loss, Evals: evals})
		}
	}
	out, _, err := r.chain(ctx, r.at.Begin, r.stages(), r.Iterations, report)
	if err != nil || !r.fam.gates {
		return out, err
	}
	mean := dataMean(r.task)
	l := out.Linear
	gates, err := newGates(ctx, r.task, l, mean, r.Hidden, r.Key)
	if err != nil {
		return nil, err
	}
	free := r.fam.stages[len(r.fam.stages)-1]
	s := free.scheme(l)
	o := newObjective(ctx, r.task, s, mean, gates)
	theta, stage := o.parameters(), len(r.fam.stages)+1
	if r.at.Stage == stage && len(r.at.Theta) == len(theta) {
		theta = r.at.Theta
	}
	theta, loss, err := o.minimise(theta, r.Iterations, func(theta []float64, loss float64) { report(stage, theta, loss, o.evals) })
	if err != nil {
		return nil, err
	}
	grid := free.linear(l, theta[:len(s.first)]).S
	g := o.gated(theta, grid)
	return &Fitted{Grid: g.S, Gated: g, Loss: loss}, nil
}

// dataMean is the mean of the exact ends.
func dataMean(t *Task) []float64 {
	mean := make([]float64, len(t.End)/t.Rows)
	for i, v := range t.End {
		mean[i%len(mean)] += v / float64(t.Rows)
	}
	return mean
}

// firstGrids returns arctan-log grids that are not alike and good for the schemes
// that judge makes.
func firstGrids(ctx context.Context, t *Task, n, count int, judge func(grid []float64) *scheme) ([][]float64, error) {
	type candidate struct {
		c, k, loss float64
		grid       []float64
	}
	var all []candidate
	head := t.Head(512)
	var o *objective
	for _, c := range []float64{0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 3} {
		for _, k := range []float64{0.003, 0.01, 0.03, 0.1, 0.3, 1, 10} {
			g, err := arctanLog(c, k, t.From, t.To, n)
			if err != nil {
				return nil, err
			}
			s := judge(g)
			if o == nil {
				o = newObjective(ctx, head, s, nil, nil)
			}
			o.s = s
			o.set(s.first)
			loss, err := o.e.value(ctx, o.u, nil, nil)
			if err != nil {
				return nil, err
			}
			if loss-loss == 0 {
				all = append(all, candidate{c, k, loss, g})
			}
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].loss < all[j].loss })
	var out [][]float64
	for _, a := range all {
		alike := slices.ContainsFunc(out, func(g []float64) bool { return distance(g, a.grid) < 0.25 })
		if !alike {
			out = append(out, a.grid)
		}
		if len(out) == count {
			break
		}
	}
	return out, nil
}

// distance is the largest difference of two grids in log s.
func distance(a, b []float64) float64 {
	d := 0.0
	for i := range a {
		d = max(d, math.Abs(math.Log(a[i]/b[i])))
	}
	return d
}

// arctanLog is the grid of [schedules.ArctanLog] in ŝ.
func arctanLog(c, k, from, to float64, n int) ([]float64, error) {
	g, err := schedules.ArctanLog{C: c, K: k}.Grid(schedules.EDM{SMin: to, SMax: from}, n)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(g))
	for i, l := range g {
		out[i] = l.Noise()
	}
	return out, nil
}
