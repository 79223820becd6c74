package tune

import (
	"context"
	"math"
	"testing"

	"snrlab/internal/race"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/snr"
)

// objective is a recipe on [−10, 10].
func flatRecipe(t *testing.T, name string) snr.Recipe {
	t.Helper()
	r, err := snr.ParseRecipe(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The second moment's gradient is its difference quotient, and it is convex.
func TestSpread_Property(t *testing.T) {
	o := &spread{knots: []float64{-3, -1, 0, 4}, grad: make([]float64, 4)}
	z := make([]float64, 200)
	rng.New(1).Normal(z)
	for i := range 100 {
		o.at = append(o.at, -3+7*float64(i)/99)
		o.log = append(o.log, 3*z[i])
	}
	value := func(g []float64) float64 {
		if err := o.compute(g); err != nil {
			t.Fatal(err)
		}
		return o.value
	}
	for _, g := range [][]float64{{0, 0, 0, 0}, {1, -2, 3, 0.5}, {0, 0.01, -0.005, 30}} {
		value(g)
		grad := append([]float64(nil), o.grad...)
		for k := range g {
			const h = 1e-5
			up, down := append([]float64(nil), g...), append([]float64(nil), g...)
			up[k] += h
			down[k] -= h
			// Second differences of order one leave h², rounding 1e-16/h.
			if want := (value(up) - value(down)) / (2 * h); math.Abs(grad[k]-want) > 1e-8 {
				t.Errorf("g = %v: derivative %d is %.12g, difference %.12g", g, k, grad[k], want)
			}
		}
		other := []float64{2, 1, -1, -3}
		mid := make([]float64, 4)
		for k := range mid {
			mid[k] = (g[k] + other[k]) / 2
		}
		if v := value(mid); v > (value(g)+value(other))/2+1e-12 {
			t.Errorf("between %v and %v: %g is above the chord", g, other, v)
		}
	}
	for _, d := range []float64{-40, -1, -0.0201, -0.0199, 0, 1e-9, 0.0199, 0.0201, 3} {
		want := 0.0
		const n = 20_000
		for i := range n {
			s := (float64(i) + 0.5) / n
			want += (1 - s) * math.Exp(d*s) / n
		}
		if got := ramp(d); math.Abs(got/want-1) > 1e-6 {
			t.Errorf("ramp(%g) = %g, expected %g", d, got, want)
		}
	}
}

// On Gaussian data the best density is known: p* ∝ w E l in x₀ units, as E l² = 3 (E l)².
func TestScheduleFit_AgreesWith_Optimum(t *testing.T) {
	race.Measures(t)
	truth, err := models.IsotropicGaussian(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]func(l float64) float64{
		"vdm(weight=elbo(density=uniform(min=-10,max=10)),density=uniform(min=-10,max=10))": func(float64) float64 { return 1 },
		"eps-cosine(density=truncated(min=-10,max=10))":                                     func(l float64) float64 { return 1 / math.Cosh(l/2) },
	} {
		f := DefaultScheduleFit(flatRecipe(t, name))
		p, err := f.Run(context.Background(), truth, truth, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := func(l float64) float64 { return w(l) / (1 + math.Exp(-l)) }
		// Twenty bins that hold the same share of the optimum each.
		const n = 20_000
		total := 0.0
		for i := range n {
			total += want(-10 + 20*(float64(i)+0.5)/n)
		}
		sum, from := 0.0, snr.LogSNR(-10)
		bin := 0
		for i := range n {
			l := -10 + 20*(float64(i)+0.5)/n
			sum += want(l)
			if sum < total*float64(bin+1)/20 || bin == 19 {
				continue
			}
			to := snr.LogSNR(l + 10./n)
			a, _ := p.CDF(from)
			b, _ := p.CDF(to)
			if got := (b - a) * 20; math.Abs(got-1) > 0.1 {
				t.Errorf("%s: the bin from λ = %g to %g holds %.3f of what is best", name, float64(from), float64(to), got)
			}
			from, bin = to, bin+1
		}
	}
}

func TestScheduleFit_Refuses(t *testing.T) {
	ok := DefaultScheduleFit(flatRecipe(t, "vdm"))
	for what, f := range map[string]ScheduleFit{
		"infinite ends": DefaultScheduleFit(flatRecipe(t, "eps-cosine")),
		"no objective":  DefaultScheduleFit(snr.Recipe{}),
		"one knot":      {Objective: ok.Objective, Knots: 1, Rounds: 1, Draws: 100},
		"no rounds":     {Objective: ok.Objective, Knots: 5, Draws: 100},
		"too few draws": {Objective: ok.Objective, Knots: 50, Rounds: 1, Draws: 60},
	} {
		if f.Validate() == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	if _, err := ConstantCost([]float64{0, 1}, []float64{1}, 1); err == nil {
		t.Error("one cost for two levels was accepted")
	}
	if _, err := ConstantCost([]float64{0, 1}, []float64{1, 0}, 1); err == nil {
		t.Error("a cost of 0 was accepted")
	}
	if _, err := ConstantCost([]float64{0, 1}, []float64{1, 1}, 0); err == nil {
		t.Error("the power 0 was accepted")
	}
}

// Equal times spend equal parts.
func TestConstantCost_Property(t *testing.T) {
	var lambda, cost []float64
	for l := -8.0; l <= 8; l += 0.02 {
		lambda, cost = append(lambda, l), append(cost, 1/(1+math.Exp(-l))+0.2)
	}
	d, err := ConstantCost(lambda, cost, 1)
	if err != nil {
		t.Fatal(err)
	}
	primitive := func(l snr.LogSNR) float64 { return math.Log1p(math.Exp(float64(l))) + 0.2*float64(l) }
	lo, hi := snr.Support(d)
	whole := primitive(hi) - primitive(lo)
	for i := range 10 {
		u := float64(i) / 10
		part := primitive(d.Quantile(u+0.1, 1-u-0.1)) - primitive(d.Quantile(u, 1-u))
		if math.Abs(part/whole-0.1) > 1e-5 { // pieces of 0.02
			t.Errorf("the tenth from t = %g spends %g of the whole", u, part/whole)
		}
	}
	half, err := ConstantCost(lambda, cost, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := half.LogPDF(3)-half.LogPDF(-3), d.LogPDF(3)-d.LogPDF(-3); math.Abs(a-b/2) > 1e-9 {
		t.Errorf("log p rises by %g with the root of the cost and by %g with the cost", a, b)
	}
}

// One DDIM step on standard normal data: x' = (α'α + σ'σ) x where the flow keeps x, so
// the error is 1 − cos of the angle turned, h²/8 of α²σ² for small h.
func TestLocalError_AgreesWith_ClosedForm(t *testing.T) {
	truth, err := models.IsotropicGaussian(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	at := []float64{-4, -1, 0, 2}
	got, err := LocalError(context.Background(), truth, truth, at, 0.02, 4000, rng.New(1))
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range at {
		a, s := snr.LogSNR(l).VP()
		// dθ/dλ = −ασ/2: (h ασ/2)²/2. Steps of 0.02 leave 1 %, the draws 1/√8000.
		if want := a * a * s * s / 8; math.Abs(got[i]/want-1) > 0.06 {
			t.Errorf("λ = %g: %g, expected %g", l, got[i], want)
		}
	}
	if _, err := LocalError(context.Background(), truth, truth, at, 0, 10, rng.New(1)); err == nil {
		t.Error("a step of 0 was accepted")
	}
}
