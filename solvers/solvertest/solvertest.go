// Package solvertest holds a solver to the promises that every solver of this
// project makes. A new solver passes
//
//	func TestMine(t *testing.T) { solvertest.Run(t, Mine{}) }
//
// or it is wrong, or its [solvers.Properties] are.
package solvertest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Run checks a solver with a fixed grid (not an adaptive one):
//
//   - its name parses back to it, if it is one of the registry;
//   - it visits the grid's levels, and counts the evaluations it promises, on
//     one step, two, many, uneven ones, to σ = 0 and from α = 0;
//   - rows do not depend on the batch, their order, the labels of others, or
//     GOMAXPROCS, bit for bit;
//   - stepping is running, and resuming after any step changes no bit;
//   - it allocates nothing after the first step and leaves its input alone;
//   - NaN surfaces with row, column and step; bad problems are refused;
//   - a failed step can be repeated;
//   - the named steps out of α = 0 and into σ = 0 are the named ones;
//   - x/α does not depend on the path if Properties say so;
//   - a deterministic solver has its order, from data to noise too if it walks
//     there, a stochastic one the exact law in the limit of many steps, unless
//     Properties say that it is biased: then test it in closed form.
func Run(t *testing.T, s solvers.Solver) {
	if s.Properties().Adaptive {
		t.Fatalf("solvertest: %s is adaptive: Run checks solvers with a fixed grid", s)
	}
	t.Run("Parse", func(t *testing.T) { parses(t, s) })
	t.Run("Evaluations", func(t *testing.T) { evaluations(t, s) })
	t.Run("Rows", func(t *testing.T) { rowsAlone(t, s) })
	t.Run("Resume", func(t *testing.T) { resumes(t, s) })
	t.Run("Retry", func(t *testing.T) { retries(t, s) })
	t.Run("Alloc", func(t *testing.T) { allocates(t, s) })
	t.Run("Inputs", func(t *testing.T) { inputs(t, s) })
	t.Run("NaN", func(t *testing.T) { nonFinite(t, s) })
	t.Run("Refuses", func(t *testing.T) { refuses(t, s) })
	t.Run("Ends", func(t *testing.T) { ends(t, s) })
	if s.Properties().PathFree {
		t.Run("PathFree", func(t *testing.T) { pathFree(t, s) })
	}
	if s.Properties().Biased {
		return
	}
	if s.Properties().Stochastic {
		t.Run("Law", func(t *testing.T) { race.Measures(t); law(t, s) })
	} else {
		t.Run("Order", func(t *testing.T) { race.Measures(t); order(t, s) })
		t.Run("Stiff", func(t *testing.T) { race.Measures(t); stiff(t, s) })
	}
}

// cheap is a denoiser for tests that need none in particular: data
// N(m_label, 1) in every coordinate, so that D = (m σ² + α x)/(α² + σ²). It
// allocates nothing, knows labels, its posterior covariance and how to sample.
type cheap struct{ dim int }

func (c cheap) Shape() []int { return []int{c.dim} }

func (c cheap) Denoise(_ context.Context, dst []float64, q models.Query) error {
	if err := q.Check(dst, c.dim); err != nil {
		return err
	}
	for i, x := range q.X {
		row := i / c.dim
		l, m := q.Level(row), 0.1
		if q.Labels != nil {
			m = float64(q.Labels[row])
		}
		a, v := l.Alpha, l.Sigma*l.Sigma
		dst[i] = (float64(m*v) + float64(a*x)) / (float64(a*a) + v)
	}
	return nil
}

// PosteriorCovMul writes σ²/(α² + σ²) v.
func (c cheap) PosteriorCovMul(_ context.Context, dst, v []float64, q models.Query) error {
	for i := range dst {
		l := q.Level(i / c.dim)
		n := l.Sigma * l.Sigma
		dst[i] = n / (float64(l.Alpha*l.Alpha) + n) * v[i]
	}
	return nil
}

