package nn

import "snrlab/nn/internal/kernel"

// Padding is how many zeros stand around an image on each side.
type Padding struct{ Top, Bottom, Left, Right int }

// Pad is the same padding on all sides.
func Pad(n int) Padding { return Padding{n, n, n, n} }

// Conv is the convolution of images x [rows, height, width, in] with the filter w
// [height, width, in, out], plus b [out] unless nil:
//
//	y[r, i, j, o] = b[o] + Σ_{u, v, c} x[r, i·stride + u − Top, j·stride + v − Left, c] · w[u, v, c, o]
func (t *Tape[T]) Conv(x, w, b *Var[T], stride int, pad Padding) *Var[T] {
	if !t.ready("conv", 2, x, w, b) {
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
	o := next[conv[T]](t)
	o.shape = shape
	y := t.result(&o.base, t.shape(nil, shape.Rows, shape.OutHeight(), shape.OutWidth(), shape.Out), x, w, b)
	kernel.ConvForward(shape, y.value, x.Value(), w.Value(), b.Value())
	return y
}

type conv[T Float] struct {
	base[T]
	shape kernel.Conv
}

func (o *conv[T]) backward(t *Tape[T]) {
	x, w, b, dy := o.in[0], o.in[1], o.in[2], o.y.grad
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
}

func (o *conv[T]) forward(t *Tape[T], dst []T) {
	x, w := o.in[0], o.in[1]
	db := o.in[2].Tangent()
	dx, dw := x.Tangent(), w.Tangent()
	if dx == nil {
		if dw == nil {
			clear(dst)
			kernel.AddRows(dst, db, len(dst)/o.shape.Out, o.shape.Out)
			return
		}
		kernel.ConvForward(o.shape, dst, x.Value(), dw, db)
		return
	}
	kernel.ConvForward(o.shape, dst, dx, w.Value(), db)
	if dw != nil {
		more := t.pool.get(len(dst))
		kernel.ConvForward(o.shape, more, x.Value(), dw, nil)
		kernel.Add(dst, dst, more)
		t.pool.put(more)
	}
}
