package tune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/optimize"

	"snrlab/internal/simd"
	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// GridMethod is a way to find a grid of n steps for a solver without gradients.
type GridMethod struct {
	Name, Summary string
	find          func(ctx context.Context, g *gridSearch) ([]float64, error)
}

// GridMethods lists them.
func GridMethods() []GridMethod {
	return []GridMethod{
		{"two-number", "the best c and k of spacing arctan-log: a search on a lattice, then Nelder–Mead", twoNumber},
		{"refine", "every level free, by Nelder–Mead from the two-number grid", refine},
		{"gits", "shortest path over teacher points, with Euler's distance to the exact state as the cost of a step [chen2024gits]", gits},
		{"local", "the same with the distance of the solver's own step from the exact state", local},
		{"oss", "shortest path whose states are the solver's own [pei2025]", oss},
		{"curvature", "density E|d²D/d(log ŝ)²|^{1/3} along exact paths, which no solver enters", curvature},
	}
}

// GridSearch says what is looked for. A solver is measured on the task, from
// whose first rows the exact paths are taken that some methods look at.
type GridSearch struct {
	Method   string  `json:"method"`
	Steps    int     `json:"steps"`
	Teacher  int     `json:"teacher"`  // points of the exact paths
	Paths    int     `json:"paths"`    // exact paths
	Discount float64 `json:"discount"` // of gits and local: each step counts so many times the one after it
	Runs     int     `json:"runs"`     // most runs of the solver by refine
}

// DefaultGridSearch returns the settings of the shipped grids.
func DefaultGridSearch(method string, steps int) GridSearch {
	return GridSearch{Method: method, Steps: steps, Teacher: 61, Paths: 256, Discount: 1, Runs: 600}
}

// Validate reports settings that cannot be used.
func (s GridSearch) Validate() error {
	var names []string
	for _, m := range GridMethods() {
		names = append(names, m.Name)
	}
	switch {
	case !slices.Contains(names, s.Method):
		return fmt.Errorf("tune: unknown method %q%s", s.Method, spec.Suggest(s.Method, names))
	case s.Steps < 1 || s.Steps > 200:
		return fmt.Errorf("tune: steps = %d: expected 1 to 200", s.Steps)
	case s.Teacher < s.Steps+1 || s.Teacher > 2000:
		return fmt.Errorf("tune: teacher = %d points: expected at least the %d of the grid, at most 2000", s.Teacher, s.Steps+1)
	case s.Paths < 1:
		return fmt.Errorf("tune: paths = %d: expected at least 1", s.Paths)
	case !(s.Discount > 0) || math.IsInf(s.Discount, 1):
		return fmt.Errorf("tune: discount = %g: expected a number > 0 (1 for none)", s.Discount)
	case s.Runs < 1:
		return fmt.Errorf("tune: runs = %d: expected at least 1", s.Runs)
	}
	return nil
}

// Find returns the ŝ of a grid for a solver.
func (s GridSearch) Find(ctx context.Context, t *Task, solver solvers.Solver) ([]float64, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if p := solver.Properties(); p.Stochastic || p.Adaptive {
		return nil, fmt.Errorf("tune: %s: a grid is fitted to the ends of a deterministic solver that walks it", solver)
	}
	for _, m := range GridMethods() {
		if m.Name == s.Method {
			return m.find(ctx, &gridSearch{GridSearch: s, task: t, solver: solver})
		}
	}
	panic("tune: a valid method is not listed")
}

// gridSearch is a GridSearch under way.
type gridSearch struct {
	GridSearch
	task   *Task
	solver solvers.Solver
}

// error returns the RMSE of the solver on a grid, +Inf where it cannot run.
func (g *gridSearch) error(ctx context.Context, grid []float64) (float64, error) {
	e, err := g.task.Run(ctx, g.solver, grid)
	var step *solvers.StepError
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case errors.As(err, &step) || err == nil && e.RMSE != e.RMSE:
		return math.Inf(1), nil
	case err != nil:
		return 0, err
	}
	return e.RMSE, nil
}

// search minimises f by Nelder–Mead from x0 within so many calls.
func search(f func([]float64) (float64, error), x0 []float64, size float64, calls int) ([]float64, error) {
	best, value := slices.Clone(x0), math.Inf(1)
	var failure error
	problem := optimize.Problem{
		Func: func(x []float64) float64 {
			v, err := f(x)
			if err != nil {
				failure = err
				return math.Inf(1)
			}
			if v < value {
				value = v
				copy(best, x)
			}
			return v
		},
		Status: func() (optimize.Status, error) {
			if failure != nil {
				return optimize.Failure, failure
			}
			return optimize.NotTerminated, nil
		},
	}
	_, err := optimize.Minimize(problem, x0, &optimize.Settings{
		FuncEvaluations: calls, Converger: &optimize.FunctionConverge{Relative: 1e-5, Iterations: 60},
	}, &optimize.NelderMead{SimplexSize: size})
	if failure != nil {
		return nil, failure
	}
	if math.IsInf(value, 1) {
		return nil, fmt.Errorf("tune: the solver has no finite error near where the search begins: %w", err)
	}
	return best, nil
}

