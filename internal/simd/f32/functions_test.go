package f32

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// The definitions of the activations and of their derivatives in float64, with
// what their errors are measured by: |value| or the sum of the sizes of its terms.
func TestActivations_AgreesWith_float64(t *testing.T) {
	sigma := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	density := func(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }
	phi := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	angle := func(x float64) float64 { return math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }
	same := func(y float64) (float64, float64) { return y, math.Abs(y) }
	mish := func(x float64) (t, rest float64) { // tanh(softplus) and 1 − its square
		s := math.Log1p(math.Exp(x))
		if x > 30 {
			s = x
		}
		return math.Tanh(s), 1 / (math.Cosh(s) * math.Cosh(s))
	}
	for _, c := range []struct {
		name       string
		apply      func(dst, x []float32)
		grad       func(dx, dy, x []float32)
		low, high  float64 // the range of x
		bound      func(x float64) float64
		gradBound  func(x float64) float64
		value      func(x float64) (want, size float64)
		derivative func(x float64) (want, size float64)
	}{
		{
			"ReLU", ReLU, ReLUGrad, -1e30, 1e30,
			func(float64) float64 { return 0 }, func(float64) float64 { return 0 },
			func(x float64) (float64, float64) { return same(max(x, 0)) },
			func(x float64) (float64, float64) {
				if x > 0 {
					return 1, 1
				}
				return 0, 0
			},
		},
		{
			"Sigmoid", Sigmoid, SigmoidGrad, -87, 200,
			func(float64) float64 { return 0x1p-22 }, func(float64) float64 { return 0x1p-21 },
			func(x float64) (float64, float64) { return same(sigma(x)) },
			func(x float64) (float64, float64) { return same(sigma(x) * sigma(-x)) },
		},
		{
			"Tanh", Tanh, TanhGrad, -200, 200,
			func(float64) float64 { return 0x1p-22 }, func(float64) float64 { return 0x1p-21 },
			func(x float64) (float64, float64) { return same(math.Tanh(x)) },
			func(x float64) (float64, float64) { return same(1 / (math.Cosh(x) * math.Cosh(x))) },
		},
		{
			"GELU", GELU, GELUGrad, -12, 100,
			func(float64) float64 { return 0x1p-21 }, func(float64) float64 { return 0x1p-21 },
			func(x float64) (float64, float64) { return same(x * phi(x)) },
			func(x float64) (float64, float64) {
				return phi(x) + x*density(x), phi(x) + math.Abs(x)*density(x)
			},
		},
		{
			"GELUTanh", GELUTanh, GELUTanhGrad, -9, 100,
			func(x float64) float64 { return 0x1p-22 * (2 + math.Abs(angle(x))) },
			func(x float64) float64 { return 0x1p-21 * (2 + math.Abs(angle(x))) },
			func(x float64) (float64, float64) { return same(x * sigma(2*angle(x))) },
			func(x float64) (float64, float64) {
				s := sigma(2 * angle(x))
				rest := s * x * sigma(-2*angle(x)) * 2 * math.Sqrt(2/math.Pi) * (1 + 3*0.044715*x*x)
				return s + rest, s + math.Abs(rest)
			},
		},
		{
			"Mish", Mish, MishGrad, -87, 100,
			func(float64) float64 { return 0x1p-21 }, func(float64) float64 { return 0x1p-20 },
			func(x float64) (float64, float64) {
				tanh, _ := mish(x)
				return same(x * tanh)
			},
			func(x float64) (float64, float64) {
				tanh, rest := mish(x)
				return tanh + x*sigma(x)*rest, tanh + math.Abs(x)*sigma(x)*rest
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachKernel(t, func(t *testing.T) {
				x := slices.DeleteFunc(inputs(200), func(v float32) bool { return float64(v) < c.low || float64(v) > c.high })
				y, dx, dy := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
				for i := range dy {
					dy[i] = -1.375
				}
				c.apply(y, x)
				c.grad(dx, dy, x)
				for i, v := range x {
					v := float64(v)
					// Below the normal range, half of 2⁻¹⁴⁹ is all there is.
					want, size := c.value(v)
					if bound := c.bound(v)*size + 0x1p-148; !(math.Abs(float64(y[i])-want) <= bound) {
						t.Fatalf("at %v: %v, want %v ± %g", v, y[i], want, bound)
					}
					want, size = c.derivative(v)
					bound := 1.375*c.gradBound(v)*size + 0x1p-126*c.gradBound(v) + 0x1p-148
					if size < 0x1p-124 {
						bound = 0x1p-124 // four times a factor that is 0
					}
					if !(math.Abs(float64(dx[i])+1.375*want) <= bound) {
						t.Fatalf("gradient at %v: %v, want %v ± %g", v, dx[i], -1.375*want, bound)
					}
				}
				// NaN stays, and so does what is beyond the range of e^x.
				ends := []float32{float32(math.NaN()), 1e20, 0}
				c.apply(y, ends)
				high, _ := c.value(1e20)
				none, _ := c.value(0)
				if y[0] == y[0] || float64(y[1]) != float64(float32(high)) || float64(y[2]) != none {
					t.Errorf("at NaN, 1e20 and 0: %v", y[:3])
				}
				// The gradient of ReLU is that of its result there, as in torch.
				if c.grad(dx, dy, ends); (dx[0] == dx[0]) != (c.name == "ReLU") {
					t.Errorf("gradient at NaN: %v", dx[0])
				}
			})
		})
	}
}

