package schedules

import (
	"fmt"
	"math"

	"snrlab/snr"
)

// ChenLinear is the linear schedule of [chen2023] on [0, 1]: α² = 1 − t, VP. Both
// ends, σ = 0 and α = 0, are reached.
type ChenLinear struct{}

// At returns the level at t.
func (ChenLinear) At(t float64) Level {
	return Level{T: t, Alpha: math.Sqrt(1 - t), Sigma: math.Sqrt(t)}
}

// TimeOf returns sigmoid(−λ).
func (s ChenLinear) TimeOf(l snr.LogSNR) float64 {
	_, sigma := l.VP()
	return pin(s, l, sigma*sigma)
}

// LogSNRRate returns dλ/dt = −1/(t (1 − t)).
func (ChenLinear) LogSNRRate(t float64) float64 { return -1 / (t * (1 - t)) }

// Domain is [0, 1].
func (ChenLinear) Domain() (clean, noisy float64) { return 0, 1 }

// Path is VP.
func (ChenLinear) Path() Path { return VPPath{} }

func (s ChenLinear) String() string { return Registry().Format("chen-linear", s) }

// ChenSigmoid is the sigmoid schedule of [chen2023] on [0, 1], with S the
// logistic function and u = t (End − Start) + Start:
//
//	α² = (S(End/τ) − S(u/τ))/(S(End/τ) − S(Start/τ)), VP.
//
// The differences of S are ratios of hyperbolic sines, which leaves
//
//	λ = log sinh((1−t)w) − log sinh(tw) + log cosh(Start/2τ) − log cosh(End/2τ)
//
// with w = (End − Start)/2τ. Both ends, σ = 0 and α = 0, are reached.
//
// Differs from the released code, which keeps α² ≥ 1e-9.
type ChenSigmoid struct {
	Start float64 `json:"start"`
	End   float64 `json:"end"`
	Tau   float64 `json:"tau"`
}

// Validate reports anything but Start < End, τ > 0, all finite.
func (s ChenSigmoid) Validate() error {
	if !(s.Start < s.End && s.Tau > 0) || math.IsInf(s.End-s.Start, 0) || math.IsInf(s.Tau, 1) || math.IsInf(s.width(), 1) || s.width() == 0 {
		return fmt.Errorf("schedules: chen-sigmoid has start = %g, end = %g, tau = %g: expected start < end, tau > 0, all finite", s.Start, s.End, s.Tau)
	}
	return nil
}

func (s ChenSigmoid) width() float64 { return (s.End - s.Start) / (2 * s.Tau) }

// offset is log cosh(Start/2τ) − log cosh(End/2τ).
func (s ChenSigmoid) offset() float64 {
	a, b := math.Abs(s.Start/(2*s.Tau)), math.Abs(s.End/(2*s.Tau))
	return a - b + math.Log1p(math.Exp(-2*a)) - math.Log1p(math.Exp(-2*b))
}

// At returns the level at t.
func (s ChenSigmoid) At(t float64) Level {
	w := s.width()
	// sinh x = e^x (1 − e^{−2x})/2, whose exponentials never overflow.
	l := (1-2*t)*w + math.Log(-math.Expm1(-2*(1-t)*w)) - math.Log(-math.Expm1(-2*t*w)) + s.offset()
	alpha, sigma := snr.LogSNR(l).VP()
	return Level{T: t, Alpha: alpha, Sigma: sigma}
}

// TimeOf inverts e^{2tw} = 1 + 2 sinh w/(R + e^{−w}) with log R = λ − offset.
func (s ChenSigmoid) TimeOf(l snr.LogSNR) float64 {
	w := s.width()
	logR := float64(l) - s.offset()
	x := w + math.Log(-math.Expm1(-2*w)) - (softplus(logR+w) - w)
	return pin(s, l, softplus(x)/(2*w))
}

// LogSNRRate returns dλ/dt = −w (coth((1−t)w) + coth(tw)).
func (s ChenSigmoid) LogSNRRate(t float64) float64 {
	w := s.width()
	return -w * (1/math.Tanh((1-t)*w) + 1/math.Tanh(t*w))
}

// Domain is [0, 1].
func (ChenSigmoid) Domain() (clean, noisy float64) { return 0, 1 }

// Path is VP.
func (ChenSigmoid) Path() Path { return VPPath{} }

func (s ChenSigmoid) String() string { return Registry().Format("chen-sigmoid", s) }

// softplus returns log(1 + e^x) without overflow.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// ChenCosine is the cosine schedule of [chen2023] on [0, 1], with
// c(u) = cos(πu/2)^{2τ} and u = t (End − Start) + Start:
//
//	α² = (c(End) − c(u))/(c(End) − c(Start)), VP.
//
// Start = 0, End = τ = 1 is α = cos(πt/2). Both ends, σ = 0 and α = 0, are
// reached.
//
// Differs from the released code, which keeps α² ≥ 1e-9.
type ChenCosine struct {
	Start float64 `json:"start"`
	End   float64 `json:"end"`
	Tau   float64 `json:"tau"`
}

