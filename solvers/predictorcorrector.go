package solvers

import (
	"fmt"
	"math"
	"slices"

	"snrlab/internal/simd"
	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/schedules"
)

// PredictorCorrector takes Langevin steps at each level and then a step of any
// other solver to the next [song2021, section 4.2 and appendix G]. A Langevin
// step of size ε at the level a, with the score s = (αD − x)/σ², is
//
//	x ← x + ε s(x) + √(2ε) z
//
// which leaves the marginal law at a as it is, but for a bias of relative size
// r²σ²/Var[x] at the sizes below, Var[x] ≥ σ². Adjusted takes that bias away by
// accepting each step with the probability of Metropolis and Hastings
// [roberts1996], row by row:
//
//	min(1, p(x')/p(x) · e^{−√(ε/2) z·(s + s') − (ε/4)|s + s'|²})
//
// It needs the density p of a [models.Exact]. Corrector steps cost an evaluation
// each, and do not happen at α = 0. Order and ends are those of the predictor,
// in the step to σ = 0 too.
//
// Differs from the paper in the default size, see [CorrectorSize], and in that
// the corrections come before the prediction, which is what its program does:
// the result is a prediction.
type PredictorCorrector struct {
	Predictor Solver        `json:"predictor"` // the solver that takes the steps
	SNR       float64       `json:"snr"`       // r, 0 < r < 1; the paper's signal-to-noise ratio of a step
	Steps     int           `json:"steps"`     // Langevin steps a level, ≥ 1
	Size      CorrectorSize `json:"size"`      // what the size of a Langevin step follows
	Adjusted  bool          `json:"adjusted"`  // accept or refuse, with size = level
}

// CorrectorSize is the size ε of a Langevin step. The norms of the paper's rule
// make ε large where a score happens to be small, by itself in few dimensions
// and by the widest directions in many: with directions of variance V it is
// about 2r²/mean(1/V), while steps above 2 min V diverge.
type CorrectorSize uint8

const (
	// LevelSize is ε = 2 (r σ)², which the paper's rule tends to where noise is
	// strong and which is stable everywhere [song2019]. The default.
	LevelSize CorrectorSize = iota
	// RowSize is the paper's ε = 2 (r |z|/|s|)² with the norms of each row. On the
	// 2-D mixture, at r = 0.16 on 50 levels, one sample in a hundred ends far out
	// and these double the variance.
	RowSize
	// BatchSize is the same with norms averaged over the batch, as published
	// programs do; the rows of a batch then influence each other.
	BatchSize
)

var correctorSizeNames = []string{"level", "row", "batch"}

func (c CorrectorSize) String() string { return spec.EnumName(c, correctorSizeNames) }

// MarshalText writes the name.
func (c CorrectorSize) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a name.
func (c *CorrectorSize) UnmarshalText(b []byte) (err error) {
	*c, err = parseChoice[CorrectorSize](correctorSizeNames, string(b))
	return err
}

func (s PredictorCorrector) String() string { return Registry().Format("predictor-corrector", s) }

// predictor is a solver whose step can be put behind another.
type predictor interface {
	Solver
	method() method
}

// Validate reports settings without meaning and solvers that cannot predict.
func (s PredictorCorrector) Validate() error {
	p, ok := s.Predictor.(predictor)
	switch {
	case s.Predictor == nil:
		return fmt.Errorf("predictor is missing: expected a solver, reverse-diffusion say")
	case !ok:
		return fmt.Errorf("predictor = %s: expected a solver of one step after another on the levels of the grid", s.Predictor)
	case !(s.SNR > 0 && s.SNR < 1):
		return fmt.Errorf("snr = %g: expected a value in (0, 1), 0.16 say", s.SNR)
	case s.Steps < 1:
		return fmt.Errorf("steps = %d: expected at least 1", s.Steps)
	case s.Adjusted && s.Size != LevelSize:
		return fmt.Errorf("adjusted = true with size = %s: the probability of a step back is known for size = level alone", s.Size)
	}
	if v, ok := s.Predictor.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return fmt.Errorf("predictor = %s: %w", s.Predictor, err)
		}
	}
	switch m := p.method(); {
	case m.correct != nil:
		return fmt.Errorf("predictor = %s corrects already: raise its steps", s.Predictor)
	case m.carry > 0:
		return fmt.Errorf("predictor = %s hands states from step to step, which a correction would leave behind: expected another solver", s.Predictor)
	}
	return checkChoice("size", correctorSizeNames, s.Size)
}

