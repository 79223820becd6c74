package viz

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"image"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"snrlab/internal/runfile"
	"snrlab/internal/study"
)

// Study reads the study in dir and writes its figures, as SVG and PNG with
// their captions, and report.html, each file whole or not at all. The same run
// folder gives the same bytes.
func Study(dir string) error {
	run, err := runfile.ReadRun(filepath.Join(dir, runfile.RunJSON))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("viz: %s is not a run folder: %w", dir, err)
	case err != nil:
		return err
	}
	s, err := study.Read(dir)
	if err != nil {
		return err
	}
	figures := StudyFigures(s)
	if err := saveFigures(filepath.Join(dir, runfile.FiguresDir), figures); err != nil {
		return err
	}
	p, err := studyPage(run, s, figures)
	if err != nil {
		return err
	}
	return runfile.WriteFile(filepath.Join(dir, runfile.ReportHTML), func(w io.Writer) error {
		return reportTemplate.Execute(w, p)
	})
}

// StudyFigures draws the figures and the sheets of a valid study.
func StudyFigures(s *study.Study) []*Figure {
	var out []*Figure
	for _, f := range s.Figures {
		out = append(out, studyFigure(s, f))
	}
	for _, t := range s.Sheets {
		out = append(out, studySheet(t))
	}
	return out
}

// studyCurve is one curve of a panel.
type studyCurve struct {
	name       string // in the legend
	x, y       []float64
	low, high  []float64 // nil without intervals
	dotX, dotY []float64 // markers on it
	reference  bool
	of         string // name of the curve whose colour a reference has; "" is ink
}

// curvesOf cuts the rows of a panel's table into curves, in the order of the
// table. A curve of one y column without series is named after the column.
func curvesOf(t *study.Table, p study.Panel) []studyCurve {
	var keys []string // values of the series, in order
	rows, dots := map[string][][]any{}, map[string][][]any{}
	reads := func(row []any, want map[string]string) bool {
		for name, text := range want {
			if study.Cell(row[t.Index(name)]) != text {
				return false
			}
		}
		return true
	}
	for _, row := range t.Rows {
		key := ""
		if p.Series != "" {
			key = study.Cell(row[t.Index(p.Series)])
		}
		switch {
		case len(p.Dots) > 0 && reads(row, p.Dots):
			dots[key] = append(dots[key], row)
			continue
		case !reads(row, p.Where):
			continue
		}
		if _, ok := rows[key]; !ok {
			keys = append(keys, key)
		}
		rows[key] = append(rows[key], row)
	}
	get := func(rows [][]any, column string) []float64 {
		v, i := []float64{}, t.Index(column)
		for _, row := range rows {
			v = append(v, row[i].(float64))
		}
		return v
	}
	var curves []studyCurve
	for _, key := range keys {
		named := key
		if p.Series != "" && !t.Column(p.Series).Text {
			named = t.Column(p.Series).Title() + " " + key
		}
		for i, y := range p.Y {
			c := studyCurve{name: named, x: get(rows[key], p.X), y: get(rows[key], y)}
			switch {
			case named == "":
				c.name = t.Column(y).Title()
			case len(p.Y) > 1:
				c.name += ", " + t.Column(y).Title()
			}
			if len(p.Low) > 0 {
				c.low, c.high = get(rows[key], p.Low[i]), get(rows[key], p.High[i])
			}
			c.dotX, c.dotY = get(dots[key], p.X), get(dots[key], y)
			curves = append(curves, c)
		}
		for _, y := range p.Reference {
			c := studyCurve{name: t.Column(y).Title(), x: get(rows[key], p.X), y: get(rows[key], y), reference: true}
			if p.Series != "" && len(p.Y) == 1 {
				c.of = named
			}
			curves = append(curves, c)
		}
	}
	return curves
}

// fewPoints is the most points of a curve that are marked where the panel does
// not say; longer curves are smooth, and their intervals bands.
const fewPoints = 40

