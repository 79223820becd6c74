package experiments

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// table collects lines and aligned rows of text and writes them at once, so
// that one error check is enough.
type table struct {
	b    strings.Builder
	rows *tabwriter.Writer
}

// line adds text as it is, after the rows before it.
func (t *table) line(format string, args ...any) {
	t.endRows()
	fmt.Fprintf(&t.b, format+"\n", args...)
}

// row adds cells that are aligned with those of the rows around it.
func (t *table) row(cells ...string) {
	if t.rows == nil {
		t.rows = tabwriter.NewWriter(&t.b, 0, 0, 2, ' ', 0)
	}
	fmt.Fprintln(t.rows, strings.Join(cells, "\t"))
}

func (t *table) endRows() {
	if t.rows != nil {
		t.rows.Flush()
		t.rows = nil
	}
}

func (t *table) flush(w io.Writer) error {
	t.endRows()
	_, err := io.WriteString(w, t.b.String())
	return err
}

// number prints v in few digits; NaN, which stands for what does not exist, as
// a dash.
func number(v float64) string {
	if v != v {
		return "–"
	}
	return fmt.Sprintf("%.4g", v)
}
