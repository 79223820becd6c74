package mppca

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"snrlab/internal/par"
	"snrlab/rng"
)

// Options are the settings of [Fit]. [Defaults] has a value for each.
type Options struct {
	Clusters   int     `json:"clusters"`   // components of each class
	Rank       int     `json:"rank"`       // q, directions of each component
	Iterations int     `json:"iterations"` // most EM iterations
	Tolerance  float64 `json:"tolerance"`  // stop when an iteration gains less, in nats per dimension
	Floor      float64 `json:"floor"`      // smallest residual variance σ²; above 0, so that no density is infinite
	Starts     int     `json:"starts"`     // k-means++ starts of each class, of which the tightest is kept
	Key        rng.Key `json:"-"`          // root of the starts

	// Progress, where not nil, is told of every iteration. It is called from
	// the goroutine that called Fit and cannot change a result.
	Progress func(Progress) `json:"-"`
}

// Defaults fits ten components of rank 16 to each class.
func Defaults() Options {
	return Options{Clusters: 10, Rank: 16, Iterations: 60, Tolerance: 1e-4, Floor: 1e-4, Starts: 3, Key: rng.New(1)}
}

// Progress is the state of a fit after the E step of an iteration.
type Progress struct {
	Iteration int     // 0..Total; 0 is the start
	Total     int     // Options.Iterations; a fit that converges ends earlier
	LogLik    float64 // log p(x given class), mean over rows, in nats per dimension
}

// Validate reports the first setting that cannot be used.
func (o Options) Validate() error {
	switch {
	case o.Clusters < 1:
		return fmt.Errorf("mppca: clusters = %d: expected at least 1", o.Clusters)
	case o.Rank < 0:
		return fmt.Errorf("mppca: rank = %d: expected 0 or more", o.Rank)
	case o.Iterations < 1:
		return fmt.Errorf("mppca: iterations = %d: expected at least 1", o.Iterations)
	case !(o.Tolerance >= 0):
		return fmt.Errorf("mppca: tolerance = %g: expected 0 or more", o.Tolerance)
	case !(o.Floor > 0) || math.IsInf(o.Floor, 1):
		return fmt.Errorf("mppca: floor = %g: expected a positive variance", o.Floor)
	case o.Starts < 1:
		return fmt.Errorf("mppca: starts = %d: expected at least 1", o.Starts)
	}
	return nil
}

// Result is a fitted mixture and how it was reached.
type Result struct {
	Mixture
	LogLik    []float64 // log p(x given class), mean over rows, in nats per dimension: before the first iteration and after each; never falls
	Converged bool      // whether the gain fell below the tolerance
	Dropped   int       // components that lost all their rows
}

// ErrNotFinite says that the data holds a NaN or an infinity.
var ErrNotFinite = errors.New("value is not finite")

// Fit maximises the likelihood of n rows of dim numbers under
//
//	p(x given c) = Σ_{k of class c} π_k N(x; μ_k, W_kᵀ W_k + σ_k² I)
//
// by expectation maximisation [tipping1999], Clusters components to each class.
// labels is nil (one class, called −1) or holds the class of each row. x and
// labels are neither modified nor retained.
//
// The M step of a component is a few sweeps of subspace iteration, V ← S V,
// followed by the best point of the span (Rayleigh–Ritz). The EM step for W
// lies in the span of S W [tipping1999ppca], so every sweep gains at least as
// much, and the likelihood never falls. The residual is kept at or above Floor.
//
// The result depends on the data and Options alone, bit for bit.
func Fit(ctx context.Context, x []float64, n, dim int, labels []int, opt Options) (*Result, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	if err := checkRows(x, n, dim); err != nil {
		return nil, err
	}
	if labels != nil && len(labels) != n {
		return nil, fmt.Errorf("mppca: %d labels for %d rows: expected one a row, or none", len(labels), n)
	}
	if opt.Rank >= dim {
		return nil, fmt.Errorf("mppca: rank = %d: expected less than the %d dimensions", opt.Rank, dim)
	}

	classes, err := split(x, n, dim, labels, opt)
	if err != nil {
		return nil, err
	}
	for _, c := range classes {
		if err := c.start(ctx, opt); err != nil {
			return nil, err
		}
	}

	res := &Result{}
	for it := 0; ; it++ {
		sum := 0.0
		for _, c := range classes {
			l, err := c.expect(ctx)
			if err != nil {
				return nil, err
			}
			sum += l
		}
		l := sum / float64(n) / float64(dim)
		res.LogLik = append(res.LogLik, l)
		if opt.Progress != nil {
			opt.Progress(Progress{Iteration: it, Total: opt.Iterations, LogLik: l})
		}
		res.Converged = it > 0 && l-res.LogLik[it-1] < opt.Tolerance
		if res.Converged || it == opt.Iterations {
			break
		}
		for _, c := range classes {
			if err := c.maximise(ctx, sweeps, opt.Floor); err != nil {
				return nil, err
			}
		}
	}

	res.Dim, res.Rank = dim, opt.Rank
	for _, c := range classes {
		for _, k := range c.comps {
			if k.weight == 0 {
				res.Dropped++
				continue
			}
			res.Weights = append(res.Weights, k.weight*float64(len(c.rows))/float64(n))
			res.Means = append(res.Means, k.mean...)
			res.Loadings = append(res.Loadings, k.loadings()...)
			res.Residual = append(res.Residual, k.residual)
			res.Labels = append(res.Labels, c.label)
		}
	}
	return res, nil
}

