package schedules

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"snrlab/snr"
)

// inside returns ends inside those of a schedule, which may be infinite.
func inside(s Schedule) (smin, smax float64) {
	lo, hi := s.TimeOf(15), s.TimeOf(-9)
	clean, noisy := s.Domain()
	return s.At(max(lo, clean)).Noise(), s.At(min(hi, noisy)).Noise()
}

// wide reports a schedule of more than almost one level.
func wide(s Schedule) bool {
	smin, smax := inside(s)
	return smax > 1.5*smin
}

// Every spacing on every kind of schedule: n steps, the ends as they are, noise
// that falls.
func TestSpacing_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := schedule().Filter(wide).Draw(t, "s")
		last := rapid.SampledFrom([]Last{LastMin, LastZero}).Draw(t, "last")
		n := rapid.IntRange(1, 40).Draw(t, "n")
		rho := rapid.Float64Range(1, 9).Draw(t, "rho")
		smin, smax := inside(s)
		for _, k := range []Spacing{
			Karras{rho, smin, smax, last},
			UniformLambda{smin, smax, last},
			Polyexponential{rho / 3, smin, smax, last},
			UniformT{SMin: smin, SMax: smax, Last: last},
			Quadratic{SMin: smin, SMax: smax, Last: last},
			TimeUniform{1, 1e-3, smin, smax, last},
			UniformT{Last: last},
		} {
			g, err := k.Grid(s, n)
			if _, picky := k.(TimeUniform); picky && err != nil && strings.Contains(err.Error(), "rising noise") {
				continue
			}
			if err != nil {
				t.Fatalf("%s on %s, %d steps: %v", k, s, n, err)
			}
			if g.Steps() != n {
				t.Fatalf("%s on %s: %d steps, expected %d", k, s, g.Steps(), n)
			}
			if err := g.Validate(); err != nil {
				t.Fatal(err)
			}
			least, most := smin, smax
			if k == (UniformT{Last: last}) {
				clean, noisy := s.Domain()
				least, most = s.At(clean).Noise(), s.At(noisy).Noise()
			}
			end := g[n]
			if last == LastZero {
				if end.Sigma != 0 {
					t.Fatalf("%s on %s ends at %+v: expected σ = 0", k, s, end)
				}
				end = g[n-1]
				if n == 1 || least == 0 {
					end = Level{Alpha: 1, Sigma: least}
				}
			}
			// The ends are assigned: only the division by α rounds.
			if a, b := g[0].Noise(), end.Noise(); !(a == most || math.Abs(a-most) <= 4*eps*most) || math.Abs(b-least) > 4*eps*least {
				t.Fatalf("%s on %s goes from %.17g to %.17g: expected %.17g to %.17g", k, s, a, b, most, least)
			}
			for i, l := range g {
				if i == n && l.Sigma == 0 {
					break // a level that no time may have
				}
				if at := s.At(l.T); math.Abs(float64(at.LogSNR()-l.LogSNR())) > 1e-9*(1+math.Abs(float64(l.LogSNR())))+64*eps*math.Abs(Rate(s, l.T)) {
					t.Fatalf("%s on %s: level %d has λ = %g, its time %g", k, s, i, float64(l.LogSNR()), float64(at.LogSNR()))
				}
			}
		}
	})
}

// Spacings in σ/α or λ do not know the path, nor how time is counted.
func TestSpacing_Invariant(t *testing.T) {
	ends := "smin=0.05,smax=9"
	for _, spacing := range []string{"karras(" + ends + ")", "karras(rho=1," + ends + ")", "uniform-lambda(" + ends + ",last=zero)", "polyexponential(rho=2," + ends + ")", "time-uniform(" + ends + ",last=zero)"} {
		want := mustGrid(t, "edm", spacing, 7).Noises()
		for _, schedule := range []string{"ve", "vp-linear", "subvp", "rf(shift=3)", "cosine", "chen-sigmoid", "beta", "beta(kind=linear,T=777)", "on-path(path=scale(power=0.5),schedule=edm)", "shift(by=1,schedule=vp-linear)"} {
			for i, s := range mustGrid(t, schedule, spacing, 7).Noises() {
				// Roots and powers of the ends, which are rounded once.
				if math.Abs(s-want[i]) > 2e-14*want[i] {
					t.Errorf("%s on %s: σ/α %d is %.17g, on edm %.17g", spacing, schedule, i, s, want[i])
				}
			}
		}
	}
}

