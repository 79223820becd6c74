package viz

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"snrlab/internal/runfile"
)

// view is what the page's step-for-step part shows, as JSON. Pictures are not
// in it but in one block of bytes, which it points into.
type view struct {
	Kind     string             `json:"kind"` // "image" or "plane"
	Picture  *viewPicture       `json:"picture,omitempty"`
	Plane    *viewPlane         `json:"plane,omitempty"`
	Samples  []int              `json:"samples"` // row numbers
	Solvers  []viewSolver       `json:"solvers"`
	Runs     []viewRun          `json:"runs"`
	Refs     map[string]viewRef `json:"refs"` // by steps
	Defaults viewDefaults       `json:"defaults"`
	Omitted  string             `json:"-"` // what did not fit, one sentence
}

type viewPicture struct {
	W       int  `json:"w"` // of one picture, channels that are no colours side by side
	H       int  `json:"h"`
	Channel int  `json:"channel"` // width of one channel
	RGB     bool `json:"rgb"`
	Values  int  `json:"values"` // of one picture
	Reach   num  `json:"reach"`  // the value that is white, its negative being black
}

type viewPlane struct {
	Box      [4]num   `json:"box"` // x0, x1, y0, y1
	Contours []string `json:"contours"`
}

type viewSolver struct {
	Name   string `json:"name"`
	Colour string `json:"colour"` // empty: the page's ink
	Dashed bool   `json:"dashed"` // tells apart solvers of one colour
	Noise  bool   `json:"noise"`
}

type viewDefaults struct {
	A      int `json:"a"`
	B      int `json:"b"`
	Budget int `json:"budget"`
}

// viewRun is one solver at one budget; lists go by level, steps+1 long.
type viewRun struct {
	Solver   int   `json:"solver"`
	Budget   int   `json:"budget"`
	Steps    int   `json:"steps"`
	NFE      []int `json:"nfe"`
	Lambda   []num `json:"lambda"`
	Alpha    []num `json:"alpha"`
	Sigma    []num `json:"sigma"`
	Global   []num `json:"global"`
	Local    []num `json:"local"`
	Denoised []num `json:"denoised"` // of the estimate at this level
	Strong   []num `json:"strong"`
	Norm     []num `json:"norm"`
	OwnX     []num `json:"ownX"` // this row's own distances, level×sample
	OwnD     []num `json:"ownD"` // step×sample
	X        []num `json:"x,omitempty"`
	D        []num `json:"d,omitempty"`
	DX       *pix  `json:"dx,omitempty"` // differences to the reference
	DD       *pix  `json:"dd,omitempty"`
}

type viewRef struct {
	X  []num `json:"x,omitempty"`
	D  []num `json:"d,omitempty"`
	PX *pix  `json:"px,omitempty"`
	PD *pix  `json:"pd,omitempty"`
}

// pix is a list of pictures in the block of bytes: the value of byte q in the
// i-th picture is (q − 128)/127 · Scale[i].
type pix struct {
	At    int   `json:"at"`
	Scale []num `json:"scale"`
}

// num prints in five digits; NaN as null and infinities as what JSON readers
// overflow to.
type num float64

func (n num) MarshalJSON() ([]byte, error) {
	v := float64(n)
	switch {
	case math.IsNaN(v):
		return []byte("null"), nil
	case math.IsInf(v, 1):
		return []byte("1e999"), nil
	case math.IsInf(v, -1):
		return []byte("-1e999"), nil
	}
	return strconv.AppendFloat(nil, v, 'g', 5, 64), nil
}

// Limits that keep the page small: steps of a run shown, and bytes of
// pictures before compression.
const (
	maxViewSteps = 20
	maxViewBytes = 6 << 20
)

