package nn

import (
	"math"
	"slices"
)

// Sinusoid says what waves [Tape.Sinusoid] takes. Its names are diffusers'.
type Sinusoid struct {
	FlipSinToCos       bool    `json:"flip_sin_to_cos,omitempty"`      // cosines first
	DownscaleFreqShift float64 `json:"downscale_freq_shift,omitempty"` // 1: the last wave has the longest period
	MaxPeriod          float64 `json:"max_period,omitempty"`           // 0 is 10000
}

// Sinusoid are waves of x [rows], of periods that grow geometrically
// [vaswani2017]: y [rows, dim] holds in each row, with h = ⌊dim/2⌋,
//
//	sin(f_i x) for i < h, then cos(f_i x),  f_i = MaxPeriod^(−i/(h − DownscaleFreqShift))
//
// and a zero at the end if dim is odd. The angles are in float64: those of x = 1000
// have lost three digits in float32.
func (t *Tape[T]) Sinusoid(x *Var[T], dim int, options Sinusoid) *Var[T] {
	if !t.ready("sinusoid", 1, x) {
		return t.void()
	}
	period := options.MaxPeriod
	if period == 0 {
		period = 10000
	}
	n := dim / 2
	steps := float64(n) - options.DownscaleFreqShift
	switch {
	case len(x.shape) != 1 || dim < 1:
		return t.fail("sinusoid: x is %v for %d waves: expected rows and a positive number: %w", x.Shape(), dim, ErrShape)
	case !(period > 0) || math.IsInf(period, 1):
		return t.fail("sinusoid: the longest period is %v: expected a finite number above 0", options.MaxPeriod)
	case n > 0 && !(steps > 0) || math.IsInf(steps, 0):
		return t.fail("sinusoid: a shift of %v leaves no frequencies of %d: expected less", options.DownscaleFreqShift, n)
	}
	o := next[waves[T]](t)
	o.flip = options.FlipSinToCos
	o.frequencies = slices.Grow(o.frequencies[:0], n)[:n]
	for i := range o.frequencies {
		o.frequencies[i] = math.Exp(-math.Log(period) * float64(i) / steps)
	}
	return o.start(t, dim, x, nil)
}

// Fourier are waves of x [rows] with frequencies w [n] [tancik2020]: y [rows, 2n]
// holds sin(2π w_i x), then cos(2π w_i x). The angles are in float64.
func (t *Tape[T]) Fourier(x, w *Var[T]) *Var[T] {
	if !t.ready("fourier", 2, x, w) {
		return t.void()
	}
	if len(x.shape) != 1 || len(w.shape) != 1 || w.shape[0] < 1 {
		return t.fail("fourier: x is %v and the frequencies %v: expected rows, and a number of them: %w", x.Shape(), w.Shape(), ErrShape)
	}
	o := next[waves[T]](t)
	o.flip = false
	o.frequencies = slices.Grow(o.frequencies[:0], w.Len())[:w.Len()]
	for i, v := range w.Value() {
		o.frequencies[i] = 2 * math.Pi * float64(v)
	}
	return o.start(t, 2*w.Len(), x, w)
}

type waves[T Float] struct {
	base[T]
	frequencies []float64 // in radians
	flip        bool      // cosines first
}

func (o *waves[T]) start(t *Tape[T], dim int, x, w *Var[T]) *Var[T] {
	y := t.result(&o.base, t.shape(nil, x.Len(), dim), x, w)
	clear(y.value)
	for r := range x.Len() {
		for i := range o.frequencies {
			sin, cos, angle := o.at(r, i)
			s, c := math.Sincos(angle)
			y.value[sin], y.value[cos] = T(s), T(c)
		}
	}
	return y
}

// at returns where the sine and the cosine of wave i in row r are, and its angle.
func (o *waves[T]) at(r, i int) (sin, cos int, angle float64) {
	_, dim := split(o.y.shape)
	sin, cos = r*dim+i, r*dim+len(o.frequencies)+i
	if o.flip {
		sin, cos = cos, sin
	}
	return sin, cos, o.frequencies[i] * float64(o.in[0].Value()[r])
}

// slope is the gradient of the angle of wave i in row r.
func (o *waves[T]) slope(r, i int) float64 {
	sin, cos, angle := o.at(r, i)
	s, c := math.Sincos(angle)
	return float64(o.y.grad[sin])*c - float64(o.y.grad[cos])*s
}

func (o *waves[T]) backward(t *Tape[T]) {
	x, w := o.in[0], o.in[1]
	dx, dw := t.added(x), t.added(w)
	for r := range dx {
		sum := 0.0
		for i, frequency := range o.frequencies {
			sum += o.slope(r, i) * frequency
		}
		dx[r] += T(sum)
	}
	for i := range dw {
		sum := 0.0
		for r, v := range x.Value() {
			sum += o.slope(r, i) * 2 * math.Pi * float64(v)
		}
		dw[i] += T(sum)
	}
}

func (o *waves[T]) forward(_ *Tape[T], dst []T) {
	dx, dw := o.in[0].Tangent(), o.in[1].Tangent()
	clear(dst)
	for r, x := range o.in[0].Value() {
		for i, frequency := range o.frequencies {
			turn := 0.0
			if dx != nil {
				turn += float64(dx[r]) * frequency
			}
			if dw != nil {
				turn += float64(dw[i]) * 2 * math.Pi * float64(x)
			}
			sin, cos, angle := o.at(r, i)
			s, c := math.Sincos(angle)
			dst[sin], dst[cos] = T(c*turn), T(-s*turn)
		}
	}
}
