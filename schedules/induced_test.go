package schedules

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"snrlab/snr"
)

// The density of a schedule is the derivative of its own time in λ.
func TestInduced_AgreesWith_Difference(t *testing.T) {
	for _, name := range []string{
		"edm", "ve", "vp-linear", "subvp", "cosine", "cosine(min=-Inf,max=+Inf)", "chen-sigmoid", "chen-cosine(tau=2)", "rf(shift=3)", "shift(by=-2)", "on-path(path=rf)",
		"beta", "beta(kind=squared-cosine,T=50)", "density(of=laplace(mu=1,b=0.7))", "density(of=cauchy,path=rf)",
	} {
		s, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		d := Induced{s}
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		if _, discrete := s.(Beta); !discrete { // a table has a kink at every entry
			if err := snr.CheckDensity(d); err != nil {
				t.Error(err)
			}
		}
		clean, noisy := s.Domain()
		lambda := func(x float64) float64 { return float64(s.At(x).LogSNR()) }
		for i := range 96 { // none of them at t = ½, where Laplace has its kink
			u := (float64(i) + 0.5) / 96
			x := clean + u*(noisy-clean)
			h := 1e-3 * min(x-clean, noisy-x)
			if entries(s) > 0 {
				x, h = math.Min(math.Floor(x), noisy-1)+0.5, 0.01
			}
			rate := (8*(lambda(x+h)-lambda(x-h)) - (lambda(x+2*h) - lambda(x-2*h))) / (12 * h)
			want := -1 / rate / (noisy - clean)
			if got := snr.PDF(d, s.At(x).LogSNR()); math.Abs(got/want-1) > 1e-6 {
				t.Errorf("%s: p = %.12g at t = %g, dt/dλ is %.12g", d, got, x, want)
			}
			below, above := d.CDF(s.At(x).LogSNR())
			if math.Abs(above-(x-clean)/(noisy-clean)) > 1e-10 || math.Abs(below+above-1) > 1e-12 {
				t.Errorf("%s: CDF = %g, %g at t = %g", d, below, above, x)
			}
			if l := d.Quantile(below, above); math.Abs(float64(l)-lambda(x)) > 1e-9*(1+math.Abs(lambda(x))) {
				t.Errorf("%s: quantile %g, λ = %g", d, float64(l), lambda(x))
			}
		}
	}
}

// Published pairs: the schedule and the density in closed form are one.
func TestInduced_AgreesWith_Density(t *testing.T) {
	for _, c := range [][2]string{
		{"cosine(min=-Inf,max=+Inf)", "cosine"},
		{"cosine", "truncated(density=cosine,min=-15,max=15)"},
		{"rf(shift=3)", "rf(shift=3)"},
		{"ve", "uniform(min=-7.824046010856292,max=9.210340371976182)"},
		{"density(of=logit-normal(m=0.4,s=0.8),path=rf)", "logit-normal(m=0.4,s=0.8)"},
		{"shift(by=1.5,schedule=cosine(min=-Inf,max=+Inf))", "cosine(mu=1.5)"},
	} {
		s, err := Parse(c[0])
		if err != nil {
			t.Fatal(err)
		}
		d, err := ParseDensity(c[1])
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			u := (float64(i) + 0.5) / 50
			l := s.At(u).LogSNR()
			if _, above := d.CDF(l); math.Abs(above-u) > 1e-12 {
				t.Errorf("%s at t = %g: %s has %g above", s, u, d, above)
			}
			// Rates of schedules come from α and σ, to their rounding at 15 e-foldings.
			if a, b := snr.PDF(Induced{s}, l), snr.PDF(d, l); math.Abs(a/b-1) > 1e-9 {
				t.Errorf("%s at λ = %g: p = %.15g, %s has %.15g", s, float64(l), a, d, b)
			}
		}
	}
}

