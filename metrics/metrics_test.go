package metrics

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"snrlab/rng"
)

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s = %.17g, expected %.17g within %g", what, got, want, tol)
	}
}

func normal(seed uint64, n, dim int) Samples {
	x := make([]float64, n*dim)
	rng.New(seed).Normal(x)
	return Samples{x, dim}
}

// moved returns a + b x.
func moved(x Samples, a, b float64) Samples {
	y := Samples{make([]float64, len(x.X)), x.Dim}
	for i, v := range x.X {
		y.X[i] = a + b*v
	}
	return y
}

func TestRowErrors_Property(t *testing.T) {
	x := Samples{[]float64{0, 0, 3, 4, 1, 1}, 2}
	y := Samples{[]float64{0, 0, 0, 0, 1, -11}, 2}
	e, err := RowErrors(x, y)
	if err != nil || !slices.Equal(e, []float64{0, 5, 12}) {
		t.Fatalf("errors %v, %v", e, err)
	}
	near(t, "RMSE", RMSE(e), 13/math.Sqrt(3), 1e-15)
	if _, err := RowErrors(x, Samples{y.X, 3}); err == nil {
		t.Error("two shapes accepted")
	}
}

func TestQuantile_Property(t *testing.T) {
	v := []float64{40, 10, 30, 20}
	for p, want := range map[float64]float64{0: 10, 1: 40, 0.5: 25, 0.25: 17.5, 1.0 / 3: 20} {
		near(t, "quantile", Quantile(v, p), want, 1e-14*40)
	}
	if v[0] != 40 {
		t.Error("its argument was sorted")
	}
	if !math.IsNaN(Quantile(nil, 0.5)) || !math.IsNaN(Quantile(v, 1.1)) {
		t.Error("a quantile of nothing, or beyond 1")
	}
}

