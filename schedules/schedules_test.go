package schedules

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"snrlab/snr"
)

const eps = 0x1p-52

// schedule draws a schedule of every kind, parameters included.
func schedule() *rapid.Generator[Schedule] {
	return rapid.Custom(func(t *rapid.T) Schedule {
		f := func(name string, lo, hi float64) float64 { return rapid.Float64Range(lo, hi).Draw(t, name) }
		smin := math.Pow(10, f("smin", -4, 0))
		smax := smin * math.Pow(10, f("smax", 0.1, 5))
		plain := []Schedule{
			EDM{smin, smax},
			VE{smin, smax},
			VPLinear{f("bmin", 0, 2), f("bmax", 0.5, 30)},
			SubVP{f("bmin", 0, 2), f("bmax", 0.5, 30)},
			Beta{Kind: BetaKind(rapid.IntRange(0, len(betaKinds)-1).Draw(t, "kind")), T: rapid.IntRange(2, 1500).Draw(t, "T"), ZeroSNR: rapid.Bool().Draw(t, "zerosnr")},
			Cosine{f("min", -40, -1), f("max", 1, 40)},
			Cosine{math.Inf(-1), math.Inf(1)},
			Cosine{f("min", 1, 5), f("max", 6, 50)},
			Cosine{f("min", -50, -6), f("max", -5, -1)},
			ChenSigmoid{f("start", -6, 0), f("end", 0.5, 6), f("tau", 0.1, 3)},
			ChenCosine{f("start", 0, 0.4), f("end", 0.5, 1), f("tau", 0.3, 3)},
			ChenCosine{0, 1, f("tau", 0.3, 3)},
			RF{f("shift", 0.1, 10)},
			ChenLinear{},
			Flux{rapid.IntRange(1, 10000).Draw(t, "tokens"), 256, 4096, f("mulow", -1, 1), f("muhigh", -1, 2), f("power", 0.5, 2)},
			Aligned{rapid.IntRange(16, 256).Draw(t, "size"), 64, f("fraction", 0, 1), Cosine{f("min", -20, -5), f("max", 5, 20)}},
			Aligned{rapid.IntRange(16, 256).Draw(t, "size"), 64, 1, ChenCosine{0, 1, f("tau", 0.3, 3)}},
			Interpolated{rapid.IntRange(16, 256).Draw(t, "size"), 32, rapid.IntRange(16, 256).Draw(t, "high"), Cosine{f("min", -20, -5), f("max", 5, 20)}},
			Interpolated{rapid.IntRange(16, 256).Draw(t, "size"), 32, 64, RF{f("shift", 0.1, 10)}},
			InputScaled{f("b", 0.05, 3), ChenSigmoid{f("start", -6, 0), f("end", 0.5, 6), f("tau", 0.1, 3)}},
			InputScaled{f("b", 0.05, 3), Cosine{f("min", -20, -5), f("max", 5, 20)}},
		}
		s := rapid.SampledFrom(plain).Draw(t, "schedule")
		switch rapid.IntRange(0, 3).Draw(t, "wrap") {
		case 0:
			return Shift{f("by", -4, 4), s}
		case 1:
			return OnPath{RFPath{}, s}
		}
		return s
	})
}

// within draws a time of the domain, often near its ends.
func within(t *rapid.T, s Schedule) float64 {
	clean, noisy := s.Domain()
	u := rapid.Float64Range(0, 1).Draw(t, "u")
	if rapid.Bool().Draw(t, "near an end") {
		u = math.Pow(u, 6)
	}
	if u < 1e-40 {
		u = 0 // math.Log of denormal numbers is wrong on amd64
	}
	if rapid.Bool().Draw(t, "noisy end") {
		u = 1 - u
	}
	return clean + u*(noisy-clean)
}

// slackLambda bounds the rounding of λ: some ulps of each of its logs, which
// the wrappers recompute from e^{−λ/2}.
func slackLambda(l Level) float64 {
	return 16 * eps * (1 + math.Abs(float64(l.LogSNR())))
}

