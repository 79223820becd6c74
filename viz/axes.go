package viz

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// axis maps values to [0, 1]. Values that it cannot place are NaN there, and
// whoever draws leaves them out: a logarithmic axis does not panic on zero.
type axis struct {
	label string
	log   bool
	lo    float64 // ends, on a logarithmic axis of log10
	hi    float64
	ticks []tick
	// Places of ±Inf beyond a gap at the ends, where there are such values.
	minusInf, plusInf bool
}

// tick is a mark on an axis; minor ones have no label.
type tick struct {
	at    float64 // as lo and hi
	label string
}

// Share of an axis's length that an infinite value's place takes.
const infShare = 0.07

func (a axis) place(v float64) float64 {
	lo, hi := 0.0, 1.0
	if a.minusInf {
		lo = infShare
	}
	if a.plusInf {
		hi = 1 - infShare
	}
	switch {
	case math.IsInf(v, -1) && a.minusInf:
		return infShare / 4
	case math.IsInf(v, 1) && a.plusInf:
		return 1 - infShare/4
	}
	if a.log {
		if !(v > 0) {
			return math.NaN()
		}
		v = math.Log10(v)
	}
	if math.IsInf(v, 0) {
		return math.NaN()
	}
	return lo + (hi-lo)*(v-a.lo)/(a.hi-a.lo)
}

// linearAxis spans the finite values, with a little room.
func linearAxis(label string, values []float64) axis {
	a := axis{label: label, lo: math.Inf(1), hi: math.Inf(-1)}
	for _, v := range values {
		switch {
		case math.IsInf(v, 1):
			a.plusInf = true
		case math.IsInf(v, -1):
			a.minusInf = true
		case !math.IsNaN(v):
			a.lo, a.hi = math.Min(a.lo, v), math.Max(a.hi, v)
		}
	}
	if a.lo > a.hi {
		a.lo, a.hi = 0, 1
	}
	if a.hi-a.lo <= 1e-9*max(math.Abs(a.lo), math.Abs(a.hi)) { // equal, up to rounding
		a.lo, a.hi = a.lo-1, a.hi+1
	}
	room := 0.04 * (a.hi - a.lo)
	a.lo, a.hi = a.lo-room, a.hi+room
	step := niceStep((a.hi - a.lo) / 5)
	for k := math.Ceil(a.lo / step); k*step <= a.hi; k++ {
		a.ticks = append(a.ticks, tick{k * step, number(k * step)})
	}
	return a
}

// withoutInf drops the infinite values' places.
func (a axis) withoutInf() axis {
	a.minusInf, a.plusInf = false, false
	return a
}

// niceStep is the least of 1, 2, 5 times a power of ten that is not below s.
func niceStep(s float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(s)))
	for _, m := range []float64{1, 2, 5} {
		if m*p >= s*(1-1e-9) {
			return m * p
		}
	}
	return 10 * p
}

// number prints a tick's value with a proper minus.
func number(v float64) string {
	s := strconv.FormatFloat(v, 'g', 6, 64)
	if v == 0 {
		s = "0"
	}
	return strings.Replace(s, "-", "−", 1)
}

