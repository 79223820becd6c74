package simd

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// A gemmCase is a product with room to spare around every matrix.
type gemmCase struct {
	transA, transB bool
	m, n, k        int
	a, b, c        []float64
	lda, ldb, ldc  int
}

func newGemmCase(transA, transB bool, m, n, k, spare int) gemmCase {
	g := gemmCase{transA: transA, transB: transB, m: m, n: n, k: k}
	g.lda, g.ldb, g.ldc = k+spare, n+spare, n+spare
	rowsA, rowsB := m, k
	if transA {
		g.lda, rowsA = m+spare, k
	}
	if transB {
		g.ldb, rowsB = k+spare, n
	}
	g.a, g.b, g.c = normals(rowsA*g.lda), normals(rowsB*g.ldb), normals(m*g.ldc)
	return g
}

func (g gemmCase) String() string {
	return fmt.Sprintf("m=%d n=%d k=%d transA=%t transB=%t", g.m, g.n, g.k, g.transA, g.transB)
}

func (g gemmCase) gemm(alpha, beta float64) []float64 {
	c := slices.Clone(g.c)
	Gemm(g.transA, g.transB, g.m, g.n, g.k, alpha, g.a, g.lda, g.b, g.ldb, beta, c, g.ldc)
	return c
}

func (g gemmCase) gemmPacked(alpha, beta float64) []float64 {
	c := slices.Clone(g.c)
	GemmPacked(g.transA, g.m, alpha, g.a, g.lda, PackB(g.transB, g.k, g.n, g.b, g.ldb), beta, c, g.ldc)
	return c
}

// naive returns the product by its definition, and for every element a bound
// of the rounding error of any order of summation: (k+3)·2⁻⁵³ Σ|terms|, twice,
// for the two results that are compared.
func (g gemmCase) naive(alpha, beta float64) (c, bound []float64) {
	at := func(i, p int) float64 {
		if g.transA {
			return g.a[p*g.lda+i]
		}
		return g.a[i*g.lda+p]
	}
	bt := func(p, j int) float64 {
		if g.transB {
			return g.b[j*g.ldb+p]
		}
		return g.b[p*g.ldb+j]
	}
	c, bound = slices.Clone(g.c), make([]float64, len(g.c))
	for i := range g.m {
		for j := range g.n {
			s, size := 0.0, 0.0
			for p := range g.k {
				v := at(i, p) * bt(p, j)
				s += v
				size += math.Abs(v)
			}
			e := i*g.ldc + j
			size = math.Abs(alpha) * size
			if beta != 0 {
				size += math.Abs(beta * c[e])
				c[e] = float64(alpha*s) + beta*c[e]
			} else {
				c[e] = alpha * s
			}
			bound[e] = 2 * float64(g.k+3) * 0x1p-53 * size
		}
	}
	return c, bound
}

// shapes has every class: empty, below, at and above a register tile, a block
// of rows, a block of k and a block of columns, each with remainders.
var shapes = [][3]int{
	{0, 5, 5},
	{5, 0, 5},
	{3, 7, 0},
	{100, 7, 0},
	{1, 1, 1},
	{2, 3, 4},
	{4, 12, 4},
	{4, 12, 5},
	{3, 11, 7},
	{5, 13, 9},
	{8, 24, 256},
	{7, 25, 257},
	{1, 100, 300},
	{64, 50, 196},
	{33, 30, 784},
	{96, 24, 20},
	{97, 36, 13},
	{193, 13, 513},
	{400, 8, 2},
	{100, maxCols + 13, 3},
	{5, maxCols + 1, 2},
}

func TestGemm_AgreesWith_definition(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, s := range shapes {
			for trans := range 4 {
				for spare := range 2 {
					if testing.Short() && trans%2 != spare {
						continue
					}
					g := newGemmCase(trans&1 != 0, trans&2 != 0, s[0], s[1], s[2], 3*spare)
					ab := [][2]float64{{1, 0}, {1, 1}, {-0.5, 2}}[(trans+spare)%3]
					want, bound := g.naive(ab[0], ab[1])
					got := g.gemm(ab[0], ab[1])
					for e := range want {
						if !(math.Abs(got[e]-want[e]) <= bound[e]) {
							t.Fatalf("%v α=%g β=%g: element %d,%d is %g, want %g ± %g",
								g, ab[0], ab[1], e/g.ldc, e%g.ldc, got[e], want[e], bound[e])
						}
					}
					if !sameBits(g.gemmPacked(ab[0], ab[1]), got) {
						t.Fatalf("%v α=%g β=%g: packed and plain differ", g, ab[0], ab[1])
					}
				}
			}
		}
	})
}

