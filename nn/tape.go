package nn

import (
	"errors"
	"fmt"
	"slices"

	"snrlab/nn/internal/kernel"
)

// Float are the numbers that networks compute with.
type Float interface{ float32 | float64 }

// ErrShape is what an operation gives whose inputs do not fit together.
var ErrShape = errors.New("shapes do not fit")

// A Tape records operations as they are computed, and differentiates what they
// computed: backwards by [Tape.Backward] and [Tape.VJP], forwards by [Tape.JVP].
// It owns the arrays of all results and serves one goroutine. The zero value is
// ready.
type Tape[T Float] struct {
	// Inference says that no derivative will be asked for, so that nothing is
	// kept for one.
	Inference bool

	ops   []operation[T] // in the order of computation; from used on, room for reuse
	used  int
	vars  []*Var[T]
	named int // of vars that are in use
	pool  pool[T]
	dims  []int // room for a shape
	err   error
	spent bool // Backward has let go of the values
}

// A Var is an array on a tape: an input, a parameter or a result. It is valid
// until the tape is reset.
type Var[T Float] struct {
	tape    *Tape[T] // nil once it is reset
	root    *Var[T]  // which has the arrays: itself, or what this is another shape of
	shape   []int
	value   []T
	grad    []T // nil: none has arrived
	tangent []T // nil: zero
	param   *Param[T]
	wants   bool // its gradient is wanted, or that of something it was made from
	leaf    bool // not a result
	kept    bool // derivatives read its values
}

// An operation has computed its result and can differentiate it.
type operation[T Float] interface {
	core() *base[T]
	// backward adds the product of the result's gradient with the Jacobian to
	// the gradients of those inputs that want one. It may overwrite the result's
	// gradient, and hand it over.
	backward(t *Tape[T])
	// forward writes the product of the Jacobian with the inputs' tangents, of
	// which one at least is not zero, into dst.
	forward(t *Tape[T], dst []T)
}

// base is what operations have in common.
type base[T Float] struct {
	y     *Var[T]
	in    [maxInputs]*Var[T] // nil where an input was left out
	saved [3][]T             // what was kept of the computation
}

const maxInputs = 4

func (b *base[T]) core() *base[T] { return b }

// Reset forgets all results and the error, and keeps the memory for reuse. Every
// Var of the tape is invalid from then on.
func (t *Tape[T]) Reset() {
	for _, o := range t.ops[:t.used] {
		t.release(o.core())
	}
	for _, v := range t.vars[:t.named] {
		if v.root == v && !v.leaf {
			t.pool.put(v.value)
		}
		t.pool.put(v.grad)
		t.pool.put(v.tangent)
		*v = Var[T]{shape: v.shape[:0]}
	}
	t.used, t.named, t.err, t.spent = 0, 0, nil, false
}

// Err returns the first error of an operation since the last Reset.
func (t *Tape[T]) Err() error { return t.err }

// Bytes is the memory of all arrays that the tape has made, used or not.
func (t *Tape[T]) Bytes() int { return t.pool.held * sizeof[T]() }

// Input puts an array on the tape whose gradient is wanted. x is not copied and
// not modified; it must not change before the tape is reset.
func (t *Tape[T]) Input(x []T, shape ...int) *Var[T] { return t.leaf(x, !t.Inference, shape) }

// Constant is [Input] for an array whose gradient is not wanted.
func (t *Tape[T]) Constant(x []T, shape ...int) *Var[T] { return t.leaf(x, false, shape) }

// Stop is x with its gradient stopped: a constant for whatever is computed from
// it. It copies nothing.
func (t *Tape[T]) Stop(x *Var[T]) *Var[T] {
	if !t.ready("stop", 1, x) {
		return t.void()
	}
	return t.leaf(x.Value(), false, x.shape)
}

// Param puts a parameter on the tape. Its gradient is added to p's, unless p is
// frozen.
func (t *Tape[T]) Param(p *Param[T]) *Var[T] {
	v := t.leaf(p.value, !p.Frozen && !t.Inference, p.dims)
	v.param = p
	return v
}

func (t *Tape[T]) leaf(x []T, wants bool, shape []int) *Var[T] {
	if n, ok := product(shape); !ok || n != len(x) {
		return t.fail("an array of %d numbers cannot have the shape %v: %w", len(x), slices.Clone(shape), ErrShape)
	}
	v := t.name(shape)
	v.value, v.wants, v.leaf = x, wants, true
	return v
}

