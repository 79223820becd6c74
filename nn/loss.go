package nn

import "slices"

// MeanSquare is the mean of (a − b)² over all elements, of shape [1].
func (t *Tape[T]) MeanSquare(a, b *Var[T]) *Var[T] {
	if t.err != nil {
		return t.void()
	}
	if !slices.Equal(a.shape, b.shape) || a.Len() == 0 {
		return t.fail("mean square: %v and %v: expected one shape of at least one element: %w", a.Shape(), b.Shape(), ErrShape)
	}
	o := next[meanSquare[T]](t)
	y := t.result(&o.base, t.shape(nil, 1), a, b)
	sum := 0.0
	bv := b.Value()
	for i, v := range a.Value() {
		d := float64(v) - float64(bv[i])
		sum += d * d
	}
	y.value[0] = T(sum / float64(a.Len()))
	return y
}

type meanSquare[T Float] struct{ base[T] }

func (o *meanSquare[T]) backward(t *Tape[T]) {
	a, b := o.in[0], o.in[1]
	scale := 2 * o.y.grad[0] / T(a.Len())
	for k, v := range o.in[:2] {
		if !v.wanted() {
			continue
		}
		sign := T(1 - 2*k)
		g, keep := t.into(v)
		av, bv := a.Value(), b.Value()
		for i := range g {
			d := sign * scale * (av[i] - bv[i])
			if keep == 0 {
				g[i] = d
			} else {
				g[i] += d
			}
		}
	}
}

func (o *meanSquare[T]) forward(_ *Tape[T], dst []T) {
	a, b := o.in[0].Value(), o.in[1].Value()
	da, db := o.in[0].Tangent(), o.in[1].Tangent()
	sum := 0.0
	for i := range a {
		change := 0.0
		if da != nil {
			change = float64(da[i])
		}
		if db != nil {
			change -= float64(db[i])
		}
		sum += 2 * change * (float64(a[i]) - float64(b[i]))
	}
	dst[0] = T(sum / float64(len(a)))
}
