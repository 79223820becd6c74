package f32

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
	a, b, c        []float32
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

func (g gemmCase) gemm(alpha, beta float32) []float32 {
	c := slices.Clone(g.c)
	Gemm(g.transA, g.transB, g.m, g.n, g.k, alpha, g.a, g.lda, g.b, g.ldb, beta, c, g.ldc)
	return c
}

// naive returns the product by its definition in float64, and for every element
// a bound of the rounding error of any order of summation in float32, with a
// rounding of every product and of C for each block of k: (2k+4)·2⁻²⁴ Σ|terms|.
func (g gemmCase) naive(alpha, beta float32) (c, bound []float64) {
	at := func(i, p int) float64 {
		if g.transA {
			return float64(g.a[p*g.lda+i])
		}
		return float64(g.a[i*g.lda+p])
	}
	bt := func(p, j int) float64 {
		if g.transB {
			return float64(g.b[j*g.ldb+p])
		}
		return float64(g.b[p*g.ldb+j])
	}
	c, bound = make([]float64, len(g.c)), make([]float64, len(g.c))
	for e, v := range g.c {
		c[e] = float64(v)
	}
	for i := range g.m {
		for j := range g.n {
			s, size := 0.0, 0.0
			for p := range g.k {
				v := at(i, p) * bt(p, j)
				s += v
				size += math.Abs(v)
			}
			e := i*g.ldc + j
			s *= float64(alpha)
			size *= math.Abs(float64(alpha))
			if beta != 0 {
				old := float64(beta) * c[e]
				s += old
				size += math.Abs(old)
			}
			c[e] = s
			bound[e] = float64(2*g.k+4) * 0x1p-24 * size
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
	{4, 15, 5},
	{5, 17, 9},
	{6, 16, 4},
	{6, 32, 256},
	{7, 33, 257},
	{11, 47, 3},
	{12, 31, 300},
	{13, 48, 11},
	{1, 100, 300},
	{64, 50, 196},
	{33, 30, 784},
	{96, 24, 20},
	{96, 16, 256}, // fills the room for columns of op(A)
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
					ab := [][2]float32{{1, 0}, {1, 1}, {-0.5, 2}}[(trans+spare)%3]
					want, bound := g.naive(ab[0], ab[1])
					got := g.gemm(ab[0], ab[1])
					for e := range want {
						if !(math.Abs(float64(got[e])-want[e]) <= bound[e]) {
							t.Fatalf("%v α=%g β=%g: element %d,%d is %g, want %g ± %g",
								g, ab[0], ab[1], e/g.ldc, e%g.ldc, got[e], want[e], bound[e])
						}
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
			for _, x := range [][]float32{g.a, g.b, g.c} {
				for i := range x {
					x[i] = float32(math.Round(4 * float64(x[i])))
				}
			}
			want, _ := g.naive(2, -3)
			for e, got := range g.gemm(2, -3) {
				if float64(got) != want[e] {
					t.Fatalf("%v: element %d,%d is %g, want %g", g, e/g.ldc, e%g.ldc, got, want[e])
				}
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
				g.c[i*g.ldc+j] = float32(math.NaN())
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
						if !sameBits(g.gemm(1.5, -0.5), want) {
							t.Errorf("%v: other bits with %d processors", g, procs)
						}
					})
				}
				row := func(i int) (x []float32) { // of op(A)
					if !transA {
						return g.a[i*k : (i+1)*k]
					}
					for p := range k {
						x = append(x, g.a[p*m+i])
					}
					return x
				}
				for _, rows := range [][]int{{0}, {202}, {7, 3}, {1, 2, 100, 5, 6, 7, 201}} {
					var a, c []float32
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
	x := make([]float32, 12)
	for name, f := range map[string]func(){
		"short A":     func() { Gemm(false, false, 4, 3, 4, 1, x, 4, x, 3, 0, x, 3) },
		"short B":     func() { Gemm(false, true, 3, 4, 4, 1, x, 4, x, 4, 0, x, 4) },
		"short C":     func() { Gemm(false, false, 3, 5, 1, 1, x, 1, x, 5, 0, x, 5) },
		"lda below k": func() { Gemm(false, false, 3, 3, 4, 1, x, 3, x, 3, 0, x, 3) },
		"huge lda":    func() { Gemm(false, false, 5, 3, 4, 1, x, 1<<62, x, 3, 0, x, 3) },
		"huge m":      func() { Gemm(false, false, 1<<62, 3, 4, 1, x, 4, x, 3, 0, x, 3) },
		"negative m":  func() { Gemm(false, false, -1, 3, 4, 1, x, 4, x, 3, 0, x, 3) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func TestGemm_Alloc(t *testing.T) {
	for _, m := range []int{1, 64, 300} {
		g := newGemmCase(false, true, m, 340, 300, 0)
		if a := allocs(func() { Gemm(false, true, m, g.n, g.k, 1, g.a, g.lda, g.b, g.ldb, 0, g.c, g.ldc) }); a > 0 {
			t.Errorf("Gemm with %d rows allocates %g times a call", m, a)
		}
	}
}
