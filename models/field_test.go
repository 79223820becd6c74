package models

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/dsp/fourier"
	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/mat"

	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
)

var fieldShape = []int{2, 4, 6}

// randomPower is a spectrum without any symmetry but the one it must have.
func randomPower(shape []int, seed uint64) []float64 {
	half := shape[2]/2 + 1
	p := make([]float64, shape[0]*shape[1]*half)
	rng.New(seed).Normal(p)
	for i, v := range p {
		p[i] = 0.02 + v*v
	}
	for c := range shape[0] {
		for u := range shape[1] {
			for _, v := range []int{0, half - 1} {
				p[(c*shape[1]+(shape[1]-u)%shape[1])*half+v] = p[(c*shape[1]+u)*half+v]
			}
		}
	}
	return p
}

// fields returns one of every kind: with images as means, with one mean, and
// with a single component.
func fields() map[string]FieldComponents {
	dim := size(fieldShape)
	means := make([]float64, 3*dim)
	rng.New(3).Normal(means)
	for i := range means {
		means[i] *= 0.3
	}
	var power []float64
	for k := range 3 {
		power = append(power, randomPower(fieldShape, uint64(10+k))...)
	}
	third := len(power) / 3
	return map[string]FieldComponents{
		"three":     {Shape: fieldShape, Weights: []float64{1, 2, 1.5}, Means: means, Power: power, Labels: []int{0, 3, 3}},
		"one mean":  {Shape: fieldShape, Weights: []float64{1, 2, 1.5}, Means: []float64{1, -2, 1, -2, 1, -2}, Power: power, Labels: []int{0, 3, 3}},
		"no means":  {Shape: fieldShape, Weights: []float64{1, 1}, Power: power[:2*third], Labels: []int{0, 3}},
		"one field": {Shape: fieldShape, Weights: []float64{1}, Means: means[:dim], Power: power[:third]},
	}
}

