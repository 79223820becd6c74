package snr

import (
	"fmt"
	"math"
	"testing"

	"snrlab/internal/integral"
	"snrlab/internal/race"
	"snrlab/rng"
)

// gaussian is N(0, c) on the line with the exact denoiser of N(0, model).
type gaussian struct{ c, model float64 }

// mse is E|x₀ − D|²: with y = √S x₀ + ε and D = g y, g = √S m/(1 + S m), it is
// (1 − g√S)² c + g² = (c + S m²)/(1 + S m)².
func (g gaussian) mse(l float64) float64 {
	s := math.Exp(l)
	return (g.c + s*g.model*g.model) / math.Pow(1+s*g.model, 2)
}

// moments of l = |x₀ − D|², the square of a Gaussian number: E l² = 3 (E l)².
func (g gaussian) moments(lo, hi, step float64) *Moments {
	var at, mean, second []float64
	for l := lo; l <= hi+step/2; l += step {
		at, mean, second = append(at, l), append(mean, g.mse(l)), append(second, 3*math.Pow(g.mse(l), 2))
	}
	return ScalarMoments(at, mean, second)
}

func TestMoments_AgreesWith_ClosedForm(t *testing.T) {
	race.Measures(t)
	g := gaussian{2.3, 2.3}
	m := g.moments(-20, 20, 0.05)
	for _, name := range []string{"eps-cosine(density=uniform(min=-20,max=20))", "min-snr(density=truncated(min=-20,max=20))", "laplace", "edm(density=truncated(density=log-normal,min=-20,max=20))"} {
		r, err := ParseRecipe(name)
		if err != nil {
			t.Fatal(err)
		}
		e, err := m.Estimate(r)
		if err != nil {
			t.Fatal(err)
		}
		in := func(power int, f func(float64) float64) float64 {
			return integral.Of(func(l float64) float64 {
				return PDF(r.Density, LogSNR(l)) * math.Pow(math.Exp(r.Weight.Log(LogSNR(l))), float64(power)) * f(l)
			}, -20, 20, 1e-13)
		}
		mean := in(1, g.mse)
		second := in(2, func(l float64) float64 { return 3 * g.mse(l) * g.mse(l) })
		root := in(1, func(l float64) float64 { return math.Sqrt(3) * g.mse(l) })
		for _, c := range []struct {
			what      string
			got, want float64
		}{
			{"mean", e.Mean[0], mean},
			{"variance", e.Variance, second - mean*mean},
			{"within", e.Within, second * 2 / 3},
			{"least", e.Least, root*root - mean*mean},
		} {
			// Log-linear pieces of 0.05 bend by 0.05²/8 of the curvature, and Laplace's kink lies on a level.
			if math.Abs(c.got/c.want-1) > 2e-4 {
				t.Errorf("%s: %s %.10g, expected %.10g", name, c.what, c.got, c.want)
			}
		}
		// Half of the second moment lies where ω² E l² is above some value.
		if name == "eps-cosine(density=uniform(min=-20,max=20))" { // that is λ above the median of sigmoid²
			tail := func(l float64) float64 {
				return integral.Of(func(l float64) float64 { return g.mse(l) * g.mse(l) * math.Exp(2*l) }, l, 20, 1e-12)
			}
			cut, end, half := -20.0, 20.0, tail(-20)/2
			for end-cut > 1e-4 {
				if mid := (cut + end) / 2; tail(mid) > half {
					cut = mid
				} else {
					end = mid
				}
			}
			if want := (20 - cut) / 40; math.Abs(e.Carriers-want) > 2e-3 {
				t.Errorf("%s: %g of the draws carry half, expected %g", name, e.Carriers, want)
			}
		}
		if !(e.Least <= e.Variance) {
			t.Errorf("%s: least variance %g above %g", name, e.Least, e.Variance)
		}
		// The optimal density has it, with the same loss.
		best, err := m.Optimal(r)
		if err != nil {
			t.Fatal(err)
		}
		moved, err := r.Move(best)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Estimate(moved)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(b.Variance/e.Least-1) > 1e-4 || math.Abs(b.Mean[0]/e.Mean[0]-1) > 1e-4 {
			t.Errorf("%s on the optimal density: variance %.8g, least %.8g; mean %.8g, was %.8g", name, b.Variance, e.Least, b.Mean[0], e.Mean[0])
		}
		// Any other density does worse.
		other, err := r.Move(Mixture{A: best, B: Flat{-20, 20}, Share: 0.7})
		if err != nil {
			t.Fatal(err)
		}
		if o, err := m.Estimate(other); err != nil || !(o.Variance > b.Variance) {
			t.Errorf("%s: a density beside the optimal one has the variance %g, %v, the optimal one %g", name, o.Variance, err, b.Variance)
		}
	}
}

