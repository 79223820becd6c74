package guidance

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
)

// Tilt is the law that guidance is said to sample, at any noise level and up to
// normalisation:
//
//	π(x; λ) ∝ p_to(x; λ)^G p_from(x; λ)^(1−G)
//
// where p_to is To given Class. At σ = 0 it is the tilted data law. Where To and
// From are one model, p_to being a class c of it, π ∝ p_from p(c | x)^G.
type Tilt struct {
	To, From models.Exact
	Class    int // the class that To is asked about; −1 for none
	G        float64
}

// Validate reports models that do not go together.
func (t Tilt) Validate() error {
	switch {
	case t.To == nil || t.From == nil:
		return errors.New("guidance: a tilted law of two models, of which one is nil")
	case !slices.Equal(t.To.Shape(), t.From.Shape()):
		return fmt.Errorf("guidance: a tilted law of models of shapes %v and %v: expected one shape", t.To.Shape(), t.From.Shape())
	case t.G-t.G != 0:
		return fmt.Errorf("guidance: a tilted law with G = %g: expected a finite number", t.G)
	}
	if t.Class >= 0 {
		if l, ok := models.As[models.Labelled](t.To); ok && !slices.Contains(l.Classes(), t.Class) {
			return fmt.Errorf("guidance: class %d: the model has the classes %v", t.Class, l.Classes())
		}
	}
	return nil
}

// LogDensity writes G log p_to + (1−G) log p_from of each row of q into dst. The
// labels of q are not read.
func (t Tilt) LogDensity(dst []float64, q models.Query) error {
	if err := t.Validate(); err != nil {
		return err
	}
	from := make([]float64, len(dst))
	if err := t.logs(dst, from, q); err != nil {
		return err
	}
	for i, u := range from {
		dst[i] = t.G*dst[i] + (1-t.G)*u
	}
	return nil
}

// logs writes log p_to and log p_from.
func (t Tilt) logs(to, from []float64, q models.Query) error {
	q.Labels = nil
	if err := t.From.LogDensity(from, q); err != nil {
		return err
	}
	if t.Class >= 0 {
		q.Labels = slices.Repeat([]int{t.Class}, q.Rows)
	}
	return t.To.LogDensity(to, q)
}

// Posterior writes p(c | x) of each row of q into dst, c being the class of a
// tilt of one model.
func (t Tilt) Posterior(dst []float64, q models.Query) error {
	weight, err := t.weight()
	if err != nil {
		return err
	}
	from := make([]float64, len(dst))
	if err := t.logs(dst, from, q); err != nil {
		return err
	}
	for i, u := range from {
		dst[i] = min(1, weight*math.Exp(dst[i]-u))
	}
	return nil
}

// weight is the probability of the class of a tilt of one model.
func (t Tilt) weight() (float64, error) {
	if err := t.Validate(); err != nil {
		return 0, err
	}
	w, ok := models.As[interface {
		ClassWeight(label int) (float64, error)
	}](t.From)
	if t.To != t.From || t.Class < 0 || !ok {
		return 0, errors.New("guidance: the posterior of a class: expected a tilt of one labelled model, with its class")
	}
	return w.ClassWeight(t.Class)
}

// Sample writes one exact draw of π at a level for each key into dst, by
// rejection: p(c | x) is at most 1, so that a draw of the class is kept with
// probability p(c | x)^(G−1), or for G < 1 a draw of the whole with p(c | x)^G.
// It returns the share of draws that were kept, which for G ≥ 1 is the mean of
// that probability over the class. A row depends on its key alone. The tilt has
// to be one of a class of one model, with G ≥ 0.
func (t Tilt) Sample(dst []float64, at schedules.Level, keys []rng.Key) (kept float64, err error) {
	weight, err := t.weight()
	if err != nil {
		return 0, err
	}
	dim := models.Dim(t.To)
	switch {
	case t.G < 0:
		return 0, fmt.Errorf("guidance: draws of a tilted law with G = %g: expected G ≥ 0, below it nothing bounds the density", t.G)
	case len(keys) == 0 || len(dst) != len(keys)*dim:
		return 0, fmt.Errorf("guidance: destination of draws has %d numbers: expected %d keys × %d, and at least one key", len(dst), len(keys), dim)
	}
	label, power := t.Class, t.G-1
	if t.G < 1 {
		label, power = -1, t.G
	}
	left := make([]int, len(keys)) // the rows that have no draw yet
	for i := range left {
		left[i] = i
	}
	x, tries := make([]float64, len(dst)), make([]rng.Key, len(keys))
	to, from := make([]float64, len(keys)), make([]float64, len(keys))
	labels := slices.Repeat([]int{label}, len(keys))
	drawn := 0
	for try := 0; len(left) > 0; try++ {
		if try == mostTries {
			return 0, fmt.Errorf("guidance: %d draws of the tilted law with G = %g were all refused for %d rows: the class hardly has the density to tilt", mostTries, t.G, len(left))
		}
		n := len(left)
		for k, i := range left {
			tries[k] = keys[i].Split("try", uint64(try))
		}
		if err := t.From.Sample(x[:n*dim], at, labels[:n], tries[:n]); err != nil {
			return 0, err
		}
		if err := t.logs(to[:n], from[:n], models.Query{X: x[:n*dim], Rows: n, At: []schedules.Level{at}}); err != nil {
			return 0, err
		}
		drawn += n
		refused := left[:0]
		for k, i := range left {
			posterior := min(1, weight*math.Exp(to[k]-from[k]))
			if tries[k].Split("keep", 0).Stream().Float64() < math.Pow(posterior, power) {
				copy(dst[i*dim:(i+1)*dim], x[k*dim:(k+1)*dim])
			} else {
				refused = append(refused, i)
			}
		}
		left = refused
	}
	return float64(len(keys)) / float64(drawn), nil
}

// mostTries is far above what a law that differs from its class at all needs.
const mostTries = 10_000
