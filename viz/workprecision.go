package viz

import (
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// WorkCurve is one solver's line of a work–precision figure. Values that are
// not positive and finite are left out and counted in the caption. Lo and Hi are
// the ends of intervals, or nil.
type WorkCurve struct {
	Solver string
	NFE    []float64
	Error  []float64
	Lo, Hi []float64
}

// WorkPanel is one pair of axes of a work–precision figure: a problem, or one
// measure of error on it.
type WorkPanel struct {
	Title  string
	Label  string // of the error
	Curves []WorkCurve
	Floor  float64 // errors up to here say nothing; 0 for none
}

// WorkPrecision draws error against evaluations, solver by solver, in panels of
// up to three a row. Highlighted solvers, at most as many as can be told apart,
// are drawn in colour and in the legend, in the order given; all others are thin
// grey lines.
func WorkPrecision(name, title, caption string, panels []WorkPanel, highlighted []string) *Figure {
	styles := map[string]style{}
	var l legend
	for i, s := range highlighted {
		styles[s] = styleOf(i)
		l = append(l, entry{s, styles[s]})
	}
	columns := min(3, len(panels))
	if len(panels) == 4 {
		columns = 2
	}
	var rows [][]panel
	var lost dropped
	for i, w := range panels {
		if i%columns == 0 {
			rows = append(rows, make([]panel, columns))
			for k := range columns {
				rows[len(rows)-1][k].blank = true
			}
		}
		rows[len(rows)-1][i%columns] = w.panel(styles, highlighted, &lost)
	}
	others := ""
	if slices.ContainsFunc(panels, func(w WorkPanel) bool {
		return slices.ContainsFunc(w.Curves, func(c WorkCurve) bool { return !slices.Contains(highlighted, c.Solver) })
	}) {
		others = " Grey lines are all other solvers."
	}
	height := vg.Length(len(rows)) * 6 * vg.Centimeter
	if columns < 3 {
		height = vg.Length(len(rows)) * 7.5 * vg.Centimeter
	}
	others += " Lines that are cut come from above the axis."
	return simpleFigure(name, title, caption+others+lost.note(), pageWidth, height, rows, l)
}

// headroom is how far above the least error at the fewest evaluations an axis goes:
// a solver that is lost there would squeeze all that matters into a strip.
const headroom = 30

// dodge keeps the intervals of curves that meet apart.
const dodge vg.Length = 0.7

// panel makes the axes of w from the highlighted curves.
func (w WorkPanel) panel(styles map[string]style, order []string, lost *dropped) panel {
	var nfe, errs []float64
	for _, c := range w.Curves {
		_, shown := styles[c.Solver]
		for i, e := range c.Error {
			lost.see(e)
			if !(e > 0) || math.IsInf(e, 1) {
				continue
			}
			nfe = append(nfe, c.NFE[i])
			if shown {
				errs = append(errs, e)
			}
		}
	}
	errs = w.within(errs)
	if len(errs) == 0 {
		for _, c := range w.Curves {
			errs = append(errs, c.Error...)
		}
	}
	if w.Floor > 0 {
		errs = append(errs, w.Floor)
	}
	slices.Sort(nfe)
	nfe = slices.Compact(nfe)
	whole := slices.DeleteFunc(slices.Clone(nfe), func(n float64) bool { return n != math.Trunc(n) })
	if len(whole) == 0 {
		whole = nfe
	}
	p := panel{title: w.Title, x: countAxis(nfeLabel, whole, []int{3, 5, 8, 12, 20, 30, 50, 100}), y: logAxis(w.Label, errs)}
	if w.Floor > 0 {
		p.layers = append(p.layers, func(pn pen) {
			pn.band(0, w.Floor, color.NRGBA{128, 128, 128, 48})
		})
	}
	grey := draw.LineStyle{Color: color.NRGBA{R: 160, G: 160, B: 160, A: 130}, Width: 0.5}
	for _, c := range w.Curves {
		if _, shown := styles[c.Solver]; !shown {
			p.layers = append(p.layers, func(pn pen) { pn.line(c.NFE, c.Error, grey) })
		}
	}
	for i, name := range slices.Backward(order) { // the first on top
		beside := dodge * (vg.Length(i) - vg.Length(len(order)-1)/2)
		for _, c := range w.Curves {
			if c.Solver != name {
				continue
			}
			look := styles[name]
			p.layers = append(p.layers, func(pn pen) {
				for i := range c.Lo {
					pn.bar(c.NFE[i], c.Lo[i], c.Hi[i], beside, look.color)
				}
				pn.curve(c.NFE, c.Error, look)
			})
		}
	}
	return p
}

// SaveFigures writes the figures and a file of their captions into a folder,
// each file whole or not at all.
func SaveFigures(dir string, figures []*Figure) error { return saveFigures(dir, figures) }

// within leaves out of a list of errors what is above the axis, see headroom.
func (w WorkPanel) within(errs []float64) []float64 {
	first, least := math.Inf(1), math.Inf(1)
	for _, c := range w.Curves {
		for i, e := range c.Error {
			switch n := c.NFE[i]; {
			case !(e > 0) || n > first:
			case n < first:
				first, least = n, e
			default:
				least = min(least, e)
			}
		}
	}
	return slices.DeleteFunc(errs, func(e float64) bool { return e > headroom*least })
}