// The moments of a vector: a gradient whose direction turns with λ.
func TestMoments_Vector(t *testing.T) {
	m := &Moments{}
	for l := -10.0; l <= 10; l += 0.05 {
		m.Lambda = append(m.Lambda, l)
		m.Mean = append(m.Mean, []float64{math.Cos(l), math.Sin(l)})
		m.Second = append(m.Second, 2)
	}
	r := Recipe{Weight: Uniform{X0{}}, Density: Flat{-math.Pi, math.Pi}}
	e, err := m.Estimate(r)
	if err != nil {
		t.Fatal(err)
	}
	// The means cancel; chords of 0.05 are shorter by 1e-4.
	if math.Hypot(e.Mean[0], e.Mean[1]) > 1e-6 || math.Abs(e.Variance-2) > 1e-12 || math.Abs(e.Within-1) > 1e-3 {
		t.Errorf("mean %v, variance %g, within %g: expected 0, 2, 1", e.Mean, e.Variance, e.Within)
	}
}

// Draws of the loss have the mean and the variance that the moments say.
func TestMoments_AgreesWith_Draws(t *testing.T) {
	g := gaussian{1, 0.6}
	m := g.moments(-12, 12, 0.05)
	r := Recipe{Weight: SoftMinSNR{4}, Density: Truncated{Density: Cosine{S: 1}, Min: -12, Max: 12}}
	e, err := m.Estimate(r)
	if err != nil {
		t.Fatal(err)
	}
	const n, batch = 400_000, 100
	levels := make([]LogSNR, batch)
	z := make([]float64, batch)
	for _, stratified := range []bool{false, true} {
		sum, square := 0.0, 0.0
		for i := range n / batch {
			k := rng.New(uint64(i)).Split("levels", 0)
			if stratified {
				Stratified(r.Density, k, levels)
			} else {
				Draw(r.Density, k, levels)
			}
			rng.New(uint64(i)).Split("noise", 0).Normal(z)
			mean := 0.0
			for j, l := range levels {
				mean += math.Exp(r.Weight.Log(l)) * g.mse(float64(l)) * z[j] * z[j] / batch
			}
			sum += mean
			square += mean * mean
		}
		batches := float64(n / batch)
		mean := sum / batches
		variance := (square/batches - mean*mean) * batch
		want := e.Variance
		if stratified {
			want = e.Within
		}
		// Five standard errors of a mean, and of the variance of 4000 nearly normal means.
		if math.Abs(mean-e.Mean[0]) > 5*math.Sqrt(want/n) || math.Abs(variance/want-1) > 5*math.Sqrt(2/batches) {
			t.Errorf("stratified %t: mean %g, variance %g, expected %g, %g", stratified, mean, variance, e.Mean[0], want)
		}
	}
}

