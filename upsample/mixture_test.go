package upsample

import (
	"math"
	"strings"
	"testing"

	"snrlab/models"
	"snrlab/schedules"
)

// The pooled law has the moments of pooled samples' law, P m and P Σ Pᵀ, whatever
// form the covariances came in.
func TestPoolMixture_AgreesWith_Moments(t *testing.T) {
	pair := area(t, "area(height=4,width=6,vertical=2,horizontal=3/2)")
	pool, _, d, l := matrices(pair)
	low := random(pair.HighShape(), 1)
	diagonal := low
	diagonal.Residual = make([]float64, 3*d)
	for i := range diagonal.Residual {
		diagonal.Residual[i] = 0.1 + 0.01*float64(i)
	}
	full := models.Components{Shape: low.Shape, Weights: low.Weights, Means: low.Means, Labels: low.Labels}
	for k := range low.Weights {
		full.Cov = append(full.Cov, symmetric(covariance(low, k), d)...)
	}
	for name, c := range map[string]models.Components{"low rank": low, "diagonal": diagonal, "full": full} {
		for _, label := range []int{-1, 1} {
			at := schedules.Level{Alpha: 0.8, Sigma: 0}
			big, small := mixture(t, c), pooled(t, c, pair)
			cov, err := big.Covariance(at, label)
			if err != nil {
				t.Fatal(err)
			}
			got, err := small.Covariance(at, label)
			if err != nil {
				t.Fatal(err)
			}
			want := multiply(multiply(pool, cov, l, d, d), transposed(pool, l, d), l, d, l)
			if e := distance(got, want); e > 1e-12 {
				t.Errorf("%s, class %d: covariance off by %g", name, label, e)
			}
			a, err := big.Moments(at, label)
			if err != nil {
				t.Fatal(err)
			}
			b, err := small.Moments(at, label)
			if err != nil {
				t.Fatal(err)
			}
			if e := distance(b.Mean, multiply(pool, a.Mean, l, d, 1)); e > 1e-13 {
				t.Errorf("%s, class %d: mean off by %g", name, label, e)
			}
		}
	}
}

// The misjudging model has the class's coarse mean and covariance in every
// component, nothing of what tells them apart, and all of the detail.
func TestMisjudgeCoarse_Property(t *testing.T) {
	pair := area(t, "area(height=4,width=6,vertical=2,horizontal=3/2)")
	c := random(pair.HighShape(), 1)
	l, d := size(pair.LowShape()), size(pair.HighShape())
	bad, err := MisjudgeCoarse(c, pair, Misjudgement{Rank: l, Spread: 1})
	if err != nil {
		t.Fatal(err)
	}
	at := schedules.Level{Alpha: 1}
	for class := range 2 {
		right, err := pooled(t, c, pair).Covariance(at, class)
		if err != nil {
			t.Fatal(err)
		}
		wrong, err := pooled(t, bad, pair).Covariance(at, class)
		if err != nil {
			t.Fatal(err)
		}
		// All directions are kept, so that the class as a whole is unchanged.
		if e := distance(right, wrong); e > 1e-12 {
			t.Errorf("class %d: coarse covariance off by %g", class, e)
		}
	}
	m := poolAll(pair, bad.Means, d, l)
	if e := distance(m[l:2*l], m[2*l:]); e > 1e-14 {
		t.Errorf("components of a class keep coarse means %g apart", e)
	}
	if e := distance(m[:l], m[l:2*l]); e < 0.1 {
		t.Error("classes lost what tells them apart")
	}
	for k := range 3 {
		a, b := make([]float64, d), make([]float64, d)
		addParts(a, pair, 0, c.Means[k*d:(k+1)*d])
		addParts(b, pair, 0, bad.Means[k*d:(k+1)*d])
		if e := distance(a, b); e > 1e-14 {
			t.Errorf("component %d: the detail of its mean moved by %g", k, e)
		}
	}
	// One direction is the largest of them.
	one, err := MisjudgeCoarse(c, pair, Misjudgement{Rank: 1, Spread: 1})
	if err != nil {
		t.Fatal(err)
	}
	if n, m := trace(t, pooled(t, one, pair)), trace(t, pooled(t, bad, pair)); !(n < m && n > m/float64(l)) {
		t.Errorf("one direction holds %g of a coarse variance of %g", n, m)
	}
}

// Spread multiplies the coarse deviations, and 0 leaves the residual alone.
func TestMisjudgeCoarse_Spread(t *testing.T) {
	pair := area(t, "area(height=4,width=6,vertical=2,horizontal=3/2)")
	c := random(pair.HighShape(), 1)
	l := float64(size(pair.LowShape()))
	rest := l * pair.Noise().Variance * c.Residual[0]
	var got [3]float64
	for i, spread := range []float64{0, 0.5, 1} {
		bad, err := MisjudgeCoarse(c, pair, Misjudgement{Rank: int(l), Spread: spread})
		if err != nil {
			t.Fatal(err)
		}
		got[i] = trace(t, pooled(t, bad, pair)) - rest
	}
	if math.Abs(got[0]) > 1e-13 || math.Abs(got[1]-got[2]/4) > 1e-13*got[2] {
		t.Errorf("coarse variances %v at spreads 0, ½, 1 beside the residual: expected 0, ¼ and 1 of the last", got)
	}
}

