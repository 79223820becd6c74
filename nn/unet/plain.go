package unet

import "snrlab/nn"

// Hooked is a network asked for labels alone, with the same hooks at every call:
// the form that [snrlab/nn/denoise] takes.
type Hooked[T nn.Float] struct {
	Net   *Net[T]
	Hooks Hooks[T]
}

// Apply computes the network on images x at times. Labels are for networks with
// num_class_embeds, nil for others.
func (h Hooked[T]) Apply(t *nn.Tape[T], x, times *nn.Var[T], labels []int) *nn.Var[T] {
	return h.Net.Apply(t, x, times, Extra[T]{Labels: labels, Hooks: h.Hooks})
}
