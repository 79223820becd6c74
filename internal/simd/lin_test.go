package simd

import (
	"math"
	"slices"
	"testing"
)

// linSources returns terms sources of n values, and as many coefficients.
func linSources(terms, n int) (coef []float64, src [][]float64) {
	coef = normals(terms)
	all := normals(terms * n)
	for i := range terms {
		src = append(src, all[i*n:(i+1)*n])
	}
	return coef, src
}

// linLengths are about a vector, a line, a grain and the length that is streamed
// with three terms.
var linLengths = []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 31, 100, linGrain - 1, 2*linGrain + 3, linStream/4 + 5}

func TestLin_AgreesWith_definition(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for terms := range maxTerms + 1 {
			for _, n := range linLengths {
				if n > 1000 && terms != 3 {
					continue // keeps the test short
				}
				coef, src := linSources(terms, n)
				dst := make([]float64, n+1)
				dst[n] = 42
				if !Lin(dst[:n], coef, src...) {
					t.Fatalf("%d terms of %d: finite values reported as not finite", terms, n)
				}
				for j := range n {
					want, size := 0.0, 0.0
					for i, c := range coef {
						want += float64(c * src[i][j])
						size += math.Abs(c * src[i][j])
					}
					// Each of the terms is rounded twice at most, here and there.
					if !(math.Abs(dst[j]-want) <= 2*2*maxTerms*0x1p-53*size) {
						t.Fatalf("%d terms of %d: element %d is %g, want %g", terms, n, j, dst[j], want)
					}
				}
				if dst[n] != 42 {
					t.Fatalf("%d terms of %d: wrote past the end", terms, n)
				}
			}
		}
	})
}

// An element is the same bits wherever it lies in memory and in the slice,
// whatever the number of workers, in place or not, past the caches or not.
func TestLin_Invariant(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		const n = linStream/4 + 77
		coef, src := linSources(3, n)
		want := make([]float64, n)
		for lo := 0; lo < n; lo += 1013 {
			hi := min(lo+1013, n)
			Lin(want[lo:hi], coef, src[0][lo:hi], src[1][lo:hi], src[2][lo:hi])
		}
		for _, procs := range []int{1, 2, 4} {
			withProcs(procs, func() {
				for _, shift := range []int{0, 1, 5, 8} {
					dst := make([]float64, n+shift)[shift:]
					if Lin(dst, coef, src...); !sameBits(dst, want) {
						t.Errorf("other bits with %d processors at offset %d", procs, shift)
					}
				}
			})
		}
		for i := range src {
			in := slices.Clone(src)
			in[i] = slices.Clone(in[i])
			if Lin(in[i], coef, in...); !sameBits(in[i], want) {
				t.Errorf("other bits in place of source %d", i)
			}
		}
	})
}

func TestLin_Property_finite(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			for terms := 1; terms <= maxTerms; terms++ {
				for n := 1; n < 40; n++ {
					coef, src := linSources(terms, n)
					for at := range n {
						x := src[at%terms]
						kept := x[at]
						x[at] = bad
						if Lin(make([]float64, n), coef, src...) {
							t.Errorf("%v at %d of %d, %d terms: not reported", bad, at, n, terms)
						}
						x[at] = kept
					}
				}
			}
		}
		// What is checked is what is written: an overflow of finite terms counts.
		if x := []float64{1e308}; Lin([]float64{0}, []float64{1, 1}, x, x) {
			t.Error("1e308 + 1e308 is not finite and was not reported")
		}
		// A part that another worker does.
		coef, src := linSources(2, 4*linGrain)
		for at := 0; at < 4*linGrain; at += linGrain - 1 {
			kept := src[1][at]
			src[1][at] = math.NaN()
			withProcs(3, func() {
				if Lin(make([]float64, 4*linGrain), coef, src...) {
					t.Errorf("NaN at %d was not reported", at)
				}
			})
			src[1][at] = kept
		}
	})
}

func TestLin_Refuses(t *testing.T) {
	x := make([]float64, 3)
	for name, f := range map[string]func(){
		"short source":      func() { Lin(x, []float64{1}, x[:2]) },
		"seven terms":       func() { Lin(x, make([]float64, 7), x, x, x, x, x, x, x) },
		"more sources":      func() { Lin(x, []float64{1}, x, x) },
		"more coefficients": func() { Lin(x, []float64{1, 2}, x) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func TestLin_Alloc(t *testing.T) {
	for _, n := range []int{100, 10 * linGrain} {
		coef, src := linSources(3, n)
		dst := make([]float64, n)
		if a := allocs(func() { Lin(dst, coef, src[0], src[1], src[2]) }); a > 0 {
			t.Errorf("Lin of %d values allocates %g times a call", n, a)
		}
	}
}
