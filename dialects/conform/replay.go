package conform

import (
	"context"
	"fmt"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// seen is one denoiser call of ours.
type seen struct {
	x, d []float64
	at   schedules.Level
}

// witness records every call to the exact network.
type witness struct {
	models.Denoiser
	calls []seen
}

// Unwrap returns the denoiser inside.
func (w *witness) Unwrap() models.Denoiser { return w.Denoiser }

// Denoise implements [models.Denoiser].
func (w *witness) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	for _, at := range q.At[1:] {
		if at.Alpha != q.At[0].Alpha || at.Sigma != q.At[0].Sigma {
			return fmt.Errorf("the rows of a call are at different levels: the record has one level a call")
		}
	}
	if err := w.Denoiser.Denoise(ctx, dst, q); err != nil {
		return err
	}
	w.calls = append(w.calls, seen{append([]float64(nil), q.X...), append([]float64(nil), dst...), q.At[0]})
	return nil
}

// planned answers noise requests by a program's draw plan: every recorded draw
// at most once and in order.
type planned struct {
	draws [][]float64
	plan  func(step, stage int) int
	next  int // the first draw that may still be asked for
}

// Normal implements [solvers.Noise].
func (p *planned) Normal(req solvers.NoiseRequest) error {
	if req.Integral != nil {
		return fmt.Errorf("step %d wants an iterated integral, which no record holds", req.Step)
	}
	i := p.plan(req.Step, req.Stage)
	switch {
	case i < p.next || i >= len(p.draws):
		return fmt.Errorf("step %d, request %d is planned to take draw %d: expected one of %d to %d, which are left", req.Step, req.Stage, i, p.next, len(p.draws)-1)
	case len(p.draws[i]) != len(req.Z):
		return fmt.Errorf("draw %d has %d numbers, the request wants %d", i, len(p.draws[i]), len(req.Z))
	}
	copy(req.Z, p.draws[i])
	p.next = i + 1
	return nil
}

// accepted answers the noise requests of accepted steps, one draw a step, and
// passes over the draws of steps that ask for none.
type accepted struct {
	draws [][]float64
	done  int // accepted steps
}

// Normal implements [solvers.Noise].
func (a *accepted) Normal(req solvers.NoiseRequest) error {
	switch {
	case a.done >= len(a.draws):
		return fmt.Errorf("accepted step %d wants a draw: the record has %d", a.done, len(a.draws))
	case len(a.draws[a.done]) != len(req.Z):
		return fmt.Errorf("draw %d has %d numbers, the request wants %d", a.done, len(a.draws[a.done]), len(req.Z))
	}
	copy(req.Z, a.draws[a.done])
	return nil
}

// see counts a step.
func (a *accepted) see(s solvers.Step) {
	if len(s.Rows) > 0 && !s.Rows[0].Rejected {
		a.done++
	}
}
