package schedules

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"snrlab/snr"
)

func lambdaAt(s Schedule, t float64) float64 { return float64(s.At(t).LogSNR()) }

// The published numbers of simple diffusion: shifts, ends, and the interpolated
// schedule; and the closed form with the inner bounds moved.
func TestAligned_Limit_SimpleDiffusion(t *testing.T) {
	for size, by := range map[int]float64{64: 0, 128: -1.386, 256: -2.773, 512: -4.159} {
		s := mustParse(t, fmt.Sprintf("aligned(size=%d)", size))
		near(t, "shift", s.(Aligned).By(), by, 1e-3)
		near(t, "λ at 0", lambdaAt(s, 0), 15, 1e-12)
		near(t, "λ at 1", lambdaAt(s, 1), -15, 1e-12)
		want := shifted(float64(size), 64)
		for _, x := range []float64{1e-6, 1e-3, 0.1, 0.25, 0.5, 0.7, 0.9, 0.999, 1 - 1e-6} {
			// The angle near the clean end is a difference, of which the ends'
			// ratio, at most 8, is lost.
			if got, want := lambdaAt(s, x), lambdaAt(want, x); math.Abs(got-want) > 1e-13*(1+math.Abs(want)) {
				t.Errorf("%s: λ(%g) = %.17g, with moved bounds %.17g", s, x, got, want)
			}
			if x >= 0.1 && x <= 0.9 {
				near(t, "shift of λ", lambdaAt(s, x)-lambdaAt(Cosine{-15, 15}, x), by, 0.02*math.Max(1, float64(size)/64-1)) // 0.01 to 256, the ends' angles beyond
			}
		}
	}
	s := mustParse(t, "interpolated(size=256,low=32,high=256)")
	for x, want := range map[float64]float64{0: 15, 0.25: 0.723, 0.5: -2.075, 0.75: -4.868, 1: -15} {
		near(t, "interpolated", lambdaAt(s, x), want, 1e-3)
	}
}

// On rectified flow the alignment is the shift by the ratio of the sides, t' = s t/(1 +
// (s − 1) t), and e^μ in the form of Flux with power 1.
func TestAligned_AgreesWith_RF(t *testing.T) {
	s := Aligned{Size: 256, Ref: 64, Fraction: 1, Schedule: RF{1}}
	flux := Flux{Tokens: 1, Low: 1, High: 2, MuLow: math.Log(4), MuHigh: 0, Power: 1}
	for _, x := range []float64{0, 1e-9, 0.2, 0.5, 0.9, 1 - 1e-9, 1} {
		want := 4 * x / (1 + 3*x)
		for _, got := range []Level{s.At(x), RF{4}.At(x), flux.At(x)} {
			if math.Abs(got.Sigma-want) > 4*eps*want || got.T != x {
				t.Errorf("t = %g: %+v, expected σ = %.17g", x, got, want)
			}
		}
		if x > 0 && x < 1 {
			// Exactly −2 log s, to the rounding of the logarithms.
			if by := lambdaAt(s, x) - lambdaAt(RF{1}, x); math.Abs(by+2*math.Log(4)) > 1e-14*(1+math.Abs(lambdaAt(s, x))) {
				t.Errorf("t = %g: λ moved by %.17g", x, by)
			}
		}
	}
}

// μ of the published rule, and its form with an exponent.
func TestFlux_Limit_Numbers(t *testing.T) {
	for tokens, want := range map[int]float64{256: 1.649, 1024: 1.878, 4096: 3.158} {
		near(t, "e^μ", math.Exp(mustParse(t, fmt.Sprintf("flux(tokens=%d)", tokens)).(Flux).Mu()), want, 1e-3)
	}
	for _, p := range []float64{0.7, 1, 2} {
		s := mustParse(t, fmt.Sprintf("flux(tokens=1024,power=%g)", p)).(Flux)
		for _, x := range []float64{0.01, 0.3, 0.5, 0.99} {
			want := math.Exp(s.Mu()) / (math.Exp(s.Mu()) + math.Pow(1/x-1, p))
			if got := s.At(x); math.Abs(got.Sigma-want) > 1e-14 || math.Abs(got.Alpha+want-1) > 1e-14 {
				t.Errorf("power %g at %g: %+v, expected σ = %.17g", p, x, got, want)
			}
		}
	}
}

