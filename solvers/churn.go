package solvers

import (
	"fmt"
	"math"

	"snrlab/snr"
)

// churn raises the noise before a step [karras2022, algorithm 2]: where
// SMin ≤ ŝ ≤ SMax, with ŝ = σ/α,
//
//	γ  = min(SChurn/n, √2 − 1),   n the number of steps of the grid
//	ŝ' = ŝ (1 + γ)
//	x' = α' (x/α + SNoise √(ŝ'² − ŝ²) z),   z ~ N(0, I)
//
// and the step then goes from ŝ'. The level of ŝ' comes from the problem's
// schedule. SChurn = 0 is no churn; the other fields must then be unset or at
// their defaults. Differs from common code: no noise is drawn where γ = 0.
type churn struct {
	SChurn, SMin, SMax, SNoise float64
}

// noChurn is the default: nothing is added.
var noChurn = churn{SMax: math.Inf(1), SNoise: 1}

// validate reports settings without meaning or without effect.
func (c churn) validate() error {
	switch {
	case c.SChurn == 0 && c != noChurn && c != (churn{}):
		return fmt.Errorf("stmin, stmax and snoise have no effect with schurn = 0: set schurn or leave them out")
	case c.SChurn == 0:
		return nil
	case !(c.SChurn > 0) || math.IsInf(c.SChurn, 1):
		return fmt.Errorf("schurn = %g: expected a finite value ≥ 0", c.SChurn)
	case !(c.SMin >= 0 && c.SMin <= c.SMax):
		return fmt.Errorf("stmin = %g, stmax = %g: expected 0 ≤ stmin ≤ stmax", c.SMin, c.SMax)
	case !(c.SNoise > 0) || math.IsInf(c.SNoise, 1):
		return fmt.Errorf("snoise = %g: expected a positive finite factor", c.SNoise)
	}
	return nil
}

// apply moves w to the churned level of its step.
func (c churn) apply(w *walk) {
	s := w.from.Noise()
	if c.SChurn == 0 || s < c.SMin || s > c.SMax || math.IsInf(s, 1) {
		return
	}
	gamma := min(c.SChurn/float64(w.problem.Grid.Steps()), math.Sqrt2-1)
	up := w.between(snr.FromSigma(s * (1 + gamma)))
	z := w.normal(w.from, up)
	w.lin(w.moved, term{up.Alpha / w.from.Alpha, w.x}, term{c.SNoise * up.Alpha * s * math.Sqrt(gamma*(2+gamma)), z})
	w.x, w.from = w.moved, up
}
