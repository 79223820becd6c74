// Package fields holds settings to their bounds.
package fields

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A Check keeps the first setting that is out of bounds. The zero value is ready.
type Check struct{ err error }

// Hold says that a field, which is got, is as expected only if ok.
func (c *Check) Hold(ok bool, field string, got any, expected string) {
	if !ok && c.err == nil {
		c.err = fmt.Errorf("%s is %v: expected %s", field, got, expected)
	}
}

// Within holds n to low ≤ n ≤ high.
func (c *Check) Within(field string, n, low, high int) {
	c.Hold(low <= n && n <= high, field, n, fmt.Sprintf("%d to %d", low, high))
}

// OneOf holds a name to a list.
func (c *Check) OneOf(field, got string, names ...string) {
	c.Hold(slices.Contains(names, got), field, fmt.Sprintf("%q", got), "one of "+strings.Join(names, ", "))
}

// Positive holds v to the finite numbers above 0.
func (c *Check) Positive(field string, v float64) {
	c.Hold(v > 0 && !math.IsInf(v, 1), field, v, "a finite number above 0")
}

// Err is the first setting that is out of bounds, or nil.
func (c *Check) Err() error { return c.err }