// The bootstrap interval of a mean of n normal numbers is ± 1.96 s/√n, and
// holds the true mean as often as it says.
func TestBootstrap_Property(t *testing.T) {
	const n = 200
	hit, trials := 0, 200
	if testing.Short() {
		trials = 40
	}
	for i := range trials {
		v := normal(uint64(i), n, 1).X
		in, err := Bootstrap(v, Mean, rng.New(1), 400, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if in.Lo <= 0 && in.Hi >= 0 {
			hit++
		}
		if i == 0 {
			// 400 resamples settle an end to 0.05/√400·… ≈ 8 % of the half-width.
			near(t, "half width", (in.Hi-in.Lo)/2, 1.96/math.Sqrt(n), 0.25*1.96/math.Sqrt(n))
			again, _ := Bootstrap(v, Mean, rng.New(1), 400, 0.95)
			if again != in {
				t.Error("another interval from the same key")
			}
		}
	}
	// Binomial: 4 standard deviations.
	near(t, "coverage", float64(hit)/float64(trials), 0.95, 4*math.Sqrt(0.95*0.05/float64(trials)))
	if _, err := Bootstrap(nil, Mean, rng.New(1), 10, 0.95); err == nil {
		t.Error("no rows accepted")
	}
}

// By hand: 1, 2, 3 have the mean 2 and s/√n = 1/√3, and t of 2 degrees of freedom
// at 97.5 % is 4.3027 (tables). The interval holds the mean of normal numbers as
// often as it says.
func TestRepeats_Property(t *testing.T) {
	mean, in, err := Repeats([]float64{1, 2, 3}, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "mean", mean, 2, 1e-15)
	near(t, "half width", (in.Hi-in.Lo)/2, 4.302652729696142/math.Sqrt(3), 1e-9)
	hit := 0
	const trials = 2000
	for i := range trials {
		if _, in, err = Repeats(normal(uint64(i), 4, 1).X, 0.9); err != nil {
			t.Fatal(err)
		}
		if in.Lo <= 0 && in.Hi >= 0 {
			hit++
		}
	}
	near(t, "coverage", float64(hit)/trials, 0.9, 4*math.Sqrt(0.9*0.1/trials)) // 4 standard deviations
	if _, _, err := Repeats([]float64{1}, 0.95); err == nil {
		t.Error("one repeat accepted")
	}
}

func TestOrder_Property(t *testing.T) {
	n := []int{5, 10, 20, 40, 80}
	err := make([]float64, 5)
	for i, k := range n {
		err[i] = 3 * math.Pow(float64(k), -4)
	}
	fit := Order(n, err, 1e-9)
	near(t, "order", fit.Order, 4, 1e-12)
	if fit.From != 40 || fit.To != 80 {
		t.Errorf("from %d to %d", fit.From, fit.To)
	}
	err[3], err[4] = 1e-10, 5e-9 // rounding, then noise above the floor
	if fit = Order(n, err, 1e-9); fit.To != 20 {
		t.Errorf("rounding was fitted: to %d", fit.To)
	}
	if fit = Order(n[:1], err[:1], 0); !math.IsNaN(fit.Order) {
		t.Errorf("order %g of one point", fit.Order)
	}
	if fit = Order([]int{10, 15, 20}, []float64{1, 1, 0.25}, 0); fit.From != 10 || math.Abs(fit.Order-2) > 1e-12 {
		t.Errorf("%+v: expected a whole doubling", fit)
	}
	if fit = Order(n, []float64{1, math.NaN(), 1, 1, 1}, 0); !math.IsNaN(fit.Order) {
		t.Errorf("order %g beyond a NaN", fit.Order)
	}
}

func TestSliced_Limit(t *testing.T) {
	// One dimension: W₂ of N(0,1) and N(m,s²), W₂² = m² + (s−1)²; with
	// y = m + s x the optimal map is exact up to the sample's own moments.
	const n, m, s = 100000, 0.7, 1.6
	x := normal(1, n, 1)
	d, err := Sliced{}.Distance(x, moved(normal(2, n, 1), m, s))
	if err != nil {
		t.Fatal(err)
	}
	// Sampling: about 1/√n in each term.
	near(t, "W2²", d.W2*d.W2, m*m+(s-1)*(s-1), 0.02)
	if d.SE != 0 {
		t.Errorf("error %g over the one direction there is", d.SE)
	}
	// Unequal sizes: of 0 and of {0, 1, 2} the distance is √(5/3).
	d, _ = Sliced{}.Distance(Samples{[]float64{0}, 1}, Samples{[]float64{2, 0, 1}, 1})
	near(t, "W2", d.W2, math.Sqrt(5.0/3), 1e-15)
	// Repeating every sample changes no law; 2 and 3 copies share no sizes.
	u, v := normal(3, 50, 3), normal(4, 70, 3)
	uu := Samples{append(append([]float64(nil), u.X...), u.X...), 3}
	vvv := Samples{append(append(append([]float64(nil), v.X...), v.X...), v.X...), 3}
	a, _ := Sliced{}.Distance(u, v)
	b, _ := Sliced{}.Distance(vvv, uu)
	near(t, "SW of repeated samples", b.W2, a.W2, 1e-12) // rounding of sums
	// A shift: θ·δ squared has mean |δ|²/dim, up to the choice of directions.
	x = normal(5, 500, 8)
	d, _ = Sliced{Directions: 1000}.Distance(x, moved(x, 0.5, 1))
	near(t, "SW² of a shift", d.W2, 0.5, 4*d.SE)
	if d.SE <= 0 || d.SE > 0.05 {
		t.Errorf("standard error %g", d.SE)
	}
	if d, _ = (Sliced{}).Distance(x, x); d.W2 != 0 {
		t.Errorf("distance %g to itself", d.W2)
	}
}

func TestEnergy_AgreesWithQuadrature(t *testing.T) {
	// N(0,1) against N(1,1) in one dimension: 2 ∫ (F − G)² dx.
	const m = 1.0
	want, h := 0.0, 1e-3
	for x := -10.0; x < 11; x += h {
		d := 0.5 * (math.Erf(x/math.Sqrt2) - math.Erf((x-m)/math.Sqrt2))
		want += 2 * d * d * h
	}
	n := 10000
	if testing.Short() {
		n = 3000
	}
	got, err := Energy(normal(1, n, 1), moved(normal(2, n, 1), m, 1))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "energy distance", got, want, 4/math.Sqrt(float64(n)))
	// By hand: {0,2} and {1}: 2·1 − 2 − … needs two of each; {0,2}, {1,1}: 2·1 − 2 − 0.
	got, _ = Energy(Samples{[]float64{0, 2}, 1}, Samples{[]float64{1, 1}, 1})
	near(t, "by hand", got, 0, 0)
}

