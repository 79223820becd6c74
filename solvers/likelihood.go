package solvers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"snrlab/internal/par"
	"snrlab/internal/simd"
	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
)

// Likelihood gives the log-density of samples under a denoiser and its
// probability-flow ODE, by the change of volume along the flow from data to
// noise [song2021, section 4.3 and appendix D.2; grathwohl2019]. In the
// variables of [Reference], z = x/√(α²+σ²) and w = asinh(α/σ),
//
//	log p(z_a) = log p(z_b) + ∫_{w_a}^{w_b} ∇·f dw,   f = D(z; tanh w, sech w) − tanh(w) z
//	∇·f = (α/σ²) tr Cov[x₀ | z] − α dim
//
// which has no singularity between σ > 0 and α = 0. At α = 0 the law at the end
// is N(0, σ²I) exactly; elsewhere that is the prior of a sampler that starts from
// σz, and the difference to the true marginal is an error of the result.
//
// The trace is exact: [models.PosteriorTrace], or products of
// [models.PosteriorCov] with the unit vectors. Or it is Hutchinson's estimate,
// the mean of v·Cov v over probes v of each row that stay the same along the
// flow, so that every probe gives an unbiased log-density of its own.
//
// The zero value integrates by error control, row by row, to 1e-10. Its
// density integrates with the state, under the same control.
type Likelihood struct {
	Reference  Reference      `json:"reference"`  // tolerances
	OnGrid     bool           `json:"on_grid"`    // step along the problem's grid with Method; the tolerances have no effect
	Method     Scheme         `json:"method"`     // of OnGrid, in w
	Divergence DivergenceRule `json:"divergence"` // how the divergence is found
	Probe      ProbeLaw       `json:"probe"`      // law of the estimate's probes
	Probes     int            `json:"probes"`     // a row, for hutchinson; 0 means 1
}

// DivergenceRule is how the trace of the posterior covariance is had.
type DivergenceRule uint8

const (
	ExactTrace DivergenceRule = iota // in closed form, or by unit vectors. The default
	Hutchinson                       // from random probes [hutchinson1990]
)

var divergenceNames = []string{"exact", "hutchinson"}

func (d DivergenceRule) String() string { return spec.EnumName(d, divergenceNames) }

// MarshalText writes the name.
func (d DivergenceRule) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a name.
func (d *DivergenceRule) UnmarshalText(b []byte) (err error) {
	*d, err = parseChoice[DivergenceRule](divergenceNames, string(b))
	return err
}

// ProbeLaw is the law of Hutchinson's probes: independent entries of mean 0 and
// variance 1.
type ProbeLaw uint8

const (
	Rademacher ProbeLaw = iota // ±1, the least variance. The default
	GaussProbe                 // N(0, 1)
)

var probeNames = []string{"rademacher", "normal"}

func (p ProbeLaw) String() string { return spec.EnumName(p, probeNames) }

// MarshalText writes the name.
func (p ProbeLaw) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a name.
func (p *ProbeLaw) UnmarshalText(b []byte) (err error) {
	*p, err = parseChoice[ProbeLaw](probeNames, string(b))
	return err
}

// LogDensities is what [Likelihood] finds.
type LogDensities struct {
	LogP     []float64 // log p(x) in nats, one a row
	StdErr   []float64 // standard errors over the probes; nil with an exact trace, NaN with one probe
	End      []float64 // the states at the last level, rows×dim
	Cost     []Cost    // one a row
	Products int       // products with the posterior covariance for each evaluation
}

// BitsPerDim is −log₂ p a coordinate.
func BitsPerDim(logp float64, dim int) float64 { return -logp / math.Ln2 / float64(dim) }

// Validate reports settings without meaning or without effect.
func (l Likelihood) Validate() error {
	if err := l.Reference.Validate(); err != nil {
		return err
	}
	err := errors.Join(
		checkChoice("method", schemeNames, l.Method), checkChoice("divergence", divergenceNames, l.Divergence), checkChoice("probe", probeNames, l.Probe))
	switch {
	case err != nil:
		return fmt.Errorf("solvers: likelihood: %w", err)
	case l.Probes < 0 || l.Probes > 1<<16:
		return fmt.Errorf("solvers: likelihood: probes = %d: expected 1 to %d, or 0 for 1", l.Probes, 1<<16)
	case l.Divergence == ExactTrace && (l.Probes != 0 || l.Probe != Rademacher):
		return errors.New("solvers: likelihood: probes have no effect with divergence = exact")
	case !l.OnGrid && l.Method != RK4:
		return errors.New("solvers: likelihood: method has no effect without on_grid")
	case l.OnGrid && l.Method == AlphaHeun:
		return errors.New("solvers: likelihood: method = alpha needs a place of its second stage: choose a method without")
	}
	return nil
}

