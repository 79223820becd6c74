package solvertest

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// RunAdaptive checks an adaptive method, given by its tolerance:
//
//   - its name parses back to it, if it is one of the registry;
//   - it goes from the first level of a grid to the last, out of α = 0 and into
//     σ = 0 by the named steps, counts its evaluations by row, and takes no more
//     than it bounds them by;
//   - a rejected attempt leaves the row where it was, an accepted one has an
//     error within the tolerance;
//   - rows do not depend on the batch, their order, the labels of others, or
//     GOMAXPROCS, bit for bit: neither their results nor the levels they visit;
//   - stepping is running, and resuming after any step changes no bit;
//   - a failed step can be repeated; NaN surfaces with row, column and step; bad
//     problems are refused; too many attempts are an error;
//   - it allocates nothing after the first step and leaves its input alone;
//   - x/α does not depend on the path if Properties say so;
//   - the error of a deterministic one is proportional to the tolerance, from
//     data to noise too if it walks there; a stochastic one has the law of the
//     data.
func RunAdaptive(t *testing.T, with func(tol float64) solvers.Solver) {
	s := with(1e-3)
	p := s.Properties()
	if !p.Adaptive || p.Coupled {
		t.Fatalf("solvertest: %s: RunAdaptive checks adaptive solvers whose rows are independent", s)
	}
	t.Run("Parse", func(t *testing.T) { parses(t, s) })
	t.Run("Evaluations", func(t *testing.T) { adaptiveEvaluations(t, s) })
	t.Run("Rows", func(t *testing.T) { adaptiveRows(t, s) })
	t.Run("Resume", func(t *testing.T) { adaptiveResumes(t, s) })
	t.Run("Retry", func(t *testing.T) {
		adaptiveFails(t, s)
		unlimited(t, s)
	})
	t.Run("Alloc", func(t *testing.T) { adaptiveAllocates(t, with(1e-9)) })
	t.Run("Inputs", func(t *testing.T) { inputs(t, s) })
	t.Run("Refuses", func(t *testing.T) { refuses(t, s) })
	t.Run("Ends", func(t *testing.T) { ends(t, s) })
	if p.Stochastic {
		t.Run("Law", func(t *testing.T) { race.Measures(t); adaptiveLaw(t, with(0.01)) })
		return
	}
	if p.PathFree {
		t.Run("PathFree", func(t *testing.T) { adaptivePathFree(t, with(1e-8)) })
	}
	t.Run("Tolerance", func(t *testing.T) { race.Measures(t); proportional(t, with) })
}

// visit is one attempt of a row.
type visit struct {
	from, to schedules.Level
	rejected bool
	evals    int
}

// journey runs s and returns the end and what each row did.
func journey(t testing.TB, s solvers.Solver, p solvers.Problem, x []float64, opts ...solvers.RunOption) ([]float64, [][]visit) {
	t.Helper()
	rows := make([][]visit, len(x)/models.Dim(p.Denoiser))
	st := begin(t, s, p, x, opts...)
	for step, err := range solvers.Steps(context.Background(), st) {
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range step.Rows {
			rows[r.Row] = append(rows[r.Row], visit{r.From, r.To, r.Rejected, r.Evals})
		}
	}
	return st.State().X, rows
}

func sameLevel(a, b schedules.Level) bool { return a.Alpha == b.Alpha && a.Sigma == b.Sigma }

// spread gives rows of different difficulty: their scales differ.
func spread(at schedules.Level, dim, rows int) []float64 {
	x := initial(at, dim, rows)
	for i := range x {
		x[i] *= 0.2 + 0.6*float64(i/dim%5)
	}
	return x
}

