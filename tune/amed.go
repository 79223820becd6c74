package tune

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"snrlab/internal/direction"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// AMED trains the predictor of AMED-Solver on a grid [zhou2024, section 3.3]: from
// states at every level of the grid one step is taken to the next, and the mean
// squared distance to the exact state there is lowered. The states are the exact
// ones in the first round, as published, and those that the solver itself comes
// to in the rounds after it, so that a step learns to mend what those before it
// left. Within a round the steps know nothing of each other; all are trained
// together, on the mean of the logarithms of their errors, by L-BFGS. Derivatives
// go through the second evaluation of the step,
//
//	∂x̂_b/∂c = (b − a) d,   ∂x̂_b/∂θ = c (b − a) ∂d/∂θ,   d = (y − D(y, κm))/m
//	∂d/∂log m = (y′ − (∂D/∂x) y′ − ∂D/∂log τ)/m − d,   y′ = m e,   ∂d/∂log κ = −(∂D/∂log τ)/m
type AMED struct {
	Grid       []float64
	Levels     bool    // the predictor sees the levels alone, not the row
	Hidden     int     // units
	CRange     float64 // of the direction's scale, 0.01 as published
	KappaRange float64 // of the level told, 0 as published
	Iterations int     // of a round
	Rounds     int
	Key        rng.Key
}

// amedLoss is the training under way.
type amedLoss struct {
	ctx    context.Context
	task   *Task
	net    *direction.Net
	grid   []float64
	dim    int
	toward []float64   // where not nil, the loss is the distance of r from these
	exact  [][]float64 // states at the levels
	x      [][]float64 // states that steps begin from
	d, e   [][]float64 // answers and slopes there
	rows   []direction.Row
	y, yp  []float64
	dm     []float64
	rate   []float64
	cov    []float64
	at     []schedules.Level
	resid  []float64
	theta  []float64
	value  float64
	grad   []float64
	step   []float64
	cached bool
}