func TestFrechet_Limit(t *testing.T) {
	// Covariances that commute: |Δμ|² + Σ (√a − √b)².
	a, b := mat.NewSymDense(2, []float64{4, 0, 0, 0.25}), mat.NewSymDense(2, []float64{1, 0, 0, 0})
	fd, err := FrechetGaussian([]float64{1, 2}, a, []float64{1, 4}, b)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "FD", fd, 4+1+0.25, 1e-14)
	// Not commuting, in two dimensions: tr √M = √(tr M + 2√det M), with
	// tr M = tr(AB) and det M = det A det B.
	a, b = mat.NewSymDense(2, []float64{2, 1, 1, 3}), mat.NewSymDense(2, []float64{1, -0.5, -0.5, 0.5})
	trAB := 2*1 + 2*1*-0.5 + 3*0.5
	want := 5 + 1.5 - 2*math.Sqrt(trAB+2*math.Sqrt(5*0.25))
	fd, _ = FrechetGaussian([]float64{0, 0}, a, []float64{0, 0}, b)
	near(t, "FD", fd, want, 1e-14)
	x := normal(1, 500, 5)
	fd, _ = Frechet(x, x)
	near(t, "FD to itself", fd, 0, 1e-13)
	fd, _ = Frechet(x, moved(x, 0.1, 1))
	near(t, "FD of a shift", fd, 5*0.01, 1e-13)
	// Means 1 and 2, variances 2 and 8 with n − 1.
	fd, _ = Frechet(Samples{[]float64{0, 2}, 1}, Samples{[]float64{0, 4}, 1})
	near(t, "FD by hand", fd, 1+2, 1e-14)
}

// cubed is a law with heavy tails, x³ of a normal: variance 15, fourth moment
// 10395, so that normal theory would put the error of its variance at 21
// and the truth is 101.
func cubed(seed uint64, n, dim int) Samples {
	x := normal(seed, n, dim)
	for i, v := range x.X {
		x.X[i] = v * v * v
	}
	return x
}

// Under the exact law, z-scores have unit spread, also where tails are heavy.
func TestZScores_Property(t *testing.T) {
	trials, n := 300, 2000
	if testing.Short() {
		trials = 60
	}
	var mean, variance, cov, total []float64
	for i := range trials {
		x := moved(normal(uint64(i), n, 2), 0.3, 2)
		// A dependence without correlation: the product has more spread
		// than its factors' variances say.
		for r := range n {
			x.X[2*r+1] = 0.3 + (x.X[2*r+1]-0.3)*(x.X[2*r]-0.3)/2
		}
		m, err := MeanZ(x, []float64{0.3, 0.3})
		if err != nil {
			t.Fatal(err)
		}
		mean = append(mean, m.Z...)
		c, err := CovZ(x, []float64{4, 0, 0, 4})
		if err != nil {
			t.Fatal(err)
		}
		cov = append(cov, c.Z[1])
		v, err := VarianceZ(x, []float64{4, 4})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(v.Z[0]-c.Z[0]) > 1e-9 || math.Abs(v.Z[1]-c.Z[2]) > 1e-9 {
			t.Fatalf("variances %v and the diagonal of %v differ", v.Z, c.Z)
		}
		variance = append(variance, v.Z[0])
		tz, err := TotalVarianceZ(cubed(uint64(i)+1e6, n, 10), 150)
		if err != nil {
			t.Fatal(err)
		}
		total = append(total, tz)
	}
	for name, z := range map[string][]float64{"mean": mean, "variance": variance, "covariance": cov} {
		// The spread of k normal numbers is known to 1/√(2k); 5 of these.
		near(t, name+": RMS of z", RMSE(z), 1, 5/math.Sqrt(2*float64(len(z))))
	}
	// Heavy tails: the estimated error is smallest where the sample missed its
	// tail, which skews z; without the fourth moment its RMS would be 5.
	near(t, "total variance: RMS of z", RMSE(total), 1.2, 0.4)
	s, _ := MeanZ(normal(1, 100, 3), []float64{0, 0, 10})
	if s.Max < 50 || math.Abs(s.Z[2]) != s.Max {
		t.Errorf("a mean off by 10 standard deviations scores %v", s)
	}
	// A constant column scores rounding errors as nothing.
	x := Samples{[]float64{1, -1, 2, -1 + 1e-15, 3, -1, 4, -1}, 2}
	if s, _ = MeanZ(x, []float64{2.5, -1}); math.Abs(s.Z[1]) > 1e-3 {
		t.Errorf("rounding scores %v", s.Z)
	}
}

