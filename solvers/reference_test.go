package solvers

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
)

// isotropic is the exact denoiser of Σ w_k N(m_k, v_k I), written from the
// formula D = Σ r_k (α v_k x + σ² m_k)/(α² v_k + σ²) and independent of package
// models. v = 0 is a set of points.
type isotropic struct {
	w, v []float64
	m    [][]float64
}

func (g isotropic) Shape() []int { return []int{len(g.m[0])} }

func (g isotropic) Denoise(_ context.Context, dst []float64, q models.Query) error {
	dim := len(g.m[0])
	if err := q.Check(dst, dim); err != nil {
		return err
	}
	r := make([]float64, len(g.w))
	for i := range q.Rows {
		l := q.Level(i)
		x, out := q.X[i*dim:(i+1)*dim], dst[i*dim:(i+1)*dim]
		top := math.Inf(-1)
		for k := range g.w {
			t := l.Alpha*l.Alpha*g.v[k] + l.Sigma*l.Sigma
			d := 0.0
			for j := range x {
				e := x[j] - l.Alpha*g.m[k][j]
				d += e * e
			}
			r[k] = math.Log(g.w[k]) - 0.5*d/t - 0.5*float64(dim)*math.Log(t)
			top = max(top, r[k])
		}
		sum := 0.0
		for k := range r {
			r[k] = math.Exp(r[k] - top)
			sum += r[k]
		}
		clear(out)
		for k := range r {
			t := l.Alpha*l.Alpha*g.v[k] + l.Sigma*l.Sigma
			for j := range x {
				out[j] += r[k] / sum * (l.Alpha*g.v[k]*x[j] + l.Sigma*l.Sigma*g.m[k][j]) / t
			}
		}
	}
	return nil
}

// veLevel is the level of variance-exploding notation.
func veLevel(s float64) schedules.Level { return schedules.Level{Alpha: 1, Sigma: s} }

// gm2d is the golden file of the two-dimensional mixture.
type gm2d struct {
	Problem struct {
		Weights   []float64
		Means     [][]float64
		Variances []float64
	}
	SigmaMax  float64                                  `json:"sigma_max"`
	SigmaMin  float64                                  `json:"sigma_min"`
	Starts    [][]float64                              `json:"starts"`
	ExactEnds [][]float64                              `json:"exact_ends"`
	RMSE      map[string]map[string]map[string]float64 `json:"rmse"`
	AMED      map[string]struct {
		RMSE float64   `json:"rmse"`
		R    []float64 `json:"r"`
	} `json:"amed_shared_r"`
}

func readGM2D(t testing.TB) (g gm2d, d isotropic, start, end []float64) {
	t.Helper()
	b, err := os.ReadFile("testdata/gm2d-convergence.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	for i := range g.Starts {
		for j, z := range g.Starts[i] {
			start = append(start, g.SigmaMax*z)
			end = append(end, g.ExactEnds[i][j])
		}
	}
	return g, isotropic{w: g.Problem.Weights, v: g.Problem.Variances, m: g.Problem.Means}, start, end
}

func largestGap(a, b []float64) (d float64, at int) {
	for i := range a {
		if e := math.Abs(a[i] - b[i]); !(e <= d) {
			d, at = e, i
		}
	}
	return d, at
}

func TestReference_Golden(t *testing.T) {
	g, d, start, end := readGM2D(t)
	// The global error gathers those of some ten to forty steps, magnified where
	// a trajectory passes between two components: ten to twenty tolerances. The
	// golden ends are good to a few 1e-12.
	for tol, limit := range map[float64]float64{1e-7: 2e-6, 1e-10: 1e-9, 1e-12: 1e-11} {
		tr, err := Reference{RTol: tol}.Solve(context.Background(), Problem{Denoiser: d, Grid: schedules.Grid{veLevel(g.SigmaMax), veLevel(g.SigmaMin)}}, start)
		if err != nil {
			t.Fatal(err)
		}
		var c Cost
		for _, r := range tr.Cost {
			c.Evals += r.Evals
			c.Steps += r.Steps
			c.Rejected += r.Rejected
		}
		e, at := largestGap(tr.X[1], end)
		n := float64(len(tr.Cost))
		t.Logf("rtol %g: largest error %.2g; a row took %.1f evaluations, %.1f steps, %.2f rejected", tol, e, float64(c.Evals)/n, float64(c.Steps)/n, float64(c.Rejected)/n)
		if e > limit {
			t.Errorf("rtol %g: row %d differs by %.3g from the golden end: expected at most %g", tol, at/2, e, limit)
		}
	}
}