func twoNumber(ctx context.Context, g *gridSearch) ([]float64, error) {
	value := func(x []float64) (float64, error) {
		if x[0] < -16 || x[0] > 16 || x[1] < -16 || x[1] > 8 {
			return math.Inf(1), nil
		}
		grid, err := arctanLog(math.Exp(x[0]), math.Exp(x[1]), g.task.From, g.task.To, g.Steps)
		if err != nil {
			return 0, err
		}
		return g.error(ctx, grid)
	}
	best, at := math.Inf(1), []float64{0, 0}
	for c := -6.0; c <= 2; c += 0.6 {
		for k := -6.0; k <= 3; k += 1.5 {
			v, err := value([]float64{c, k})
			if err != nil {
				return nil, err
			}
			if v < best {
				best, at = v, []float64{c, k}
			}
		}
	}
	x, err := search(value, at, 0.3, 80)
	if err != nil {
		return nil, err
	}
	return arctanLog(math.Exp(x[0]), math.Exp(x[1]), g.task.From, g.task.To, g.Steps)
}

func refine(ctx context.Context, g *gridSearch) ([]float64, error) {
	begin, err := twoNumber(ctx, g)
	if err != nil {
		return nil, err
	}
	p := newProgram(g.Steps, g.Steps)
	grid := func(x []float64) []float64 {
		theta := make([]complex128, len(x))
		complexes(theta, x)
		levels(p, theta, g.task.From, g.task.To)
		out := make([]float64, g.Steps+1)
		for i, v := range p.s {
			out[i] = real(v)
		}
		return out
	}
	x := logits(begin)
	for left := g.Runs; left > 0; left -= g.Runs / 3 {
		calls := min(left, max(g.Runs/3, 1))
		if x, err = search(func(x []float64) (float64, error) { return g.error(ctx, grid(x)) }, x, 0.2, calls); err != nil {
			return nil, err
		}
		if g.Runs < 3 {
			break
		}
	}
	return grid(x), nil
}

// teacher holds exact paths at levels uniform in log ŝ.
type teacher struct {
	s    []float64
	x    [][]float64 // rows×dim each
	grid schedules.Grid
}

func (g *gridSearch) teacher(ctx context.Context) (*teacher, error) {
	head := g.task.Head(g.Paths)
	t := &teacher{}
	for i := range g.Teacher {
		s := head.From * math.Pow(head.To/head.From, float64(i)/float64(g.Teacher-1))
		switch i {
		case 0:
			s = head.From
		case g.Teacher - 1:
			s = head.To
		}
		t.s, t.grid = append(t.s, s), append(t.grid, at(s))
	}
	tr, err := solvers.Reference{RTol: 1e-8}.Solve(ctx, solvers.Problem{Denoiser: head.Model, Grid: t.grid}, head.Start)
	if err != nil {
		return nil, fmt.Errorf("tune: exact paths: %w", err)
	}
	t.x = tr.X
	return t, nil
}

// shortest returns the cheapest path of n steps from the first to the last of m
// points, where the cost of a path is that of its last step plus discount times
// that of the path before it.
func shortest(m, n int, discount float64, cost func(i, j int) float64) ([]int, error) {
	total := make([][]float64, n+1)
	from := make([][]int, n+1)
	for k := range total {
		total[k], from[k] = make([]float64, m), make([]int, m)
		for j := range m {
			total[k][j] = math.Inf(1)
		}
	}
	total[0][0] = 0
	for k := 1; k <= n; k++ {
		for j := k; j < m; j++ {
			for i := k - 1; i < j; i++ {
				if math.IsInf(total[k-1][i], 1) {
					continue
				}
				if c := discount*total[k-1][i] + cost(i, j); c < total[k][j] {
					total[k][j], from[k][j] = c, i
				}
			}
		}
	}
	if math.IsInf(total[n][m-1], 1) {
		return nil, fmt.Errorf("tune: no path of %d steps over %d points has a finite cost", n, m)
	}
	path := make([]int, n+1)
	path[n] = m - 1
	for k := n; k > 0; k-- {
		path[k-1] = from[k][path[k]]
	}
	return path, nil
}

func (t *teacher) levels(path []int) []float64 {
	out := make([]float64, len(path))
	for k, i := range path {
		out[k] = t.s[i]
	}
	return out
}

// rms is the root of the mean squared distance of rows.
func rms(a, b []float64, rows int) float64 {
	sum := 0.0
	for i, v := range a {
		sum += (v - b[i]) * (v - b[i])
	}
	return math.Sqrt(sum / float64(rows))
}

func gits(ctx context.Context, g *gridSearch) ([]float64, error) {
	return g.path(ctx, solvers.DDIM{})
}

func local(ctx context.Context, g *gridSearch) ([]float64, error) { return g.path(ctx, g.solver) }

