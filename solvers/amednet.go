package solvers

import (
	"fmt"
	"math"

	"snrlab/internal/direction"
	"snrlab/internal/par"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/snr"
)

// AMEDNet is [AMED] whose r, c and κ a small network predicts, for each row from
// its answer D at the step's beginning and from both levels, or from the levels
// alone [zhou2024]. It belongs to the grid and the model that it was trained
// with, by "snrlab fit-solver".
type AMEDNet struct {
	S   []float64      `json:"s"` // ŝ of the n+1 levels, falling
	Net *direction.Net `json:"net"`
}

// String names the solver by the content of its numbers: it is read from a file,
// see [Fitted].
func (s *AMEDNet) String() string { return contentName("amed-net", s) }

// Validate reports numbers that are no solver.
func (s *AMEDNet) Validate() error {
	if len(s.S) < 2 || s.Net == nil {
		return fmt.Errorf("amed has %d levels and a net: %t: expected at least 2, and one", len(s.S), s.Net != nil)
	}
	if err := checkLevels(s.S); err != nil {
		return err
	}
	if !(s.S[len(s.S)-1] > 0) {
		return fmt.Errorf("s ends at 0: expected a last level > 0")
	}
	return s.Net.Validate()
}

// Properties implements [Solver].
func (s *AMEDNet) Properties() Properties {
	p := AMED{R: "1", C: "0", Kappa: "1"}.Properties()
	p.Order, p.LastEvals = 0, 2
	p.Summary = "along an approximate mean direction, where a network says"
	return p
}

func (s *AMEDNet) method() method {
	run := &amedRun{s: s}
	run.place, run.finish = run.placeRows, run.finishRows
	return method{
		evals: 2, scratch: 4, lazy: true, free: true, step: run.step,
		fits: func(g schedules.Grid) error { return onlyGrid(s.S, g) },
		check: func(p Problem) error {
			if d := models.Dim(p.Denoiser); s.Net.Inputs > 0 && s.Net.Inputs != d {
				return fmt.Errorf("the network sees %d numbers and a sample has %d: this solver was trained for another model", s.Net.Inputs, d)
			}
			return nil
		},
	}
}

// amedRun is one run, with what its rows share.
type amedRun struct {
	s             *AMEDNet
	w             *walk
	a, b          float64
	y, e, dm      []float64
	levels        []schedules.Level
	m, c          []float64
	place, finish func(lo, hi int)
}

func (r *amedRun) step(w *walk) {
	r.w, r.a, r.b = w, w.from.Noise(), w.to.Noise()
	r.y, r.e, r.dm = w.tmp[0], w.tmp[1], w.tmp[2]
	if len(r.levels) != w.rows {
		r.levels, r.m, r.c = make([]schedules.Level, w.rows), make([]float64, w.rows), make([]float64, w.rows)
	}
	w.eval(w.d, w.x, w.from)
	w.slope(r.e, w.x, w.d, w.from)
	if w.err != nil {
		return
	}
	par.Rows(w.rows, 16, r.place)
	w.evalRows(r.dm, r.y, r.levels)
	if w.err != nil {
		return
	}
	par.Rows(w.rows, 64, r.finish)
	w.order = 0
	w.lin(w.next, term{w.to.Alpha, w.tmp[3]})
}

// placeRows writes each row's y, on the path at the level that its denoiser is
// told.
func (r *amedRun) placeRows(lo, hi int) {
	w := r.w
	var row direction.Row
	for i := lo; i < hi; i++ {
		at := i * w.dim
		r.s.Net.Forward(&row, w.d[at:at+r.s.Net.Inputs], r.a, r.b)
		m := math.Exp(row.R*math.Log(r.b) + (1-row.R)*math.Log(r.a))
		l := w.between(snr.FromSigma(row.Kappa * m))
		r.levels[i], r.m[i], r.c[i] = l, m, row.C
		for k := at; k < at+w.dim; k++ {
			r.y[k] = l.Alpha * (w.x[k]/w.from.Alpha + (m-r.a)*r.e[k])
		}
	}
}

// finishRows writes x̂_b = x̂_a + c (b − a) (y − D)/m.
func (r *amedRun) finishRows(lo, hi int) {
	w := r.w
	for i := lo; i < hi; i++ {
		h := r.c[i] * (r.b - r.a) / r.m[i]
		for k := i * w.dim; k < (i+1)*w.dim; k++ {
			w.tmp[3][k] = w.x[k]/w.from.Alpha + h*(r.y[k]/r.levels[i].Alpha-r.dm[k])
		}
	}
}

// NFE implements [Solver].
func (s *AMEDNet) NFE(g schedules.Grid) int { return 2 * g.Steps() }

// Start implements [Solver].
func (s *AMEDNet) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
