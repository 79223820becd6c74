package snr

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"snrlab/internal/integral"
)

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// published are the weights as papers print them, each as a factor of the residual
// that it was printed for, in SNR. x₀ forms follow by e^λ, 1 + e^λ, … alone.
var published = []struct {
	w    Weight
	unit Unit
	f    func(snr float64) float64
}{
	{Uniform{Eps{}}, Eps{}, func(float64) float64 { return 1 }},
	{Uniform{Eps{}}, X0{}, func(s float64) float64 { return s }},
	{Uniform{Eps{}}, V{}, func(s float64) float64 { return s / (s + 1) }},
	{Uniform{V{}}, Eps{}, func(s float64) float64 { return 1 + 1/s }},
	{Uniform{Flow{}}, Eps{}, func(s float64) float64 { return math.Pow(1+1/math.Sqrt(s), 2) }},
	{Uniform{EDM{0.5}}, Eps{}, func(s float64) float64 { return 1/(s*0.25) + 1 }},
	{Uniform{EDM{0.5}}, X0{}, func(s float64) float64 { sd2, s2 := 0.25, 1/s; return (s2 + sd2) / (s2 * sd2) }},
	{Uniform{Score{ScoreVE}}, X0{}, func(s float64) float64 { return s * s }},
	{Power{1}, X0{}, func(s float64) float64 { return s }},
	{TruncatedSNR{}, Eps{}, func(s float64) float64 { return max(s, 1) / s }},
	{TruncatedSNR{}, X0{}, func(s float64) float64 { return max(s, 1) }},
	{TruncatedSNR{}, V{}, func(s float64) float64 { return max(s, 1) / (s + 1) }},
	{MinSNR{5}, Eps{}, func(s float64) float64 { return min(s, 5) / s }},
	{MinSNR{5}, X0{}, func(s float64) float64 { return min(s, 5) }},
	{MinSNR{5}, V{}, func(s float64) float64 { return min(s, 5) / (s + 1) }},
	{SoftMinSNR{4}, Eps{}, func(s float64) float64 { return 4 / (s + 4) }},
	{SoftMinSNR{4}, X0{}, func(s float64) float64 { return 1 / (1/s + 0.25) }},
	{SoftMinSNR{4}, V{}, func(s float64) float64 { return s * 4 / ((s + 4) * (s + 1)) }},
	{P2{1, 1}, Eps{}, func(s float64) float64 { return 1 / (1 + s) }},
	{P2{2, 0.5}, X0{}, func(s float64) float64 { return s / math.Sqrt(2+s) }},
	{Debiased{}, Eps{}, func(s float64) float64 { return 1 / math.Sqrt(s) }},
	{Sigmoid{2}, Eps{}, func(s float64) float64 { return sigmoid(2 - math.Log(s)) }},
	{Sigmoid{2}, V{}, func(s float64) float64 { return sigmoid(2-math.Log(s)) / (1 + 1/s) }},
	{ELBO{Cosine{S: 1}}, Eps{}, func(s float64) float64 { return 2 * math.Pi * math.Cosh(math.Log(s)/2) }},
	{Over{Sigmoid{1}, Laplace{B: 0.5}}, Eps{}, func(s float64) float64 { return sigmoid(1-math.Log(s)) * math.Exp(2*math.Abs(math.Log(s))) }},
	{Product{MinSNR{5}, Power{-1}}, X0{}, func(s float64) float64 { return min(s, 5) / s }},
	{Levelled{P2{1, 1}, Laplace{B: 0.5}, 0}, Eps{}, func(s float64) float64 { return 1 / (1 + max(s, 1)) * math.Exp(2*max(-math.Log(s), 0)) }},
	{Scaled{P2{1, 1}, 3}, Eps{}, func(s float64) float64 { return 3 / (1 + s) }},
}

