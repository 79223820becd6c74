package upsample

import (
	"fmt"
	"reflect"
	"strings"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// Pooling is a named pair of maps, which it makes.
type Pooling interface {
	Pair() (Pair, error)
	String() string // parseable, e.g. "area(vertical=3/2,horizontal=3/2)"
}

// Poolings lists the pairs that [ParsePooling] reads.
func Poolings() spec.Registry[Pooling] {
	two := Factor{P: 2, Q: 1}
	return spec.Registry[Pooling]{
		Kind: "pooling",
		Entries: []spec.Entry[Pooling]{
			{Name: "area", Summary: "means over areas, whole or rational factors, one for each axis", Default: Area{Channels: 1, Height: 28, Width: 28, Vertical: two, Horizontal: two}},
		},
		Nested: map[reflect.Type]func(string) (any, error){
			reflect.TypeFor[Factor](): func(s string) (any, error) { return ParseFactor(s) },
		},
	}
}

// Strengths lists the functions θ(λ) that [ParseStrength] reads.
func Strengths() spec.Registry[Strength] {
	return spec.Registry[Strength]{
		Kind: "guidance strength",
		Entries: []spec.Entry[Strength]{
			{Name: "constant", Summary: "the same θ at every level", Default: Constant{Theta: 1}},
			{Name: "heaviside", Summary: "θ in the noisiest share eta of a schedule's time, then 0", Default: Heaviside{Theta: 1, Eta: 0.5, Schedule: schedules.Cosine{Min: -15, Max: 15}}},
			{Name: "until", Summary: "θ up to a level λ, then 0", Default: Until{Theta: 1}},
			{Name: "linear", Summary: "θ linear in λ between given points", Default: Linearly{Lambda: []float64{-5, 5}, Theta: []float64{1, 0}}},
		},
		Nested: map[reflect.Type]func(string) (any, error){
			reflect.TypeFor[schedules.Schedule](): func(s string) (any, error) { return schedules.Parse(s) },
		},
	}
}

// ParsePooling reads a pooling, "area(height=32,width=32)" say.
func ParsePooling(s string) (Pooling, error) { return prefixed(Poolings().Parse(s)) }

// ParseStrength reads a function θ(λ), "heaviside(theta=1.2,eta=0.4)" say.
func ParseStrength(s string) (Strength, error) { return prefixed(Strengths().Parse(s)) }

// prefixed names the package once, however deep in a name the error arose.
func prefixed[T any](v T, err error) (T, error) {
	if err != nil {
		err = fmt.Errorf("upsample: %s", strings.ReplaceAll(err.Error(), "upsample: ", ""))
	}
	return v, err
}
