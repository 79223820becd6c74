package models

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// transform takes h×w images to half of the plane of their orthonormal Fourier
// coefficients and back:
//
//	X(u, v) = 1/√(hw) Σ_{i,j} x(i, j) e^{−2πi(ui/h + vj/w)},   0 ≤ v ≤ w/2.
//
// The other half holds the complex conjugates. Coefficients lie column by
// column, X(u, v) at v·h + u, so that the transforms along u run over
// consecutive numbers. A transform is not safe for concurrent use.
type transform struct {
	h, w, half int // half = w/2 + 1 columns
	rows       *fourier.FFT
	columns    *fourier.CmplxFFT
	strip      []complex128 // stripRows × half
	norm       float64
}

// stripRows rows change between row order and column order at once: their
// coefficients fill whole cache lines on both sides.
const stripRows = 8

func newTransform(h, w int) *transform {
	half := w/2 + 1
	return &transform{
		h: h, w: w, half: half, rows: fourier.NewFFT(w), columns: fourier.NewCmplxFFT(h),
		strip: make([]complex128, stripRows*half), norm: 1 / math.Sqrt(float64(h)*float64(w)),
	}
}

// forward writes the coefficients of x into dst.
func (t *transform) forward(dst []complex128, x []float64) {
	for top := 0; top < t.h; top += stripRows {
		n := min(stripRows, t.h-top)
		for r := range n {
			line := t.strip[r*t.half:][:t.half]
			t.rows.Coefficients(line, x[(top+r)*t.w:][:t.w])
			for v, c := range line {
				line[v] = complex(real(c)*t.norm, imag(c)*t.norm)
			}
		}
		for v := range t.half {
			out := dst[v*t.h+top:][:n]
			for r := range out {
				out[r] = t.strip[r*t.half+v]
			}
		}
	}
	for v := range t.half {
		column := dst[v*t.h:][:t.h]
		t.columns.Coefficients(column, column)
	}
}

// inverse writes the image of the coefficients into dst. It destroys them.
func (t *transform) inverse(dst []float64, coeffs []complex128) {
	for v := range t.half {
		column := coeffs[v*t.h:][:t.h]
		t.columns.Sequence(column, column)
	}
	for top := 0; top < t.h; top += stripRows {
		n := min(stripRows, t.h-top)
		for v := range t.half {
			for r, c := range coeffs[v*t.h+top:][:n] {
				t.strip[r*t.half+v] = c
			}
		}
		for r := range n {
			out := dst[(top+r)*t.w:][:t.w]
			t.rows.Sequence(out, t.strip[r*t.half:][:t.half])
			for j := range out {
				out[j] *= t.norm
			}
		}
	}
}
