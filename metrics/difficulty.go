package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
)

// Estimate is a mean of independent draws and its standard error.
type Estimate struct{ Value, SE float64 }

// Within returns the ends of the interval of z standard errors; 1.96 is 95 %.
func (e Estimate) Within(z float64) (low, high float64) { return e.Value - z*e.SE, e.Value + z*e.SE }

func estimate(v []float64) Estimate {
	mean := Mean(v)
	sum := 0.0
	for _, x := range v {
		sum += float64((x - mean) * (x - mean))
	}
	n := float64(len(v))
	return Estimate{mean, math.Sqrt(sum / (n - 1) / n)}
}

// Difficulty is the loss of a denoiser D at one noise level, in x₀ units, summed over
// the values of a sample: what it is, what of it no denoiser can do without, and what
// is the denoiser's own.
type Difficulty struct {
	Lambda snr.LogSNR
	MSE    Estimate  // E|x₀ − D|²
	Exact  Estimate  // E|x₀ − D*|² of the exact denoiser D* = E[x₀ | x]
	Excess Estimate  // E|D − D*|² = MSE − Exact
	Second Estimate  // E|x₀ − D|⁴, from which the variance of a loss follows
	Loss   []float64 // |x₀ − D|² of each draw: the same draws of (x₀, ε) at every level
}

// Difficulties measures d against the exact denoiser of the law that it is meant for,
// at levels on the variance-preserving path, on as many draws of (x₀, ε) as rows.
// Where the law knows the trace of Cov[x₀ | x], Exact is its mean, which
// varies less than |x₀ − D*|².
func Difficulties(ctx context.Context, d models.Denoiser, truth models.Exact, at []snr.LogSNR, rows int, key rng.Key) ([]Difficulty, error) {
	s, err := newDraws(truth, rows, key)
	if err != nil {
		return nil, err
	}
	dim := models.Dim(truth)
	if n := models.Dim(d); n != dim {
		return nil, fmt.Errorf("metrics: denoiser of %d values against a law of %d: expected the same shape", n, dim)
	}
	trace, _ := models.As[models.PosteriorTrace](truth)
	answer, best, traces := make([]float64, rows*dim), make([]float64, rows*dim), make([]float64, rows)
	list := make([]Difficulty, len(at))
	for i, l := range at {
		q := s.query(l)
		if err := d.Denoise(ctx, answer, q); err != nil {
			return nil, fmt.Errorf("metrics: denoiser at λ = %g: %w", float64(l), err)
		}
		if err := truth.Denoise(ctx, best, q); err != nil {
			return nil, err
		}
		loss, exact, excess, second := make([]float64, rows), make([]float64, rows), make([]float64, rows), make([]float64, rows)
		for r := range rows {
			for j := r * dim; j < (r+1)*dim; j++ {
				a, b, c := s.x0[j]-answer[j], s.x0[j]-best[j], answer[j]-best[j]
				loss[r] += float64(a * a)
				exact[r] += float64(b * b)
				excess[r] += float64(c * c)
			}
			second[r] = loss[r] * loss[r]
			if second[r]-second[r] != 0 {
				return nil, fmt.Errorf("metrics: loss at λ = %g, row %d is %g: expected a finite number", float64(l), r, loss[r])
			}
		}
		if trace != nil {
			if err := trace.PosteriorTrace(ctx, traces, q); err != nil {
				return nil, err
			}
			copy(exact, traces)
		}
		list[i] = Difficulty{Lambda: l, MSE: estimate(loss), Exact: estimate(exact), Excess: estimate(excess), Second: estimate(second), Loss: loss}
	}
	return list, nil
}

// LossMoments are the moments of |x₀ − D|² of measured difficulties, at rising levels.
func LossMoments(list []Difficulty) *snr.Moments {
	m := &snr.Moments{}
	for _, d := range list {
		m.Lambda = append(m.Lambda, float64(d.Lambda))
		m.Mean = append(m.Mean, []float64{d.MSE.Value})
		m.Second = append(m.Second, d.Second.Value)
	}
	return m
}

// draws are (x₀, ε), kept over levels.
type draws struct {
	x0, noise, x []float64
	rows         int
}

