package snr

import (
	"fmt"
	"math"
	"strings"
)

// Interval is a stretch of levels.
type Interval struct {
	Noisy LogSNR `json:"noisy"`
	Clean LogSNR `json:"clean"`
}

func (i Interval) String() string {
	return fmt.Sprintf("(%.4g, %.4g)", float64(i.Noisy), float64(i.Clean))
}

// Monotonicity says whether an objective w(λ) falls as λ rises.
type Monotonicity struct {
	// Within is where w was looked at: the support of the density but for 1e-12 of it
	// at either end.
	Within Interval `json:"within"`
	// Rises are the stretches on which w rises; none where the loss is a bound.
	Rises []Interval `json:"rises"`
	// Share is the share of the density that lies on them.
	Share float64 `json:"share"`
}

// Holds reports an objective that rises nowhere.
func (m Monotonicity) Holds() bool { return len(m.Rises) == 0 }

func (m Monotonicity) String() string {
	if m.Holds() {
		return fmt.Sprintf("falls on all of %s", m.Within)
	}
	var parts []string
	for _, r := range m.Rises {
		parts = append(parts, r.String())
	}
	return "rises on " + strings.Join(parts, ", ")
}

// Monotone tells whether the recipe is the negative variational bound of data with
// Gaussian noise added: it is, up to constants, where w = p ω e^{−λ} falls as λ rises
// [kingma2023]. With L(λ) the bound of the noisy data x_λ,
//
//	½ ∫ w mse_ε dλ = ∫ (−dw/dλ) L(λ) dλ + w(λ_max) L(λ_max) − w(λ_min) L(λ_min),
//
// an average of bounds with the density −dw/dλ ≥ 0. Rises by less than 1e-9 of w
// between neighbours of four thousand levels count as rounding. A density that jumps
// (a bound of a truncated one) is looked at inside its support alone.
func (r Recipe) Monotone() (Monotonicity, error) {
	if err := r.Validate(); err != nil {
		return Monotonicity{}, err
	}
	const (
		n      = 4000
		end    = 1e-12
		little = 1e-9
	)
	m := Monotonicity{Within: Interval{r.Density.Quantile(end, 1-end), r.Density.Quantile(1-end, end)}}
	// Levels even in asinh about the median: fine in the bulk, far enough in heavy tails.
	mid := float64(r.Density.Quantile(0.5, 0.5))
	from, to := math.Asinh(float64(m.Within.Noisy)-mid), math.Asinh(float64(m.Within.Clean)-mid)
	level := func(x float64) LogSNR { return LogSNR(mid + math.Sinh(x)) }
	at := func(i int) float64 { return from + (to-from)*float64(i)/n }
	rises := func(a, b float64) bool {
		x, y := r.LogObjective(level(a)), r.LogObjective(level(b))
		return y-x > little*(b-a)*n/(to-from)
	}
	for i := range n {
		if !rises(at(i), at(i+1)) {
			continue
		}
		if k := len(m.Rises) - 1; k >= 0 && m.Rises[k].Clean == level(at(i)) {
			m.Rises[k].Clean = level(at(i + 1))
			continue
		}
		m.Rises = append(m.Rises, Interval{level(at(i)), level(at(i + 1))})
	}
	for i := range m.Rises {
		m.Rises[i].Noisy = LogSNR(r.extremum(float64(m.Rises[i].Noisy), (to-from)/n, m.Within, -1))
		m.Rises[i].Clean = LogSNR(r.extremum(float64(m.Rises[i].Clean), (to-from)/n, m.Within, 1))
		m.Share += between(r.Density, m.Rises[i].Noisy, m.Rises[i].Clean)
	}
	return m, nil
}

// extremum returns the minimum (sign −1) or maximum (sign 1) of log w near λ, which a
// grid with steps of h in asinh has found, by golden sections.
func (r Recipe) extremum(l, h float64, within Interval, sign float64) float64 {
	mid := float64(r.Density.Quantile(0.5, 0.5))
	step := h * math.Hypot(1, l-mid) * 1.01
	lo, hi := max(l-step, float64(within.Noisy)), min(l+step, float64(within.Clean))
	if l == float64(within.Noisy) || l == float64(within.Clean) {
		return l // it rises from, or to, the end itself
	}
	f := func(x float64) float64 { return sign * r.LogObjective(LogSNR(x)) }
	// On a plateau the rise begins at its clean end, and is over at its noisy one.
	const g, level = 0.6180339887498949, 1e-14
	a, b := hi-g*(hi-lo), lo+g*(hi-lo)
	fa, fb := f(a), f(b)
	for range 60 {
		if fa > fb-sign*level {
			hi, b, fb = b, a, fa
			a = hi - g*(hi-lo)
			fa = f(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + g*(hi-lo)
			fb = f(b)
		}
	}
	return lo + (hi-lo)/2
}
