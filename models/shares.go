package models

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"snrlab/rng"
	"snrlab/schedules"
)

// shares are the weights and the classes of the components of a mixture.
type shares struct {
	weights []float64 // normalised
	logw    []float64 // their logarithms
	labels  []int
	classes map[int]float64 // log total weight of a class
}

// newShares normalises weights that [checkShares] accepts and adds up those of
// each class.
func newShares(weights []float64, labels []int) shares {
	total := 0.0
	for _, v := range weights {
		total += v
	}
	s := shares{weights: make([]float64, len(weights)), logw: make([]float64, len(weights)), labels: slices.Clone(labels)}
	for i, v := range weights {
		s.weights[i] = v / total
		s.logw[i] = math.Log(v / total)
	}
	if s.labels == nil {
		return s
	}
	s.classes = map[int]float64{}
	for i, l := range s.labels {
		s.classes[l] += s.weights[i]
	}
	for l, sum := range s.classes {
		s.classes[l] = math.Log(sum)
	}
	return s
}

// Classes returns the labels of the components, in order; none where they have
// none.
func (s *shares) Classes() []int { return slices.Sorted(maps.Keys(s.classes)) }

// ClassWeight returns the probability of a class, 1 for −1. A class that no
// component has is an error.
func (s *shares) ClassWeight(label int) (float64, error) {
	if err := s.checkLabel(label); err != nil {
		return 0, err
	}
	if label < 0 {
		return 1, nil
	}
	return math.Exp(s.classes[label]), nil
}

// checkShares reports weights and labels that no mixture has.
func checkShares(weights []float64, labels []int) error {
	total := 0.0
	for i, v := range weights {
		if !(v > 0) || math.IsInf(v, 1) {
			return fmt.Errorf("models: mixture has Weights[%d] = %g: expected a finite number > 0 (leave a component out rather than weigh it 0)", i, v)
		}
		total += v
	}
	for i, v := range weights {
		if v/total == 0 {
			return fmt.Errorf("models: mixture has Weights[%d] = %g of %g in all: the share is 0 in float64, scale the weights or leave the component out", i, v, total)
		}
	}
	for i, l := range labels {
		if l < 0 {
			return fmt.Errorf("models: mixture has Labels[%d] = %d: expected a class ≥ 0", i, l)
		}
	}
	return nil
}

// checkLabels reports the first row with a class that there is not.
func (s *shares) checkLabels(labels []int) error {
	for i, l := range labels {
		if err := s.checkLabel(l); err != nil {
			return fmt.Errorf("%w (row %d)", err, i)
		}
	}
	return nil
}

func (s *shares) checkLabel(l int) error {
	if l == -1 {
		return nil
	}
	if s.labels == nil {
		return fmt.Errorf("models: label %d: this mixture has no classes, use −1 or no labels", l)
	}
	if _, ok := s.classes[l]; !ok {
		return fmt.Errorf("models: label %d: no component has that class, use −1 for all", l)
	}
	return nil
}

// checkSample reports draws of the marginal at a level into n numbers that
// cannot be made.
func (s *shares) checkSample(n, dim int, at schedules.Level, labels []int, keys []rng.Key) error {
	switch {
	case len(keys) == 0 || n != len(keys)*dim:
		return fmt.Errorf("models: destination of samples has %d numbers: expected %d keys × %d, and at least one key", n, len(keys), dim)
	case labels != nil && len(labels) != len(keys):
		return fmt.Errorf("models: sampling has %d labels: expected none, or one for each of %d keys", len(labels), len(keys))
	}
	if err := usable(at); err != nil {
		return err
	}
	for _, l := range labels {
		if err := s.checkLabel(l); err != nil {
			return err
		}
	}
	return nil
}

// member reports whether component k belongs to a class; −1 is all.
func (s *shares) member(k, label int) bool { return label < 0 || s.labels[k] == label }

// pick returns the component at the fraction u of the class's total weight.
func (s *shares) pick(label int, u float64) int {
	if label >= 0 {
		u *= math.Exp(s.classes[label])
	}
	last := 0
	for k, w := range s.weights {
		if !s.member(k, label) {
			continue
		}
		if u -= w; u < 0 {
			return k
		}
		last = k
	}
	return last
}

// share returns the weight of component k within a class.
func (s *shares) share(k, label int) float64 {
	if label < 0 {
		return s.weights[k]
	}
	if s.labels[k] != label {
		return 0
	}
	return math.Exp(s.logw[k] - s.classes[label])
}
