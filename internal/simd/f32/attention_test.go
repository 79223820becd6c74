package f32

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// attentions have one token, one value, tokens and heads around the blocks and
// the tiles, and no rows or queries.
func attentionShapes() []Attention {
	shapes := []Attention{
		{Rows: 1, Queries: 1, Keys: 1, Heads: 1, HeadDim: 1},
		{Rows: 2, Queries: 5, Keys: 1, Heads: 2, HeadDim: 3},
		{Rows: 1, Queries: 7, Keys: 257, Heads: 1, HeadDim: 16, Scale: 2},
		{Rows: 1, Queries: 100, Keys: 260, Heads: 1, HeadDim: 17},
		{Rows: 2, Queries: 97, Keys: 17, Heads: 3, HeadDim: 8},
		{Rows: 1, Queries: 7, Keys: 33, Heads: 1, HeadDim: 128, Scale: 0.125},
		{Rows: 0, Queries: 4, Keys: 4, Heads: 1, HeadDim: 4},
		{Rows: 2, Queries: 0, Keys: 4, Heads: 1, HeadDim: 4},
		{Rows: 2, Queries: 19, Keys: 23, Heads: 2, HeadDim: 5, QueryStride: 31, KeyStride: 10, ValueStride: 17},
	}
	r := rand.New(rand.NewPCG(8, 9))
	for range 4 {
		shapes = append(shapes, Attention{Rows: 1 + r.IntN(3), Queries: 1 + r.IntN(40), Keys: 1 + r.IntN(60), Heads: 1 + r.IntN(3), HeadDim: 1 + r.IntN(40)})
	}
	return shapes
}

// An attentionCase holds arrays of a shape.
type attentionCase struct {
	Attention
	q, k, v, do, o, lse, dq, dk, dv []float32
}

func newAttentionCase(a Attention) *attentionCase {
	width := a.Heads * a.HeadDim
	stride := func(s int) int { return max(s, width) }
	c := &attentionCase{Attention: a}
	nq, nk, nv, no := a.Rows*a.Queries*stride(a.QueryStride), a.Rows*a.Keys*stride(a.KeyStride), a.Rows*a.Keys*stride(a.ValueStride), a.Rows*a.Queries*width
	c.q, c.k, c.v, c.do = normals(nq), normals(nk + 1)[1:], normals(nv + 2)[2:], normals(no + 3)[3:]
	c.o, c.lse = normals(no), normals(a.Rows*a.Heads*a.Queries)
	c.dq, c.dk, c.dv = make([]float32, nq), make([]float32, nk), make([]float32, nv)
	return c
}

func (c *attentionCase) run() {
	c.Forward(c.o, c.lse, c.q, c.k, c.v)
	c.Grad(c.dq, c.dk, c.dv, c.do, c.o, c.lse, c.q, c.k, c.v)
}