// factors are |Δ|²/|Δx₀|² as they follow from the definitions of the predictions, by α
// and σ.
var factors = map[Unit]func(l LogSNR) float64{
	X0{}:  func(LogSNR) float64 { return 1 },
	Eps{}: func(l LogSNR) float64 { a, s := l.VP(); return a * a / (s * s) },
	V{}:   func(l LogSNR) float64 { _, s := l.VP(); return 1 / (s * s) },
	Flow{}: func(l LogSNR) float64 {
		_, s := l.RF()
		return 1 / (s * s)
	},
	EDM{0.5}: func(l LogSNR) float64 {
		s := l.Sigma()
		out := s * 0.5 / math.Hypot(s, 0.5)
		return 1 / (out * out)
	},
	Score{ScoreVP}: func(l LogSNR) float64 { a, s := l.VP(); return a * a / (s * s * s * s) },
	Score{ScoreVE}: func(l LogSNR) float64 { s := l.Sigma(); return 1 / (s * s * s * s) },
	Score{ScoreRF}: func(l LogSNR) float64 { a, s := l.RF(); return a * a / (s * s * s * s) },
}

// In every unit the same weight is the same weight of x₀. The published min-SNR
// factor of ε put on v, min(SNR, γ)/SNR, is another one.
func TestWeight_Invariant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := LogSNR(rapid.Float64Range(-60, 60).Draw(t, "λ"))
		for _, c := range published {
			want := c.f(l.SNR()) * factors[c.unit](l) // in x₀ units
			for u, factor := range factors {
				if got := In(c.w, u, l) * factor(l); math.Abs(got/want-1) > 1e-12 {
					t.Fatalf("%s in %s units at λ = %g: %.17g in x₀ units, expected %.17g", c.w, u, float64(l), got, want)
				}
			}
		}
		wrong := min(l.SNR(), 5) / l.SNR() * factors[V{}](l)
		right := math.Exp(MinSNR{5}.Log(l))
		if math.Abs(wrong/right-1) < 1e-12 && l < 20 {
			t.Fatalf("λ = %g: the factor of ε on v gives %g, the same as %g", float64(l), wrong, right)
		}
	})
}

// Both ends are legal, as limits.
func TestWeight_Limit(t *testing.T) {
	inf := LogSNR(math.Inf(1))
	for _, c := range published {
		for u := range factors {
			for _, end := range []LogSNR{-inf, inf} {
				got := In(c.w, u, end)
				far := LogSNR(math.Copysign(400, float64(end)))
				want := math.Exp(c.w.Log(far) - u.Log(far))
				if got != got {
					t.Errorf("%s in %s units at λ = %g is NaN", c.w, u, float64(end))
				}
				switch {
				case want < 1e-60 && got == 0, want > 1e60 && math.IsInf(got, 1):
				case math.Abs(got/want-1) > 1e-12:
					t.Errorf("%s in %s units at λ = %g: %g, at 400 it is %g", c.w, u, float64(end), got, want)
				}
			}
		}
	}
	for _, c := range []struct {
		w    Weight
		u    Unit
		l    LogSNR
		want float64
	}{
		{MinSNR{5}, Eps{}, -inf, 1}, // 0/0 in the published form
		{MinSNR{5}, X0{}, inf, 5},
		{MinSNR{5}, V{}, inf, 0},
		{SoftMinSNR{4}, Eps{}, -inf, 1},
		{TruncatedSNR{}, Eps{}, -inf, math.Inf(1)},
		{TruncatedSNR{}, Eps{}, inf, 1},
		{Uniform{V{}}, V{}, -inf, 1},
		{Uniform{Flow{}}, V{}, inf, 1},
		{ELBO{Cosine{S: 1}}, Eps{}, inf, math.Inf(1)},
		{Over{Sigmoid{1}, LogNormal{0, 1}}, Eps{}, -inf, math.Inf(1)},
		{Moved{Uniform{Eps{}}, Cosine{S: 1}, RF{1}}, Eps{}, -inf, 2 / math.Pi}, // sech(λ/2)/2π → e^{λ/2}/π, sech²(λ/4)/8 → e^{λ/2}/2
	} {
		if got := In(c.w, c.u, c.l); got != c.want && math.Abs(got/c.want-1) > 1e-12 {
			t.Errorf("%s in %s units at λ = %g: %g, expected %g", c.w, c.u, float64(c.l), got, c.want)
		}
	}
}

