package models

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"snrlab/internal/simd"
	"snrlab/rng"
	"snrlab/schedules"
)

// digits is a stand-in for the digit mixture: 100 components in 784
// dimensions whose means differ little enough for all to matter at high noise.
func digits(tb testing.TB, rank int) *Mixture {
	const k, dim = 100, 784
	r := rand.New(rand.NewPCG(1, 2))
	c := Components{Shape: []int{1, 28, 28}, Weights: make([]float64, k), Means: make([]float64, k*dim), Residual: make([]float64, k)}
	c.Labels = make([]int, k)
	for i := range k {
		c.Weights[i], c.Residual[i], c.Labels[i] = 1+r.Float64(), 0.03+0.04*r.Float64(), i/10
	}
	for i := range c.Means {
		c.Means[i] = 0.5 * r.NormFloat64()
	}
	if rank > 0 {
		c.Loadings = make([]float64, k*rank*dim)
		for i := range c.Loadings {
			c.Loadings[i] = 0.1 * r.NormFloat64()
		}
	}
	m, err := NewMixture(c)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// BenchmarkMixture_Denoise reports the speed of the exact denoiser in 784
// dimensions beside the limit of fused multiply-adds on as many processors. It
// counts the two matrix products, and the second only for rows where it is done.
func BenchmarkMixture_Denoise(b *testing.B) {
	limit := simd.PeakGFLOPS(runtime.GOMAXPROCS(0))
	for _, c := range []struct {
		name string
		rank int
	}{{"isotropic", 0}, {"lowrank16", 16}} {
		m := digits(b, c.rank)
		for _, rows := range []int{1, 4, 64, 256} {
			for _, sigma := range []float64{10, 0.1} {
				b.Run(fmt.Sprintf("%s/rows=%d/sigma=%g", c.name, rows, sigma), func(b *testing.B) {
					at := schedules.Level{Alpha: 1, Sigma: sigma}
					keys := make([]rng.Key, rows)
					for i := range keys {
						keys[i] = rng.New(uint64(i))
					}
					x, dst := make([]float64, rows*784), make([]float64, rows*784)
					if err := m.Sample(x, at, nil, keys); err != nil {
						b.Fatal(err)
					}
					q := Query{X: x, Rows: rows, At: []schedules.Level{at}}
					ctx := context.Background()
					if err := m.Denoise(ctx, dst, q); err != nil {
						b.Fatal(err)
					}
					b.ReportAllocs()
					for b.Loop() {
						_ = m.Denoise(ctx, dst, q)
					}
					products := 4.0
					if sigma < 1 {
						products = 2 // one component matters: the second product is not done
					}
					gflops := products * float64(rows) * 100 * float64(c.rank+1) * 784 * float64(b.N) / b.Elapsed().Seconds() / 1e9
					b.ReportMetric(gflops, "GFLOP/s")
					b.ReportMetric(100*gflops/limit, "%limit")
				})
			}
		}
	}
}

// BenchmarkGM2D is the plane, where overhead is all there is.
func BenchmarkGM2D(b *testing.B) {
	m := GM2D()
	for _, rows := range []int{1, 256} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			x, dst := make([]float64, rows*2), make([]float64, rows*2)
			for i := range x {
				x[i] = float64(i%7) * 0.1
			}
			q := Query{X: x, Rows: rows, At: []schedules.Level{{Alpha: 1, Sigma: 0.5}}}
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				_ = m.Denoise(ctx, dst, q)
			}
		})
	}
}

// BenchmarkPointSet is the optimal denoiser of as many images as MNIST's test
// set has.
func BenchmarkPointSet(b *testing.B) {
	const n, dim, rows = 10000, 784, 64
	r := rand.New(rand.NewPCG(1, 2))
	pts := make([]float64, n*dim)
	for i := range pts {
		pts[i] = r.NormFloat64()
	}
	m, err := NewPointSet([]int{1, 28, 28}, pts, nil)
	if err != nil {
		b.Fatal(err)
	}
	limit := simd.PeakGFLOPS(runtime.GOMAXPROCS(0))
	for _, sigma := range []float64{80, 0.1} {
		b.Run(fmt.Sprintf("sigma=%g", sigma), func(b *testing.B) {
			x, dst := make([]float64, rows*dim), make([]float64, rows*dim)
			for i := range x {
				x[i] = pts[i] + sigma*r.NormFloat64()
			}
			q := Query{X: x, Rows: rows, At: []schedules.Level{{Alpha: 1, Sigma: sigma}}}
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				_ = m.Denoise(ctx, dst, q)
			}
			products := 4.0
			if sigma < 1 {
				products = 2
			}
			gflops := products * rows * n * dim * float64(b.N) / b.Elapsed().Seconds() / 1e9
			b.ReportMetric(gflops, "GFLOP/s")
			b.ReportMetric(100*gflops/limit, "%limit")
		})
	}
}
