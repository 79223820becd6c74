package f32

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// ulps returns |got − want| in units of the last place of want in float32, which
// below the normal range is 2⁻¹⁴⁹.
func ulps(got float32, want float64) float64 {
	_, exponent := math.Frexp(want)
	return math.Abs(math.Ldexp(float64(got)-want, -max(exponent-24, -149)))
}

// inputs are float32 values from −limit to limit, at every scale.
func inputs(limit float64) []float32 {
	var x []float32
	for i := -4000; i <= 4000; i++ {
		x = append(x, float32(limit*float64(i)/4000), float32(float64(i)/1000*math.Ln2), float32(math.Copysign(math.Exp2(float64(i)/100), float64(i))))
	}
	return slices.DeleteFunc(x, func(v float32) bool { return math.Abs(float64(v)) > limit })
}

// worst returns the largest error of f over x by the measure of error, and where.
func worst(f func(dst, x []float32), x []float32, measure func(x float64, got float32) float64) (size float64, at float32) {
	y := make([]float32, len(x))
	f(y, x)
	for i, v := range x {
		if u := measure(float64(v), y[i]); !(u <= size) {
			size, at = u, v
		}
	}
	return size, at
}

func TestExp_AgreesWith_float64(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		x := slices.DeleteFunc(inputs(104), func(v float32) bool { return v > 88.72 })
		u, at := worst(Exp, x, func(x float64, got float32) float64 { return ulps(got, math.Exp(x)) })
		t.Logf("worst error %.3f ulp at %v", u, at)
		if !(u <= 2) {
			t.Errorf("Exp(%v) is %.3f ulp off, at most 2 are promised", at, u)
		}
	})
}

func TestExp_Limit(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachKernel(t, func(t *testing.T) {
		for _, c := range [][2]float32{{0, 1}, {-inf, 0}, {inf, inf}, {nan, nan}, {-1e30, 0}, {1e30, inf}, {88.8, inf}, {-104.1, 0}, {1e-10, 1}} {
			y := []float32{7}
			if Exp(y, c[:1]); y[0] != c[1] && !(y[0] != y[0] && c[1] != c[1]) {
				t.Errorf("Exp(%v) = %v, want %v", c[0], y[0], c[1])
			}
		}
	})
}

func TestSiLU_AgreesWith_float64(t *testing.T) {
	sigma := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	eachKernel(t, func(t *testing.T) {
		x := inputs(87)
		u, at := worst(SiLU, x, func(x float64, got float32) float64 { return ulps(got, x*sigma(x)) })
		t.Logf("SiLU: worst error %.3f ulp at %v", u, at)
		if !(u <= 4) {
			t.Errorf("SiLU(%v) is %.3f ulp off, at most 4 are promised", at, u)
		}
		const dy = -1.375
		u, at = worst(func(dst, x []float32) {
			for i := range dst {
				dst[i] = dy
			}
			SiLUGrad(dst, dst, x)
		}, x, func(x float64, got float32) float64 {
			want, size := dy*sigma(x)*(1+x*sigma(-x)), -dy*sigma(x)*(1+math.Abs(x)*sigma(-x))
			return math.Abs(float64(got)-want) / size
		})
		if !(u <= 0x1p-21) {
			t.Errorf("SiLUGrad at %v is off by 2^%.2f of its terms, at most 2^-21 is promised", at, math.Log2(u))
		}
		// Above the range of e^x the result is x, below it is 0 to the last place of 1e-36.
		y := []float32{0, 0, 0, 0}
		SiLU(y, []float32{3e38, -3e38, 0, float32(math.NaN())})
		if y[0] != 3e38 || y[1] != 0 || y[2] != 0 || y[3] == y[3] {
			t.Errorf("SiLU at 3e38, −3e38, 0 and NaN is %v", y)
		}
	})
}

