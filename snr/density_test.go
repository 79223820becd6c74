package snr

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"snrlab/internal/integral"
	"snrlab/rng"
)

// densities are the registered ones and variants that run other code.
func densities(t testing.TB) map[string]Density {
	t.Helper()
	file := filepath.Join(t.TempDir(), "levels.txt")
	levels := make([]LogSNR, 500)
	Draw(Cosine{Mu: 1, S: 1}, rng.New(5), levels)
	text := ""
	for _, l := range levels {
		text += fmt.Sprintf("%.17g\n", float64(l))
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	list := map[string]Density{}
	for _, e := range Densities().Entries {
		if e.Name != "empirical" {
			list[e.Name] = e.Default
		}
	}
	for _, name := range []string{
		"log-normal(pmean=0.4,pstd=1)", "logit-normal(m=-0.5,s=0.6)", "mode(s=-0.9)", "mode(s=0)", "mode(s=1.7)", "cosine(mu=1.5,s=2)", "laplace(mu=-2,b=3)",
		"cauchy(mu=2,g=3)", "rf(shift=3)", "truncated(density=cauchy,min=-8,max=1)", "truncated(density=log-normal,min=9,max=20)", "truncated(density=laplace,min=-Inf,max=-3)",
		"mixture(a=laplace(mu=-3,b=0.2),b=cauchy,share=0.3)", "mixture(a=uniform(min=-9,max=-8),b=uniform(min=2,max=3))",
		"tilted(density=log-normal,weight=uniform(unit=edm),unit=eps)", "tilted(density=laplace,weight=min-snr,unit=v)", "tilted(density=cauchy,weight=p2,unit=x0)", "tilted(density=uniform,weight=uniform(unit=v),unit=eps)",
		"bins(edges=[-4,-1,0,5],mass=[0.25,0,0.75])", "log-linear(knots=[-5,-1,2,7],log=[0,3,3,-2])", "empirical(bins=20,file=" + file + ")",
	} {
		d, err := ParseDensity(name)
		if err != nil {
			t.Fatal(err)
		}
		list[name] = d
	}
	return list
}

func TestDensity_Property(t *testing.T) {
	for name, d := range densities(t) {
		t.Run(name, func(t *testing.T) {
			if err := CheckDensity(d); err != nil {
				t.Fatal(err)
			}
			// The integral over λ = centre + sinh x, independent of CDF and Quantile.
			centre := float64(d.Quantile(0.5, 0.5))
			noisy, clean := Support(d)
			lo, hi := max(math.Asinh(float64(noisy)-centre), -60), min(math.Asinh(float64(clean)-centre), 60)
			total := integral.Of(func(x float64) float64 {
				return PDF(d, LogSNR(centre+math.Sinh(x))) * math.Cosh(x)
			}, lo, hi, 1e-12)
			if math.Abs(total-1) > 1e-8 {
				t.Errorf("integral %.12g, expected 1", total)
			}
			if l := d.Quantile(0, 1); l != noisy || PDF(d, l-1) != 0 && !math.IsInf(float64(l), -1) {
				t.Errorf("noisy end %g with density %g beyond", float64(l), PDF(d, l-1))
			}
			for i := range 399 {
				u := float64(i+1) / 400
				if i < 20 {
					u = math.Pow(10, float64(-i-3)) // the tails
				}
				for _, p := range [][2]float64{{u, 1 - u}, {1 - u, u}} {
					l := d.Quantile(p[0], p[1])
					if below, above := d.CDF(l); math.Abs(below-p[0]) > 1e-10 || math.Abs(above-p[1]) > 1e-10 || math.Abs(below+above-1) > 1e-13 {
						t.Fatalf("CDF(Quantile(%g, %g)) = %.17g, %.17g at λ = %g", p[0], p[1], below, above, float64(l))
					}
					// Back to λ: that is as good as the probability over the density.
					back := d.Quantile(d.CDF(l))
					if slack := 1e-10 + 1e-10*math.Abs(float64(l)) + 1e-15/PDF(d, l); math.Abs(float64(back-l)) > slack && PDF(d, l) > 0 {
						t.Fatalf("Quantile(CDF(%.17g)) = %.17g", float64(l), float64(back))
					}
					// Small probabilities keep their own digits. (What is cut or summed up does so to 1e-14 of one.)
					small, got := min(p[0], p[1]), min(first(d.CDF(l)), second(d.CDF(l)))
					if math.Abs(got-small) > 1e-9*small+1e-14 {
						t.Fatalf("probability %g comes back as %g", small, got)
					}
				}
			}
		})
	}
}

func first(a, _ float64) float64  { return a }
func second(_, b float64) float64 { return b }

// The density is the derivative of the CDF, away from kinks.
func TestDensity_AgreesWith_Difference(t *testing.T) {
	for name, d := range densities(t) {
		bad, n := 0, 0
		for i := range 199 {
			u := float64(i+1) / 200
			l := d.Quantile(u, 1-u)
			p := PDF(d, l)
			if p == 0 {
				continue
			}
			h := LogSNR(1e-4 / p)
			f := func(x LogSNR) float64 { below, _ := d.CDF(x); return below }
			got := (8*(f(l+h)-f(l-h)) - (f(l+2*h) - f(l-2*h))) / float64(12*h)
			n++
			if math.Abs(got-p) > 1e-6*p {
				bad++
			}
		}
		// A kink spoils the differences of at most a neighbour or two.
		if kinks := map[string]int{"empirical": 40, "bins(edge": 8, "log-linea": 8}; bad > 5+kinks[name[:min(9, len(name))]] {
			t.Errorf("%s: %d of %d densities are not the derivative of the CDF to 1e-6", name, bad, n)
		}
	}
}

// The densities as the papers print them.
func TestDensity_Golden(t *testing.T) {
	sech := func(x float64) float64 { return 1 / math.Cosh(x) }
	for _, l := range []float64{-9, -2, -0.3, 0, 0.7, 3, 11} {
		for _, c := range []struct {
			d    Density
			want float64
		}{
			{Cosine{S: 1}, sech(l/2) / (2 * math.Pi)},
			{Cosine{Mu: 2, S: 1}, sech((l-2)/2) / (2 * math.Pi)},
			{Cosine{S: 3}, 3 * sech(3*l/2) / (2 * math.Pi)},
			{CosMap{}, sech(l/2) / (2 * math.Pi)},
			{Laplace{Mu: 1, B: 0.5}, math.Exp(-math.Abs(l-1)/0.5) / (2 * 0.5)},
			{Cauchy{Mu: 1, G: 2}, 2 / ((l-1)*(l-1) + 4) / math.Pi},
			{LogNormal{-1.2, 1.2}, distuv.Normal{Mu: 2.4, Sigma: 2.4}.Prob(l)},
			{LogitNormal{0, 1}, distuv.Normal{Mu: 0, Sigma: 2}.Prob(l)},
			{RF{1}, sech(l/4) * sech(l/4) / 8},
			{Mode{0}, sech(l/4) * sech(l/4) / 8},
		} {
			// A handful of exponentials.
			if got := PDF(c.d, LogSNR(l)); math.Abs(got/c.want-1) > 1e-12 {
				t.Errorf("%s: p(%g) = %.17g, expected %.17g", c.d, l, got, c.want)
			}
		}
	}
	// Quantiles at time t as the papers print them.
	for _, tm := range []float64{1e-6, 0.1, 0.5, 0.83, 0.999} {
		for _, c := range []struct {
			d    Density
			want float64
		}{
			{Cosine{S: 1}, -2 * math.Log(math.Tan(math.Pi*tm/2))},
			{Cosine{Mu: 1, S: 1}, 1 - 2*math.Log(math.Tan(math.Pi*tm/2))},
			{Cosine{S: 2}, -2. / 2 * math.Log(math.Tan(math.Pi*tm/2))},
			{Laplace{B: 0.5}, -0.5 * math.Copysign(1, 0.5-tm) * math.Log(1-2*math.Abs(tm-0.5))},
			{Cauchy{G: 2}, 2 * math.Tan(math.Pi/2*(1-2*tm))},
			{RF{1}, 2 * math.Log((1-tm)/tm)},
		} {
			// The printed forms cancel: 1e-16 over 1e-6.
			if got := float64(c.d.Quantile(1-tm, tm)); math.Abs(got-c.want) > 1e-9*(1+math.Abs(c.want)) {
				t.Errorf("%s: λ(%g) = %.17g, expected %.17g", c.d, tm, got, c.want)
			}
		}
	}
	// Mode and cosmap as SD3 prints them, in u and t.
	for _, u := range []float64{0.01, 0.3, 0.5, 0.8} {
		s := 1.29
		c := math.Cos(math.Pi / 2 * u)
		tm := 1 - u - s*(c*c-1+u)
		if got := float64(Mode{s}.Quantile(u, 1-u)); math.Abs(got-2*math.Log((1-tm)/tm)) > 1e-12 {
			t.Errorf("mode: u = %g gives λ = %.17g, t = %g", u, got, tm)
		}
		tm = 1 - 1/(math.Tan(math.Pi/2*u)+1)
		if got := float64(CosMap{}.Quantile(1-u, u)); math.Abs(got-2*math.Log((1-tm)/tm)) > 1e-12 {
			t.Errorf("cosmap: u = %g gives λ = %.17g, t = %g", u, got, tm)
		}
		l := 2 * math.Log((1-u)/u) // t = u; dt/dλ = t(1 − t)/2
		if got, want := PDF(CosMap{}, LogSNR(l)), 2/(math.Pi-2*math.Pi*u+2*math.Pi*u*u)*u*(1-u)/2; math.Abs(got/want-1) > 1e-12 {
			t.Errorf("cosmap: p(t = %g) is %.17g, expected %.17g", u, got, want)
		}
	}
	// Laplace's own time 0.99 is far from the end of the cosine's.
	if a, b := float64(Laplace{B: 0.5}.Quantile(0.01, 0.99)), float64(Cosine{S: 1}.Quantile(0.01, 0.99)); math.Abs(a+1.96) > 0.005 || math.Abs(b+8.30) > 0.01 {
		t.Errorf("λ(0.99) is %g and %g, published −1.96 and −8.30", a, b)
	}
}

// Draws are accepted by a binned χ² test and by Kolmogorov and Smirnov's, at fixed keys.
func TestDraw_Property(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 10_000
	}
	for name, d := range densities(t) {
		n := n
		if _, slow := d.(*Tilted); slow {
			n /= 20 // its quantile is an integral solved for
		}
		x := make([]LogSNR, n)
		Draw(d, rng.New(11), x)
		counts := make([]float64, 50)
		u := make([]float64, n)
		for i, l := range x {
			below, _ := d.CDF(l)
			u[i] = below
			counts[min(int(below*50), 49)]++
		}
		chi2 := 0.0
		for _, c := range counts {
			e := float64(n) / 50
			chi2 += (c - e) * (c - e) / e
		}
		slices.Sort(u)
		ks := 0.0
		for i, v := range u {
			ks = max(ks, v-float64(i)/float64(n), float64(i+1)/float64(n)-v)
		}
		// At the level 1e-4: a fixed key fails a right density with that chance.
		if limit := (distuv.ChiSquared{K: 49}).Quantile(1 - 1e-4); chi2 > limit {
			t.Errorf("%s: χ² = %g over 50 bins, allowed %g", name, chi2, limit)
		}
		// At the same level, which for a million draws is 2.2e-3: published checks ask for 2e-3.
		limit := math.Sqrt(math.Log(2e4)/2) / math.Sqrt(float64(n))
		if n == 1_000_000 {
			limit = 2e-3
		}
		if ks > limit {
			t.Errorf("%s: Kolmogorov distance %g, allowed %g", name, ks, limit)
		}
	}
}

