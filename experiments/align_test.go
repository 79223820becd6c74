package experiments

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/internal/runfile"
	"snrlab/internal/study"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/solvers"
)

// alignField is a field of 1/f^1.5 of 16×16 pixels.
func alignField(t *testing.T) *models.Field {
	t.Helper()
	m, err := OpenModel("field(size=16,spectrum=power(a=1.5,variance=3))", Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, ok := models.As[*models.Field](m)
	if !ok {
		t.Fatal("no field")
	}
	return f
}

// What a band leaves at λ is what the field of its pixels over their deviation
// does, whole and pooled.
func TestBand_AgreesWith_Field(t *testing.T) {
	f := alignField(t)
	b := bandOf(f, 4)
	if math.Abs(b.content(b.all)-1) > 1e-13 || math.Abs(b.variance-3) > 1e-13 {
		t.Errorf("pixels have the variance %g, brought to %g", b.variance, b.content(b.all))
	}
	power := f.Power()
	for i := range power {
		power[i] /= 3
	}
	unit, err := models.NewField(f.Shape(), nil, power)
	if err != nil {
		t.Fatal(err)
	}
	low, err := unit.Pool(4)
	if err != nil {
		t.Fatal(err)
	}
	for _, lambda := range []float64{-8, -2, 0, 3} {
		alpha, sigma := snr.LogSNR(lambda).VP()
		at := schedules.Level{Alpha: alpha, Sigma: sigma}
		e, err := unit.Error(at)
		if err != nil {
			t.Fatal(err)
		}
		if e, err = e.Pool(4); err != nil {
			t.Fatal(err)
		}
		if got, want := b.left(b.all, lambda), unit.MSE(at); math.Abs(got-want) > 1e-13 {
			t.Errorf("λ = %g: %.15g is left of all, expected %.15g", lambda, got, want)
		}
		if got, want := b.left(b.coarse, lambda), e.Variance()/low.Variance(); math.Abs(got-want) > 1e-13 {
			t.Errorf("λ = %g: %.15g is left of the coarse content, expected %.15g", lambda, got, want)
		}
	}
}

// The expected errors are the means over samples of the field, against the exact
// flow.
func TestBand_Sampled(t *testing.T) {
	f := alignField(t)
	b := bandOf(f, 4)
	power := f.Power()
	for i := range power {
		power[i] /= b.variance
	}
	unit, err := models.NewField(f.Shape(), nil, power)
	if err != nil {
		t.Fatal(err)
	}
	const n, steps = 200, 8
	s := moved(schedules.Cosine{Min: -12, Max: 12}, -1)
	solver, err := solvers.Parse("dpmpp-2m")
	if err != nil {
		t.Fatal(err)
	}
	r := &run{progress: &meter{}}
	coarse, fine, all, err := b.sampled(t.Context(), r, solver, s, steps)
	if err != nil {
		t.Fatal(err)
	}
	g, err := schedules.UniformT{}.Grid(s, steps)
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]rng.Key, n)
	for i := range keys {
		keys[i] = rng.New(4).Split("sample", uint64(i))
	}
	x := make([]float64, n*256)
	if err := unit.Sample(x, g[0], nil, keys); err != nil {
		t.Fatal(err)
	}
	exact := make([]float64, len(x))
	if err := unit.Flow(exact, x, g[0], g[steps]); err != nil {
		t.Fatal(err)
	}
	end, err := solvers.Sample(t.Context(), solver, solvers.Problem{Denoiser: unit, Grid: g, Schedule: s}, x)
	if err != nil {
		t.Fatal(err)
	}
	low, err := unit.Pool(4)
	if err != nil {
		t.Fatal(err)
	}
	var sums, squares [3]float64
	for i := range n {
		d := make([]float64, 256)
		total := 0.0
		for j := range d {
			d[j] = (end[i*256+j] - exact[i*256+j]) / g[steps].Alpha
			total += d[j] * d[j] / 256
		}
		rough := 0.0
		for _, v := range averaged(d, 16, 4) {
			rough += v * v / 16
		}
		for k, v := range [3]float64{rough / low.Variance(), (total - rough) / (1 - low.Variance()), total} {
			sums[k] += v / n
			squares[k] += v * v / n
		}
	}
	for k, want := range [3]float64{coarse, fine, all} {
		// Four standard errors of the mean square.
		if se := math.Sqrt((squares[k] - sums[k]*sums[k]) / n); math.Abs(sums[k]-want*want) > 4*se {
			t.Errorf("error %d: mean square %g ± %g of %d samples, expected %g", k, sums[k], se, n, want*want)
		}
	}
}

