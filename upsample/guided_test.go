package upsample

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/metrics"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/solvers"
)

func logSNR(l float64) snr.LogSNR { return snr.LogSNR(l) }

func twoRegions(t testing.TB, correlation float64) models.Components {
	t.Helper()
	c, _, err := TwoRegions(correlation)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func regions(t testing.TB) Pair { t.Helper(); return area(t, "area(height=2,width=4)") }

func mixture(t testing.TB, c models.Components) *models.Mixture {
	t.Helper()
	m, err := models.NewMixture(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pooled(t testing.TB, c models.Components, pair Pair) *models.Mixture {
	t.Helper()
	low, err := PoolMixture(c, pair)
	if err != nil {
		t.Fatal(err)
	}
	return mixture(t, low)
}

func guide(t testing.TB, high, low models.Denoiser, g Guidance) *Guided {
	t.Helper()
	d, err := New(high, low, g)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func constant(t testing.TB, pair Pair, theta float64) Guidance {
	return Guidance{Pair: pair, Strength: Constant{theta}, Low: sched(t, "cosine")}
}

func denoise(t testing.TB, d models.Denoiser, x []float64, rows int, labels []int, at ...schedules.Level) []float64 {
	t.Helper()
	dst := make([]float64, len(x))
	if err := d.Denoise(context.Background(), dst, models.Query{X: x, Rows: rows, At: at, Labels: labels}); err != nil {
		t.Fatal(err)
	}
	return dst
}

func predict(t testing.TB, d models.Raw, x []float64, rows int, at ...schedules.Level) []float64 {
	t.Helper()
	dst := make([]float64, len(x))
	if err := d.Predict(context.Background(), dst, models.Query{X: x, Rows: rows, At: at}); err != nil {
		t.Fatal(err)
	}
	return dst
}

func states(n int, scale float64) []float64 {
	x := make([]float64, n)
	rng.New(3).Normal(x)
	return scaled(scale, x)
}

func distance(a, b []float64) (d float64) {
	for i, v := range a {
		d = max(d, math.Abs(v-b[i]))
	}
	return d
}

// coarse pools every row.
func coarse(pair Pair, x []float64) []float64 {
	return poolAll(pair, x, size(pair.HighShape()), size(pair.LowShape()))
}

// α = 0.6, σ = 0.8, in the middle of the cosine schedule.
var middle = schedules.Level{T: 2 / math.Pi * math.Atan(4./3), Alpha: 0.6, Sigma: 0.8}

const rows = 64

// Verification 1: with coarse and detail independent, P e*(x) = e_low*(y, τ)/s, and
// leaving any part of the matching out breaks it.
func TestGuided_Exactness(t *testing.T) {
	pair, s := regions(t), 2.0
	c := twoRegions(t, 0)
	high, low := models.ToRaw(models.Eps{}, mixture(t, c)), models.ToRaw(models.Eps{}, pooled(t, c, pair))
	x := states(rows*8, 1)
	pe := coarse(pair, predict(t, high, x, rows, middle))
	tau, scale, err := Match(sched(t, "cosine"), middle, pair.Noise().Variance)
	if err != nil {
		t.Fatal(err)
	}
	y := coarse(pair, x)
	// ρ² = α² + σ²/s² = 0.36 + 0.16.
	if math.Abs(scale-1/math.Sqrt(0.52)) > 1e-14 {
		t.Errorf("the state is rescaled by %g, expected 1/ρ = %g", scale, 1/math.Sqrt(0.52))
	}
	gap := func(rescale, factor float64, at schedules.Level) float64 {
		in := scaled(rescale, slices.Clone(y))
		return distance(pe, scaled(factor, predict(t, low, in, rows, at)))
	}
	if d := gap(scale, 1/s, tau); d > 1e-12 {
		t.Errorf("P e and e_low/s differ by %g", d)
	}
	for name, d := range map[string]float64{
		"no time shift, no rescale": gap(1, 1/s, middle),
		"no time shift":             gap(scale, 1/s, middle),
		"no rescale":                gap(1, 1/s, tau),
		"no 1/s":                    gap(scale, 1, tau),
	} {
		t.Logf("%-26s %.3g", name, d)
		if d < 0.05 {
			t.Errorf("%s: the identity still holds to %g", name, d)
		}
	}
}

// Verification 2: exact models and any θ give the exact answer.
func TestGuided_Assembly(t *testing.T) {
	pair, c := regions(t), twoRegions(t, 0)
	high, low := mixture(t, c), pooled(t, c, pair)
	x := states(rows*8, 1)
	want := denoise(t, high, x, rows, nil, middle)
	for _, theta := range []float64{1, 0.5, 1.7} {
		if d := distance(denoise(t, guide(t, high, low, constant(t, pair, theta)), x, rows, nil, middle), want); d > 1e-12 {
			t.Errorf("θ = %g: off the exact denoiser by %g", theta, d)
		}
	}
}

// Rational factors hold too, with the orthogonalised pair and not with plain
// shares.
func TestGuided_Rational(t *testing.T) {
	for _, plain := range []bool{false, true} {
		name := "area(height=1,width=6,vertical=1,horizontal=3/2"
		if plain {
			name += ",plain=true"
		}
		pair := area(t, name+")")
		pool, up, d, l := matrices(pair)
		// The coarse part U c and a detail part 0.55 (I − U P) z.
		detail := scaled(-0.55, multiply(up, pool, d, l, d))
		for i := range d {
			detail[i*d+i] += 0.55
		}
		coarse := multiply(up, []float64{0.7, 0.1, 0, 0.2, 0.1, 0.5, 0, 0, 0, 0, 0.8, 0, 0.2, 0, 0, 0.4}, d, l, l)
		cov := gramOf(coarse, d, l)
		for i, v := range gramOf(detail, d, d) {
			cov[i] += v
		}
		c := models.Components{Shape: pair.HighShape(), Weights: []float64{1}, Means: make([]float64, d), Cov: symmetric(cov, d)}
		pair.Repeat(c.Means, []float64{1, -1, 0.5, 2})
		set := constant(t, pair, 1)
		set.Coloured = plain
		high, x := mixture(t, c), states(rows*d, 1)
		gap := distance(denoise(t, guide(t, high, pooled(t, c, pair), set), x, rows, nil, middle), denoise(t, high, x, rows, nil, middle))
		if !plain && gap > 1e-12 {
			t.Errorf("orthogonalised: off the exact denoiser by %g", gap)
		}
		if plain && gap < 0.01 {
			t.Errorf("plain shares: off the exact denoiser by %g: expected the coloured noise to show", gap)
		}
	}
}

func transposed(m []float64, rows, cols int) []float64 {
	out := make([]float64, len(m))
	for i := range rows {
		for j := range cols {
			out[j*rows+i] = m[i*cols+j]
		}
	}
	return out
}

func symmetric(m []float64, n int) []float64 {
	t := transposed(m, n, n)
	for i := range t {
		t[i] = (t[i] + m[i]) / 2
	}
	return t
}

// misjudged is the two-region law of a model that was not trained at this
// resolution.
func misjudged(t testing.TB) *models.Mixture {
	t.Helper()
	c, err := MisjudgeCoarse(twoRegions(t, 0), regions(t), Misjudgement{Rank: 2, Spread: 0.4})
	if err != nil {
		t.Fatal(err)
	}
	return mixture(t, c)
}

func samplesOf(t testing.TB, d models.Denoiser, n int, steps int) []float64 {
	t.Helper()
	grid, err := schedules.Karras{Rho: 7, Last: schedules.LastZero}.Grid(schedules.EDM{SMin: 0.02, SMax: 20}, steps)
	if err != nil {
		t.Fatal(err)
	}
	solver, err := solvers.Parse("dpmpp-2m")
	if err != nil {
		t.Fatal(err)
	}
	dim := models.Dim(d)
	x := make([]float64, n*dim)
	for i, k := range solvers.RowKeys(rng.New(5), 0, n) {
		k.Split("init", 0).Normal(x[i*dim : (i+1)*dim])
	}
	y, err := solvers.Sample(context.Background(), solver, solvers.Problem{Denoiser: d, Grid: grid}, scaled(grid[0].Sigma, x))
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// Verification 3: θ = 1 restores the coarse marginal of a model that has it
// wrong, and other strengths do not.
func TestGuided_CoarseMarginal(t *testing.T) {
	if testing.Short() {
		t.Skip("statistical")
	}
	pair, c := regions(t), twoRegions(t, 0)
	low := pooled(t, c, pair)
	const n = 2000
	exact := func(i int) (metrics.Samples, error) {
		x := make([]float64, 2*n)
		err := low.Sample(x, schedules.Level{Alpha: 1}, nil, solvers.RowKeys(rng.New(11), i*n, n))
		return metrics.Samples{X: x, Dim: 2}, err
	}
	target, err := exact(1000)
	if err != nil {
		t.Fatal(err)
	}
	floor, err := metrics.MeasureFloor(6, exact, func(x, y metrics.Samples) (float64, error) {
		d, err := metrics.Sliced{}.Distance(x, y)
		return d.W2, err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[float64]float64{}
	for _, theta := range []float64{0, 0.5, 1, 1.2, 1.5} {
		set := constant(t, pair, theta)
		set.Low = schedules.EDM{SMin: 1e-6, SMax: 80} // trained down to where nothing is left to stop
		x := samplesOf(t, guide(t, misjudged(t), low, set), n, 40)
		d, err := metrics.Sliced{}.Distance(metrics.Samples{X: coarse(pair, x), Dim: 2}, target)
		if err != nil {
			t.Fatal(err)
		}
		got[theta] = d.W2
		t.Logf("θ = %.1f: sliced W2 %.4f, floor %.4f", theta, d.W2, floor.Threshold)
	}
	if !floor.Below(got[1]) {
		t.Errorf("θ = 1: sliced W2 %g, expected at most the floor %g", got[1], floor.Threshold)
	}
	for _, theta := range []float64{0, 0.5, 1.2, 1.5} {
		if got[theta] < 2*floor.Threshold {
			t.Errorf("θ = %g: sliced W2 %g, expected clearly above the floor %g", theta, got[theta], floor.Threshold)
		}
	}
	if !(got[0] > got[0.5] && got[1.5] > got[1.2]) {
		t.Errorf("sliced W2 %v: expected it to fall towards θ = 1 from both sides", got)
	}
}

// Whatever the model of the high resolution is, θ = 1 gives P x the very
// trajectory of the low-resolution model.
func TestGuided_CoarseTrajectory(t *testing.T) {
	pair := regions(t)
	low := pooled(t, twoRegions(t, 0), pair)
	set := constant(t, pair, 1)
	set.Low = schedules.EDM{SMin: 1e-6, SMax: 80}
	d := guide(t, misjudged(t), low, set)
	grid, err := schedules.Karras{Rho: 7}.Grid(schedules.EDM{SMin: 0.02, SMax: 20}, 12)
	if err != nil {
		t.Fatal(err)
	}
	solver, err := solvers.Parse("dpmpp-3m")
	if err != nil {
		t.Fatal(err)
	}
	below := make(schedules.Grid, len(grid)) // σ/2
	for i, l := range grid {
		below[i] = schedules.Level{T: l.T / 2, Alpha: 1, Sigma: l.Sigma / 2}
	}
	x := states(rows*8, grid[0].Sigma)
	y := coarse(pair, x)
	high, err := solvers.Sample(context.Background(), solver, solvers.Problem{Denoiser: d, Grid: grid}, x)
	if err != nil {
		t.Fatal(err)
	}
	want, err := solvers.Sample(context.Background(), solver, solvers.Problem{Denoiser: low, Grid: below}, y)
	if err != nil {
		t.Fatal(err)
	}
	// Twelve steps of rounding in numbers of size 20.
	if d := distance(coarse(pair, high), want); d > 1e-11 {
		t.Errorf("the pooled trajectory ends %g from that of the low-resolution model", d)
	}
}

// Verification 4: correlation between coarse and detail makes it an
// approximation, the worse the more there is.
func TestGuided_Correlation(t *testing.T) {
	pair := regions(t)
	x := states(rows*8, 1)
	last := -1.0
	for _, rho := range []float64{0, 0.2, 0.4, 0.6, 0.8, 0.95} {
		c := twoRegions(t, rho)
		high := mixture(t, c)
		g := denoise(t, guide(t, high, pooled(t, c, pair), constant(t, pair, 1)), x, rows, nil, middle)
		gap := 0.0
		for i, v := range denoise(t, high, x, rows, nil, middle) {
			gap += (v - g[i]) * (v - g[i]) / rows
		}
		gap = math.Sqrt(gap)
		t.Logf("correlation %.2f: error %.3g", rho, gap)
		if rho == 0 && gap > 1e-12 || gap <= last {
			t.Errorf("correlation %g: error %g after %g: expected 0 at first and then a rise", rho, gap, last)
		}
		last = gap
	}
}

// Verification 5: the forms in ε and in x₀ are one, and other predictions go
// through their adapters; a velocity is not guided by a velocity over s.
func TestGuided_AgreesWith_Eps(t *testing.T) {
	pair, c := regions(t), twoRegions(t, 0.5)
	high, low := misjudged(t), pooled(t, c, pair)
	x := states(rows*8, 1)
	set := constant(t, pair, 1.3)
	want := denoise(t, guide(t, high, low, set), x, rows, nil, middle)
	eps, err := NewEps(models.ToRaw(models.Eps{}, high), models.ToRaw(models.Eps{}, low), set)
	if err != nil {
		t.Fatal(err)
	}
	if d := distance(denoise(t, models.FromRaw(models.Eps{}, eps), x, rows, nil, middle), want); d > 1e-12 {
		t.Errorf("the form in ε is off by %g", d)
	}
	for _, p := range []models.Prediction{models.V{}, models.Flow{}, models.Score{}, models.EDM{SigmaData: 0.5}} {
		g := guide(t, models.FromRaw(p, models.ToRaw(p, high)), models.FromRaw(p, models.ToRaw(p, low)), set)
		if d := distance(denoise(t, g, x, rows, nil, middle), want); d > 1e-12 {
			t.Errorf("models of %s: off by %g", p, d)
		}
	}
	// P u = √c e_low − D_low for the answer with θ = 1, which is not u_low/s.
	one := constant(t, pair, 1)
	u := coarse(pair, predict(t, models.ToRaw(models.Flow{}, guide(t, high, low, one)), x, rows, middle))
	tau, scale, err := Match(one.Low, middle, pair.Noise().Variance)
	if err != nil {
		t.Fatal(err)
	}
	y := scaled(scale, coarse(pair, x))
	e, d := predict(t, models.ToRaw(models.Eps{}, low), y, rows, tau), denoise(t, low, y, rows, nil, tau)
	for i := range u {
		if want := 0.5*e[i] - d[i]; math.Abs(u[i]-want) > 1e-12 {
			t.Errorf("P u = %g at %d, expected √c e_low − D_low = %g", u[i], i, want)
		}
	}
	if d := distance(u, scaled(0.5, predict(t, models.ToRaw(models.Flow{}, low), y, rows, tau))); d < 0.1 {
		t.Errorf("u_low/s is only %g off P u", d)
	}
}

// The answer is a function of x/α and λ, whatever path the states are on and
// whatever path the low-resolution model was trained on.
func TestGuided_Paths(t *testing.T) {
	pair, c := regions(t), twoRegions(t, 0.5)
	high, low := misjudged(t), pooled(t, c, pair)
	x := states(rows*8, 1)
	want := denoise(t, guide(t, high, low, constant(t, pair, 1.3)), x, rows, nil, middle)
	for _, path := range []string{"rf", "edm", "vp-linear", "on-path(path=subvp)"} {
		for _, sub := range []string{"rf", "edm", "beta"} {
			set := constant(t, pair, 1.3)
			set.Low = sched(t, sub)
			at := schedules.LevelAt(sched(t, path), middle.LogSNR())
			z := scaled(at.Alpha/middle.Alpha, slices.Clone(x))
			if d := distance(denoise(t, guide(t, high, low, set), z, rows, nil, at), want); d > 1e-12 {
				t.Errorf("states on %s, low-resolution model on %s: off by %g", path, sub, d)
			}
		}
	}
}

// Zero signal and zero noise are legal.
func TestGuided_Limit(t *testing.T) {
	pair, c := regions(t), twoRegions(t, 0)
	high, low := misjudged(t), pooled(t, c, pair)
	set := constant(t, pair, 1)
	set.Low = sched(t, "rf")
	g := guide(t, high, low, set)
	x := states(rows*8, 1)
	noise := denoise(t, g, x, rows, nil, schedules.Level{T: 1, Alpha: 0, Sigma: 1})
	m, err := low.Moments(schedules.Level{Alpha: 1}, -1)
	if err != nil {
		t.Fatal(err)
	}
	if d := distance(coarse(pair, noise)[:2], m.Mean); d > 1e-14 {
		t.Errorf("without signal the coarse part is off the mean by %g", d)
	}
	if d := distance(denoise(t, g, x, rows, nil, schedules.Level{T: 0, Alpha: 1, Sigma: 0}), x); d > 1e-14 {
		t.Errorf("without noise the answer is off x by %g", d)
	}
}

// A row depends on itself alone, bit for bit: level, label and company.
func TestGuided_RowsInvariant(t *testing.T) {
	pair := area(t, "area(height=4,width=6,vertical=2,horizontal=3/2)")
	hc := random(pair.HighShape(), 1)
	high, low := mixture(t, hc), mixture(t, random(pair.LowShape(), 2))
	set := Guidance{Pair: pair, Strength: Until{Theta: 1.2, Lambda: 1}, Low: sched(t, "cosine")}
	g := guide(t, high, low, set)
	const n, d = 37, 24
	x := states(n*d, 2)
	at, labels := make([]schedules.Level, n), make([]int, n)
	on := 0
	for i := range at {
		at[i], labels[i] = set.Low.At(0.2+0.7*float64(i*7%n)/n), i%3-1
		if float64(at[i].LogSNR()) <= 1 {
			on++
		}
	}
	got := denoise(t, g, x, n, labels, at...)
	if e := g.Evaluations(); e.High != n || e.Low != on || e.Share != 8./24 || math.Abs(e.Equivalent()-(n+float64(on)/3)) > 1e-12 {
		t.Errorf("%+v: expected %d and %d rows", e, n, on)
	}
	if on == 0 || on == n {
		t.Fatalf("%d of %d rows are guided: the test needs both kinds", on, n)
	}
	for i := range n {
		row := x[i*d : (i+1)*d]
		if alone := denoise(t, g, row, 1, labels[i:i+1], at[i]); !slices.Equal(alone, got[i*d:(i+1)*d]) {
			t.Errorf("row %d alone differs", i)
		}
		plain := denoise(t, high, row, 1, labels[i:i+1], at[i])
		if off := float64(at[i].LogSNR()) > 1; off != slices.Equal(plain, got[i*d:(i+1)*d]) {
			t.Errorf("row %d at λ = %g: guided %v", i, float64(at[i].LogSNR()), !off)
		}
	}
}

// random is a labelled mixture with no structure.
func random(shape []int, seed uint64) models.Components {
	d := size(shape)
	c := models.Components{Shape: shape, Weights: []float64{1, 2, 1}, Labels: []int{0, 1, 1}, Residual: []float64{0.1, 0.2, 0.3}}
	c.Means, c.Loadings = make([]float64, 3*d), make([]float64, 3*2*d)
	rng.New(seed).Split("means", 0).Normal(c.Means)
	rng.New(seed).Split("loadings", 0).Normal(c.Loadings)
	return c
}

func TestGuided_Stop(t *testing.T) {
	pair := regions(t)
	high, low := misjudged(t), pooled(t, twoRegions(t, 0), pair)
	set := Guidance{Pair: pair, Strength: Constant{1}, Low: schedules.EDM{SMin: 0.1, SMax: 10}}
	stop := guide(t, high, low, set)
	set.Outside = Refuse
	refuse := guide(t, high, low, set)
	x := states(8, 1)
	clean, edge, noisy := schedules.EDM{}.At(0.19), schedules.EDM{}.At(0.2), schedules.EDM{}.At(20.1)
	if !slices.Equal(denoise(t, stop, x, 1, nil, clean), denoise(t, high, x, 1, nil, clean)) {
		t.Error("beyond the clean end the guidance did not stop")
	}
	if stop.Evaluations().Low != 0 {
		t.Error("the low-resolution model was asked beyond its range")
	}
	if slices.Equal(denoise(t, stop, x, 1, nil, edge), denoise(t, high, x, 1, nil, edge)) {
		t.Error("at the clean end itself the guidance had stopped")
	}
	for _, c := range []struct {
		g    *Guided
		at   schedules.Level
		want string
	}{{refuse, clean, "stop the guidance at λ = 3.219"}, {refuse, noisy, "noisier than"}, {stop, noisy, "start at λ = -5.991"}} {
		before := c.g.Evaluations()
		err := c.g.Denoise(context.Background(), make([]float64, 16), models.Query{X: states(16, 1), Rows: 2, At: []schedules.Level{edge, c.at}})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "level 1 of the query") {
			t.Errorf("got %v, expected an error with %q", err, c.want)
		}
		if c.g.Evaluations() != before {
			t.Error("a model was asked before the refusal")
		}
		if _, err := c.g.Plan([]schedules.Level{c.at}); err == nil {
			t.Error("the plan holds a level that is refused")
		}
	}
	calls, err := stop.Plan([]schedules.Level{clean, edge})
	if err != nil {
		t.Fatal(err)
	}
	if calls[0].Theta != 0 || calls[1].Theta != 1 || math.Abs(calls[1].Low.Sigma-0.1) > 1e-15 {
		t.Errorf("plan %+v", calls)
	}
}

func TestGuided_Refuses(t *testing.T) {
	pair := regions(t)
	high, low := misjudged(t), pooled(t, twoRegions(t, 0), pair)
	good := constant(t, pair, 1)
	with := func(f func(*Guidance)) Guidance { g := good; f(&g); return g }
	for want, f := range map[string]func() error{
		"without a pair":     func() error { _, err := New(high, low, with(func(g *Guidance) { g.Pair = nil })); return err },
		"without a strength": func() error { _, err := New(high, low, with(func(g *Guidance) { g.Strength = nil })); return err },
		"model's schedule":   func() error { _, err := New(high, low, with(func(g *Guidance) { g.Low = nil })); return err },
		"theta = NaN": func() error {
			_, err := New(high, low, with(func(g *Guidance) { g.Strength = Constant{math.NaN()} }))
			return err
		},
		"outside = upsample.Outside":                  func() error { _, err := New(high, low, with(func(g *Guidance) { g.Outside = 2 })); return err },
		"low resolution has samples of shape [1 2 4]": func() error { _, err := New(high, high, good); return err },
		"high resolution has samples of shape [1 1 2": func() error { _, err := New(low, low, good); return err },
		"expected −1 to 1":                            func() error { _, _, err := TwoRegions(1.1); return err },
		"a denoiser of the high resolution":           func() error { _, err := New(nil, low, good); return err },
		"a model of the high resolution":              func() error { _, err := NewEps(nil, nil, good); return err },
		"makes white noise coloured": func() error {
			_, err := New(high, low, with(func(g *Guidance) { g.Pair = area(t, "area(height=2,width=6,horizontal=3/2,plain=true)") }))
			return err
		},
		"gives θ = NaN": func() error {
			g := guide(t, high, low, with(func(g *Guidance) { g.Strength = StrengthFunc("bad", func(snr.LogSNR) float64 { return math.NaN() }) }))
			return g.Denoise(context.Background(), make([]float64, 8), models.Query{X: states(8, 1), Rows: 1, At: []schedules.Level{middle}})
		},
		"query has 7 numbers": func() error {
			return guide(t, high, low, good).Denoise(context.Background(), make([]float64, 8), models.Query{X: states(7, 1), Rows: 1, At: []schedules.Level{middle}})
		},
		`did you mean "refuse"`: func() error { _, err := ParseOutside("refused"); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
}

func TestGuided_Alloc(t *testing.T) {
	pair := area(t, "area(height=4,width=6,vertical=2,horizontal=3/2)")
	low := sched(t, "cosine")
	g := guide(t, mixture(t, random(pair.HighShape(), 1)), mixture(t, random(pair.LowShape(), 2)), Guidance{Pair: pair, Strength: Heaviside{1.2, 0.6, low}, Low: low})
	const n = 64
	x, dst := states(n*24, 1), make([]float64, n*24)
	each := make([]schedules.Level, n)
	for i := range each {
		each[i] = low.At(0.1 + 0.8*float64(i)/n)
	}
	labels := make([]int, n)
	for name, q := range map[string]models.Query{
		"one level":   {X: x, Rows: n, At: each[n-1:]},
		"one each":    {X: x, Rows: n, At: each},
		"with labels": {X: x, Rows: n, At: each, Labels: labels},
	} {
		call := func() {
			if err := g.Denoise(context.Background(), dst, q); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			call()
		}
		if a := testing.AllocsPerRun(50, call); a != 0 {
			t.Errorf("%s: a warm call allocates %g times", name, a)
		}
	}
}
