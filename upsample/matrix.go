package upsample

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// gramOf returns P Pᵀ of a matrix of rows×cols.
func gramOf(p []float64, rows, cols int) []float64 {
	m := mat.NewDense(rows, cols, p)
	g := mat.NewDense(rows, rows, nil)
	g.Mul(m, m.T())
	return g.RawMatrix().Data
}

// multiply returns A B of n×k and k×m numbers.
func multiply(a, b []float64, n, k, m int) []float64 {
	c := mat.NewDense(n, m, nil)
	c.Mul(mat.NewDense(n, k, a), mat.NewDense(k, m, b))
	return c.RawMatrix().Data
}

// adjointTimes returns Pᵀ M, of cols×rows numbers, for P of rows×cols and M
// of rows×rows.
func adjointTimes(p, m []float64, rows, cols int) []float64 {
	c := mat.NewDense(cols, rows, nil)
	c.Mul(mat.NewDense(rows, cols, p).T(), mat.NewDense(rows, rows, m))
	return c.RawMatrix().Data
}

// power returns the power of a positive definite n×n matrix, and refuses one
// that is singular to rounding.
func power(g []float64, n int, exponent float64) ([]float64, error) {
	sym := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			sym.SetSym(i, j, g[i*n+j])
		}
	}
	var eig mat.EigenSym
	if !eig.Factorize(sym, true) {
		return nil, fmt.Errorf("the eigenvalue decomposition of P Pᵀ failed")
	}
	l := eig.Values(nil)
	if !(l[0] > 1e-12*l[n-1]) {
		return nil, fmt.Errorf("the product P Pᵀ has eigenvalues from %.3g to %.3g: the rows of P are not independent, so no U has P U = I", l[0], l[n-1])
	}
	var u mat.Dense
	eig.VectorsTo(&u)
	out := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			sum := 0.0
			for k, v := range l {
				sum += u.At(i, k) * math.Pow(v, exponent) * u.At(j, k)
			}
			out.Set(i, j, sum)
		}
	}
	return out.RawMatrix().Data, nil
}

// noiseOf reads variance and colour off P Pᵀ.
func noiseOf(gram []float64, n int) Noise {
	c := 0.0
	for i := range n {
		c += gram[i*n+i] / float64(n)
	}
	noise := Noise{Variance: c}
	for i := range n {
		for j := range n {
			g := gram[i*n+j] / c
			if i == j {
				g--
			}
			noise.Colour = max(noise.Colour, math.Abs(g))
		}
	}
	return noise
}

// rootOf is √v of an eigenvalue that rounding may have made negative.
func rootOf(v float64) float64 { return math.Sqrt(max(v, 0)) }
