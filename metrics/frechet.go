package metrics

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Frechet returns the Fréchet distance between the Gaussians that have the
// means and covariances of x and y,
//
//	FD = |μ_x − μ_y|² + tr(C_x + C_y − 2 (C_x^½ C_y C_x^½)^½)   [dowson1982],
//
// a squared distance. It is biased upward by O(1/n), so that sets of one size
// should be compared, and sees two moments alone.
func Frechet(x, y Samples) (float64, error) {
	if err := checkPair(x, y, 2); err != nil {
		return 0, err
	}
	mx, cx := covariance(x)
	my, cy := covariance(y)
	return FrechetGaussian(mx, cx, my, cy)
}

// FrechetGaussian is the same of two Gaussians given by mean and covariance.
func FrechetGaussian(mx []float64, cx mat.Symmetric, my []float64, cy mat.Symmetric) (float64, error) {
	n := len(mx)
	if len(my) != n || cx.SymmetricDim() != n || cy.SymmetricDim() != n || n == 0 {
		return 0, fmt.Errorf("metrics: Gaussians of %d and %d dimensions with covariances of %d and %d: expected one size", n, len(my), cx.SymmetricDim(), cy.SymmetricDim())
	}
	fd := 0.0
	for j, v := range mx {
		fd += (v - my[j]) * (v - my[j])
		fd += cx.At(j, j) + cy.At(j, j)
	}
	var eig mat.EigenSym
	if !eig.Factorize(cx, true) {
		return 0, fmt.Errorf("metrics: the eigenvalues of a covariance did not converge")
	}
	root := eig.Values(nil)
	var u, half mat.Dense
	eig.VectorsTo(&u)
	half.Apply(func(_, j int, v float64) float64 { return v * math.Sqrt(math.Max(root[j], 0)) }, &u)
	// C_x^½ C_y C_x^½ = U (Λ^½ Uᵀ C_y U Λ^½) Uᵀ has the eigenvalues of the bracket.
	var t, inner mat.Dense
	t.Mul(cy, &half)
	inner.Mul(half.T(), &t)
	sym := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			sym.SetSym(i, j, (inner.At(i, j)+inner.At(j, i))/2)
		}
	}
	if !eig.Factorize(sym, false) {
		return 0, fmt.Errorf("metrics: the eigenvalues of a product of covariances did not converge")
	}
	for _, v := range eig.Values(nil) {
		fd -= 2 * math.Sqrt(math.Max(v, 0)) // rounding may leave tiny negatives
	}
	return fd, nil
}

// covariance returns the mean and the covariance, with n − 1.
func covariance(x Samples) ([]float64, *mat.SymDense) {
	c := centred(x)
	d := mat.NewDense(x.Rows(), x.Dim, c.x)
	s := mat.NewSymDense(x.Dim, nil)
	s.SymOuterK(1/float64(x.Rows()-1), d.T())
	return c.mean, s
}