// gaussian has one component of mean m and variance v in every dimension; its
// trajectories are (x̂ − m) ∝ √(v + ŝ²).
func gaussian(v float64, m ...float64) isotropic {
	return isotropic{w: []float64{1}, v: []float64{v}, m: [][]float64{m}}
}

func TestReference_Limit(t *testing.T) {
	const v = 0.09
	m := []float64{0.5, -1, 0.25}
	d := gaussian(v, m...)
	z := []float64{0.3, -1.2, 2, 1, 0.1, -0.7}
	noise := schedules.Level{Alpha: 0, Sigma: 2} // a scale of its own
	grid := schedules.Grid{noise, {Alpha: 0.01, Sigma: 1}, veLevel(3), veLevel(0.3), {Alpha: 5, Sigma: 0.5}, veLevel(1e-3), veLevel(1e-9), {Alpha: 0.5, Sigma: 0}}
	exact := func(l schedules.Level, i int) float64 {
		// z = (x̂ − m)/√(v + ŝ²) is constant; at α = 0 it is x/σ.
		return l.Alpha*m[i%3] + math.Sqrt(l.Alpha*l.Alpha*v+l.Sigma*l.Sigma)*z[i]
	}
	x := make([]float64, len(z))
	for i := range x {
		x[i] = exact(noise, i)
	}
	p := Problem{Denoiser: d, Grid: grid}
	tr, err := Reference{}.Solve(context.Background(), p, x)
	if err != nil {
		t.Fatal(err)
	}
	dense, err := Reference{}.Dense(context.Background(), p, x)
	if err != nil {
		t.Fatal(err)
	}
	at := make([]float64, len(x))
	for k, l := range grid {
		if err := dense.At(at, l); err != nil {
			t.Fatal(err)
		}
		for i := range x {
			// 1e-10 a step in z, a handful of steps, and √(α²+σ²) up to 5.
			if e := math.Abs(tr.X[k][i] - exact(l, i)); !(e < 2e-9) {
				t.Errorf("level %d, value %d: error %.3g", k, i, e)
			}
			if e := math.Abs(at[i] - exact(l, i)); !(e < 2e-9) {
				t.Errorf("dense, level %d, value %d: error %.3g", k, i, e)
			}
		}
	}
	t.Logf("α = 0 to σ = 0: %+v", tr.Cost)

	// And back up, from almost clean to pure noise.
	up := Problem{Denoiser: d, Grid: schedules.Grid{grid[5], grid[2], grid[0]}}
	back, err := Reference{}.Solve(context.Background(), up, tr.X[5])
	if err != nil {
		t.Fatal(err)
	}
	for i := range x {
		// Going up divides errors in z by √v at most, that is 3.3.
		if e := math.Abs(back.X[2][i] - x[i]); !(e < 2e-8) {
			t.Errorf("value %d comes back with error %.3g", i, e)
		}
	}
}

// A full covariance, from pure noise to data and between scales, against the
// closed form of package models.
func TestReference_AgreesWithFlow(t *testing.T) {
	g := models.Gauss4()
	x := make([]float64, 4*16)
	rng.New(2).Normal(x)
	for _, ends := range [][2]schedules.Level{
		{{Alpha: 0, Sigma: 1}, {Alpha: 1, Sigma: 0}},
		{{Alpha: 0.1, Sigma: 0.9}, {Alpha: 0.99, Sigma: 0.01}},
		{{Alpha: 1, Sigma: 0.01}, {Alpha: 1, Sigma: 50}},
	} {
		want := make([]float64, len(x))
		if err := g.Flow(want, x, ends[0], ends[1]); err != nil {
			t.Fatal(err)
		}
		tr, err := Reference{}.Solve(context.Background(), Problem{Denoiser: g, Grid: ends[:]}, x)
		if err != nil {
			t.Fatal(err)
		}
		size := 1.0
		for _, v := range want {
			size = max(size, math.Abs(v))
		}
		// 1e-10 a step; some tens of steps.
		if e, at := largestGap(tr.X[1], want); e > 1e-9*size {
			t.Errorf("from %v to %v: row %d is off by %.3g", ends[0], ends[1], at/4, e)
		}
	}
}