// logAxis spans the positive finite values by whole decades where they cover
// more than two, with own ticks.
func logAxis(label string, values []float64) axis {
	a := axis{label: label, log: true, lo: math.Inf(1), hi: math.Inf(-1)}
	for _, v := range values {
		if v > 0 && !math.IsInf(v, 1) {
			a.lo, a.hi = math.Min(a.lo, math.Log10(v)), math.Max(a.hi, math.Log10(v))
		}
	}
	if a.lo > a.hi {
		a.lo, a.hi = -1, 0
	}
	room := math.Max(0.05*(a.hi-a.lo), 0.03)
	a.lo, a.hi = a.lo-room, a.hi+room
	span := a.hi - a.lo
	if span < 0.45 { // ticks of a linear axis are denser there
		lo, hi := math.Pow(10, a.lo), math.Pow(10, a.hi)
		step := niceStep((hi - lo) / 4)
		for k := math.Ceil(lo / step); k*step <= hi; k++ {
			a.ticks = append(a.ticks, tick{math.Log10(k * step), number(k * step)})
		}
		return a
	}
	every := 1 + math.Floor(span/7)
	few, fewer := math.Floor(a.hi) < math.Ceil(a.lo)+1, span < 0.8 // less than two decades
	for k := math.Ceil(a.lo); k <= a.hi; k++ {
		t := tick{at: k}
		if math.Mod(k, every) == 0 {
			t.label = power(int(k))
			if few { // as its neighbours are written
				t.label = number(math.Pow(10, k))
			}
		}
		a.ticks = append(a.ticks, t)
	}
	if every == 1 {
		for k := math.Floor(a.lo); k <= a.hi; k++ {
			for m := 2.0; m < 10; m++ {
				at := k + math.Log10(m)
				if at < a.lo || at > a.hi {
					continue
				}
				t := tick{at: at}
				if few && (m == 2 || m == 5) || fewer && m == 3 {
					t.label = number(m * math.Pow(10, k))
				}
				a.ticks = append(a.ticks, t)
			}
		}
	}
	return a
}

// power prints 10^k.
func power(k int) string {
	switch k {
	case 0:
		return "1"
	case 1:
		return "10"
	}
	return "10^{" + strings.Replace(strconv.Itoa(k), "-", "−", 1) + "}"
}

// countAxis is logarithmic with ticks at the counts themselves. Labels that
// would touch are left out, those that are not preferred first.
func countAxis(label string, counts []float64, preferred []int) axis {
	a := logAxis(label, counts)
	a.ticks = nil
	room := 0.075 * (a.hi - a.lo)
	free := func(at float64) bool {
		for _, t := range a.ticks {
			if t.label != "" && math.Abs(t.at-at) < room {
				return false
			}
		}
		return true
	}
	for _, first := range []bool{true, false} {
		for _, n := range counts {
			if !(n > 0) || slices.Contains(preferred, int(n)) != first {
				continue
			}
			t := tick{at: math.Log10(n)}
			if free(t.at) {
				t.label = number(n)
			}
			a.ticks = append(a.ticks, t)
		}
	}
	return a
}

// panel is one pair of axes.
type panel struct {
	title  string
	x, y   axis
	blank  bool // nothing is drawn: it fills a place
	bareX  bool // no numbers and label: the panel below has them
	bareY  bool // the same to the left
	layers []func(p pen)
}

// pen draws in a panel's coordinates.
type pen struct {
	draw.Canvas // cropped to the data
	x, y        axis
}

func (p pen) at(x, y float64) (vg.Point, bool) {
	u, v := p.x.place(x), p.y.place(y)
	pt := vg.Point{X: p.X(u), Y: p.Y(v)}
	return pt, !math.IsNaN(u) && !math.IsNaN(v)
}

// line joins points, with a gap where one cannot be placed, and is cut at the
// edges.
func (p pen) line(xs, ys []float64, s draw.LineStyle) {
	var pts []vg.Point
	flush := func() {
		if len(pts) > 1 {
			p.StrokeLines(s, p.ClipLinesXY(pts)...)
		}
		pts = nil
	}
	for i := range xs {
		pt, ok := p.at(xs[i], ys[i])
		if !ok {
			flush()
			continue
		}
		pts = append(pts, pt)
	}
	flush()
}

// segments strokes lines x0, y0, x1, y1 as one path; those that leave the
// frame are left out.
func (p pen) segments(segs []float64, s draw.LineStyle) {
	var path vg.Path
	for k := 0; k+3 < len(segs); k += 4 {
		a, ok := p.at(segs[k], segs[k+1])
		b, also := p.at(segs[k+2], segs[k+3])
		if ok && also && p.Contains(a) && p.Contains(b) {
			path.Move(a)
			path.Line(b)
		}
	}
	if len(path) > 0 {
		p.SetLineStyle(s)
		p.Stroke(path)
	}
}