func TestLeast(t *testing.T) {
	got, err := least(8, func(x float64) (float64, error) { return math.Abs(x-1.234) + 0.3*math.Sin(3*x), nil })
	// Flat parts of |x − c| + 0.3 sin 3x have slope 1 − 0.9 > 0: the kink is least.
	if err != nil || math.Abs(got-1.234) > 1e-3 {
		t.Errorf("least at %g, %v: expected 1.234", got, err)
	}
	if got, err := least(2, func(float64) (float64, error) { return math.NaN(), nil }); err != nil || got == got {
		t.Errorf("least of nothing: %g, %v", got, err)
	}
}

// A small form of the recipe: what holds at every size holds there.
func TestAlign_Property(t *testing.T) {
	race.Measures(t)
	recipe, err := Load("align")
	if err != nil {
		t.Fatal(err)
	}
	a := recipe.Experiment.(*Align)
	a.Size, a.Pools, a.RefPool, a.Exponents, a.Losses = 64, []int{8, 4, 2, 1}, 2, []float64{0, 2.5}, []int{16, 32, 64}
	a.Shown = []float64{0, 2.5}
	a.Solvers, a.Span, a.Budget = []string{"ddim"}, 4, 8
	a.Images, a.ImagePools = "npz:"+filepath.Join(t.TempDir(), "images.npz"), []int{2, 1}
	images := make([]float64, 64*64)
	rng.New(1).Normal(images) // white ones of 8×8
	if err := runfile.WriteArrays(strings.TrimPrefix(a.Images, "npz:"), map[string]runfile.Array{"x": {Shape: []int{64, 8, 8}, Data: images}}); err != nil {
		t.Fatal(err)
	}
	info, err := Run(context.Background(), recipe, Options{Out: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]study.Verdict{
		"Left alone, a schedule meets":               study.Yes,
		"For white images no shift is due":           study.Yes,
		"The coarse content of an image at λ is exa": study.No,
		"The same shift aligns the whole error":      study.No,
		"The schedule of least error":                study.Yes,
		"For white images the best schedule":         study.Yes,
		"For the spectrum measured on":               study.No, // they are white
		"The multiscale loss keeps":                  study.Yes,
	}
	for start, want := range verdicts {
		found := false
		for _, f := range info.Study.Findings {
			if strings.HasPrefix(f.Claim, start) {
				found = true
				if f.Holds != want {
					t.Errorf("%s: %s, measured %g: expected %s", f.Claim, f.Holds, f.Measured, want)
				}
			}
		}
		if !found {
			t.Errorf("no finding %q", start)
		}
	}
}

func TestAlign_Refuses(t *testing.T) {
	for want, change := range map[string]func(a *Align){
		"field pools holds 3": func(a *Align) { a.Pools, a.RefPool = []int{3, 1}, 1 },
		"even number":         func(a *Align) { a.Size, a.Pools, a.RefPool, a.Losses = 36, []int{4, 1}, 4, []int{36} },
		"fall to 1":           func(a *Align) { a.Pools = []int{1, 2} },
		"ref_pool is 5":       func(a *Align) { a.RefPool = 5 },
		"field shown":         func(a *Align) { a.Shown = []float64{0, 7} },
		"field span":          func(a *Align) { a.Span = 0 },
		"divides the side":    func(a *Align) { a.Losses = []int{48} },
		"image_pools":         func(a *Align) { a.Images = "" },
		"does not go on":      func(a *Align) { a.Schedule = "beta" },
		"linear in the state": func(a *Align) { a.Solvers = []string{"ddim(eta=1)"} },
		"no data set":         func(a *Align) { a.Images = "digits" },
		"field budget":        func(a *Align) { a.Budget = 0 },
	} {
		a := DefaultAlign()
		change(&a)
		if _, err := Run(context.Background(), &Recipe{Source: "test", Experiment: &a}, Options{Out: t.TempDir()}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
}