// A value's result is the same bits wherever it lies, in place too, and nothing
// beside it is written.
func TestElementwise_Invariant(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		x := normals(41)
		functions := map[string]func(dst, x []float32){"Exp": Exp}
		for f := range function(len(definitions)) {
			functions[fmt.Sprint("function ", int(f))] = func(dst, x []float32) { f.apply(dst, x, x, x, numbers{1.7, -0.3, 0.9}) }
		}
		for name, f := range functions {
			want := make([]float32, len(x))
			f(want, x)
			for lo := range x {
				for hi := lo; hi <= len(x); hi++ {
					y := slices.Clone(x)
					f(y[lo:hi], y[lo:hi])
					if !sameBits(y[lo:hi], want[lo:hi]) || !sameBits(y[:lo], x[:lo]) || !sameBits(y[hi:], x[hi:]) {
						t.Fatalf("%s of [%d:%d] differs from that of all", name, lo, hi)
					}
				}
			}
		}
	})
}

func TestSoftmax_AgreesWith_float64(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for n := 1; n < 70; n++ {
			for _, shift := range []float32{0, 1000, -1000} {
				const rows = 3
				x, dy := normals(rows*n), normals(rows*n)
				slices.Reverse(dy)
				for i := range x {
					x[i] = 3*x[i] + shift
				}
				y, dx := make([]float32, len(x)), make([]float32, len(x))
				Softmax(y, x, rows, n)
				SoftmaxGrad(dx, dy, y, rows, n)
				for r := range rows {
					row := x[r*n : (r+1)*n]
					peak := float64(slices.Max(row))
					sum, mean, size := 0.0, 0.0, 0.0
					for _, v := range row {
						sum += math.Exp(float64(v) - peak)
					}
					for j, v := range row {
						mean += float64(dy[r*n+j]) * math.Exp(float64(v)-peak) / sum
						size += math.Abs(float64(dy[r*n+j])) * math.Exp(float64(v)-peak) / sum
					}
					for j, v := range row {
						// x − peak rounds to 2⁻²⁴ of itself, below 32 here; e^x, the sum and
						// the quotient round a few times more.
						want, got := math.Exp(float64(v)-peak)/sum, float64(y[r*n+j])
						tolerance := float64(40+n/8) * 0x1p-24
						if !(math.Abs(got-want) <= tolerance*want) {
							t.Fatalf("n=%d shift=%g: entry %d is %v, want %v", n, shift, j, got, want)
						}
						d := float64(dy[r*n+j])
						if got, grad := float64(dx[r*n+j]), want*(d-mean); !(math.Abs(got-grad) <= 3*tolerance*want*(math.Abs(d)+size)) {
							t.Fatalf("n=%d shift=%g: gradient %d is %v, want %v", n, shift, j, got, grad)
						}
					}
				}
			}
		}
	})
}

func TestSoftmax_Limit(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachKernel(t, func(t *testing.T) {
		for n := 2; n < 40; n++ {
			for at := range n {
				x, y := make([]float32, n), make([]float32, n)
				for i := range x {
					x[i] = -inf
				}
				if Softmax(y, x, 1, n); y[at] == y[at] {
					t.Errorf("all −Inf: entry %v, want NaN", y[at])
				}
				x[at] = 3
				if Softmax(y, x, 1, n); y[at] != 1 || y[(at+1)%n] != 0 {
					t.Errorf("one finite value at %d of %d: entries %v", at, n, y)
				}
				for _, v := range []float32{inf, nan} {
					x[at] = v
					if Softmax(y, x, 1, n); y[at] == y[at] || y[(at+1)%n] == y[(at+1)%n] {
						t.Errorf("%v at %d of %d: entries %v, want NaN", v, at, n, y)
					}
				}
			}
		}
	})
}

