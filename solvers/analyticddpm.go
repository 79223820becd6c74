package solvers

import (
	"context"
	"fmt"
	"math"
	"slices"

	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
)

// AnalyticDDPM is the η family of [DDIM] with the variance that is best for its
// Gaussian steps, Analytic-DPM [bao2022, theorem 1],
//
//	x_b = α_b D + c e + √V z,   V = g² + (α_b − c α_a/σ_a)² C
//	g   = η σ_b √(1 − e^{λ_a − λ_b}),   c² + g² = σ_b²
//
// where C is the variance of x₀ given x_a, of which the [Estimate] says the kind. It
// covers what D cannot know: with data N(m, c I) every step has the exact law. Weak
// order 1, one evaluation a step, and what the estimate costs.
//
// The formula holds at both ends, where it draws x₀ itself: First and Last select
// it in place of the named steps. It needs an exact model: one that knows the trace
// of Cov[x₀ | x] or its product with a vector, or one that samples, as the estimate
// says. Others are refused.
type AnalyticDDPM struct {
	Eta      float64  `json:"eta"`      // 0 ≤ η ≤ 1
	Estimate Estimate `json:"estimate"` // the kind of C
	Draws    int      `json:"draws"`    // samples a level of the marginal estimate; 0 with others
	First    First    `json:"first"`    // the step out of α = 0
	Last     Last     `json:"last"`     // the step into σ = 0
}

// Estimate is the kind of variance that [AnalyticDDPM] takes for x₀ given x_a.
type Estimate uint8

const (
	// ByRow is tr Cov[x₀ | x]/dim of each row, as the model knows it. The default.
	ByRow Estimate = iota
	// ByValue is the diagonal of Cov[x₀ | x], a variance for each value of each
	// row [bao2022cov], from dim products with the model's posterior covariance a
	// step.
	ByValue
	// Marginal is one number a level, E|x₀ − D|²/dim, which for an exact D is the
	// paper's (σ/α)² (1 − E|e|²/dim). The mean is taken before the run over Draws
	// pairs of x₀ and noise from a fixed key, the same at every level; their
	// evaluations are not counted.
	Marginal
)

var estimateNames = []string{"row", "value", "marginal"}

func (e Estimate) String() string { return spec.EnumName(e, estimateNames) }

// MarshalText writes the name.
func (e Estimate) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads a name.
func (e *Estimate) UnmarshalText(b []byte) (err error) {
	*e, err = parseChoice[Estimate](estimateNames, string(b))
	return err
}

func (s AnalyticDDPM) String() string { return Registry().Format("analytic-ddpm", s) }

// Validate reports settings without meaning or without effect.
func (s AnalyticDDPM) Validate() error {
	if err := checkChoice("estimate", estimateNames, s.Estimate); err != nil {
		return err
	}
	switch {
	case s.Estimate != Marginal && s.Draws != 0:
		return fmt.Errorf("draws = %d has no effect with estimate = %s, which is exact: leave it out", s.Draws, s.Estimate)
	case s.Estimate == Marginal && s.Draws < 2:
		return fmt.Errorf("draws = %d: expected at least 2 for estimate = marginal, 1000 say", s.Draws)
	}
	if err := checkChoice("first", firstNames, s.First); err != nil {
		return err
	}
	if err := checkChoice("last", lastNames, s.Last); err != nil {
		return err
	}
	return checkEta(s.Eta)
}

// Properties implements [Solver].
func (s AnalyticDDPM) Properties() Properties {
	return Properties{
		Order: 1, Evals: 1, LastEvals: 1, Stochastic: true, PathFree: true, OwnFirst: s.First == OwnFirst,
		Summary:    "the η family with the best variance of each step, on exact models",
		Equation:   "x_b = α_b D + c e + √V z,  V = g² + (α_b − c α_a/σ_a)² Var[x₀ | x_a],  c² + g² = σ_b²",
		Ends:       bothEnds(s.First, s.Last),
		References: []string{"bao2022", "bao2022cov"},
	}
}

func (s AnalyticDDPM) method() method {
	m := method{evals: 1, scratch: 3, first: s.First, last: s.Last}
	// variances writes Var[x₀ | x] of every value at the step's level into dst.
	var variances func(w *walk, dst []float64)
	switch s.Estimate {
	case ByRow:
		m.check = func(p Problem) error { return offers[models.PosteriorTrace](p, "the trace of Cov[x₀ | x]") }
		variances = (*walk).posteriorTraces
	case ByValue:
		m.check = func(p Problem) error { return offers[models.PosteriorCov](p, "Cov[x₀ | x]") }
		variances = (*walk).posteriorVariances
	case Marginal:
		var table marginals
		m.check = func(p Problem) (err error) {
			table, err = newMarginals(p, s.Draws)
			return err
		}
		variances = table.write
	}
	m.step = func(w *walk) { s.step(w, variances) }
	return m
}

