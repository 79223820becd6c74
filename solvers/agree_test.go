package solvers_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
	"snrlab/solvers/solvertest"
)

func parse(t testing.TB, name string) solvers.Solver {
	t.Helper()
	s, err := solvers.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func gridOf(t testing.TB, sp schedules.Spacing, s schedules.Schedule, n int) schedules.Grid {
	t.Helper()
	g, err := sp.Grid(s, n)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func run(t testing.TB, s solvers.Solver, p solvers.Problem, x []float64) []float64 {
	t.Helper()
	out, err := solvers.Sample(context.Background(), s, p, x)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// normals draws n numbers of standard deviation scale.
func normals(n int, scale float64) []float64 {
	x := make([]float64, n)
	rng.New(11).Normal(x)
	for i := range x {
		x[i] *= scale
	}
	return x
}

// vp is EDM's λ(t) on the variance-preserving path.
func vp(smin, smax float64) schedules.Schedule {
	return schedules.OnPath{To: schedules.VPPath{}, Schedule: schedules.EDM{SMin: smin, SMax: smax}}
}

// Over grid levels that stand where their own intermediate levels would, the
// singlestep methods are the same as with their own.
func TestDPMGrid_AgreesWith_Singlestep(t *testing.T) {
	const rows, n = 4, 6
	mix, sch := models.GMM16(), vp(0.02, 40)
	for own, c := range map[string]struct {
		grid  string
		order int
	}{
		"dpmpp-2s":                      {"dpmpp-2s-grid", 2},
		"dpmpp-2s(form=taylor)":         {"dpmpp-2s-grid(form=taylor)", 2},
		"dpmpp-3s(form=taylor)":         {"dpmpp-3s-grid(form=taylor)", 3},
		"dpm-solver-2":                  {"dpm-solver-2-grid", 2},
		"dpm-solver-3(form=taylor)":     {"dpm-solver-3-grid(form=taylor)", 3},
		"dpmpp-sde":                     {"dpmpp-2s-grid(eta=1)", 2},
		"dpmpp-3s(form=taylor,short=3)": {"dpmpp-3s-grid(form=taylor,final=lower)", 3},
	} {
		coarse, fine := gridOf(t, schedules.UniformLambda{}, sch, n), gridOf(t, schedules.UniformLambda{}, sch, n*c.order)
		if strings.Contains(own, "short") { // the last steps are of orders 2 and 1
			coarse = append(coarse[:n], fine[3*n-1], fine[3*n])
		}
		both, err := solvers.NewBrownian(solvers.RowKeys(rng.New(1), 0, rows), 16, fine)
		if err != nil {
			t.Fatal(err)
		}
		x := normals(rows*16, 1)
		p := solvers.Problem{Denoiser: mix, Schedule: sch, Noise: both}
		p.Grid = coarse
		a := run(t, parse(t, own), p, x)
		p.Grid = fine
		b := run(t, parse(t, c.grid), p, x)
		for i := range a {
			// Rounding of the levels, as above.
			if d := math.Abs(a[i] - b[i]); d > 1e-11 {
				t.Errorf("%s and %s differ by %.2g in value %d", own, c.grid, d, i)
				break
			}
		}
	}
}

// The fixed coefficients have their full order where they are exact.
func TestIPNDM_Order(t *testing.T) {
	gauss, sch := models.Gauss4(), schedules.EDM{SMin: 1, SMax: 3}
	last := 0.0
	for _, n := range []int{40, 80} {
		g := gridOf(t, schedules.Karras{Rho: 1}, sch, n)
		x := normals(4, 3)
		want := make([]float64, 4)
		if err := gauss.Flow(want, x, g[0], g[n]); err != nil {
			t.Fatal(err)
		}
		e := 0.0
		for i, v := range run(t, parse(t, "ipndm(start=rk)"), solvers.Problem{Denoiser: gauss, Grid: g, Schedule: sch}, x) {
			e = max(e, math.Abs(v-want[i]))
		}
		if slope := math.Log2(last / e); last > 0 && math.Abs(slope-4) > 0.2 {
			t.Errorf("order %.2f on a uniform grid, expected 4", slope)
		}
		last = e
	}
}

// The variances of η = 0 and η = 1 on data N(0, 1/4), on 51 levels and so on
// of the cosine schedule, are those of the methods page. Its three digits, and
// ends of the grid that it does not state, allow 6e-4.
func TestDDIM_Golden_Variance(t *testing.T) {
	at := func(u float64) schedules.Level {
		s, c := math.Sincos(math.Pi * u / 2)
		return schedules.Level{T: u, Alpha: c, Sigma: s}
	}
	want := map[int][2]float64{10: {0.184, 0.151}, 20: {0.214, 0.187}, 50: {0.235, 0.219}, 200: {0.246, 0.241}}
	for n, w := range want {
		g := make(schedules.Grid, n+1)
		for i := range g {
			g[i] = at(0.999 - 0.998*float64(i)/float64(n))
		}
		for eta, want := range w {
			got := solvertest.Variance(t, solvers.DDIM{Eta: float64(eta)}, nil, g, 0.25)
			if math.Abs(got-want) > 6e-4 {
				t.Errorf("n = %d, η = %d: variance %.4f, expected %.3f", n, eta, got, want)
			}
		}
		// Any path through the same λ ends with the same variance over α².
		for _, path := range []schedules.Path{schedules.VEPath{}, schedules.RFPath{}, schedules.SubVPPath{}} {
			moved := slices.Clone(g)
			for i, l := range g {
				moved[i].Alpha, moved[i].Sigma = path.Coeffs(l.LogSNR())
			}
			a := solvertest.Variance(t, solvers.DDIM{Eta: 1}, nil, g, 0.25) / (g[n].Alpha * g[n].Alpha)
			b := solvertest.Variance(t, solvers.DDIM{Eta: 1}, nil, moved, 0.25) / (moved[n].Alpha * moved[n].Alpha)
			if math.Abs(a-b) > 1e-12 { // rounding
				t.Errorf("n = %d: variance %.15g under VP and %.15g under %s", n, a, b, path)
			}
		}
	}
}

func TestBudget_Property(t *testing.T) {
	sch := schedules.EDM{SMin: 0.02, SMax: 80}
	calls := 0
	to := func(last schedules.Last) func(n int) (schedules.Grid, error) {
		return func(n int) (schedules.Grid, error) {
			calls++
			return schedules.Karras{Rho: 7, Last: last}.Grid(sch, n)
		}
	}
	for _, c := range []struct {
		solver string
		last   schedules.Last
		nfe, n int
		exact  bool
	}{
		{"ddim", schedules.LastMin, 10, 10, true},
		{"heun", schedules.LastMin, 10, 5, true},
		{"heun", schedules.LastMin, 11, 5, false},
		{"heun", schedules.LastZero, 11, 6, true},
		{"heun", schedules.LastZero, 10, 5, false},
		{"heun", schedules.LastZero, 1, 1, true},
		{"ab4(start=rk)", schedules.LastMin, 20, 11, true}, // 9 for the opening
		{"ab4(start=rk)", schedules.LastMin, 4, 1, true},   // one Runge–Kutta step
		{"ab4(start=rk)", schedules.LastMin, 7, 1, false},  // two would cost 8
		{"dpmpp-3m", schedules.LastZero, 1000, 1000, true},
	} {
		calls = 0
		n, exact, err := solvers.StepsFor(parse(t, c.solver), c.nfe, to(c.last))
		if err != nil || n != c.n || exact != c.exact {
			t.Errorf("%s for %d evaluations: %d steps, exact %v, %v; expected %d, %v", c.solver, c.nfe, n, exact, err, c.n, c.exact)
		}
		if calls > 12 {
			t.Errorf("%s for %d evaluations: %d grids were made", c.solver, c.nfe, calls)
		}
	}
	for _, nfe := range []int{-1, 0, 1} {
		if _, _, err := solvers.StepsFor(parse(t, "heun"), nfe, to(schedules.LastMin)); err == nil || !strings.Contains(err.Error(), "too small: one step needs 2") {
			t.Errorf("heun for %d evaluations: %v", nfe, err)
		}
	}
}

func TestParse_Refuses(t *testing.T) {
	for name, want := range map[string]string{
		"hein":                            `did you mean "heun"`,
		"dpm++":                           "unknown solver",
		"ddim(eta=2)":                     "0 ≤ eta ≤ 1",
		"ddim(eta=-0.1)":                  "0 ≤ eta ≤ 1",
		"ddim(steps=5)":                   `unknown argument "steps"`,
		"heun(snoise=1.1)":                "no effect with schurn = 0",
		"heun(schurn=-1)":                 "schurn = -1",
		"heun(schurn=Inf)":                "finite",
		"heun(schurn=1,stmin=2,stmax=1)":  "stmin ≤ stmax",
		"euler(schurn=1,snoise=0)":        "snoise = 0",
		"dpm-solver-2(r=0)":               "0 < r ≤ 1",
		"dpm-solver-2(form=exact)":        "unknown choice",
		"dpmpp-2s(r=1.5)":                 "0 < r ≤ 1",
		"ab3(start=slow)":                 "unknown choice",
		"ab3(last=zero)":                  "unknown choice",
		"ab5":                             "unknown solver",
		"ipndm(order=5)":                  "expected 1 to 4",
		"ipndm(order=1,start=rk)":         "no effect",
		"euler-ancestral(eta=0,snoise=2)": "no effect",
		"euler-maruyama(variable=t)":      "unknown choice",
	} {
		if _, err := solvers.Parse(name); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "solvers: ") {
			t.Errorf("%s: got %v, expected an error with %q", name, err, want)
		}
	}
	// Literals are checked by Start, and print without a panic.
	for _, s := range []solvers.Solver{solvers.AdamsBashforth{}, solvers.AdamsBashforth{Order: 2, Opening: 9}, solvers.IPNDM{}, solvers.DPMSinglestep{}, solvers.DPMMultistep{Order: 3, Opening: 9}, solvers.DPMGrid{Order: 4}, solvers.EulerMaruyama{Variable: 7}} {
		if _, err := s.Start(solvers.Problem{Denoiser: models.GM2D(), Grid: gridOf(t, schedules.UniformLambda{}, vp(0.1, 1), 2)}, []float64{1, 2}); err == nil {
			t.Errorf("%s was not refused", s)
		}
	}
}

func TestParse_Property_Aliases(t *testing.T) {
	for name, want := range map[string]string{
		"DDIM": "ddim", "DDPM": "ddpm", "Euler a": "euler-ancestral", "DPM++ 2M": "dpmpp-2m",
		"DPM2": "dpm-solver-2", "LMS": "ab4(last=own)", " Heun ": "heun",
		"heun(schurn=40,stmin=0.05,stmax=50,snoise=1.003)": "heun(schurn=40,stmin=0.05,stmax=50,snoise=1.003)",
	} {
		if got := parse(t, name).String(); got != want {
			t.Errorf("%q is %s, expected %s", name, got, want)
		}
	}
	// A solver in JSON is its fields, choices by name.
	b, err := json.Marshal(parse(t, "ab3(start=rk,last=own)"))
	if err != nil || string(b) != `{"in":"sigma","start":"rk","last":"own"}` {
		t.Errorf("JSON %s, %v", b, err)
	}
	var s solvers.DPMSinglestep
	if err := json.Unmarshal([]byte(`{"r":0.5,"form":"taylor"}`), &s); err != nil || s.Form != solvers.Taylor {
		t.Errorf("%+v, %v", s, err)
	}
	if err := json.Unmarshal([]byte(`{"form":"tailor"}`), &s); err == nil || !strings.Contains(err.Error(), "taylor") {
		t.Errorf("a misspelt choice gives %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, e := range solvers.Registry().Entries {
		f.Add(e.Name)
	}
	f.Add("heun(schurn=40,stmin=0.05,stmax=50,snoise=1.003)")
	f.Add("DPM++ 2M")
	f.Fuzz(func(t *testing.T, name string) {
		s, err := solvers.Parse(name)
		if err != nil {
			return
		}
		again, err := solvers.Parse(s.String())
		if err != nil || again != s {
			t.Errorf("%q reads as %s, which reads as %v, %v", name, s, again, err)
		}
	})
}

// Every key that a solver refers to is in the package comment.
func TestReferences_Property(t *testing.T) {
	b, err := os.ReadFile("solver.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range solvers.Registry().Entries {
		for _, key := range e.Default.Properties().References {
			if !strings.Contains(string(b), "//	["+key+"] ") {
				t.Errorf("%s refers to [%s], which the package comment does not list", e.Name, key)
			}
		}
	}
}
