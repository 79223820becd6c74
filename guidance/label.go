package guidance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"snrlab/internal/freelist"
	"snrlab/models"
)

// Unlabelled returns d asked without labels, whatever labels a query has: the
// unconditional model of a conditional one.
func Unlabelled(d models.Denoiser) models.Denoiser { return unlabelled{d} }

type unlabelled struct{ inner models.Denoiser }

func (u unlabelled) Shape() []int { return u.inner.Shape() }

func (u unlabelled) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	q.Labels = nil
	return u.inner.Denoise(ctx, dst, q)
}

// conditional is d refusing queries without labels.
type conditional struct{ inner models.Denoiser }

func (c conditional) Shape() []int { return c.inner.Shape() }

func (c conditional) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if q.Labels == nil {
		return errors.New("guidance: classifier-free guidance of a query without labels would be none: label its rows, −1 for those that are not to be guided, or fix a class with Class")
	}
	return c.inner.Denoise(ctx, dst, q)
}

// Class returns d asked about one class, for queries that carry no labels. It
// refuses a class that d says it lacks.
func Class(d models.Denoiser, class int) (models.Denoiser, error) {
	if d == nil {
		return nil, errors.New("guidance: expected a denoiser, got nil")
	}
	if class < 0 {
		return nil, fmt.Errorf("guidance: class %d: expected a class ≥ 0", class)
	}
	if l, ok := models.As[models.Labelled](d); ok && !slices.Contains(l.Classes(), class) {
		if len(l.Classes()) == 0 {
			return nil, fmt.Errorf("guidance: class %d: the model has no classes", class)
		}
		return nil, fmt.Errorf("guidance: class %d: the model has the classes %v", class, l.Classes())
	}
	c := &fixed{inner: d, class: class}
	c.idle.New = func() *[]int { return new([]int) }
	return c, nil
}

type fixed struct {
	inner models.Denoiser
	class int
	idle  freelist.List[[]int]
}

func (c *fixed) Shape() []int { return c.inner.Shape() }

func (c *fixed) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if q.Labels != nil {
		return fmt.Errorf("guidance: the query has labels, and the denoiser is that of class %d: leave one of them out", c.class)
	}
	labels := c.idle.Get()
	defer c.idle.Put(labels)
	for len(*labels) < q.Rows {
		*labels = append(*labels, c.class)
	}
	q.Labels = (*labels)[:q.Rows]
	return c.inner.Denoise(ctx, dst, q)
}
