// Package guidance makes one denoiser of two, so that samples lean further
// towards what one of them knows and the other does not.
//
// [New] extrapolates from one denoiser past another, D = D_from + G (D_to −
// D_from). With a conditional and an unconditional model that is classifier-free
// guidance [ho2022], which [CFG] sets up for one labelled model; with a good and
// a worse model it is autoguidance [karras2024]. G is a function of the noise
// level, a [Scale]: constant, limited to an interval [kynkaanniemi2024], or any
// other. [Rescale] gives the extrapolated answer the standard deviation of the
// one it started from [lin2024], [Thresholded] keeps it in the range of the data
// [saharia2022].
//
// Everything here is a [models.Denoiser], so that combinations are nested. The
// order is fixed: classifier-free guidance innermost, then autoguidance between
// two denoisers so guided, each with its own rescale, then the threshold. A
// [Rule] is such a nesting in one line, which [ParseRule] reads.
//
// What is said to be sampled is the tilted law p_to^G p_from^(1−G). [Tilt] is
// that law at any noise level for exact models: up to normalisation, normalised
// on a line or in a plane, and with exact draws where the one is a class of the
// other. Guidance follows the scores of the tilted laws of all noise levels, which
// are not noised versions of one law, and so samples something else; [FKC], the
// Feynman–Kac corrector [skreta2025], is the rule whose target is exact.
//
// References:
//
//	[ho2022]           J. Ho, T. Salimans. Classifier-free diffusion guidance. arXiv 2207.12598.
//	[karras2024]       T. Karras et al. Guiding a diffusion model with a bad version of itself.
//	                   NeurIPS 2024, arXiv 2406.02507.
//	[kynkaanniemi2024] T. Kynkäänniemi et al. Applying guidance in a limited interval improves
//	                   sample and distribution quality in diffusion models. NeurIPS 2024,
//	                   arXiv 2404.07724.
//	[lin2024]          S. Lin et al. Common diffusion noise schedules and sample steps are flawed.
//	                   WACV 2024, arXiv 2305.08891.
//	[saharia2022]      C. Saharia et al. Photorealistic text-to-image diffusion models with deep
//	                   language understanding. NeurIPS 2022, arXiv 2205.11487.
//	[skreta2025]       M. Skreta et al. Feynman-Kac correctors in diffusion: annealing, guidance,
//	                   and product of experts. ICML 2025, arXiv 2503.02819.
package guidance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
	"snrlab/models"
	"snrlab/schedules"
)

// Guided is the denoiser
//
//	D = D_from + G(λ) (D_to − D_from)
//
// in the convention in which G = 1 is D_to alone, no guidance, and G = 0 is
// D_from; papers that write w for the strength mean G = 1 + w. The combination
// is the same in x₀, ε, v and the score, all of which are affine in D at fixed x.
//
// A model whose answer G multiplies by zero is not asked: rows at G = 1 cost one
// call of D_to, rows at G = 0 one of D_from. [Guided.Counters] has what each model
// was really asked. Rows of one query may stand at different levels.
//
// A Guided is safe for concurrent use, and Denoise allocates nothing once warm.
// It hides what its two models know about their posterior, which is not its own.
type Guided struct {
	to, from *models.Counter
	scale    Scale
	rescale  Rescale
	shape    []int
	dim      int
	idle     freelist.List[work]
}

// New returns to extrapolated away from from. It refuses denoisers of different
// shapes and fields that cannot be used.
func New(to, from models.Denoiser, scale Scale, rescale Rescale) (*Guided, error) {
	switch {
	case to == nil || from == nil:
		return nil, errors.New("guidance: expected two denoisers, got nil")
	case !slices.Equal(to.Shape(), from.Shape()):
		return nil, fmt.Errorf("guidance: the guided denoiser has samples of shape %v, the one it is guided away from %v: expected one shape", to.Shape(), from.Shape())
	case scale == nil:
		return nil, errors.New("guidance: expected a scale, Constant{G: 2} say, got nil")
	}
	if err := scale.Validate(); err != nil {
		return nil, fmt.Errorf("guidance: scale %s: %w", scale, err)
	}
	dim := models.Dim(to)
	if err := rescale.check(dim); err != nil {
		return nil, err
	}
	g := &Guided{to: models.NewCounter(to), from: models.NewCounter(from), scale: scale, rescale: rescale, shape: to.Shape(), dim: dim}
	g.idle.New = func() *work {
		w := &work{g: g}
		w.run = w.rows
		return w
	}
	return g, nil
}

// CFG returns classifier-free guidance [ho2022] of one model: the labels of a
// query are asked about, away from the answer without labels. A query that has
// none is refused, for it could not be guided; a row labelled −1 is one that is
// not.
func CFG(d models.Denoiser, scale Scale, rescale Rescale) (*Guided, error) {
	if d == nil {
		return nil, errors.New("guidance: expected a denoiser, got nil")
	}
	return New(conditional{d}, Unlabelled(d), scale, rescale)
}

// Shape is that of one sample.
func (g *Guided) Shape() []int { return g.shape }

