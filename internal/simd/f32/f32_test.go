package f32

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
)

// normals returns n normal draws, the same for the same n.
func normals(n int) []float32 {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// sameBits reports whether x and y are equal bit for bit, NaN and −0 included.
func sameBits(x, y []float32) bool {
	return slices.EqualFunc(x, y, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })
}

// withProcs runs f with GOMAXPROCS set to procs.
func withProcs(procs int, f func()) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	f()
}

// allocs returns the allocations of f a call in the steady state, with workers
// running ([testing.AllocsPerRun] would allow one processor only). The least of
// several batches counts, for the runtime itself allocates now and then.
func allocs(f func()) float64 {
	const batches, runs = 10, 5
	least := math.Inf(1)
	withProcs(3, func() {
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

// panics reports whether f panics.
func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}
