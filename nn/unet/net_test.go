package unet_test

import (
	"testing"

	"snrlab/nn"
	"snrlab/nn/unet"
	"snrlab/nn/unet/parity"
)

func TestNet_Golden(t *testing.T) {
	for _, name := range []string{"tiny", "classes"} {
		c, err := parity.Read("testdata/golden/" + name)
		if err != nil {
			t.Fatal(err)
		}
		single, err := parity.Check[float32](c, parity.Single)
		if err != nil {
			t.Fatal(err)
		}
		features := c.Features()
		double, err := parity.CheckApply(c, parity.Double, func(n *unet.Net[float64], tape *nn.Tape[float64], x, times *nn.Var[float64], e unet.Extra[float64]) *nn.Var[float64] {
			return n.ApplyFeatures(tape, x, times, tape.Constant(features, c.Rows, len(features)/c.Rows), e)
		})
		if err != nil {
			t.Fatal(err)
		}
		for precision, differences := range map[string]parity.Differences{"float32": single, "float64": double} {
			for _, d := range differences.All() {
				if d.Share() > 1 {
					t.Errorf("%s in %s: %s, element %d is %v, recorded %v: off by %.2e, allowed %.2e", name, precision, d.Of, d.Element, d.Got, d.Want, d.Error, d.Allowed)
				}
				t.Logf("%s in %s: %s: off by %.2e, allowed %.2e", name, precision, d.Of, d.Error, d.Allowed)
			}
		}
	}
}
