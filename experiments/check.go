package experiments

import (
	"fmt"
	"slices"

	"snrlab/internal/spec"
)

// The checks of recipe fields. Each error names the field, what it holds and
// what is expected.

func required(field, got string) error {
	if got == "" {
		return fmt.Errorf("field %s is missing", field)
	}
	return nil
}

func oneOf(field, got string, names ...string) error {
	if !slices.Contains(names, got) {
		return fmt.Errorf("field %s: unknown value %q%s", field, got, spec.Suggest(got, names))
	}
	return nil
}

func inside[N int | int64](field string, got, lo, hi N) error {
	if got < lo || got > hi {
		return fmt.Errorf("field %s is %d: expected %d to %d", field, got, lo, hi)
	}
	return nil
}

// among checks a number of rows out of all.
func among(field string, got, rows int) error {
	if got > rows {
		return fmt.Errorf("field %s is %d, but field rows is %d: lower the one or raise the other", field, got, rows)
	}
	return inside(field, got, 0, rows)
}

// each checks the elements of a list.
func each[N int | int64](field string, list []N, lo, hi N) error {
	for _, v := range list {
		if err := inside(field, v, lo, hi); err != nil {
			return err
		}
	}
	return nil
}

func tolerance(field string, got float64) error {
	if !(got >= 1e-14 && got <= 1e-2) {
		return fmt.Errorf("field %s is %g: expected 1e-14 to 1e-2", field, got)
	}
	return nil
}

func nonempty(field string, list []string) error {
	if len(list) == 0 {
		return fmt.Errorf("field %s is missing or empty", field)
	}
	return nil
}

// distinct refuses an empty list and an element that stands in it twice.
func distinct[E comparable](field string, list []E) error {
	if len(list) == 0 {
		return fmt.Errorf("field %s is missing or empty", field)
	}
	for i, e := range list {
		if slices.Contains(list[:i], e) {
			return fmt.Errorf("field %s holds %v twice", field, e)
		}
	}
	return nil
}