func studyFigure(s *study.Study, f study.Figure) *Figure {
	var l legend
	styles := map[string]style{}
	references := map[string]bool{}
	curves := make([][]studyCurve, len(f.Panels))
	for i, p := range f.Panels {
		curves[i] = curvesOf(s.Of(f, p), p)
		for _, c := range curves[i] {
			if _, ok := styles[c.name]; !ok && !c.reference {
				look := styleOf(len(l))
				if p.Draw == study.Lines || p.Draw == study.Auto && len(c.x) > fewPoints {
					look = smoothOf(len(l))
				}
				styles[c.name] = look
				l = append(l, entry{c.name, look})
			}
		}
	}
	for _, list := range curves {
		for _, c := range list {
			if c.reference && !references[c.name] {
				references[c.name] = true
				look := style{color: ink, dashes: []vg.Length{3, 2}, bare: true}
				l = append(l, entry{c.name, look})
			}
		}
	}
	if first := f.Panels[0]; len(l) == 1 && l[0].label == s.Of(f, first).Column(first.Y[0]).Title() {
		l = nil // the axis says what it is
	}
	n := len(f.Panels)
	columns := f.Columns
	if columns == 0 {
		if columns = min(3, n); n == 4 {
			columns = 2
		}
	}
	var rows [][]panel
	var lost dropped
	for i, p := range f.Panels {
		if i%columns == 0 {
			rows = append(rows, make([]panel, columns))
			for k := range columns {
				rows[len(rows)-1][k].blank = true
			}
		}
		rows[len(rows)-1][i%columns] = studyPanel(s.Of(f, p), p, curves[i], styles, &lost)
	}
	width, height := pageWidth, 6*vg.Centimeter
	switch columns {
	case 1:
		width, height = 12*vg.Centimeter, 8*vg.Centimeter
	case 2:
		height = 7.5 * vg.Centimeter
	}
	caption := f.Caption
	if slices.ContainsFunc(f.Panels, func(p study.Panel) bool { return p.Trim }) {
		caption += " Vertical axes leave out the outermost hundredths of values."
	}
	return simpleFigure(f.Name, f.Title, caption+lost.note(), width, height*vg.Length(len(rows)), rows, l)
}

// studyPanel makes the axes of a panel and what is drawn on them.
func studyPanel(t *study.Table, p study.Panel, curves []studyCurve, styles map[string]style, lost *dropped) panel {
	var xs, ys []float64
	for _, c := range curves {
		for i := range c.x {
			if len(p.XRange) > 0 && (c.x[i] < p.XRange[0] || c.x[i] > p.XRange[1]) {
				continue
			}
			xs = append(xs, c.x[i])
			if !math.IsNaN(c.x[i]) {
				ys = append(ys, c.y[i])
			}
			if c.low != nil {
				ys = append(ys, c.low[i], c.high[i])
			}
			if p.LogX {
				lost.see(c.x[i])
			}
			if p.LogY {
				lost.see(c.y[i])
			}
		}
	}
	if p.Trim {
		ys = bulk(ys)
	}
	for _, c := range curves {
		xs, ys = append(xs, c.dotX...), append(ys, c.dotY...)
	}
	for _, m := range p.Vertical {
		xs = append(xs, m.At)
	}
	for _, m := range p.Level {
		ys = append(ys, m.At)
	}
	axisOf := func(label string, values []float64, log bool, ends []float64) axis {
		if counts := distinctCounts(values); log && len(ends) == 0 && len(counts) > 0 {
			return countAxis(label, counts, nil)
		}
		if len(ends) > 0 {
			// Places of infinite values stay.
			values = append(slices.DeleteFunc(values, func(v float64) bool { return !math.IsInf(v, 0) }), ends...)
		}
		if log {
			return logAxis(label, values)
		}
		return linearAxis(label, values)
	}
	yLabel := cmp.Or(p.YLabel, t.Column(p.Y[0]).Title())
	a := panel{
		title: p.Title,
		x:     axisOf(cmp.Or(p.XLabel, t.Column(p.X).Title()), xs, p.LogX, p.XRange),
		y:     axisOf(yLabel, ys, p.LogY, p.YRange),
	}
	mark := draw.LineStyle{Color: quiet, Width: 0.7, Dashes: []vg.Length{4, 2}}
	a.layers = append(a.layers, func(pn pen) {
		for _, m := range p.Vertical {
			pn.vertical(m.At, mark, m.Label)
		}
		for _, m := range p.Level {
			pn.level(m.At, mark, m.Label)
		}
	})
	for _, c := range slices.Backward(curves) { // the first on top
		a.layers = append(a.layers, func(pn pen) { pn.studyCurve(c, styles, p.Draw) })
	}
	return a
}