func TestArithmetic_AgreesWith_float64(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 7, 8, 16, 33, 40000} {
			x, y, z := normals(n), normals(n + 1)[1:], normals(n + 2)[2:]
			for name, c := range map[string]struct {
				f    func(dst []float32)
				want func(x, y, z float64) float64
			}{
				"Add":       {func(dst []float32) { Add(dst, x, y) }, func(x, y, _ float64) float64 { return x + y }},
				"Sub":       {func(dst []float32) { Sub(dst, x, y) }, func(x, y, _ float64) float64 { return x - y }},
				"Mul":       {func(dst []float32) { Mul(dst, x, y) }, func(x, y, _ float64) float64 { return x * y }},
				"AddTo":     {func(dst []float32) { AddTo(dst, x) }, func(x, _, z float64) float64 { return z + x }},
				"MulAddTo":  {func(dst []float32) { MulAddTo(dst, x, y) }, func(x, y, z float64) float64 { return z + x*y }},
				"AddNumber": {func(dst []float32) { AddNumber(dst, x, 1.75) }, func(x, _, _ float64) float64 { return x + 1.75 }},
				"Scale":     {func(dst []float32) { Scale(dst, x, -1.75) }, func(x, _, _ float64) float64 { return -1.75 * x }},
				"ScaledAdd": {func(dst []float32) { ScaledAdd(dst, x, y, -1.75) }, func(x, y, _ float64) float64 { return x - 1.75*y }},
			} {
				dst := slices.Clone(z)
				c.f(dst)
				for i, got := range dst {
					want := c.want(float64(x[i]), float64(y[i]), float64(z[i]))
					// A product and a sum, each rounded once.
					if !(math.Abs(float64(got)-want) <= 0x1p-22*(2+math.Abs(float64(x[i]))+math.Abs(float64(y[i]))+math.Abs(float64(z[i])))) {
						t.Fatalf("%s of %d values: value %d is %v, want %v", name, n, i, got, want)
					}
				}
			}
			sum, product, size := 0.0, 0.0, 0.0
			for i := range x {
				sum += float64(x[i])
				product += float64(x[i]) * float64(y[i])
				size += math.Abs(float64(x[i])) * (1 + math.Abs(float64(y[i])))
			}
			// Two orders of the sum differ by some 2⁻⁵² of its terms, each.
			if tolerance := 0x1p-40 * size; !(math.Abs(Sum(x)-sum) <= tolerance) || !(math.Abs(Dot(x, y)-product) <= tolerance) {
				t.Errorf("%d values: Sum %v and Dot %v, want %v and %v", n, Sum(x), Dot(x, y), sum, product)
			}
		}
		x, y := normals(100000), normals(100001)
		want := [2]float64{Sum(x), Dot(x, y)}
		for _, procs := range []int{1, 2, 3} {
			withProcs(procs, func() {
				if got := [2]float64{Sum(x), Dot(x, y)}; got != want {
					t.Errorf("%d processors: sums %v, want %v", procs, got, want)
				}
			})
		}
	})
}

// imageShapes have no row, one pixel, one channel, and several blocks.
var imageShapes = []Images{
	{0, 3, 4},
	{2, 0, 3},
	{1, 1, 1},
	{3, 1, 19},
	{2, 5, 1},
	{2, 33, 3},
	{1, 600, 40},
	{9, 20, 16},
	{2, 17, 50},
	{1, 150, 1100},
}

