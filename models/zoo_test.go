package models

import (
	"math"
	"testing"

	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
)

// The moments of GM-2D are known by hand.
func TestGM2D_AgreesWith_KnownMoments(t *testing.T) {
	cov, err := GM2D().Covariance(level(1, 0), -1)
	if err != nil {
		t.Fatal(err)
	}
	mom, err := GM2D().Moments(level(1, 0), -1)
	if err != nil {
		t.Fatal(err)
	}
	// Exact decimals from the weights, rounded.
	if d, _ := worst(mom.Mean, []float64{0.027, 0.135}); d > 1e-15 {
		t.Errorf("mean %v", mom.Mean)
	}
	if d, _ := worst(cov, []float64{0.256031, 0.019935, 0.019935, 0.257975}); d > 1e-15 {
		t.Errorf("covariance %v", cov)
	}
	if math.Abs(mom.Total()-0.514006) > 1e-15 {
		t.Errorf("total variance %.17g", mom.Total())
	}
}

// Mean squared error of x₀ per coordinate, tr Cov[x₀ | x]/2 averaged over x, at
// the levels at which it was published for this mixture with 4 digits; and the
// entropy 0.383 nat, the mean of −log p.
func TestGM2D_AgreesWith_DenoisingProfile(t *testing.T) {
	if testing.Short() {
		t.Skip("averages over 100,000 samples")
	}
	const n = 100_000
	m := GM2D()
	key := keys(n, 21)
	x, y, v := make([]float64, 2*n), make([]float64, 2*n), make([]float64, 2*n)
	for lambda, want := range map[float64][2]float64{
		-6: {0.2568, 0.00064}, -4: {0.2557, 0.0047}, -2: {0.2485, 0.0336}, 0: {0.2007, 0.2007},
		2: {0.0662, 0.4895}, 4: {0.0117, 0.6405}, 6: {0.0023, 0.9194},
	} {
		a2 := 1 / (1 + math.Exp(-lambda))
		at := level(math.Sqrt(a2), math.Sqrt(1-a2))
		if err := m.Sample(x, at, nil, key); err != nil {
			t.Fatal(err)
		}
		q := Query{X: x, Rows: n, At: []schedules.Level{at}}
		var sum, sum2 float64
		trace := make([]float64, n)
		for axis := range 2 {
			for i := range n {
				v[2*i+axis], v[2*i+1-axis] = 1, 0
			}
			if err := m.PosteriorCovMul(ctx, y, v, q); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				trace[i] += y[2*i+axis] / 2
			}
		}
		for _, v := range trace {
			sum += v
			sum2 += v * v
		}
		mean := sum / n
		sd := math.Sqrt((sum2/n - mean*mean) / n)
		snr := snr.LogSNR(lambda).SNR()
		// Four standard errors of ours, and the published digits: half a unit in
		// the last place and their own sampling error, about 1 %.
		if math.Abs(mean-want[0]) > 4*sd+0.00005+0.01*want[0] {
			t.Errorf("λ = %g: mse of x₀ %.5f ± %.5f, published %.4f", lambda, mean, sd, want[0])
		}
		if math.Abs(mean*snr-want[1]) > 4*sd*snr+0.00005+0.01*want[1] {
			t.Errorf("λ = %g: mse of ε %.5f, published %.5f", lambda, mean*snr, want[1])
		}
	}
	clean := level(1, 0)
	if err := m.Sample(x, clean, nil, key); err != nil {
		t.Fatal(err)
	}
	logp := make([]float64, n)
	if err := m.LogDensity(logp, Query{X: x, Rows: n, At: []schedules.Level{clean}}); err != nil {
		t.Fatal(err)
	}
	h := 0.0
	for _, l := range logp {
		h -= l / n
	}
	// −log p has standard deviation about 1: 4/√n, and half a digit.
	if math.Abs(h-0.383) > 4/math.Sqrt(n)+0.0005 {
		t.Errorf("entropy %.4f, published 0.383", h)
	}
}