// The χ² and Kolmogorov tests above go through the CDF; here draws meet the density.
func TestDraw_AgreesWith_PDF(t *testing.T) {
	for name, d := range densities(t) {
		n := 50_000
		if _, slow := d.(*Tilted); slow {
			n /= 20
		}
		x := make([]LogSNR, n)
		Draw(d, rng.New(12), x)
		lo, hi := float64(d.Quantile(0.05, 0.95)), float64(d.Quantile(0.95, 0.05))
		const bins = 20
		counts := make([]float64, bins)
		for _, l := range x {
			if i := int(math.Floor((float64(l) - lo) / (hi - lo) * bins)); i >= 0 && i < bins {
				counts[i]++
			}
		}
		chi2 := 0.0
		used := 0.0
		for i, c := range counts {
			a := lo + (hi-lo)*float64(i)/bins
			e := float64(n) * integral.Of(func(x float64) float64 { return PDF(d, LogSNR(x)) }, a, a+(hi-lo)/bins, 1e-12)
			if e < 5 {
				continue
			}
			used++
			chi2 += (c - e) * (c - e) / (e * (1 - e/float64(n)))
		}
		if limit := (distuv.ChiSquared{K: used}).Quantile(1 - 1e-4); chi2 > limit {
			t.Errorf("%s: χ² = %g over %g bins, allowed %g", name, chi2, used, limit)
		}
	}
}

