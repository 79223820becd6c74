package unet

import "snrlab/nn"

// ApplyFeatures is Apply with the features of times given.
func (n *Net[T]) ApplyFeatures(t *nn.Tape[T], x, times, features *nn.Var[T], e Extra[T]) *nn.Var[T] {
	return n.apply(t, x, times, features, e)
}
