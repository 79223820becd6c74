package experiments

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/internal/study"
)

// finding returns the finding whose claim has a part.
func finding(t *testing.T, s *study.Study, part string) study.Finding {
	t.Helper()
	for _, f := range s.Findings {
		if strings.Contains(f.Claim, part) {
			return f
		}
	}
	t.Fatalf("no finding on %q", part)
	return study.Finding{}
}

func TestGuidance_Property(t *testing.T) {
	race.Measures(t)
	s := shrunk(t, "guidance", "scales", "1,2,4", "steps", "50", "quantiles", "400", "particles", "200", "refine", "20,40", "auto", "1,1.25,1.5")
	for claim, want := range map[string]study.Verdict{
		"Without guidance the flow samples the class": study.Yes,
		"Guidance with G = 2 samples the tilted law":  study.No,
		"Guidance with G = 4 samples the tilted law":  study.No,
		"Limited to an interval":                      study.Yes,
		"In the plane the component":                  study.Yes,
		"Nor does the flow of guidance":               study.Yes,
		"Guided by a model with twice the variance":   study.Yes,
	} {
		if f := finding(t, s, claim); f.Holds != want {
			t.Errorf("%s: %s, measured %g, expected %s", claim, f.Holds, f.Measured, f.Expected)
		}
	}
	// An independent program's means, good to 0.01, and to a few steps and quantiles.
	for claim, want := range map[string]float64{"Guidance with G = 2": 1.317, "Guidance with G = 4": 1.668} {
		if f := finding(t, s, claim); math.Abs(f.Measured-want) > 0.03 {
			t.Errorf("%s: mean %g, expected %g", claim, f.Measured, want)
		}
	}
}

func TestGuidanceDigits_Property(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluates the digits ten thousand times")
	}
	s := shrunk(t, "guidance-digits", "steps", "8", "rows", "6", "levels", "10", "particles", "8", "fine_steps", "10", "scales", "4")
	for claim, want := range map[string]study.Verdict{
		"The tilted law of these images hardly differs": study.Yes,
		"Limited to the interval, G = 4":                study.Yes,
		"Autoguidance narrows":                          study.Yes,
		"Autoguidance with G = 1.35 repairs":            study.Yes,
	} {
		if f := finding(t, s, claim); f.Holds != want {
			t.Errorf("%s: %s, measured %g, expected %s", claim, f.Holds, f.Measured, f.Expected)
		}
	}
}

// A sample guided with G = 1 is that of the class, bit for bit; with G = 3 it is
// not.
func TestSample_Guidance(t *testing.T) {
	draw := func(rule string) string {
		r, err := Load("guided-digits")
		if err != nil {
			t.Fatal(err)
		}
		for field, v := range map[string]string{"guidance": rule, "rows": "2", "steps": "4"} {
			if err := r.Set(field, v); err != nil {
				t.Fatal(err)
			}
		}
		info, err := Run(t.Context(), r, Options{Out: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := hashFile(filepath.Join(info.Dir, SamplesNPZ))
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	plain := draw("none")
	if draw("cfg(scale=constant(g=1))") != plain {
		t.Error("G = 1 changes the samples")
	}
	if draw("cfg(scale=constant(g=3))") == plain {
		t.Error("G = 3 changes nothing")
	}
}

func TestGuidance_Refuses(t *testing.T) {
	for _, c := range []struct{ recipe, field, value, say string }{
		{"guidance", "scales", "2,4", "scales from 1"},
		{"guidance", "scales", "4,2,1", "rising"},
		{"guidance", "shown", "2,5", "not among the scales"},
		{"guidance", "lo", "3", "lo < hi"},
		{"guidance", "refine", "10", "two rising"},
		{"guidance", "particles", "1", "particles"},
		{"guidance-digits", "scales", "1,2", "above 1"},
		{"guidance-digits", "hi", "0.5", "lo < hi"},
		{"guidance-digits", "rescale", "2", "φ"},
		{"guidance-digits", "blur", "1", "blur"},
		{"guidance-digits", "flaw", "2", "below that of blur"},
		{"guidance-digits", "repair", "1", "above 1"},
		{"guidance-digits", "threshold", "dynamic(p=99.5)", "0 < p ≤ 1"},
		{"guidance-digits", "model", "gm2d", "images with classes"},
		{"guidance-digits", "solver", "ddim(eta=1)", "deterministic"},
		{"guided-digits", "class", "-1", "set field class"},
		{"guided-digits", "class", "12", "has the classes"},
		{"guided-digits", "guidance", "cfg(scale=sigmas(g=2,lo=2,hi=1))", "lo < hi"},
		{"guided-digits", "guidance", "autoguidance(blur=0.5)", "above 1"},
	} {
		r, err := Load(c.recipe)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Set(c.field, c.value); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Plan(Options{}); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s of %s = %s: got %v, expected an error with %q", c.field, c.recipe, c.value, err, c.say)
		}
	}
}
