package solvers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/snr"
)

// PerStep is a number for all steps, "0.43", or one for each, "[0.43,0.4,0.1]".
// It is a text so that solvers can be compared.
type PerStep string

// Numbers writes one number for each step.
func Numbers(v ...float64) PerStep {
	parts := make([]string, len(v))
	for i, x := range v {
		parts[i] = strconv.FormatFloat(x, 'g', -1, 64)
	}
	return PerStep("[" + strings.Join(parts, ",") + "]")
}

// read returns one number, or one for each step.
func (p PerStep) read(field string) ([]float64, error) {
	text := strings.TrimSpace(string(p))
	inner, list := strings.CutPrefix(text, "[")
	if list {
		var ok bool
		if inner, ok = strings.CutSuffix(inner, "]"); !ok {
			return nil, fmt.Errorf("%s = %s: expected a number, or a list [a,b,...]", field, text)
		}
	}
	var out []float64
	for part := range strings.SplitSeq(inner, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !finite(v) {
			return nil, fmt.Errorf("%s = %s: %q is no finite number: expected a number, or a list [a,b,...]", field, text, part)
		}
		out = append(out, v)
	}
	if !list && len(out) != 1 {
		return nil, fmt.Errorf("%s = %s: expected a number, or a list [a,b,...]", field, text)
	}
	return out, nil
}

// of returns the number of a step.
func of(v []float64, step int) float64 { return v[min(step, len(v)-1)] }

// AMED is the step along an approximate mean direction [zhou2024]. With m = b^r a^{1−r}
// between ŝ_a = a and ŝ_b = b,
//
//	y   = x̂_a + (m − a) e(x̂_a, a)
//	x̂_b = x̂_a + c (b − a) d,   d = (y − D(y, κ m))/m
//
// for constants r, c and κ of each step, which "snrlab fit-solver" finds. Blend is
// the form on DPM-Solver-2, with d/(2r) + (1 − 1/(2r)) e in the place of d. AFS
// is the analytic first step: there e = x̂/√(1 + ŝ²), and no evaluation.
//
// Two evaluations a step, one in the step to σ = 0. Order 2 where c = κ = 1 and
// r = ½, or with Blend; else the constants belong to one grid, and the method has
// order 1 with c = κ = 1 and none without.
type AMED struct {
	R     PerStep `json:"r"`     // place of the intermediate level, 0 < r ≤ 1
	C     PerStep `json:"c"`     // scale of the direction
	Kappa PerStep `json:"kappa"` // scale of the level told at m
	Blend bool    `json:"blend"` // DPM-Solver-2's combination
	AFS   bool    `json:"afs"`   // analytic first step
}

func (s AMED) String() string { return Registry().Format("amed", s) }

// numbers are the constants as lists.
type amedNumbers struct{ r, c, kappa []float64 }

func readAMED(r, c, kappa PerStep) (n amedNumbers, err error) {
	if n.r, err = r.read("r"); err != nil {
		return n, err
	}
	if n.c, err = c.read("c"); err != nil {
		return n, err
	}
	if n.kappa, err = kappa.read("kappa"); err != nil {
		return n, err
	}
	for _, v := range n.r {
		if !(v > 0 && v <= 1) {
			return n, fmt.Errorf("r = %g: expected 0 < r ≤ 1", v)
		}
	}
	for _, v := range n.kappa {
		if !(v > 0) {
			return n, fmt.Errorf("kappa = %g: expected a number > 0", v)
		}
	}
	return n, nil
}

// fits reports lists of another length than the grid's steps.
func (n amedNumbers) fits(g schedules.Grid) error {
	for _, l := range []struct {
		name string
		v    []float64
	}{{"r", n.r}, {"c", n.c}, {"kappa", n.kappa}} {
		if len(l.v) > 1 && len(l.v) != g.Steps() {
			return fmt.Errorf("%s has %d numbers: expected one, or one for each of %d steps", l.name, len(l.v), g.Steps())
		}
	}
	return nil
}

// all reports a list of one value alone.
func all(v []float64, one float64) bool {
	return !slices.ContainsFunc(v, func(x float64) bool { return x != one })
}

// Validate reports numbers that are none or out of range.
func (s AMED) Validate() error {
	_, err := readAMED(s.R, s.C, s.Kappa)
	return err
}