// PosteriorTrace writes dim σ²/(α² + σ²).
func (c cheap) PosteriorTrace(_ context.Context, dst []float64, q models.Query) error {
	for i := range dst {
		l := q.Level(i)
		n := l.Sigma * l.Sigma
		dst[i] = float64(c.dim) * n / (float64(l.Alpha*l.Alpha) + n)
	}
	return nil
}

// Sample draws α x₀ + σ ε.
func (c cheap) Sample(dst []float64, at schedules.Level, labels []int, keys []rng.Key) error {
	for i, k := range keys {
		m, stream := 0.1, k.Stream()
		if labels != nil {
			m = float64(labels[i])
		}
		for j := i * c.dim; j < (i+1)*c.dim; j++ {
			dst[j] = float64(at.Alpha*(m+stream.NormFloat64())) + at.Sigma*stream.NormFloat64()
		}
	}
	return nil
}

// schedule has the λ of EDM's and, on a path, another α.
func schedule(path schedules.Path) schedules.Schedule {
	return schedules.OnPath{To: path, Schedule: schedules.EDM{SMin: 0.01, SMax: 30}}
}

func grid(t testing.TB, sp schedules.Spacing, s schedules.Schedule, n int) schedules.Grid {
	t.Helper()
	g, err := sp.Grid(s, n)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// named is a grid with a name and the schedule it lies on.
type named struct {
	name     string
	grid     schedules.Grid
	schedule schedules.Schedule
}

// grids are the shapes that a solver has to cope with.
func grids(t testing.TB) []named {
	vp, rf := schedule(schedules.VPPath{}), schedules.RF{Shift: 1}
	zero := schedules.Level{T: 0, Alpha: 1, Sigma: 0}
	noise := schedules.Level{T: 1, Alpha: 0, Sigma: 1}
	mid := func(ts ...float64) schedules.Grid {
		var g schedules.Grid
		for _, t := range ts {
			g = append(g, rf.At(t))
		}
		return g
	}
	karras := grid(t, schedules.Karras{Rho: 7}, vp, 9)
	return []named{
		{"one step", grid(t, schedules.UniformLambda{}, vp, 1), vp},
		{"two steps", grid(t, schedules.UniformLambda{}, vp, 2), vp},
		{"uniform λ", grid(t, schedules.UniformLambda{}, vp, 8), vp},
		{"karras", karras, vp},
		{"karras to σ = 0", append(slices.Clone(karras), zero), vp},
		{"uneven", mid(0.99, 0.9, 0.89, 0.5, 0.49, 0.48, 0.2, 0.01), rf},
		{"from α = 0", append(schedules.Grid{noise}, mid(0.95, 0.7, 0.6, 0.3, 0.25, 0.02)...), rf},
		{"from α = 0 to σ = 0", append(append(schedules.Grid{noise}, mid(0.8, 0.5, 0.4, 0.2, 0.1)...), zero), rf},
		{"one step to σ = 0", append(mid(0.9), zero), rf},
		{"one step over everything", schedules.Grid{noise, zero}, rf},
	}
}

// fitting are the grids that s can walk.
func fitting(t testing.TB, s solvers.Solver) []named {
	return slices.DeleteFunc(grids(t), func(g named) bool { return solvers.FitsGrid(s, g.grid) != nil })
}

// problem is a run of the cheap denoiser over g, with fresh noise.
func problem(g named, dim, rows int) solvers.Problem {
	return solvers.Problem{
		Denoiser: cheap{dim}, Grid: g.grid, Schedule: g.schedule,
		Noise: solvers.NewIndependent(keys(rows)),
	}
}

func keys(n int) []rng.Key { return solvers.RowKeys(rng.New(7), 0, n) }

// initial draws the rows of a start at a level, each by its own key.
func initial(at schedules.Level, dim, rows int) []float64 {
	x := make([]float64, rows*dim)
	for i, k := range keys(rows) {
		k.Split("init", 0).Normal(x[i*dim : (i+1)*dim])
	}
	scale := math.Hypot(at.Alpha, at.Sigma)
	for i := range x {
		x[i] *= scale
	}
	return x
}

func begin(t testing.TB, s solvers.Solver, p solvers.Problem, x []float64, opts ...solvers.RunOption) solvers.Stepper {
	t.Helper()
	st, err := s.Start(p, x, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func sample(t testing.TB, s solvers.Solver, p solvers.Problem, x []float64, opts ...solvers.RunOption) []float64 {
	t.Helper()
	out, err := solvers.Sample(context.Background(), s, p, x, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func parses(t *testing.T, s solvers.Solver) {
	name, _, _ := strings.Cut(s.String(), "(")
	if slices.Contains(solvers.Registry().Names(), name) {
		again, err := solvers.Parse(s.String())
		if err != nil {
			t.Fatal(err)
		}
		if again != s {
			t.Errorf("%s parses as %#v, expected %#v", s, again, s)
		}
	}
	if p := s.Properties(); p.Summary == "" || p.Equation == "" || len(p.References) == 0 {
		t.Errorf("properties lack a summary, an equation or a reference: %+v", p)
	}
}

func evaluations(t *testing.T, s solvers.Solver) {
	const dim, rows = 3, 2
	for _, g := range fitting(t, s) {
		counter := models.NewCounter(cheap{dim})
		p := problem(g, dim, rows)
		p.Denoiser = samples{counter}
		index, evals, stages := 0, 0, 0
		st := begin(t, s, p, initial(g.grid[0], dim, rows), solvers.Observe(func(e solvers.Stage) {
			if stages++; e.Step != index || len(e.X) != dim*rows || len(e.Denoised) != dim*rows {
				t.Errorf("%s: an observer sees step %d with %d and %d values during step %d", g.name, e.Step, len(e.X), len(e.Denoised), index)
			}
		}))
		for step, err := range solvers.Steps(context.Background(), st) {
			if err != nil {
				t.Fatalf("%s: %v", g.name, err)
			}
			if step.Index != index || step.From != g.grid[index] || step.To != g.grid[index+1] {
				t.Errorf("%s: step %d goes %v → %v, expected step %d, %v → %v", g.name, step.Index, step.From, step.To, index, g.grid[index], g.grid[index+1])
			}
			if step.Evals != counter.Calls() || step.OrderUsed < min(1, int(s.Properties().Order)) {
				t.Errorf("%s: step %d reports %d evaluations and order %d; counted %d", g.name, index, step.Evals, step.OrderUsed, counter.Calls())
			}
			index, evals = index+1, step.Evals
		}
		if index != g.grid.Steps() {
			t.Errorf("%s: %d steps, the grid has %d", g.name, index, g.grid.Steps())
		}
		if promised := s.NFE(g.grid); promised != evals || stages != evals || counter.Rows() != rows*evals {
			t.Errorf("%s: promised %d evaluations, counted %d, observed %d, of %d rows", g.name, promised, evals, stages, counter.Rows())
		}
		for range 2 {
			if _, err := st.Step(context.Background()); !errors.Is(err, io.EOF) {
				t.Errorf("%s: a step after the last gives %v, expected io.EOF", g.name, err)
			}
		}
	}
	// The properties in numbers: an inner step, the opening, the step to σ = 0.
	props, long := s.Properties(), grid(t, schedules.UniformLambda{}, schedule(schedules.VPPath{}), 20)
	inner := s.NFE(long) - s.NFE(long[1:])
	if props.Varies {
		return // NFE was compared with what was counted above
	}
	if inner != props.Evals || s.NFE(long) != 20*props.Evals+props.FirstEvals {
		t.Errorf("an inner step costs %d evaluations and 20 steps %d: Properties promise %d each and %d for the opening", inner, s.NFE(long), props.Evals, props.FirstEvals)
	}
	last := append(slices.Clone(long), schedules.Level{Alpha: 1})
	if n := s.NFE(last) - s.NFE(long); n != props.LastEvals {
		t.Errorf("the step to σ = 0 costs %d evaluations, Properties promise %d", n, props.LastEvals)
	}
}

// samples hands calls about the samples of a run to the denoiser inside, and
// answers itself what a solver asks about the data: the mean, which is D at α = 0
// for every x, once for all rows. That does not count as an evaluation. Runs under
// it start with several rows, so that a call of one is told apart.
type samples struct{ models.Denoiser }

func (s samples) Unwrap() models.Denoiser { return s.Denoiser }

func (s samples) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if aside(q) {
		return cheap{models.Dim(s.Denoiser)}.Denoise(ctx, dst, q)
	}
	return s.Denoiser.Denoise(ctx, dst, q)
}

func aside(q models.Query) bool { return q.Rows == 1 && q.At[0].Alpha == 0 }

func rowsAlone(t *testing.T, s solvers.Solver) {
	const dim, rows = 5, 6
	for _, g := range fitting(t, s) {
		p := problem(g, dim, rows)
		p.Labels = []int{0, 1, 2, 0, 1, 2}
		x := initial(g.grid[0], dim, rows)
		all := sample(t, s, p, x)
		for _, pick := range [][]int{{4}, {5, 3, 1}} {
			sub, subx := p, make([]float64, 0, dim*len(pick))
			var subkeys []rng.Key
			sub.Labels = nil
			for _, i := range pick {
				subx = append(subx, x[i*dim:(i+1)*dim]...)
				subkeys = append(subkeys, keys(rows)[i])
				sub.Labels = append(sub.Labels, p.Labels[i])
			}
			sub.Noise = solvers.NewIndependent(subkeys)
			for k, got := range slices.Collect(slices.Chunk(sample(t, s, sub, subx), dim)) {
				if i := pick[k]; !slices.Equal(got, all[i*dim:(i+1)*dim]) {
					t.Errorf("%s: row %d in the batch %v is %v, alone in another %v", g.name, i, pick, got, all[i*dim:(i+1)*dim])
				}
			}
		}
	}
	// Large enough that work is split over processors, for steps with a history.
	const wide, many = 40, 2000
	vp := schedule(schedules.VPPath{})
	g := named{"", grid(t, schedules.Karras{Rho: 7}, vp, 5), vp}
	p, x := problem(g, wide, many), initial(g.grid[0], wide, many)
	processors(t, s, p, x)
}

// processors runs on one processor and on three.
func processors(t *testing.T, s solvers.Solver, p solvers.Problem, x []float64) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := sample(t, s, p, x)
	runtime.GOMAXPROCS(3)
	if !slices.Equal(one, sample(t, s, p, x)) {
		t.Error("the result depends on GOMAXPROCS")
	}
}

func resumes(t *testing.T, s solvers.Solver) {
	const dim, rows = 3, 2
	for _, g := range fitting(t, s) {
		p, x := problem(g, dim, rows), initial(g.grid[0], dim, rows)
		whole := sample(t, s, p, x)
		st := begin(t, s, p, x)
		for i := 0; ; i++ {
			state := stored(t, st)
			if got := sample(t, s, p, x, solvers.Resume(state)); !slices.Equal(got, whole) {
				t.Fatalf("%s: resumed after step %d ends at %v, uninterrupted at %v", g.name, i, got, whole)
			}
			last := begin(t, s, p, x, solvers.Resume(state))
			for range solvers.Steps(context.Background(), last) {
			}
			if n := last.State().Evals; n != s.NFE(g.grid) {
				t.Errorf("%s: resumed after step %d counts %d evaluations, expected %d", g.name, i, n, s.NFE(g.grid))
			}
			if _, err := st.Step(context.Background()); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(st.State().X, whole) {
			t.Errorf("%s: stepping ends at %v, running at %v", g.name, st.State().X, whole)
		}
	}
}

// stored returns a state through JSON, as a program that was stopped finds it.
func stored(t *testing.T, st solvers.Stepper) (state solvers.State) {
	t.Helper()
	b, err := json.Marshal(st.State())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &state); err != nil {
		t.Fatal(err)
	}
	return state
}

// flaky fails at one of its calls, or gives NaN in one place at one of those about
// the samples. What else the denoiser inside offers works.
type flaky struct {
	inner cheap
	at    int // call
	nan   int // index into dst, or −1 to fail
	calls *int
}

var errFlaky = errors.New("the denoiser is out of order")

func (f flaky) Shape() []int            { return f.inner.Shape() }
func (f flaky) Unwrap() models.Denoiser { return f.inner }

func (f flaky) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if f.nan >= 0 && aside(q) {
		return f.inner.Denoise(ctx, dst, q)
	}
	*f.calls++
	if *f.calls-1 == f.at && f.nan < 0 {
		return errFlaky
	}
	err := f.inner.Denoise(ctx, dst, q)
	if *f.calls-1 == f.at && f.nan >= 0 {
		dst[f.nan] = math.NaN()
	}
	return err
}

func retries(t *testing.T, s solvers.Solver) {
	const dim, rows = 3, 2
	g := grids(t)[4]
	p, x := problem(g, dim, rows), initial(g.grid[0], dim, rows)
	calls := new(int)
	counted := p
	counted.Denoiser = flaky{cheap{dim}, -1, -1, calls}
	whole := sample(t, s, counted, x)
	for at := range *calls {
		repeats(t, s, p, x, at, whole)
	}
	canceled(t, s, p, x)
}

// repeats fails one evaluation, repeats the step, and compares the end with that
// of the undisturbed run. It returns the index of the step.
func repeats(t *testing.T, s solvers.Solver, p solvers.Problem, x []float64, at int, whole []float64) (index int) {
	t.Helper()
	p.Denoiser = flaky{cheap{models.Dim(p.Denoiser)}, at, -1, new(int)}
	st := begin(t, s, p, x)
	failures := 0
	for {
		before := st.State()
		_, err := st.Step(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			continue
		}
		var stepErr *solvers.StepError
		if failures++; failures > 1 || !errors.Is(err, errFlaky) || !errors.As(err, &stepErr) {
			t.Fatalf("failure at evaluation %d gives %v", at, err)
		}
		if index = stepErr.Index; index != before.Index {
			t.Fatalf("failure at evaluation %d is said to be in step %d, expected %d", at, index, before.Index)
		}
		if after := st.State(); after.Index != before.Index || after.Evals != before.Evals || !slices.Equal(after.X, before.X) {
			t.Fatalf("failure at evaluation %d moved the stepper from %+v to %+v", at, before, after)
		}
	}
	if failures != 1 || !slices.Equal(st.State().X, whole) {
		t.Fatalf("repeating the step that failed at evaluation %d ends at %v, expected %v", at, st.State().X, whole)
	}
	return index
}

func canceled(t *testing.T, s solvers.Solver, p solvers.Problem, x []float64) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := begin(t, s, p, x).Step(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a step under a cancelled context gives %v", err)
	}
}

func allocates(t *testing.T, s solvers.Solver) {
	const dim, rows, runs = 16, 4, 20
	vp := schedule(schedules.VPPath{})
	g := named{"", grid(t, schedules.Karras{Rho: 7}, vp, runs+8), vp}
	st := begin(t, s, problem(g, dim, rows), initial(g.grid[0], dim, rows))
	ctx := context.Background()
	for range 5 { // past the opening of a multistep method, which runs other code
		if _, err := st.Step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	stepsAllocate(t, st, runs)
}

// stepsAllocate refuses steps that allocate.
func stepsAllocate(t *testing.T, st solvers.Stepper, runs int) {
	t.Helper()
	allocs := testing.AllocsPerRun(runs, func() {
		if _, err := st.Step(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%g allocations a step", allocs)
	}
}

func inputs(t *testing.T, s solvers.Solver) {
	const dim, rows = 3, 2
	for _, g := range fitting(t, s) {
		p, x := problem(g, dim, rows), initial(g.grid[0], dim, rows)
		p.Labels = []int{1, 2}
		gridBefore, xBefore := slices.Clone(p.Grid), slices.Clone(x)
		a := sample(t, s, p, x)
		if !slices.Equal(gridBefore, p.Grid) || !slices.Equal(xBefore, x) || !slices.Equal(p.Labels, []int{1, 2}) {
			t.Errorf("%s: the run changed its input", g.name)
		}
		// Nor does a run read it after the start.
		p.Grid = slices.Clone(p.Grid)
		st := begin(t, s, p, x)
		clear(x)
		clear(p.Labels)
		clear(p.Grid)
		for _, err := range solvers.Steps(context.Background(), st) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(st.State().X, a) {
			t.Errorf("%s: the run reads its caller's arrays after the start", g.name)
		}
	}
}

func nonFinite(t *testing.T, s solvers.Solver) {
	const dim, rows = 3, 4
	for _, g := range fitting(t, s) {
		x := initial(g.grid[0], dim, rows)
		var clean []solvers.Stage // of every evaluation
		sample(t, s, problem(g, dim, rows), x, solvers.Observe(func(e solvers.Stage) { clean = append(clean, e) }))
		for at := range clean {
			p := problem(g, dim, rows)
			p.Denoiser = flaky{cheap{dim}, at, 2*dim + 1, new(int)}
			var seen solvers.Stage
			_, err := solvers.Sample(context.Background(), s, p, x, solvers.Observe(func(e solvers.Stage) { seen = e }))
			step, stage := clean[at].Step, clean[at].Stage
			var stepErr *solvers.StepError
			var bad *solvers.NonFiniteError
			switch {
			case !errors.As(err, &stepErr) || !errors.As(err, &bad):
				t.Fatalf("%s: a NaN at evaluation %d gives %v", g.name, at, err)
			case bad.Row != 2 || bad.Col != 1 || bad.Source != "denoiser" || stepErr.Index != step || stepErr.From != g.grid[step]:
				t.Fatalf("%s: a NaN of the denoiser in row 2, column 1, step %d, is reported as %v", g.name, step, err)
			case seen.Stage != stage || bad.Stage != stage || bad.At.Alpha != seen.At.Alpha || bad.At.Sigma != seen.At.Sigma:
				t.Fatalf("%s: a NaN at evaluation %d of step %d, at %+v, is reported at %+v as %v", g.name, stage, step, seen.At, bad.At, err)
			}
		}
	}
}

func refuses(t *testing.T, s solvers.Solver) {
	const dim, rows = 3, 2
	g := grids(t)[3]
	x := initial(g.grid[0], dim, rows)
	props := s.Properties()
	good := problem(g, dim, rows)
	check := func(what string, change func(p *solvers.Problem, x *[]float64) []solvers.RunOption) {
		t.Helper()
		p, x, calls := good, slices.Clone(x), 0
		p.Denoiser = flaky{cheap{dim}, 0, -1, &calls}
		opts := change(&p, &x)
		if _, err := s.Start(p, x, opts...); err == nil {
			t.Errorf("%s was not refused", what)
		}
		if calls != 0 {
			t.Errorf("%s: evaluated %d times before it was refused", what, calls)
		}
	}
	type change = func(p *solvers.Problem, x *[]float64) []solvers.RunOption
	cases := map[string]change{
		"no denoiser":       func(p *solvers.Problem, x *[]float64) []solvers.RunOption { p.Denoiser = nil; return nil },
		"no grid":           func(p *solvers.Problem, x *[]float64) []solvers.RunOption { p.Grid = nil; return nil },
		"a grid of no step": func(p *solvers.Problem, x *[]float64) []solvers.RunOption { p.Grid = p.Grid[:1]; return nil },
		"a grid that rises and falls": func(p *solvers.Problem, x *[]float64) []solvers.RunOption {
			p.Grid = slices.Clone(p.Grid)
			p.Grid[2], p.Grid[3] = p.Grid[3], p.Grid[2]
			return nil
		},
		"a grid that stands still": func(p *solvers.Problem, x *[]float64) []solvers.RunOption {
			p.Grid = slices.Clone(p.Grid)
			p.Grid[3] = p.Grid[2]
			return nil
		},
		"no rows":     func(p *solvers.Problem, x *[]float64) []solvers.RunOption { *x = nil; return nil },
		"half a row":  func(p *solvers.Problem, x *[]float64) []solvers.RunOption { *x = (*x)[:4]; return nil },
		"NaN in x":    func(p *solvers.Problem, x *[]float64) []solvers.RunOption { (*x)[3] = math.NaN(); return nil },
		"Inf in x":    func(p *solvers.Problem, x *[]float64) []solvers.RunOption { (*x)[3] = math.Inf(1); return nil },
		"one label":   func(p *solvers.Problem, x *[]float64) []solvers.RunOption { p.Labels = []int{1}; return nil },
		"empty state": func(p *solvers.Problem, x *[]float64) []solvers.RunOption { return resume(solvers.State{}) },
		"a state of more steps": func(p *solvers.Problem, x *[]float64) []solvers.RunOption {
			return resume(solvers.State{Solver: s.String(), Index: 99, X: *x})
		},
		"a state of fewer rows": func(p *solvers.Problem, x *[]float64) []solvers.RunOption {
			return resume(solvers.State{Solver: s.String(), X: (*x)[:dim]})
		},
		"a state with a history too long": func(p *solvers.Problem, x *[]float64) []solvers.RunOption {
			return resume(solvers.State{Solver: s.String(), Index: 3, X: *x, History: slices.Repeat([][]float64{*x}, props.History+1)})
		},
	}
	if props.History > 0 {
		full := max(3, props.History) // steps after which the history is
		cases["a state with a history too short"] = func(p *solvers.Problem, x *[]float64) []solvers.RunOption {
			return resume(solvers.State{Solver: s.String(), Index: full, X: *x, History: slices.Repeat([][]float64{*x}, props.History-1)})
		}
		cases["a state with half a row of history"] = func(p *solvers.Problem, x *[]float64) []solvers.RunOption {
			return resume(solvers.State{Solver: s.String(), Index: full, X: *x, History: slices.Repeat([][]float64{(*x)[:4]}, props.History)})
		}
		cases["a state with NaN in its history"] = func(p *solvers.Problem, x *[]float64) []solvers.RunOption {
			h := slices.Repeat([]float64{math.NaN()}, len(*x))
			return resume(solvers.State{Solver: s.String(), Index: full, X: *x, History: slices.Repeat([][]float64{h}, props.History)})
		}
	}
	if props.Stochastic {
		cases["no noise"] = func(p *solvers.Problem, x *[]float64) []solvers.RunOption { p.Noise = nil; return nil }
	}
	if props.Between {
		cases["no schedule"] = func(p *solvers.Problem, x *[]float64) []solvers.RunOption { p.Schedule = nil; return nil }
		cases["a schedule on another path"] = func(p *solvers.Problem, x *[]float64) []solvers.RunOption {
			p.Schedule = schedule(schedules.RFPath{})
			return nil
		}
	}
	rising := func(g schedules.Grid) change {
		g = slices.Clone(g)
		slices.Reverse(g)
		return func(p *solvers.Problem, x *[]float64) []solvers.RunOption { p.Grid = g; return nil }
	}
	if !props.Rises {
		cases["a rising grid"] = rising(good.Grid)
	}
	cases["a grid that rises to α = 0"] = rising(append(schedules.Grid{{T: 1, Sigma: 1}}, good.Grid...))
	if !props.FromData {
		cases["a grid that rises from σ = 0"] = rising(append(slices.Clone(good.Grid), schedules.Level{Alpha: 1}))
	}
	for what, change := range cases {
		check(what, change)
	}
	// What a solver's settings say of its steps may refuse a short grid or two.
	refused := 0
	for _, g := range grids(t) {
		if err := solvers.FitsGrid(s, g.grid); err != nil {
			refused++
			if !strings.Contains(err.Error(), "grid") {
				t.Errorf("%s: %q does not speak of the grid", g.name, err)
			}
			check(g.name, func(p *solvers.Problem, x *[]float64) []solvers.RunOption {
				p.Grid, p.Schedule = g.grid, g.schedule
				return nil
			})
		}
	}
	registered := slices.ContainsFunc(solvers.Registry().Entries, func(e solvers.Entry) bool { return e.Default == s })
	if refused > 0 && registered || refused > 5 {
		t.Errorf("the solver refuses %d of %d grids", refused, len(grids(t)))
	}
}

func resume(s solvers.State) []solvers.RunOption { return []solvers.RunOption{solvers.Resume(s)} }

// ends checks the step out of α = 0 that is the same for every solver without
// one of its own, and that all others stay finite.
func ends(t *testing.T, s solvers.Solver) {
	const dim, rows = 3, 2
	for _, g := range fitting(t, s) {
		st := begin(t, s, problem(g, dim, rows), initial(g.grid[0], dim, rows))
		x := st.State().X
		for step, err := range solvers.Steps(context.Background(), st) {
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range step.X {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%s: step %d gives %g", g.name, step.Index, v)
				}
				a, b := step.From, step.To
				if a.Alpha > 0 || s.Properties().OwnFirst {
					continue
				}
				// x_s = (σ_s/σ_t) x_t + (α_s − α_t σ_s/σ_t) D at α_t = 0;
				// 1e-15 is one rounding.
				want := b.Sigma/a.Sigma*x[i] + b.Alpha*step.Denoised[i]
				if math.Abs(v-want) > 1e-15*(math.Abs(want)+1) {
					t.Errorf("%s: the start from α = 0 gives %g, expected %g", g.name, v, want)
				}
			}
			x = slices.Clone(step.X)
		}
	}
}

// pathFree compares x/α on the same λ over the paths that have its ends.
func pathFree(t *testing.T, s solvers.Solver) {
	const dim, rows, n = 4, 3, 12
	gauss := models.Gauss4()
	for _, ends := range []struct{ noise, clean bool }{{}, {clean: true}, {noise: true}, {noise: true, clean: true}} {
		paths := []schedules.Path{schedules.VPPath{}, schedules.RFPath{}, schedules.VEPath{}}
		if ends.noise {
			paths = paths[:2] // α is 1 on VE
		}
		var first [][]float64
		for _, path := range paths {
			sch := schedule(path)
			g := grid(t, schedules.Karras{Rho: 7}, sch, n)
			x := initial(schedules.Level{Sigma: 30 * g[0].Alpha}, dim, rows)
			if ends.noise {
				g = append(schedules.Grid{{T: math.Inf(1), Sigma: 1}}, g...)
				x = initial(g[0], dim, rows)
			}
			if ends.clean {
				g = append(g, schedules.Level{T: 0, Alpha: 1})
			}
			p := solvers.Problem{Denoiser: gauss, Grid: g, Schedule: sch, Noise: solvers.NewIndependent(keys(rows))}
			var states [][]float64
			for step, err := range solvers.Steps(context.Background(), begin(t, s, p, x)) {
				if err != nil {
					t.Fatal(err)
				}
				y := slices.Clone(step.X)
				for i := range y {
					y[i] /= step.To.Alpha
				}
				states = append(states, y)
			}
			if first == nil {
				first = states
				continue
			}
			for k, y := range states {
				for i, v := range y {
					// Rounding of λ and of the states, of size σ/α ≤ 30.
					if d := math.Abs(v - first[k][i]); d > 1e-10 {
						t.Fatalf("path %s: x/α after step %d differs from that on %s by %.2g", path, k, paths[0], d)
					}
				}
			}
		}
	}
}
