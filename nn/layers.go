package nn

// A Linear layer is y = x Wᵀ + b over the last axis.
type Linear[T Float] struct {
	Weight *Param[T] // [out, in]
	Bias   *Param[T] // [out], or nil
}

// NewLinear makes the layer's parameters, weight and bias, with torch's first
// values.
func NewLinear[T Float](s Scope[T], in, out int, bias bool) Linear[T] {
	l := Linear[T]{Weight: s.Param("weight", UniformFanIn(in), out, in)}
	if bias {
		l.Bias = s.Param("bias", UniformFanIn(in), out)
	}
	return l
}

// Apply computes the layer on x [rows, …, in].
func (l Linear[T]) Apply(t *Tape[T], x *Var[T]) *Var[T] {
	return t.Linear(x, t.Param(l.Weight), t.optional(l.Bias))
}

// A Conv layer is the convolution of channels-last images with a filter.
type Conv[T Float] struct {
	Weight *Param[T] // [out, in, height, width] in torch's order
	Bias   *Param[T] // [out], or nil
	Stride int
	Pad    Padding
}

// NewConv makes the parameters, weight and bias, of a convolution with a square
// filter, with torch's first values.
func NewConv[T Float](s Scope[T], in, out, side, stride int, pad Padding) Conv[T] {
	fanIn := in * side * side
	return Conv[T]{
		Weight: s.Param("weight", UniformFanIn(fanIn), out, in, side, side),
		Bias:   s.Param("bias", UniformFanIn(fanIn), out),
		Stride: stride, Pad: pad,
	}
}

// Apply computes the layer on x [rows, height, width, in].
func (l Conv[T]) Apply(t *Tape[T], x *Var[T]) *Var[T] {
	return l.ApplyAdd(t, x, nil)
}

// ApplyAdd is Apply plus more, as in [Tape.ConvAdd].
func (l Conv[T]) ApplyAdd(t *Tape[T], x, more *Var[T]) *Var[T] {
	return t.ConvAdd(x, t.Param(l.Weight), t.optional(l.Bias), more, l.Stride, l.Pad)
}

// A GroupNorm layer normalises over groups of channels.
type GroupNorm[T Float] struct {
	Weight, Bias *Param[T] // γ and β, [channels]
	Groups       int
	Epsilon      float64
}

// NewGroupNorm makes the parameters, weight one and bias zero.
func NewGroupNorm[T Float](s Scope[T], channels, groups int, epsilon float64) GroupNorm[T] {
	return GroupNorm[T]{s.Param("weight", Ones, channels), s.Param("bias", Zeros, channels), groups, epsilon}
}

// Apply computes the layer on x [rows, …, channels].
func (l GroupNorm[T]) Apply(t *Tape[T], x *Var[T]) *Var[T] {
	return t.GroupNorm(x, t.Param(l.Weight), t.Param(l.Bias), l.Groups, l.Epsilon)
}

// ApplySiLU computes SiLU of the layer in one pass.
func (l GroupNorm[T]) ApplySiLU(t *Tape[T], x *Var[T]) *Var[T] {
	return t.GroupNormSiLU(x, t.Param(l.Weight), t.Param(l.Bias), l.Groups, l.Epsilon)
}

// optional is Param, or nil for nil.
func (t *Tape[T]) optional(p *Param[T]) *Var[T] {
	if p == nil {
		return nil
	}
	return t.Param(p)
}
