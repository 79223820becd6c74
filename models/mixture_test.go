package models

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"snrlab/rng"
	"snrlab/schedules"
)

var ctx = context.Background()

func TestMixture_AgreesWith_Direct(t *testing.T) {
	for name, c := range families() {
		m, ref := mustMixture(t, c), newDirect(c)
		for _, at := range testLevels() {
			if at.Alpha == 0 && name == "point set" {
				continue // covered by the limits; the reference's means of nothing are fine too
			}
			const n = 12
			x := states(t, m, at, n, 1)
			labels := make([]int, n)
			for i := range labels {
				labels[i] = []int{-1, 0, 3}[i%3]
			}
			q := Query{X: x, Rows: n, At: []schedules.Level{at}, Labels: labels}
			got, cov, v, logp := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x)), make([]float64, n)
			rng.New(3).Normal(v)
			if err := m.Denoise(ctx, got, q); err != nil {
				t.Fatal(err)
			}
			if err := m.PosteriorCovMul(ctx, cov, v, q); err != nil {
				t.Fatal(err)
			}
			if err := m.LogDensity(logp, q); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				row := func(a []float64) []float64 { return a[i*testDim : (i+1)*testDim] }
				agrees(t, fmt.Sprintf("%s %+v row %d", name, at, i), ref, at, labels[i], row(x), row(v), row(got), row(cov), logp[i])
			}
		}
	}
}

// One law written as different families must give one answer, at levels where
// the reference above has no digits left too.
func TestMixture_AgreesWith_OtherFamilies(t *testing.T) {
	base := families()["low-rank"]
	iso := base
	iso.Loadings = nil
	spread := func(v []float64) []float64 {
		var out []float64
		for _, s := range v {
			for range testDim {
				out = append(out, s)
			}
		}
		return out
	}
	dense := func(c Components) Components {
		out := Components{Shape: c.Shape, Weights: c.Weights, Means: c.Means, Labels: c.Labels}
		for _, cov := range newDirect(c).covs {
			for i := range testDim {
				for j := range testDim {
					out.Cov = append(out.Cov, cov.At(i, j))
				}
			}
		}
		return out
	}
	asDiagonal := func(c Components) Components { c.Residual = spread(c.Residual); return c }
	rotated := base // W → O W leaves WᵀW as it is
	rotated.Loadings = make([]float64, len(base.Loadings))
	for k := range testK {
		for i := range testDim {
			a, b := base.Loadings[k*2*testDim+i], base.Loadings[(k*2+1)*testDim+i]
			rotated.Loadings[k*2*testDim+i] = 0.6*a - 0.8*b
			rotated.Loadings[(k*2+1)*testDim+i] = 0.8*a + 0.6*b
		}
	}
	rank0 := iso
	rank0.Loadings = make([]float64, testK*testDim)
	thin := func(c Components) Components {
		c.Residual = []float64{1e-7, 2e-7, 1e-7, 3e-7, 1e-7}
		return c
	}
	for g, group := range [][]Components{
		{iso, asDiagonal(iso), dense(iso), rank0},
		{base, asDiagonal(base), dense(base), rotated},
		{thin(base), asDiagonal(thin(base)), thin(rotated)},
	} {
		first := mustMixture(t, group[0])
		more := 1.0
		if g == 2 {
			more = 1e5 // quadratic forms reach 1e7 halfway between two means
		}
		levels := append(testLevels(), level(1, 0.002), level(0.7, 1e-5), level(1, 1e-8), level(1, 0))
		for _, at := range levels {
			const n = 8
			x := states(t, first, at, n, 5)
			// One row halfway between two means, where components compete.
			for j := range testDim {
				x[j] = at.Alpha * (base.Means[j] + base.Means[testDim+j]) / 2
			}
			q := Query{X: x, Rows: n, At: []schedules.Level{at}}
			v := make([]float64, len(x))
			rng.New(9).Normal(v)
			var want, wantCov, wantLog []float64
			for i, c := range group {
				m := mustMixture(t, c)
				got, cov, logp := make([]float64, len(x)), make([]float64, len(x)), make([]float64, n)
				if err := m.Denoise(ctx, got, q); err != nil {
					t.Fatal(err)
				}
				if err := m.PosteriorCovMul(ctx, cov, v, q); err != nil {
					t.Fatal(err)
				}
				if err := m.LogDensity(logp, q); err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					want, wantCov, wantLog = got, cov, logp
					continue
				}
				// Axes from decompositions are good to 1e-15, and quadratic
				// forms of up to 100 carry that into the exponents.
				if d, j := worst(got, want); d > 1e-12*more {
					t.Errorf("family %d of %d, %+v: D[%d] = %.17g, not %.17g", i, len(group), at, j, got[j], want[j])
				}
				if d, j := worst(logp, wantLog); d > 1e-11*more {
					t.Errorf("family %d of %d, %+v: log p[%d] = %.17g, not %.17g", i, len(group), at, j, logp[j], wantLog[j])
				}
				// The covariance falls as σ², and must keep its digits then.
				scale := min(1, at.Sigma*at.Sigma)
				if d, j := worst(cov, wantCov); d > 1e-11*more*scale {
					t.Errorf("family %d of %d, %+v: (Cov v)[%d] = %.17g, not %.17g", i, len(group), at, j, cov[j], wantCov[j])
				}
			}
		}
	}
}

