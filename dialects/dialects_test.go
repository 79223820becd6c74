package dialects

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func options(t *testing.T, text string) *Options {
	t.Helper()
	o := new(Options)
	if err := json.Unmarshal([]byte(text), o); err != nil {
		t.Fatal(err)
	}
	return o
}

func karras(t *testing.T, n int, args string) Run {
	return Run{
		Peer: "k-diffusion", Sampler: "sample_euler", Steps: n,
		Schedule: options(t, `{"name":"karras","sigma_min":0.1,"sigma_max":10}`), Args: options(t, args),
	}
}

func TestTranslate_Refuses(t *testing.T) {
	for want, r := range map[string]Run{
		`did you mean "k-diffusion"`:                       {Peer: "k-difusion", Sampler: "sample_euler"},
		`did you mean "sample_heun"`:                       {Peer: "k-diffusion", Sampler: "sample_hein"},
		`unknown field "s_chrun" in args`:                  karras(t, 3, `{"s_chrun":1}`),
		`args.s_churn is "a": expected a number`:           karras(t, 3, `{"s_churn":"a"}`),
		`schedule.n is 0 steps: expected 1`:                karras(t, 0, `{}`),
		`schedule.name is missing`:                         {Peer: "k-diffusion", Sampler: "sample_euler", Steps: 3, Schedule: options(t, `{"sigma_min":0.1,"sigma_max":10}`)},
		`schedule.sigma_min is 10 and sigma_max 1`:         {Peer: "k-diffusion", Sampler: "sample_lms", Steps: 3, Schedule: options(t, `{"name":"karras","sigma_min":10,"sigma_max":1}`)},
		`args.order is 9: expected 1 to 4`:                 {Peer: "k-diffusion", Sampler: "sample_lms", Steps: 3, Schedule: options(t, `{"name":"vp"}`), Args: options(t, `{"order":9}`)},
		`schedule.name is "karas"; did you mean "karras"?`: {Peer: "k-diffusion", Sampler: "sample_lms", Steps: 3, Schedule: options(t, `{"name":"karas","sigma_min":1,"sigma_max":10}`)},
	} {
		if _, err := Translate(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected %q", err, want)
		}
	}
}

func TestArray_Property(t *testing.T) {
	var a Array
	if err := json.Unmarshal([]byte(`[[1,2],[3,"NaN"],["Infinity",-6]]`), &a); err != nil {
		t.Fatal(err)
	}
	if !a.Is(3, 2) || a.At(1)[0] != 3 || !math.IsNaN(a.Values[3]) || !math.IsInf(a.Values[4], 1) {
		t.Errorf("read %v of shape %v", a.Values, a.Shape)
	}
	if err := json.Unmarshal([]byte(`[[1,2],[3]]`), &a); err != nil || a.Shape != nil || len(a.Values) != 3 {
		t.Errorf("lists of other lengths: %v, %v, %v", a.Values, a.Shape, err)
	}
	for _, bad := range []string{`["x"]`, `{"a":1}`, `[null]`, `[true]`, `[[[[[[[[[[1]]]]]]]]]]`} {
		if err := json.Unmarshal([]byte(bad), &a); err == nil {
			t.Errorf("%s was read as %v", bad, a.Values)
		}
	}
}
