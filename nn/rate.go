package nn

import (
	"fmt"
	"math"
	"reflect"

	"snrlab/internal/spec"
)

// A Rate is the learning rate as a function of the number of steps done before.
type Rate interface {
	fmt.Stringer
	Validate() error
	At(step int) float64
}

// Rates lists the rates that [ParseRate] reads.
func Rates() spec.Registry[Rate] {
	return spec.Registry[Rate]{
		Kind: "rate",
		Entries: []spec.Entry[Rate]{
			{Name: "constant", Summary: "the same in all steps", Default: ConstantRate{Peak: 1e-3}},
			{Name: "cosine", Summary: "half a wave from the peak down to low", Default: CosineRate{Peak: 1e-3, To: 100_000}},
			{Name: "inverse-sqrt", Summary: "constant, then as one over the root of the step", Default: InverseSqrtRate{Peak: 1e-2, From: 70_000}},
			{Name: "step", Summary: "multiplied by a factor every so many steps", Default: StepRate{Peak: 1e-3, Every: 30_000, Factor: 0.1}},
			{Name: "warmup", Summary: "another rate, times a ramp from 0 to 1", Default: WarmupRate{Steps: 500, Then: ConstantRate{Peak: 1e-3}}},
		},
		Nested: map[reflect.Type]func(string) (any, error){
			reflect.TypeFor[Rate](): func(s string) (any, error) { return Rates().Parse(s) },
		},
	}
}

// ParseRate reads a rate, "warmup(steps=500,then=constant(peak=1e-4))" say.
func ParseRate(s string) (Rate, error) { return prefixed(Rates().Parse(s)) }

// ConstantRate is Peak in all steps.
type ConstantRate struct {
	Peak float64 `json:"peak"`
}

// At returns the rate of a step.
func (r ConstantRate) At(int) float64 { return r.Peak }

// Validate reports a rate that is negative or not finite.
func (r ConstantRate) Validate() error { return peak("constant", r.Peak) }

// String prints the rate as ParseRate reads it.
func (r ConstantRate) String() string { return Rates().Format("constant", r) }

// CosineRate falls from Peak in step From to Low in step To and stays there
// [loshchilov2017] (eq. 5, without restarts):
//
//	Low + ½ (Peak − Low) (1 + cos(π (k − From)/(To − From))).
type CosineRate struct {
	Peak float64 `json:"peak"`
	Low  float64 `json:"low"`
	From int     `json:"from"` // the first step of the fall, such as the end of a warm-up
	To   int     `json:"to"`
}

// At returns the rate of a step.
func (r CosineRate) At(step int) float64 {
	switch {
	case step <= r.From:
		return r.Peak
	case step >= r.To:
		return r.Low
	}
	u := float64(step-r.From) / float64(r.To-r.From)
	return r.Low + (r.Peak-r.Low)*(1+math.Cos(math.Pi*u))/2
}

// Validate reports rates that are negative or not finite, and steps out of order.
func (r CosineRate) Validate() error {
	if r.From < 0 || r.To <= r.From {
		return fmt.Errorf("nn: cosine goes from step %d to %d: expected 0 ≤ from < to", r.From, r.To)
	}
	return firstError(peak("cosine", r.Peak), within("cosine", "low", r.Low, 0, math.Inf(1), "≥ 0 and finite"))
}

// String prints the rate as ParseRate reads it.
func (r CosineRate) String() string { return Rates().Format("cosine", r) }

// InverseSqrtRate is Peak/√max(1, k/From) after k steps [karras2024ema].
type InverseSqrtRate struct {
	Peak float64 `json:"peak"`
	From int     `json:"from"`
}

// At returns the rate of a step.
func (r InverseSqrtRate) At(step int) float64 {
	return r.Peak / math.Sqrt(max(1, float64(step)/float64(r.From)))
}

// Validate reports a rate that is negative or not finite, and a From below 1.
func (r InverseSqrtRate) Validate() error {
	return firstError(peak("inverse-sqrt", r.Peak), atLeastOne("inverse-sqrt", "from", r.From))
}

// String prints the rate as ParseRate reads it.
func (r InverseSqrtRate) String() string { return Rates().Format("inverse-sqrt", r) }

// StepRate is Peak Factor^⌊k/Every⌋.
type StepRate struct {
	Peak   float64 `json:"peak"`
	Every  int     `json:"every"`
	Factor float64 `json:"factor"`
}

// At returns the rate of a step.
func (r StepRate) At(step int) float64 {
	return r.Peak * math.Pow(r.Factor, float64(step/r.Every))
}

// Validate reports numbers out of range.
func (r StepRate) Validate() error {
	return firstError(peak("step", r.Peak), atLeastOne("step", "every", r.Every),
		within("step", "factor", r.Factor, 0, math.Inf(1), "≥ 0 and finite"))
}

// String prints the rate as ParseRate reads it.
func (r StepRate) String() string { return Rates().Format("step", r) }

// WarmupRate is the rate Then times min(1, k/Steps), so 0 in the first step of
// all, as in EDM2 and diffusers. Then counts the steps of the warm-up too.
type WarmupRate struct {
	Steps int  `json:"steps"`
	Then  Rate `json:"then"`
}

// At returns the rate of a step.
func (r WarmupRate) At(step int) float64 {
	return r.Then.At(step) * min(1, float64(step)/float64(r.Steps))
}

// Validate reports a warm-up of no steps or to nothing.
func (r WarmupRate) Validate() error {
	if r.Then == nil {
		return fmt.Errorf("nn: warmup has no rate: expected then=constant(peak=1e-3) or another")
	}
	return firstError(atLeastOne("warmup", "steps", r.Steps), r.Then.Validate())
}

// String prints the rate as ParseRate reads it.
func (r WarmupRate) String() string { return Rates().Format("warmup", r) }

func peak(name string, v float64) error {
	return within(name, "peak", v, 0, math.Inf(1), "≥ 0 and finite")
}

func atLeastOne(name, field string, n int) error {
	if n < 1 {
		return fmt.Errorf("nn: %s has %s = %d: expected at least 1", name, field, n)
	}
	return nil
}