// The score by the denoiser is the gradient of the log-density.
func TestMixture_Property_ScoreIsGradient(t *testing.T) {
	for name, c := range families() {
		m := mustMixture(t, c)
		score := ToRaw(Score{}, m)
		for _, at := range testLevels() {
			const n = 3
			x := states(t, m, at, n, 2)
			s := make([]float64, len(x))
			q := Query{X: x, Rows: n, At: []schedules.Level{at}}
			if err := score.Predict(ctx, s, q); err != nil {
				t.Fatal(err)
			}
			// Central differences of fourth order; the width of a component is at
			// least the marginal's smallest scale.
			h := 1e-3 * math.Hypot(at.Sigma, at.Alpha*0.1)
			if name == "point set" {
				h = 1e-3 * at.Sigma
			}
			for j := range testDim {
				diff := make([]float64, n)
				for _, p := range []struct{ step, c float64 }{{-2, 1}, {-1, -8}, {1, 8}, {2, -1}} {
					moved := append([]float64(nil), x...)
					for i := range n {
						moved[i*testDim+j] += p.step * h
					}
					lp := make([]float64, n)
					if err := m.LogDensity(lp, Query{X: moved, Rows: n, At: q.At}); err != nil {
						t.Fatal(err)
					}
					for i := range n {
						diff[i] += p.c * lp[i] / (12 * h)
					}
				}
				for i := range n {
					// Rounding of log p (1e-14) over h, and h⁴ of the fifth
					// derivative, both relative to scores of size 1/scale.
					if got := s[i*testDim+j]; math.Abs(got-diff[i])*h > 1e-12+1e-9*h*math.Abs(got) {
						t.Errorf("%s %+v row %d: score[%d] = %.12g, gradient %.12g", name, at, i, j, got, diff[i])
					}
				}
			}
		}
	}
}

// ∂D/∂x = (α/σ²) Cov[x₀ | x].
func TestMixture_Property_CovIsJacobian(t *testing.T) {
	for name, c := range families() {
		m := mustMixture(t, c)
		for _, at := range testLevels()[1:] { // at α = 0 D does not depend on x
			const n = 4
			x := states(t, m, at, n, 4)
			v := make([]float64, len(x))
			rng.New(6).Normal(v)
			got, diff, d := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
			q := Query{X: x, Rows: n, At: []schedules.Level{at}}
			if err := m.PosteriorCovMul(ctx, got, v, q); err != nil {
				t.Fatal(err)
			}
			h := 1e-3 * at.Sigma
			for _, p := range []struct{ step, c float64 }{{-2, 1}, {-1, -8}, {1, 8}, {2, -1}} {
				moved := append([]float64(nil), x...)
				for i := range moved {
					moved[i] += p.step * h * v[i]
				}
				if err := m.Denoise(ctx, d, Query{X: moved, Rows: n, At: q.At}); err != nil {
					t.Fatal(err)
				}
				for i := range diff {
					diff[i] += p.c * d[i] / (12 * h)
				}
			}
			for i := range got {
				got[i] *= at.Alpha / (at.Sigma * at.Sigma)
			}
			// Rounding of D (1e-15) over h, and h⁴ times a fifth derivative that
			// components competing within σ make large.
			if e, j := worst(got, diff); e > 1e-14/h+1e-7*at.Alpha/at.Sigma {
				t.Errorf("%s %+v: (∂D/∂x v)[%d] = %.12g, differences %.12g", name, at, j, got[j], diff[j])
			}
		}
	}
}