// LogDensity takes the rows of x, states at p.Grid[0], along p.Grid to its last
// level and returns their log-densities at the first. The grid rises from a
// level with noise; between its ends only OnGrid uses it. keys are those of the
// rows' probes, nil with an exact trace. p.Schedule and p.Noise are not used.
func (l Likelihood) LogDensity(ctx context.Context, p Problem, x []float64, keys []rng.Key) (*LogDensities, error) {
	v, err := l.start(p, x, keys)
	if err != nil {
		return nil, err
	}
	if l.OnGrid {
		err = v.onGrid(ctx, tableaux[l.Method])
	} else {
		err = explain(v.adaptive(ctx, l))
	}
	if err != nil {
		return nil, fmt.Errorf("solvers: likelihood: %w", err)
	}
	return v.result(), nil
}

// volume is the flow of states together with their change of volume: a row is z
// and then one integral of the divergence for each probe.
type volume struct {
	d       models.Denoiser
	trace   models.PosteriorTrace // nil where products are taken
	cov     models.PosteriorCov
	dim     int
	width   int // of a row: dim + integrals
	random  bool
	vectors [][]float64 // the probe of each row, for each integral; or the unit vectors
	grid    schedules.Grid
	labels  []int
	rows    int
	y       []float64 // rows×width
	cost    []Cost

	z, answer, v, product, traces []float64 // of a call
	at                            []schedules.Level
	picked                        []int
}

func (l Likelihood) start(p Problem, x []float64, keys []rng.Key) (*volume, error) {
	fail := func(format string, args ...any) (*volume, error) {
		return nil, fmt.Errorf("solvers: likelihood: %w", fmt.Errorf(format, args...))
	}
	if err := l.Validate(); err != nil {
		return nil, err
	}
	tr, w, err := newTrajectory(p, x)
	if err != nil {
		return nil, err
	}
	rows := len(tr.Cost)
	v := &volume{d: p.Denoiser, dim: models.Dim(p.Denoiser), grid: p.Grid, labels: p.Labels, rows: rows, cost: tr.Cost, random: l.Divergence == Hutchinson}
	switch {
	case w[1] > w[0]:
		return fail("the grid falls: expected one from data to noise")
	case p.Labels != nil && len(p.Labels) != rows:
		return fail("%d labels for %d rows", len(p.Labels), rows)
	case v.random && len(keys) != rows:
		return fail("%d keys of probes for %d rows: expected one each", len(keys), rows)
	case !v.random && keys != nil:
		return fail("keys of probes have no effect with divergence = exact: expected none")
	}
	if err := v.differentiate(l, keys); err != nil {
		return fail("%w", err)
	}
	n := rows * v.dim
	v.z, v.answer, v.v, v.product = make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	v.traces, v.at, v.picked = make([]float64, rows), make([]schedules.Level, rows), make([]int, rows)
	v.y = make([]float64, rows*v.width)
	scale := 1 / math.Hypot(p.Grid[0].Alpha, p.Grid[0].Sigma)
	for i := range rows {
		for j, a := range x[i*v.dim : (i+1)*v.dim] {
			v.y[i*v.width+j] = a * scale
		}
	}
	return v, nil
}

// differentiate finds out how traces are had.
func (v *volume) differentiate(l Likelihood, keys []rng.Key) error {
	v.width = v.dim + 1
	if v.random {
		v.width = v.dim + max(1, l.Probes)
	} else if t, ok := models.As[models.PosteriorTrace](v.d); ok {
		v.trace = t
		return nil
	}
	c, ok := models.As[models.PosteriorCov](v.d)
	if !ok {
		return fmt.Errorf("the divergence needs products with the posterior covariance (models.PosteriorCov), which %T does not offer", v.d)
	}
	v.cov = c
	if !v.random {
		v.vectors = arrays(v.dim, v.dim)
		for j, e := range v.vectors {
			e[j] = 1
		}
		return nil
	}
	v.vectors = arrays(v.width-v.dim, v.rows*v.dim)
	for k, all := range v.vectors {
		for i, key := range keys {
			row := all[i*v.dim : (i+1)*v.dim]
			key.Split("probe", uint64(k)).Normal(row)
			if l.Probe == Rademacher {
				for j, a := range row {
					row[j] = math.Copysign(1, a)
				}
			}
		}
	}
	return nil
}

// field writes the slope of rows y, which belong to samples id, at their w.
func (v *volume) field(ctx context.Context, dst, y, w []float64, id []int) error {
	n, d := len(w), v.dim
	z, answer := v.z[:n*d], v.answer[:n*d]
	q := models.Query{X: z, Rows: n, At: v.at[:n]}
	if v.labels != nil {
		q.Labels = v.picked[:n]
	}
	for i, r := range w {
		copy(z[i*d:(i+1)*d], y[i*v.width:])
		v.at[i] = schedules.Level{T: math.NaN(), Alpha: math.Tanh(r), Sigma: 1 / math.Cosh(r)}
		if v.labels != nil {
			v.picked[i] = v.labels[id[i]]
		}
	}
	if err := v.d.Denoise(ctx, answer, q); err != nil {
		return err
	}
	for i := range n {
		alpha := v.at[i].Alpha
		for j, a := range answer[i*d : (i+1)*d] {
			dst[i*v.width+j] = a - float64(alpha*z[i*d+j])
		}
	}
	put := func(k, i int, trace float64) {
		at := v.at[i]
		dst[i*v.width+d+k] = at.Alpha*(trace/(at.Sigma*at.Sigma)) - at.Alpha*float64(d)
	}
	if v.trace != nil {
		if err := v.trace.PosteriorTrace(ctx, v.traces[:n], q); err != nil {
			return err
		}
		for i, t := range v.traces[:n] {
			put(0, i, t)
		}
		return nil
	}
	clear(v.traces)
	for k, vector := range v.vectors {
		probes, product := v.v[:n*d], v.product[:n*d]
		for i := range n {
			from := vector
			if v.random {
				from = vector[id[i]*d : (id[i]+1)*d]
			}
			copy(probes[i*d:(i+1)*d], from)
		}
		if err := v.cov.PosteriorCovMul(ctx, product, probes, q); err != nil {
			return err
		}
		for i := range n {
			t := simd.Dot(probes[i*d:(i+1)*d], product[i*d:(i+1)*d])
			if v.random {
				put(k, i, t)
			} else {
				v.traces[i] += t
			}
		}
	}
	if !v.random {
		for i, t := range v.traces[:n] {
			put(0, i, t)
		}
	}
	return nil
}

