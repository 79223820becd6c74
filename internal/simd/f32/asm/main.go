// Command asm writes the AVX2 kernels of package f32; see the go:generate
// line there. Every function beside main emits one kernel.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	tables()
	tile()
	dots()
	packRows8()
	elementwises()
	largest()
	moments()
	Generate()
}

// kernel begins a function that keeps none of its pointers.
func kernel(name, signature, doc string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc)
}

// lanes is the size of a vector, in values; size is that of a value, in bytes.
const (
	lanes = 8
	size  = 4
)

// pointer loads the pointer argument called name.
func pointer(name string) Mem { return Mem{Base: Load(Param(name), GP64())} }

// integer loads the int argument called name.
func integer(name string) Register { return Load(Param(name), GP64()) }

// broadcast fills a vector with the float32 argument called name.
func broadcast(name string) VecVirtual {
	arg, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	v := YMM()
	VBROADCASTSS(arg.Addr, v)
	return v
}

// zero returns a cleared vector.
func zero() VecVirtual {
	v := YMM()
	VXORPS(v, v, v)
	return v
}

// vectors returns n vector registers.
func vectors(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = YMM()
	}
	return v
}

// done ends a kernel.
func done() {
	VZEROUPPER()
	RET()
}
