package models

import (
	"context"
	"math"
	"strings"
	"testing"

	"snrlab/rng"
	"snrlab/schedules"
)

func allPredictions() []Prediction {
	return []Prediction{Eps{}, X0{}, V{}, Score{}, Flow{}, EDM{SigmaData: 0.5}, EDM{SigmaData: 1.7}}
}

func TestPrediction_Property_RoundTrip(t *testing.T) {
	m := GMM16()
	levels := []schedules.Level{level(0.05, 0.99), level(0.6, 0.8), level(1, 3), level(0.7, 0.3), level(0.99, 0.1)}
	const n = 10
	at := make([]schedules.Level, n)
	for i := range at {
		at[i] = levels[i%len(levels)]
	}
	x := make([]float64, n*16)
	rng.New(1).Normal(x)
	for _, p := range allPredictions() {
		for _, levels := range [][]schedules.Level{at, at[:1]} {
			want, got := make([]float64, len(x)), make([]float64, len(x))
			q := Query{X: x, Rows: n, At: levels}
			if err := m.Denoise(ctx, want, q); err != nil {
				t.Fatal(err)
			}
			if err := FromRaw(p, ToRaw(p, m)).Denoise(ctx, got, q); err != nil {
				t.Fatal(err)
			}
			// Rounding, magnified by σ/α ≤ 20 and again on the way back.
			if d, j := worst(got, want); d > 1e-12 {
				t.Errorf("%s: D[%d] = %.17g after a round trip, was %.17g", p, j, got[j], want[j])
			}
		}
		// The other way: D of a raw model's denoiser gives the raw output back.
		raw := fake{}
		scaled := append([]float64(nil), x...)
		for i := range scaled {
			s, _ := p.Input(at[i/16])
			scaled[i] *= s
		}
		want, got := make([]float64, len(x)), make([]float64, len(x))
		q := Query{X: scaled, Rows: n, At: at}
		if err := raw.Predict(ctx, want, q); err != nil {
			t.Fatal(err)
		}
		if err := ToRaw(p, FromRaw(p, raw)).Predict(ctx, got, q); err != nil {
			t.Fatal(err)
		}
		// The score's σ² and 1/σ² act on outputs of size 100 at σ = 0.1.
		if d, j := worst(got, want); d > 1e-12*100 {
			t.Errorf("%s: F[%d] = %.17g after a round trip, was %.17g", p, j, got[j], want[j])
		}
	}
}

// fake is a smooth function that is no denoiser of anything.
type fake struct{}

func (fake) Shape() []int { return []int{16} }

func (fake) Predict(_ context.Context, dst []float64, q Query) error {
	for i, x := range q.X {
		dst[i] = math.Sin(x) + 0.1*float64(i%16)
	}
	return nil
}

// Each prediction is what its name says when x₀ and ε are known.
func TestPrediction_AgreesWith_Definitions(t *testing.T) {
	x0, eps := 0.7, -1.3
	for _, at := range []schedules.Level{level(0.6, 0.8), level(0.25, 0.75), level(1, 40), level(1, 0.002), level(2, 3)} {
		a, s := at.Alpha, at.Sigma
		x := a*x0 + s*eps
		sh, sd := s/a, 0.5
		for p, want := range map[Prediction]float64{
			Eps{}: eps, X0{}: x0, V{}: a*eps - s*x0, Score{}: -eps / s, Flow{}: eps - x0,
			// F of the EDM paper: (x₀ − c_skip x̂)/c_out.
			EDM{SigmaData: sd}: (x0 - sd*sd/(sh*sh+sd*sd)*x/a) / (sh * sd / math.Sqrt(sh*sh+sd*sd)),
		} {
			skip, out, err := p.Encode(at)
			if err != nil {
				t.Fatal(err)
			}
			// Encode divides differences of rounded numbers by σ or σ².
			if got := skip*x + out*x0; math.Abs(got-want) > 1e-14*(math.Abs(skip*x)+math.Abs(out*x0)) {
				t.Errorf("%s at %+v: encodes %.17g, expected %.17g", p, at, got, want)
			}
			if skip, out, err = p.Decode(at); err != nil {
				t.Fatal(err)
			}
			if got := skip*x + out*want; math.Abs(got-x0) > 1e-13*(1+math.Abs(skip*x)) {
				t.Errorf("%s at %+v: decodes %.17g, expected x₀ = %.17g", p, at, got, x0)
			}
		}
		scale, label := EDM{SigmaData: sd}.Input(at)
		if got, want := scale*x, x/a/math.Sqrt(sh*sh+sd*sd); math.Abs(got-want) > 1e-14*math.Abs(want) {
			t.Errorf("edm at %+v: input %.17g, expected c_in x̂ = %.17g", at, got, want)
		}
		if got, want := label.T, math.Log(sh)/4; math.Abs(got-want) > 1e-15*math.Max(1, math.Abs(want)) {
			t.Errorf("edm at %+v: label %.17g, expected c_noise = %.17g", at, got, want)
		}
	}
}