// Scale returns the scale that the denoiser was made with.
func (g *Guided) Scale() Scale { return g.scale }

// Counters returns the counts of both models: their rows are the evaluations
// that a run really cost, up to two for every row of a call of Denoise.
func (g *Guided) Counters() (to, from *models.Counter) { return g.to, g.from }

// Denoise writes the combined answer into dst.
func (g *Guided) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	w, err := g.begin(dst, q)
	if err != nil {
		return err
	}
	defer g.end(w)
	unasked := 0.0
	if g.rescale.Phi != 0 {
		unasked = math.NaN() // the rescale looks at D_to whatever G is
	}
	if err := w.ask(ctx, g.to, w.dst, unasked); err != nil {
		return err
	}
	if err := w.ask(ctx, g.from, w.other, 1); err != nil {
		return err
	}
	par.Rows(q.Rows, max(1, combineGrain/g.dim), w.run)
	return nil
}

// Pair writes the answers of both models into to and from, without combining
// them.
func (g *Guided) Pair(ctx context.Context, to, from []float64, q models.Query) error {
	if err := q.Check(from, g.dim); err != nil {
		return err
	}
	if err := g.to.Denoise(ctx, to, q); err != nil {
		return err
	}
	return g.from.Denoise(ctx, from, q)
}

// combineGrain numbers are worth handing to another processor.
const combineGrain = 1 << 14

// work is the workspace of one call.
type work struct {
	g     *Guided
	q     models.Query
	scale []float64 // G of every level of q
	dst   []float64 // D_to, then D
	other []float64 // D_from
	run   func(lo, hi int)

	// What is asked where a model is asked about some rows only.
	index     []int
	x, answer []float64
	at        []schedules.Level
	labels    []int
}

// begin checks a query and finds the scale of its levels.
func (g *Guided) begin(dst []float64, q models.Query) (*work, error) {
	if err := q.Check(dst, g.dim); err != nil {
		return nil, err
	}
	w := g.idle.Get()
	w.q, w.dst, w.scale, w.other = q, dst, resize(w.scale, len(q.At)), resize(w.other, len(dst))
	for i, at := range q.At {
		if err := at.Validate(); err != nil {
			g.end(w)
			return nil, fmt.Errorf("guidance: %w (level %d of the query)", err, i)
		}
		if w.scale[i] = g.scale.At(at); w.scale[i]-w.scale[i] != 0 {
			err := fmt.Errorf("guidance: scale %s is %g at α = %g, σ = %g (level %d of the query): expected a finite number", g.scale, w.scale[i], at.Alpha, at.Sigma, i)
			g.end(w)
			return nil, err
		}
	}
	return w, nil
}

func (g *Guided) end(w *work) {
	w.q, w.dst = models.Query{}, nil
	g.idle.Put(w)
}

// of returns G of row i.
func (w *work) of(i int) float64 {
	if len(w.scale) == 1 {
		return w.scale[0]
	}
	return w.scale[i]
}

// ask writes d's answer for every row whose scale is not unasked into its rows
// of dst, and leaves the others.
func (w *work) ask(ctx context.Context, d models.Denoiser, dst []float64, unasked float64) error {
	w.index = w.index[:0]
	for i := range w.q.Rows {
		if w.of(i) != unasked {
			w.index = append(w.index, i)
		}
	}
	switch len(w.index) {
	case 0:
		return nil
	case w.q.Rows:
		return d.Denoise(ctx, dst, w.q)
	}
	// Only levels of their own set rows apart.
	dim := w.g.dim
	w.x, w.at, w.labels = w.x[:0], w.at[:0], w.labels[:0]
	some := models.Query{Rows: len(w.index)}
	for _, i := range w.index {
		w.x = append(w.x, w.q.X[i*dim:(i+1)*dim]...)
		w.at = append(w.at, w.q.At[i])
		if w.q.Labels != nil {
			w.labels = append(w.labels, w.q.Labels[i])
			some.Labels = w.labels
		}
	}
	some.X, some.At, w.answer = w.x, w.at, resize(w.answer, len(w.x))
	if err := d.Denoise(ctx, w.answer, some); err != nil {
		return err
	}
	for k, i := range w.index {
		copy(dst[i*dim:(i+1)*dim], w.answer[k*dim:(k+1)*dim])
	}
	return nil
}

// rows combines the answers of some rows.
func (w *work) rows(lo, hi int) {
	dim := w.g.dim
	for i := lo; i < hi; i++ {
		scale, to, from := w.of(i), w.dst[i*dim:(i+1)*dim], w.other[i*dim:(i+1)*dim]
		if scale == 1 {
			continue
		}
		if w.g.rescale.Phi != 0 {
			w.g.rescale.combine(to, from, w.q.X[i*dim:(i+1)*dim], scale, w.q.Level(i))
			continue
		}
		for j, u := range from {
			to[j] = combined(to[j], u, scale)
		}
	}
}

// combined is D of one value. D_to is not read where it was not asked for.
func combined(to, from, scale float64) float64 {
	if scale == 0 {
		return from
	}
	return from + float64(scale*(to-from))
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