func (p pen) marks(xs, ys []float64, s style, radius vg.Length) {
	for i := range xs {
		if pt, ok := p.at(xs[i], ys[i]); ok && p.Contains(pt) {
			drawMarker(p.Canvas, s, pt, radius)
		}
	}
}

// curve is a line with markers.
func (p pen) curve(xs, ys []float64, s style) {
	p.line(xs, ys, draw.LineStyle{Color: s.color, Width: 1, Dashes: s.dashes})
	p.marks(xs, ys, s, markRadius)
}

// markRadius is the size of the markers of curves.
const markRadius = 2.2

// bar is an error bar with caps, moved aside; one that its marker covers is left out.
func (p pen) bar(x, lo, hi float64, beside vg.Length, c color.Color) {
	a, ok := p.at(x, lo)
	b, also := p.at(x, hi)
	if !ok || !also {
		return
	}
	if b.Y-a.Y < 2*markRadius {
		return
	}
	a.X, b.X = a.X+beside, b.X+beside
	s := draw.LineStyle{Color: c, Width: 0.5}
	const w = 1.3
	p.StrokeLines(s, p.ClipLinesXY([]vg.Point{a, b},
		[]vg.Point{{X: a.X - w, Y: a.Y}, {X: a.X + w, Y: a.Y}},
		[]vg.Point{{X: b.X - w, Y: b.Y}, {X: b.X + w, Y: b.Y}})...)
}

// band fills between two values of y over the whole width.
func (p pen) band(lo, hi float64, c color.Color) {
	edge := func(v, other float64) vg.Length {
		if u := p.y.place(v); !math.IsNaN(u) {
			return p.Y(math.Max(0, math.Min(1, u)))
		}
		return p.Y(other)
	}
	r := vg.Rectangle{Min: vg.Point{X: p.Min.X, Y: edge(lo, 0)}, Max: vg.Point{X: p.Max.X, Y: edge(hi, 0)}}
	p.SetColor(c)
	p.Fill(r.Path())
}

// between fills between two curves over the same x.
func (p pen) between(xs, lo, hi []float64, c color.Color) {
	var upper, lower []vg.Point
	flush := func() {
		if len(upper) > 1 {
			slices.Reverse(lower)
			if area := p.ClipPolygonXY(append(upper, lower...)); len(area) > 2 {
				p.FillPolygon(c, area)
			}
		}
		upper, lower = nil, nil
	}
	for i := range xs {
		a, ok := p.at(xs[i], lo[i])
		b, also := p.at(xs[i], hi[i])
		if !ok || !also {
			flush()
			continue
		}
		lower, upper = append(lower, a), append(upper, b)
	}
	flush()
}

// vertical is a line over the whole height at a value of x, with its label
// written along it at the top; level is the same over the whole width.
func (p pen) vertical(x float64, s draw.LineStyle, label string) {
	u := p.x.place(x)
	if !(u >= 0 && u <= 1) {
		return
	}
	p.StrokeLine2(s, p.X(u), p.Min.Y, p.X(u), p.Max.Y)
	half := faint.width(label) / 2
	faint.fillTurned(p.Canvas, vg.Point{X: p.X(u), Y: p.Max.Y - half - 2}, math.Pi/2, 2, label)
}

func (p pen) level(y float64, s draw.LineStyle, label string) {
	v := p.y.place(y)
	if !(v >= 0 && v <= 1) {
		return
	}
	p.StrokeLine2(s, p.Min.X, p.Y(v), p.Max.X, p.Y(v))
	faint.fill(p.Canvas, vg.Point{X: p.Max.X - 2, Y: p.Y(v) + 2}, 1, label)
}

const (
	tickLength = vg.Length(2.5)
	tickGap    = vg.Length(2)
)

// left is the room that the panel's numbers and label need beside its data.
func (p panel) left() vg.Length {
	w := tickLength + tickGap
	if p.bareY {
		return w
	}
	var widest vg.Length
	for _, t := range p.y.ticks {
		widest = max(widest, small.width(t.label))
	}
	return w + widest + 1.9*textSize
}

