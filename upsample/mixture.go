package upsample

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"snrlab/models"
)

// PoolMixture returns the law of P x₀ of a mixture, which is a mixture again:
//
//	Σ_k π_k N(P m_k, P Σ_k Pᵀ)
//
// Low-rank components with an isotropic residual r keep their rank where the pair
// leaves white noise white: the loadings are pooled and the residual is c r.
// Others become full covariances. c is neither modified nor retained.
func PoolMixture(c models.Components, pair Pair) (models.Components, error) {
	if err := checkMixture(c, pair); err != nil {
		return models.Components{}, err
	}
	k, high, low := len(c.Weights), size(c.Shape), size(pair.LowShape())
	out := models.Components{
		Shape: slices.Clone(pair.LowShape()), Weights: slices.Clone(c.Weights), Labels: slices.Clone(c.Labels),
		Means: poolAll(pair, c.Means, high, low),
	}
	if c.Cov == nil && len(c.Residual) == k && pair.Noise().White() {
		out.Loadings = poolAll(pair, c.Loadings, high, low)
		out.Residual = slices.Clone(c.Residual)
		scaled(pair.Noise().Variance, out.Residual)
		return out, nil
	}
	for i := range k {
		// P Σ Pᵀ = P (P Σ)ᵀ, for symmetric Σ.
		half := poolAll(pair, covariance(c, i), high, low) // high×low: the rows of Σ, pooled
		t := mat.NewDense(high, low, half).T()
		turned := mat.DenseCopyOf(t).RawMatrix().Data // low×high
		cov := poolAll(pair, turned, high, low)
		for a := range low { // rounding is not symmetric
			for b := range a {
				m := (cov[a*low+b] + cov[b*low+a]) / 2
				cov[a*low+b], cov[b*low+a] = m, m
			}
		}
		out.Cov = append(out.Cov, cov...)
	}
	return out, nil
}

// checkMixture reports a mixture that is none, or is not of the pair's images.
func checkMixture(c models.Components, pair Pair) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if !slices.Equal(c.Shape, pair.HighShape()) {
		return fmt.Errorf("upsample: mixture of samples of shape %v: pair %s expects %v", c.Shape, pair, pair.HighShape())
	}
	return nil
}

// covariance writes out Σ of component i.
func covariance(c models.Components, i int) []float64 {
	k, d := len(c.Weights), size(c.Shape)
	if c.Cov != nil {
		return c.Cov[i*d*d : (i+1)*d*d]
	}
	cov := make([]float64, d*d)
	rank := len(c.Loadings) / (k * d)
	for j := range rank {
		w := c.Loadings[(i*rank+j)*d:][:d]
		for a, v := range w {
			axpy(cov[a*d:(a+1)*d], v, w)
		}
	}
	for a := range d {
		if len(c.Residual) == k {
			cov[a*d+a] += c.Residual[i]
		} else {
			cov[a*d+a] += c.Residual[i*d+a]
		}
	}
	return cov
}

// poolAll pools rows of high numbers.
func poolAll(pair Pair, x []float64, high, low int) []float64 {
	n := len(x) / high
	y := make([]float64, n*low)
	for i := range n {
		pair.Pool(y[i*low:(i+1)*low], x[i*high:(i+1)*high])
	}
	return y
}

// Misjudgement is what a model gets wrong about coarse content.
type Misjudgement struct {
	Rank   int     // directions of a class's coarse law that are mistaken for those of each component
	Spread float64 // their standard deviations, as a share of those of the class
	Tie    float64 // share of a component's own coarse content that is kept: 1 all, 0 none
}