func TestMoments_Refuses(t *testing.T) {
	g := gaussian{1, 1}
	m := g.moments(-5, 5, 0.5)
	if _, err := m.Estimate(Recipe{Weight: Uniform{Eps{}}, Density: Cosine{S: 1}}); err == nil {
		t.Error("a density beyond the levels was accepted")
	}
	for _, bad := range []*Moments{
		{},
		ScalarMoments([]float64{1, 0}, []float64{1, 1}, []float64{1, 1}),
		ScalarMoments([]float64{0, 1}, []float64{1, 1}, []float64{1}),
		ScalarMoments([]float64{0, 1}, []float64{1, 2}, []float64{1, 1}), // E v² < (E v)²
		ScalarMoments([]float64{0, 1}, []float64{0, 0}, []float64{0, 1}),
	} {
		if bad.Validate() == nil {
			t.Errorf("%+v is valid", bad)
		}
	}
}

// After training on any density the adaptive one is what the loss says.
func TestAdaptive_Property(t *testing.T) {
	g := gaussian{1, 0.5}
	for _, root := range []bool{false, true} {
		objective := Recipe{Weight: Over{Sigmoid{1}, Flat{-8, 8}}, Density: Flat{-8, 8}}
		a, err := NewAdaptive(objective, 32)
		if err != nil {
			t.Fatal(err)
		}
		a.Root, a.Decay = root, 0.99
		if d := a.Density(); d.Validate() != nil || math.Abs(PDF(d, 3)-1./16) > 1e-12 {
			t.Fatalf("before the first loss p(3) = %g, expected uniform", PDF(d, 3))
		}
		const n = 60_000
		levels, z := make([]LogSNR, 100), make([]float64, 100)
		for i := range n / 100 {
			Draw(a.Density(), rng.New(uint64(i)), levels)
			rng.New(uint64(i)).Split("noise", 0).Normal(z)
			for j, l := range levels {
				if err := a.Observe(l, g.mse(float64(l))*z[j]*z[j]); err != nil {
					t.Fatal(err)
				}
			}
		}
		d := a.Density()
		if err := CheckDensity(d); err != nil {
			t.Fatal(err)
		}
		now, err := a.Recipe()
		if err != nil {
			t.Fatal(err)
		}
		if x, y := now.Objective(2.1), objective.Objective(2.1); math.Abs(x/y-1) > 1e-12 {
			t.Errorf("the objective is %g under the adaptive density, was %g", x, y)
		}
		want := func(l float64) float64 { return math.Exp(Sigmoid{1}.Log(LogSNR(l))) * g.mse(l) }
		total := integral.Of(want, -8, 8, 1e-10)
		for i := range 32 {
			l := -8 + (float64(i)+0.5)/2
			// The average holds about 200 losses, each with the relative deviation √2, or √(96/9)
			// of its square of which the root is taken: five standard errors of that.
			tol := 5 * math.Sqrt2 / math.Sqrt(200)
			if root {
				tol = 5 * math.Sqrt(96./9) / 2 / math.Sqrt(200)
			}
			p := 0.99*want(l)/total + 0.01/16
			if got := PDF(d, LogSNR(l)); math.Abs(got/p-1) > tol {
				t.Errorf("root %t: p(%g) = %g, expected %g", root, l, got, p)
			}
		}
	}
	a, _ := NewAdaptive(Recipe{Weight: Uniform{Eps{}}, Density: Flat{-8, 8}}, 4)
	if a.Observe(0, math.NaN()) == nil || a.Observe(0, math.Inf(1)) == nil || a.Observe(0, -1) == nil {
		t.Error("a loss that is none was taken in")
	}
	if err := a.Observe(9, 1); err != nil {
		t.Error(err)
	}
	for what, r := range map[string]Recipe{
		"reversed ends": {Weight: Uniform{Eps{}}, Density: Flat{3, -3}},
		"infinite ends": {Weight: Uniform{Eps{}}, Density: Cosine{S: 1}},
		"nothing":       {},
	} {
		if _, err := NewAdaptive(r, 4); err == nil {
			t.Errorf("an objective with %s was accepted", what)
		}
	}
	if _, err := NewAdaptive(Recipe{Weight: Uniform{Eps{}}, Density: Flat{-3, 3}}, 0); err == nil {
		t.Error("no bins were accepted")
	}
}

