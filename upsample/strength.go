package upsample

import (
	"fmt"
	"math"

	"snrlab/schedules"
	"snrlab/snr"
)

// Strength is the guidance scale θ as a function of the level λ of the high
// resolution: 0 leaves the high-resolution model alone, 1 puts the coarse part of
// the low one in its place, more than 1 goes beyond. It is 1 + w in the notation
// that counts guidance from w = 0.
type Strength interface {
	At(l snr.LogSNR) float64
	String() string // parseable, e.g. "constant(theta=1.2)"
}

// Constant is the same θ at every level; 1.2 was found best for models of
// pixels [hwang2024].
type Constant struct {
	Theta float64 `json:"theta"`
}

// Heaviside is θ in the noisiest share Eta of a schedule's time, where
// t ≥ t_noisy − Eta (t_noisy − t_clean), and 0 after [hwang2024, for latents]. A
// share of time means nothing without its schedule, which need not be the one
// that is sampled on.
type Heaviside struct {
	Theta    float64            `json:"theta"`
	Eta      float64            `json:"eta"`
	Schedule schedules.Schedule `json:"schedule"`
}

// Until is θ where λ ≤ Lambda, and 0 after.
type Until struct {
	Theta  float64 `json:"theta"`
	Lambda float64 `json:"lambda"`
}

// Linearly is θ linear in λ between points, and constant beyond the outermost.
type Linearly struct {
	Lambda []float64 `json:"lambda"` // rising
	Theta  []float64 `json:"theta"`  // one for each
}

// At returns Theta.
func (c Constant) At(snr.LogSNR) float64 { return c.Theta }

// At returns Theta or 0.
func (h Heaviside) At(l snr.LogSNR) float64 {
	return Until{Theta: h.Theta, Lambda: float64(h.Stop())}.At(l)
}

// Stop returns the level λ at which the guidance ends.
func (h Heaviside) Stop() snr.LogSNR {
	clean, noisy := h.Schedule.Domain()
	return h.Schedule.At(noisy - h.Eta*(noisy-clean)).LogSNR()
}

// At returns Theta or 0.
func (u Until) At(l snr.LogSNR) float64 {
	if float64(l) <= u.Lambda {
		return u.Theta
	}
	return 0
}

// At interpolates.
func (p Linearly) At(l snr.LogSNR) float64 {
	last := len(p.Lambda) - 1
	for i, b := range p.Lambda {
		if float64(l) > b {
			continue
		}
		if i == 0 {
			return p.Theta[0]
		}
		f := (float64(l) - p.Lambda[i-1]) / (b - p.Lambda[i-1])
		return (1-f)*p.Theta[i-1] + f*p.Theta[i]
	}
	return p.Theta[last]
}

// Validate reports a θ that is not finite.
func (c Constant) Validate() error { return checkTheta("constant", c.Theta) }

// Validate reports a share of time that is none.
func (h Heaviside) Validate() error {
	if !(h.Eta >= 0 && h.Eta <= 1) {
		return fmt.Errorf("upsample: heaviside has eta = %g: expected a share of time from 0 to 1", h.Eta)
	}
	if h.Schedule == nil {
		return fmt.Errorf("upsample: heaviside needs the schedule whose time eta is a share of")
	}
	return checkTheta("heaviside", h.Theta)
}

// Validate reports numbers that are not finite.
func (u Until) Validate() error {
	if math.IsNaN(u.Lambda) {
		return fmt.Errorf("upsample: until has lambda = NaN: expected a level")
	}
	return checkTheta("until", u.Theta)
}

// Validate reports points that are no function.
func (p Linearly) Validate() error {
	if len(p.Lambda) == 0 || len(p.Lambda) != len(p.Theta) {
		return fmt.Errorf("upsample: linear has %d levels and %d strengths: expected as many of each, at least one", len(p.Lambda), len(p.Theta))
	}
	for i, l := range p.Lambda {
		if l-l != 0 || i > 0 && l <= p.Lambda[i-1] {
			return fmt.Errorf("upsample: linear has lambda[%d] = %g: expected finite levels that rise", i, l)
		}
		if err := checkTheta("linear", p.Theta[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkTheta(name string, theta float64) error {
	if theta-theta != 0 {
		return fmt.Errorf("upsample: %s has theta = %g: expected a finite number", name, theta)
	}
	return nil
}

func (c Constant) String() string  { return Strengths().Format("constant", c) }
func (h Heaviside) String() string { return Strengths().Format("heaviside", h) }
func (u Until) String() string     { return Strengths().Format("until", u) }
func (p Linearly) String() string  { return Strengths().Format("linear", p) }

// StrengthFunc is a θ(λ) given in code. name is what it prints as, which no
// parser reads back.
func StrengthFunc(name string, theta func(l snr.LogSNR) float64) Strength {
	return &strengthFunc{name, theta}
}

type strengthFunc struct {
	name  string
	theta func(snr.LogSNR) float64
}

func (f *strengthFunc) At(l snr.LogSNR) float64 { return f.theta(l) }
func (f *strengthFunc) String() string          { return f.name }
