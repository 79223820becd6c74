package models

import (
	"context"
	"fmt"
	"math"

	"snrlab/internal/freelist"
	"snrlab/internal/spec"
	"snrlab/schedules"
)

// Raw is a model that predicts something other than the clean sample. Query
// and destination are those of [Denoiser]; what is predicted, and whether the
// model wants its input scaled, is said by a [Prediction].
type Raw interface {
	// Predict writes the model's own output for q into dst, row-major q.Rows×dim.
	Predict(ctx context.Context, dst []float64, q Query) error
	// Shape is that of one sample. Not to be modified.
	Shape() []int
}

// Prediction is the meaning of a model's output F at the state x = α x₀ + σ ε.
// Every one is affine in x: see [Eps], [X0], [V], [Score], [Flow] and [EDM].
type Prediction interface {
	// Decode returns the coefficients of D = skip·x + out·F. It refuses a level
	// at which F does not determine D.
	Decode(at schedules.Level) (skip, out float64, err error)
	// Encode returns the coefficients of F = skip·x + out·D. It refuses a level
	// at which x and D do not determine F. With D = x₀ it is the training target.
	Encode(at schedules.Level) (skip, out float64, err error)
	// Input returns the factor of x in the model's input, and the level as the
	// model wants it labelled.
	Input(at schedules.Level) (scale float64, label schedules.Level)
	String() string // parseable, e.g. "edm(sd=0.5)"
}

// Eps is the noise prediction ε of [ho2020]: D = (x − σ ε)/α.
type Eps struct{}

// X0 is the prediction of the clean sample itself.
type X0 struct{}

// V is v = α ε − σ x₀ [salimans2022], which on a variance-preserving path
// (α² + σ² = 1) is the velocity in the angle atan(σ/α). The same combination is
// meant on every other path, so that D = (α x − σ v)/(α² + σ²); a model of dx/dt
// on a straight path is [Flow].
type V struct{}

// Score is ∇ log p(x) = −ε/σ: D = (x + σ² s)/α.
type Score struct{}

// Flow is u = ε − x₀, the velocity dx/dt of the straight path α = 1 − t, σ = t
// [liu2023]. The same difference is meant on every other path, so that
// D = (x − σ u)/(α + σ).
type Flow struct{}

// EDM is the network F of [karras2022] behind its preconditioning, in s = σ/α and
// x̂ = x/α:
//
//	D = c_skip x̂ + c_out F(c_in x̂; c_noise)
//	c_skip = sd²/(s² + sd²)    c_out = s sd/√(s² + sd²)
//	c_in = 1/√(s² + sd²)       c_noise = log(s)/4
//
// The model is given c_in x̂ as its states and c_noise as the T of its levels;
// c_noise is +Inf at α = 0, where D = sd·F, and −Inf at σ = 0, where D = x̂.
type EDM struct {
	SigmaData float64 `json:"sd"` // standard deviation of the data; 0.5 by default
}

// Predictions lists the kinds of prediction by name.
func Predictions() spec.Registry[Prediction] {
	return spec.Registry[Prediction]{Kind: "prediction", Entries: []spec.Entry[Prediction]{
		{Name: "eps", Summary: "noise ε", Aliases: []string{"epsilon"}, Default: Eps{}},
		{Name: "x0", Summary: "clean sample x₀", Aliases: []string{"sample"}, Default: X0{}},
		{Name: "v", Summary: "α ε − σ x₀", Aliases: []string{"v_prediction"}, Default: V{}},
		{Name: "score", Summary: "∇ log p(x)", Default: Score{}},
		{Name: "flow", Summary: "ε − x₀, the velocity of rectified flow", Default: Flow{}},
		{Name: "edm", Summary: "network behind the EDM preconditioning", Default: EDM{SigmaData: 0.5}},
	}}
}

// ParsePrediction reads what String prints.
func ParsePrediction(s string) (Prediction, error) {
	p, err := Predictions().Parse(s)
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	return p, nil
}

func (p Eps) String() string   { return Predictions().Format("eps", p) }
func (p X0) String() string    { return Predictions().Format("x0", p) }
func (p V) String() string     { return Predictions().Format("v", p) }
func (p Score) String() string { return Predictions().Format("score", p) }
func (p Flow) String() string  { return Predictions().Format("flow", p) }
func (p EDM) String() string   { return Predictions().Format("edm", p) }

// Validate reports a data scale that is none.
func (p EDM) Validate() error {
	if !(p.SigmaData > 0) || math.IsInf(p.SigmaData, 1) {
		return fmt.Errorf("models: edm has sd = %g: expected the standard deviation of the data, a finite number > 0", p.SigmaData)
	}
	return nil
}

// noClean and noNoise say what is missing at the two ends.
func noClean(name string) error {
	return fmt.Errorf("models: %s does not determine x₀ at α = 0, zero signal-to-noise ratio, where x is all noise: use a model of v, x0 or flow there, or start at a level with α > 0", name)
}

