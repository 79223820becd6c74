package guidance

import (
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/models"
)

// A rule is the nesting of its parts in the order that is said, and reads back
// from its name.
func TestRule_AgreesWith_parts(t *testing.T) {
	m := images(t)
	q := queryOf(6, 6, 12)
	for name, build := range map[string]func() models.Denoiser{
		"none": func() models.Denoiser { return m },
		"cfg(scale=sigmas(g=3,lo=0.3,hi=3),rescale=0.7,in=v,threshold=static(bound=0.8))": func() models.Denoiser {
			g := must(CFG(m, Sigmas{3, 0.3, 3}, Rescale{Phi: 0.7, In: models.V{}}))(t)
			return must(Thresholded(g, Static{0.8}))(t)
		},
		"autoguidance(blur=3,scale=constant(g=2))": func() models.Denoiser {
			return must(New(m, must(m.Widened(3))(t), Constant{2}, Rescale{}))(t)
		},
		"autoguidance(scale=constant(g=2),cfg=constant(g=1.5),threshold=dynamic(p=0.9))": func() models.Denoiser {
			good := must(CFG(m, Constant{1.5}, Rescale{}))(t)
			bad := must(CFG(must(m.Widened(2))(t), Constant{1.5}, Rescale{}))(t)
			return must(Thresholded(must(New(good, bad, Constant{2}, Rescale{}))(t), Dynamic{0.9, 1}))(t)
		},
	} {
		rule := must(ParseRule(name))(t)
		if rule.String() != name {
			t.Errorf("%s prints as %s", name, rule)
		}
		var counters []*models.Counter
		d := must(rule.Guide(m, func(d models.Denoiser) models.Denoiser {
			counters = append(counters, models.NewCounter(d))
			return counters[len(counters)-1]
		}))(t)
		got, want := make([]float64, len(q.X)), make([]float64, len(q.X))
		if err := d.Denoise(t.Context(), got, q); err != nil {
			t.Fatal(err)
		}
		if err := build().Denoise(t.Context(), want, q); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s answers otherwise than its parts", name)
		}
		rows := 0
		for _, c := range counters {
			rows += c.Rows()
		}
		if rows < q.Rows {
			t.Errorf("%s: %d evaluations of %d rows are seen", name, rows, q.Rows)
		}
		plain := q
		plain.Labels = nil
		if err := d.Denoise(t.Context(), got, plain); (err != nil) != rule.Labelled() {
			t.Errorf("%s without labels: %v, and it says labelled: %v", name, err, rule.Labelled())
		}
	}
}

func TestRule_Refuses(t *testing.T) {
	for name, say := range map[string]string{
		"cfg(scale=sigmas(g=2,lo=3,hi=1))":         "lo < hi",
		"cfg(scale=constant(g=Inf))":               "finite",
		"cfg(rescale=2)":                           "0 ≤ φ ≤ 1",
		"cfg(threshold=dynamic(p=99.5))":           "0 < p ≤ 1",
		"cfg(in=z)":                                "unknown prediction",
		"cfg(strength=2)":                          "unknown argument",
		"autoguidance(blur=1)":                     "above 1",
		"autoguidance(cfg=lambdas(g=2,lo=1,hi=0))": "lo < hi",
		"clever": "unknown guidance",
	} {
		if _, err := ParseRule(name); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: got %v, expected an error with %q", name, err, say)
		}
	}
	for _, r := range []Rule{ClassifierFree{}, ClassifierFree{Scale: Constant{2}}, Autoguidance{Blur: math.NaN()}} {
		if r.Validate() == nil {
			t.Errorf("%#v is accepted", r)
		}
	}
	field := must(models.NewPointSet([]int{2}, []float64{0, 1, 1, 0}, nil))(t)
	rule := must(ParseRule("autoguidance(scale=constant(g=2))"))(t)
	if _, err := rule.Guide(struct{ models.Denoiser }{field}, nil); err == nil || !strings.Contains(err.Error(), "mixture") {
		t.Errorf("autoguidance of what has no components: %v", err)
	}
}
