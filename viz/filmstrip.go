package viz

import (
	"fmt"
	"image"
	"math"
	"sort"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"snrlab/internal/runfile"
)

// unit is what a state is divided by to be drawn: √(α²+σ²), so that it spans
// the same greys at every level.
func unit(r runfile.StepRow) float64 {
	if u := math.Hypot(r.Alpha, r.Sigma); u > 0 && !math.IsInf(u, 1) {
		return u
	}
	return 1
}

// strip is a row of pictures in a film strip, one a column.
type strip struct {
	label  string
	signed bool
	at     func(col, i int) float64 // the i-th value of a column's picture; scaled
	has    func(col int) bool
}

// block is the walk of one solver.
type block struct {
	title  string
	scale  string
	heads  []string
	strips []strip
}

const maxColumns = 13

// filmstrip draws the states and denoised estimates of one sample at every
// step for a few solvers, with the differences to the exact ones. It is nil
// for 2-D problems and without a trace.
func (f *folder) filmstrip(solvers []string, budget, sample int) *Figure {
	t := f.trace
	if t == nil || t.Dim() == 2 || sample >= len(t.Samples) {
		return nil
	}
	g, err := picture(t.Shape)
	if err != nil {
		return nil
	}
	dim, level := t.Dim(), t.Dim()*len(t.Samples)
	value := func(v []float32, k, i int) float64 { return float64(v[k*level+sample*dim+i]) }

	var blocks []block
	for _, s := range solvers {
		r := t.Run(s, budget)
		if r == nil {
			continue
		}
		ref, walk := t.Refs[r.Steps], f.walks[cell{s, budget}]
		if f.noise[s] {
			ref = runfile.TraceRef{} // its walk has no exact counterpart
		}
		var xs, ds []float64
		for k := 0; k <= r.Steps && len(ref.X) > 0; k++ {
			for i := range dim {
				xs = append(xs, math.Abs(value(r.X, k, i)-value(ref.X, k, i))/unit(walk[k]))
				if k < r.Steps {
					ds = append(ds, math.Abs(value(r.D, k, i)-value(ref.D, k, i)))
				}
			}
		}
		xScale, dScale := quantile(xs, 0.995), quantile(ds, 0.995)
		cols := someColumns(r.Steps)
		b := block{title: fmt.Sprintf("%s: %d evaluations, %d steps", s, walk[len(walk)-1].NFE, r.Steps)}
		if len(ref.X) > 0 {
			b.scale = fmt.Sprintf("full colour: ±%s for x_{t} − x*, ±%s for D − D*", shortNumber(xScale), shortNumber(dScale))
		}
		for _, k := range cols {
			b.heads = append(b.heads, "λ "+shortNumber(walk[k].Lambda))
		}
		all := func(int) bool { return true }
		inner := func(col int) bool { return cols[col] < r.Steps }
		b.strips = append(b.strips, strip{"x_{t}", false, func(c, i int) float64 { return value(r.X, cols[c], i) / unit(walk[cols[c]]) }, all})
		if len(ref.X) > 0 {
			b.strips = append(b.strips, strip{"x_{t} − x*", true, func(c, i int) float64 {
				return (value(r.X, cols[c], i) - value(ref.X, cols[c], i)) / unit(walk[cols[c]]) / xScale
			}, all})
		}
		b.strips = append(b.strips, strip{"D", false, func(c, i int) float64 { return value(r.D, cols[c], i) }, inner})
		if len(ref.D) > 0 {
			b.strips = append(b.strips, strip{"D − D*", true, func(c, i int) float64 {
				return (value(r.D, cols[c], i) - value(ref.D, cols[c], i)) / dScale
			}, inner})
		}
		blocks = append(blocks, b)
	}
	if len(blocks) == 0 {
		return nil
	}

	const (
		labelWidth = vg.Length(34)
		gap        = vg.Length(2)
		blockHead  = titleSize * 1.6
		colHead    = smallSize * 1.4
		foot       = vg.Length(24)
	)
	w, h := g.size()
	tile := (pageWidth - 2*margin - labelWidth - (maxColumns-1)*gap) / maxColumns
	tileH := tile * vg.Length(h) / vg.Length(w)
	if h == 1 {
		tileH = tile / 4
	}
	height := foot + margin
	for _, b := range blocks {
		height += blockHead + colHead + vg.Length(len(b.strips))*(tileH+gap) + 5
	}
	return &Figure{
		Name:  "filmstrip",
		Title: fmt.Sprintf("Row %d on its way, step for step, at a budget of %d evaluations: same noise for every solver", t.Samples[sample], budget),
		Caption: fmt.Sprintf("x_t: the state divided by √(α²+σ²), clipped to [−1, 1]. D: the denoised estimate that the next step starts from. Stochastic solvers have no exact trajectory. Differences to the exact trajectory of the same noise (x*) and its estimates (D*) run from blue (below) over white to vermillion (above), on a scale that stands over each solver (99.5 %% of its differences are within). Columns are levels, noise falls to the right%s.",
			thinned(f, budget)),
		width: pageWidth, height: height,
		draw: func(c draw.Canvas) {
			y := c.Max.Y
			for _, b := range blocks {
				y -= blockHead
				bold := plain
				bold.bold = true
				bold.fill(c, vg.Point{X: c.Min.X + margin, Y: y + 0.35*titleSize}, 0, b.title)
				small.fill(c, vg.Point{X: c.Max.X - margin, Y: y + 0.35*titleSize}, 1, b.scale)
				y -= colHead
				for k, head := range b.heads {
					x := c.Min.X + margin + labelWidth + vg.Length(k)*(tile+gap)
					faint.fill(c, vg.Point{X: x + tile/2, Y: y + 2.5}, 0.5, head)
				}
				for _, s := range b.strips {
					y -= tileH + gap
					small.fill(c, vg.Point{X: c.Min.X + margin, Y: y + tileH/2 - small.capHeight()/2}, 0, s.label)
					for k := range b.heads {
						if !s.has(k) {
							continue
						}
						img := image.NewNRGBA(image.Rect(0, 0, w, h))
						at := func(i int) float64 { return s.at(k, i) }
						if s.signed {
							g.paintSigned(img, 0, 0, at)
						} else {
							g.paint(img, 0, 0, at)
						}
						x := c.Min.X + margin + labelWidth + vg.Length(k)*(tile+gap)
						drawPixels(c, vg.Rectangle{Min: vg.Point{X: x, Y: y}, Max: vg.Point{X: x + tile, Y: y + tileH}}, img)
					}
				}
				y -= 5
			}
			colourScale(c, vg.Point{X: c.Min.X + margin + labelWidth, Y: y - 12}, "difference to the exact one, on the scale over each solver")
		},
	}
}

