package experiments

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"snrlab/data"
	"snrlab/internal/spec"
	"snrlab/models"
)

// Model is an exact denoiser by name, with what a run records of it.
type Model struct {
	models.Exact
	Name    string
	Inputs  map[string]string // SHA-256 of the content it was made of
	Classes []int             // that it can be conditioned on; none if it has no labels
	Real    []float64         // real data to show beside samples, rows×dim; may be empty
}

// Unwrap returns the model itself, so that its name hides nothing it knows.
func (m *Model) Unwrap() models.Denoiser { return m.Exact }

// ModelEntry is one line of the list of models. A name that ends in ":" takes
// a file or a folder after it; one that ends in "(...)" takes arguments as the
// names of schedules do.
type ModelEntry struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
	open    func(arg string, o Options) (*Model, error)
}

// Models lists the models that a recipe can name.
func Models() []ModelEntry {
	return []ModelEntry{
		{"digits", "mixture of low-rank Gaussians fitted to MNIST, ten classes; inside the program", openDigits},
		{"points:mnist-test", "optimal denoiser of the 10,000 MNIST test images, ten classes", openMNIST},
		{"gm2d", "three Gaussians in the plane, the mixture that methods are measured on", zoo(models.GM2D)},
		{"gm1d", "two Gaussians on the line", zoo(models.GM1D)},
		{"gmm2", "eight Gaussians in the plane, of unequal weights and widths", zoo(models.GMM2)},
		{"gmm16", "five diagonal Gaussians in 16 dimensions", zoo(models.GMM16)},
		{"gauss4", "one Gaussian in 4 dimensions, whose trajectories have a closed form", zoo(models.Gauss4)},
		{"needles", "six nearly singular Gaussians in 8 dimensions, long in two of them, which cross in pairs", zoo(models.Needles)},
		{"field(...)", "stationary Gaussian random field, field(size=64,spectrum=power(a=2)) say", openNamed},
		{"fields(...)", "mixture of such fields, a class each: fields(of=[field(...),field(...)],weights=[1,2])", openNamed},
		{"measured-field(...)", "the field with the power spectrum of a set of images: measured-field(of=points:mnist-test,pool=1)", openNamed},
		{"npz:", "optimal denoiser of the rows of an array: npz:FILE, or npz:FILE#NAME where it holds several", openNPZ},
		{"png:", "optimal denoiser of the PNG images of a folder, all of one size: png:FOLDER", openPNG},
	}
}

// OpenModel resolves the name of a model and reads its inputs.
func OpenModel(name string, o Options) (*Model, error) {
	m, err := openModel(name, o)
	if err != nil {
		return nil, fmt.Errorf("experiments: %w", err)
	}
	return m, nil
}

// openModel is OpenModel for callers that say themselves where an error is.
func openModel(name string, o Options) (*Model, error) {
	var names []string
	for _, e := range Models() {
		arg, takes := strings.CutPrefix(name, e.Name)
		takes = takes && strings.HasSuffix(e.Name, ":")
		if takes && arg == "" {
			return nil, fmt.Errorf("field model: %q names no file or folder: expected it after the colon", name)
		}
		if head, _, _ := strings.Cut(name, "("); e.Name == head+"(...)" {
			arg, takes = name, true
		}
		if e.Name == name || takes {
			m, err := e.open(arg, o)
			if err != nil {
				return nil, fmt.Errorf("field model: %s: %w", name, err)
			}
			m.Name = name
			return m, nil
		}
		names = append(names, e.Name)
	}
	return nil, fmt.Errorf("field model: unknown model %q%s", name, spec.Suggest(name, names))
}

// openModels opens the models of a recipe and puts what they read into its plan.
func openModels(p *Plan, names []string, o Options) ([]*Model, error) {
	var list []*Model
	p.Inputs = map[string]string{}
	for _, name := range names {
		m, err := openModel(name, o)
		if err != nil {
			return nil, err
		}
		maps.Copy(p.Inputs, m.Inputs)
		list = append(list, m)
	}
	return list, nil
}

func zoo[M models.Exact](open func() M) func(string, Options) (*Model, error) {
	return func(string, Options) (*Model, error) { return &Model{Exact: open()}, nil }
}

// openDigits is the mixture inside the program.
func openDigits(string, Options) (*Model, error) {
	d, err := data.Digits()
	if err != nil {
		return nil, err
	}
	m, err := models.NewMixture(models.Components{
		Shape: d.Shape, Weights: d.Weights, Means: d.Means, Loadings: d.Loadings, Residual: d.Residual, Labels: d.Labels,
	})
	if err != nil {
		return nil, err
	}
	return &Model{Exact: m, Inputs: map[string]string{"digits": data.DigitsSum()}, Classes: classes(d.Labels)}, nil
}

func openMNIST(_ string, o Options) (*Model, error) { return points("points:mnist-test", o) }
func openNPZ(arg string, o Options) (*Model, error) { return points("npz:"+arg, o) }
func openPNG(arg string, o Options) (*Model, error) { return points("png:"+arg, o) }

// dataSet reads the data behind the name of a model that is made of points.
func dataSet(name string, o Options) (*data.Set, error) {
	kind, arg, _ := strings.Cut(name, ":")
	switch {
	case name == "points:mnist-test":
		return data.LoadMNIST(o.MNIST, "test")
	case kind == "npz" && arg != "":
		file, array, _ := strings.Cut(arg, "#")
		return data.LoadNPZ(file, array)
	case kind == "png" && arg != "":
		return data.LoadPNG(arg)
	}
	return nil, fmt.Errorf("no data set %q: expected points:mnist-test, npz:FILE or png:FOLDER", name)
}

// points is the optimal denoiser of a data set.
func points(name string, o Options) (*Model, error) {
	s, err := dataSet(name, o)
	if err != nil {
		return nil, err
	}
	p, err := models.NewPointSet(s.Shape(), s.Values(), s.Labels)
	if err != nil {
		return nil, err
	}
	return &Model{
		Exact:   p,
		Inputs:  map[string]string{s.Name: contentHash(s.Shape(), s.Values(), s.Labels)},
		Classes: classes(s.Labels),
		Real:    s.Values()[:min(s.Len(), realRows)*s.Dim()],
	}, nil
}

// realRows is how many real samples are kept to be shown beside drawn ones.
const realRows = 64

func classes(labels []int) []int {
	set := map[int]bool{}
	for _, l := range labels {
		set[l] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// labelsOf returns the labels of n rows conditioned on a class; none for −1.
func (m *Model) labelsOf(class, n int) ([]int, error) {
	switch {
	case class < 0:
		return nil, nil
	case len(m.Classes) == 0:
		return nil, fmt.Errorf("field class is %d, but model %s has no classes: leave it out", class, m.Name)
	case !slices.Contains(m.Classes, class):
		return nil, fmt.Errorf("field class is %d: model %s has the classes %v", class, m.Name, m.Classes)
	}
	return slices.Repeat([]int{class}, n), nil
}

// contentHash is the SHA-256 of shape, values and labels: what was read, not
// how it was packed.
func contentHash(shape []int, values []float64, labels []int) string {
	h := sha256.New()
	fmt.Fprintf(h, "shape %v values %d labels %d\n", shape, len(values), len(labels))
	buf := make([]byte, 0, 8<<10)
	put := func(bits uint64) {
		if buf = binary.LittleEndian.AppendUint64(buf, bits); len(buf) == cap(buf) {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	for _, v := range values {
		put(math.Float64bits(v))
	}
	for _, l := range labels {
		put(uint64(l))
	}
	h.Write(buf)
	return hex.EncodeToString(h.Sum(nil))
}