// MisjudgeCoarse returns the mixture of a model that knows the detail of its
// images but not their coarse content, as one does that is used at a higher
// resolution than it was trained at. In every component the coarse part of mean
// and loadings is drawn to that of all components of its class together, and
// coarse directions of the class are added (the residual stays):
//
//	m_k ← U [Tie P m_k + (1 − Tie) m̄] + (I − U P) m_k
//	w_kj ← Tie U P w_kj + (I − U P) w_kj, and Spread U √l_i u_i for i ≤ Rank
//
// with m̄ and Σ l_i u_i u_iᵀ the mean and covariance of P x₀ of the class, the
// residual left out; components without labels are one class. Tie 1 and Spread 0
// is no misjudgement. With Tie 0 nothing in a class ties detail to coarse content.
// Isotropic residuals and a pair that leaves noise white are needed.
func MisjudgeCoarse(c models.Components, pair Pair, by Misjudgement) (models.Components, error) {
	if err := checkMixture(c, pair); err != nil {
		return models.Components{}, err
	}
	k, d, low := len(c.Weights), size(c.Shape), size(pair.LowShape())
	switch {
	case by.Rank < 1 || by.Rank > low:
		return models.Components{}, fmt.Errorf("upsample: %d directions of a coarse law: expected 1 to %d, the values of a low-resolution sample", by.Rank, low)
	case !(by.Spread >= 0) || math.IsInf(by.Spread, 1):
		return models.Components{}, fmt.Errorf("upsample: spread %g of a coarse law: expected a factor ≥ 0", by.Spread)
	case !(by.Tie >= 0 && by.Tie <= 1):
		return models.Components{}, fmt.Errorf("upsample: tie %g of components to their coarse content: expected a share from 0 to 1", by.Tie)
	case c.Cov != nil || len(c.Residual) != k:
		return models.Components{}, fmt.Errorf("upsample: a mixture of full covariances or diagonal residuals: expected loadings and one residual a component")
	case !pair.Noise().White():
		return models.Components{}, fmt.Errorf("upsample: pair %s makes white noise coloured: expected one with P Pᵀ = c I", pair)
	}
	pooled, err := PoolMixture(c, pair)
	if err != nil {
		return models.Components{}, err
	}
	old := len(c.Loadings) / (k * d)
	out := models.Components{
		Shape: slices.Clone(c.Shape), Weights: slices.Clone(c.Weights), Labels: slices.Clone(c.Labels), Residual: slices.Clone(c.Residual),
		Means: make([]float64, k*d), Loadings: make([]float64, k*(old+by.Rank)*d),
	}
	for _, class := range classes(c.Labels, k) {
		mean, directions, err := coarseLaw(pooled, class, by.Rank)
		if err != nil {
			return models.Components{}, err
		}
		for _, i := range class {
			m, w := out.Means[i*d:(i+1)*d], out.Loadings[i*(old+by.Rank)*d:][:(old+by.Rank)*d]
			pair.Repeat(m, mean)
			scaled(1-by.Tie, m)
			addParts(m, pair, by.Tie, c.Means[i*d:(i+1)*d])
			for j := range old {
				addParts(w[j*d:(j+1)*d], pair, by.Tie, c.Loadings[(i*old+j)*d:][:d])
			}
			for j := range by.Rank {
				u := w[(old+j)*d:][:d]
				pair.Repeat(u, directions[j*low:(j+1)*low])
				scaled(by.Spread, u)
			}
		}
	}
	return out, nil
}

// addParts adds a share of the coarse part U P x, and the detail (I − U P) x, to
// dst.
func addParts(dst []float64, pair Pair, share float64, x []float64) {
	y, u := make([]float64, size(pair.LowShape())), make([]float64, len(x))
	pair.Pool(y, x)
	pair.Repeat(u, y)
	for i, v := range x {
		dst[i] += v - (1-share)*u[i]
	}
}

// classes lists the components of each label, in the order they appear.
func classes(labels []int, k int) [][]int {
	var list [][]int
	at := map[int]int{}
	for i := range k {
		label := 0
		if labels != nil {
			label = labels[i]
		}
		j, ok := at[label]
		if !ok {
			j = len(list)
			at[label] = j
			list = append(list, nil)
		}
		list[j] = append(list[j], i)
	}
	return list
}

// coarseLaw returns the mean of some components together and the largest
// directions of their covariance, residuals left out, as loadings.
func coarseLaw(c models.Components, class []int, rank int) (mean, directions []float64, err error) {
	d := size(c.Shape)
	total := 0.0
	for _, i := range class {
		total += c.Weights[i]
	}
	mean = make([]float64, d)
	for _, i := range class {
		axpy(mean, c.Weights[i]/total, c.Means[i*d:(i+1)*d])
	}
	cov := mat.NewSymDense(d, nil)
	old := len(c.Loadings) / (len(c.Weights) * d)
	apart := make([]float64, d)
	for _, i := range class {
		w := c.Weights[i] / total
		for j, m := range c.Means[i*d : (i+1)*d] {
			apart[j] = m - mean[j]
		}
		cov.SymRankOne(cov, w, mat.NewVecDense(d, apart))
		for j := range old {
			cov.SymRankOne(cov, w, mat.NewVecDense(d, c.Loadings[(i*old+j)*d:][:d]))
		}
	}
	var eig mat.EigenSym
	if !eig.Factorize(cov, true) {
		return nil, nil, fmt.Errorf("upsample: the eigenvalue decomposition of a coarse covariance failed")
	}
	values := eig.Values(nil)
	var u mat.Dense
	eig.VectorsTo(&u)
	directions = make([]float64, rank*d)
	for j := range rank {
		col := d - 1 - j // the values rise
		s := rootOf(values[col])
		for i := range d {
			directions[j*d+i] = s * u.At(i, col)
		}
	}
	return mean, directions, nil
}
