package simd

import (
	"math/rand/v2"
	"testing"
)

func randoms(n int) []float64 {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}

func TestQuick(t *testing.T) {
	for _, tr := range [][2]bool{{false, false}, {false, true}, {true, false}, {true, true}} {
		for _, s := range [][3]int{{1, 1, 1}, {4, 12, 4}, {5, 13, 7}, {97, 25, 300}, {200, 30, 513}, {3, 100, 0}, {100, 4100, 260}} {
			m, n, k := s[0], s[1], s[2]
			a, b, c := randoms(m*k), randoms(k*n), randoms(m*n)
			lda, ldb := k, n
			if tr[0] {
				lda = m
			}
			if tr[1] {
				ldb = k
			}
			at := func(i, p int) float64 {
				if tr[0] {
					return a[p*lda+i]
				}
				return a[i*lda+p]
			}
			bt := func(p, j int) float64 {
				if tr[1] {
					return b[j*ldb+p]
				}
				return b[p*ldb+j]
			}
			got := append([]float64(nil), c...)
			Gemm(tr[0], tr[1], m, n, k, 0.5, a, lda, b, ldb, -2, got, n)
			for i := range m {
				for j := range n {
					s := 0.0
					for p := range k {
						s += at(i, p) * bt(p, j)
					}
					if want := 0.5*s - 2*c[i*n+j]; want-got[i*n+j] > 1e-11 || want-got[i*n+j] < -1e-11 || got[i*n+j] != got[i*n+j] {
						t.Fatal(tr, s, i, j, want, got[i*n+j])
					}
				}
			}
		}
	}
}

func benchG(b *testing.B, m, n, k int, tb, packed bool) {
	A, B, C := randoms(m*k), randoms(k*n), randoms(m*n)
	ldb := n
	if tb {
		ldb = k
	}
	P := PackB(tb, k, n, B, ldb)
	b.ReportAllocs()
	for b.Loop() {
		if packed {
			GemmPacked(false, m, 1, A, k, P, 0, C, n)
		} else {
			Gemm(false, tb, m, n, k, 1, A, k, B, ldb, 0, C, n)
		}
	}
	b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
func BenchmarkG(b *testing.B) {
	b.Run("1024", func(b *testing.B) { benchG(b, 1024, 1024, 1024, false, false) })
	b.Run("1024T", func(b *testing.B) { benchG(b, 1024, 1024, 1024, true, false) })
	b.Run("64x1700x784T", func(b *testing.B) { benchG(b, 64, 1700, 784, true, false) })
	b.Run("64x784x1700", func(b *testing.B) { benchG(b, 64, 784, 1700, false, false) })
	b.Run("64x1700x784P", func(b *testing.B) { benchG(b, 64, 1700, 784, true, true) })
	b.Run("64x784x1700P", func(b *testing.B) { benchG(b, 64, 784, 1700, false, true) })
	b.Run("4x1700x784P", func(b *testing.B) { benchG(b, 4, 1700, 784, true, true) })
	b.Run("4x784x1700P", func(b *testing.B) { benchG(b, 4, 784, 1700, false, true) })
	b.Run("4x1700x784T", func(b *testing.B) { benchG(b, 4, 1700, 784, true, false) })
	b.Run("1x1700x784P", func(b *testing.B) { benchG(b, 1, 1700, 784, true, true) })
}
