// Command asm writes the AVX2 kernels of package f32; see the go:generate
// line there. Every function beside main emits one kernel.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	tables()
	tile()
	patches()
	packRows8()
	functions()
	largest()
	moments()
	sums()
	winograd()
	optimise()
	Generate()
}

// lanes is the size of a vector, in values; size is that of a value, in bytes.
const (
	lanes = 8
	size  = 4
)

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