// Input scaling is a shift of λ by 2 log b, b = n/d, in its own variance.
func TestInputScaled_AgreesWith_Definition(t *testing.T) {
	vp := ChenLinear{}
	for _, b := range []float64{0.1, 0.25, 1, 2} {
		s := InputScaled{b, vp}
		for _, x := range []float64{0, 0.1, 0.5, 0.99, 1} {
			l, gamma := s.At(x), 1-x
			if math.Abs(l.Alpha-math.Sqrt(gamma)*b) > 1e-15 || math.Abs(l.Sigma-math.Sqrt(1-gamma)) > 1e-15 {
				t.Errorf("b = %g at %g: %+v", b, x, l)
			}
			// The standard deviation of states of unit images is that of the path.
			if v := l.Alpha*l.Alpha + l.Sigma*l.Sigma; math.Abs(v-(gamma*b*b+1-gamma)) > 1e-15 {
				t.Errorf("b = %g at %g: variance %g", b, x, v)
			}
			// Over it, the state is that of an unscaled process at λ + 2 log b.
			unit := OnPath{ScalePath{SD: 1, Power: 1, By: 1}, s}.At(x)
			want := Shift{2 * math.Log(b), vp}.At(x)
			if math.Abs(unit.Alpha-want.Alpha) > 1e-15 || math.Abs(unit.Sigma-want.Sigma) > 1e-15 {
				t.Errorf("b = %g at %g: over its standard deviation %+v, shifted %+v", b, x, unit, want)
			}
			if x > 0 && x < 1 {
				if by := lambdaAt(s, x) - lambdaAt(vp, x); math.Abs(by-2*math.Log(b)) > 1e-14 {
					t.Errorf("b = %g at %g: λ moved by %.17g", b, x, by)
				}
				aligned := Aligned{Size: 40, Ref: int(40 * b), Fraction: 1, Schedule: vp}
				if d := lambdaAt(s, x) - lambdaAt(aligned, x); math.Abs(d) > 1e-14 {
					t.Errorf("b = n/d = %g at %g: off the alignment by %g", b, x, d)
				}
			}
		}
	}
}

// What is its own shift between fixed ends stays as it is, and half a shift is
// half a shift.
func TestAligned_Invariant(t *testing.T) {
	for _, s := range []Schedule{VE{0.01, 50}, EDM{0.002, 80}} {
		for _, size := range []int{16, 512} {
			a := Aligned{Size: size, Ref: 64, Fraction: 1, Schedule: s}
			if err := a.Validate(); err != nil {
				t.Fatal(err)
			}
			for _, x := range []float64{0.01, 0.3, 0.9} {
				if got, want := lambdaAt(a, x), lambdaAt(s, x); math.Abs(got-want) > 1e-13*(1+math.Abs(want)) {
					t.Errorf("%s: λ(%g) = %.17g, unaligned %.17g", a, x, got, want)
				}
			}
		}
	}
	half := Aligned{Size: 256, Ref: 64, Fraction: 0.5, Schedule: RF{1}}
	if got := half.At(0.5).Noise(); math.Abs(got-2) > 1e-15 {
		t.Errorf("half the shift by 4 multiplies σ/α by %g", got)
	}
	// A schedule whose one end is infinite keeps that and goes on at the other.
	if s, err := Parse("aligned(schedule=vp-linear)"); err != nil || math.Abs(lambdaAt(s, 1)-lambdaAt(VPLinear{0.1, 20}, 1)) > 1e-12 || math.Abs(lambdaAt(s, 0.2)-lambdaAt(VPLinear{0.1, 20}, 0.2)) < 0.5 {
		t.Errorf("aligned(schedule=vp-linear): %v", err)
	}
}

// rising is a schedule with a bump.
type rising struct{ Cosine }

func (s rising) At(t float64) Level {
	a, sg := snr.LogSNR(5 - 10*t + 3*math.Sin(6*t)).VP()
	return Level{T: t, Alpha: a, Sigma: sg}
}

func (rising) String() string { return "rising" }

func TestMonotone(t *testing.T) {
	for _, e := range Registry().Entries {
		if _, discrete := e.Default.(Beta); discrete {
			continue // 1000 entries are linear between
		}
		if _, none := e.Default.(*Learned); none {
			continue // it needs a file
		}
		if err := Monotone(e.Default); err != nil {
			t.Error(err)
		}
	}
	// 18 cos 6t > 10 below 0.164 and again above 0.883.
	err := Monotone(rising{})
	if err == nil || !strings.Contains(err.Error(), "between t = 0 and t = 0.0009") {
		t.Errorf("got %v, expected where it rises", err)
	}
	for name, want := range map[string]string{
		"interpolated(size=256,low=65536,high=16)": "not monotone: λ goes from",
		"aligned(schedule=beta)":                   "does not go on to λ",
		"shift(by=-3000)":                          "leaves no range",
		"aligned(size=100000000,schedule=beta)":    "leaves no range",
	} {
		if _, err := Parse(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected an error with %q", name, err, want)
		}
	}
}