// Reshape is x in another shape of as many numbers. It copies nothing.
func (t *Tape[T]) Reshape(x *Var[T], shape ...int) *Var[T] {
	if !t.ready("reshape", 1, x) {
		return t.void()
	}
	if n, ok := product(shape); !ok || n != x.Len() {
		return t.fail("%v cannot be reshaped to %v: %w", x.Shape(), slices.Clone(shape), ErrShape)
	}
	v := t.name(shape)
	v.root = x.root
	return v
}

// Free says that a result is needed no more by the caller. Its memory is given
// back, unless a derivative will read it. Neither it nor what Reshape and Stop
// made of it may be used after.
func (t *Tape[T]) Free(x *Var[T]) {
	if x == nil || x.root == nil || x.tape != t || x.root.leaf || x.root.kept && !t.Inference {
		return
	}
	t.pool.put(x.root.value)
	x.root.value = nil
}

// Shape is the shape of v. Not to be modified.
func (v *Var[T]) Shape() []int {
	if v == nil {
		return nil
	}
	return v.shape
}

// Len is the number of numbers in v.
func (v *Var[T]) Len() int {
	if v == nil || v.root == nil {
		return 0
	}
	n, _ := product(v.shape)
	return n
}

// Value is the array of v, in the tape's memory.
func (v *Var[T]) Value() []T {
	if v == nil || v.root == nil {
		return nil
	}
	return v.root.value
}

// Grad is the gradient of what [Tape.Backward] or [Tape.VJP] was called for with
// respect to v, an [Input], in the tape's memory; nil where v has no influence.
func (v *Var[T]) Grad() []T {
	if v == nil || v.root == nil {
		return nil
	}
	return v.root.grad
}

// Tangent is the change of v that [Tape.JVP] found, in the tape's memory; nil
// where nothing that changes has an influence on it.
func (v *Var[T]) Tangent() []T {
	if v == nil || v.root == nil {
		return nil
	}
	return v.root.tangent
}

// wanted reports whether a gradient of v is of use.
func (v *Var[T]) wanted() bool { return v != nil && v.root.wants }

// Backward adds the gradients of Σ seed·y with respect to all parameters that
// are not frozen to theirs, and finds those of the inputs. seed nil is 1, for a y
// of one number. It lets go of every result's memory as it goes: no result can be
// read after, and no other derivative taken.
func (t *Tape[T]) Backward(y *Var[T], seed []T) error { return t.backward(y, seed, true) }

// VJP is Backward that keeps all results: others may follow, with another seed
// or another y. The gradients of inputs are those of the last call.
func (t *Tape[T]) VJP(y *Var[T], seed []T) error { return t.backward(y, seed, false) }

func (t *Tape[T]) backward(y *Var[T], seed []T, last bool) error {
	if err := t.differentiable(); err != nil {
		return err
	}
	if why := t.unusable(y); why != "" {
		return errors.New("nn: backward from an array that " + why)
	}
	if seed == nil && y.Len() != 1 {
		return fmt.Errorf("nn: backward from an array of shape %v needs a seed, a number for each of its own", y.shape)
	}
	if seed != nil && len(seed) != y.Len() {
		return fmt.Errorf("nn: backward from an array of shape %v needs a seed of %d numbers, got %d", y.shape, y.Len(), len(seed))
	}
	for _, v := range t.vars[:t.named] {
		t.pool.put(v.grad)
		v.grad = nil
	}
	t.spent = last
	if !y.wanted() {
		return nil
	}
	g, _ := t.into(y)
	if seed == nil {
		g[0] = 1
	} else {
		copy(g, seed)
	}
	for i := t.used - 1; i >= 0; i-- {
		o := t.ops[i]
		b := o.core()
		if b.y.grad != nil {
			o.backward(t)
			t.pool.put(b.y.grad)
			b.y.grad = nil
		}
		if last { // nothing that is left to do reads this result
			t.release(b)
			t.pool.put(b.y.value)
			b.y.value = nil
		}
	}
	return nil
}

func (t *Tape[T]) differentiable() error {
	switch {
	case t.err != nil:
		return t.err
	case t.Inference:
		return errors.New("nn: a tape for inference has no derivatives: unset Inference")
	case t.spent:
		return errors.New("nn: Backward has let go of the results: reset the tape and compute them again, or use VJP for all but the last")
	}
	return nil
}