func TestActivation_Refuses(t *testing.T) {
	x, short := make([]float32, 12), make([]float32, 11)
	g := GroupNorm{2, 2, 3, 3, 1e-5, false}
	for name, f := range map[string]func(){
		"Exp":              func() { Exp(short, x) },
		"SiLU":             func() { SiLU(short, x) },
		"SiLUGrad":         func() { SiLUGrad(x, short, x) },
		"Softmax":          func() { Softmax(short, x, 3, 4) },
		"SoftmaxGrad":      func() { SoftmaxGrad(x, short, x, 3, 4) },
		"short statistics": func() { g.Statistics(x[:5], x, x) },
		"short image":      func() { g.Statistics(x, x, short) },
		"short gamma":      func() { g.Apply(x, x, x, x, x[:2], x, true) },
		"short dgamma":     func() { g.Grad(x, x[:2], x, x, x, x, x, x) },
		"short dz":         func() { g.GradSiLU(x, x, x, short, x, x, x, x, x) },
		"groups":           func() { GroupNorm{1, 2, 3, 2, 1e-5, false}.Statistics(x, x, x) },
		"no pixels":        func() { GroupNorm{1, 0, 3, 3, 1e-5, false}.Statistics(x, x, x) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func TestActivation_Alloc(t *testing.T) {
	g := GroupNorm{4, 256, 64, 8, 1e-5, false}
	x, y := normals(4*256*64), normals(4*256*64)
	mean, rstd, grad := make([]float32, 32), make([]float32, 32), make([]float32, 64)
	if a := allocs(func() {
		g.Statistics(mean, rstd, x)
		g.Apply(y, x, mean, rstd, x, x, true)
		g.Grad(y, grad, grad, y, x, mean, rstd, x)
		g.Forward(y, mean, rstd, x, x, x, true)
		g.GradSiLU(y, grad, grad, y, x, mean, rstd, x, x)
		SiLU(y, x)
		SiLUGrad(y, y, x)
		MulAddTo(y, y, x)
		Dot(y, x)
		Images{4, 256, 64}.ScaleShift(y, y, x, x)
		Images{4, 256, 64}.ScaleShiftGrad(y, x[:256], x[256:], y, y, x)
		SumRows(grad, y, 1024, 64, 1)
		Softmax(y, x, 256, 256)
		SoftmaxGrad(y, x, y, 256, 256)
	}); a > 0 {
		t.Errorf("%g allocations a call", a)
	}
}

// BenchmarkPass measures passes over what fits in the second cache and over what
// does not fit in the third.
func BenchmarkPass(b *testing.B) {
	for _, n := range []int{1 << 16, 1 << 24} {
		x, y := normals(n), make([]float32, n)
		g := GroupNorm{Rows: 16, Pixels: n / 64 / 16, Channels: 64, Groups: 32, Epsilon: 1e-5}
		mean, rstd := make([]float32, 16*32), make([]float32, 16*32)
		for _, k := range []struct {
			name  string
			bytes int
			f     func()
		}{
			{"copy", 8, func() { copy(y, x) }},
			{"Exp", 8, func() { Exp(y, x) }},
			{"SiLU", 8, func() { SiLU(y, x) }},
			{"SiLUGrad", 12, func() { SiLUGrad(y, x, x) }},
			{"Softmax-256", 8, func() { Softmax(y, x, n/256, 256) }},
			{"SoftmaxGrad-256", 12, func() { SoftmaxGrad(y, x, x, n/256, 256) }},
			{"GroupNorm-Statistics", 4, func() { g.Statistics(mean, rstd, x) }},
			{"GroupNorm-Apply", 8, func() { g.Apply(y, x, mean, rstd, x, x, false) }},
			{"GroupNorm-Apply-SiLU", 8, func() { g.Apply(y, x, mean, rstd, x, x, true) }},
			{"GroupNorm-Grad", 20, func() { g.Grad(y, mean, mean, x, x, mean, rstd, x) }},
			{"ChannelsLast", 8, func() { ChannelsLast(y, x, 16, 64, n/64/16) }},
			{"SumRows-64", 4, func() { SumRows(mean, x, n/64, 64, 0) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", k.name, n), func(b *testing.B) { reportBytes(b, k.bytes*n, k.f) })
		}
	}
}
