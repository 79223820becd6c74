package solvers

import (
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
)

// Form is how the methods of the DPM family weigh the slope of what they
// integrate. The published names differ: Paper is "dpmsolver" or "midpoint" of
// solver_type elsewhere, Taylor is "taylor" or "heun".
type Form uint8

const (
	Paper  Form = iota // half of the step's first moment for a slope, as in the papers. The default
	Taylor             // a polynomial in ℓ is integrated exactly
	Simple             // the last evaluation alone: the midpoint rule of AMED; order 1 unless r = 1/2
)

var formNames = []string{"paper", "taylor", "simple"}

func (f Form) String() string { return spec.EnumName(f, formNames) }

// MarshalText writes the name.
func (f Form) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads a name.
func (f *Form) UnmarshalText(b []byte) (err error) {
	*f, err = parseChoice[Form](formNames, string(b))
	return err
}

// name returns the name of a method of this prediction.
func (p Prediction) name(data, noise string) string {
	if p == PredictNoise {
		return noise
	}
	return data
}

// predict evaluates y at a level and writes the prediction there into dst; tmp is
// overwritten.
func (w *walk) predict(dst, tmp []float64, p Prediction, y []float64, at schedules.Level) {
	if p == PredictData {
		w.eval(dst, y, at)
		return
	}
	w.eval(tmp, y, at)
	w.slope(dst, y, tmp, at)
}

// kernel is a step of an exponential integrator. With s = (ℓ − ℓ_a)/h, h = ℓ_b − ℓ_a,
//
//	x_b = gain x_a + Σ_j c_j moment_j + spread z   for a prediction that is Σ_j c_j sʲ
//
// which is exact, in law where there is noise.
type kernel struct {
	gain, spread float64
	moment       [3]float64
}

// kernel returns the step from a to b of the equation with noise η.
func (p Prediction) kernel(a, b schedules.Level, eta float64) kernel {
	e, sd := p.stochastic(a, b, eta)
	k := kernel{gain: e.lin, spread: sd}
	e.moments(k.moment[:])
	for i := range k.moment {
		k.moment[i] *= e.gain
	}
	return k
}

// two returns the weights of the predictions at a and at ℓ_a + r h.
func (k kernel) two(form Form, r float64) (ca, cr float64) {
	switch form {
	case Paper:
		cr = k.moment[0] / (2 * r)
	case Taylor:
		cr = k.moment[1] / r
	case Simple:
		cr = k.moment[0]
	}
	return k.moment[0] - cr, cr
}

// three returns the weights of the predictions at a, ℓ_a + p h and ℓ_a + q h,
// whose parabola is integrated.
func (k kernel) three(p, q float64) (ca, cp, cq float64) {
	cp = (k.moment[2] - q*k.moment[1]) / (p * (p - q))
	cq = (k.moment[2] - p*k.moment[1]) / (q * (q - p))
	return k.moment[0] - cp - cq, cp, cq
}

// checkNoise refuses an η, or a factor of the noise, that is none or has no effect.
func checkNoise(eta, snoise float64) error {
	switch {
	case !(eta >= 0) || math.IsInf(eta, 1):
		return fmt.Errorf("eta = %g: expected a finite value ≥ 0", eta)
	case eta == 0 && snoise != 1 && snoise != 0:
		return fmt.Errorf("snoise = %g has no effect with eta = 0: leave it out", snoise)
	case eta > 0 && (!(snoise > 0) || math.IsInf(snoise, 1)):
		return fmt.Errorf("snoise = %g: expected a positive finite factor", snoise)
	}
	return nil
}