// Twice the steps keep every level.
func TestSpacing_Invariant_Nested(t *testing.T) {
	for _, spacing := range []string{"karras", "uniform-lambda", "arctan-log", "arctan-log(k=0)", "polyexponential(rho=3)", "uniform-t", "quadratic", "time-uniform"} {
		for _, schedule := range []string{"edm", "cosine", "beta"} {
			coarse, fine := mustGrid(t, schedule, spacing, 9), mustGrid(t, schedule, spacing, 18)
			for i, l := range coarse {
				if f := fine[2*i]; math.Abs(float64(f.LogSNR()-l.LogSNR())) > 1e-13*(10+math.Abs(float64(l.LogSNR()))) {
					t.Errorf("%s on %s: level %d has λ = %.17g, with twice the steps %.17g", spacing, schedule, i, float64(l.LogSNR()), float64(f.LogSNR()))
				}
			}
		}
	}
}

func TestLast_Limit(t *testing.T) {
	one := mustGrid(t, "edm", "karras(last=zero)", 1)
	if one[0].Sigma != 80 || one[1] != (Level{T: 0, Alpha: 1, Sigma: 0}) {
		t.Errorf("one step to zero: %v", one)
	}
	if one = mustGrid(t, "edm", "karras", 1); one[0].Sigma != 80 || one[1].Sigma != 0.002 {
		t.Errorf("one step to smin: %v", one)
	}
	// Where the clean end is σ = 0 the two choices are one.
	a, b := mustGrid(t, "rf", "uniform-t", 5), mustGrid(t, "rf", "uniform-t(last=zero)", 5)
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("rf: level %d is %+v with last=min, %+v with last=zero", i, a[i], b[i])
		}
	}
	if a[0].Alpha != 0 || a[5].Sigma != 0 {
		t.Errorf("rf goes from %+v to %+v: expected both ends of the line", a[0], a[5])
	}
	// A table has no time for σ = 0.
	if g := mustGrid(t, "beta(zerosnr=true)", "trailing", 4); g[0].Alpha != 0 || g[0].T != 999 || !math.IsNaN(g[4].T) || g[4].Sigma != 0 || g[4].Alpha != 1 {
		t.Errorf("trailing on zero terminal SNR: %v", g)
	}
	if g := mustGrid(t, "beta", "linspace(last=min)", 999); g[0].T != 999 || g[999].T != 0 || g[500].T != 499 {
		t.Errorf("linspace over the whole table visits %g, %g, %g", g[0].T, g[500].T, g[999].T)
	}
	if g := mustGrid(t, "beta", "leading(offset=1,last=min)", 10); g[0].T != 901 || g[9].T != 1 || g[10].T != 0 {
		t.Errorf("leading with an offset: %v", g)
	}
	if g := mustGrid(t, "shift(by=-1,schedule=beta(T=10))", "trailing", 10); g[0].T != 9 || g[9].T != 0 {
		t.Errorf("every entry of a shifted table: %v", g)
	}
}

func TestList_Limit(t *testing.T) {
	g := mustGrid(t, "rf", "list(sigmas=[+Inf,10,1,0])", 3)
	if g[0] != (Level{T: 1, Alpha: 0, Sigma: 1}) || g[2] != (Level{T: 0.5, Alpha: 0.5, Sigma: 0.5}) || g[3] != (Level{T: 0, Alpha: 1, Sigma: 0}) {
		t.Errorf("list of σ/α: %v", g)
	}
	g = mustGrid(t, "rf", "list(lambdas=[-Inf,0,+Inf])", 2)
	if g[0].Alpha != 0 || g[1] != (Level{T: 0.5, Alpha: 0.5, Sigma: 0.5}) || g[2].Sigma != 0 {
		t.Errorf("list of λ: %v", g)
	}
	g = mustGrid(t, "beta", "list(times=[999,10,3])", 2)
	if s := mustParse(t, "beta"); g[1] != s.At(10) {
		t.Errorf("list of times: %v", g)
	}
}