func noNoise(name string) error {
	return fmt.Errorf("models: x and x₀ do not determine %s at σ = 0, where x holds no noise: use x0 there, or ask at a level with σ > 0", name)
}

// Decode returns skip = 1/α, out = −σ/α. It refuses α = 0.
func (Eps) Decode(at schedules.Level) (skip, out float64, err error) {
	if at.Alpha == 0 {
		return 0, 0, noClean("ε")
	}
	return 1 / at.Alpha, -at.Sigma / at.Alpha, nil
}

// Encode returns skip = 1/σ, out = −α/σ. It refuses σ = 0.
func (Eps) Encode(at schedules.Level) (skip, out float64, err error) {
	if at.Sigma == 0 {
		return 0, 0, noNoise("ε")
	}
	return 1 / at.Sigma, -at.Alpha / at.Sigma, nil
}

// Decode returns skip = 0, out = 1.
func (X0) Decode(schedules.Level) (skip, out float64, err error) { return 0, 1, nil }

// Encode returns skip = 0, out = 1.
func (X0) Encode(schedules.Level) (skip, out float64, err error) { return 0, 1, nil }

// Decode returns skip = α/(α² + σ²), out = −σ/(α² + σ²).
func (V) Decode(at schedules.Level) (skip, out float64, err error) {
	n := float64(at.Alpha*at.Alpha) + at.Sigma*at.Sigma
	return at.Alpha / n, -at.Sigma / n, nil
}

// Encode returns skip = α/σ, out = −(α² + σ²)/σ. It refuses σ = 0.
func (V) Encode(at schedules.Level) (skip, out float64, err error) {
	if at.Sigma == 0 {
		return 0, 0, noNoise("v")
	}
	n := float64(at.Alpha*at.Alpha) + at.Sigma*at.Sigma
	return at.Alpha / at.Sigma, -n / at.Sigma, nil
}

// Decode returns skip = 1/α, out = σ²/α. It refuses α = 0.
func (Score) Decode(at schedules.Level) (skip, out float64, err error) {
	if at.Alpha == 0 {
		return 0, 0, noClean("the score")
	}
	return 1 / at.Alpha, at.Sigma * at.Sigma / at.Alpha, nil
}

// Encode returns skip = −1/σ², out = α/σ². It refuses σ = 0.
func (Score) Encode(at schedules.Level) (skip, out float64, err error) {
	s2 := at.Sigma * at.Sigma
	if s2 == 0 {
		return 0, 0, noNoise("the score")
	}
	return -1 / s2, at.Alpha / s2, nil
}

// Decode returns skip = 1/(α + σ), out = −σ/(α + σ).
func (Flow) Decode(at schedules.Level) (skip, out float64, err error) {
	n := at.Alpha + at.Sigma
	return 1 / n, -at.Sigma / n, nil
}

// Encode returns skip = 1/σ, out = −(α + σ)/σ. It refuses σ = 0.
func (Flow) Encode(at schedules.Level) (skip, out float64, err error) {
	if at.Sigma == 0 {
		return 0, 0, noNoise("the flow velocity")
	}
	return 1 / at.Sigma, -(at.Alpha + at.Sigma) / at.Sigma, nil
}

// scale returns √(σ² + α² sd²), the standard deviation of x.
func (p EDM) scale(at schedules.Level) float64 { return math.Hypot(at.Sigma, at.Alpha*p.SigmaData) }

// Decode returns skip = c_skip/α = α sd²/(σ² + α² sd²) and out = c_out =
// σ sd/√(σ² + α² sd²), which are finite at α = 0 too.
func (p EDM) Decode(at schedules.Level) (skip, out float64, err error) {
	if err := p.Validate(); err != nil {
		return 0, 0, err
	}
	r := p.SigmaData / p.scale(at)
	return at.Alpha * r * r, at.Sigma * r, nil
}

// Encode returns the inverse of Decode. It refuses σ = 0.
func (p EDM) Encode(at schedules.Level) (skip, out float64, err error) {
	if err := p.Validate(); err != nil {
		return 0, 0, err
	}
	if at.Sigma == 0 {
		return 0, 0, noNoise("the output of an EDM network")
	}
	r := p.SigmaData / p.scale(at)
	return -at.Alpha * r / at.Sigma, 1 / (at.Sigma * r), nil
}

func asIs(at schedules.Level) (float64, schedules.Level) { return 1, at }

// Input is x and its level as they are.
func (Eps) Input(at schedules.Level) (scale float64, label schedules.Level) { return asIs(at) }

// Input is x and its level as they are.
func (X0) Input(at schedules.Level) (scale float64, label schedules.Level) { return asIs(at) }

// Input is x and its level as they are.
func (V) Input(at schedules.Level) (scale float64, label schedules.Level) { return asIs(at) }

// Input is x and its level as they are.
func (Score) Input(at schedules.Level) (scale float64, label schedules.Level) { return asIs(at) }

// Input is x and its level as they are.
func (Flow) Input(at schedules.Level) (scale float64, label schedules.Level) { return asIs(at) }