func TestMixture_Limit_NoNoise(t *testing.T) {
	for name, c := range families() {
		m := mustMixture(t, c)
		x := states(t, m, level(1, 0), 6, 8)
		got := make([]float64, len(x))
		for _, sigma := range []float64{0, 1e-300, 1e-170, 1e-120, 1e-20, 1e-12, 1e-8, 1e-5, 0.002} {
			for _, alpha := range []float64{1, 0.25} {
				scaled := append([]float64(nil), x...)
				for i := range scaled {
					scaled[i] *= alpha
				}
				q := Query{X: scaled, Rows: 6, At: []schedules.Level{level(alpha, sigma)}}
				if err := m.Denoise(ctx, got, q); err != nil {
					t.Fatal(err)
				}
				// On the data D → x/α as fast as σ²/(α² l), l ≥ 0.02 here; point
				// masses are there at once. Rounding of x against the centre.
				if d, j := worst(got, x); d > 1e-14+200*sigma*sigma/(alpha*alpha) {
					t.Errorf("%s α = %g σ = %g: D[%d] = %.17g, expected x/α = %.17g", name, alpha, sigma, j, got[j], x[j])
				}
				cov := make([]float64, len(x))
				if err := m.PosteriorCovMul(ctx, cov, x, q); err != nil {
					t.Fatal(err)
				}
				if d, j := worst(cov, make([]float64, len(x))); d > 2*sigma*sigma/(alpha*alpha)*4 {
					t.Errorf("%s α = %g σ = %g: (Cov x)[%d] = %g, expected about σ² or 0", name, alpha, sigma, j, cov[j])
				}
			}
		}
		// Off the data D = x/α too: nothing else is consistent with σ = 0.
		q := Query{X: []float64{1, 2, 3, 4, 5, 6}, Rows: 1, At: []schedules.Level{level(2, 0)}}
		if err := m.Denoise(ctx, got[:6], q); err != nil {
			t.Fatal(err)
		}
		if d, _ := worst(got[:6], []float64{0.5, 1, 1.5, 2, 2.5, 3}); d != 0 {
			t.Errorf("%s: D at σ = 0 is %v", name, got[:6])
		}
	}
}

func TestMixture_Limit_NoSignal(t *testing.T) {
	for name, c := range families() {
		m := mustMixture(t, c)
		for _, label := range []int{-1, 0, 3} {
			at := level(0, 0.7)
			mom, err := m.Moments(level(1, 0), label)
			if err != nil {
				t.Fatal(err)
			}
			x := []float64{0.3, -2, 9, 1e3, -1e-3, 0}
			got, logp := make([]float64, 6), make([]float64, 1)
			q := Query{X: x, Rows: 1, At: []schedules.Level{at}, Labels: []int{label}}
			if err := m.Denoise(ctx, got, q); err != nil {
				t.Fatal(err)
			}
			if d, j := worst(got, mom.Mean); d > 1e-15 {
				t.Errorf("%s class %d: D[%d] = %.17g at α = 0, expected the mean %.17g", name, label, j, got[j], mom.Mean[j])
			}
			if err := m.LogDensity(logp, q); err != nil {
				t.Fatal(err)
			}
			want := 0.0
			for _, v := range x {
				want -= v*v/(2*0.49) + 0.5*math.Log(2*math.Pi*0.49)
			}
			if math.Abs(logp[0]-want) > 1e-14*math.Abs(want) {
				t.Errorf("%s class %d: log p = %.17g at α = 0, expected that of the noise %.17g", name, label, logp[0], want)
			}
			// Cov[x₀ | x] is then Cov[x₀].
			cov, err := m.Covariance(level(1, 0), label)
			if err != nil {
				t.Fatal(err)
			}
			v := []float64{1, -1, 2, 0.5, 3, -2}
			if err := m.PosteriorCovMul(ctx, got, v, q); err != nil {
				t.Fatal(err)
			}
			for i := range testDim {
				w := 0.0
				for j := range testDim {
					w += cov[i*testDim+j] * v[j]
				}
				if math.Abs(got[i]-w) > 1e-13 {
					t.Errorf("%s class %d: (Cov v)[%d] = %.17g at α = 0, expected %.17g", name, label, i, got[i], w)
				}
			}
			// A level that is almost there.
			q.At = []schedules.Level{level(1e-200, 0.7)}
			if err := m.Denoise(ctx, got, q); err != nil {
				t.Fatal(err)
			}
			if d, _ := worst(got, mom.Mean); d > 1e-15 {
				t.Errorf("%s class %d: D = %v at α = 1e-200", name, label, got)
			}
		}
	}
}

