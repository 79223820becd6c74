package f32

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// groupNorms has one pixel, one channel, groups of one channel and of all, and
// channels around a vector and around the width of the sums.
func groupNorms() []GroupNorm {
	norms := []GroupNorm{
		{1, 1, 1, 1, 1e-5, false},
		{2, 5, 1, 1, 1e-5, false},
		{1, 1, 6, 2, 1e-5, false},
		{3, 7, 17, 1, 1e-5, false},
		{2, 9, 17, 17, 1e-6, false},
		{2, 64, 64, 32, 1e-6, false},
		{2, 49, 48, 2, 1e-5, false},
		{0, 4, 8, 2, 1e-5, false},
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		groups := 1 + r.IntN(6)
		norms = append(norms, GroupNorm{1 + r.IntN(3), 1 + r.IntN(20), groups * (1 + r.IntN(12)), groups, 1e-5, false})
	}
	return norms
}

func TestGroupNorm_AgreesWith_definition(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, g := range groupNorms() {
			for _, offset := range []float32{0, 100} {
				size := g.Channels / g.Groups
				x, gamma, beta := normals(g.Rows*g.Pixels*g.Channels), normals(g.Channels), normals(g.Channels + 1)[1:]
				for i := range x {
					x[i] += offset
				}
				mean, rstd := make([]float32, g.Rows*g.Groups), make([]float32, g.Rows*g.Groups)
				y, active := make([]float32, len(x)), make([]float32, len(x))
				g.Statistics(mean, rstd, x)
				g.Apply(y, x, mean, rstd, gamma, beta, false)
				g.Apply(active, x, mean, rstd, gamma, beta, true)
				for r := range g.Rows {
					for group := range g.Groups {
						m, v, n := 0.0, 0.0, float64(size*g.Pixels)
						each := func(f func(x float64, i, c int)) {
							for p := range g.Pixels {
								for c := group * size; c < (group+1)*size; c++ {
									i := (r*g.Pixels+p)*g.Channels + c
									f(float64(x[i]), i, c)
								}
							}
						}
						each(func(x float64, _, _ int) { m += x / n })
						each(func(x float64, _, _ int) { v += (x - m) * (x - m) / n })
						s := 1 / math.Sqrt(v+g.Epsilon)
						at := r*g.Groups + group
						// The bound of the variance, halved by the root, and a rounding.
						bound := 0x1p-24 + n*0x1p-52*(v+m*m)*s*s
						if !(math.Abs(float64(rstd[at])-s) <= bound*s) || !(math.Abs(float64(mean[at])-m) <= 0x1p-23*math.Abs(m)+0x1p-50) {
							t.Fatalf("%+v: mean and rstd of row %d, group %d are %v and %v, want %v and %v", g, r, group, mean[at], rstd[at], m, s)
						}
						each(func(x float64, i, c int) {
							a, b := float64(gamma[c]), float64(beta[c])
							want := a*(x-m)*s + b
							// γ rstd x and γ rstd mean are rounded before they cancel.
							bound := (0x1p-21 + bound) * (math.Abs(a)*s*(math.Abs(x)+math.Abs(m)) + math.Abs(b))
							if !(math.Abs(float64(y[i])-want) <= bound) {
								t.Fatalf("%+v: value %d is %v, want %v ± %g", g, i, y[i], want, bound)
							}
							// SiLU's slope is below 1.1.
							if want := want / (1 + math.Exp(-want)); !(math.Abs(float64(active[i])-want) <= 1.1*bound+0x1p-21*math.Abs(want)) {
								t.Fatalf("%+v: SiLU of value %d is %v, want %v ± %g", g, i, active[i], want, bound)
							}
						})
					}
				}
			}
		}
	})
}

