package f32

import (
	"fmt"
	"math"
	"testing"
)

func TestResample_AgreesWith_float64(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, s := range []Resample{{0, 4, 4, 3, 2}, {1, 1, 1, 1, 1}, {2, 4, 6, 1, 2}, {1, 5, 7, 17, 2}, {3, 9, 10, 5, 3}, {2, 32, 32, 40, 2}, {1, 3, 2, 4, 4}, {2, 2, 6, 4, 1}} {
			height, width := s.Height/s.Factor, s.Width/s.Factor
			large, small := normals(s.Rows*s.Height*s.Width*s.Channels), normals(s.Rows*height*width*s.Channels + 1)[1:]
			sums, sizes, spread := make([]float64, len(small)), make([]float64, len(small)), make([]float64, len(large))
			for i, v := range large {
				c, p := i%s.Channels, i/s.Channels
				x, y, r := p%s.Width/s.Factor, p/s.Width%s.Height/s.Factor, p/s.Width/s.Height
				if x < width && y < height {
					at := ((r*height+y)*width+x)*s.Channels + c
					sums[at] += float64(v)
					sizes[at] += math.Abs(float64(v))
					spread[i] = float64(small[at])
				}
			}
			check := func(name string, got []float32, want, size []float64, scale float64) {
				for i, got := range got {
					// As many roundings as there are values in a row of a square, twice.
					if !(math.Abs(float64(got)-scale*want[i]) <= 0x1p-23*float64(s.Factor)*scale*math.Abs(size[i])) {
						t.Fatalf("%s of %+v: value %d is %v, want %v", name, s, i, got, scale*want[i])
					}
				}
			}
			share := 1 / float64(s.Factor*s.Factor)
			y, x := normals(len(small) + 3)[3:], normals(len(large) + 3)[3:]
			s.Average(y, large)
			check("Average", y, sums, sizes, share)
			s.NearestGrad(y, large)
			check("NearestGrad", y, sums, sizes, 1)
			s.AverageGrad(x, small)
			check("AverageGrad", x, spread, spread, share)
			s.Nearest(x, small)
			check("Nearest", x, spread, spread, 1)
		}
	})
}

func TestResample_Refuses(t *testing.T) {
	x := make([]float32, 16)
	for name, f := range map[string]func(){
		"large":     func() { Resample{1, 4, 4, 1, 2}.Average(x, x[:15]) },
		"small":     func() { Resample{1, 4, 4, 1, 2}.Nearest(x, x[:3]) },
		"no factor": func() { Resample{1, 4, 4, 1, 0}.Nearest(x, x) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func TestResample_Alloc(t *testing.T) {
	s := Resample{4, 32, 32, 32, 2}
	x, y := normals(4*32*32*32), normals(4*16*16*32)
	if a := allocs(func() {
		s.Average(y, x)
		s.AverageGrad(x, y)
	}); a > 0 {
		t.Errorf("%g allocations a call", a)
	}
}

func BenchmarkResample(b *testing.B) {
	for _, s := range []Resample{{64, 32, 32, 32, 2}, {4, 32, 32, 128, 2}, {4, 8, 8, 256, 2}} {
		n := s.Rows * s.Height * s.Width * s.Channels
		x, y := normals(n), normals(n/s.Factor/s.Factor)
		for _, k := range []struct {
			name string
			f    func()
		}{
			{"Average", func() { s.Average(y, x) }},
			{"AverageGrad", func() { s.AverageGrad(x, y) }},
			{"Nearest", func() { s.Nearest(x, y) }},
			{"NearestGrad", func() { s.NearestGrad(y, x) }},
		} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", k.name, s.Rows, s.Height, s.Channels), func(b *testing.B) {
				reportBytes(b, 4*(len(x)+len(y)), k.f)
			})
		}
	}
}
