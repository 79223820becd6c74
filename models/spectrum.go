package models

import (
	"fmt"
	"math"

	"snrlab/internal/spec"
)

// Spectrum is a power spectrum that can be laid on an image of any size: what a
// [Field] is made of by name.
type Spectrum interface {
	// Power returns the spectrum of one channel, height×(width/2+1) as in
	// [FieldComponents].
	Power(height, width int) ([]float64, error)
	String() string // parseable, e.g. "power(a=2)"
}

// Spectra lists the spectra that [ParseSpectrum] reads.
func Spectra() spec.Registry[Spectrum] {
	return spec.Registry[Spectrum]{
		Kind: "spectrum",
		Entries: []spec.Entry[Spectrum]{
			{Name: "power", Summary: "falls as 1/f^a above a corner frequency", Aliases: []string{"1/f"}, Default: PowerLaw{A: 2, Corner: 1, Variance: 1}},
			{Name: "white", Summary: "the same at every frequency: independent pixels", Default: White{Variance: 1}},
		},
	}
}

// ParseSpectrum reads a spectrum, "power(a=1.5)" say.
func ParseSpectrum(s string) (Spectrum, error) {
	v, err := Spectra().Parse(s)
	if err != nil {
		err = fmt.Errorf("models: %w", err)
	}
	return v, err
}

// White is the spectrum of independent pixels, P = Variance.
type White struct {
	Variance float64 `json:"variance"` // of a pixel
}

// Validate reports a variance that is not positive and finite.
func (s White) Validate() error { return checkVariance("white", s.Variance) }

// Power returns the constant.
func (s White) Power(height, width int) ([]float64, error) {
	if err := checkFieldShape([]int{1, height, width}); err != nil {
		return nil, err
	}
	power := make([]float64, height*(width/2+1))
	fill(power, s.Variance)
	return power, s.Validate()
}

func (s White) String() string { return Spectra().Format("white", s) }

// PowerLaw is the spectrum of natural images, of which A = 2 is typical
// [field1987]:
//
//	P ∝ (corner² + f²)^{−A/2},    scaled so that a pixel has the variance asked for,
//
// with f in cycles over the longer side of the image. A = 0 is white.
type PowerLaw struct {
	A        float64 `json:"a"`
	Corner   float64 `json:"corner"`   // cycles over the longer side, below which the spectrum is flat
	Variance float64 `json:"variance"` // of a pixel
}

// Validate reports exponents that are not finite and corners or variances that
// are not positive.
func (s PowerLaw) Validate() error {
	if !(math.Abs(s.A) <= 16) || !(s.Corner > 0) || math.IsInf(s.Corner, 1) {
		return fmt.Errorf("models: spectrum power has a = %g, corner = %g: expected an exponent between -16 and 16 and a corner > 0 in cycles over the image", s.A, s.Corner)
	}
	return checkVariance("power", s.Variance)
}

// Power returns the spectrum with the mean Variance.
func (s PowerLaw) Power(height, width int) ([]float64, error) {
	if err := checkFieldShape([]int{1, height, width}); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	side, half, total := float64(max(height, width)), width/2+1, 0.0
	power := make([]float64, height*half)
	for u := range height {
		for v := range half {
			fu, fv := float64(min(u, height-u))/float64(height), float64(v)/float64(width)
			p := math.Pow(math.Hypot(s.Corner, side*math.Hypot(fu, fv)), -s.A)
			power[u*half+v] = p
			if v == 0 || v == half-1 {
				total += p
			} else {
				total += 2 * p
			}
		}
	}
	scale := s.Variance / (total / float64(height*width))
	for i := range power {
		power[i] *= scale
	}
	return power, nil
}

func (s PowerLaw) String() string { return Spectra().Format("power", s) }

func checkVariance(name string, v float64) error {
	if !(v > 0) || math.IsInf(v, 1) {
		return fmt.Errorf("models: spectrum %s has variance = %g: expected a finite number > 0", name, v)
	}
	return nil
}
