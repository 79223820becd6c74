package solvers

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
	"snrlab/rng"
)

// RowKeys returns root.Split("sample", first+i) for i < n: the keys of n
// consecutive samples.
func RowKeys(root rng.Key, first, n int) []rng.Key {
	keys := make([]rng.Key, n)
	for i := range keys {
		keys[i] = root.Split("sample", uint64(first+i))
	}
	return keys
}

// Independent draws fresh numbers for every row, step and stage. A row's
// numbers depend on its key, the step and the stage alone. It is safe for
// concurrent use.
type Independent struct {
	keys []rng.Key
	jobs freelist.List[drawJob]
}

// NewIndependent returns the source whose row i belongs to keys[i].
func NewIndependent(keys []rng.Key) *Independent {
	s := &Independent{keys: slices.Clone(keys)}
	s.jobs.New = func() *drawJob {
		j := &drawJob{keys: s.keys, gens: newGenerators(len(s.keys))}
		j.run = j.rows
		return j
	}
	return s
}

// Normal implements [Noise].
func (s *Independent) Normal(req NoiseRequest) error {
	if err := checkRows(req, len(s.keys)); err != nil {
		return err
	}
	j := s.jobs.Get()
	j.req = req
	rows := req.count(len(s.keys))
	par.Rows(rows, max(1, drawGrain*rows/len(req.Z)), j.run)
	j.req = NoiseRequest{}
	s.jobs.Put(j)
	return nil
}

// drawGrain is the number of draws worth handing to another processor.
const drawGrain = 1 << 14

// drawJob is one request under way; every row has a generator of its own, so
// that rows can be drawn in parallel.
type drawJob struct {
	keys []rng.Key
	gens []*generator
	req  NoiseRequest
	run  func(lo, hi int)
}

func (j *drawJob) rows(lo, hi int) {
	dim := len(j.req.Z) / j.req.count(len(j.keys))
	for i := lo; i < hi; i++ {
		row := j.req.row(i)
		g, a, b := j.gens[row], i*dim, (i+1)*dim
		g.open(j.keys[row].Split("noise", uint64(j.req.Step)).Split("stage", uint64(j.req.Stage)))
		g.normal(j.req.Z[a:b])
		if j.req.Integral != nil {
			integralGivenIncrement(g, j.req.Integral[a:b], j.req.Z[a:b])
		}
		uniform(g, j.keys[row], j.req, i)
	}
}

// uniform draws the number of row i that a request asks for beside normal ones.
func uniform(g *generator, key rng.Key, req NoiseRequest, i int) {
	if req.Uniform == nil {
		return
	}
	g.open(key.Split("uniform", uint64(req.Step)).Split("stage", uint64(req.Stage)))
	req.Uniform[i] = g.rand.Float64()
}

// integralGivenIncrement draws I = ∫(W − W_from)dτ / Δτ^{3/2} given the scaled
// increment z = ΔW/Δτ^{1/2}: normal with mean z/2 and variance 1/12.
func integralGivenIncrement(g *generator, dst, z []float64) {
	g.normal(dst)
	sd := math.Sqrt(1.0 / 12)
	for j := range dst {
		dst[j] = z[j]/2 + sd*dst[j]
	}
}

// checkRows refuses a request that does not fit a source of n rows.
func checkRows(req NoiseRequest, n int) error {
	for _, row := range req.Rows {
		if row < 0 || row >= n {
			return fmt.Errorf("noise source of %d rows: a request for row %d", n, row)
		}
	}
	rows := req.count(n)
	if rows == 0 || len(req.Z) == 0 || len(req.Z)%rows != 0 {
		return fmt.Errorf("noise source of %d rows: a request for %d numbers is not a whole number for each of %d", n, len(req.Z), rows)
	}
	if req.Integral != nil && len(req.Integral) != len(req.Z) {
		return fmt.Errorf("noise request for %d numbers and %d integrals: expected as many", len(req.Z), len(req.Integral))
	}
	if req.Uniform != nil && len(req.Uniform) != rows {
		return fmt.Errorf("noise request for %d uniform numbers: expected one for each of %d rows", len(req.Uniform), rows)
	}
	return nil
}

// count returns the number of rows asked for, of a batch of n.
func (req NoiseRequest) count(n int) int {
	if req.Rows != nil {
		return len(req.Rows)
	}
	return n
}

// row returns the row of the batch that the i-th row of Z belongs to.
func (req NoiseRequest) row(i int) int {
	if req.Rows != nil {
		return req.Rows[i]
	}
	return i
}

// generator is a stream that is reopened with other keys without allocating.
// It gives the numbers of Key.Stream.
type generator struct {
	src  *rand.ChaCha8
	rand *rand.Rand
}

func newGenerator() *generator {
	src := rand.NewChaCha8([32]byte{})
	return &generator{src, rand.New(src)}
}

func newGenerators(n int) []*generator {
	g := make([]*generator, n)
	for i := range g {
		g[i] = newGenerator()
	}
	return g
}

func (g *generator) open(k rng.Key) { g.src.Seed(k) }

func (g *generator) normal(dst []float64) {
	for i := range dst {
		dst[i] = g.rand.NormFloat64()
	}
}