func mustFields(t testing.TB, c FieldComponents) *FieldMixture {
	t.Helper()
	f, err := NewFieldMixture(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// field of one channel by the name of its spectrum.
func field(t testing.TB, h, w int, spectrum string) *Field {
	t.Helper()
	s, err := ParseSpectrum(spectrum)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Power(h, w)
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewField([]int{1, h, w}, nil, p)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// circulant spells out the covariance of a spectrum by its definition,
// 1/(hw) Σ_k P(k) cos 2πk·(i − j), channel by channel.
func circulant(shape []int, power []float64) *mat.SymDense {
	h, w := shape[1], shape[2]
	half, pixels := w/2+1, h*w
	cov := mat.NewSymDense(size(shape), nil)
	for i := range size(shape) {
		for j := i; j < size(shape); j++ {
			if i/pixels != j/pixels {
				continue
			}
			down, right := i%pixels/w-j%pixels/w, i%w-j%w
			sum := 0.0
			for u := range h {
				for v := range w {
					a, b := u, v
					if v >= half {
						a, b = (h-u)%h, w-v
					}
					p := power[(i/pixels*h+a)*half+b]
					sum += p * math.Cos(2*math.Pi*(float64(u*down)/float64(h)+float64(v*right)/float64(w)))
				}
			}
			cov.SetSym(i, j, sum/float64(pixels))
		}
	}
	return cov
}

// dense is the textbook mixture of the same law.
func dense(c FieldComponents) direct {
	d, pixels := size(c.Shape), c.Shape[1]*c.Shape[2]
	m := direct{weights: c.Weights, labels: c.Labels}
	for k := range c.Weights {
		mean := make([]float64, d)
		for i := range mean {
			switch len(c.Means) {
			case 0:
			case len(c.Weights) * d:
				mean[i] = c.Means[k*d+i]
			default:
				mean[i] = c.Means[k*c.Shape[0]+i/pixels]
			}
		}
		n := len(c.Power) / len(c.Weights)
		m.means = append(m.means, mean)
		m.covs = append(m.covs, circulant(c.Shape, c.Power[k*n:(k+1)*n]))
	}
	return m
}

func TestField_AgreesWith_Direct(t *testing.T) {
	for name, c := range fields() {
		f, ref := mustFields(t, c), dense(c)
		d := size(c.Shape)
		for _, at := range testLevels() {
			const n = 6
			x := states(t, f, at, n, 1)
			labels := make([]int, n)
			for i := range labels {
				labels[i] = []int{-1, 0, 3}[i%3]
				if c.Labels == nil {
					labels[i] = -1
				}
			}
			q := Query{X: x, Rows: n, At: []schedules.Level{at}, Labels: labels}
			got, cov, v := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
			logp, trace := make([]float64, n), make([]float64, n)
			rng.New(3).Normal(v)
			for _, err := range []error{
				f.Denoise(ctx, got, q), f.PosteriorCovMul(ctx, cov, v, q), f.LogDensity(logp, q), f.PosteriorTrace(ctx, trace, q),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			for i := range n {
				row := func(a []float64) []float64 { return a[i*d : (i+1)*d] }
				c := agrees(t, fmt.Sprintf("%s %+v row %d", name, at, i), ref, at, labels[i], row(x), row(v), row(got), row(cov), logp[i])
				if tr := mat.Trace(c); math.Abs(trace[i]-tr) > 1e-10 {
					t.Errorf("%s %+v row %d: trace %.15g, direct %.15g", name, at, i, trace[i], tr)
				}
			}
		}
	}
}

// Cov[x] = α² C + σ² I, with C spelled out, and its diagonal in Moments.
func TestField_AgreesWith_Circulant(t *testing.T) {
	c := fields()["one field"]
	f, at, d := mustFields(t, c), level(0.7, 0.4), size(fieldShape)
	got, err := f.Covariance(at, -1)
	if err != nil {
		t.Fatal(err)
	}
	mom, err := f.Moments(at, -1)
	if err != nil {
		t.Fatal(err)
	}
	want := circulant(c.Shape, c.Power)
	for i := range d {
		for j := range d {
			w := 0.49 * want.At(i, j)
			if i == j {
				w += 0.16
				// Sums of a few dozen terms of order one.
				if math.Abs(mom.Var[i]-w) > 1e-14 || math.Abs(mom.Mean[i]-0.7*c.Means[i]) > 1e-16 {
					t.Errorf("pixel %d has mean %g, variance %g, expected %g, %g", i, mom.Mean[i], mom.Var[i], 0.7*c.Means[i], w)
				}
			}
			if math.Abs(got[i*d+j]-w) > 1e-14 {
				t.Errorf("covariance (%d, %d) is %.17g, expected %.17g", i, j, got[i*d+j], w)
			}
		}
	}
}

func TestField_Property_SampleMoments(t *testing.T) {
	if testing.Short() {
		t.Skip("draws 20,000 samples of mixtures of fields")
	}
	small := []int{1, 2, 4}
	power := append(randomPower(small, 1), randomPower(small, 2)...)
	means := make([]float64, 16)
	rng.New(4).Normal(means)
	f := mustFields(t, FieldComponents{Shape: small, Weights: []float64{1, 3}, Means: means, Power: power, Labels: []int{0, 1}})
	checkSampleMoments(t, "two fields", f, -1)
	checkSampleMoments(t, "two fields", f, 1)
}

// A sample depends on its key alone, and x₀ and ε are the same at all levels.
func TestField_Invariant_Sample(t *testing.T) {
	f := mustFields(t, fields()["three"])
	d, key, labels := size(fieldShape), keys(5, 41), []int{0, -1, 3, 3, 0}
	draw := func(at schedules.Level, labels []int, key []rng.Key) []float64 {
		x := make([]float64, len(key)*d)
		if err := f.Sample(x, at, labels, key); err != nil {
			t.Fatal(err)
		}
		return x
	}
	all := draw(level(0.6, 0.8), labels, key)
	if d, _ := worst(draw(level(0.6, 0.8), labels[3:4], key[3:4]), all[3*d:4*d]); d != 0 {
		t.Errorf("a sample depends on the others")
	}
	x0, eps := draw(level(1, 0), labels, key), draw(level(0, 1), labels, key)
	for i := range all {
		if want := 0.6*x0[i] + 0.8*eps[i]; math.Abs(all[i]-want) > 1e-15 {
			t.Errorf("sample %d is %.17g, not α x₀ + σ ε = %.17g", i, all[i], want)
		}
	}
}

func TestField_Invariant_Batch(t *testing.T) {
	for name, c := range fields() {
		f, d := mustFields(t, c), size(fieldShape)
		const n = 60
		x, v := make([]float64, n*d), make([]float64, n*d)
		rng.New(12).Normal(x)
		rng.New(13).Normal(v)
		at, labels := make([]schedules.Level, n), make([]int, n)
		all := append(testLevels(), level(1, 0), level(1, 1e-4))
		for i := range at {
			at[i] = all[(i/3)%len(all)]
			labels[i] = []int{-1, 0, 3}[i%3]
			if c.Labels == nil {
				labels[i] = -1
			}
		}
		ask := func(lo, hi int) (out [3][]float64) {
			q := Query{X: x[lo*d : hi*d], Rows: hi - lo, At: at[lo:hi], Labels: labels[lo:hi]}
			for i := range out {
				out[i] = make([]float64, len(q.X))
			}
			for _, err := range []error{
				f.Denoise(ctx, out[0], q), f.PosteriorCovMul(ctx, out[1], v[lo*d:hi*d], q), f.DenoiseRate(ctx, out[2], q),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			return out
		}
		whole := ask(0, n)
		for i := 0; i < n; i += 7 {
			old := runtime.GOMAXPROCS(1 + i%2)
			one := ask(i, i+1)
			runtime.GOMAXPROCS(old)
			for j := range one {
				if !slices.Equal(one[j], whole[j][i*d:(i+1)*d]) {
					t.Fatalf("%s: answer %d of row %d depends on the batch", name, j, i)
				}
			}
		}
	}
}

// From σ²'s underflow to its overflow, spectra of nothing and of 1e-300 and
// 1e300 too: finite answers, x/α without noise, the mean where noise drowns the
// data.
func TestField_Limit_Extremes(t *testing.T) {
	shape := []int{1, 4, 4}
	wide := randomPower(shape, 5)
	for i := range wide {
		wide[i] = []float64{0, 1, 1e-300, 1e3}[i%3]
	}
	for u := range 4 { // symmetric
		for _, v := range []int{0, 2} {
			wide[(4-u)%4*3+v] = wide[u*3+v]
		}
	}
	huge := slices.Repeat([]float64{1e300}, len(wide))
	for name, c := range map[string]FieldComponents{
		"nothing": {Shape: shape, Weights: []float64{1}, Means: []float64{2}, Power: make([]float64, len(wide))},
		"wide":    {Shape: shape, Weights: []float64{1}, Means: []float64{2}, Power: wide},
		"huge":    {Shape: shape, Weights: []float64{1}, Means: []float64{2}, Power: huge},
		"two":     {Shape: shape, Weights: []float64{1, 2}, Means: []float64{2, -1}, Power: append(slices.Clone(wide), randomPower(shape, 6)...)},
	} {
		f := mustFields(t, c)
		mean := 0.0
		for k, w := range c.Weights {
			mean += w / float64(len(c.Weights)*(len(c.Weights)+1)/2) * c.Means[k]
		}
		for _, at := range []schedules.Level{
			level(1, 0), level(0, 1), level(1, 1), level(1, 1e-8), level(1, 1e-100), level(1, 1e-153), level(1, 1e-154),
			level(1, 1e-160), level(1, 1e-320), level(1e150, 1), level(1, 1e4), level(1, 1e100), level(1, 1e150), level(1e-170, 1),
			level(1e-130, 1e-130), level(1e-139, 1e-150), level(1e100, 1e100),
		} {
			x, v := make([]float64, 32), make([]float64, 32)
			rng.New(5).Normal(x)
			rng.New(6).Normal(v)
			for i := range x {
				x[i] *= math.Hypot(at.Alpha, at.Sigma)
			}
			q := Query{X: x, Rows: 2, At: []schedules.Level{at}}
			d, cov, rate := make([]float64, 32), make([]float64, 32), make([]float64, 32)
			trace, logp := make([]float64, 2), make([]float64, 2)
			for _, err := range []error{
				f.Denoise(ctx, d, q), f.PosteriorCovMul(ctx, cov, v, q), f.DenoiseRate(ctx, rate, q), f.PosteriorTrace(ctx, trace, q),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			for i, a := range [][]float64{d, cov, rate, trace} {
				for j, v := range a {
					if v-v != 0 {
						t.Fatalf("%s at %+v: answer %d has [%d] = %g", name, at, i, j, v)
					}
				}
			}
			if err := f.LogDensity(logp, q); err != nil && !errors.Is(err, ErrNoDensity) || err == nil && logp[0]-logp[0] != 0 {
				t.Fatalf("%s at %+v: log p = %g, %v", name, at, logp[0], err)
			}
			for j := range d {
				if s := at.Noise(); (name == "huge" && s < 1e-100 || s < 1e-154) && math.Abs(d[j]-x[j]/at.Alpha) > 1e-15 {
					t.Errorf("%s at %+v: D[%d] = %g, expected x/α = %g", name, at, j, d[j], x[j]/at.Alpha)
				}
				if s := at.Noise(); s > 1e99 && name != "huge" && math.Abs(d[j]-mean) > 1e-14 {
					t.Errorf("%s at %+v: D[%d] = %g, expected the mean %g", name, at, j, d[j], mean)
				}
			}
		}
	}
}

// The rate against a difference quotient of order 4 with a step of 1e-3, as of
// [Mixture].
func TestField_Rate(t *testing.T) {
	for name, c := range fields() {
		f := mustFields(t, c)
		for _, at := range testLevels() {
			const n = 4
			x := states(t, f, at, n, 1)
			got, want, d := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
			if err := f.DenoiseRate(ctx, got, Query{X: x, Rows: n, At: []schedules.Level{at}}); err != nil {
				t.Fatal(err)
			}
			const h = 1e-3
			for _, p := range []struct{ at, weight float64 }{{2, -1}, {1, 8}, {-1, -8}, {-2, 1}} {
				moved := level(at.Alpha, at.Sigma*math.Exp(p.at*h))
				if err := f.Denoise(ctx, d, Query{X: x, Rows: n, At: []schedules.Level{moved}}); err != nil {
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
	}
}

func TestField_Alloc(t *testing.T) {
	for name, c := range fields() {
		f := mustFields(t, c)
		const n = 16
		d := size(fieldShape)
		x, dst := make([]float64, n*d), make([]float64, n*d)
		rng.New(1).Normal(x)
		q := Query{X: x, Rows: n, At: []schedules.Level{level(1, 0.5)}}
		for what, ask := range map[string]func() error{
			"Denoise":         func() error { return f.Denoise(ctx, dst, q) },
			"PosteriorCovMul": func() error { return f.PosteriorCovMul(ctx, dst, x, q) },
			"PosteriorTrace":  func() error { return f.PosteriorTrace(ctx, dst[:n], q) },
			"DenoiseRate":     func() error { return f.DenoiseRate(ctx, dst, q) },
			"LogDensity":      func() error { return f.LogDensity(dst[:n], q) },
		} {
			run := func() {
				if err := ask(); err != nil {
					t.Fatal(err)
				}
			}
			if got := testing.AllocsPerRun(50, run); got != 0 {
				t.Errorf("%s: %s allocates %g times a call", name, what, got)
			}
		}
	}
}

func TestField_Property_NaN(t *testing.T) {
	for name, c := range fields() {
		f, d := mustFields(t, c), size(fieldShape)
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			x, got, trace := make([]float64, 3*d), make([]float64, 3*d), make([]float64, 3)
			x[d+2] = bad
			q := Query{X: x, Rows: 3, At: []schedules.Level{level(1, 1)}}
			if err := f.Denoise(ctx, got, q); err != nil {
				t.Fatal(err)
			}
			if err := f.PosteriorTrace(ctx, trace, q); err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				if (v != v) != (i/d == 1) {
					t.Errorf("%s: D[%d] = %g", name, i, v)
				}
			}
			if trace[0] != trace[0] || trace[1] == trace[1] {
				t.Errorf("%s: traces %v", name, trace)
			}
		}
	}
}

// The trajectories are those of the Gaussian with the same covariance, spelled
// out, and back again.
func TestField_Flow(t *testing.T) {
	c := fields()["one field"]
	m := mustFields(t, c)
	f := &Field{m}
	d := size(fieldShape)
	g, err := NewGaussian([]int{d}, c.Means, circulantData(c))
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []schedules.Level{level(0.5, 0.8), level(1, 0), level(0, 1), level(1, 30)} {
		from := level(0.6, 0.8)
		x := states(t, f, from, 3, 8)
		got, want, back := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
		for _, err := range []error{f.Flow(got, x, from, to), g.Flow(want, x, from, to), f.Flow(back, got, to, from)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		// The eigenvectors of the dense covariance carry errors of 1e-14.
		if e, j := worst(got, want); e > 1e-12*to.Sigma+1e-12 {
			t.Errorf("to %+v: x[%d] = %.15g, Gaussian %.15g", to, j, got[j], want[j])
		}
		if e, j := worst(back, x); e > 1e-13 {
			t.Errorf("to %+v and back: x[%d] = %.15g, was %.15g", to, j, back[j], x[j])
		}
	}
}

func circulantData(c FieldComponents) []float64 {
	s := circulant(c.Shape, c.Power)
	d, _ := s.Dims()
	out := make([]float64, 0, d*d)
	for i := range d {
		for j := range d {
			out = append(out, s.At(i, j))
		}
	}
	return out
}

// The pooled law is that of the pooled images: P C Pᵀ and P m, spelled out.
func TestFieldPool_AgreesWith_Direct(t *testing.T) {
	shape := []int{2, 8, 12}
	d := size(shape)
	means := make([]float64, d)
	rng.New(3).Normal(means)
	power := randomPower(shape, 7)
	f, err := NewField(shape, means, power)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []int{1, 2} {
		h, w := shape[1]/s, shape[2]/s
		pool := mat.NewDense(2*h*w, d, nil)
		for i := range d {
			c, row, column := i/96, i%96/12, i%12
			pool.Set((c*h+row/s)*w+column/s, i, 1/float64(s*s))
		}
		var pc, want mat.Dense
		pc.Mul(pool, circulant(shape, power))
		want.Mul(&pc, pool.T())
		var mean mat.VecDense
		mean.MulVec(pool, mat.NewVecDense(d, means))
		coarse, err := f.Pool(s)
		if err != nil {
			t.Fatal(err)
		}
		got := circulant(coarse.Shape(), coarse.Power())
		for i := range 2 * h * w {
			if math.Abs(coarse.mean[i]-mean.AtVec(i)) > 1e-14 {
				t.Errorf("by %d: mean %d is %g, expected %g", s, i, coarse.mean[i], mean.AtVec(i))
			}
			for j := range 2 * h * w {
				if math.Abs(got.At(i, j)-want.At(i, j)) > 1e-14 {
					t.Fatalf("by %d: covariance (%d, %d) is %.17g, expected %.17g", s, i, j, got.At(i, j), want.At(i, j))
				}
			}
		}
	}
}

// Pooling by 2 and by 4 is pooling by 8; white noise loses 1/s² of its
// variance and stays white; a constant image keeps its power.
func TestFieldPool_Property(t *testing.T) {
	f := field(t, 32, 16, "power(a=1.7)")
	two, err := f.Pool(2)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := two.Pool(4)
	if err != nil {
		t.Fatal(err)
	}
	once, err := f.Pool(8)
	if err != nil {
		t.Fatal(err)
	}
	if e, i := worst(twice.Power(), once.Power()); e > 1e-14 {
		t.Errorf("pooling in two goes: P[%d] differs by %g", i, e)
	}
	white, err := field(t, 32, 16, "white(variance=3)").Pool(4)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range white.Power() {
		if math.Abs(p-3.0/16) > 1e-15 {
			t.Errorf("white noise pooled by 4: P[%d] = %.17g, expected %g", i, p, 3.0/16)
		}
	}
	flat := make([]float64, 16*9)
	flat[0] = 5
	c, err := NewField([]int{1, 16, 16}, nil, flat)
	if err != nil {
		t.Fatal(err)
	}
	pooled, err := c.Pool(4)
	if err != nil {
		t.Fatal(err)
	}
	// Of variance P/(hw) on either grid.
	if p := pooled.Power(); math.Abs(p[0]-5.0/16) > 1e-15 || math.Abs(pooled.Variance()-c.Variance()) > 1e-16 || slices.Max(p[1:]) > 1e-30 {
		t.Errorf("a constant image pooled by 4: %v", p)
	}
}

// mse(λ) against closed forms: white noise; the trace and a Monte Carlo run of
// the denoiser; and the integral ½ ∫ mse e^λ dλ = ½ log(1 + e^λ P) averaged over
// frequencies, the information that x holds about x₀ [guo2005].
func TestFieldMSE_AgreesWith_ClosedForm(t *testing.T) {
	at := func(lambda float64) schedules.Level { a, s := snr.LogSNR(lambda).VP(); return level(a, s) }
	white := field(t, 8, 8, "white(variance=2)")
	for _, lambda := range []float64{-20, -3, 0, 2.5, 20} {
		want := 2 / (1 + 2*math.Exp(lambda))
		if got := white.MSE(at(lambda)); math.Abs(got/want-1) > 1e-13 {
			t.Errorf("white at λ = %g: mse %.17g, expected %.17g", lambda, got, want)
		}
	}
	if got := white.MSE(level(1, 0)); got != 0 {
		t.Errorf("mse %g without noise", got)
	}
	if got := white.MSE(level(0, 1)); math.Abs(got-2) > 1e-14 {
		t.Errorf("mse %g without signal, expected the variance 2", got)
	}
	for _, spectrum := range []string{"power(a=2)", "power(a=1,corner=3)", "power(a=3,variance=0.25)"} {
		f := field(t, 16, 32, spectrum)
		// Smooth in λ with features of width 1: Gauss–Legendre with 400 nodes
		// over 50 leaves less than rounding. Below −30 the integrand is e^λ.
		const lo, hi = -30, 20
		integral := quad.Fixed(func(l float64) float64 { return f.MSE(at(l)) * math.Exp(l) / 2 }, lo, hi, 400, quad.Legendre{}, 0)
		information := 0.0
		p := f.Power()
		for u := range 16 {
			for v := range 32 {
				a, b := u, v
				if v > 16 {
					a, b = (16-u)%16, 32-v
				}
				q := p[a*17+b]
				information += (math.Log1p(math.Exp(hi)*q) - math.Log1p(math.Exp(lo)*q)) / 2 / 512
			}
		}
		if math.Abs(integral/information-1) > 1e-10 {
			t.Errorf("%s: ½∫ mse e^λ dλ = %.15g, closed form %.15g", spectrum, integral, information)
		}
		// The trace of a row, and the law of the error.
		l := at(-1.3)
		x, trace := states(t, f, l, 1, 1), make([]float64, 1)
		if err := f.PosteriorTrace(ctx, trace, Query{X: x, Rows: 1, At: []schedules.Level{l}}); err != nil {
			t.Fatal(err)
		}
		e, err := f.Error(l)
		if err != nil {
			t.Fatal(err)
		}
		if want := f.MSE(l); math.Abs(trace[0]/512/want-1) > 1e-13 || math.Abs(e.Variance()/want-1) > 1e-13 {
			t.Errorf("%s: mse %.15g, trace %.15g, variance of the error %.15g", spectrum, want, trace[0]/512, e.Variance())
		}
	}
}

func TestFieldMSE_AgreesWith_MonteCarlo(t *testing.T) {
	f := field(t, 8, 16, "power(a=2)")
	const n = 2000
	d := Dim(f)
	x0 := states(t, f, level(1, 0), n, 9)
	for _, lambda := range []float64{-3, 0, 3} {
		a, s := snr.LogSNR(lambda).VP()
		at := level(a, s)
		x := states(t, f, at, n, 9) // of the same x₀
		got, pooled := make([]float64, len(x)), make([]float64, 32)
		if err := f.Denoise(ctx, got, Query{X: x, Rows: n, At: []schedules.Level{at}}); err != nil {
			t.Fatal(err)
		}
		e, err := f.Error(at)
		if err != nil {
			t.Fatal(err)
		}
		coarse, err := e.Pool(2)
		if err != nil {
			t.Fatal(err)
		}
		var fine, rough, fine2, rough2 float64
		for i := range n {
			clear(pooled)
			sum := 0.0
			for j := range d {
				e := got[i*d+j] - x0[i*d+j]
				sum += e * e / float64(d)
				pooled[j/16/2*8+j%16/2] += e / 4
			}
			low := 0.0
			for _, e := range pooled {
				low += e * e / 32
			}
			fine, fine2, rough, rough2 = fine+sum/n, fine2+sum*sum/n, rough+low/n, rough2+low*low/n
		}
		// Four standard errors.
		if want := f.MSE(at); math.Abs(fine-want) > 4*math.Sqrt((fine2-fine*fine)/n) {
			t.Errorf("λ = %g: mse %g of %d samples, expected %g", lambda, fine, n, want)
		}
		if want := coarse.Variance(); math.Abs(rough-want) > 4*math.Sqrt((rough2-rough*rough)/n) {
			t.Errorf("λ = %g: coarse mse %g of %d samples, expected %g", lambda, rough, n, want)
		}
	}
}

// FitSpectrum finds the spectrum and the means that samples were drawn from.
func TestFitSpectrum(t *testing.T) {
	shape := []int{2, 4, 6}
	power := randomPower(shape, 2)
	f, err := NewField(shape, []float64{3, -1}, power)
	if err != nil {
		t.Fatal(err)
	}
	const n = 4000
	mean, got, err := FitSpectrum(shape, states(t, f, level(1, 0), n, 1))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range got {
		// |X|² has at most √2 times its mean as standard deviation; 4.5 of them.
		if math.Abs(p/power[i]-1) > 4.5*math.Sqrt(2.0/n) {
			t.Errorf("P[%d] = %g, drawn from %g", i, p, power[i])
		}
	}
	for c, want := range []float64{3, -1} {
		sd := math.Sqrt(power[c*16] / 24 / n) // of the average of the images
		if math.Abs(mean[c]-want) > 4.5*sd {
			t.Errorf("mean of channel %d is %g, drawn from %g", c, mean[c], want)
		}
	}
	if _, err := NewField(shape, mean, got); err != nil {
		t.Error(err)
	}
}

func TestSpectrum_Property(t *testing.T) {
	for _, name := range []string{"white", "white(variance=0.3)", "power", "power(a=0.5,corner=2,variance=4)"} {
		s, err := ParseSpectrum(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.String() != name {
			t.Errorf("%q prints as %q", name, s)
		}
	}
	// The variance asked for, and the slope between 8 and 16 cycles.
	f := field(t, 64, 64, "power(a=1.5,corner=0.01,variance=0.7)")
	if v := f.Variance(); math.Abs(v-0.7) > 1e-14 {
		t.Errorf("variance %.17g, expected 0.7", v)
	}
	p := f.Power()
	if got := math.Log2(p[8*33] / p[16*33]); math.Abs(got-1.5) > 1e-5 { // the corner's square over 64
		t.Errorf("slope %g, expected 1.5", got)
	}
	if math.Abs(p[16]/p[16*33]-1) > 1e-14 || math.Abs(p[(64-12)*33+5]/p[12*33+5]-1) > 1e-14 {
		t.Errorf("the spectrum is not the same in every direction")
	}
}

func TestField_Refuses(t *testing.T) {
	good := func() FieldComponents {
		return FieldComponents{Shape: []int{1, 4, 4}, Weights: []float64{1}, Power: slices.Repeat([]float64{1}, 12)}
	}
	for want, change := range map[string]func(c *FieldComponents){
		"channels, height and width": func(c *FieldComponents) { c.Shape = []int{4, 4} },
		"5×4 pixels: expected even":  func(c *FieldComponents) { c.Shape = []int{1, 5, 4} },
		"4×3 pixels: expected even":  func(c *FieldComponents) { c.Shape = []int{1, 4, 3} },
		"expected at least one":      func(c *FieldComponents) { c.Weights = nil },
		"numbers in Power":           func(c *FieldComponents) { c.Power = c.Power[:11] },
		"numbers in Means":           func(c *FieldComponents) { c.Means = make([]float64, 3) },
		"Means[0] = NaN":             func(c *FieldComponents) { c.Means = []float64{math.NaN()} },
		"Power[3] = -1":              func(c *FieldComponents) { c.Power[3] = -1 },
		"conjugates":                 func(c *FieldComponents) { c.Power[3] = 2 },
		"labels":                     func(c *FieldComponents) { c.Labels = []int{1, 2} },
		"Weights[0] = 0":             func(c *FieldComponents) { c.Weights[0] = 0 },
	} {
		c := good()
		change(&c)
		if _, err := NewFieldMixture(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
	f := field(t, 12, 12, "power")
	for s, want := range map[int]string{0: "divides both", 5: "divides both", 4: "3×3 pixels: expected even", 24: "divides both"} {
		if _, err := f.Pool(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pooling by %d: got %v, expected an error with %q", s, err, want)
		}
	}
	for name, want := range map[string]string{
		"power(corner=0)": "corner > 0", "power(variance=0)": "variance = 0", "white(variance=-1)": "variance = -1",
		"power(a=17)": "between -16 and 16", "pink": "expected one of power, white",
	} {
		if _, err := ParseSpectrum(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected an error with %q", name, err, want)
		}
	}
	if _, err := (White{1}).Power(3, 4); err == nil || !strings.Contains(err.Error(), "even") {
		t.Errorf("white on an odd size: %v", err)
	}
	x := make([]float64, 144)
	if err := f.Denoise(ctx, x, Query{X: x, Rows: 1, At: []schedules.Level{level(1, 1)}, Labels: []int{1}}); err == nil || !strings.Contains(err.Error(), "no classes") {
		t.Errorf("a label of no class: %v", err)
	}
	if err := f.Flow(x, x, level(1, 0), level(1, 1)); err != nil {
		t.Error(err)
	}
	if _, _, err := FitSpectrum([]int{1, 12, 12}, x[:100]); err == nil {
		t.Error("a part of an image was accepted")
	}
	if _, _, err := FitSpectrum([]int{1, 7, 7}, x[:49]); err == nil || !strings.Contains(err.Error(), "even") {
		t.Errorf("odd images: %v", err)
	}
}

func ExampleField() {
	s, _ := ParseSpectrum("power(a=2)")
	p, _ := s.Power(64, 64)
	f, _ := NewField([]int{1, 64, 64}, nil, p)
	coarse, _ := f.Pool(4)
	e, _ := f.Error(level(1, 1))
	blur, _ := e.Pool(4)
	fmt.Printf("64×64 at λ = 0: mse %.3f, of the 16×16 content %.4f\n", f.MSE(level(1, 1)), blur.Variance())
	fmt.Printf("16×16 at λ = 2 log 4: mse %.4f\n", coarse.MSE(level(1, 0.25)))
	// Output:
	// 64×64 at λ = 0: mse 0.290, of the 16×16 content 0.0438
	// 16×16 at λ = 2 log 4: mse 0.0479
}

// BenchmarkField_Denoise reports the time of one answer over that of the
// one-dimensional transforms that it needs, called on numbers that already lie
// in order.
func BenchmarkField_Denoise(b *testing.B) {
	const n, side = 16, 256
	f := field(b, side, side, "power")
	at := level(1, 0.5)
	x := states(b, f, at, n, 1)
	dst := make([]float64, len(x))
	q := Query{X: x, Rows: n, At: []schedules.Level{at}}
	rows, columns := fourier.NewFFT(side), fourier.NewCmplxFFT(side)
	line, out, half := x[:side], make([]float64, side), make([]complex128, side/2+1)
	column, there, back := make([]complex128, side), make([]complex128, side), make([]complex128, side)
	for i, v := range line {
		column[i] = complex(v, -v)
	}
	bare := func() {
		for range n {
			for range side {
				rows.Coefficients(half, line)
				rows.Sequence(out, half)
			}
			for range half {
				columns.Coefficients(there, column)
				columns.Sequence(back, there)
			}
		}
	}
	timed := func(what func()) float64 {
		start := time.Now()
		what()
		return time.Since(start).Seconds()
	}
	// Taken in turns, on one processor, so that what else runs disturbs both.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var whole, needed []float64
	for b.Loop() {
		whole = append(whole, timed(func() {
			if err := f.Denoise(ctx, dst, q); err != nil {
				b.Fatal(err)
			}
		}))
		needed = append(needed, timed(bare))
	}
	slices.Sort(whole)
	slices.Sort(needed)
	middle := len(whole) / 2
	b.ReportMetric(1e3*whole[middle], "denoise-ms")
	b.ReportMetric(1e3*needed[middle], "transforms-ms")
	b.ReportMetric(whole[middle]/needed[middle], "ratio")
}
