// Package metrics measures how far samples are from where they should be:
// errors row by row against an exact answer, and distances between laws with
// the floor below which a distance says nothing.
//
// A set of samples is a [Samples]: rows×dim numbers, row-major. Everything
// random takes a key, and every sum has a fixed order, so that a result has the
// same bits on any number of processors.
//
// References:
//
//	[bonneel2015] N. Bonneel, J. Rabin, G. Peyré, H. Pfister: Sliced and Radon
//	              Wasserstein barycenters of measures. J. Math. Imaging Vis. 51, 2015.
//	[dowson1982]  D. C. Dowson, B. V. Landau: The Fréchet distance between
//	              multivariate normal distributions. J. Multivar. Anal. 12, 1982.
//	[efron1993]   B. Efron, R. J. Tibshirani: An introduction to the bootstrap.
//	              Chapman & Hall, 1993.
//	[hyndman1996] R. J. Hyndman, Y. Fan: Sample quantiles in statistical packages.
//	              Amer. Statist. 50, 1996.
//	[szekely2013] G. J. Székely, M. L. Rizzo: Energy statistics: a class of
//	              statistics based on distances. J. Statist. Plann. Inference 143, 2013.
package metrics

import "fmt"

// Samples is a set of samples, row-major. Functions neither modify nor retain it.
type Samples struct {
	X   []float64 // rows×Dim
	Dim int       // values of one sample
}

// Rows returns the number of samples.
func (s Samples) Rows() int { return len(s.X) / s.Dim }

// Row returns sample i, a view.
func (s Samples) Row(i int) []float64 { return s.X[i*s.Dim : (i+1)*s.Dim] }

// check reports a set of fewer than least rows, or none at all.
func (s Samples) check(least int) error {
	if s.Dim < 1 || len(s.X)%s.Dim != 0 {
		return fmt.Errorf("metrics: %d numbers are no whole number of samples of %d", len(s.X), s.Dim)
	}
	if s.Rows() < least {
		return fmt.Errorf("metrics: %d samples: expected at least %d", s.Rows(), least)
	}
	for i, v := range s.X {
		if v-v != 0 {
			return fmt.Errorf("metrics: sample %d has the value %g in column %d", i/s.Dim, v, i%s.Dim)
		}
	}
	return nil
}

// checkPair is check of two sets of one kind.
func checkPair(x, y Samples, least int) error {
	if err := x.check(least); err != nil {
		return err
	}
	if err := y.check(least); err != nil {
		return err
	}
	if x.Dim != y.Dim {
		return fmt.Errorf("metrics: samples of %d and of %d values: expected one size", x.Dim, y.Dim)
	}
	return nil
}
