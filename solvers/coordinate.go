package solvers

import (
	"math"

	"snrlab/internal/spec"
	"snrlab/schedules"
	"snrlab/snr"
)

// Coordinate is the variable u that a Runge–Kutta method takes its steps in,
// and the multiple z of the state that it moves: the probability-flow ODE is
// one, but a method sees another curve in each. With hats for division by α,
// ℓ = log(α/σ) and e = (x − αD)/σ,
//
//	sigma        u = ŝ = σ/α         z = x/α           dz/du = e
//	data         u = α/σ             z = x/σ           dz/du = D
//	lambda       u = ℓ               z = x/α           dz/du = −ŝ e = D − x/α
//	lambda-data  u = ℓ               z = x/σ           dz/du = (α/σ) D
//	angle        u = φ = atan(ŝ)     z = x/√(α²+σ²)    dz/du = e cos φ − D sin φ
//	t            u = t               z = x             dz/du = α′ D + σ′ e
//
// lambda-data is the integrating factor form of the ODE for D. All but t give
// the same x/α on every path.
type Coordinate uint8

const (
	Sigma       Coordinate = iota // σ/α. The default
	Data                          // α/σ
	Log                           // log(α/σ), for x/α
	LogData                       // log(α/σ), for x/σ
	Angle                         // atan(σ/α)
	InTime                        // t of the schedule
	inUndefined                   // the number of the others
)

var coordinateNames = []string{"sigma", "data", "lambda", "lambda-data", "angle", "t"}

func (c Coordinate) String() string { return spec.EnumName(c, coordinateNames) }

// MarshalText writes the name.
func (c Coordinate) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a name.
func (c *Coordinate) UnmarshalText(b []byte) (err error) {
	*c, err = parseChoice[Coordinate](coordinateNames, string(b))
	return err
}

// of returns u at a level.
func (c Coordinate) of(l schedules.Level, on schedules.Schedule) float64 {
	switch c {
	case Data:
		return l.Alpha / l.Sigma
	case Log, LogData:
		return l.LogSNR().Half()
	case Angle:
		return math.Atan2(l.Sigma, l.Alpha)
	case InTime:
		return on.TimeOf(l.LogSNR())
	}
	return l.Noise()
}

// level returns the level of a schedule at u.
func (c Coordinate) level(u float64, on schedules.Schedule) schedules.Level {
	switch c {
	case Data:
		return schedules.LevelAt(on, snr.FromSigma(1/u))
	case Log, LogData:
		return schedules.LevelAt(on, snr.LogSNR(2*u))
	case Angle:
		sin, cos := math.Sincos(u)
		return schedules.LevelAt(on, snr.FromAlphaSigma(cos, sin))
	case InTime:
		return on.At(u)
	}
	return schedules.LevelAt(on, snr.FromSigma(u))
}

// scale returns z/x at a level.
func (c Coordinate) scale(l schedules.Level) float64 {
	switch c {
	case Data, LogData:
		return 1 / l.Sigma
	case Angle:
		return 1 / math.Hypot(l.Alpha, l.Sigma)
	case InTime:
		return 1
	}
	return 1 / l.Alpha
}

// ends reports that u and z are finite at σ = 0.
func (c Coordinate) ends() bool { return c == Sigma || c == Angle || c == InTime }

// slope returns the factors of x and D in dz/du at a level.
func (c Coordinate) slope(l schedules.Level, on schedules.Schedule) (x, d float64) {
	switch c {
	case Data:
		return 0, 1
	case Log:
		return -1 / l.Alpha, 1
	case LogData:
		return 0, l.Alpha / l.Sigma
	case Angle:
		r := math.Hypot(l.Alpha, l.Sigma)
		return l.Alpha / (r * l.Sigma), -r / l.Sigma
	case InTime:
		// α′/α = a, σ′/σ = a − λ′/2.
		half := schedules.Rate(on, c.of(l, on)) / 2
		a := 2 * half * schedules.ScaleRate(on.Path(), l)
		return a - half, l.Alpha * half
	}
	return 1 / l.Sigma, -l.Alpha / l.Sigma
}