func adaptiveEvaluations(t *testing.T, s solvers.Solver) {
	const dim, rows = 3, 4
	for _, g := range grids(t) {
		counter := models.NewCounter(cheap{dim})
		p := problem(g, dim, rows)
		p.Denoiser = counter
		x := spread(g.grid[0], dim, rows)
		stages, index := 0, 0
		perRow := make([]int, rows)
		st := begin(t, s, p, x, solvers.Observe(func(e solvers.Stage) {
			list := e.Rows
			if list == nil {
				list = []int{0, 1, 2, 3}
			}
			for _, i := range list {
				perRow[i]++
			}
			if stages++; e.Step != index || len(e.X) != dim*len(list) || len(e.Denoised) != dim*len(list) || e.Levels != nil && len(e.Levels) != len(list) {
				t.Errorf("%s: an observer sees step %d with %d values, %d answers and %d levels of rows %v during step %d", g.name, e.Step, len(e.X), len(e.Denoised), len(e.Levels), e.Rows, index)
			}
		}))
		at := slices.Repeat([]schedules.Level{g.grid[0]}, rows)
		before := st.State().X
		for step, err := range solvers.Steps(context.Background(), st) {
			if err != nil {
				t.Fatalf("%s: %v", g.name, err)
			}
			if step.Index != index || len(step.Rows) == 0 {
				t.Fatalf("%s: step %d reports index %d and %d rows", g.name, index, step.Index, len(step.Rows))
			}
			attempted := map[int]bool{}
			worst := math.NaN()
			for _, r := range step.Rows {
				attempted[r.Row] = true
				if !sameLevel(r.From, at[r.Row]) {
					t.Errorf("%s: step %d takes row %d from %+v, it stood at %+v", g.name, index, r.Row, r.From, at[r.Row])
				}
				if r.Evals != perRow[r.Row] {
					t.Errorf("%s: step %d reports %d evaluations of row %d, counted %d", g.name, index, r.Evals, r.Row, perRow[r.Row])
				}
				if !(r.ErrEst <= worst) && !math.IsNaN(r.ErrEst) {
					worst = r.ErrEst
				}
				if r.Rejected && !slices.Equal(step.X[r.Row*dim:(r.Row+1)*dim], before[r.Row*dim:(r.Row+1)*dim]) {
					t.Errorf("%s: step %d was rejected and moved row %d", g.name, index, r.Row)
				}
				if r.Rejected != (r.ErrEst > 1) {
					t.Errorf("%s: step %d: row %d has an error of %g tolerances, rejected: %v", g.name, index, r.Row, r.ErrEst, r.Rejected)
				}
				if !r.Rejected {
					at[r.Row] = r.To
				}
			}
			if step.ErrEst != worst && !(math.IsNaN(worst) && math.IsNaN(step.ErrEst)) {
				t.Errorf("%s: step %d has an error of %g, its rows at most %g", g.name, index, step.ErrEst, worst)
			}
			for i := range rows {
				if !attempted[i] && !sameLevel(at[i], g.grid[len(g.grid)-1]) {
					t.Errorf("%s: step %d leaves row %d alone at %+v", g.name, index, i, at[i])
				}
			}
			sum := 0
			for _, n := range perRow {
				sum += n
			}
			if step.Evals != slices.Max(perRow) || step.EvalsMean != float64(sum)/rows || step.OrderUsed < 1 {
				t.Errorf("%s: step %d reports %d evaluations, mean %g, order %d: counted %v", g.name, index, step.Evals, step.EvalsMean, step.OrderUsed, perRow)
			}
			index++
			copy(before, step.X)
		}
		for i := range rows {
			if !sameLevel(at[i], g.grid[len(g.grid)-1]) {
				t.Errorf("%s: row %d ends at %+v, expected the grid's end", g.name, i, at[i])
			}
		}
		if bound := s.NFE(g.grid); slices.Max(perRow) > bound || stages != counter.Calls() {
			t.Errorf("%s: %v evaluations, bounded by %d; %d observed calls, %d counted", g.name, perRow, bound, stages, counter.Calls())
		}
		for range 2 {
			if _, err := st.Step(context.Background()); !errors.Is(err, io.EOF) {
				t.Errorf("%s: a step after the last gives %v, expected io.EOF", g.name, err)
			}
		}
	}
}

func adaptiveRows(t *testing.T, s solvers.Solver) {
	const dim, rows = 5, 6
	differ := false
	for _, g := range grids(t) {
		p := problem(g, dim, rows)
		p.Labels = []int{0, 1, 2, 0, 1, 2}
		x := spread(g.grid[0], dim, rows)
		all, visits := journey(t, s, p, x)
		for _, v := range visits {
			differ = differ || len(v) != len(visits[0])
		}
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
			got, went := journey(t, s, sub, subx)
			for k, i := range pick {
				if !slices.Equal(got[k*dim:(k+1)*dim], all[i*dim:(i+1)*dim]) {
					t.Errorf("%s: row %d in the batch %v is %v, in another %v", g.name, i, pick, got[k*dim:(k+1)*dim], all[i*dim:(i+1)*dim])
				}
				same := func(a, b visit) bool {
					return sameLevel(a.from, b.from) && sameLevel(a.to, b.to) && a.rejected == b.rejected && a.evals == b.evals
				}
				if !slices.EqualFunc(went[k], visits[i], same) {
					t.Errorf("%s: row %d in the batch %v goes another way than in another", g.name, i, pick)
				}
			}
		}
	}
	if !differ {
		t.Error("all rows of all grids take as many attempts: the test sees nothing of rows that leave the batch")
	}
	const big = 40000 // work is split over processors
	g := grids(t)[3]
	p, x := problem(g, big, 2), spread(g.grid[0], big, 2)
	processors(t, s, p, x)
}