// view collects the trace, and the block of bytes its pictures are in. It is
// nil without a trace.
func (f *folder) view() (*view, []byte, error) {
	t := f.trace
	if t == nil || len(t.Samples) == 0 || len(t.Runs) == 0 {
		return nil, nil, nil
	}
	v := &view{Kind: "image", Refs: map[string]viewRef{}}
	for _, s := range f.solvers {
		c := f.styles[s].color
		colour := fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B)
		if c == ink {
			colour = ""
		}
		v.Solvers = append(v.Solvers, viewSolver{s, colour, len(f.styles[s].dashes) > 0, f.noise[s]})
	}
	var b block8
	b.samples = len(t.Samples)
	b.level, b.dim = t.Dim()*len(t.Samples), t.Dim()
	shortest := math.MaxInt
	for _, r := range t.Runs {
		shortest = min(shortest, r.Steps)
	}
	shown := func(steps int) bool { return steps <= max(maxViewSteps, shortest) }
	if t.Dim() == 2 {
		v.Kind = "plane"
		b.samples = min(b.samples, maxWalks)
		x, y := planeAxes(t)
		v.Plane = &viewPlane{Box: [4]num{num(x.lo), num(x.hi), num(y.lo), num(y.hi)}}
		if t.Density != nil {
			for _, segs := range contours(t.Density) {
				v.Plane.Contours = append(v.Plane.Contours, pathData(segs))
			}
		}
	} else {
		g, err := picture(t.Shape)
		if err != nil {
			return nil, nil, err
		}
		pictures := 0
		for _, r := range t.Runs {
			if shown(r.Steps) {
				pictures += 2*r.Steps + 1
			}
		}
		for steps := range t.Refs {
			if shown(steps) {
				pictures += 2*steps + 1
			}
		}
		// Fewer samples first, then coarser pixels.
		b.shrink = 1
		for pictures*g.coarse(b.shrink).dim()*b.samples > maxViewBytes {
			if b.samples > 1 {
				b.samples--
			} else if b.shrink < min(g.h, g.w) {
				b.shrink++
			} else {
				break
			}
		}
		b.from, b.to = g, g.coarse(b.shrink)
		w, h := b.to.size()
		v.Picture = &viewPicture{w, h, b.to.w, b.to.rgb, b.to.dim(), num(reach(t))}
	}
	v.Samples = t.Samples[:b.samples]

	var refs []int
	for steps := range t.Refs {
		if shown(steps) {
			refs = append(refs, steps)
		}
	}
	slices.Sort(refs)
	hidden := 0
	units := map[int][]float64{} // of the levels of each grid
	for _, r := range t.Runs {
		if !shown(r.Steps) {
			hidden++
			continue
		}
		walk := f.walks[cell{r.Solver, r.Budget}]
		ref := t.Refs[r.Steps]
		run := viewRun{Solver: slices.Index(f.solvers, r.Solver), Budget: r.Budget, Steps: r.Steps}
		us := make([]float64, r.Steps+1)
		for k, row := range walk {
			us[k] = unit(row)
			run.NFE = append(run.NFE, row.NFE)
			run.Lambda = append(run.Lambda, num(row.Lambda))
			run.Alpha, run.Sigma = append(run.Alpha, num(row.Alpha)), append(run.Sigma, num(row.Sigma))
			run.Global, run.Local = append(run.Global, num(row.Global)), append(run.Local, num(row.Local))
			run.Strong, run.Norm = append(run.Strong, num(row.Strong)), append(run.Norm, num(row.Norm))
			// A row tells the error of the estimate that its step started
			// from, which belongs to the level before.
			den := math.NaN()
			if k < r.Steps {
				den = walk[k+1].Denoised
			}
			run.Denoised = append(run.Denoised, num(den))
		}
		if units[r.Steps] == nil {
			units[r.Steps] = us
		}
		run.OwnX, run.OwnD = b.distances(r.X, ref.X, r.Steps+1), b.distances(r.D, ref.D, r.Steps)
		if v.Plane != nil {
			run.X, run.D = b.numbers(r.X, r.Steps+1), b.numbers(r.D, r.Steps)
		} else {
			run.DX, run.DD = b.add(r.X, ref.X, us, diffLevels), b.add(r.D, ref.D, nil, diffLevels)
		}
		v.Runs = append(v.Runs, run)
	}
	for _, steps := range refs {
		ref := t.Refs[steps]
		var out viewRef
		if v.Plane != nil {
			out.X, out.D = b.numbers(ref.X, steps+1), b.numbers(ref.D, steps)
		} else {
			out.PX, out.PD = b.add(ref.X, nil, units[steps], 127), b.add(ref.D[:min(len(ref.D), steps*b.level)], nil, nil, 127)
		}
		v.Refs[strconv.Itoa(steps)] = out
	}
	if len(v.Runs) == 0 {
		return nil, nil, nil
	}
	v.Omitted = b.omitted(len(t.Samples), hidden)
	v.defaults(f)
	return v, b.bytes, nil
}

// reach is the value drawn white: 1 for images, which lie in [−1, 1], and the
// largest value of an estimate for other vectors, which lie anywhere.
func reach(t *runfile.Trace) float64 {
	if len(t.Shape) > 1 {
		return 1
	}
	most := 0.0
	for _, r := range t.Runs {
		for _, v := range r.D {
			if a := math.Abs(float64(v)); a > most && !math.IsInf(a, 1) {
				most = a
			}
		}
	}
	if most == 0 {
		return 1
	}
	return most
}