// offers refuses a denoiser that is no T, what it would know.
func offers[T any](p Problem, what string) error {
	if _, ok := models.As[T](p.Denoiser); !ok {
		return fmt.Errorf("the denoiser does not know %s: expected an exact model", what)
	}
	return nil
}

func (s AnalyticDDPM) step(w *walk, variances func(w *walk, dst []float64)) {
	a, b, sd := w.from, w.to, w.tmp[0]
	c, g := etaSplit(s.Eta, a, b)
	gain := b.Alpha - c*a.Alpha/a.Sigma // of x₀ in the mean
	z := w.normal(a, b)
	variances(w, sd)
	if w.err != nil {
		return
	}
	for i, v := range sd {
		sd[i] = math.Sqrt(g*g+gain*gain*max(v, 0)) * z[i]
	}
	w.lin(w.next, term{c / a.Sigma, w.x}, term{gain, w.d}, term{1, sd})
}

// posteriorTraces writes tr Cov[x₀ | x]/dim at the step's level into dst, once for
// every value of a row.
func (w *walk) posteriorTraces(dst []float64) {
	model, _ := models.As[models.PosteriorTrace](w.problem.Denoiser)
	traces := w.tmp[1][:w.rows]
	if w.err == nil {
		w.err = model.PosteriorTrace(w.ctx, traces, w.query(w.x, w.from))
	}
	for i := range dst {
		dst[i] = traces[i/w.dim] / float64(w.dim)
	}
}

// posteriorVariances writes the diagonal of Cov[x₀ | x] at the step's level into
// dst.
func (w *walk) posteriorVariances(dst []float64) {
	model, _ := models.As[models.PosteriorCov](w.problem.Denoiser)
	unit, product := w.tmp[1], w.tmp[2]
	clear(unit)
	for j := range w.dim {
		for i := j; i < len(unit); i += w.dim {
			unit[i] = 1
		}
		if w.err == nil {
			w.err = model.PosteriorCovMul(w.ctx, product, unit, w.query(w.x, w.from))
		}
		for i := j; i < len(unit); i += w.dim {
			dst[i], unit[i] = product[i], 0
		}
	}
}

// NFE implements [Solver].
func (s AnalyticDDPM) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s AnalyticDDPM) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}

// marginals are the variances of x₀ given x at the levels of a grid, averaged over
// the data or over a class.
type marginals struct {
	class    []int       // of each row, an index into variance[level]; nil without labels
	variance [][]float64 // by level and class
}

// write writes the variance at the step's level into dst.
func (m *marginals) write(w *walk, dst []float64) {
	at := m.variance[w.index]
	for i := range dst {
		class := 0
		if m.class != nil {
			class = m.class[i/w.dim]
		}
		dst[i] = at[class]
	}
}

// sampler is a denoiser of a distribution that can be sampled.
type sampler interface {
	models.Denoiser
	Sample(dst []float64, at schedules.Level, labels []int, keys []rng.Key) error
}

func newMarginals(p Problem, draws int) (marginals, error) {
	model, ok := models.As[sampler](p.Denoiser)
	if !ok {
		return marginals{}, fmt.Errorf("the denoiser cannot sample its data: expected an exact model, over whose samples the marginal estimate takes the mean of |x₀ − D|²")
	}
	classes := [][]int{nil}
	m := marginals{variance: make([][]float64, p.Grid.Steps())}
	if p.Labels != nil {
		distinct := slices.Compact(slices.Sorted(slices.Values(p.Labels)))
		classes = classes[:0]
		for _, l := range distinct {
			classes = append(classes, slices.Repeat([]int{l}, draws))
		}
		for _, l := range p.Labels {
			m.class = append(m.class, slices.Index(distinct, l))
		}
	}
	keys := RowKeys(rng.New(0).Split("analytic-ddpm", 0), 0, draws)
	for _, labels := range classes {
		if err := m.add(model, p.Grid, labels, keys); err != nil {
			return marginals{}, err
		}
	}
	return m, nil
}

// add appends the mean of |x₀ − D|² at the levels of a grid that steps start from.
func (m marginals) add(model sampler, g schedules.Grid, labels []int, keys []rng.Key) error {
	n := len(keys) * models.Dim(model)
	clean, noise, x, d := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	if err := model.Sample(clean, schedules.Level{Alpha: 1}, labels, keys); err != nil {
		return err
	}
	if err := model.Sample(noise, schedules.Level{Sigma: 1}, labels, keys); err != nil {
		return err
	}
	for i := range m.variance {
		at := g[i]
		for j := range x {
			x[j] = at.Alpha*clean[j] + at.Sigma*noise[j]
		}
		q := models.Query{X: x, Rows: len(keys), At: []schedules.Level{at}, Labels: labels}
		if err := model.Denoise(context.Background(), d, q); err != nil {
			return err
		}
		sum := 0.0
		for j := range d {
			sum += (clean[j] - d[j]) * (clean[j] - d[j])
		}
		m.variance[i] = append(m.variance[i], sum/float64(n))
	}
	return nil
}
