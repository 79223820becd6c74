package guidance

import (
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// tiltedGaussians is p_from = N(0, 1), p_to = N(0.8, 0.6), G = 2, whose tilted
// law is N(8/7, 3/7): precision 2/0.6 − 1 = 7/3, mean (2·0.8/0.6)·3/7.
func tiltedGaussians(t testing.TB) Tilt {
	t.Helper()
	return Tilt{
		To:   must(models.NewGaussian([]int{1}, []float64{0.8}, []float64{0.6}))(t),
		From: must(models.NewGaussian([]int{1}, []float64{0}, []float64{1}))(t),
		// Neither has classes.
		Class: -1, G: 2,
	}
}

// particles runs fkc over a grid from exact pure noise, or σ z where the grid
// begins with data in it.
func particles(t testing.TB, f FKC, d models.Denoiser, g schedules.Grid, n int, key uint64) ([]float64, *Particles) {
	t.Helper()
	dim := models.Dim(d)
	keys := solvers.RowKeys(rng.New(key), 0, n)
	x := make([]float64, n*dim)
	for i, k := range keys {
		row := x[i*dim : (i+1)*dim]
		k.Split("init", 0).Normal(row)
		for j := range row {
			row[j] *= g[0].Sigma
		}
	}
	st := must(f.Start(solvers.Problem{Denoiser: d, Grid: g, Noise: solvers.NewIndependent(keys)}, x))(t)
	var last []float64
	for step, err := range solvers.Steps(context.Background(), st) {
		if err != nil {
			t.Fatal(err)
		}
		last = step.X
	}
	return last, st.(*Particles)
}

// The check of an independent program (200,000 particles, 2,000 steps): weighted
// particles have the tilted law; particles without weights and the flow of
// guidance have others. Ours are 5,000 in 240 steps. Four standard errors of a
// mean are 4 √(0.43/5,000) = 0.037, of a variance 4·0.43·√(2/5,000) = 0.034;
// resampling adds to both, and steps of order 1 take up to 0.02 off a variance:
// half of what lies between the laws.
func TestFKC_Golden(t *testing.T) {
	race.Measures(t)
	tilt := tiltedGaussians(t)
	d := must(New(tilt.To, tilt.From, Constant{2}, Rescale{}))(t)
	g := grid(t, "cosine(min=-Inf)", "uniform-t(last=zero)", 240)
	expect := func(name string, mean, variance, wantMean, wantVariance float64) {
		t.Helper()
		t.Logf("%s: mean %.4f, variance %.4f", name, mean, variance)
		if math.Abs(mean-wantMean) > 0.045 || math.Abs(variance-wantVariance) > 0.06 {
			t.Errorf("%s: mean %.4f, variance %.4f, expected %.4f and %.4f", name, mean, variance, wantMean, wantVariance)
		}
	}
	x, p := particles(t, FKC{ESS: 0.95, Final: true}, d, g, 5_000, 5)
	mean, sd := moments(x)
	expect("resampled", mean, sd*sd, 8./7, 3./7)
	if slices.Max(p.LogWeights()) != 0 || slices.Min(p.LogWeights()) != 0 {
		t.Error("rows of unequal weights after the last resampling")
	}
	if _, resampled := p.Effective(); resampled != 2 {
		t.Errorf("resampled %d times, expected once below 0.95 and once at the end", resampled)
	}

	x, p = particles(t, FKC{}, d, g, 5_000, 5)
	mean, sd = moments(x)
	expect("without weights", mean, sd*sd, 1.282, 0.392)
	if math.Abs(mean-8./7) < 0.09 {
		t.Errorf("without weights the mean is %.4f, that of the tilted law", mean)
	}
	var sum, weighted, second float64
	for i, l := range p.LogWeights() {
		w := math.Exp(l)
		sum += w
		weighted += w * x[i]
		second += w * x[i] * x[i]
	}
	weighted /= sum
	expect("weighted", weighted, second/sum-weighted*weighted, 8./7, 3./7)
	if least, _ := p.Effective(); math.Abs(least-0.90) > 0.01 {
		t.Errorf("effective share %.3f, expected 0.90", least)
	}

	mean, sd = moments(flow(t, d, grid(t, "cosine(min=-Inf)", "uniform-t(last=zero)", 200), quantiles(1000)))
	if math.Abs(mean-1.365) > 0.002 || math.Abs(sd*sd-0.362) > 0.003 { // the program's last digit, and the tails
		t.Errorf("flow of guidance: mean %.4f, variance %.4f, expected 1.365 and 0.362", mean, sd*sd)
	}
}

// The same noise levels on another path give the same x/α and weights.
func TestFKC_Invariant_path(t *testing.T) {
	m := twoClasses(t)
	d := must(New(must(Class(m, 1))(t), Unlabelled(m), Constant{3}, Rescale{}))(t)
	var x [2][]float64
	for i, name := range []string{"edm(smin=0.01)", "on-path(path=vp,schedule=edm(smin=0.01))"} {
		g := grid(t, name, "karras(smin=0.01)", 20)
		var p *Particles
		x[i], p = particles(t, FKC{ESS: 0.9, Final: true}, d, g, 100, 4)
		if _, resampled := p.Effective(); resampled < 2 {
			t.Errorf("resampled %d times: the test says little", resampled)
		}
		for j := range x[i] {
			x[i][j] /= g[20].Alpha
		}
	}
	for j := range x[0] {
		if math.Abs(x[0][j]-x[1][j]) > 1e-10 { // 20 steps of rounding at states of size 80
			t.Errorf("row %d: %.15g and %.15g", j, x[0][j], x[1][j])
		}
	}
}

// At G = 1 and at G = 0 there is nothing to weigh, and with one model at any G.
func TestFKC_Limit(t *testing.T) {
	m := twoClasses(t)
	g := grid(t, "edm", "karras(last=zero)", 8)
	class := must(Class(m, 1))(t)
	for _, d := range []*Guided{
		must(New(class, Unlabelled(m), Constant{1}, Rescale{}))(t),
		must(New(class, Unlabelled(m), Constant{0}, Rescale{}))(t),
		must(New(class, class, Constant{3}, Rescale{}))(t),
	} {
		_, p := particles(t, FKC{ESS: 1}, d, g, 50, 1)
		if least, _ := p.Effective(); math.Abs(least-1) > 1e-12 {
			t.Errorf("G = %s: effective share %g, expected 1", d.Scale(), least)
		}
	}
}

// Bit for bit whatever GOMAXPROCS is, and resumed after any step; and rows
// depend on each other, as the properties say.
func TestFKC_Invariant(t *testing.T) {
	m := twoClasses(t)
	d := must(New(must(Class(m, 1))(t), Unlabelled(m), Constant{4}, Rescale{}))(t)
	g := grid(t, "edm", "karras(last=zero)", 12)
	f := FKC{ESS: 0.9, Final: true}
	const n = 64
	keys := solvers.RowKeys(rng.New(2), 0, n)
	x := make([]float64, n)
	rng.New(9).Normal(x)
	for i := range x {
		x[i] *= 80
	}
	problem := func(rows int) solvers.Problem {
		return solvers.Problem{Denoiser: d, Grid: g, Noise: solvers.NewIndependent(keys[:rows])}
	}
	want := must(solvers.Sample(t.Context(), f, problem(n), x))(t)

	st := must(f.Start(problem(n), x))(t)
	for {
		saved := st.State()
		if got := must(solvers.Sample(t.Context(), f, problem(n), x, solvers.Resume(saved)))(t); !slices.Equal(got, want) {
			t.Fatalf("resumed after step %d: other samples", saved.Index)
		}
		if _, err := st.Step(t.Context()); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if _, resampled := st.(*Particles).Effective(); resampled < 3 {
		t.Errorf("resampled %d times: the test says little", resampled)
	}
	old := runtime.GOMAXPROCS(1)
	got := must(solvers.Sample(t.Context(), f, problem(n), x))(t)
	runtime.GOMAXPROCS(old)
	if !slices.Equal(got, want) {
		t.Error("one processor gives other samples")
	}
	half := must(solvers.Sample(t.Context(), f, problem(n/2), x[:n/2]))(t)
	if same := slices.Equal(half, want[:n/2]); same == f.Properties().Coupled {
		t.Errorf("half of the rows are what they are in the whole: %v; properties say coupled: %v", same, f.Properties().Coupled)
	}
	if to, from := d.Counters(); to.Rows() != from.Rows() {
		t.Errorf("%d and %d evaluations of the two models", to.Rows(), from.Rows())
	}
}

func TestFKC_Alloc(t *testing.T) {
	m := twoClasses(t)
	d := must(New(must(Class(m, 1))(t), Unlabelled(m), Constant{4}, Rescale{}))(t)
	keys := solvers.RowKeys(rng.New(2), 0, 16)
	x := make([]float64, 16)
	rng.New(9).Normal(x)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	g := grid(t, "edm", "karras", 60)
	st := must(FKC{ESS: 1}.Start(solvers.Problem{Denoiser: d, Grid: g, Noise: solvers.NewIndependent(keys)}, x))(t)
	step := func() {
		if _, err := st.Step(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	step()
	step()
	if n := testing.AllocsPerRun(40, step); n != 0 {
		t.Errorf("%g allocations a step", n)
	}
}

func TestFKC_Refuses(t *testing.T) {
	m := twoClasses(t)
	class := must(Class(m, 1))(t)
	g := grid(t, "edm", "karras(last=zero)", 4)
	keys := solvers.RowKeys(rng.New(2), 0, 2)
	ok := solvers.Problem{Denoiser: must(New(class, Unlabelled(m), Constant{2}, Rescale{}))(t), Grid: g, Noise: solvers.NewIndependent(keys)}
	f := FKC{ESS: 0.5}
	for _, c := range []struct {
		say    string
		f      FKC
		change func(p *solvers.Problem)
	}{
		{"made by New", f, func(p *solvers.Problem) { p.Denoiser = m }},
		{"constant", f, func(p *solvers.Problem) { p.Denoiser = must(New(class, class, Sigmas{2, 0, 1}, Rescale{}))(t) }},
		{"no denoiser", f, func(p *solvers.Problem) { p.Denoiser = nil }},
		{"Problem.Noise", f, func(p *solvers.Problem) { p.Noise = nil }},
		{"levels", f, func(p *solvers.Problem) { p.Grid = g[:1] }},
		{"labels", f, func(p *solvers.Problem) { p.Labels = []int{1} }},
		{"share", FKC{ESS: 2}, func(*solvers.Problem) {}},
		{"share", FKC{ESS: math.NaN()}, func(*solvers.Problem) {}},
	} {
		p := ok
		c.change(&p)
		if _, err := c.f.Start(p, []float64{1, 2}); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("expected an error with %q, got %v", c.say, err)
		}
	}
	if _, err := f.Start(ok, []float64{1, math.NaN()}); err == nil || !strings.Contains(err.Error(), "row 1") {
		t.Errorf("a start of NaN: %v", err)
	}
	img := images(t)
	p := ok
	p.Denoiser = must(CFG(img, Constant{2}, Rescale{Phi: 0.5}))(t)
	if _, err := f.Start(p, make([]float64, 12)); err == nil || !strings.Contains(err.Error(), "rescale") {
		t.Errorf("a rescaled denoiser: %v", err)
	}
}