// Tie keeps what a component knows: all of it, nothing added, is the mixture
// itself, and half is half way to the class's mean.
func TestMisjudgeCoarse_Tie(t *testing.T) {
	pair := area(t, "area(height=4,width=6,vertical=2,horizontal=3/2)")
	c := random(pair.HighShape(), 1)
	d, rank := size(pair.HighShape()), 1
	with := func(tie float64) models.Components {
		m, err := MisjudgeCoarse(c, pair, Misjudgement{Rank: rank, Tie: tie})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	all, half, none := with(1), with(0.5), with(0)
	if e := distance(all.Means, c.Means); e > 1e-14 {
		t.Errorf("means moved by %g", e)
	}
	for k := range 3 {
		if e := distance(all.Loadings[k*3*d:][:2*d], c.Loadings[k*2*d:][:2*d]); e > 1e-14 {
			t.Errorf("component %d: loadings moved by %g", k, e)
		}
	}
	for i, v := range half.Means {
		if want := (all.Means[i] + none.Means[i]) / 2; math.Abs(v-want) > 1e-14 {
			t.Errorf("mean %g at %d, expected %g half way", v, i, want)
		}
	}
}

func trace(t *testing.T, m *models.Mixture) float64 {
	t.Helper()
	mo, err := m.Moments(schedules.Level{Alpha: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return mo.Total()
}

func TestMixture_Refuses(t *testing.T) {
	pair := area(t, "area(height=4,width=6,vertical=2,horizontal=3/2)")
	plain := area(t, "area(height=4,width=6,vertical=2,horizontal=3/2,plain=true)")
	c := random(pair.HighShape(), 1)
	full := models.Components{Shape: c.Shape, Weights: []float64{1}, Means: c.Means[:24], Cov: make([]float64, 24*24)}
	for want, f := range map[string]func() error{
		"samples of shape [1 2 4]": func() error { _, err := PoolMixture(twoRegions(t, 0), pair); return err },
		"no components":            func() error { _, err := PoolMixture(models.Components{Shape: []int{1}}, pair); return err },
		"expected 1 to 8":          func() error { _, err := MisjudgeCoarse(c, pair, Misjudgement{Rank: 9}); return err },
		"expected a factor ≥ 0":    func() error { _, err := MisjudgeCoarse(c, pair, Misjudgement{Rank: 2, Spread: -1}); return err },
		"share from 0 to 1":        func() error { _, err := MisjudgeCoarse(c, pair, Misjudgement{Rank: 2, Tie: 1.1}); return err },
		"full covariances":         func() error { _, err := MisjudgeCoarse(full, pair, Misjudgement{Rank: 2}); return err },
		"noise coloured":           func() error { _, err := MisjudgeCoarse(c, plain, Misjudgement{Rank: 2}); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
	// The moments of a coloured pair's image are exact too, as a full covariance.
	low, err := PoolMixture(c, plain)
	if err != nil || low.Cov == nil {
		t.Fatalf("%v: expected full covariances", err)
	}
	var worst float64
	for _, v := range low.Cov {
		worst = max(worst, math.Abs(v))
	}
	if worst == 0 {
		t.Error("a covariance of zeros")
	}
}

// The laws of coarse and of detail are the same at every correlation; what is
// between them is not.
func TestTwoRegions_Property(t *testing.T) {
	pair := regions(t)
	pool, _, d, l := matrices(pair)
	at := schedules.Level{Alpha: 1}
	cov := func(correlation float64) (coarse, fine, cross []float64) {
		full, err := mixture(t, twoRegions(t, correlation)).Covariance(at, -1)
		if err != nil {
			t.Fatal(err)
		}
		detail := make([]float64, d*d)
		unit := make([]float64, d)
		for i := range d {
			clear(unit)
			unit[i] = 1
			addParts(detail[i*d:(i+1)*d], pair, 0, unit) // symmetric
		}
		half := multiply(pool, full, l, d, d)
		return multiply(half, transposed(pool, l, d), l, d, l), multiply(multiply(detail, full, d, d, d), detail, d, d, d), multiply(half, detail, l, d, d)
	}
	c0, f0, x0 := cov(0)
	c1, f1, x1 := cov(0.5)
	_, _, x2 := cov(1)
	zero := make([]float64, len(x0))
	if a, b := distance(c0, c1), distance(f0, f1); a > 1e-15 || b > 1e-15 {
		t.Errorf("correlation moves the coarse law by %g and the detail by %g", a, b)
	}
	if a, b, c := distance(x0, zero), distance(x1, zero), distance(x2, zero); a > 1e-15 || math.Abs(b-c/2) > 1e-15 || c < 0.05 {
		t.Errorf("covariances of coarse and detail up to %g, %g, %g at correlations 0, ½, 1", a, b, c)
	}
}
