package snr

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"

	"snrlab/internal/integral"
)

// Tilted is proportional to p·ω with ω counted in Unit: what a density becomes when
// it takes over a weight (see [Recipe.Absorb]). Its CDF is an integral, to about
// 1e-13. It is used by pointer, so that densities stay comparable.
type Tilted struct {
	Density Density `json:"density"`
	Weight  Weight  `json:"weight"`
	Unit    Unit    `json:"unit"`

	once sync.Once
	of   *curve
	err  error
}

// Validate reports a part that is missing or not valid, and a product that has no
// finite integral.
func (d *Tilted) Validate() error {
	if err := cmp.Or(check("tilted", "density", d.Density), check("tilted", "weight", d.Weight), check("tilted", "unit", d.Unit)); err != nil {
		return err
	}
	d.once.Do(func() {
		if d.of, d.err = newCurve(d.log, d.Density, d.kinks(), 1e-14); d.err != nil {
			d.err = fmt.Errorf("snr: the product of %s and %s in %s units %w", d.Density, d.Weight, d.Unit, d.err)
		}
	})
	return d.err
}

func (d *Tilted) log(l LogSNR) float64 { return d.Density.LogPDF(l) + LogIn(d.Weight, d.Unit, l) }

// LogPDF returns log p + log ω − log ∫p ω; NaN where the product is no density.
func (d *Tilted) LogPDF(l LogSNR) float64 {
	if d.Validate() != nil {
		return math.NaN()
	}
	c := d.of
	if l < c.lambda(c.edges[0]) || l > c.lambda(c.edges[len(c.edges)-1]) {
		return math.Inf(-1)
	}
	return d.log(l) - c.logTotal
}

// Mass returns ∫p ω dλ, by which the product was divided; NaN where there is none.
func (d *Tilted) Mass() float64 {
	if d.Validate() != nil {
		return math.NaN()
	}
	return math.Exp(d.of.logTotal)
}

// CDF integrates; NaN where the product is no density.
func (d *Tilted) CDF(l LogSNR) (below, above float64) {
	if d.Validate() != nil {
		return math.NaN(), math.NaN()
	}
	return d.of.cdf(l)
}

// Quantile solves for λ in its panel; NaN where the product is no density.
func (d *Tilted) Quantile(below, above float64) LogSNR {
	if d.Validate() != nil {
		return LogSNR(math.NaN())
	}
	c := d.of
	i := share(c.below, c.above, below, above)
	switch {
	case below == 0:
		return c.lambda(c.edges[0])
	case above == 0:
		return c.lambda(c.edges[len(c.edges)-1])
	}
	return invert(d, below, above, c.lambda(c.edges[i]), c.lambda(c.edges[i+1]))
}

func (d *Tilted) String() string { return Densities().Format("tilted", d) }

// curve is a positive function of λ with its integral, in the variable x of
// λ = centre + sinh x, in which exponential and algebraic tails both die out fast.
type curve struct {
	f            func(LogSNR) float64 // its logarithm
	centre       float64
	logTop       float64   // largest value of log(f dλ/dx) met
	logTotal     float64   // log of the integral
	edges        []float64 // of panels, in x
	below, above []float64 // shares of the integral on both sides of each edge
}

func (c *curve) lambda(x float64) LogSNR { return LogSNR(c.centre + math.Sinh(x)) }

func (c *curve) logDensity(x float64) float64 {
	return c.f(c.lambda(x)) + math.Abs(x) + math.Log1p(math.Exp(-2*math.Abs(x))) - math.Ln2
}

func (c *curve) density(x float64) float64 { return math.Exp(c.logDensity(x) - c.logTop) }

