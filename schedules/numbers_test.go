package schedules

import (
	"math"
	"testing"
)

// near reports |got − want| beyond half a unit of the last digit that the source
// prints.
func near(t *testing.T, what string, got, want, unit float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 0.5001*unit) {
		t.Errorf("%s = %.10g, expected %g", what, got, want)
	}
}

func TestBeta_Limit_Numbers(t *testing.T) {
	linear := mustParse(t, "beta").At(999)
	near(t, "linear: α² at T", linear.Alpha*linear.Alpha, 4.04e-5, 1e-7)
	near(t, "linear: λ at T", float64(linear.LogSNR()), -10.12, 1e-2)
	scaled := mustParse(t, "beta(kind=scaled-linear)").At(999)
	near(t, "scaled-linear: α at T", scaled.Alpha, 0.0683, 1e-4)
	near(t, "scaled-linear: SNR at T", scaled.LogSNR().SNR(), 0.00468, 1e-5)

	for _, kind := range betaKinds {
		plain, zero := mustParse(t, "beta(kind="+kind+")"), mustParse(t, "beta(kind="+kind+",zerosnr=true)")
		if plain.At(0) != zero.At(0) {
			t.Errorf("%s: the zero-SNR rescale moved the first entry", kind)
		}
		if zero.At(999).Alpha != 0 || zero.At(999).Sigma != 1 {
			t.Errorf("%s: the last entry is %+v: expected α = 0, σ = 1 exactly", kind, zero.At(999))
		}
	}
}

// Entry i of the Laplace table is the quantile (i + ½)/T of noise: the upper
// tail of the density e^{−|λ|/b}/2b at its λ, b = ½.
func TestBeta_Limit_Laplace(t *testing.T) {
	for _, size := range []int{2, 7, 1000} {
		s := Beta{Kind: LaplaceBeta, T: size}
		for i := range size {
			l := float64(s.At(float64(i)).LogSNR())
			tail := math.Exp(-math.Abs(l)/0.5) / 2
			if l < 0 {
				tail = 1 - tail
			}
			near(t, "Laplace tail", tail, (float64(i)+0.5)/float64(size), 1e-14)
		}
	}
}

func TestSpacing_Limit_Numbers(t *testing.T) {
	for spacing, want := range map[string][]float64{
		"karras":       {80, 9.723, 0.470, 0.002},
		"time-uniform": {80, 6.950, 1.287, 0.002},
	} {
		for i, s := range mustGrid(t, "edm", spacing, 3).Noises() {
			near(t, spacing, s, want[i], 1e-3)
		}
	}
}

// shifted is the cosine schedule for d pixels with noise tuned at n, its ends
// kept at ±15.
func shifted(d, n float64) Schedule {
	by := 2 * math.Log(n/d)
	return Shift{By: by, Schedule: Cosine{Min: -15 - by, Max: 15 - by}}
}

func TestShift_Limit_SimpleDiffusion(t *testing.T) {
	lambda := func(s Schedule, x float64) float64 { return float64(s.At(x).LogSNR()) }
	for d, by := range map[float64]float64{64: 0, 128: -1.386, 256: -2.773, 512: -4.159} {
		s := shifted(d, 64)
		near(t, "shift", s.(Shift).By, by, 1e-3)
		near(t, "λ at 0", lambda(s, 0), 15, 1e-12)
		near(t, "λ at 1", lambda(s, 1), -15, 1e-12)
		// The kept ends disturb the shift by their own angle, e^{−(15+by)/2},
		// over that of t = 0.1 from an end.
		for _, x := range []float64{0.1, 0.3, 0.5, 0.7, 0.9} {
			near(t, "shift of λ", lambda(s, x)-lambda(shifted(64, 64), x), 2*math.Log(64/d), 0.02*(d/64-1))
		}
	}
	low, high := shifted(256, 32), shifted(256, 256)
	for x, want := range map[float64]float64{0: 15, 0.25: 0.723, 0.5: -2.075, 0.75: -4.868, 1: -15} {
		near(t, "interpolated shift", x*lambda(low, x)+(1-x)*lambda(high, x), want, 1e-3)
	}
	near(t, "cosine at 0.99", lambda(Cosine{math.Inf(-1), math.Inf(1)}, 0.99), -8.30, 2e-2)
}

func TestChen_Limit_Numbers(t *testing.T) {
	for x, want := range map[float64]float64{0: 1, 0.25: 0.851, 0.5: 0.5, 0.75: 0.149, 1: 0} {
		a := mustParse(t, "chen-sigmoid").At(x).Alpha
		near(t, "sigmoid γ", a*a, want, 1e-3)
	}
	for _, x := range []float64{0, 0.1, 0.5, 0.8, 1} {
		a := mustParse(t, "chen-cosine").At(x).Alpha
		near(t, "cosine γ", a*a, math.Pow(math.Cos(math.Pi*x/2), 2), 1e-15)
	}
}

// The stable forms are the paper's, where the paper's own form keeps its digits.
func TestChen_AgreesWith_Definition(t *testing.T) {
	for _, p := range []struct{ start, end, tau float64 }{{-3, 3, 0.9}, {-3, 3, 0.7}, {0, 3, 0.3}, {-1, 0.5, 2}} {
		logistic := func(u float64) float64 { return 1 / (1 + math.Exp(-u/p.tau)) }
		for _, x := range []float64{0.05, 0.3, 0.5, 0.77, 0.95} {
			u := x*(p.end-p.start) + p.start
			gamma := (logistic(p.end) - logistic(u)) / (logistic(p.end) - logistic(p.start))
			a := ChenSigmoid{p.start, p.end, p.tau}.At(x).Alpha
			// Differences of logistic values near 1 leave some thirteen digits.
			if math.Abs(a*a-gamma) > 1e-13 {
				t.Errorf("sigmoid %v: γ(%g) = %.17g, expected %.17g", p, x, a*a, gamma)
			}
		}
	}
	for _, p := range []struct{ start, end, tau float64 }{{0, 1, 2}, {0.2, 1, 1}, {0, 0.7, 3}, {0.2, 0.9, 0.6}} {
		c := func(u float64) float64 { return math.Pow(math.Cos(math.Pi/2*u), 2*p.tau) }
		for _, x := range []float64{0.05, 0.3, 0.5, 0.77, 0.95} {
			gamma := (c(p.end) - c(x*(p.end-p.start)+p.start)) / (c(p.end) - c(p.start))
			a := ChenCosine{p.start, p.end, p.tau}.At(x).Alpha
			if math.Abs(a*a-gamma) > 1e-13 {
				t.Errorf("cosine %v: γ(%g) = %.17g, expected %.17g", p, x, a*a, gamma)
			}
		}
	}
}

// The resolution shift of rectified flow moves λ by −2 log s everywhere.
func TestRF_Invariant_Shift(t *testing.T) {
	for _, s := range []float64{0.5, 3, math.Exp(1.15)} {
		for _, x := range []float64{1e-9, 0.2, 0.5, 0.9, 1 - 1e-9} {
			plain, moved := RF{1}.At(x), RF{s}.At(x)
			near(t, "shift of λ", float64(moved.LogSNR()-plain.LogSNR()), -2*math.Log(s), 1e-13)
			near(t, "t'", moved.Sigma, s*x/(1+(s-1)*x), 1e-15)
			near(t, "α + σ", moved.Alpha+moved.Sigma, 1, 1e-15)
		}
	}
}