func TestSchedule_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := schedule().Draw(t, "s")
		if err := validate(s); err != nil {
			t.Fatal(err)
		}
		clean, noisy := s.Domain()
		for _, end := range []float64{clean, noisy} {
			if got := s.TimeOf(s.At(end).LogSNR()); got != end {
				t.Fatalf("%s: TimeOf at the end %g gives %.17g", s, end, got)
			}
		}
		x := within(t, s)
		l := s.At(x)
		if err := l.Validate(); err != nil || l.T != x {
			t.Fatalf("%s: At(%g) = %+v: %v", s, x, l, err)
		}
		slack := snr.LogSNR(slackLambda(l))
		if most, least := s.At(clean).LogSNR(), s.At(noisy).LogSNR(); l.LogSNR() > most+slack || l.LogSNR() < least-slack {
			t.Fatalf("%s: λ(%g) = %g is outside the ends %g, %g", s, x, float64(l.LogSNR()), float64(least), float64(most))
		}
		// Round trip: λ is uncertain by its rounding, t by that over the slope
		// and by its own.
		slope := math.Abs(Rate(s, x))
		if slack := slackLambda(l)/slope + 16*eps*math.Max(math.Abs(x), 0.01*noisy); math.Abs(s.TimeOf(l.LogSNR())-x) > slack {
			t.Fatalf("%s: TimeOf(At(%.17g)) = %.17g, allowed ± %g", s, x, s.TimeOf(l.LogSNR()), slack)
		}
		// The level lies on the path.
		a, sg := s.Path().Coeffs(l.LogSNR())
		if tol := slackLambda(l) + 4*eps; math.Abs(a-l.Alpha) > tol*l.Alpha || math.Abs(sg-l.Sigma) > tol*l.Sigma {
			t.Fatalf("%s: At(%g) = %+v, the path has α = %g, σ = %g", s, x, l, a, sg)
		}
		// Noise rises with time.
		y := within(t, s)
		if x > y {
			x, y = y, x
		}
		lx, ly := s.At(x), s.At(y)
		if lx.LogSNR() < ly.LogSNR()-snr.LogSNR(slackLambda(ly)) {
			t.Fatalf("%s: λ(%g) = %g is below λ(%g) = %g", s, x, float64(lx.LogSNR()), y, float64(ly.LogSNR()))
		}
	})
}

func TestParse_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := schedule().Draw(t, "s")
		got, err := Parse(s.String())
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("Parse(%q) = %#v, %v: expected %#v", s, got, err, s)
		}
	})
	for _, name := range []string{
		"karras", "karras(rho=3,smin=0.1,smax=4,last=zero)", "uniform-lambda(last=zero)", "arctan-log(c=0.3,k=0,last=zero)", "free-start(total=2,smin=0.01,last=zero)", "polyexponential(rho=2)", "uniform-t(tmin=0.001)",
		"quadratic(smin=0.01)", "time-uniform(rho=2)", "leading", "leading(offset=1,last=min)", "linspace", "trailing(last=min)",
		"list(sigmas=[80,1,0])", "list(lambdas=[-Inf,0,+Inf])", "list(times=[1,0.5])",
	} {
		k, err := ParseSpacing(name)
		if err != nil || k.String() != name {
			t.Errorf("ParseSpacing(%q) = %v, %v", name, k, err)
		}
	}
	for _, name := range []string{"vp", "ve", "rf", "subvp", "scale", "scale(sd=1,power=0.5,by=2)"} {
		p, err := ParsePath(name)
		if err != nil || p.String() != name {
			t.Errorf("ParsePath(%q) = %v, %v", name, p, err)
		}
	}
	for _, e := range Registry().Entries {
		if s := e.Default.String(); s != e.Name {
			t.Errorf("the default %s prints as %s", e.Name, s)
		}
	}
	for _, e := range Spacings().Entries {
		if s := e.Default.String(); s != e.Name {
			t.Errorf("the default %s prints as %s", e.Name, s)
		}
	}
}

// unrated hides the closed form of a schedule's slope.
type unrated struct{ Schedule }

func TestRate_AgreesWith_Difference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := schedule().Draw(t, "s")
		clean, noisy := s.Domain()
		x := clean + rapid.Float64Range(0.05, 0.95).Draw(t, "u")*(noisy-clean)
		lambda := func(x float64) float64 { return float64(s.At(x).LogSNR()) }
		h := 1e-4 * (noisy - clean)
		if entries(s) > 0 { // stay inside one interval of the table
			x, h = math.Min(math.Floor(x), noisy-1)+0.5, 0.005
		}
		h = min(h, x/20)
		want := (8*(lambda(x+h)-lambda(x-h)) - (lambda(x+2*h) - lambda(x-2*h))) / (12 * h)
		// Differences lose 1e-16·|λ|/h; steps of 1/10000 of the domain have a
		// truncation far below.
		if got := Rate(s, x); math.Abs(got-want) > 1e-6*math.Abs(want)+1e-13*(1+math.Abs(lambda(x)))/h {
			t.Fatalf("%s: Rate(%g) = %g, differences give %g", s, x, got, want)
		}
	})
}

