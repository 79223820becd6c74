package experiments

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"snrlab/internal/study"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/solvers"
	"snrlab/upsample"
)

// Upsampling is what studies of upsample guidance have in common: a sampler, and
// the strengths that are compared on the same starts.
type Upsampling struct {
	studied
	Schedule   string    `toml:"schedule" json:"schedule"`     // of the high resolution
	Spacing    string    `toml:"spacing" json:"spacing"`       // of its levels
	Solver     string    `toml:"solver" json:"solver"`         // deterministic
	Steps      int       `toml:"steps" json:"steps"`           // of every sample
	Low        string    `toml:"low" json:"low"`               // schedule of the low-resolution model, whose ends are those of its training
	Thetas     []float64 `toml:"thetas" json:"thetas"`         // constant strengths, 0 and 1 among them
	Samples    int       `toml:"samples" json:"samples"`       // of one set
	Replicates int       `toml:"replicates" json:"replicates"` // sets for each strength, for the intervals
	Key        int64     `toml:"key" json:"key"`
}

func (u *Upsampling) check() error {
	for _, theta := range u.Thetas {
		if theta-theta != 0 {
			return fmt.Errorf("field thetas holds %g: expected finite numbers", theta)
		}
	}
	for _, theta := range []float64{0, 1} {
		if !slices.Contains(u.Thetas, theta) {
			return fmt.Errorf("field thetas is %v: expected 0 and 1 among them, which all others are held against", u.Thetas)
		}
	}
	return cmp.Or(
		required("schedule", u.Schedule),
		required("spacing", u.Spacing),
		required("solver", u.Solver),
		required("low", u.Low),
		inside("steps", u.Steps, 1, 1<<12),
		distinct("thetas", u.Thetas),
		inside("samples", u.Samples, 2, 1<<16),
		inside("replicates", u.Replicates, 2, 1<<10),
		inside("key", u.Key, 0, math.MaxInt64),
	)
}

func (u *Upsampling) seed() uint64 { return uint64(u.Key) }

func (u *Upsampling) resolve() error {
	return cmp.Or(
		resolveGrid(&u.Schedule, &u.Spacing),
		resolveName("solver", &u.Solver, solvers.Parse),
		resolveName("low", &u.Low, schedules.Parse),
	)
}

// named are the names that a recipe of this kind cites the sources of.
func (u *Upsampling) named(keys ...string) uses {
	return uses{names: []string{u.Schedule, u.Spacing, u.Low}, solvers: []string{u.Solver}, keys: keys}
}

// sampler is an Upsampling with its names resolved.
type sampler struct {
	*Upsampling
	family *family
	solver solvers.Solver
	grid   schedules.Grid
	low    schedules.Schedule
	root   rng.Key
}

func (u *Upsampling) sampler() (*sampler, error) {
	f, err := newFamily(u.Schedule, u.Spacing)
	if err != nil {
		return nil, err
	}
	s := &sampler{Upsampling: u, family: f, root: rng.New(uint64(u.Key))}
	if s.grid, err = f.grid(u.Steps); err != nil {
		return nil, fmt.Errorf("field steps: %w", err)
	}
	if s.solver, err = solvers.Parse(u.Solver); err != nil {
		return nil, fmt.Errorf("field solver: %w", err)
	}
	if p := s.solver.Properties(); p.Stochastic || p.Coupled || p.Adaptive {
		return nil, fmt.Errorf("field solver: %s draws noise, chooses its steps or couples rows: expected a deterministic solver on the grid, whose samples differ by the guidance alone", s.solver)
	}
	if s.low, err = schedules.Parse(u.Low); err != nil {
		return nil, fmt.Errorf("field low: %w", err)
	}
	return s, nil
}

// evals is the evaluations of one row of the high resolution for n strengths.
func (s *sampler) evals(n int) int64 {
	return int64(n) * int64(s.Replicates) * int64(s.Samples) * int64(s.solver.NFE(s.grid))
}

// walk draws a set of samples: x = σ z at the first level, z of the row's key.
func (s *sampler) walk(ctx context.Context, d models.Denoiser, replicate int) ([]float64, error) {
	return solvers.Sample(ctx, s.solver, solvers.Problem{Denoiser: d, Grid: s.grid}, s.start(models.Dim(d), replicate))
}