// At small noise the exponents reach 1e6 and two components differ by a few:
// the inner products alone would lose the digits. Compared with 200-bit
// arithmetic.
func TestMixture_AgreesWith_BigFloat(t *testing.T) {
	const dim = 784
	for _, c := range []struct {
		resid  float64
		copies int // of each residual: 1 for an isotropic family, dim for a diagonal one
	}{{0, 1}, {1e-6, 1}, {1e-3, 1}, {0, dim}, {1e-6, dim}, {1e-3, dim}} {
		resid := c.resid
		pts := make([]float64, 3*dim)
		rng.New(1).Normal(pts)
		for i := range dim {
			pts[i+2*dim] = 30 // far away: it moves the centre and does not count
		}
		m := mustMixture(t, Components{
			Shape: []int{dim}, Weights: []float64{1, 1, 1}, Means: pts, Residual: slices.Repeat([]float64{resid}, 3*c.copies),
		})
		for _, sigma := range []float64{0.05, 0.002, 1e-4} {
			at := level(0.9, sigma)
			v := at.Alpha*at.Alpha*resid + sigma*sigma
			x := make([]float64, dim)
			gap := 0.0
			for i := range x {
				d := pts[i] - pts[dim+i]
				gap += d * d
			}
			// Halfway, moved so that the exponents differ by about one.
			shift := 0.5 + v/(at.Alpha*at.Alpha*gap)
			for i := range x {
				x[i] = at.Alpha * (shift*pts[i] + (1-shift)*pts[dim+i])
			}
			got := make([]float64, dim)
			q := Query{X: x, Rows: 1, At: []schedules.Level{at}}
			if err := m.Denoise(ctx, got, q); err != nil {
				t.Fatal(err)
			}
			big200 := func(f float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(f) }
			quad := func(k int) *big.Float {
				s := big200(0)
				for i := range x {
					y := new(big.Float).Mul(big200(at.Alpha), big200(pts[k*dim+i]))
					y.Sub(big200(x[i]), y)
					s.Add(s, y.Mul(y, y))
				}
				return s
			}
			diff := new(big.Float).Sub(quad(0), quad(1))
			vb := new(big.Float).Mul(big200(at.Alpha), big200(at.Alpha))
			vb.Mul(vb, big200(resid))
			vb.Add(vb, new(big.Float).Mul(big200(sigma), big200(sigma)))
			diff.Quo(diff, vb)
			e, _ := diff.Float64()
			form, _ := quad(0).Float64()
			form /= v
			r := 1 / (1 + math.Exp(e/2)) // of the first point
			if r < 0.01 || r > 0.99 {
				t.Fatalf("responsibility %g: the test means to compare a contested one", r)
			}
			for i := range got {
				mean := r*pts[i] + (1-r)*pts[dim+i]
				want := sigma*sigma/v*mean + at.Alpha*resid/v*x[i]
				// In both families an exponent is off by refineAbove or, formed from differences,
				// by a few roundings of the quadratic form; D moves by R(1−R)|Δm|,
				// about as much. (x rounded in its last bit moves it further.)
				if math.Abs(got[i]-want) > 2e-11+4*unit*form {
					t.Fatalf("residual %g σ = %g: D[%d] = %.17g, 200 bits give %.17g", resid, sigma, i, got[i], want)
				}
			}
		}
	}
}

