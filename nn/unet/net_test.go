package unet_test

import (
	"testing"

	"snrlab/internal/parity"
	"snrlab/internal/race"
	"snrlab/nn"
	"snrlab/nn/unet"
)

func TestNet_Golden(t *testing.T) {
	held(t, func(c *parity.Case) (parity.Differences, error) { return parity.Check[float32](c, parity.Single) })
}

// In float64, with the features of time that the recorded networks had.
func TestNet_GoldenDouble(t *testing.T) {
	race.Measures(t)
	held(t, func(c *parity.Case) (parity.Differences, error) {
		features := c.Features()
		return parity.CheckApply(c, parity.Double, func(n *unet.Net[float64], t *nn.Tape[float64], x, times *nn.Var[float64], e unet.Extra[float64]) *nn.Var[float64] {
			return n.ApplyFeatures(t, x, times, t.Constant(features, c.Rows, len(features)/c.Rows), e)
		})
	})
}

func held(t *testing.T, check func(*parity.Case) (parity.Differences, error)) {
	t.Helper()
	for _, name := range []string{"tiny", "classes"} {
		c, err := parity.Read("testdata/golden/" + name)
		if err != nil {
			t.Fatal(err)
		}
		differences, err := check(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range differences.All() {
			if d.Share() > 1 {
				t.Errorf("%s: %s, element %d is %v, recorded %v: off by %.2e, allowed %.2e", name, d.Of, d.Element, d.Got, d.Want, d.Error, d.Allowed)
			}
			t.Logf("%s: %s: off by %.2e, allowed %.2e", name, d.Of, d.Error, d.Allowed)
		}
	}
}
