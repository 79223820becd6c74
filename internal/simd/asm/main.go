// Command asm writes the AVX2 kernels of package simd; see the go:generate
// line there. Every function beside main emits one kernel.
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
	exp()
	lin()
	finite()
	reductions()
	fmas()
	Generate()
}

// broadcast fills a vector with the float64 argument called name.
func broadcast(name string) VecVirtual {
	arg, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	v := YMM()
	VBROADCASTSD(arg.Addr, v)
	return v
}

// zero returns a cleared vector.
func zero() VecVirtual {
	v := YMM()
	VXORPD(v, v, v)
	return v
}

// lanes is the size of a vector, in values; size is that of a value, in bytes.
const (
	lanes = 4
	size  = 8
)

var tailMasks *Mem

// tailMask returns a mask of the first n lanes, 0 ≤ n ≤ 4. It overwrites n.
func tailMask(n Register) VecVirtual {
	if tailMasks == nil {
		m := GLOBL("tailMasks", RODATA|NOPTR)
		for i := range 2 * lanes {
			mask := U64(0)
			if i < lanes {
				mask--
			}
			DATA(i*size, mask)
		}
		tailMasks = &m
	}
	table, mask := Mem{Base: GP64()}, YMM()
	LEAQ(*tailMasks, table.Base)
	NEGQ(n)
	VMOVUPD(table.Offset(lanes*size).Idx(n, size), mask)
	return mask
}