// Rate differences what has no closed form.
func TestRate_Limit(t *testing.T) {
	for _, s := range []Schedule{VPLinear{0.1, 20}, Cosine{-15, 15}, EDM{0.002, 80}, RF{3}} {
		clean, noisy := s.Domain()
		for _, u := range []float64{0, 1e-3, 0.2, 0.7, 0.999, 1} {
			x := clean + u*(noisy-clean)
			got, want := Rate(unrated{s}, x), Rate(s, x)
			if math.IsInf(want, -1) && math.IsInf(got, -1) {
				continue
			}
			// At the clean end of edm the step, 1e-6 of the domain, is 1/25 of t:
			// its fourth power is the worst of these.
			const tol = 1e-5
			if !(math.Abs(got-want) <= tol*math.Abs(want)) {
				t.Errorf("%s: differenced rate at %g is %g: expected %g", s, x, got, want)
			}
		}
	}
}

// g² = −σ² dλ/dt is what the SDEs were defined by.
func TestRate_AgreesWith_Diffusion(t *testing.T) {
	for _, x := range []float64{1e-4, 0.1, 0.5, 0.9, 1} {
		beta, b := 0.1+19.9*x, 0.1*x+19.9*x*x/2
		for _, c := range []struct {
			s    Schedule
			want float64
		}{
			{VPLinear{0.1, 20}, beta},
			{SubVP{0.1, 20}, beta * -math.Expm1(-2*b)},
			{VE{0.01, 50}, 2 * math.Pow(0.01*math.Pow(5000, x), 2) * math.Log(5000)},
		} {
			sigma := c.s.At(x).Sigma
			// Products of a few rounded factors.
			if g2 := -sigma * sigma * Rate(c.s, x); math.Abs(g2-c.want) > 1e-13*c.want {
				t.Errorf("%s: g²(%g) = %.17g, expected %.17g", c.s, x, g2, c.want)
			}
		}
	}
}

func TestSchedule_Limit(t *testing.T) {
	inf := snr.LogSNR(math.Inf(1))
	for _, c := range []struct {
		name string
		t    float64
		want snr.LogSNR
	}{
		{"rf", 0, inf},
		{"rf", 1, -inf},
		{"rf(shift=3)", 0, inf},
		{"rf(shift=3)", 1, -inf},
		{"chen-sigmoid", 0, inf},
		{"chen-sigmoid", 1, -inf},
		{"chen-cosine", 0, inf},
		{"chen-cosine", 1, -inf},
		{"chen-cosine(start=0.2,end=0.8)", 0, inf},
		{"chen-cosine(start=0.2,end=0.8)", 1, -inf},
		{"cosine(min=-Inf,max=+Inf)", 0, inf},
		{"cosine(min=-Inf,max=+Inf)", 1, -inf},
		{"vp-linear", 0, inf},
		{"subvp", 0, inf},
		{"edm", 0, inf},
		{"beta(zerosnr=true)", 999, -inf},
		{"beta(kind=squared-cosine,T=10,zerosnr=true)", 9, -inf},
		{"shift(by=-1,schedule=rf)", 1, -inf},
		{"on-path(path=vp,schedule=rf)", 0, inf},
	} {
		s, err := Parse(c.name)
		if err != nil {
			t.Fatal(err)
		}
		l := s.At(c.t)
		if l.LogSNR() != c.want || s.TimeOf(c.want) != c.t {
			t.Errorf("%s: λ(%g) = %g and back t = %g: expected %g exactly", s, c.t, float64(l.LogSNR()), s.TimeOf(c.want), float64(c.want))
		}
	}
}

