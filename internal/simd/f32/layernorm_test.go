package f32

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// The result and its gradients against the definitions in float64.
func TestLayerNorm_AgreesWith_float64(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, l := range []LayerNorm{{0, 3, 1e-5}, {1, 1, 1e-5}, {3, 1, 1e-6}, {1, 2, 0.1}, {5, 17, 1e-5}, {200, 40, 1e-5}, {3, 1100, 1e-6}} {
			for _, affine := range []bool{false, true} {
				n := l.N
				x, dy := normals(l.Rows*n), normals(l.Rows*n + 1)[1:]
				for i := range x {
					x[i] += 3
				}
				var gamma, beta, dgamma, dbeta []float32
				if affine {
					gamma, beta = normals(n + 2)[2:], normals(n + 3)[3:]
					dgamma, dbeta = slices.Repeat([]float32{1}, n), slices.Repeat([]float32{-2}, n) // added to
				}
				mean, rstd := make([]float32, l.Rows), make([]float32, l.Rows)
				y, dx := make([]float32, len(x)), make([]float32, len(x))
				l.Forward(y, mean, rstd, x, gamma, beta)
				l.Grad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma)
				check := func(name string, i int, got float32, want, size float64) {
					t.Helper()
					// A few roundings of the terms, and of the mean and x before they cancel.
					if !(math.Abs(float64(got)-want) <= 0x1p-21*size) {
						t.Fatalf("%+v, affine %t: %s %d is %v, want %v ± %g", l, affine, name, i, got, want, 0x1p-21*size)
					}
				}
				wantGamma, wantBeta, sizes := make([]float64, n), make([]float64, n), make([]float64, n)
				for r := range l.Rows {
					m, v := 0.0, 0.0
					row := x[r*n : (r+1)*n]
					for _, x := range row {
						m += float64(x) / float64(n)
					}
					for _, x := range row {
						v += (float64(x) - m) * (float64(x) - m) / float64(n)
					}
					s := 1 / math.Sqrt(v+l.Epsilon)
					weight := func(j int) (g, b float64) {
						if !affine {
							return 1, 0
						}
						return float64(gamma[j]), float64(beta[j])
					}
					plain, normal, size := 0.0, 0.0, 0.0
					for j, x := range row {
						g, _ := weight(j)
						d := g * float64(dy[r*n+j])
						plain += d / float64(n)
						normal += d * (float64(x) - m) * s / float64(n)
						size += math.Abs(d) / float64(n)
					}
					for j, x := range row {
						g, b := weight(j)
						h, d := (float64(x)-m)*s, float64(dy[r*n+j])
						loss := s * (math.Abs(float64(x)) + math.Abs(m)) // of x̂, in units of rounding
						check("value", r*n+j, y[r*n+j], g*h+b, math.Abs(g)*loss+math.Abs(b))
						check("gradient", r*n+j, dx[r*n+j], s*(g*d-plain-h*normal), s*(math.Abs(g*d)+size*(1+loss)*(1+loss)))
						wantGamma[j] += d * h
						wantBeta[j] += d
						sizes[j] += math.Abs(d) * (1 + loss)
					}
				}
				for j := range dgamma {
					check("gradient of γ", j, dgamma[j], 1+wantGamma[j], 1+sizes[j])
					check("gradient of β", j, dbeta[j], -2+wantBeta[j], 2+sizes[j])
				}
			}
		}
	})
}

func TestLayerNorm_Invariant_rows(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		const rows, n = 500, 72 // three blocks
		gamma := normals(n)
		compute := func(x, dy []float32, inPlace bool) (results [4][]float32) {
			l := LayerNorm{len(x) / n, n, 1e-5}
			mean, rstd := make([]float32, l.Rows), make([]float32, l.Rows)
			results = [4][]float32{make([]float32, len(x)), make([]float32, len(x)), make([]float32, n), make([]float32, n)}
			l.Forward(results[0], mean, rstd, x, gamma, gamma)
			if inPlace {
				copy(results[0], x)
				l.Forward(results[0], mean, rstd, results[0], gamma, gamma)
				dy = slices.Clone(dy)
				results[1] = dy
			}
			l.Grad(results[1], results[2], results[3], dy, x, mean, rstd, gamma)
			return results
		}
		x, dy := normals(rows*n), normals(rows*n + 1)[1:]
		want := compute(x, dy, false)
		for _, procs := range []int{1, 2, 5} {
			withProcs(procs, func() {
				for i, got := range compute(x, dy, true) {
					if !sameBits(got, want[i]) {
						t.Errorf("result %d, in place, has other bits with %d processors", i, procs)
					}
				}
			})
		}
		for _, r := range []int{0, 250, 499} {
			lo, hi := r*n, (r+1)*n
			if got := compute(x[lo:hi], dy[lo:hi], false); !sameBits(got[0], want[0][lo:hi]) || !sameBits(got[1], want[1][lo:hi]) {
				t.Errorf("row %d differs when it is alone", r)
			}
		}
	})
}

func TestLayerNorm_Refuses(t *testing.T) {
	x, short := make([]float32, 12), make([]float32, 11)
	l := LayerNorm{3, 4, 1e-5}
	for name, f := range map[string]func(){
		"x":             func() { l.Forward(x, x, x, short, x, x) },
		"mean":          func() { l.Forward(x, x[:2], x, x, x, x) },
		"gamma":         func() { l.Forward(x, x, x, x, x[:3], x) },
		"beta":          func() { l.Forward(x, x, x, x, x, x[:3]) },
		"beta alone":    func() { l.Forward(x, x, x, x, nil, x) },
		"dy":            func() { l.Grad(x, x, x, short, x, x, x, x) },
		"dgamma":        func() { l.Grad(x, x[:3], x, x, x, x, x, x) },
		"nothing a row": func() { LayerNorm{3, 0, 1e-5}.Forward(x, x, x, x, x, x) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func TestLayerNorm_Alloc(t *testing.T) {
	l := LayerNorm{1000, 100, 1e-5}
	x, y, mean, rstd, grad := normals(100000), normals(100000), make([]float32, 1000), make([]float32, 1000), make([]float32, 100)
	if a := allocs(func() {
		l.Forward(y, mean, rstd, x, x, x)
		l.Grad(y, grad, grad, y, x, mean, rstd, x)
	}); a > 0 {
		t.Errorf("%g allocations a call", a)
	}
}

func BenchmarkLayerNorm(b *testing.B) {
	for _, l := range []LayerNorm{{64 * 64, 128, 1e-5}, {64 * 256, 64, 1e-5}, {4 * 256, 384, 1e-5}} {
		n := l.Rows * l.N
		x, y, mean, rstd, g := normals(n), make([]float32, n), make([]float32, l.Rows), make([]float32, l.Rows), normals(l.N)
		b.Run(fmt.Sprintf("Forward/%dx%d", l.Rows, l.N), func(b *testing.B) {
			reportBytes(b, 8*n, func() { l.Forward(y, mean, rstd, x, g, g) })
		})
		b.Run(fmt.Sprintf("Grad/%dx%d", l.Rows, l.N), func(b *testing.B) {
			reportBytes(b, 12*n, func() { l.Grad(y, g, g, x, x, mean, rstd, g) })
		})
	}
}
