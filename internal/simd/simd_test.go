package simd

import "snrlab/internal/simd/simdtest"

func normals(n int) []float64 { return simdtest.Normals[float64](n) }

func sameBits(x, y []float64) bool { return simdtest.SameBits(x, y) }

func withProcs(procs int, f func()) { simdtest.WithProcs(procs, f) }

func allocs(f func()) float64 { return simdtest.Allocs(f) }

func panics(f func()) bool { return simdtest.Panics(f) }
