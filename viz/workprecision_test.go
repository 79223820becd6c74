package viz

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

// Whatever the errors are, a figure is drawn without a coordinate that is none;
// highlighted solvers are in the legend, others are not.
func TestWorkPrecision_Limit(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, errs := range map[string][]float64{
		"falling": {1, 0.1, 0.01}, "NaN": {nan, nan, nan}, "overflow": {inf, 1, 0.1}, "zero": {1, 0, 0.1}, "one": {1},
	} {
		curve := func(solver string) WorkCurve {
			c := WorkCurve{Solver: solver, NFE: []float64{3, 5.5, 10}[:len(errs)], Error: errs}
			for _, e := range errs {
				c.Lo, c.Hi = append(c.Lo, e/2), append(c.Hi, 2*e)
			}
			return c
		}
		var panels []WorkPanel
		for _, title := range []string{"one", "two", "three", "four", "five"} {
			panels = append(panels, WorkPanel{Title: title, Label: "error", Floor: 0.05, Curves: []WorkCurve{curve("shown"), curve("hidden")}})
			f := WorkPrecision("w", "Title", "Caption.", panels, []string{"shown", "absent"})
			var b bytes.Buffer
			if err := f.SVG(&b); err != nil {
				t.Fatal(err)
			}
			text := b.String()
			if err := wellFormed(text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
				t.Errorf("%s: draws at NaN or Inf", name)
			}
			if !strings.Contains(text, ">shown<") || strings.Contains(text, ">hidden<") {
				t.Errorf("%s: the legend has not the highlighted solvers alone", name)
			}
			if !strings.Contains(f.Caption, "Grey lines") || (name == "overflow" || name == "zero") != strings.Contains(f.Caption, "left out") {
				t.Errorf("%s: caption %q", name, f.Caption)
			}
		}
	}
}
