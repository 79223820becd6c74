package upsample

import (
	"math"
	"strings"
	"testing"

	"snrlab/schedules"
)

func sched(t testing.TB, name string) schedules.Schedule {
	t.Helper()
	s, err := schedules.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The closed forms of three schedules (the cosine one is that of no clipping), and what pooling does to the noise.
func TestMatch(t *testing.T) {
	for _, c := range []struct {
		name  string
		t     float64
		tau   func(t, s float64) float64
		scale func(t, tau, s float64) float64
	}{
		{"rf", 0.7, func(t, s float64) float64 { return t / (t + s*(1-t)) }, func(t, tau, _ float64) float64 { return (1 - tau) / (1 - t) }},
		{
			"cosine(min=-80,max=80)", 0.6, func(t, s float64) float64 { return 2 / math.Pi * math.Atan(math.Tan(math.Pi*t/2)/s) },
			func(t, _, s float64) float64 { return 1 / math.Hypot(math.Cos(math.Pi*t/2), math.Sin(math.Pi*t/2)/s) },
		},
		{"edm", 10, func(t, s float64) float64 { return t / s }, func(_, _, _ float64) float64 { return 1 }},
	} {
		sched := sched(t, c.name)
		for _, s := range []float64{1, 1.5, 2, 4} {
			at := sched.At(c.t)
			got, scale, err := Match(sched, at, 1/(s*s))
			if err != nil {
				t.Fatal(err)
			}
			tau := c.tau(c.t, s)
			// The cosine's time goes through λ and back, a few roundings of λ = 30.
			if want := c.scale(c.t, tau, s); math.Abs(got.T-tau) > 1e-14*max(1, tau) || math.Abs(scale-want) > 1e-14*want {
				t.Errorf("%s, factor %g: τ = %.17g, scale %.17g, expected %.17g, %.17g", c.name, s, got.T, scale, tau, want)
			}
			if d := float64(got.LogSNR()-at.LogSNR()) - 2*math.Log(s); math.Abs(d) > 1e-13 {
				t.Errorf("%s, factor %g: λ(τ) − λ(t) is off 2 log s by %g", c.name, s, d)
			}
			if want := scale * at.Sigma / s; math.Abs(got.Sigma-want) > 1e-14*want {
				t.Errorf("%s, factor %g: σ_τ = %g, but the pooled and rescaled noise has %g", c.name, s, got.Sigma, want)
			}
		}
	}
}

// The ends of the range can be asked, zero signal and zero noise among them.
func TestMatch_Limit(t *testing.T) {
	edm := schedules.EDM{SMin: 0.002, SMax: 80}
	got, scale, err := Match(edm, edm.At(0.002), 1)
	if err != nil || got.T != 0.002 || scale != 1 {
		t.Errorf("level %+v, scale %g, error %v: expected the clean end itself", got, scale, err)
	}
	rf := sched(t, "rf")
	// All noise: the pooled noise has 1/2, the model of the low resolution 1.
	got, scale, err = Match(rf, schedules.Level{T: 1, Alpha: 0, Sigma: 1}, 0.25)
	if err != nil || got.T != 1 || got.Alpha != 0 || got.Sigma != 1 || math.Abs(scale-2) > 1e-15 {
		t.Errorf("level %+v, scale %g, error %v: expected all noise, times 2", got, scale, err)
	}
	got, scale, err = Match(rf, schedules.Level{T: 0, Alpha: 3, Sigma: 0}, 0.25)
	if err != nil || got.T != 0 || got.Alpha != 1 || got.Sigma != 0 || math.Abs(scale-1./3) > 1e-15 {
		t.Errorf("level %+v, scale %g, error %v: expected no noise, times 1/3", got, scale, err)
	}
}

func TestMatch_Refuses(t *testing.T) {
	edm := sched(t, "edm")
	clean, noisy := edm.Domain()
	for _, c := range []struct {
		sched schedules.Schedule
		at    schedules.Level
		noise float64
		want  string
	}{
		{edm, edm.At(1), 0, "expected a positive number"},
		{edm, schedules.Level{T: 1, Alpha: 0, Sigma: 0}, 1, "not both 0"},
		{edm, schedules.Level{T: 1, Alpha: 0, Sigma: 1}, 0.25, "noisier than the low-resolution model's noisy end"},
		{edm, edm.At(clean), 0.25, "stop the guidance at λ = 11.04"}, // 2 log(500) − 2 log 2
		{edm, edm.At(2.1 * noisy), 0.25, "start at λ = -10.15"},      // −2 log(80) − 2 log 2
		{nil, edm.At(1), 0.25, "no schedule"},
	} {
		if _, _, err := Match(c.sched, c.at, c.noise); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v, noise %g: got %v, expected an error with %q", c.at, c.noise, err, c.want)
		}
	}
}

func TestStrength(t *testing.T) {
	vp := sched(t, "vp-linear")
	half := vp.At(0.6)
	for name, cases := range map[string][][2]float64{ // λ, θ
		"constant(theta=1.2)":                                           {{-5, 1.2}, {math.Inf(1), 1.2}},
		"heaviside(theta=1.2,eta=0.4,schedule=vp-linear)":               {{float64(half.LogSNR()) - 1e-9, 1.2}, {float64(half.LogSNR()) + 1e-9, 0}, {math.Inf(-1), 1.2}},
		"until(theta=0.7,lambda=2)":                                     {{2, 0.7}, {2.0001, 0}},
		"linear(lambda=[-4,0,2],theta=[1.5,1,0])":                       {{-9, 1.5}, {-2, 1.25}, {0, 1}, {1, 0.5}, {9, 0}},
		"heaviside(eta=1,schedule=shift(by=-1.386,schedule=vp-linear))": {{0, 1}},
	} {
		s, err := ParseStrength(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.String() != name {
			t.Errorf("%s prints as %s", name, s)
		}
		for _, c := range cases {
			if got := s.At(logSNR(c[0])); math.Abs(got-c[1]) > 1e-15 {
				t.Errorf("%s at λ = %g: %g, expected %g", name, c[0], got, c[1])
			}
		}
	}
	// Half of the cosine schedule's time is the level λ = 0.
	if l := (Heaviside{Theta: 1, Eta: 0.5, Schedule: sched(t, "cosine")}).Stop(); math.Abs(float64(l)) > 1e-12 {
		t.Errorf("the cosine schedule's middle is λ = %g, expected 0", float64(l))
	}
	for name, want := range map[string]string{
		"heaviside(eta=1.5)":                "expected a share of time from 0 to 1",
		"constant(theta=inf)":               "theta = +Inf",
		"linear(lambda=[0,0],theta=[1,1])":  "expected finite levels that rise",
		"linear(lambda=[0],theta=[1,1])":    "as many of each",
		"constant(w=1)":                     `unknown argument "w"`,
		"heavyside":                         `did you mean "heaviside"`,
		"heaviside(schedule=edm(smin=-1))":  "smin",
		"until(lambda=x)":                   "not a number",
		"linear(lambda=[0,1],theta=[1,ab])": "not a number",
	} {
		if _, err := ParseStrength(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected an error with %q", name, err, want)
		}
	}
}
