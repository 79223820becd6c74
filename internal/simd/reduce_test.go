package simd

import (
	"math"
	"testing"
)

func TestSums_AgreesWith_definition(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for n := range 100 {
			x, y := normals(n), normals(n + 1)[1:]
			dot, sumSq, weighted, size := 0.0, 0.0, 0.0, 0.0
			for j := range n {
				dot += x[j] * y[j]
				sumSq += x[j] * x[j]
				weighted += y[j] * x[j] * x[j]
				size += math.Abs(x[j]) + math.Abs(y[j])*(1+x[j]*x[j]) + x[j]*x[j]
			}
			// n roundings of partial sums on either side, and the terms' own.
			bound := 2 * float64(n+3) * 0x1p-53 * size * 3
			for _, c := range []struct {
				name      string
				got, want float64
			}{
				{"Dot", Dot(x, y), dot},
				{"SumSq", SumSq(x), sumSq},
				{"WeightedSumSq", WeightedSumSq(x, y), weighted},
			} {
				if math.Abs(c.got-c.want) > bound {
					t.Errorf("%s of %d values is %v, want %v", c.name, n, c.got, c.want)
				}
			}
		}
	})
}

// Sums of small integers are exact in any order: every element counts once.
func TestSums_Golden_integers(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for n := range 200 {
			x, w := make([]float64, n), make([]float64, n)
			for j := range n {
				x[j], w[j] = float64(j+1), 2
			}
			squares := float64(n * (n + 1) * (2*n + 1) / 6)
			if Dot(x, w) != float64(n*(n+1)) || SumSq(x) != squares || WeightedSumSq(x, w) != 2*squares {
				t.Errorf("%d values: %v %v %v", n, Dot(x, w), SumSq(x), WeightedSumSq(x, w))
			}
		}
	})
}

func TestLargest_Golden(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for n := range 60 {
			x := make([]float64, n)
			for at := range n {
				for j := range x {
					x[j] = -float64(j) - 2
				}
				x[at] = -1
				if got := largest(x); got != -1 {
					t.Errorf("largest at %d of %d: got %v", at, n, got)
				}
			}
			if got := largest(x[:0]); !math.IsInf(got, -1) {
				t.Errorf("largest of nothing is %v, want −Inf", got)
			}
		}
	})
}

func TestFinite_Golden(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for n := range 70 {
			x := normals(n)
			if n > 0 {
				x[0], x[n-1] = math.MaxFloat64, -5e-324
			}
			if got := Finite(x); got != -1 {
				t.Errorf("%d finite values: Finite says %d", n, got)
			}
			for at := n - 1; at >= 0; at-- { // ever earlier: the first counts
				x[at] = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[at%3]
				if got := Finite(x); got != at {
					t.Errorf("first of %d that is not finite is %d, Finite says %d", n, at, got)
				}
			}
		}
	})
}

func TestSums_Refuses(t *testing.T) {
	x := make([]float64, 3)
	if !panics(func() { Dot(x, x[:2]) }) || !panics(func() { WeightedSumSq(x, x[:2]) }) ||
		!panics(func() { Exp(x[:2], x) }) || !panics(func() { SoftmaxRow(x[:2], x) }) {
		t.Error("a short slice was accepted")
	}
}

// The limits are speeds of real machines: above one operation in ten ns, and
// below what any processor core of today reaches.
func TestLimits_Property(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a second")
	}
	if p := PeakGFLOPS(1); p < 0.1 || p > 1000 {
		t.Errorf("PeakGFLOPS(1) is %v", p)
	}
	if c := CopyGBs(); c < 0.1 || c > 10000 {
		t.Errorf("CopyGBs is %v", c)
	}
}
