package runfile

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Trace is trace.npz: the states that a reader may want in numpy, for the few
// rows that are kept. With t = numpy.load("trace.npz"),
//
//	t["runs"]                  ["heun/10", "heun/20", …], in the recipe's order
//	t["run/heun/10/x"]         states, (steps+1, samples, …shape)
//	t["run/heun/10/denoised"]  estimates each step started from, (steps, samples, …shape)
//	t["ref/5/x"]               the exact states on the grid of 5 steps
//	t["ref/5/denoised"]        the exact estimates there
//	t["samples"], t["shape"]   row numbers kept, shape of one sample
//	t["exact"], t["real"]      exact samples of the model, real data: (n, …shape)
//	t["density/logp"]          log-density of the data on a grid, (ny, nx)
//	t["density/extent"]        x0, x1, y0, y1 of its corners' centres
type Trace struct {
	Shape   []int // of one sample
	Samples []int // row numbers kept
	Runs    []TraceRun
	Refs    map[int]TraceRef // by the number of steps
	Exact   []float32        // n×dim exact samples; may be empty
	Real    []float32        // n×dim real data; may be empty
	Density *DensityGrid     // 2-D problems
}

// TraceRun is one solver at one budget.
type TraceRun struct {
	Solver string
	Budget int // evaluations asked for
	Steps  int
	X      []float32 // (Steps+1)×samples×dim; step 0 is the start
	D      []float32 // Steps×samples×dim: the estimate that each step started from
}

// TraceRef is the exact trajectory on the grid of one number of steps.
type TraceRef struct {
	X []float32 // (steps+1)×samples×dim
	D []float32 // (steps+1)×samples×dim, or without the last level: steps×samples×dim
}

// DensityGrid is a log-density on a regular grid, for contours: LogP[j*NX+i]
// belongs to x = X0 + i (X1−X0)/(NX−1), y = Y0 + j (Y1−Y0)/(NY−1).
type DensityGrid struct {
	X0, X1, Y0, Y1 float64
	NX, NY         int
	LogP           []float32
}

// Dim returns the number of values of one sample.
func (t *Trace) Dim() int {
	n := 1
	for _, s := range t.Shape {
		n *= s
	}
	return n
}

// Run returns the trace of a solver at a budget, nil if there is none.
func (t *Trace) Run(solver string, budget int) *TraceRun {
	for i := range t.Runs {
		if t.Runs[i].Solver == solver && t.Runs[i].Budget == budget {
			return &t.Runs[i]
		}
	}
	return nil
}

// Validate reports arrays that do not have the sizes that shape, samples and
// steps give them.
func (t *Trace) Validate() error {
	if len(t.Shape) == 0 {
		return errors.New("runfile: trace: shape is empty")
	}
	dim := 1
	for _, s := range t.Shape {
		if s < 1 || s > maxDim/dim {
			return fmt.Errorf("runfile: trace: shape %v: expected positive sizes, %d values at most", t.Shape, maxDim)
		}
		dim *= s
	}
	level := len(t.Samples) * dim
	seen := map[string]bool{}
	for _, r := range t.Runs {
		key := runKey(r)
		switch {
		case seen[key]:
			return fmt.Errorf("runfile: trace: run %s is there twice", key)
		case r.Solver == "" || hasControl(r.Solver):
			return fmt.Errorf("runfile: trace: run %q has no proper solver name", key)
		case r.Steps < 0 || len(r.X) != (r.Steps+1)*level:
			return fmt.Errorf("runfile: trace: run %s: %d numbers in x: expected (%d+1) levels × %d", key, len(r.X), r.Steps, level)
		case len(r.D) != r.Steps*level:
			return fmt.Errorf("runfile: trace: run %s: %d numbers in denoised: expected %d steps × %d", key, len(r.D), r.Steps, level)
		}
		seen[key] = true
	}
	for steps, r := range t.Refs {
		if steps < 0 || len(r.X) != (steps+1)*level {
			return fmt.Errorf("runfile: trace: reference of %d steps: %d numbers in x: expected (%d+1) levels × %d", steps, len(r.X), steps, level)
		}
		if len(r.D) != steps*level && len(r.D) != (steps+1)*level {
			return fmt.Errorf("runfile: trace: reference of %d steps: %d numbers in denoised: expected %d or %d levels × %d", steps, len(r.D), steps, steps+1, level)
		}
	}
	if len(t.Exact)%dim != 0 || len(t.Real)%dim != 0 {
		return fmt.Errorf("runfile: trace: %d numbers of exact and %d of real samples: expected multiples of %d", len(t.Exact), len(t.Real), dim)
	}
	if g := t.Density; g != nil && (g.NX < 2 || g.NY < 2 || len(g.LogP) != g.NX*g.NY) {
		return fmt.Errorf("runfile: trace: density of %d numbers: expected %d × %d, each at least 2", len(g.LogP), g.NY, g.NX)
	}
	return nil
}