// Near the ends the small coefficient keeps all its digits: its leading
// asymptotic term is known.
func TestSchedule_Limit_Small(t *testing.T) {
	const x = 1e-17
	for _, c := range []struct {
		name         string
		t            float64
		alpha, sigma float64
	}{
		{"rf", x, 1, x},
		{"rf(shift=4)", x, 1, 4 * x},
		{"vp-linear", x, 1, math.Sqrt(0.1 * x)},
		{"subvp", x, 1, 0.1 * x},
		{"cosine(min=-Inf,max=+Inf)", x, 1, math.Pi / 2 * x},
		{"chen-cosine", x, 1, math.Pi / 2 * x},
		{"cosine(min=-60,max=60)", 1, math.Exp(-30), 1},
		{"cosine(min=-60,max=60)", 0, 1, math.Exp(-30)},
		// 1 − α² = sinh(tw) cosh(End/2τ)/(sinh(w) cosh(u/2τ)) with w = 3.
		{"chen-sigmoid", x, 1, math.Sqrt(3 * x / math.Sinh(3))},
		{"chen-sigmoid(start=0)", x, 1, math.Sqrt(1.5 * x / math.Tanh(1.5))},
		// Near the noisy end: the angles from it are e^{λ/2}; α² = c(u)/c(Start)
		// with c a squared sine of what is left.
		{"cosine(min=-50,max=-40)", 0.5, (math.Exp(-25) + math.Exp(-20)) / 2, 1},
		{"chen-cosine(start=0.2)", 1 - 0x1p-50, math.Pi / 2 * 0.8 * 0x1p-50 / math.Cos(math.Pi/10), 1},
	} {
		s, err := Parse(c.name)
		if err != nil {
			t.Fatal(err)
		}
		// Terms of x² are below rounding; some ulps of logs near 30 remain.
		if l := s.At(c.t); math.Abs(l.Alpha/c.alpha-1) > 2e-14 || math.Abs(l.Sigma/c.sigma-1) > 2e-14 {
			t.Errorf("%s: At(%g) = %+v, expected α = %g, σ = %g", s, c.t, l, c.alpha, c.sigma)
		}
	}
}

// A search over tables keeps few of them, and those dropped come back the same.
func TestBeta_Invariant_ManyTables(t *testing.T) {
	first := Beta{T: 10}.At(3)
	for i := range 3 * maxTables {
		Beta{T: 20, Start: 1e-4 + float64(i)*1e-6}.At(1)
	}
	tables.RLock()
	kept := len(tables.of)
	tables.RUnlock()
	if kept > maxTables {
		t.Errorf("%d tables are kept: expected at most %d", kept, maxTables)
	}
	if again := (Beta{T: 10}).At(3); again != first {
		t.Errorf("a table made again has %v at 3: expected %v", again, first)
	}
}

// Outside a table there is no level, and the nearest time is its end.
func TestBeta_Limit_Outside(t *testing.T) {
	for _, s := range []Beta{{T: 10}, {T: 10, ZeroSNR: true}} {
		for _, x := range []float64{-1, -1e-9, 9.001, math.NaN()} {
			if s.At(x).Validate() == nil || !math.IsNaN(Rate(s, x)) {
				t.Errorf("%s: At(%g) = %+v with rate %g: expected none", s, x, s.At(x), Rate(s, x))
			}
		}
		if a, b := s.TimeOf(50), s.TimeOf(-50); a != 0 || (b != 9) != s.ZeroSNR {
			t.Errorf("%s: times %g and %g beyond the ends", s, a, b)
		}
		if !math.IsNaN(s.TimeOf(snr.LogSNR(math.NaN()))) {
			t.Errorf("%s has a time for λ = NaN", s)
		}
	}
	if s := (Beta{}); s.At(0).Validate() == nil || !math.IsNaN(s.TimeOf(0)) || !math.IsNaN(Rate(s, 0)) {
		t.Errorf("an invalid table has a level %+v", s.At(0))
	}
	// On the last interval to zero SNR, α/σ is linear.
	s := Beta{T: 10, ZeroSNR: true}
	want := 0.25 / s.At(8).Noise()
	if l := s.At(8.75); math.Abs(1/l.Noise()-want) > 1e-15 || s.TimeOf(l.LogSNR()) != 8.75 {
		t.Errorf("%s: At(8.75) = %+v: expected α/σ = %g", s, l, want)
	}
	if r := Rate(s, 8.75); r != -8 { // λ = 2 log(9 − t) + a constant
		t.Errorf("%s: dλ/dt = %g at 8.75, expected −8", s, r)
	}
	if r := Rate(s, 9); !math.IsInf(r, -1) {
		t.Errorf("%s: dλ/dt = %g at α = 0, expected −Inf", s, r)
	}
}

// ownPath is a path from outside the package.
type ownPath struct{}

func (ownPath) Coeffs(l snr.LogSNR) (alpha, sigma float64) { return l.VP() }

func (ownPath) String() string { return "own" }

