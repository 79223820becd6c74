package snr

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"snrlab/internal/integral"
)

// Moments are the first two moments, level by level, of something v that one draw
// of (x₀, ε) gives at noise level λ: of the loss |x₀ − D|², or of its gradient in the
// parameters of a network. They tell what a training loss ω(λ) v costs to estimate
// under any density, without another draw.
//
// v is counted in x₀ units, as ω is. Between the levels E|v|² is log-linear, and
// E v is linear in units of its root.
type Moments struct {
	Lambda []float64   // rising
	Mean   [][]float64 // E v at each level, one number or one for each parameter
	Second []float64   // E|v|²
}

// ScalarMoments are those of a number.
func ScalarMoments(lambda, mean, second []float64) *Moments {
	m := &Moments{Lambda: lambda, Second: second}
	for _, v := range mean {
		m.Mean = append(m.Mean, []float64{v})
	}
	return m
}

// Validate reports levels that do not rise, and moments that no distribution has.
func (m *Moments) Validate() error {
	if err := rising("moments", "levels", m.Lambda); err != nil {
		return err
	}
	if len(m.Mean) != len(m.Lambda) || len(m.Second) != len(m.Lambda) {
		return fmt.Errorf("snr: moments at %d levels have %d means and %d second moments: expected one each", len(m.Lambda), len(m.Mean), len(m.Second))
	}
	for i, s := range m.Second {
		square := 0.0
		for _, v := range m.Mean[i] {
			square += v * v
		}
		if len(m.Mean[i]) != len(m.Mean[0]) || !(s > 0) || math.IsInf(s, 1) || !(square <= s*(1+1e-9)) {
			return fmt.Errorf("snr: moments at λ = %g: %d means with the squared length %g, second moment %g: expected as many at every level, and no less than their square", m.Lambda[i], len(m.Mean[i]), square, s)
		}
	}
	return nil
}

// at writes E v at λ, inside the levels, into mean and returns E|v|².
func (m *Moments) at(l float64, mean []float64) (second float64) {
	i := piece(m.Lambda, l)
	s := (l - m.Lambda[i]) / (m.Lambda[i+1] - m.Lambda[i])
	second = math.Exp((1-s)*math.Log(m.Second[i]) + s*math.Log(m.Second[i+1]))
	a, b := (1-s)*math.Sqrt(second/m.Second[i]), s*math.Sqrt(second/m.Second[i+1])
	for k := range mean {
		mean[k] = a*m.Mean[i][k] + b*m.Mean[i+1][k]
	}
	return second
}

// Stochastic is what estimating a loss, or its gradient, from one draw of λ, x₀, ε at a
// time comes to. Divide the variances by the size of the batch.
type Stochastic struct {
	Mean     []float64 // ∫p ω E v dλ: what is estimated
	Variance float64   // ∫p ω² E|v|² dλ − |Mean|², of independent levels
	// Within is ∫p ω² (E|v|² − |E v|²) dλ, the part of Variance that a large stratified
	// batch is left with (see [Stratified]).
	Within float64
	// Least is (∫p ω √E|v|² dλ)² − |Mean|², the smallest Variance that any density has with
	// the weight that keeps the objective (see [Optimal]).
	Least float64
	// Carriers is the share of the draws that carry half of the second moment: those of the
	// largest ω² E|v|². A batch in which few of them are expected cannot tell its own spread.
	Carriers float64
}

// Estimate returns the cost of estimating the loss of r of something with the moments m.
// The levels of m must reach over the support of the density but for 1e-6 of it, which
// is left out.
func (m *Moments) Estimate(r Recipe) (Stochastic, error) {
	lo, hi, err := m.cover(r)
	if err != nil {
		return Stochastic{}, err
	}
	dim := len(m.Mean[0])
	e := Stochastic{Mean: make([]float64, dim)}
	root := 0.0
	mean := make([]float64, dim)
	type node struct{ share, square float64 }
	var nodes []node
	m.eachPiece(lo, hi, func(a, b float64) {
		// One rule for all integrands: their nodes are the same.
		integral.Each(a, b, func(l, weight float64) {
			p, w := PDF(r.Density, LogSNR(l)), math.Exp(r.Weight.Log(LogSNR(l)))
			if p == 0 {
				return
			}
			second := m.at(l, mean)
			square := 0.0
			for k, v := range mean {
				e.Mean[k] += weight * p * w * v
				square += v * v
			}
			e.Variance += weight * p * w * w * second
			nodes = append(nodes, node{weight * p, w * w * second})
			e.Within += weight * p * w * w * (second - square)
			root += weight * p * w * math.Sqrt(second)
		})
	})
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Compare(b.square, a.square) })
	carried := 0.0
	for _, n := range nodes {
		if carried >= e.Variance/2 {
			break
		}
		carried += n.share * n.square
		e.Carriers += n.share
	}
	square := 0.0
	for _, v := range e.Mean {
		square += v * v
	}
	e.Variance -= square
	e.Least = root*root - square
	return e, nil
}

// Optimal returns the density with which estimating the objective of r varies least,
// p* ∝ p ω √E|v|² (by Cauchy and Schwarz), log-linear between the levels of m.
func (m *Moments) Optimal(r Recipe) (*LogLinear, error) {
	lo, hi, err := m.cover(r)
	if err != nil {
		return nil, err
	}
	d := &LogLinear{}
	m.eachPiece(lo, hi, func(a, b float64) {
		const fine = 4 // pieces of each, where p and ω curve
		for k := range fine {
			d.Knots = append(d.Knots, a+(b-a)*float64(k)/fine)
		}
	})
	d.Knots = append(d.Knots, hi)
	none := make([]float64, 0)
	for _, l := range d.Knots {
		d.Log = append(d.Log, r.Density.LogPDF(LogSNR(l))+r.Weight.Log(LogSNR(l))+math.Log(m.at(l, none))/2)
	}
	return d, d.Validate()
}

