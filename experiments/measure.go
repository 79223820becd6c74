package experiments

import (
	"math"

	"snrlab/internal/runfile"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
)

// norms returns |x_i| of each row.
func norms(x []float64, dim int) []float64 {
	d := make([]float64, len(x)/dim)
	for i := range d {
		s := 0.0
		for _, v := range x[i*dim : (i+1)*dim] {
			s += v * v
		}
		d[i] = math.Sqrt(s)
	}
	return d
}

func appendFloat32(dst []float32, src []float64) []float32 {
	for _, v := range src {
		dst = append(dst, float32(v))
	}
	return dst
}

// rowsOf are the labels of rows lo to hi; none stay none.
func rowsOf(labels []int, lo, hi int) []int {
	if labels == nil {
		return nil
	}
	return labels[lo:hi]
}

// exactSamples draws n exact samples of the marginal at a level.
func exactSamples(m *Model, at schedules.Level, labels []int, root rng.Key, purpose string, n int) (metrics.Samples, error) {
	keys := make([]rng.Key, n)
	for i := range keys {
		keys[i] = root.Split(purpose, uint64(i))
	}
	x := metrics.Samples{X: make([]float64, n*models.Dim(m)), Dim: models.Dim(m)}
	return x, m.Sample(x.X, at, rowsOf(labels, 0, n), keys)
}

// law is what the law of the final samples is measured against: exact moments,
// an exact set of the same size, and the distance between two such sets.
type law struct {
	moments models.Moments
	exact   metrics.Samples
	sliced  metrics.Sliced
	floor   metrics.Floor
}

func (m *comparison) newLaw() (*law, error) {
	grid := m.entries[0].runs[0].grid
	at := grid[len(grid)-1]
	label := -1
	if m.labels != nil {
		label = m.labels[0]
	}
	l := &law{sliced: metrics.Sliced{Directions: m.Law.Directions, Key: m.root.Split("directions", 0)}}
	var err error
	if l.moments, err = m.model.Moments(at, label); err != nil {
		return nil, err
	}
	if l.exact, err = exactSamples(m.model, at, m.labels, m.root, "exact", m.Rows); err != nil {
		return nil, err
	}
	draw := func(i int) (metrics.Samples, error) {
		return exactSamples(m.model, at, m.labels, m.root.Split("floor", uint64(i)), "exact", m.Rows)
	}
	l.floor, err = metrics.MeasureFloor(m.Law.Floors, draw, l.distance)
	return l, err
}

func (l *law) distance(x, y metrics.Samples) (float64, error) {
	d, err := l.sliced.Distance(x, y)
	return d.W2, err
}

// meanZ returns the largest |z| of the sample means. Standard errors come from
// the exact variances: those of a small sample say nothing about a pixel that
// is blank in nearly every image.
func (l *law) meanZ(final metrics.Samples) float64 {
	n := float64(final.Rows())
	largest := 0.0
	for j, exact := range l.moments.Mean {
		sum := 0.0
		for i := range final.Rows() {
			sum += final.X[i*final.Dim+j] - exact
		}
		if v := l.moments.Var[j]; v > 0 {
			largest = max(largest, math.Abs(sum)/math.Sqrt(n*v))
		}
	}
	return largest
}

// measure fills in the law columns of a summary row. Moments need at least
// four samples; with fewer their cells stay empty.
func (l *law) measure(row *runfile.SummaryRow, final metrics.Samples) error {
	row.MeanZ, row.CovZ = math.NaN(), math.NaN()
	if final.Rows() >= 4 {
		row.MeanZ = l.meanZ(final)
		var err error
		if row.CovZ, err = metrics.TotalVarianceZ(final, l.moments.Total()); err != nil {
			return err
		}
	}
	d, err := l.distance(final, l.exact)
	if err != nil {
		return err
	}
	row.SW2, row.SW2Floor, row.BelowFloor = d, l.floor.Threshold, l.floor.Below(d)
	return nil
}