// into returns the array that a gradient of v goes to, and beta: 0 if the array
// holds nothing yet, 1 if what it holds is to be kept.
func (t *Tape[T]) into(v *Var[T]) (g []T, beta T) {
	r := v.root
	if r.param != nil {
		return r.param.into()
	}
	if r.grad == nil {
		r.grad = t.pool.get(r.Len())
		return r.grad, 0
	}
	return r.grad, 1
}

// hand adds the gradient of the result y to that of v. Where v has none yet it
// takes over the array, so that this comes last in an operation's backward.
func (t *Tape[T]) hand(v, y *Var[T]) {
	switch {
	case !v.wanted():
	case v.root.param == nil && v.root.grad == nil:
		v.root.grad, y.grad = y.grad, nil
	default:
		t.pass(v, y.grad, 1)
	}
}

// pass adds factor·g to the gradient of v, if that is wanted.
func (t *Tape[T]) pass(v *Var[T], g []T, factor T) {
	if !v.wanted() {
		return
	}
	to, keep := t.into(v)
	switch {
	case keep == 0 && factor == 1:
		copy(to, g)
	case keep == 0:
		kernel.Scale(to, g, factor)
	default:
		kernel.AddScaled(to, g, factor)
	}
}

// added returns the gradient of v for an operation that adds to what it holds,
// and nil if it is not wanted.
func (t *Tape[T]) added(v *Var[T]) []T {
	if !v.wanted() {
		return nil
	}
	g, keep := t.into(v)
	if keep == 0 {
		clear(g)
	}
	return g
}

// A share is an operation's part of the gradient of one of its inputs, for
// kernels that overwrite what they write to, and write all gradients at once.
type share[T Float] struct {
	of    *Var[T]
	g     []T
	apart bool // g is room, not the gradient itself
}

// share returns an array for the part that goes to v: the gradient of v where it
// holds nothing yet. settle must follow.
func (t *Tape[T]) share(v *Var[T]) share[T] {
	if v.wanted() {
		if g, keep := t.into(v); keep == 0 {
			return share[T]{v, g, false}
		}
	}
	return share[T]{v, t.pool.get(v.Len()), true}
}

// settle adds shares that were computed apart to the gradients that are wanted.
func (t *Tape[T]) settle(shares ...share[T]) {
	for _, s := range shares {
		if s.apart {
			t.pass(s.of, s.g, 1)
			t.pool.put(s.g)
		}
	}
}

// A Tangent is a change of an input or a parameter on the tape.
type Tangent[T Float] struct {
	Of     *Var[T]
	Change []T
}

// JVP finds the changes of all results, to first order, when inputs change: the
// product of the Jacobian with their tangents. Read them by [Var.Tangent]. Changes
// of inputs that are not named are zero. It must not come after Backward.
func (t *Tape[T]) JVP(tangents ...Tangent[T]) error {
	if err := t.differentiable(); err != nil {
		return err
	}
	for _, v := range t.vars[:t.named] {
		t.pool.put(v.tangent)
		v.tangent = nil
	}
	for _, d := range tangents {
		if why := t.unusable(d.Of); why != "" {
			return errors.New("nn: a tangent of an array that " + why)
		}
		r := d.Of.root
		if !r.leaf || len(d.Change) != len(r.value) {
			return fmt.Errorf("nn: a tangent needs an input or a parameter and as many numbers, got %d for %v", len(d.Change), d.Of.shape)
		}
		r.tangent = t.pool.get(len(d.Change))
		copy(r.tangent, d.Change)
	}
	for _, o := range t.ops[:t.used] {
		b := o.core()
		if slices.ContainsFunc(b.in[:], func(v *Var[T]) bool { return v.Tangent() != nil }) {
			dst := t.pool.get(b.y.Len())
			o.forward(t, dst)
			b.y.tangent = dst
		}
	}
	return nil
}

// name takes the next free Var.
func (t *Tape[T]) name(shape []int) *Var[T] {
	if t.named == len(t.vars) {
		t.vars = append(t.vars, new(Var[T]))
	}
	v := t.vars[t.named]
	t.named++
	v.tape, v.root = t, v
	v.shape = append(v.shape[:0], shape...)
	return v
}