func TestImages_AgreesWith_float64(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, m := range imageShapes {
			n, v := m.Rows*m.Pixels*m.Channels, m.Rows*m.Channels
			x, dy, s, b := normals(n), normals(n + 1)[1:], normals(v + 3)[3:], normals(v + 4)[4:]
			y := make([]float32, n)
			each := func(name string, want func(x, dy, s, b float64) float64) {
				for i, got := range y {
					at := i/(m.Pixels*m.Channels)*m.Channels + i%m.Channels
					want := want(float64(x[i]), float64(dy[i]), float64(s[at]), float64(b[at]))
					// Values up to 5 and their products, rounded a few times.
					if !(math.Abs(float64(got)-want) <= 0x1p-22*40) {
						t.Fatalf("%s of %+v: value %d is %v, want %v", name, m, i, got, want)
					}
				}
			}
			m.Add(y, x, b)
			each("Add", func(x, _, _, b float64) float64 { return x + b })
			m.Mul(y, x, s)
			each("Mul", func(x, _, s, _ float64) float64 { return x * s })
			m.ScaleShift(y, x, s, nil)
			each("ScaleShift without b", func(x, _, s, _ float64) float64 { return x * (1 + s) })
			m.ScaleShift(y, x, s, b)
			each("ScaleShift", func(x, _, s, b float64) float64 { return x*(1+s) + b })
			ds, db, sum, dot := normals(v), normals(v), normals(v), normals(v)
			m.ScaleShiftGrad(y, ds, db, dy, x, s)
			each("ScaleShiftGrad", func(_, dy, s, _ float64) float64 { return dy * (1 + s) })
			m.Sum(sum, x)
			m.Dot(dot, x, dy)
			plain, shift, scale := make([]float64, v), make([]float64, v), make([]float64, v)
			for i := range x {
				at := i/(m.Pixels*m.Channels)*m.Channels + i%m.Channels
				plain[at] += float64(x[i])
				shift[at] += float64(dy[i])
				scale[at] += float64(dy[i]) * float64(x[i])
			}
			for name, c := range map[string]struct {
				got  []float32
				want []float64
			}{"Sum": {sum, plain}, "Dot": {dot, scale}, "ds": {ds, scale}, "db": {db, shift}} {
				for i, want := range c.want {
					// The sum is in float64: one rounding.
					if got := float64(c.got[i]); !(math.Abs(got-want) <= 0x1p-23*math.Abs(want)+1e-12) {
						t.Fatalf("%s of %+v: value %d is %v, want %v", name, m, i, got, want)
					}
				}
			}
		}
	})
}

// A row is the same bits alone and in a batch, for every number of workers.
func TestImages_Invariant_rows(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		const rows, pixels, channels = 5, 1000, 36 // three blocks
		const size = pixels * channels
		x, s := normals(rows*size), normals(rows*channels)
		compute := func(rows int, x, s []float32) (results [3][]float32) {
			m := Images{rows, pixels, channels}
			results = [3][]float32{make([]float32, len(x)), make([]float32, len(s)), make([]float32, len(s))}
			m.ScaleShiftGrad(results[0], results[1], results[2], x, x, s)
			return results
		}
		want := compute(rows, x, s)
		for _, procs := range []int{1, 2, 3} {
			withProcs(procs, func() {
				for i, got := range compute(rows, x, s) {
					if !sameBits(got, want[i]) {
						t.Errorf("result %d has other bits with %d processors", i, procs)
					}
				}
				for r := range rows {
					for i, got := range compute(1, x[r*size:(r+1)*size], s[r*channels:(r+1)*channels]) {
						n := len(got)
						if !sameBits(got, want[i][r*n:(r+1)*n]) {
							t.Errorf("result %d of row %d differs when it is alone", i, r)
						}
					}
				}
			})
		}
	})
}

