package fields

import (
	"math"
	"testing"
)

func TestCheck_Refuses(t *testing.T) {
	for _, c := range []struct {
		hold func(*Check)
		says string
	}{
		{func(c *Check) { c.Within("n", 1, 1, 3); c.Within("n", 3, 1, 3) }, ""},
		{func(c *Check) { c.Within("n", 0, 1, 3) }, "n is 0: expected 1 to 3"},
		{func(c *Check) { c.Within("n", 4, 1, 3); c.Within("m", 9, 1, 3) }, "n is 4: expected 1 to 3"},
		{func(c *Check) { c.OneOf("act", "relu", "silu", "relu") }, ""},
		{func(c *Check) { c.OneOf("act", "rely", "silu", "relu") }, `act is "rely": expected one of silu, relu`},
		{func(c *Check) { c.Positive("v", 1e-300) }, ""},
		{func(c *Check) { c.Positive("v", 0) }, "v is 0: expected a finite number above 0"},
		{func(c *Check) { c.Positive("v", math.NaN()) }, "v is NaN: expected a finite number above 0"},
		{func(c *Check) { c.Positive("v", math.Inf(1)) }, "v is +Inf: expected a finite number above 0"},
	} {
		var check Check
		c.hold(&check)
		if got := check.Err(); (got == nil) != (c.says == "") || got != nil && got.Error() != c.says {
			t.Errorf("got %v, expected %q", got, c.says)
		}
	}
}
