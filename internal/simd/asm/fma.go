package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"snrlab/internal/simd/emit"
)

// fmas emits independent FMAs between registers: 12 chains, where two units of
// latency 4 need 8.
func fmas() {
	const chains = 12
	emit.Kernel("fmasAVX2", "func(n int)",
		"fmasAVX2 does n times 12 vector FMAs, 96 floating-point operations.")
	n := emit.Integer("n")
	acc := make([]VecVirtual, chains)
	for i := range acc {
		acc[i] = zero()
	}
	x := zero()
	Label("loop")
	for i := range acc {
		VFMADD231PD(x, x, acc[i])
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	emit.Done()
}