// below is the room under the data.
func (p panel) below() vg.Length {
	if p.bareX {
		return tickLength + tickGap
	}
	return tickLength + tickGap + smallSize + 1.5*textSize
}

func (p panel) above() vg.Length {
	if p.title == "" {
		return 3
	}
	return 1.6 * textSize
}

// drawAt draws the panel with its data in the rectangle of c.
func (p panel) drawAt(c draw.Canvas) {
	if p.blank {
		return
	}
	frame := draw.LineStyle{Color: ink, Width: 0.5}
	grid := draw.LineStyle{Color: rule, Width: 0.4}
	if p.title != "" {
		b := plain
		b.bold = true
		b.fill(c, vg.Point{X: c.Min.X, Y: c.Max.Y + 0.45*textSize}, 0, p.title)
	}
	onX := func(at float64) (vg.Length, bool) {
		u := p.x.placeTick(at)
		return c.X(u), u >= -1e-9 && u <= 1+1e-9
	}
	onY := func(at float64) (vg.Length, bool) {
		u := p.y.placeTick(at)
		return c.Y(u), u >= -1e-9 && u <= 1+1e-9
	}
	for _, t := range p.x.allTicks() {
		x, ok := onX(t.at)
		if !ok {
			continue
		}
		length := tickLength
		if t.label == "" {
			length /= 2
		} else {
			c.StrokeLine2(grid, x, c.Min.Y, x, c.Max.Y)
		}
		c.StrokeLine2(frame, x, c.Min.Y, x, c.Min.Y-length)
		if !p.bareX {
			small.fill(c, vg.Point{X: x, Y: c.Min.Y - tickLength - tickGap - small.capHeight()}, 0.5, t.label)
		}
	}
	for _, t := range p.y.allTicks() {
		y, ok := onY(t.at)
		if !ok {
			continue
		}
		length := tickLength
		if t.label == "" {
			length /= 2
		} else {
			c.StrokeLine2(grid, c.Min.X, y, c.Max.X, y)
		}
		c.StrokeLine2(frame, c.Min.X, y, c.Min.X-length, y)
		if !p.bareY {
			small.fill(c, vg.Point{X: c.Min.X - tickLength - tickGap, Y: y - small.capHeight()/2}, 1, t.label)
		}
	}
	// A gap in the axis before the place of an infinite value.
	for _, u := range p.x.gaps() {
		c.StrokeLine2(draw.LineStyle{Color: quiet, Width: 0.5, Dashes: []vg.Length{1, 2}}, c.X(u), c.Min.Y, c.X(u), c.Max.Y)
	}
	for _, u := range p.y.gaps() {
		c.StrokeLine2(draw.LineStyle{Color: quiet, Width: 0.5, Dashes: []vg.Length{1, 2}}, c.Min.X, c.Y(u), c.Max.X, c.Y(u))
	}
	for _, layer := range p.layers {
		layer(pen{c, p.x, p.y})
	}
	c.StrokeLines(frame, []vg.Point{{X: c.Min.X, Y: c.Max.Y}, c.Min, {X: c.Max.X, Y: c.Min.Y}})
	if !p.bareX && p.x.label != "" {
		plain.fill(c, vg.Point{X: c.Center().X, Y: c.Min.Y - p.below() + 0.35*textSize}, 0.5, p.x.label)
	}
	if !p.bareY && p.y.label != "" {
		plain.fillTurned(c, vg.Point{X: c.Min.X - p.left() + 0.95*textSize, Y: c.Center().Y}, math.Pi/2, 0, p.y.label)
	}
}

// placeTick places a tick, which on a logarithmic axis is a log10.
func (a axis) placeTick(at float64) float64 {
	if a.log && !math.IsInf(at, 0) {
		at = math.Pow(10, at)
	}
	return a.place(at)
}

func (a axis) allTicks() []tick {
	ticks := a.ticks
	if a.minusInf {
		ticks = append([]tick{{math.Inf(-1), "−∞"}}, ticks...)
	}
	if a.plusInf {
		ticks = append(ticks[:len(ticks):len(ticks)], tick{math.Inf(1), "∞"})
	}
	return ticks
}