// maxDim bounds the values of one sample, so that sizes do not overflow.
const maxDim = 1 << 30

func runKey(r TraceRun) string { return r.Solver + "/" + strconv.Itoa(r.Budget) }

// WriteTrace writes a trace.npz, atomically. Equal traces give equal bytes.
func WriteTrace(path string, t *Trace) error {
	return WriteFile(path, func(w io.Writer) error { return EncodeTrace(w, t) })
}

// EncodeTrace writes t as npz. Equal traces give equal bytes.
func EncodeTrace(w io.Writer, t *Trace) error {
	if err := t.Validate(); err != nil {
		return err
	}
	keys := make([]string, len(t.Runs))
	entries := map[string]npyArray{
		"shape":   ints(t.Shape),
		"samples": ints(t.Samples),
	}
	states := func(n int, v []float32) npyArray {
		return npyArray{append([]int{n, len(t.Samples)}, t.Shape...), v}
	}
	level := max(1, len(t.Samples)*t.Dim())
	for i, r := range t.Runs {
		keys[i] = runKey(r)
		entries["run/"+keys[i]+"/x"] = states(r.Steps+1, r.X)
		entries["run/"+keys[i]+"/denoised"] = states(r.Steps, r.D)
	}
	entries["runs"] = npyArray{[]int{len(keys)}, keys}
	for steps, r := range t.Refs {
		key := "ref/" + strconv.Itoa(steps)
		n := steps
		if len(r.D)/level == steps+1 {
			n = steps + 1
		}
		entries[key+"/x"] = states(steps+1, r.X)
		entries[key+"/denoised"] = states(n, r.D)
	}
	for name, v := range map[string][]float32{"exact": t.Exact, "real": t.Real} {
		if len(v) > 0 {
			entries[name] = npyArray{append([]int{len(v) / t.Dim()}, t.Shape...), v}
		}
	}
	if g := t.Density; g != nil {
		entries["density/logp"] = npyArray{[]int{g.NY, g.NX}, g.LogP}
		entries["density/extent"] = npyArray{[]int{4}, []float64{g.X0, g.X1, g.Y0, g.Y1}}
	}
	return encodeNPZ(w, entries)
}

func ints(v []int) npyArray {
	d := make([]int64, len(v))
	for i, n := range v {
		d[i] = int64(n)
	}
	return npyArray{[]int{len(v)}, d}
}

// ReadTrace reads a trace.npz.
func ReadTrace(path string) (*Trace, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return DecodeTrace(f, size, path)
}

// DecodeTrace reads what [EncodeTrace] writes. Entries that it does not know,
// and arrays that are missing or do not fit, are errors.
func DecodeTrace(r io.ReaderAt, size int64, file string) (*Trace, error) {
	entries, err := readEntries(r, size, file)
	if err != nil {
		return nil, err
	}
	d := traceDecoder{entries: entries}
	t, err := d.trace()
	if err != nil {
		return nil, fmt.Errorf("runfile: %s: %w", file, err)
	}
	return t, nil
}

// readEntries reads the arrays of an npz file by their names.
func readEntries(r io.ReaderAt, size int64, file string) (map[string]npyArray, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("runfile: %s: %w", file, err)
	}
	entries := map[string]npyArray{}
	for _, f := range z.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if _, twice := entries[name]; !ok || twice {
			return nil, fmt.Errorf("runfile: %s: entry %q is unknown or there twice", file, f.Name)
		}
		a, err := readEntry(f, size)
		if err != nil {
			return nil, fmt.Errorf("runfile: %s: entry %q %w", file, f.Name, err)
		}
		entries[name] = a
	}
	return entries, nil
}

