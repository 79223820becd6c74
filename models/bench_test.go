package models

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"snrlab/internal/simd"
	"snrlab/schedules"
)

// digits is a stand-in for the digit mixture: 100 components in 784
// dimensions whose means differ little enough for all to matter at high noise.
func digits(tb testing.TB, rank int) *Mixture { return mustMixture(tb, digitComponents(rank)) }

func digitComponents(rank int) Components {
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
	return c
}

// BenchmarkMixture_Denoise reports the speed of the exact denoiser in 784
// dimensions beside the limit of fused multiply-adds on as many processors. It
// counts the two matrix products, and the second only for rows where it is done.
func BenchmarkMixture_Denoise(b *testing.B) {
	diagonal := digitComponents(16)
	var spread []float64
	for _, r := range diagonal.Residual {
		for i := range 784 {
			spread = append(spread, r*(0.5+float64(i%7)/7))
		}
	}
	diagonal.Residual = spread
	for _, c := range []struct {
		name     string
		m        *Mixture
		rows     int     // of the stacked matrix, per component
		products float64 // of that size in one answer; 2 flops each
	}{
		{"isotropic", digits(b, 0), 1, 2},
		{"lowrank16", digits(b, 16), 17, 2},
		{"lowrank16+diagonal", mustMixture(b, diagonal), 18, 2},
	} {
		for _, rows := range []int{1, 4, 64, 256} {
			for _, sigma := range []float64{10, 0.1} {
				b.Run(fmt.Sprintf("%s/rows=%d/sigma=%g", c.name, rows, sigma), func(b *testing.B) {
					at := schedules.Level{Alpha: 1, Sigma: sigma}
					x, dst := states(b, c.m, at, rows, 1), make([]float64, rows*784)
					q := Query{X: x, Rows: rows, At: []schedules.Level{at}}
					if err := c.m.Denoise(ctx, dst, q); err != nil {
						b.Fatal(err)
					}
					products := c.products
					if sigma < 1 && !c.m.parts.diag {
						products = 1 // one component matters: the second product is not done
					}
					report(b, 2*products*float64(rows*c.m.Len()*c.rows*784), func() { _ = c.m.Denoise(ctx, dst, q) })
				})
			}
		}
	}
}

// report runs f and gives its speed beside the limit, measured at the same time
// because other work on the machine moves both.
func report(b *testing.B, flops float64, f func()) {
	limit := simd.PeakGFLOPS(runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
	gflops := flops * float64(b.N) / b.Elapsed().Seconds() / 1e9
	limit = max(limit, simd.PeakGFLOPS(runtime.GOMAXPROCS(0)))
	b.ReportMetric(gflops, "GFLOP/s")
	b.ReportMetric(limit, "limit")
	b.ReportMetric(100*gflops/limit, "%limit")
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
	for _, sigma := range []float64{80, 0.1} {
		b.Run(fmt.Sprintf("sigma=%g", sigma), func(b *testing.B) {
			at := schedules.Level{Alpha: 1, Sigma: sigma}
			x, dst := states(b, m, at, rows, 1), make([]float64, rows*dim)
			q := Query{X: x, Rows: rows, At: []schedules.Level{at}}
			products := 2.0
			if sigma < 1 {
				products = 1
			}
			report(b, 2*products*rows*n*dim, func() { _ = m.Denoise(ctx, dst, q) })
		})
	}
}
