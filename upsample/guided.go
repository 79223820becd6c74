package upsample

import (
	"context"
	"fmt"
	"math"
	"slices"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/schedules"
)

// Guidance is how a low-resolution model guides.
type Guidance struct {
	Pair     Pair               // P and U
	Strength Strength           // θ(λ)
	Low      schedules.Schedule // of the low-resolution model: its path, its times, and the range it was trained on
	Outside  Outside            // what to do about levels outside that range
	Coloured bool               // accept pooled noise that is not white, which no low-resolution model has seen
}

// Outside says what is done about a level whose matched level lies outside the
// range that the low-resolution model was trained on.
type Outside uint8

const (
	// Stop leaves the high-resolution model alone at levels that are too clean,
	// as θ = 0 does, and refuses those that are too noisy: the coarse content
	// is decided there.
	Stop Outside = iota
	// Refuse refuses both.
	Refuse
)

var outsideNames = []string{"stop", "refuse"}

func (o Outside) String() string { return spec.EnumName(o, outsideNames) }

// ParseOutside reads what String prints.
func ParseOutside(s string) (Outside, error) {
	return prefixed(spec.ParseEnum[Outside]("way with levels outside the trained range", s, outsideNames))
}

// Validate reports a part that is missing or cannot be used.
func (g Guidance) Validate() error {
	switch {
	case g.Pair == nil:
		return fmt.Errorf("upsample: guidance without a pair: expected one, Area{...}.Pair() say")
	case g.Strength == nil:
		return fmt.Errorf("upsample: guidance without a strength: expected a function θ(λ), Constant{Theta: 1} say")
	case g.Low == nil:
		return fmt.Errorf("upsample: guidance without the low-resolution model's schedule: it gives the matched levels and the trained range")
	case g.Outside > Refuse:
		return fmt.Errorf("upsample: guidance has outside = %s: expected one of %v", g.Outside, outsideNames)
	case !g.Coloured && !g.Pair.Noise().White():
		return fmt.Errorf("upsample: pair %s makes white noise coloured (P Pᵀ is off c I by %.3g of c), which no low-resolution model was trained on: take a pair with P Pᵀ = c I, or set Coloured", g.Pair, g.Pair.Noise().Colour)
	}
	for _, part := range []any{g.Strength, g.Low} {
		if v, ok := part.(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Guided is a denoiser of the high resolution whose coarse part comes from a
// denoiser of the low one [hwang2024]. With D the model that is used at the high
// resolution and y, τ from [Match],
//
//	D(x) + θ(λ) U [ D_low(y; τ) − P D(x) ]
//
// In ε the same is e + θ U [ √c e_low − P e ] with c = 1/s² the variance of pooled
// noise: see [GuidedEps]. Other predictions go through [models.FromRaw]; a velocity
// is not guided by a velocity: P u = √c e_low − D_low.
//
// Where coarse and detail of the data are independent, U = Pᵀ/c, and both models
// are exact, P D(x) = D_low(y; τ) and every θ gives D. Whatever D is, θ = 1 gives
// P x the trajectory of the low-resolution model, so that the coarse part of the
// samples has the law that that model samples. Solvers whose coefficients depend
// on ratios of σ/α alone, as those in λ do, keep this step by step; others to their
// own error.
//
// Classifier-free guidance is part of a model: each of the two has it first, with
// its own conditional and unconditional answers.
//
// Guided is safe for concurrent use, a row of the answer depends on that row
// alone, and labels go to both models. It allocates nothing once warm. A row of no
// guidance (θ = 0, or stopped) costs the low-resolution model nothing.
type Guided struct {
	guided
	high, low *models.Counter
}

// New checks that the models fit the pair and returns the guided denoiser.
func New(high, low models.Denoiser, g Guidance) (*Guided, error) {
	if high == nil || low == nil {
		return nil, fmt.Errorf("upsample: guidance needs a denoiser of the high resolution and one of the low")
	}
	d := &Guided{high: models.NewCounter(high), low: models.NewCounter(low)}
	if err := d.init(g, high.Shape(), low.Shape(), d.high.Denoise, d.low.Denoise, 1); err != nil {
		return nil, err
	}
	return d, nil
}

// Denoise asks the model of the high resolution and, where θ ≠ 0, that of the
// low.
func (d *Guided) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	return d.answer(ctx, dst, q)
}

// Evaluations returns what was asked of each model so far.
func (d *Guided) Evaluations() Evaluations {
	return Evaluations{High: d.high.Rows(), Low: d.low.Rows(), Share: d.share()}
}

// Evaluations counts the rows that were asked of the two models.
type Evaluations struct {
	High  int     `json:"high"`
	Low   int     `json:"low"`
	Share float64 `json:"share"` // numbers of a low sample to those of a high one, 1/s²
}

// Equivalent returns the evaluations in units of one of the high resolution, for
// models whose cost is that of their pixels.
func (e Evaluations) Equivalent() float64 { return float64(e.High) + e.Share*float64(e.Low) }

// GuidedEps is the same of two models that predict ε, as it is published:
//
//	e(x) + θ(λ) U [ √c e_low(y; τ) − P e(x) ],    √c = 1/s
//
// models.FromRaw(models.Eps{}, …) of it is [Guided] of the two models' denoisers, to
// rounding.
type GuidedEps struct{ guided }

// NewEps checks that the models fit the pair and returns the guided model of ε.
func NewEps(high, low models.Raw, g Guidance) (*GuidedEps, error) {
	if high == nil || low == nil {
		return nil, fmt.Errorf("upsample: guidance needs a model of the high resolution and one of the low")
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	e := &GuidedEps{}
	if err := e.init(g, high.Shape(), low.Shape(), high.Predict, low.Predict, math.Sqrt(g.Pair.Noise().Variance)); err != nil {
		return nil, err
	}
	return e, nil
}

// Predict writes ε of the guided model.
func (e *GuidedEps) Predict(ctx context.Context, dst []float64, q models.Query) error {
	return e.answer(ctx, dst, q)
}

// ask is the call of a model.
type ask func(ctx context.Context, dst []float64, q models.Query) error

// guided is what both forms share: they differ by the factor of the low answer.
type guided struct {
	set       Guidance
	match     *matcher
	factor    float64 // 1 for x₀, √c for ε
	high, low ask
	dim, sub  int
	spaces    freelist.List[space]
}

func (g *guided) init(set Guidance, highShape, lowShape []int, high, low ask, factor float64) error {
	if err := set.Validate(); err != nil {
		return err
	}
	for _, s := range []struct {
		what      string
		got, want []int
	}{{"high", highShape, set.Pair.HighShape()}, {"low", lowShape, set.Pair.LowShape()}} {
		if !slices.Equal(s.got, s.want) {
			return fmt.Errorf("upsample: the model of the %s resolution has samples of shape %v, pair %s expects %v", s.what, s.got, set.Pair, s.want)
		}
	}
	g.set, g.factor, g.high, g.low = set, factor, high, low
	g.match = newMatcher(set.Low, set.Pair.Noise().Variance)
	g.dim, g.sub = size(highShape), size(lowShape)
	g.spaces.New = func() *space { return newSpace(g) }
	return nil
}

// Shape is that of a sample of the high resolution.
func (g *guided) Shape() []int { return g.set.Pair.HighShape() }

func (g *guided) share() float64 { return float64(g.sub) / float64(g.dim) }

// Call is what a level comes to.
type Call struct {
	At    schedules.Level // of the high resolution
	Theta float64         // θ; 0 where the guidance is off or has stopped
	Low   schedules.Level // the matched level, where θ ≠ 0
	Scale float64         // of the pooled state
}

// Plan returns the call at each of the levels, or the error that a query there
// would meet.
func (g *guided) Plan(levels []schedules.Level) ([]Call, error) {
	calls := make([]Call, len(levels))
	for i, at := range levels {
		c, err := g.call(at)
		if err != nil {
			return nil, err
		}
		calls[i] = c
	}
	return calls, nil
}

func (g *guided) call(at schedules.Level) (Call, error) {
	c := Call{At: at}
	if err := at.Validate(); err != nil {
		return c, fmt.Errorf("upsample: %w", err)
	}
	l := at.LogSNR()
	theta := g.set.Strength.At(l)
	if theta-theta != 0 {
		return c, fmt.Errorf("upsample: strength %s gives θ = %g at λ = %.4g: expected a finite number", g.set.Strength, theta, float64(l))
	}
	if theta == 0 {
		return c, nil
	}
	low, scale, where := g.match.match(at)
	switch {
	case where == inside:
		c.Theta, c.Low, c.Scale = theta, low, scale
	case where == tooNoisy || g.set.Outside == Refuse:
		return c, g.match.outside(at, where)
	}
	return c, nil
}

// space is the workspace of one query.
type space struct {
	g      *guided
	q      models.Query
	dst    []float64
	calls  []Call            // one for all rows, or one a row
	rows   []int             // the rows that are guided
	y, low []float64         // their pooled states and the answers to them
	at     []schedules.Level // their matched levels
	labels []int
	parts  freelist.List[part]

	pool, combine func(lo, hi int)
}

// part is the workspace of one worker.
type part struct{ coarse, fine []float64 }

func newSpace(g *guided) *space {
	s := &space{g: g}
	s.pool, s.combine = s.poolRows, s.combineRows
	s.parts.New = func() *part { return &part{make([]float64, g.sub), make([]float64, g.dim)} }
	return s
}

func (g *guided) answer(ctx context.Context, dst []float64, q models.Query) error {
	if err := q.Check(dst, g.dim); err != nil {
		return fmt.Errorf("upsample: %w", err)
	}
	s := g.spaces.Get()
	defer s.release()
	s.q, s.dst = q, dst
	if err := s.plan(); err != nil {
		return err
	}
	if err := g.high(ctx, dst, q); err != nil {
		return err
	}
	if len(s.rows) == 0 {
		return nil
	}
	s.y, s.low = resize(s.y, len(s.rows)*g.sub), resize(s.low, len(s.rows)*g.sub)
	par.Rows(len(s.rows), grain, s.pool)
	ask := models.Query{X: s.y, Rows: len(s.rows), At: s.at}
	if q.Labels != nil {
		ask.Labels = s.labels
	}
	if err := g.low(ctx, s.low, ask); err != nil {
		return err
	}
	par.Rows(len(s.rows), grain, s.combine)
	return nil
}

// grain is the number of rows below which a worker is not worth its call.
const grain = 16

func (s *space) release() {
	s.q, s.dst = models.Query{}, nil
	s.g.spaces.Put(s)
}

// plan finds the calls, the rows that are guided, and what they ask.
func (s *space) plan() error {
	s.calls, s.rows, s.at, s.labels = s.calls[:0], s.rows[:0], s.at[:0], s.labels[:0]
	for i, at := range s.q.At {
		if i > 0 && at == s.q.At[i-1] {
			s.calls = append(s.calls, s.calls[i-1])
			continue
		}
		c, err := s.g.call(at)
		if err != nil {
			return fmt.Errorf("%w (level %d of the query)", err, i)
		}
		s.calls = append(s.calls, c)
	}
	for i := range s.q.Rows {
		c := s.of(i)
		if c.Theta == 0 {
			continue
		}
		s.rows = append(s.rows, i)
		if len(s.calls) > 1 || len(s.at) == 0 {
			s.at = append(s.at, c.Low)
		}
		if s.q.Labels != nil {
			s.labels = append(s.labels, s.q.Labels[i])
		}
	}
	return nil
}

// of returns the call of row i.
func (s *space) of(i int) *Call {
	if len(s.calls) == 1 {
		return &s.calls[0]
	}
	return &s.calls[i]
}

func (s *space) poolRows(lo, hi int) {
	g := s.g
	for k := lo; k < hi; k++ {
		i := s.rows[k]
		y := s.y[k*g.sub : (k+1)*g.sub]
		g.set.Pair.Pool(y, s.q.X[i*g.dim:(i+1)*g.dim])
		for j := range y {
			y[j] *= s.of(i).Scale
		}
	}
}

// combineRows adds θ U [ factor·low − P high ] to the rows of dst.
func (s *space) combineRows(lo, hi int) {
	g := s.g
	p := s.parts.Get()
	for k := lo; k < hi; k++ {
		i := s.rows[k]
		dst := s.dst[i*g.dim : (i+1)*g.dim]
		g.set.Pair.Pool(p.coarse, dst)
		for j, v := range s.low[k*g.sub : (k+1)*g.sub] {
			p.coarse[j] = g.factor*v - p.coarse[j]
		}
		g.set.Pair.Repeat(p.fine, p.coarse)
		axpy(dst, s.of(i).Theta, p.fine)
	}
	s.parts.Put(p)
}

// resize returns a slice of n numbers, s where it is large enough.
func resize(s []float64, n int) []float64 { return slices.Grow(s[:0], n)[:n] }
