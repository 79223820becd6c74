// Package simd holds the float64 kernels that snrlab's time is spent in: the
// matrix product, exponentials, linear combinations and sums.
//
// On amd64 with AVX2 and FMA, found at run time, the inner loops are assembly;
// elsewhere, or with the build tag purego, they are Go. The two agree to
// rounding, not to the bit, since the assembly fuses products with sums. On one
// machine every result is the same bits whatever GOMAXPROCS is, and an element
// does not depend on where in a slice or matrix it lies.
//
// The functions are for inner loops: they panic on slices that are too short,
// and they allocate nothing once their work space exists.
package simd

// Portable is what [Kernels] says where no assembly runs.
const Portable = "portable code"

//go:generate go run ./asm -out kernels_amd64.s -stubs kernels_amd64.go -pkg simd