func TestSpacing_Refuses(t *testing.T) {
	for _, c := range []struct {
		spacing, schedule string
		n                 int
		says              string
	}{
		{"karras", "edm", 0, "0 steps"},
		{"uniform-t", "rf", -3, "-3 steps"},
		{"trailing", "beta", 0, "0 steps"},
		{"karras", "rf", 5, "give smax"},
		{"karras", "beta(zerosnr=true)", 5, "give smax"},
		{"uniform-lambda", "vp-linear", 5, "give smin"},
		{"uniform-lambda(smin=0.01)", "rf", 5, "give smax"},
		{"time-uniform", "vp-linear", 5, "give smin"},
		{"karras(smin=0.001)", "edm", 5, "outside"},
		{"karras(smin=-1)", "edm", 5, "outside"},
		{"karras(smax=81)", "edm", 5, "outside"},
		{"karras(smax=+Inf)", "rf", 5, "outside"},
		{"karras(smin=3,smax=2)", "edm", 5, "smax > smin"},
		{"karras(smin=2,smax=2)", "edm", 5, "smax > smin"},
		{"uniform-t(tmin=0.1,smin=0.1)", "rf", 5, "choose one"},
		{"uniform-t(tmin=1.5)", "rf", 5, "outside"},
		{"quadratic(tmin=0.5,tmax=0.4)", "rf", 5, "tmax > tmin"},
		{"time-uniform(smin=0.1,smax=1)", "edm", 5, "larger eps"},
		{"leading", "vp-linear", 5, "discrete"},
		{"linspace", "edm", 5, "discrete"},
		{"trailing", "on-path(path=rf,schedule=edm)", 5, "discrete"},
		{"trailing", "beta(T=10)", 11, "fewer"},
		{"linspace(last=min)", "beta(T=10)", 10, "fewer"},
		{"leading(offset=200)", "beta", 5, "smaller offset"},
		{"leading(last=min)", "beta", 5, "last=zero"},
		{"list(sigmas=[3,2,1])", "edm", 3, "never altered"},
		{"list(sigmas=[1,2])", "edm", 1, "strictly fall"},
		{"list(sigmas=[2,-1])", "edm", 1, "≥ 0"},
		{"list(lambdas=[-Inf,0])", "edm", 1, "expected finite"},
		{"list(times=[2,0])", "rf", 1, "level 0"},
		{"list(sigmas=[1])", "edm", 0, "at least 2"},
		{"list(sigmas=[2,1],times=[1,0])", "rf", 1, "2 ways"},
		{"list", "rf", 1, "0 ways"},
		{"karras(rho=0)", "edm", 5, "rho"},
		{"arctan-log(c=0)", "edm", 5, "c = 0"},
		{"free-start(total=0)", "edm", 5, "total = 0"},
		{"free-start(total=1e-9)", "edm", 3, "larger total"},
		{"free-start(smax=10)", "rf", 5, "give smin"},
		{"arctan-log(k=-1)", "edm", 5, "k = -1"},
		{"arctan-log", "rf", 5, "give smax"},
		{"polyexponential(rho=-1)", "edm", 5, "rho"},
		{"time-uniform(eps=1)", "edm", 5, "eps"},
		{"leading(offset=-1)", "beta", 5, "offset"},
		{"karras(last=max)", "edm", 5, `"min"`},
		{"karras(foo=1)", "edm", 5, "foo"},
		{"kerras", "edm", 5, `"karras"`},
	} {
		s := mustParse(t, c.schedule)
		k, err := ParseSpacing(c.spacing)
		var g Grid
		if err == nil {
			g, err = k.Grid(s, c.n)
		}
		switch {
		case err == nil:
			t.Errorf("%s on %s in %d steps: %v, expected an error", c.spacing, c.schedule, c.n, g)
		case !strings.Contains(err.Error(), c.says):
			t.Errorf("%s on %s in %d steps: %q does not say %q", c.spacing, c.schedule, c.n, err, c.says)
		}
	}
	if _, err := (Karras{Rho: 7}).Grid(EDM{}, 5); err == nil {
		t.Error("karras on an invalid schedule: expected an error")
	}
	if _, err := (Karras{Rho: 7}).Grid(nil, 5); err == nil {
		t.Error("karras on no schedule: expected an error")
	}
	if _, err := (Karras{Rho: math.NaN()}).Grid(EDM{0.1, 1}, 5); err == nil {
		t.Error("karras with rho = NaN: expected an error")
	}
	if _, err := (Karras{Rho: 7, SMin: math.NaN()}).Grid(EDM{0.1, 1}, 5); err == nil {
		t.Error("karras with smin = NaN: expected an error")
	}
	if _, err := (Trailing{Last: 9}).Grid(Beta{T: 9}, 5); err == nil {
		t.Error("a last level that is none: expected an error")
	}
	// So many steps that neighbours round to one level.
	if _, err := (UniformT{TMin: 1 - 0x1p-50}).Grid(RF{1}, 100); err == nil {
		t.Error("steps below rounding: expected an error")
	}
}

