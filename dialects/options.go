package dialects

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"snrlab/internal/spec"
)

// Options are named values as another program spells them. Reading one marks it
// as used; what nobody reads and what has another type is reported when the
// translation ends. The zero value and nil are empty.
type Options struct {
	name   string
	values map[string]json.RawMessage
	used   map[string]bool
	errs   []error
}

// NewOptions returns options with the given JSON values.
func NewOptions(values map[string]json.RawMessage) *Options {
	return &Options{values: maps.Clone(values)}
}

// Set adds a value, unless there is one of that name.
func (o *Options) Set(key string, value json.RawMessage) {
	if o.values == nil {
		o.values = map[string]json.RawMessage{}
	}
	if _, given := o.values[key]; !given {
		o.values[key] = value
	}
}

// UnmarshalJSON reads an object.
func (o *Options) UnmarshalJSON(text []byte) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	*o = Options{values: values}
	return nil
}

// get marks a key as read and returns its value; null counts as absent.
func (o *Options) get(key string) (json.RawMessage, bool) {
	if o.used == nil {
		o.used = map[string]bool{}
	}
	o.used[key] = true
	v, ok := o.values[key]
	return v, ok && string(v) != "null"
}

// Has reports whether key is given and not null, and marks it as read.
func (o *Options) Has(key string) bool {
	_, ok := o.get(key)
	return ok
}

// Ignore marks keys as read that change no number: names, versions, devices.
func (o *Options) Ignore(keys ...string) {
	for _, k := range keys {
		o.get(k)
	}
}

// Null reports whether key is given as null, and marks it as read.
func (o *Options) Null(key string) bool {
	o.get(key)
	return string(o.values[key]) == "null"
}

// Float returns a number, which may be "Infinity", or otherwise if key is absent.
func (o *Options) Float(key string, otherwise float64) float64 {
	v := read(o, key, Array{Values: []float64{otherwise}}, "a number", func(a Array) bool {
		return len(a.Shape) == 0 && len(a.Values) == 1 && !math.IsNaN(a.Values[0])
	})
	return v.Values[0]
}

// Int returns a whole number, or otherwise if key is absent.
func (o *Options) Int(key string, otherwise int) int {
	v := read(o, key, float64(otherwise), "a whole number of at most 2³¹", func(v float64) bool {
		return v == math.Trunc(v) && math.Abs(v) <= 1<<31
	})
	return int(v)
}

// Bool returns a truth value, or otherwise if key is absent.
func (o *Options) Bool(key string, otherwise bool) bool {
	return read(o, key, otherwise, "true or false", nil)
}

// Text returns one of the names, or otherwise if key is absent.
func (o *Options) Text(key, otherwise string, names ...string) string {
	v := read(o, key, otherwise, "a name", nil)
	if !slices.Contains(names, otherwise) {
		names = append([]string{otherwise}, names...)
	}
	if !slices.Contains(names, v) {
		o.Fail(key, "is %q%s", v, spec.Suggest(v, names))
		return otherwise
	}
	return v
}

// Floats returns a list of numbers, or nil if key is absent. Lists of lists are
// strung together.
func (o *Options) Floats(key string) []float64 {
	if !o.Has(key) {
		return nil
	}
	return append([]float64{}, read(o, key, Array{}, "a list of numbers", nil).Values...)
}

// Ints returns a list of whole numbers, or nil if key is absent.
func (o *Options) Ints(key string) []int {
	return read[[]int](o, key, nil, "a list of whole numbers", nil)
}

// Options returns a nested object, empty if key is absent. Its own keys are not
// checked for being read.
func (o *Options) Options(key string) *Options {
	v := read(o, key, Options{}, "an object", nil)
	v.name = o.name + "." + key
	return &v
}

// Fail records what is wrong with a key.
func (o *Options) Fail(key, format string, args ...any) {
	o.errs = append(o.errs, fmt.Errorf("%s.%s %s", o.name, key, fmt.Sprintf(format, args...)))
}

// Only fails if more than one of the keys is true: the program takes one.
func (o *Options) Only(keys ...string) {
	var set []string
	for _, k := range keys {
		if o.Bool(k, false) {
			set = append(set, k)
		}
	}
	if len(set) > 1 {
		o.errs = append(o.errs, fmt.Errorf("%s has %s: expected one of them at most", o.name, strings.Join(set, " and ")))
	}
}

func read[T any](o *Options, key string, otherwise T, want string, ok func(T) bool) T {
	raw, given := o.get(key)
	if !given {
		return otherwise
	}
	var v T
	if err := json.Unmarshal(raw, &v); err != nil || ok != nil && !ok(v) {
		text := string(raw)
		if len(text) > 40 {
			text = text[:40] + "…"
		}
		o.Fail(key, "is %s: expected %s", text, want)
		return otherwise
	}
	return v
}

// check reports what went wrong so far, or else the first key that nobody read.
func (o *Options) check() error {
	if len(o.errs) > 0 {
		return errors.Join(o.errs...)
	}
	known := slices.Sorted(maps.Keys(o.used))
	for _, k := range slices.Sorted(maps.Keys(o.values)) {
		if !o.used[k] {
			return &UnknownFieldError{Group: o.name, Field: k, near: spec.Suggest(k, known)}
		}
	}
	return nil
}