// readEntry reads an array of the zip file of the given size. Entries are
// stored, so one that claims to be larger than its file lies.
func readEntry(f *zip.File, size int64) (npyArray, error) {
	if f.Method != zip.Store || f.UncompressedSize64 > uint64(size) {
		return npyArray{}, fmt.Errorf("is compressed or larger than its file: expected it stored")
	}
	rc, err := f.Open()
	if err != nil {
		return npyArray{}, err
	}
	defer rc.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(rc); err != nil {
		return npyArray{}, fmt.Errorf("is damaged: %w", err)
	}
	return decodeNPY(b.Bytes())
}

// traceDecoder takes the entries apart; what is left over is unknown.
type traceDecoder struct {
	entries map[string]npyArray
	err     error
}

func take[E any](d *traceDecoder, name string) ([]E, []int) {
	a, ok := d.entries[name]
	delete(d.entries, name)
	v, is := a.Data.([]E)
	if d.err == nil && !ok {
		d.err = fmt.Errorf("entry %q is missing", name)
	} else if d.err == nil && !is {
		d.err = fmt.Errorf("entry %q holds %T: expected %T", name, a.Data, v)
	}
	return v, a.Shape
}

func (d *traceDecoder) ints(name string) []int {
	v, _ := take[int64](d, name)
	var out []int
	for _, n := range v {
		if int64(int(n)) != n && d.err == nil {
			d.err = fmt.Errorf("entry %q: %d does not fit", name, n)
		}
		out = append(out, int(n))
	}
	return out
}

// states reads levels×samples×shape and returns the number of levels too.
func (d *traceDecoder) states(name string, inner []int) (v []float32, levels int) {
	v, shape := take[float32](d, name)
	if d.err == nil && (len(shape) == 0 || !slices.Equal(shape[1:], inner)) {
		d.err = fmt.Errorf("entry %q has shape %v: expected (n, …%v)", name, shape, inner)
	}
	if d.err != nil {
		return nil, 0
	}
	return v, shape[0]
}

func (d *traceDecoder) trace() (*Trace, error) {
	t := &Trace{Shape: d.ints("shape"), Samples: d.ints("samples")}
	inner := append([]int{len(t.Samples)}, t.Shape...)
	keys, _ := take[string](d, "runs")
	for _, key := range keys {
		i := strings.LastIndexByte(key, '/')
		budget, err := strconv.Atoi(key[i+1:])
		if d.err == nil && (i < 0 || err != nil || strconv.Itoa(budget) != key[i+1:]) {
			d.err = fmt.Errorf("run %q: expected solver/budget", key)
		}
		if d.err != nil {
			break
		}
		r := TraceRun{Solver: key[:i], Budget: budget}
		r.X, r.Steps = d.states("run/"+key+"/x", inner)
		r.D, _ = d.states("run/"+key+"/denoised", inner)
		r.Steps--
		t.Runs = append(t.Runs, r)
	}
	var refs []string
	for name := range d.entries {
		if key, ok := strings.CutSuffix(name, "/x"); ok && strings.HasPrefix(key, "ref/") {
			refs = append(refs, key)
		}
	}
	sort.Strings(refs)
	for _, key := range refs {
		var ref TraceRef
		var levels int
		ref.X, levels = d.states(key+"/x", inner)
		steps := levels - 1
		if d.err == nil && key != "ref/"+strconv.Itoa(steps) {
			d.err = fmt.Errorf("entry %q has %d levels: expected ref/%d/x", key+"/x", levels, steps)
		}
		ref.D, _ = d.states(key+"/denoised", inner)
		if t.Refs == nil {
			t.Refs = map[int]TraceRef{}
		}
		t.Refs[steps] = ref
	}
	if _, ok := d.entries["exact"]; ok {
		t.Exact, _ = d.states("exact", t.Shape)
	}
	if _, ok := d.entries["real"]; ok {
		t.Real, _ = d.states("real", t.Shape)
	}
	if _, ok := d.entries["density/logp"]; ok {
		logp, shape := take[float32](d, "density/logp")
		extent, _ := take[float64](d, "density/extent")
		if d.err == nil && (len(shape) != 2 || len(extent) != 4) {
			d.err = fmt.Errorf("density has shape %v and %d limits: expected two sizes and four limits", shape, len(extent))
		}
		if d.err == nil {
			t.Density = &DensityGrid{extent[0], extent[1], extent[2], extent[3], shape[1], shape[0], logp}
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	if len(d.entries) > 0 {
		return nil, fmt.Errorf("entry %q is unknown", slices.Sorted(maps.Keys(d.entries))[0])
	}
	return t, t.Validate()
}
