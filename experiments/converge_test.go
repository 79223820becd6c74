package experiments

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Every registered deterministic solver keeps its promise on the mixture, with
// both starts, and every stochastic one on its own Brownian path. On more steps and
// problems TestMeasureOrders_Order says so.
func TestConverge_Order(t *testing.T) {
	race.Measures(t)
	c := DefaultConverge()
	c.Steps, c.FineSteps = []int{320, 640}, 5120
	tab, err := c.Run(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := tab.Text(&out); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &out)
	strong, rk := 0, 0
	for _, l := range tab.Lines {
		if strings.Contains(l.Solver, "start=rk") {
			rk++
		}
		if l.Strong {
			strong++
		}
		if s, err := solvers.Parse(l.Solver); l.Order == nil {
			// What chooses its own levels, or adds noise of its own, has none to measure.
			if err != nil || !s.Properties().Adaptive && !s.Properties().OwnNoise {
				t.Errorf("%s: no order", l.Solver)
			}
		} else if !l.Kept() {
			t.Errorf("%s: order %.2f, promised %g", l.Solver, *l.Order, l.Promised)
		}
	}
	if strong == 0 || rk == 0 {
		t.Errorf("%d stochastic lines and %d with a Runge–Kutta start", strong, rk)
	}
	// The caption says what was held fixed.
	for _, want := range []string{"gm2d", "edm", "karras", "σ/α = 80 to 0.002", "64", "n=320"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table does not mention %q", want)
		}
	}
}

// On one Gaussian the exact ends have a closed form, and one Euler step can be
// taken by hand: x + (s₁ − s₀)(x − D)/s₀.
func TestConverge_AgreesWithClosedForm(t *testing.T) {
	c := DefaultConverge()
	c.Model, c.Solvers, c.Steps, c.Rows = "gauss4", []string{"euler"}, []int{1, 2}, 8
	c.Schedule = "edm(smin=1,smax=3)"
	tab, err := c.Run(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := OpenModel("gauss4", Options{})
	if err != nil {
		t.Fatal(err)
	}
	from, to := schedules.Level{Alpha: 1, Sigma: 3}, schedules.Level{Alpha: 1, Sigma: 1}
	x, err := startStates(m, from, "prior", nil, solvers.RowKeys(rng.New(1), 0, c.Rows))
	if err != nil {
		t.Fatal(err)
	}
	exact, d := make([]float64, len(x)), make([]float64, len(x))
	if err := m.Exact.(*models.Gaussian).Flow(exact, x, from, to); err != nil {
		t.Fatal(err)
	}
	if err := m.Denoise(context.Background(), d, models.Query{X: x, Rows: c.Rows, At: []schedules.Level{from}}); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i := range x {
		e := x[i] + (1.0-3)*(x[i]-d[i])/3 - exact[i]
		sum += e * e
	}
	// The reference was asked for 1e-12.
	if want := math.Sqrt(sum / float64(c.Rows)); math.Abs(tab.Lines[0].Errors[0]-want) > 1e-10 {
		t.Errorf("error %.14g after one step, by hand %.14g", tab.Lines[0].Errors[0], want)
	}
}

// The same table, byte for byte, from the same options; another from another key.
func TestConverge_Invariant(t *testing.T) {
	text := func(key int64) string {
		c := DefaultConverge()
		c.Solvers, c.Steps, c.Rows, c.Key = []string{"heun", "ab3(start=rk)", "euler-maruyama"}, []int{8, 16}, 5, key
		c.FineSteps = 64
		tab, err := c.Run(context.Background(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(tab)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	a := text(1)
	if b := text(1); a != b {
		t.Errorf("two runs differ:\n%s\n%s", a, b)
	}
	if a == text(2) {
		t.Error("the key has no effect")
	}
	var back ConvergeTable
	if err := json.Unmarshal([]byte(a), &back); err != nil || len(back.Lines) != 3 || back.Lines[1].Solver != "ab3(start=rk)" || len(back.Lines[0].Errors) != 2 {
		t.Errorf("reads back as %+v, %v", back, err)
	}
}

// Churn, and fine_steps = 0, leave a line that says why.
func TestConverge_SkipsProperty(t *testing.T) {
	c := DefaultConverge()
	c.Steps, c.Rows, c.FineSteps = []int{2, 4}, 2, 0
	c.Solvers = []string{"heun(schurn=10)", "euler-maruyama"}
	tab, err := c.Run(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.Solvers, c.FineSteps = c.Solvers[:1], 16
	churn, err := c.Run(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range append(tab.Lines, churn.Lines...) {
		if l.Skipped == "" || l.Errors != nil || !l.Kept() {
			t.Errorf("%+v: expected a reason and no errors", l)
		}
	}
	var out bytes.Buffer
	if err := churn.Text(&out); err != nil || !strings.Contains(out.String(), "share no path") {
		t.Errorf("%v: the table does not say why:\n%s", err, &out)
	}
}

func TestConverge_Refuses(t *testing.T) {
	for want, change := range map[string]func(*Converge){
		"field model":             func(c *Converge) { c.Model = "gm3d" },
		"field solvers":           func(c *Converge) { c.Solvers = []string{"hoin"} },
		"holds heun twice":        func(c *Converge) { c.Solvers = []string{"heun", "heun"} },
		"field schedule":          func(c *Converge) { c.Schedule = "edn" },
		"steps holds 10 after 20": func(c *Converge) { c.Steps = []int{20, 10} },
		"field steps is missing":  func(c *Converge) { c.Steps = nil },
		"field rtol is 0":         func(c *Converge) { c.RTol = 0 },
		"expected 0, or at least": func(c *Converge) { c.FineSteps = 640 },
		"take 95.4 GB": func(c *Converge) {
			c.Model, c.Rows, c.FineSteps, c.Solvers = "gmm16", 10000, 80000, []string{"euler-ancestral"}
		},
		"field rows is 0":            func(c *Converge) { c.Rows = 0 },
		"starts or ends elsewhere":   func(c *Converge) { c.Schedule, c.Spacing, c.Steps = "beta", "leading", []int{10, 20} },
		`field start: unknown value`: func(c *Converge) { c.Start = "zero" },
	} {
		c := DefaultConverge()
		c.Rows = 2
		change(&c)
		_, err := c.Run(context.Background(), Options{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "experiments: converge: ") {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
}