func TestStratified_Property(t *testing.T) {
	d := Cosine{Mu: 0.5, S: 1}
	x := make([]LogSNR, 64)
	Stratified(d, rng.New(3), x)
	cells := make([]int, 64)
	for _, l := range x {
		_, above := d.CDF(l)
		cells[min(int(above*64), 63)]++
	}
	for i, c := range cells {
		if c != 1 {
			t.Errorf("cell %d of the times holds %d levels, expected one", i, c)
		}
	}
	// Over keys the first level is a draw like any other.
	u := make([]float64, 4000)
	for i := range u {
		Stratified(d, rng.New(uint64(i)), x[:3])
		_, u[i] = d.CDF(x[1])
	}
	slices.Sort(u)
	for i, v := range u {
		if math.Abs(v-float64(i)/4000) > math.Sqrt(math.Log(2e4)/2)/math.Sqrt(4000) {
			t.Fatalf("the second level of a batch is no draw: %g at rank %d of 4000", v, i)
		}
	}
}

func TestParseDensity_Property(t *testing.T) {
	for name, d := range densities(t) {
		again, err := ParseDensity(d.String())
		if err != nil || again.String() != d.String() {
			t.Errorf("%s prints as %s and comes back as %v, %v", name, d, again, err)
		}
		if _, ok := Densities().Entries[0].Default.(LogNormal); !ok || reflect.TypeOf(again) != reflect.TypeOf(d) {
			t.Errorf("%s comes back as a %T, was a %T", name, again, d)
		}
	}
	for _, e := range Densities().Entries {
		if e.Default.String() != e.Name {
			t.Errorf("the default %s prints as %s", e.Name, e.Default)
		}
	}
}