// JSON carries a level through, its missing time included.
func TestLevel_Property_JSON(t *testing.T) {
	g := mustGrid(t, "beta", "trailing", 3)
	text, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	var back Grid
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	for i, l := range g {
		if b := back[i]; b != l && !(math.IsNaN(l.T) && math.IsNaN(b.T) && b.Alpha == l.Alpha && b.Sigma == l.Sigma) {
			t.Errorf("level %d: %+v came back as %+v", i, l, b)
		}
	}
	var l Last
	if text, err := json.Marshal(Karras{Rho: 7, Last: LastZero}); err != nil || !strings.Contains(string(text), `"last":"zero"`) {
		t.Errorf("a spacing as JSON: %s, %v", text, err)
	}
	if err := json.Unmarshal([]byte(`"never"`), &l); err == nil {
		t.Error(`last = "never" was read: expected an error`)
	}
}

func TestGrid_Limit(t *testing.T) {
	g := mustGrid(t, "rf", "uniform-t", 2)
	if l := g.LogSNRs(); len(l) != 3 || !math.IsInf(float64(l[0]), -1) || l[1] != 0 || !math.IsInf(float64(l[2]), 1) {
		t.Errorf("λ of %v", l)
	}
	if s := g.Noises(); !math.IsInf(s[0], 1) || s[1] != 1 || s[2] != 0 {
		t.Errorf("σ/α of %v", s)
	}
	for _, row := range g.Rows() {
		if len(row) != len(GridColumns) {
			t.Errorf("row %v has not the columns %v", row, GridColumns)
		}
	}
}

func TestGrid_Refuses(t *testing.T) {
	ok := Level{T: 1, Alpha: 1, Sigma: 2}
	for _, g := range []Grid{nil, {ok}, {ok, ok}, {ok, {Alpha: 1, Sigma: 3}}, {ok, {Alpha: -1, Sigma: 0}}, {{Sigma: math.NaN()}, ok}, {ok, {}}, {{Alpha: 0, Sigma: math.Inf(1)}, ok}} {
		if g.Validate() == nil {
			t.Errorf("grid %v is valid: expected an error", []Level(g))
		}
	}
}

func TestLevelAt_AgreesWith_At(t *testing.T) {
	for _, e := range Registry().Entries {
		s := e.Default
		clean, noisy := s.Domain()
		for _, u := range []float64{0, 0.01, 0.4, 0.99, 1} {
			want := s.At(clean + u*(noisy-clean))
			got := LevelAt(s, want.LogSNR())
			// λ, α and σ are each rounded; t by that over the slope.
			if math.Abs(got.Alpha-want.Alpha) > 1e-13*want.Alpha || math.Abs(got.Sigma-want.Sigma) > 1e-13*want.Sigma || math.Abs(got.T-want.T) > 1e-12*noisy {
				t.Errorf("%s: at λ = %g %+v, expected %+v", s, float64(want.LogSNR()), got, want)
			}
		}
	}
	if l := LevelAt(EDM{0.002, 80}, snr.FromSigma(3)); math.Abs(l.Sigma-3) > 4*eps*3 {
		t.Errorf("edm at σ = 3: %+v", l)
	}
}

