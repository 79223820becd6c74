package solvers

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
	"snrlab/rng"
	"snrlab/schedules"
)

// Brownian answers requests from one fixed Brownian path a row, run by the
// clock τ = e^λ, W(0) = 0. A finer grid sees the same path as a coarse one:
// increments over neighbouring intervals add up to the increment over both, and
// so do the iterated integrals. A row's path depends on its key alone, see
// [NewBrownian]. Safe for concurrent use.
//
// Requests that do not lead toward less noise (churn, Langevin steps) are
// answered by independent draws for each step and stage, as in [Independent]:
// churn intervals may overlap, and the noise they add has to be independent all
// the same.
//
// The levels are known beforehand: those of the grids. For methods that choose
// theirs as they go there is [BrownianTree], on paths of the same law and keys but
// without the integrals, at 28 draws a value for a new level in place of a look-up.
type Brownian struct {
	dim    int
	lambda []float64                // levels of the union, noisy to clean, without ±Inf
	clock  []float64                // e^λ
	w      []float64                // rows×levels×dim: W at the clock
	keys   []rng.Key                // of the paths
	beside *Independent             // of the paths: churn, Langevin steps
	gens   freelist.List[generator] // for integrals and uniform numbers
}

const (
	// cellDepth is the depth of the dyadic tree: 2^cellDepth cells.
	cellDepth = 14
	// cellScale spreads the cells over λ: u = 1/(1 + e^{−λ/cellScale}) is cut
	// evenly, into cells of 1.5e-3 in λ at λ = 0 and 5e-3 at λ = ±15.
	cellScale = 6
	// sameLevel is the difference in λ below which two levels are one.
	sameLevel = 1e-9
)

// NewBrownian draws the paths at the union of the grids' levels, for samples of
// dim values. It takes 8 bytes × rows × levels × dim. Levels at α = 0 and σ = 0
// are left out: the path is 0 at one end, and nothing asks for the other.
//
// The path is made by bisecting the clock down to 16384 cells: each point of
// the bisection is a draw that belongs to the row's key and the point's place.
// Levels in one cell are then inserted in order. So W at a level does not
// depend on which other levels there are, unless two are in one cell, where
// the order counts and the law is exact nevertheless. Build one source on
// the union of all grids to be compared, and there is no exception.
func NewBrownian(keys []rng.Key, dim int, grids ...schedules.Grid) (*Brownian, error) {
	if len(keys) == 0 || dim < 1 {
		return nil, fmt.Errorf("solvers: Brownian paths for %d rows of %d values: expected at least 1 of each", len(keys), dim)
	}
	b := &Brownian{dim: dim, keys: make([]rng.Key, len(keys)), beside: NewIndependent(keys)}
	b.gens.New = newGenerator
	for i, k := range keys {
		b.keys[i] = pathKey(k)
	}
	for _, g := range grids {
		for _, l := range g {
			if err := l.Validate(); err != nil {
				return nil, fmt.Errorf("solvers: Brownian path: %w", err)
			}
			if v := float64(l.LogSNR()); !math.IsInf(v, 0) {
				b.lambda = append(b.lambda, v)
			}
		}
	}
	slices.Sort(b.lambda)
	b.lambda = slices.CompactFunc(b.lambda, func(x, y float64) bool { return math.Abs(x-y) <= sameLevel })
	b.clock = make([]float64, len(b.lambda))
	for i, l := range b.lambda {
		b.clock[i] = math.Exp(l)
		if b.clock[i] == 0 || math.IsInf(b.clock[i], 1) {
			return nil, fmt.Errorf("solvers: Brownian path: λ = %g is beyond the clock e^λ of float64", l)
		}
	}
	b.w = make([]float64, len(keys)*len(b.lambda)*dim)
	par.Rows(len(keys), 1, func(lo, hi int) {
		p := newPathBuilder(b)
		for i := lo; i < hi; i++ {
			p.row(i)
		}
	})
	return b, nil
}

// pathKey is the key of a row's path, nodeKey that of a node of its tree.
func pathKey(row rng.Key) rng.Key { return row.Split("brownian", 0) }

func nodeKey(path rng.Key, depth, k int) rng.Key {
	return path.Split("node", uint64(depth)<<32|uint64(k))
}

// cellEdge returns the clock at the left edge of cell k of 2^depth: 0 for the
// first, +Inf past the last.
func cellEdge(depth, k int) float64 {
	u := float64(k) / float64(int(1)<<depth)
	return math.Pow(u/(1-u), cellScale)
}

// pathBuilder draws one row's path after another.
type pathBuilder struct {
	*Brownian
	gen  *generator
	key  rng.Key
	out  []float64            // levels×dim of the row
	mid  [cellDepth][]float64 // W at the point that each depth bisects at
	zero []float64
}

func newPathBuilder(b *Brownian) *pathBuilder {
	p := &pathBuilder{Brownian: b, gen: newGenerator(), zero: make([]float64, b.dim)}
	for i := range p.mid {
		p.mid[i] = make([]float64, b.dim)
	}
	return p
}

func (p *pathBuilder) row(i int) {
	n := len(p.clock) * p.dim
	p.key, p.out = p.keys[i], p.w[i*n:(i+1)*n]
	p.bisect(0, 0, 0, len(p.clock), p.zero, nil)
}

