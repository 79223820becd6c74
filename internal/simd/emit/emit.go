// Package emit is what the generators of the AVX2 kernels have in common: the
// frame of a kernel and its arguments, whatever the size of a value.
package emit

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Kernel begins a function that keeps none of its pointers.
func Kernel(name, signature, doc string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc)
}

// Pointer loads the pointer argument called name.
func Pointer(name string) Mem { return Mem{Base: Load(Param(name), GP64())} }

// Integer loads the int argument called name.
func Integer(name string) Register { return Load(Param(name), GP64()) }

// Vectors returns n vector registers.
func Vectors(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = YMM()
	}
	return v
}

// Done ends a kernel.
func Done() {
	VZEROUPPER()
	RET()
}
