package experiments

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"snrlab/internal/runfile"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
	"snrlab/upsample"
)

// Align is the recipe that finds out what a schedule has to be shifted by at
// another image size: from the exact curves of the error of denoising, and from the
// error of a sampler of few evaluations. Its data are stationary Gaussian fields of
// Size×Size pixels and averages over their blocks, each brought to pixels of
// variance 1, whose denoisers and trajectories are known in closed form.
type Align struct {
	Header
	studied
	Size       int       `toml:"size" json:"size"`               // pixels along a side
	Pools      []int     `toml:"pools" json:"pools"`             // factors of pooling, from the smallest image to the largest
	RefPool    int       `toml:"ref_pool" json:"ref_pool"`       // the factor whose size the schedule counts as tuned at
	Exponents  []float64 `toml:"exponents" json:"exponents"`     // A of spectra 1/f^A; 0 is white
	Shown      []float64 `toml:"shown" json:"shown"`             // two of them to draw
	Images     string    `toml:"images" json:"images"`           // "", or a model made of points, whose spectrum is measured
	ImagePools []int     `toml:"image_pools" json:"image_pools"` // as Pools; the last but one is what the images are compared with
	Schedule   string    `toml:"schedule" json:"schedule"`       // that is moved between its ends
	Solvers    []string  `toml:"solvers" json:"solvers"`         // deterministic, with fixed steps
	Budget     int       `toml:"budget" json:"budget"`           // evaluations
	Span       float64   `toml:"span" json:"span"`               // shifts from −span to span are tried
	Losses     []int     `toml:"losses" json:"losses"`           // sizes of the multiscale loss at the largest image
	Key        int64     `toml:"key" json:"key"`                 // of the images that are shown
}

// DefaultAlign returns an Align that needs no other field.
func DefaultAlign() Align {
	return Align{
		Header: Header{Kind: "align", Name: "align"}, Size: 256, Pools: []int{16, 8, 4, 2, 1}, RefPool: 4,
		Exponents: []float64{0, 0.5, 1, 1.5, 2, 2.5, 3}, Shown: []float64{0, 2}, Images: "points:mnist-test", ImagePools: []int{7, 2, 1},
		Schedule: "cosine(min=-15,max=15)", Solvers: []string{"ddim", "dpmpp-2m"}, Budget: 16, Span: 8, Losses: []int{32, 64, 128, 256}, Key: 1,
	}
}

// Validate reports fields that cannot be used.
func (a *Align) Validate() error {
	err := cmp.Or(
		inside("size", a.Size, 4, 1024),
		distinct("pools", a.Pools),
		distinct("exponents", a.Exponents),
		distinct("solvers", a.Solvers),
		required("schedule", a.Schedule),
		inside("budget", a.Budget, 1, 1000),
		inside("key", a.Key, 0, math.MaxInt64),
		upsample.Multiscale{Sizes: a.Losses}.Validate(a.Size),
	)
	switch {
	case err != nil:
		return err
	case len(a.Pools) < 2 || !slices.IsSortedFunc(a.Pools, func(x, y int) int { return y - x }) || a.Pools[len(a.Pools)-1] != 1:
		return fmt.Errorf("field pools is %v: expected at least two factors that fall to 1", a.Pools)
	case !slices.Contains(a.Pools, a.RefPool):
		return fmt.Errorf("field ref_pool is %d: expected one of pools, %v", a.RefPool, a.Pools)
	case len(a.Shown) != 2 || !slices.Contains(a.Exponents, a.Shown[0]) || !slices.Contains(a.Exponents, a.Shown[1]):
		return fmt.Errorf("field shown is %v: expected two of exponents, %v", a.Shown, a.Exponents)
	case !(a.Span >= 1 && a.Span <= 20):
		return fmt.Errorf("field span is %g: expected 1 to 20", a.Span)
	case a.Images == "" && len(a.ImagePools) > 0:
		return fmt.Errorf("field image_pools is %v without images: leave it empty", a.ImagePools)
	case a.Images != "" && (len(a.ImagePools) < 2 || !slices.IsSortedFunc(a.ImagePools, func(x, y int) int { return y - x }) || a.ImagePools[len(a.ImagePools)-1] != 1):
		return fmt.Errorf("field image_pools is %v: expected at least two factors that fall to 1", a.ImagePools)
	}
	for _, p := range a.Pools {
		if p < 1 || a.Size%p != 0 || a.Size/p%2 != 0 {
			return fmt.Errorf("field pools holds %d, which leaves no even number of pixels of %d: expected another factor", p, a.Size)
		}
	}
	return nil
}

func (a *Align) seed() uint64 { return uint64(a.Key) }

func (a *Align) resolve() error {
	return cmp.Or(resolveName("schedule", &a.Schedule, schedules.Parse), resolveSolvers("solvers", a.Solvers))
}

func (a *Align) uses() uses {
	return uses{names: []string{a.Schedule, "aligned"}, solvers: a.Solvers, keys: []string{"hoogeboom2023", "chen2023", "field1987", "wiener1949"}}
}