func (p pen) studyCurve(c studyCurve, styles map[string]style, how study.Style) {
	look := styles[c.name]
	if c.reference {
		look = style{color: ink}
		if s, ok := styles[c.of]; ok {
			look = s
		}
		p.line(c.x, c.y, draw.LineStyle{Color: look.color, Width: 0.8, Dashes: []vg.Length{3, 2}})
		return
	}
	defer func() {
		dot := look
		dot.bare = false
		p.marks(c.dotX, c.dotY, dot, 2)
	}()
	few := len(c.x) <= fewPoints
	if how == study.Curve || how == study.Points {
		look.bare = false
	}
	if c.low != nil && !few {
		shade := look.color
		shade.A = 50
		p.between(c.x, c.low, c.high, shade)
	}
	for i := range c.low {
		if few {
			p.bar(c.x[i], c.low[i], c.high[i], 0, look.color)
		}
	}
	switch {
	case how == study.Points:
		p.marks(c.x, c.y, look, 2.2)
	case how == study.Lines, how == study.Auto && !few:
		p.line(c.x, c.y, draw.LineStyle{Color: look.color, Width: 1, Dashes: look.dashes})
	default:
		p.curve(c.x, c.y, look)
	}
}

// distinctCounts returns the values, sorted, where they are few whole positive
// numbers, such as evaluations or sizes: an axis marks each of them.
func distinctCounts(values []float64) []float64 {
	v := slices.Clone(values)
	slices.Sort(v)
	v = slices.Compact(v)
	if len(v) > 12 || slices.ContainsFunc(v, func(x float64) bool { return !(x > 0) || x != math.Trunc(x) || math.IsInf(x, 1) }) {
		return nil
	}
	return v
}

// studySheet draws images in rows, with heads over them and labels beside.
func studySheet(t *study.Sheet) *Figure {
	g, err := picture(t.Shape)
	if err != nil { // the study is valid
		panic(err)
	}
	low, high := t.Low, t.High
	if low == 0 && high == 0 {
		low, high = -1, 1
	}
	n := len(t.Data) / g.dim()
	cols := min(t.Columns, max(n, 1))
	rows := max(1, (n+cols-1)/cols)
	w, h := g.size()
	const gap = 1
	img := image.NewNRGBA(image.Rect(0, 0, cols*(w+gap)-gap, rows*(h+gap)-gap))
	for k := range n {
		values := t.Data[k*g.dim() : (k+1)*g.dim()]
		if !slices.ContainsFunc(values, func(v float64) bool { return v == v }) {
			continue
		}
		paint := g.paint
		if t.Signed {
			paint = g.paintSigned
		}
		paint(img, k%cols*(w+gap), k/cols*(h+gap), func(i int) float64 { return 2*(values[i]-low)/(high-low) - 1 })
	}
	var left, top vg.Length
	for _, label := range t.Labels {
		left = max(left, small.width(label)+4)
	}
	if len(t.Heads) > 0 {
		top = 1.5 * smallSize
	}
	// Pixels of a twelfth of a millimetre to a whole one, as wide as the page lets them.
	b := img.Bounds()
	pixel := min((pageWidth-2*margin-left)/vg.Length(b.Dx()), 2.8)
	width, height := pixel*vg.Length(b.Dx()), pixel*vg.Length(b.Dy())
	return &Figure{
		Name: t.Name, Title: t.Title, Caption: t.Caption,
		width: max(width+left+2*margin, columnWidth), height: height + top + 2*margin,
		draw: func(c draw.Canvas) {
			x, y := c.Min.X+margin+left, c.Max.Y-margin-top-height
			cell := vg.Point{X: pixel * vg.Length(w+gap), Y: pixel * vg.Length(h+gap)}
			for i, head := range t.Heads[:min(len(t.Heads), cols)] {
				small.fill(c, vg.Point{X: x + cell.X*(vg.Length(i)+0.5), Y: y + height + 0.4*smallSize}, 0.5, head)
			}
			for i, label := range t.Labels {
				small.fill(c, vg.Point{X: x - 4, Y: y + height - cell.Y*(vg.Length(i)+0.5) - small.capHeight()/2}, 1, label)
			}
			drawPixels(c, vg.Rectangle{Min: vg.Point{X: x, Y: y}, Max: vg.Point{X: x + width, Y: y + height}}, img)
		},
	}
}