// Run returns the solver, and the root mean squared error of its states after each
// step.
func (a AMED) Run(ctx context.Context, t *Task) (*solvers.AMEDNet, []float64, error) {
	l, err := a.loss(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	net := l.net
	theta := slices.Clone(net.Theta)
	// The error of a step has several minima in r: the network begins at the best
	// r that all rows share.
	if _, l.toward, err = sharedR(ctx, t, a.Grid, 99); err != nil {
		return nil, nil, err
	}
	if err := l.begin(false); err != nil {
		return nil, nil, err
	}
	if theta, _, err = lbfgs(l, theta, 300, nil); err != nil {
		return nil, nil, err
	}
	l.toward = nil
	for round := range a.Rounds {
		if err := l.begin(round > 0); err != nil {
			return nil, nil, err
		}
		if theta, _, err = lbfgs(l, theta, a.Iterations, nil); err != nil {
			return nil, nil, err
		}
		copy(net.Theta, theta)
	}
	if err := l.begin(true); err != nil {
		return nil, nil, err
	}
	if err := l.compute(theta); err != nil {
		return nil, nil, err
	}
	errs := make([]float64, len(l.step))
	for i, v := range l.step {
		errs[i] = math.Sqrt(v)
	}
	copy(net.Theta, theta)
	return &solvers.AMEDNet{S: a.Grid, Net: net}, errs, nil
}

// loss prepares the training.
func (a AMED) loss(ctx context.Context, t *Task) (*amedLoss, error) {
	if len(a.Grid) < 2 || a.Iterations < 1 || a.Rounds < 1 || !a.Levels && a.Hidden < 1 {
		return nil, fmt.Errorf("tune: amed on %d levels with %d units in %d rounds of %d iterations: expected at least 2, 1, 1 and 1", len(a.Grid), a.Hidden, a.Rounds, a.Iterations)
	}
	var grid schedules.Grid
	for _, s := range a.Grid {
		grid = append(grid, at(s))
	}
	tr, err := solvers.Reference{RTol: 1e-9}.Solve(ctx, solvers.Problem{Denoiser: t.Model, Grid: grid}, t.Start)
	if err != nil {
		return nil, fmt.Errorf("tune: exact states: %w", err)
	}
	dim := models.Dim(t.Model)
	net := &direction.Net{CRange: a.CRange, KappaRange: a.KappaRange}
	if !a.Levels {
		net.Inputs, net.Hidden = dim, a.Hidden
	}
	net.Theta = make([]float64, net.Params())
	a.Key.Normal(net.Theta)
	floats.Scale(0.3, net.Theta)
	n := t.Rows * dim
	l := &amedLoss{
		ctx: ctx, task: t, net: net, grid: a.Grid, dim: dim, exact: tr.X, x: [][]float64{t.Start}, rows: make([]direction.Row, t.Rows),
		y: make([]float64, n), yp: make([]float64, n), dm: make([]float64, n), rate: make([]float64, n), cov: make([]float64, n),
		resid: make([]float64, n), at: make([]schedules.Level, t.Rows),
		grad: make([]float64, len(net.Theta)), step: make([]float64, len(a.Grid)-1),
	}
	for i := range len(a.Grid) - 1 {
		l.x = append(l.x, slices.Clone(tr.X[i+1]))
		l.d, l.e = append(l.d, make([]float64, n)), append(l.e, make([]float64, n))
	}
	return l, nil
}

// begin fills the answers and slopes of the states that steps begin from. With
// walk the states are those that the solver comes to.
func (l *amedLoss) begin(walk bool) error {
	l.cached = false
	for i := range len(l.grid) - 1 { // one after the other: a step begins where that before it ends
		l.at[0] = at(l.grid[i])
		if err := l.task.Model.Denoise(l.ctx, l.d[i], models.Query{X: l.x[i], Rows: len(l.rows), At: l.at[:1]}); err != nil {
			return err
		}
		for k := range l.e[i] {
			l.e[i][k] = (l.x[i][k] - l.d[i][k]) / l.grid[i]
		}
		if !walk {
			continue
		}
		if err := l.ask(i); err != nil {
			return err
		}
		for r := range l.rows {
			m := l.at[r].Sigma / l.rows[r].Kappa
			h := l.rows[r].C * (l.grid[i+1] - l.grid[i]) / m
			for k := r * l.dim; k < (r+1)*l.dim; k++ {
				l.x[i+1][k] = l.x[i][k] + h*(l.y[k]-l.dm[k])
			}
		}
	}
	return nil
}

// ask evaluates at the level that the net puts into step i.
func (l *amedLoss) ask(i int) error {
	a, b := l.grid[i], l.grid[i+1]
	for r := range l.rows {
		w, lo := &l.rows[r], r*l.dim
		l.net.Forward(w, l.d[i][lo:lo+l.net.Inputs], a, b)
		m := math.Exp(w.R*math.Log(b) + (1-w.R)*math.Log(a))
		l.at[r] = at(w.Kappa * m)
		for k := lo; k < lo+l.dim; k++ {
			l.y[k] = l.x[i][k] + (m-a)*l.e[i][k]
			l.yp[k] = m * l.e[i][k]
		}
	}
	return l.task.Model.Denoise(l.ctx, l.dm, models.Query{X: l.y, Rows: len(l.rows), At: l.at})
}

func (l *amedLoss) last() (float64, []float64) { return l.value, l.grad }

// compute fills the loss and its gradient.
func (l *amedLoss) compute(theta []float64) error {
	if l.cached && floats.Equal(l.theta, theta) {
		return nil
	}
	l.theta, l.cached = append(l.theta[:0], theta...), true
	copy(l.net.Theta, theta)
	clear(l.grad)
	l.value = 0
	steps := len(l.grid) - 1
	part := make([]float64, len(l.grad))
	for i := range steps {
		if err := l.ctx.Err(); err != nil {
			return err
		}
		if l.toward != nil {
			l.value += l.distance(i)
			continue
		}
		clear(part)
		mean, err := l.oneStep(i, part)
		if err != nil {
			return err
		}
		l.step[i] = mean
		l.value += math.Log(mean) / float64(steps)
		floats.AddScaled(l.grad, 1/(mean*float64(steps)), part)
	}
	return nil
}

// distance returns that of a step's r, and adds its derivatives.
func (l *amedLoss) distance(i int) float64 {
	sum, scale := 0.0, 1/float64(len(l.rows))
	for r := range l.rows {
		w, lo := &l.rows[r], r*l.dim
		l.net.Forward(w, l.d[i][lo:lo+l.net.Inputs], l.grid[i], l.grid[i+1])
		miss := w.R - l.toward[i]
		sum += scale * miss * miss
		l.net.Backward(w, 2*scale*miss, 0, 0, l.grad)
	}
	return sum
}

// oneStep returns the mean squared error of a step and adds its derivatives.
func (l *amedLoss) oneStep(i int, grad []float64) (float64, error) {
	a, b := l.grid[i], l.grid[i+1]
	if err := l.ask(i); err != nil {
		return 0, err
	}
	q := models.Query{X: l.y, Rows: len(l.rows), At: l.at}
	if err := l.task.Model.DenoiseRate(l.ctx, l.rate, q); err != nil {
		return 0, err
	}
	if err := l.task.Model.PosteriorCovMul(l.ctx, l.cov, l.yp, q); err != nil {
		return 0, err
	}
	total, scale := 0.0, 2/float64(len(l.rows))
	for r := range l.rows {
		w, lo := &l.rows[r], r*l.dim
		tau := l.at[r].Sigma
		m := tau / w.Kappa
		dc, dm, dk := 0.0, 0.0, 0.0
		for k := lo; k < lo+l.dim; k++ {
			d := (l.y[k] - l.dm[k]) / m
			miss := l.x[i][k] + w.C*(b-a)*d - l.exact[i+1][k]
			total += miss * miss
			dc += miss * (b - a) * d
			dm += miss * w.C * (b - a) * ((l.yp[k]-l.cov[k]/(tau*tau)-l.rate[k])/m - d)
			dk -= miss * w.C * (b - a) * l.rate[k] / m
		}
		l.net.Backward(w, scale*dm*math.Log(b/a), scale*dc, scale*dk/w.Kappa, grad)
	}
	return total / float64(len(l.rows)), nil
}

// SharedR finds, step after step, the r that all rows share and that brings the
// run nearest to the exact states, among values from 0.01 to 0.99 [zhou2024].
func SharedR(ctx context.Context, t *Task, grid []float64, values int) (*solvers.AMED, error) {
	s, _, err := sharedR(ctx, t, grid, values)
	return s, err
}

func sharedR(ctx context.Context, t *Task, grid []float64, values int) (*solvers.AMED, []float64, error) {
	var g schedules.Grid
	for _, s := range grid {
		g = append(g, at(s))
	}
	tr, err := solvers.Reference{RTol: 1e-9}.Solve(ctx, solvers.Problem{Denoiser: t.Model, Grid: g}, t.Start)
	if err != nil {
		return nil, nil, fmt.Errorf("tune: exact states: %w", err)
	}
	x, list := t.Start, []float64(nil)
	for i := range len(grid) - 1 {
		p := solvers.Problem{Denoiser: t.Model, Grid: g[i : i+2], Schedule: schedules.EDM{SMin: t.To, SMax: t.From}}
		best, at, next := math.Inf(1), 0.0, []float64(nil)
		for k := range values {
			r := 0.01 + 0.98*float64(k)/float64(max(values-1, 1))
			y, err := solvers.Sample(ctx, solvers.AMED{R: solvers.Numbers(r), C: "1", Kappa: "1"}, p, x)
			if err != nil {
				return nil, nil, err
			}
			if e := rms(y, tr.X[i+1], t.Rows); e < best {
				best, at, next = e, r, y
			}
		}
		list, x = append(list, at), next
	}
	return &solvers.AMED{R: solvers.Numbers(list...), C: "1", Kappa: "1"}, list, nil
}
