package solvers

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"snrlab/internal/spec"
)

// Last is the rule of the step to σ = 0, where log σ and every method written
// in it have no limit.
type Last uint8

const (
	// Denoise ends on x = α D(x_t): one evaluation, first order. The default.
	Denoise Last = iota
	// Own uses the method's own formula, for methods that have one at σ = 0:
	// those that are polynomials in σ/α.
	Own
)

var lastNames = []string{"denoise", "own"}

func (l Last) String() string { return spec.EnumName(l, lastNames) }

// ends is the rule as [Properties] state it.
func (l Last) ends() string {
	if l == Own {
		return "into σ = 0 its own formula"
	}
	return ""
}

// MarshalText writes the name.
func (l Last) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads a name.
func (l *Last) UnmarshalText(b []byte) (err error) {
	*l, err = parseChoice[Last](lastNames, string(b))
	return err
}

// First is the rule of the step out of α = 0, where ŝ = σ/α has no finite value.
// It matters to stochastic methods alone: at η = 0 the two are one.
type First uint8

const (
	// KeepNoise is the named start, which keeps the noise of x. The default.
	KeepNoise First = iota
	// OwnFirst is the limit of the method's own formula, which draws some or
	// all of the noise anew.
	OwnFirst
)

var firstNames = []string{"named", "own"}

func (f First) String() string { return spec.EnumName(f, firstNames) }

// ends is the rule as [Properties] state it.
func (f First) ends() string {
	if f == OwnFirst {
		return "out of α = 0 its own formula"
	}
	return ""
}

// MarshalText writes the name.
func (f First) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads a name.
func (f *First) UnmarshalText(b []byte) (err error) {
	*f, err = parseChoice[First](firstNames, string(b))
	return err
}

// bothEnds joins what Properties say about the two ends.
func bothEnds(f First, l Last) string {
	if f == OwnFirst && l == Own {
		return f.ends() + ", " + l.ends()
	}
	return f.ends() + l.ends()
}

// Opening is how a multistep method of order p takes its first p−1 steps.
type Opening uint8

const (
	// Cheap uses the orders that the history allows: 1, 2, …. It costs
	// nothing and caps the order of convergence at 2. The default.
	Cheap Opening = iota
	// RungeKutta uses p−1 Runge–Kutta steps of order p in the angle
	// atan(σ/α), where they err least at few steps, with evaluations between
	// the levels of the grid: p−1 more for each, up to order 4, then 5 and 6.
	RungeKutta
	// Lean uses p−2 Runge–Kutta steps of order p−1 and one of the method's own
	// of that order. Their errors are local ones, of order p in the step, and
	// few: what converges with order p still does, for (p−2)² evaluations more.
	Lean
)

var openingNames = []string{"cheap", "rk", "lean"}

func (o Opening) String() string { return spec.EnumName(o, openingNames) }

// MarshalText writes the name.
func (o Opening) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads a name.
func (o *Opening) UnmarshalText(b []byte) (err error) {
	*o, err = parseChoice[Opening](openingNames, string(b))
	return err
}

// order is the order of the Runge–Kutta steps that open a method; none below 2.
func (o Opening) order(order int) int {
	switch o {
	case RungeKutta:
		return order
	case Lean:
		return order - 1
	}
	return 1
}

// check refuses an opening that is none, or one that does nothing for a method
// of an order.
func (o Opening) check(order int) error {
	if err := checkChoice("start", openingNames, o); err != nil {
		return err
	}
	if o != Cheap && o.order(order) < 2 {
		return fmt.Errorf("start = %s has no effect with order = %d: leave it out", o, order)
	}
	return nil
}

// Final is the order of a multistep method in its last steps.
type Final uint8

const (
	// FinalFull keeps the order. The default.
	FinalFull Final = iota
	// FinalLower takes an order of at most the number of steps left, the
	// running one included: steadier at few steps, and capped at order 2.
	FinalLower
	// FinalEuler takes the last step with order 1, which caps the order at 2.
	FinalEuler
)

var finalNames = []string{"full", "lower", "euler"}

func (f Final) String() string { return spec.EnumName(f, finalNames) }

// MarshalText writes the name.
func (f Final) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads a name.
func (f *Final) UnmarshalText(b []byte) (err error) {
	*f, err = parseChoice[Final](finalNames, string(b))
	return err
}

// order is the order of a step under f, at most p and what the history allows.
func (f Final) order(at place, p int) int {
	p = min(p, at.known+1)
	switch {
	case f == FinalLower:
		return min(p, at.left()+1)
	case f == FinalEuler && at.left() == 0:
		return 1
	}
	return p
}

// Indices is a set of steps by their number, "[0,1,4]"; "" and "[]" are none.
// It is a text so that solvers can be compared.
type Indices string

// read returns the set.
func (s Indices) read(field string) (map[int]bool, error) {
	set := map[int]bool{}
	text := string(s)
	inner, ok := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if ok != closed || !ok && text != "" {
		return nil, fmt.Errorf("%s = %s: expected a list of steps such as [0,1,4]", field, text)
	}
	if inner == "" {
		return set, nil
	}
	for v := range strings.SplitSeq(inner, ",") {
		i, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil || i < 0 {
			return nil, fmt.Errorf("%s = %s: %q is no number of a step: expected a list such as [0,1,4]", field, text, v)
		}
		set[i] = true
	}
	return set, nil
}

func parseChoice[T ~uint8](names []string, s string) (T, error) {
	v, err := spec.ParseEnum[T]("choice", s, names)
	if err != nil {
		return 0, fmt.Errorf("solvers: %w", err)
	}
	return v, nil
}

// choice registers the reader of one enumeration.
func choice[T ~uint8](nested map[reflect.Type]func(string) (any, error), names []string) {
	nested[reflect.TypeFor[T]()] = func(s string) (any, error) { return parseChoice[T](names, s) }
}

func checkChoice[T ~uint8](field string, names []string, v T) error {
	if int(v) >= len(names) {
		return fmt.Errorf("%s = %d: expected one of %q", field, uint8(v), names)
	}
	return nil
}

// checkNoise refuses an η, or a factor of the noise, that is none or has no effect.
func checkNoise(eta, snoise float64) error {
	switch {
	case !(eta >= 0) || math.IsInf(eta, 1):
		return fmt.Errorf("eta = %g: expected a finite value ≥ 0", eta)
	case eta == 0 && snoise != 1 && snoise != 0:
		return fmt.Errorf("snoise = %g has no effect with eta = 0: leave it out", snoise)
	case eta > 0 && (!(snoise > 0) || math.IsInf(snoise, 1)):
		return fmt.Errorf("snoise = %g: expected a positive finite factor", snoise)
	}
	return nil
}