// defaults opens the page on the best and a middling solver at a middle budget.
func (v *view) defaults(f *folder) {
	v.Defaults.Budget = v.Runs[0].Budget
	for _, r := range v.Runs {
		if r.Budget == f.middleBudget() {
			v.Defaults.Budget = r.Budget
		}
	}
	pair := f.chosen(v.Defaults.Budget)
	if len(pair) > 0 {
		v.Defaults.A = slices.Index(f.solvers, pair[0])
		v.Defaults.B = slices.Index(f.solvers, pair[min(2, len(pair)-1)])
	}
}

// Differences have fewer steps than pictures: they compress better, and the
// eye does not tell.
const diffLevels = 63

// block8 collects pictures in eight bits a value.
type block8 struct {
	bytes               []byte
	samples, level, dim int
	shrink              int
	from, to            geometry
}

// add appends (x − ref)/unit, level by level and sample by sample. ref and
// units may be nil.
func (b *block8) add(x, ref []float32, units []float64, levels float64) *pix {
	p := &pix{At: len(b.bytes)}
	for k := 0; k < len(x)/b.level; k++ {
		u := 1.0
		if units != nil {
			u = units[k]
		}
		for s := range b.samples {
			v := make([]float64, b.dim)
			for i := range v {
				j := k*b.level + s*b.dim + i
				v[i] = float64(x[j])
				if j < len(ref) {
					v[i] -= float64(ref[j])
				}
				v[i] /= u
			}
			v = b.from.shrunk(v, b.shrink)
			scale := 0.0
			for _, a := range v {
				if a = math.Abs(a); a > scale && !math.IsInf(a, 1) {
					scale = a
				}
			}
			for _, a := range v {
				q := 128.0
				if scale > 0 && a == a {
					q += 127 / levels * math.Round(levels*math.Max(-1, math.Min(1, a/scale)))
				}
				b.bytes = append(b.bytes, byte(math.Round(q)))
			}
			p.Scale = append(p.Scale, num(scale))
		}
	}
	return p
}

// distances returns the Euclidean distance of every level and sample.
func (b *block8) distances(x, ref []float32, levels int) []num {
	out := make([]num, 0, levels*b.samples)
	for k := range levels {
		for s := range b.samples {
			q := 0.0
			for i := range b.dim {
				j := k*b.level + s*b.dim + i
				if j >= len(ref) {
					q = math.NaN()
					break
				}
				d := float64(x[j]) - float64(ref[j])
				q += d * d
			}
			out = append(out, num(math.Sqrt(q)))
		}
	}
	return out
}

// numbers returns the values of the shown samples, level by level.
func (b *block8) numbers(x []float32, levels int) []num {
	var out []num
	for k := range min(levels, len(x)/b.level) {
		for i := range b.samples * b.dim {
			out = append(out, num(x[k*b.level+i]))
		}
	}
	return out
}

func (b *block8) omitted(samples, hidden int) string {
	var parts []string
	if b.samples < samples {
		parts = append(parts, fmt.Sprintf("%d of %d kept samples", b.samples, samples))
	}
	if b.shrink > 1 {
		parts = append(parts, fmt.Sprintf("every %d×%d pixels averaged", b.shrink, b.shrink))
	}
	if hidden > 0 {
		parts = append(parts, fmt.Sprintf("runs of at most %d steps", maxViewSteps))
	}
	if len(parts) == 0 {
		return ""
	}
	return "To stay small this page holds " + strings.Join(parts, ", ") + "; trace.npz has everything."
}

// coarse is the geometry after every n×n pixels became one.
func (g geometry) coarse(n int) geometry {
	g.h, g.w = max(1, g.h/n), max(1, g.w/n)
	return g
}

// shrunk averages n×n pixels.
func (g geometry) shrunk(v []float64, n int) []float64 {
	if n <= 1 {
		return v
	}
	to := g.coarse(n)
	out := make([]float64, to.dim())
	for c := range g.c {
		for y := range to.h {
			for x := range to.w {
				sum, count := 0.0, 0.0
				for j := y * n; j < min(g.h, (y+1)*n); j++ {
					for i := x * n; i < min(g.w, (x+1)*n); i++ {
						sum, count = sum+v[(c*g.h+j)*g.w+i], count+1
					}
				}
				out[(c*to.h+y)*to.w+x] = sum / count
			}
		}
	}
	return out
}

// pathData prints segments as an SVG path.
func pathData(segs []float64) string {
	var b strings.Builder
	f := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
	for k := 0; k+3 < len(segs); k += 4 {
		fmt.Fprintf(&b, "M%s %sL%s %s", f(segs[k]), f(segs[k+1]), f(segs[k+2]), f(segs[k+3]))
	}
	return b.String()
}

// packed compresses bytes for a page: raw DEFLATE in base64.
func packed(raw []byte) (string, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(raw); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}
