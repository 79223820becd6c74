package snr

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"slices"
	"sort"
	"strconv"
	"sync"
)

// Bins is constant on each of the intervals between Edges, whose probabilities are
// Mass. It is used by pointer, so that densities stay comparable.
type Bins struct {
	Edges []float64 `json:"edges"` // of λ, rising; one more than Mass
	Mass  []float64 `json:"mass"`  // ≥ 0, with the sum one

	once         sync.Once
	below, above []float64 // of each edge
}

// FromDraws splits the sorted draws into n bins of the same share of them.
func FromDraws(draws []float64, n int) (*Bins, error) {
	if n < 1 || len(draws) < n+1 {
		return nil, fmt.Errorf("snr: %d draws for %d bins: expected at least one bin and one draw more than bins", len(draws), n)
	}
	x := slices.Clone(draws)
	slices.Sort(x)
	d := &Bins{Edges: []float64{x[0]}}
	for i := 1; i <= n; i++ {
		// Equal draws make a bin of no width: its share goes to the next edge.
		at := float64(i) * float64(len(x)-1) / float64(n)
		k := min(int(at), len(x)-2)
		edge := x[k] + (at-float64(k))*(x[k+1]-x[k])
		if last := d.Edges[len(d.Edges)-1]; !(edge > last) {
			if len(d.Mass) == 0 {
				return nil, fmt.Errorf("snr: %d of the draws are %g: expected draws of a density, fewer bins or distinct levels", k+1, edge)
			}
			d.Mass[len(d.Mass)-1] += 1 / float64(n)
			continue
		}
		d.Edges, d.Mass = append(d.Edges, edge), append(d.Mass, 1/float64(n))
	}
	return d, d.Validate()
}

// Validate reports edges that do not rise and masses that are no probabilities.
func (d *Bins) Validate() error {
	if err := rising("bins", "edges", d.Edges); err != nil {
		return err
	}
	if len(d.Mass) != len(d.Edges)-1 {
		return fmt.Errorf("snr: bins has %d edges and %d masses: expected one edge more", len(d.Edges), len(d.Mass))
	}
	total := 0.0
	for i, m := range d.Mass {
		if !(m >= 0) {
			return fmt.Errorf("snr: bins has mass %d = %g: expected a number ≥ 0", i, m)
		}
		total += m
	}
	if !(math.Abs(total-1) <= 1e-9) {
		return fmt.Errorf("snr: bins has masses that add up to %.12g: expected 1, divide them by their sum", total)
	}
	return nil
}

// rising reports a list of levels that does not rise or has fewer than two.
func rising(name, field string, v []float64) error {
	if len(v) < 2 {
		return fmt.Errorf("snr: %s has %d %s: expected at least 2", name, len(v), field)
	}
	for i := range v {
		if v[i]-v[i] != 0 || i > 0 && !(v[i] > v[i-1]) {
			return fmt.Errorf("snr: %s has %s[%d] = %g: expected finite levels that rise", name, field, i, v[i])
		}
	}
	return nil
}

// cumulate returns the sums of mass to the left and right of each edge.
func cumulate(mass []float64) (below, above []float64) {
	n := len(mass)
	below, above = make([]float64, n+1), make([]float64, n+1)
	for i := range n {
		below[i+1] = below[i] + mass[i]
		above[n-1-i] = above[n-i] + mass[n-1-i]
	}
	return below, above
}

func (d *Bins) ready() { d.once.Do(func() { d.below, d.above = cumulate(d.Mass) }) }

// piece returns the index of the interval of edges that holds x.
func piece(edges []float64, x float64) int {
	return min(max(sort.SearchFloat64s(edges, x)-1, 0), len(edges)-2)
}

// share returns the index of the interval that holds the quantile.
func share(cumBelow, cumAbove []float64, below, above float64) int {
	n := len(cumBelow) - 1
	i := 0
	if below > above {
		i = n - sort.Search(n, func(k int) bool { return cumAbove[n-1-k] >= above }) - 1
	} else {
		i = sort.Search(n, func(k int) bool { return cumBelow[k+1] >= below })
	}
	return min(max(i, 0), n-1)
}