// Input returns the factor 1/√(σ² + α² sd²), with which c_in x̂ is made of x, and
// the level with c_noise as its T.
func (p EDM) Input(at schedules.Level) (scale float64, label schedules.Level) {
	scale = 1 / p.scale(at)
	at.T = (math.Log(at.Sigma) - math.Log(at.Alpha)) / 4
	return scale, at
}

// FromRaw makes a denoiser of a model that predicts p.
func FromRaw(p Prediction, r Raw) Denoiser {
	d := &decoded{raw: r}
	d.conversion.init(p.Decode, p.Input)
	return d
}

// ToRaw makes a model that predicts p of a denoiser: ToRaw(Score{}, d) is its
// score, and FromRaw(p, ToRaw(p, d)) is d to rounding.
func ToRaw(p Prediction, d Denoiser) Raw {
	// The states arrive as the model's input; the denoiser wants x.
	undo := func(at schedules.Level) (float64, schedules.Level) {
		scale, _ := p.Input(at)
		return 1 / scale, at
	}
	e := &encoded{inner: d}
	e.conversion.init(p.Encode, undo)
	return e
}

type decoded struct {
	raw Raw
	conversion
}

func (d *decoded) Shape() []int { return d.raw.Shape() }

// Denoise combines the states as they are with the model's answer.
func (d *decoded) Denoise(ctx context.Context, dst []float64, q Query) error {
	s, inner, err := d.begin(dst, q, d.Shape())
	if err != nil {
		return err
	}
	defer d.idle.Put(s)
	if err := d.raw.Predict(ctx, dst, inner); err != nil {
		return err
	}
	s.combine(dst, q)
	return nil
}

type encoded struct {
	inner Denoiser
	conversion
}

func (e *encoded) Shape() []int { return e.inner.Shape() }

// Predict combines the states as the denoiser sees them with its answer.
func (e *encoded) Predict(ctx context.Context, dst []float64, q Query) error {
	s, inner, err := e.begin(dst, q, e.Shape())
	if err != nil {
		return err
	}
	defer e.idle.Put(s)
	if err := e.inner.Denoise(ctx, dst, inner); err != nil {
		return err
	}
	s.combine(dst, inner)
	return nil
}

// conversion is what both directions share.
type conversion struct {
	coefficients coefficients
	input        input
	idle         freelist.List[scaled]
}

type (
	coefficients func(schedules.Level) (skip, out float64, err error)
	input        func(schedules.Level) (scale float64, label schedules.Level)
)

func (c *conversion) init(f coefficients, in input) {
	c.coefficients, c.input = f, in
	c.idle.New = func() *scaled { return new(scaled) }
}

// begin checks a query and returns it as the inner model wants it.
func (c *conversion) begin(dst []float64, q Query, shape []int) (*scaled, Query, error) {
	if err := q.Check(dst, size(shape)); err != nil {
		return nil, q, err
	}
	s := c.idle.Get()
	if err := s.set(q, c.coefficients); err != nil {
		c.idle.Put(s)
		return nil, q, err
	}
	return s, s.rescale(q, c.input), nil
}

// scaled is the workspace of one conversion.
type scaled struct {
	x         []float64
	at        []schedules.Level
	skip, out []float64 // one for all rows, or one a row, as q.At
}

func (s *scaled) set(q Query, f coefficients) (err error) {
	s.skip, s.out = resize(s.skip, len(q.At)), resize(s.out, len(q.At))
	for i, at := range q.At {
		if err := at.Validate(); err != nil {
			return fmt.Errorf("models: %w", err)
		}
		if s.skip[i], s.out[i], err = f(at); err != nil {
			return fmt.Errorf("%w (level %d of the query)", err, i)
		}
	}
	return nil
}

// rescale returns q with its states multiplied and its levels labelled anew;
// states that keep their scale are not copied.
func (s *scaled) rescale(q Query, in input) Query {
	s.at = resize(s.at, len(q.At))
	dim := len(q.X) / q.Rows
	copied := false
	for i, at := range q.At {
		var scale float64
		scale, s.at[i] = in(at)
		if scale == 1 {
			continue
		}
		if !copied {
			s.x = append(s.x[:0], q.X...)
			copied = true
		}
		rows := s.x[i*dim : (i+1)*dim]
		if len(q.At) == 1 {
			rows = s.x
		}
		for j := range rows {
			rows[j] *= scale
		}
	}
	if copied {
		q.X = s.x
	}
	q.At = s.at
	return q
}

// combine turns dst into skip·x + out·dst.
func (s *scaled) combine(dst []float64, q Query) {
	dim := len(q.X) / q.Rows
	for i := range q.Rows {
		skip, out := s.skip[0], s.out[0]
		if len(s.skip) > 1 {
			skip, out = s.skip[i], s.out[i]
		}
		x, y := q.X[i*dim:(i+1)*dim], dst[i*dim:(i+1)*dim]
		for j := range y {
			y[j] = float64(skip*x[j]) + float64(out*y[j])
		}
	}
}
