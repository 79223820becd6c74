package tune

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
)

// ScheduleFit learns the schedule on which the stochastic estimate of a loss varies
// least. The objective stays, so the mean of the estimate does; its second moment
//
//	E_{λ~p}[(w l/p)²] = ∫ w² E l²/p dλ
//
// is what the schedule, p = |dt/dλ|, is free to lessen [kingma2021]. The ends are those
// of the objective's density and stay fixed.
//
// The schedule is a monotone spline, log p linear between knots of λ, and no network: p
// is a function of one variable, so a spline with as many pieces as the curve has
// features is as good; t(λ) and its inverse are closed formulas; and with q the density
// that a draw came from, the logarithm of the estimate
//
//	log ∫e^g dλ + log Σ_i (w l)_i² e^{−g(λ_i)}/q_i,    p = e^g/∫e^g,
//
// is convex in the values g at the knots. So the fit has one answer, which L-BFGS finds,
// and needs no derivative of the denoiser: a draw made for one schedule counts for all.
// VDM follows the gradient of each draw through the network instead.
type ScheduleFit struct {
	Objective snr.Recipe // w = p ω counts, and the support of p, which must be finite
	Knots     int        // of the spline, evenly in λ
	Rounds    int        // the first draws uniformly in λ, each other from the schedule so far
	Draws     int        // of (λ, x₀, ε) in each round, stratified in t
	Key       rng.Key
}

// DefaultScheduleFit is a fit of a minute or less for small models.
func DefaultScheduleFit(objective snr.Recipe) ScheduleFit {
	return ScheduleFit{Objective: objective, Knots: 41, Rounds: 3, Draws: 20_000, Key: rng.New(1)}
}

// Validate reports settings that cannot be used.
func (f ScheduleFit) Validate() error {
	if err := f.Objective.Validate(); err != nil {
		return err
	}
	lo, hi := snr.Support(f.Objective.Density)
	switch {
	case math.IsInf(float64(lo), 0) || math.IsInf(float64(hi), 0):
		return fmt.Errorf("tune: the density of the objective reaches from λ = %g to %g: expected fixed ends, truncate it", float64(lo), float64(hi))
	case f.Knots < 2 || f.Knots > 1<<12:
		return fmt.Errorf("tune: %d knots: expected 2 to %d", f.Knots, 1<<12)
	case f.Rounds < 1 || f.Draws < 2*f.Knots:
		return fmt.Errorf("tune: %d rounds of %d draws: expected at least one, of at least two draws for each of %d knots", f.Rounds, f.Draws, f.Knots)
	}
	return nil
}

// Run draws and fits; progress, where not nil, hears after each round of the second
// moment of the estimate as a share of that on uniform λ.
func (f ScheduleFit) Run(ctx context.Context, d models.Denoiser, truth models.Exact, progress func(round int, share float64)) (*snr.LogLinear, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	lo, hi := snr.Support(f.Objective.Density)
	p := &snr.LogLinear{Knots: make([]float64, f.Knots), Log: make([]float64, f.Knots)}
	floats.Span(p.Knots, float64(lo), float64(hi))
	o := &spread{knots: p.Knots, grad: make([]float64, f.Knots)}
	for round := range f.Rounds {
		if err := f.draw(ctx, d, truth, p, o, round); err != nil {
			return nil, err
		}
		log, loss, err := lbfgs(o, p.Log, 400, nil)
		if err != nil {
			return nil, err
		}
		flat := &spread{knots: o.knots, at: o.at, log: o.log, grad: make([]float64, f.Knots)}
		if err := flat.compute(make([]float64, f.Knots)); err != nil {
			return nil, err
		}
		p = &snr.LogLinear{Knots: p.Knots, Log: log}
		if progress != nil {
			progress(round, math.Exp(loss-flat.value))
		}
	}
	return p, p.Validate()
}