// On points the denoised estimate has no slope at the clean end, and x − α x₀
// falls only like σ; the end is a point to the tolerance.
func TestReference_PointsLimit(t *testing.T) {
	points := isotropic{w: []float64{0.5, 0.3, 0.2}, v: []float64{0, 0, 0}, m: [][]float64{{1, 0}, {-0.5, 0.8}, {-0.5, -0.8}}}
	x := make([]float64, 2*64)
	rng.New(3).Normal(x)
	tr, err := Reference{}.Solve(context.Background(), Problem{Denoiser: points, Grid: schedules.Grid{{Alpha: 0, Sigma: 1}, veLevel(1e-6), veLevel(0)}}, x)
	if err != nil {
		t.Fatal(err)
	}
	found := make([]bool, 3)
	evals := 0
	for i := range 64 {
		nearest, best := 0, math.Inf(1)
		for k, m := range points.m {
			if d := math.Hypot(tr.X[2][2*i]-m[0], tr.X[2][2*i+1]-m[1]); d < best {
				nearest, best = k, d
			}
		}
		found[nearest] = true
		if best > 1e-15 { // the limit of a settled row is D itself, to rounding
			t.Errorf("row %d ends %.3g from the nearest point", i, best)
		}
		if d := math.Hypot(tr.X[1][2*i]-points.m[nearest][0], tr.X[1][2*i+1]-points.m[nearest][1]); d > 1e-5 || d < 1e-8 {
			t.Errorf("row %d is %.3g from its point at σ/α = 1e-6: expected a few times that", i, d)
		}
		evals += tr.Cost[i].Evals
	}
	if !found[0] || !found[1] || !found[2] {
		t.Errorf("points reached: %v", found)
	}
	t.Logf("%.1f evaluations a row", float64(evals)/64)
}

// States between steps are as good as those at their ends: the continuous
// extension against runs that end at its levels, two digits sharper.
func TestReference_DenseError(t *testing.T) {
	race.Measures(t)
	g, d, start, _ := readGM2D(t)
	rows := 64
	x := start[:2*rows]
	grid := schedules.Grid{}
	const n = 40
	for i := range n + 1 {
		grid = append(grid, veLevel(math.Exp(math.Log(g.SigmaMax)+float64(i)/n*math.Log(g.SigmaMin/g.SigmaMax))))
	}
	p := Problem{Denoiser: d, Grid: grid}
	for _, tol := range []float64{1e-7, 1e-10} {
		tr, err := Reference{RTol: tol}.Solve(context.Background(), p, x)
		if err != nil {
			t.Fatal(err)
		}
		dense, err := Reference{RTol: tol}.Dense(context.Background(), p, x)
		if err != nil {
			t.Fatal(err)
		}
		at := make([]float64, len(x))
		largest, ends := 0.0, 0.0
		for i, l := range grid[1:] {
			from, to := make([]schedules.Level, rows), make([]schedules.Level, rows)
			for r := range rows {
				from[r], to[r] = grid[0], l
			}
			sharp, _, err := Reference{RTol: tol / 100}.Step(context.Background(), d, x, from, to, nil)
			if err != nil {
				t.Fatal(err)
			}
			same, _, err := Reference{RTol: tol}.Step(context.Background(), d, x, from, to, nil)
			if err != nil {
				t.Fatal(err)
			}
			scale := math.Hypot(1, l.Sigma) // errors in z
			e, _ := largestGap(tr.X[i+1], sharp)
			largest = max(largest, e/scale)
			e, _ = largestGap(same, sharp)
			ends = max(ends, e/scale)
			if err := dense.At(at, l); err != nil {
				t.Fatal(err)
			}
			// The same polynomial, summed in another order.
			if e, j := largestGap(at, tr.X[i+1]); e > 1e-13*scale {
				t.Errorf("level %d, row %d: Dense and Solve differ by %.3g", i+1, j/2, e)
			}
		}
		for _, s := range []float64{81, 0.0019, 0} {
			if dense.At(at, veLevel(s)) == nil {
				t.Errorf("the state at σ/α = %g, outside the run, was given", s)
			}
		}
		t.Logf("rtol %g: largest error %.2g inside steps, %.2g at ends", tol, largest, ends)
		// The extension is of order 7, one less than the step, so that its
		// error exceeds the step's by a factor of a few at these step sizes.
		if largest > 30*tol {
			t.Errorf("rtol %g: continuous extension is off by %.3g", tol, largest)
		}
	}
}

