// Package upsample lets a denoiser of a low resolution guide one that is used
// at a high resolution.
//
// Average pooling by s×s keeps the coarse content of x = α x₀ + σ ε and divides
// the standard deviation of its noise by s, so that a pooled image is the image
// of a smaller model at λ + 2 log s. [Guided] asks that model there and puts its
// answer in the place of the coarse part of the high-resolution answer:
//
//	D + θ(λ) U [ D_low(y; τ) − P D ]
//
// A [Pair] is the maps P and U, a [Pooling] their name, a [Strength] the function
// θ(λ), and [Match] finds the level τ and the state y.
//
// References:
//
//	[hoogeboom2023]
//	             E. Hoogeboom, J. Heek, T. Salimans: simple diffusion: End-to-end
//	             diffusion for high resolution images. arXiv:2301.11093, 2023.
//	[hwang2024]  J. Hwang, Y.-H. Park, J. Jo: Upsample Guidance: Scale Up Diffusion
//	             Models without Training. arXiv:2404.01709, 2024.
//	[lowdin1950] P.-O. Löwdin: On the non-orthogonality problem connected with the
//	             use of atomic wave functions in the theory of molecules and
//	             crystals. J. Chem. Phys. 18, 1950.
package upsample

import (
	"fmt"
	"math"
	"slices"

	"snrlab/internal/simd"
)

// Pair is a linear map P from samples of a high resolution to a low one and a
// map U back, with P U = I. Implementations are immutable, safe for concurrent
// use, and allocate nothing once warm.
//
// White noise ε becomes P ε of covariance P Pᵀ. Where that is c I the pooled noise
// is white and a model of the low resolution knows it: c is 1/s² for a factor s.
// Where also U = Pᵀ/c, U P is the orthogonal projection on the coarse part and its
// noise is independent of that of the rest, on which exactness rests: see [Guided].
type Pair interface {
	HighShape() []int        // of a sample of the high resolution; not to be modified
	LowShape() []int         // of a sample of the low one
	Pool(dst, x []float64)   // writes P x of one sample; dst must not overlap x
	Repeat(dst, y []float64) // writes U y of one sample; dst must not overlap y
	Noise() Noise
	String() string
}

// Noise is the covariance P Pᵀ that pooling gives to white noise.
type Noise struct {
	Variance float64 // c, the mean of the diagonal
	Colour   float64 // largest entry of P Pᵀ/c − I in size; 0 to rounding for white noise
}

// White says whether P Pᵀ = c I to rounding.
func (n Noise) White() bool { return n.Colour < pairTolerance }

// pairTolerance bounds the entries of P U − I, and of P Pᵀ/c − I for noise that
// passes for white. It leaves room for the rounding of a few thousand terms; an
// error of a method is many orders above.
const pairTolerance = 1e-10

// Linear is a pair of matrices: see [NewLinear].
type Linear struct {
	name      string
	high, low []int
	pool, up  []float64 // low×high and high×low
	noise     Noise
}

// NewLinear makes a pair of any two matrices, P of low×high numbers and U of
// high×low, row-major, which it copies, and refuses those without P U = I. With
// up = nil, U is the pseudo-inverse Pᵀ(P Pᵀ)⁻¹. name is what the pair prints as.
func NewLinear(name string, highShape, lowShape []int, pool, up []float64) (*Linear, error) {
	fail := func(format string, a ...any) (*Linear, error) {
		return nil, fmt.Errorf("upsample: pair %s: "+format, append([]any{name}, a...)...)
	}
	high, low, err := sizes(highShape, lowShape)
	if err != nil {
		return fail("%w", err)
	}
	if len(pool) != low*high {
		return fail("%d numbers in P: expected %d×%d", len(pool), low, high)
	}
	if up != nil && len(up) != high*low {
		return fail("%d numbers in U: expected %d×%d, or none for the pseudo-inverse", len(up), high, low)
	}
	for _, m := range [][]float64{pool, up} {
		for i, v := range m {
			if v-v != 0 {
				return fail("entry %d of a matrix is %g: expected finite numbers", i, v)
			}
		}
	}
	l := &Linear{name: name, high: slices.Clone(highShape), low: slices.Clone(lowShape), pool: slices.Clone(pool), up: slices.Clone(up)}
	gram := gramOf(pool, low, high)
	if up == nil {
		inverse, err := power(gram, low, -1)
		if err != nil {
			return fail("%w", err)
		}
		l.up = adjointTimes(pool, inverse, low, high)
	}
	l.noise = noiseOf(gram, low)
	product := multiply(l.pool, l.up, low, high, low)
	for i := range low {
		for j := range low {
			want := 0.0
			if i == j {
				want = 1
			}
			if got := product[i*low+j]; math.Abs(got-want) > pairTolerance {
				return fail("(P U)[%d, %d] is %.6g: expected %g, for guidance puts the low answer in the place of P D; leave U out for the pseudo-inverse", i, j, got, want)
			}
		}
	}
	return l, nil
}

// HighShape is that of a sample of the high resolution.
func (l *Linear) HighShape() []int { return l.high }

// LowShape is that of a sample of the low resolution.
func (l *Linear) LowShape() []int { return l.low }

// Pool writes P x of one sample.
func (l *Linear) Pool(dst, x []float64) { times(dst, l.pool, x) }

// Repeat writes U y of one sample.
func (l *Linear) Repeat(dst, y []float64) { times(dst, l.up, y) }

// Noise is the covariance P Pᵀ.
func (l *Linear) Noise() Noise { return l.noise }

func (l *Linear) String() string { return l.name }

// times writes m x, a matrix of len(dst) rows.
func times(dst, m, x []float64) {
	for i := range dst {
		dst[i] = simd.Dot(m[i*len(x):(i+1)*len(x)], x)
	}
}

// sizes returns the number of values of either shape.
func sizes(highShape, lowShape []int) (high, low int, err error) {
	high, low = size(highShape), size(lowShape)
	if high < 1 || low < 1 || low > high {
		return 0, 0, fmt.Errorf("maps samples of shape %v to %v: expected sizes ≥ 1, and no more values below than above", highShape, lowShape)
	}
	return high, low, nil
}

// size is the number of values of a shape, 0 for one that is none.
func size(shape []int) int {
	if len(shape) == 0 {
		return 0
	}
	n := 1
	for _, s := range shape {
		if s < 1 {
			return 0
		}
		n *= s
	}
	return n
}