func TestMixture_Invariant_Batch(t *testing.T) {
	for name, c := range families() {
		m := mustMixture(t, c)
		const n = 400 // more than one block
		x := make([]float64, n*testDim)
		rng.New(12).Normal(x)
		at := make([]schedules.Level, n)
		labels := make([]int, n)
		all := append(testLevels(), level(1, 0), level(1, 1e-4))
		for i := range at {
			at[i] = all[(i/3)%len(all)]
			labels[i] = []int{-1, 0, 3}[i%3]
		}
		v := make([]float64, len(x))
		rng.New(13).Normal(v)
		ask := func(q Query, v []float64) (d, cov []float64) {
			d, cov = make([]float64, len(q.X)), make([]float64, len(q.X))
			if err := m.Denoise(ctx, d, q); err != nil {
				t.Fatal(err)
			}
			if err := m.PosteriorCovMul(ctx, cov, v, q); err != nil {
				t.Fatal(err)
			}
			return d, cov
		}
		d, cov := ask(Query{X: x, Rows: n, At: at, Labels: labels}, v)
		one := func(i int) (lo, hi int) { return i * testDim, (i + 1) * testDim }
		for i := 0; i < n; i += 7 {
			lo, hi := one(i)
			d1, cov1 := ask(Query{X: x[lo:hi], Rows: 1, At: at[i : i+1], Labels: labels[i : i+1]}, v[lo:hi])
			if e, j := worst(d1, d[lo:hi]); e != 0 {
				t.Fatalf("%s: row %d column %d alone differs by %g", name, i, j, e)
			}
			if e, j := worst(cov1, cov[lo:hi]); e != 0 {
				t.Fatalf("%s: covariance product of row %d column %d alone differs by %g", name, i, j, e)
			}
		}
		// Backwards, on one processor.
		old := runtime.GOMAXPROCS(1)
		back := Query{Rows: n}
		var vb []float64
		for i := n - 1; i >= 0; i-- {
			lo, hi := one(i)
			back.X = append(back.X, x[lo:hi]...)
			vb = append(vb, v[lo:hi]...)
			back.At = append(back.At, at[i])
			back.Labels = append(back.Labels, labels[i])
		}
		db, covb := ask(back, vb)
		runtime.GOMAXPROCS(old)
		for i := range n {
			lo, hi := one(i)
			blo, bhi := one(n - 1 - i)
			if e, _ := worst(db[blo:bhi], d[lo:hi]); e != 0 {
				t.Fatalf("%s: row %d differs by %g in another order", name, i, e)
			}
			if e, _ := worst(covb[blo:bhi], cov[lo:hi]); e != 0 {
				t.Fatalf("%s: covariance product of row %d differs by %g in another order", name, i, e)
			}
		}
	}
}

