package models

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"snrlab/rng"
	"snrlab/schedules"
)

// extremes are mixtures of every structure in dim dimensions with k components
// of classes 0 and 1: thin ones, duplicated points and a single component too.
func extremes(dim, k int) map[string]Components {
	key := rng.New(uint64(100*dim + k))
	normal := func(what string, n int) []float64 {
		x := make([]float64, n)
		key.Split(what, 0).Normal(x)
		return x
	}
	squares := func(what string, n int) []float64 {
		x := normal(what, n)
		for i, v := range x {
			x[i] = 0.01 + v*v
		}
		return x
	}
	base := Components{Shape: []int{dim}, Weights: squares("weights", k), Means: normal("means", k*dim)}
	for i := range k {
		base.Labels = append(base.Labels, i%2)
	}
	with := func(f func(c *Components)) Components {
		c := base
		f(&c)
		return c
	}
	iso, diag := squares("isotropic", k), squares("diagonal", k*dim)
	half := slices.Clone(diag) // no variance in every other coordinate
	for i := range half {
		if i%dim%2 == 1 {
			half[i] = 0
		}
	}
	cov := make([]float64, k*dim*dim)
	for c := range k {
		g := normal(fmt.Sprint("factor ", c), dim*dim)
		for i := range dim {
			for j := range dim {
				for l := range dim {
					cov[(c*dim+i)*dim+j] += g[i*dim+l] * g[j*dim+l]
				}
			}
		}
	}
	return map[string]Components{
		"isotropic":         with(func(c *Components) { c.Residual = iso }),
		"diagonal":          with(func(c *Components) { c.Residual = diag }),
		"low-rank":          with(func(c *Components) { c.Residual, c.Loadings = iso, normal("loadings", k*dim) }),
		"too many loadings": with(func(c *Components) { c.Residual, c.Loadings = iso, normal("loadings", k*(dim+2)*dim) }),
		"low-rank+diagonal": with(func(c *Components) { c.Residual, c.Loadings = diag, normal("loadings", k*2*dim) }),
		"full":              with(func(c *Components) { c.Cov = cov }),
		"points":            with(func(c *Components) { c.Residual = make([]float64, k) }),
		"duplicated points": with(func(c *Components) {
			c.Residual, c.Means = make([]float64, k), slices.Repeat(base.Means[:dim], k)
		}),
		"thin low-rank": with(func(c *Components) { c.Residual, c.Loadings = make([]float64, k), normal("loadings", k*dim) }),
		"thin diagonal": with(func(c *Components) { c.Residual = half }),
	}
}

// A batch that mixes levels from σ²'s underflow to its overflow, both ends,
// and classes with none: every answer is finite, is what it is in a batch of
// another size and on another number of processors, and where noise drowns the
// data is the mean and covariance of the class.
func TestMixture_Limit_Extremes(t *testing.T) {
	levels := []schedules.Level{
		level(1, 0), level(0, 1), level(1, 1), level(0.5, 0.5),
		level(1, 1e-8), level(1, 1e-100), level(1, 1e-150), level(1, 1e-154), level(1, 1e-160), level(1, 1e-170), level(1e150, 1),
		level(1, 1e4), level(1, 1e8), level(1, 1e100), level(1, 1e150), level(1e-8, 1), level(1e-170, 1), level(1e-4, 1e4),
		level(1e-130, 1e-130), level(1e100, 1e100),
	}
	const n = 400 // more than two blocks
	for _, dim := range []int{1, 3, 17} {
		for _, k := range []int{1, 2, 33} {
			for name, c := range extremes(dim, k) {
				name = fmt.Sprintf("%s, %d of them in %d dimensions", name, k, dim)
				m := mustMixture(t, c)
				x, v := make([]float64, n*dim), make([]float64, n*dim)
				rng.New(5).Normal(x)
				rng.New(6).Normal(v)
				at, labels := make([]schedules.Level, n), make([]int, n)
				for i := range n {
					at[i] = levels[(i*7+i/3)%len(levels)]
					labels[i] = i%(1+min(k, 2)) - 1
					for j := range dim {
						x[i*dim+j] *= math.Hypot(at[i].Alpha, at[i].Sigma)
					}
				}
				ask := func(lo, hi int) (d, cov []float64) {
					q := Query{X: x[lo*dim : hi*dim], Rows: hi - lo, At: at[lo:hi], Labels: labels[lo:hi]}
					d, cov = make([]float64, len(q.X)), make([]float64, len(q.X))
					if err := m.Denoise(ctx, d, q); err != nil {
						t.Fatal(err)
					}
					if err := m.PosteriorCovMul(ctx, cov, v[lo*dim:hi*dim], q); err != nil {
						t.Fatal(err)
					}
					return d, cov
				}
				d, cov := ask(0, n)
				for i := range n {
					for j := i * dim; j < (i+1)*dim; j++ {
						if d[j]-d[j] != 0 || cov[j]-cov[j] != 0 {
							t.Fatalf("%s: at %+v, class %d: D = %g, Cov v = %g", name, at[i], labels[i], d[j], cov[j])
						}
					}
					logp := make([]float64, 1)
					err := m.LogDensity(logp, Query{X: x[i*dim : (i+1)*dim], Rows: 1, At: at[i : i+1], Labels: labels[i : i+1]})
					if err == nil && logp[0]-logp[0] != 0 {
						t.Fatalf("%s: at %+v, class %d: log p = %g", name, at[i], labels[i], logp[0])
					}
					if at[i].Noise() < 1e8 {
						continue
					}
					prior, err := m.Moments(level(1, 0), labels[i])
					if err != nil {
						t.Fatal(err)
					}
					full, err := m.Covariance(level(1, 0), labels[i])
					if err != nil {
						t.Fatal(err)
					}
					for j := range dim {
						// D − E[x₀] is Cov[x₀] x α/σ², |x| a few σ here, and
						// variances are below 100; the rest is rounding of their sums.
						tol := 1e4 / at[i].Noise()
						if got := d[i*dim+j]; math.Abs(got-prior.Mean[j]) > tol+1e-11 {
							t.Fatalf("%s: at %+v, class %d: D[%d] = %g, expected the mean %g", name, at[i], labels[i], j, got, prior.Mean[j])
						}
						want := 0.0
						for l := range dim {
							want += full[j*dim+l] * v[i*dim+l]
						}
						if got := cov[i*dim+j]; math.Abs(got-want) > 100*tol+1e-10 {
							t.Fatalf("%s: at %+v, class %d: (Cov v)[%d] = %g, expected %g", name, at[i], labels[i], j, got, want)
						}
					}
				}
				for _, size := range []int{1, 2, 3, 5, 63, 65, 97, 193} {
					for p, lo := range []int{11, 190} {
						old := runtime.GOMAXPROCS(1 + p)
						d1, cov1 := ask(lo, lo+size)
						runtime.GOMAXPROCS(old)
						if !slices.Equal(d1, d[lo*dim:(lo+size)*dim]) || !slices.Equal(cov1, cov[lo*dim:(lo+size)*dim]) {
							t.Fatalf("%s: the answer for rows %d to %d depends on the size of the batch or GOMAXPROCS", name, lo, lo+size)
						}
					}
				}
			}
		}
	}
}
