package solvers

import (
	"fmt"
	"math"

	"snrlab/schedules"
	"snrlab/snr"
)

// SEEDS is the family of exponential Runge–Kutta solvers of the reverse SDE
// [gonzalez2023, algorithms 1 to 3]. With ℓ = log(α/σ) and h = ℓ_b − ℓ_a, stage i
// stands at ℓ_a + r_i h and draws the noise z_i of the motion from the stage
// before it; each stage, and the step, is the exact solution for the answers
// taken as constant (SEEDS-1), as the midpoint's (SEEDS-2), or as linear in ℓ
// (SEEDS-3):
//
//	noise  x_b = (α_b/α_a) x_a − 2 σ_b (e^h − 1) ē + α_b Σ_i √(ŝ²_{i−1} − ŝ²_i) z_i
//	data   x_b = (σ_b/σ_a) e^{−h} x_a + α_b (1 − e^{−2h}) D̄ + σ_b ŝ_b Σ_i √(ŝ_i^{−2} − ŝ_{i−1}^{−2}) z_i
//
// with ŝ = σ/α, ŝ_0 = ŝ_a, and the last motion ending at ŝ_b. It has Stages evaluations
// and as many draws a step; r is ½ in SEEDS-2, ⅓ and ⅔ in SEEDS-3. It converges
// weakly with order 1; noise off it is DPM-Solver. One evaluation in the step to
// σ = 0, which has no noise. The levels of the stages come from the problem's
// schedule.
type SEEDS struct {
	Stages  int        `json:"stages"`  // 1, 2 or 3
	Predict Prediction `json:"predict"` // what the answers are of
}

func (s SEEDS) String() string { return Registry().Format("seeds", s) }

// Validate reports a number of stages that there is no method of.
func (s SEEDS) Validate() error {
	if s.Stages < 1 || s.Stages > 3 {
		return fmt.Errorf("stages = %d: expected 1, 2 or 3", s.Stages)
	}
	return checkChoice("predict", predictionNames, s.Predict)
}

// Properties implements [Solver].
func (s SEEDS) Properties() Properties {
	p := Properties{
		Order: 1, Evals: s.Stages, LastEvals: 1, PathFree: true, Between: s.Stages > 1, Stochastic: true,
		Summary:    "exponential Runge–Kutta for the reverse SDE, with a draw a stage",
		Equation:   "x_b = (α_b/α_a) x_a − 2 σ_b (e^h − 1) ē + α_b Σ_i √(ŝ²_{i−1} − ŝ²_i) z_i",
		References: []string{"gonzalez2023"},
	}
	if s.Predict == PredictData {
		p.Equation = "x_b = (σ_b/σ_a) e^{−h} x_a + α_b (1 − e^{−2h}) D̄ + σ_b ŝ_b Σ_i √(ŝ_i^{−2} − ŝ_{i−1}^{−2}) z_i"
	}
	return p
}

// seedsStages are the places r_i of the stages after the first.
var seedsStages = [...][]float64{1: {}, 2: {1. / 2}, 3: {1. / 3, 2. / 3}}

func (s SEEDS) method() method {
	return method{evals: s.Stages, scratch: 4, noises: s.Stages, keep: s.Predict.answer(), step: s.step}
}

// noiseLevels are the levels of the grid and of the stages between them.
func (s SEEDS) noiseLevels(g schedules.Grid, on schedules.Schedule) schedules.Grid {
	if s.Stages == 1 {
		return g
	}
	var levels schedules.Grid
	for i, a := range g {
		levels = append(levels, a)
		if i == g.Steps() || s.method().named(a, g[i+1]) {
			continue
		}
		for _, r := range seedsStages[s.Stages] {
			levels = append(levels, schedules.LevelAt(on, a.LogSNR()+snr.LogSNR(r)*(g[i+1].LogSNR()-a.LogSNR())))
		}
	}
	return levels
}

func (s SEEDS) step(w *walk) {
	var (
		h      = halfStep(w.from, w.to)
		y, d   = w.tmp[0], w.tmp[1]
		levels = [4]schedules.Level{w.from}
		z      [3][]float64
		answer = [3][]float64{w.answer(s.Predict)}
		places [3]float64
	)
	for i, r := range seedsStages[s.Stages] {
		i++
		levels[i], places[i] = w.between(w.from.LogSNR()+snr.LogSNR(2*r*h)), r
		z[i-1] = w.normal(levels[i-1], levels[i])
		s.move(w, y, levels[:i+1], places[:i], answer[:i], z[:i], r)
		if s.Predict == PredictNoise {
			answer[i] = w.tmp[1+i]
			w.eval(d, y, levels[i])
			w.slope(answer[i], y, d, levels[i])
		} else {
			answer[i] = w.tmp[i]
			w.eval(answer[i], y, levels[i])
		}
	}
	n := s.Stages
	levels[n] = w.to
	z[n-1] = w.normal(levels[n-1], levels[n])
	s.move(w, w.next, levels[:n+1], places[:n], answer[:n], z[:n], 1)
}

// move writes into dst the state at the last of the levels, r h from w.from,
// from the answers at places of h and the noise of the motions between levels.
func (s SEEDS) move(w *walk, dst []float64, levels []schedules.Level, places []float64, answers, z [][]float64, r float64) {
	n := len(answers)
	b := levels[n]
	k := s.Predict.exponent(w.from, b, 1)
	// The first answer and the last, if there is another: linear through both, the
	// last alone in the step of two stages.
	var p nodes
	p.add(0, answers[0])
	if n > 1 {
		p.add(places[n-1]/r, answers[n-1])
	}
	weights := k.exact(&p)
	if n == 2 && s.Stages == 2 {
		weights[0], weights[1] = 0, weights[0]+weights[1]
	}
	var terms [maxTerms]term
	m := k.terms(&terms, w.x, &p, weights)
	for i := range z {
		u, v := levels[i].Noise(), levels[i+1].Noise()
		c := b.Alpha * math.Sqrt((u-v)*(u+v))
		if s.Predict == PredictData {
			c *= b.Noise() * b.Noise() / (u * v)
		}
		terms[m] = term{c, z[i]}
		m++
	}
	w.lin(dst, terms[:m]...)
}

// NFE implements [Solver].
func (s SEEDS) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s SEEDS) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
