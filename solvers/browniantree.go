package solvers

import (
	"fmt"
	"math"
	"sync"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
	"snrlab/rng"
	"snrlab/schedules"
)

// BrownianTree answers requests between any two levels from one fixed Brownian
// path a row, run by the clock τ = e^λ, and stores nothing of it but the last two
// points that were asked for: each is found by bisection from the ends of the
// clock, where every node is a draw that belongs to the row's key and the node's
// place [li2020]. What [Brownian] draws at levels known beforehand this gives to
// methods that choose them as they go: an attempt that is refused looked at a
// path, and the next looks at the same.
//
// Paths are those of [NewBrownian] with the same keys at the edges of its 16384
// cells. Inside 2²⁸ cells, 9e-8 wide in λ at λ = 0, the path is a straight line;
// steps are to be far longer. A new level costs a row 28 draws of dim numbers.
// Requests that do not lead toward less noise are answered by independent draws.
// Safe for concurrent use.
type BrownianTree struct {
	dim    int
	keys   []rng.Key
	last   []lastPoints // of each row
	beside *Independent
	jobs   freelist.List[treeJob]
}

// lastPoints are the ends of the last step that was asked for.
type lastPoints struct {
	sync.Mutex
	clock [2]float64 // NaN for none yet
	w     [2][]float64
}

// treeDepth is the depth of the tree.
const treeDepth = 28

// NewBrownianTree returns the source of rows of dim values; row i belongs to
// keys[i].
func NewBrownianTree(keys []rng.Key, dim int) (*BrownianTree, error) {
	if len(keys) == 0 || dim < 1 {
		return nil, fmt.Errorf("solvers: Brownian paths for %d rows of %d values: expected at least 1 of each", len(keys), dim)
	}
	t := &BrownianTree{dim: dim, keys: make([]rng.Key, len(keys)), beside: NewIndependent(keys)}
	t.last = make([]lastPoints, len(keys))
	for i, k := range keys {
		t.keys[i] = pathKey(k)
		for j := range 2 {
			t.last[i].clock[j], t.last[i].w[j] = math.NaN(), make([]float64, dim)
		}
	}
	t.jobs.New = func() *treeJob {
		j := &treeJob{t: t}
		j.run = j.rows
		j.climbers.New = func() *climber {
			return &climber{gen: newGenerator(), left: make([]float64, dim), right: make([]float64, dim), mid: make([]float64, dim)}
		}
		return j
	}
	return t, nil
}

// Normal implements [Noise]. It fails for motions that reach σ = 0, where the
// clock is infinite, and for iterated integrals.
func (t *BrownianTree) Normal(req NoiseRequest) error {
	if err := checkRows(req, len(t.keys)); err != nil {
		return err
	}
	if n := req.count(len(t.keys)) * t.dim; len(req.Z) != n {
		return fmt.Errorf("brownian tree of rows of %d values: a request for %d numbers, expected %d", t.dim, len(req.Z), n)
	}
	if req.To.LogSNR() <= req.From.LogSNR() {
		return t.beside.Normal(req)
	}
	from, to := clockAt(req.From), clockAt(req.To)
	switch {
	case math.IsInf(to, 1):
		return fmt.Errorf("brownian path to σ = %g: the clock e^λ is infinite there", req.To.Sigma)
	case !(to > from):
		return fmt.Errorf("brownian path from λ = %g to λ = %g: expected levels that differ", float64(req.From.LogSNR()), float64(req.To.LogSNR()))
	case req.Integral != nil:
		return fmt.Errorf("brownian tree: step %d wants an iterated integral: use NewBrownian, on levels known beforehand", req.Step)
	}
	j := t.jobs.Get()
	j.req, j.from, j.to = req, from, to
	par.Rows(req.count(len(t.keys)), max(1, 1<<10/t.dim), j.run)
	j.req = NoiseRequest{}
	t.jobs.Put(j)
	return nil
}

// clockAt is τ = e^λ, 0 at α = 0.
func clockAt(l schedules.Level) float64 { return l.LogSNR().SNR() }

// treeJob is one request under way.
type treeJob struct {
	t        *BrownianTree
	req      NoiseRequest
	from, to float64
	run      func(lo, hi int)
	climbers freelist.List[climber]
}

func (j *treeJob) rows(lo, hi int) {
	c := j.climbers.Get()
	scale := 1 / math.Sqrt(j.to-j.from)
	for i := lo; i < hi; i++ {
		row := j.req.row(i)
		key, last, z := j.t.keys[row], &j.t.last[row], j.req.Z[i*j.t.dim:(i+1)*j.t.dim]
		last.Lock()
		a, b := last.ends(c, key, j.from, j.to)
		for k := range z {
			z[k] = (b[k] - a[k]) * scale
		}
		last.Unlock()
		uniform(c.gen, key, j.req, i)
	}
	j.climbers.Put(c)
}

// ends returns W of a row at both clocks, to be read under the row's lock. A
// step begins where the one before ended, or began if that was refused, so one
// of the two is known as a rule.
func (p *lastPoints) ends(c *climber, path rng.Key, from, to float64) (a, b []float64) {
	if p.clock[1] == from {
		p.clock[0], p.clock[1] = p.clock[1], p.clock[0]
		p.w[0], p.w[1] = p.w[1], p.w[0]
	}
	for i, clock := range [2]float64{from, to} {
		if p.clock[i] != clock {
			c.climb(p.w[i], path, clock)
			p.clock[i] = clock
		}
	}
	return p.w[0], p.w[1]
}

// climber finds points of one path after another.
type climber struct {
	gen              *generator
	left, right, mid []float64
}

// climb writes W at a clock into dst.
func (c *climber) climb(dst []float64, path rng.Key, clock float64) {
	left, right, mid := c.left, c.right, c.mid
	clear(left)
	a, b, k, end := 0.0, math.Inf(1), 0, []float64(nil)
	for depth := range treeDepth {
		if clock == a {
			break
		}
		m := cellEdge(depth+1, 2*k+1)
		c.gen.open(nodeKey(path, depth, k))
		bridge(c.gen, mid, a, m, b, left, end)
		if clock < m {
			b, k = m, 2*k
			mid, right = right, mid
			end = right
		} else {
			a, k = m, 2*k+1
			mid, left = left, mid
		}
	}
	copy(dst, left)
	switch f := (clock - a) / (b - a); {
	case clock == a:
	case end == nil: // past all nodes
		c.gen.open(nodeKey(path, treeDepth, k))
		bridge(c.gen, dst, a, clock, b, left, nil)
	default:
		for j := range dst {
			dst[j] += f * (end[j] - left[j])
		}
	}
}

// NoiseFor returns a source of fresh noise that suits a solver: [Independent],
// or a [BrownianTree] for one whose attempts may be refused.
func NoiseFor(s Solver, keys []rng.Key, dim int) (Noise, error) {
	if s.Properties().OnePath {
		return NewBrownianTree(keys, dim)
	}
	return NewIndependent(keys), nil
}