// Properties implements [Solver].
func (s PredictorCorrector) Properties() Properties {
	p := s.Predictor.Properties()
	corrs := s.method().corrs
	p.Evals += corrs
	p.LastEvals += corrs
	p.Stochastic, p.OwnNoise, p.Coupled = true, true, p.Coupled || s.Size == BatchSize
	p.Rises, p.FromData = false, false
	if !s.Adjusted {
		p.Bias += s.SNR * s.SNR / (1 - s.SNR*s.SNR) // 1/(1 − ε/2Var[x]) − 1 at Var[x] = σ²
	}
	p.Summary = "Langevin steps at each level, then a step of any other solver"
	p.Equation = "x ← x + ε s + √(2ε) z,  ε = 2 (r σ)²,  s = (αD − x)/σ²;  then " + p.Equation
	if s.Size != LevelSize {
		p.Equation = "x ← x + ε s + √(2ε) z,  ε = 2 (r |z|/|s|)²,  s = (αD − x)/σ²;  then " + p.Equation
	}
	p.References = append([]string{"roberts1996", "song2019"}, p.References...)
	if !slices.Contains(p.References, "song2021") {
		p.References = append(p.References, "song2021")
	}
	return p
}

func (s PredictorCorrector) method() method {
	m := s.Predictor.(predictor).method()
	c := &langevin{PredictorCorrector: s, first: m.scratch}
	m.scratch += 3
	m.correct, m.corrs = c.correct, s.Steps
	if s.Adjusted {
		m.scratch += 3
		m.correct = c.adjusted
		if m.lazy { // the predictor asks for the last answer again
			m.corrs++
		}
	}
	check := m.check
	m.check = func(p Problem) error {
		if s.Adjusted {
			exact, ok := models.As[models.Exact](p.Denoiser)
			if !ok {
				return fmt.Errorf("adjusted steps need the density of an exact model (models.Exact), which %T is not: set adjusted = false", p.Denoiser)
			}
			c.exact = exact
		}
		if check == nil {
			return nil
		}
		return check(p)
	}
	return m
}

// langevin is the corrector of one run.
type langevin struct {
	PredictorCorrector
	first int // of its arrays in w.tmp
	exact models.Exact

	// One number a row.
	eps, uniform, log, logNext []float64
}

// correct takes the steps without adjustment.
func (c *langevin) correct(w *walk) {
	x, next, score := w.tmp[c.first], w.tmp[c.first+1], w.tmp[c.first+2]
	for range c.Steps {
		w.eval(w.d, w.x, w.from)
		w.score(score, w.x, w.d)
		z := w.normal(w.from, w.from)
		w.zUsed = 0
		if c.Size == LevelSize {
			eps := c.levelSize(w)
			w.lin(next, term{1, w.x}, term{eps, score}, term{math.Sqrt(2 * eps), z})
		} else {
			c.byNorms(w, next, score, z)
		}
		w.x, x, next = next, next, x
	}
}

func (c *langevin) levelSize(w *walk) float64 {
	s := c.SNR * w.from.Sigma
	return 2 * s * s
}

