package f32

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"snrlab/internal/par"
	"snrlab/internal/simd"
)

// peak is the machine's limit: float32 vectors hold twice as many values as
// float64 vectors, and the processor does as many operations on them.
func peak() float64 {
	procs := runtime.GOMAXPROCS(0)
	if peaks[procs] == 0 {
		peaks[procs] = 2 * simd.PeakGFLOPS(procs)
	}
	return peaks[procs]
}

var peaks = map[int]float64{}

// reportFlops measures f, which does that many floating-point operations, in
// the whole and by its best call: that is how the limit is measured, and other
// load on the machine matters little to it.
func reportFlops(b *testing.B, flops float64, f func()) {
	limit := peak()
	best := time.Duration(math.MaxInt64)
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		f()
		best = min(best, time.Since(start))
	}
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	rate := flops / best.Seconds() / 1e9
	b.ReportMetric(rate, "GFLOP/s-best")
	b.ReportMetric(100*rate/limit, "%-of-limit-best")
}

// BenchmarkGemm measures squares, and the products of linear layers and of
// attention over 256 and 64 places.
func BenchmarkGemm(b *testing.B) {
	for _, c := range []struct {
		m, n, k        int
		transA, transB bool
	}{
		{1024, 1024, 1024, false, false},
		{1024, 1024, 1024, true, false},
		{1024, 1024, 1024, false, true},
		{1024, 1024, 1024, true, true},
		{256, 256, 64, false, true},
		{256, 64, 256, false, false},
		{64, 64, 64, false, true},
		{64, 512, 128, false, true},
		{33, 31, 29, false, false},
		{1, 512, 128, false, true},
	} {
		g := newGemmCase(c.transA, c.transB, c.m, c.n, c.k, 0)
		b.Run(fmt.Sprintf("%dx%dx%d/%t-%t", c.m, c.n, c.k, c.transA, c.transB), func(b *testing.B) {
			reportFlops(b, 2*float64(c.m)*float64(c.n)*float64(c.k), func() {
				Gemm(c.transA, c.transB, c.m, c.n, c.k, 1, g.a, g.lda, g.b, g.ldb, 0, g.c, g.ldc)
			})
		})
	}
}

// reportBytes measures f, which moves that many bytes to and from its arrays, in
// the whole and by its best call, beside a copy that moves as many.
func reportBytes(b *testing.B, bytes int, f func()) {
	limit := copyRate(bytes)
	best := time.Duration(math.MaxInt64)
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		f()
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64(bytes)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
	rate := float64(bytes) / best.Seconds() / 1e9
	b.ReportMetric(rate, "GB/s-best")
	b.ReportMetric(100*rate/limit, "%-of-copy-best")
}

// copyRate returns the rate, in GB/s, of a copy on all processors that moves that
// many bytes: the best of some calls.
func copyRate(bytes int) float64 {
	key := [2]int{bytes, runtime.GOMAXPROCS(0)}
	if copies[key] == 0 {
		x, y := make([]float32, bytes/8), make([]float32, bytes/8)
		for i := range x {
			x[i], y[i] = 1, 2 // the memory exists from now on
		}
		for start, calls := time.Now(), 0; calls < 4 || time.Since(start) < 10*time.Millisecond; calls++ {
			now := time.Now()
			par.Rows(len(x), moveGrain, func(lo, hi int) { copy(y[lo:hi], x[lo:hi]) })
			copies[key] = max(copies[key], float64(bytes)/time.Since(now).Seconds()/1e9)
		}
	}
	return copies[key]
}

var copies = map[[2]int]float64{}
