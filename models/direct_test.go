package models

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"snrlab/rng"
	"snrlab/schedules"
)

// direct is a mixture by the textbook: one dense covariance a component, a
// Cholesky factor a level, a loop over components. It shares no code with the
// families it checks.
type direct struct {
	weights []float64
	means   [][]float64
	covs    []*mat.SymDense
	labels  []int
}

// answer returns D, Cov[x₀ | x] and log p of one state.
func (m direct) answer(x []float64, at schedules.Level, label int) (mean []float64, cov *mat.Dense, logp float64) {
	d := len(x)
	var logs []float64
	var means [][]float64
	var covs []*mat.Dense
	total := 0.0
	for k, w := range m.weights {
		if label >= 0 && m.labels[k] != label {
			continue
		}
		total += w
		c := mat.NewSymDense(d, nil)
		for i := range d {
			for j := i; j < d; j++ {
				v := at.Alpha * at.Alpha * m.covs[k].At(i, j)
				if i == j {
					v += at.Sigma * at.Sigma
				}
				c.SetSym(i, j, v)
			}
		}
		var chol mat.Cholesky
		if !chol.Factorize(c) {
			panic("direct: covariance is not positive definite")
		}
		y := mat.NewVecDense(d, nil)
		for i := range d {
			y.SetVec(i, x[i]-at.Alpha*m.means[k][i])
		}
		var g, dk mat.VecDense
		if err := chol.SolveVecTo(&g, y); err != nil {
			panic(err)
		}
		dk.MulVec(m.covs[k], &g)
		one := make([]float64, d)
		for i := range d {
			one[i] = m.means[k][i] + at.Alpha*dk.AtVec(i)
		}
		var cs, pc mat.Dense
		if err := chol.SolveTo(&cs, m.covs[k]); err != nil {
			panic(err)
		}
		pc.Mul(m.covs[k], &cs)
		pc.Scale(-at.Alpha*at.Alpha, &pc)
		pc.Add(m.covs[k], &pc)
		logs = append(logs, math.Log(w)-0.5*(chol.LogDet()+mat.Dot(y, &g)+float64(d)*math.Log(2*math.Pi)))
		means = append(means, one)
		covs = append(covs, &pc)
	}
	top := math.Inf(-1)
	for _, l := range logs {
		top = max(top, l)
	}
	sum := 0.0
	for _, l := range logs {
		sum += math.Exp(l - top)
	}
	mean = make([]float64, d)
	cov = mat.NewDense(d, d, nil)
	for k, l := range logs {
		r := math.Exp(l-top) / sum
		for i := range d {
			mean[i] += r * means[k][i]
			for j := range d {
				cov.Set(i, j, cov.At(i, j)+r*(covs[k].At(i, j)+means[k][i]*means[k][j]))
			}
		}
	}
	for i := range d {
		for j := range d {
			cov.Set(i, j, cov.At(i, j)-mean[i]*mean[j])
		}
	}
	return mean, cov, top + math.Log(sum) - math.Log(total)
}

// newDirect spells out the covariances of c.
func newDirect(c Components) direct {
	d := size(c.Shape)
	m := direct{weights: c.Weights, labels: c.Labels}
	rank := len(c.Loadings) / (len(c.Weights) * d)
	for k := range c.Weights {
		m.means = append(m.means, c.Means[k*d:(k+1)*d])
		cov := mat.NewSymDense(d, nil)
		for i := range d {
			for j := i; j < d; j++ {
				v := 0.0
				if c.Cov != nil {
					v = c.Cov[k*d*d+i*d+j]
				}
				for r := range rank {
					w := c.Loadings[(k*rank+r)*d:]
					v += w[i] * w[j]
				}
				if i == j && len(c.Residual) == len(c.Weights) {
					v += c.Residual[k]
				} else if i == j && c.Residual != nil {
					v += c.Residual[k*d+i]
				}
				cov.SetSym(i, j, v)
			}
		}
		m.covs = append(m.covs, cov)
	}
	return m
}

const (
	testDim = 6
	testK   = 5
)

