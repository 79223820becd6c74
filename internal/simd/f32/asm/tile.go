package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"

	"snrlab/internal/simd/emit"
)

// As in package f32.
const (
	mr = 6  // rows of a register tile
	nr = 16 // columns of a register tile: two vectors
	// The fields of a segment, in bytes; its rows come first.
	segmentB, segmentN, segmentSize = 48, 56, 64
)

// tile emits the kernel of all products: up to 12 accumulators, an element of A
// broadcast against two vectors of B at a time, 12 FMAs for 8 loads. Every
// element of C sees one FMA for each p, in order, whatever tile it lies in.
func tile() {
	emit.Kernel("tileAVX2", "func(rows int, segs *[8]int64, count, off, sa int, b *float32, sb int, c *float32, ldc int, d *float32, ldd int, alpha, beta float32)",
		"tileAVX2 is tile with AVX2 and FMA.")
	rows := emit.Integer("rows")
	for r := 1; r < mr; r++ {
		CMPQ(rows, U8(r))
		JEQ(LabelRef(fmt.Sprintf("rows%d", r)))
	}
	for r := mr; r > 0; r-- {
		Label(fmt.Sprintf("rows%d", r))
		tileRows(r)
	}
}

// tileRows emits the kernel for a tile of that many rows.
func tileRows(rows int) {
	label := func(name string) string { return fmt.Sprintf("%s%d", name, rows) }
	acc := emit.Vectors(2 * rows)
	for _, v := range acc {
		VXORPS(v, v, v)
	}
	prefetch, stride := emit.Pointer("c"), emit.Integer("ldc")
	for i := range rows {
		PREFETCHT0(prefetch)
		PREFETCHT0(prefetch.Offset(nr*size - 1))
		if i < rows-1 {
			LEAQ(prefetch.Idx(stride, size), prefetch.Base)
		}
	}
	segs, count := emit.Pointer("segs"), emit.Integer("count")
	sa, sb := emit.Integer("sa"), emit.Integer("sb")
	SHLQ(U8(2), sa) // bytes from here on
	SHLQ(U8(2), sb)
	a := make([]Mem, rows)
	for i := range a {
		a[i] = Mem{Base: GP64()}
	}
	at, b, n := GP64(), Mem{Base: GP64()}, GP64()
	TESTQ(count, count)
	JZ(LabelRef(label("store")))

	Label(label("segment"))
	for i := range a {
		MOVQ(segs.Offset(8*i), a[i].Base)
	}
	Load(Param("off"), at)
	SHLQ(U8(2), at)
	MOVQ(segs.Offset(segmentB), b.Base)
	SHLQ(U8(2), b.Base)
	Load(Param("b"), n)
	ADDQ(n, b.Base)
	MOVQ(segs.Offset(segmentN), n)
	Label(label("p"))
	bv, av := emit.Vectors(2), YMM()
	for j := range bv {
		VMOVUPS(b.Offset(j*lanes*size), bv[j])
	}
	for i := range rows {
		VBROADCASTSS(a[i].Idx(at, 1), av)
		for j := range bv {
			VFMADD231PS(av, bv[j], acc[2*i+j])
		}
	}
	ADDQ(sa, at)
	ADDQ(sb, b.Base)
	DECQ(n)
	JNZ(LabelRef(label("p")))
	ADDQ(U8(segmentSize), segs.Base)
	DECQ(count)
	JNZ(LabelRef(label("segment")))

	Label(label("store"))
	c, d := emit.Pointer("c"), emit.Pointer("d")
	ldc, ldd := emit.Integer("ldc"), emit.Integer("ldd")
	alpha, beta := broadcast("alpha"), broadcast("beta")
	t := zero()
	VUCOMISS(t.AsX(), beta.AsX())
	JNE(LabelRef(label("update")))
	JP(LabelRef(label("update"))) // β is NaN
	for i := range rows {
		for j := range 2 {
			VMULPS(alpha, acc[2*i+j], acc[2*i+j])
			VMOVUPS(acc[2*i+j], c.Offset(j*lanes*size))
		}
		LEAQ(c.Idx(ldc, size), c.Base)
	}
	emit.Done()
	Label(label("update"))
	for i := range rows {
		for j := range 2 {
			VMULPS(d.Offset(j*lanes*size), beta, t)
			VFMADD231PS(alpha, acc[2*i+j], t)
			VMOVUPS(t, c.Offset(j*lanes*size))
		}
		LEAQ(c.Idx(ldc, size), c.Base)
		LEAQ(d.Idx(ldd, size), d.Base)
	}
	emit.Done()
}

