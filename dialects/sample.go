package dialects

import (
	"context"
	"fmt"
	"slices"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Sample runs a translation on a denoiser from the rows of x, calls visit, if
// not nil, after every step, and returns the last state. noise may be nil where
// the solver draws none.
func (t *Translation) Sample(ctx context.Context, d models.Denoiser, x []float64, noise solvers.Noise, visit func(solvers.Step) error) ([]float64, error) {
	if t.Wrap != nil {
		d = t.Wrap(d)
	}
	p := solvers.Problem{Denoiser: d, Grid: t.Grid, Schedule: t.Schedule, Noise: noise}
	if visit == nil {
		visit = func(solvers.Step) error { return nil }
	}
	run := t.through
	if t.Legs != nil {
		run = t.byLegs
	}
	if err := idle(ctx, d, x, t.Grid[0], 0, t.Ahead, visit); err != nil {
		return nil, err
	}
	last, err := run(ctx, p, x, visit)
	if err != nil {
		return nil, err
	}
	at := t.Grid[len(t.Grid)-1]
	if t.Legs != nil {
		at = t.Legs[len(t.Legs)-1]
	}
	return last, idle(ctx, d, last, at, t.Grid.Steps(), t.Idle, visit)
}

// through walks the whole grid at once.
func (t *Translation) through(ctx context.Context, p solvers.Problem, x []float64, visit func(solvers.Step) error) ([]float64, error) {
	st, err := t.Solver.Start(p, x)
	if err != nil {
		return nil, err
	}
	last := slices.Clone(x)
	for step, err := range solvers.Steps(ctx, st) {
		if err != nil {
			return nil, err
		}
		copy(last, step.X)
		if err := visit(step); err != nil {
			return nil, err
		}
	}
	return last, nil
}

// byLegs takes every step as the last one of a run of its own, on the levels
// that the program has stepped from and the one it steps to, resumed from where
// the leg before ended. History and the numbering of the noise carry over.
func (t *Translation) byLegs(ctx context.Context, p solvers.Problem, x []float64, visit func(solvers.Step) error) ([]float64, error) {
	if len(t.Legs) != t.Grid.Steps() {
		return nil, fmt.Errorf("dialects: %d legs for a grid of %d steps: expected one each", len(t.Legs), t.Grid.Steps())
	}
	var state solvers.State
	for i, to := range t.Legs {
		p.Grid = append(slices.Clone(t.Grid[:i+1]), to)
		var opts []solvers.RunOption
		if i > 0 {
			opts = append(opts, solvers.Resume(state))
		}
		st, err := t.Solver.Start(p, x, opts...)
		if err != nil {
			return nil, err
		}
		step, err := st.Step(ctx)
		if err != nil {
			return nil, err
		}
		state = st.State()
		if err := visit(step); err != nil {
			return nil, err
		}
	}
	return state.X, nil
}

// idle makes evaluations at a level that change nothing, numbered from first.
func idle(ctx context.Context, d models.Denoiser, x []float64, at schedules.Level, first, n int, visit func(solvers.Step) error) error {
	for i := range n {
		answer := make([]float64, len(x))
		q := models.Query{X: x, Rows: len(x) / models.Dim(d), At: []schedules.Level{at}}
		if err := d.Denoise(ctx, answer, q); err != nil {
			return fmt.Errorf("dialects: evaluation that changes nothing: %w", err)
		}
		step := solvers.Step{Index: first + i, From: at, To: at, X: x, Denoised: answer, DenoisedAt: at}
		if err := visit(step); err != nil {
			return err
		}
	}
	return nil
}
