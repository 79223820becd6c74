// Package denoise makes a [models.Denoiser] of a trained network: it tells the
// network the noise level in the terms that it was trained in, brings states to
// the path that it was trained on, and converts between float64 rows with
// channels first and float32 images with channels last, once a call.
//
//	net, err := unet.Load[float32]("ddpm-cifar10-32")
//	d, err := denoise.New(unet.Hooked[float32]{Net: net}, denoise.Training{
//		Shape:      []int{3, 32, 32},
//		Prediction: models.Eps{},
//		Schedule:   schedules.Beta{T: 1000},
//	})
//
// References:
//
//	[karras2022] T. Karras, M. Aittala, T. Aila, S. Laine. Elucidating the design space
//	             of diffusion-based generative models. NeurIPS 2022, arXiv 2206.00364.
package denoise

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"snrlab/internal/freelist"
	"snrlab/models"
	"snrlab/nn"
	"snrlab/schedules"
	"snrlab/snr"
)

// A Network is what is asked: x is [rows, …], images channels-last, times are
// [rows] and labels one a row, or nil. A row of the result, of x's shape, depends
// on that row alone, bit for bit. It must serve several goroutines, each with a
// tape of its own.
type Network interface {
	Apply(t *nn.Tape[float32], x, times *nn.Var[float32], labels []int) *nn.Var[float32]
}

// Training says what a network was trained on.
type Training struct {
	// Shape is that of a sample: [channels, height, width] of images, or [numbers].
	Shape []int
	// Prediction is the meaning of the network's output. It also says how the
	// input is scaled.
	Prediction models.Prediction
	// Schedule gives the time of a noise level, found by its λ, and the path that
	// states are brought to. Times of a discrete schedule are indices, and lie
	// between them where λ does. nil is for [models.EDM], whose time is
	// log(σ/α)/4 at every level [karras2022].
	Schedule schedules.Schedule
	// Scale is the factor of the schedule's time as the network is told it, 1000
	// for many flows; 0 is 1.
	Scale float64
	// Nearest tells the network the index whose λ is nearest, if it was trained
	// on whole indices and does not interpolate.
	Nearest bool
	// Clamp tells a network beyond the ends of the schedule the time of the end,
	// in the place of an error. The state's own λ, on the path of
	// training, scales the state and decodes the answer.
	Clamp bool
	// Classes are the labels that it was trained on, in order; none without.
	Classes []int
	// Rows is how many rows are computed at a time; 0 is 32. It bounds the memory
	// and changes no result.
	Rows int
}

// Validate reports settings that contradict each other.
func (s Training) Validate() error {
	switch {
	case len(s.Shape) != 1 && len(s.Shape) != 3 || slices.ContainsFunc(s.Shape, func(n int) bool { return n < 1 }):
		return fmt.Errorf("denoise: a sample has shape %v: expected [numbers] or [channels, height, width]", s.Shape)
	case s.Prediction == nil:
		return errors.New("denoise: there is no prediction: say what the network's output means")
	case s.Rows < 0:
		return fmt.Errorf("denoise: %d rows at a time: expected a positive number, or 0 for 32", s.Rows)
	case s.Scale < 0 || math.IsNaN(s.Scale) || math.IsInf(s.Scale, 0):
		return fmt.Errorf("denoise: the factor of time is %g: expected a finite number above 0, or 0 for 1", s.Scale)
	}
	_, edm := s.Prediction.(models.EDM)
	switch {
	case edm && (s.Schedule != nil || s.Nearest || s.Clamp || s.Scale != 0):
		return errors.New("denoise: an EDM network is told log(σ/α)/4 at every level: leave out the schedule and what belongs to it")
	case !edm && s.Schedule == nil:
		return fmt.Errorf("denoise: a network that predicts %s needs the schedule that it was trained on", s.Prediction)
	}
	if v, ok := s.Schedule.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	if s.Nearest && table(s.Schedule) == 0 {
		return fmt.Errorf("denoise: %s has no indices of which one could be nearest", s.Schedule)
	}
	return nil
}

// table is the number of entries of a discrete schedule, 0 of others.
func table(s schedules.Schedule) int {
	if d, ok := s.(interface{ Entries() int }); ok {
		return d.Entries()
	}
	return 0
}

// A Denoiser is a trained network that answers queries at any level that it was
// trained on, on any path. At σ = 0 it returns x/α, whatever the network.
type Denoiser struct {
	net      Network
	training Training
	dim      int
	decoded  models.Denoiser // of states on the path of training
	moves    freelist.List[moved]
	rooms    freelist.List[room] // for values
	slopes   freelist.List[room] // for changes
}