// Four numbers by hand: 1, 2, 3, 6 have mean 3, and squared deviations 4, 1, 0, 9.
func TestZScores_Limit_ByHand(t *testing.T) {
	x := Samples{[]float64{1, 2, 3, 6}, 1}
	m, err := MeanZ(x, []float64{2})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "z of the mean", m.Z[0], 1/math.Sqrt(14./3/4), 1e-15)
	// Their variance is 14/3; the squares have mean 3.5 and sample variance 49/3.
	want := (14./3 - 4) / math.Sqrt(49./3/4)
	v, err := VarianceZ(x, []float64{4})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "z of the variance", v.Z[0], want, 1e-14)
	total, err := TotalVarianceZ(x, 4)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "z of the total variance", total, want, 1e-14)
}

// The standard error of a sliced distance is its spread over sets of directions.
func TestSliced_Property_StandardError(t *testing.T) {
	x, y := normal(1, 60, 3), moved(normal(2, 40, 3), 0.5, 1.3)
	const sets = 200
	w, se := make([]float64, sets), 0.0
	for i := range w {
		d, err := Sliced{Directions: 64, Key: rng.New(uint64(i))}.Distance(x, y)
		if err != nil {
			t.Fatal(err)
		}
		w[i] = d.W2
		se += d.SE / sets
	}
	sum := 0.0
	for _, v := range w {
		sum += (v - Mean(w)) * (v - Mean(w))
	}
	// A standard deviation from 200 numbers is known to 1/√400; 5 of these.
	near(t, "SE over the spread of distances", se/math.Sqrt(sum/(sets-1)), 1, 0.25)
}