func ExampleParseSpacing() {
	schedule, _ := Parse("edm")
	spacing, err := ParseSpacing("karras(rho=7,last=zero)")
	if err != nil {
		panic(err)
	}
	grid, err := spacing.Grid(schedule, 4)
	if err != nil {
		panic(err)
	}
	fmt.Print(grid)
	// Output:
	// level             t         alpha         sigma   sigma/alpha        lambda
	//     0            80             1            80            80      -8.76405
	//     1        9.7232             1        9.7232        9.7232      -4.54903
	//     2      0.469979             1      0.469979      0.469979       1.51013
	//     3         0.002             1         0.002         0.002       12.4292
	//     4             0             1             0             0          +Inf
}

// A(ŝ) is uniform, to the rounding of its values; k = 0 has a closed form and a
// large k is uniform in λ.
func TestArctanLog_Property(t *testing.T) {
	for _, k := range []ArctanLog{{C: 0.22, K: 0.05}, {C: 4, K: 1e-6}, {C: 1e-4, K: 3}, {C: 0.257}} {
		g, err := k.Grid(EDM{SMin: 0.002, SMax: 80}, 12)
		if err != nil {
			t.Fatal(err)
		}
		value := func(s float64) float64 { return math.Atan(s/math.Sqrt(k.C)) + k.K*math.Log(s) }
		for i, l := range g {
			want := value(80) + float64(i)/12*(value(0.002)-value(80))
			// Near 80 the arctan is flat, so the level is only as good as its
			// value's rounding allows; the value itself is exact to that.
			if got := value(l.Noise()); math.Abs(got-want) > 1e-14*(1+25*k.K) {
				t.Errorf("%v: level %d has A = %.17g, uniform is %.17g", k, i, got, want)
			}
		}
	}
	wide, _ := ArctanLog{C: 0.25, K: 1e9}.Grid(EDM{SMin: 0.002, SMax: 80}, 6)
	even, _ := UniformLambda{}.Grid(EDM{SMin: 0.002, SMax: 80}, 6)
	for i := range even {
		if math.Abs(wide[i].Sigma/even[i].Sigma-1) > 1e-7 { // the arctan is 1e-9 of the whole
			t.Errorf("k = 1e9: level %d is %g, uniform in λ %g", i, wide[i].Sigma, even[i].Sigma)
		}
	}
}

// With asked = n − 1 steps after the first, the levels are uniform in
// arctan(ŝ/√(T/10)) + log ŝ/(5 asked) from the ŝ where 1/ŝ = 4/(√T asked) + 1/80.
func TestFreeStart_Values(t *testing.T) {
	const total, asked = 0.5, 5
	g := mustGrid(t, "edm", "free-start(total=0.5)", asked+1).Noises()
	if first := 1 / (4/(math.Sqrt(total)*asked) + 1./80); math.Abs(g[1]-first) > 1e-14 {
		t.Errorf("the first step goes to %g, expected %g", g[1], first)
	}
	if g[0] != 80 || g[asked+1] != 0.002 {
		t.Errorf("ends %g and %g, expected 80 and 0.002", g[0], g[asked+1])
	}
	place := func(s float64) float64 { return math.Atan(s/math.Sqrt(total/10)) + math.Log(s)/(5*asked) }
	a, b := place(g[1]), place(0.002)
	for i := range asked {
		if want := a + (b-a)*float64(i)/asked; math.Abs(place(g[i+1])-want) > 1e-13 {
			t.Errorf("level %d is at %.15g, expected %.15g", i+1, place(g[i+1]), want)
		}
	}
	if one := mustGrid(t, "edm", "free-start", 1).Noises(); len(one) != 2 || one[0] != 80 || one[1] != 0.002 {
		t.Errorf("one step goes through %v, expected 80 and 0.002", one)
	}
}
