// Package simdtest has what tests of kernels share, in float32 and float64.
package simdtest

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
)

// Float are the numbers that kernels take.
type Float interface{ float32 | float64 }

// Normals returns n normal draws, the same for the same n.
func Normals[T Float](n int) []T {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	x := make([]T, n)
	for i := range x {
		x[i] = T(r.NormFloat64())
	}
	return x
}

// SameBits reports whether x and y are equal bit for bit, NaN and −0 included.
func SameBits[T Float](x, y []T) bool {
	return slices.EqualFunc(x, y, func(a, b T) bool { return bits(a) == bits(b) })
}

func bits[T Float](v T) uint64 {
	if v, ok := any(v).(float32); ok {
		return uint64(math.Float32bits(v))
	}
	return math.Float64bits(float64(v))
}

// WithProcs runs f with GOMAXPROCS set to procs.
func WithProcs(procs int, f func()) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	f()
}

// Allocs returns the allocations of f a call in the steady state, with workers
// running ([testing.AllocsPerRun] would allow one processor only). The least of
// several batches counts, for the runtime itself allocates now and then.
func Allocs(f func()) float64 {
	const batches, runs = 10, 5
	least := math.Inf(1)
	WithProcs(3, func() {
		for range batches {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				f()
			}
			runtime.ReadMemStats(&after)
			least = min(least, float64(after.Mallocs-before.Mallocs)/runs)
		}
	})
	return least
}

// Panics reports whether f panics.
func Panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}
