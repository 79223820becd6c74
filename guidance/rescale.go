package guidance

import (
	"fmt"
	"math"

	"snrlab/models"
	"snrlab/schedules"
)

// Rescale gives back to the guided prediction part of the standard deviation
// that the prediction it started from had [lin2024]. Over the values of a sample,
//
//	F ← F · (φ std(F_to)/std(F) + 1 − φ),    F = skip·x + out·D
//
// The method depends on the unit F: in x₀, in ε and in v it is three methods. The
// paper's is that of a model of v on a variance-preserving path, φ = 0.7. The
// zero value is none.
//
// It is computed as D ← D + φ κ F with
//
//	κ = cov(D_to − D, F_to + F) / (std(F) (std(F_to) + std(F)))
//
// which is the same, and does not divide by out: it also holds at α = 0, where
// ε says nothing about D. A prediction without spread is left as it is, and so is
// a level at which x and D do not give the unit (ε at σ = 0).
type Rescale struct {
	Phi float64           // 0 for none, to 1
	In  models.Prediction // the unit; nil is x₀
}

// Validate reports a share that is none.
func (r Rescale) Validate() error {
	if !(r.Phi >= 0 && r.Phi <= 1) {
		return fmt.Errorf("guidance: rescale φ = %g: expected 0 ≤ φ ≤ 1", r.Phi)
	}
	return nil
}

// check is Validate for samples of dim values.
func (r Rescale) check(dim int) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if r.Phi != 0 && dim < 2 {
		return fmt.Errorf("guidance: rescale φ = %g of samples of one value, which have no standard deviation: leave it out", r.Phi)
	}
	return nil
}

// combine writes the rescaled answer of one row over to, which holds D_to.
func (r Rescale) combine(to, from, x []float64, scale float64, at schedules.Level) {
	skip, out, defined := 0.0, 1.0, true
	if r.In != nil {
		var err error
		skip, out, err = r.In.Encode(at)
		defined = err == nil
	}
	// Sums over the values: of both predictions, and of the difference.
	n := float64(len(to))
	var sumTo, sum, sumGap float64
	for j, c := range to {
		d := combined(c, from[j], scale)
		sumTo += skip*x[j] + out*c
		sum += skip*x[j] + out*d
		sumGap += c - d
	}
	var varTo, variance, cov float64
	for j, c := range to {
		d := combined(c, from[j], scale)
		fTo, f := skip*x[j]+out*c-sumTo/n, skip*x[j]+out*d-sum/n
		varTo += fTo * fTo
		variance += f * f
		cov += (c - d - sumGap/n) * (fTo + f)
	}
	std := math.Sqrt(variance)
	kappa := 0.0
	if defined && std > 0 {
		kappa = r.Phi * cov / (std * (math.Sqrt(varTo) + std))
	}
	for j, c := range to {
		d := combined(c, from[j], scale)
		to[j] = d + kappa*(float64(skip*x[j])+float64(out*d))
	}
}
