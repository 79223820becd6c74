package experiments

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"snrlab/internal/spec"
	"snrlab/models"
)

// namedModel is a model that is built from the arguments of its name.
type namedModel interface {
	// components are those of the mixture of fields that it is, before pooling,
	// with the hashes of what it was made of.
	components(o Options) (models.FieldComponents, map[string]string, error)
	pool() int
	String() string
}

// namedModels lists them, in the order of [Models].
func namedModels() spec.Registry[namedModel] {
	return spec.Registry[namedModel]{
		Kind: "model",
		Entries: []spec.Entry[namedModel]{
			{Name: "field", Default: fieldModel{Size: 64, Channels: 1, Pool: 1, Spectrum: models.PowerLaw{A: 2, Corner: 1, Variance: 1}}},
			{Name: "fields", Default: fieldMixture{Pool: 1}},
			{Name: "measured-field", Default: measuredField{Of: "points:mnist-test", Pool: 1}},
		},
		Nested: map[reflect.Type]func(string) (any, error){
			reflect.TypeFor[models.Spectrum](): func(s string) (any, error) { return models.Spectra().Parse(s) },
			reflect.TypeFor[namedModel]():      func(s string) (any, error) { return namedModels().Parse(s) },
		},
	}
}

// fullModel writes the name of a model that takes arguments with all of them;
// other names, and those that cannot be read, are left to what opens them.
func fullModel(name string) string {
	m, err := namedModels().Parse(name)
	if err != nil {
		return name
	}
	return fullName(m, namedModels().Parse)
}

// openNamed builds the model of a name with arguments.
func openNamed(name string, o Options) (*Model, error) {
	m, err := namedModels().Parse(name)
	if err != nil {
		return nil, err
	}
	c, inputs, err := m.components(o)
	if err != nil {
		return nil, err
	}
	mixture, err := models.NewFieldMixture(c)
	if err != nil {
		return nil, err
	}
	if mixture, err = mixture.Pool(m.pool()); err != nil {
		return nil, err
	}
	out := &Model{Exact: mixture, Inputs: inputs, Classes: c.Labels}
	if mixture.Len() == 1 {
		out.Exact = &models.Field{FieldMixture: mixture}
	}
	return out, nil
}

// fieldModel is a field of Size×Size pixels of a spectrum, averaged over blocks
// of Pool×Pool of them.
type fieldModel struct {
	Size     int             `json:"size"` // before pooling
	Channels int             `json:"channels"`
	Mean     float64         `json:"mean"`
	Pool     int             `json:"pool"`
	Spectrum models.Spectrum `json:"spectrum"`
}

func (f fieldModel) pool() int      { return f.Pool }
func (f fieldModel) String() string { return namedModels().Format("field", f) }

func (f fieldModel) components(Options) (models.FieldComponents, map[string]string, error) {
	if f.Channels < 1 {
		return models.FieldComponents{}, nil, fmt.Errorf("field of %d channels: expected at least 1", f.Channels)
	}
	power, err := f.Spectrum.Power(f.Size, f.Size)
	if err != nil {
		return models.FieldComponents{}, nil, err
	}
	return models.FieldComponents{
		Shape: []int{f.Channels, f.Size, f.Size}, Weights: []float64{1},
		Means: slices.Repeat([]float64{f.Mean}, f.Channels), Power: slices.Repeat(power, f.Channels),
	}, nil, nil
}

// measuredField is the field with the power spectrum and the mean values that a
// set of images has: see [models.FitSpectrum].
type measuredField struct {
	Of   string `json:"of"` // a model that is made of points
	Pool int    `json:"pool"`
}

func (f measuredField) pool() int      { return f.Pool }
func (f measuredField) String() string { return namedModels().Format("measured-field", f) }

func (f measuredField) components(o Options) (models.FieldComponents, map[string]string, error) {
	set, err := dataSet(f.Of, o)
	if err != nil {
		return models.FieldComponents{}, nil, err
	}
	mean, power, err := models.FitSpectrum(set.Shape(), set.Values())
	if err != nil {
		return models.FieldComponents{}, nil, err
	}
	return models.FieldComponents{Shape: set.Shape(), Weights: []float64{1}, Means: mean, Power: power},
		map[string]string{set.Name: contentHash(set.Shape(), set.Values(), set.Labels)}, nil
}

// fieldMixture is a mixture of fields of one size, whose classes are their places
// in the list.
type fieldMixture struct {
	Of      []namedModel `json:"of"`
	Weights []float64    `json:"weights"` // one each; none for equal ones
	Pool    int          `json:"pool"`
}

func (f fieldMixture) pool() int      { return f.Pool }
func (f fieldMixture) String() string { return namedModels().Format("fields", f) }

func (f fieldMixture) components(o Options) (all models.FieldComponents, inputs map[string]string, err error) {
	all.Weights = f.Weights
	if len(all.Weights) == 0 {
		all.Weights = slices.Repeat([]float64{1}, len(f.Of))
	}
	if len(f.Of) == 0 || len(f.Of) != len(all.Weights) {
		return all, nil, fmt.Errorf("fields with %d members and %d weights: expected at least one member, and a weight each or none", len(f.Of), len(f.Weights))
	}
	inputs = map[string]string{}
	for i, m := range f.Of {
		c, in, err := m.components(o)
		if err != nil {
			return all, nil, err
		}
		if len(c.Weights) != 1 || m.pool() != 1 {
			return all, nil, fmt.Errorf("member %s of fields: expected a single field, pooled with the whole (pool=%d there)", m, m.pool())
		}
		if i == 0 {
			all.Shape = c.Shape
		} else if !slices.Equal(all.Shape, c.Shape) {
			return all, nil, fmt.Errorf("member %s of fields has shape %v, the first %v: expected one shape", m, c.Shape, all.Shape)
		}
		all.Means = append(all.Means, c.Means...)
		all.Power = append(all.Power, c.Power...)
		all.Labels = append(all.Labels, i)
		maps.Copy(inputs, in)
	}
	return all, inputs, nil
}