func newDraws(truth models.Exact, rows int, key rng.Key) (*draws, error) {
	if rows < 2 {
		return nil, fmt.Errorf("metrics: %d draws: expected at least 2", rows)
	}
	keys := make([]rng.Key, rows)
	for i := range keys {
		keys[i] = key.Split("sample", uint64(i))
	}
	n := rows * models.Dim(truth)
	s := &draws{x0: make([]float64, n), noise: make([]float64, n), x: make([]float64, n), rows: rows}
	return s, errors.Join(
		truth.Sample(s.x0, schedules.Level{Alpha: 1}, nil, keys),
		truth.Sample(s.noise, schedules.Level{Sigma: 1}, nil, keys),
	)
}

// query asks for the states of the draws at λ.
func (s *draws) query(l snr.LogSNR) models.Query {
	a, sigma := l.VP()
	for i, v := range s.x0 {
		s.x[i] = float64(a*v) + sigma*s.noise[i]
	}
	return models.Query{X: s.x, Rows: s.rows, At: []schedules.Level{{T: math.NaN(), Alpha: a, Sigma: sigma}}}
}

// Gradient is the gradient of the loss |x₀ − D|² in the parameters of a denoiser, at
// one noise level.
type Gradient struct {
	Lambda snr.LogSNR
	Mean   []float64 // E g
	Second float64   // E|g|² of single draws
	halves [2][]float64
}

// Gradients measures the gradients of a trainable denoiser at levels on the
// variance-preserving path, on groups×each draws. Second comes from the spread of the
// groups' means, so that each may be what a network takes at a time.
func Gradients(ctx context.Context, d models.Trainable, truth models.Exact, at []snr.LogSNR, groups, each int, key rng.Key) ([]Gradient, error) {
	if groups < 2 || each < 1 {
		return nil, fmt.Errorf("metrics: %d groups of %d draws: expected at least 2 of at least 1", groups, each)
	}
	s, err := newDraws(truth, groups*each, key)
	if err != nil {
		return nil, err
	}
	dim, n := models.Dim(truth), d.Parameters()
	g := make([]float64, n)
	list := make([]Gradient, len(at))
	for i, l := range at {
		q := s.query(l)
		out := Gradient{Lambda: l, Mean: make([]float64, n), halves: [2][]float64{make([]float64, n), make([]float64, n)}}
		square := 0.0 // of group means
		for k := range groups {
			lo, hi := k*each*dim, (k+1)*each*dim
			if err := d.LossGradient(ctx, g, models.Query{X: q.X[lo:hi], Rows: each, At: q.At}, s.x0[lo:hi]); err != nil {
				return nil, fmt.Errorf("metrics: gradient at λ = %g: %w", float64(l), err)
			}
			for j, v := range g {
				v /= float64(each)
				out.Mean[j] += v / float64(groups)
				out.halves[k%2][j] += v
				square += float64(v * v)
			}
		}
		if square-square != 0 {
			return nil, fmt.Errorf("metrics: gradient at λ = %g has the squared length %g: expected a finite number", float64(l), square)
		}
		m := dot(out.Mean, out.Mean)
		spread := (square - float64(groups)*m) / float64(groups-1) // of one group's mean
		out.Second = m + float64(each)*max(spread, 0)
		list[i] = out
	}
	return list, nil
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += float64(v * b[i])
	}
	return sum
}

// GradientMoments are the moments of measured gradients, at rising levels.
func GradientMoments(list []Gradient) *snr.Moments {
	m := &snr.Moments{}
	for _, g := range list {
		m.Lambda = append(m.Lambda, float64(g.Lambda))
		m.Mean = append(m.Mean, g.Mean)
		m.Second = append(m.Second, g.Second)
	}
	return m
}

// Agreement is the cosine between the mean gradients of two levels: 1 where a step
// that helps one helps the other, −1 where it undoes it. Products are taken between
// the halves of the draws, so that their common noise does not add to them: an
// estimate, which few draws of a small gradient can take beyond ±1. A level without
// a gradient above the noise gives NaN.
func Agreement(a, b Gradient) float64 {
	product := func(a, b Gradient) float64 {
		return (dot(a.halves[0], b.halves[1]) + dot(a.halves[1], b.halves[0])) / 2
	}
	aa, bb := product(a, a), product(b, b)
	if !(aa > 0 && bb > 0) {
		return math.NaN()
	}
	return product(a, b) / math.Sqrt(aa*bb)
}