func TestAttention_AgreesWith_float64(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, a := range attentionShapes() {
			c := newAttentionCase(a)
			const untouched = 77
			for _, x := range [][]float32{c.dq, c.dk, c.dv} {
				for i := range x {
					x[i] = untouched
				}
			}
			c.run()
			d, width := a.HeadDim, a.Heads*a.HeadDim
			scale := float64(a.Scale)
			if scale == 0 {
				scale = 1 / math.Sqrt(float64(d))
			}
			at := func(x []float32, r, tokens, stride, token, h, i int) *float32 {
				return &x[(r*tokens+token)*max(stride, width)+h*d+i]
			}
			check := func(name string, got float32, want, size float64) {
				t.Helper()
				if !(math.Abs(float64(got)-want) <= size) {
					t.Fatalf("%s of %+v is %v, want %v ± %g", name, a, got, want, size)
				}
			}
			for r := range a.Rows {
				for h := range a.Heads {
					dk, dv, sizeK, sizeV := make([]float64, a.Keys*d), make([]float64, a.Keys*d), make([]float64, a.Keys*d), make([]float64, a.Keys*d)
					for i := range a.Queries {
						s, p, dp := make([]float64, a.Keys), make([]float64, a.Keys), make([]float64, a.Keys)
						most, spread, total, mean, sizeP := math.Inf(-1), 0.0, 0.0, 0.0, 0.0
						for j := range s {
							size := 0.0
							for x := range d {
								term := float64(*at(c.q, r, a.Queries, a.QueryStride, i, h, x)) * float64(*at(c.k, r, a.Keys, a.KeyStride, j, h, x)) * scale
								s[j] += term
								size += math.Abs(term)
								dp[j] += float64(*at(c.do, r, a.Queries, 0, i, h, x)) * float64(*at(c.v, r, a.Keys, a.ValueStride, j, h, x))
							}
							most, spread = max(most, s[j]), max(spread, size)
						}
						for j := range s {
							total += math.Exp(s[j] - most)
						}
						for j := range s {
							p[j] = math.Exp(s[j]-most) / total
							mean += p[j] * dp[j]
							sizeP = max(sizeP, math.Abs(dp[j]))
						}
						// s is right to some 2⁻²⁴ of its terms, and p relatively so; sums of some
						// hundred terms add as much again.
						loss := 0x1p-21 * (4 + spread + math.Sqrt(float64(d)))
						lse := most + math.Log(total)
						check("lse", c.lse[(r*a.Heads+h)*a.Queries+i], lse, loss+0x1p-22*math.Abs(lse))
						for x := range d {
							want, size, dq, sizeQ := 0.0, 0.0, 0.0, 0.0
							g, q := float64(*at(c.do, r, a.Queries, 0, i, h, x)), float64(*at(c.q, r, a.Queries, a.QueryStride, i, h, x))
							for j := range s {
								v, k := float64(*at(c.v, r, a.Keys, a.ValueStride, j, h, x)), float64(*at(c.k, r, a.Keys, a.KeyStride, j, h, x))
								ds := p[j] * (dp[j] - mean)
								want += p[j] * v
								size += p[j] * math.Abs(v)
								dq += scale * ds * k
								sizeQ += scale * p[j] * (sizeP + math.Abs(mean)) * math.Abs(k)
								dv[j*d+x] += p[j] * g
								sizeV[j*d+x] += loss * p[j] * math.Abs(g)
								dk[j*d+x] += scale * ds * q
								sizeK[j*d+x] += loss * scale * p[j] * (sizeP + math.Abs(mean)) * math.Abs(q)
							}
							check("o", *at(c.o, r, a.Queries, 0, i, h, x), want, loss*size)
							check("dq", *at(c.dq, r, a.Queries, a.QueryStride, i, h, x), dq, 2*loss*sizeQ)
						}
					}
					for j := range a.Keys {
						for x := range d {
							check("dk", *at(c.dk, r, a.Keys, a.KeyStride, j, h, x), dk[j*d+x], 2*sizeK[j*d+x])
							check("dv", *at(c.dv, r, a.Keys, a.ValueStride, j, h, x), dv[j*d+x], 2*sizeV[j*d+x])
						}
					}
				}
			}
			for name, x := range map[string]struct {
				x      []float32
				stride int
			}{"dq": {c.dq, a.QueryStride}, "dk": {c.dk, a.KeyStride}, "dv": {c.dv, a.ValueStride}} {
				for i, v := range x.x {
					if i%max(x.stride, width) >= width && v != untouched {
						t.Fatalf("%s of %+v: value %d, between tokens, is written", name, a, i)
					}
				}
			}
		}
	})
}

// Large scores and small ones: the largest is subtracted before e^s overflows,
// across blocks of keys.
func TestAttention_Limit(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		a := Attention{Rows: 1, Queries: 2, Keys: 300, Heads: 1, HeadDim: 1, Scale: 1}
		c := newAttentionCase(a)
		for j := range c.k {
			c.k[j], c.v[j] = -1, -5
		}
		c.k[290], c.v[290] = 1, 3
		c.q[0], c.q[1] = 1000, -1000 // the first sees key 290 alone, the second all others
		c.run()
		if c.o[0] != 3 || math.Abs(float64(c.o[1])+5) > 1e-5 {
			t.Errorf("o = %v, want 3 and -5", c.o)
		}
		for _, x := range [][]float32{c.dq, c.dk, c.dv, c.lse} {
			for _, v := range x {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Fatalf("not finite: %v", x)
				}
			}
		}
	})
}