// Properties implements [Solver].
func (s AMED) Properties() Properties {
	n, err := readAMED(s.R, s.C, s.Kappa)
	order := 0.0
	switch {
	case err != nil || s.AFS || !all(n.c, 1) || !all(n.kappa, 1):
	case s.Blend || all(n.r, 0.5):
		order = 2
	default:
		order = 1
	}
	return Properties{
		Order: order, Evals: 2, LastEvals: 1, PathFree: true, Between: true, Varies: s.AFS,
		Summary:    "along an approximate mean direction, asked for between the levels of a step",
		Equation:   "x̂_b = x̂_a + c (b − a) (y − D(y, κm))/m,  y = x̂_a + (m − a) e_a,  m = b^r a^{1−r}",
		References: []string{"zhou2024"},
	}
}

func (s AMED) method() method {
	n, _ := readAMED(s.R, s.C, s.Kappa) // Validate has seen an error
	m := method{evals: 2, scratch: 5, lazy: true, fits: n.fits, step: func(w *walk) { s.step(w, n) }}
	if s.AFS {
		m.cost = func(p place) int {
			if p.index == 0 {
				return 1
			}
			return 2
		}
	}
	return m
}

func (s AMED) step(w *walk, n amedNumbers) {
	a, b := w.from.Noise(), w.to.Noise()
	r, c, kappa := of(n.r, w.index), of(n.c, w.index), of(n.kappa, w.index)
	e, d := w.tmp[0], w.tmp[4]
	w.firstSlope(e, s.AFS)
	w.slopeAhead(d, e, r, kappa, w.tmp[1:4])
	straight := 0.0
	if s.Blend {
		straight = 1 - 1/(2*r)
	}
	h := w.to.Alpha * c * (b - a)
	w.lin(w.next, term{w.to.Alpha / w.from.Alpha, w.x}, term{h * (1 - straight), d}, term{h * straight, e})
}

// firstSlope writes e(x̂_a, a) and w.d; with afs, in the first step, those of data
// that is standard normal, without an evaluation.
func (w *walk) firstSlope(e []float64, afs bool) {
	if afs && w.index == 0 {
		a := w.from.Noise()
		w.lin(e, term{1 / (w.from.Alpha * math.Hypot(1, a)), w.x})
		w.lin(w.d, term{1 / w.from.Alpha, w.x}, term{-a, e})
		return
	}
	w.eval(w.d, w.x, w.from)
	w.slope(e, w.x, w.d, w.from)
}

// slopeAhead writes (y − D(y, κm))/m, where y is the state that Euler's step along
// e takes to m = b^r a^{1−r}.
func (w *walk) slopeAhead(dst, e []float64, r, kappa float64, tmp [][]float64) {
	a, b := w.from.Noise(), w.to.Noise()
	m := math.Exp(r*math.Log(b) + (1-r)*math.Log(a))
	mid := w.to
	if r < 1 {
		mid = w.between(snr.FromSigma(m))
	}
	y, dm := tmp[0], tmp[1]
	w.lin(y, term{mid.Alpha / w.from.Alpha, w.x}, term{mid.Alpha * (m - a), e})
	w.toldAt(dm, y, mid, m, kappa*m, tmp[2])
	w.slope(dst, y, dm, mid)
}

// toldAt evaluates a state at a level of noise own as if its noise were tau: x̂ is
// the same, α and σ are those of the path at tau.
func (w *walk) toldAt(dst, x []float64, level schedules.Level, own, tau float64, tmp []float64) {
	at := level
	if tau != own {
		at = w.between(snr.FromSigma(tau))
	}
	if at.Alpha != level.Alpha {
		w.lin(tmp, term{at.Alpha / level.Alpha, x})
		x = tmp
	}
	w.eval(dst, x, at)
}

// NFE implements [Solver].
func (s AMED) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s AMED) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}

// AMEDPlugin puts a level m = b^r a^{1−r} into every step of another solver
// [zhou2024]: it takes its steps a → m and m → b, history and all, asks at m with
// the level κ m, and scales the second step,
//
//	x̂_b = x̂_m + c (x̂'_b − x̂_m)
//
// for constants r, c and κ of each step. With c = κ = 1 it is the base solver on
// the finer grid. A step to σ = 0 is the base solver's own, in one.
type AMEDPlugin struct {
	Base  Solver  `json:"base"`
	R     PerStep `json:"r"`
	C     PerStep `json:"c"`
	Kappa PerStep `json:"kappa"`
}

func (s AMEDPlugin) String() string { return Registry().Format("amed-plugin", s) }

