// Command asm writes the AVX2 kernels of package simd; see the go:generate
// line there. Every function below emits one kernel, named as its Go stub.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	hasAVX2()
	gemmTiles()
	packRows4()
	Generate()
}

// pointer loads the pointer argument called name.
func pointer(name string) Mem { return Mem{Base: Load(Param(name), GP64())} }

// integer loads the int argument called name.
func integer(name string) Register { return Load(Param(name), GP64()) }

// zeros returns n cleared vector registers.
func zeros(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = YMM()
		VXORPD(v[i], v[i], v[i])
	}
	return v
}