// draw adds a round of draws from p to o.
func (f ScheduleFit) draw(ctx context.Context, d models.Denoiser, truth models.Exact, p *snr.LogLinear, o *spread, round int) error {
	key := f.Key.Split("round", uint64(round))
	levels := make([]snr.LogSNR, f.Draws)
	snr.Stratified(p, key, levels)
	dim := models.Dim(truth)
	const batch = 256
	for from := 0; from < f.Draws; from += batch {
		n := min(batch, f.Draws-from)
		keys, at := make([]rng.Key, n), make([]schedules.Level, n)
		x0, x, answer := make([]float64, n*dim), make([]float64, n*dim), make([]float64, n*dim)
		for i := range n {
			keys[i] = key.Split("sample", uint64(from+i))
			a, s := levels[from+i].VP()
			at[i] = schedules.Level{T: math.NaN(), Alpha: a, Sigma: s}
		}
		if err := cmp.Or(truth.Sample(x0, schedules.Level{Alpha: 1}, nil, keys), truth.Sample(x, schedules.Level{Sigma: 1}, nil, keys)); err != nil {
			return err
		}
		for i := range x {
			x[i] = float64(at[i/dim].Alpha*x0[i]) + at[i/dim].Sigma*x[i]
		}
		if err := d.Denoise(ctx, answer, models.Query{X: x, Rows: n, At: at}); err != nil {
			return err
		}
		for i := range n {
			loss := 0.0
			for j := i * dim; j < (i+1)*dim; j++ {
				e := x0[j] - answer[j]
				loss += float64(e * e)
			}
			if loss-loss != 0 {
				return fmt.Errorf("tune: the loss at λ = %g is %g: expected a finite number", float64(levels[from+i]), loss)
			}
			l := levels[from+i]
			w := f.Objective.Density.LogPDF(l) + f.Objective.Weight.Log(l)
			o.at = append(o.at, float64(l))
			o.log = append(o.log, 2*(w+math.Log(loss))-p.LogPDF(l))
		}
	}
	return nil
}

// spread is the logarithm of the second moment of the estimate, as a function of the
// values of g at the knots.
type spread struct {
	knots []float64
	at    []float64 // λ of the draws
	log   []float64 // log[(w l)²/q]

	value float64
	grad  []float64
	cells []cell
}

// cell is where a draw lies between knots.
type cell struct {
	i int
	s float64
}

func (o *spread) last() (value float64, grad []float64) { return o.value, o.grad }

func (o *spread) compute(g []float64) error {
	for len(o.cells) < len(o.at) {
		x := o.at[len(o.cells)]
		i, _ := slices.BinarySearch(o.knots, x)
		i = min(max(i-1, 0), len(o.knots)-2)
		o.cells = append(o.cells, cell{i, (x - o.knots[i]) / (o.knots[i+1] - o.knots[i])})
	}
	clear(o.grad)
	// ∫e^g and its gradient, piece by piece: ∫₀¹ e^{a + ds}(1 − s, s) ds.
	top := floats.Max(g)
	total := 0.0
	part := make([]float64, len(g))
	for i := range len(g) - 1 {
		h, a, b := o.knots[i+1]-o.knots[i], math.Exp(g[i]-top), math.Exp(g[i+1]-top)
		left, right := ramp(g[i+1]-g[i]), ramp(g[i]-g[i+1])
		part[i] += h * a * left
		part[i+1] += h * b * right
		total += h * (a*left + b*right)
	}
	floats.AddScaled(o.grad, 1/total, part)
	// The draws.
	most := math.Inf(-1)
	for k, c := range o.cells {
		most = max(most, o.log[k]-(1-c.s)*g[c.i]-c.s*g[c.i+1])
	}
	sum := 0.0
	clear(part)
	for k, c := range o.cells {
		v := math.Exp(o.log[k] - (1-c.s)*g[c.i] - c.s*g[c.i+1] - most)
		sum += v
		part[c.i] -= (1 - c.s) * v
		part[c.i+1] -= c.s * v
	}
	floats.AddScaled(o.grad, 1/sum, part)
	o.value = top + math.Log(total) + most + math.Log(sum)
	return nil
}