// LogPDF returns log(mass/width) of the bin.
func (d *Bins) LogPDF(l LogSNR) float64 {
	x, n := float64(l), len(d.Mass)
	if x < d.Edges[0] || x > d.Edges[n] {
		return math.Inf(-1)
	}
	i := piece(d.Edges, x)
	return math.Log(d.Mass[i] / (d.Edges[i+1] - d.Edges[i]))
}

// CDF is linear in each bin.
func (d *Bins) CDF(l LogSNR) (below, above float64) {
	d.ready()
	x := min(max(float64(l), d.Edges[0]), d.Edges[len(d.Mass)])
	i := piece(d.Edges, x)
	w := d.Edges[i+1] - d.Edges[i]
	return d.below[i] + d.Mass[i]*(x-d.Edges[i])/w, d.above[i+1] + d.Mass[i]*(d.Edges[i+1]-x)/w
}

// Quantile is linear in each bin.
func (d *Bins) Quantile(below, above float64) LogSNR {
	d.ready()
	i := share(d.below, d.above, below, above)
	lo, hi := d.Edges[i], d.Edges[i+1]
	x := hi - (hi-lo)*(above-d.above[i+1])/d.Mass[i]
	if below <= above {
		x = lo + (hi-lo)*(below-d.below[i])/d.Mass[i]
	}
	return LogSNR(min(max(x, lo), hi))
}

func (d *Bins) String() string { return Densities().Format("bins", d) }

// LogLinear is a density whose logarithm is linear between Knots, where it is Log
// up to a common constant. Its CDF is a monotone spline with a closed inverse. It
// is used by pointer, so that densities stay comparable.
type LogLinear struct {
	Knots []float64 `json:"knots"` // of λ, rising
	Log   []float64 `json:"log"`   // log p there, up to a constant

	once         sync.Once
	log          []float64 // log p
	mass         []float64
	below, above []float64
}

// Validate reports knots that do not rise and values that are not finite.
func (d *LogLinear) Validate() error {
	if err := rising("log-linear", "knots", d.Knots); err != nil {
		return err
	}
	if len(d.Log) != len(d.Knots) {
		return fmt.Errorf("snr: log-linear has %d knots and %d values of log: expected one each", len(d.Knots), len(d.Log))
	}
	for i, v := range d.Log {
		if v-v != 0 {
			return fmt.Errorf("snr: log-linear has log[%d] = %g: expected a finite number", i, v)
		}
	}
	return nil
}

// expm1Over returns (e^d − 1)/d.
func expm1Over(d float64) float64 {
	if d == 0 {
		return 1
	}
	return math.Expm1(d) / d
}

// log1pOver returns log(1 + d y)/d, the inverse of y·expm1Over at slope d.
func log1pOver(d, y float64) float64 {
	if d == 0 {
		return y
	}
	return math.Log1p(d*y) / d
}

func (d *LogLinear) ready() {
	d.once.Do(func() {
		n := len(d.Knots) - 1
		top := slices.Max(d.Log)
		d.mass, d.log = make([]float64, n), make([]float64, n+1)
		total := 0.0
		for i := range n {
			d.mass[i] = (d.Knots[i+1] - d.Knots[i]) * math.Exp(d.Log[i]-top) * expm1Over(d.Log[i+1]-d.Log[i])
			total += d.mass[i]
		}
		for i := range d.mass {
			d.mass[i] /= total
		}
		for i, v := range d.Log {
			d.log[i] = v - top - math.Log(total)
		}
		d.below, d.above = cumulate(d.mass)
	})
}

// LogPDF interpolates.
func (d *LogLinear) LogPDF(l LogSNR) float64 {
	d.ready()
	x, n := float64(l), len(d.mass)
	if x < d.Knots[0] || x > d.Knots[n] {
		return math.Inf(-1)
	}
	i := piece(d.Knots, x)
	s := (x - d.Knots[i]) / (d.Knots[i+1] - d.Knots[i])
	return d.log[i] + s*(d.log[i+1]-d.log[i])
}

