// Package solvers moves samples from noise to data, one named method a file.
//
// A [Solver] is an immutable description of a method; a [Stepper] is one
// solver running on one [Problem], owning its buffers and history:
//
//	st, err := solver.Start(problem, x)
//	for step, err := range solvers.Steps(ctx, st) { ... }
package solvers

import (
	"context"

	"snrlab/models"
	"snrlab/schedules"
)

// Problem is what a solver is run on.
type Problem struct {
	Denoiser models.Denoiser
	Grid     schedules.Grid
	Schedule schedules.Schedule // levels between grid points; only methods whose Properties say so need it
	Noise    Noise              // only stochastic methods need it
	Labels   []int              // nil, or one class a row, handed to the denoiser
}

// Properties is what a solver promises; tests hold it to each.
type Properties struct {
	Order      float64 // of global convergence in the grid's step, deterministic sense
	Evals      int     // denoiser evaluations of an inner step
	LastEvals  int     // evaluations of a step to σ = 0
	FirstEvals int     // evaluations the first step costs beyond Evals (a Runge–Kutta start)
	History    int     // earlier evaluations kept
	Stochastic bool
	PathFree   bool     // the same λ grid gives the same x/α on every path
	Between    bool     // evaluates between grid levels, so the Problem needs a Schedule
	Adaptive   bool     // grid ends are bounds; evaluations are not promised
	Coupled    bool     // rows of a batch influence each other
	Summary    string   // one line
	References []string // keys into the package's References block
}

// Solver is an immutable, comparable, printable description of a method.
type Solver interface {
	String() string // parseable: Parse(s.String()) gives back an equal value
	Properties() Properties
	// NFE returns the evaluations per sample that a run over g will count.
	NFE(g schedules.Grid) int
	// Start prepares a run from the rows of x, which it copies. It refuses a
	// problem that it cannot serve before the first evaluation.
	Start(p Problem, x []float64, opts ...RunOption) (Stepper, error)
}

// Stepper is one solver running on one problem. It serves one goroutine and
// allocates nothing after its first step.
type Stepper interface {
	// Step advances every row by one grid interval; io.EOF after the last.
	Step(ctx context.Context) (Step, error)
	// State returns a copy of everything needed to resume bit for bit.
	State() State
}

// Step is what one step did. X and Denoised are views valid until the next
// step; Clone keeps them.
type Step struct {
	Index      int             // 0 for the first
	From, To   schedules.Level // the levels it went between
	X          []float64       // the state at To, rows×dim
	Denoised   []float64       // the denoiser's answer of the step's first evaluation, at DenoisedAt
	DenoisedAt schedules.Level // From, unless the method moves before it evaluates (churn)
	OrderUsed  int
	Evals      int     // evaluations per sample so far, this step included
	ErrEst     float64 // local error estimate; NaN where the method has none
}

// Clone returns a Step that owns its arrays.
func (s Step) Clone() Step {
	s.X = append([]float64(nil), s.X...)
	s.Denoised = append([]float64(nil), s.Denoised...)
	return s
}

// State is a Stepper between two steps.
type State struct {
	Solver  string      `json:"solver"`
	Index   int         `json:"index"` // steps done
	Evals   int         `json:"evals"`
	X       []float64   `json:"x"`
	History [][]float64 `json:"history,omitempty"` // method-specific, newest first
	Noise   int         `json:"noise,omitempty"`   // draws consumed by a replayed source
}

// Noise is a source of standard normal numbers for stochastic steps.
type Noise interface {
	// Normal fills req.Z (and req.Integral if not nil), rows×dim.
	Normal(req NoiseRequest) error
}

// NoiseRequest asks for the noise of one stage of one step. The clock of the
// reverse process is e^λ: the increment of its Brownian motion between the
// levels, divided by its standard deviation √|e^λ_to − e^λ_from|, is Z. A
// request toward more noise (churn) belongs to an independent motion with
// clock σ²/α².
type NoiseRequest struct {
	Step, Stage int
	From, To    schedules.Level
	Z           []float64 // rows×dim, written
	Integral    []float64 // nil, or the scaled iterated integral ∫(W−W_from)dτ / (Δτ^{3/2}), written
}