// From a level to the same λ on another path nothing moves but the scale, also
// where there is no signal or no noise.
func TestReference_Limit_SameLambda(t *testing.T) {
	pairs := [][2]schedules.Level{
		{{Alpha: 0, Sigma: 1}, {Alpha: 0, Sigma: 2}},
		{{Alpha: 1, Sigma: 0}, {Alpha: 2, Sigma: 0}},
		{{Alpha: 1, Sigma: 0.5}, {Alpha: 2, Sigma: 1}},
	}
	for _, p := range pairs {
		y, cost, err := Reference{}.Step(context.Background(), gaussian(1, 0), []float64{0.75}, []schedules.Level{p[0]}, []schedules.Level{p[1]}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !(math.Abs(y[0]-1.5) <= 1e-15) || cost[0].Evals != 0 {
			t.Errorf("%+v to %+v: 0.75 becomes %g after %d evaluations, expected 1.5 after none", p[0], p[1], y[0], cost[0].Evals)
		}
	}
}

// The rows of Step: exact between any two levels, and the same bits whatever
// shares their batch.
func TestReference_StepInvariant(t *testing.T) {
	_, d, start, _ := readGM2D(t)
	levels := []float64{80, 20, 5, 1, 0.3, 0.1, 0.02, 0.002, 0}
	var x []float64
	var from, to []schedules.Level
	for i := range 100 {
		a, b := levels[i%(len(levels)-1)], levels[min(len(levels)-1, i%(len(levels)-1)+1+i%2*(i/2%2))]
		if i%7 == 3 && b > 0 {
			a, b = b, a
		}
		from, to = append(from, veLevel(a)), append(to, veLevel(b))
		x = append(x, start[2*i]/80*a+0.3, start[2*i+1]/80*a-0.1)
	}
	from[17] = to[17] // nothing to do
	ctx := context.Background()
	r := Reference{RTol: 1e-7}
	all, cost, err := r.Step(ctx, d, x, from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cost[17] != (Cost{}) || all[34] != x[34] {
		t.Errorf("a step of no length took %+v", cost[17])
	}
	for _, batch := range []int{1, 3, 16, 64} {
		r.Batch = batch
		got, c, err := r.Step(ctx, d, x, from, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if got[i] != all[i] || c[i/2] != cost[i/2] {
				t.Fatalf("batch %d: row %d differs: %v, %+v and %v, %+v", batch, i/2, got[i], c[i/2], all[i], cost[i/2])
			}
		}
	}
	// Reversed order, and each against a sharper integration.
	sharp, _, err := Reference{RTol: 1e-12}.Step(ctx, d, x, from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	rx, rf, rt := make([]float64, len(x)), make([]schedules.Level, 100), make([]schedules.Level, 100)
	for i := range 100 {
		copy(rx[2*i:], x[2*(99-i):2*(99-i)+2])
		rf[i], rt[i] = from[99-i], to[99-i]
	}
	r.Batch = 11
	got, _, err := r.Step(ctx, d, rx, rf, rt, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		for j := range 2 {
			if got[2*i+j] != all[2*(99-i)+j] {
				t.Errorf("row %d differs when the rows are reversed", 99-i)
			}
			// A step's error in z, a few steps, scaled by √(1+ŝ²).
			if e := math.Abs(all[2*i+j] - sharp[2*i+j]); e > 1e-6*math.Hypot(1, to[i].Sigma) {
				t.Errorf("row %d from %g to %g: error %.3g", i, from[i].Sigma, to[i].Sigma, e)
			}
		}
	}
}

// labelled moves every row to its label.
type labelled struct{}

func (labelled) Shape() []int { return []int{1} }
func (labelled) Denoise(_ context.Context, dst []float64, q models.Query) error {
	for i := range dst {
		dst[i] = float64(q.Labels[i])
	}
	return nil
}

func TestReference_LabelsProperty(t *testing.T) {
	labels := []int{3, 1, 4, 1, 5, 9, 2, 6}
	x := []float64{0, 1, 2, 3, 4, 5, 6, 7}
	grid := schedules.Grid{veLevel(10), veLevel(0)}
	tr, err := Reference{Batch: 3}.Solve(context.Background(), Problem{Denoiser: labelled{}, Grid: grid, Labels: labels}, x)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range labels {
		if math.Abs(tr.X[1][i]-float64(l)) > 1e-8 {
			t.Errorf("row %d ends at %g: its label is %d", i, tr.X[1][i], l)
		}
	}
}

// The right-hand side allocates nothing either, with a denoiser that does not.
func TestReference_Alloc(t *testing.T) {
	const rows = 8
	d, _, err := Reference{}.start(models.GM2D(), nil, rows)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float64, 2*rows)
	rng.New(1).Normal(x)
	ctx := context.Background()
	d.saved = func(int, int, []float64) {}
	for i := range rows {
		d.load(dopRow{id: i, t: 0.01, end: math.Inf(1), y: x[2*i : 2*i+2]})
	}
	d.settled = math.Inf(1) // goes on for ever
	if err := d.begin(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(20, func() {
		if d.attempt(ctx) != nil || d.settle(ctx) != nil {
			t.Fatal("failed")
		}
	}); n != 0 {
		t.Errorf("%g allocations a step", n)
	}
}

// sick fails in one way at low noise.
type sick struct{ how error }

func (sick) Shape() []int { return []int{2} }
func (s sick) Denoise(_ context.Context, dst []float64, q models.Query) error {
	for i := range q.Rows {
		dst[2*i], dst[2*i+1] = 0, 0
		if q.Level(i).Noise() < 0.5 {
			if s.how != nil {
				return s.how
			}
			dst[2*i+1] = math.NaN()
		}
	}
	return nil
}

func TestReference_Refuses(t *testing.T) {
	ctx := context.Background()
	d := gaussian(1, 0, 0)
	grid := schedules.Grid{veLevel(80), veLevel(0.1)}
	x := []float64{1, 2, 3, 4}
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		r    Reference
		p    Problem
		x    []float64
		want string
	}{
		"tolerance":  {Reference{RTol: 1e-16}, Problem{Denoiser: d, Grid: grid}, x, "rtol = 1e-16"},
		"atol":       {Reference{ATol: -1}, Problem{Denoiser: d, Grid: grid}, x, "atol = -1"},
		"denoiser":   {Reference{}, Problem{Grid: grid}, x, "there is no denoiser"},
		"rows":       {Reference{}, Problem{Denoiser: d, Grid: grid}, x[:3], "3 numbers"},
		"grid":       {Reference{}, Problem{Denoiser: d, Grid: grid[:1]}, x, "1 levels"},
		"turns":      {Reference{}, Problem{Denoiser: d, Grid: schedules.Grid{veLevel(1), veLevel(0.5), veLevel(0.7)}}, x, "level 2 turns back"},
		"level":      {Reference{}, Problem{Denoiser: d, Grid: schedules.Grid{veLevel(1), {Alpha: -1, Sigma: 1}}}, x, "grid level 1"},
		"clean":      {Reference{}, Problem{Denoiser: d, Grid: schedules.Grid{veLevel(0), veLevel(1)}}, x, "starts at σ = 0"},
		"labels":     {Reference{}, Problem{Denoiser: d, Grid: grid, Labels: []int{1}}, x, "1 labels for 2 rows"},
		"step limit": {Reference{MaxSteps: 2}, Problem{Denoiser: d, Grid: grid}, x, "row 0 at λ ="},
		"NaN":        {Reference{}, Problem{Denoiser: sick{}, Grid: grid}, x, "column 1 of the derivative is NaN"},
		"NaN state":  {Reference{}, Problem{Denoiser: d, Grid: grid}, []float64{1, 2, math.NaN(), 4}, "row 1"},
		"error":      {Reference{}, Problem{Denoiser: sick{broken}, Grid: grid}, x, "broken"},
	} {
		_, err := c.r.Solve(ctx, c.p, c.x)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "solvers: ") {
			t.Errorf("%s: got %v, expected an error with %q", name, err, c.want)
		}
		if _, err := c.r.Dense(ctx, c.p, c.x); err == nil {
			// Dense sees the ends alone, and these are in order.
			if name != "turns" {
				t.Errorf("%s: Dense accepts it", name)
			}
		}
	}
	if _, err := (Reference{}).Solve(ctx, Problem{Denoiser: sick{broken}, Grid: grid}, x); !errors.Is(err, broken) {
		t.Errorf("the denoiser's error is not wrapped: %v", err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := (Reference{}).Solve(stopped, Problem{Denoiser: d, Grid: grid}, x); !errors.Is(err, context.Canceled) {
		t.Errorf("does not stop: %v", err)
	}
	if _, _, err := (Reference{}).Step(ctx, d, x, []schedules.Level{veLevel(1), veLevel(0)}, []schedules.Level{veLevel(2), veLevel(1)}, nil); err == nil || !strings.Contains(err.Error(), "row 1 starts at σ = 0") {
		t.Errorf("Step from σ = 0: %v", err)
	}
	if _, _, err := (Reference{}).Step(ctx, nil, x, grid, grid, nil); err == nil {
		t.Error("Step accepts no denoiser")
	}
	if s := spec.Full("reference", Reference{RTol: 1e-9}); s != "reference(rtol=1e-09,atol=0,max_steps=0)" {
		t.Errorf("prints as %s", s)
	}
}

// BenchmarkReferenceVariable compares three variables in which the ODE can be
// integrated, at 1e-10, by the evaluations that a row of the two-dimensional
// mixture takes from σ/α = 80 to 0.002.
func BenchmarkReferenceVariable(b *testing.B) {
	g, den, start, end := readGM2D(b)
	rows := len(start) / 2
	hat := make([]float64, len(start))
	// denoised writes D for states of variance-exploding levels s.
	denoised := func(dst, x, s []float64) error {
		at := make([]schedules.Level, len(s))
		for i, v := range s {
			at[i] = veLevel(v)
		}
		return den.Denoise(context.Background(), dst, models.Query{X: x, Rows: len(s), At: at})
	}
	for _, v := range []struct {
		name     string
		sigma    func(t float64) float64
		time     func(s float64) float64
		rotated  bool
		velocity func(t, z, d float64) float64
	}{
		{
			"w", func(t float64) float64 { return 1 / math.Sinh(t) }, func(s float64) float64 { return math.Asinh(1 / s) }, true,
			func(t, z, d float64) float64 { return d - math.Tanh(t)*z },
		},
		{
			"angle", math.Tan, math.Atan, true,
			func(t, z, d float64) float64 { return (math.Cos(t)*z - d) / math.Sin(t) },
		},
		{
			"log-sigma", math.Exp, math.Log, false,
			func(t, z, d float64) float64 { return z - d },
		},
	} {
		b.Run(v.name, func(b *testing.B) {
			for b.Loop() {
				d := newDop853(2, rows, rows)
				d.rtol, d.atol = 1e-10, 1e-10
				var s []float64
				d.field = func(_ context.Context, dst, y, t []float64, _ []int) error {
					s = s[:0]
					for i, v0 := range t {
						sg := v.sigma(v0)
						s = append(s, sg)
						for j := 2 * i; j < 2*i+2; j++ {
							hat[j] = y[j]
							if v.rotated {
								hat[j] *= math.Hypot(1, sg)
							}
						}
					}
					if err := denoised(dst, hat[:len(y)], s); err != nil {
						return err
					}
					for j := range dst {
						dst[j] = v.velocity(t[j/2], y[j], dst[j])
					}
					return nil
				}
				largest := 0.0
				scale := func(sg float64) float64 {
					if v.rotated {
						return math.Hypot(1, sg)
					}
					return 1
				}
				d.saved = func(id, _ int, y []float64) {
					for j, e := range end[2*id : 2*id+2] {
						largest = max(largest, math.Abs(y[j]*scale(g.SigmaMin)-e))
					}
				}
				if err := d.run(context.Background(), rows, func(i int) dopRow {
					y := []float64{start[2*i] / scale(80), start[2*i+1] / scale(80)}
					return dopRow{id: i, t: v.time(80), end: v.time(g.SigmaMin), y: y}
				}); err != nil {
					b.Fatal(err)
				}
				evals := 0
				for _, c := range d.cost {
					evals += c.Evals
				}
				b.ReportMetric(float64(evals)/float64(rows), "evals/row")
				b.ReportMetric(largest/1e-10, "err/1e-10")
			}
		})
	}
}
