package upsample

import (
	"fmt"
	"strconv"
	"strings"

	"snrlab/internal/freelist"
)

// Factor is a ratio of two resolutions, P/Q ≥ 1: "2" or "3/2".
type Factor struct{ P, Q int }

// ParseFactor reads what String prints.
func ParseFactor(s string) (Factor, error) {
	p, q, rational := strings.Cut(s, "/")
	f := Factor{Q: 1}
	var err error
	if f.P, err = strconv.Atoi(strings.TrimSpace(p)); err == nil && rational {
		f.Q, err = strconv.Atoi(strings.TrimSpace(q))
	}
	if err != nil {
		return Factor{}, fmt.Errorf("upsample: factor %q: expected a ratio such as 2 or 3/2", s)
	}
	return f.reduced(), f.Validate()
}

// Validate reports a factor below 1.
func (f Factor) Validate() error {
	if f.Q < 1 || f.P < f.Q {
		return fmt.Errorf("upsample: factor %s: expected a ratio of positive whole numbers, at least 1", f)
	}
	return nil
}

// Ratio returns P/Q.
func (f Factor) Ratio() float64 { return float64(f.P) / float64(f.Q) }

func (f Factor) String() string {
	if f.Q == 1 {
		return strconv.Itoa(f.P)
	}
	return fmt.Sprintf("%d/%d", f.P, f.Q)
}

// reduced has no common divisor.
func (f Factor) reduced() Factor {
	a, b := f.P, f.Q
	for b != 0 {
		a, b = b, a%b
	}
	if a > 1 {
		f.P, f.Q = f.P/a, f.Q/a
	}
	return f
}

// Area is area pooling of images of Channels×Height×Width, each low pixel the
// mean of the high pixels under it by the share it covers, along each axis
//
//	P_ij = |[i s, (i+1) s] ∩ [j, j+1]| / s
//
// For a whole factor s these are the means over blocks, U repeats a pixel over
// its block, and P Pᵀ = I/s², U = s² Pᵀ [hwang2024, section 3].
//
// For s = p/q, q > 1, neighbours share a high pixel, so that P Pᵀ is neither
// diagonal nor constant, and the adjoint s² Pᵀ is no right inverse. The zero
// Plain then takes the symmetrically orthogonalised [lowdin1950]
//
//	P ← (s P Pᵀ)^−½ P,    U = s Pᵀ        (for each axis)
//
// the nearest map with P Pᵀ = I/s, which brings back P U = I and keeps constant
// images constant both ways, at the price of some negative shares. It stays within
// the p pixels of a period. Plain keeps the area shares and takes U = Pᵀ(P Pᵀ)⁻¹:
// P U = I holds, but the pooled noise is coloured.
//
// Differs from [hwang2024], which takes the nearest whole factor.
type Area struct {
	Channels   int    `json:"channels"`
	Height     int    `json:"height"`
	Width      int    `json:"width"`
	Vertical   Factor `json:"vertical"`   // high rows to a low row
	Horizontal Factor `json:"horizontal"` // high columns to a low column
	Plain      bool   `json:"plain"`      // leave fractional shares as they are
}

// Validate reports factors that do not tile the image.
func (a Area) Validate() error {
	if a.Channels < 1 || a.Height < 1 || a.Width < 1 {
		return fmt.Errorf("upsample: area pooling of %d×%d×%d images: expected positive sizes", a.Channels, a.Height, a.Width)
	}
	for _, axis := range []struct {
		name string
		size int
		by   Factor
	}{{"height", a.Height, a.Vertical}, {"width", a.Width, a.Horizontal}} {
		if err := axis.by.Validate(); err != nil {
			return err
		}
		if p := axis.by.reduced().P; axis.size%p != 0 {
			near := fmt.Sprint(axis.size - axis.size%p + p)
			if axis.size > p {
				near = fmt.Sprintf("%d or %s", axis.size-axis.size%p, near)
			}
			return fmt.Errorf("upsample: %s %d by a factor of %s: expected a multiple of %d, %s", axis.name, axis.size, axis.by, p, near)
		}
	}
	return nil
}

func (a Area) String() string { return Poolings().Format("area", a) }

// Pair makes the maps.
func (a Area) Pair() (Pair, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	p := &areaPair{area: a}
	var gv, gh []float64
	var err error
	if p.v, gv, err = newAxis(a.Vertical.reduced(), a.Height, a.Plain); err != nil {
		return nil, err
	}
	if p.h, gh, err = newAxis(a.Horizontal.reduced(), a.Width, a.Plain); err != nil {
		return nil, err
	}
	p.high = []int{a.Channels, a.Height, a.Width}
	p.low = []int{a.Channels, p.v.low(), p.h.low()}
	p.noise = noiseOf(kronecker(gv, gh, p.v.q, p.h.q), p.v.q*p.h.q)
	n := a.Height * p.h.low()
	p.between.New = func() *[]float64 { s := make([]float64, n); return &s }
	return p, nil
}