// A density on the line is easily summed, to one.
func TestGM1D_Property_DensityIntegrates(t *testing.T) {
	m := GM1D()
	for _, at := range []schedules.Level{level(1, 0), level(1, 0.1), level(0.5, 2), level(0, 1)} {
		const n = 4001
		x, logp := make([]float64, n), make([]float64, n)
		h := 40.0 / (n - 1)
		for i := range x {
			x[i] = -20 + float64(i)*h
		}
		if err := m.LogDensity(logp, Query{X: x, Rows: n, At: []schedules.Level{at}}); err != nil {
			t.Fatal(err)
		}
		total, mean := 0.0, 0.0
		for i, l := range logp {
			total += h * math.Exp(l)
			mean += h * math.Exp(l) * x[i]
		}
		// The trapezoidal rule converges geometrically on peaks as smooth as
		// these: the narrowest is 0.3 wide and the spacing 0.01.
		if math.Abs(total-1) > 1e-12 || math.Abs(mean-0.1*at.Alpha) > 1e-12 {
			t.Errorf("%+v: total %.12g, mean %.12g", at, total, mean)
		}
	}
}

func TestZoo_Golden_Samples(t *testing.T) {
	zoo := map[string]Exact{"GM2D": GM2D(), "GM1D": GM1D(), "Gauss4": Gauss4(), "GMM16": GMM16(), "GMM2": GMM2(), "Needles": Needles()}
	for name, m := range zoo {
		checkSampleMoments(t, name, m, -1)
	}
}

// checkSampleMoments compares sample means and covariances with the exact ones
// as z-scores. With up to 152 of them 5 is exceeded once in 1e4 such lists; the
// keys are fixed.
func checkSampleMoments(t *testing.T, name string, m Exact, label int) {
	t.Helper()
	const n = 20_000
	d := Dim(m)
	at := level(0.8, 0.3)
	x := make([]float64, n*d)
	labels := make([]int, n)
	for i := range labels {
		labels[i] = label
	}
	if err := m.Sample(x, at, labels, keys(n, 31)); err != nil {
		t.Fatal(err)
	}
	mom, err := m.Moments(at, label)
	if err != nil {
		t.Fatal(err)
	}
	cov, err := m.Covariance(at, label)
	if err != nil {
		t.Fatal(err)
	}
	z := func(f func(row []float64) float64, want float64) float64 {
		var s, s2 float64
		for i := range n {
			v := f(x[i*d : (i+1)*d])
			s += v
			s2 += v * v
		}
		mean := s / n
		return (mean - want) / math.Sqrt((s2/n-mean*mean)/n)
	}
	for i := range d {
		if got := z(func(row []float64) float64 { return row[i] }, mom.Mean[i]); math.Abs(got) > 5 {
			t.Errorf("%s class %d: mean of coordinate %d is off by z = %.1f", name, label, i, got)
		}
		if math.Abs(cov[i*d+i]-mom.Var[i]) > 1e-14 {
			t.Errorf("%s class %d: variance %d is %.17g and %.17g", name, label, i, cov[i*d+i], mom.Var[i])
		}
		for j := i; j < d; j++ {
			f := func(row []float64) float64 { return (row[i] - mom.Mean[i]) * (row[j] - mom.Mean[j]) }
			if got := z(f, cov[i*d+j]); math.Abs(got) > 5 {
				t.Errorf("%s class %d: covariance (%d, %d) is off by z = %.1f", name, label, i, j, got)
			}
			if cov[i*d+j] != cov[j*d+i] {
				t.Errorf("%s: covariance (%d, %d) is not symmetric", name, i, j)
			}
		}
	}
}

func TestMixture_Property_SampleMoments(t *testing.T) {
	if testing.Short() {
		t.Skip("draws 20,000 samples of every family")
	}
	for name, c := range families() {
		m := mustMixture(t, c)
		checkSampleMoments(t, name, m, -1)
		checkSampleMoments(t, name, m, 3)
	}
}