// ramp returns ∫₀¹ (1 − s) e^{ds} ds = (e^d − 1 − d)/d².
func ramp(d float64) float64 {
	if math.Abs(d) < 0.02 {
		return 0.5 + d/6 + d*d/24 + d*d*d/120 + d*d*d*d/720 + d*d*d*d*d/5040
	}
	return (math.Expm1(d) - d) / (d * d)
}

// ConstantCost returns the density with which equal times spend equal parts of a cost:
// p ∝ cost^power between the levels, log-linear. What is spent on a stretch of λ is
// ∫cost dλ with power 1 (difficulty, entropy). An error that a method of order k makes
// in a step of h is cost·h^(k+1): equal errors in n steps call for the power 1/(k+1).
func ConstantCost(lambda, cost []float64, power float64) (*snr.LogLinear, error) {
	if len(cost) != len(lambda) {
		return nil, fmt.Errorf("tune: %d costs at %d levels: expected one each", len(cost), len(lambda))
	}
	if !(power > 0) || math.IsInf(power, 1) {
		return nil, fmt.Errorf("tune: cost to the power of %g: expected a finite number > 0", power)
	}
	d := &snr.LogLinear{Knots: slices.Clone(lambda), Log: make([]float64, len(cost))}
	for i, c := range cost {
		if !(c > 0) || math.IsInf(c, 1) {
			return nil, fmt.Errorf("tune: cost at λ = %g is %g: expected a finite number > 0, leave levels out that cost nothing", lambda[i], c)
		}
		d.Log[i] = power * math.Log(c)
	}
	return d, d.Validate()
}

// LocalError is the error that one DDIM step of h in λ makes from exact states at each
// level, over h²: twice the distance of one step from two of half the length, as for an
// error of order two, in the mean square and in units of the standard deviation of x
// at the end of the step.
func LocalError(ctx context.Context, d models.Denoiser, truth models.Exact, lambda []float64, h float64, rows int, key rng.Key) ([]float64, error) {
	if rows < 1 || !(h > 0) {
		return nil, fmt.Errorf("tune: local error of steps of %g on %d rows: expected a step > 0 and at least one row", h, rows)
	}
	dim := models.Dim(truth)
	keys := make([]rng.Key, rows)
	for i := range keys {
		keys[i] = key.Split("sample", uint64(i))
	}
	x, one, two, answer := make([]float64, rows*dim), make([]float64, rows*dim), make([]float64, rows*dim), make([]float64, rows*dim)
	level := func(l float64) schedules.Level {
		a, s := snr.LogSNR(l).VP()
		return schedules.Level{T: math.NaN(), Alpha: a, Sigma: s}
	}
	step := func(dst, x []float64, from, to schedules.Level) error {
		if err := d.Denoise(ctx, answer, models.Query{X: x, Rows: rows, At: []schedules.Level{from}}); err != nil {
			return err
		}
		r := to.Sigma / from.Sigma
		for i := range dst {
			dst[i] = r*x[i] + (to.Alpha-from.Alpha*r)*answer[i]
		}
		return nil
	}
	errs := make([]float64, len(lambda))
	for k, l := range lambda {
		a, m, b := level(l), level(l+h/2), level(l+h)
		if err := cmp.Or(
			truth.Sample(x, a, nil, keys),
			step(one, x, a, b),
			step(two, x, a, m),
			step(two, two, m, b),
		); err != nil {
			return nil, err
		}
		moments, err := truth.Moments(b, -1)
		if err != nil {
			return nil, err
		}
		square := 0.0
		for i := range one {
			e := 2 * (one[i] - two[i])
			square += float64(e * e)
		}
		errs[k] = math.Sqrt(square/float64(rows)/moments.Total()) / (h * h)
	}
	return errs, nil
}