// Products and sums of small integers are exact in any order, so that a term
// left out or taken twice cannot hide below a tolerance.
func TestGemm_Golden_integers(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, s := range shapes {
			g := newGemmCase(false, true, s[0], s[1], s[2], 1)
			for _, x := range [][]float64{g.a, g.b, g.c} {
				for i := range x {
					x[i] = math.Round(4 * x[i])
				}
			}
			want, _ := g.naive(2, -3)
			if got := g.gemm(2, -3); !slices.Equal(got, want) {
				t.Fatalf("%v: not the exact product", g)
			}
		}
	})
}

func TestGemm_Limit_betaZeroDoesNotRead(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		g := newGemmCase(false, false, 101, 29, 300, 2)
		want := g.gemm(1, 0)
		for i := range g.m {
			for j := range g.n {
				g.c[i*g.ldc+j] = math.NaN()
			}
		}
		if !sameBits(g.gemm(1, 0), want) {
			t.Error("with β = 0 the result depends on what was in C")
		}
	})
}

// Row i of C is the same bits whatever else is in the batch: other rows, their
// number and order, the workers, the way the product is called.
func TestGemm_Invariant_rows(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, transA := range []bool{false, true} {
			for _, transB := range []bool{false, true} {
				const m, n, k = 203, 131, 517
				g := newGemmCase(transA, transB, m, n, k, 0)
				want := g.gemm(1.5, -0.5)
				for _, procs := range []int{1, 2, 5} {
					withProcs(procs, func() {
						if !sameBits(g.gemm(1.5, -0.5), want) || !sameBits(g.gemmPacked(1.5, -0.5), want) {
							t.Errorf("%v: other bits with %d processors", g, procs)
						}
					})
				}
				row := func(i int) (x []float64) { // of op(A)
					if !transA {
						return g.a[i*k : (i+1)*k]
					}
					for p := range k {
						x = append(x, g.a[p*m+i])
					}
					return x
				}
				for _, rows := range [][]int{{0}, {202}, {7, 3}, {1, 2, 100, 5, 6, 7, 201}} {
					var a, c []float64
					for _, i := range rows {
						a = append(a, row(i)...)
						c = append(c, g.c[i*n:(i+1)*n]...)
					}
					Gemm(false, transB, len(rows), n, k, 1.5, a, k, g.b, g.ldb, -0.5, c, n)
					for r, i := range rows {
						if !sameBits(c[r*n:(r+1)*n], want[i*n:(i+1)*n]) {
							t.Errorf("%v: row %d differs when it is row %d of %d", g, i, r, len(rows))
						}
					}
				}
			}
		}
	})
}

func TestGemm_Refuses(t *testing.T) {
	x := make([]float64, 12)
	p := PackB(false, 4, 3, x, 3)
	if k, n := p.Dims(); k != 4 || n != 3 {
		t.Errorf("Dims are %d, %d, want 4, 3", k, n)
	}
	for name, f := range map[string]func(){
		"short A":        func() { Gemm(false, false, 4, 3, 4, 1, x, 4, x, 3, 0, x, 3) },
		"short B":        func() { Gemm(false, true, 3, 4, 4, 1, x, 4, x, 4, 0, x, 4) },
		"short C":        func() { Gemm(false, false, 3, 5, 1, 1, x, 1, x, 5, 0, x, 5) },
		"lda below k":    func() { Gemm(false, false, 3, 3, 4, 1, x, 3, x, 3, 0, x, 3) },
		"negative m":     func() { Gemm(false, false, -1, 3, 4, 1, x, 4, x, 3, 0, x, 3) },
		"packed short A": func() { GemmPacked(false, 4, 1, x, 4, p, 0, x, 3) },
		"packed short C": func() { GemmPacked(false, 3, 1, x, 4, p, 0, x[:8], 3) },
		"pack short B":   func() { PackB(false, 5, 3, x, 3) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func TestGemm_Alloc(t *testing.T) {
	for _, m := range []int{1, 64, 300} {
		g := newGemmCase(false, true, m, 340, 300, 0)
		p := PackB(true, g.k, g.n, g.b, g.ldb)
		for name, f := range map[string]func(){
			"Gemm":       func() { Gemm(false, true, m, g.n, g.k, 1, g.a, g.lda, g.b, g.ldb, 0, g.c, g.ldc) },
			"GemmPacked": func() { GemmPacked(false, m, 1, g.a, g.lda, p, 0, g.c, g.ldc) },
		} {
			if a := allocs(f); a > 0 {
				t.Errorf("%s with %d rows allocates %g times a call", name, m, a)
			}
		}
	}
}
