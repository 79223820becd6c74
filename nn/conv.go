package nn

import (
	"slices"

	"snrlab/nn/internal/kernel"
)

// Padding is how many zeros stand around an image on each side.
type Padding struct{ Top, Bottom, Left, Right int }

// Pad is the same padding on all sides.
func Pad(n int) Padding { return Padding{n, n, n, n} }

// Conv is the convolution of images x [rows, height, width, in] with the filter w
// [height, width, in, out], plus b [out] unless nil:
//
//	y[r, i, j, o] = b[o] + Σ_{u, v, c} x[r, i·stride + u − Top, j·stride + v − Left, c] · w[u, v, c, o]
func (t *Tape[T]) Conv(x, w, b *Var[T], stride int, pad Padding) *Var[T] {
	return t.ConvAdd(x, w, b, nil, stride, pad)
}

// ConvAdd is [Tape.Conv] plus more, unless nil: images like y, or vectors [rows,
// out] that are the same at all pixels of a row. It saves a pass over y.
func (t *Tape[T]) ConvAdd(x, w, b, more *Var[T], stride int, pad Padding) *Var[T] {
	if !t.ready("conv", 2, x, w, b, more) {
		return t.void()
	}
	if len(x.shape) != 4 || len(w.shape) != 4 || w.shape[2] != x.shape[3] || b != nil && b.Len() != w.shape[3] {
		return t.fail("conv: x is %v, the filter %v, the bias %v: expected rows×height×width×in, height×width×in×out, out: %w", x.Shape(), w.Shape(), b.Shape(), ErrShape)
	}
	shape := kernel.Conv{
		Rows: x.shape[0], Height: x.shape[1], Width: x.shape[2], In: x.shape[3], Out: w.shape[3],
		KernelHeight: w.shape[0], KernelWidth: w.shape[1], Stride: stride,
		Top: pad.Top, Bottom: pad.Bottom, Left: pad.Left, Right: pad.Right,
	}
	if err := shape.Validate(); err != nil {
		return t.fail("conv: %w: %w", err, ErrShape)
	}
	height, width := shape.OutHeight(), shape.OutWidth()
	vectors := kernel.Images{}
	switch {
	case more == nil || slices.Equal(more.shape, []int{shape.Rows, height, width, shape.Out}):
	case slices.Equal(more.shape, []int{shape.Rows, shape.Out}):
		vectors = kernel.Images{Rows: shape.Rows, Pixels: height * width, Channels: shape.Out}
	default:
		return t.fail("conv: %v added to %v: expected images like those, or rows×out: %w", more.Shape(), []int{shape.Rows, height, width, shape.Out}, ErrShape)
	}
	o := next[conv[T]](t)
	o.shape, o.vectors = shape, vectors
	x.root.kept, w.root.kept = true, true // the others are not read by derivatives
	y := t.linearResult(&o.base, t.shape(nil, shape.Rows, height, width, shape.Out), x, w, b, more)
	rowBias, images := o.more(more.Value())
	kernel.ConvForward(shape, y.value, x.Value(), w.Value(), b.Value(), rowBias, images)
	return y
}

type conv[T Float] struct {
	base[T]
	shape   kernel.Conv
	vectors kernel.Images // y beside more, if that is vectors
}

// more returns v, which goes with what is added, as vectors or as images.
func (o *conv[T]) more(v []T) (rowBias, images []T) {
	if o.vectors.Channels > 0 {
		return v, nil
	}
	return nil, v
}

func (o *conv[T]) backward(t *Tape[T]) {
	x, w, b, more, dy := o.in[0], o.in[1], o.in[2], o.in[3], o.y.grad
	if w.wanted() {
		dw, beta := t.into(w)
		kernel.ConvFilterGrad(o.shape, dw, x.Value(), dy, beta)
	}
	if b.wanted() {
		db, beta := t.into(b)
		kernel.SumRows(db, dy, len(dy)/o.shape.Out, o.shape.Out, beta)
	}
	if x.wanted() {
		dx, beta := t.into(x)
		kernel.ConvInputGrad(o.shape, dx, dy, w.Value(), beta)
	}
	switch {
	case !more.wanted():
	case o.vectors.Channels > 0:
		sum := t.share(more)
		kernel.SumPixels(o.vectors, sum.g, dy)
		t.settle(sum)
	default:
		t.hand(more, o.y)
	}
}

func (o *conv[T]) forward(t *Tape[T], dst []T) {
	x, w := o.in[0], o.in[1]
	dx, dw, db := x.Tangent(), w.Tangent(), o.in[2].Tangent()
	rowBias, images := o.more(o.in[3].Tangent())
	switch {
	case dx != nil:
		kernel.ConvForward(o.shape, dst, dx, w.Value(), db, rowBias, images)
		if dw == nil {
			return
		}
		kernel.ConvForward(o.shape, dst, x.Value(), dw, nil, nil, dst)
	case dw != nil:
		kernel.ConvForward(o.shape, dst, x.Value(), dw, db, rowBias, images)
	default:
		clear(dst)
		if images != nil {
			copy(dst, images)
		}
		if rowBias != nil {
			kernel.AddVectors(o.vectors, dst, dst, rowBias)
		}
		if db != nil {
			kernel.AddRows(dst, db, len(dst)/o.shape.Out, o.shape.Out)
		}
	}
}
