package nn

// Embedding are rows of a table [classes, dim], one for each id: y [ids, dim]. The
// id −1 is no class, a row of zeros.
func (t *Tape[T]) Embedding(table *Var[T], ids []int) *Var[T] {
	if !t.ready("embedding", 1, table) {
		return t.void()
	}
	if len(table.shape) != 2 {
		return t.fail("embedding: the table is %v: expected classes×dim: %w", table.Shape(), ErrShape)
	}
	for i, id := range ids {
		if id < -1 || id >= table.shape[0] {
			return t.fail("embedding: id %d is %d: expected a class from 0 to %d, or −1 for none: %w", i, id, table.shape[0]-1, ErrShape)
		}
	}
	o := next[embedding[T]](t)
	o.ids, o.dim = append(o.ids[:0], ids...), table.shape[1]
	y := t.linearResult(&o.base, t.shape(nil, len(ids), o.dim), table)
	o.apply(y.value, table.Value())
	return y
}

type embedding[T Float] struct {
	base[T]
	ids []int
	dim int
}

func (o *embedding[T]) apply(dst, table []T) {
	clear(dst)
	for i, id := range o.ids {
		if id >= 0 {
			copy(dst[i*o.dim:(i+1)*o.dim], table[id*o.dim:])
		}
	}
}

func (o *embedding[T]) backward(t *Tape[T]) {
	dw := t.added(o.in[0])
	for i, id := range o.ids {
		if id < 0 {
			continue
		}
		to := dw[id*o.dim : (id+1)*o.dim]
		for j := range to {
			to[j] += o.y.grad[i*o.dim+j]
		}
	}
}

func (o *embedding[T]) forward(_ *Tape[T], dst []T) { o.apply(dst, o.in[0].Tangent()) }
