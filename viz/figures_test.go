package viz

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"snrlab/internal/runfile"
)

// wellFormed reports what an XML reader has against an SVG.
func wellFormed(s string) error {
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// pictures matches what is inside an image.
var pictures = regexp.MustCompile(`data:image/png;base64,[^"]*`)

func (f *folder) budgetsAndFigures() []*Figure {
	all := f.figures()
	for _, b := range f.budgets {
		for _, g := range []*Figure{f.plane(b), f.filmstrip(f.solvers, b, 0)} {
			if g != nil {
				all = append(all, g)
			}
		}
	}
	return all
}

// drawAll draws every figure of f as SVG, alone and inside a page.
func drawAll(t *testing.T, f *folder) []*Figure {
	t.Helper()
	figures := f.budgetsAndFigures()
	for _, g := range figures {
		var b bytes.Buffer
		if err := g.SVG(&b); err != nil {
			t.Fatalf("%s: %v", g.Name, err)
		}
		if err := wellFormed(b.String()); err != nil {
			t.Errorf("%s: not well-formed: %v", g.Name, err)
		}
		if drawn := pictures.ReplaceAllString(b.String(), ""); strings.Contains(drawn, "NaN") || strings.Contains(drawn, "Inf") {
			t.Errorf("%s: draws at NaN or Inf", g.Name)
		}
		in, err := g.inline()
		if err != nil {
			t.Fatalf("%s: %v", g.Name, err)
		}
		if err := wellFormed(string(in)); err != nil {
			t.Errorf("%s: not well-formed in the page: %v", g.Name, err)
		}
		if g.Title == "" || g.Caption == "" {
			t.Errorf("%s has no title or caption", g.Name)
		}
	}
	return figures
}

func readToy(t *testing.T, m toy, methods, kept int, budgets []int) *folder {
	t.Helper()
	dir := t.TempDir()
	writeRun(t, dir, m, methods, kept, budgets)
	f, err := readFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func names(figures []*Figure) []string {
	var out []string
	for _, g := range figures {
		if !slices.Contains(out, g.Name) {
			out = append(out, g.Name)
		}
	}
	return out
}

func TestFigures_Property(t *testing.T) {
	images := drawAll(t, readToy(t, glyphs(), 5, 1, []int{3, 6}))
	if got, want := names(images), []string{"error-by-nfe", "error-by-level", "law-by-nfe", "grid-levels", "filmstrip", "samples"}; !slices.Equal(got, want) {
		t.Errorf("figures of images: %v, expected %v", got, want)
	}
	flat := drawAll(t, readToy(t, plane(), 5, 3, []int{3, 6}))
	if got, want := names(flat), []string{"error-by-nfe", "error-by-level", "law-by-nfe", "grid-levels", "trajectories"}; !slices.Equal(got, want) {
		t.Errorf("figures of the plane: %v, expected %v", got, want)
	}
}

// Whatever stands in a run's rows, figures are drawn without a panic and
// without a coordinate that is none.
func TestFigures_Limit(t *testing.T) {
	base := readToy(t, plane(), 4, 2, []int{2, 4})
	nan, inf := math.NaN(), math.Inf(1)
	for name, v := range map[string]float64{"NaN": nan, "zero": 0, "negative": -1, "+Inf": inf, "-Inf": -inf, "tiny": 5e-324, "huge": math.MaxFloat64, "one": 1} {
		t.Run(name, func(t *testing.T) {
			f := *base
			f.summary = slices.Clone(base.summary)
			f.walks = map[cell][]runfile.StepRow{}
			for i := range f.summary {
				r := &f.summary[i]
				r.RMSE, r.RMSELo, r.RMSEHi, r.P95, r.Strong, r.SW2, r.SW2Floor, r.Order = v, v, v, v, v, v, v, v
			}
			for c, w := range base.walks {
				w = slices.Clone(w)
				for i := range w {
					w[i].Local, w[i].Global, w[i].Denoised, w[i].Strong = v, v, v, v
					w[i].T, w[i].Lambda, w[i].Alpha, w[i].Sigma = v, v, v, v
				}
				f.walks[c] = w
			}
			drawAll(t, &f)
			if _, err := f.page(f.figures()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("states", func(t *testing.T) {
		for _, bad := range []float32{float32(nan), float32(inf), 0} {
			for _, m := range []toy{plane(), glyphs()} {
				f := readToy(t, m, 3, 1, []int{2})
				for _, r := range f.trace.Runs {
					for i := range r.X {
						r.X[i] = bad
					}
					for i := range r.D {
						r.D[i] = bad
					}
				}
				drawAll(t, f)
				if _, err := f.page(f.figures()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	t.Run("empty", func(t *testing.T) {
		f := &folder{}
		f.index()
		if n := len(drawAll(t, f)); n != 0 {
			t.Errorf("%d figures of nothing", n)
		}
		if _, err := f.page(nil); err != nil {
			t.Error(err)
		}
	})
}

func TestFigures_PNG(t *testing.T) {
	f := readToy(t, plane(), 2, 2, []int{2, 4})
	var b bytes.Buffer
	if err := f.errorByNFE().PNG(&b); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	// 8.5 cm at 300 dots per inch.
	if w := img.Bounds().Dx(); w < 1000 || w > 1010 {
		t.Errorf("%d pixels wide, expected about 1004", w)
	}
	// The first solver's colour is somewhere, and so is white.
	seen := map[color.NRGBA]bool{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			seen[color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)] = true
		}
	}
	if !seen[palette[0]] || !seen[color.NRGBA{255, 255, 255, 255}] {
		t.Error("the figure has not the colours it should")
	}
}

func TestStyle_Property(t *testing.T) {
	type look struct {
		color  color.NRGBA
		mark   int
		hollow bool
		dashed bool
	}
	seen := map[look]int{}
	for i := range 16 {
		s := styleOf(i)
		m := slices.IndexFunc(markers[:], func(m marker) bool { return &m.points[0] == &s.marker.points[0] })
		l := look{s.color, m, s.hollow, len(s.dashes) > 0}
		if j, ok := seen[l]; ok {
			t.Errorf("solvers %d and %d look the same", i, j)
		}
		seen[l] = i
	}
}

func TestAxis_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Float64()).Draw(t, "values")
		for _, a := range []axis{logAxis("", values), countAxis("", values, []int{10})} {
			if !(a.lo < a.hi) {
				t.Fatalf("axis from %g to %g", a.lo, a.hi)
			}
			for _, v := range values {
				u := a.place(v)
				if v > 0 && !(u >= 0 && u <= 1) {
					t.Errorf("%g is placed at %g", v, u)
				}
				if v <= 0 && !math.IsNaN(u) {
					t.Errorf("%g has no logarithm but a place, %g", v, u)
				}
			}
		}
	})
	// Readable: at least two labels, whatever the span.
	for span := 1.001; span < 1e30; span *= 1.7 {
		a := logAxis("", []float64{0.037, 0.037 * span})
		n := 0
		for _, k := range a.ticks {
			if u := a.placeTick(k.at); k.label != "" && u >= 0 && u <= 1 {
				n++
			}
		}
		if n < 2 || n > 12 {
			t.Errorf("span %g: %d labels: %v", span, n, a.ticks)
		}
	}
	a := linearAxis("", []float64{-3, 7, math.Inf(1), math.NaN()})
	if u := a.place(math.Inf(1)); !(u > a.place(7) && u < 1) {
		t.Errorf("∞ is placed at %g, 7 at %g", u, a.place(7))
	}
	if u := a.place(math.Inf(-1)); !math.IsNaN(u) {
		t.Errorf("−∞ is placed at %g on an axis that has none", u)
	}
}

func TestStretches_Golden(t *testing.T) {
	for s, want := range map[string][]stretch{
		"plain":        {{"plain", 1, 0}},
		"10^{−3}":      {{"10", 1, 0}, {"−3", 0.75, 0.36}},
		"x_{t} − x*":   {{"x", 1, 0}, {"t", 0.75, -0.18}, {" − x*", 1, 0}},
		"a_b":          {{"a_", 1, 0}, {"b", 1, 0}},
		"end^{":        {{"end^{", 1, 0}},
		"heun(a_b=1)^": {{"heun(a_", 1, 0}, {"b=1)^", 1, 0}},
	} {
		got := stretches(s)
		text := ""
		for _, r := range got {
			text += r.text
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, expected %v", s, got, want)
		}
	}
}

// On a cone the contour at height h is a circle of radius h.
func TestContour_Limit(t *testing.T) {
	g := &runfile.DensityGrid{X0: -2, X1: 2, Y0: -1.5, Y1: 1.5, NX: 81, NY: 61}
	for j := range g.NY {
		for i := range g.NX {
			g.LogP = append(g.LogP, float32(-math.Hypot(-2+4*float64(i)/80, -1.5+3*float64(j)/60)))
		}
	}
	segs := contour(g, -1)
	length := 0.0
	for k := 0; k < len(segs); k += 4 {
		for _, e := range []int{k, k + 2} {
			// Linear interpolation on cells of 0.05 errs by h²/8r = 3e-4.
			if r := math.Hypot(segs[e], segs[e+1]); math.Abs(r-1) > 5e-4 {
				t.Fatalf("a contour point is at radius %g, expected 1", r)
			}
		}
		length += math.Hypot(segs[k+2]-segs[k], segs[k+3]-segs[k+1])
	}
	if math.Abs(length-2*math.Pi) > 0.01 {
		t.Errorf("the contour is %g long, expected 2π", length)
	}
	// A saddle is cut into two lines that do not cross its centre's side.
	saddle := &runfile.DensityGrid{X1: 1, Y1: 1, NX: 2, NY: 2, LogP: []float32{1, -1, -1, 1.5}}
	if got := contour(saddle, 0); len(got) != 8 || got[0] != 0.5 {
		t.Errorf("saddle: %v", got)
	}
}

func TestSheet_Golden(t *testing.T) {
	img, err := Sheet([]float64{-1, 0, 1, 2, math.NaN(), -7}, []int{1, 1, 2}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds() != image.Rect(0, 0, 7, 5) {
		t.Fatalf("bounds %v", img.Bounds())
	}
	for _, c := range []struct {
		x, y int
		want color.NRGBA
	}{
		{0, 0, color.NRGBA{255, 255, 255, 255}},
		{1, 1, color.NRGBA{0, 0, 0, 255}},
		{2, 1, color.NRGBA{128, 128, 128, 255}},
		{4, 1, color.NRGBA{255, 255, 255, 255}},
		{5, 1, color.NRGBA{255, 255, 255, 255}},
		{1, 3, notANumber},
		{2, 3, color.NRGBA{0, 0, 0, 255}},
	} {
		if got := img.At(c.x, c.y); got != c.want {
			t.Errorf("pixel %d,%d is %v, expected %v", c.x, c.y, got, c.want)
		}
	}
	rgb, err := Sheet([]float32{1, -1, 0}, []int{3, 1, 1}, 8)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rgb.At(1, 1), (color.NRGBA{255, 0, 128, 255}); got != want {
		t.Errorf("colour %v, expected %v", got, want)
	}
	var b bytes.Buffer
	if err := WritePNG(&b, rgb, 3); err != nil {
		t.Fatal(err)
	}
	back, err := png.Decode(&b)
	if err != nil || back.Bounds().Dx() != 9 || color.NRGBAModel.Convert(back.At(5, 5)) != rgb.At(1, 1) {
		t.Errorf("enlarged: %v, %v", back.Bounds(), err)
	}
}

func TestSheet_Refuses(t *testing.T) {
	for want, f := range map[string]func() error{
		"positive multiple of 4": func() error { _, err := Sheet(make([]float64, 6), []int{1, 2, 2}, 1); return err },
		"0 values":               func() error { _, err := Sheet([]float32(nil), []int{2, 2}, 1); return err },
		"columns":                func() error { _, err := Sheet(make([]float64, 4), []int{2, 2}, 0); return err },
		"empty shape":            func() error { _, err := Sheet(make([]float64, 4), nil, 1); return err },
		"positive sizes":         func() error { _, err := Sheet(make([]float64, 4), []int{0, 4}, 1); return err },
		"scale 0":                func() error { return WritePNG(io.Discard, image.NewGray(image.Rect(0, 0, 1, 1)), 0) },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
}
