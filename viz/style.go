package viz

import (
	"image/color"
	"math"
	"strings"
	"sync"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	stdfont "golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Widths of figures, and text sizes that stay readable at them.
const (
	columnWidth = 8.5 * vg.Centimeter
	pageWidth   = 17.8 * vg.Centimeter
	textSize    = vg.Length(7.5)
	smallSize   = vg.Length(7)
	titleSize   = vg.Length(8.5)
)

// ink is what text and axes are drawn in. It is the one colour that a dark
// page may turn round: see Figure.inline.
var (
	ink   = color.NRGBA{A: 255}
	quiet = color.NRGBA{R: 118, G: 118, B: 118, A: 255}
	rule  = color.NRGBA{R: 128, G: 128, B: 128, A: 60}
)

// palette is [okabe2008] with its yellow, too light on paper, replaced by the
// olive of [tol2021]. Black is ink and comes last.
var palette = [...]color.NRGBA{
	{0, 114, 178, 255},   // blue
	{213, 94, 0, 255},    // vermillion
	{0, 158, 115, 255},   // bluish green
	{204, 121, 167, 255}, // reddish purple
	{86, 180, 233, 255},  // sky blue
	{230, 159, 0, 255},   // orange
	{153, 153, 51, 255},  // olive
	ink,
}

// style is how one solver looks in every figure of a run.
type style struct {
	color  color.NRGBA
	marker marker
	hollow bool
	bare   bool // no marker
	dashes []vg.Length
}

// styleOf returns the look of the i-th solver. Sixteen differ by colour,
// marker and dash together, so that none rests on colour alone.
func styleOf(i int) style {
	n := len(palette)
	s := style{color: palette[i%n], marker: markers[i%n]}
	if round := i / n; round > 0 {
		s.marker, s.hollow = markers[(i+3)%n], round%2 == 1
		s.dashes = []vg.Length{vg.Length(2 + 2*round), 1.5}
	}
	return s
}

// smoothOf is the look of the i-th curve without markers: its dashes tell it
// from those of other colours.
func smoothOf(i int) style {
	s := styleOf(i)
	s.bare, s.dashes = true, dashes[i%len(dashes)]
	return s
}

// Eight colours and seven dashes: the first 56 curves differ.
var dashes = [...][]vg.Length{nil, {6, 2}, {2, 1.5}, {7, 2, 1.5, 2}, {4, 1.5}, {10, 2.5}, {3, 1.5, 1, 1.5}}

// marker is the outline of a glyph of radius about one, as x, y pairs. Open
// markers are strokes between pairs of points.
type marker struct {
	points []float64
	open   bool
}

var markers = [...]marker{
	{points: circlePoints(20, 0.95)},
	{points: []float64{-.85, -.85, .85, -.85, .85, .85, -.85, .85}},
	{points: []float64{-1, -.7, 1, -.7, 0, 1.1}},
	{points: []float64{0, -1.2, 1, 0, 0, 1.2, -1, 0}},
	{points: []float64{-1, .7, 1, .7, 0, -1.1}},
	{points: []float64{-.9, -.9, .9, .9, -.9, .9, .9, -.9}, open: true},
	{points: []float64{0, -1.1, 0, 1.1, -1.1, 0, 1.1, 0}, open: true},
	{points: circlePoints(5, 1.15)},
}

func circlePoints(n int, r float64) []float64 {
	var p []float64
	for i := range n {
		s, c := math.Sincos(2*math.Pi*float64(i)/float64(n) + math.Pi/2)
		p = append(p, r*c, r*s)
	}
	return p
}

// drawMarker draws the marker of s at pt.
func drawMarker(c draw.Canvas, s style, pt vg.Point, radius vg.Length) {
	if s.bare {
		return
	}
	at := func(i int) vg.Point {
		return vg.Point{X: pt.X + radius*vg.Length(s.marker.points[i]), Y: pt.Y + radius*vg.Length(s.marker.points[i+1])}
	}
	var p vg.Path
	for i := 0; i < len(s.marker.points); i += 2 {
		if i == 0 || (s.marker.open && i%4 == 0) {
			p.Move(at(i))
		} else {
			p.Line(at(i))
		}
	}
	if !s.marker.open {
		p.Close()
	}
	c.SetLineStyle(draw.LineStyle{Color: s.color, Width: 0.9})
	if s.marker.open || s.hollow {
		c.Stroke(p)
	} else {
		c.Fill(p)
	}
}

// fonts holds the one family that figures are set in.
var fonts = sync.OnceValue(func() *font.Cache {
	face := func(weight stdfont.Weight, ttf []byte) font.Face {
		f, err := opentype.Parse(ttf)
		if err != nil {
			panic("viz: the built-in font does not parse: " + err.Error())
		}
		return font.Face{Font: font.Font{Typeface: "Liberation", Variant: "Sans", Weight: weight}, Face: f}
	}
	return font.NewCache(font.Collection{
		face(stdfont.WeightNormal, liberationsansregular.TTF),
		face(stdfont.WeightBold, liberationsansbold.TTF),
	})
})

// textStyle sets one line. Its string may hold ^{…} and _{…}.
type textStyle struct {
	size  vg.Length
	color color.Color
	bold  bool
}

func (t textStyle) face(scale vg.Length) font.Face {
	f := font.Font{Typeface: "Liberation", Variant: "Sans"}
	if t.bold {
		f.Weight = stdfont.WeightBold
	}
	return fonts().Lookup(f, t.size*scale)
}

// stretch is a part of a text at one size and height.
type stretch struct {
	text        string
	scale, rise vg.Length
}

func stretches(s string) []stretch {
	var out []stretch
	for s != "" {
		i := strings.IndexAny(s, "^_")
		if i < 0 || i+1 >= len(s) || s[i+1] != '{' {
			if j := i + 1; i >= 0 && j < len(s) {
				out = append(out, stretch{s[:j], 1, 0})
				s = s[j:]
				continue
			}
			return append(out, stretch{s, 1, 0})
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			return append(out, stretch{s, 1, 0})
		}
		if i > 0 {
			out = append(out, stretch{s[:i], 1, 0})
		}
		rise := vg.Length(0.36)
		if s[i] == '_' {
			rise = -0.18
		}
		out = append(out, stretch{s[i+2 : i+end], 0.75, rise})
		s = s[i+end+1:]
	}
	return out
}

func (t textStyle) width(s string) vg.Length {
	var w vg.Length
	for _, r := range stretches(s) {
		f := t.face(r.scale)
		w += f.Width(r.text)
	}
	return w
}

// capHeight is the height of a capital letter or digit.
func (t textStyle) capHeight() vg.Length { return 0.72 * t.size }

// fill draws s with its baseline at pt, moved left by align of its width:
// 0 starts at pt, 0.5 is centred, 1 ends there.
func (t textStyle) fill(c draw.Canvas, pt vg.Point, align vg.Length, s string) {
	pt.X -= align * t.width(s)
	c.SetColor(t.color)
	for _, r := range stretches(s) {
		f := t.face(r.scale)
		c.FillString(f, vg.Point{X: pt.X, Y: pt.Y + r.rise*t.size}, r.text)
		pt.X += f.Width(r.text)
	}
}

// fillTurned draws s turned by an angle, centred at pt, its baseline raised
// from there.
func (t textStyle) fillTurned(c draw.Canvas, pt vg.Point, angle float64, raise vg.Length, s string) {
	c.Push()
	c.Translate(pt)
	c.Rotate(angle)
	t.fill(c, vg.Point{Y: raise}, 0.5, s)
	c.Pop()
}

// wrap breaks s into lines no wider than width.
func (t textStyle) wrap(s string, width vg.Length) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		longer := strings.TrimSpace(line + " " + word)
		if line != "" && t.width(longer) > width {
			lines = append(lines, line)
			longer = word
		}
		line = longer
	}
	return append(lines, line)
}

var (
	plain = textStyle{size: textSize, color: ink}
	small = textStyle{size: smallSize, color: ink}
	faint = textStyle{size: smallSize, color: quiet}
	title = textStyle{size: titleSize, color: ink, bold: true}
)
