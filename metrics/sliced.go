package metrics

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"snrlab/internal/par"
	"snrlab/internal/simd"
	"snrlab/rng"
)

// Sliced measures the sliced 2-Wasserstein distance [bonneel2015],
//
//	SW₂² = E_θ W₂²(θ·X, θ·Y),   θ uniform on the sphere,
//
// as a mean over fixed directions. The zero value uses 256 of them and the
// zero key, so that two measurements always share their directions.
type Sliced struct {
	Directions int     `json:"directions"` // 0 means 256
	Key        rng.Key `json:"-"`
}

// SlicedDistance is a distance with what the choice of directions leaves open.
type SlicedDistance struct {
	W2 float64 `json:"w2"` // the distance
	SE float64 `json:"se"` // its standard error over directions; 0 in one dimension
}

const projectionRows = 64 // directions projected at a time

// Distance returns the distance between the empirical laws of x and y, whose
// sizes may differ: quantile functions are compared exactly. In one dimension
// it is W₂ itself, of a single direction.
func (s Sliced) Distance(x, y Samples) (SlicedDistance, error) {
	if err := checkPair(x, y, 1); err != nil {
		return SlicedDistance{}, err
	}
	t, err := s.Target(y)
	if err != nil {
		return SlicedDistance{}, err
	}
	return t.Distance(x)
}

// SlicedTarget is a set whose projections are kept, for many distances to it.
// It is safe for concurrent use.
type SlicedTarget struct {
	dim       int
	theta     []float64 // directions×dim
	projected []float64 // directions×rows, each sorted
	rows      int
}

// Target projects y.
func (s Sliced) Target(y Samples) (*SlicedTarget, error) {
	if err := y.check(1); err != nil {
		return nil, err
	}
	n := s.Directions
	if n == 0 {
		n = 256
	}
	if n < 0 {
		return nil, fmt.Errorf("metrics: sliced distance over %d directions: expected at least 1", n)
	}
	if y.Dim == 1 {
		n = 1
	}
	t := &SlicedTarget{dim: y.Dim, theta: s.directions(n, y.Dim), rows: y.Rows(), projected: make([]float64, n*y.Rows())}
	project(t.projected, t.theta, n, y)
	par.Rows(n, 1, func(a, b int) {
		for i := a; i < b; i++ {
			sort.Float64s(t.projected[i*t.rows : (i+1)*t.rows])
		}
	})
	return t, nil
}

// Distance is [Sliced.Distance] of x and the target.
func (t *SlicedTarget) Distance(x Samples) (SlicedDistance, error) {
	if err := x.check(1); err != nil {
		return SlicedDistance{}, err
	}
	if x.Dim != t.dim {
		return SlicedDistance{}, fmt.Errorf("metrics: samples of %d and of %d values: expected one size", x.Dim, t.dim)
	}
	n := len(t.theta) / t.dim
	w := make([]float64, n)
	px := make([]float64, min(n, projectionRows)*x.Rows())
	for lo := 0; lo < n; lo += projectionRows {
		m := min(projectionRows, n-lo)
		project(px, t.theta[lo*t.dim:], m, x)
		par.Rows(m, 1, func(a, b int) {
			for i := a; i < b; i++ {
				u := px[i*x.Rows() : (i+1)*x.Rows()]
				sort.Float64s(u)
				w[lo+i] = wasserstein(u, t.projected[(lo+i)*t.rows:(lo+i+1)*t.rows])
			}
		})
	}
	mean := Mean(w)
	d := SlicedDistance{W2: math.Sqrt(mean)}
	if n > 1 && mean > 0 {
		sum := 0.0
		for _, v := range w {
			sum += (v - mean) * (v - mean)
		}
		// The error of a root is that of its square over twice the root.
		d.SE = math.Sqrt(sum/float64(n-1)/float64(n)) / (2 * d.W2)
	}
	return d, nil
}

// directions draws n unit vectors. Direction i does not depend on n.
func (s Sliced) directions(n, dim int) []float64 {
	theta := make([]float64, n*dim)
	for i := range n {
		t := theta[i*dim : (i+1)*dim]
		if dim == 1 {
			t[0] = 1
			continue
		}
		s.Key.Split("direction", uint64(i)).Normal(t)
		sum := 0.0
		for _, v := range t {
			sum += v * v
		}
		for j := range t {
			t[j] /= math.Sqrt(sum)
		}
	}
	return theta
}

// project writes θ·x for m directions and all samples, directions×samples.
func project(dst, theta []float64, m int, x Samples) {
	n := x.Rows()
	simd.Gemm(false, true, m, n, x.Dim, 1, theta, x.Dim, x.X, x.Dim, 0, dst, n)
}

// wasserstein returns W₂² = ∫₀¹ (F⁻¹ − G⁻¹)² dq of two sorted samples, whose
// quantile functions are steps.
func wasserstein(u, v []float64) float64 {
	if len(u) == len(v) {
		sum := 0.0
		for i, a := range u {
			d := a - v[i]
			sum += float64(d * d)
		}
		return sum / float64(len(u))
	}
	// In units of 1/(n m), sample i of u ends at (i+1)m and j of v at (j+1)n.
	n, m := len(u), len(v)
	sum, q := 0.0, 0
	for i, j := 0, 0; i < n && j < m; {
		next := min((i+1)*m, (j+1)*n)
		d := u[i] - v[j]
		sum += float64(d*d) * float64(next-q)
		q = next
		if next == (i+1)*m {
			i++
		}
		if next == (j+1)*n {
			j++
		}
	}
	return sum / (float64(n) * float64(m))
}

// Floor is what a distance reads between two independent exact sets of the
// sizes in use. A measured distance of at most Threshold cannot be told from 0.
type Floor struct {
	Mean      float64   `json:"mean"`
	SD        float64   `json:"sd"`        // over pairs
	Threshold float64   `json:"threshold"` // mean + 2 SD, at least the largest seen
	Values    []float64 `json:"values"`    // one a pair
}

// MeasureFloor returns the floor of a distance from pairs ≥ 2 pairs of
// independent exact sets, which draw makes: draw(i) is asked for 2·pairs sets,
// the halves of pair p being 2p and 2p+1.
func MeasureFloor(pairs int, draw func(i int) (Samples, error), dist func(x, y Samples) (float64, error)) (Floor, error) {
	if pairs < 2 {
		return Floor{}, fmt.Errorf("metrics: floor from %d pairs: expected at least 2, for its spread", pairs)
	}
	f := Floor{Values: make([]float64, pairs)}
	for p := range f.Values {
		x, err := draw(2 * p)
		if err != nil {
			return Floor{}, err
		}
		y, err := draw(2*p + 1)
		if err != nil {
			return Floor{}, err
		}
		if f.Values[p], err = dist(x, y); err != nil {
			return Floor{}, err
		}
	}
	f.Mean = Mean(f.Values)
	sum := 0.0
	for _, v := range f.Values {
		sum += (v - f.Mean) * (v - f.Mean)
	}
	f.SD = math.Sqrt(sum / float64(pairs-1))
	f.Threshold = max(f.Mean+2*f.SD, slices.Max(f.Values))
	return f, nil
}

// Below reports whether a distance is within the floor.
func (f Floor) Below(d float64) bool { return d <= f.Threshold }