// A row is the same bits alone and in a batch, for every number of workers: the
// gradients of one row and head are shared out by queries and by keys.
func TestAttention_Invariant_rows(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		a := Attention{Rows: 3, Queries: 100, Keys: 260, Heads: 2, HeadDim: 3}
		c := newAttentionCase(a)
		c.run()
		compare := func(name string, other *attentionCase, r int) {
			for i, x := range [][2][]float32{{other.o, c.o}, {other.lse, c.lse}, {other.dq, c.dq}, {other.dk, c.dk}, {other.dv, c.dv}} {
				if n := len(x[0]); !sameBits(x[0], x[1][r*n:(r+1)*n]) {
					t.Errorf("%s: result %d has other bits", name, i)
				}
			}
		}
		for _, procs := range []int{1, 2, 7} {
			withProcs(procs, func() {
				again := newAttentionCase(a)
				again.run()
				compare(fmt.Sprint(procs, " processors"), again, 0)
				one := a
				one.Rows = 1
				for r := procs % 2; r < a.Rows; r += 2 {
					alone := newAttentionCase(one)
					for _, x := range [][2][]float32{{alone.q, c.q}, {alone.k, c.k}, {alone.v, c.v}, {alone.do, c.do}} {
						copy(x[0], x[1][r*len(x[0]):])
					}
					alone.run()
					compare(fmt.Sprint("row ", r, " alone with ", procs, " processors"), alone, r)
				}
			})
		}
	})
}

func TestAttention_Refuses(t *testing.T) {
	x, short := make([]float32, 48), make([]float32, 47)
	a := Attention{Rows: 2, Queries: 4, Keys: 3, Heads: 2, HeadDim: 3}
	for name, f := range map[string]func(){
		"q":         func() { a.Forward(x, x, short, x, x) },
		"k":         func() { a.Forward(x, x, x, x[:35], x) },
		"v":         func() { a.Forward(x, x, x, x, x[:35]) },
		"o":         func() { a.Forward(short, x, x, x, x) },
		"lse":       func() { a.Forward(x, x[:15], x, x, x) },
		"dq":        func() { a.Grad(short, x, x, x, x, x, x, x, x) },
		"dk":        func() { a.Grad(x, x[:35], x, x, x, x, x, x, x) },
		"no keys":   func() { Attention{Rows: 1, Queries: 1, Heads: 1, HeadDim: 1}.Forward(x, x, x, x, x) },
		"no heads":  func() { Attention{Rows: 1, Queries: 1, Keys: 1, HeadDim: 1}.Forward(x, x, x, x, x) },
		"stride":    func() { Attention{1, 1, 1, 2, 3, 5, 0, 0, 1}.Forward(x, x, x, x, x) },
		"stride, q": func() { Attention{2, 4, 1, 2, 3, 7, 0, 0, 1}.Forward(x, x, x[:54], x, x) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func TestAttention_Alloc(t *testing.T) {
	c := newAttentionCase(Attention{Rows: 2, Queries: 100, Keys: 140, Heads: 2, HeadDim: 24})
	if a := allocs(c.run); a > 0 {
		t.Errorf("%g allocations a call", a)
	}
}

// BenchmarkAttention measures tokens of small and of large images.
func BenchmarkAttention(b *testing.B) {
	for _, a := range []Attention{
		{Rows: 4, Queries: 256, Keys: 256, Heads: 1, HeadDim: 256},
		{Rows: 32, Queries: 256, Keys: 256, Heads: 1, HeadDim: 128},
		{Rows: 64, Queries: 64, Keys: 64, Heads: 1, HeadDim: 64},
		{Rows: 32, Queries: 64, Keys: 64, Heads: 1, HeadDim: 128},
		{Rows: 4, Queries: 256, Keys: 256, Heads: 4, HeadDim: 64},
		{Rows: 4, Queries: 256, Keys: 256, Heads: 8, HeadDim: 32},
		{Rows: 4, Queries: 256, Keys: 256, Heads: 16, HeadDim: 16},
		{Rows: 4, Queries: 256, Keys: 256, Heads: 32, HeadDim: 8},
		{Rows: 64, Queries: 64, Keys: 64, Heads: 8, HeadDim: 8},
		{Rows: 1, Queries: 4096, Keys: 4096, Heads: 1, HeadDim: 64},
	} {
		c := newAttentionCase(a)
		flops := float64(a.Rows) * float64(a.Heads) * float64(a.Queries) * float64(a.Keys) * float64(a.HeadDim)
		name := fmt.Sprintf("%dx%dx%dx%d", a.Rows, a.Keys, a.Heads, a.HeadDim)
		b.Run("Forward/"+name, func(b *testing.B) {
			reportFlops(b, 4*flops, func() { c.Forward(c.o, c.lse, c.q, c.k, c.v) })
		})
		b.Run("Grad/"+name, func(b *testing.B) {
			reportFlops(b, 10*flops, func() { c.Grad(c.dq, c.dk, c.dv, c.do, c.o, c.lse, c.q, c.k, c.v) })
		})
	}
}
