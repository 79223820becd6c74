// Package f32 holds the float32 kernels of networks: the matrix product, the
// convolution of images with both of its gradients, elementwise arithmetic and
// activations, broadcasts and sums over pixels, softmax and normalisations.
//
// On amd64 with AVX2 and FMA, found at run time, the inner loops are assembly;
// elsewhere, or with the build tag purego, they are Go. The two agree to
// rounding, not to the bit, since the assembly fuses products with sums. On one
// machine every result is the same bits whatever GOMAXPROCS is.
//
// Matrices are row-major, images channels-last: see [Conv]. The functions are for
// inner loops: they panic on slices that are too short, and they allocate nothing
// once their work space exists.
//
// A convolution goes one of three ways, chosen by its shape without the rows:
// filters of 3×3 with stride 1 by Winograd's tiles of 4×4 pixels, which take a
// quarter of the products and leave 2 to 2.5 times the rounding error of sums;
// those from or into a few channels by one pass over the image of many; all
// others as sums in register tiles.
package f32

//go:generate go run ./asm -out kernels_amd64.s -stubs kernels_amd64.go -pkg f32
