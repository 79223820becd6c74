package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// hasAVX2 emits the question whether the processor has AVX2 and FMA and the
// system saves the vector registers.
func hasAVX2() {
	const (
		leaf1 = 1<<12 | 1<<27 | 1<<28 // ECX: FMA, OSXSAVE, AVX
		leaf7 = 1 << 5                // EBX: AVX2
		xcr0  = 1<<1 | 1<<2           // XMM and YMM state
	)
	TEXT("hasAVX2", NOSPLIT, "func() bool")
	Doc("hasAVX2 reports whether the AVX2 kernels can run here.")
	require := func(got Register, bits uint32) {
		ANDL(U32(bits), got)
		CMPL(got, U32(bits))
		JNE(LabelRef("no"))
	}
	cpuid := func(leaf uint32) {
		MOVL(U32(leaf), EAX)
		XORL(ECX, ECX)
		CPUID()
	}
	cpuid(0)
	CMPL(EAX, U32(7))
	JB(LabelRef("no"))
	cpuid(1)
	require(ECX, leaf1)
	cpuid(7)
	require(EBX, leaf7)
	XORL(ECX, ECX)
	XGETBV()
	require(EAX, xcr0)
	MOVB(U8(1), AL)
	Store(AL, ReturnIndex(0))
	RET()
	Label("no")
	XORL(EAX, EAX)
	Store(AL, ReturnIndex(0))
	RET()
}