// class is the part of the data that shares a label, and its components.
type class struct {
	label int
	x     []float64 // all rows of the data
	dim   int
	rows  []int // which of them belong here, ascending
	comps []component
	resp  []float64 // responsibilities, rows × components
}

// component is one Gaussian in the coordinates of its eigenvectors.
type component struct {
	weight   float64   // within its class
	mean     []float64 // μ
	basis    []float64 // orthonormal rows u_i, rank × dim
	variance []float64 // variances l_i ≥ σ² along them, descending
	residual float64   // σ²
}

// loadings returns the rows w_i = √(l_i − σ²) u_i.
func (k component) loadings() []float64 {
	dim := len(k.mean)
	w := make([]float64, len(k.basis))
	for i, l := range k.variance {
		s := math.Sqrt(l - k.residual)
		for j, u := range k.basis[i*dim : (i+1)*dim] {
			w[i*dim+j] = s * u
		}
	}
	return w
}

// split sorts the rows into classes, in the order of their labels.
func split(x []float64, n, dim int, labels []int, opt Options) ([]*class, error) {
	byLabel := map[int]*class{}
	for i := range n {
		l := -1
		if labels != nil {
			l = labels[i]
		}
		if byLabel[l] == nil {
			byLabel[l] = &class{label: l, x: x, dim: dim}
		}
		byLabel[l].rows = append(byLabel[l].rows, i)
	}
	var classes []*class
	for _, c := range byLabel {
		classes = append(classes, c)
	}
	slices.SortFunc(classes, func(a, b *class) int { return a.label - b.label })
	for _, c := range classes {
		if len(c.rows) < opt.Clusters {
			return nil, fmt.Errorf("mppca: class %d has %d rows for %d clusters: ask for fewer clusters", c.label, len(c.rows), opt.Clusters)
		}
	}
	return classes, nil
}

// start places the components by k-means, each row wholly in its cluster.
func (c *class) start(ctx context.Context, opt Options) error {
	key := opt.Key.Split("class", uint64(int64(c.label)))
	assign, err := c.kmeans(ctx, opt.Clusters, opt.Starts, key)
	if err != nil {
		return err
	}
	c.resp = make([]float64, len(c.rows)*opt.Clusters)
	for i, k := range assign {
		c.resp[i*opt.Clusters+k] = 1
	}
	c.comps = make([]component, opt.Clusters)
	for k := range c.comps {
		basis := make([]float64, opt.Rank*c.dim)
		key.Split("basis", uint64(k)).Normal(basis)
		orthonormalise(basis, opt.Rank, c.dim)
		c.comps[k] = component{
			mean:     make([]float64, c.dim),
			basis:    basis,
			variance: make([]float64, opt.Rank),
		}
	}
	return c.maximise(ctx, startSweeps, opt.Floor)
}

// A responsibility below this counts as none. Leaving it out is a step of
// restricted EM [neal1998] that costs less than clusters × 1e-14 nats a row, which
// is under the rounding of a log density; it makes the M step sparse.
const negligible = 1e-14

// expect is the E step: it sets the responsibilities and returns the sum over
// the rows of log p(x | class).
func (c *class) expect(ctx context.Context) (float64, error) {
	K := len(c.comps)
	den := newDensity(c.dim, c.comps)
	logp := make([]float64, len(c.rows))
	par.Rows(len(c.rows), block, func(lo, hi int) {
		work := den.scratch()
		for lo < hi && ctx.Err() == nil {
			end := min(lo+block, hi)
			resp := c.resp[lo*K : end*K]
			den.eval(resp, work, c.x, c.rows[lo:end])
			for i := lo; i < end; i++ {
				logp[i] = softmax(resp[(i-lo)*K : (i-lo+1)*K])
			}
			lo = end
		}
	})
	sum := 0.0
	for _, l := range logp {
		sum += l
	}
	return sum, ctx.Err()
}

// softmax turns log densities into shares in place and returns the logarithm
// of their sum.
func softmax(v []float64) float64 {
	top := slices.Max(v)
	sum := 0.0
	for i, l := range v {
		v[i] = math.Exp(l - top)
		sum += v[i]
	}
	kept := 0.0
	for i := range v {
		if v[i] < negligible*sum {
			v[i] = 0
		}
		kept += v[i]
	}
	for i := range v {
		v[i] /= kept
	}
	return top + math.Log(sum)
}

// checkRows reports data that is not n rows of dim finite numbers.
func checkRows(x []float64, n, dim int) error {
	if n < 1 || dim < 1 || len(x)/dim != n || len(x)%dim != 0 {
		return fmt.Errorf("mppca: %d numbers are not %d rows of %d", len(x), n, dim)
	}
	for i, v := range x {
		if v-v != 0 {
			return fmt.Errorf("mppca: row %d, column %d is %g: %w", i/dim, i%dim, v, ErrNotFinite)
		}
	}
	return nil
}
