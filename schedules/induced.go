package schedules

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"snrlab/internal/spec"
	"snrlab/snr"
)

// Induced is the density of the levels of a schedule at uniform times,
// p(λ) = |dt/dλ|/(t_noisy − t_clean).
type Induced struct {
	Schedule Schedule `json:"schedule"`
}

// Validate reports a schedule that is missing, not valid, or on which λ does not
// fall all the way.
func (d Induced) Validate() error {
	if d.Schedule == nil {
		return errors.New("schedules: induced needs a schedule")
	}
	if err := validate(d.Schedule); err != nil {
		return err
	}
	return Monotone(d.Schedule)
}

// LogPDF returns −log |dλ/dt| − log(t_noisy − t_clean).
func (d Induced) LogPDF(l snr.LogSNR) float64 {
	noisy, clean := snr.Support(d)
	if l < noisy || l > clean {
		return math.Inf(-1)
	}
	from, to := d.Schedule.Domain()
	t := d.Schedule.TimeOf(l)
	if t == from && math.IsInf(float64(clean), 1) || t == to && math.IsInf(float64(noisy), -1) {
		return math.Inf(-1) // rounded to an end that lies at infinity
	}
	return -math.Log(-Rate(d.Schedule, t)) - math.Log(to-from)
}

// CDF returns the shares of the time with more and with less noise.
func (d Induced) CDF(l snr.LogSNR) (below, above float64) {
	clean, noisy := d.Schedule.Domain()
	t := min(max(d.Schedule.TimeOf(l), clean), noisy)
	return (noisy - t) / (noisy - clean), (t - clean) / (noisy - clean)
}

// Quantile returns λ at the time, measured from the nearer end.
func (d Induced) Quantile(below, above float64) snr.LogSNR {
	clean, noisy := d.Schedule.Domain()
	t := noisy - below*(noisy-clean)
	if above < below {
		t = clean + above*(noisy-clean)
	}
	return d.Schedule.At(t).LogSNR()
}

func (d Induced) String() string { return Densities().Format("induced", d) }

// FromDensity is a density of λ as a schedule on [0, 1] on a path: λ(t) is its
// quantile, so that uniform times draw its levels. It reaches α = 0 and σ = 0 where
// the support is infinite.
type FromDensity struct {
	Of snr.Density `json:"of"`
	To Path        `json:"path"`
}

// Validate reports a part that is missing or not valid, a density that does not
// integrate to one, and a path that does not reach its ends.
func (s FromDensity) Validate() error {
	if s.Of == nil || s.To == nil {
		return errors.New("schedules: density needs both of, a density of λ, and a path")
	}
	if err := snr.CheckDensity(s.Of); err != nil {
		return err
	}
	for _, t := range []float64{0, 1} {
		if err := s.At(t).Validate(); err != nil {
			return fmt.Errorf("schedules: path %s does not reach λ = %g of density %s: choose another path or truncate the density",
				s.To, float64(s.Of.Quantile(1-t, t)), s.Of)
		}
	}
	return nil
}

// At returns the level with P(λ' > λ) = t.
func (s FromDensity) At(t float64) Level {
	l := s.Of.Quantile(1-t, t)
	a, sg := s.To.Coeffs(l)
	return Level{T: t, Alpha: a, Sigma: sg}
}

// TimeOf returns P(λ' > λ).
func (s FromDensity) TimeOf(l snr.LogSNR) float64 {
	_, t := s.Of.CDF(l)
	return pin(s, l, t)
}

// LogSNRRate returns dλ/dt = −1/p(λ).
func (s FromDensity) LogSNRRate(t float64) float64 {
	return -math.Exp(-s.Of.LogPDF(s.Of.Quantile(1-t, t)))
}

// Domain is [0, 1].
func (FromDensity) Domain() (clean, noisy float64) { return 0, 1 }

// Path is the path asked for.
func (s FromDensity) Path() Path { return s.To }

func (s FromDensity) String() string { return Registry().Format("density", s) }

// Densities lists the densities that [ParseDensity] reads: those of snr, and the
// ones that schedules induce.
func Densities() spec.Registry[snr.Density] {
	r := snr.Densities()
	r.Entries = append(r.Entries, spec.Entry[snr.Density]{
		Name: "induced", Summary: "the levels of a schedule at uniform times", Default: Induced{Schedule: VPLinear{BetaMin: 0.1, BetaMax: 20}},
	})
	r.Nested = parts(r.Nested)
	return r
}

// Weights lists the weights of snr, whose densities may be those of schedules.
func Weights() spec.Registry[snr.Weight] {
	r := snr.Weights()
	r.Nested = parts(r.Nested)
	return r
}

// Recipes lists the recipes of snr, whose densities may be those of schedules, and the
// ones whose density a schedule induces.
func Recipes() spec.Registry[snr.Recipe] {
	r := snr.Recipes()
	for _, e := range []struct {
		name, summary string
		w             snr.Weight
		s             Schedule
	}{
		{"ddpm", "ε loss on the linear β table of DDPM", snr.Uniform{Unit: snr.Eps{}}, Beta{T: 1000}},
		{"vp-score", "score loss times σ² on the linear VP SDE", snr.Uniform{Unit: snr.Eps{}}, VPLinear{BetaMin: 0.1, BetaMax: 20}},
		{"simple-diffusion", "v loss on the cosine schedule of 64×64 shifted to 256×256, ends kept", snr.Uniform{Unit: snr.V{}}, Shift{By: -4 * math.Ln2, Schedule: Cosine{Min: -15 + 4*math.Ln2, Max: 15 + 4*math.Ln2}}},
	} {
		r.Entries = append(r.Entries, spec.Entry[snr.Recipe]{Name: e.name, Summary: e.summary, Default: snr.NamedRecipe(e.name, e.w, Induced{e.s})})
	}
	r.Nested = parts(r.Nested)
	return r
}

// parts replaces the parsers of densities and weights by those of this package.
func parts(n map[reflect.Type]func(string) (any, error)) map[reflect.Type]func(string) (any, error) {
	n[reflect.TypeFor[snr.Density]()] = func(s string) (any, error) { return ParseDensity(s) }
	n[reflect.TypeFor[snr.Weight]()] = func(s string) (any, error) { return ParseWeight(s) }
	n[reflect.TypeFor[Schedule]()] = func(s string) (any, error) { return Registry().Parse(s) }
	return n
}

// ParseDensity reads a density, "induced(schedule=cosine)" or any of snr.
func ParseDensity(s string) (snr.Density, error) { return prefixed(Densities().Parse(s)) }

// ParseWeight reads a weight of snr, whose densities may be those of schedules.
func ParseWeight(s string) (snr.Weight, error) { return prefixed(Weights().Parse(s)) }

// ParseRecipe reads a recipe, "ddpm" or any of snr.
func ParseRecipe(s string) (snr.Recipe, error) { return prefixed(Recipes().Parse(s)) }