func TestArithmetic_Refuses(t *testing.T) {
	x, short := make([]float32, 12), make([]float32, 11)
	m := Images{2, 2, 3}
	for name, f := range map[string]func(){
		"Add":            func() { Add(x, x, short) },
		"Add nil":        func() { Add(x, x, nil) },
		"AddTo":          func() { AddTo(short, x) },
		"MulAddTo":       func() { MulAddTo(x, x, short) },
		"Scale":          func() { Scale(short, x, 1) },
		"Dot":            func() { Dot(x, short) },
		"Images":         func() { m.Add(x, short, x) },
		"vectors":        func() { m.Add(x, x, x[:5]) },
		"second vectors": func() { m.ScaleShift(x, x, x, x[:5]) },
		"ds":             func() { m.ScaleShiftGrad(x, x[:5], x, x, x, x) },
		"no channels":    func() { Images{1, 1, 0}.Sum(x, x) },
		"GELUGrad":       func() { GELUGrad(x, short, x) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

// BenchmarkFunctions measures elementwise functions over what fits in the second
// cache.
func BenchmarkFunctions(b *testing.B) {
	const n = 1 << 15
	x, y := normals(n), make([]float32, n)
	for _, k := range []struct {
		name   string
		arrays int
		f      func()
	}{
		{"Add", 3, func() { Add(y, x, x) }},
		{"AddTo", 3, func() { AddTo(y, x) }},
		{"MulAddTo", 4, func() { MulAddTo(y, x, x) }},
		{"Scale", 2, func() { Scale(y, x, 1.5) }},
		{"Sum", 1, func() { Sum(x) }},
		{"Dot", 2, func() { Dot(x, y) }},
		{"ReLU", 2, func() { ReLU(y, x) }},
		{"Sigmoid", 2, func() { Sigmoid(y, x) }},
		{"SigmoidGrad", 3, func() { SigmoidGrad(y, x, x) }},
		{"SiLU", 2, func() { SiLU(y, x) }},
		{"SiLUGrad", 3, func() { SiLUGrad(y, x, x) }},
		{"Tanh", 2, func() { Tanh(y, x) }},
		{"TanhGrad", 3, func() { TanhGrad(y, x, x) }},
		{"GELU", 2, func() { GELU(y, x) }},
		{"GELUGrad", 3, func() { GELUGrad(y, x, x) }},
		{"GELUTanh", 2, func() { GELUTanh(y, x) }},
		{"GELUTanhGrad", 3, func() { GELUTanhGrad(y, x, x) }},
		{"Mish", 2, func() { Mish(y, x) }},
		{"MishGrad", 3, func() { MishGrad(y, x, x) }},
	} {
		b.Run(k.name, func(b *testing.B) { reportBytes(b, 4*n*k.arrays, k.f) })
	}
	for _, m := range []Images{{64, 1024, 32}, {32, 1024, 64}, {4, 1024, 128}, {4, 256, 256}, {4, 16, 256}, {64, 1, 512}} {
		x, v := normals(m.Rows*m.Pixels*m.Channels), normals(m.Rows*m.Channels)
		y, w := make([]float32, len(x)), make([]float32, len(v))
		shape := fmt.Sprintf("/%dx%dx%d", m.Rows, m.Pixels, m.Channels)
		b.Run("Images.Add"+shape, func(b *testing.B) { reportBytes(b, 8*len(x), func() { m.Add(y, x, v) }) })
		b.Run("Images.ScaleShift"+shape, func(b *testing.B) { reportBytes(b, 8*len(x), func() { m.ScaleShift(y, x, v, v) }) })
		b.Run("Images.ScaleShiftGrad"+shape, func(b *testing.B) {
			reportBytes(b, 12*len(x), func() { m.ScaleShiftGrad(y, w, w, x, x, v) })
		})
		b.Run("Images.Sum"+shape, func(b *testing.B) { reportBytes(b, 4*len(x), func() { m.Sum(w, x) }) })
	}
}

func TestColumns_AgreesWith_definition(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, c := range [][4]int{{0, 3, 4, 5}, {5, 1, 1, 3}, {7, 9, 12, 9}, {300, 130, 130, 140}} {
			rows, n, to, from := c[0], c[1], c[2], c[3]
			dst, src := normals(rows*to), normals(rows*from + 1)[1:]
			copied, added := slices.Clone(dst), slices.Clone(dst)
			CopyColumns(copied, to, src, from, rows, n)
			AddColumns(added, to, src, from, rows, n)
			for i, v := range dst {
				r, j := i/to, i%to
				want, sum := v, v
				if j < n {
					want, sum = src[r*from+j], v+src[r*from+j]
				}
				if copied[i] != want || added[i] != sum {
					t.Fatalf("%v: value %d is %v copied and %v added, want %v and %v", c, i, copied[i], added[i], want, sum)
				}
			}
		}
		if x := make([]float32, 11); !panics(func() { CopyColumns(x, 5, x, 3, 3, 3) }) || !panics(func() { AddColumns(x, 3, x, 4, 3, 4) }) {
			t.Error("no panic for arrays that are too short")
		}
	})
}