// A band is what a field is to everything here: coefficients of equal power fare
// alike, so that one of each stands for all.
type band struct {
	size     int
	variance float64   // of a pixel before it was brought to 1
	power    []float64 // distinct, rising
	all      []float64 // share of the whole plane: Σ all P is the variance of a pixel, 1
	coarse   []float64 // Σ coarse P is the variance of a pixel at the coarsest size
}

// bandOf takes a field of one channel apart, with the content that averaging over
// blocks of pool×pool leaves.
func bandOf(f *models.Field, pool int) *band {
	shape := f.Shape()
	h, w := shape[1], shape[2]
	half, pixels := w/2+1, float64(h*w)
	down, across := models.PoolGain(h, pool), models.PoolGain(w, pool)
	b := &band{size: h, variance: f.Variance()}
	at := map[float64]int{}
	for i, p := range f.Power() {
		u, v := i/half, i%half
		j, ok := at[p]
		if !ok {
			j = len(b.power)
			at[p] = j
			b.power, b.all, b.coarse = append(b.power, p/b.variance), append(b.all, 0), append(b.coarse, 0)
		}
		n := 2 / pixels
		if v == 0 || v == half-1 {
			n = 1 / pixels
		}
		b.all[j] += n
		b.coarse[j] += n * down[u] * across[v]
	}
	return b
}

// sum returns Σ weight · f(P) over P.
func (b *band) sum(weight []float64, f func(j int) float64) float64 {
	total := 0.0
	for j, w := range weight {
		total += w * f(j)
	}
	return total
}

// content returns the variance that a weight sees of the data.
func (b *band) content(weight []float64) float64 {
	return b.sum(weight, func(j int) float64 { return b.power[j] })
}

// left returns the share of it that the exact denoiser leaves at λ.
func (b *band) left(weight []float64, lambda float64) float64 {
	e := math.Exp(lambda)
	return b.sum(weight, func(j int) float64 { return b.power[j] / (1 + e*b.power[j]) }) / b.content(weight)
}

// coefficients is the exact denoiser of independent coefficients of known powers:
// one Wiener gain each.
type coefficients struct{ power []float64 }

func (c coefficients) Shape() []int { return []int{len(c.power)} }

func (c coefficients) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if err := cmp.Or(ctx.Err(), q.Check(dst, len(c.power))); err != nil {
		return err
	}
	for i, x := range q.X {
		at, p := q.Level(i/len(c.power)), c.power[i%len(c.power)]
		dst[i] = at.Alpha * p / (at.Alpha*at.Alpha*p + at.Sigma*at.Sigma) * x
	}
	return nil
}

// moved is a schedule with λ moved by an amount between fixed ends.
func moved(s schedules.Schedule, by float64) schedules.Schedule {
	return schedules.Aligned{Size: 2, Ref: 1, Fraction: -by / (2 * math.Ln2), Schedule: s}
}

// sampled is the relative root mean square error of samples, of the coarse
// content, of what is left beside it (NaN where that is nothing), and of all: the end of the solver's
// trajectories against that of the exact ones from the same states. A solver that is
// linear in the state multiplies each coefficient by a number, so that one row, at the
// deviations of the first level, tells the mean over all noise.
func (b *band) sampled(ctx context.Context, r *run, solver solvers.Solver, s schedules.Schedule, budget int) (coarse, fine, all float64, err error) {
	fail := func(err error) (float64, float64, float64, error) { return 0, 0, 0, err }
	grid := func(n int) (schedules.Grid, error) { return schedules.UniformT{}.Grid(s, n) }
	n, _, err := solvers.StepsFor(solver, budget, grid)
	if err != nil {
		return fail(err)
	}
	g, err := grid(n)
	if err != nil {
		return fail(err)
	}
	deviation := func(at schedules.Level, p float64) float64 { return math.Hypot(at.Alpha*math.Sqrt(p), at.Sigma) }
	x := make([]float64, len(b.power))
	for j, p := range b.power {
		x[j] = deviation(g[0], p)
	}
	end, err := solvers.Sample(ctx, solver, solvers.Problem{Denoiser: r.counted(coefficients{b.power}), Grid: g, Schedule: s}, x)
	if err != nil {
		return fail(err)
	}
	last := g[len(g)-1]
	square := func(j int) float64 {
		d := (end[j] - deviation(last, b.power[j])) / last.Alpha
		return d * d
	}
	total, low := b.sum(b.all, square), b.sum(b.coarse, square)
	data, lowData := b.content(b.all), b.content(b.coarse)
	if fine = math.NaN(); data-lowData > 1e-9*data {
		fine = math.Sqrt((total - low) / (data - lowData))
	}
	return math.Sqrt(low / lowData), fine, math.Sqrt(total / data), nil
}

