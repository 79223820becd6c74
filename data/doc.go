// Package data reads sets of images and holds the embedded mixture of digits.
//
// A set is n images of equal size as a gorgonia.org/tensor Dense array,
// n×channels×height×width, pixels in [-1, 1] where the source had bytes. The
// elements are float64, as states are, so [Set.Values] is a view and an image
// is a state without conversion; a network converts a batch to float32 when it
// takes one.
//
// Readers are strict: a file that is truncated, oversized or inconsistent is
// refused, and no claim in a header makes them allocate more than the file
// could hold.
//
// References:
//
//	[lecun1998]   LeCun, Cortes, Burges. The MNIST database of handwritten digits.
//	              1998.
//	[tipping1999] Tipping, Bishop. Mixtures of probabilistic principal component
//	              analysers. Neural Computation 11(2), 1999.
package data
