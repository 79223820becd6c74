package nn

import (
	"math"
	"slices"

	"snrlab/nn/internal/kernel"
)

// MeanSquare is the mean of (a − b)² over all elements, of shape [1].
func (t *Tape[T]) MeanSquare(a, b *Var[T]) *Var[T] {
	if !t.ready("mean square", 2, a, b) {
		return t.void()
	}
	if !slices.Equal(a.shape, b.shape) || a.Len() == 0 {
		return t.fail("mean square: %v and %v: expected one shape of at least one element: %w", a.Shape(), b.Shape(), ErrShape)
	}
	return t.meanSquare(a, b, nil, 1)
}

// WeightedMeanSquare is the mean over rows r of weights_r times the mean of
// (a − b)² over the row, of shape [1]: the loss of a denoiser. a and b are
// [rows, …], the weights [rows].
func (t *Tape[T]) WeightedMeanSquare(a, b, weights *Var[T]) *Var[T] {
	if !t.ready("weighted mean square", 3, a, b, weights) {
		return t.void()
	}
	n, size := rows(a.shape)
	if !slices.Equal(a.shape, b.shape) || n < 1 || size < 1 || len(weights.shape) != 1 || weights.shape[0] != n {
		return t.fail("weighted mean square: %v and %v with weights %v: expected one shape of at least one element, and a weight for each row: %w", a.Shape(), b.Shape(), weights.Shape(), ErrShape)
	}
	return t.meanSquare(a, b, weights, n)
}

func (t *Tape[T]) meanSquare(a, b, weights *Var[T], rows int) *Var[T] {
	o := next[meanSquare[T]](t)
	y := t.result(&o.base, t.shape(nil, 1), a, b, weights)
	o.shape = kernel.Images{Rows: rows, Pixels: a.Len() / rows, Channels: 1}
	difference, sums := t.save(&o.base, 0, a.Len()), t.save(&o.base, 1, rows)
	kernel.Sub(difference, a.Value(), b.Value())
	kernel.DotPixels(o.shape, sums, difference, difference)
	total := 0.0
	for r, s := range sums {
		if weights != nil {
			s *= weights.Value()[r]
		}
		total += float64(s)
	}
	y.value[0] = T(total / float64(a.Len()))
	t.done(&o.base)
	return y
}

type meanSquare[T Float] struct {
	base[T]
	shape kernel.Images // of rows, with a weight each
}

func (o *meanSquare[T]) backward(t *Tape[T]) {
	difference, sums := o.saved[0], o.saved[1]
	scale := o.y.grad[0] / T(len(difference))
	weights := o.in[2]
	dw := t.added(weights)
	for r := range dw {
		dw[r] += scale * sums[r]
	}
	// The slopes are weight × 2 × difference.
	slopes := t.pool.get(len(difference))
	if weights == nil {
		kernel.Scale(slopes, difference, 2*scale)
	} else {
		factors := t.pool.get(o.shape.Rows)
		kernel.Scale(factors, weights.Value(), 2*scale)
		kernel.MulVectors(o.shape, slopes, difference, factors)
		t.pool.put(factors)
	}
	t.pass(o.in[0], slopes, 1)
	t.pass(o.in[1], slopes, -1)
	t.pool.put(slopes)
}

func (o *meanSquare[T]) forward(_ *Tape[T], dst []T) {
	difference, sums, weights := o.saved[0], o.saved[1], o.in[2]
	da, db, dw := o.in[0].Tangent(), o.in[1].Tangent(), weights.Tangent()
	total := 0.0
	for r := range o.shape.Rows {
		sum := 0.0
		for i := r * o.shape.Pixels; i < (r+1)*o.shape.Pixels; i++ {
			change := 0.0
			if da != nil {
				change = float64(da[i])
			}
			if db != nil {
				change -= float64(db[i])
			}
			sum += 2 * change * float64(difference[i])
		}
		if weights != nil {
			sum *= float64(weights.Value()[r])
		}
		if dw != nil {
			sum += float64(dw[r] * sums[r])
		}
		total += sum
	}
	dst[0] = T(total / float64(len(difference)))
}

// CrossEntropy is the mean over rows of −log p of the row's label, of shape [1],
// where p = softmax(logits) and the logits are [rows, classes].
func (t *Tape[T]) CrossEntropy(logits *Var[T], labels []int) *Var[T] {
	if !t.ready("cross entropy", 1, logits) {
		return t.void()
	}
	n, classes := rows(logits.shape)
	if len(logits.shape) != 2 || n < 1 || classes < 1 || len(labels) != n {
		return t.fail("cross entropy: logits are %v with %d labels: expected rows×classes and a label for each row: %w", logits.Shape(), len(labels), ErrShape)
	}
	for r, label := range labels {
		if label < 0 || label >= classes {
			return t.fail("cross entropy: label %d is %d: expected a class from 0 to %d: %w", r, label, classes-1, ErrShape)
		}
	}
	o := next[crossEntropy[T]](t)
	o.labels = append(o.labels[:0], labels...)
	y := t.result(&o.base, t.shape(nil, 1), logits)
	// What is kept is the gradient of n times the loss, p less one at the label.
	slopes := t.save(&o.base, 0, logits.Len())
	total := 0.0
	for r, label := range labels {
		l, s := logits.Value()[r*classes:(r+1)*classes], slopes[r*classes:(r+1)*classes]
		largest, sum := float64(slices.Max(l)), 0.0
		for _, v := range l {
			sum += math.Exp(float64(v) - largest)
		}
		lse := largest + math.Log(sum)
		for j, v := range l {
			s[j] = T(math.Exp(float64(v) - lse))
		}
		s[label] = T(math.Expm1(float64(l[label]) - lse))
		total += lse - float64(l[label])
	}
	y.value[0] = T(total / float64(n))
	t.done(&o.base)
	return y
}

type crossEntropy[T Float] struct {
	base[T]
	labels []int
}

func (o *crossEntropy[T]) backward(t *Tape[T]) {
	t.pass(o.in[0], o.saved[0], o.y.grad[0]/T(len(o.labels)))
}

func (o *crossEntropy[T]) forward(_ *Tape[T], dst []T) {
	sum := 0.0
	for i, change := range o.in[0].Tangent() {
		sum += float64(change) * float64(o.saved[0][i])
	}
	dst[0] = T(sum / float64(len(o.labels)))
}
