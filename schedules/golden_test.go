package schedules

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"
)

// number reads JSON numbers and the strings "Infinity" and "-Infinity".
type number float64

func (n *number) UnmarshalJSON(text []byte) error {
	if s, err := strconv.Unquote(string(text)); err == nil {
		text = []byte(s)
	}
	v, err := strconv.ParseFloat(string(text), 64)
	*n = number(v)
	return err
}

func golden[T any](t *testing.T, name string) []T {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Provenance string
		Cases      []T
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if file.Provenance == "" || len(file.Cases) == 0 {
		t.Fatalf("%s has no provenance or no cases", name)
	}
	return file.Cases
}

func mustParse(t *testing.T, name string) Schedule {
	t.Helper()
	s, err := Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustGrid(t *testing.T, schedule, spacing string, n int) Grid {
	t.Helper()
	k, err := ParseSpacing(spacing)
	if err != nil {
		t.Fatal(err)
	}
	g, err := k.Grid(mustParse(t, schedule), n)
	if err != nil {
		t.Fatalf("%s on %s: %v", spacing, schedule, err)
	}
	if g.Steps() != n {
		t.Fatalf("%s on %s: %d steps, expected %d", spacing, schedule, g.Steps(), n)
	}
	return g
}

func TestBeta_Golden(t *testing.T) {
	for _, c := range golden[struct {
		Schedule      string
		Index         []int
		Betas         []number
		AlphasCumprod []number `json:"alphas_cumprod"`
		LogSNR        []number `json:"log_snr"`
	}](t, "beta_tables.json") {
		s := mustParse(t, c.Schedule)
		for k, i := range c.Index {
			l := s.At(float64(i))
			before := Level{Alpha: 1}
			if i > 0 {
				before = s.At(float64(i - 1))
			}
			// Products of up to a thousand rounded factors differ by 1e-13 or so.
			// β is a difference from 1 here and keeps digits relative to 1 only;
			// theirs loses three digits to cosines near π/2 and to √ᾱ − √ᾱ_T.
			if want := float64(c.AlphasCumprod[k]); math.Abs(l.Alpha*l.Alpha-want) > 1e-12*want {
				t.Errorf("%s: ᾱ_%d = %.17g, expected %.17g", c.Schedule, i, l.Alpha*l.Alpha, want)
			}
			ratio := l.Alpha / before.Alpha
			if want := float64(c.Betas[k]); math.Abs(1-ratio*ratio-want) > 1e-14+2e-13*want {
				t.Errorf("%s: β_%d = %.17g, expected %.17g", c.Schedule, i, 1-ratio*ratio, want)
			}
			// Theirs divides by 1 − ᾱ, whose rounding is 1e-16/(1 − ᾱ).
			want := float64(c.LogSNR[k])
			tol := 1e-12*math.Abs(want) + 4e-16/(1-float64(c.AlphasCumprod[k]))
			if got := float64(l.LogSNR()); got != want && !(math.Abs(got-want) <= tol) {
				t.Errorf("%s: λ_%d = %.17g, expected %.17g", c.Schedule, i, got, want)
			}
		}
	}
}

func TestSpacing_Golden(t *testing.T) {
	for _, c := range golden[struct {
		Function, Schedule, Spacing string
		Sigmas, Times               []float64
	}](t, "sigma_grids.json") {
		want := append(c.Sigmas, c.Times...)
		g := mustGrid(t, c.Schedule, c.Spacing, len(want)-1)
		for i, l := range g {
			got := l.Noise()
			if c.Times != nil {
				got = l.T
			}
			// They take √(e^x − 1) at x down to 1e-4, which costs four digits;
			// dpm-solver's inversion of λ at t = 1e-3 costs six or so.
			tol := 2e-12
			if c.Function == "dpm-solver get_time_steps" {
				tol = 1e-11
			}
			if math.Abs(got-want[i]) > tol*want[i] {
				t.Errorf("%s: %s on %s: level %d is %.17g, expected %.17g", c.Function, c.Spacing, c.Schedule, i, got, want[i])
			}
		}
	}
}

func TestIndexRules_Golden(t *testing.T) {
	for _, c := range golden[struct {
		Scheduler, Schedule, Spacing string
		Steps                        int
		Timesteps, Sigmas            []float64
	}](t, "index_grids.json") {
		g := mustGrid(t, c.Schedule, c.Spacing, c.Steps)
		for i, want := range c.Timesteps {
			// Whole numbers are exact; the others come from an interpolation of
			// log σ that is uncertain by 1e-15 over its slope of 1e-2.
			if got := g[i].T; got != want && (want == math.Round(want) && c.Spacing != "karras(last=zero)" && c.Spacing != "exponential(last=zero)" || math.Abs(got-want) > 1e-11) {
				t.Errorf("%s: %s in %d steps: time %d is %.17g, expected %.17g", c.Scheduler, c.Spacing, c.Steps, i, got, want)
			}
		}
		for i, want := range c.Sigmas {
			// Products of a thousand factors, and levels between the entries
			// are interpolated in σ there, in log σ here.
			tol := 1e-12
			if c.Spacing == "uniform-t(last=zero)" && g[i].T != math.Round(g[i].T) {
				tol = 1e-4
			}
			if got := g[i].Noise(); math.Abs(got-want) > tol*want {
				t.Errorf("%s: %s in %d steps: σ/α %d is %.17g, expected %.17g", c.Scheduler, c.Spacing, c.Steps, i, got, want)
			}
		}
	}
}