// min-SNR-5 at five levels.
func TestMinSNR_Golden(t *testing.T) {
	for i, l := range []LogSNR{-6, -2, 0, LogSNR(math.Log(5)), 4} {
		eps, v := []float64{1, 1, 1, 1, 0.092}[i], []float64{0.0025, 0.119, 0.5, 0.833, 0.090}[i]
		// Three printed digits.
		if a, b := In(MinSNR{5}, Eps{}, l), In(MinSNR{5}, V{}, l); math.Abs(a-eps) > 5e-4 || math.Abs(b-v) > 5e-4 {
			t.Errorf("λ = %g: %.4f on ε and %.4f on v, expected %g and %g", float64(l), a, b, eps, v)
		}
	}
	// With γ = 1, soft-min-SNR and P2 are one, σ² on ε and α²σ² on v.
	for _, l := range []LogSNR{-7, 0.3, 5} {
		a, s := l.VP()
		for _, w := range []Weight{SoftMinSNR{1}, P2{1, 1}} {
			if x, y := In(w, Eps{}, l), In(w, V{}, l); math.Abs(x/(s*s)-1) > 1e-13 || math.Abs(y/(a*a*s*s)-1) > 1e-13 {
				t.Errorf("%s at λ = %g: %g on ε, %g on v, expected σ² = %g and α²σ² = %g", w, float64(l), x, y, s*s, a*a*s*s)
			}
		}
	}
}

// The objectives of the table of published recipes, up to a constant.
func TestRecipes_Golden(t *testing.T) {
	normal := func(l, m, s float64) float64 { return math.Exp(-(l - m) * (l - m) / (2 * s * s)) }
	for name, f := range map[string]func(l float64) float64{
		"eps-cosine": func(l float64) float64 { return 1 / math.Cosh(l/2) },
		"v-cosine":   func(l float64) float64 { return math.Exp(-l / 2) },
		"rf":         func(l float64) float64 { return math.Exp(-l / 2) },
		"sd3":        func(l float64) float64 { return normal(l, 0, 2) * math.Pow(1+math.Exp(-l/2), 2) },
		"edm":        func(l float64) float64 { return normal(l, 2.4, 2.4) * (math.Exp(-l) + 0.25) },
		"elbo":       func(float64) float64 { return 1 },
		"vdm":        func(float64) float64 { return 1 },
		"vdm++":      func(l float64) float64 { return sigmoid(2 - l) },
		"indi":       func(l float64) float64 { return math.Exp(-l) / math.Pow(math.Cosh(l/4), 2) },
		"elbo(weight=elbo(density=cauchy),density=cauchy)": func(float64) float64 { return 1 },
	} {
		r, err := ParseRecipe(name)
		if err != nil {
			t.Fatal(err)
		}
		scale := r.Objective(0) / f(0)
		for _, l := range []float64{-4.9, -1, 0.5, 3, 12} {
			if got := r.Objective(LogSNR(l)) / scale; math.Abs(got/f(l)-1) > 1e-12 {
				t.Errorf("%s: w(%g)/w(0) = %.15g, expected %.15g", name, l, got/f(0), f(l)/f(0))
			}
		}
	}
}