// |ε err|² = e^λ |x₀ err|² and |v err|² = (e^λ + 1)|x₀ err|² on a variance
// preserving path, |u err|² = |x₀ err|²/t² on a straight one.
func TestPrediction_Property_ErrorRatios(t *testing.T) {
	const x, x0, wrong = 0.4, 0.3, 0.9
	ratio := func(p Prediction, at schedules.Level) float64 {
		skip, out, err := p.Encode(at)
		if err != nil {
			t.Fatal(err)
		}
		d := (skip*x + out*wrong) - (skip*x + out*x0)
		return d * d / ((wrong - x0) * (wrong - x0))
	}
	for _, angle := range []float64{0.1, 0.7, 1.2, 1.5} {
		at := level(math.Cos(angle), math.Sin(angle))
		snr := at.LogSNR().SNR()
		if got := ratio(Eps{}, at); math.Abs(got-snr) > 1e-12*snr {
			t.Errorf("ε at λ = %g: ratio %.17g, expected %.17g", at.LogSNR(), got, snr)
		}
		if got := ratio(V{}, at); math.Abs(got-(snr+1)) > 1e-12*(snr+1) {
			t.Errorf("v at λ = %g: ratio %.17g, expected %.17g", at.LogSNR(), got, snr+1)
		}
		tt := angle / 1.6
		if got, want := ratio(Flow{}, level(1-tt, tt)), 1/(tt*tt); math.Abs(got-want) > 1e-12*want {
			t.Errorf("flow at t = %g: ratio %.17g, expected %.17g", tt, got, want)
		}
	}
}

func TestPrediction_Limit(t *testing.T) {
	m := GM2D()
	x := []float64{0.4, -1.1}
	mean := []float64{0.027, 0.135} // of GM-2D
	// At α = 0 these know x₀, and every denoiser says the mean.
	for _, p := range []Prediction{X0{}, V{}, Flow{}, EDM{SigmaData: 0.5}} {
		got := make([]float64, 2)
		q := Query{X: x, Rows: 1, At: []schedules.Level{level(0, 1)}}
		if err := FromRaw(p, ToRaw(p, m)).Denoise(ctx, got, q); err != nil {
			t.Fatal(err)
		}
		if d, _ := worst(got, mean); d > 1e-15 {
			t.Errorf("%s at α = 0: D = %v, expected %v", p, got, mean)
		}
	}
	// At σ = 0 every prediction decodes to x/α, whatever the model says.
	for _, p := range allPredictions() {
		if p == (X0{}) {
			continue
		}
		skip, out, err := p.Decode(level(0.5, 0))
		if err != nil || skip != 2 || out != 0 {
			t.Errorf("%s at σ = 0: D = %g x + %g F, %v; expected 2 x", p, skip, out, err)
		}
	}
}

func TestPrediction_Refuses(t *testing.T) {
	m := GM2D()
	x, dst := make([]float64, 4), make([]float64, 4)
	noisy := Query{X: x, Rows: 2, At: []schedules.Level{level(0.5, 0.5), level(0, 1)}}
	clean := Query{X: x, Rows: 2, At: []schedules.Level{level(1, 0)}}
	for _, p := range []Prediction{Eps{}, Score{}} {
		err := FromRaw(p, ToRaw(p, m)).Denoise(ctx, dst, noisy)
		if err == nil || !strings.Contains(err.Error(), "use a model of v, x0 or flow") || !strings.Contains(err.Error(), "level 1") {
			t.Errorf("%s at α = 0: got %v", p, err)
		}
	}
	for _, p := range []Prediction{Eps{}, V{}, Score{}, Flow{}, EDM{SigmaData: 1}} {
		err := ToRaw(p, m).Predict(ctx, dst, clean)
		if err == nil || !strings.Contains(err.Error(), "use x0 there") {
			t.Errorf("%s at σ = 0: got %v", p, err)
		}
	}
	for _, p := range []Prediction{EDM{}, EDM{SigmaData: -1}, EDM{SigmaData: math.Inf(1)}} {
		if err := ToRaw(p, m).Predict(ctx, dst, Query{X: x, Rows: 2, At: []schedules.Level{level(1, 1)}}); err == nil {
			t.Errorf("%#v was accepted", p)
		}
	}
	if err := FromRaw(Eps{}, fake{}).Denoise(ctx, dst, clean); err == nil {
		t.Error("a query of the wrong size was accepted")
	}
	for s, want := range map[string]string{
		"epz": `did you mean "eps"`, "edm(sd=0)": "sd = 0", "v(x=1)": "unknown argument", "flow(": "expected name",
	} {
		if _, err := ParsePrediction(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, expected an error with %q", s, err, want)
		}
	}
}

func TestPrediction_Property_Parse(t *testing.T) {
	for _, p := range allPredictions() {
		got, err := ParsePrediction(p.String())
		if err != nil || got != p {
			t.Errorf("%s reads as %v, %v", p, got, err)
		}
	}
	for alias, want := range map[string]Prediction{"epsilon": Eps{}, "sample": X0{}, "v_prediction": V{}, "edm": EDM{SigmaData: 0.5}} {
		if got, err := ParsePrediction(alias); err != nil || got != want {
			t.Errorf("%s reads as %v, %v", alias, got, err)
		}
	}
}
