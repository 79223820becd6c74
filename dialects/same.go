package dialects

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// fingerprint is what a method does on a problem that tells methods apart: the
// ends of runs to σ = 0 and of runs that stop before, on two paths, and what they
// cost.
type fingerprint struct {
	ends [4][]float64
	nfe  [4]int
}

// fingerprintOf runs a solver on the mixture of three Gaussians, in uneven steps
// with fixed noise. ok is false where it cannot run there, and for habits, which
// are no method.
func fingerprintOf(s solvers.Solver) (p fingerprint, ok bool) {
	if _, own := s.(*habit); own {
		return p, false
	}
	const rows = 4
	key := rng.New(20)
	unit := make([]float64, 2*rows)
	key.Normal(unit)
	ve, vp := schedules.EDM{SMin: 0.05, SMax: 20}, schedules.VPLinear{BetaMin: 0.1, BetaMax: 20}
	for i, c := range []struct {
		schedule schedules.Schedule
		spacing  schedules.Spacing
	}{
		{ve, schedules.Karras{Rho: 5, Last: schedules.LastZero}},
		{ve, schedules.Karras{Rho: 5}},
		{vp, schedules.UniformT{}},
		{vp, schedules.UniformT{TMin: 0.05}},
	} {
		g, err := c.spacing.Grid(c.schedule, 10)
		if err != nil {
			return fingerprint{}, false
		}
		d := exactProblem()
		noise, err := solvers.NoiseFor(s, solvers.RowKeys(key, 0, rows), models.Dim(d))
		if err != nil {
			return fingerprint{}, false
		}
		x := each(unit, func(z float64) float64 { return z * g[0].Sigma })
		problem := solvers.Problem{Denoiser: d, Grid: g, Schedule: c.schedule, Noise: noise}
		end, err := solvers.Sample(context.Background(), s, problem, x)
		if err != nil {
			return fingerprint{}, false
		}
		p.ends[i], p.nfe[i] = end, s.NFE(g)
	}
	return p, true
}

// equal reports methods that do the same to rounding, which ten steps on this
// problem amplify by less than a million.
func (p fingerprint) equal(q fingerprint) bool {
	for i := range p.ends {
		if p.nfe[i] != q.nfe[i] {
			return false
		}
		for j, v := range p.ends[i] {
			if math.Abs(v-q.ends[i][j]) > 1e-10*(1+math.Abs(v)) {
				return false
			}
		}
	}
	return true
}

// named is a method under one of its names.
type named struct {
	name string
	as   fingerprint
}

// catalogue runs every name once: what interfaces, programs and this module call
// their samplers, each at its defaults.
var catalogue = sync.OnceValue(func() []named {
	var all []named
	add := func(name string, s solvers.Solver) {
		if p, ok := fingerprintOf(s); ok {
			all = append(all, named{name, p})
		}
	}
	for _, e := range solvers.Registry().Entries {
		add(e.Name, e.Default)
	}
	for _, n := range nicknames() {
		if s, err := solvers.Parse(n.is); err == nil {
			add(n.names[0], s)
		}
	}
	for _, t := range Registry() {
		r, err := asRun(t, nil, 10)
		if err != nil {
			continue
		}
		if out, err := Translate(r); err == nil && out.Wrap == nil && out.Legs == nil {
			add(t.Sampler, out.Solver)
		}
	}
	return all
})

// sameMethod lists other names of what a solver does.
func sameMethod(s solvers.Solver, asked string) []string {
	p, ok := fingerprintOf(s)
	if !ok {
		return nil
	}
	var names []string
	for _, n := range catalogue() {
		other := !strings.HasPrefix(plain(asked), plain(n.name)) && n.name != s.String()
		if other && p.equal(n.as) && !slices.ContainsFunc(names, func(m string) bool { return plain(m) == plain(n.name) }) {
			names = append(names, n.name)
		}
	}
	return names
}