// The size of the headline, where rows are added up alone or multiplied
// together, whichever suits them.
func TestMixture_Invariant_BatchLarge(t *testing.T) {
	m := digits(t, 4)
	const n = 24
	at := make([]schedules.Level, n)
	x := make([]float64, n*784)
	for i := range at {
		at[i] = level(1, []float64{0.01, 0.5, 2, 4, 10, 50}[i%6])
		if err := m.Sample(x[i*784:(i+1)*784], at[i], nil, keys(1, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	all, one := make([]float64, len(x)), make([]float64, 784)
	if err := m.Denoise(ctx, all, Query{X: x, Rows: n, At: at}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		row := x[i*784 : (i+1)*784]
		if err := m.Denoise(ctx, one, Query{X: row, Rows: 1, At: at[i : i+1]}); err != nil {
			t.Fatal(err)
		}
		if e, j := worst(one, all[i*784:(i+1)*784]); e != 0 {
			t.Fatalf("row %d column %d alone differs by %g", i, j, e)
		}
	}
}

func TestMixture_Invariant_Concurrent(t *testing.T) {
	for _, name := range []string{"low-rank", "low-rank+diagonal"} {
		m := mustMixture(t, families()[name])
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				at := testLevels()[w]
				x := make([]float64, 40*testDim)
				rng.New(uint64(w)).Normal(x)
				first, again := make([]float64, len(x)), make([]float64, len(x))
				q := Query{X: x, Rows: 40, At: []schedules.Level{at}}
				for round := range 20 {
					if err := m.Denoise(ctx, again, q); err != nil {
						t.Error(err)
						return
					}
					if round == 0 {
						copy(first, again)
					}
					if e, _ := worst(first, again); e != 0 {
						t.Errorf("%s: answers differ by %g while others ask", name, e)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

// The rate in the level against a difference quotient of D at fixed x/α, of
// order 4 with a step of 1e-3: its truncation is about 1e-11, its rounding
// 1e-12, each times the curvature of D, which a competition of components at
// low noise raises.
func TestMixture_Rate(t *testing.T) {
	for name, c := range families() {
		m := mustMixture(t, c)
		for _, at := range append(testLevels(), level(0.7, 0.01)) {
			const n = 12
			x := states(t, m, at, n, 1)
			labels := make([]int, n)
			for i := range labels {
				labels[i] = []int{-1, 0, 3}[i%3]
			}
			got, want, d := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
			if err := m.DenoiseRate(ctx, got, Query{X: x, Rows: n, At: []schedules.Level{at}, Labels: labels}); err != nil {
				t.Fatal(err)
			}
			const h = 1e-3
			for _, p := range []struct{ at, weight float64 }{{2, -1}, {1, 8}, {-1, -8}, {-2, 1}} {
				moved := level(at.Alpha, at.Sigma*math.Exp(p.at*h))
				if err := m.Denoise(ctx, d, Query{X: x, Rows: n, At: []schedules.Level{moved}, Labels: labels}); err != nil {
					t.Fatal(err)
				}
				for i := range d {
					want[i] += p.weight * d[i] / (12 * h)
				}
			}
			if e, j := worst(got, want); e > 1e-8 {
				t.Errorf("%s %+v: ∂D[%d] = %.12g, difference quotient %.12g", name, at, j, got[j], want[j])
			}
		}
		// At σ = 0 the answer is x/α whatever the level does.
		x, got := states(t, m, level(1, 0), 2, 1), make([]float64, 2*testDim)
		if err := m.DenoiseRate(ctx, got, Query{X: x, Rows: 2, At: []schedules.Level{level(1, 0)}}); err != nil {
			t.Fatal(err)
		}
		if e, j := worst(got, make([]float64, len(got))); e != 0 {
			t.Errorf("%s at σ = 0: ∂D[%d] = %g", name, j, got[j])
		}
	}
}

func TestMixture_Alloc(t *testing.T) {
	for _, name := range []string{"isotropic", "low-rank", "low-rank+diagonal", "full"} {
		m := mustMixture(t, families()[name])
		const n = 32
		x, dst := make([]float64, n*testDim), make([]float64, n*testDim)
		rng.New(1).Normal(x)
		q := Query{X: x, Rows: n, At: []schedules.Level{level(1, 0.5)}}
		eps := FromRaw(Eps{}, ToRaw(Eps{}, NewCounter(m)))
		edm := FromRaw(EDM{0.5}, ToRaw(EDM{0.5}, m))
		for what, f := range map[string]func() error{
			"Denoise":         func() error { return m.Denoise(ctx, dst, q) },
			"PosteriorCovMul": func() error { return m.PosteriorCovMul(ctx, dst, x, q) },
			"DenoiseRate":     func() error { return m.DenoiseRate(ctx, dst, q) },
			"LogDensity":      func() error { return m.LogDensity(dst[:n], q) },
			"eps adapter":     func() error { return eps.Denoise(ctx, dst, q) },
			"edm adapter":     func() error { return edm.Denoise(ctx, dst, q) },
		} {
			run := func() {
				if err := f(); err != nil {
					t.Fatal(err)
				}
			}
			if got := testing.AllocsPerRun(100, run); got != 0 {
				t.Errorf("%s: %s allocates %g times a call", name, what, got)
			}
		}
	}
}

func TestMixture_Refuses(t *testing.T) {
	good := families()["low-rank"]
	for want, f := range map[string]func(*Components){
		"no components":           func(c *Components) { c.Weights = nil },
		"Weights[1] = -1":         func(c *Components) { c.Weights = []float64{1, -1, 1, 1, 1} },
		"Weights[0] = 0":          func(c *Components) { c.Weights = []float64{0, 1, 1, 1, 1} },
		"Weights[1] = 1e-320 of":  func(c *Components) { c.Weights = []float64{1e20, 1e-320, 1, 1, 1} },
		"of +Inf in all":          func(c *Components) { c.Weights = []float64{1e308, 1e308, 1, 1, 1} },
		"numbers in Means":        func(c *Components) { c.Means = c.Means[1:] },
		"Means[3] = NaN":          func(c *Components) { c.Means = append([]float64(nil), c.Means...); c.Means[3] = math.NaN() },
		"numbers in Residual":     func(c *Components) { c.Residual = nil },
		"Residual[2] = -0.1":      func(c *Components) { c.Residual = []float64{1, 1, -0.1, 1, 1} },
		"numbers in Loadings":     func(c *Components) { c.Loadings = c.Loadings[1:] },
		"Cov and also":            func(c *Components) { c.Cov = make([]float64, testK*testDim*testDim) },
		"5 components":            func(c *Components) { c.Labels = []int{1} },
		"Labels[4] = -2":          func(c *Components) { c.Labels = []int{0, 0, 0, 0, -2} },
		"sizes ≥ 1":               func(c *Components) { c.Shape = []int{0} },
		"at least one size":       func(c *Components) { c.Shape = nil },
		"expected 5 × 6 × 6":      func(c *Components) { c.Residual, c.Loadings, c.Cov = nil, nil, make([]float64, 7) },
		"positive semidefinite":   func(c *Components) { *c = gaussianOf(1, 2, 2, 1) },
		"expected a symmetric":    func(c *Components) { *c = gaussianOf(1, 0.5, 0.4, 1) },
		"expected finite numbers": func(c *Components) { *c = gaussianOf(1, 0.5, math.Inf(1), 1) },
	} {
		c := good
		f(&c)
		if _, err := NewMixture(c); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "models: ") {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
	m, gm := mustMixture(t, good), GM2D()
	x := make([]float64, testDim)
	ok := []schedules.Level{level(1, 1)}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	points := mustMixture(t, families()["point set"])
	buf := make([]float64, 6)
	for want, err := range map[string]error{
		"at least 1":              m.Denoise(ctx, nil, Query{At: ok}),
		"query has 6 numbers":     m.Denoise(ctx, x, Query{X: x, Rows: 2, At: ok}),
		"destination has 5":       m.Denoise(ctx, x[:5], Query{X: x, Rows: 1, At: ok}),
		"2 levels":                m.Denoise(ctx, x, Query{X: x, Rows: 1, At: append(ok, ok...)}),
		"2 labels":                m.Denoise(ctx, x, Query{X: x, Rows: 1, At: ok, Labels: []int{0, 0}}),
		"label 7: no component":   m.Denoise(ctx, x, Query{X: x, Rows: 1, At: ok, Labels: []int{7}}),
		"label -3":                m.Denoise(ctx, x, Query{X: x, Rows: 1, At: ok, Labels: []int{-3}}),
		"has no classes":          gm.Denoise(ctx, x, Query{X: x, Rows: 3, At: ok, Labels: []int{-1, -1, 0}}),
		"α = -1":                  m.Denoise(ctx, x, Query{X: x, Rows: 1, At: []schedules.Level{level(-1, 1)}}),
		"σ = 1e+200: expected":    m.Denoise(ctx, x, Query{X: x, Rows: 1, At: []schedules.Level{level(1, 1e200)}}),
		"σ = 1e-200: expected":    m.Denoise(ctx, x, Query{X: x, Rows: 1, At: []schedules.Level{level(0, 1e-200)}}),
		"canceled":                m.Denoise(cancelled, x, Query{X: x, Rows: 1, At: ok}),
		"vectors have 5":          m.PosteriorCovMul(ctx, x, x[:5], Query{X: x, Rows: 1, At: ok}),
		"set without volume":      points.LogDensity(buf[:1], Query{X: x, Rows: 1, At: []schedules.Level{level(1, 0)}}),
		"one for each of 1 rows":  m.LogDensity(buf, Query{X: x, Rows: 1, At: ok}),
		"expected 2 keys":         m.Sample(buf, ok[0], nil, keys(2, 1)),
		"each of 1 keys":          m.Sample(buf, ok[0], []int{1, 2}, keys(1, 1)),
		"label 9":                 m.Sample(buf, ok[0], []int{9}, keys(1, 1)),
		"expected finite values ": m.Sample(buf, level(math.NaN(), 1), nil, keys(1, 1)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
	if _, err := NewPointSet([]int{2}, []float64{1, 2, 3}, nil); err == nil {
		t.Error("a point set of one and a half points was accepted")
	}
}

func gaussianOf(cov ...float64) Components {
	return Components{Shape: []int{2}, Weights: []float64{1}, Means: []float64{0, 0}, Cov: cov}
}

// A NaN in one row stays in that row.
func TestMixture_Property_NaN(t *testing.T) {
	for name, c := range families() {
		m := mustMixture(t, c)
		x := make([]float64, 3*testDim)
		x[testDim+2] = math.NaN()
		got := make([]float64, len(x))
		if err := m.Denoise(ctx, got, Query{X: x, Rows: 3, At: []schedules.Level{level(1, 1)}}); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if (v != v) != (i/testDim == 1) {
				t.Errorf("%s: D[%d] = %g", name, i, v)
			}
		}
	}
}
