package models

import (
	"context"
	"sync/atomic"
	"time"
)

// Wrapper is a denoiser that answers exactly what the one inside answers:
// counting, timing, logging. One that changes the answer (guidance, another
// resolution) must not offer Unwrap, for [As] would look through it.
type Wrapper interface {
	Denoiser
	Unwrap() Denoiser
}

// As returns the first denoiser in d's chain of wrappers that is a T, so that
// wrapping hides no optional interface:
//
//	if cov, ok := models.As[models.PosteriorCov](p.Denoiser); ok { ... }
func As[T any](d Denoiser) (T, bool) {
	for {
		if t, ok := d.(T); ok {
			return t, true
		}
		w, ok := d.(Wrapper)
		if !ok {
			var zero T
			return zero, false
		}
		d = w.Unwrap()
	}
}

// Counter counts evaluations where they happen. Calls that failed count too;
// products with the posterior covariance, reached through [As], do not. It is
// safe for concurrent use.
type Counter struct {
	Denoiser
	calls, rows atomic.Int64
}

// NewCounter returns a counter around d, at zero.
func NewCounter(d Denoiser) *Counter { return &Counter{Denoiser: d} }

// Denoise counts one call and q.Rows rows and asks the denoiser inside.
func (c *Counter) Denoise(ctx context.Context, dst []float64, q Query) error {
	c.calls.Add(1)
	c.rows.Add(int64(q.Rows))
	return c.Denoiser.Denoise(ctx, dst, q)
}

// Unwrap returns the denoiser inside.
func (c *Counter) Unwrap() Denoiser { return c.Denoiser }

// Calls returns the number of calls: the evaluations per sample of a solver
// that asks for all its rows at once.
func (c *Counter) Calls() int { return int(c.calls.Load()) }

// Rows returns the number of rows asked for: the evaluations per sample times
// the number of samples, whatever the batches were.
func (c *Counter) Rows() int { return int(c.rows.Load()) }

// Reset sets both counts to zero.
func (c *Counter) Reset() {
	c.calls.Store(0)
	c.rows.Store(0)
}

// Timed adds up the time spent inside a denoiser; concurrent calls add up too.
type Timed struct {
	Denoiser
	ns atomic.Int64
}

// NewTimed returns a stopwatch around d, at zero.
func NewTimed(d Denoiser) *Timed { return &Timed{Denoiser: d} }

// Denoise asks the denoiser inside and adds the time it took.
func (t *Timed) Denoise(ctx context.Context, dst []float64, q Query) error {
	start := time.Now()
	err := t.Denoiser.Denoise(ctx, dst, q)
	t.ns.Add(int64(time.Since(start)))
	return err
}

// Unwrap returns the denoiser inside.
func (t *Timed) Unwrap() Denoiser { return t.Denoiser }

// Elapsed returns the time spent inside so far.
func (t *Timed) Elapsed() time.Duration { return time.Duration(t.ns.Load()) }

// Reset sets the time to zero.
func (t *Timed) Reset() { t.ns.Store(0) }
