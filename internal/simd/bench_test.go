package simd

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// The machine's limits, measured once for each number of processors.
var (
	peaksMu sync.Mutex
	peaks   = map[int]float64{}
)

func peak() float64 {
	procs := runtime.GOMAXPROCS(0)
	peaksMu.Lock()
	defer peaksMu.Unlock()
	if peaks[procs] == 0 {
		peaks[procs] = PeakGFLOPS(procs)
	}
	return peaks[procs]
}

var copyGBs = sync.OnceValue(CopyGBs)

func BenchmarkLimits(b *testing.B) {
	for b.Loop() {
		peak()
		copyGBs()
	}
	b.ReportMetric(peak(), "GFLOP/s")
	b.ReportMetric(copyGBs(), "GB/s-copy")
}

// BenchmarkGemm measures the shapes of the exact mixture denoiser, rows×1700×784
// against the bases and rows×784×1700 back, and a square one.
func BenchmarkGemm(b *testing.B) {
	for _, c := range []struct {
		m, n, k int
		transB  bool
	}{
		{1024, 1024, 1024, false},
		{256, 1700, 784, true},
		{64, 1700, 784, true},
		{64, 784, 1700, false},
		{16, 1700, 784, true},
		{4, 1700, 784, true},
		{4, 784, 1700, false},
		{1, 1700, 784, true},
	} {
		x, y, z := normals(c.m*c.k), normals(c.k*c.n), make([]float64, c.m*c.n)
		ldb := c.n
		if c.transB {
			ldb = c.k
		}
		packed := PackB(c.transB, c.k, c.n, y, ldb)
		measure := func(name string, f func()) {
			b.Run(fmt.Sprintf("%dx%dx%d/%s", c.m, c.n, c.k, name), func(b *testing.B) {
				limit := peak()
				b.ReportAllocs()
				for b.Loop() {
					f()
				}
				rate := 2 * float64(c.m) * float64(c.n) * float64(c.k) * float64(b.N) / b.Elapsed().Seconds() / 1e9
				b.ReportMetric(rate, "GFLOP/s")
				b.ReportMetric(100*rate/limit, "%peak")
			})
		}
		measure("plain", func() { Gemm(false, c.transB, c.m, c.n, c.k, 1, x, c.k, y, ldb, 0, z, c.n) })
		measure("packed", func() { GemmPacked(false, c.m, 1, x, c.k, packed, 0, z, c.n) })
	}
}

func BenchmarkExp(b *testing.B) {
	x := normals(1 << 12)
	y := make([]float64, len(x))
	b.Run("Exp", func(b *testing.B) {
		b.SetBytes(int64(16 * len(x)))
		for b.Loop() {
			Exp(y, x)
		}
	})
	b.Run("SoftmaxRow", func(b *testing.B) {
		b.SetBytes(int64(16 * len(x)))
		for b.Loop() {
			SoftmaxRow(y, x)
		}
	})
}

// BenchmarkLin times the update of DPM-Solver++(2M), x ← a x + b D + c Dprev with
// its check, on 64 states of 3×256×256, beside the two copies that move the same
// bytes: three read and one written.
func BenchmarkLin(b *testing.B) {
	const n = 64 * 3 * 256 * 256
	coef := []float64{0.9, 0.3, -0.1}
	x, d, prev, y := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		x[i], d[i], prev[i], y[i] = 1, 2, 3, 4
	}
	b.Run("copies", func(b *testing.B) {
		b.SetBytes(4 * 8 * n)
		for b.Loop() {
			copy(y, x)
			copy(prev, d)
		}
	})
	b.Run("2M", func(b *testing.B) {
		b.SetBytes(4 * 8 * n)
		b.ReportAllocs()
		for b.Loop() {
			Lin(y, coef, x, d, prev)
		}
	})
	b.Run("2M-in-place", func(b *testing.B) {
		b.SetBytes(4 * 8 * n)
		b.ReportAllocs()
		for b.Loop() {
			Lin(x, coef, x, d, prev)
		}
	})
	for _, n := range []int{784, 64 * 784} {
		b.Run(fmt.Sprint("2M-", n), func(b *testing.B) {
			b.SetBytes(int64(4 * 8 * n))
			b.ReportAllocs()
			for b.Loop() {
				Lin(y[:n], coef, x[:n], d[:n], prev[:n])
			}
		})
	}
}

func BenchmarkSums(b *testing.B) {
	x, w := normals(1<<12), normals(1<<12)
	b.Run("Dot", func(b *testing.B) {
		b.SetBytes(int64(16 * len(x)))
		for b.Loop() {
			Dot(x, w)
		}
	})
	b.Run("WeightedSumSq", func(b *testing.B) {
		b.SetBytes(int64(16 * len(x)))
		for b.Loop() {
			WeightedSumSq(x, w)
		}
	})
	b.Run("Finite", func(b *testing.B) {
		b.SetBytes(int64(8 * len(x)))
		for b.Loop() {
			Finite(x)
		}
	})
}
