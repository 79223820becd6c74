package nn

import (
	"math"

	"snrlab/nn/internal/kernel"
)

// Rotary says how [Tape.Rotary] turns queries and keys by their places.
type Rotary struct {
	Heads int     `json:"heads"`
	Base  float64 `json:"base,omitempty"`  // of the periods, 0 is 10000
	Width int     `json:"width,omitempty"` // of the image that tokens are the pixels of, line by line; 0: a sequence
}

// Rotary turns each pair of channels, 2i and 2i + 1 of a head of d, of x [rows,
// tokens, channels] by an angle that grows with the token's place n, so that
// products of queries and keys depend on differences of places [su2021]:
//
//	(y_2i, y_2i+1) = R(n θ_i) (x_2i, x_2i+1),  θ_i = Base^(−2i/d)
//
// where R is the rotation of the plane. In an image the first half of a head's
// channels is turned by the line of the pixel and the second by its column, as
// heads of d/2 each.
func (t *Tape[T]) Rotary(x *Var[T], r Rotary) *Var[T] {
	if !t.ready("rotary", 1, x) {
		return t.void()
	}
	if r.Base == 0 {
		r.Base = 10000
	}
	_, size := rows(x.shape)
	_, channels := split(x.shape)
	turned := 2 // channels that a head must divide into
	if r.Width > 0 {
		turned = 4
	}
	switch {
	case len(x.shape) != 3 || size < 1 || r.Heads < 1 || channels%r.Heads != 0 || channels/r.Heads%turned != 0:
		return t.fail("rotary: x is %v: expected rows×tokens×channels, in %d heads of a multiple of %d channels: %w", x.Shape(), r.Heads, turned, ErrShape)
	case r.Width < 0 || r.Width > 0 && x.shape[1]%r.Width != 0:
		return t.fail("rotary: %d tokens are no lines of %d pixels: %w", x.shape[1], r.Width, ErrShape)
	case !(r.Base > 0) || math.IsInf(r.Base, 1):
		return t.fail("rotary: the base is %v: expected a finite number above 0", r.Base)
	}
	o := next[rotary[T]](t)
	o.turn(r, x.shape[1], channels/r.Heads)
	y := t.linearResult(&o.base, x.shape, x)
	kernel.Rotate(y.value, x.Value(), o.cosine, o.sine, o.d, r.Heads, false)
	return y
}

type rotary[T Float] struct {
	base[T]
	options   Rotary
	tokens, d int
	cosine    []T // [tokens, d/2], for the options
	sine      []T
}

// turn computes the rotations, unless they are those of the last time.
func (o *rotary[T]) turn(r Rotary, tokens, d int) {
	if o.options == r && o.tokens == tokens && o.d == d {
		return
	}
	o.options, o.tokens, o.d = r, tokens, d
	o.cosine, o.sine = make([]T, tokens*d/2), make([]T, tokens*d/2)
	for k := range o.cosine {
		token, i, n := k/(d/2), k%(d/2), d
		place := token
		if r.Width > 0 {
			n = d / 2
			place = token / r.Width
			if i >= n/2 {
				place, i = token%r.Width, i-n/2
			}
		}
		s, c := math.Sincos(float64(place) * math.Pow(r.Base, -2*float64(i)/float64(n)))
		o.cosine[k], o.sine[k] = T(c), T(s)
	}
}

func (o *rotary[T]) backward(t *Tape[T]) {
	kernel.Rotate(o.y.grad, o.y.grad, o.cosine, o.sine, o.d, o.options.Heads, true)
	t.hand(o.in[0], o.y)
}

func (o *rotary[T]) forward(_ *Tape[T], dst []T) {
	kernel.Rotate(dst, o.in[0].Tangent(), o.cosine, o.sine, o.d, o.options.Heads, false)
}
