package dialects

import (
	"context"
	"math"
	"slices"
	"sync"

	"snrlab/models"
)

// answers is a denoiser whose answers, row by row, are changed after the fact.
// It offers no Unwrap: what it answers is not what the one inside answers.
type answers struct {
	inner  models.Denoiser
	change func(row []float64)
}

// changed returns the wrapper that changes every row of an answer.
func changed(change func(row []float64)) func(models.Denoiser) models.Denoiser {
	return func(d models.Denoiser) models.Denoiser { return answers{d, change} }
}

func (a answers) Shape() []int { return a.inner.Shape() }

// Denoise implements [models.Denoiser].
func (a answers) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if err := a.inner.Denoise(ctx, dst, q); err != nil {
		return err
	}
	for row := range slices.Chunk(dst, models.Dim(a.inner)) {
		a.change(row)
	}
	return nil
}

// threshold is dynamic thresholding [saharia2022]: with s the quantile of |x₀|
// at ratio, kept between floor and ceiling, x₀ becomes clamp(x₀, −s, s)/s.
// Differs from the paper, which has no ceiling.
type threshold struct{ ratio, floor, ceiling float64 }

// noCeiling is the ceiling of programs that have none.
var noCeiling = math.Inf(1)

// wrapper changes what a denoiser answers.
type wrapper = func(models.Denoiser) models.Denoiser

func (t threshold) apply(row []float64) {
	s := min(max(quantile(row, t.ratio), t.floor), t.ceiling)
	for i, v := range row {
		row[i] = min(max(v, -s), s) / s
	}
}

// quantile returns the quantile of |v|, linear between order statistics.
func quantile(row []float64, ratio float64) float64 {
	buffer := scratch.Get().(*[]float64)
	defer scratch.Put(buffer)
	a := (*buffer)[:0]
	for _, v := range row {
		a = append(a, math.Abs(v))
	}
	*buffer = a
	slices.Sort(a)
	at := ratio * float64(len(a)-1)
	i := min(int(at), len(a)-1)
	j := min(i+1, len(a)-1)
	return a[i] + (at-float64(i))*(a[j]-a[i])
}

var scratch = sync.Pool{New: func() any { return new([]float64) }}

// clip keeps every number of an answer in [−r, r].
func clip(r float64) func(row []float64) {
	return func(row []float64) {
		for i, v := range row {
			row[i] = min(max(v, -r), r)
		}
	}
}

// chain applies wrappers, the first innermost; nil ones are left out.
func chain(wraps ...func(models.Denoiser) models.Denoiser) func(models.Denoiser) models.Denoiser {
	wraps = slices.DeleteFunc(wraps, func(w func(models.Denoiser) models.Denoiser) bool { return w == nil })
	if len(wraps) == 0 {
		return nil
	}
	return func(d models.Denoiser) models.Denoiser {
		for _, w := range wraps {
			d = w(d)
		}
		return d
	}
}
