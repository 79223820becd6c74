package metrics

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"snrlab/internal/par"
	"snrlab/rng"
)

// RowErrors returns the Euclidean distance of each row of x from that of exact.
func RowErrors(x, exact Samples) ([]float64, error) {
	if x.Dim != exact.Dim || len(x.X) != len(exact.X) || x.Dim < 1 || len(x.X)%x.Dim != 0 {
		return nil, fmt.Errorf("metrics: %d numbers in rows of %d against %d in rows of %d: expected two sets of one shape", len(x.X), x.Dim, len(exact.X), exact.Dim)
	}
	e := make([]float64, x.Rows())
	par.Rows(len(e), max(1, 1<<16/x.Dim), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			e[i] = distance(x.Row(i), exact.Row(i))
		}
	})
	return e, nil
}

// distance is |a − b|, safe from overflow only for sane sizes.
func distance(a, b []float64) float64 {
	sum := 0.0
	for j, v := range a {
		d := v - b[j]
		sum += float64(d * d)
	}
	return math.Sqrt(sum)
}

// RMSE returns √(mean e²) of errors by row: the root of the mean squared
// Euclidean distance. It is NaN for no rows.
func RMSE(e []float64) float64 {
	sum := 0.0
	for _, v := range e {
		sum += float64(v * v)
	}
	return math.Sqrt(sum / float64(len(e)))
}

// Mean returns the mean, NaN for no values.
func Mean(v []float64) float64 {
	sum := 0.0
	for _, a := range v {
		sum += a
	}
	return sum / float64(len(v))
}

// Quantile returns the p-quantile of v, 0 ≤ p ≤ 1, linear between the order
// statistics (type 7 of [hyndman1996]). It is NaN for no values or another p, and
// does not modify v.
func Quantile(v []float64, p float64) float64 {
	s := slices.Clone(v)
	sort.Float64s(s)
	return sortedQuantile(s, p)
}

func sortedQuantile(s []float64, p float64) float64 {
	if len(s) == 0 || !(p >= 0 && p <= 1) {
		return math.NaN()
	}
	at := p * float64(len(s)-1)
	i := min(int(at), len(s)-1)
	if i == len(s)-1 {
		return s[i]
	}
	f := at - float64(i)
	return (1-f)*s[i] + f*s[i+1]
}

// Interval is a range that holds an unknown value with a stated probability.
type Interval struct {
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
}

// Bootstrap returns the central interval of the given level, 0.95 say, of a
// statistic of the rows: its quantiles over resamples of v with replacement
// [efron1993]. stat may use but not keep its argument. Resample b draws from
// key.Split("bootstrap", b), so the interval is the same however often it is
// computed; 1000 resamples settle its ends to about a tenth of its width.
func Bootstrap(v []float64, stat func([]float64) float64, key rng.Key, resamples int, level float64) (Interval, error) {
	if len(v) == 0 || resamples < 1 || !(level > 0 && level < 1) {
		return Interval{}, fmt.Errorf("metrics: bootstrap of %d rows, %d resamples, level %g: expected at least one of each and a level in (0, 1)", len(v), resamples, level)
	}
	stats := make([]float64, resamples)
	draw := make([]float64, len(v))
	for b := range stats {
		r := key.Split("bootstrap", uint64(b)).Stream()
		for i := range draw {
			draw[i] = v[r.IntN(len(v))]
		}
		stats[b] = stat(draw)
	}
	sort.Float64s(stats)
	return Interval{sortedQuantile(stats, (1-level)/2), sortedQuantile(stats, (1+level)/2)}, nil
}
