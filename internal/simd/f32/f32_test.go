package f32

import "snrlab/internal/simd/simdtest"

func normals(n int) []float32 { return simdtest.Normals[float32](n) }

func sameBits(x, y []float32) bool { return simdtest.SameBits(x, y) }

func withProcs(procs int, f func()) { simdtest.WithProcs(procs, f) }

func allocs(f func()) float64 { return simdtest.Allocs(f) }

func panics(f func()) bool { return simdtest.Panics(f) }
