package guidance

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// Scale is G as a function of the noise level. 1 is no guidance.
type Scale interface {
	// At returns G at a level, α = 0 and σ = 0 included.
	At(at schedules.Level) float64
	// Validate reports fields that cannot be used.
	Validate() error
	String() string // parseable, e.g. "sigmas(g=2,lo=0.19,hi=1.61)"
}

// Constant is the same G at every level [ho2022].
type Constant struct {
	G float64 `json:"g"`
}

// Sigmas is G where lo < ŝ ≤ hi of ŝ = σ/α, and 1, no guidance, elsewhere
// [kynkaanniemi2024]. The noisy end belongs to the interval and the clean one
// does not, so that neighbouring intervals share no level. Ends are compared as
// they are: one that is to fall on a level of a grid is better put between two.
// hi = Inf guides from pure noise on.
type Sigmas struct {
	G  float64 `json:"g"`
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
}

// Lambdas is G where lo ≤ λ < hi of λ = log(α²/σ²), and 1 elsewhere: the
// [Sigmas] of e^{−hi/2} and e^{−lo/2}, with the same ends inside. lo = -Inf guides
// from pure noise on.
type Lambdas struct {
	G  float64 `json:"g"`
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
}

// Table is a piecewise linear function of λ, constant beyond its ends: any G(λ),
// as a list.
type Table struct {
	Lambdas []float64 `json:"lambdas"` // rising
	G       []float64 `json:"g"`       // as many
}

// Func is any function, for programs. Its name is for messages: [ParseScale]
// does not read it back.
type Func struct {
	Name string
	G    func(at schedules.Level) float64
}

// Scales lists the scales that [ParseScale] reads.
func Scales() spec.Registry[Scale] {
	return spec.Registry[Scale]{Kind: "guidance scale", Entries: []spec.Entry[Scale]{
		{Name: "constant", Summary: "the same G at every level", Default: Constant{G: 1}},
		{Name: "sigmas", Summary: "G where lo < σ/α ≤ hi, 1 elsewhere", Default: Sigmas{G: 1, Lo: 0, Hi: math.Inf(1)}},
		{Name: "lambdas", Summary: "G where lo ≤ λ < hi, 1 elsewhere", Default: Lambdas{G: 1, Lo: math.Inf(-1), Hi: math.Inf(1)}},
		{Name: "table", Summary: "linear in λ between the points of a list", Default: &Table{}},
	}}
}

// ParseScale reads a scale, "sigmas(g=2,lo=0.19,hi=1.61)" say.
func ParseScale(s string) (Scale, error) {
	v, err := Scales().Parse(s)
	if err != nil {
		return nil, fmt.Errorf("guidance: %s", strings.ReplaceAll(err.Error(), "guidance: ", ""))
	}
	return v, nil
}

// At returns G.
func (c Constant) At(schedules.Level) float64 { return c.G }

// At returns G inside the interval and 1 outside.
func (s Sigmas) At(at schedules.Level) float64 {
	if n := at.Noise(); s.Lo < n && n <= s.Hi {
		return s.G
	}
	return 1
}

// At returns G inside the interval and 1 outside.
func (l Lambdas) At(at schedules.Level) float64 {
	if v := float64(at.LogSNR()); l.Lo <= v && v < l.Hi {
		return l.G
	}
	return 1
}

// At returns G on the line between the two points about λ.
func (t *Table) At(at schedules.Level) float64 {
	l, last := float64(at.LogSNR()), len(t.Lambdas)-1
	i := sort.SearchFloat64s(t.Lambdas, l) // the first point at or above λ
	switch {
	case i == 0:
		return t.G[0]
	case i > last:
		return t.G[last]
	}
	u := (l - t.Lambdas[i-1]) / (t.Lambdas[i] - t.Lambdas[i-1])
	return (1-u)*t.G[i-1] + u*t.G[i]
}

// At asks the function.
func (f Func) At(at schedules.Level) float64 { return f.G(at) }

// Validate reports a scale that is no finite number.
func (c Constant) Validate() error { return finite(c.G) }

// Validate reports a scale that is no finite number, and an interval that is
// none.
func (s Sigmas) Validate() error {
	if !(s.Lo >= 0) || !(s.Lo < s.Hi) {
		return fmt.Errorf("interval ends lo = %g, hi = %g: expected 0 ≤ lo < hi", s.Lo, s.Hi)
	}
	return finite(s.G)
}

// Validate reports a scale that is no finite number, and an interval that is
// none.
func (l Lambdas) Validate() error {
	if !(l.Lo < l.Hi) {
		return fmt.Errorf("interval ends lo = %g, hi = %g: expected lo < hi (λ rises towards the data)", l.Lo, l.Hi)
	}
	return finite(l.G)
}

// Validate reports lists that make no function.
func (t *Table) Validate() error {
	if len(t.Lambdas) == 0 || len(t.Lambdas) != len(t.G) {
		return fmt.Errorf("table of %d lambdas and %d scales: expected as many of each, at least one", len(t.Lambdas), len(t.G))
	}
	for i, l := range t.Lambdas {
		if l-l != 0 || i > 0 && !(l > t.Lambdas[i-1]) {
			return fmt.Errorf("table has λ = %g at place %d: expected finite numbers that rise", l, i)
		}
		if err := finite(t.G[i]); err != nil {
			return fmt.Errorf("place %d of the table: %w", i, err)
		}
	}
	return nil
}

// Validate reports a function that is not there.
func (f Func) Validate() error {
	if f.G == nil {
		return fmt.Errorf("scale %s has no function", f.Name)
	}
	return nil
}

func finite(g float64) error {
	if g-g != 0 {
		return fmt.Errorf("g = %g: expected a finite number", g)
	}
	return nil
}

func (c Constant) String() string { return Scales().Format("constant", c) }
func (s Sigmas) String() string   { return Scales().Format("sigmas", s) }
func (l Lambdas) String() string  { return Scales().Format("lambdas", l) }
func (t *Table) String() string   { return Scales().Format("table", t) }
func (f Func) String() string     { return f.Name }