// newCurve integrates f, whose support is that of d and whose slope jumps at kinks, each
// panel to tol.
func newCurve(f func(LogSNR) float64, d Density, kinks []float64, tol float64) (*curve, error) {
	const (
		step = 0.25
		far  = 80. // in x: λ = 3e34
		deep = 50. // e⁻⁵⁰ of the top is nothing
	)
	noisy, clean := Support(d)
	c := &curve{f: f, centre: float64(d.Quantile(0.5, 0.5)), logTop: math.Inf(-1)}
	lo, hi := max(math.Asinh(float64(noisy)-c.centre), -far), min(math.Asinh(float64(clean)-c.centre), far)
	see := func(x float64) (log float64, err error) {
		log = c.logDensity(x)
		if math.IsNaN(log) || math.IsInf(log, 1) {
			return 0, fmt.Errorf("is %g at λ = %g: truncate the density or choose another weight", math.Exp(log), float64(c.lambda(x)))
		}
		c.logTop = max(c.logTop, log)
		return log, nil
	}
	// Inside the bulk of d everything is looked at, outside it as far as there is anything.
	inside := [2]float64{
		max(lo, math.Asinh(float64(d.Quantile(1e-12, 1-1e-12))-c.centre)),
		min(hi, math.Asinh(float64(d.Quantile(1-1e-12, 1e-12))-c.centre)),
	}
	for x := inside[0]; x < inside[1]; x += step / 4 {
		if _, err := see(x); err != nil {
			return nil, err
		}
	}
	for i, end := range []float64{lo, hi} {
		dir := math.Copysign(step, end-inside[i])
		for x := inside[i]; ; x += dir {
			if (x-end)*dir >= 0 {
				break
			}
			log, err := see(x)
			if err != nil {
				return nil, err
			}
			if log < c.logTop-deep {
				if i == 0 {
					lo = x
				} else {
					hi = x
				}
				break
			}
			if math.Abs(x) > far-2*step {
				return nil, fmt.Errorf("has no finite integral towards λ = %+g: truncate the density", math.Copysign(math.Inf(1), end))
			}
		}
	}
	if !(c.logTop > math.Inf(-1)) || !(lo < hi) {
		return nil, fmt.Errorf("is zero everywhere")
	}
	cuts := []float64{lo, hi}
	for _, k := range kinks {
		if x := math.Asinh(k - c.centre); x > lo && x < hi {
			cuts = append(cuts, x)
		}
	}
	slices.Sort(cuts)
	var panels []integral.Panel
	for i, x := range cuts[1:] {
		if x > cuts[i] {
			panels = append(panels, integral.Panels(c.density, cuts[i], x, tol)...)
		}
	}
	c.edges = []float64{lo}
	mass := make([]float64, len(panels))
	total := 0.0
	for i, p := range panels {
		c.edges, mass[i] = append(c.edges, p.To), p.Value
		total += p.Value
	}
	if !(total > 0) || math.IsInf(total, 1) {
		return nil, fmt.Errorf("has the integral %g", total)
	}
	for i := range mass {
		mass[i] /= total
	}
	c.logTotal = math.Log(total) + c.logTop
	c.below, c.above = cumulate(mass)
	return c, nil
}

func (c *curve) cdf(l LogSNR) (below, above float64) {
	n := len(c.edges) - 1
	x := min(max(math.Asinh(float64(l)-c.centre), c.edges[0]), c.edges[n])
	i := min(max(sort.SearchFloat64s(c.edges, x)-1, 0), n-1)
	scale := math.Exp(c.logTop - c.logTotal)
	left := scale * integral.Gauss(c.density, c.edges[i], x)
	right := scale * integral.Gauss(c.density, x, c.edges[i+1])
	return c.below[i] + left, c.above[i+1] + right
}

// CheckDensity reports a density that is not valid, does not integrate to one, or
// whose CDF is not the integral of p.
func CheckDensity(d Density) error {
	if err := check("recipe", "density", d); err != nil {
		return err
	}
	c, err := newCurve(d.LogPDF, d, kinksOf(d), 1e-11)
	if err != nil {
		return fmt.Errorf("snr: density %s %w", d, err)
	}
	if total := math.Exp(c.logTotal); !(math.Abs(total-1) <= 1e-8) {
		return fmt.Errorf("snr: density %s integrates to %.10g: expected 1", d, total)
	}
	for i := range 9 {
		u := float64(i+1) / 10
		l := d.Quantile(u, 1-u)
		want, _ := c.cdf(l)
		if got, _ := d.CDF(l); !(math.Abs(got-want) <= 1e-8) {
			return fmt.Errorf("snr: density %s says P(λ ≤ %g) = %.10g, its integral is %.10g", d, float64(l), got, want)
		}
	}
	return nil
}