// families returns one labelled mixture of every family in six dimensions.
func families() map[string]Components {
	r := rand.New(rand.NewPCG(7, 11))
	normal := func(n int, s float64) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = s * r.NormFloat64()
		}
		return v
	}
	variances := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = 0.02 + 0.1*r.Float64()
		}
		return v
	}
	base := Components{
		Shape: []int{2, 3}, Weights: []float64{1, 2, 0.5, 1.5, 1},
		Means: normal(testK*testDim, 0.8), Labels: []int{0, 0, 3, 3, 3},
	}
	with := func(f func(*Components)) Components {
		c := base
		f(&c)
		return c
	}
	iso, diag := variances(testK), variances(testK*testDim)
	two, six, eight := normal(testK*2*testDim, 0.4), normal(testK*6*testDim, 0.3), normal(testK*8*testDim, 0.3)
	zeros := append(normal(testK*2*testDim, 0.4)[:(testK-1)*2*testDim], make([]float64, 2*testDim)...)
	full := make([]float64, 0, testK*testDim*testDim)
	for range testK {
		a := mat.NewDense(testDim, testDim, normal(testDim*testDim, 0.4))
		var c mat.Dense
		c.Mul(a, a.T())
		for i := range testDim {
			for j := range testDim {
				v := (c.At(i, j) + c.At(j, i)) / 2
				if i == j {
					v += 0.02
				}
				full = append(full, v)
			}
		}
	}
	return map[string]Components{
		"isotropic":          with(func(c *Components) { c.Residual = iso }),
		"diagonal":           with(func(c *Components) { c.Residual = diag }),
		"low-rank":           with(func(c *Components) { c.Residual, c.Loadings = iso, two }),
		"low-rank+diagonal":  with(func(c *Components) { c.Residual, c.Loadings = diag, two }),
		"full-rank loadings": with(func(c *Components) { c.Residual, c.Loadings = iso, six }),
		"too many loadings":  with(func(c *Components) { c.Residual, c.Loadings = iso, eight }),
		"too many, diagonal": with(func(c *Components) { c.Residual, c.Loadings = diag, eight }),
		"some loadings zero": with(func(c *Components) { c.Residual, c.Loadings = iso, zeros }),
		"full":               with(func(c *Components) { c.Cov = full }),
		"point set":          with(func(c *Components) { c.Residual = make([]float64, testK) }),
	}
}

func mustMixture(t testing.TB, c Components) *Mixture {
	t.Helper()
	m, err := NewMixture(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// level is an off-schedule level.
func level(alpha, sigma float64) schedules.Level {
	return schedules.Level{T: math.NaN(), Alpha: alpha, Sigma: sigma}
}

// testLevels runs from all noise to little, on and off the common paths.
func testLevels() []schedules.Level {
	return []schedules.Level{
		level(0, 1), level(1e-3, 1), level(1, 80), level(0.1, math.Sqrt(0.99)), level(0.5, 0.5),
		level(1, 0.3), level(0.99, 0.1), level(3, 0.2), level(1, 0.03),
	}
}

// states draws a row for each key of the marginal at a level.
func states(t testing.TB, m Exact, at schedules.Level, n int, seed uint64) []float64 {
	t.Helper()
	x := make([]float64, n*Dim(m))
	if err := m.Sample(x, at, nil, keys(n, seed)); err != nil {
		t.Fatal(err)
	}
	return x
}

func keys(n int, seed uint64) []rng.Key {
	k := make([]rng.Key, n)
	for i := range k {
		k[i] = rng.New(seed).Split("sample", uint64(i))
	}
	return k
}

// worst returns the largest |a − b| and where it is.
func worst(a, b []float64) (diff float64, at int) {
	for i := range a {
		if d := math.Abs(a[i] - b[i]); d > diff || d != d {
			diff, at = d, i
			if d != d {
				return math.Inf(1), i
			}
		}
	}
	return diff, at
}

// agrees holds what a model says of the state x, its D, (Cov v) and log p, to the
// direct answer, and returns the direct covariance.
func agrees(t *testing.T, where string, ref direct, at schedules.Level, label int, x, v, got, cov []float64, logp float64) *mat.Dense {
	t.Helper()
	mean, c, lp := ref.answer(x, at, label)
	var want mat.VecDense
	want.MulVec(c, mat.NewVecDense(len(v), v))
	// The reference solves with covariances of condition up to 1e4
	// and takes E[x₀x₀ᵀ] − DDᵀ: 1e-16·1e4 with room for both.
	if d, j := worst(got, mean); d > 1e-11 {
		t.Errorf("%s: D[%d] = %.15g, direct %.15g", where, j, got[j], mean[j])
	}
	if d, j := worst(cov, want.RawVector().Data); d > 1e-11 {
		t.Errorf("%s: (Cov v)[%d] = %.15g, direct %.15g", where, j, cov[j], want.AtVec(j))
	}
	if math.Abs(logp-lp) > 1e-10 {
		t.Errorf("%s: log p = %.15g, direct %.15g", where, logp, lp)
	}
	return c
}