// Validate reports numbers out of range, or a base that takes no plain steps.
func (s AMEDPlugin) Validate() error {
	if _, err := readAMED(s.R, s.C, s.Kappa); err != nil {
		return err
	}
	m, ok := s.Base.(walked)
	switch {
	case s.Base == nil:
		return fmt.Errorf("base is missing: expected a solver such as ipndm(order=3)")
	case !ok || s.Base.Properties().Adaptive || s.Base.Properties().Stochastic || m.method().carry > 0:
		return fmt.Errorf("base = %s: expected a deterministic solver that walks a grid and hands no state but its history to the next step", s.Base)
	}
	return nil
}

// Properties implements [Solver].
func (s AMEDPlugin) Properties() Properties {
	p := s.Base.Properties()
	n, err := readAMED(s.R, s.C, s.Kappa)
	if err != nil || !all(n.c, 1) || !all(n.kappa, 1) {
		p.Order = 0
	}
	p.Between, p.Rises, p.Varies = true, false, true
	p.Evals, p.FirstEvals = 2*p.Evals, 0
	p.Summary = "another solver with a level put into every step, which is scaled"
	p.Equation = "steps a → m → b of the base, m = b^r a^{1−r}, D told κm at m;  x̂_b = x̂_m + c (x̂'_b − x̂_m)"
	p.References = append([]string{"zhou2024"}, p.References...)
	return p
}

// double returns the grid with the intermediate levels.
func (s AMEDPlugin) double(g schedules.Grid, sched schedules.Schedule, r []float64) schedules.Grid {
	out := make(schedules.Grid, 0, 2*len(g))
	for i := range g.Steps() {
		out = append(out, g[i])
		if a, b := g[i], g[i+1]; a.Alpha > 0 && b.Sigma > 0 {
			q := of(r, i)
			l := snr.LogSNR(q*float64(b.LogSNR()) + (1-q)*float64(a.LogSNR()))
			mid := schedules.Level{T: math.NaN(), Alpha: b.Alpha, Sigma: math.Exp(float64(-l)/2) * b.Alpha}
			if sched != nil {
				mid = schedules.LevelAt(sched, l)
			}
			out = append(out, mid)
		}
	}
	return append(out, g[g.Steps()])
}

// NFE implements [Solver].
func (s AMEDPlugin) NFE(g schedules.Grid) int {
	return s.Base.NFE(s.double(g, nil, []float64{0.5}))
}

// Start implements [Solver].
func (s AMEDPlugin) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	fail := func(err error) (Stepper, error) { return nil, fmt.Errorf("solvers: %s: %w", s, err) }
	if err := s.Validate(); err != nil {
		return fail(err)
	}
	n, err := readAMED(s.R, s.C, s.Kappa)
	if err != nil {
		return fail(err)
	}
	if err := walkable(p.Grid, s.Properties()); err != nil {
		return fail(err)
	}
	if err := n.fits(p.Grid); err != nil {
		return fail(err)
	}
	switch {
	case p.Schedule == nil:
		return fail(fmt.Errorf("the method evaluates off the grid's levels and the problem has no schedule: set Problem.Schedule"))
	case p.Denoiser == nil:
		return fail(fmt.Errorf("the problem has no denoiser"))
	}
	if err := onPath(p.Grid, p.Schedule.Path()); err != nil {
		return fail(err)
	}
	if all(n.r, 1) {
		return fail(fmt.Errorf("r = 1 puts the intermediate level on the next: expected r < 1"))
	}
	run := &pluginRun{s: s, n: n, grid: slices.Clone(p.Grid)}
	inner := p
	inner.Grid = s.double(p.Grid, p.Schedule, n.r)
	if !all(n.kappa, 1) {
		inner.Denoiser = run.relabelled(p, inner.Grid)
	}
	var cfg runConfig
	for _, o := range opts {
		o(&cfg)
	}
	var own []RunOption
	if cfg.observe != nil {
		own = append(own, Observe(run.observed(cfg.observe)))
	}
	if cfg.resume != nil {
		state := *cfg.resume
		switch {
		case state.Solver != s.String():
			return fail(fmt.Errorf("the state to resume belongs to %s", state.Solver))
		case state.Index < 0 || state.Index > p.Grid.Steps():
			return fail(fmt.Errorf("the state to resume is after step %d of a grid of %d steps", state.Index, p.Grid.Steps()))
		}
		run.index = state.Index
		state.Solver, state.Index = s.Base.String(), find(inner.Grid, p.Grid[state.Index])
		own = append(own, Resume(state))
	}
	st, err := s.Base.Start(inner, x, own...)
	if err != nil {
		return nil, err
	}
	w, ok := st.(*walk)
	if !ok {
		return fail(fmt.Errorf("base = %s takes no plain steps", s.Base))
	}
	run.w, run.mid, run.saved = w, make([]float64, len(x)), arrays(1+len(w.past), len(x))
	return run, nil
}

