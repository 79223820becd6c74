package tune

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"

	"snrlab/internal/gate"
	"snrlab/rng"
	"snrlab/solvers"
)

// objective is the loss of a scheme, with gates or without, on a task: the
// logarithm of the mean squared distance to the exact ends. The parameters of the
// scheme come first, those of each gate follow.
type objective struct {
	ctx   context.Context
	e     *engine
	s     *scheme
	p     *program
	u, g  *unrolled
	theta []complex128

	at    []float64 // parameters of the values below
	value float64
	grad  []float64
	evals int
}

func newObjective(ctx context.Context, t *Task, s *scheme, mean []float64, gates []*gate.Gate) *objective {
	o := &objective{
		ctx: ctx, e: newEngine(t, s.n, mean, gates), s: s, p: newProgram(s.steps, s.n), u: newUnrolled(s.n), g: newUnrolled(s.n),
		theta: make([]complex128, len(s.first)),
	}
	k := len(s.first)
	for _, g := range gates {
		if g != nil {
			k += len(g.In) + len(g.Bias) + len(g.Out)
		}
	}
	o.grad = make([]float64, k)
	for i, g := range gates {
		if g != nil {
			a := &o.e.slots[i].adjoint
			a.In, a.Bias, a.Out = make([]float64, len(g.In)), make([]float64, len(g.Bias)), make([]float64, len(g.Out))
		}
	}
	return o
}

// parameters returns those that the scheme and the gates begin with.
func (o *objective) parameters() []float64 {
	theta := slices.Clone(o.s.first)
	for _, g := range o.e.gates {
		if g != nil {
			theta = slices.Concat(theta, g.In, g.Bias, g.Out)
		}
	}
	return theta
}

// set makes theta the parameters of the scheme's coefficients and of the gates.
func (o *objective) set(theta []float64) {
	k := len(o.s.first)
	complexes(o.theta, theta[:k])
	o.s.unrolled(o.p, o.u, o.theta)
	for _, g := range o.e.gates {
		if g == nil {
			continue
		}
		for _, part := range [][]float64{g.In, g.Bias, g.Out} {
			k += copy(part, theta[k:])
		}
	}
}

// compute fills value and grad at theta.
func (o *objective) compute(theta []float64) error {
	if o.at != nil && slices.Equal(o.at, theta) {
		return nil
	}
	o.at = append(o.at[:0], theta...)
	o.set(theta)
	for i := range o.e.slots {
		a := &o.e.slots[i].adjoint
		clear(a.In)
		clear(a.Bias)
		clear(a.Out)
	}
	o.evals++
	mean, err := o.e.value(o.ctx, o.u, o.g, nil)
	if err := o.ctx.Err(); err != nil {
		return err
	}
	if err != nil || mean-mean != 0 { // far out, where a run overflows
		o.value = math.Inf(1)
		return nil
	}
	k := len(o.s.first)
	o.s.gradient(o.p, o.grad[:k], o.theta, o.g)
	for i, g := range o.e.gates {
		if g != nil {
			a := o.e.slots[i].adjoint
			for _, part := range [][]float64{a.In, a.Bias, a.Out} {
				k += copy(o.grad[k:], part)
			}
		}
	}
	o.value = math.Log(mean)
	floats.Scale(1/mean, o.grad)
	return nil
}

// minimise runs L-BFGS from theta for up to iterations, again where its line
// search gets stuck as long as that helps, and returns the best parameters and
// their loss. better, where not nil, hears of every improvement.
func (o *objective) minimise(theta []float64, iterations int, better func(theta []float64, loss float64)) ([]float64, float64, error) {
	return lbfgs(o, theta, iterations, better)
}

func (o *objective) last() (value float64, grad []float64) { return o.value, o.grad }

// target is a function with its gradient, both computed together.
type target interface {
	compute(theta []float64) error
	last() (value float64, grad []float64) // what compute found
}

// lbfgs is minimise for any target.
func lbfgs(o target, theta []float64, iterations int, better func(theta []float64, loss float64)) ([]float64, float64, error) {
	best, loss := slices.Clone(theta), math.Inf(1)
	var failure error
	problem := optimize.Problem{
		Func: func(x []float64) float64 {
			if failure = o.compute(x); failure != nil {
				return math.Inf(1)
			}
			value, _ := o.last()
			if value < loss {
				loss = value
				copy(best, x)
				if better != nil {
					better(best, loss)
				}
			}
			return value
		},
		Grad: func(grad, x []float64) {
			failure = o.compute(x)
			_, g := o.last()
			copy(grad, g)
		},
		Status: func() (optimize.Status, error) {
			if failure != nil {
				return optimize.Failure, failure
			}
			return optimize.NotTerminated, nil
		},
	}
	for left := iterations; left > 0; {
		before := loss
		res, err := optimize.Minimize(problem, best, &optimize.Settings{
			MajorIterations: left, FuncEvaluations: 4 * left, GradientThreshold: 1e-9,
			Converger: &optimize.FunctionConverge{Absolute: 1e-6, Iterations: 40},
		}, &optimize.LBFGS{Store: 30, Linesearcher: &optimize.Bisection{CurvatureFactor: 0.9}})
		switch {
		case failure != nil:
			return best, loss, failure
		case res == nil:
			return best, loss, fmt.Errorf("tune: L-BFGS: %w", err)
		case math.IsInf(loss, 1):
			return best, loss, fmt.Errorf("tune: the loss is not finite where the fit begins")
		}
		left -= max(res.MajorIterations, 1)
		if !(loss < before-1e-4) {
			break
		}
	}
	return best, loss, nil
}

