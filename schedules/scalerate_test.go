package schedules_test

import (
	"math"
	"testing"

	"snrlab/schedules"
	"snrlab/snr"
)

// bare hides the closed form of a path.
type bare struct{ schedules.Path }

func TestScaleRate_AgreesWith_Differences(t *testing.T) {
	for _, p := range []schedules.Path{
		schedules.VPPath{},
		schedules.VEPath{},
		schedules.RFPath{},
		schedules.SubVPPath{},
		schedules.ScalePath{SD: 0.5, Power: 1, By: 2},
		schedules.ScalePath{SD: 3, Power: -0.7, By: 1},
	} {
		for l := -15.0; l <= 15; l += 0.75 {
			a, s := p.Coeffs(snr.LogSNR(l))
			at := schedules.Level{Alpha: a, Sigma: s}
			got, want := schedules.ScaleRate(p, at), schedules.ScaleRate(bare{p}, at)
			// Differences of log α at steps of 1/256: rounding of 1e-16/h, and h⁴.
			if math.Abs(got-want) > 3e-10 {
				t.Errorf("%s at λ = %g: d log α/dλ = %.12g, by differences %.12g", p, l, got, want)
			}
		}
	}
}
