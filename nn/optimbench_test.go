package nn

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"snrlab/rng"
)

// BenchmarkOptimiser measures steps of 35 million numbers, the parameters of the
// DDPM network for CIFAR-10, and of a network of one million. Arrays are read and
// written at the speed of memory or of a cache.
func BenchmarkOptimiser(b *testing.B) {
	for _, size := range []struct {
		name          string
		filters, side int
	}{{"35M", 59, 256}, {"1M", 27, 64}} {
		s := NewScope[float32](rng.New(1))
		for i := range size.filters {
			s.Param(fmt.Sprint("filter", i), Ones, size.side, size.side, 3, 3)
			s.Param(fmt.Sprint("bias", i), Ones, size.side)
		}
		ps := s.Params()
		for _, p := range ps {
			for i := range p.Grad() {
				p.grad[i] = 1e-3
			}
		}
		for _, c := range []struct {
			rule  string
			norm  float64
			moved int // arrays read or written
		}{{"adam", 0, 7}, {"adam", 1, 8}, {"sgd(momentum=0.9)", 0, 5}} {
			rule, err := ParseRule(c.rule)
			if err != nil {
				b.Fatal(err)
			}
			o, err := NewOptimiser(ps, rule, ConstantRate{1e-3})
			if err != nil {
				b.Fatal(err)
			}
			o.MaxNorm = c.norm
			b.Run(fmt.Sprintf("%s/%s/norm=%v", size.name, c.rule, c.norm), func(b *testing.B) {
				b.ReportAllocs()
				best := time.Duration(math.MaxInt64)
				for b.Loop() {
					for _, p := range ps {
						p.stale = false // as a backward pass that overwrites it
					}
					start := time.Now()
					if _, err := o.Step(); err != nil {
						b.Fatal(err)
					}
					best = min(best, time.Since(start))
				}
				b.ReportMetric(float64(4*c.moved*ps.Len())/best.Seconds()/1e9, "GB/s-best")
			})
		}
	}
}

// BenchmarkEMA measures an update of an average of 35 million numbers: float32
// values are read, float64 averages read and written.
func BenchmarkEMA(b *testing.B) {
	s := NewScope[float32](rng.New(1))
	for i := range 59 {
		s.Param(fmt.Sprint("filter", i), Ones, 256, 256, 3, 3)
	}
	ps := s.Params()
	e, err := NewEMA(ps, PowerAverage{Std: 0.1})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		start := time.Now()
		if err := e.Update(1); err != nil {
			b.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64((4+8+8)*ps.Len())/best.Seconds()/1e9, "GB/s-best")
}

// BenchmarkSave measures the writing and reading of a checkpoint of 6 million
// numbers, of which nearly all are of filters.
func BenchmarkSave(b *testing.B) {
	s := NewScope[float32](rng.New(1))
	for i := range 10 {
		s.Param(fmt.Sprint("filter", i), Normal(1), 256, 256, 3, 3)
	}
	ps := s.Params()
	path := filepath.Join(b.TempDir(), "net.safetensors")
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"save", func() error { return Save(path, ps, SaveOptions{}) }},
		{"load", func() error { return Load(path, ps, LoadOptions{}) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(4 * ps.Len()))
			for b.Loop() {
				if err := c.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