// CDF integrates the exponential of each piece.
func (d *LogLinear) CDF(l LogSNR) (below, above float64) {
	d.ready()
	x := min(max(float64(l), d.Knots[0]), d.Knots[len(d.mass)])
	i := piece(d.Knots, x)
	h, rise := d.Knots[i+1]-d.Knots[i], d.log[i+1]-d.log[i]
	left, right := x-d.Knots[i], d.Knots[i+1]-x
	return d.below[i] + left*math.Exp(d.log[i])*expm1Over(rise*left/h),
		d.above[i+1] + right*math.Exp(d.log[i+1])*expm1Over(-rise*right/h)
}

// Quantile inverts the piece, from its nearer end.
func (d *LogLinear) Quantile(below, above float64) LogSNR {
	d.ready()
	i := share(d.below, d.above, below, above)
	lo, hi := d.Knots[i], d.Knots[i+1]
	slope := (d.log[i+1] - d.log[i]) / (hi - lo)
	x := hi - log1pOver(-slope, (above-d.above[i+1])*math.Exp(-d.log[i+1]))
	if below <= above {
		x = lo + log1pOver(slope, (below-d.below[i])*math.Exp(-d.log[i]))
	}
	return LogSNR(min(max(x, lo), hi))
}

func (d *LogLinear) String() string { return Densities().Format("log-linear", d) }

// Empirical is the density of the levels in a file, numbers between white space: Bins
// bins between their quantiles, with the same share each. Sum is the beginning of
// the SHA-256 of the file, filled in when it is read and checked where it is given.
type Empirical struct {
	File string `json:"file"`
	Bins int    `json:"bins"`
	Sum  string `json:"sum"`

	once sync.Once
	of   *Bins
	err  error
}

// Validate reads the file, and reports one that holds no levels or not those that Sum
// says.
func (d *Empirical) Validate() error {
	d.once.Do(func() { d.of, d.err = d.load() })
	return d.err
}

func (d *Empirical) load() (*Bins, error) {
	if d.File == "" {
		return nil, fmt.Errorf("snr: empirical names no file: expected empirical(file=NAME)")
	}
	text, err := os.ReadFile(d.File)
	if err != nil {
		return nil, fmt.Errorf("snr: empirical: %w", err)
	}
	var draws []float64
	for i, word := range bytes.Fields(text) {
		v, err := strconv.ParseFloat(string(word), 64)
		if err != nil || v-v != 0 {
			return nil, fmt.Errorf("snr: %s: word %d is %q: expected finite levels λ between white space", d.File, i+1, word)
		}
		draws = append(draws, v)
	}
	sum := sha256.Sum256(text)
	if got := hex.EncodeToString(sum[:6]); d.Sum != "" && d.Sum != got {
		return nil, fmt.Errorf("snr: %s has the sum %s, not %s: the file has changed; leave sum out to take it as it is", d.File, got, d.Sum)
	} else {
		d.Sum = got
	}
	return FromDraws(draws, d.Bins)
}

// LogPDF is that of the bins; NaN where the file has none.
func (d *Empirical) LogPDF(l LogSNR) float64 {
	if d.Validate() != nil {
		return math.NaN()
	}
	return d.of.LogPDF(l)
}

// CDF is that of the bins; NaN where the file has none.
func (d *Empirical) CDF(l LogSNR) (below, above float64) {
	if d.Validate() != nil {
		return math.NaN(), math.NaN()
	}
	return d.of.CDF(l)
}

// Quantile is that of the bins; NaN where the file has none.
func (d *Empirical) Quantile(below, above float64) LogSNR {
	if d.Validate() != nil {
		return LogSNR(math.NaN())
	}
	return d.of.Quantile(below, above)
}

func (d *Empirical) String() string { return Densities().Format("empirical", d) }