// least returns where f is least between −span and span: on a grid of quarters,
// then by golden sections. It is NaN where f is.
func least(span float64, f func(x float64) (float64, error)) (float64, error) {
	const step = 0.25
	best, at := math.Inf(1), math.NaN()
	for x := -span; x <= span; x += step {
		y, err := f(x)
		if err != nil {
			return 0, err
		}
		if y < best {
			best, at = y, x
		}
	}
	if at != at {
		return at, nil
	}
	golden := (math.Sqrt(5) - 1) / 2
	lo, hi := at-step, at+step
	a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fa, err := f(a)
	if err != nil {
		return 0, err
	}
	fb, err := f(b)
	for err == nil && hi-lo > 1e-3 {
		if fa < fb {
			hi, b, fb = b, a, fa
			a = hi - golden*(hi-lo)
			fa, err = f(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + golden*(hi-lo)
			fb, err = f(b)
		}
	}
	return (lo + hi) / 2, err
}

// A curve is what is left at λ from −18 to 12, in steps of a quarter.
const curvePoints = 121

func curveLambda(i int) float64 { return -18 + 0.25*float64(i) }

// curve returns what the exact denoiser leaves of a weight at λ + by.
func (b *band) curve(weight []float64, by float64) []float64 {
	c := make([]float64, curvePoints)
	for i := range c {
		c[i] = b.left(weight, curveLambda(i)+by)
	}
	return c
}

// apart returns the largest difference of two curves and the root of its mean
// square.
func apart(f, g []float64) (largest, rms float64) {
	for i, v := range f {
		d := v - g[i]
		largest, rms = max(largest, math.Abs(d)), rms+d*d/float64(len(f))
	}
	return largest, math.Sqrt(rms)
}

// spectrumRun is one spectrum at all its sizes.
type spectrumRun struct {
	name     string
	exponent float64 // NaN for images
	field    *models.Field
	pools    []int
	ref      int // index of the size that the schedule counts as tuned at
	bands    []*band
}

// newSpectrumRun pools the field.
func newSpectrumRun(name string, exponent float64, f *models.Field, pools []int, ref int) (*spectrumRun, error) {
	s := &spectrumRun{name: name, exponent: exponent, field: f, pools: pools, ref: ref}
	for _, pool := range pools {
		small, err := f.Pool(pool)
		if err != nil {
			return nil, err
		}
		s.bands = append(s.bands, bandOf(small, pools[0]/pool))
	}
	return s, nil
}

// rule is the shift by the ratio of sizes, corrected that by the variances of a
// pixel as well.
func (s *spectrumRun) rule(i int) (rule, corrected float64) {
	ref, b := s.bands[s.ref], s.bands[i]
	rule = 2 * math.Log(float64(ref.size)/float64(b.size))
	return rule, rule + math.Log(b.variance/ref.variance)
}

// solverName is how a solver stands in tables: with what differs from its
// defaults.
func solverName(full string) string {
	s, err := solvers.Parse(full)
	if err != nil {
		return full
	}
	return s.String()
}

func spectrumName(a float64) string {
	if a == 0 {
		return "white"
	}
	return fmt.Sprintf("1/f^%g", a)
}

// alignCell is what is computed of one spectrum at one size.
type alignCell struct {
	Coarse, All float64    // the shifts that bring the curves of the error onto those of the reference
	Runs        []alignRun // by solver
}

// alignRun is one solver.
type alignRun struct {
	Scan              []alignError   // by rising shift
	Coarse, Fine, All runfile.Number // the best shifts for each
}

// alignError is the relative error of samples at a shift.
type alignError struct {
	Shift, Coarse float64
	Fine          runfile.Number
	All           float64
}

// compute fills a cell.
func (a *Align) compute(ctx context.Context, r *run, s *spectrumRun, i int, base schedules.Schedule) (*alignCell, error) {
	b, ref := s.bands[i], s.bands[s.ref]
	c := &alignCell{}
	for _, of := range []struct {
		best     *float64
		own, ref []float64
	}{{&c.Coarse, b.coarse, ref.coarse}, {&c.All, b.all, ref.all}} {
		reference := ref.curve(of.ref, 0)
		var err error
		*of.best, err = least(a.Span, func(by float64) (float64, error) {
			_, rms := apart(b.curve(of.own, by), reference)
			return rms, nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, name := range a.Solvers {
		solver, err := solvers.Parse(name)
		if err != nil {
			return nil, err
		}
		known := map[float64]alignError{}
		errorAt := func(by float64) (alignError, error) {
			e, ok := known[by]
			if !ok {
				coarse, fine, all, err := b.sampled(ctx, r, solver, moved(base, by), a.Budget)
				if err != nil {
					return e, err
				}
				e = alignError{by, coarse, runfile.Number(fine), all}
				known[by] = e
			}
			return e, nil
		}
		var out alignRun
		var best [3]float64
		for k, of := range []func(e alignError) float64{
			func(e alignError) float64 { return e.Coarse },
			func(e alignError) float64 { return float64(e.Fine) },
			func(e alignError) float64 { return e.All },
		} {
			if best[k], err = least(a.Span, func(by float64) (float64, error) {
				e, err := errorAt(by)
				return of(e), err
			}); err != nil {
				return nil, err
			}
		}
		out.Coarse, out.Fine, out.All = runfile.Number(best[0]), runfile.Number(best[1]), runfile.Number(best[2])
		for _, by := range slices.Sorted(maps.Keys(known)) {
			out.Scan = append(out.Scan, known[by])
		}
		c.Runs = append(c.Runs, out)
	}
	return c, nil
}