func TestOnPath_AgreesWith_OwnPath(t *testing.T) {
	own := OnPath{ownPath{}, EDM{0.002, 80}}
	ours := OnPath{VPPath{}, EDM{0.002, 80}}
	for _, x := range []float64{0.002, 0.3, 80} {
		// By λ or by σ/α: a logarithm and an exponential apart.
		if a, b := own.At(x), ours.At(x); math.Abs(a.Alpha-b.Alpha) > 1e-14*b.Alpha || math.Abs(a.Sigma-b.Sigma) > 1e-14*b.Sigma {
			t.Errorf("σ = %g: %+v and %+v", x, a, b)
		}
		if a, b := (Shift{1.5, own}).At(x), (Shift{1.5, ours}).At(x); math.Abs(a.Alpha-b.Alpha) > 1e-14*b.Alpha || math.Abs(a.Sigma-b.Sigma) > 1e-14*b.Sigma {
			t.Errorf("σ = %g: %+v and %+v, both shifted", x, a, b)
		}
	}
}

func TestSchedule_Alloc(t *testing.T) {
	for _, e := range Registry().Entries {
		s := e.Default
		clean, noisy := s.Domain()
		sink := 0.0
		allocs := testing.AllocsPerRun(100, func() {
			sink += LevelAt(s, s.At((clean+noisy)/2).LogSNR()).T + Rate(s, (clean+noisy)/2)
		})
		if allocs != 0 {
			t.Errorf("%s: %g allocations for a level", e.Name, allocs)
		}
	}
}

func TestSchedule_Refuses(t *testing.T) {
	for _, name := range []string{
		"edm(smin=0)", "edm(smin=2,smax=1)", "edm(smax=+Inf)", "ve(smin=-1)", "vp-linear(bmin=-0.1)", "vp-linear(bmin=0,bmax=0)", "subvp(bmax=+Inf)",
		"beta(T=1)", "beta(T=2000000)", "beta(kind=cosine)", "beta(bstart=1)", "beta(kind=exp,bend=0.1)", "beta(bend=-0.02)", "cosine(min=3,max=3)",
		"chen-sigmoid(start=3,end=3)", "chen-sigmoid(tau=0)", "chen-cosine(end=1.1)", "chen-cosine(tau=-1)", "chen-cosine(tau=+Inf)", "rf(shift=0)", "rf(shift=-2)",
		"edm(rho=7)", "edmm", "on-path(path=ve,schedule=rf)", "on-path(path=scale(power=0.5),schedule=rf)", "on-path(schedule=edm(smin=-1))",
		"aligned(size=0)", "aligned(ref=-1)", "aligned(fraction=+Inf)", "aligned(schedule=beta)", "aligned(schedule=beta(zerosnr=true))",
		"aligned(size=1000000000000000000)", "interpolated(size=1,low=1048576,high=1)", "interpolated(low=0)", "interpolated(schedule=beta)",
		"input-scaled(b=0)", "input-scaled(b=+Inf)", "input-scaled(schedule=rf)", "input-scaled(b=1e-320)", "flux(tokens=0)", "flux(power=0)", "flux(low=256,high=256)",
		"flux(muhigh=1000)", "shift(by=-3000)", "shift(by=3000,schedule=ve)",
		"on-path(path=scale(sd=0))", "shift(by=+Inf)", "shift(schedule=ve(smin=9,smax=8))", "rf(shift=NaN)", "",
	} {
		if s, err := Parse(name); err == nil {
			t.Errorf("Parse(%q) = %v: expected an error", name, s)
		} else if msg := err.Error(); len(msg) < 11 || msg[:11] != "schedules: " {
			t.Errorf("Parse(%q): %q does not start with the package", name, msg)
		}
	}
	for _, s := range []Schedule{OnPath{}, Shift{}, Aligned{Size: 1, Ref: 1, Fraction: 1}, Interpolated{Size: 1, Low: 1, High: 1}, InputScaled{B: 1}, Beta{Kind: 17, T: 10}, Cosine{Min: math.NaN(), Max: 1}, RF{}} {
		if validate(s) == nil {
			t.Errorf("%#v is valid: expected an error", s)
		}
	}
}

func ExampleParse() {
	s, err := Parse("vp-linear(bmax=12)")
	if err != nil {
		panic(err)
	}
	l := s.At(0.5)
	fmt.Printf("%s: α = %.4f, σ = %.4f, λ = %.4f\n", s, l.Alpha, l.Sigma, float64(l.LogSNR()))
	fmt.Printf("back: t = %.4f\n", s.TimeOf(l.LogSNR()))
	// Output:
	// vp-linear(bmax=12): α = 0.4636, σ = 0.8860, λ = -1.2955
	// back: t = 0.5000
}
