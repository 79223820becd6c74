// Package pieces has what the networks of nn are made of beside layers.
package pieces

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"snrlab/nn"
)

// Then is y, made of x alone, which is needed no more.
func Then[T nn.Float](t *nn.Tape[T], x, y *nn.Var[T]) *nn.Var[T] {
	t.Free(x)
	return y
}

// Activate applies the activation by that name, as configurations write it.
func Activate[T nn.Float](t *nn.Tape[T], name string, x *nn.Var[T]) *nn.Var[T] {
	switch name {
	case "silu", "swish":
		return t.SiLU(x)
	case "gelu":
		return t.GELU(x)
	case "mish":
		return t.Mish(x)
	case "relu":
		return t.ReLU(x)
	case "tanh":
		return t.Tanh(x)
	}
	return t.Fail(fmt.Errorf("nn: there is no activation %q", name))
}

// CheckTimes refuses times that are not one finite number a row.
func CheckTimes[T nn.Float](what string, v *nn.Var[T], rows int) error {
	if s := v.Shape(); len(s) != 1 || s[0] != rows {
		return fmt.Errorf("%s has shape %v: expected %d, one a row", what, slices.Clone(s), rows)
	}
	for r, u := range v.Value() {
		if f := float64(u); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%s of row %d is %v: expected a finite number", what, r, f)
		}
	}
	return nil
}

// CheckLabels refuses labels, unless there are none, that are not one of the
// classes a row, or −1 for no class.
func CheckLabels(labels []int, rows, classes int) error {
	switch {
	case labels == nil:
		return nil
	case classes == 0:
		return errors.New("labels: expected none, the network has no classes")
	case len(labels) != rows:
		return fmt.Errorf("%d labels for %d rows: expected one a row", len(labels), rows)
	}
	for r, l := range labels {
		if l < -1 || l >= classes {
			return fmt.Errorf("the label of row %d is %d: expected 0 to %d, or −1 for no class", r, l, classes-1)
		}
	}
	return nil
}