// A sample depends on its key alone, and x₀ and ε are the same at all levels.
func TestMixture_Invariant_Sample(t *testing.T) {
	for name, c := range families() {
		m := mustMixture(t, c)
		key := keys(5, 41)
		labels := []int{0, -1, 3, 3, 0}
		draw := func(at schedules.Level, labels []int, key []rng.Key) []float64 {
			x := make([]float64, len(key)*testDim)
			if err := m.Sample(x, at, labels, key); err != nil {
				t.Fatal(err)
			}
			return x
		}
		all := draw(level(0.6, 0.8), labels, key)
		if d, _ := worst(draw(level(0.6, 0.8), labels[3:4], key[3:4]), all[3*testDim:4*testDim]); d != 0 {
			t.Errorf("%s: a sample depends on the others", name)
		}
		x0, eps := draw(level(1, 0), labels, key), draw(level(0, 1), labels, key)
		for i := range all {
			if want := 0.6*x0[i] + 0.8*eps[i]; math.Abs(all[i]-want) > 1e-15 {
				t.Errorf("%s: sample %d is %.17g, not α x₀ + σ ε = %.17g", name, i, all[i], want)
			}
		}
	}
}

// A labelled row sees its class alone.
func TestMixture_Limit_Label(t *testing.T) {
	for name, c := range families() {
		per := func(v []float64) []float64 { return v[2*len(v)/testK:] } // components 2, 3, 4 are class 3
		only := Components{Shape: c.Shape, Weights: per(c.Weights), Means: per(c.Means), Loadings: per(c.Loadings), Residual: per(c.Residual), Cov: per(c.Cov)}
		if c.Cov == nil {
			only.Cov = nil
		} else {
			only.Loadings, only.Residual = nil, nil
		}
		if c.Loadings == nil {
			only.Loadings = nil
		}
		all, part := mustMixture(t, c), mustMixture(t, only)
		at := []schedules.Level{level(0.7, 0.6)}
		x := states(t, all, at[0], 4, 51)
		got, want := make([]float64, len(x)), make([]float64, len(x))
		lg, lw := make([]float64, 4), make([]float64, 4)
		q, plain := Query{X: x, Rows: 4, At: at, Labels: []int{3, 3, 3, 3}}, Query{X: x, Rows: 4, At: at}
		for _, err := range []error{all.Denoise(ctx, got, q), part.Denoise(ctx, want, plain), all.LogDensity(lg, q), part.LogDensity(lw, plain)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		// The same sums about another centre.
		if d, _ := worst(got, want); d > 1e-14 {
			t.Errorf("%s: D of a class differs by %g from that of its components alone", name, d)
		}
		if d, _ := worst(lg, lw); d > 1e-13 {
			t.Errorf("%s: log p of a class differs by %g from that of its components alone", name, d)
		}
	}
}

func TestPointSet_Limit(t *testing.T) {
	pts := []float64{0, 0, 1, 0, 0, 2}
	p, err := NewPointSet([]int{2}, pts, []int{0, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float64, 2)
	ask := func(sigma float64, label int, x ...float64) []float64 {
		q := Query{X: x, Rows: 1, At: []schedules.Level{level(1, sigma)}, Labels: []int{label}}
		if err := p.Denoise(ctx, got, q); err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, c := range []struct {
		sigma float64
		label int
		x     []float64
		want  []float64
	}{
		{1e-8, -1, []float64{0.4, 0.1}, []float64{0, 0}}, // the nearest point
		{1e-8, 1, []float64{0.4, 0.1}, []float64{1, 0}},  // of the class
		{1e-3, -1, []float64{0.6, 0.1}, []float64{1, 0}},
		{1e9, -1, []float64{3, 4}, []float64{1. / 3, 2. / 3}}, // the mean of all
		{0.5, -1, []float64{0.5, 0}, []float64{0.5 / (1 + math.Exp(-8)/2), 2 * math.Exp(-8) / (2 + math.Exp(-8))}},
	} {
		// At σ = 1e9 the exponents still differ by 1e-18 relative.
		if d, _ := worst(ask(c.sigma, c.label, c.x...), c.want); d > 1e-15 {
			t.Errorf("σ = %g class %d: D = %v, expected %v", c.sigma, c.label, got, c.want)
		}
	}
}