func (s *sampler) start(dim, replicate int) []float64 {
	x := make([]float64, s.Samples*dim)
	for i, k := range solvers.RowKeys(s.root.Split("replicate", uint64(replicate)), 0, s.Samples) {
		row := x[i*dim : (i+1)*dim]
		k.Split("init", 0).Normal(row)
		for j := range row {
			row[j] *= s.grid[0].Sigma
		}
	}
	return x
}

// below draws the samples of the low-resolution model itself, from the pooled
// starts and at the matched levels, be they inside its range or not.
func (s *sampler) below(ctx context.Context, low models.Denoiser, pair upsample.Pair, replicate int) ([]float64, error) {
	shift := snr.LogSNR(-math.Log(pair.Noise().Variance))
	grid := make(schedules.Grid, len(s.grid))
	for i, l := range s.grid {
		grid[i] = schedules.LevelAt(s.low, l.LogSNR()+shift)
	}
	if err := grid.Validate(); err != nil {
		return nil, fmt.Errorf("field low: the levels of %s that match those of the grid: %w", s.low, err)
	}
	y := poolEach(pair, s.start(sizeOf(pair.HighShape()), replicate))
	scale := grid[0].Sigma / (math.Sqrt(pair.Noise().Variance) * s.grid[0].Sigma)
	for i := range y {
		y[i] *= scale
	}
	return solvers.Sample(ctx, s.solver, solvers.Problem{Denoiser: low, Grid: grid}, y)
}

// poolEach pools every row.
func poolEach(pair upsample.Pair, x []float64) []float64 {
	high, low := sizeOf(pair.HighShape()), sizeOf(pair.LowShape())
	y := make([]float64, len(x)/high*low)
	for i := range len(x) / high {
		pair.Pool(y[i*low:(i+1)*low], x[i*high:(i+1)*high])
	}
	return y
}