func adaptiveResumes(t *testing.T, s solvers.Solver) {
	const dim, rows = 3, 3
	for _, g := range grids(t) {
		p, x := problem(g, dim, rows), spread(g.grid[0], dim, rows)
		whole, visits := journey(t, s, p, x)
		st := begin(t, s, p, x)
		for i := 0; ; i++ {
			state := stored(t, st)
			got, rest := journey(t, s, p, x, solvers.Resume(state))
			if !slices.Equal(got, whole) {
				t.Fatalf("%s: resumed after step %d ends at %v, uninterrupted at %v", g.name, i, got, whole)
			}
			for r, v := range rest {
				if len(v) != max(0, len(visits[r])-i) || len(v) > 0 && v[len(v)-1].evals != visits[r][len(visits[r])-1].evals {
					t.Fatalf("%s: resumed after step %d row %d makes %d attempts, expected %d", g.name, i, r, len(v), len(visits[r])-i)
				}
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

// adaptiveFails makes every call fail, and every call give a NaN.
func adaptiveFails(t *testing.T, s solvers.Solver) {
	const dim, rows = 3, 4
	for _, g := range []named{grids(t)[4], grids(t)[7]} {
		p, x := problem(g, dim, rows), spread(g.grid[0], dim, rows)
		// All rows are in the first calls, so that the NaN's place is known.
		full, calls := []int{}, 0
		st := begin(t, s, p, x, solvers.Observe(func(e solvers.Stage) {
			if e.Rows == nil {
				full = append(full, calls)
			}
			calls++
		}))
		stepOf := []int{}
		for step, err := range solvers.Steps(context.Background(), st) {
			if err != nil {
				t.Fatal(err)
			}
			for len(stepOf) < calls {
				stepOf = append(stepOf, step.Index)
			}
		}
		whole := st.State().X
		for at := range calls {
			if i := repeats(t, s, p, x, at, whole); i != stepOf[at] {
				t.Fatalf("%s: failure at evaluation %d is in step %d, expected %d", g.name, at, i, stepOf[at])
			}
		}
		for _, at := range full {
			p := p
			p.Denoiser = flaky{cheap{dim}, at, 2*dim + 1, new(int)}
			_, err := solvers.Sample(context.Background(), s, p, x)
			var stepErr *solvers.StepError
			var bad *solvers.NonFiniteError
			if !errors.As(err, &stepErr) || !errors.As(err, &bad) {
				t.Fatalf("%s: a NaN at evaluation %d gives %v", g.name, at, err)
			}
			if bad.Row != 2 || bad.Col != 1 || bad.Source != "denoiser" || stepErr.Index != stepOf[at] {
				t.Fatalf("%s: a NaN of the denoiser in row 2, column 1, step %d, is reported as %v", g.name, stepOf[at], err)
			}
		}
	}
	g := grids(t)[3]
	canceled(t, s, problem(g, dim, 1), initial(g.grid[0], dim, 1))
}

// unlimited runs on a denoiser that no step size is small enough for.
func unlimited(t *testing.T, s solvers.Solver) {
	const dim = 3
	g := grids(t)[3]
	p := problem(g, dim, 2)
	p.Denoiser = jumpy{cheap{dim}}
	_, err := solvers.Sample(context.Background(), s, p, initial(g.grid[0], dim, 2))
	var stepErr *solvers.StepError
	if !errors.As(err, &stepErr) || !strings.Contains(err.Error(), "row 0") {
		t.Errorf("a denoiser without a limit gives %v", err)
	}
}

// jumpy answers without any continuity.
type jumpy struct{ cheap }

func (j jumpy) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if err := j.cheap.Denoise(ctx, dst, q); err != nil {
		return err
	}
	for i := range dst {
		dst[i] += 100 * math.Sin(1e15*(q.X[i]+q.Level(i/j.dim).Noise()))
	}
	return nil
}

func adaptiveAllocates(t *testing.T, s solvers.Solver) {
	adaptiveAllocatesOn(t, s, grids(t)[3])
}

func adaptiveAllocatesOn(t *testing.T, s solvers.Solver, g named) {
	t.Helper()
	const dim, rows, runs = 16, 4, 8
	st := begin(t, s, problem(g, dim, rows), spread(g.grid[0], dim, rows))
	if _, err := st.Step(context.Background()); err != nil {
		t.Fatal(err)
	}
	stepsAllocate(t, st, runs)
}

// adaptivePathFree compares x/α at the end of runs over the same λ.
func adaptivePathFree(t *testing.T, s solvers.Solver) {
	const dim, rows = 4, 3
	var first []float64
	for _, path := range []schedules.Path{schedules.VPPath{}, schedules.RFPath{}, schedules.VEPath{}} {
		sch := schedule(path)
		g := grid(t, schedules.Karras{Rho: 7}, sch, 1)
		x := initial(schedules.Level{Sigma: 30 * g[0].Alpha}, dim, rows)
		y := sample(t, s, solvers.Problem{Denoiser: models.Gauss4(), Grid: g, Schedule: sch}, x)
		for i := range y {
			y[i] /= g[1].Alpha
		}
		if first == nil {
			first = y
		}
		for i, v := range y {
			// Rounding, and what it changes in the steps chosen, which is of the
			// size of the tolerance times the change in a step.
			if d := math.Abs(v - first[i]); d > 1e-9 {
				t.Fatalf("path %s: x/α at the end differs from that on the first by %.2g", path, d)
			}
		}
	}
}

// proportional measures how the global error follows the tolerance, on the
// problems that orders are measured on. Methods that advance the better of two
// results have an error proportional to the tolerance; the slope is taken over
// four decades.
func proportional(t *testing.T, with func(tol float64) solvers.Solver) {
	props := with(1e-3).Properties()
	for _, p := range orderProblems {
		for _, rising := range []bool{false, true} {
			if rising && (!props.Rises || p.name != "Gaussian") {
				continue
			}
			// Toward noise the error is below a hundredth of the tolerance where
			// it is loose: there the growth limit holds steps back.
			least, size := 0.75, 1.0
			if rising {
				least, size = 0.5, p.schedule.SMax
			}
			var errs []float64
			tols := []float64{1e-4, 1e-5, 1e-6, 1e-7, 1e-8}
			for _, tol := range tols {
				errs = append(errs, p.run(t, with(tol), schedules.UniformLambda{}, 1, rising)/size)
			}
			slope := math.Log10(errs[0]/errs[4]) / 4
			t.Logf("%s on the %s, rising %v: errors %.2g, slope %.2f", with(tols[0]), p.name, rising, errs, slope)
			if slope < least || slope > 1.35 {
				t.Errorf("%s: the error goes with the tolerance to the power %.2f: expected about 1", p.name, slope)
			}
			for i, e := range errs {
				if e > 300*tols[i] {
					t.Errorf("%s: an error of %.2g at a tolerance of %g", p.name, e, tols[i])
				}
			}
		}
	}
}

// adaptiveLaw compares all means and variances of a 4-D Gaussian's samples with
// the exact ones.
func adaptiveLaw(t *testing.T, s solvers.Solver) {
	rows := 2000
	if testing.Short() {
		rows = 400
	}
	gauss := models.Gauss4()
	dim := models.Dim(gauss)
	sch := schedule(schedules.VPPath{})
	g := grid(t, schedules.UniformLambda{}, sch, 1)
	x := make([]float64, rows*dim)
	if err := gauss.Sample(x, g[0], nil, solvers.RowKeys(rng.New(3), 0, rows)); err != nil {
		t.Fatal(err)
	}
	noise, err := solvers.NoiseFor(s, solvers.RowKeys(rng.New(4), 0, rows), dim)
	if err != nil {
		t.Fatal(err)
	}
	x = sample(t, s, solvers.Problem{Denoiser: gauss, Grid: g, Schedule: sch, Noise: noise}, x)
	exact, err := gauss.Moments(g[1], -1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range dim {
		mean, square := 0.0, 0.0
		for r := range rows {
			d := x[r*dim+i] - exact.Mean[i]
			mean += d / float64(rows)
			square += d * d / float64(rows)
		}
		// 5 standard errors, exceeded once in 2e6, and 3 % for the tolerance.
		sd := math.Sqrt(exact.Var[i])
		if se := sd / math.Sqrt(float64(rows)); math.Abs(mean) > 5*se+0.03*sd {
			t.Errorf("mean of column %d is off by %g ± %.2g", i, mean, se)
		}
		if se := math.Sqrt2 / math.Sqrt(float64(rows)); math.Abs(square/exact.Var[i]-1) > 5*se+0.03 {
			t.Errorf("variance of column %d is %g, exactly %g ± %.2g", i, square, exact.Var[i], se*exact.Var[i])
		}
	}
}