// measure runs the parameters on a task.
func (o *objective) measure(t *Task, theta []float64) (Errors, error) {
	o.set(theta)
	o.at = nil
	ends := make([]float64, len(t.End))
	if _, err := newEngine(t, o.s.n, o.e.mean, o.e.gates).value(o.ctx, o.u, nil, ends); err != nil {
		return Errors{}, err
	}
	return t.Errors(ends), nil
}

// newGates makes gates of hidden units for the points of a linear solver that
// have at least two answers behind them. Their invariants are standardised over
// the task where the fit begins, their outputs begin at 0.
func newGates(ctx context.Context, t *Task, l *solvers.Linear, mean []float64, hidden int, key rng.Key) ([]*gate.Gate, error) {
	l = full(l)
	n := l.Steps()
	gates := make([]*gate.Gate, n+1)
	for i := 2; i <= n; i++ {
		in, outs := gate.Inputs(i), min(i-1, gateOutputs)
		g := &gate.Gate{
			Scale: l.S[i-1], Floor: make([]float64, in/3-1), Mean: make([]float64, in), Spread: make([]float64, in),
			In: make([]float64, hidden*in), Bias: make([]float64, hidden), Out: make([]float64, hidden*outs),
		}
		for k := range g.Floor {
			g.Floor[k] = 1
		}
		for k := range g.Spread {
			g.Spread[k] = 1
		}
		// Units that see a standardised invariant each about as strongly.
		key.Split("gate", uint64(i)).Split("in", 0).Normal(g.In)
		key.Split("gate", uint64(i)).Split("bias", 0).Normal(g.Bias)
		floats.Scale(0.7, g.In)
		floats.Scale(0.7, g.Bias)
		gates[i] = g
	}
	// Floors first, since the invariants depend on them.
	o := newObjective(ctx, t, Free{}.scheme(l), mean, gates)
	o.set(o.parameters())
	for _, standardise := range []bool{false, true} {
		sums := make([][3][9]float64, n+1)
		if err := o.see(func(i int, r *gate.Row) {
			for k := range r.Raw {
				sums[i][0][k] += r.Dots[k]
				sums[i][1][k] += r.Raw[k]
				sums[i][2][k] += r.Raw[k] * r.Raw[k]
			}
		}); err != nil {
			return nil, err
		}
		rows := float64(t.Rows)
		for i, g := range gates {
			if g == nil {
				continue
			}
			if !standardise {
				for k := range g.Floor {
					g.Floor[k] = math.Max(0.01*sums[i][0][3+3*k]/rows, 1e-30)
				}
				continue
			}
			for k := range g.Mean {
				m := sums[i][1][k] / rows
				g.Mean[k] = m
				g.Spread[k] = math.Sqrt(math.Max(sums[i][2][k]/rows-m*m, 1e-20))
			}
		}
	}
	return gates, nil
}

// gateOutputs is the number of differences that a gate weighs.
const gateOutputs = 2

// see runs the task and shows f what every gate sees of every row.
func (o *objective) see(f func(i int, r *gate.Row)) error {
	t := o.e.task
	for lo := 0; lo < t.Rows; lo += o.e.block {
		rows := min(o.e.block, t.Rows-lo)
		if err := o.e.forward(o.ctx, o.u, rows, t.Start[lo*o.e.dim:(lo+rows)*o.e.dim]); err != nil {
			return err
		}
		for i := range o.e.gates {
			if o.e.gates[i] != nil {
				for r := range rows {
					f(i, &o.e.slots[i].rows[r])
				}
			}
		}
	}
	return nil
}

// gated is the solver of a consistent scheme with gates at theta.
func (o *objective) gated(theta []float64, grid []float64) *solvers.Gated {
	o.set(theta)
	o.at = nil
	s := &solvers.Gated{S: slices.Clone(grid), Mean: o.e.mean}
	for i := 1; i <= o.s.n; i++ {
		row := slices.Clone(o.u.q[i*o.s.n : i*o.s.n+i])
		// The sum is 1 − s_i/s_0 to rounding; the largest weight makes it so.
		rest := 1 - grid[i]/grid[0]
		for _, v := range row[:i-1] {
			rest -= v
		}
		row[i-1] = rest
		s.Q = append(s.Q, row)
		g := o.e.gates[i]
		if g != nil {
			c := *g
			c.In, c.Bias, c.Out = slices.Clone(g.In), slices.Clone(g.Bias), slices.Clone(g.Out)
			g = &c
		}
		s.Gates = append(s.Gates, g)
	}
	return s
}
