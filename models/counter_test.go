package models

import (
	"context"
	"testing"
	"time"

	"snrlab/schedules"
)

// slow takes its time.
type slow struct{ Denoiser }

func (s slow) Denoise(ctx context.Context, dst []float64, q Query) error {
	time.Sleep(2 * time.Millisecond)
	return s.Denoiser.Denoise(ctx, dst, q)
}

func TestCounter_Property(t *testing.T) {
	m := GM2D()
	c := NewCounter(m)
	timed := NewTimed(slow{c})
	x := make([]float64, 6)
	for i := range 5 {
		rows := 1 + i%3
		q := Query{X: x[:2*rows], Rows: rows, At: []schedules.Level{level(1, 1)}}
		if err := timed.Denoise(ctx, make([]float64, 2*rows), q); err != nil {
			t.Fatal(err)
		}
	}
	if c.Calls() != 5 || c.Rows() != 1+2+3+1+2 {
		t.Errorf("counted %d calls and %d rows, expected 5 and 9", c.Calls(), c.Rows())
	}
	if d := timed.Elapsed(); d < 10*time.Millisecond {
		t.Errorf("five calls of at least 2 ms took %v", d)
	}
	c.Reset()
	timed.Reset()
	if c.Calls() != 0 || c.Rows() != 0 || timed.Elapsed() != 0 {
		t.Error("reset left something")
	}
	if Dim(timed) != 2 {
		t.Errorf("dimension %d through wrappers", Dim(timed))
	}
}

func TestAs_Property(t *testing.T) {
	m := GM2D()
	wrapped := NewTimed(NewCounter(m))
	if got, ok := As[PosteriorCov](wrapped); !ok || got != PosteriorCov(m) {
		t.Errorf("the posterior covariance is hidden: %v, %v", got, ok)
	}
	if got, ok := As[Exact](Denoiser(wrapped)); !ok || got != Exact(m) {
		t.Errorf("the exact law is hidden: %v, %v", got, ok)
	}
	if got, ok := As[*Counter](wrapped); !ok || got.Unwrap() != Denoiser(m) {
		t.Errorf("the counter is hidden: %v, %v", got, ok)
	}
	// slow has no Unwrap: what lies behind it is its own affair.
	if _, ok := As[PosteriorCov](NewCounter(slow{m})); ok {
		t.Error("looked through a wrapper that does not offer it")
	}
}
