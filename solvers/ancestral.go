package solvers

import (
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// Process is the process whose step down and noise back up an ancestral sampler
// takes. Both are functions of ŝ = σ/α alone, so that any path can take either.
type Process uint8

const (
	// Exploding is the ancestral step of k-diffusion [crowson2022], whose noise level is ŝ:
	//	ŝ_up = η ŝ_b √(1 − ŝ_b²/ŝ_a²),   ŝ_down = √(ŝ_b² − ŝ_up²)
	// The default. It has no meaning at α = 0.
	Exploding Process = iota
	// Straight is that of rectified flow [hacohen2025] in user interfaces
	// [comfyui2023], whose noise level is τ = σ/(α + σ):
	//	τ_down = τ_b (1 − η (1 − τ_b/τ_a)),   ŝ_up = √(ŝ_b² − ŝ_down²)
	// It leaves α = 0, where τ = 1, by this formula too.
	Straight
)

var processNames = []string{"ve", "rf"}

func (p Process) String() string { return spec.EnumName(p, processNames) }

// MarshalText writes the name.
func (p Process) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a name.
func (p *Process) UnmarshalText(b []byte) (err error) {
	*p, err = parseChoice[Process](processNames, string(b))
	return err
}

// first is the rule of the step out of α = 0.
func (p Process) first() First {
	if p == Straight {
		return OwnFirst
	}
	return KeepNoise
}

// equation is the split in one line.
func (p Process) equation() string {
	if p == Straight {
		return "τ_down = τ_b (1 − η (1 − τ_b/τ_a)),  τ = σ/(α + σ),  ŝ_up² = ŝ_b² − ŝ_down²"
	}
	return "ŝ_up = η ŝ_b √(1 − ŝ_b²/ŝ_a²),  ŝ_down² = ŝ_b² − ŝ_up²"
}

// references are a method's own and those of the split.
func (p Process) references(own ...string) []string {
	if p == Straight {
		return append(own, "comfyui2023", "hacohen2025")
	}
	return append(own, "crowson2022")
}

// split divides σ_b into the level c = α_b ŝ_down that the step goes down to and
// the noise g = α_b ŝ_up that is added: c² + g² = σ_b².
func (p Process) split(eta float64, a, b schedules.Level) (c, g float64) {
	if p == Exploding {
		return etaSplit(eta, a, b)
	}
	ta, tb := a.Sigma/(a.Alpha+a.Sigma), b.Sigma/(b.Alpha+b.Sigma)
	cut := tb * eta * (1 - tb/ta) // τ_b − τ_down
	down := tb - cut
	// ŝ = τ/(1 − τ), so ŝ_b − ŝ_down = (τ_b − τ_down)/((1 − τ_b)(1 − τ_down)).
	c = b.Alpha * down / (1 - down)
	return c, math.Sqrt(b.Alpha * cut / ((1 - tb) * (1 - down)) * (b.Sigma + c))
}

// up is the part that ancestral samplers have in common: a share of the noise
// that is drawn anew, and a factor of what is drawn.
type up struct {
	eta    float64
	factor float64
}

// validate reports settings without meaning or without effect.
func (u up) validate() error {
	switch {
	case u.eta == 0 && u.factor != 1:
		return fmt.Errorf("snoise = %g has no effect with eta = 0: set it to 1", u.factor)
	case !(u.factor > 0) || math.IsInf(u.factor, 1):
		return fmt.Errorf("snoise = %g: expected a positive finite factor", u.factor)
	}
	return checkEta(u.eta)
}

// step writes x_b = α_b D + c (x_a − α_a D)/σ_a + g z for an answer d.
func (u up) step(w *walk, d []float64, c, g float64) {
	a, b := w.from, w.to
	w.lin(w.next, term{c / a.Sigma, w.x}, term{b.Alpha - c*a.Alpha/a.Sigma, d}, u.noise(w, g))
}

// noise draws the term g z of a step, which at η = 0 is nothing.
func (u up) noise(w *walk, g float64) term {
	if u.eta == 0 {
		return term{0, w.x}
	}
	return term{u.factor * g, w.normal(w.from, w.to)}
}

// renoise writes x_b = α_b D + c e + g z.
func renoise(w *walk, c, g float64) {
	a, b := w.from, w.to
	z := w.normal(a, b)
	w.lin(w.next, term{c / a.Sigma, w.x}, term{b.Alpha - c*a.Alpha/a.Sigma, w.d}, term{g, z})
}