func TestDensity_Refuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(empty, []byte("1 2 three"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"uniform(min=3,max=-3)", "uniform(min=-Inf)", "laplace(b=0)", "cauchy(g=-1)", "cosine(s=0)", "log-normal(pstd=0)", "logit-normal(s=+Inf)", "rf(shift=0)",
		"mode(s=1.8)", "mode(s=-1)", "truncated(min=4,max=2)", "truncated(density=uniform,min=20,max=30)", "mixture(share=1)", "mixture(a=laplace(b=-1))",
		"bins(edges=[0,1],mass=[0.9])", "bins(edges=[1,0],mass=[1])", "bins(edges=[0,1,2],mass=[1])", "bins(edges=[0,1,2],mass=[2,-1])",
		"log-linear(knots=[0,0],log=[1,1])", "log-linear(knots=[0,1],log=[1])", "empirical", "empirical(file=" + empty + ")", "empirical(file=/nowhere)",
		"tilted(density=cosine,weight=power(exponent=2))", "tilted(density=cauchy,weight=power(exponent=1.5))", "gauss", "",
	} {
		if d, err := ParseDensity(name); err == nil {
			t.Errorf("ParseDensity(%q) = %v: expected an error", name, d)
		} else if err.Error()[:5] != "snr: " {
			t.Errorf("ParseDensity(%q): %q does not start with the package", name, err)
		}
	}
	if err := CheckDensity(scaled{Cosine{S: 1}}); err == nil {
		t.Error("a density with the integral 1.1 was accepted")
	}
	if err := CheckDensity(wrong{Cosine{S: 1}}); err == nil {
		t.Error("a CDF of another density was accepted")
	}
	if err := CheckDensity(nil); err == nil {
		t.Error("no density was accepted")
	}
}

type scaled struct{ Cosine }

func (d scaled) LogPDF(l LogSNR) float64 { return d.Cosine.LogPDF(l) + math.Log(1.1) }

type wrong struct{ Cosine }

func (d wrong) LogPDF(l LogSNR) float64 { return Cosine{Mu: 0.1, S: 1}.LogPDF(l) }

func ExampleParseDensity() {
	d, err := ParseDensity("laplace(b=0.5)")
	if err != nil {
		panic(err)
	}
	below, above := d.CDF(1)
	fmt.Printf("p(1) = %.4f, P(λ ≤ 1) = %.4f, λ at t = 0.9: %.4f\n", PDF(d, 1), below, float64(d.Quantile(0.1, 0.9)))
	batch := make([]LogSNR, 4)
	Stratified(d, rng.New(1), batch)
	fmt.Printf("one level in each quarter of the times, beyond λ = 1 in %.1f %%\n", 100*above)
	// Output:
	// p(1) = 0.1353, P(λ ≤ 1) = 0.9323, λ at t = 0.9: -0.8047
	// one level in each quarter of the times, beyond λ = 1 in 6.8 %
}
