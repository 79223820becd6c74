package guidance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
	"snrlab/internal/spec"
	"snrlab/models"
)

// Threshold keeps an answer within the range [−b, b] of the data. It is
// meaningful for data that have one, pixels say, and it is not smooth, so that a
// solver loses its order where it acts.
type Threshold interface {
	// Apply changes one sample in place. scratch has its length.
	Apply(d, scratch []float64)
	Validate() error
	String() string // parseable, e.g. "dynamic(p=0.995)"
}

// None changes nothing.
type None struct{}

// Static clips to [−b, b].
type Static struct {
	Bound float64 `json:"bound"` // b; 1 by default
}

// Dynamic scales a sample down where many of its values lie outside
// [saharia2022]: with s = max(b, the p-quantile of |D|),
//
//	D ← clip(D, −s, s) · b/s
//
// The quantile lies linearly between the order statistics about p (n − 1).
type Dynamic struct {
	P     float64 `json:"p"`     // 0 < p ≤ 1; 0.995 by default
	Bound float64 `json:"bound"` // b; 1 by default
}

// Thresholds lists the thresholds that [ParseThreshold] reads.
func Thresholds() spec.Registry[Threshold] {
	return spec.Registry[Threshold]{Kind: "threshold", Entries: []spec.Entry[Threshold]{
		{Name: "none", Summary: "leaves the answer as it is", Default: None{}},
		{Name: "static", Summary: "clips to the range of the data", Default: Static{Bound: 1}},
		{Name: "dynamic", Summary: "clips at a quantile of the sample's own values and scales back", Default: Dynamic{P: 0.995, Bound: 1}},
	}}
}

// ParseThreshold reads what String prints.
func ParseThreshold(s string) (Threshold, error) {
	v, err := Thresholds().Parse(s)
	if err != nil {
		return nil, fmt.Errorf("guidance: %s", strings.ReplaceAll(err.Error(), "guidance: ", ""))
	}
	return v, nil
}

// Apply does nothing.
func (None) Apply(_, _ []float64) {}

// Apply clips.
func (s Static) Apply(d, _ []float64) { clip(d, s.Bound, 1) }

// Apply clips at the quantile and scales to the bound.
func (t Dynamic) Apply(d, scratch []float64) {
	for i, v := range d {
		scratch[i] = math.Abs(v)
	}
	slices.Sort(scratch)
	s := max(t.Bound, quantile(scratch, t.P))
	clip(d, s, t.Bound/s)
}

func clip(d []float64, at, scale float64) {
	for i, v := range d {
		d[i] = min(max(v, -at), at) * scale
	}
}

// quantile of sorted values, linear between order statistics.
func quantile(sorted []float64, p float64) float64 {
	place := p * float64(len(sorted)-1)
	i := min(int(place), len(sorted)-1)
	j := min(i+1, len(sorted)-1)
	return sorted[i] + (place-float64(i))*(sorted[j]-sorted[i])
}

// Validate accepts all.
func (None) Validate() error { return nil }

// Validate reports a range that is none.
func (s Static) Validate() error { return inRange(s.Bound) }

// Validate reports a quantile or a range that is none.
func (t Dynamic) Validate() error {
	if !(t.P > 0 && t.P <= 1) {
		return fmt.Errorf("p = %g: expected a quantile with 0 < p ≤ 1 (0.995 is 99.5 percent)", t.P)
	}
	return inRange(t.Bound)
}

func inRange(b float64) error {
	if !(b > 0) || math.IsInf(b, 1) {
		return fmt.Errorf("bound = %g: expected a finite number > 0", b)
	}
	return nil
}

func (t None) String() string    { return Thresholds().Format("none", t) }
func (t Static) String() string  { return Thresholds().Format("static", t) }
func (t Dynamic) String() string { return Thresholds().Format("dynamic", t) }

// Thresholded returns d with a threshold on its answers, row by row. It goes
// outside of all guidance, and hides what d knows about its posterior.
func Thresholded(d models.Denoiser, t Threshold) (models.Denoiser, error) {
	if d == nil || t == nil {
		return nil, errors.New("guidance: expected a denoiser and a threshold, got nil")
	}
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("guidance: threshold %s: %w", t, err)
	}
	c := &thresholded{inner: d, rule: t}
	c.idle.New = func() *thresholdWork {
		w := &thresholdWork{rule: t, dim: models.Dim(d)}
		w.run = w.rows
		return w
	}
	return c, nil
}

type thresholded struct {
	inner models.Denoiser
	rule  Threshold
	idle  freelist.List[thresholdWork]
}

func (t *thresholded) Shape() []int { return t.inner.Shape() }

func (t *thresholded) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if err := t.inner.Denoise(ctx, dst, q); err != nil {
		return err
	}
	w := t.idle.Get()
	w.dst, w.scratch = dst, resize(w.scratch, len(dst))
	par.Rows(q.Rows, max(1, combineGrain/w.dim), w.run)
	w.dst = nil
	t.idle.Put(w)
	return nil
}

type thresholdWork struct {
	rule         Threshold
	dim          int
	dst, scratch []float64
	run          func(lo, hi int)
}

func (w *thresholdWork) rows(lo, hi int) {
	for i := lo; i < hi; i++ {
		a, b := i*w.dim, (i+1)*w.dim
		w.rule.Apply(w.dst[a:b], w.scratch[a:b])
	}
}
