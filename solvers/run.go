package solvers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"snrlab/schedules"
)

// RunOption is a choice of a run that cannot change a number of its result.
type RunOption func(*runConfig)

type runConfig struct {
	resume  *State
	observe func(Stage)
}

// Resume starts a run from a saved state instead of its first level.
func Resume(s State) RunOption { return func(c *runConfig) { c.resume = &s } }

// Observe calls f after every denoiser evaluation of a step.
func Observe(f func(Stage)) RunOption { return func(c *runConfig) { c.observe = f } }

// Settings are the choices of a run as a solver outside of this package reads
// them from the options that its Start is given.
type Settings struct {
	Resume  *State      // nil: from the first level
	Observe func(Stage) // nil: nobody listens
}

// SettingsOf reads options.
func SettingsOf(opts []RunOption) Settings {
	var cfg runConfig
	for _, o := range opts {
		o(&cfg)
	}
	return Settings{Resume: cfg.resume, Observe: cfg.observe}
}

// configure reads the options of a run, puts it where it resumes, and refuses a
// state that is not finite.
func configure(opts []RunOption, resume func(State) error, state []float64, dim int) (observe func(Stage), err error) {
	cfg := SettingsOf(opts)
	if cfg.Resume != nil {
		if err := resume(*cfg.Resume); err != nil {
			return nil, err
		}
	}
	return cfg.Observe, checkFinite("the start", state, dim)
}

// checkSaved refuses an array of a state to resume that is not n finite values.
func checkSaved(what string, k int, a []float64, n, dim int) error {
	what = fmt.Sprintf("%s %d of the state to resume", what, k)
	if len(a) != n {
		return fmt.Errorf("%s has %d values, the start %d", what, len(a), n)
	}
	return checkFinite(what, a, dim)
}

func checkFinite(what string, a []float64, dim int) error {
	if i, bad := firstNonFinite(a); bad {
		return fmt.Errorf("%s is %g in row %d, column %d: expected finite values", what, a[i], i/dim, i%dim)
	}
	return nil
}

// cannotStart says which solver an error at the start is of.
func cannotStart(s Solver, err error) error { return fmt.Errorf("solvers: %s: %w", s, err) }

// Stage is one denoiser evaluation inside a step. Its arrays are views valid
// during the call.
type Stage struct {
	Step, Stage int
	At          schedules.Level // of the first row
	X, Denoised []float64
	Rows        []int             // nil for every row; else the rows of the batch that X holds, in order
	Levels      []schedules.Level // nil where At is that of all rows; else one a row
}

// StepError is a failure inside a run.
type StepError struct {
	Solver   string
	Index    int
	From, To schedules.Level
	Err      error
}

func (e *StepError) Error() string {
	return fmt.Sprintf("solvers: %s: step %d (λ %.4g → %.4g): %v", e.Solver, e.Index, float64(e.From.LogSNR()), float64(e.To.LogSNR()), e.Err)
}

func (e *StepError) Unwrap() error { return e.Err }

// Steps iterates over the steps of a run. It ends after the last step or after
// the first error.
func Steps(ctx context.Context, st Stepper) iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) {
		for {
			s, err := st.Step(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// Sample runs a solver to its end and returns the last state, rows×dim.
// Resumed after the last step it returns that state again.
func Sample(ctx context.Context, s Solver, p Problem, x []float64, opts ...RunOption) ([]float64, error) {
	st, err := s.Start(p, x, opts...)
	if err != nil {
		return nil, err
	}
	var last []float64
	for step, err := range Steps(ctx, st) {
		if err != nil {
			return nil, err
		}
		last = step.X
	}
	if last == nil {
		last = st.State().X
	}
	return last, nil
}
