package viz

import (
	"bytes"
	"image/png"
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/internal/study"
)

func lineTable() *study.Table {
	t := &study.Table{Name: "t", Caption: "c", Columns: []study.Column{
		{Name: "x"}, {Name: "y"}, {Name: "lo"}, {Name: "hi"}, {Name: "truth", Label: "exact"}, {Name: "size", Unit: "px"}, {Name: "kind", Text: true},
	}}
	for i := range 5 {
		x := float64(i)
		t.Add(x, 2*x, 2*x-1, 2*x+1, 2*x+0.5, 16, "curve")
		t.Add(x, -x, -x-1, -x+1, -x+0.5, 32, "curve")
	}
	t.Add(1.5, 3, 0, 0, 0, 16, "dot")
	t.Add(9, 9, 0, 0, 0, 16, "other")
	return t
}

// Rows become the curves that a panel asks for, and no others.
func TestCurvesOf(t *testing.T) {
	p := study.Panel{
		X: "x", Y: []string{"y"}, Low: []string{"lo"}, High: []string{"hi"}, Reference: []string{"truth"},
		Series: "size", Where: map[string]string{"kind": "curve"}, Dots: map[string]string{"kind": "dot"},
	}
	curves := curvesOf(lineTable(), p)
	if len(curves) != 4 {
		t.Fatalf("%d curves: expected two and a reference of each", len(curves))
	}
	rise, truth, fall := curves[0], curves[1], curves[2]
	if rise.name != "size (px) 16" || fall.name != "size (px) 32" || !truth.reference || truth.of != rise.name || truth.name != "exact" {
		t.Errorf("curves are called %q, %q and %q of %q", rise.name, fall.name, truth.name, truth.of)
	}
	if !slices.Equal(rise.x, []float64{0, 1, 2, 3, 4}) || !slices.Equal(rise.y, []float64{0, 2, 4, 6, 8}) || !slices.Equal(fall.y, []float64{0, -1, -2, -3, -4}) {
		t.Errorf("the curves are %v over %v and %v", rise.y, rise.x, fall.y)
	}
	if rise.low[1] != 1 || rise.high[1] != 3 || truth.y[1] != 2.5 || !slices.Equal(rise.dotX, []float64{1.5}) || !slices.Equal(rise.dotY, []float64{3}) || len(fall.dotX) != 0 {
		t.Errorf("the curve has the interval %g to %g, the reference %g, dots %v", rise.low[1], rise.high[1], truth.y[1], rise.dotX)
	}
	p.Series, p.Y, p.Low, p.High, p.Reference = "", []string{"y", "truth"}, nil, nil, nil
	if curves = curvesOf(lineTable(), p); len(curves) != 2 || curves[0].name != "y" || curves[1].name != "exact" {
		t.Errorf("without series the curves are %+v: expected one for each column", curves)
	}
}

// inked returns the mean place, from the top left, of the pixels of a figure
// that are of a colour, in the left and in the right half.
func inked(t *testing.T, f *Figure, is func(r, g, b uint32) bool) (left, right [2]float64) {
	t.Helper()
	var b bytes.Buffer
	if err := f.PNG(&b); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	var n [2]float64
	var sum [2][2]float64
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			r, g, bl, _ := img.At(x, y).RGBA()
			if !is(r>>8, g>>8, bl>>8) {
				continue
			}
			h := 2 * x / img.Bounds().Dx()
			n[h]++
			sum[h][0], sum[h][1] = sum[h][0]+float64(x), sum[h][1]+float64(y)
		}
	}
	if n[0] == 0 || n[1] == 0 {
		t.Fatalf("%s: %g and %g pixels of the colour in its halves", f.Name, n[0], n[1])
	}
	return [2]float64{sum[0][0] / n[0], sum[0][1] / n[0]}, [2]float64{sum[1][0] / n[1], sum[1][1] / n[1]}
}

// A curve that rises goes up on the page, on every kind of axes.
func TestStudyFigure_Property(t *testing.T) {
	for _, log := range []bool{false, true} {
		c := Chart{Name: "c", Title: "Rising", Caption: "c.", X: "x", Y: "y", LogX: log, LogY: log}
		c.Add("up", []float64{1, 2, 4, 8}, []float64{1, 4, 16, 64})
		left, right := inked(t, c.Figure(), func(r, g, b uint32) bool { return b > 150 && r < 60 })
		if left[1] < right[1]+50 {
			t.Errorf("log = %v: the curve is at the heights %g and %g from the top: expected it to rise", log, left[1], right[1])
		}
	}
	c := Chart{Name: "c", Title: "T", Caption: "A caption.", LogY: true}
	c.Add("a", []float64{1, 2, 3, 4}, []float64{1, 0, -1, math.Inf(1)})
	if got := c.Figure().Caption; !strings.Contains(got, "3 values that are zero or not finite") {
		t.Errorf("the caption is %q: expected it to count what is left out", got)
	}
}

// Low is black and High white; signed sheets go from blue to vermillion; an
// image of NaN leaves its place empty.
func TestStudySheet_Property(t *testing.T) {
	s := &study.Sheet{Name: "s", Title: "Sheet", Caption: "c.", Shape: []int{4, 4}, Columns: 3, Low: 2, High: 4, Heads: []string{"a", "b", "c"}}
	for _, v := range []float64{2, math.NaN(), 3} {
		s.Data = append(s.Data, slices.Repeat([]float64{v}, 16)...)
	}
	img := studySheet(s)
	isBlue := func(r, g, b uint32) bool { return b > 150 && r < 60 }
	isRed := func(r, g, b uint32) bool { return r > 180 && b < 60 }
	var b bytes.Buffer
	if err := img.PNG(&b); err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	// Along a row of pixels through the images: black, empty, grey in the middle
	// of the scale. Runs of a few pixels are the canvas's smoothing of edges.
	y := picture.Bounds().Dy() - 20
	var seen []uint32
	run, last := 0, uint32(0)
	for x := range picture.Bounds().Dx() {
		r, _, _, _ := picture.At(x, y).RGBA()
		if r>>8 != last {
			run, last = 0, r>>8
		}
		if run++; run == 5 && (len(seen) == 0 || seen[len(seen)-1] != last) {
			seen = append(seen, last)
		}
	}
	if want := []uint32{255, 0, 255, 128, 255}; !slices.Equal(seen, want) {
		t.Errorf("along the sheet the greys are %v, expected %v", seen, want)
	}
	s.Signed, s.Heads, s.Columns = true, nil, 2
	s.Data = append(slices.Repeat([]float64{2}, 16), slices.Repeat([]float64{4}, 16)...)
	s.Shape = []int{4, 4}
	fig := studySheet(s)
	if err := fig.PNG(&b); err != nil {
		t.Fatal(err)
	}
	if picture, err = png.Decode(&b); err != nil {
		t.Fatal(err)
	}
	var blue, red float64
	var blues, reds int
	y = picture.Bounds().Dy() - 20
	for x := range picture.Bounds().Dx() {
		r, g, bl, _ := picture.At(x, y).RGBA()
		if isBlue(r>>8, g>>8, bl>>8) {
			blue, blues = blue+float64(x), blues+1
		}
		if isRed(r>>8, g>>8, bl>>8) {
			red, reds = red+float64(x), reds+1
		}
	}
	if blues == 0 || reds == 0 || blue/float64(blues) > red/float64(reds) {
		t.Errorf("%d blue and %d vermillion pixels: expected blue, of the lesser value, on the left", blues, reds)
	}
}