func sizeOf(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// coarseLaw is the law that the coarse part of samples should have.
type coarseLaw struct {
	law    models.Exact
	target *metrics.SlicedTarget
	mean   []float64
	cov    *mat.SymDense
	floor  metrics.Floor // of the sliced distance, of sets of the size in use
	fd     metrics.Floor // of the Fréchet distance
}

// targetSets is how many times the samples of a set the exact set has that
// distances are taken to.
const targetSets = 10

// newCoarseLaw draws the exact set and measures the floors.
func newCoarseLaw(s *sampler, law models.Exact) (*coarseLaw, error) {
	dim := models.Dim(law)
	draw := func(label string, i, n int) (metrics.Samples, error) {
		x := metrics.Samples{X: make([]float64, n*dim), Dim: dim}
		return x, law.Sample(x.X, schedules.Level{Alpha: 1}, nil, solvers.RowKeys(s.root.Split(label, uint64(i)), 0, n))
	}
	c := &coarseLaw{law: law}
	exact, err := draw("target", 0, targetSets*s.Samples)
	if err != nil {
		return nil, err
	}
	if c.target, err = (metrics.Sliced{}).Target(exact); err != nil {
		return nil, err
	}
	m, err := law.Moments(schedules.Level{Alpha: 1}, -1)
	if err != nil {
		return nil, err
	}
	cov, err := law.Covariance(schedules.Level{Alpha: 1}, -1)
	if err != nil {
		return nil, err
	}
	c.mean, c.cov = m.Mean, mat.NewSymDense(dim, cov)
	floor := func(dist func(x metrics.Samples) (float64, error)) (metrics.Floor, error) {
		return metrics.MeasureFloor(max(4, s.Replicates), func(i int) (metrics.Samples, error) { return draw("floor", i, s.Samples) },
			func(x, _ metrics.Samples) (float64, error) { return dist(x) })
	}
	if c.floor, err = floor(c.sliced); err != nil {
		return nil, err
	}
	c.fd, err = floor(c.frechet)
	return c, err
}

func (c *coarseLaw) sliced(x metrics.Samples) (float64, error) {
	d, err := c.target.Distance(x)
	return d.W2, err
}

// frechet is the distance to the exact moments.
func (c *coarseLaw) frechet(x metrics.Samples) (float64, error) {
	n := float64(x.Rows())
	mean := make([]float64, x.Dim)
	for i := range x.Rows() {
		for j, v := range x.Row(i) {
			mean[j] += v / n
		}
	}
	apart := mat.NewDense(x.Rows(), x.Dim, slices.Clone(x.X))
	for i := range x.Rows() {
		for j, m := range mean {
			apart.Set(i, j, apart.At(i, j)-m)
		}
	}
	cov := mat.NewSymDense(x.Dim, nil)
	cov.SymOuterK(1/(n-1), apart.T())
	return metrics.FrechetGaussian(mean, cov, c.mean, c.cov)
}

// guidedSet is what is kept of one set of guided samples.
type guidedSet struct {
	Sliced, Frechet float64   // distances of the coarse part from its law
	Apart           float64   // RMS distance of the coarse part from the low-resolution model's own samples
	High, Low       int       // evaluations of a row
	First           []float64 // the first samples
	Whole           float64   // what else the study measures of whole samples
}

// sets measures the sets of one strength, each a cell of its own.
func (s *sampler) sets(ctx context.Context, r *run, id string, d *upsample.Guided, pair upsample.Pair, c *coarseLaw, own [][]float64, first int, whole func([]float64) (float64, error)) ([]guidedSet, error) {
	sets := make([]guidedSet, s.Replicates)
	for i := range sets {
		set, err := cell(ctx, r, fmt.Sprintf("%s-%d", id, i), s.evals(1)/int64(s.Replicates), func(ctx context.Context) (*guidedSet, error) {
			before := d.Evaluations()
			x, err := s.walk(ctx, d, i)
			if err != nil {
				return nil, err
			}
			after := d.Evaluations()
			set := &guidedSet{High: (after.High - before.High) / s.Samples, Low: (after.Low - before.Low) / s.Samples}
			y := metrics.Samples{X: poolEach(pair, x), Dim: sizeOf(pair.LowShape())}
			if set.Sliced, err = c.sliced(y); err != nil {
				return nil, err
			}
			if set.Frechet, err = c.frechet(y); err != nil {
				return nil, err
			}
			e, err := metrics.RowErrors(y, metrics.Samples{X: own[i], Dim: y.Dim})
			if err != nil {
				return nil, err
			}
			set.Apart = metrics.RMSE(e)
			if i == 0 {
				set.First = x[:min(len(x), first*models.Dim(d))]
			}
			if whole != nil {
				set.Whole, err = whole(x)
			}
			return set, err
		})
		if err != nil {
			return nil, err
		}
		sets[i] = *set
	}
	return sets, nil
}

// ownSamples draws the low-resolution model's own samples for every replicate.
func (s *sampler) ownSamples(ctx context.Context, r *run, low models.Denoiser, pair upsample.Pair) ([][]float64, error) {
	own := make([][]float64, s.Replicates)
	for i := range own {
		y, err := cell(ctx, r, fmt.Sprintf("own-%d", i), 0, func(ctx context.Context) (*[]float64, error) {
			y, err := s.below(ctx, low, pair, i)
			return &y, err
		})
		if err != nil {
			return nil, err
		}
		own[i] = *y
	}
	return own, nil
}

// ofSets returns one number of each set.
func ofSets(sets []guidedSet, f func(guidedSet) float64) []float64 {
	v := make([]float64, len(sets))
	for i, s := range sets {
		v[i] = f(s)
	}
	return v
}

func setSliced(s guidedSet) float64  { return s.Sliced }
func setFrechet(s guidedSet) float64 { return s.Frechet }
func setApart(s guidedSet) float64   { return s.Apart }
func setWhole(s guidedSet) float64   { return s.Whole }

// pairedDifference is a mean with its interval, of paired sets.
func pairedDifference(a, b []float64) (float64, metrics.Interval, error) {
	d := make([]float64, len(a))
	for i := range d {
		d[i] = a[i] - b[i]
	}
	return metrics.Repeats(d, 0.95)
}

// strengthColumns are the columns that tables of strengths share.
func strengthColumns(x study.Column) []study.Column {
	return []study.Column{
		x,
		{Name: "sw2", Label: "sliced W₂ of P x", Help: "sliced 2-Wasserstein distance of the pooled samples from the exact coarse law"},
		{Name: "sw2_lo"},
		{Name: "sw2_hi"},
		{Name: "floor", Help: "what exact sets of this size read at most"},
		{Name: "frechet", Label: "Fréchet distance of P x", Help: "of the pooled samples from the exact coarse moments"},
		{Name: "frechet_lo"},
		{Name: "frechet_hi"},
		{Name: "frechet_floor", Label: "Fréchet floor", Help: "what exact sets of this size read at most"},
		{Name: "apart", Label: "distance of P x from the low model's own samples", Help: "root mean square over samples, from the same pooled noise"},
		{Name: "high", Help: "evaluations of the high-resolution model, per sample"},
		{Name: "low", Help: "evaluations of the low-resolution model, per sample"},
		{Name: "equivalent", Help: "evaluations in units of one at the high resolution"},
	}
}

// strengthCells are the cells of such a row.
func strengthCells(x float64, sets []guidedSet, c *coarseLaw, share float64) ([]any, error) {
	sw, si, err := metrics.Repeats(ofSets(sets, setSliced), 0.95)
	if err != nil {
		return nil, err
	}
	fd, fi, err := metrics.Repeats(ofSets(sets, setFrechet), 0.95)
	if err != nil {
		return nil, err
	}
	e := upsample.Evaluations{High: sets[0].High, Low: sets[0].Low, Share: share}
	return []any{
		x, sw, si.Lo, si.Hi, c.floor.Threshold, fd, fi.Lo, fi.Hi, c.fd.Threshold,
		metrics.RMSE(ofSets(sets, setApart)), e.High, e.Low, e.Equivalent(),
	}, nil
}

// findStrengths adds what the constant strengths show, whatever the data.
func findStrengths(s *study.Study, u *Upsampling, by map[float64][]guidedSet, c *coarseLaw) error {
	zero, iz, err := metrics.Repeats(ofSets(by[0], setSliced), 0.95)
	if err != nil {
		return err
	}
	s.Find(study.Finding{
		Claim: "Without guidance the model has its coarse content wrong.", Expected: "sliced W₂ above the floor " + number(c.floor.Threshold),
		Measured: zero, Interval: []float64{iz.Lo, iz.Hi}, Holds: study.Holds(iz.Lo > c.floor.Threshold),
	})
	one, io, err := metrics.Repeats(ofSets(by[1], setSliced), 0.95)
	if err != nil {
		return err
	}
	s.Find(study.Finding{
		Claim: "With θ = 1 the coarse law is restored.", Expected: "sliced W₂ at most the floor " + number(c.floor.Threshold),
		Measured: one, Interval: []float64{io.Lo, io.Hi}, Source: "hwang2024", Holds: study.Holds(one <= c.floor.Threshold),
		Remark: "Whatever the high-resolution model is, P D is the low-resolution answer, so that P x walks the low-resolution model's own trajectory.",
	})
	// The nearest rival of θ = 1, set by set on the same starts.
	rival, least, in := math.NaN(), math.Inf(1), metrics.Interval{}
	for _, theta := range u.Thetas {
		if theta == 1 {
			continue
		}
		d, i, err := pairedDifference(ofSets(by[theta], setSliced), ofSets(by[1], setSliced))
		if err != nil {
			return err
		}
		if d < least {
			rival, least, in = theta, d, i
		}
	}
	s.Find(study.Finding{
		Claim: "No strength tried comes nearer the coarse law than θ = 1.", Expected: fmt.Sprintf("the nearest rival, θ = %g, not nearer by more than chance: an interval that reaches 0 or above", rival),
		Measured: least, Interval: []float64{in.Lo, in.Hi}, Holds: study.Holds(in.Hi >= 0), Remark: "Difference of sliced W₂ on the same starts; where its interval holds 0, sets of this size do not tell the two apart.",
	})
	if sets, ok := by[1.2]; ok {
		d, i, err := pairedDifference(ofSets(sets, setSliced), ofSets(by[1], setSliced))
		if err != nil {
			return err
		}
		s.Find(study.Finding{
			Claim: "A strength of 1.2 is better than 1.", Expected: "sliced W₂ lower by θ = 1.2: a difference < 0",
			Measured: d, Interval: []float64{i.Lo, i.Hi}, Source: "hwang2024", Holds: study.Holds(i.Hi < 0),
			Remark: "Published for networks. Here the low-resolution model is exact, and going beyond it can only err.",
		})
	}
	return nil
}