// path is the shortest one where a step costs its distance from the exact state
// to the exact state.
func (g *gridSearch) path(ctx context.Context, s solvers.Solver) ([]float64, error) {
	t, err := g.teacher(ctx)
	if err != nil {
		return nil, err
	}
	m := len(t.s)
	rows := len(t.x[0]) / models.Dim(g.task.Model)
	costs := make([]float64, m*m)
	for i := range m {
		for j := i + 1; j < m; j++ {
			p := solvers.Problem{Denoiser: g.task.Model, Grid: schedules.Grid{t.grid[i], t.grid[j]}, Schedule: schedules.EDM{SMin: g.task.To, SMax: g.task.From}}
			x, err := solvers.Sample(ctx, s, p, t.x[i])
			var step *solvers.StepError
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case errors.As(err, &step):
				costs[i*m+j] = math.Inf(1)
			case err != nil:
				return nil, err
			default:
				costs[i*m+j] = rms(x, t.x[j], rows)
			}
		}
	}
	path, err := shortest(m, g.Steps, g.Discount, func(i, j int) float64 { return costs[i*m+j] })
	if err != nil {
		return nil, err
	}
	return t.levels(path), nil
}

// oss keeps, for every number of steps and every teacher point, the run that
// comes nearest to the exact state there, and extends it.
func oss(ctx context.Context, g *gridSearch) ([]float64, error) {
	t, err := g.teacher(ctx)
	if err != nil {
		return nil, err
	}
	type node struct {
		path  []int
		state solvers.State
	}
	m, rows := len(t.s), len(t.x[0])/models.Dim(g.task.Model)
	schedule := schedules.EDM{SMin: g.task.To, SMax: g.task.From}
	nodes := make([]*node, m)
	nodes[0] = &node{path: []int{0}}
	for k := 1; k <= g.Steps; k++ {
		next := make([]*node, m)
		for j := k; j < m; j++ {
			if k == g.Steps && j < m-1 || m-1-j < g.Steps-k {
				continue
			}
			best := math.Inf(1)
			for i := k - 1; i < j; i++ {
				if nodes[i] == nil {
					continue
				}
				path := append(slices.Clone(nodes[i].path), j)
				var grid schedules.Grid
				for _, p := range path {
					grid = append(grid, t.grid[p])
				}
				var opts []solvers.RunOption
				if k > 1 {
					opts = append(opts, solvers.Resume(nodes[i].state))
				}
				st, err := g.solver.Start(solvers.Problem{Denoiser: g.task.Model, Grid: grid, Schedule: schedule}, t.x[0], opts...)
				if err != nil {
					return nil, err
				}
				step, err := st.Step(ctx)
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				if err != nil {
					continue
				}
				if e := rms(step.X, t.x[j], rows); e < best {
					best, next[j] = e, &node{path, st.State()}
				}
			}
		}
		nodes = next
	}
	if nodes[m-1] == nil {
		return nil, fmt.Errorf("tune: no run of %d steps over %d points stays finite", g.Steps, m)
	}
	return t.levels(nodes[m-1].path), nil
}

// curvature places levels by the cube root of the second derivative of D in
// log ŝ along exact paths: what a method of second order equidistributes.
func curvature(ctx context.Context, g *gridSearch) ([]float64, error) {
	fine := *g
	fine.Teacher = max(g.Teacher, 241)
	t, err := fine.teacher(ctx)
	if err != nil {
		return nil, err
	}
	dim := models.Dim(g.task.Model)
	rows := len(t.x[0]) / dim
	d := make([][]float64, len(t.s))
	for i, l := range t.grid {
		d[i] = make([]float64, len(t.x[i]))
		if err := g.task.Model.Denoise(ctx, d[i], models.Query{X: t.x[i], Rows: rows, At: []schedules.Level{l}}); err != nil {
			return nil, err
		}
	}
	second := make([]float64, dim)
	density := make([]float64, len(t.s))
	for i := 1; i+1 < len(t.s); i++ {
		for r := range rows {
			for k := range second {
				e := r*dim + k
				second[k] = d[i+1][e] - 2*d[i][e] + d[i-1][e]
			}
			density[i] += math.Cbrt(math.Sqrt(simd.SumSq(second))) / float64(rows)
		}
	}
	density[0], density[len(density)-1] = density[1], density[len(density)-2]
	sum := make([]float64, len(density))
	for i := 1; i < len(sum); i++ {
		sum[i] = sum[i-1] + (density[i]+density[i-1])/2
	}
	whole := sum[len(sum)-1]
	if !(whole > 0) {
		return nil, fmt.Errorf("tune: D does not change along the exact paths, so its curvature places no levels")
	}
	out := []float64{g.task.From}
	for n, i := 1, 1; n < g.Steps; n++ {
		want := whole * float64(n) / float64(g.Steps)
		for sum[i] < want {
			i++
		}
		u := (want - sum[i-1]) / (sum[i] - sum[i-1])
		out = append(out, math.Exp((1-u)*math.Log(t.s[i-1])+u*math.Log(t.s[i])))
	}
	return append(out, g.task.To), nil
}