// byNorms writes the step of the paper's size into next. A row whose score is 0
// stays where it is.
func (c *langevin) byNorms(w *walk, next, score, z []float64) {
	if w.err != nil {
		return
	}
	c.eps = resized(c.eps, w.rows)
	var zs, ss float64 // sums of norms
	for i := range w.rows {
		nz, ns := w.rowNorm(z, i), w.rowNorm(score, i)
		zs, ss = zs+nz, ss+ns
		c.eps[i] = c.ratio(nz, ns)
	}
	for i := range w.rows {
		eps := c.eps[i]
		if c.Size == BatchSize {
			eps = c.ratio(zs, ss)
		}
		lo, hi := i*w.dim, (i+1)*w.dim
		coef := [3]float64{1, eps, math.Sqrt(2 * eps)}
		if !simd.Lin(next[lo:hi], coef[:], w.x[lo:hi], score[lo:hi], z[lo:hi]) {
			w.err = w.nonFinite(next, [][]float64{w.x, score, z})
			return
		}
	}
}

func (c *langevin) ratio(z, s float64) float64 {
	if s == 0 {
		return 0
	}
	return 2 * (c.SNR * z / s) * (c.SNR * z / s)
}

// adjusted takes steps that are accepted or refused row by row, and leaves the
// predictor D at the state that they lead to.
func (c *langevin) adjusted(w *walk) {
	tmp := w.tmp[c.first:]
	x, score, next, nextD, nextScore, sum := tmp[0], tmp[1], tmp[2], tmp[3], tmp[4], tmp[5]
	c.uniform, c.log, c.logNext = resized(c.uniform, w.rows), resized(c.log, w.rows), resized(c.logNext, w.rows)
	copy(x, w.x)
	w.eval(w.d, x, w.from)
	w.score(score, x, w.d)
	c.density(w, c.log, x)
	eps := c.levelSize(w)
	for range c.Steps {
		z, _ := w.draw(w.from, w.from, nil, c.uniform)
		w.zUsed = 0
		w.lin(next, term{1, x}, term{eps, score}, term{math.Sqrt(2 * eps), z})
		w.eval(nextD, next, w.from)
		w.score(nextScore, next, nextD)
		c.density(w, c.logNext, next)
		w.lin(sum, term{1, score}, term{1, nextScore})
		if w.err != nil {
			return
		}
		for i := range w.rows {
			lo, hi := i*w.dim, (i+1)*w.dim
			s := sum[lo:hi]
			back := math.Sqrt(eps/2)*simd.Dot(z[lo:hi], s) + eps/4*simd.Dot(s, s)
			if math.Log(c.uniform[i]) < c.logNext[i]-c.log[i]-back {
				copy(x[lo:hi], next[lo:hi])
				copy(w.d[lo:hi], nextD[lo:hi])
				copy(score[lo:hi], nextScore[lo:hi])
				c.log[i] = c.logNext[i]
			}
		}
	}
	w.x, w.answered = x, true
}

func (c *langevin) density(w *walk, dst, x []float64) {
	if w.err == nil {
		w.err = c.exact.LogDensity(dst, models.Query{X: x, Rows: w.rows, At: w.at[:], Labels: w.problem.Labels})
	}
}

// score writes ∇ log p = (αD − x)/σ² at w.from into dst.
func (w *walk) score(dst, x, d []float64) {
	v := w.from.Sigma * w.from.Sigma
	w.lin(dst, term{w.from.Alpha / v, d}, term{-1 / v, x})
}

// rowNorm is the length of row i of a batch.
func (w *walk) rowNorm(x []float64, i int) float64 {
	return math.Sqrt(simd.SumSq(x[i*w.dim : (i+1)*w.dim]))
}

// resized returns n numbers, those of a where it has room.
func resized(a []float64, n int) []float64 {
	if cap(a) < n {
		return make([]float64, n)
	}
	return a[:n]
}

// NFE implements [Solver].
func (s PredictorCorrector) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s PredictorCorrector) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("solvers: predictor-corrector: %w", err)
	}
	return start(s, s.method(), p, x, opts)
}