// A density as a schedule, and its density again.
func TestFromDensity_Property(t *testing.T) {
	for _, name := range []string{"laplace", "truncated(density=cauchy(g=0.3),min=-30,max=30)", "log-normal", "mode", "mixture", "truncated(min=-9,max=4)", "log-linear(knots=[-9,0,9],log=[0,2,1])", "induced(schedule=cosine)"} {
		d, err := ParseDensity(name)
		if err != nil {
			t.Fatal(err)
		}
		s := FromDensity{Of: d, To: VPPath{}}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("%s comes back as %v, %v", s, again, err)
		}
		for _, u := range []float64{1e-14, 1e-6, 0.02, 0.4, 0.5, 0.77, 1 - 1e-9} {
			l := s.At(u)
			if got := s.TimeOf(l.LogSNR()); math.Abs(got-u) > 1e-10*u+2e-16 {
				t.Errorf("%s: t = %g comes back as %g", s, u, got)
			}
			p, q := snr.PDF(d, l.LogSNR()), snr.PDF(Induced{s}, l.LogSNR())
			// Where the density has a kink, a level one rounding away may lie behind it.
			if math.Abs(p/q-1) > 1e-9 {
				t.Errorf("%s: the density at t = %g is %g and induced %g", s, u, p, q)
			}
		}
		for _, end := range []float64{0, 1} {
			if l := s.At(end); l.Validate() != nil || s.TimeOf(l.LogSNR()) != end {
				t.Errorf("%s: the end %g is %+v, back t = %g", s, end, l, s.TimeOf(l.LogSNR()))
			}
		}
	}
}

func TestParseDensity_Refuses(t *testing.T) {
	for _, name := range []string{
		"induced(schedule=cosine(min=4,max=-4))", "induced(schedule=vp-linear(bmax=-1))", "truncated(density=induced(schedule=edm),min=100,max=200)", "tilted(weight=elbo(density=induced(schedule=edmm)))",
	} {
		if d, err := ParseDensity(name); err == nil {
			t.Errorf("ParseDensity(%q) = %v: expected an error", name, d)
		} else if !strings.HasPrefix(err.Error(), "schedules: ") {
			t.Errorf("ParseDensity(%q): %q does not start with the package", name, err)
		}
	}
	for _, name := range []string{"density(of=laplace(b=-1))", "density(of=laplace,path=ve)", "density(of=bins(edges=[0,1],mass=[0.4]))"} {
		if s, err := Parse(name); err == nil {
			t.Errorf("Parse(%q) = %v: expected an error", name, s)
		}
	}
	err := Induced{bent{Cosine{Min: -15, Max: 15}}}.Validate()
	if err == nil || !strings.Contains(err.Error(), "between t = 0.5") {
		t.Errorf("a schedule that turns at t = 0.5: %v", err)
	}
}

// bent is a schedule on which λ rises again after t = 0.5.
type bent struct{ Schedule }

func (bent) At(t float64) Level {
	return LevelAt(Cosine{Min: -15, Max: 15}, snr.LogSNR(4*math.Abs(t-0.5)))
}

func TestRecipes_Property(t *testing.T) {
	for _, e := range Recipes().Entries {
		r, err := ParseRecipe(e.Name)
		if err != nil || r.String() != e.Name {
			t.Errorf("recipe %s comes back as %s, %v", e.Name, r, err)
		}
	}
	r, err := ParseRecipe("ddpm(weight=min-snr)")
	if err != nil || r.String() != "ddpm(weight=min-snr)" {
		t.Errorf("a changed recipe comes back as %s, %v", r, err)
	}
	w, err := ParseWeight("elbo(density=induced(schedule=rf))")
	if err != nil || w.String() != "elbo(density=induced(schedule=rf))" {
		t.Errorf("a weight of a schedule comes back as %v, %v", w, err)
	}
}

func ExampleFromDensity() {
	s, err := Parse("density(of=truncated(density=laplace(b=0.75),min=-15,max=15),path=vp)")
	if err != nil {
		panic(err)
	}
	for _, t := range []float64{0, 0.1, 0.5, 1} {
		fmt.Printf("t = %-3g λ = %.3f\n", t, float64(s.At(t).LogSNR()))
	}
	// Output:
	// t = 0   λ = 15.000
	// t = 0.1 λ = 1.207
	// t = 0.5 λ = 0.000
	// t = 1   λ = -15.000
}
