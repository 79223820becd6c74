package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"snrlab/internal/spec"
	"snrlab/nn/internal/kernel"
)

// A Rule says how gradients change parameters: [Adam], [AdamW] or [SGD].
type Rule interface {
	fmt.Stringer
	Validate() error
	moments() []string // torch's names of the arrays that it keeps for each parameter
}

// Rules lists the rules that [ParseRule] reads, with the usual numbers.
func Rules() spec.Registry[Rule] {
	return spec.Registry[Rule]{
		Kind: "rule",
		Entries: []spec.Entry[Rule]{
			{Name: "adam", Summary: "the mean gradient over its root mean square", Default: Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}},
			{Name: "adamw", Summary: "adam, and the parameters shrink by themselves", Default: AdamW{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: 0.01}},
			{Name: "sgd", Summary: "gradient descent, with momentum or without", Default: SGD{}},
		},
	}
}

// ParseRule reads a rule, "adamw(beta2=0.99,decay=0.1)" say.
func ParseRule(s string) (Rule, error) { return prefixed(Rules().Parse(s)) }

// prefixed names the package once, however deep in a name the error arose.
func prefixed[T any](v T, err error) (T, error) {
	if err != nil {
		err = fmt.Errorf("nn: %s", strings.ReplaceAll(err.Error(), "nn: ", ""))
	}
	return v, err
}

// An Optimiser changes the parameters of a network by their gradients, and keeps
// what its rule needs for that. It serves one goroutine.
//
// Each parameter counts its own steps, as in torch: one that was frozen before
// starts like a new one.
type Optimiser[T Float] struct {
	// MaxNorm is what gradients are scaled down to where their norm over all
	// parameters is larger, see [ClipNorm]. 0 is no limit, +Inf none but the norm
	// is computed.
	MaxNorm float64
	// MaxValue is what each number of the gradient is cut to before that, see
	// [ClipValue]. 0 is no limit.
	MaxValue float64

	params Params[T]
	rule   Rule
	rate   Rate
	step   int // steps done
	slots  []slot[T]
}

// A slot is what an optimiser keeps for one parameter.
type slot[T Float] struct {
	moments [][]T // in the order of Rule.moments
	steps   int   // that the parameter took part in
}

// NewOptimiser returns an optimiser of params, which may be frozen or not at
// each step.
func NewOptimiser[T Float](params Params[T], rule Rule, rate Rate) (*Optimiser[T], error) {
	if rule == nil || rate == nil {
		return nil, errors.New("nn: an optimiser needs a rule and a rate")
	}
	if err := rule.Validate(); err != nil {
		return nil, err
	}
	if err := rate.Validate(); err != nil {
		return nil, err
	}
	if err := params.made(); err != nil {
		return nil, err
	}
	o := &Optimiser[T]{params: slices.Clone(params), rule: rule, rate: rate, slots: make([]slot[T], len(params))}
	for i, p := range params {
		o.slots[i].moments = make([][]T, len(rule.moments()))
		for j := range o.slots[i].moments {
			o.slots[i].moments[j] = make([]T, len(p.value))
		}
	}
	return o, nil
}

// Rule is how gradients change parameters.
func (o *Optimiser[T]) Rule() Rule { return o.rule }

// Rate is the learning rate of each step.
func (o *Optimiser[T]) Rate() Rate { return o.rate }

// Steps is the number of steps done.
func (o *Optimiser[T]) Steps() int { return o.step }

// Step changes all parameters that are not frozen, at the rate of this step, and
// makes their gradients zero. Parameters to which no gradient has come since then
// stay as they are. It returns the norm of the gradients before it was limited, 0
// if MaxNorm is. Where that is NaN or infinite nothing changes, and the error
// names a parameter.
func (o *Optimiser[T]) Step() (norm float64, err error) {
	if o.MaxValue < 0 || o.MaxNorm < 0 || math.IsNaN(o.MaxValue) || math.IsNaN(o.MaxNorm) {
		return 0, fmt.Errorf("nn: MaxNorm is %g and MaxValue is %g: expected numbers ≥ 0", o.MaxNorm, o.MaxValue)
	}
	if o.MaxValue > 0 {
		ClipValue(o.params, o.MaxValue)
	}
	scale := 1.0
	if o.MaxNorm > 0 {
		if norm, err = o.params.GradNorm(); err != nil {
			return norm, err
		}
		scale = clipScale(norm, o.MaxNorm)
	}
	rate := o.rate.At(o.step)
	for i, p := range o.params {
		if p.idle() {
			continue
		}
		s := &o.slots[i]
		s.steps++
		switch r := o.rule.(type) {
		case Adam:
			kernel.AdamStep(r.numbers(s.steps, rate, scale), p.value, p.grad, s.moments[0], s.moments[1])
		case AdamW:
			kernel.AdamStep(r.numbers(s.steps, rate, scale), p.value, p.grad, s.moments[0], s.moments[1])
		case SGD:
			mean := p.grad // of this step alone
			if r.Momentum != 0 {
				mean = s.moments[0]
			}
			kernel.MomentumStep(r.numbers(s.steps, rate, scale), p.value, p.grad, mean)
		}
		p.ZeroGrad()
	}
	o.step++
	return norm, nil
}

// idle reports whether a step leaves p as it is.
func (p *Param[T]) idle() bool { return p.Frozen || p.stale || p.grad == nil }

// GradNorm is the Euclidean norm of the gradients of all parameters that are not
// frozen. Sums are in float64, in an order that is a function of the shapes
// alone. A norm that is NaN or infinite is an error, which names a parameter.
func (ps Params[T]) GradNorm() (float64, error) {
	sum := 0.0
	for _, p := range ps {
		if p.idle() {
			continue
		}
		square := kernel.Dot(p.grad, p.grad)
		if math.IsNaN(square) || math.IsInf(square, 0) {
			return math.Sqrt(square), fmt.Errorf("nn: the gradient of %s is not finite, its norm is %g", p.name, math.Sqrt(square))
		}
		sum += square
	}
	return math.Sqrt(sum), nil
}

// ClipNorm scales the gradients of all parameters that are not frozen by
//
//	min(1, most/(norm + 1e-6)),
//
// torch's factor, and returns [Params.GradNorm] from before. It changes nothing
// where that is an error.
func ClipNorm[T Float](ps Params[T], most float64) (norm float64, err error) {
	if !(most > 0) {
		return 0, fmt.Errorf("nn: gradients cannot be scaled to norm %g: expected a number > 0", most)
	}
	if norm, err = ps.GradNorm(); err != nil {
		return norm, err
	}
	if scale := clipScale(norm, most); scale < 1 {
		for _, p := range ps {
			if !p.idle() {
				kernel.Scale(p.grad, p.grad, T(scale))
			}
		}
	}
	return norm, nil
}

func clipScale(norm, most float64) float64 { return min(1, most/(norm+1e-6)) }

// ClipValue cuts each number of the gradients to ±most.
func ClipValue[T Float](ps Params[T], most float64) {
	limit := T(most)
	for _, p := range ps {
		if p.idle() {
			continue
		}
		for i, g := range p.grad {
			p.grad[i] = max(-limit, min(limit, g))
		}
	}
}

// within reports a number that is not in [low, high).
func within(name, field string, v, low, high float64, expected string) error {
	if v >= low && v < high && !math.IsInf(v, 0) {
		return nil
	}
	return fmt.Errorf("nn: %s has %s = %g: expected a number %s", name, field, v, expected)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