// adaptive takes every row to the end with steps of its own.
func (v *volume) adaptive(ctx context.Context, l Likelihood) error {
	r := l.Reference.filled()
	slots := r.Batch
	if slots == 0 {
		slots = max(1, min(128, 1<<20/v.width))
	}
	in := newDop853(v.width, min(slots, v.rows), v.rows)
	in.rtol, in.atol, in.maxSteps = r.RTol, r.ATol, r.MaxSteps
	in.field = v.field
	first, last := rapidity(v.grid[0]), rapidity(v.grid[len(v.grid)-1])
	start := slices.Clone(v.y)
	in.saved = func(id, _ int, y []float64) { copy(v.y[id*v.width:(id+1)*v.width], y) }
	err := in.run(ctx, v.rows, func(i int) dopRow {
		return dopRow{id: i, t: first, end: last, y: start[i*v.width : (i+1)*v.width]}
	})
	v.cost = in.cost
	return err
}

// onGrid takes all rows from level to level of the grid.
func (v *volume) onGrid(ctx context.Context, t tableau) error {
	n := len(v.y)
	k, y := arrays(t.stages(), n), make([]float64, n)
	w, id := make([]float64, v.rows), make([]int, v.rows)
	for i := range id {
		id[i] = i
	}
	for step := range v.grid.Steps() {
		a, b := rapidity(v.grid[step]), rapidity(v.grid[step+1])
		h := b - a
		for i := range t.c {
			v.combine(y, k, t.a[i], h)
			for r := range w {
				w[r] = a + t.c[i]*h
				v.cost[r].Evals++
			}
			if err := v.field(ctx, k[i], y, w, id); err != nil {
				return err
			}
		}
		v.combine(y, k, t.b, h)
		v.y, y = y, v.y
		if i, bad := firstNonFinite(v.y); bad {
			return fmt.Errorf("value %g in row %d after the step from λ = %.6g", v.y[i], i/v.width, float64(v.grid[step].LogSNR()))
		}
		for r := range w {
			v.cost[r].Steps++
		}
	}
	return nil
}

// combine writes y = v.y + h Σ weights k.
func (v *volume) combine(y []float64, k [][]float64, weights []float64, h float64) {
	par.Rows(len(y), 1<<14, func(lo, hi int) {
		copy(y[lo:hi], v.y[lo:hi])
		for i, c := range weights {
			for j := lo; j < hi && c != 0; j++ {
				y[j] += h * c * k[i][j]
			}
		}
	})
}

// result adds the density at the last level to the change of volume.
func (v *volume) result() *LogDensities {
	a, b := v.grid[0], v.grid[len(v.grid)-1]
	scale := math.Hypot(b.Alpha, b.Sigma)
	d := float64(v.dim)
	// Of N(0, σ_b²) in x at b, in z there, and of z in x at a.
	constant := -d*math.Log(b.Sigma) - d/2*math.Log(2*math.Pi) + d*math.Log(scale) - d*math.Log(math.Hypot(a.Alpha, a.Sigma))
	r := &LogDensities{LogP: make([]float64, v.rows), End: make([]float64, v.rows*v.dim), Cost: v.cost, Products: len(v.vectors)}
	if v.random {
		r.StdErr = make([]float64, v.rows)
	}
	for i := range v.rows {
		row := v.y[i*v.width : (i+1)*v.width]
		x := r.End[i*v.dim : (i+1)*v.dim]
		for j := range x {
			x[j] = scale * row[j]
		}
		mean, integrals := 0.0, row[v.dim:]
		for _, s := range integrals {
			mean += s / float64(len(integrals))
		}
		r.LogP[i] = constant - simd.SumSq(x)/(2*b.Sigma*b.Sigma) + mean
		if v.random {
			sq := 0.0
			for _, s := range integrals {
				sq += (s - mean) * (s - mean)
			}
			n := float64(len(integrals))
			r.StdErr[i] = math.Sqrt(sq / (n - 1) / n) // NaN for one
		}
	}
	return r
}