// patches emits the products of patches with a panel: the terms of a patch lie
// at distances that are the same for all.
func patches() {
	emit.Kernel("patchesAVX2", "func(c *float32, ldc int, a *float32, step int, offsets *int, k int, b *float32, n int, d *float32, ldd int, beta float32)",
		"patchesAVX2 is patches with AVX2 and FMA.")
	c, a, n := emit.Pointer("c"), emit.Pointer("a"), emit.Integer("n")
	step, offsets := emit.Integer("step"), emit.Pointer("offsets")
	d := emit.Pointer("d")
	SHLQ(U8(2), step)
	low, high := Mem{Base: GP64()}, Mem{Base: GP64()}
	b, k, ld := Mem{Base: GP64()}, GP64(), GP64()
	Label("tile")
	for r := 1; r < mr; r++ {
		CMPQ(n, U8(r))
		JEQ(LabelRef(fmt.Sprintf("patches%d", r)))
	}
	for r := mr; r > 0; r-- {
		label := func(name string) string { return fmt.Sprintf("%s%d", name, r) }
		Label(label("patches"))
		acc := emit.Vectors(2 * r)
		for _, v := range acc {
			VXORPS(v, v, v)
		}
		Load(Param("b"), b.Base)
		XORQ(k, k)
		Label(label("p"))
		MOVQ(offsets.Idx(k, 8), low.Base)
		LEAQ(a.Idx(low.Base, size), low.Base)
		if r > 3 {
			LEAQ(low.Idx(step, 2), high.Base)
			ADDQ(step, high.Base)
		}
		bv, av := emit.Vectors(2), YMM()
		for j := range bv {
			VMOVUPS(b.Offset(j*lanes*size), bv[j])
		}
		for i := range r {
			base := low
			if i >= 3 {
				base = high
			}
			if i%3 == 0 {
				VBROADCASTSS(base, av)
			} else {
				VBROADCASTSS(base.Idx(step, uint8(i%3)), av)
			}
			for j := range bv {
				VFMADD231PS(av, bv[j], acc[2*i+j])
			}
		}
		ADDQ(U8(nr*size), b.Base)
		INCQ(k)
		count, err := Param("k").Resolve()
		if err != nil {
			panic(err)
		}
		CMPQ(k, count.Addr)
		JLT(LabelRef(label("p")))
		beta, t := broadcast("beta"), zero()
		VUCOMISS(t.AsX(), beta.AsX())
		JNE(LabelRef(label("update")))
		JNP(LabelRef(label("store")))
		Label(label("update"))
		Load(Param("ldd"), ld)
		for i := range r {
			for j := range 2 {
				VFMADD231PS(d.Offset(j*lanes*size), beta, acc[2*i+j])
			}
			LEAQ(d.Idx(ld, size), d.Base)
		}
		Label(label("store"))
		Load(Param("ldc"), ld)
		for i := range r {
			for j := range 2 {
				VMOVUPS(acc[2*i+j], c.Offset(j*lanes*size))
			}
			LEAQ(c.Idx(ld, size), c.Base)
		}
		if r == mr {
			SUBQ(U8(mr), n)
			JZ(LabelRef("done"))
			LEAQ(a.Idx(step, 4), a.Base)
			LEAQ(a.Idx(step, 2), a.Base)
			JMP(LabelRef("tile"))
			continue
		}
		emit.Done()
	}
	Label("done")
	emit.Done()
}

// packRows8 emits the transposition of eight rows into a packed panel.
func packRows8() {
	emit.Kernel("packRows8AVX2", "func(dst *float32, stride int, src *float32, ld, k int)",
		"packRows8AVX2 is packRows8 with AVX2.")
	dst, src := emit.Pointer("dst"), emit.Pointer("src")
	stride, ld, k := emit.Integer("stride"), emit.Integer("ld"), emit.Integer("k")
	SHLQ(U8(2), stride)
	SHLQ(U8(2), ld)
	ld3 := GP64()
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	high := Mem{Base: GP64()} // row 4
	LEAQ(src.Idx(ld, 4), high.Base)
	row := func(i int) Mem {
		base := src
		if i >= 4 {
			base = high
		}
		switch i % 4 {
		case 0:
			return base
		case 3:
			return base.Idx(ld3, 1)
		}
		return base.Idx(ld, uint8(i%4))
	}
	SUBQ(U8(lanes), k)
	JL(LabelRef("rest"))
	Label("eight")
	// Rows to columns: interleave pairs, then pairs of pairs, then exchange halves.
	r, s := emit.Vectors(8), emit.Vectors(8)
	for i := range r {
		VMOVUPS(row(i), r[i])
	}
	for i := 0; i < 8; i += 2 {
		VUNPCKLPS(r[i+1], r[i], s[i])
		VUNPCKHPS(r[i+1], r[i], s[i+1])
	}
	for i := 0; i < 8; i += 4 {
		VSHUFPS(U8(0x44), s[i+2], s[i], r[i])
		VSHUFPS(U8(0xee), s[i+2], s[i], r[i+1])
		VSHUFPS(U8(0x44), s[i+3], s[i+1], r[i+2])
		VSHUFPS(U8(0xee), s[i+3], s[i+1], r[i+3])
	}
	for i, half := range []uint8{0x20, 0x31} {
		for j := range 4 {
			VPERM2F128(U8(half), r[j+4], r[j], s[4*i+j])
		}
	}
	for i := range s {
		VMOVUPS(s[i], dst)
		ADDQ(stride, dst.Base)
	}
	ADDQ(U8(lanes*size), src.Base)
	ADDQ(U8(lanes*size), high.Base)
	SUBQ(U8(lanes), k)
	JGE(LabelRef("eight"))
	Label("rest")
	ADDQ(U8(lanes), k)
	JZ(LabelRef("done"))
	Label("one")
	x := XMM()
	for i := range 8 {
		VMOVSS(row(i), x)
		VMOVSS(x, dst.Offset(size*i))
	}
	ADDQ(U8(size), src.Base)
	ADDQ(U8(size), high.Base)
	ADDQ(stride, dst.Base)
	DECQ(k)
	JNZ(LabelRef("one"))
	Label("done")
	emit.Done()
}