// axis is the maps along one axis: n periods of p high and q low pixels.
type axis struct {
	p, q, n int
	pool    []float64 // q×p
	up      []float64 // p×q
}

func (a axis) low() int { return a.n * a.q }

// newAxis returns the maps and P Pᵀ of a period.
func newAxis(f Factor, size int, plain bool) (axis, []float64, error) {
	p, q := f.P, f.Q
	a := axis{p: p, q: q, n: size / p, pool: make([]float64, q*p)}
	for i := range q {
		for j := range p { // in units of 1/q of a high pixel
			a.pool[i*p+j] = max(0, float64(min((i+1)*p, (j+1)*q)-max(i*p, j*q))) / float64(p)
		}
	}
	s := f.Ratio()
	if q > 1 && !plain {
		root, err := power(scaled(s, gramOf(a.pool, q, p)), q, -0.5)
		if err != nil {
			return axis{}, nil, fmt.Errorf("upsample: factor %s: %w", f, err)
		}
		a.pool = multiply(root, a.pool, q, q, p)
	}
	gram := gramOf(a.pool, q, p)
	if !plain || q == 1 {
		a.up = make([]float64, p*q)
		for i := range q {
			for j := range p {
				a.up[j*q+i] = s * a.pool[i*p+j]
			}
		}
		return a, gram, nil
	}
	inverse, err := power(gram, q, -1)
	if err != nil {
		return axis{}, nil, fmt.Errorf("upsample: factor %s: %w", f, err)
	}
	a.up = adjointTimes(a.pool, inverse, q, p)
	return a, gram, nil
}

func scaled(c float64, m []float64) []float64 {
	for i := range m {
		m[i] *= c
	}
	return m
}

// kronecker returns A ⊗ B of n×n and m×m numbers.
func kronecker(a, b []float64, n, m int) []float64 {
	k := make([]float64, n*m*n*m)
	for i := range n * m {
		for j := range n * m {
			k[i*n*m+j] = a[i/m*n+j/m] * b[i%m*m+j%m]
		}
	}
	return k
}

// areaPair applies one axis after the other.
type areaPair struct {
	area      Area
	v, h      axis
	high, low []int
	noise     Noise
	between   freelist.List[[]float64] // Height×low width
}

func (p *areaPair) HighShape() []int { return p.high }
func (p *areaPair) LowShape() []int  { return p.low }
func (p *areaPair) Noise() Noise     { return p.noise }
func (p *areaPair) String() string   { return p.area.String() }

func (p *areaPair) Pool(dst, x []float64) {
	t := p.between.Get()
	lh, lw := p.low[1], p.low[2]
	for c := range p.area.Channels {
		along(*t, x[c*p.area.Height*p.area.Width:], p.area.Height, p.h.n, p.h.pool, p.h.q, p.h.p)
		across(dst[c*lh*lw:], *t, lw, p.v.n, p.v.pool, p.v.q, p.v.p)
	}
	p.between.Put(t)
}

func (p *areaPair) Repeat(dst, y []float64) {
	t := p.between.Get()
	lh, lw := p.low[1], p.low[2]
	for c := range p.area.Channels {
		across(*t, y[c*lh*lw:], lw, p.v.n, p.v.up, p.v.p, p.v.q)
		along(dst[c*p.area.Height*p.area.Width:], *t, p.area.Height, p.h.n, p.h.up, p.h.p, p.h.q)
	}
	p.between.Put(t)
}

// along applies m, of to×from numbers, to each of n periods of each row.
func along(dst, x []float64, rows, n int, m []float64, to, from int) {
	for b := range rows * n {
		src, out := x[b*from:(b+1)*from], dst[b*to:(b+1)*to]
		for i := range out {
			sum := 0.0
			for j, w := range m[i*from : (i+1)*from] {
				sum += w * src[j]
			}
			out[i] = sum
		}
	}
}

// across applies m to each of n periods of rows of the given width.
func across(dst, x []float64, width, n int, m []float64, to, from int) {
	for b := range n {
		for i := range to {
			out := dst[(b*to+i)*width:][:width]
			clear(out)
			for j, w := range m[i*from : (i+1)*from] {
				if w != 0 {
					axpy(out, w, x[(b*from+j)*width:][:width])
				}
			}
		}
	}
}

// axpy adds c x to dst.
func axpy(dst []float64, c float64, x []float64) {
	for i, v := range x {
		dst[i] += c * v
	}
}