func (a axis) gaps() []float64 {
	var g []float64
	if a.minusInf {
		g = append(g, infShare/2)
	}
	if a.plusInf {
		g = append(g, 1-infShare/2)
	}
	return g
}

// drawPanels draws rows of panels with equal data areas and aligned axes.
func drawPanels(c draw.Canvas, rows [][]panel) {
	const gap = vg.Length(8)
	left := make([]vg.Length, len(rows[0]))
	var fixedX, fixedY vg.Length
	for i := range left {
		for _, r := range rows {
			left[i] = max(left[i], r[i].left())
		}
		fixedX += left[i] + gap
	}
	above, below := make([]vg.Length, len(rows)), make([]vg.Length, len(rows))
	for j, r := range rows {
		for _, p := range r {
			above[j], below[j] = max(above[j], p.above()), max(below[j], p.below())
		}
		fixedY += above[j] + below[j] + 2
	}
	w := (c.Max.X - c.Min.X - 2*margin - fixedX + gap/2) / vg.Length(len(left))
	h := (c.Max.Y - c.Min.Y - margin - fixedY) / vg.Length(len(rows))
	y := c.Max.Y - margin/2
	for j, r := range rows {
		x := c.Min.X + margin
		y -= above[j] + h
		for i, p := range r {
			x += left[i]
			d := c
			d.Rectangle = vg.Rectangle{Min: vg.Point{X: x, Y: y}, Max: vg.Point{X: x + w, Y: y + h}}
			p.drawAt(d)
			x += w + gap
		}
		y -= below[j] + 2
	}
}

// entry is one line of a legend.
type entry struct {
	label string
	style style
}

// legend lists entries in columns under the panels.
type legend []entry

const (
	legendLine = smallSize * 1.45
	legendKey  = vg.Length(20)
)

func (l legend) widest() vg.Length {
	w := vg.Length(1)
	for _, e := range l {
		w = max(w, legendKey+small.width(e.label)+8)
	}
	return w
}

func (l legend) columns(width vg.Length) int {
	return max(1, min(len(l), int((width-2*margin)/l.widest())))
}

func (l legend) height(width vg.Length) vg.Length {
	if len(l) == 0 {
		return 0
	}
	n := l.columns(width)
	return vg.Length((len(l)+n-1)/n)*legendLine + margin
}

// drawAt draws the legend into the foot of c and returns what is left of it.
func (l legend) drawAt(c draw.Canvas) draw.Canvas {
	width := c.Max.X - c.Min.X
	h := l.height(width)
	if h == 0 {
		return c
	}
	n := l.columns(width)
	lines := (len(l) + n - 1) / n
	w := (width - 2*margin) / vg.Length(n)
	w = min(w, l.widest()+16)
	for i, e := range l {
		x := c.Min.X + margin + w*vg.Length(i/lines)
		y := c.Min.Y + h - legendLine*(vg.Length(i%lines)+0.6)
		c.StrokeLine2(draw.LineStyle{Color: e.style.color, Width: 1, Dashes: e.style.dashes}, x, y, x+legendKey-5, y)
		drawMarker(c, e.style, vg.Point{X: x + (legendKey-5)/2, Y: y}, 2.2)
		small.fill(c, vg.Point{X: x + legendKey, Y: y - small.capHeight()/2}, 0, e.label)
	}
	return draw.Crop(c, 0, 0, h, 0)
}

// dropped counts values that a logarithmic axis cannot show. NaN stands for
// what does not exist and is not counted.
type dropped int

func (d *dropped) see(values ...float64) {
	for _, v := range values {
		if v <= 0 || math.IsInf(v, 1) {
			*d++
		}
	}
}

// note is the sentence that a caption ends with.
func (d dropped) note() string {
	switch d {
	case 0:
		return ""
	case 1:
		return " One value that is zero or not finite has no place on the logarithmic axis and is left out."
	}
	return fmt.Sprintf(" %d values that are zero or not finite have no place on the logarithmic axis and are left out.", int(d))
}