// Both sides of the identity of [kingma2023]: the loss is an average of bounds of
// noisy data with the density −dw/dλ. The bound of N(0, c) data at λ under the model
// N(0, m) is KL(q_λ ‖ p_λ) + I(x₀; x_λ), up to its value at the noisy end, in closed
// forms that no integral of mse enters.
func TestRecipe_Monotone_AgreesWith_Bounds(t *testing.T) {
	for _, g := range []gaussian{{1, 1}, {2.3, 0.7}, {0.3, 1.9}} {
		bound := func(l float64) float64 {
			s := math.Exp(l)
			a, b := 1+s*g.c, 1+s*g.model // variances of √S x₀ + ε
			return (a/b-1-math.Log(a/b))/2 + math.Log(a)/2
		}
		for _, name := range []string{"rf", "v-cosine", "elbo", "vdm++", "eps-cosine", "edm", "sd3", "laplace(weight=sigmoid(b=-1))"} {
			r, err := ParseRecipe(name)
			if err != nil {
				t.Fatal(err)
			}
			const lo, hi = -9, 11
			w := func(l float64) float64 { return r.Objective(LogSNR(l)) }
			left := integral.Of(func(l float64) float64 { return w(l) / 2 * math.Exp(l) * g.mse(l) }, lo, hi, 1e-13)
			slope := func(l float64) float64 { // dw/dλ
				const h = 1e-3
				return (8*(w(l+h)-w(l-h)) - (w(l+2*h) - w(l-2*h))) / (12 * h)
			}
			kink := 0. // of Laplace, where no difference may reach across
			right := w(hi)*bound(hi) - w(lo)*bound(lo)
			for _, part := range [][2]float64{{lo, kink}, {kink, hi}} {
				right -= integral.Of(func(l float64) float64 {
					if l > kink-2e-3 && l < kink+2e-3 && name[:2] == "la" {
						l = kink + math.Copysign(2e-3, l-kink)
					}
					return slope(l) * bound(l)
				}, part[0], part[1], 1e-12)
			}
			// Differences have eight digits; four thousandths beside a kink are taken from its sides.
			tol := 1e-8 * math.Max(1, math.Abs(w(lo)))
			if name[:2] == "la" {
				tol = 1e-5
			}
			if math.Abs(left-right) > tol {
				t.Errorf("N(0, %g) under N(0, %g), %s: ½∫w mse = %.12g, the average of bounds %.12g", g.c, g.model, name, left, right)
			}
		}
	}
}

// The entropy of N(0, 2.3) from its denoiser: h = ½ log 2πe − ½ ∫[sigmoid(λ) − mse_ε] dλ.
func TestMSE_AgreesWith_Entropy(t *testing.T) {
	g := gaussian{2.3, 2.3}
	got := math.Log(2*math.Pi*math.E)/2 - integral.Of(func(l float64) float64 {
		return (sigmoid(l) - math.Exp(l)*g.mse(l)) / 2
	}, -60, 60, 1e-14)
	if want := math.Log(2*math.Pi*math.E*2.3) / 2; math.Abs(got-want) > 1e-10 {
		t.Errorf("entropy %.15g, expected %.15g", got, want)
	}
}

func ExampleMoments_Optimal() {
	// Standard normal data and their exact denoiser: E|x₀ − D|² = 1/(1 + SNR).
	m := gaussian{1, 1}.moments(-15, 15, 0.02)
	r, err := ParseRecipe("eps-cosine(density=truncated)")
	if err != nil {
		panic(err)
	}
	e, err := m.Estimate(r)
	if err != nil {
		panic(err)
	}
	fmt.Printf("loss %.3f, variance %.3f, at best %.3f, stratified %.3f\n", e.Mean[0], e.Variance, e.Least, e.Within)
	// Output:
	// loss 0.500, variance 0.875, at best 0.500, stratified 0.750
}