// New checks the settings and makes the denoiser.
func New(net Network, training Training) (*Denoiser, error) {
	if err := training.Validate(); err != nil {
		return nil, err
	}
	if training.Rows == 0 {
		training.Rows = 32
	}
	if training.Scale == 0 {
		training.Scale = 1
	}
	training.Shape, training.Classes = slices.Clone(training.Shape), slices.Clone(training.Classes)
	d := &Denoiser{net: net, training: training, dim: 1}
	for _, n := range training.Shape {
		d.dim *= n
	}
	d.decoded = models.FromRaw(training.Prediction, raw{d})
	d.moves.New = func() *moved { return new(moved) }
	d.rooms.New = func() *room { return &room{tape: nn.Tape[float32]{Inference: true}} }
	d.slopes.New = func() *room { return new(room) }
	return d, nil
}

// Shape is that of one sample. Not to be modified.
func (d *Denoiser) Shape() []int { return d.training.Shape }

// Classes are the labels that the network was trained on.
func (d *Denoiser) Classes() []int { return d.training.Classes }

// moved is a query on the path of training.
type moved struct {
	x, tangent   []float64
	at, labelled []schedules.Level
	scale        []float64 // of the states, one a level
}

// Denoise writes D(q) into dst.
func (d *Denoiser) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	m := d.moves.Get()
	defer d.moves.Put(m)
	inner, err := d.move(m, dst, q)
	if err != nil {
		return err
	}
	if err := d.decoded.Denoise(ctx, dst, inner); err != nil {
		return err
	}
	for i := range q.Rows {
		if at := q.Level(i); at.Sigma == 0 {
			for j := i * d.dim; j < (i+1)*d.dim; j++ {
				dst[j] = q.X[j] / at.Alpha
			}
		}
	}
	return nil
}

// move checks a query and returns it on the path of training, in m's memory.
func (d *Denoiser) move(m *moved, dst []float64, q models.Query) (models.Query, error) {
	if err := q.Check(dst, d.dim); err != nil {
		return q, err
	}
	for i, label := range q.Labels {
		if label != -1 && !slices.Contains(d.training.Classes, label) {
			return q, fmt.Errorf("denoise: row %d has label %d: the network was trained on the classes %v; -1 means none", i, label, d.training.Classes)
		}
	}
	if len(d.training.Classes) == 0 {
		q.Labels = nil
	}
	m.x, m.at, m.scale = append(m.x[:0], q.X...), append(m.at[:0], q.At...), m.scale[:0]
	rows := q.Rows / len(q.At) // that a level is for
	for i, at := range q.At {
		if err := at.Validate(); err != nil {
			return q, fmt.Errorf("denoise: %w (level %d of the query)", err, i)
		}
		trained, scale, err := d.training.bring(at)
		if err != nil {
			return q, fmt.Errorf("%w (level %d of the query)", err, i)
		}
		m.at[i], m.scale = trained, append(m.scale, scale)
		if scale != 1 {
			for j := i * rows * d.dim; j < (i+1)*rows*d.dim; j++ {
				m.x[j] *= scale
			}
		}
	}
	q.X, q.At = m.x, m.at
	return q, nil
}

