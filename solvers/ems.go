package solvers

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/interp"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
)

// StatisticsSample is what [EstimateStatistics] takes its means over.
type StatisticsSample struct {
	HalfLogSNR []float64 // levels ℓ = log(α/σ), rising
	Keys       []rng.Key // of the samples
	Labels     []int     // nil, or the class of each sample
	Probes     int       // random signs a sample for the diagonal of the covariance; 0 takes every dimension in turn, which is exact
}

// EstimateStatistics returns the statistics of a model for [DPMSolverV3], means
// over exact samples at each level [zheng2023, section 3.2 and appendix]:
//
//	l = 1 − (α²/σ²) E diag Cov[x₀ | x],      since ∂(σ ε)/∂x = 1 − α ∂D/∂x
//	s = cov(f, f')/var(f),   b = E f' − s E f,   f = (1 − l) x̂ − D
//
// by dimension. The covariance is the model's own product with vectors; f' is
// the central difference of f along the probability-flow ODE, dx̂/dℓ = D − x̂,
// with the slope of the curve through l. Where f does not vary over the samples
// s is 0. Each level costs three evaluations a sample, and as many products as
// there are dimensions or probes.
func EstimateStatistics(ctx context.Context, m models.Exact, e StatisticsSample) (*Statistics, error) {
	n, dim := len(e.Keys), models.Dim(m)
	fail := func(err error) (*Statistics, error) { return nil, fmt.Errorf("solvers: statistics: %w", err) }
	switch {
	case n < 2:
		return fail(fmt.Errorf("%d samples: expected at least 2", n))
	case e.Probes < 0:
		return fail(fmt.Errorf("%d probes: expected a number, or 0 for every dimension", e.Probes))
	case len(e.HalfLogSNR) < 3:
		return fail(fmt.Errorf("%d levels: expected at least 3", len(e.HalfLogSNR)))
	}
	s := &Statistics{HalfLogSNR: e.HalfLogSNR}
	for range e.HalfLogSNR {
		s.L, s.S, s.B = append(s.L, make([]float64, dim)), append(s.S, make([]float64, dim)), append(s.B, make([]float64, dim))
	}
	if err := s.Validate(); err != nil {
		return fail(err)
	}
	x, v, cov := make([]float64, n*dim), make([]float64, n*dim), make([]float64, n*dim)
	draw := func(i int) (schedules.Level, error) {
		at := onVE(e.HalfLogSNR[i])
		return at, m.Sample(x, at, e.Labels, e.Keys)
	}
	for i := range e.HalfLogSNR {
		at, err := draw(i)
		if err != nil {
			return fail(err)
		}
		q := models.Query{X: x, Rows: n, At: []schedules.Level{at}, Labels: e.Labels}
		diagonal, probes := make([]float64, dim), e.Probes
		if probes == 0 {
			probes = dim
		}
		for k := range probes {
			e.probe(v, k, dim)
			if err := m.PosteriorCovMul(ctx, cov, v, q); err != nil {
				return fail(err)
			}
			for j, c := range cov {
				diagonal[j%dim] += c * v[j]
			}
		}
		if e.Probes > 0 {
			for j := range diagonal {
				diagonal[j] /= float64(probes)
			}
		}
		for j, c := range diagonal {
			s.L[i][j] = 1 - c/float64(n)/(at.Sigma*at.Sigma)
		}
	}

	slopes, err := s.slopesOfL()
	if err != nil {
		return fail(err)
	}
	d, up, down := make([]float64, n*dim), make([]float64, n*dim), make([]float64, n*dim)
	for i, half := range e.HalfLogSNR {
		at, err := draw(i)
		if err != nil {
			return fail(err)
		}
		ask := func(dst, x []float64, at schedules.Level) error {
			return m.Denoise(ctx, dst, models.Query{X: x, Rows: n, At: []schedules.Level{at}, Labels: e.Labels})
		}
		if err := ask(d, x, at); err != nil {
			return fail(err)
		}
		const step = 1e-4 // the difference's own error is about 1e-8, rounding 1e-12
		for _, side := range []struct {
			dst []float64
			by  float64
		}{{up, step}, {down, -step}} {
			for j := range v {
				v[j] = x[j] + side.by*(d[j]-x[j])
			}
			if err := ask(side.dst, v, onVE(half+side.by)); err != nil {
				return fail(err)
			}
		}
		for j := range dim {
			l, slope := s.L[i][j], slopes[i][j]
			// Means of f and f' first, then the moments about them.
			f := func(k int) float64 { return (1-l)*x[k] - d[k] }
			rate := func(k int) float64 { return -slope*x[k] + (1-l)*(d[k]-x[k]) - (up[k]-down[k])/(2*step) }
			var meanF, meanRate, size, varF, both float64
			for k := j; k < len(x); k += dim {
				meanF += f(k) / float64(n)
				meanRate += rate(k) / float64(n)
				size += d[k] * d[k]
			}
			for k := j; k < len(x); k += dim {
				varF += (f(k) - meanF) * (f(k) - meanF)
				both += (f(k) - meanF) * (rate(k) - meanRate)
			}
			if varF > 1e-14*size {
				s.S[i][j] = both / varF
			}
			s.B[i][j] = meanRate - s.S[i][j]*meanF
		}
	}
	return s, s.Validate()
}

// probe fills v with the k-th probe: a unit vector, or signs of each sample's own.
func (e StatisticsSample) probe(v []float64, k, dim int) {
	if e.Probes == 0 {
		clear(v)
		for j := k; j < len(v); j += dim {
			v[j] = 1
		}
		return
	}
	for i, key := range e.Keys {
		r := key.Split("probe", uint64(k)).Stream()
		for j := range dim {
			v[i*dim+j] = float64(2*r.IntN(2) - 1)
		}
	}
}

// onVE is the level σ = e^{−ℓ} of x₀ + σε.
func onVE(half float64) schedules.Level {
	return schedules.LevelAt(schedules.EDM{SMin: 1, SMax: 2}, snr.LogSNR(2*half))
}

// slopesOfL returns dl/dℓ of the curves through l.
func (s *Statistics) slopesOfL() ([][]float64, error) {
	slopes := make([][]float64, len(s.L))
	for i := range slopes {
		slopes[i] = make([]float64, len(s.L[0]))
	}
	column := make([]float64, len(s.L))
	for j := range s.L[0] {
		for i := range s.L {
			column[i] = s.L[i][j]
		}
		var c interp.FritschButland
		if err := c.Fit(s.HalfLogSNR, column); err != nil {
			return nil, err
		}
		for i, l := range s.HalfLogSNR {
			slopes[i][j] = c.PredictDerivative(l)
		}
	}
	return slopes, nil
}
