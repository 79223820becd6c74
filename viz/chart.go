package viz

import (
	"fmt"

	"snrlab/internal/study"
)

// Chart is curves over each other on one pair of axes. Values without a place on
// a logarithmic axis are left out and counted in the caption; infinities have
// places of their own on a linear one.
type Chart struct {
	Name, Title, Caption string
	X, Y                 string // labels of the axes
	LogX, LogY           bool

	rows [][]any
}

// Add adds a curve. It panics where x and y differ in length.
func (c *Chart) Add(name string, x, y []float64) {
	if len(x) != len(y) {
		panic(fmt.Sprintf("viz: curve %s: %d values of x and %d of y", name, len(x), len(y)))
	}
	for i := range x {
		c.rows = append(c.rows, []any{name, x[i], y[i]})
	}
}

// Figure draws the curves that were added.
func (c *Chart) Figure() *Figure {
	t := &study.Table{Name: "chart", Columns: []study.Column{{Name: "curve", Text: true}, {Name: "x"}, {Name: "y"}}, Rows: c.rows}
	return studyFigure(&study.Study{Tables: []*study.Table{t}}, study.Figure{
		Name: c.Name, Title: c.Title, Caption: c.Caption, Table: t.Name,
		Panels: []study.Panel{{X: "x", Y: []string{"y"}, Series: "curve", XLabel: c.X, YLabel: c.Y, LogX: c.LogX, LogY: c.LogY}},
	})
}