// Validate reports anything but 0 ≤ Start < End ≤ 1 and a finite τ > 0.
func (s ChenCosine) Validate() error {
	if !(s.Start >= 0 && s.Start < s.End && s.End <= 1 && s.Tau > 0) || math.IsInf(s.Tau, 1) {
		return fmt.Errorf("schedules: chen-cosine has start = %g, end = %g, tau = %g: expected 0 ≤ start < end ≤ 1 and a finite tau > 0", s.Start, s.End, s.Tau)
	}
	return nil
}

// quarter returns cos(πu/2) and πu/2 of the point a fraction t from Start, the
// cosine as a sine of what is left to u = 1.
func (s ChenCosine) quarter(t float64) (cos, angle float64) {
	left := (1-t)*(s.End-s.Start) + (1 - s.End)
	return math.Sin(math.Pi / 2 * left), math.Pi / 2 * (s.Start + t*(s.End-s.Start))
}

// At returns the level at t.
func (s ChenCosine) At(t float64) Level {
	alpha, sigma := snr.LogSNR(s.lambda(t)).VP()
	return Level{T: t, Alpha: alpha, Sigma: sigma}
}

// lambda returns log(c(u) − c(End)) − log(c(Start) − c(u)).
func (s ChenCosine) lambda(t float64) float64 {
	gap := math.Pi / 2 * (s.End - s.Start)
	c0, a0 := s.quarter(0)
	c, a := s.quarter(t)
	c1, a1 := s.quarter(1)
	return s.logDrop(c, c1, a+a1, (1-t)*gap) - s.logDrop(c0, c, a0+a, t*gap)
}

// logDrop returns log(p^{2τ} − q^{2τ}) for p = cos A, q = cos B, A ≤ B, given
// A + B and B − A. Near each other, q/p = 1 − 2 sin((A+B)/2) sin((B−A)/2)/p.
func (s ChenCosine) logDrop(p, q, sum, diff float64) float64 {
	if p == 0 {
		return math.Inf(-1)
	}
	ratio := math.Log(q / p)
	if q > p/2 {
		ratio = math.Log1p(-2 * math.Sin(sum/2) * math.Sin(diff/2) / p)
	}
	return 2*s.Tau*math.Log(p) + math.Log(-math.Expm1(2*s.Tau*ratio))
}

// TimeOf inverts α² = sigmoid(λ): a first guess by the arc cosine, then Newton
// steps on log t or log(1−t), in which λ is almost linear near the ends.
func (s ChenCosine) TimeOf(l snr.LogSNR) float64 {
	if math.IsInf(float64(l), 0) || math.IsNaN(float64(l)) {
		return pin(s, l, math.NaN())
	}
	alpha, sigma := l.VP()
	c0, a0 := s.quarter(0)
	c1, _ := s.quarter(1)
	c := alpha*alpha*math.Pow(c0, 2*s.Tau) + sigma*sigma*math.Pow(c1, 2*s.Tau)
	guess := (math.Acos(min(math.Pow(c, 1/(2*s.Tau)), 1)) - a0) / (math.Pi / 2 * (s.End - s.Start))
	t := min(max(guess, 1e-12), 1-1e-12)
	for range 100 {
		miss := (float64(l) - s.lambda(t)) / s.LogSNRRate(t) // the plain Newton step
		next := t
		if t < 0.5 {
			next = min(t*math.Exp(miss/t), (t+1)/2)
		} else {
			next = max(1-(1-t)*math.Exp(-miss/(1-t)), t/2)
		}
		if math.Abs(next-t) <= 0x1p-52*t || next == 1 || next == 0 {
			return pin(s, l, next)
		}
		t = next
	}
	return pin(s, l, t)
}

// LogSNRRate returns dλ/dt = c'(u)(End − Start)/(α² σ² (c(Start) − c(End))).
func (s ChenCosine) LogSNRRate(t float64) float64 {
	gap := math.Pi / 2 * (s.End - s.Start)
	c0, a0 := s.quarter(0)
	c, a := s.quarter(t)
	c1, a1 := s.quarter(1)
	slope := -2 * s.Tau * gap * math.Pow(c, 2*s.Tau-1) * math.Sin(a)
	drops := s.logDrop(c0, c1, a0+a1, gap) - s.logDrop(c0, c, a0+a, t*gap) - s.logDrop(c, c1, a+a1, (1-t)*gap)
	return slope * math.Exp(drops)
}

// Domain is [0, 1].
func (ChenCosine) Domain() (clean, noisy float64) { return 0, 1 }

// Path is VP.
func (ChenCosine) Path() Path { return VPPath{} }

func (s ChenCosine) String() string { return Registry().Format("chen-cosine", s) }
