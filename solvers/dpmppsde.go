package solvers

import (
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
	"snrlab/snr"
)

// DPMPPSDE is the two-stage SDE sampler of k-diffusion [crowson2022]: the midpoint
// of DPM-Solver++(2S) with the noise of [DDIM] in both stages. With
// ℓ = log(α/σ), h = ℓ_b − ℓ_a, ℓ_m = ℓ_a + r h, and c_m, g_m, c_b, g_b the parts that
// keep the old noise and draw the new, g² = η² σ² (1 − ŝ²/ŝ_a²), c² = σ² − g²,
//
//	y   = (c_m/σ_a) x_a + (α_m − c_m α_a/σ_a) D_a + SNoise g_m z_am
//	D̄   = (1 − 1/(2r)) D_a + 1/(2r) D(y, m)
//	x_b = (c_b/σ_a) x_a + (α_b − c_b α_a/σ_a) D̄ + SNoise g_b z_ab
//
// z_am and z_ab belong to the motions from a to m and from a to b, parts of one
// path: the law is of order 2, as is the path with η = 0, which is dpmpp-2s.
// draws = apart asks for z_ab by itself, and the law is of order 1 unless the
// source knows the path, as [Brownian] does. Two evaluations a step, one in the
// step to σ = 0; the level of m comes from the problem's schedule.
type DPMPPSDE struct {
	R      float64 `json:"r"`      // place of m, 0 < r ≤ 1
	Eta    float64 `json:"eta"`    // 0 ≤ η ≤ 1
	SNoise float64 `json:"snoise"` // factor of the noise added
	Draws  Draws   `json:"draws"`  // how the two stages share their noise
}

// Draws is how stages whose motions overlap share their noise.
type Draws uint8

const (
	OnePath Draws = iota // increments of one path are asked for and added. The default
	Apart                // the whole motion of each stage is asked for
)

var drawsNames = []string{"path", "apart"}

func (d Draws) String() string { return spec.EnumName(d, drawsNames) }

// MarshalText writes the name.
func (d Draws) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a name.
func (d *Draws) UnmarshalText(b []byte) (err error) {
	*d, err = parseChoice[Draws](drawsNames, string(b))
	return err
}

func (d Draws) check(eta float64) error {
	if eta == 0 && d != OnePath {
		return fmt.Errorf("draws = %s has no effect with eta = 0: leave it out", d)
	}
	return checkChoice("draws", drawsNames, d)
}

// split returns the shares of the increments from a to m and from m to b in the
// one from a to b, all of unit variance on the clock e^λ.
func split(a, m, b schedules.Level) (before, after float64) {
	la, lm, lb := float64(a.LogSNR()), float64(m.LogSNR()), float64(b.LogSNR())
	whole := -math.Expm1(la - lb)
	return math.Sqrt(math.Exp(lm-lb) * -math.Expm1(la-lm) / whole), math.Sqrt(-math.Expm1(lm-lb) / whole)
}

func (s DPMPPSDE) String() string { return Registry().Format("dpmpp-sde", s) }

// Validate reports settings without meaning or without effect.
func (s DPMPPSDE) Validate() error {
	if err := checkR(s.R); err != nil {
		return err
	}
	if err := checkEta(s.Eta); err != nil {
		return err
	}
	if err := s.Draws.check(s.Eta); err != nil {
		return err
	}
	return checkNoise(s.Eta, s.SNoise)
}

// Properties implements [Solver].
func (s DPMPPSDE) Properties() Properties {
	return Properties{
		Order: 2, Evals: 2, LastEvals: 1, PathFree: true, Between: true, Stochastic: s.Eta > 0, Rises: s.Eta == 0,
		Summary:    "midpoint in log(α/σ) for D with noise in both stages",
		Equation:   "x_b = (c_b/σ_a) x_a + (α_b − c_b α_a/σ_a) [(1 − 1/(2r)) D_a + D(y, m)/(2r)] + g_b z,  g = η σ √(1 − ŝ²/ŝ_a²),  c² = σ² − g²",
		References: []string{"crowson2022", "lu2022pp"},
	}
}

func (s DPMPPSDE) method() method {
	return method{evals: 2, scratch: 3, noises: 2, step: s.step}
}

// middle is the level of m.
func (s DPMPPSDE) middle(a, b schedules.Level, on schedules.Schedule) schedules.Level {
	if s.R == 1 {
		return b
	}
	return schedules.LevelAt(on, a.LogSNR()+snr.LogSNR(2*s.R*halfStep(a, b)))
}

func (s DPMPPSDE) step(w *walk) {
	a, b, y, dy, whole := w.from, w.to, w.tmp[0], w.tmp[1], w.tmp[2]
	m := s.middle(a, b, w.problem.Schedule)
	var z []float64
	if s.Eta > 0 {
		z = w.normal(a, m)
	}
	s.stage(w, y, m, z, term{1, w.d})
	w.eval(dy, y, m)
	switch {
	case s.Eta == 0, s.R == 1 && s.Draws == OnePath:
	case s.Draws == Apart:
		z = w.normal(a, b)
	default:
		before, after := split(a, m, b)
		w.lin(whole, term{before, z}, term{after, w.normal(m, b)})
		z = whole
	}
	k := 1 / (2 * s.R)
	s.stage(w, w.next, b, z, term{1 - k, w.d}, term{k, dy})
}

// stage writes into dst the state at b for a denoised estimate Σ parts.
func (s DPMPPSDE) stage(w *walk, dst []float64, b schedules.Level, z []float64, parts ...term) {
	a := w.from
	c, g := etaSplit(s.Eta, a, b)
	gain := b.Alpha - c*a.Alpha/a.Sigma
	terms := [4]term{{c / a.Sigma, w.x}}
	n := 1
	for _, p := range parts {
		terms[n] = term{gain * p.c, p.v}
		n++
	}
	if z != nil {
		terms[n] = term{s.SNoise * g, z}
		n++
	}
	w.lin(dst, terms[:n]...)
}

// noiseLevels are those of g and the middle of every step that has one.
func (s DPMPPSDE) noiseLevels(g schedules.Grid, on schedules.Schedule) schedules.Grid {
	m := s.method()
	var all schedules.Grid
	for i, l := range g {
		all = append(all, l)
		if i < g.Steps() && s.R < 1 && !m.named(l, g[i+1]) {
			all = append(all, s.middle(l, g[i+1], on))
		}
	}
	return all
}

// NFE implements [Solver].
func (s DPMPPSDE) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s DPMPPSDE) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