// void is the result of operations that did not take place.
func (t *Tape[T]) void() *Var[T] {
	v := t.name(nil)
	v.leaf = true
	return v
}

// ready reports whether an operation can take place on these inputs, of which the
// first ones are required and the others may be nil. If not, it records why.
func (t *Tape[T]) ready(name string, required int, inputs ...*Var[T]) bool {
	if t.err != nil {
		return false
	}
	if t.spent {
		t.fail("%s: Backward has let go of the results: reset the tape first", name)
		return false
	}
	for i, v := range inputs {
		if v == nil && i >= required {
			continue
		}
		if why := t.unusable(v); why != "" {
			t.fail("%s: input %d is an array that %s: %w", name, i, why, ErrShape)
			return false
		}
	}
	return true
}

// unusable says why v is not an array on this tape, if so.
func (t *Tape[T]) unusable(v *Var[T]) string {
	if v == nil {
		return "is nil"
	}
	if v.tape != t {
		return "is not on this tape, or was made before its reset"
	}
	if n, _ := product(v.shape); n != len(v.root.value) {
		return "has no numbers: it was freed, or its operation failed"
	}
	return ""
}

// Fail records the error of a function made of operations; the tape keeps the
// first. What it returns stands for the result.
func (t *Tape[T]) Fail(err error) *Var[T] {
	if t.err == nil {
		t.err = err
	}
	return t.void()
}

// fail records the tape's first error.
func (t *Tape[T]) fail(format string, args ...any) *Var[T] {
	return t.Fail(fmt.Errorf("nn: "+format, args...))
}

// next returns room for an operation of type O, the same as at the last time if
// the tape does the same again. Its fields have arbitrary values.
func next[O any, P interface {
	*O
	operation[T]
}, T Float](t *Tape[T]) P {
	if t.used < len(t.ops) {
		if o, ok := t.ops[t.used].(P); ok {
			t.used++
			return o
		}
	}
	o := P(new(O))
	t.ops = append(t.ops[:t.used], o)
	t.used++
	return o
}

// result gives the operation its inputs and a result of the given shape, whose
// values are arbitrary. Derivatives may read the inputs, but not the result unless
// it is marked as kept.
func (t *Tape[T]) result(b *base[T], shape []int, inputs ...*Var[T]) *Var[T] {
	for _, v := range inputs {
		if v != nil {
			v.root.kept = true
		}
	}
	return t.linearResult(b, shape, inputs...)
}

// linearResult is result for operations that are linear in their inputs together:
// derivatives do not read them.
func (t *Tape[T]) linearResult(b *base[T], shape []int, inputs ...*Var[T]) *Var[T] {
	y := t.name(shape)
	b.in = [maxInputs]*Var[T]{}
	copy(b.in[:], inputs)
	for _, v := range inputs {
		y.wants = y.wants || v.wanted()
	}
	n, _ := product(shape)
	y.value = t.pool.get(n)
	b.y = y
	return y
}

// shape returns the sides in the tape's room, for result to copy.
func (t *Tape[T]) shape(front []int, back ...int) []int {
	t.dims = append(append(t.dims[:0], front...), back...)
	return t.dims
}

// save returns n numbers that stay with the operation.
func (t *Tape[T]) save(b *base[T], i, n int) []T {
	b.saved[i] = t.pool.get(n)
	return b.saved[i]
}

// done lets go of what an operation has saved for derivatives, if none will be
// asked for.
func (t *Tape[T]) done(b *base[T]) {
	if t.Inference {
		t.release(b)
	}
}

// release lets go of what an operation has saved.
func (t *Tape[T]) release(b *base[T]) {
	for i, x := range b.saved {
		t.pool.put(x)
		b.saved[i] = nil
	}
}

// product returns the number of elements of a shape, and false where it has a
// negative side or is beyond the memory of any machine.
func product(shape []int) (int, bool) {
	n := 1
	for _, side := range shape {
		if side < 0 || side > 0 && n > maxLen/side {
			return 0, false
		}
		n *= side
	}
	return n, true
}

const maxLen = 1 << 40

// rows cuts a shape into its first axis and the product of the others, 0 and 0
// if it has none.
func rows(shape []int) (n, size int) {
	if len(shape) == 0 {
		return 0, 0
	}
	size, _ = product(shape[1:])
	return shape[0], size
}
