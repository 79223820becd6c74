package guidance

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"snrlab/internal/race"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/solvers"
)

// twoClasses is 0.5 N(1, 0.5²) + 0.5 N(−1, 0.5²), of which class 1 is the first.
func twoClasses(t testing.TB) *models.Mixture {
	t.Helper()
	return mixture(t, models.Components{Shape: []int{1}, Weights: []float64{1, 1}, Means: []float64{1, -1}, Residual: []float64{0.25, 0.25}, Labels: []int{1, 0}})
}

func mixture(t testing.TB, c models.Components) *models.Mixture {
	t.Helper()
	return must(models.NewMixture(c))(t)
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func grid(t testing.TB, schedule, spacing string, steps int) schedules.Grid {
	t.Helper()
	s := must(schedules.Parse(schedule))(t)
	return must(must(schedules.ParseSpacing(spacing))(t).Grid(s, steps))(t)
}

// quantiles are n equally likely standard normal numbers.
func quantiles(n int) []float64 {
	z := make([]float64, n)
	for i := range z {
		z[i] = distuv.UnitNormal.Quantile((float64(i) + 0.5) / float64(n))
	}
	return z
}

func moments(x []float64) (mean, sd float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		sd += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, math.Sqrt(sd)
}

// flow carries the states z times σ of the first level to the last. In one
// dimension the flow is monotone, so that quantiles go to quantiles.
func flow(t testing.TB, d models.Denoiser, g schedules.Grid, z []float64) []float64 {
	t.Helper()
	x := make([]float64, len(z))
	for i := range z {
		x[i] = g[0].Sigma * z[i]
	}
	heun := must(solvers.Parse("heun"))(t)
	return must(solvers.Sample(context.Background(), heun, solvers.Problem{Denoiser: d, Grid: g}, x))(t)
}

// The table of an independent program: variance exploding from σ = 80, Heun with
// 200 steps, 20,000 samples; each number is good to four standard errors,
// 4 sd/√n of a mean and 4 sd/√(2n) of a deviation, half a unit of the last digit
// beside. The quantiles have none. The tilted moments have rounding alone.
func TestGuided_Golden(t *testing.T) {
	race.Measures(t)
	m := twoClasses(t)
	g := grid(t, "edm", "karras(last=zero)", 200)
	z := quantiles(1000)
	for _, c := range []struct {
		g                                                    float64
		mean, sd, tiltMean, tiltSD, intervalMean, intervalSD float64
	}{
		{1, 0.996, 0.498, 1.000, 0.500, 0.996, 0.498},
		{2, 1.317, 0.357, 1.036, 0.468, 1.167, 0.363},
		{4, 1.668, 0.287, 1.062, 0.450, 1.339, 0.274},
	} {
		run := func(s Scale) (mean, sd float64) {
			class := must(Class(m, 1))(t)
			return moments(flow(t, must(New(class, Unlabelled(m), s, Rescale{}))(t), g, z))
		}
		check := func(name string, mean, sd, wantMean, wantSD float64) {
			t.Helper()
			if e := math.Abs(mean - wantMean); e > 4*wantSD/math.Sqrt(20_000)+5e-4 {
				t.Errorf("G = %g, %s: mean %.4f, expected %.3f", c.g, name, mean, wantMean)
			}
			if e := math.Abs(sd - wantSD); e > 4*wantSD/math.Sqrt(40_000)+5e-4 {
				t.Errorf("G = %g, %s: deviation %.4f, expected %.3f", c.g, name, sd, wantSD)
			}
		}
		mean, sd := run(Constant{c.g})
		check("guided", mean, sd, c.mean, c.sd)
		inner, innerSD := run(Sigmas{c.g, 0.2, 2})
		check("in an interval", inner, innerSD, c.intervalMean, c.intervalSD)
		line := must(Tilt{To: m, From: m, Class: 1, G: c.g}.Line(schedules.Level{Alpha: 1}))(t)
		tilted, tiltedSD := line.Moments()
		if math.Abs(tilted-c.tiltMean) > 5.1e-4 || math.Abs(tiltedSD-c.tiltSD) > 5.1e-4 {
			t.Errorf("G = %g: the tilted law has mean %.4f and deviation %.4f, expected %.3f and %.3f", c.g, tilted, tiltedSD, c.tiltMean, c.tiltSD)
		}
		if c.g > 1 && !(tilted < inner && inner < mean) {
			t.Errorf("G = %g: mean %.3f, in the interval %.3f, of the tilted law %.3f: expected them in falling order", c.g, mean, inner, tilted)
		}
		t.Logf("G %g: %.4f %.4f, tilted %.4f %.4f, interval %.4f %.4f", c.g, mean, sd, tilted, tiltedSD, inner, innerSD)
	}
}

// From pure noise G = 1 is the class, and G = 0 the whole.
func TestGuided_Limit(t *testing.T) {
	m := twoClasses(t)
	g := grid(t, "cosine(min=-Inf)", "uniform-t(last=zero)", 400)
	z := quantiles(2000)
	for _, c := range []struct{ g, mean, sd float64 }{{1, 1, 0.5}, {0, 0, math.Sqrt(1.25)}} {
		d := must(New(must(Class(m, 1))(t), Unlabelled(m), Constant{c.g}, Rescale{}))(t)
		mean, sd := moments(flow(t, d, g, z))
		// 400 steps of order 2, and the tails beyond the outermost quantiles.
		if math.Abs(mean-c.mean) > 1e-3 || math.Abs(sd-c.sd) > 2e-3 {
			t.Errorf("G = %g: mean %.5f, deviation %.5f, expected %g and %.5f", c.g, mean, sd, c.mean, c.sd)
		}
	}
}

// Guidance from a blurred model towards a less blurred one repairs the blur
// where G is between 1.25 and 1.5, and moves no weight. The bands are the
// numbers of an independent program with 4,000 samples, of which the smallest
// component has 1000: variances of two coordinates together are good to four
// standard errors, 4 √(1/1000) = 13 percent. Ours start at a lattice, whose own
// error is below a percent.
func TestGuided_Golden_autoguidance(t *testing.T) {
	race.Measures(t)
	m := models.GM2D()
	good, bad := must(m.Widened(1.2))(t), must(m.Widened(2))(t)
	means, vars := [][2]float64{{-0.60, 0.24}, {0.48, 0.54}, {0.18, -0.66}}, []float64{0.02, 0.04, 0.03}
	weights := []float64{0.35, 0.40, 0.25}
	const n = 2000
	z := make([]float64, 0, 2*n)
	for i, u := range quantiles(n) {
		_, v := math.Modf((float64(i) + 0.5) * (math.Sqrt(5) - 1) / 2)
		z = append(z, u, distuv.UnitNormal.Quantile(v))
	}
	g := grid(t, "edm", "karras(last=zero)", 64)
	for _, c := range []struct{ g, lo, hi float64 }{{1, 1.19, 1.28}, {1.25, 1.06, 1.11}, {1.5, 0.94, 0.97}, {2, 0.74, 0.75}, {3, 0.44, 0.48}} {
		x := flow(t, must(New(good, bad, Constant{c.g}, Rescale{}))(t), g, z)
		count, spread := make([]float64, 3), make([]float64, 3)
		for i := range n {
			nearest, best := 0, math.Inf(1)
			for k, m := range means {
				if d := math.Hypot(x[2*i]-m[0], x[2*i+1]-m[1]); d < best {
					nearest, best = k, d
				}
			}
			count[nearest]++
			spread[nearest] += best * best / 2
		}
		for k := range means {
			ratio := spread[k] / count[k] / vars[k]
			if band := 0.13 * ratio; ratio < c.lo-band || ratio > c.hi+band {
				t.Errorf("G = %g: component %d has %.3f times its variance, expected %.2f to %.2f", c.g, k, ratio, c.lo, c.hi)
			}
			if c.g == 1.25 && ratio <= 1 || c.g == 1.5 && ratio >= 1 {
				t.Errorf("G = %g: component %d has %.3f times its variance, expected the crossing of 1 between 1.25 and 1.5", c.g, k, ratio)
			}
			if w := count[k] / n; math.Abs(w-weights[k]) > 0.01 {
				t.Errorf("G = %g: component %d has the weight %.3f, expected %.2f", c.g, k, w, weights[k])
			}
			t.Logf("G %g component %d: ratio %.3f weight %.4f", c.g, k, ratio, count[k]/n)
		}
	}
}

// queryOf is a batch of states at levels of their own, some outside of the
// intervals of these tests, and their labels.
func queryOf(rows, dim int, key uint64) models.Query {
	q := models.Query{X: make([]float64, rows*dim), Rows: rows}
	rng.New(key).Normal(q.X)
	for i := range rows {
		s := math.Exp(3 * math.Sin(float64(3*i)))
		a := 1 / math.Hypot(1, s)
		q.At = append(q.At, schedules.Level{Alpha: a, Sigma: a * s})
		q.Labels = append(q.Labels, i%3-1) // −1, 0 and 1
	}
	return q
}

// images are two classes of 2×3 images with their own correlations.
func images(t testing.TB) *models.Mixture {
	c := models.Components{Shape: []int{1, 2, 3}, Weights: []float64{0.4, 0.3, 0.3}, Labels: []int{0, 1, 1}, Residual: []float64{0.1, 0.05, 0.2}}
	c.Means, c.Loadings = make([]float64, 18), make([]float64, 36)
	rng.New(3).Normal(c.Means)
	rng.New(4).Normal(c.Loadings)
	return mixture(t, c)
}

// The combination is that of the formula in every unit, each row at the scale
// of its own level.
func TestGuided_AgreesWith_definition(t *testing.T) {
	m := images(t)
	scale := Sigmas{G: 2.5, Lo: 0.3, Hi: 3}
	g := must(CFG(m, scale, Rescale{}))(t)
	q := queryOf(12, 6, 1)
	got, to, from := make([]float64, 72), make([]float64, 72), make([]float64, 72)
	if err := g.Denoise(t.Context(), got, q); err != nil {
		t.Fatal(err)
	}
	for _, unit := range []models.Prediction{models.X0{}, models.Eps{}, models.V{}, models.Score{}} {
		raw := models.ToRaw(unit, m)
		plain := q
		plain.Labels = nil
		for _, err := range []error{raw.Predict(t.Context(), to, q), raw.Predict(t.Context(), from, plain)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range q.Rows {
			w := scale.At(q.At[i])
			skip, out, err := unit.Decode(q.At[i])
			if err != nil {
				t.Fatal(err)
			}
			for j := i * 6; j < (i+1)*6; j++ {
				want := skip*q.X[j] + out*(from[j]+w*(to[j]-from[j]))
				// A change of unit at σ/α = 20 and back costs that factor of rounding.
				if math.Abs(got[j]-want) > 1e-12 {
					t.Errorf("in %s: row %d, value %d is %.15g, expected %.15g", unit, i, j-i*6, got[j], want)
				}
			}
		}
	}
}

// Each row is answered as it is alone, bit for bit.
func TestGuided_Invariant_rows(t *testing.T) {
	m := images(t)
	inner := must(CFG(m, Lambdas{G: 3, Lo: -2, Hi: 2}, Rescale{Phi: 0.7, In: models.Eps{}}))(t)
	d := must(Thresholded(inner, Dynamic{P: 0.8, Bound: 0.5}))(t)
	q := queryOf(9, 6, 2)
	all, one := make([]float64, 54), make([]float64, 6)
	if err := d.Denoise(t.Context(), all, q); err != nil {
		t.Fatal(err)
	}
	for i := range q.Rows {
		alone := models.Query{X: q.X[i*6 : (i+1)*6], Rows: 1, At: q.At[i : i+1], Labels: q.Labels[i : i+1]}
		if err := d.Denoise(t.Context(), one, alone); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(one, all[i*6:(i+1)*6]) {
			t.Errorf("row %d alone is %v, in its batch %v", i, one, all[i*6:(i+1)*6])
		}
	}
}

// A model whose answer the scale multiplies by zero is not asked.
func TestGuided_Property_counts(t *testing.T) {
	m := images(t)
	q := queryOf(12, 6, 5)
	inside := 0
	for _, at := range q.At {
		if n := at.Noise(); n > 0.3 && n <= 3 {
			inside++
		}
	}
	if inside == 0 || inside == 12 {
		t.Fatalf("%d of 12 rows are inside: the test says nothing", inside)
	}
	for _, c := range []struct {
		name     string
		scale    Scale
		rescale  Rescale
		to, from int
	}{
		{"no guidance", Constant{1}, Rescale{}, 12, 0},
		{"unconditional", Constant{0}, Rescale{}, 0, 12},
		{"unconditional, rescaled", Constant{0}, Rescale{Phi: 1}, 12, 12},
		{"guided", Constant{2}, Rescale{}, 12, 12},
		{"interval", Sigmas{2, 0.3, 3}, Rescale{}, 12, inside},
		{"unconditional in an interval", Sigmas{0, 0.3, 3}, Rescale{}, 12 - inside, inside},
	} {
		g := must(CFG(m, c.scale, c.rescale))(t)
		if err := g.Denoise(t.Context(), make([]float64, 72), q); err != nil {
			t.Fatal(err)
		}
		if to, from := g.Counters(); to.Rows() != c.to || from.Rows() != c.from {
			t.Errorf("%s: %d and %d evaluations, expected %d and %d", c.name, to.Rows(), from.Rows(), c.to, c.from)
		}
	}
}

// The ends of an interval are where they are said to be.
func TestScale_Limit(t *testing.T) {
	at := func(alpha, sigma float64) schedules.Level { return schedules.Level{Alpha: alpha, Sigma: sigma} }
	s := Sigmas{G: 2, Lo: 0.5, Hi: 4}
	l := Lambdas{G: 2, Lo: float64(at(1, 4).LogSNR()), Hi: float64(at(1, 0.5).LogSNR())}
	for _, c := range []struct {
		at   schedules.Level
		want float64
	}{{at(1, 0.5), 1}, {at(1, 0.5000001), 2}, {at(1, 4), 2}, {at(1, 4.0000001), 1}, {at(0.5, 1), 2}, {at(0, 1), 1}, {at(1, 0), 1}} {
		if s.At(c.at) != c.want || l.At(c.at) != c.want {
			t.Errorf("α = %g, σ = %g: %s is %g and %s is %g, expected %g", c.at.Alpha, c.at.Sigma, s, s.At(c.at), l, l.At(c.at), c.want)
		}
	}
	for _, s := range []Scale{Sigmas{2, 0.5, math.Inf(1)}, Lambdas{2, math.Inf(-1), 1}} {
		if s.At(at(0, 1)) != 2 {
			t.Errorf("%s is %g at α = 0, expected 2", s, s.At(at(0, 1)))
		}
	}
	f := &Table{Lambdas: []float64{-2, 0, 4}, G: []float64{1, 3, 2}}
	for _, c := range []struct{ l, want float64 }{{math.Inf(-1), 1}, {-2, 1}, {-1, 2}, {0, 3}, {1, 2.75}, {4, 2}, {math.Inf(1), 2}} {
		a, b := schedules.VPPath{}.Coeffs(snrOf(c.l))
		if got := f.At(at(a, b)); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("table at λ = %g is %.15g, expected %g", c.l, got, c.want)
		}
	}
}

func snrOf(l float64) snr.LogSNR { return snr.LogSNR(l) }

func TestNames_Property(t *testing.T) {
	for _, s := range []Scale{Constant{2}, Sigmas{2, 0.19, 1.61}, Sigmas{G: 2, Hi: math.Inf(1)}, Lambdas{1.5, -0.95, 3.3}, &Table{[]float64{-1, 2}, []float64{1, 3}}} {
		back, err := ParseScale(s.String())
		if err != nil || back.String() != s.String() {
			t.Errorf("%s reads back as %v, %v", s, back, err)
		}
	}
	for _, s := range []Threshold{None{}, Static{1}, Static{2}, Dynamic{0.9, 1}} {
		back, err := ParseThreshold(s.String())
		if err != nil || back != s {
			t.Errorf("%s reads back as %v, %v", s, back, err)
		}
	}
	f := FKC{ESS: 0.3, Final: false}
	if back, err := Solvers().Parse(f.String()); err != nil || back != solvers.Solver(f) {
		t.Errorf("%s reads back as %v, %v", f, back, err)
	}
}

// With φ = 1 the guided prediction has the deviation of the conditional one, in
// the unit that was asked for and in no other; with φ the mean of both.
func TestRescale_Property(t *testing.T) {
	m := images(t)
	q := queryOf(12, 6, 7)
	answers := func(unit models.Prediction, phi float64) (guided, plain, conditional []float64) {
		guided, plain, conditional = make([]float64, 72), make([]float64, 72), make([]float64, 72)
		rescaled := must(CFG(m, Constant{3}, Rescale{Phi: phi, In: unit}))(t)
		unscaled := must(CFG(m, Constant{3}, Rescale{}))(t)
		for _, err := range []error{
			models.ToRaw(unit, rescaled).Predict(t.Context(), guided, q),
			models.ToRaw(unit, unscaled).Predict(t.Context(), plain, q),
			models.ToRaw(unit, m).Predict(t.Context(), conditional, q),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		return guided, plain, conditional
	}
	for _, unit := range []models.Prediction{models.X0{}, models.Eps{}, models.V{}, models.Flow{}} {
		for _, phi := range []float64{1, 0.7} {
			guided, plain, conditional := answers(unit, phi)
			moved := 0.0
			for i := range q.Rows {
				_, got := moments(guided[i*6 : (i+1)*6])
				_, before := moments(plain[i*6 : (i+1)*6])
				_, want := moments(conditional[i*6 : (i+1)*6])
				// ε of x₀ at σ/α = 20 carries that factor of rounding.
				if expected := phi*want + (1-phi)*before; math.Abs(got-expected) > 1e-12*expected {
					t.Errorf("%s, φ = %g, row %d: deviation %.15g, expected %.15g", unit, phi, i, got, expected)
				}
				moved = max(moved, math.Abs(before/want-1))
			}
			if moved < 0.05 {
				t.Errorf("%s: guidance moves deviations by %.2g at most: the test says nothing", unit, moved)
			}
		}
	}
}

// The rescale in ε goes to a limit at α = 0, where ε says nothing about D.
func TestRescale_Limit(t *testing.T) {
	m := images(t)
	g := must(CFG(m, Constant{3}, Rescale{Phi: 0.7, In: models.Eps{}}))(t)
	q := queryOf(3, 6, 8)
	q.Labels = []int{0, 1, 0}
	near, at := make([]float64, 18), make([]float64, 18)
	for i, alpha := range []float64{1e-7, 0} {
		q.At = []schedules.Level{{Alpha: alpha, Sigma: 1}}
		if err := g.Denoise(t.Context(), [][]float64{near, at}[i], q); err != nil {
			t.Fatal(err)
		}
	}
	for j := range at {
		if math.Abs(at[j]-near[j]) > 1e-5 { // the distance in α times a derivative of some ten
			t.Errorf("value %d is %.9g at α = 0 and %.9g just above", j, at[j], near[j])
		}
	}
	q.At = []schedules.Level{{Alpha: 1, Sigma: 0}}
	if err := g.Denoise(t.Context(), at, q); err != nil {
		t.Fatal(err)
	}
	for j := range at {
		if math.Abs(at[j]-q.X[j]) > 1e-15 {
			t.Errorf("value %d is %.17g at σ = 0, expected that of x, %.17g", j, at[j], q.X[j])
		}
	}
}

func TestThreshold_Golden(t *testing.T) {
	// Of five values at 0, 1, …, 4 the quantile 0.875 lies half way between the
	// last two in size, 3 and 5: s = 4.
	d := []float64{0.5, -5, 3, 1, -2}
	Dynamic{P: 0.875, Bound: 1}.Apply(d, make([]float64, 5))
	for i, want := range []float64{0.125, -1, 0.75, 0.25, -0.5} {
		if math.Abs(d[i]-want) > 1e-15 {
			t.Errorf("value %d is %g, expected %g", i, d[i], want)
		}
	}
	small := []float64{0.5, -0.2, 0.1}
	Dynamic{P: 1, Bound: 1}.Apply(small, make([]float64, 3))
	if !slices.Equal(small, []float64{0.5, -0.2, 0.1}) {
		t.Errorf("a sample within the range became %v", small)
	}
	clipped := []float64{0.5, -5, 3}
	Static{Bound: 2}.Apply(clipped, make([]float64, 3))
	if !slices.Equal(clipped, []float64{0.5, -2, 2}) {
		t.Errorf("clipped to ±2: %v", clipped)
	}
}

// |D| ≤ 1 whatever the guidance.
func TestThreshold_Property(t *testing.T) {
	q := queryOf(12, 6, 9)
	inner := must(CFG(images(t), Constant{8}, Rescale{}))(t)
	for _, rule := range []Threshold{Static{1}, Dynamic{0.995, 1}, Dynamic{0.5, 1}} {
		got := make([]float64, 72)
		if err := inner.Denoise(t.Context(), got, q); err != nil {
			t.Fatal(err)
		}
		if slices.Max(got) <= 1 {
			t.Fatal("the guided answers lie within the range already")
		}
		if err := must(Thresholded(inner, rule))(t).Denoise(t.Context(), got, q); err != nil {
			t.Fatal(err)
		}
		for j, v := range got {
			if math.Abs(v) > 1 {
				t.Errorf("%s: value %d is %g", rule, j, v)
			}
		}
	}
}

func TestGuided_Alloc(t *testing.T) {
	m := images(t)
	good, bad := must(Class(m, 1))(t), must(Class(must(m.Widened(2))(t), 1))(t)
	auto := must(New(good, bad, Lambdas{G: 2, Lo: -2, Hi: 2}, Rescale{Phi: 0.7, In: models.V{}}))(t)
	d := must(Thresholded(auto, Dynamic{P: 0.9, Bound: 1}))(t)
	q := queryOf(40, 6, 10)
	q.Labels = nil
	dst := make([]float64, len(q.X))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if n := testing.AllocsPerRun(20, func() {
		if err := d.Denoise(context.Background(), dst, q); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%g allocations a call", n)
	}
}

func TestGuided_Refuses(t *testing.T) {
	one, m := twoClasses(t), images(t)
	nan := math.NaN()
	ok := Constant{2}
	refused := func(name, say string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: got %v, expected an error with %q", name, err, say)
		}
	}
	build := func(to, from models.Denoiser, s Scale, r Rescale) error {
		_, err := New(to, from, s, r)
		return err
	}
	refused("shapes", "expected one shape", build(m, one, ok, Rescale{}))
	refused("no denoiser", "expected two denoisers", build(m, nil, ok, Rescale{}))
	refused("no scale", "expected a scale", build(m, m, nil, Rescale{}))
	refused("NaN", "finite", build(m, m, Constant{nan}, Rescale{}))
	refused("infinite", "finite", build(m, m, Sigmas{math.Inf(1), 0, 1}, Rescale{}))
	refused("reversed σ", "lo < hi", build(m, m, Sigmas{2, 2, 0.2}, Rescale{}))
	refused("negative σ", "0 ≤ lo", build(m, m, Sigmas{2, -1, 0.2}, Rescale{}))
	refused("empty λ", "lo < hi", build(m, m, Lambdas{2, 1, 1}, Rescale{}))
	refused("NaN end", "lo < hi", build(m, m, Lambdas{2, nan, 1}, Rescale{}))
	refused("table", "rise", build(m, m, &Table{[]float64{0, 0}, []float64{1, 1}}, Rescale{}))
	refused("table lengths", "as many", build(m, m, &Table{[]float64{0, 1}, []float64{1}}, Rescale{}))
	refused("no function", "no function", build(m, m, Func{Name: "f"}, Rescale{}))
	refused("φ", "0 ≤ φ ≤ 1", build(m, m, ok, Rescale{Phi: 1.5}))
	refused("φ NaN", "0 ≤ φ ≤ 1", build(m, m, ok, Rescale{Phi: nan}))
	refused("φ of one value", "one value", build(one, one, ok, Rescale{Phi: 0.5}))
	for _, rule := range []Threshold{Dynamic{0, 1}, Dynamic{99.5, 1}, Dynamic{nan, 1}, Dynamic{0.5, 0}, Static{-1}, Static{math.Inf(1)}} {
		_, err := Thresholded(m, rule)
		refused(rule.String(), "expected", err)
	}
	_, err := Class(m, 7)
	refused("class", "the classes [0 1]", err)
	_, err = Class(models.GM2D(), 0)
	refused("no classes", "no classes", err)
	_, err = Class(m, -2)
	refused("negative class", "≥ 0", err)

	q := queryOf(3, 6, 1)
	dst := make([]float64, 18)
	g := must(CFG(m, ok, Rescale{}))(t)
	plain := q
	plain.Labels = nil
	refused("no labels", "without labels", g.Denoise(t.Context(), dst, plain))
	fixed := must(Class(m, 1))(t)
	refused("labels twice", "leave one of them out", fixed.Denoise(t.Context(), dst, q))
	refused("short destination", "destination", g.Denoise(t.Context(), dst[:5], q))
	hole := must(New(fixed, Unlabelled(m), Func{"hole", func(schedules.Level) float64 { return nan }}, Rescale{}))(t)
	refused("NaN at a level", "scale hole is NaN", hole.Denoise(t.Context(), dst, plain))
	to, from := g.Counters()
	if n := to.Rows() + from.Rows(); n != 3 { // of the query without labels, which the first model refused
		t.Errorf("%d evaluations before the errors", n)
	}

	_, err = (Tilt{To: m, From: one}).Line(schedules.Level{Alpha: 1})
	refused("tilt of two shapes", "one shape", err)
	_, err = (Tilt{To: m, From: m, Class: 1, G: nan}).Line(schedules.Level{Alpha: 1})
	refused("tilt of NaN", "finite", err)
	_, err = (Tilt{To: m, From: m, Class: 1, G: 2}).Line(schedules.Level{Alpha: 1})
	refused("line of images", "expected 1", err)
	wide, narrow := must(models.IsotropicGaussian(1, 4))(t), must(models.IsotropicGaussian(1, 1))(t)
	// Precision 2/4 − 1/1 < 0.
	if _, err = (Tilt{To: wide, From: narrow, Class: -1, G: 2}).Line(schedules.Level{Alpha: 1}); !errors.Is(err, ErrNotNormal) {
		t.Errorf("a tilt without mass: got %v", err)
	}
	_, err = (Tilt{To: m, From: m, Class: 1, G: -1}).Sample(make([]float64, 6), schedules.Level{Alpha: 1}, solvers.RowKeys(rng.New(1), 0, 1))
	refused("draws below G = 0", "G ≥ 0", err)
}
