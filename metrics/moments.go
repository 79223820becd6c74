package metrics

import (
	"fmt"
	"math"
)

// ZScores compares sample moments with exact ones: (sample − exact) divided by
// the standard error of the sample moment. Under the exact law each is about
// standard normal, RMS about 1, and Max about √(2 log count).
type ZScores struct {
	Z   []float64 `json:"-"`   // one a moment
	RMS float64   `json:"rms"` // √(mean z²)
	Max float64   `json:"max"` // largest |z|
}

// resolution is the least standard error, as a fraction of the scale of the
// data: without it a column that is constant under both laws would compare
// rounding errors.
const resolution = 1e-9

func summary(z []float64) ZScores {
	s := ZScores{Z: z, RMS: RMSE(z)}
	for _, v := range z {
		if !(math.Abs(v) <= s.Max) {
			s.Max = math.Abs(v)
		}
	}
	return s
}

// MeanZ compares the mean of every column with exact[j]. Standard errors are
// s_j/√n, with the sample's own deviation s_j.
func MeanZ(x Samples, exact []float64) (ZScores, error) {
	if err := x.check(2); err != nil {
		return ZScores{}, err
	}
	if len(exact) != x.Dim {
		return ZScores{}, fmt.Errorf("metrics: %d exact means for %d columns", len(exact), x.Dim)
	}
	c := centred(x)
	n := float64(x.Rows())
	z := make([]float64, x.Dim)
	for j := range z {
		sum := 0.0
		for i := range x.Rows() {
			v := c.x[i*x.Dim+j]
			sum += v * v
		}
		se := math.Sqrt(sum / (n - 1) / n)
		z[j] = (c.mean[j] - exact[j]) / max(se, resolution*c.scale)
	}
	return summary(z), nil
}

// VarianceZ compares the variance of every column with exact[j]; see [CovZ].
func VarianceZ(x Samples, exact []float64) (ZScores, error) {
	if len(exact) != x.Dim {
		return ZScores{}, fmt.Errorf("metrics: %d exact variances for %d columns", len(exact), x.Dim)
	}
	return products(x, x.Dim, func(k int) (int, int, float64) { return k, k, exact[k] })
}

// CovZ compares the covariance of every pair of columns j ≤ k with
// exact[j*dim+k]. The standard error of a sample covariance C is
//
//	√( (m₂₂ − C²)/n ),   m₂₂ = mean (x_j − x̄_j)²(x_k − x̄_k)²,
//
// which needs no normality.
func CovZ(x Samples, exact []float64) (ZScores, error) {
	if len(exact) != x.Dim*x.Dim {
		return ZScores{}, fmt.Errorf("metrics: %d exact covariances for %d columns: expected their square", len(exact), x.Dim)
	}
	var pairs [][2]int
	for j := range x.Dim {
		for k := j; k < x.Dim; k++ {
			pairs = append(pairs, [2]int{j, k})
		}
	}
	return products(x, len(pairs), func(p int) (int, int, float64) {
		j, k := pairs[p][0], pairs[p][1]
		return j, k, exact[j*x.Dim+k]
	})
}

// TotalVarianceZ compares the trace of the covariance with exact, by the
// spread of |x − x̄|² over samples: one number for how wide the samples lie.
func TotalVarianceZ(x Samples, exact float64) (float64, error) {
	if err := x.check(4); err != nil {
		return 0, err
	}
	c := centred(x)
	r := make([]float64, x.Rows())
	for i := range r {
		for _, v := range c.x[i*x.Dim : (i+1)*x.Dim] {
			r[i] += v * v
		}
	}
	return momentZ(r, exact, c.scale*c.scale*float64(x.Dim)), nil
}

// products compares the covariances of count pairs of columns.
func products(x Samples, count int, pair func(p int) (j, k int, exact float64)) (ZScores, error) {
	if err := x.check(4); err != nil {
		return ZScores{}, err
	}
	c := centred(x)
	z := make([]float64, count)
	v := make([]float64, x.Rows())
	for p := range z {
		j, k, exact := pair(p)
		for i := range v {
			v[i] = c.x[i*x.Dim+j] * c.x[i*x.Dim+k]
		}
		z[p] = momentZ(v, exact, c.scale*c.scale)
	}
	return summary(z), nil
}

// momentZ compares Σ v/(n−1), v products of centred values, with exact.
func momentZ(v []float64, exact, scale float64) float64 {
	n := float64(len(v))
	mean := Mean(v)
	sum := 0.0
	for _, a := range v {
		sum += (a - mean) * (a - mean)
	}
	se := math.Sqrt(sum/(n-1)) / math.Sqrt(n)
	return (mean*n/(n-1) - exact) / max(se, resolution*scale)
}

// MomentErrors returns |x̄ − mean|, and the Frobenius norm of the error of the
// sample covariance (with n − 1) over that of cov, which is row-major dim×dim:
// distances, where z-scores ask whether they could be chance. It panics on other
// sizes, or on fewer than two rows.
func MomentErrors(x Samples, mean, cov []float64) (meanErr, covErr float64) {
	if len(mean) != x.Dim || len(cov) != x.Dim*x.Dim || x.Rows() < 2 {
		panic(fmt.Sprintf("metrics: moments of %d and %d values for %d rows of %d", len(mean), len(cov), x.Rows(), x.Dim))
	}
	m, c := covariance(x)
	norm := 0.0
	for j := range x.Dim {
		meanErr += (m[j] - mean[j]) * (m[j] - mean[j])
		for k := range x.Dim {
			d := c.At(j, k) - cov[j*x.Dim+k]
			covErr += d * d
			norm += cov[j*x.Dim+k] * cov[j*x.Dim+k]
		}
	}
	return math.Sqrt(meanErr), math.Sqrt(covErr / norm)
}

// deviations is a set less its mean.
type deviations struct {
	x, mean []float64
	scale   float64 // root mean square deviation of all values
}

func centred(x Samples) deviations {
	c := deviations{x: make([]float64, len(x.X)), mean: make([]float64, x.Dim)}
	n := x.Rows()
	for i := range n {
		for j, v := range x.Row(i) {
			c.mean[j] += v
		}
	}
	for j := range c.mean {
		c.mean[j] /= float64(n)
	}
	sum := 0.0
	for i := range n {
		for j, v := range x.Row(i) {
			d := v - c.mean[j]
			c.x[i*x.Dim+j] = d
			sum += d * d
		}
	}
	c.scale = math.Sqrt(sum / float64(len(x.X)))
	return c
}
