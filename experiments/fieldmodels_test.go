package experiments

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/models"
)

func TestOpenModel_Fields(t *testing.T) {
	race.Measures(t)
	open := func(name string) *Model {
		t.Helper()
		m, err := OpenModel(name, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if m.Name != name {
			t.Errorf("%s is named %s", name, m.Name)
		}
		return m
	}
	for name, shape := range map[string][]int{
		"field": {1, 64, 64}, "field(size=32,pool=4,channels=3)": {3, 8, 8}, "field(size=16,spectrum=white(variance=2))": {1, 16, 16},
		"fields(of=[field(size=16),field(size=16,mean=1,spectrum=white)],weights=[1,3],pool=2)": {1, 8, 8},
	} {
		if m := open(name); !slices.Equal(m.Shape(), shape) {
			t.Errorf("%s has shape %v, expected %v", name, m.Shape(), shape)
		}
	}
	f, ok := models.As[*models.Field](open("field(size=16,spectrum=white(variance=2),pool=2)"))
	if !ok || math.Abs(f.Variance()-0.5) > 1e-15 {
		t.Errorf("white noise of variance 2, pooled by 2: %v, %v", f, ok)
	}
	if m := open("fields(of=[field(size=16),field(size=16,mean=1)])"); !slices.Equal(m.Classes, []int{0, 1}) {
		t.Errorf("classes %v, expected 0 and 1", m.Classes)
	}
	// The spectrum of the digits keeps their variance, whatever their size.
	m, err := OpenModel("measured-field", Options{})
	if err != nil {
		t.Fatal(err)
	}
	set, err := dataSet("points:mnist-test", Options{})
	if err != nil {
		t.Fatal(err)
	}
	mean, square := 0.0, 0.0
	for _, v := range set.Values() {
		mean, square = mean+v/float64(len(set.Values())), square+v*v/float64(len(set.Values()))
	}
	f, _ = models.As[*models.Field](m)
	if v := square - mean*mean; math.Abs(f.Variance()/v-1) > 1e-9 || len(m.Inputs) != 1 {
		t.Errorf("the field of MNIST has variance %g, the images %g; inputs %v", f.Variance(), v, m.Inputs)
	}
}

// The field of a folder of colour images has their spectrum by channel.
func TestOpenModel_Fields_PNG(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		img := image.NewNRGBA(image.Rect(0, 0, 8, 6))
		for y := range 6 {
			for x := range 8 {
				// Red a wave of one cycle across, green flat and other in each image.
				red := 128 + 100*math.Cos(2*math.Pi*float64(x)/8)
				img.SetNRGBA(x, y, color.NRGBA{R: uint8(math.Round(red)), G: uint8(60 * i), B: 7, A: 255})
			}
		}
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i, ".png")))
		if err != nil {
			t.Fatal(err)
		}
		if err := cmp.Or(png.Encode(f, img), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	m, err := OpenModel("measured-field(of=png:"+dir+")", Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, ok := models.As[*models.Field](m)
	if !ok || !slices.Equal(f.Shape(), []int{3, 6, 8}) {
		t.Fatalf("shape %v", m.Shape())
	}
	p := f.Power()
	red, green, blue := p[:30], p[30:60], p[60:]
	total := func(p []float64) (sum float64) {
		for _, v := range p {
			sum += v
		}
		return sum
	}
	// Rounding to 255 steps leaves a thousandth of the wave elsewhere.
	if red[1] < 0.999*total(red) || green[0] < 0.999*total(green) || green[0] == 0 || total(blue) > 1e-20 {
		t.Errorf("power of red %v, green %v, blue %v", red, green, blue)
	}
}

// A recipe's model is stored with all of its arguments.
func TestRecipe_ResolvesModel(t *testing.T) {
	for model, want := range map[string]string{
		"field(size=16)": "field(size=16,channels=1,mean=0,pool=1,spectrum=power)",
		"gm2d":           "gm2d",
		"measured-field": "measured-field(of=points:mnist-test,pool=1)",
	} {
		s := DefaultSample()
		s.Model = model
		text, err := (&Recipe{Source: "test", Experiment: &s}).Resolved()
		if err != nil || !strings.Contains(text, "model = \""+want+"\"") {
			t.Errorf("%s resolves to %v\n%s", model, err, text)
		}
	}
	d := DefaultDifficulty()
	d.Models, d.Rows = []string{"field(size=8,pool=2)"}, d.Rows[:1]
	if text, err := (&Recipe{Source: "test", Experiment: &d}).Resolved(); err != nil || !strings.Contains(text, "field(size=8,channels=1,mean=0,pool=2,spectrum=power)") {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestOpenModel_Fields_Refuses(t *testing.T) {
	for name, want := range map[string]string{
		"field(size=15)":                              "even",
		"field(size=16,pool=3)":                       "divides",
		"field(size=12,pool=4)":                       "even",
		"field(channels=0)":                           "at least 1",
		"field(mean=+Inf)":                            "finite",
		"field(spectrum=pink)":                        "unknown spectrum",
		"field(spectrum=power(variance=0))":           "variance = 0",
		"field(sise=3)":                               `did you mean "size"`,
		"fields":                                      "at least one member",
		"fields(of=[field],weights=[1,2])":            "a weight each",
		"fields(of=[field,field(size=16)])":           "one shape",
		"fields(of=[field(pool=2)])":                  "single field",
		"fields(of=[fields(of=[field,field])])":       "single field",
		"fields(of=[field,field],weights=[1,0])":      "Weights[1] = 0",
		"measured-field(of=digits)":                   "no data set",
		"measured-field(of=points:mnist-test,pool=4)": "even", // 7×7
		"measured-field(of=points:mnist-test,pool=5)": "divides",
		"feild": "unknown model",
	} {
		if _, err := OpenModel(name, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected an error with %q", name, err, want)
		}
	}
}