func TestRecipe_Monotone(t *testing.T) {
	start := LogSNR(math.Inf(-1)) // of the support
	// The slope of log[N(λ; 2.4, 2.4²)(e^{−λ} + ¼)] is −(λ − 2.4)/5.76 − 1/(1 + e^λ/4), which
	// rises through 0 and falls through it once each.
	edm := func(lo, hi float64) LogSNR {
		slope := func(l float64) float64 { return -(l-2.4)/5.76 - 1/(1+math.Exp(l)/4) }
		if (slope(lo) > 0) == (slope(hi) > 0) {
			t.Fatalf("no change of sign of EDM's slope between %g and %g", lo, hi)
		}
		for range 80 {
			if mid := (lo + hi) / 2; (slope(mid) > 0) == (slope(lo) > 0) {
				lo = mid
			} else {
				hi = mid
			}
		}
		return LogSNR(lo)
	}
	for name, want := range map[string][]Interval{
		"elbo": nil, "vdm": nil, "vdm++": nil, "v-cosine": nil, "rf": nil, "x0-cosine": nil, "indi": nil,
		"eps-cosine":                          {{start, 0}}, // sech peaks at 0
		"min-snr":                             {{start, 0}},
		"pair(density=laplace(mu=1.5,b=0.7))": {{start, 1.5}},
		"pair(weight=product(a=p2(k=1,q=1),b=power(exponent=-1)),density=rf)": nil, // e^{−λ}/(1 + e^λ) falls faster than sech² rises
		"edm":           {{start, edm(-4, 0)}},
		"edm-monotonic": nil,
		"edm(weight=levelled(weight=uniform(unit=edm),density=log-normal,below=-5))": {{-5, edm(-4, 0)}}, // level, then EDM's again
	} {
		r, err := ParseRecipe(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := r.Monotone()
		if err != nil {
			t.Fatal(err)
		}
		if m.Holds() != (len(want) == 0) || len(m.Rises) != len(want) {
			t.Errorf("%s: %s, expected rises %v", name, m, want)
			continue
		}
		for i, w := range want {
			noisy := max(w.Noisy, m.Within.Noisy)
			// A smooth peak is found to the root of its rounding.
			if got := m.Rises[i]; math.Abs(float64(got.Noisy-noisy)) > 1e-6 || math.Abs(float64(got.Clean-w.Clean)) > 1e-6 {
				t.Errorf("%s: rises on %s, expected (%g, %g)", name, got, float64(noisy), float64(w.Clean))
			}
			if share := between(r.Density, noisy, w.Clean); math.Abs(m.Share-share) > 1e-6 {
				t.Errorf("%s: %g of the density lies there, expected %g", name, m.Share, share)
			}
		}
	}
}

// The objective is what counts: w/p under p' gives the same loss of the same denoiser.
func TestRecipe_Move_Invariant(t *testing.T) {
	// mse of N(0, 1) in ε units, times a mistake that depends on λ.
	mse := func(l float64) float64 { return sigmoid(l) + 0.3*math.Exp(-(l-1)*(l-1)) }
	loss := func(r Recipe) float64 {
		return integral.Of(func(l float64) float64 {
			return math.Exp(r.Density.LogPDF(LogSNR(l))+LogIn(r.Weight, Eps{}, LogSNR(l))) * mse(l)
		}, -12, 12, 1e-13)
	}
	for _, name := range []string{"eps-cosine", "sd3", "edm", "min-snr", "laplace"} {
		r, err := ParseRecipe(name)
		if err != nil {
			t.Fatal(err)
		}
		want := loss(r)
		for _, to := range []Density{RF{1}, Laplace{B: 2}, LogNormal{-1.2, 1.2}, Cauchy{G: 1}, Flat{-40, 40}} {
			moved, err := r.Move(to)
			if err != nil {
				t.Fatal(err)
			}
			if got := loss(moved); math.Abs(got/want-1) > 1e-10 {
				t.Errorf("%s moved to %s: loss %.12g, was %.12g", name, to, got, want)
			}
		}
		for _, u := range []Unit{Eps{}, V{}, EDM{0.5}} {
			absorbed, err := r.Absorb(u)
			if err != nil {
				t.Fatal(err)
			}
			if got := loss(absorbed); math.Abs(got/want-1) > 1e-9 {
				t.Errorf("%s absorbed in %s: loss %.12g, was %.12g", name, u, got, want)
			}
			if a, b := In(absorbed.Weight, u, -3), In(absorbed.Weight, u, 5); math.Abs(a/b-1) > 1e-12 {
				t.Errorf("%s absorbed in %s keeps a weight: %g and %g", name, u, a, b)
			}
			if err := CheckDensity(absorbed.Density); err != nil {
				t.Error(err)
			}
		}
	}
}

// What has no finite integral is no density.
func TestRecipe_Absorb_Refuses(t *testing.T) {
	r, err := ParseRecipe("v-cosine") // w = e^{−λ/2}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Absorb(Eps{}); err == nil || !strings.Contains(err.Error(), "-Inf") {
		t.Errorf("a density ∝ e^{−λ/2}: %v", err)
	}
	if _, err := r.Move(Flat{-3, 3}); err == nil || !strings.Contains(err.Error(), "never draws") {
		t.Errorf("moved to a narrower density: %v", err)
	}
}

