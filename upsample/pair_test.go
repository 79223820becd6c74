package upsample

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"snrlab/rng"
)

func area(t testing.TB, name string) Pair {
	t.Helper()
	p, err := ParsePooling(name)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := p.Pair()
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// matrices writes out P (low×high) and U (high×low) column by column.
func matrices(p Pair) (pool, up []float64, high, low int) {
	high, low = size(p.HighShape()), size(p.LowShape())
	pool, up = make([]float64, low*high), make([]float64, high*low)
	fillColumns(pool, low, high, p.Pool)
	fillColumns(up, high, low, p.Repeat)
	return pool, up, high, low
}

func fillColumns(m []float64, rows, cols int, f func(dst, x []float64)) {
	unit, column := make([]float64, cols), make([]float64, rows)
	for j := range cols {
		unit[j] = 1
		f(column, unit)
		unit[j] = 0
		for i, v := range column {
			m[i*cols+j] = v
		}
	}
}

var pools = []string{
	"area(height=4,width=6)",
	"area(channels=3,height=9,width=3,vertical=3,horizontal=3)",
	"area(channels=2,height=5,width=7,vertical=1,horizontal=1)",
	"area(channels=2,height=8,width=9,vertical=4,horizontal=3/2)",
	"area(height=12,width=15,vertical=4/3,horizontal=5/3)",
	"area(vertical=7/2,horizontal=28/27)",
}

// P U = I, P Pᵀ = c I and U = Pᵀ/c, and constant images stay constant.
func TestArea_Property(t *testing.T) {
	for _, name := range pools {
		p := area(t, name)
		if p.String() != name {
			t.Errorf("%s prints as %s", name, p)
		}
		pool, up, high, low := matrices(p)
		c := p.Noise().Variance
		a := p.(*areaPair).area
		if want := 1 / (a.Vertical.Ratio() * a.Horizontal.Ratio()); math.Abs(c-want) > 1e-14 || !p.Noise().White() {
			t.Errorf("%s: noise %+v, expected a variance of %g", name, p.Noise(), want)
		}
		// Sums of up to 784 terms of size 1, and a matrix root of condition
		// number up to about 1e3.
		const tol = 1e-12
		identity(t, name+": P U", multiply(pool, up, low, high, low), low, 1, tol)
		identity(t, name+": P Pᵀ", gramOf(pool, low, high), low, c, tol)
		for i := range low {
			for j := range high {
				if d := up[j*low+i] - pool[i*high+j]/c; math.Abs(d) > tol {
					t.Fatalf("%s: U is off Pᵀ/c by %g at (%d, %d)", name, d, j, i)
				}
			}
			if s := sum(pool[i*high : (i+1)*high]); math.Abs(s-1) > tol {
				t.Errorf("%s: low pixel %d of a constant image 1 is %.17g", name, i, s)
			}
		}
		for j := range high {
			if s := sum(up[j*low : (j+1)*low]); math.Abs(s-1) > tol {
				t.Errorf("%s: high pixel %d of a constant image 1 is %.17g", name, j, s)
			}
		}
	}
}

func sum(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}

// identity reports entries of an n×n matrix that are not those of c I.
func identity(t *testing.T, what string, m []float64, n int, c, tol float64) {
	t.Helper()
	for i := range n {
		for j := range n {
			want := 0.0
			if i == j {
				want = c
			}
			if math.Abs(m[i*n+j]-want) > tol {
				t.Fatalf("%s is %.17g at (%d, %d): expected %g", what, m[i*n+j], i, j, want)
			}
		}
	}
}

// A whole factor takes means and repeats.
func TestArea_AgreesWith_Means(t *testing.T) {
	p := area(t, "area(channels=2,height=4,width=6,vertical=2,horizontal=3)")
	x := make([]float64, 2*4*6)
	rng.New(1).Normal(x)
	y, u := make([]float64, 2*2*2), make([]float64, len(x))
	p.Pool(y, x)
	p.Repeat(u, y)
	for c := range 2 {
		for i := range 4 {
			for j := range 6 {
				mean := 0.0
				for a := range 2 {
					for b := range 3 {
						mean += x[c*24+(i/2*2+a)*6+j/3*3+b] / 6
					}
				}
				if got := u[c*24+i*6+j]; math.Abs(got-mean) > 1e-15*4 || got != y[c*4+i/2*2+j/3] {
					t.Errorf("channel %d, pixel (%d, %d): %g, expected the block's mean %g", c, i, j, got, mean)
				}
			}
		}
	}
}

// The plain shares of s = 3/2 by hand: P = ⅔ [1 ½ 0; 0 ½ 1], whose P Pᵀ is
// 4/9 [5/4 1/4; 1/4 5/4] instead of ⅔ I: neither white nor of the right size, and
// s Pᵀ is no right inverse. The orthogonalised map is the root of it.
func TestArea_Plain(t *testing.T) {
	const name = "area(height=2,width=3,vertical=1,horizontal=3/2,plain=true)"
	p := area(t, name)
	pool, up, high, low := matrices(p)
	want := []float64{2. / 3, 1. / 3, 0, 0, 1. / 3, 2. / 3}
	for i := range 2 {
		for j := range 3 {
			if got := pool[i*high+j]; math.Abs(got-want[i*3+j]) > 1e-15 {
				t.Errorf("P[%d, %d] = %g, expected %g", i, j, got, want[i*3+j])
			}
		}
	}
	identity(t, "P U", multiply(pool, up, low, high, low), low, 1, 1e-14)
	n := p.Noise()
	if math.Abs(n.Variance-5./9) > 1e-15 || math.Abs(n.Colour-1./5) > 1e-14 || n.White() {
		t.Errorf("noise %+v, expected variance 5/9 and colour 1/5", n)
	}
	adjoint := make([]float64, len(up)) // s Pᵀ
	for i := range low {
		for j := range high {
			adjoint[j*low+i] = 1.5 * pool[i*high+j]
		}
	}
	if _, err := NewLinear("adjoint", p.HighShape(), p.LowShape(), pool, adjoint); err == nil || !strings.Contains(err.Error(), "(P U)[0, 0] is 0.833333") {
		t.Errorf("the adjoint of fractional shares: got %v, expected P U = 5/6 on the diagonal", err)
	}
	// (s P Pᵀ)^−½ of eigenvalues 1 and ⅔ for (1, 1) and (1, −1).
	a, b := (1+math.Sqrt(1.5))/2, (1-math.Sqrt(1.5))/2
	white, _, _, _ := matrices(area(t, strings.Replace(name, ",plain=true", "", 1)))
	for j := range 3 {
		if got, want := white[j], a*want[j]+b*want[3+j]; math.Abs(got-want) > 1e-14 {
			t.Errorf("orthogonalised P[0, %d] = %g, expected %g", j, got, want)
		}
	}
}

func TestLinear_AgreesWith_Area(t *testing.T) {
	p := area(t, "area(channels=2,height=4,width=6,vertical=2,horizontal=3/2)")
	pool, _, high, low := matrices(p)
	l, err := NewLinear("dense", p.HighShape(), p.LowShape(), pool, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, m := l.Noise(), p.Noise(); math.Abs(n.Variance-m.Variance) > 1e-14 || !n.White() {
		t.Errorf("noise %+v, expected %+v", n, m)
	}
	x, y := make([]float64, high), make([]float64, low)
	rng.New(1).Split("x", 0).Normal(x)
	rng.New(1).Split("y", 0).Normal(y)
	for _, f := range []struct {
		name      string
		got, want func(dst, x []float64)
		in        []float64
		n         int
	}{{"P", l.Pool, p.Pool, x, low}, {"U", l.Repeat, p.Repeat, y, high}} {
		got, want := make([]float64, f.n), make([]float64, f.n)
		f.got(got, f.in)
		f.want(want, f.in)
		for i := range got {
			if math.Abs(got[i]-want[i]) > 1e-13 {
				t.Errorf("%s: %g at %d, expected %g", f.name, got[i], i, want[i])
			}
		}
	}
}

func TestPair_Refuses(t *testing.T) {
	for name, want := range map[string]string{
		"area(height=28,width=28,vertical=3)":        "height 28 by a factor of 3: expected a multiple of 3, 27 or 30",
		"area(height=28,width=10,horizontal=8/3)":    "width 10 by a factor of 8/3: expected a multiple of 8, 8 or 16",
		"area(height=2,width=2,vertical=3)":          "expected a multiple of 3, 3",
		"area(vertical=2/3)":                         "factor 2/3: expected a ratio of positive whole numbers, at least 1",
		"area(vertical=x)":                           `factor "x"`,
		"area(vertical=3/0)":                         "factor 3/0",
		"area(channels=0)":                           "expected positive sizes",
		"area(hight=28)":                             `unknown argument "hight"; did you mean "height"`,
		"bilinear":                                   `unknown pooling "bilinear"`,
		"area(height=28,width=28,vertical=2,plain=)": "expected key=value",
	} {
		if _, err := ParsePooling(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected an error with %q", name, err, want)
		}
	}
	if got, err := ParsePooling("area(vertical=14/4,horizontal=4/2)"); err != nil || got.String() != "area(vertical=7/2)" {
		t.Errorf("factors are not reduced: %v, %v", got, err)
	}
	two, one := []int{2}, []int{1}
	nan := math.NaN()
	for want, f := range map[string]func() error{
		"(P U)[0, 0] is 0.5":     func() error { _, err := NewLinear("m", two, one, []float64{.5, .5}, []float64{.5, .5}); return err },
		"3 numbers in P":         func() error { _, err := NewLinear("m", two, one, make([]float64, 3), nil); return err },
		"1 numbers in U":         func() error { _, err := NewLinear("m", two, one, make([]float64, 2), []float64{1}); return err },
		"expected finite":        func() error { _, err := NewLinear("m", two, one, []float64{1, nan}, nil); return err },
		"rows of P are not inde": func() error { _, err := NewLinear("m", two, two, []float64{1, 1, 1, 1}, nil); return err },
		"no more values below":   func() error { _, err := NewLinear("m", one, two, []float64{1, 1}, nil); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
}

func TestPair_Alloc(t *testing.T) {
	p := area(t, "area(channels=3,height=12,width=12,vertical=3/2)")
	x, y := make([]float64, size(p.HighShape())), make([]float64, size(p.LowShape()))
	p.Pool(y, x)
	if n := testing.AllocsPerRun(50, func() { p.Pool(y, x); p.Repeat(x, y) }); n != 0 {
		t.Errorf("a warm pair allocates %g times a use", n)
	}
}

func BenchmarkArea(b *testing.B) {
	for _, name := range []string{"area(channels=3,height=256,width=256)", "area(channels=3,height=256,width=256,vertical=4/3,horizontal=4/3)"} {
		p := area(b, name)
		x, y := make([]float64, size(p.HighShape())), make([]float64, size(p.LowShape()))
		b.Run(fmt.Sprint(p), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(8 * len(x)))
			for b.Loop() {
				p.Pool(y, x)
				p.Repeat(x, y)
			}
		})
	}
}