// A floor asks for every set once, and is no lower than what it has seen.
func TestMeasureFloor_Limit_ByHand(t *testing.T) {
	draw := func(i int) (Samples, error) { return Samples{[]float64{float64(i)}, 1}, nil }
	var asked []float64
	values := []float64{1, 1, 1, 1, 1, 1, 1, 5}
	f, err := MeasureFloor(8, draw, func(x, y Samples) (float64, error) {
		asked = append(asked, x.X[0], y.X[0])
		return values[len(asked)/2-1], nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range asked {
		if v != float64(i) {
			t.Fatalf("sets asked for: %v, expected 0 to 15 in order", asked)
		}
	}
	// Mean 12/8; squared deviations 7/4 + 49/4 = 14; mean + 2 SD = 4.3 < 5.
	near(t, "mean", f.Mean, 1.5, 1e-15)
	near(t, "SD", f.SD, math.Sqrt(2), 1e-15)
	if f.Threshold != 5 || !f.Below(5) || f.Below(5.1) {
		t.Errorf("threshold %g, expected the largest seen, 5", f.Threshold)
	}
	values = []float64{1, 3, 1, 3, 1, 3, 1, 3}
	asked = nil
	if f, err = MeasureFloor(8, draw, func(Samples, Samples) (float64, error) {
		asked = append(asked, 0)
		return values[len(asked)-1], nil
	}); err != nil {
		t.Fatal(err)
	}
	near(t, "threshold", f.Threshold, 2+2*math.Sqrt(8./7), 1e-14)
}

// gm2d draws from the two-dimensional mixture of the golden files, or from it
// without its last component.
func gm2d(key rng.Key, n int, weights ...float64) Samples {
	means := [][2]float64{{-0.6, 0.24}, {0.48, 0.54}, {0.18, -0.66}}
	vars := []float64{0.02, 0.04, 0.03}
	r := key.Stream()
	x := Samples{make([]float64, 2*n), 2}
	total := 0.0
	for _, w := range weights {
		total += w
	}
	for i := range n {
		u, k := r.Float64()*total, 0
		for k < len(weights)-1 && u > weights[k] {
			u -= weights[k]
			k++
		}
		for j := range 2 {
			x.X[2*i+j] = means[k][j] + math.Sqrt(vars[k])*r.NormFloat64()
		}
	}
	return x
}

// Every corruption of the mixture is seen by at least two metrics at three
// times their floors, and exact samples by none.
func TestMetrics_SanityProperty(t *testing.T) {
	if testing.Short() {
		t.Skip("statistical")
	}
	const n = 4000
	all := []float64{0.35, 0.4, 0.25}
	exact := func(i int) (Samples, error) { return gm2d(rng.New(7).Split("set", uint64(i)), n, all...), nil }
	ref, _ := exact(1000)
	mean, cov := covariance(gm2d(rng.New(8), 400000, all...))
	flat := []float64{cov.At(0, 0), cov.At(0, 1), cov.At(1, 0), cov.At(1, 1)}

	dists := map[string]func(x, y Samples) (float64, error){
		"sliced W2": func(x, y Samples) (float64, error) { d, err := Sliced{}.Distance(x, y); return d.W2, err },
		"energy":    Energy,
		"Fréchet":   Frechet,
	}
	floors := map[string]Floor{}
	for name, d := range dists {
		f, err := MeasureFloor(6, exact, d)
		if err != nil {
			t.Fatal(err)
		}
		floors[name] = f
		t.Logf("floor of %s: %.3g ± %.2g, threshold %.3g", name, f.Mean, f.SD, f.Threshold)
	}
	fresh, _ := exact(2000)
	matched := Samples{make([]float64, 2*n), 2}
	var chol mat.Cholesky
	chol.Factorize(cov)
	var l mat.TriDense
	chol.LTo(&l)
	z := normal(9, n, 2)
	for i := range n {
		matched.X[2*i] = mean[0] + l.At(0, 0)*z.X[2*i]
		matched.X[2*i+1] = mean[1] + l.At(1, 0)*z.X[2*i] + l.At(1, 1)*z.X[2*i+1]
	}
	spread := func(f float64) Samples {
		y := Samples{slices.Clone(fresh.X), 2}
		for i := range y.X {
			y.X[i] = mean[i%2] + math.Sqrt(f)*(y.X[i]-mean[i%2])
		}
		return y
	}
	for _, c := range []struct {
		name string
		x    Samples
		bad  bool
	}{
		{"exact", fresh, false},
		{"mode dropped", gm2d(rng.New(10), n, 0.35, 0.4), true},
		{"variance × 0.8", spread(0.8), true},
		{"variance × 1.25", spread(1.25), true},
		{"mean + 0.1", moved(fresh, 0.1, 1), true},
		{"moment-matched Gaussian", matched, true},
	} {
		seen := 0
		for name, dist := range dists {
			d, err := dist(c.x, ref)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%-24s %-10s %.4g", c.name, name, d)
			// A mean floor of an unbiased estimate is about 0: its spread counts.
			if d > 3*floors[name].Threshold {
				seen++
			}
			if !c.bad && d > 1.5*floors[name].Threshold {
				t.Errorf("%s: %s = %.3g above its floor %.3g", c.name, name, d, floors[name].Threshold)
			}
			// The published values of this case, for n = 4000: 0.150 and 0.032,
			// to the sampling spread of the energy distance.
			if c.name == "moment-matched Gaussian" {
				switch name {
				case "sliced W2":
					near(t, name, d, 0.150, 0.01)
				case "energy":
					near(t, name, d, 0.032, 0.004)
				case "Fréchet":
					near(t, name, d, 0, 2e-3)
				}
			}
		}
		mz, err := MeanZ(c.x, mean)
		if err != nil {
			t.Fatal(err)
		}
		cz, err := CovZ(c.x, flat)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-24s mean z %.3g, covariance z %.3g", c.name, mz.Max, cz.Max)
		for _, z := range []ZScores{mz, cz} {
			if z.Max > 3*3 {
				seen++
			}
			if !c.bad && z.Max > 4 {
				t.Errorf("%s: z = %v", c.name, z.Z)
			}
		}
		if c.bad && seen < 2 {
			t.Errorf("%s: seen by %d metrics: expected at least 2", c.name, seen)
		}
	}
}

// Distances do not depend on the order of the samples.
func TestMetrics_OrderInvariant(t *testing.T) {
	x, y := normal(1, 300, 4), moved(normal(2, 200, 4), 0.2, 1.1)
	perm := rand.New(rand.NewPCG(1, 2)).Perm(300)
	p := Samples{make([]float64, len(x.X)), 4}
	for i, j := range perm {
		copy(p.Row(i), x.Row(j))
	}
	a, _ := Sliced{}.Distance(x, y)
	b, _ := Sliced{}.Distance(p, y)
	near(t, "sliced W2", b.W2, a.W2, 1e-14) // sums in another order
	ea, _ := Energy(x, y)
	eb, _ := Energy(p, y)
	near(t, "energy", eb, ea, 1e-12)
}

func TestMetrics_Refuses(t *testing.T) {
	good, two := normal(1, 10, 2), normal(1, 10, 1)
	bad := normal(1, 10, 2)
	bad.X[5] = math.NaN()
	ragged := Samples{make([]float64, 7), 2}
	for name, f := range map[string]func() error{
		"sample 2 has the value NaN in column 1": func() error { _, err := Sliced{}.Distance(good, bad); return err },
		"7 numbers are no whole number":          func() error { _, err := Energy(ragged, good); return err },
		"samples of 2 and of 1 values":           func() error { _, err := Frechet(good, two); return err },
		"3 exact means for 2 columns":            func() error { _, err := MeanZ(good, make([]float64, 3)); return err },
		"2 exact covariances":                    func() error { _, err := CovZ(good, make([]float64, 2)); return err },
		"-1 directions":                          func() error { _, err := Sliced{Directions: -1}.Distance(good, good); return err },
		"floor from 1 pairs":                     func() error { _, err := MeasureFloor(1, nil, nil); return err },
		"0 samples":                              func() error { _, err := TotalVarianceZ(Samples{nil, 1}, 0); return err },
		"covariances of 3": func() error {
			_, err := FrechetGaussian([]float64{1}, mat.NewSymDense(3, nil), []float64{1}, mat.NewSymDense(1, nil))
			return err
		},
		"no disk": func() error {
			_, err := MeasureFloor(2, func(int) (Samples, error) { return Samples{}, errors.New("no disk") }, nil)
			return err
		},
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, expected an error with %q", err, name)
		}
	}
}

func BenchmarkSliced(b *testing.B) {
	x, y := normal(1, 1000, 784), normal(2, 1000, 784)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Sliced{}).Distance(x, y); err != nil {
			b.Fatal(err)
		}
	}
}

// sorted steps of the quantile functions, as in the definition.
func TestWasserstein_AgreesWithQuadrature(t *testing.T) {
	u, v := normal(1, 7, 1).X, normal(2, 5, 1).X
	sort.Float64s(u)
	sort.Float64s(v)
	const n = 35 * 20
	sum := 0.0
	for i := range n {
		q := (float64(i) + 0.5) / n
		d := u[int(q*7)] - v[int(q*5)]
		sum += d * d / n
	}
	near(t, "W2²", wasserstein(u, v), sum, 1e-13)
}
