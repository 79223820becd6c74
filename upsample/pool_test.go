package upsample

import (
	"math"
	"strings"
	"testing"

	"snrlab/rng"
	"snrlab/schedules"
)

func TestPair_Property(t *testing.T) {
	for _, p := range []Pair{{1, 4, 6, 2}, {3, 9, 3, 3}, {2, 5, 7, 1}} {
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		x, y := make([]float64, p.HighDim()), make([]float64, p.LowDim())
		rng.New(1).Split("x", 0).Normal(x)
		rng.New(1).Split("y", 0).Normal(y)
		px, uy, puy := make([]float64, len(y)), make([]float64, len(x)), make([]float64, len(y))
		p.Pool(px, x)
		p.Repeat(uy, y)
		p.Pool(puy, uy)
		for i := range y {
			// A mean of s² equal numbers is that number to s² roundings.
			if math.Abs(puy[i]-y[i]) > 1e-14 {
				t.Errorf("%+v: P U is not the identity at %d: %g and %g", p, i, puy[i], y[i])
			}
		}
		// U = s² Pᵀ means ⟨U y, x⟩ = s² ⟨y, P x⟩, for any x and y.
		s2 := float64(p.Factor * p.Factor)
		if a, b := dot(uy, x), s2*dot(y, px); math.Abs(a-b) > 1e-12 {
			t.Errorf("%+v: ⟨U y, x⟩ = %g but s²⟨y, P x⟩ = %g", p, a, b)
		}
	}
}

func dot(a, b []float64) (s float64) {
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

func TestMatchedLevel(t *testing.T) {
	sched, err := schedules.Parse("rf")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []int{1, 2, 4} {
		at := sched.At(0.7)
		got, scale, err := MatchedLevel(sched, at, s)
		if err != nil {
			t.Fatal(err)
		}
		// The closed form of rectified flow: τ = t/(t + s(1−t)).
		want := 0.7 / (0.7 + float64(s)*0.3)
		if math.Abs(got.T-want) > 1e-14 || math.Abs(scale-(1-want)/0.3) > 1e-14 {
			t.Errorf("factor %d: τ = %.17g, scale %.17g, expected %.17g, %.17g", s, got.T, scale, want, (1-want)/0.3)
		}
		// What pooling does to the noise: σ_τ = (α_τ/α_t) σ_t / s.
		if math.Abs(got.Sigma-scale*at.Sigma/float64(s)) > 1e-14 {
			t.Errorf("factor %d: σ_τ = %g, but the pooled and rescaled noise has %g", s, got.Sigma, scale*at.Sigma/float64(s))
		}
	}
}

// The clean end itself can be asked.
func TestMatchedLevel_Limit(t *testing.T) {
	sched := schedules.EDM{SMin: 0.002, SMax: 80}
	got, scale, err := MatchedLevel(sched, sched.At(0.002), 1)
	if err != nil || got.T != 0.002 || scale != 1 {
		t.Errorf("level %+v, scale %g, error %v: expected the clean end itself", got, scale, err)
	}
}

func TestMatchedLevel_Refuses(t *testing.T) {
	sched, err := schedules.Parse("edm")
	if err != nil {
		t.Fatal(err)
	}
	clean, _ := sched.Domain()
	for _, c := range []struct {
		at     schedules.Level
		factor int
		want   string
	}{
		{sched.At(1), 0, "expected at least 1"},
		{schedules.Level{T: 1, Alpha: 0, Sigma: 1}, 2, "α = 0"},
		{sched.At(clean), 2, "stop the guidance"},
	} {
		if _, _, err := MatchedLevel(sched, c.at, c.factor); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v by %d: got %v, expected an error with %q", c.at, c.factor, err, c.want)
		}
	}
	if err := (Pair{1, 4, 5, 2}).Validate(); err == nil {
		t.Error("a factor that does not divide the width was accepted")
	}
}
