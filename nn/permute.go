package nn

import "slices"

// maxAxes is how many axes Permute takes.
const maxAxes = 8

// Permute puts the axes of x in another order: axis i of the result is axis
// axes[i] of x.
func (t *Tape[T]) Permute(x *Var[T], axes ...int) *Var[T] {
	if !t.ready("permute", 1, x) {
		return t.void()
	}
	n := len(x.shape)
	seen := [maxAxes]bool{}
	for _, a := range axes {
		if a < 0 || a >= min(n, maxAxes) || seen[a] {
			return t.fail("permute: %v are not the axes of %v in some order: %w", slices.Clone(axes), x.Shape(), ErrShape)
		}
		seen[a] = true
	}
	if len(axes) != n {
		return t.fail("permute: %v are not the axes of %v in some order: %w", slices.Clone(axes), x.Shape(), ErrShape)
	}
	o := next[permute[T]](t)
	stride := 1
	strides := [maxAxes]int{} // of x
	for a := n - 1; a >= 0; a-- {
		strides[a] = stride
		stride *= x.shape[a]
	}
	o.axes, o.run = n, 1
	for i, a := range axes {
		o.sides[i], o.strides[i] = x.shape[a], strides[a]
	}
	y := t.linearResult(&o.base, o.sides[:n], x)
	for o.axes > 0 && axes[o.axes-1] == o.axes-1 { // the last axes stay: whole runs are copied
		o.axes--
		o.run *= o.sides[o.axes]
	}
	o.apply(y.value, x.Value())
	return y
}

type permute[T Float] struct {
	base[T]
	axes    int          // of the result, but the last ones that stay
	sides   [maxAxes]int // of the result
	strides [maxAxes]int // in x, of the result's axes
	run     int          // numbers that stay together
}

// each calls f with where a run is in x, for all runs of the result in order.
func (o *permute[T]) each(f func(at int)) {
	if o.y.Len() == 0 {
		return
	}
	place, at := [maxAxes]int{}, 0
	for {
		f(at)
		i := o.axes - 1
		for ; i >= 0; i-- {
			place[i]++
			at += o.strides[i]
			if place[i] < o.sides[i] {
				break
			}
			at -= place[i] * o.strides[i]
			place[i] = 0
		}
		if i < 0 {
			return
		}
	}
}

func (o *permute[T]) apply(dst, x []T) {
	o.each(func(at int) {
		copy(dst[:o.run], x[at:])
		dst = dst[o.run:]
	})
}

func (o *permute[T]) backward(t *Tape[T]) {
	dx, dy := t.added(o.in[0]), o.y.grad
	o.each(func(at int) {
		to := dx[at : at+o.run]
		for i, v := range dy[:o.run] {
			to[i] += v
		}
		dy = dy[o.run:]
	})
}

func (o *permute[T]) forward(_ *Tape[T], dst []T) { o.apply(dst, o.in[0].Tangent()) }

// Patches cuts images x [rows, height, width, channels] into squares of side p and
// makes each a token, line by line: [rows, height/p·width/p, p·p·channels].
func (t *Tape[T]) Patches(x *Var[T], p int) *Var[T] {
	if !t.ready("patches", 1, x) {
		return t.void()
	}
	if len(x.shape) != 4 || p < 1 || x.shape[1]%p != 0 || x.shape[2]%p != 0 {
		return t.fail("patches: x is %v: expected rows×height×width×channels in squares of side %d: %w", x.Shape(), p, ErrShape)
	}
	rows, h, w, c := x.shape[0], x.shape[1]/p, x.shape[2]/p, x.shape[3]
	return t.Reshape(t.Permute(t.Reshape(x, rows, h, p, w, p, c), 0, 1, 3, 2, 4, 5), rows, h*w, p*p*c)
}

// Unpatch is the inverse of Patches, for images of the given height and width.
func (t *Tape[T]) Unpatch(x *Var[T], height, width, p int) *Var[T] {
	if !t.ready("unpatch", 1, x) {
		return t.void()
	}
	if len(x.shape) != 3 || p < 1 || height < 1 || width < 1 || height%p != 0 || width%p != 0 ||
		x.shape[1] != height/p*(width/p) || x.shape[2]%(p*p) != 0 {
		return t.fail("unpatch: x is %v: expected rows×tokens×channels that make images of %d×%d in squares of side %d: %w", x.Shape(), height, width, p, ErrShape)
	}
	rows, h, w, c := x.shape[0], height/p, width/p, x.shape[2]/(p*p)
	return t.Reshape(t.Permute(t.Reshape(x, rows, h, w, p, p, c), 0, 1, 3, 2, 4, 5), rows, height, width, c)
}
