package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"snrlab/internal/simd/emit"
)

// As in package simd.
const (
	mr = 4  // rows of a register tile
	nr = 12 // columns of a register tile: three vectors
)

// gemmTiles emits the inner kernel of the matrix product: 12 accumulators, one
// vector of B broadcast against at a time, 12 FMAs for 7 loads. Every element
// of C sees one FMA for each p, in order, whatever tile it lies in.
func gemmTiles() {
	emit.Kernel("gemmTilesAVX2", "func(tiles, kc int, a, b, c *float64, ldc int, alpha, beta float64)",
		"gemmTilesAVX2 is gemmTiles with AVX2 and FMA.")
	tiles, kc := emit.Integer("tiles"), emit.Integer("kc")
	a, b0, c := emit.Pointer("a"), emit.Pointer("b"), emit.Pointer("c")
	ldc := emit.Integer("ldc")
	SHLQ(U8(3), ldc) // bytes from here on

	b := Mem{Base: GP64()}
	p := GP64()
	acc := make([]VecVirtual, mr*nr/4)
	for i := range acc {
		acc[i] = YMM()
	}
	bv := []VecVirtual{YMM(), YMM(), YMM()}
	av := YMM()

	step := func(u int) {
		for j := range bv {
			VMOVUPD(b.Offset(u*nr*8+j*32), bv[j])
		}
		for i := range mr {
			VBROADCASTSD(a.Offset((u*mr+i)*8), av)
			for j := range bv {
				VFMADD231PD(av, bv[j], acc[i*3+j])
			}
		}
	}
	const unroll = 4

	Label("tile")
	TESTQ(tiles, tiles)
	JZ(LabelRef("done"))
	MOVQ(b0.Base, b.Base)
	for i := range acc {
		VXORPD(acc[i], acc[i], acc[i])
	}
	row := GP64()
	MOVQ(c.Base, row)
	for i := range mr {
		PREFETCHT0(Mem{Base: row})
		PREFETCHT0(Mem{Base: row, Disp: nr*8 - 1})
		if i < mr-1 {
			ADDQ(ldc, row)
		}
	}
	MOVQ(kc, p)
	SUBQ(U8(unroll), p)
	JL(LabelRef("rest"))
	Label("four")
	for u := range unroll {
		PREFETCHT0(b.Offset(4096 + u*nr*8))
		step(u)
	}
	ADDQ(U32(unroll*mr*8), a.Base)
	ADDQ(U32(unroll*nr*8), b.Base)
	SUBQ(U8(unroll), p)
	JGE(LabelRef("four"))
	Label("rest")
	ADDQ(U8(unroll), p)
	JZ(LabelRef("store"))
	Label("one")
	step(0)
	ADDQ(U32(mr*8), a.Base)
	ADDQ(U32(nr*8), b.Base)
	DECQ(p)
	JNZ(LabelRef("one"))

	Label("store")
	alpha, beta := broadcast("alpha"), broadcast("beta")
	VXORPD(av, av, av)
	VUCOMISD(av.AsX(), beta.AsX())
	JNE(LabelRef("update"))
	JP(LabelRef("update")) // β is NaN
	for i := range mr {
		for j := range 3 {
			VMULPD(alpha, acc[i*3+j], acc[i*3+j])
			VMOVUPD(acc[i*3+j], c.Offset(j*32))
		}
		ADDQ(ldc, c.Base)
	}
	DECQ(tiles)
	JMP(LabelRef("tile"))
	Label("update")
	for i := range mr {
		for j := range 3 {
			VMULPD(c.Offset(j*32), beta, av)
			VFMADD231PD(alpha, acc[i*3+j], av)
			VMOVUPD(av, c.Offset(j*32))
		}
		ADDQ(ldc, c.Base)
	}
	DECQ(tiles)
	JMP(LabelRef("tile"))

	Label("done")
	VZEROUPPER()
	RET()
}

// packRows4 emits the transposition of four rows into a packed panel.
func packRows4() {
	emit.Kernel("packRows4AVX2", "func(dst *float64, stride int, src *float64, ld, k int)",
		"packRows4AVX2 is packRows4 with AVX2.")
	dst, src := emit.Pointer("dst"), emit.Pointer("src")
	stride, ld, k := emit.Integer("stride"), emit.Integer("ld"), emit.Integer("k")
	SHLQ(U8(3), stride)
	SHLQ(U8(3), ld)
	rows := []Mem{src, {Base: GP64()}, {Base: GP64()}, {Base: GP64()}}
	for i := 1; i < 4; i++ {
		MOVQ(rows[i-1].Base, rows[i].Base)
		ADDQ(ld, rows[i].Base)
	}
	SUBQ(U8(4), k)
	JL(LabelRef("rest"))
	Label("four")
	// Rows r0..r3 to columns: interleave pairs, then exchange halves.
	r := [4]VecVirtual{YMM(), YMM(), YMM(), YMM()}
	for i := range r {
		VMOVUPD(rows[i], r[i])
	}
	lo01, hi01, lo23, hi23 := YMM(), YMM(), YMM(), YMM()
	VUNPCKLPD(r[1], r[0], lo01)
	VUNPCKHPD(r[1], r[0], hi01)
	VUNPCKLPD(r[3], r[2], lo23)
	VUNPCKHPD(r[3], r[2], hi23)
	VPERM2F128(U8(0x20), lo23, lo01, r[0])
	VPERM2F128(U8(0x20), hi23, hi01, r[1])
	VPERM2F128(U8(0x31), lo23, lo01, r[2])
	VPERM2F128(U8(0x31), hi23, hi01, r[3])
	for i := range r {
		VMOVUPD(r[i], dst)
		ADDQ(stride, dst.Base)
		ADDQ(U8(32), rows[i].Base)
	}
	SUBQ(U8(4), k)
	JGE(LabelRef("four"))
	Label("rest")
	ADDQ(U8(4), k)
	JZ(LabelRef("done"))
	Label("one")
	x := XMM()
	for i := range rows {
		VMOVSD(rows[i], x)
		VMOVSD(x, dst.Offset(8*i))
		ADDQ(U8(8), rows[i].Base)
	}
	ADDQ(stride, dst.Base)
	DECQ(k)
	JNZ(LabelRef("one"))
	Label("done")
	VZEROUPPER()
	RET()
}