// PosteriorCovMul writes (σ²/α) ∂D/∂x v into dst, row by row: the product that a
// posterior covariance has if the network is an exact denoiser, and what solvers
// and likelihoods take for it. It differentiates the network, one forward pass of
// values and one of changes. A level with α = 0 is an error: there x says nothing
// of x₀, and the derivative nothing of the covariance.
func (d *Denoiser) PosteriorCovMul(ctx context.Context, dst, v []float64, q models.Query) error {
	m := d.moves.Get()
	defer d.moves.Put(m)
	inner, err := d.move(m, dst, q)
	if err != nil {
		return err
	}
	if len(v) != len(q.X) {
		return fmt.Errorf("denoise: a product with %d numbers: expected %d, as many as the states have", len(v), len(q.X))
	}
	// D = skip x' + out F(in x'; T) with x' = scale x.
	m.tangent = append(m.tangent[:0], v...)
	p := d.training.Prediction
	each := func(f func(row int, at, trained schedules.Level, scale float64) error) error {
		for i := range q.Rows {
			k := min(i, len(q.At)-1)
			if err := f(i, q.At[k], m.at[k], m.scale[k]); err != nil {
				return err
			}
		}
		return nil
	}
	labelled := append(m.labelled[:0], m.at...)
	m.labelled = labelled
	if err := each(func(row int, at, trained schedules.Level, scale float64) error {
		if at.Alpha == 0 {
			return fmt.Errorf("denoise: the derivative of a network says nothing of the covariance at α = 0 (row %d)", row)
		}
		in, label := p.Input(trained)
		labelled[min(row, len(labelled)-1)] = label
		for j := row * d.dim; j < (row+1)*d.dim; j++ {
			m.tangent[j] *= in * scale
			m.x[j] *= in
		}
		return nil
	}); err != nil {
		return err
	}
	inner.At = labelled
	if err := (raw{d}).changes(ctx, dst, m.tangent, inner); err != nil {
		return err
	}
	return each(func(row int, at, trained schedules.Level, scale float64) error {
		skip, out, err := p.Decode(trained)
		if err != nil {
			return err
		}
		factor := at.Sigma * at.Sigma / at.Alpha
		for j := row * d.dim; j < (row+1)*d.dim; j++ {
			dst[j] = factor * (skip*scale*v[j] + out*dst[j])
		}
		return nil
	})
}

// bring returns the level of at's λ on the path of training, its T what the
// network is told, and the factor that takes states there.
func (s Training) bring(at schedules.Level) (trained schedules.Level, scale float64, err error) {
	if s.Schedule == nil { // the prediction is the same on every path, and tells the time
		if at.Sigma == 0 {
			at.Sigma = at.Alpha // any level: the answer does not come from the network
		}
		return at, 1, nil
	}
	clean, noisy := s.Schedule.Domain()
	least, most := s.Schedule.At(clean), s.Schedule.At(noisy)
	l := at.LogSNR()
	// λ of a level on another path may differ from that of the end by rounding.
	slack := func(end snr.LogSNR) float64 { return 1e-9 * max(1, math.Abs(float64(end))) }
	quiet, loud := least.LogSNR(), most.LogSNR()
	switch {
	case math.IsInf(float64(l), 1):
		return least, 1, nil // the answer does not come from the network
	case float64(l) > float64(quiet)+slack(quiet) || float64(l) < float64(loud)-slack(loud):
		if !s.Clamp {
			return trained, 0, fmt.Errorf("denoise: the network was trained on %s, λ from %.6g to %.6g: it is asked at λ = %.6g; end the grid inside, or say that times are clamped",
				s.Schedule, float64(loud), float64(quiet), float64(l))
		}
		trained = schedules.LevelAt(s.Schedule, l)
		if err := trained.Validate(); err != nil {
			return trained, 0, fmt.Errorf("denoise: the path of %s has no level at λ = %.6g: %w", s.Schedule, float64(l), err)
		}
		trained.T = clean
		if l < loud {
			trained.T = noisy
		}
		scale = factor(trained, at)
	case l >= least.LogSNR():
		trained, scale = least, factor(least, at)
	case l <= most.LogSNR():
		trained, scale = most, factor(most, at)
	default:
		trained = schedules.LevelAt(s.Schedule, l)
		scale = factor(trained, at)
	}
	if s.Nearest {
		trained.T = s.nearest(trained.T, l)
	}
	trained.T *= s.Scale
	return trained, scale, nil
}

// factor is that of x between two levels of one λ. It is exactly 1 on one path.
func factor(to, from schedules.Level) float64 {
	num, den := to.Alpha, from.Alpha
	if from.Alpha < from.Sigma {
		num, den = to.Sigma, from.Sigma
	}
	if f := num / den; math.Abs(f-1) > 1e-12 {
		return f
	}
	return 1
}

// nearest is the index, one of the two beside t, whose λ is nearest to l.
func (s Training) nearest(t float64, l snr.LogSNR) float64 {
	below, above := math.Floor(t), math.Ceil(t)
	miss := func(t float64) float64 { return math.Abs(float64(s.Schedule.At(t).LogSNR() - l)) }
	if miss(below) <= miss(above) {
		return below
	}
	return above
}

// raw is the network as a model of its own prediction, asked on the path of
// training.
type raw struct{ *Denoiser }

// A room is the memory of one call.
type room struct {
	tape     nn.Tape[float32]
	x, times []float32
	change   []float32
	shape    []int
}

