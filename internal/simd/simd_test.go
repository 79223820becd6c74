package simd

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
)

// normals returns n normal draws, the same for the same n.
func normals(n int) []float64 {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}

// sameBits reports whether x and y are equal bit for bit, NaN and −0 included.
func sameBits(x, y []float64) bool {
	return slices.EqualFunc(x, y, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })
}

// withProcs runs f with GOMAXPROCS set to procs.
func withProcs(procs int, f func()) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	f()
}

// allocs returns the allocations of f a call, after the first calls, with the
// workers running ([testing.AllocsPerRun] would allow one processor only).
func allocs(f func()) float64 {
	const runs = 100
	var before, after runtime.MemStats
	withProcs(3, func() {
		for range 10 {
			f()
		}
		runtime.ReadMemStats(&before)
		for range runs {
			f()
		}
		runtime.ReadMemStats(&after)
	})
	return float64(after.Mallocs-before.Mallocs) / runs
}

// panics reports whether f panics.
func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}