// A row is the same bits alone and in a batch, for every number of workers, and
// whether rows or their blocks are the work of one.
func TestGroupNorm_Invariant_rows(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		const pixels, channels = 900, 40 // three blocks
		gamma, beta := normals(channels), normals(channels+1)
		compute := func(x, dz []float32, rows int) (y, dx, dgamma []float32) {
			g := GroupNorm{rows, pixels, channels, 8, 1e-5, false}
			mean, rstd := make([]float32, rows*8), make([]float32, rows*8)
			y, dx, dgamma = make([]float32, len(x)), make([]float32, len(x)), make([]float32, channels)
			g.Forward(y, mean, rstd, x, gamma, beta, true)
			g.GradSiLU(dx, dgamma, make([]float32, channels), dz, x, mean, rstd, gamma, beta)
			m, s, z := make([]float32, rows*8), make([]float32, rows*8), make([]float32, len(x))
			g.Statistics(m, s, x)
			g.Apply(z, x, m, s, gamma, beta, true)
			if !sameBits(m, mean) || !sameBits(s, rstd) || !sameBits(z, y) {
				t.Error("Forward is not Statistics and then Apply")
			}
			return y, dx, dgamma
		}
		const size = pixels * channels
		x, dz := normals(5*size), normals(5*size + 1)[1:]
		y, dx, dgamma := compute(x, dz, 5)
		for _, procs := range []int{1, 2, 5} {
			withProcs(procs, func() {
				if a, b, c := compute(x, dz, 5); !sameBits(a, y) || !sameBits(b, dx) || !sameBits(c, dgamma) {
					t.Errorf("other bits with %d processors", procs)
				}
			})
		}
		for r := range 5 {
			lo, hi := r*size, (r+1)*size
			if a, b, _ := compute(x[lo:hi], dz[lo:hi], 1); !sameBits(a, y[lo:hi]) || !sameBits(b, dx[lo:hi]) {
				t.Errorf("row %d differs when it is alone", r)
			}
		}
	})
}

// The gradients against differences of the definition in float64.
func TestGroupNorm_AgreesWith_differences(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, g := range groupNorms() {
			if g.Pixels*(g.Channels/g.Groups) < 2 {
				continue // the output is β alone
			}
			g.Epsilon = 0.1 // so that groups of few values have no steep slope
			n := g.Rows * g.Pixels * g.Channels
			x, dz, gamma, beta := normals(n), normals(n + 1)[1:], normals(g.Channels), normals(g.Channels + 1)[1:]
			// loss is Σ dz z for z = SiLU(y) or z = y, in float64.
			loss := func(x, gamma, beta []float64, silu bool) (sum float64) {
				size := g.Channels / g.Groups
				for r := range g.Rows {
					for group := range g.Groups {
						each := func(f func(i, c int)) {
							for p := range g.Pixels {
								for c := group * size; c < (group+1)*size; c++ {
									f((r*g.Pixels+p)*g.Channels+c, c)
								}
							}
						}
						m, v, count := 0.0, 0.0, float64(size*g.Pixels)
						each(func(i, _ int) { m += x[i] / count })
						each(func(i, _ int) { v += (x[i] - m) * (x[i] - m) / count })
						each(func(i, c int) {
							z := gamma[c]*(x[i]-m)/math.Sqrt(v+g.Epsilon) + beta[c]
							if silu {
								z /= 1 + math.Exp(-z)
							}
							sum += float64(dz[i]) * z
						})
					}
				}
				return sum
			}
			wide := func(x []float32) []float64 {
				y := make([]float64, len(x))
				for i, v := range x {
					y[i] = float64(v)
				}
				return y
			}
			for _, silu := range []bool{false, true} {
				mean, rstd := make([]float32, g.Rows*g.Groups), make([]float32, g.Rows*g.Groups)
				g.Statistics(mean, rstd, x)
				dx := make([]float32, n)
				dgamma, dbeta := make([]float32, g.Channels), make([]float32, g.Channels)
				for c := range dgamma {
					dgamma[c], dbeta[c] = 1, -2 // the gradients are added to what is there
				}
				if silu {
					g.GradSiLU(dx, dgamma, dbeta, dz, x, mean, rstd, gamma, beta)
					again, unused := slices.Clone(dz), make([]float32, g.Channels)
					g.GradSiLU(again, unused, unused, again, x, mean, rstd, gamma, beta)
					if !sameBits(again, dx) {
						t.Fatalf("%+v: GradSiLU differs in place", g)
					}
				} else {
					g.Grad(dx, dgamma, dbeta, dz, x, mean, rstd, gamma)
				}
				args := [3][]float64{wide(x), wide(gamma), wide(beta)}
				got := [3][]float32{dx, dgamma, dbeta}
				before := [3]float64{0, 1, -2}
				for a := range args {
					step := max(1, len(args[a])/20)
					for i := 0; i < len(args[a]); i += step {
						const h = 1e-4
						v := args[a][i]
						args[a][i] = v + h
						up := loss(args[0], args[1], args[2], silu)
						args[a][i] = v - h
						down := loss(args[0], args[1], args[2], silu)
						args[a][i] = v
						want := (up-down)/(2*h) + before[a]
						// The difference is right to h² and 2⁻⁵²·|loss|/h, the gradient to
						// some 2⁻²⁴ of its terms: of all values for γ and β.
						terms := 30.0
						if a > 0 {
							terms += math.Sqrt(float64(g.Rows * g.Pixels))
						}
						if !(math.Abs(float64(got[a][i])-want) <= 1e-6*terms) {
							t.Fatalf("%+v silu=%t: gradient %d of argument %d is %v, want %v", g, silu, i, a, got[a][i], want)
						}
					}
				}
			}
		}
	})
}