// colourScale draws the diverging scale with a line of text.
func colourScale(c draw.Canvas, at vg.Point, text string) {
	const width, height = vg.Length(60), vg.Length(6)
	img := image.NewNRGBA(image.Rect(0, 0, 61, 1))
	for i := range 61 {
		img.SetNRGBA(i, 0, diverging(float64(i-30)/30))
	}
	drawPixels(c, vg.Rectangle{Min: at, Max: vg.Point{X: at.X + width, Y: at.Y + height}}, img)
	small.fill(c, vg.Point{X: at.X - 3, Y: at.Y}, 1, "−")
	small.fill(c, vg.Point{X: at.X + width + 3, Y: at.Y}, 0, "+   "+text)
}

// drawPixels draws an image with hard pixel edges.
func drawPixels(c draw.Canvas, r vg.Rectangle, img image.Image) {
	if _, svg := c.Canvas.(*svgCanvas); !svg {
		// The raster canvas interpolates; enough pixels hide that.
		px := float64(r.Size().X) / 72 * dotsPerInch
		img = enlarge(img, max(1, int(math.Round(px/float64(img.Bounds().Dx())))))
	}
	c.DrawImage(r, img)
}

// someColumns returns the steps that are drawn: all, or evenly chosen ones
// with both ends.
func someColumns(steps int) []int {
	n := min(steps+1, maxColumns)
	cols := make([]int, n)
	for i := range cols {
		cols[i] = int(math.Round(float64(i) * float64(steps) / math.Max(1, float64(n-1))))
	}
	return cols
}

func thinned(f *folder, budget int) string {
	for _, s := range f.solvers {
		if r := f.trace.Run(s, budget); r != nil && r.Steps+1 > maxColumns {
			return "; runs of more than " + strconv.Itoa(maxColumns-1) + " steps are thinned evenly"
		}
	}
	return ""
}

// quantile returns the q-quantile of positive values, 1 if there are none.
func quantile(v []float64, q float64) float64 {
	sort.Float64s(v)
	if len(v) == 0 {
		return 1
	}
	if s := v[int(q*float64(len(v)-1))]; s > 0 {
		return s
	}
	if s := v[len(v)-1]; s > 0 {
		return s
	}
	return 1
}

// shortNumber prints v in three digits for people.
func shortNumber(v float64) string { return digits(v, 3) }

func digits(v float64, n int) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 1):
		return "∞"
	case math.IsInf(v, -1):
		return "−∞"
	}
	s := strconv.FormatFloat(v, 'g', n, 64)
	if i := strings.IndexByte(s, 'e'); i >= 0 {
		exp, _ := strconv.Atoi(s[i+1:])
		s = s[:i] + "e" + strconv.Itoa(exp)
	}
	return strings.ReplaceAll(s, "-", "−")
}