// findingRow is one finding on the page.
type findingRow struct {
	Verdict, Class   string
	Claim, Expected  string
	Measured, Remark string
	Source           string
}

// measured is the number of a finding with its unit and interval.
func measured(f study.Finding) string {
	if f.Measured != f.Measured {
		return ""
	}
	text := digits(f.Measured, 4)
	if f.Unit != "" {
		text += " " + f.Unit
	}
	if len(f.Interval) == 2 {
		text += fmt.Sprintf(" (%s to %s)", digits(f.Interval[0], 4), digits(f.Interval[1], 4))
	}
	return text
}

// shownRows is the most rows of a table that the page shows, openRows the most
// of one that is not folded away.
const (
	shownRows = 200
	openRows  = 30
)

func studyPage(run runfile.Run, s *study.Study, figures []*Figure) (*page, error) {
	f := folder{run: run}
	p := &page{
		Run: run, Title: s.Title, Lede: s.Held,
		CSS: template.CSS(reportCSS), JS: template.JS(reportJS), // embedded files of this package
		Facts: f.facts(), Inputs: f.inputs(), Warning: f.warning(),
		FiguresNote: "A curve has one colour, marker and dash in all panels of a figure.", FiguresFirst: true,
	}
	for _, x := range s.Findings {
		p.Findings = append(p.Findings, findingRow{x.Holds.String(), string(x.Holds), x.Claim, x.Expected, measured(x), x.Remark, x.Source})
	}
	for _, g := range figures {
		svg, err := g.inline()
		if err != nil {
			return nil, err
		}
		p.Figures = append(p.Figures, pageFigure{g.Name, g.Title, g.Caption, svg})
	}
	for _, t := range s.Tables {
		p.Tables = append(p.Tables, studyTable(t))
	}
	return p, nil
}

func studyTable(t *study.Table) table {
	out := table{ID: "table-" + t.Name, Title: t.Name + ".csv", Text: t.Caption}
	if len(t.Rows) > openRows {
		out.Folded = count(len(t.Rows), "row")
	}
	for _, c := range t.Columns {
		out.Heads = append(out.Heads, tableHead{c.Title(), cmp.Or(c.Help, c.Name), !c.Text})
	}
	for i, row := range t.Rows {
		if i == shownRows {
			out.Text += fmt.Sprintf(" The first %d of %d rows; the file has all.", shownRows, len(t.Rows))
			break
		}
		var cells []tableCell
		for _, v := range row {
			switch v := v.(type) {
			case string:
				cells = append(cells, tableCell{Text: v, Sort: v, Words: true})
			case float64:
				if v == math.Trunc(v) && math.Abs(v) < 1e6 {
					cells = append(cells, tableCell{Text: number(v), Sort: strconv.Itoa(int(v))})
				} else {
					cells = append(cells, numberCell(v))
				}
			}
		}
		out.Rows = append(out.Rows, cells)
	}
	return out
}

// bulk leaves out the outermost finite hundredths, so that a spike at an end
// does not flatten all else.
func bulk(v []float64) []float64 {
	s := slices.Clone(v)
	s = slices.DeleteFunc(s, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
	if len(s) == 0 {
		return v
	}
	slices.Sort(s)
	cut := len(s) / 100
	lo, hi := s[cut], s[len(s)-1-cut]
	return slices.DeleteFunc(slices.Clone(v), func(x float64) bool {
		return (x < lo || x > hi) && !math.IsInf(x, 0)
	})
}