// BenchmarkGroupNorm measures the shapes of networks. The bytes are those that
// have to move, each array once: x and y, or dz, x and dx.
func BenchmarkGroupNorm(b *testing.B) {
	for _, g := range []GroupNorm{
		{64, 1024, 32, 8, 1e-5, false},
		{32, 1024, 64, 32, 1e-5, false},
		{4, 1024, 128, 32, 1e-5, false},
		{4, 256, 256, 32, 1e-5, false},
		{4, 16, 256, 32, 1e-5, false},
		{1, 1024, 128, 32, 1e-5, false},
	} {
		n := g.Rows * g.Pixels * g.Channels
		x, y, dz := normals(n), make([]float32, n), normals(n + 1)[1:]
		mean, rstd := make([]float32, g.Rows*g.Groups), make([]float32, g.Rows*g.Groups)
		gamma, dgamma := normals(g.Channels), make([]float32, g.Channels)
		for _, k := range []struct {
			name   string
			arrays int
			f      func()
		}{
			{"Statistics", 1, func() { g.Statistics(mean, rstd, x) }},
			{"Apply", 2, func() { g.Apply(y, x, mean, rstd, gamma, gamma, false) }},
			{"Forward", 2, func() { g.Forward(y, mean, rstd, x, gamma, gamma, false) }},
			{"Forward-SiLU", 2, func() { g.Forward(y, mean, rstd, x, gamma, gamma, true) }},
			{"Grad", 3, func() { g.Grad(y, dgamma, dgamma, dz, x, mean, rstd, gamma) }},
			{"GradSiLU", 3, func() { g.GradSiLU(y, dgamma, dgamma, dz, x, mean, rstd, gamma, gamma) }},
		} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", k.name, g.Rows, g.Pixels, g.Channels), func(b *testing.B) {
				reportBytes(b, 4*n*k.arrays, k.f)
			})
		}
	}
}

// γ, β and their gradients by rows are those of the rows alone.
func TestGroupNorm_AgreesWith_rows(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		g := GroupNorm{3, 70, 24, 4, 1e-5, true}
		const size, n, groups = 70 * 24, 24, 4
		x, dz, gamma, beta := normals(3*size), normals(3*size + 1)[1:], normals(3*n), normals(3*n + 1)[1:]
		y, dx, mean, rstd := make([]float32, 3*size), make([]float32, 3*size), make([]float32, 3*groups), make([]float32, 3*groups)
		dgamma, dbeta := normals(3*n), normals(3*n)
		wantGamma, wantBeta := slices.Clone(dgamma), slices.Clone(dbeta)
		g.Forward(y, mean, rstd, x, gamma, beta, true)
		g.GradSiLU(dx, dgamma, dbeta, dz, x, mean, rstd, gamma, beta)
		one := GroupNorm{1, 70, 24, 4, 1e-5, false}
		for r := range 3 {
			row := func(x []float32) []float32 { return x[r*len(x)/3 : (r+1)*len(x)/3] }
			z, d := make([]float32, size), make([]float32, size)
			one.Forward(z, row(mean), row(rstd), row(x), row(gamma), row(beta), true)
			one.GradSiLU(d, row(wantGamma), row(wantBeta), row(dz), row(x), row(mean), row(rstd), row(gamma), row(beta))
			if !sameBits(z, row(y)) || !sameBits(d, row(dx)) {
				t.Errorf("row %d differs from that row alone", r)
			}
		}
		if !sameBits(dgamma, wantGamma) || !sameBits(dbeta, wantBeta) {
			t.Error("the gradients of γ and β differ from those of the rows alone")
		}
	})
}
