package nn_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"snrlab/nn"
	"snrlab/rng"
)

// paramsOf returns a parameter a of shape [2, 3] and b of shape [4], in some
// state.
func paramsOf[T nn.Float](t testing.TB) nn.Params[T] {
	t.Helper()
	s := nn.NewScope[T](rng.New(1))
	s.Param("a", nn.Normal(1), 2, 3)
	s.Param("b", nn.Normal(1), 4)
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return s.Params()
}

// newOptimiser is an optimiser by the names of its rule and rate.
func newOptimiser[T nn.Float](t testing.TB, ps nn.Params[T], rule, rate string) *nn.Optimiser[T] {
	t.Helper()
	r, err := nn.ParseRule(rule)
	if err != nil {
		t.Fatal(err)
	}
	s, err := nn.ParseRate(rate)
	if err != nil {
		t.Fatal(err)
	}
	o, err := nn.NewOptimiser(ps, r, s)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

type optimiserCase struct {
	Rule     string      `json:"rule"`
	Rate     float64     `json:"rate"`
	MaxNorm  float64     `json:"max_norm"`
	MaxValue float64     `json:"max_value"`
	Values   [][]float64 `json:"values"`
	Norms    []float64   `json:"norms"`
}

func torchCases(t *testing.T) []optimiserCase {
	t.Helper()
	b, err := os.ReadFile("testdata/optimisers.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Cases []optimiserCase }
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) == 0 {
		t.Fatal("no cases")
	}
	return f.Cases
}

// replay does what testdata/optimisers.py does, and returns the largest
// difference from what torch got.
func replay[T nn.Float](t *testing.T, c optimiserCase) (worst float64) {
	ps := paramsOf[T](t)
	i := 0
	for _, p := range ps {
		for j := range p.Value() {
			p.Value()[j] = T(math.Cos(2 + 5*float64(i)))
			i++
		}
	}
	o := newOptimiser(t, ps, c.Rule, fmt.Sprintf("constant(peak=%v)", c.Rate))
	o.MaxNorm, o.MaxValue = c.MaxNorm, c.MaxValue
	for k, want := range c.Values {
		i := 0
		for _, p := range ps {
			for j, v := range p.Value() {
				x := float64(i)
				p.Grad()[j] = T(math.Sin(1+3*x+0.7*float64(k))*(1+x/4) + float64(v)/8)
				i++
			}
		}
		norm, err := o.Step()
		if err != nil {
			t.Fatal(err)
		}
		if c.MaxNorm > 0 {
			worst = max(worst, math.Abs(norm-c.Norms[k]))
		}
		i = 0
		for _, p := range ps {
			for _, v := range p.Value() {
				worst = max(worst, math.Abs(float64(v)-want[i]))
				i++
			}
		}
	}
	return worst
}

func TestOptimiser_Golden(t *testing.T) {
	for _, c := range torchCases(t) {
		t.Run(c.Rule, func(t *testing.T) {
			// Numbers of size 1 to 5 over 20 steps; both round after each operation.
			if d := replay[float64](t, c); !(d <= 1e-13) {
				t.Errorf("float64: %g from torch", d)
			}
			// Where g is small beside what it was, m/√v is sensitive to its rounding.
			if d := replay[float32](t, c); !(d <= 2e-6) {
				t.Errorf("float32: %g from torch", d)
			}
		})
	}
}

func TestOptimiser_ByHand(t *testing.T) {
	near := func(t *testing.T, what string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 1e-15) { // a few roundings of numbers of size 1
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	start := func(t *testing.T, rule string) (step func(g float64) float64) {
		s := nn.NewScope[float64](rng.New(1))
		p := s.Param("p", nn.Ones, 1)
		o := newOptimiser(t, s.Params(), rule, "constant(peak=0.1)")
		return func(g float64) float64 {
			p.Grad()[0] = g
			if _, err := o.Step(); err != nil {
				t.Fatal(err)
			}
			return p.Value()[0]
		}
	}
	t.Run("adam", func(t *testing.T) {
		step := start(t, "adam(beta1=0.5,beta2=0.75,eps=1)")
		// m = ½·2 = 1, v = ¼·4 = 1; m/(1 − ½) = 2, v/(1 − ¾) = 4.
		x := 1 - 0.1*2/(2+1)
		near(t, "first step", step(2), x)
		// m = ½·1 + ½·4 = 2½, v = ¾·1 + ¼·16 = 4¾; 1 − ½² = ¾, 1 − ¾² = 7/16.
		x -= 0.1 * (2.5 / 0.75) / (math.Sqrt(4.75/0.4375) + 1)
		near(t, "second step", step(4), x)
	})
	t.Run("adam with decay", func(t *testing.T) {
		step := start(t, "adam(beta1=0.5,beta2=0.75,eps=1,decay=3)")
		// g = 2 + 3·1 = 5: m/(1 − ½) = 5, v/(1 − ¾) = 25.
		near(t, "first step", step(2), 1-0.1*5/(5+1))
	})
	t.Run("adamw", func(t *testing.T) {
		step := start(t, "adamw(beta1=0.5,beta2=0.75,eps=1,decay=3)")
		// θ shrinks by 0.1·3, then as without decay.
		x := 0.7 - 0.1*2/(2+1)
		near(t, "first step", step(2), x)
		x = 0.7*x - 0.1*(2.5/0.75)/(math.Sqrt(4.75/0.4375)+1)
		near(t, "second step", step(4), x)
	})
	t.Run("sgd", func(t *testing.T) {
		step := start(t, "sgd(decay=3)")
		near(t, "first step", step(2), 1-0.1*(2+3))
	})
	t.Run("momentum", func(t *testing.T) {
		step := start(t, "sgd(momentum=0.5,dampening=0.25)")
		near(t, "first step", step(2), 0.8)             // b = 2
		near(t, "second step", step(4), 0.8-0.1*(1+3))  // b = ½·2 + ¾·4 = 4
		near(t, "third step", step(0), 0.4-0.1*(0.5*4)) // b = ½·4
	})
	t.Run("nesterov", func(t *testing.T) {
		step := start(t, "sgd(momentum=0.5,nesterov=true)")
		near(t, "first step", step(2), 1-0.1*(2+1))            // b = 2
		near(t, "second step", step(4), 0.7-0.1*(4+0.5*(1+4))) // b = ½·2 + 4 = 5
	})
}

func TestOptimiser_Frozen(t *testing.T) {
	for _, rule := range []string{"adam", "adamw", "sgd(momentum=0.9)"} {
		ps := paramsOf[float32](t)
		o := newOptimiser(t, ps, rule, "constant")
		o.MaxNorm = 1
		a, b := ps[0], ps[1]
		fill := func(p *nn.Param[float32], g float32) {
			for j := range p.Grad() {
				p.Grad()[j] = g
			}
		}
		before := *a.Dense()
		fill(a, 3)
		fill(b, 2)
		a.Frozen = true
		norm, err := o.Step()
		if err != nil || norm != 4 { // of b alone, √(4·2²)
			t.Errorf("%s: norm %v, %v", rule, norm, err)
		}
		if fmt.Sprint(before.Data()) != fmt.Sprint(a.Dense().Data()) {
			t.Errorf("%s: a frozen parameter changed", rule)
		}
		if a.Grad()[0] != 3 || b.Grad()[0] != 0 {
			t.Errorf("%s: gradients after the step: %v of the frozen, %v of the other", rule, a.Grad()[0], b.Grad()[0])
		}
		// A gradient that nobody wrote since: b stays, whatever its moments are.
		b.ZeroGrad()
		value := b.Value()[0]
		if norm, err = o.Step(); err != nil || norm != 0 || b.Value()[0] != value {
			t.Errorf("%s: without a gradient the parameter went from %v to %v, norm %v, %v", rule, value, b.Value()[0], norm, err)
		}
		// The first step of a parameter that was frozen is a first step.
		a.Frozen = false
		fill(a, 1e-3)
		value = a.Value()[0]
		if _, err = o.Step(); err != nil {
			t.Fatal(err)
		}
		if d := float64(value - a.Value()[0]); rule == "adam" && math.Abs(d-1e-3) > 1e-6 {
			t.Errorf("first step after thawing is %v, expected the rate", d)
		}
	}
}

func TestOptimiser_Refuses(t *testing.T) {
	for _, c := range []struct{ rule, rate, want string }{
		{"adam(beta1=1)", "constant", "beta1 = 1: expected a number ≥ 0 and < 1"},
		{"adamw(beta2=-0.1)", "constant", "beta2 = -0.1"},
		{"adam(eps=-1)", "constant", "eps = -1"},
		{"adamw(decay=+Inf)", "constant", "decay = +Inf"},
		{"sgd(nesterov=true)", "constant", "momentum > 0"},
		{"sgd(momentum=0.9,nesterov=true,dampening=0.1)", "constant", "no dampening"},
		{"adamax", "constant", "adam"},
		{"adam", "constant(peak=-1)", "peak = -1"},
		{"adam", "cosine(from=10,to=10)", "from step 10 to 10"},
		{"adam", "inverse-sqrt(from=0)", "from = 0"},
		{"adam", "step(every=0)", "every = 0"},
		{"adam", "warmup(steps=0)", "steps = 0"},
		{"adam", "warmup(then=constant(peak=-2))", "peak = -2"},
	} {
		_, err := nn.ParseRule(c.rule)
		if err == nil {
			_, err = nn.ParseRate(c.rate)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "nn: ") {
			t.Errorf("%s, %s: %v, want …%s…", c.rule, c.rate, err, c.want)
		}
	}
	ps := paramsOf[float64](t)
	if _, err := nn.NewOptimiser(ps, nn.Adam{Beta1: 2}, nn.ConstantRate{}); err == nil {
		t.Error("beta1 = 2 is accepted")
	}
	if _, err := nn.NewOptimiser(ps, nn.SGD{}, nn.WarmupRate{Steps: 1}); err == nil {
		t.Error("a warm-up to nothing is accepted")
	}
	o := newOptimiser(t, ps, "sgd", "constant")
	o.MaxNorm = 1
	ps[0].Grad()[1], ps[1].Grad()[2] = 1, math.NaN()
	value := ps[0].Value()[1]
	if _, err := o.Step(); err == nil || !strings.Contains(err.Error(), "gradient of b is not finite") || ps[0].Value()[1] != value || o.Steps() != 0 {
		t.Errorf("NaN: %v, a went from %v to %v in %d steps", err, value, ps[0].Value()[1], o.Steps())
	}
	if o.MaxNorm = -1; true {
		if _, err := o.Step(); err == nil {
			t.Error("MaxNorm −1 is accepted")
		}
	}
}

func TestClipNorm_Golden(t *testing.T) {
	ps := paramsOf[float64](t)
	for _, p := range ps {
		for j := range p.Grad() {
			p.Grad()[j] = 2
		}
	}
	norm, err := nn.ClipNorm(ps, 0.5)
	if want := math.Sqrt(10 * 4); err != nil || math.Abs(norm-want) > 1e-14 {
		t.Errorf("norm %v, want %v: %v", norm, want, err)
	}
	if g, want := ps[0].Grad()[5], 2*0.5/(math.Sqrt(40)+1e-6); math.Abs(g-want) > 1e-15 {
		t.Errorf("gradient %v, want %v", g, want)
	}
	before := ps[0].Grad()[0]
	if _, err = nn.ClipNorm(ps, 10); err != nil || ps[0].Grad()[0] != before {
		t.Errorf("a gradient within the limit went from %v to %v: %v", before, ps[0].Grad()[0], err)
	}
	ps[1].Grad()[0], ps[1].Grad()[1] = -7, 0.01
	nn.ClipValue(ps, 0.25)
	if g := ps[1].Grad(); g[0] != -0.25 || g[1] != 0.01 {
		t.Errorf("cut to %v", g)
	}
}

// The gradient is scaled on the way through the step, which must be the same.
func TestOptimiser_AgreesWith_ClipNorm(t *testing.T) {
	values := make([]string, 2)
	for i := range values {
		ps := paramsOf[float32](t)
		o := newOptimiser(t, ps, "adam", "constant")
		for k := range 3 {
			for _, p := range ps {
				for j := range p.Grad() {
					p.Grad()[j] = float32(math.Sin(float64(j + k)))
				}
			}
			if i == 0 {
				o.MaxNorm = 0.7
			} else if _, err := nn.ClipNorm(ps, 0.7); err != nil {
				t.Fatal(err)
			}
			if _, err := o.Step(); err != nil {
				t.Fatal(err)
			}
		}
		values[i] = fmt.Sprint(ps[0].Value(), ps[1].Value())
	}
	if values[0] != values[1] {
		t.Errorf("%s\nwith ClipNorm before: %s", values[0], values[1])
	}
}

func TestRate_Golden(t *testing.T) {
	for _, c := range []struct {
		rate string
		step int
		want float64
	}{
		{"constant(peak=0.5)", 0, 0.5},
		{"constant(peak=0.5)", 1e6, 0.5},
		{"cosine(peak=3,low=1,from=100,to=200)", 0, 3},
		{"cosine(peak=3,low=1,from=100,to=200)", 150, 2},
		{"cosine(peak=3,low=1,from=100,to=400)", 200, 1 + 1.5}, // cos 60° = ½
		{"cosine(peak=3,low=1,from=100,to=200)", 999, 1},
		{"inverse-sqrt(peak=2,from=50)", 50, 2},
		{"inverse-sqrt(peak=2,from=50)", 200, 1},
		{"step(peak=8,every=10,factor=0.5)", 9, 8},
		{"step(peak=8,every=10,factor=0.5)", 30, 1},
		{"warmup(steps=10,then=constant(peak=4))", 0, 0},
		{"warmup(steps=10,then=constant(peak=4))", 5, 2},
		{"warmup(steps=10,then=constant(peak=4))", 11, 4},
		{"warmup(steps=400,then=inverse-sqrt(peak=2,from=50))", 200, 0.5}, // ½ · 2/√4
	} {
		r, err := nn.ParseRate(c.rate)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.At(c.step); math.Abs(got-c.want) > 1e-15*8 {
			t.Errorf("%s in step %d: %v, want %v", c.rate, c.step, got, c.want)
		}
		if again, err := nn.ParseRate(r.String()); err != nil || again != r {
			t.Errorf("%v prints as %s, which reads as %v, %v", c.rate, r, again, err)
		}
	}
}

func TestOptimiser_Alloc(t *testing.T) {
	for _, rule := range []string{"adam", "adamw", "sgd", "sgd(momentum=0.9)"} {
		s := nn.NewScope[float32](rng.New(1))
		s.Param("large", nn.Normal(1), 300, 400)
		s.Param("small", nn.Normal(1), 3)
		ps := s.Params()
		o := newOptimiser(t, ps, rule, "warmup")
		o.MaxNorm = 1
		step := func() {
			for _, p := range ps {
				p.Grad()[0] = 1
			}
			if _, err := o.Step(); err != nil {
				t.Fatal(err)
			}
		}
		if n := testing.AllocsPerRun(5, step); n != 0 {
			t.Errorf("%s: %v allocations in a step", rule, n)
		}
	}
}

// The work is split over workers; the bits must not depend on how.
func TestOptimiser_Invariant_Workers(t *testing.T) {
	run := func(procs int, rule string) []float32 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		s := nn.NewScope[float32](rng.New(1))
		p := s.Param("p", nn.Normal(1), 101, 997)
		o := newOptimiser(t, s.Params(), rule, "constant")
		o.MaxNorm = 1
		for k := range 2 {
			for i := range p.Grad() {
				p.Grad()[i] = float32(i%13-6+k) / 8
			}
			if _, err := o.Step(); err != nil {
				t.Fatal(err)
			}
		}
		return p.Value()
	}
	for _, rule := range []string{"adamw", "sgd(momentum=0.9,nesterov=true)"} {
		one, two := run(1, rule), run(2, rule)
		for i := range one {
			if one[i] != two[i] {
				t.Fatalf("%s: number %d is %v by one worker and %v by two", rule, i, one[i], two[i])
			}
		}
	}
}