// find returns the place of a level of a grid.
func find(g schedules.Grid, l schedules.Level) int {
	return slices.IndexFunc(g, func(o schedules.Level) bool { return o.Alpha == l.Alpha && o.Sigma == l.Sigma })
}

// pluginRun is the plugin on one problem.
type pluginRun struct {
	s     AMEDPlugin
	n     amedNumbers
	grid  schedules.Grid
	w     *walk // the base on the doubled grid
	index int
	mid   []float64 // the state at m

	// The base before the step, for a step that fails halfway.
	saved               [][]float64 // its state and its history
	place, evals, known int
}

// Step implements [Stepper].
func (r *pluginRun) Step(ctx context.Context) (Step, error) {
	r.save()
	step, err := r.w.Step(ctx)
	if err != nil {
		return Step{}, r.failed(err, 0)
	}
	if r.index < r.grid.Steps() && step.To != r.grid[r.index+1] {
		m, at, stages := step.To, step.DenoisedAt, r.w.stage
		copy(r.mid, r.w.state)
		if step, err = r.w.Step(ctx); err != nil {
			return Step{}, r.failed(err, stages)
		}
		if c := of(r.n.c, r.index); c != 1 {
			gain := (1 - c) * r.grid[r.index+1].Alpha / m.Alpha
			for i, v := range r.mid {
				r.w.state[i] = float64(c*r.w.state[i]) + float64(gain*v)
			}
		}
		step.X, step.DenoisedAt = r.w.state, at
	}
	step.Index, step.From, step.To = r.index, r.grid[r.index], r.grid[r.index+1]
	r.index++
	return step, nil
}

func (r *pluginRun) save() {
	r.place, r.evals, r.known = r.w.index, r.w.evals, r.w.known
	copy(r.saved[0], r.w.state)
	for k := range r.known {
		copy(r.saved[1+k], r.w.past[k])
	}
}

// failed puts the base back where the step began and makes its failure the
// plugin's, after so many evaluations of the first half.
func (r *pluginRun) failed(err error, stages int) error {
	var e *StepError
	if !errors.As(err, &e) {
		return err
	}
	r.w.index, r.w.evals, r.w.known = r.place, r.evals, r.known
	copy(r.w.state, r.saved[0])
	for k := range r.known {
		copy(r.w.past[k], r.saved[1+k])
	}
	var bad *NonFiniteError
	if errors.As(err, &bad) {
		bad.Stage += stages
	}
	return &StepError{Solver: r.s.String(), Index: r.index, From: r.grid[r.index], To: r.grid[r.index+1], Err: e.Err}
}

// State implements [Stepper].
func (r *pluginRun) State() State {
	s := r.w.State()
	s.Solver, s.Index = r.s.String(), r.index
	return s
}

// observed turns stages of the base into those of the plugin.
func (r *pluginRun) observed(f func(Stage)) func(Stage) {
	stage, step := 0, -1
	return func(s Stage) {
		if r.index != step {
			stage, step = 0, r.index
		}
		s.Step, s.Stage = r.index, stage
		stage++
		f(s)
	}
}

// relabelled is the denoiser told κ m at the intermediate levels.
func (r *pluginRun) relabelled(p Problem, inner schedules.Grid) models.Denoiser {
	l := &relabelled{Denoiser: p.Denoiser}
	j := 0
	for i := range p.Grid.Steps() {
		if j++; inner[j] != p.Grid[i+1] {
			told := schedules.LevelAt(p.Schedule, snr.FromSigma(of(r.n.kappa, i)*inner[j].Noise()))
			l.from, l.to = append(l.from, inner[j]), append(l.to, told)
			j++
		}
	}
	return l
}

// relabelled is a denoiser that is told other levels than it is asked at.
type relabelled struct {
	models.Denoiser
	from, to []schedules.Level
	x        []float64
}

// Denoise implements [models.Denoiser].
func (l *relabelled) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if len(q.At) == 1 {
		if i := find(l.from, q.At[0]); i >= 0 {
			gain := l.to[i].Alpha / q.At[0].Alpha
			if gain != 1 {
				if len(l.x) != len(q.X) {
					l.x = make([]float64, len(q.X))
				}
				for k, v := range q.X {
					l.x[k] = gain * v
				}
				q.X = l.x
			}
			return l.Denoiser.Denoise(ctx, dst, models.Query{X: q.X, Rows: q.Rows, At: l.to[i : i+1], Labels: q.Labels})
		}
	}
	return l.Denoiser.Denoise(ctx, dst, q)
}