// bisect fills the levels lo…hi−1, which lie in node k of a depth. W is left
// and right at the node's edges; right is nil at the clock's infinite end.
func (p *pathBuilder) bisect(depth, k, lo, hi int, left, right []float64) {
	if lo == hi {
		return
	}
	a, b := cellEdge(depth, k), cellEdge(depth, k+1)
	if depth == cellDepth {
		p.gen.open(p.key.Split("cell", uint64(k)))
		for j := lo; j < hi; j++ {
			w := p.out[j*p.dim : (j+1)*p.dim]
			bridge(p.gen, w, a, p.clock[j], b, left, right)
			a, left = p.clock[j], w
		}
		return
	}
	m, w := cellEdge(depth+1, 2*k+1), p.mid[depth]
	p.gen.open(nodeKey(p.key, depth, k))
	bridge(p.gen, w, a, m, b, left, right)
	cut := lo + sort.SearchFloat64s(p.clock[lo:hi], m)
	p.bisect(depth+1, 2*k, lo, cut, left, w)
	p.bisect(depth+1, 2*k+1, cut, hi, w, right)
}

// bridge draws W(m) given W(a) = left and W(b) = right, a ≤ m ≤ b; right is nil
// where b is infinite.
func bridge(g *generator, dst []float64, a, m, b float64, left, right []float64) {
	if right == nil {
		sd := math.Sqrt(m - a)
		for j := range dst {
			dst[j] = left[j] + sd*g.rand.NormFloat64()
		}
		return
	}
	f := (m - a) / (b - a)
	sd := math.Sqrt(f * (b - m))
	for j := range dst {
		dst[j] = left[j] + f*(right[j]-left[j]) + sd*g.rand.NormFloat64()
	}
}

// Normal implements [Noise]. It fails for levels that the paths were not drawn
// at and for motions that reach σ = 0, where the clock is infinite.
func (b *Brownian) Normal(req NoiseRequest) error {
	if rows := req.count(len(b.keys)); len(req.Z) != rows*b.dim {
		return fmt.Errorf("brownian paths of %d rows of %d values: a request for %d numbers of %d rows", len(b.keys), b.dim, len(req.Z), rows)
	}
	if err := checkRows(req, len(b.keys)); err != nil {
		return err
	}
	if req.To.LogSNR() <= req.From.LogSNR() {
		return b.beside.Normal(req)
	}
	from, err := b.find(req.From)
	if err != nil {
		return err
	}
	to, err := b.find(req.To)
	if err != nil {
		return err
	}
	if from == to {
		return fmt.Errorf("brownian path from λ = %g to λ = %g: expected levels that differ by more than %g", float64(req.From.LogSNR()), float64(req.To.LogSNR()), sameLevel)
	}
	scale := 1 / math.Sqrt(b.clock[to]-b.clockAt(from))
	for i := range req.count(len(b.keys)) {
		row := req.row(i)
		z, w0, w1 := req.Z[i*b.dim:(i+1)*b.dim], b.at(row, from), b.at(row, to)
		for j := range z {
			z[j] = w1[j]
			if w0 != nil {
				z[j] -= w0[j]
			}
			z[j] *= scale
		}
	}
	if req.Integral != nil {
		b.integrate(req, from, to)
	}
	if req.Uniform != nil {
		g := b.gens.Get()
		for i := range req.count(len(b.keys)) {
			uniform(g, b.keys[req.row(i)], req, i)
		}
		b.gens.Put(g)
	}
	return nil
}

// find returns the index of a level in the union, −1 for α = 0.
func (b *Brownian) find(l schedules.Level) (int, error) {
	v := float64(l.LogSNR())
	if math.IsInf(v, -1) {
		return -1, nil
	}
	if math.IsInf(v, 1) {
		return 0, fmt.Errorf("brownian path to σ = 0: the clock e^λ is infinite there")
	}
	i := sort.SearchFloat64s(b.lambda, v-2*sameLevel)
	if i < len(b.lambda) && math.Abs(b.lambda[i]-v) <= 2*sameLevel {
		return i, nil
	}
	return 0, fmt.Errorf("brownian path was not drawn at λ = %g: hand NewBrownian every grid that will be run", v)
}

func (b *Brownian) clockAt(i int) float64 {
	if i < 0 {
		return 0
	}
	return b.clock[i]
}

// at returns W of a row at a level of the union; nil stands for 0.
func (b *Brownian) at(row, level int) []float64 {
	if level < 0 {
		return nil
	}
	lo := (row*len(b.lambda) + level) * b.dim
	return b.w[lo : lo+b.dim]
}

// integrate writes ∫(W − W_from)dτ/Δτ^{3/2}. Over an interval of the union the
// integral given the ends of the path is normal with mean Δτ ΔW/2 and variance
// Δτ³/12, independent between intervals; over longer ones it is the sum.
func (b *Brownian) integrate(req NoiseRequest, from, to int) {
	g := b.gens.Get()
	defer b.gens.Put(g)
	total := b.clock[to] - b.clockAt(from)
	for i := range req.count(len(b.keys)) {
		row := req.row(i)
		key, out, start := b.keys[row], req.Integral[i*b.dim:(i+1)*b.dim], b.at(row, from)
		clear(out)
		for k := from; k < to; k++ {
			part := (b.clock[k+1] - b.clockAt(k)) / total
			unit, sd := part/math.Sqrt(total), part*math.Sqrt(part/12)
			lambda := math.Inf(-1)
			if k >= 0 {
				lambda = b.lambda[k]
			}
			g.open(key.Split("integral", math.Float64bits(lambda)))
			w0, w1 := b.at(row, k), b.at(row, k+1)
			for j := range out {
				mean := w1[j]
				if w0 != nil {
					mean += w0[j]
				}
				mean /= 2
				if start != nil {
					mean -= start[j]
				}
				out[j] += float64(unit*mean) + sd*g.rand.NormFloat64()
			}
		}
	}
}