func TestParseWeight_Property(t *testing.T) {
	for _, c := range published {
		again, err := ParseWeight(c.w.String())
		if err != nil || again != c.w {
			t.Errorf("%s comes back as %v, %v", c.w, again, err)
		}
	}
	for _, e := range Weights().Entries {
		if e.Default.String() != e.Name {
			t.Errorf("the default %s prints as %s", e.Name, e.Default)
		}
	}
	for u := range factors {
		if again, err := ParseUnit(u.String()); err != nil || again != u {
			t.Errorf("%s comes back as %v, %v", u, again, err)
		}
	}
	for _, e := range Recipes().Entries {
		if r, err := ParseRecipe(e.Name); err != nil || r.String() != e.Name {
			t.Errorf("recipe %s comes back as %s, %v", e.Name, r, err)
		}
	}
	if r, err := ParseRecipe("sd3(density=logit-normal(m=1))"); err != nil || r.String() != "sd3(density=logit-normal(m=1))" {
		t.Errorf("a changed recipe comes back as %s, %v", r, err)
	}
}

func TestWeight_Refuses(t *testing.T) {
	for _, name := range []string{
		"min-snr(gamma=0)", "soft-min-snr(gamma=-1)", "p2(k=0)", "p2(q=+Inf)", "sigmoid(b=+Inf)", "uniform(unit=w)", "uniform(unit=edm(sd=0))", "uniform(unit=score(path=x))",
		"elbo(density=laplace(b=0))", "product(a=minsnr)", "scaled(by=0)", "power(exponent=+Inf)", "min-snr-5", "",
	} {
		if w, err := ParseWeight(name); err == nil {
			t.Errorf("ParseWeight(%q) = %v: expected an error", name, w)
		} else if !strings.HasPrefix(err.Error(), "snr: ") {
			t.Errorf("ParseWeight(%q): %q does not start with the package", name, err)
		}
	}
	for _, c := range []struct{ name, want string }{
		{"pair(weight=over(density=laplace),density=uniform)", ""},
		{"pair(weight=over(density=uniform(min=-1,max=1)),density=cosine)", "inside the support"}, // 1/p where p = 0
		{"pair(density=uniform(min=5,max=-5))", "min < max"},
	} {
		_, err := ParseRecipe(c.name)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("ParseRecipe(%q): %v, expected %q", c.name, err, c.want)
		}
	}
	if (Recipe{}).Validate() == nil || (Uniform{}).Validate() == nil || (Over{}).Validate() == nil {
		t.Error("a recipe without parts is valid")
	}
}

func ExampleRecipe_Monotone() {
	for _, name := range []string{"rf", "v-cosine", "eps-cosine", "edm"} {
		r, err := ParseRecipe(name)
		if err != nil {
			panic(err)
		}
		m, err := r.Monotone()
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s: w(2)/w(0) = %.4f, a bound of noisy data: %t\n", r, r.Objective(2)/r.Objective(0), m.Holds())
	}
	// Output:
	// rf: w(2)/w(0) = 0.3679, a bound of noisy data: true
	// v-cosine: w(2)/w(0) = 0.3679, a bound of noisy data: true
	// eps-cosine: w(2)/w(0) = 0.6481, a bound of noisy data: false
	// edm: w(2)/w(0) = 0.5012, a bound of noisy data: false
}