// Predict writes the network's output into dst.
func (r raw) Predict(ctx context.Context, dst []float64, q models.Query) error {
	w := r.rooms.Get()
	defer r.rooms.Put(w)
	return r.chunks(ctx, dst, q, func(lo, hi int) ([]float32, error) {
		y, _, err := r.apply(w, q, lo, hi)
		return y.Value(), err
	})
}

// changes writes the change of the network's output when its input changes by
// tangent into dst.
func (r raw) changes(ctx context.Context, dst, tangent []float64, q models.Query) error {
	w := r.slopes.Get()
	defer r.slopes.Put(w)
	return r.chunks(ctx, dst, q, func(lo, hi int) ([]float32, error) {
		y, x, err := r.apply(w, q, lo, hi)
		if err != nil {
			return nil, err
		}
		w.change = w.change[:0]
		for i := lo; i < hi; i++ {
			w.change = r.last(w.change, tangent[i*r.dim:(i+1)*r.dim])
		}
		if err := w.tape.JVP(nn.Tangent[float32]{Of: x, Change: w.change}); err != nil {
			return nil, fmt.Errorf("denoise: %w", err)
		}
		if y.Tangent() == nil { // the output does not depend on the input
			clear(w.change)
			return w.change, nil
		}
		return y.Tangent(), nil
	})
}

// chunks writes what compute gives for rows lo to hi, with channels last, into
// dst, some rows at a time.
func (r raw) chunks(ctx context.Context, dst []float64, q models.Query, compute func(lo, hi int) ([]float32, error)) error {
	for lo := 0; lo < q.Rows; lo += r.training.Rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi := min(q.Rows, lo+r.training.Rows)
		y, err := compute(lo, hi)
		if err != nil {
			return err
		}
		for i := lo; i < hi; i++ {
			row := dst[i*r.dim : (i+1)*r.dim]
			r.first(row, y[(i-lo)*r.dim:(i-lo+1)*r.dim])
			for j, v := range row {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return fmt.Errorf("denoise: the network's output is %g at number %d of row %d, λ = %g", v, j, i, float64(q.Level(i).LogSNR()))
				}
			}
		}
	}
	return nil
}

// apply computes the network on rows lo to hi.
func (r raw) apply(w *room, q models.Query, lo, hi int) (y, x *nn.Var[float32], err error) {
	w.x, w.times = w.x[:0], w.times[:0]
	for i := lo; i < hi; i++ {
		at := q.Level(i)
		if math.IsNaN(at.T) || math.IsInf(at.T, 0) {
			return nil, nil, fmt.Errorf("denoise: the network would be told the time %g at λ = %g (row %d): use a level with 0 < α and 0 < σ", at.T, float64(at.LogSNR()), i)
		}
		w.times = append(w.times, float32(at.T))
		w.x = r.last(w.x, q.X[i*r.dim:(i+1)*r.dim])
	}
	s := r.training.Shape
	w.shape = append(w.shape[:0], hi-lo)
	if len(s) == 3 {
		w.shape = append(w.shape, s[1], s[2], s[0])
	} else {
		w.shape = append(w.shape, s...)
	}
	var labels []int
	if q.Labels != nil {
		labels = q.Labels[lo:hi]
	}
	t := &w.tape
	t.Reset()
	x = t.Input(w.x, w.shape...)
	y = r.net.Apply(t, x, t.Constant(w.times, hi-lo), labels)
	if err := t.Err(); err != nil {
		return nil, nil, fmt.Errorf("denoise: %w", err)
	}
	if !slices.Equal(y.Shape(), w.shape) {
		return nil, nil, fmt.Errorf("denoise: the network returned the shape %v for %v: expected the same", slices.Clone(y.Shape()), slices.Clone(w.shape))
	}
	return y, x, nil
}

// last appends a sample with its channels last.
func (d *Denoiser) last(to []float32, x []float64) []float32 {
	s := d.training.Shape
	if len(s) == 1 || s[0] == 1 {
		for _, v := range x {
			to = append(to, float32(v))
		}
		return to
	}
	pixels := s[1] * s[2]
	for p := range pixels {
		for c := range s[0] {
			to = append(to, float32(x[c*pixels+p]))
		}
	}
	return to
}

// first is the inverse of last.
func (d *Denoiser) first(to []float64, x []float32) {
	s := d.training.Shape
	channels, pixels := 1, len(x)
	if len(s) == 3 {
		channels, pixels = s[0], s[1]*s[2]
	}
	for i, v := range x {
		to[i%channels*pixels+i/channels] = float64(v)
	}
}