// cover returns the part of the support of r that m knows.
func (m *Moments) cover(r Recipe) (lo, hi float64, err error) {
	if err := cmp.Or(m.Validate(), r.Validate()); err != nil {
		return 0, 0, err
	}
	lo, hi = m.Lambda[0], m.Lambda[len(m.Lambda)-1]
	below, _ := r.Density.CDF(LogSNR(lo))
	_, above := r.Density.CDF(LogSNR(hi))
	if out := below + above; out > 1e-6 {
		return 0, 0, fmt.Errorf("snr: moments from λ = %g to %g leave out %.3g of %s: measure further, or truncate the density", lo, hi, out, r.Density)
	}
	noisy, clean := Support(r.Density)
	return max(lo, float64(noisy)), min(hi, float64(clean)), nil
}

// eachPiece calls f on the intervals of [lo, hi] between the levels.
func (m *Moments) eachPiece(lo, hi float64, f func(a, b float64)) {
	i := sort.SearchFloat64s(m.Lambda, lo)
	for a := lo; a < hi; i++ {
		b := hi
		if i < len(m.Lambda) {
			b = min(b, m.Lambda[i])
		}
		if b > a {
			f(a, b)
		}
		a = b
	}
}

// Adaptive is a density that follows the loss during training, as in [kingma2023]: an
// exponential moving average over bins of λ of what the objective weighs, p ω |x₀ − D|²,
// and levels drawn in proportion to it, so that every level contributes alike. The
// objective never changes: the weight moves along (see [Adaptive.Recipe]).
//
// With Root the average is that of the square, and the density its root: the one of
// least variance. Where nothing was seen yet, and with the share Floor always, levels
// are uniform. The zero value of Floor is 0.01, of Decay 0.999.
type Adaptive struct {
	Root  bool
	Floor float64
	Decay float64 // of the average, for one observation of a bin

	objective Recipe
	edges     []float64
	value     []float64 // averages
	seen      []float64 // 1 − Decay^n, by which an average of n falls short
}

// NewAdaptive starts with n equal bins over the support of the objective's density,
// which must be finite.
func NewAdaptive(objective Recipe, n int) (*Adaptive, error) {
	if err := objective.Validate(); err != nil {
		return nil, err
	}
	lo, hi := Support(objective.Density)
	if err := (Flat{float64(lo), float64(hi)}).Validate(); err != nil {
		return nil, fmt.Errorf("snr: adaptive density of an objective from λ = %g to %g: expected finite ends, truncate its density", float64(lo), float64(hi))
	}
	if n < 1 {
		return nil, fmt.Errorf("snr: adaptive density of %d bins: expected at least 1", n)
	}
	a := &Adaptive{objective: objective, edges: make([]float64, n+1), value: make([]float64, n), seen: make([]float64, n)}
	for i := range a.edges {
		a.edges[i] = float64(lo) + float64(hi-lo)*float64(i)/float64(n)
	}
	a.edges[n] = float64(hi)
	return a, nil
}

// Observe takes in the loss |x₀ − D|² of one draw at λ. Losses outside the bins are
// left out, ones that are not finite refused.
func (a *Adaptive) Observe(l LogSNR, loss float64) error {
	if !(loss >= 0) || math.IsInf(loss, 1) {
		return fmt.Errorf("snr: loss %g at λ = %g: expected a finite number ≥ 0", loss, float64(l))
	}
	x := float64(l)
	if !(x >= a.edges[0] && x <= a.edges[len(a.edges)-1]) {
		return nil
	}
	i := piece(a.edges, x)
	v := math.Exp(a.objective.Density.LogPDF(l)+a.objective.Weight.Log(l)) * loss
	if a.Root {
		v *= v
	}
	decay := cmp.Or(a.Decay, 0.999)
	a.value[i] = decay*a.value[i] + (1-decay)*v
	a.seen[i] = decay*a.seen[i] + (1 - decay)
	return nil
}

// Recipe returns the objective under the density of now.
func (a *Adaptive) Recipe() (Recipe, error) { return a.objective.Move(a.Density()) }

// Density returns the density of now; what is observed later does not change it.
func (a *Adaptive) Density() *Bins {
	n := len(a.value)
	mass := make([]float64, n)
	total, known := 0.0, 0
	for i := range mass {
		if a.seen[i] == 0 {
			continue
		}
		mass[i] = a.value[i] / a.seen[i]
		if a.Root {
			mass[i] = math.Sqrt(mass[i])
		}
		total += mass[i]
		known++
	}
	floor := cmp.Or(a.Floor, 0.01)
	if !(total > 0) {
		total, floor = 1, 1
	}
	// Bins that nothing was seen of get an equal share each, the others share the rest.
	rest := float64(known) / float64(n)
	for i := range mass {
		share := 1 / float64(n)
		if a.seen[i] > 0 {
			share = rest * mass[i] / total
		}
		mass[i] = (1-floor)*share + floor/float64(n)
	}
	sum := 0.0
	for _, m := range mass {
		sum += m
	}
	for i := range mass {
		mass[i] /= sum
	}
	return &Bins{Edges: slices.Clone(a.edges), Mass: mass}
}
