package guidance

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"snrlab/internal/spec"
	"snrlab/models"
)

// Rule is a way to guide a model, in one line of a recipe. Its parts act in a
// fixed order: classifier-free guidance innermost, then autoguidance, then the
// threshold.
type Rule interface {
	// Guide returns the guided denoiser. wrap is put around every model that it
	// asks, so that a caller can count; nil for none.
	Guide(d models.Denoiser, wrap func(models.Denoiser) models.Denoiser) (models.Denoiser, error)
	// Labelled says whether queries have to carry labels.
	Labelled() bool
	Validate() error
	String() string // parseable, e.g. "cfg(scale=constant(g=2),rescale=0.7,in=v)"
}

// Unguided leaves a model as it is.
type Unguided struct{}

// ClassifierFree is [CFG] with a threshold.
type ClassifierFree struct {
	Scale     Scale             `json:"scale"`
	Rescale   float64           `json:"rescale"` // φ
	In        models.Prediction `json:"in"`      // unit of the rescale
	Threshold Threshold         `json:"threshold"`
}

// Autoguidance guides a mixture away from the same mixture with wider
// components, of blur times the covariance, both under classifier-free guidance
// where CFG is not a constant 1.
type Autoguidance struct {
	Blur      float64           `json:"blur"`
	Scale     Scale             `json:"scale"`
	CFG       Scale             `json:"cfg"`
	Rescale   float64           `json:"rescale"` // φ, against the good model
	In        models.Prediction `json:"in"`
	Threshold Threshold         `json:"threshold"`
}

// Rules lists the rules that [ParseRule] reads.
func Rules() spec.Registry[Rule] {
	return spec.Registry[Rule]{
		Kind: "guidance",
		Entries: []spec.Entry[Rule]{
			{Name: "none", Summary: "the model as it is", Default: Unguided{}},
			{Name: "cfg", Summary: "a class, away from all of them", Default: ClassifierFree{Scale: Constant{1}, In: models.X0{}, Threshold: None{}}},
			{Name: "autoguidance", Summary: "a mixture, away from itself blurred", Default: Autoguidance{Blur: 2, Scale: Constant{1}, CFG: Constant{1}, In: models.X0{}, Threshold: None{}}},
		},
		Nested: map[reflect.Type]func(string) (any, error){
			reflect.TypeFor[Scale]():             func(s string) (any, error) { return Scales().Parse(s) },
			reflect.TypeFor[Threshold]():         func(s string) (any, error) { return Thresholds().Parse(s) },
			reflect.TypeFor[models.Prediction](): func(s string) (any, error) { return models.Predictions().Parse(s) },
		},
	}
}

// ParseRule reads what String prints.
func ParseRule(s string) (Rule, error) {
	v, err := Rules().Parse(s)
	if err != nil {
		return nil, fmt.Errorf("guidance: %s", strings.ReplaceAll(err.Error(), "guidance: ", ""))
	}
	return v, nil
}

// Guide returns the model itself.
func (Unguided) Guide(d models.Denoiser, wrap func(models.Denoiser) models.Denoiser) (models.Denoiser, error) {
	return wrapped(d, wrap), nil
}

// Guide returns the model guided to the labels of its queries.
func (c ClassifierFree) Guide(d models.Denoiser, wrap func(models.Denoiser) models.Denoiser) (models.Denoiser, error) {
	g, err := CFG(wrapped(d, wrap), c.Scale, Rescale{Phi: c.Rescale, In: c.In})
	if err != nil {
		return nil, err
	}
	return bounded(g, c.Threshold)
}

// Guide returns the mixture guided away from its blurred self.
func (a Autoguidance) Guide(d models.Denoiser, wrap func(models.Denoiser) models.Denoiser) (models.Denoiser, error) {
	m, ok := models.As[interface {
		Widened(by float64) (*models.Mixture, error)
	}](d)
	if !ok {
		return nil, errors.New("guidance: autoguidance by blur: expected a mixture of Gaussians, whose components can be widened")
	}
	worse, err := m.Widened(a.Blur)
	if err != nil {
		return nil, err
	}
	pair := [2]models.Denoiser{wrapped(d, wrap), wrapped(worse, wrap)}
	if a.Labelled() {
		for i, p := range pair {
			if pair[i], err = CFG(p, a.CFG, Rescale{}); err != nil {
				return nil, err
			}
		}
	}
	g, err := New(pair[0], pair[1], a.Scale, Rescale{Phi: a.Rescale, In: a.In})
	if err != nil {
		return nil, err
	}
	return bounded(g, a.Threshold)
}

func wrapped(d models.Denoiser, wrap func(models.Denoiser) models.Denoiser) models.Denoiser {
	if wrap == nil {
		return d
	}
	return wrap(d)
}

func bounded(d models.Denoiser, t Threshold) (models.Denoiser, error) {
	if _, none := t.(None); none {
		return d, nil
	}
	return Thresholded(d, t)
}

// Labelled says no.
func (Unguided) Labelled() bool { return false }

// Labelled says yes.
func (ClassifierFree) Labelled() bool { return true }

// Labelled says whether both models are under classifier-free guidance.
func (a Autoguidance) Labelled() bool { return a.CFG != Scale(Constant{1}) }

// Validate accepts.
func (Unguided) Validate() error { return nil }

// Validate reports parts that cannot be used.
func (c ClassifierFree) Validate() error { return usable(c.Rescale, c.Threshold, c.Scale) }

// Validate reports parts that cannot be used.
func (a Autoguidance) Validate() error {
	if !(a.Blur > 1) {
		return fmt.Errorf("blur = %g: expected a factor above 1", a.Blur)
	}
	return usable(a.Rescale, a.Threshold, a.Scale, a.CFG)
}

// usable reports parts of a rule that are missing or cannot be used.
func usable(phi float64, t Threshold, scales ...Scale) error {
	for _, s := range scales {
		if s == nil {
			return errors.New("expected a scale, constant(g=2) say")
		}
		if err := s.Validate(); err != nil {
			return fmt.Errorf("scale %s: %w", s, err)
		}
	}
	if t == nil {
		return errors.New("expected a threshold, none say")
	}
	if err := t.Validate(); err != nil {
		return fmt.Errorf("threshold %s: %w", t, err)
	}
	return Rescale{Phi: phi}.Validate()
}

func (u Unguided) String() string       { return Rules().Format("none", u) }
func (c ClassifierFree) String() string { return Rules().Format("cfg", c) }
func (a Autoguidance) String() string   { return Rules().Format("autoguidance", a) }
