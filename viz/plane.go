package viz

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"snrlab/internal/runfile"
)

// contourDrops are how far below its highest value the log-density is on the
// contours: those of a Gaussian at one, two, three and four standard deviations.
var contourDrops = []float64{0.5, 2, 4.5, 8}

// contour returns the line where the bilinear log-density passes level, as
// segments x0, y0, x1, y1 in data coordinates (marching squares).
func contour(g *runfile.DensityGrid, level float64) []float64 {
	var out []float64
	px := func(i float64) float64 { return g.X0 + i*(g.X1-g.X0)/float64(g.NX-1) }
	py := func(j float64) float64 { return g.Y0 + j*(g.Y1-g.Y0)/float64(g.NY-1) }
	at := func(i, j int) float64 {
		v := float64(g.LogP[j*g.NX+i])
		if v != v || v < -1e30 {
			v = -1e30
		}
		return math.Min(v, 1e30) - level
	}
	for j := range g.NY - 1 {
		for i := range g.NX - 1 {
			// Corners counter-clockwise and the points where edges are crossed.
			v := [4]float64{at(i, j), at(i+1, j), at(i+1, j+1), at(i, j+1)}
			ci, cj := [4]float64{0, 1, 1, 0}, [4]float64{0, 0, 1, 1}
			var pts []float64
			for e := range 4 {
				a, b := v[e], v[(e+1)%4]
				if (a < 0) == (b < 0) {
					continue
				}
				s := a / (a - b)
				n := (e + 1) % 4
				pts = append(pts, px(float64(i)+ci[e]+s*(ci[n]-ci[e])), py(float64(j)+cj[e]+s*(cj[n]-cj[e])))
			}
			if len(pts) == 8 && (v[0] < 0) != (v[0]+v[1]+v[2]+v[3] < 0) {
				// A saddle whose centre is on the other side than corner 0: cut
				// off corners 0 and 2 instead of 1 and 3.
				pts = append(pts[6:8:8], pts[:6]...)
			}
			out = append(out, pts...)
		}
	}
	return out
}

// contours returns the drawn levels of a density, highest first.
func contours(g *runfile.DensityGrid) [][]float64 {
	top := math.Inf(-1)
	for _, v := range g.LogP {
		if v == v && !math.IsInf(float64(v), 1) {
			top = math.Max(top, float64(v))
		}
	}
	if math.IsInf(top, -1) {
		return nil
	}
	var out [][]float64
	for _, d := range contourDrops {
		out = append(out, contour(g, top-d))
	}
	return out
}

// maxWalks is how many trajectories a picture of the plane shows.
const maxWalks = 12

// plane draws the trajectories of 2-D problems over density contours, every
// solver next to the exact ones.
func (f *folder) plane(budget int) *Figure {
	t := f.trace
	if t == nil || t.Dim() != 2 {
		return nil
	}
	var lines [][]float64
	if t.Density != nil {
		lines = contours(t.Density)
	}
	x, y := planeAxes(t)
	n, drawn := len(t.Samples), min(len(t.Samples), maxWalks)
	walk := func(v []float32, steps, sample int) (xs, ys []float64) {
		for k := range steps + 1 {
			xs = append(xs, float64(v[(k*n+sample)*2]))
			ys = append(ys, float64(v[(k*n+sample)*2+1]))
		}
		return xs, ys
	}
	base := func(p pen) {
		for i, segs := range lines {
			s := draw.LineStyle{Color: color.NRGBA{128, 128, 128, uint8(150 - 28*i)}, Width: 0.6}
			p.segments(segs, s)
		}
	}
	finest := 0
	for steps := range t.Refs {
		finest = max(finest, steps)
	}
	var panels []panel
	exact := func(steps int, width vg.Length, c color.NRGBA, ends bool) func(pen) {
		return func(p pen) {
			ref, ok := t.Refs[steps]
			for i := 0; ok && i < drawn; i++ {
				xs, ys := walk(ref.X, steps, i)
				p.line(xs, ys, draw.LineStyle{Color: c, Width: width})
				if ends {
					p.marks(xs[len(xs)-1:], ys[len(ys)-1:], style{color: c, marker: markers[0]}, 1.6)
				}
			}
		}
	}
	if finest > 0 {
		panels = append(panels, panel{title: "exact", x: x, y: y, layers: []func(pen){base, exact(finest, 0.9, ink, true)}})
	}
	for _, s := range f.solvers {
		r := t.Run(s, budget)
		if r == nil {
			continue
		}
		look := f.styles[s]
		p := panel{title: fmt.Sprintf("%s, %d steps", s, r.Steps), x: x, y: y, layers: []func(pen){base}}
		if finest > 0 && !f.noise[s] {
			p.layers = append(p.layers, exact(finest, 0.8, color.NRGBA{0, 0, 0, 90}, false))
		}
		p.layers = append(p.layers, func(pn pen) {
			for i := range drawn {
				xs, ys := walk(r.X, r.Steps, i)
				pn.line(xs, ys, draw.LineStyle{Color: look.color, Width: 0.9})
				pn.marks(xs, ys, style{color: look.color, marker: markers[0]}, 1.1)
			}
		})
		panels = append(panels, p)
	}
	if len(panels) == 0 {
		return nil
	}
	cols := min(len(panels), 3)
	if len(panels) > 6 {
		cols = 4
	}
	for len(panels)%cols > 0 {
		panels = append(panels, panel{x: x, y: y, blank: true})
	}
	var rows [][]panel
	for i := 0; i < len(panels); i += cols {
		for j := range cols {
			panels[i+j].bareX, panels[i+j].bareY = i+cols < len(panels), j > 0
		}
		rows = append(rows, panels[i:i+cols])
	}
	// Equal scales on both axes.
	side := (pageWidth - 60) / vg.Length(cols)
	height := vg.Length(len(rows))*(side*vg.Length((y.hi-y.lo)/(x.hi-x.lo))+1.6*textSize+8) + 40
	return &Figure{
		Name:    "trajectories",
		Title:   fmt.Sprintf("Trajectories at a budget of %d evaluations: same noise for every solver", budget),
		Caption: count(drawn, "walk") + ", a dot a level, over contours of the data's log-density (0.5, 2, 4.5 and 8 below its peak). Grey behind a deterministic solver: the exact trajectory from the same noise. What lies outside the frame is cut off.",
		width:   pageWidth, height: height,
		draw: func(c draw.Canvas) { drawPanels(c, rows) },
	}
}

// planeAxes covers the density's grid, or the states where there is none.
func planeAxes(t *runfile.Trace) (x, y axis) {
	var xs, ys []float64
	if g := t.Density; g != nil {
		xs, ys = []float64{g.X0, g.X1}, []float64{g.Y0, g.Y1}
	} else {
		for _, r := range t.Runs {
			for i := 0; i+1 < len(r.X); i += 2 {
				xs, ys = append(xs, float64(r.X[i])), append(ys, float64(r.X[i+1]))
			}
		}
	}
	return linearAxis("x_{1}", xs).withoutInf(), linearAxis("x_{2}", ys).withoutInf()
}
